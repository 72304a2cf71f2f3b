"""Hears a bus that another master asks, and sends nothing unless told to (rs485.md 4).

A frame is taken for its sender's when the sender's own ACK says so. Without one it is
taken only when it continues what that sender has said before: the order of the line
alone misleads when requests are damaged too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .attribution import Attributed, Attributor
from .continuity import continues, resumes
from .datum import BLOCK_OF_TYPE, Block
from .exchanges import Exchanges
from .frames import Discarded, Frame, Item, WriteRequest
from .inquiries import Inquirer
from .pacing import Timing
from .state import BmsState
from .station import Appeared, Availability, Event, Moved, Station, Step, Updated
from .stream import Framer

_GONE_AFTER: Final = 60.0
"""Packs that miss a few cycles of 7 s are normal (architecture.md 5)."""
_HEARD: Final = frozenset({Block.LIVE, Block.SETTINGS})
"""No master asks for device info (rs485.md 4.3), and packs do not wait for it."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What was said, with its ACK, at an address that is no pack yet."""

    since: float
    state: BmsState


class Listener:
    """Keeps what each pack says; driven like the master, by `advance`."""

    asking: Final = False
    """It never is; a silent bus is no fault of the line."""

    def __init__(
        self,
        addresses: Iterable[int],
        timing: Timing,
        *,
        ask_device_info: bool = False,
    ) -> None:
        """Start with the packs that are known already.

        With `ask_device_info` it asks slaves, once an hour, for what no master asks.
        """
        self.stations: dict[int, Station] = {}
        self.inquirer = Inquirer(timing) if ask_device_info else None
        """Who asks, and what became of it; None where nothing is ever sent."""
        self._exchanges = Exchanges(self.stations)
        for address in sorted(addresses):
            self.add(address)
        self._gap = timing.gap
        self._framer = Framer()
        self._attributor = Attributor()
        self._candidates: dict[int, _Candidate] = {}
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
        if self.inquirer is not None:
            self.inquirer.clear()

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Take note that the link is gone; packs go when they are missed."""
        self.connected(now)
        return tuple(self._departures(now))

    def advance(self, now: float, data: bytes = b"") -> Step:
        """Take in what was heard and return what to do."""
        events: list[Event] = []
        if data:
            self._last_byte = now
            self._held = True
            items = self._framer.feed(data)
            self._listen_for_silences(items, len(data), now)
            self._take(items, now, events)
        else:
            self._rest(now, events)
        events += self._departures(now)
        send = self._ask(now, events)
        return Step(send, self._wake(now), tuple(events))

    def _ask(self, now: float, events: list[Event]) -> bytes:
        """Return what is asked beside the master, if anything; the answer is to that."""
        if self.inquirer is None:
            return b""
        request = self.inquirer.next(self.stations, self.master_heard, now)
        if request is None:
            return b""
        self._take([request], now, events)
        return request.encode()

    def _rest(self, now: float, events: list[Event]) -> None:
        """Take in what is still held, once it is clear that nothing more follows."""
        over = self._held and now >= self._last_byte + self._gap
        items = self._framer.flush() if over else []
        if self.inquirer is not None:
            self.inquirer.flushed(items, now)
        if not over:
            return
        self._held = False
        self._take(items, now, events)
        for heard in self._attributor.flush():
            self._hear(heard, now, events)

    def _listen_for_silences(self, items: list[Item], size: int, now: float) -> None:
        if self.inquirer is not None:
            incomplete = self._framer.incomplete
            self.inquirer.heard(items, size, now, incomplete=incomplete)

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
            case WriteRequest() if not self._is_echo(heard, now):
                self.master_heard = now
            case _:
                pass

    def _is_echo(self, item: Item, now: float) -> bool:
        return self.inquirer is not None and self.inquirer.is_echo(item, now)

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
        else:
            station = self._speaker(station, frame, block, acknowledged, now, events)
            if station is None:
                self.unattributed += 1
                return
        before = station.state.seen.get(Block.LIVE)
        # What was asked for may have met the master on the line, and nothing known may
        # contradict it yet: it has to be said twice.
        noisy = self._framer.noisy or (
            self.inquirer is not None and block is Block.DEVICE
        )
        update = station.state.take_frame(frame, block, now, noisy=noisy)
        events += station.tell_clash(station.state.clashing)
        if update is None:
            if not station.state.waits_for(frame):
                station.counts.implausible += 1
            return
        station.counts.ok += 1
        station.heard = now
        if block is Block.LIVE:
            station.note_cycle(before, now)
        events.append(Updated(address, update))
        if not station.available and now < station.gone_at():
            station.available = True
            events.append(Availability(address, True))

    def _speaker(
        self,
        station: Station,
        frame: Frame,
        block: Block,
        acknowledged: bool,
        now: float,
        events: list[Event],
    ) -> Station | None:
        """Return whose frame it is that is heard at a known address; None if unproven."""
        if not acknowledged and not continues(station.state, frame, block, now):
            return None
        if block is not Block.LIVE:
            return None if self._exchanges.is_open(station.address) else station
        if not acknowledged:
            return station
        speaker = self._exchanges.speaker(station, frame, now)
        if speaker is not None and speaker is not station:
            events.append(Moved(station.address, speaker.address))
        return speaker

    def _prove(
        self,
        frame: Frame,
        block: Block,
        address: int,
        acknowledged: bool,
        now: float,
        events: list[Event],
    ) -> Station | None:
        """Return the station that a new address is, once it is proven.

        Two live frames with their ACK prove it where one pack has said both.
        """
        if not acknowledged:
            self.unattributed += 1
            return None
        state = BmsState()
        if block is not Block.LIVE or not state.take_frame(frame, block, now):
            return None
        before = self._candidates.pop(address, None)
        if before is None or not resumes(before.state, frame, now):
            self._candidates[address] = _Candidate(now, state)
            return None
        moved = self._who_moved(before.since, frame, now)
        if moved is None:
            events.append(Appeared(address))
            return self.add(address)
        station = self.stations.pop(moved)
        self._exchanges.forget(moved)
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
        if self.inquirer is not None:
            times += self.inquirer.wake(now)
        return max(now, min(times, default=float("inf")))
