"""Hears a bus that another master asks; sends nothing, ever (rs485.md 4).

A frame is taken for its sender's when the sender's own ACK says so. Without one it is
taken only when it continues what that sender has said before: the order of the line
alone misleads when requests are damaged too.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from .attribution import Attributed, Attributor
from .datum import BLOCK_OF_TYPE, Block
from .derived import Values
from .fields import (
    CELL_PRESENCE,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    DEVICE_ADDRESS,
    FULL_CHARGE_CAPACITY,
    TOTAL_RUNTIME,
)
from .frames import Discarded, Frame, Item, WriteRequest
from .pacing import Timing
from .state import BmsState
from .station import Appeared, Availability, Event, Moved, Station, Step, Updated
from .stream import Framer

_GONE_AFTER: Final = 60.0
"""Packs that miss a few cycles of 7 s are normal (architecture.md 5)."""
_PROVEN_AFTER: Final = 2
"""Live frames with their ACK that make an address a pack."""
_CLOCK_TOLERANCE: Final = 0.02
_CLOCK_SLACK: Final = 5.0
"""Seconds; a run time is told in whole ones, and the line delivers late."""
_PAUSE_SLACK: Final = 60.0
"""Seconds by which a run time may outrun a clock that missed some of the bus."""
_CAPACITY_SLACK: Final = 0.1
"""Ah; throughput is counted in steps."""
_MAX_CURRENT: Final = 600.0
_HEARD: Final = frozenset({Block.LIVE, Block.SETTINGS})
"""No master asks for device info (rs485.md 4.2)."""


class Listener:
    """Keeps what each pack says; driven like the master, by `advance`."""

    asking: Final = False
    """It never is; a silent bus is no fault of the line."""

    def __init__(self, addresses: Iterable[int], timing: Timing) -> None:
        """Start with the packs that are known already."""
        self.stations: dict[int, Station] = {}
        for address in sorted(addresses):
            self.add(address)
        self._gap = timing.gap
        self._framer = Framer()
        self._attributor = Attributor()
        self._candidates: dict[int, float] = {}
        """When an address was first heard that is no pack yet."""
        self._proofs: Counter[int] = Counter()
        self._last_byte = float("-inf")
        self._held = False
        self.discarded = 0
        """Bytes that belong to nothing."""
        self.unattributed = 0
        """Frames whose sender could not be told."""
        self.master_heard: float | None = None
        """When the master was last heard asking."""

    def add(self, address: int) -> Station:
        """Know a pack at an address from now on."""
        station = Station(address, gone_after=_GONE_AFTER, needs=_HEARD)
        self.stations[address] = station
        return station

    def connected(self, now: float) -> None:
        """Begin anew on a link that was opened."""
        self._framer.clear()
        self._attributor = Attributor()
        self._held = False

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Take note that the link is gone; packs go when they are missed."""
        self.connected(now)
        return tuple(self._departures(now))

    def advance(self, now: float, data: bytes = b"") -> Step:
        """Take in what was heard; nothing is ever to be sent."""
        events: list[Event] = []
        if data:
            self._last_byte = now
            self._held = True
            self._take(self._framer.feed(data), now, events)
        elif self._held and now >= self._last_byte + self._gap:
            self._held = False
            self._take(self._framer.flush(), now, events)
            for heard in self._attributor.flush():
                self._hear(heard, now, events)
        events += self._departures(now)
        return Step(b"", self._wake(now), tuple(events))

    def _take(self, items: list[Item], now: float, events: list[Event]) -> None:
        for heard in self._attributor.feed(items):
            self._hear(heard, now, events)

    def _hear(self, heard: Attributed | Item, now: float, events: list[Event]) -> None:
        match heard:
            case Attributed(frame, int(address), acknowledged):
                self._take_frame(frame, address, acknowledged, now, events)
            case Attributed():
                self.unattributed += 1
            case Discarded(count):
                self.discarded += count
            case WriteRequest():
                self.master_heard = now
            case _:
                pass

    def _take_frame(
        self,
        frame: Frame,
        address: int,
        acknowledged: bool,
        now: float,
        events: list[Event],
    ) -> None:
        block = BLOCK_OF_TYPE.get(frame.type)
        if block is None:
            return
        station = self.stations.get(address)
        if station is None:
            station = self._prove(frame, block, address, acknowledged, now, events)
            if station is None:
                return
        elif not acknowledged and not continues(station.state, frame, block, now):
            self.unattributed += 1
            return
        before = station.state.seen.get(Block.LIVE)
        update = station.state.take_frame(frame, block, now)
        if update is None:
            if not station.state.waits_for(frame):
                station.counts.implausible += 1
            return
        station.counts.ok += 1
        station.heard = now
        if block is Block.LIVE and before is not None and station.available:
            station.cycle = now - before
        events.append(Updated(address, update))
        if not station.available and now < station.gone_at():
            station.available = True
            events.append(Availability(address, True))

    def _prove(
        self,
        frame: Frame,
        block: Block,
        address: int,
        acknowledged: bool,
        now: float,
        events: list[Event],
    ) -> Station | None:
        """Return the station that a new address is, once it is proven."""
        if not acknowledged:
            self.unattributed += 1
            return None
        if block is not Block.LIVE or not BmsState().take_frame(frame, block, now):
            return None
        since = self._candidates.setdefault(address, now)
        self._proofs[address] += 1
        if self._proofs[address] < _PROVEN_AFTER:
            return None
        del self._candidates[address], self._proofs[address]
        moved = self._who_moved(since, frame, now)
        if moved is None:
            events.append(Appeared(address))
            return self.add(address)
        station = self.stations.pop(moved)
        station.address = address
        self.stations[address] = station
        events.append(Moved(moved, address))
        return station

    def _who_moved(self, since: float, frame: Frame, now: float) -> int | None:
        """Return the address of the one pack that fell silent and goes on here."""
        silent = (
            station
            for station in self.stations.values()
            if station.heard is not None and station.heard <= since
        )
        same = [s for s in silent if resumes(s.state, frame, now)]
        return same[0].address if len(same) == 1 else None

    def _departures(self, now: float) -> Iterator[Event]:
        for station in self.stations.values():
            if station.available and now >= station.gone_at():
                station.available = False
                yield Availability(station.address, False)

    def _wake(self, now: float) -> float:
        times = [s.gone_at() for s in self.stations.values() if s.available]
        if self._held:
            times.append(self._last_byte + self._gap)
        return max(now, min(times, default=float("inf")))


