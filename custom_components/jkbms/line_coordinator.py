"""What the coordinators of all lines share: the line itself, and saying how it is."""

from abc import abstractmethod
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import DOMAIN
from .protocol.ble.machine import BleMaster
from .protocol.ble.masking import BleMasker
from .protocol.can.machine import CanListener
from .protocol.listener import Listener
from .protocol.master import Master
from .protocol.station import Event
from .protocol.ttl.machine import TtlMaster
from .protocol.ttl.masking import TtlMasker
from .recorder import Recording
from .transport.link import LinkError, LinkFault
from .transport.session import LinkState, LinkStatus, Opener, Session
from .transport.tape import ByteTape, CanTape

_LOGGER = logging.getLogger(__name__)


type Machine = Master | TtlMaster | BleMaster | Listener | CanListener


class LineCoordinator[MachineT: Machine](DataUpdateCoordinator[None]):
    """Holds one line of a config entry and feeds its machine."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        name: str,
        url: str,
        opener: Opener[Any],
        machine: MachineT,
    ) -> None:
        """Prepare the line; nothing is opened yet.

        What the opener's line hands over has to be what the machine takes.
        """
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=name, update_interval=None
        )
        self.url = url
        self.machine = machine
        self.tape: ByteTape | CanTape
        if isinstance(machine, CanListener):
            self.tape = CanTape()
        elif isinstance(machine, TtlMaster):
            self.tape = ByteTape(TtlMasker)
        elif isinstance(machine, BleMaster):
            self.tape = ByteTape(BleMasker, together=0.0)
        else:
            self.tape = ByteTape()
        self.session: Session[Any] = Session(
            opener,
            machine,
            self._on_events,
            self._on_status,
            self.tape,
            dear=isinstance(machine, BleMaster),
        )
        self.recording: Recording | None = None
        """What is being recorded just now."""
        self._started = False
        entry.async_on_unload(self._stop_recording)

    @callback
    def _stop_recording(self) -> None:
        if self.recording is not None:
            self.recording.stop()

    async def async_open(self) -> LinkError | None:
        """Take the line, from now on and for good; return why it is not open yet."""
        assert self.config_entry is not None
        # The entry cancels the task when it unloads or fails to set up, and the task
        # gives the port back.
        self.config_entry.async_create_background_task(
            self.hass, self.session.run(), f"{DOMAIN} {self.url}"
        )
        try:
            await self.session.opened()
        except LinkError as error:
            return error
        return None

    @callback
    def async_started(self) -> None:
        """Say from now on when the line goes and when it is back."""
        self._started = True
        if self.session.status.state is LinkState.DOWN:
            self._went_down(self.session.status)

    def not_ready(self, fault: LinkFault, detail: str) -> ConfigEntryNotReady:
        """Return the error that says why the line cannot be used."""
        return ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=f"link_{fault}",
            translation_placeholders={"url": self.url, "detail": detail},
        )

    @abstractmethod
    @callback
    def _on_events(self, events: tuple[Event, ...]) -> None:
        """Take note of what has happened on the line."""

    @callback
    def _on_status(self, status: LinkStatus) -> None:
        match status.state:
            case LinkState.DOWN if self._started and self.last_update_success:
                self._went_down(status)
            case LinkState.CONNECTED if not self.last_update_success:
                self.last_update_success = True
                _LOGGER.info("%s: the line is back", self.name)
                self.async_update_listeners()
            case _:
                _LOGGER.debug("%s: %s", self.name, status)

    def _went_down(self, status: LinkStatus) -> None:
        self.last_update_success = False
        wanted = status.fault is LinkFault.RELEASED
        _LOGGER.log(
            logging.INFO if wanted else logging.WARNING,
            "%s: the line is down (%s: %s); trying again until it is back",
            self.name,
            status.fault,
            status.detail,
        )
        self.async_update_listeners()
