"""How a CAN bus is set up: which adapter, at which bit rate, and what is heard there."""

from abc import abstractmethod
import asyncio
from collections.abc import Mapping
from dataclasses import replace
import logging
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowContext, ConfigFlowResult
from homeassistant.const import CONF_DEVICE, CONF_HOST, CONF_PORT
from homeassistant.data_entry_flow import FlowHandler
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    SerialPortSelector,
    TextSelector,
)
import probatio

from .bus_flow import UNKNOWN
from .const import CONF_CHANNEL, DOMAIN
from .ports import async_resolve
from .protocol.can.survey import LISTEN_FOR, CanFinding
from .transport.can_port import BITRATES, TRAITS, CanAdapter, CanPort, Channel
from .transport.can_probe import CanHeard, async_listen_can
from .transport.link import LinkError, LinkFault

_LOGGER = logging.getLogger(__name__)

CONF_ADAPTER: Final = "adapter"
CONF_BITRATE: Final = "bitrate"
_FIND_OUT: Final = "find_out"
_INTERFACE: Final = "can0"
_EXAMPLE: Final = "192.168.1.50:20001"
_GATEWAY_PORT: Final = 20001
"""Of the first bus of common gateways (can.md 3.3)."""

_SERIAL: Final = (
    CanAdapter.SLCAN,
    CanAdapter.SEEEDSTUDIO,
    CanAdapter.ROBOTELL,
    CanAdapter.SERIAL,
)
_NETWORK: Final = (CanAdapter.CAN_TCP, CanAdapter.SOCKETCAND, CanAdapter.SLCAN)
_OTHER: Final = (
    CanAdapter.GS_USB,
    CanAdapter.CANALYSTII,
    CanAdapter.PCAN,
    CanAdapter.KVASER,
)
_AGAIN: Final = ("can_listen", "can")
_FINDINGS: Final = {
    CanFinding.SILENCE: "can_silence",
    CanFinding.INVERTER: "can_inverter",
    CanFinding.CLASH: "can_clash",
    CanFinding.FOREIGN: "can_foreign",
}