def continues(state: BmsState, frame: Frame, block: Block, now: float) -> bool:
    """Tell whether a frame goes on where a BMS has left off, cycle by cycle.

    Its run time went on like the clock and nothing else has jumped. Settings have to
    name the address they are taken for, which the attribution has seen to.
    """
    if block is not Block.LIVE:
        return block is Block.SETTINGS and DEVICE_ADDRESS.key in state.values
    step = _step(state, frame, now)
    if step is None:
        return False
    elapsed, ran = step
    return abs(ran - elapsed) <= _CLOCK_SLACK + _CLOCK_TOLERANCE * elapsed


def resumes(state: BmsState, frame: Frame, now: float) -> bool:
    """Tell whether live values go on where a BMS has left off, after a pause.

    To get another address a BMS is switched off and on: its run time stands meanwhile.
    """
    step = _step(state, frame, now)
    if step is None:
        return False
    elapsed, ran = step
    return 0 <= ran <= elapsed + _PAUSE_SLACK


def _step(state: BmsState, frame: Frame, now: float) -> tuple[float, float] | None:
    """Return the seconds and the run time that went by; None where it is not the same.

    The same BMS has the same cells and learnt capacity, and its throughput is no more
    than the current can have moved.
    """
    heard = state.seen.get(Block.LIVE)
    probe = BmsState(values=dict(state.values))
    if heard is None or probe.take_frame(frame, Block.LIVE, now) is None:
        return None
    old, new = state.values, probe.values
    elapsed = now - heard
    ran = _difference(old, new, TOTAL_RUNTIME.key)
    moved = _difference(old, new, CYCLE_CAPACITY.key)
    same = (
        moved is not None
        and moved <= _CAPACITY_SLACK + elapsed * _MAX_CURRENT / 3600
        and _difference(old, new, CHARGING_CYCLES.key) in (0, 1)
        and _difference(old, new, FULL_CHARGE_CAPACITY.key) == 0
        and _difference(old, new, CELL_PRESENCE.key) == 0
    )
    return (elapsed, ran) if same and ran is not None else None


def _difference(old: Values, new: Values, key: str) -> float | None:
    before, after = old.get(key), new.get(key)
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return None
    return after - before
