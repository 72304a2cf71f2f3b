"""How a bus that is only listened to gets a second line, to ask its packs and set them."""

from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.const import CONF_DEVICE
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .bus_flow import UNKNOWN, describe
from .coordinator import JkBmsConfigEntry
from .line_flow import LineFlow
from .pack import Pack
from .plain_text import plain
from .ports import async_name
from .protocol.identity import is_comparable, is_same_bms
from .protocol.state import BmsState
from .protocol.survey import Finding
from .subentries import control_line_data, learn_serial
from .transport.probe import Scanned

CONF_PACK: Final = "pack"
_NONE: Final = "none"
_CHOICES: Final = {
    "confirm_scan": ("scan", "listen", "port"),
    Finding.SILENCE: ("scan", "port"),
    Finding.FOREIGN_MASTER: ("listen", "port"),
    Finding.NOISE: ("listen", "scan", "port"),
    Finding.LEGACY_PROTOCOL: ("listen", "scan", "port"),
    Finding.CUT_FRAMES: ("listen", "scan", "port"),
    Finding.MODBUS_TCP: ("scan", "port"),
    "strangers": ("scan", "confirm", "port"),
}
"""What can be done about each finding. The names are steps of the flow."""


class ControlLineFlow(
    LineFlow[SubentryFlowContext, SubentryFlowResult, tuple[str, str]],
    ConfigSubentryFlow,
):
    """Finds the packs of a bus on another line."""

    def __init__(self) -> None:
        """Start with no pack recognised."""
        super().__init__()
        self._packs: list[Pack] = []
        self._matched: dict[int, Pack] = {}
        self._open: dict[int, list[Pack]] = {}
        """Which packs it may be, where there is more than one."""

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the port of the second line."""
        return await self._async_ask_port("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the port that the second line has moved to."""
        known = self._get_reconfigure_subentry().data[CONF_DEVICE]
        self._device = self._device or known
        return await self._async_ask_port("reconfigure", user_input)

    async def async_step_which_pack(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which pack a BMS is that could be several."""
        address = next(iter(self._open), None)
        if address is None:
            return await self.async_step_confirm()
        free = [p for p in self._open[address] if p not in self._matched.values()]
        if user_input is not None:
            chosen = {pack.subentry_id: pack for pack in free}
            if pack := chosen.get(user_input[CONF_PACK]):
                self._matched[address] = pack
            del self._open[address]
            return await self.async_step_which_pack()
        options = [SelectOptionDict(value=p.subentry_id, label=p.name) for p in free]
        selector = SelectSelector(
            SelectSelectorConfig(
                options=[*options, SelectOptionDict(value=_NONE, label=UNKNOWN)],
                mode=SelectSelectorMode.LIST,
            )
        )
        return self.async_show_form(
            step_id="which_pack",
            data_schema=probatio.Schema({probatio.Required(CONF_PACK): selector}),
            description_placeholders={
                **self._placeholders,
                "address": str(address),
                "serial": plain(self._found[address].identity.serial_number or UNKNOWN),
            },
        )

    async def async_step_strangers(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say that none of the packs on this line is known on the bus."""
        return self._show_choices("strangers")

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show which packs answered, then store the line."""
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=probatio.Schema({}),
                description_placeholders=self._placeholders,
            )
        # Another flow may have taken the port while this one was open.
        await self._async_refuse_used()
        entry = self._get_entry()
        for address, pack in self._matched.items():
            serial = self._found[address].identity.serial_number
            learn_serial(self.hass, entry, pack.subentry_id, serial)
        packs = {address: pack.subentry_id for address, pack in self._matched.items()}
        title = await async_name(self.hass, self._device)
        data = control_line_data(self._device, packs)
        if self.source != SOURCE_RECONFIGURE:
            return self.async_create_entry(title=title, data=data)
        line = self._get_reconfigure_subentry()
        return self.async_update_and_abort(entry, line, title=title, data=data)

    @property
    @override
    def _port_step(self) -> str:
        return "reconfigure" if self.source == SOURCE_RECONFIGURE else "user"

    @property
    @override
    def _own_line(self) -> str | None:
        if self.source != SOURCE_RECONFIGURE:
            return None
        return self._get_reconfigure_subentry().subentry_id

    @property
    @override
    def _placeholders(self) -> dict[str, str]:
        rows = [
            f"{describe(address, state)} {self._name_of(address)} |"
            for address, state in self._found.items()
        ]
        return {**super()._placeholders, "found": "\n".join(rows)}

    @override
    def _choices(self, step: str) -> tuple[str, ...]:
        return _CHOICES[step]

    @override
    def _paused_entry(self) -> ConfigEntry | None:
        if self.source != SOURCE_RECONFIGURE:
            return None
        line = self._get_reconfigure_subentry()
        return self._get_entry() if self._device == line.data[CONF_DEVICE] else None

    @override
    async def _async_scanned(self, scanned: Scanned) -> str:
        self._match()
        if self._open:
            return "which_pack"
        return "confirm" if self._matched else "strangers"

    async def _async_ask_port(
        self, step: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        entry: JkBmsConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        # They stay as they are while the line is looked at.
        self._packs = list(entry.runtime_data.packs.values())
        if user_input is None or not await self._async_take_port(user_input):
            return self._show_port(step)
        return await self.async_step_listen()

    def _match(self) -> None:
        """Find out which pack each BMS is that has answered.

        One that can only be one pack leaves fewer for the others.
        """
        known = {pack.serial_number: pack for pack in self._packs}
        self._matched, self._open = {}, {}
        for address, state in self._found.items():
            serial = state.identity.serial_number
            if serial is not None and serial in known:
                self._matched[address] = known[serial]
                continue
            self._open[address] = [
                pack
                for pack in self._packs
                if pack.serial_number is None and _may_be(state, pack.station.state)
            ]
        while single := {
            a: packs[0] for a, packs in self._open.items() if len(packs) == 1
        }:
            self._matched |= single
            self._open = {
                address: [pack for pack in packs if pack not in single.values()]
                for address, packs in self._open.items()
                if address not in single
            }
        self._open = {address: packs for address, packs in self._open.items() if packs}

    def _name_of(self, address: int) -> str:
        pack = self._matched.get(address)
        return UNKNOWN if pack is None else pack.name


def _may_be(state: BmsState, heard: BmsState) -> bool:
    """Tell whether a BMS may be a pack of the bus; one that was not heard may be any."""
    return not is_comparable(heard) or is_same_bms(state, heard)
