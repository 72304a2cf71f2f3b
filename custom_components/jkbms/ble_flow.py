"""How a pack on Bluetooth is set up: found or chosen, asked who it is, shown, taken."""

from abc import abstractmethod
import asyncio
import logging
from typing import Any, Final, Protocol

from homeassistant.config_entries import ConfigFlowContext, ConfigFlowResult
from homeassistant.const import CONF_ADDRESS
from homeassistant.data_entry_flow import FlowHandler
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .bank_members import known_packs
from .bluetooth_use import async_bluetooth
from .bus_flow import UNKNOWN, describe
from .const import CONF_SERIAL_NUMBER, DOMAIN
from .plain_text import plain
from .protocol.ble.station import ADDRESS
from .protocol.state import BmsState
from .tier_flow import write_tier_field
from .transport.link import LinkError, LinkFault
from .transport.radio import async_meet

_LOGGER = logging.getLogger(__name__)
_ERRORS: Final = {
    LinkFault.LOST: "ble_lost",
    LinkFault.SILENT: "ble_silent",
    LinkFault.FAILED: "ble_failed",
}
"""Faults whose words on a wire do not fit."""


class Advertised(Protocol):
    """What an advertisement tells of a pack; no module of Bluetooth is needed for it."""

    address: str
    name: str
    rssi: int
    """dBm."""


class BleFlow(FlowHandler[ConfigFlowContext, ConfigFlowResult, str]):
    """Asks for a pack that is seen, connects to it, and shows who it is."""

    def __init__(self) -> None:
        """Start with no pack."""
        super().__init__()
        self._ble_address: str | None = None
        self._ble_name = ""
        self._ble_signal = 0
        self._ble_offered = False
        """Whether it was found by itself, and none was chosen."""
        self._ble_errors: dict[str, str] = {}
        self._ble_look: asyncio.Task[str] | None = None
        self._ble_state = BmsState()

    @abstractmethod
    async def _async_refuse_ble(self, address: str) -> None:
        """Raise AbortFlow where the pack belongs to another entry."""

    @abstractmethod
    async def _async_meet(self, address: str) -> BmsState:
        """Return what a pack says, with nobody else of ours connected."""

    @abstractmethod
    async def _async_met(self) -> str:
        """Return the next step, the pack having said who it is."""

    @abstractmethod
    async def _async_take_tier_of_ble(
        self, user_input: dict[str, Any]
    ) -> ConfigFlowResult:
        """Create the entry, after a second question where one is due."""

    async def async_step_bluetooth(
        self, discovery_info: Advertised
    ) -> ConfigFlowResult:
        """Offer a pack that was found by itself."""
        await self._async_refuse_ble(discovery_info.address)
        self._ble_address = discovery_info.address
        self._ble_name = plain(discovery_info.name)
        self._ble_signal = discovery_info.rssi
        self._ble_offered = True
        self.context["title_placeholders"] = {
            "name": f"{self._ble_name} ({self._ble_signal} dBm)"
        }
        return await self.async_step_ble_found()

    async def async_step_ble_found(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask before the pack that was found is connected."""
        if user_input is not None:
            return await self.async_step_ble_ask()
        errors, self._ble_errors = self._ble_errors, {}
        return self.async_show_form(
            step_id="ble_found",
            data_schema=probatio.Schema({}),
            errors=errors,
            description_placeholders=self._ble_placeholders,
        )

    async def async_step_ble(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which of the packs that are seen it is."""
        seen = {
            pack.address: pack
            for pack in (await async_bluetooth(self.hass)).packs_seen(self.hass)
        }
        if user_input is not None and (pack := seen.get(user_input[CONF_ADDRESS])):
            await self._async_refuse_ble(pack.address)
            self._ble_address = pack.address
            self._ble_name, self._ble_signal = plain(pack.name), pack.signal
            self._ble_offered = False
            return await self.async_step_ble_ask()
        if not seen:
            return self._show_ble("ble_none", ("ble",))
        options = [
            SelectOptionDict(
                value=pack.address,
                label=f"{plain(pack.name)} ({pack.address}, {pack.signal} dBm)",
            )
            for pack in seen.values()
        ]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
        )
        chosen = self._ble_address if self._ble_address in seen else next(iter(seen))
        errors, self._ble_errors = self._ble_errors, {}
        return self.async_show_form(
            step_id="ble",
            data_schema=probatio.Schema(
                {probatio.Required(CONF_ADDRESS, default=chosen): selector}
            ),
            errors=errors,
            description_placeholders=self._ble_placeholders,
        )

    async def async_step_ble_none(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what to check when no pack is seen."""
        return self._show_ble("ble_none", ("ble",))

    async def async_step_ble_ask(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Connect to the pack and ask who it is."""
        if self._ble_look is None:
            self._ble_look = self.hass.async_create_task(
                self._async_look_at_ble(), f"{DOMAIN} ble_ask", eager_start=False
            )
        if not self._ble_look.done():
            return self.async_show_progress(
                step_id="ble_ask",
                progress_action="ble_ask",
                progress_task=self._ble_look,
                description_placeholders=self._ble_placeholders,
            )
        look, self._ble_look = self._ble_look, None
        return self.async_show_progress_done(next_step_id=look.result())

    async def async_step_ble_known(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the pack is set up already, and what adding it twice means."""
        return self._show_ble("ble_known", ("ble", "ble_confirm"))

    async def async_step_ble_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who it is, and take it."""
        if user_input is not None:
            return await self._async_take_tier_of_ble(user_input)
        return self.async_show_form(
            step_id="ble_confirm",
            data_schema=probatio.Schema(write_tier_field()),
            description_placeholders=self._ble_placeholders,
        )

    @property
    def _ble_placeholders(self) -> dict[str, str]:
        return {
            "name": self._ble_name or UNKNOWN,
            "signal": str(self._ble_signal),
            "address": self._ble_address or UNKNOWN,
            "found": describe(ADDRESS, self._ble_state).split("|", 2)[2],
            "owner": self._owner_of_serial() or UNKNOWN,
        }

    def _show_ble(self, step: str, options: tuple[str, ...]) -> ConfigFlowResult:
        return self.async_show_menu(
            step_id=step,
            menu_options=options,
            description_placeholders=self._ble_placeholders,
        )

    def _owner_of_serial(self) -> str | None:
        """Return the entry that has the pack already, by its serial number."""
        serial = self._ble_state.identity.serial_number
        for pack in known_packs(self.hass):
            if serial and pack.subentry.data.get(CONF_SERIAL_NUMBER) == serial:
                return pack.bus.title
        return None

    async def _async_look_at_ble(self) -> str:
        """Ask the pack who it is; return the next step."""
        assert self._ble_address is not None
        self._ble_state = BmsState()
        try:
            self._ble_state = await self._async_meet(self._ble_address)
        except LinkError as error:
            if error.fault is LinkFault.FAILED:
                _LOGGER.warning("%s cannot be connected: %s", self._ble_address, error)
            self._ble_errors = {"base": _ERRORS.get(error.fault, error.fault)}
            return "ble_found" if self._ble_offered else "ble"
        return await self._async_met()


async def async_meet_at(flow: BleFlow, address: str) -> BmsState:
    """Connect to a pack that is seen, and return what it says; raises LinkError."""
    ble = await async_bluetooth(flow.hass)
    return await async_meet(ble.port_to(flow.hass, address))