class CanFlow(FlowHandler[ConfigFlowContext, ConfigFlowResult, str]):
    """Asks for an adapter, listens, and shows what is heard."""

    def __init__(self) -> None:
        """Start with no adapter."""
        super().__init__()
        self._can_port: CanPort | None = None
        self._can_step = "can"
        self._can_errors: dict[str, str] = {}
        self._can_look: asyncio.Task[str] | None = None
        self._can_heard: CanHeard | None = None

    @abstractmethod
    async def _async_refuse_can(self, port: CanPort) -> None:
        """Raise AbortFlow where the adapter belongs to another line."""

    @abstractmethod
    async def _async_take_can(
        self, port: CanPort, heard: CanHeard | None
    ) -> ConfigFlowResult:
        """Create the entry, or give it this adapter."""

    @property
    @abstractmethod
    def _speaking(self) -> tuple[str, ...]:
        """What else can be done on a bus where no battery speaks: steps of the flow."""

    async def async_step_can(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what the CAN bus is reached through."""
        return self.async_show_menu(
            step_id="can",
            menu_options=("can_interface", "can_serial", "can_network", "can_other"),
        )

    async def async_step_can_interface(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a CAN interface of this machine."""
        fields = {probatio.Required(CONF_CHANNEL, default=_INTERFACE): TextSelector()}
        return await self._async_ask_can(
            "can_interface", fields, user_input, {CONF_ADAPTER: CanAdapter.SOCKETCAN}
        )

    async def async_step_can_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for an adapter that is a serial port."""
        fields = {
            probatio.Required(CONF_DEVICE): SerialPortSelector(),
            probatio.Required(CONF_ADAPTER, default=_SERIAL[0]): _choice(
                CONF_ADAPTER, _SERIAL
            ),
            probatio.Required(CONF_BITRATE, default=_FIND_OUT): _bitrate(),
        }
        return await self._async_ask_can("can_serial", fields, user_input)

    async def async_step_can_network(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a gateway in the network."""
        port = NumberSelectorConfig(min=1, max=65535, mode=NumberSelectorMode.BOX)
        fields = {
            probatio.Required(CONF_HOST): TextSelector(),
            probatio.Required(CONF_PORT, default=_GATEWAY_PORT): probatio.All(
                NumberSelector(port), probatio.Coerce(int)
            ),
            probatio.Required(CONF_ADAPTER, default=_NETWORK[0]): _choice(
                "network_adapter", _NETWORK
            ),
            probatio.Optional(CONF_CHANNEL, default=_INTERFACE): TextSelector(),
            probatio.Required(CONF_BITRATE, default=_FIND_OUT): _bitrate(),
        }
        return await self._async_ask_can("can_network", fields, user_input)

    async def async_step_can_other(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for an adapter with a driver of its own."""
        fields = {
            probatio.Required(CONF_ADAPTER, default=_OTHER[0]): _choice(
                CONF_ADAPTER, _OTHER
            ),
            probatio.Required(CONF_CHANNEL, default="0"): TextSelector(),
            probatio.Required(CONF_BITRATE, default=_FIND_OUT): _bitrate(),
        }
        return await self._async_ask_can("can_other", fields, user_input)

    async def async_step_can_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen to the bus."""
        if self._can_look is None:
            self._can_look = self.hass.async_create_task(
                self._async_listen_can(), f"{DOMAIN} can_listen", eager_start=False
            )
        if not self._can_look.done():
            return self.async_show_progress(
                step_id="can_listen",
                progress_action="can_listen",
                progress_task=self._can_look,
                description_placeholders=self._can_placeholders,
            )
        look, self._can_look = self._can_look, None
        return self.async_show_progress_done(next_step_id=look.result())

    async def async_step_can_failed(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go back to the adapter, saying why it cannot be used."""
        step: ConfigFlowResult = await getattr(self, f"async_step_{self._can_step}")()
        return step

    async def async_step_can_silence(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what to check when nothing is heard."""
        return self._show_can("can_silence", (*_AGAIN, *self._speaking, "can_anyway"))

    async def async_step_can_errors(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the bus is alive and cannot be read."""
        return self._show_can("can_errors", _AGAIN)

    async def async_step_can_inverter(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that an inverter speaks and no battery."""
        return self._show_can("can_inverter", (*_AGAIN, *self._speaking, "can_anyway"))

    async def async_step_can_clash(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that packs share an address."""
        return self._show_can("can_clash", _AGAIN)

    async def async_step_can_foreign(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that whoever speaks is no BMS."""
        return self._show_can("can_foreign", _AGAIN)

    async def async_step_can_anyway(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the adapter although no pack was heard yet."""
        return await self._async_take_heard(None)

    async def async_step_can_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who was heard, and take the adapter."""
        if user_input is not None:
            return await self._async_take_heard(self._can_heard)
        return self.async_show_form(
            step_id="can_confirm",
            data_schema=probatio.Schema({}),
            description_placeholders=self._can_placeholders,
        )

    async def async_step_can_confirm_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show that a bank was heard, and take the adapter."""
        if user_input is not None:
            return await self._async_take_heard(self._can_heard)
        return self.async_show_form(
            step_id="can_confirm_bank",
            data_schema=probatio.Schema({}),
            description_placeholders=self._can_placeholders,
        )

    @property
    def _can_placeholders(self) -> dict[str, str]:
        port, heard = self._can_port, self._can_heard
        rate = heard.bitrate if heard is not None else None
        rows = () if heard is None else heard.packs
        return {
            "adapter": UNKNOWN if port is None else shown(port),
            "port": UNKNOWN if port is None else shown(port),
            "bitrate": UNKNOWN if rate is None else f"{rate // 1000} kbit/s",
            "dialect": UNKNOWN if heard is None else str(heard.dialect or UNKNOWN),
            "found": "\n".join(
                f"| {pack.address} | {pack.cells or UNKNOWN} |" for pack in rows
            ),
            "count": str(len(rows)),
            "addresses": ", ".join(map(str, heard.clashing)) if heard else UNKNOWN,
            "gateway": _EXAMPLE,
            "channel": (port.channel if port else None) or _INTERFACE,
        }

    def _show_can(self, step: str, options: tuple[str, ...]) -> ConfigFlowResult:
        return self.async_show_menu(
            step_id=step,
            menu_options=options,
            description_placeholders=self._can_placeholders,
        )

    async def _async_ask_can(
        self,
        step: str,
        fields: Mapping[Any, Any],
        user_input: dict[str, Any] | None,
        given: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        self._can_step = step
        if user_input is not None:
            self._can_errors = {}
            port = await self._async_can_port({**user_input, **(given or {})})
            if port is not None:
                await self._async_refuse_can(port)
                self._can_port = port
                return await self.async_step_can_listen()
            self._can_errors = {"base": LinkFault.INVALID_ADDRESS}
        errors, self._can_errors = self._can_errors, {}
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(
                probatio.Schema(dict(fields)), user_input or self._suggested()
            ),
            errors=errors,
            description_placeholders=self._can_placeholders,
        )

    def _suggested(self) -> dict[str, Any]:
        """Return what was filled in before."""
        if self._can_port is None:
            return {}
        known = self._can_port.dump()
        if self._can_port.traits.channel is Channel.DEVICE:
            known[CONF_DEVICE] = known.pop(CONF_CHANNEL)
        if rate := known.get(CONF_BITRATE):
            known[CONF_BITRATE] = str(rate)
        return known

    async def _async_can_port(self, data: dict[str, Any]) -> CanPort | None:
        """Return the adapter that a form describes; None where there can be none."""
        adapter = CanAdapter(data[CONF_ADAPTER])
        rate = data.get(CONF_BITRATE, _FIND_OUT)
        fields: dict[str, Any] = {CONF_ADAPTER: adapter}
        if rate != _FIND_OUT:
            fields[CONF_BITRATE] = int(rate)
        host = str(data.get(CONF_HOST, "")).strip()
        if CONF_DEVICE in data:
            fields[CONF_CHANNEL] = await async_resolve(self.hass, data[CONF_DEVICE])
        elif adapter is CanAdapter.SLCAN:
            fields[CONF_CHANNEL] = f"socket://{host}:{data[CONF_PORT]}"
        elif host:
            fields |= {CONF_HOST: host, CONF_PORT: data[CONF_PORT]}
            if adapter is CanAdapter.SOCKETCAND:
                fields[CONF_CHANNEL] = data.get(CONF_CHANNEL, "").strip()
        else:
            fields[CONF_CHANNEL] = data[CONF_CHANNEL].strip()
        if not TRAITS[adapter].bitrate:
            # It is set elsewhere.
            fields.pop(CONF_BITRATE, None)
        try:
            return CanPort.load(fields)
        except ValueError:
            return None

    async def _async_listen_can(self) -> str:
        """Listen with nobody else of ours on the bus; return the next step."""
        assert self._can_port is not None
        self._can_heard = None
        try:
            heard = await self._async_hear(self._can_port)
        except LinkError as error:
            if error.fault is LinkFault.FAILED:
                _LOGGER.warning("%s cannot be opened: %s", self._can_port.name, error)
            if error.fault is LinkFault.BUS_ERRORS:
                return "can_errors"
            self._can_errors = {"base": error.fault}
            return "can_failed"
        self._can_heard = heard
        if heard.only_errors:
            return "can_errors"
        if heard.finding is CanFinding.PACKS:
            return "can_confirm"
        if heard.finding is CanFinding.BANK:
            return "can_confirm_bank"
        return _FINDINGS[heard.finding]

    async def _async_hear(self, port: CanPort) -> CanHeard:
        shown = -1

        def report(done: float) -> None:
            nonlocal shown
            percent = int(100 * done)
            if percent > shown:
                shown = percent
                self.async_update_progress(percent / 100)

        return await async_listen_can(port, report, LISTEN_FOR)

    async def _async_take_heard(self, heard: CanHeard | None) -> ConfigFlowResult:
        port = self._found_port(heard)
        await self._async_refuse_can(port)
        return await self._async_take_can(port, heard)

    def _found_port(self, heard: CanHeard | None) -> CanPort:
        """Return the adapter with the bit rate at which something was heard."""
        assert self._can_port is not None
        port = self._can_port
        if port.traits.bitrate and port.bitrate is None:
            found = heard.bitrate if heard is not None else None
            port = replace(port, bitrate=found or BITRATES[0])
        return port


def shown(port: CanPort) -> str:
    """Return what a person calls an adapter: where it is."""
    if port.traits.network:
        return f"{port.host}:{port.port}"
    return str(port.channel)


def _choice(key: str, adapters: tuple[CanAdapter, ...]) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=[adapter.value for adapter in adapters],
            mode=SelectSelectorMode.DROPDOWN,
            translation_key=key,
        )
    )


def _bitrate() -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=[_FIND_OUT, *map(str, BITRATES)],
            mode=SelectSelectorMode.DROPDOWN,
            translation_key="bitrate",
        )
    )
