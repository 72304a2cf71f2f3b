"""Hears what packs, or a bank, say on CAN by themselves; sends nothing, ever."""

from collections.abc import Iterable, Iterator
from typing import Final

from ..station import Appeared, Availability, Event, Step, Updated
from . import inverter, native
from .bank import BankStation
from .dialect import Dialect
from .frame import FULL_SET, MAX_LENGTH, Frame
from .message import CanMessage
from .pack import PackStation
from .slot import Slot
from .station import GONE_AFTER, CanStation, Pending

BANK_ADDRESS: Final = 0x100
"""Where the station of a bank is kept: no pack has this address."""
_SOON: Final = 0.25
"""Seconds until a station is looked at again that lacks something."""
_LOOK: Final = 2.0
"""Seconds; so often it is noticed who has fallen silent."""
_NEVER: Final = float("inf")
_TOLERANCE: Final = 0.001
_PREFERRED: Final = (Dialect.NATIVE_V2, Dialect.NATIVE_V1, *inverter.FRAMES)
"""Who hears packs has no need of what they say together."""


def owner_of(message: CanMessage) -> tuple[Frame, int] | None:
    """Return what a message is and whose; None for what is nobody's that is known."""
    if found := native.BY_ID.get(message.id):
        return found if found[0].extended is message.extended else None
    frame = inverter.BY_ID.get(message.id)
    if frame is None or message.extended:
        return None
    return frame, BANK_ADDRESS


