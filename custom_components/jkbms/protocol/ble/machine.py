"""Asks the one pack of a Bluetooth connection, and takes in what it streams.

No clock and no I/O, like the master of RS485: `advance` is told the time and the
notification heard, and returns the order to send and when it wants to be called again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ..budget import WriteBudget
from ..datum import BLOCK_OF_TYPE, Block
from ..frames import Frame
from ..jobs import Job, Wish, ends, job_of, oldest_of_each
from ..pacing import BLUETOOTH, Patience, Timing
from ..settings_job import SettingsJob, Transaction, unreachable
from ..station import Appeared, Availability, Event, Settled, Step, Updated, Written
from ..write_job import Ask, Outcome, Write, WriteResult
from .frames import REPEATED, Order, asks
from .registers import check_sendable, order_for, takes
from .station import ADDRESS, BleStation
from .stream import Framer, Item

_GONE_AFTER: Final = 30.0
_SETTINGS_EVERY: Final = 60.0
_DEVICE_EVERY: Final = 3600.0
_EVERY: Final = {Block.SETTINGS: _SETTINGS_EVERY, Block.DEVICE: _DEVICE_EVERY}
_SETTLE: Final = 0.001
"""Device information first: with it the settings are read rightly (ble.md 2)."""
_READY_WITHIN: Final = 0.6
"""Seconds from a frame until the pack is ready again, as it says by itself (ble.md 2)."""
_BETWEEN_WRITES: Final = 1.0
"""Seconds; of orders that follow each other faster some are not taken (ble.md 2)."""
_STREAM_SILENT: Final = 5.0
"""Seconds without live values, ten of their usual periods, until they are asked for."""
_DEAD_AFTER: Final = 45.0
"""Seconds without a frame after which a connection is given up, whatever else is heard."""
_STREAMED: Final = 0.3
"""Seconds; live values come about twice a second, and are never waited for longer."""
_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Pending:
    """What was sent, or is awaited, and what has come of it."""

    at: float
    block: Block | None
    """The block that it brings; None for a change."""
    job: Job | None = None
    frame: Frame | None = None
    heard: float = 0.0
    """When the frame came."""
    believed: bool = False
    ready: bool = False


class BleMaster:
    """Holds the conversation with one pack; it is the only client that the pack takes."""

    yielded: Final = False
    """Nobody else can speak on a connection."""

    def __init__(
        self,
        addresses: Iterable[int],
        now: float,
        *,
        interval: float = 2.0,
        timing: Timing = BLUETOOTH,
    ) -> None:
        """Start with everything due; a pack that is not in `addresses` has yet to appear."""
        self.interval = interval
        self._timing = timing
        self._known = ADDRESS in addresses
        self._station = BleStation(
            ADDRESS,
            gone_after=_GONE_AFTER,
            cycle=interval,
            patience=Patience(timing),
            due={Block.DEVICE: now, Block.SETTINGS: now + _SETTLE},
        )
        self.stations: dict[int, BleStation] = {ADDRESS: self._station}
        self.framer = Framer()
        self.budget = WriteBudget()
        self._jobs: list[Job] = []
        self._dropped: list[Written | Settled] = []
        self._pending: _Pending | None = None
        self._waiting: tuple[Job, Order] | None = None
        """A change that waits until the pack takes another one."""
        self._written = float("-inf")
        self._heard = now
        self.framed: float | None = None
        """When a frame came last."""
        self._connected_at = now
        self._streamed = now
        """When live values came last, or were asked for."""
        self._wants_live = False
        self._connected = False

    # -- what its owner does ----------------------------------------------------------

    @property
    def asking(self) -> bool:
        """Whether it sends orders, so that something should be heard."""
        return self._connected

    def ask_now(self) -> None:
        """Take over the next live values, however soon they come."""
        self._wants_live = True

    def ask_for(self, blocks: Iterable[Block], now: float) -> None:
        """Ask for blocks as soon as possible."""
        for block in blocks:
            self._station.due[block] = min(self._station.due[block], now)

    def submit(self, wish: Wish) -> None:
        """Queue what is to be written; `Written` or `Settled` tells how it ended."""
        if self._station.layout is not None:
            self._jobs.append(job_of(wish, self._station.state, self.budget, takes))
        elif isinstance(wish, Transaction):
            self._dropped.append(Settled(wish, unreachable(wish)))
        else:
            # What the numbers mean is not known yet.
            self._dropped.append(Written(wish, WriteResult(Outcome.UNREACHABLE)))

    def cancel(self, transaction: Transaction) -> None:
        """Write nothing further of a transaction and put back what was written of it."""
        for job in self._jobs:
            if isinstance(job, SettingsJob) and job.transaction is transaction:
                job.cancel()

    def connected(self, now: float) -> None:
        """Begin, or begin anew, on a connection that was made."""
        self._connected = True
        self.framer.clear()
        self._pending = self._waiting = None
        self._heard = self._connected_at = self._streamed = now
        self._station.misses = 0
        self._station.due = {Block.DEVICE: now, Block.SETTINGS: now + _SETTLE}

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Give up what was under way: the connection is gone."""
        self._connected = False
        self.framer.clear()
        self._pending = self._waiting = None
        return (*self._abandon(self._jobs), *self._departures(now))

    def advance(self, now: float, data: bytes = b"") -> Step:
        """Take in what was heard and return what to do."""
        events: list[Event] = [*self._dropped]
        self._dropped.clear()
        if data:
            self._heard = now
            self._take_all(self.framer.feed(data), now, events)
        if self.framer.incomplete and now >= self._heard + self._timing.gap:
            self._take_all(self.framer.flush(), now, events)
        if self._pending is not None and now >= self._deadline(self._pending):
            self._run_out(self._pending, now, events)
        events += self._departures(now)
        order = None
        if self._connected and self._pending is None:
            order = self._next(now, events)
        anew = self._connected and now >= self._dead_at
        return Step(
            b"" if order is None else order.encode(), self._wake(), tuple(events), anew
        )

    # -- what was heard ---------------------------------------------------------------

    def _take_all(self, items: list[Item], now: float, events: list[Event]) -> None:
        for item in items:
            match item:
                case Frame():
                    self.framed = now
                    self._take_frame(item, now, events)
                case Order() if item.ready:
                    self._take_ready(item, now, events)
                case _:
                    pass

    def _take_frame(self, frame: Frame, now: float, events: list[Event]) -> None:
        block = BLOCK_OF_TYPE.get(frame.type)
        if block is None:
            return
        pending = self._pending
        answers = pending is not None and pending.block is block
        if block is Block.LIVE:
            self._streamed = now
            if not (answers or self._is_wanted(now)):
                return
        believed = self._take_over(frame, block, now, events)
        repeated = block is Block.DEVICE and frame.data[5] == REPEATED
        if pending is None or not answers or repeated:
            return
        pending.frame, pending.believed, pending.heard = frame, believed, now
        if block is Block.LIVE or pending.ready:
            self._answered(pending, now, events)

    def _is_wanted(self, now: float) -> bool:
        """Tell whether live values are to be taken over; they come faster than needed."""
        station = self._station
        seen = station.state.seen.get(Block.LIVE)
        if seen is None or self._wants_live or station.state.waits(Block.LIVE):
            return True
        return now >= seen + self.interval - _STREAMED

    def _take_over(
        self, frame: Frame, block: Block, now: float, events: list[Event]
    ) -> bool:
        """Take over a frame; tell whether it can be believed."""
        station = self._station
        before = station.state.seen.get(Block.LIVE)
        update = station.take(frame, block, now, noisy=self.framer.noisy)
        if update is None:
            if not station.state.waits_for(frame):
                station.counts.implausible += 1
            return False
        station.counts.ok += 1
        station.heard = now
        if block is Block.LIVE:
            self._wants_live = False
            station.note_cycle(before, now, planned=self.interval)
        events.append(Updated(ADDRESS, update))
        if now < station.gone_at() and not station.available:
            station.available = True
            events.append(Availability(ADDRESS, True))
        if not self._known and station.features is not None:
            self._known = True
            events.append(Appeared(ADDRESS))
        return True

    def _take_ready(self, ready: Order, now: float, events: list[Event]) -> None:
        pending = self._pending
        if pending is None:
            return
        if pending.block is not None:
            pending.ready = True
            if pending.frame is not None:
                self._answered(pending, now, events)
            return
        assert pending.job is not None
        self._pending = None
        if ready.accepted:
            pending.job.answered(None, now)
        else:
            pending.job.refused(int.from_bytes(ready.value, "little"))
        self._close(pending.job, events)

    def _answered(self, pending: _Pending, now: float, events: list[Event]) -> None:
        """Go on: what was asked for has come, and the pack is ready for the next order."""
        self._pending = None
        station, block = self._station, pending.block
        if block in _EVERY:
            assert block is not None
            station.patience.took(pending.heard - pending.at)
            station.misses = 0 if pending.believed else station.misses + 1
            if pending.believed:
                station.due[block] = now + _EVERY[block]
            else:
                # What changed is said twice before it counts: the second time at once.
                again = 0.0 if station.misses == 1 else station.back_off
                station.due[block] = now + again
        if pending.job is not None:
            pending.job.answered(pending.frame if pending.believed else None, now)
            self._close(pending.job, events)

    def _run_out(self, pending: _Pending, now: float, events: list[Event]) -> None:
        """Go on without the answer, or without the word that the pack is ready."""
        if pending.frame is not None:
            self._answered(pending, now, events)
            return
        self._pending = None
        station = self._station
        if pending.block is not None:
            station.counts.timeouts += 1
            station.misses += 1
        if pending.block in _EVERY:
            assert pending.block is not None
            station.due[pending.block] = now + station.back_off
        if pending.job is not None:
            pending.job.unanswered(now)
            self._close(pending.job, events)

    def _close(self, job: Job, events: list[Event]) -> None:
        if job.ended:
            events += self._abandon([job])

    def _abandon(self, jobs: Iterable[Job]) -> list[Written | Settled]:
        """Take changes off the list and tell how they ended, or how far they came."""
        gone = list(jobs)
        self._jobs = [job for job in self._jobs if job not in gone]
        return list(ends(gone))

    def _departures(self, now: float) -> list[Event]:
        station = self._station
        if not station.available or now < station.gone_at():
            return []
        station.available = False
        return [Availability(ADDRESS, False)]

    # -- what to send -----------------------------------------------------------------

    def _next(self, now: float, events: list[Event]) -> Order | None:
        if self._waiting is not None:
            job, order = self._waiting
            if now < self._written + _BETWEEN_WRITES:
                return None
            return self._write(job, order, now)
        for job in oldest_of_each(self._jobs):
            if now >= job.not_before:
                return self._advance_job(job, now, events)
        self._watch_stream(now)
        block = min(_EVERY, key=lambda block: self._station.due[block])
        return self._ask(block, now) if self._station.due[block] <= now else None

    def _advance_job(self, job: Job, now: float, events: list[Event]) -> Order | None:
        if self._station.layout is None and not job.ended:
            events += self._abandon([job])
            return None
        match job.step():
            case Ask(block):
                return self._ask(block, now, job)
            case Write(request):
                order = order_for(job, request, self._station.layout)
                assert order is not None, "only what this layout has begins"
                self.budget.spend(ADDRESS, request.register, now)
                self._waiting = job, order
                return self._next(now, events)
            case _:
                self._close(job, events)
                return None

    def _write(self, job: Job, order: Order, now: float) -> Order:
        check_sendable(order)
        self._waiting = None
        self._written = now
        self._pending = _Pending(now, None, job)
        return order

    def _ask(self, block: Block, now: float, job: Job | None = None) -> Order | None:
        """Ask for a block; live values come by themselves."""
        self._pending = _Pending(now, block, job)
        return None if block is Block.LIVE else asks(block)

    def _watch_stream(self, now: float) -> None:
        """Ask for the live values anew where they have ceased."""
        if now >= self._stream_due:
            self._streamed = now
            self.ask_for((Block.SETTINGS,), now)

    # -- when -------------------------------------------------------------------------

    @property
    def _dead_at(self) -> float:
        return max(self._connected_at, self.framed or 0.0) + _DEAD_AFTER

    @property
    def _stream_due(self) -> float:
        # Where an order went unanswered its own back-off says when to ask again.
        return self._streamed + _STREAM_SILENT if not self._station.misses else _NEVER

    def _deadline(self, pending: _Pending) -> float:
        if pending.frame is not None:
            return pending.heard + _READY_WITHIN
        return pending.at + self._station.patience.timeout

    def _wake(self) -> float:
        return min(self._wake_times(), default=_NEVER)

    def _wake_times(self) -> Iterator[float]:
        if self._station.available:
            yield self._station.gone_at()
        if not self._connected:
            return
        yield self._dead_at
        if self.framer.incomplete:
            yield self._heard + self._timing.gap
        if self._pending is not None:
            yield self._deadline(self._pending)
        elif self._waiting is not None:
            yield self._written + _BETWEEN_WRITES
        else:
            yield self._stream_due
            yield from (job.not_before for job in oldest_of_each(self._jobs))
            yield from self._station.due.values()
