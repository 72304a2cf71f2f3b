"""What every set-up of a line has in common: a port, a look at it, what was found there."""

from abc import abstractmethod
import asyncio
from collections.abc import Callable, Coroutine, Iterator
import logging
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE
from homeassistant.data_entry_flow import (
    AbortFlow,
    FlowContext,
    FlowHandler,
    FlowResult,
)
from homeassistant.helpers.selector import SerialPortSelector
import probatio

from .bank_members import bus_entries
from .bus_flow import UNKNOWN, describe, paused
from .const import DOMAIN
from .mode import device_of
from .ports import async_resolve, async_same_port, other_mode, shown
from .protocol.state import BmsState
from .protocol.survey import LISTEN_FOR, Finding
from .subentries import control_lines
from .transport.link import LinkError, LinkFault, is_modbus
from .transport.probe import Scanned, async_listen, async_scan

_LOGGER = logging.getLogger(__name__)
_EXAMPLES: Final = {
    "gateway": "192.168.1.50:8899",
    "rfc2217": "rfc2217://192.168.1.50:4000",
    "modbus": "modbus-tcp://192.168.1.50:502",
}
_FIRST_MODE: Final = 0.9
"""Of the progress bar; a gateway seldom has to be asked in its other mode too."""
_HINTS: Final = {False: Finding.MODBUS_TCP, True: Finding.SILENCE}
"""What a scan finds, transparent or as Modbus TCP, where the gateway has the other mode."""


