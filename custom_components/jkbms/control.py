"""The second line of a bus that is only listened to: here its packs are asked and set."""

from dataclasses import dataclass
import logging
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import HomeAssistant, callback

from .const import CONF_POLL_INTERVAL, CONF_RETURN_TO_MASTER, DEFAULT_POLL_INTERVAL
from .issues import (
    clear_control_choice,
    clear_control_foreign_master,
    clear_control_stranger,
    raise_control_choice,
    raise_control_foreign_master,
    raise_control_stranger,
)
from .line_coordinator import LineCoordinator
from .protocol.asked_station import AskedStation
from .protocol.ble.machine import BleMaster
from .protocol.ble.station import BleStation
from .protocol.datum import Block
from .protocol.identity import is_comparable, is_same_bms
from .protocol.master import Master, Plan
from .protocol.station import Availability, Event, ForeignMaster, Resumed, Updated
from .protocol.ttl.machine import TtlMaster
from .protocol.ttl.station import TtlStation
from .subentries import (
    bind,
    bms_subentries,
    control_lines,
    follow,
    learn_serial,
    packs_on,
)
from .transport.link import line_at, timing_of
from .transport.session import Session

if TYPE_CHECKING:
    from .coordinator import BusCoordinator
    from .pack import Pack

_LOGGER = logging.getLogger(__name__)
_SILENT_FOR: Final = 60.0
"""Seconds without another master after which a bus may be taken again."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Where a setting of a pack can be changed."""

    session: Session[Any]
    master: Master | TtlMaster | BleMaster
    station: AskedStation | TtlStation | BleStation


def plan_of(entry: ConfigEntry[Any]) -> Plan:
    """Return how often the packs of an entry are asked."""
    live = entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL)
    returns = entry.options.get(CONF_RETURN_TO_MASTER, False)
    return Plan(live=float(live), return_after=_SILENT_FOR if returns else None)


class ControlCoordinator(LineCoordinator[Master]):
    """Asks packs on a second line, and finds out which of the bus they are.

    Which pack answers at which address is stored in the line's subentry. Where it is
    not known yet, the packs' addresses on the bus are asked: all ports of a BMS go by
    its DIP switch. A BMS is known by its serial number, and one whose serial number
    the bus does not tell by its settings and counters.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        line: ConfigSubentry,
        bus: BusCoordinator,
    ) -> None:
        """Prepare the line; nothing is opened yet."""
        url: str = line.data[CONF_DEVICE]
        self._entry = entry
        self._bus = bus
        self.line_id = line.subentry_id
        self._bound: dict[int, Pack] = {
            address: bus.packs[pack_id]
            for address, pack_id in packs_on(line).items()
            if pack_id in bus.packs
        }
        placed = {p for other in control_lines(entry) for p in packs_on(other).values()}
        unbound = {
            subentry.data[CONF_ADDRESS]
            for subentry in bms_subentries(entry)
            if subentry.subentry_id not in placed
        }
        now = hass.loop.time()
        master = Master(
            sorted(unbound | self._bound.keys()), plan_of(entry), timing_of(url), now
        )
        super().__init__(
            hass, entry, f"{entry.title}: {line.title}", url, line_at(url), master
        )
        for address, pack in self._bound.items():
            pack.control = master.stations[address]

    def reaches(self, pack: Pack) -> bool:
        """Tell whether this is the line on which a pack can be asked and set."""
        station = pack.control
        return station is not None and self._bound.get(station.address) is pack

    @override
    async def async_request_refresh(self) -> None:
        """Ask for the live values now."""
        self.machine.ask_now(self.hass.loop.time())
        self.session.advance()

    @callback
    @override
    def _on_events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Updated(address, update):
                    if update.block is Block.DEVICE or address not in self._bound:
                        self._identify(address)
                    if pack := self._bound.get(address):
                        pack.reached(self.machine.stations[address], update)
                        self._bus.told(pack, update)
                case Availability(address) if pack := self._bound.get(address):
                    self._bus.wake(pack, None)
                case ForeignMaster():
                    _LOGGER.warning(
                        "%s: another master speaks on this line; not asking any more",
                        self.name,
                    )
                    raise_control_foreign_master(
                        self.hass, self._entry, self.line_id, self.url
                    )
                case Resumed():
                    _LOGGER.info(
                        "%s: the other master is silent; asking again", self.name
                    )
                    clear_control_foreign_master(self.hass, self.line_id)
                case _:
                    pass

    def _identify(self, address: int) -> None:
        """Find out which pack of the bus answers at an address of this line."""
        station = self.machine.stations[address]
        serial = station.state.identity.serial_number
        if serial is None:
            return
        bound = self._bound.get(address)
        if bound is not None and bound.serial_number in (None, serial):
            clear_control_stranger(self.hass, self.line_id, address)
            return
        if bound is not None:
            # What answers is not the pack that is shown and set here.
            self._release(address, bound)
        owner = self._owner(serial) or self._alike(station, serial)
        if owner is not None:
            clear_control_stranger(self.hass, self.line_id, address)
            self._bind(owner, address, serial)
        elif bound is not None:
            raise_control_stranger(
                self.hass, self._entry, bound, self.line_id, address, serial
            )

    def _release(self, address: int, pack: Pack) -> None:
        del self._bound[address]
        pack.control = None
        self._bus.wake(pack, None)

    def _owner(self, serial: str) -> Pack | None:
        packs = self._bus.packs.values()
        return next((pack for pack in packs if pack.serial_number == serial), None)

    def _alike(self, station: AskedStation, serial: str) -> Pack | None:
        """Return the one pack without a serial number that this can only be."""
        unknown = [p for p in self._bus.packs.values() if p.serial_number is None]
        # It may be one that was not heard yet.
        if not all(is_comparable(pack.station.state) for pack in unknown):
            return None
        alike = [p for p in unknown if is_same_bms(station.state, p.station.state)]
        if len(alike) > 1:
            raise_control_choice(
                self.hass, self._entry, self.line_id, station.address, serial, alike
            )
        return alike[0] if len(alike) == 1 else None

    def _bind(self, pack: Pack, address: int, serial: str) -> None:
        """Store which pack answers at an address; the entry reloads by itself."""
        clear_control_choice(self.hass, self.line_id, address)
        entry = self._entry
        line = entry.subentries.get(self.line_id)
        subentry = entry.subentries.get(pack.subentry_id)
        if line is None or subentry is None:
            return
        _LOGGER.info("%s: %s answers at address %s", self.name, pack.name, address)
        learn_serial(self.hass, entry, pack.subentry_id, serial)
        bind(self.hass, entry, line, address, pack.subentry_id)
        if double := self._double_of(pack, address):
            self.hass.config_entries.async_remove_subentry(entry, double.subentry_id)
            follow(self.hass, entry, entry.subentries[pack.subentry_id], address)

    def _double_of(self, pack: Pack, address: int) -> Pack | None:
        """Return what a pack was taken for that moved while nobody listened.

        The bus tells no serial numbers: there it has appeared as a new one.
        """
        state = self.machine.stations[address].state
        for other in self._bus.packs.values():
            if (
                other.address == address
                and other is not pack
                and other.serial_number is None
                and not pack.station.available
                and is_same_bms(state, other.station.state)
            ):
                return other
        return None
