"""How one BMS is added to a bus, and how its address is changed."""

from collections.abc import Collection, Iterable
import re
from typing import Any, Final

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import probatio

from .bus_flow import UNKNOWN, describe
from .const import CONF_SERIAL_NUMBER
from .coordinator import JkBmsConfigEntry
from .mode import ASKING, mode_of
from .protocol.fields import MAX_ADDRESS
from .protocol.state import BmsState
from .subentries import bms_subentries, free_title, subentry_data
from .transport.link import is_modbus

_SERIAL_NUMBER: Final = re.compile(r"[0-9A-Za-z]{8,16}")
"""11 digits, or 15 characters in newer firmware (rs485.md 2.7)."""


class BmsSubentryFlow(ConfigSubentryFlow):
    """Asks an address who is there, and shows it before anything is stored."""

    def __init__(self) -> None:
        """Start with nobody asked."""
        self._address = 0
        self._state = BmsState()

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the address of a BMS that is new on the bus."""
        return await self._async_ask("user", user_input, None)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the address that a BMS has now."""
        subentry = self._get_reconfigure_subentry()
        return await self._async_ask("reconfigure", user_input, subentry)

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show who answered, and add it."""
        if user_input is None:
            return self._show_answer("confirm", {})
        present = list(bms_subentries(self._get_entry()))
        # Another flow may have added it while this one was open.
        if self._address in {other.data[CONF_ADDRESS] for other in present}:
            return self.async_abort(reason="already_configured")
        title = free_title(self._get_entry(), self._address, self._state)
        return self.async_create_entry(title=title, data=self._data)

    async def async_step_replaced(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask whether another BMS shall continue the history of this one."""
        subentry = self._get_reconfigure_subentry()
        if user_input is not None:
            return self._move(subentry)
        return self._show_answer(
            "replaced",
            {"name": subentry.title, "known": str(subentry.data[CONF_SERIAL_NUMBER])},
        )

    async def async_step_tell(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask its owner who a BMS is that cannot be asked itself."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        others = [other for other in bms_subentries(entry) if other is not subentry]
        errors: dict[str, str] = {}
        owner = UNKNOWN
        if user_input is not None:
            address = int(user_input[CONF_ADDRESS])
            serial = user_input.get(CONF_SERIAL_NUMBER, "").strip()
            same = [o for o in others if serial and _serial_of(o) == serial]
            if same:
                errors[CONF_SERIAL_NUMBER] = "already_added"
                owner = same[0].title
            elif serial and not _SERIAL_NUMBER.fullmatch(serial):
                errors[CONF_SERIAL_NUMBER] = "not_a_serial_number"
            else:
                data = {
                    **subentry.data,
                    CONF_ADDRESS: address,
                    CONF_SERIAL_NUMBER: serial or None,
                }
                return self.async_update_and_abort(entry, subentry, data=data)
        used = {other.data[CONF_ADDRESS] for other in others}
        schema = probatio.Schema(
            {
                probatio.Required(CONF_ADDRESS): _address_selector(used),
                probatio.Optional(CONF_SERIAL_NUMBER): TextSelector(),
            }
        )
        known = {
            CONF_ADDRESS: str(subentry.data[CONF_ADDRESS]),
            CONF_SERIAL_NUMBER: _serial_of(subentry) or "",
        }
        return self.async_show_form(
            step_id="tell",
            data_schema=self.add_suggested_values_to_schema(
                schema, known if user_input is None else user_input
            ),
            errors=errors,
            description_placeholders={"name": subentry.title, "owner": owner},
        )

    async def _async_ask(
        self,
        step: str,
        user_input: dict[str, Any] | None,
        subentry: ConfigSubentry | None,
    ) -> SubentryFlowResult:
        entry: JkBmsConfigEntry = self._get_entry()
        if mode_of(entry) not in ASKING:
            if subentry is None:
                return self.async_abort(reason="listening")
            return await self.async_step_tell(user_input)
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        others = [other for other in bms_subentries(entry) if other is not subentry]
        if user_input is None:
            return self._show_address(step, subentry, others)
        address = int(user_input[CONF_ADDRESS])
        if subentry is not None and address == subentry.data[CONF_ADDRESS]:
            return self.async_update_and_abort(entry, subentry)
        if address == 0 and is_modbus(entry.data[CONF_DEVICE]):
            return self._show_address(
                step, subentry, others, address, error="address_0"
            )
        state = await entry.runtime_data.async_identify(address)
        if state is None:
            return self._show_address(
                step, subentry, others, address, error="nothing_answered"
            )
        if owner := _owner(others, state):
            return self._show_address(
                step, subentry, others, address, error="already_added", owner=owner
            )
        self._address, self._state = address, state
        if subentry is None:
            return await self.async_step_confirm()
        known = subentry.data.get(CONF_SERIAL_NUMBER)
        if known in (None, state.identity.serial_number):
            return self._move(subentry)
        return await self.async_step_replaced()

    def _show_address(
        self,
        step: str,
        subentry: ConfigSubentry | None,
        others: Iterable[ConfigSubentry],
        address: int | None = None,
        *,
        error: str | None = None,
        owner: ConfigSubentry | None = None,
    ) -> SubentryFlowResult:
        used = {other.data[CONF_ADDRESS] for other in others}
        if len(used) > MAX_ADDRESS:
            return self.async_abort(reason="no_free_address")
        if address is None and subentry is not None:
            address = subentry.data[CONF_ADDRESS]
        selector = _address_selector(used)
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema({probatio.Required(CONF_ADDRESS): selector}),
                None if address is None else {CONF_ADDRESS: str(address)},
            ),
            errors=None if error is None else {CONF_ADDRESS: error},
            description_placeholders={
                "name": UNKNOWN if subentry is None else subentry.title,
                "address": str(address),
                "owner": UNKNOWN if owner is None else owner.title,
            },
        )

    @property
    def _data(self) -> dict[str, Any]:
        return subentry_data(self._address, self._state, self._state.features)

    def _show_answer(self, step: str, more: dict[str, str]) -> SubentryFlowResult:
        return self.async_show_form(
            step_id=step,
            data_schema=probatio.Schema({}),
            description_placeholders={
                "address": str(self._address),
                "found": describe(self._address, self._state),
                **more,
            },
        )

    def _move(self, subentry: ConfigSubentry) -> SubentryFlowResult:
        """Store the new address and who is there; the entry reloads by itself."""
        return self.async_update_and_abort(
            self._get_entry(),
            subentry,
            data=self._data,
        )


def _address_selector(used: Collection[int]) -> SelectSelector:
    free = [str(n) for n in range(MAX_ADDRESS + 1) if n not in used]
    return SelectSelector(
        SelectSelectorConfig(options=free, mode=SelectSelectorMode.DROPDOWN)
    )


def _serial_of(subentry: ConfigSubentry) -> str | None:
    serial: str | None = subentry.data.get(CONF_SERIAL_NUMBER)
    return serial


def _owner(others: Iterable[ConfigSubentry], state: BmsState) -> ConfigSubentry | None:
    """Return the BMS that is known by the serial number heard."""
    serial = state.identity.serial_number
    for other in others:
        if serial is not None and other.data.get(CONF_SERIAL_NUMBER) == serial:
            return other
    return None