class LineFlow[
    ContextT: FlowContext,
    ResultT: FlowResult[Any, Any],
    HandlerT,
](FlowHandler[ContextT, ResultT, HandlerT]):
    """Looks at one line: silently first, then, with consent, asking who is there."""

    def __init__(self) -> None:
        """Start with nothing known of the line."""
        super().__init__()
        self._device = ""
        self._errors: dict[str, str] = {}
        self._look: asyncio.Task[str] | None = None
        self._heard: tuple[int, ...] = ()
        self._found: dict[int, BmsState] = {}

    @property
    @abstractmethod
    def _port_step(self) -> str:
        """The step that asks for the port."""

    @abstractmethod
    def _choices(self, step: str) -> tuple[str, ...]:
        """Return what can be done about a finding: names of steps."""

    @abstractmethod
    def _paused_entry(self) -> ConfigEntry | None:
        """Return the entry that has to leave the line alone while it is looked at."""

    @property
    @abstractmethod
    def _own_line(self) -> str | None:
        """What holds the port now: the id of an entry or of a control line."""

    @abstractmethod
    async def _async_scanned(self, scanned: Scanned) -> str:
        """Return the next step, packs having answered."""

    async def _async_scanned_older(self) -> str:
        """Return the next step, packs having answered in the older protocol."""
        return Finding.LEGACY_PROTOCOL

    async def async_step_port(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Go back to the port."""
        return self._show_port(self._port_step)

    async def async_step_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Listen to the line, silently."""
        return self._show_look("listen", "listen", self._async_listen)

    async def async_step_scan(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask every address who is there."""
        return self._show_look("scan", "scan", self._async_scan)

    async def async_step_confirm_scan(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask before the first byte is sent."""
        return self._show_choices("confirm_scan")

    async def async_step_silence(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say what to check when nobody answers."""
        return self._show_choices(Finding.SILENCE)

    async def async_step_foreign_master(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say that somebody else asks on this line."""
        return self._show_choices(Finding.FOREIGN_MASTER)

    async def async_step_noise(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say why bytes may make no sense."""
        return self._show_choices(Finding.NOISE)

    async def async_step_legacy_protocol(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say that the pack speaks JK's older protocol."""
        return self._show_choices(Finding.LEGACY_PROTOCOL)

    async def async_step_cut_frames(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say that the adapter or the gateway loses bytes."""
        return self._show_choices(Finding.CUT_FRAMES)

    async def async_step_as_modbus(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask again, as a gateway that converts wants to be asked."""
        self._device = other_mode(self._device) or self._device
        return await self.async_step_scan(user_input)

    async def async_step_modbus_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say that the gateway translates."""
        return self._show_choices(Finding.MODBUS_TCP)

    @property
    def _placeholders(self) -> dict[str, str]:
        rows = [describe(address, state) for address, state in self._found.items()]
        return {
            "port": shown(self._device),
            "seconds": f"{LISTEN_FOR:g}",
            "heard": ", ".join(map(str, self._heard)) or UNKNOWN,
            "found": "\n".join(rows),
            "count": str(len(rows)),
        }

    async def _async_take_port(self, user_input: dict[str, Any]) -> bool:
        """Take the port that was typed in; false where it is none."""
        self._errors = {}
        device = await async_resolve(self.hass, user_input[CONF_DEVICE])
        self._device = device or user_input[CONF_DEVICE]
        if device is None:
            self._errors = {CONF_DEVICE: LinkFault.INVALID_ADDRESS}
            return False
        await self._async_refuse_used()
        return True

    def _show_port(self, step: str) -> ResultT:
        schema = probatio.Schema({probatio.Required(CONF_DEVICE): SerialPortSelector()})
        if self._device:
            schema = self.add_suggested_values_to_schema(
                schema, {CONF_DEVICE: self._device}
            )
        return self.async_show_form(
            step_id=step,
            data_schema=schema,
            errors=self._errors,
            description_placeholders={**_EXAMPLES, "port": shown(self._device)},
        )

    def _show_choices(self, step: str) -> ResultT:
        options = list(self._choices(step))
        if is_modbus(self._device):
            # Nothing can be overheard through a gateway that converts.
            options = [option for option in options if option != "follow"]
        elif step == Finding.SILENCE and other_mode(self._device) is not None:
            options.insert(1, "as_modbus")
        return self.async_show_menu(
            step_id=step,
            menu_options=tuple(options),
            description_placeholders=self._placeholders,
        )

    def _show_look(
        self, step: str, action: str, look: Callable[[], Coroutine[Any, Any, str]]
    ) -> ResultT:
        """Show a look at the line while it lasts, then go where it points."""
        if self._look is None:
            self._look = self.hass.async_create_task(
                self._async_look(look), f"{DOMAIN} {step}", eager_start=False
            )
        if not self._look.done():
            return self.async_show_progress(
                step_id=step,
                progress_action=action,
                progress_task=self._look,
                description_placeholders=self._placeholders,
            )
        look_done, self._look = self._look, None
        return self.async_show_progress_done(next_step_id=look_done.result())

    async def _async_look(self, look: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Look at the line with nobody else of ours on it; return the next step."""
        self._heard, self._found = (), {}
        async with paused(self.hass, self._paused_entry()):
            try:
                return await look()
            except LinkError as error:
                if error.fault is LinkFault.FAILED:
                    _LOGGER.warning("%s cannot be opened: %s", self._device, error)
                self._errors = {"base": error.fault}
                return self._port_step

    async def _async_listen(self, share: float = 1.0) -> str:
        report = self._reporter(0.0, share)
        transparent = other_mode(self._device) if is_modbus(self._device) else None
        try:
            listened = await async_listen(
                transparent or self._device, report, LISTEN_FOR
            )
        except LinkError as error:
            if transparent is None or error.fault is not LinkFault.LOST:
                raise
            # A gateway that converts may hang up on who says nothing.
            return "confirm_scan"
        self._heard = tuple(pack.address for pack in listened.packs)
        if listened.finding is Finding.SILENCE:
            return "confirm_scan"
        # One that converts passes on nothing by itself: this one does not.
        self._device = transparent or self._device
        return listened.finding

    async def _async_scan(self, begin: float = 0.0) -> str:
        scanned = await self._async_ask(begin)
        self._found = dict(sorted(scanned.found.items()))
        if scanned.finding is Finding.LEGACY_PROTOCOL and self._found:
            return await self._async_scanned_older()
        if scanned.finding is not Finding.PACKS:
            return scanned.finding
        return await self._async_scanned(scanned)

    async def _async_ask(self, begin: float) -> Scanned:
        """Ask who is there; a gateway in the mode that it turns out to have."""
        other = other_mode(self._device)
        middle = 1.0 if other is None else begin + _FIRST_MODE * (1.0 - begin)
        report = self._reporter(begin, middle)
        scanned: Scanned | LinkError
        try:
            scanned = await async_scan(self._device, report)
        except LinkError as error:
            # A gateway may hang up on who speaks what it does not know.
            if other is None or error.fault is not LinkFault.LOST:
                raise
            scanned = error
        else:
            if other is None or scanned.finding is not _HINTS[is_modbus(self._device)]:
                return scanned
        second = await async_scan(other, self._reporter(middle, 1.0))
        if second.finding is not Finding.SILENCE:
            self._device = other
            return second
        if isinstance(scanned, LinkError):
            raise scanned
        return scanned

    def _reporter(self, begin: float, end: float) -> Callable[[float], None]:
        """Return what moves this part of the progress bar, per cent by per cent."""
        shown = -1

        def report(done: float) -> None:
            nonlocal shown
            percent = int(100 * (begin + (end - begin) * done))
            if percent > shown:
                shown = percent
                self.async_update_progress(percent / 100)

        return report

    async def _async_refuse_used(self, port: str | None = None) -> None:
        """Refuse the port of another line, under whichever name."""
        port = port or self._device
        for entry in bus_entries(self.hass):
            for line, device in _lines(entry):
                if line != self._own_line and await async_same_port(
                    self.hass, device, port
                ):
                    raise AbortFlow("already_configured")


def _lines(entry: ConfigEntry) -> Iterator[tuple[str, str]]:
    """Yield what holds a port of an entry, and the port."""
    yield entry.entry_id, device_of(entry.data)
    for line in control_lines(entry):
        yield line.subentry_id, device_of(line.data)