class CanListener:
    """Keeps what each station says; driven like the other machines, by `advance`."""

    asking: Final = False
    """It never is; a silent bus is no fault of the link."""

    def __init__(
        self,
        addresses: Iterable[int],
        *,
        interval: float = 2.0,
        hears_extended: bool = True,
    ) -> None:
        """Start with the stations that are known already.

        Where an adapter passes 11-bit messages only, packs cannot be believed: without
        the others, version 2 looks like version 1, whose current has the other sign.
        """
        self._interval = interval
        self._hears_extended = hears_extended
        self.stations: dict[int, CanStation] = {}
        self._candidates: dict[int, CanStation] = {}
        """Who has said something and is no station yet."""
        self._slots: dict[int, Slot[CanStation]] = {}
        """By the id of the message."""
        self._wake = _NEVER
        self._idle = Step(b"", _NEVER, ())
        self.foreign = 0
        """Messages that are none of a BMS, nor of an inverter."""
        self.of_inverter = 0
        self.malformed = 0
        """Messages too short, or too long, for their id."""
        for address in sorted(addresses):
            self.add(address)

    @property
    def dialect(self) -> Dialect | None:
        """What is spoken on this bus; None until it is known."""
        spoken = {each.dialect for each in self.stations.values() if each.state.seen}
        return next((each for each in _PREFERRED if each in spoken), None)

    @property
    def hears_bank(self) -> bool:
        """Whether a battery speaks to an inverter, be it for a moment only so far."""
        return any(s.owner.address == BANK_ADDRESS for s in self._slots.values())

    @property
    def clashing(self) -> tuple[int, ...]:
        """The addresses at which two packs seem to speak."""
        return tuple(sorted(s.address for s in self._all() if s.clashing))

    @property
    def implausible(self) -> int:
        """How often a station said what cannot be true as a whole."""
        return sum(station.counts.implausible for station in self._all())

    def add(self, address: int) -> CanStation:
        """Know a station at an address from now on."""
        station = self._candidates.pop(address, None) or self._new(address)
        self.stations[address] = station
        return station

    def connected(self, now: float) -> None:
        """Begin anew on a link that was opened."""
        self._slots.clear()
        self._candidates.clear()
        for station in self._all():
            station.begin()

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Take note that the link is gone; packs go when they are missed."""
        self.connected(now)
        return self._look_around(now).events

    def advance(self, now: float, messages: Iterable[CanMessage] = ()) -> Step:
        """Take in what was heard; nothing is ever to be sent.

        This runs for each of some hundred messages a second. Most say what the one
        before said: that is seen here, everything else is left for later.
        """
        get = self._slots.get
        for message in messages:
            code, data, extended = message
            slot = get(code)
            if slot is None or slot.extended is not extended:
                self._meet(message, now)
            elif slot.data == data:
                slot.heard = now
            elif not slot.frame.length <= len(data) <= MAX_LENGTH:
                self.malformed += 1
            elif slot.take(data, now):
                slot.owner.contradicted(now)
        if now < self._wake:
            return self._idle
        return self._look_around(now)

    def _meet(self, message: CanMessage, now: float) -> None:
        """Keep the first message of its kind."""
        code, data, extended = message
        found = owner_of(message)
        if found is None:
            if not extended and code in inverter.OF_INVERTERS:
                self.of_inverter += 1
            else:
                self.foreign += 1
            return
        frame, address = found
        if address != BANK_ADDRESS and not self._hears_extended:
            self.foreign += 1
            return
        if not frame.fits(len(data)):
            self.malformed += 1
            return
        slot = self._slots[code] = self._station(address, now).slot(frame)
        # A bank whose language is known has a message of more bytes there.
        if slot.frame.fits(len(data)):
            slot.take(data, now)
        else:
            self.malformed += 1

    def _station(self, address: int, now: float) -> CanStation:
        """Return who speaks, and look at it when it has begun to."""
        station = self.stations.get(address) or self._candidates.get(address)
        if station is None:
            station = self._candidates[address] = self._new(address)
        if station.due == _NEVER:
            station.due = self._wake = now
        return station

    def _new(self, address: int) -> CanStation:
        kind = BankStation if address == BANK_ADDRESS else PackStation
        return kind(address, gone_after=GONE_AFTER, pause=self._interval)

    def _all(self) -> Iterator[CanStation]:
        yield from self.stations.values()
        yield from self._candidates.values()

    # -- looking ----------------------------------------------------------------------

    def _look_around(self, now: float) -> Step:
        events: list[Event] = []
        for station in tuple(self._all()):
            if now >= station.due:
                self._look_at(station, now, events)
        self._wake = min((s.due for s in self._all()), default=_NEVER)
        self._idle = Step(b"", self._wake, ())
        return Step(b"", self._wake, tuple(events))

    def _look_at(self, station: CanStation, now: float, events: list[Event]) -> None:
        pause_at = station.tick(now)
        if station.available and now >= station.gone_at():
            station.available = False
            events.append(Availability(station.address, False))
        if not station.available and station.silent(now):
            self._forget(station)
            return
        station.due = min(now + _LOOK, pause_at)
        if station.has_news and now >= station.publish_at - _TOLERANCE:
            self._update(station, now, events)
        if station.available:
            station.due = min(station.due, station.gone_at())

    def _update(self, station: CanStation, now: float, events: list[Event]) -> None:
        complete = station.complete
        update = station.look(now)
        if isinstance(update, Pending):
            station.due = now + _SOON
            return
        pause = self._interval
        if not station.complete:
            # What it can tell is known after a whole cycle, however long the pause is.
            pause = min(pause, FULL_SET)
        station.publish_at = now + pause
        station.due = min(station.due, station.publish_at)
        if station.address not in self.stations:
            self.stations[station.address] = self._candidates.pop(station.address)
            events.append(Appeared(station.address))
        if update.changed or station.complete is not complete:
            events.append(Updated(station.address, update))
        if not station.available:
            station.available = True
            events.append(Availability(station.address, True))

    def _forget(self, station: CanStation) -> None:
        """Wait until it speaks again, as if it had never done so."""
        self._slots = {
            code: slot
            for code, slot in self._slots.items()
            if slot.owner is not station
        }
        self._candidates.pop(station.address, None)
        station.begin()
        station.due = _NEVER
