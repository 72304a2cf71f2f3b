"""Asks the packs of a line of `4E 57` for everything, one after the other.

No clock and no I/O, like the master of RS485: `advance` is told the time and the bytes
heard, and returns the bytes to send and when it wants to be called again.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ..budget import WriteBudget
from ..datum import Block
from ..pacing import Patience, Timing
from ..station import (
    Availability,
    Event,
    ForeignMaster,
    Resumed,
    Step,
    Updated,
    Written,
)
from ..write_job import Ask, Write
from ..writing import Change
from .decode import decode
from .frames import Command, Message, Transport, activate, pair, read_all
from .pending import Pending
from .station import TtlStation
from .stream import Framer
from .switch_job import SwitchJob

_GONE_AFTER: Final = 30.0
_QUIET: Final = 0.1
"""Seconds between two messages, at least (ttl4e57.md 1)."""
_PROBE_FASTEST: Final = 1.0
_PROBE_SLOWEST: Final = 30.0
"""Seconds between two requests to a pack that does not answer; else every other cycle."""
_WAKE_EVERY: Final = 600.0
"""Seconds between two tries to wake a pack: one that sleeps to save itself may go on."""
_WAKE_WAIT: Final = 0.5
"""Seconds that a pack has to wake up, before it is asked."""
_PAIR_WAIT: Final = 0.15
"""Seconds from the pairing to the write (ttl4e57.md 6)."""
_NEVER: Final = float("inf")


class TtlMaster:
    """Asks each terminal for all that it has; a silent one costs the others a timeout."""

    def __init__(
        self,
        addresses: Iterable[int],
        timing: Timing,
        now: float,
        *,
        interval: float,
        return_after: float | None = None,
    ) -> None:
        """Start with every terminal due; `return_after` as in the plan of RS485."""
        self._timing = timing
        self.interval = interval
        self._return_after = return_after
        self.stations: dict[int, TtlStation] = {}
        self.framer = Framer()
        self.budget = WriteBudget()
        self._jobs: list[SwitchJob] = []
        self._dropped: list[Written] = []
        self._pending: Pending | None = None
        self._following: Pending | None = None
        """What is to be sent behind something that needed its time."""
        self._quiet_since = now
        """When the last byte was heard, or sent."""
        self.yielded = False
        """Whether somebody else asks on this line."""
        self._foreign_heard = now
        self._connected = False
        for address in sorted(addresses):
            self.add(address, now)

    # -- what its owner does ----------------------------------------------------------

    @property
    def asking(self) -> bool:
        """Whether it sends requests, so that something should be heard."""
        return self._may_send and bool(self.stations)

    @property
    def _may_send(self) -> bool:
        return self._connected and not self.yielded

    def add(self, address: int, now: float) -> TtlStation:
        """Ask one more terminal from now on."""
        station = TtlStation(
            address,
            gone_after=_GONE_AFTER,
            cycle=self.interval,
            due=now,
            patience=Patience(self._timing),
        )
        self.stations[address] = station
        return station

    def remove(self, address: int) -> None:
        """Ask a terminal no longer; an answer or a change under way is dropped."""
        del self.stations[address]
        self._forget(address)
        self._dropped += self._abandon(j for j in self._jobs if j.address == address)

    def _forget(self, address: int | None = None) -> None:
        """Expect nothing any more, of a terminal or of all."""
        for pending in (self._pending, self._following):
            if pending is not None and address in (None, pending.station.address):
                self._pending = self._following = None

    def ask_now(self, now: float) -> None:
        """Let every pack that answers be due."""
        for station in self.stations.values():
            if station.alive:
                station.due = min(station.due, now)

    def submit(self, change: Change) -> None:
        """Queue a change; `Written` tells how it ended."""
        firmware = self.stations[change.address].state.firmware
        self._jobs.append(SwitchJob(change, firmware, self.budget))

    def connected(self, now: float) -> None:
        """Begin, or begin anew, on a link that was opened."""
        self._connected = True
        self._begin(now)

    def _begin(self, now: float) -> None:
        self.framer.clear()
        self._forget()
        self._foreign_heard = self._quiet_since = now
        for station in self.stations.values():
            station.begin()
            station.due = now

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Give up what was under way: the link is gone."""
        self._connected = False
        self.framer.clear()
        self._forget()
        return (*self._abandon(self._jobs), *self._departures(now))

    def advance(self, now: float, data: bytes = b"") -> Step:
        """Take in what was heard and return what to do."""
        events: list[Event] = [*self._dropped]
        self._dropped.clear()
        if data:
            self._quiet_since = now
            if self._pending is not None:
                self._pending.heard = now
            self._hear(self.framer.feed(data), now, events)
        if self.framer.incomplete and now >= self._quiet_since + self._timing.gap:
            self._hear(self.framer.flush(), now, events)
        if self._pending is not None and now >= self._deadline(self._pending):
            self._run_out(self._pending, now, events)
        if self.yielded and now >= self._returns_at:
            self.yielded = False
            self._begin(now)
            events.append(Resumed())
        events += self._departures(now)
        send = self._next(now, events) if self._may_send else None
        return Step(b"" if send is None else send.encode(), self._wake(), tuple(events))

    # -- what was heard ---------------------------------------------------------------

    def _hear(self, messages: list[Message], now: float, events: list[Event]) -> None:
        for message in messages:
            pending = self._pending
            if message.transport == Transport.REQUEST:
                if pending is not None and message == pending.sent and pending.echo:
                    pending.echo, pending.heard = False, None
                else:
                    self._give_way(message, now, events)
            elif self.yielded:
                self._overhear(message, now, events)
            elif pending is not None and pending.answered_by(message):
                self._answered(pending, message, now, events)
            elif pending is None and message.transport == Transport.ANSWER:
                self._answered_late(message)

    def _answered_late(self, message: Message) -> None:
        """Wait longer for who does answer, only slower than was waited for."""
        if station := self.stations.get(message.terminal):
            station.patience.took(2 * station.patience.timeout)

    def _give_way(self, message: Message, now: float, events: list[Event]) -> None:
        """Fall silent: somebody else asks, and each spoils what the other hears."""
        self._foreign_heard = now
        if self.yielded:
            return
        self.yielded = True
        self._forget()
        events += self._abandon(self._jobs)
        events.append(ForeignMaster(message.terminal))

    def _overhear(self, message: Message, now: float, events: list[Event]) -> None:
        """Take over what a pack says to somebody else."""
        self._foreign_heard = now
        station = self.stations.get(message.terminal)
        if station is not None and message.command == Command.READ_ALL:
            self._take_over(station, message, now, events)

    def _answered(
        self, pending: Pending, message: Message, now: float, events: list[Event]
    ) -> None:
        if pending.then is not None:
            # Whatever is said to that, the time that it takes is known.
            return
        self._pending = None
        station, job = pending.station, pending.job
        station.patience.took(now - pending.at)
        if message.command == Command.WRITE:
            assert job is not None
            station.heard = now
            job.answered(None, now)
            self._close(job, events)
            return
        believed = self._take_over(station, message, now, events)
        if believed or station.waits:
            station.misses = 0
            station.heard = now
        else:
            station.misses += 1
        if believed:
            station.due = max(station.due + self.interval, now + self.interval / 2)
        else:
            station.due = self._again(station, now)
        if job is not None:
            job.answered(station.state.values if believed else None, now)
            self._close(job, events)

    def _take_over(
        self, station: TtlStation, message: Message, now: float, events: list[Event]
    ) -> bool:
        """Take over an answer; tell whether it can be believed."""
        decoded = decode(message.content)
        if decoded is None:
            station.counts.damaged += 1
            return False
        if decoded.unknown >= 0:
            station.unknown[decoded.unknown] += 1
        before = station.state.seen.get(Block.LIVE)
        update = station.take(decoded.values, now, noisy=self.framer.noisy)
        if update is None:
            station.counts.implausible += not station.waits
            return False
        station.counts.ok += 1
        station.note_cycle(before, now, planned=self.interval)
        events.append(Updated(station.address, update))
        if not station.available:
            station.available = True
            events.append(Availability(station.address, True))
        return True

    def _run_out(self, pending: Pending, now: float, events: list[Event]) -> None:
        """Go on after what only needed its time, or without the answer."""
        self._pending = None
        station, job = pending.station, pending.job
        if pending.then is not None:
            self._following = Pending(station, pending.then, now, job)
            return
        if pending.heard is None:
            station.counts.timeouts += 1
        else:
            station.counts.damaged += 1
        station.misses += 1
        station.due = self._again(station, now)
        if job is not None:
            job.unanswered(now)
            self._close(job, events)

    def _again(self, station: TtlStation, now: float) -> float:
        """Return when to ask anew: at once as long as it answers now and then."""
        if station.alive:
            return now
        return now + max(_PROBE_FASTEST, min(_PROBE_SLOWEST, 2 * self.interval))

    def _close(self, job: SwitchJob, events: list[Event]) -> None:
        if job.ended:
            events += self._abandon([job])

    def _abandon(self, jobs: Iterable[SwitchJob]) -> list[Written]:
        """Take changes off the list and tell how they ended, or how far they came."""
        told = []
        for job in tuple(jobs):
            self._jobs.remove(job)
            told.append(Written(job.change, job.abandon()))
        return told

    def _departures(self, now: float) -> list[Event]:
        gone: list[Event] = []
        for station in self.stations.values():
            if station.available and now >= station.gone_at():
                station.available = False
                gone.append(Availability(station.address, False))
        return gone

    # -- what to send -----------------------------------------------------------------

    def _next(self, now: float, events: list[Event]) -> Message | None:
        if self._pending is not None:
            return None
        if self._following is not None:
            return self._send(self._following)
        if now < self._quiet_since + _QUIET:
            return None
        for job in self._current_jobs():
            if now >= job.not_before and (made := self._made(job, now, events)):
                return self._send(made)
        due = [station for station in self.stations.values() if station.due <= now]
        if not due:
            return None
        station = min(due, key=lambda station: station.due)
        asked = read_all(station.address)
        if station.alive or now < station.woken + _WAKE_EVERY:
            return self._send(Pending(station, asked, now))
        station.woken = now
        waking = activate(station.address)
        return self._send(
            Pending(station, waking, now, then=asked, until=now + _WAKE_WAIT)
        )

    def _send(self, pending: Pending) -> Message:
        self._pending, self._following = pending, None
        self._quiet_since = pending.at
        return pending.sent

    def _made(self, job: SwitchJob, now: float, events: list[Event]) -> Pending | None:
        """Return the next step of a change, None where it has ended."""
        station = self.stations[job.address]
        match job.step():
            case Ask():
                return Pending(station, read_all(job.address), now, job)
            case Write(request):
                self.budget.spend(job.address, job.code, now)
                until = now + _PAIR_WAIT
                pairing = pair(job.address)
                return Pending(station, pairing, now, job, request, until)
            case _:
                self._close(job, events)
                return None

    def _current_jobs(self) -> list[SwitchJob]:
        """Return the oldest change of each pack: the next one waits for its proof."""
        first: dict[int, SwitchJob] = {}
        for job in self._jobs:
            first.setdefault(job.address, job)
        return list(first.values())

    # -- when -------------------------------------------------------------------------

    @property
    def _returns_at(self) -> float:
        """When the other one counts as gone; a link that is down proves nothing."""
        if self._return_after is None or not self._connected:
            return _NEVER
        return self._foreign_heard + self._return_after

    def _deadline(self, pending: Pending) -> float:
        if pending.then is not None:
            return pending.until
        if pending.heard is not None:
            return pending.heard + self._timing.gap
        return pending.at + pending.station.patience.timeout

    def _wake(self) -> float:
        return min(self._wake_times(), default=_NEVER)

    def _wake_times(self) -> Iterator[float]:
        yield from (s.gone_at() for s in self.stations.values() if s.available)
        if self.framer.incomplete:
            yield self._quiet_since + self._timing.gap
        if self.yielded:
            yield self._returns_at
        if self._pending is not None:
            yield self._deadline(self._pending)
        elif self._may_send:
            quiet = self._quiet_since + _QUIET
            starts = [job.not_before for job in self._current_jobs()]
            starts += [station.due for station in self.stations.values()]
            yield from (max(quiet, start) for start in starts)
