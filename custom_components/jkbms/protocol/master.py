"""The master of a bus: what to ask next, of whom, and what the answers mean.

No clock and no I/O: `advance` is told the time and the bytes heard, and returns the
bytes to send and when it wants to be called again at the latest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .asked_station import AskedStation
from .attribution import Attributed, Attributor
from .budget import WriteBudget
from .datum import BLOCK_OF_TYPE, Block
from .frames import UNREACHED, Discarded, Frame, Request
from .jobs import Job, Wish, ends, job_of, oldest_of_each
from .line import Answered, Foreign, Late, Line, LineEvent, Missing, Refused, Unanswered
from .modbus_map import BlockRead, holds
from .pacing import Patience, Timing
from .settings_job import SettingsJob, Transaction
from .station import (
    Availability,
    Event,
    ForeignMaster,
    Resumed,
    Settled,
    Step,
    Updated,
    Written,
)
from .stream import Framer
from .write_job import Ask, Write

_GONE_AFTER: Final = 30.0
_BURST_AFTER: Final = 2
"""Firmware 15.36 and later may want another trigger first (rs485.md 8, quirk 10)."""
_PROBE_AT_LEAST: Final = 30.0
_SETTLE: Final = 0.001
"""Order of the blocks after a start: live values of all, then info, then settings."""
_PRESENCE_EACH: Final = 4
"""Of so many requests to a silent BMS one asks for live values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often each block is asked for, in seconds."""

    live: float = 5.0
    settings: float = 60.0
    device: float = 3600.0
    return_after: float | None = None
    """Silence of another master after which to ask again; None for never."""

    def interval(self, block: Block) -> float:
        """Return the seconds between two requests for the block."""
        match block:
            case Block.LIVE:
                return self.live
            case Block.SETTINGS:
                return self.settings
            case _:
                return self.device


class Master:
    """Asks the BMS of one bus in turn; a silent one never delays the others."""

    def __init__(
        self, addresses: Iterable[int], plan: Plan, timing: Timing, now: float
    ) -> None:
        """Start with every block of every address due."""
        self.plan = plan
        self._timing = timing
        self.stations: dict[int, AskedStation] = {}
        for address in sorted(addresses):
            self.add(address, now)
        self.line = Line(timing, self.stations)
        self._bus_patience = Patience(timing)
        self._jobs: list[Job] = []
        self._dropped: list[Written | Settled] = []
        self._asking: Job | Block | None = None
        self.budget = WriteBudget()
        """How often each register may be written; what is asked for is held to it."""
        self._read: BlockRead | None = None
        """A block that comes register by register, as far as it has come."""
        self._since_aside = 0
        """Requests since the last of those that give way to others."""
        self._heard_framer = Framer()
        self._attributor = Attributor()
        self.yielded = False
        """Whether another master has the bus."""
        self._foreign_heard = now
        """When anything was said last, since another master has the bus."""
        self._foreign_byte = now
        self._connected = False

    def _all_due(self, now: float) -> dict[Block, float]:
        order = [Block.LIVE, Block.DEVICE, Block.SETTINGS]
        if self._timing.registers:
            # No head of a frame tells whose these are: the device info does.
            order.sort(key=lambda block: block is not Block.DEVICE)
        return {block: now + _SETTLE * place for place, block in enumerate(order)}

    def connected(self, now: float) -> None:
        """Begin, or begin anew, on a link that was opened."""
        self._connected = True
        self._begin(now)

    def _begin(self, now: float) -> None:
        """Ask everything anew, with nothing under way."""
        self.line.reset()
        self._heard_framer.clear()
        self._attributor = Attributor()
        self._foreign_heard = now
        self._asking = self._read = None
        for station in self.stations.values():
            station.due |= self._all_due(now)
            station.misses = 0
            station.in_vain.clear()
            station.approach.forget()

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Give up what was under way: the link is gone."""
        self._connected = False
        self.line.reset()
        self._asking = self._read = None
        return (*self._abandon(self._jobs), *self._departures(now))

    def ask_now(self, now: float) -> None:
        """Let the live values of every BMS that answers be due."""
        for station in self.stations.values():
            if station.alive:
                station.due[Block.LIVE] = min(station.due[Block.LIVE], now)

    def submit(self, wish: Wish) -> None:
        """Queue what is to be written; `Written` or `Settled` tells how it ended."""
        state = self.stations[wish.address].state
        self._jobs.append(job_of(wish, state, self.budget))

    def cancel(self, transaction: Transaction) -> None:
        """Write nothing further of a transaction and put back what was written of it."""
        for job in self._jobs:
            if isinstance(job, SettingsJob) and job.transaction is transaction:
                job.cancel()

    def add(self, address: int, now: float) -> AskedStation:
        """Ask one more address from now on."""
        station = AskedStation(
            address,
            gone_after=_GONE_AFTER,
            cycle=self.plan.live,
            due=self._all_due(now),
            patience=Patience(self._timing),
        )
        self.stations[address] = station
        return station

    def remove(self, address: int) -> None:
        """Ask an address no longer; an answer or a change under way is dropped."""
        del self.stations[address]
        if self._read is not None and self._read.address == address:
            self._read = None
        self._dropped += self._abandon([j for j in self._jobs if j.address == address])

    def advance(self, now: float, data: bytes = b"") -> Step:
        """Take in what was heard and return what to do."""
        events: list[Event] = [*self._dropped]
        self._dropped.clear()
        if self.yielded:
            self._listen(data, now, events)
            if now >= self._returns_at:
                self.yielded = False
                self._begin(now)
                events.append(Resumed())
        else:
            if data:
                for happened in self.line.receive(data, now):
                    self._handle(happened, now, events)
            for happened in self.line.tick(now):
                self._handle(happened, now, events)
        events += self._departures(now)
        send = self._next(now, events) if self._may_send else b""
        return Step(send, self._wake(now), tuple(events))

    @property
    def registers_only(self) -> bool:
        """Whether the line carries Modbus alone, so that triggers are of no use."""
        return self._timing.registers

    @property
    def asking(self) -> bool:
        """Whether it sends requests, so that something should be heard."""
        return self._may_send and bool(self.stations)

    @property
    def _may_send(self) -> bool:
        return self._connected and not self.yielded

    # -- what was heard -----------------------------------------------------------

    def _handle(
        self,
        happened: LineEvent,
        now: float,
        events: list[Event],
    ) -> None:
        if self._read is not None and not isinstance(happened, Late | Foreign):
            whole = self._read.take(happened)
            if whole is None:
                self._part_came(happened)
                return
            self._read, happened = None, whole
        match happened:
            case _ if self.yielded:
                pass
            case Foreign():
                self._yield_bus(happened, now, events)
            case Late(address):
                if station := self.stations.get(address):
                    # It does answer, only slower than was waited for.
                    station.patience.took(2 * station.patience.timeout)
            case Answered():
                self._answered(happened, now, events)
            case Refused(request, code) if code in UNREACHED:
                silent = Unanswered(request, Missing.SILENT)
                self._unanswered(silent, now, events)
            case Refused():
                self._refused(happened, now, events)
            case _:
                self._unanswered(happened, now, events)

    def _part_came(self, part: Answered | Refused | Unanswered) -> None:
        """Take note of how a BMS answers while a block is on its way in."""
        station = self.stations[part.request.address]
        if isinstance(part, Answered):
            station.patience.took(part.latency)
            self._bus_patience.took(part.latency)
            station.pace.answered()

    def _answered(self, answer: Answered, now: float, events: list[Event]) -> None:
        asking, self._asking = self._asking, None
        station = self.stations.get(answer.request.address)
        if station is None:
            return
        station.patience.took(answer.latency)
        self._bus_patience.took(answer.latency)
        station.pace.answered()
        station.garbling.was_whole()
        station.approach.answered(answer.request, answer.frame)
        events += station.tell_clash(station.clashes)
        frame = answer.frame
        if asking is Block.LIVE and not station.alive and station.heard is not None:
            # It is there; whose values these are it has yet to say.
            station.heard = now
            station.misses += 1
            station.due[Block.DEVICE] = now
            station.due[Block.LIVE] = now + _SETTLE
            return
        believed = frame is None or self._take_over(station, frame, now, events)
        if believed or (frame and station.state.waits_for(frame)):
            station.misses = 0
            station.heard = now
        elif asking is Block.LIVE:
            # Other blocks may hold what nobody knows: it is there, and goes on.
            station.misses += 1
            self._silent(station, now)
        if asking is not None and not isinstance(asking, Block):
            told = believed and holds(frame, asking.fields)
            asking.answered(frame if told else None, now)
            self._close(asking, events)
        elif asking is not None and not believed:
            self._ask_again(station, asking, now)

    def _take_over(
        self, station: AskedStation, frame: Frame, now: float, events: list[Event]
    ) -> bool:
        """Take over a frame; tell whether it can be believed."""
        block = BLOCK_OF_TYPE.get(frame.type)
        if block is None:
            return False
        before = station.state.seen.get(Block.LIVE)
        noisy = self._heard_framer.noisy if self.yielded else self.line.noisy
        update = station.state.take_frame(frame, block, now, noisy=noisy)
        events += station.tell_clash(station.clashes)
        if update is None:
            if not station.state.waits_for(frame):
                station.counts.implausible += 1
            return False
        station.counts.ok += 1
        del station.in_vain[block]
        if block is Block.LIVE:
            station.live_misses = 0
            station.note_cycle(before, now, planned=self.plan.live)
        elif block is Block.DEVICE:
            station.unverified = False
        events.append(Updated(station.address, update))
        fresh = now < station.gone_at()
        if fresh and not station.available and not station.unverified:
            station.available = True
            events.append(Availability(station.address, True))
        return True

    def _refused(self, refused: Refused, now: float, events: list[Event]) -> None:
        asking, self._asking = self._asking, None
        station = self.stations.get(refused.request.address)
        if station is None:
            return
        station.counts.refused += 1
        station.misses = 0
        station.approach.trust_triggers()
        if asking is not None and not isinstance(asking, Block):
            asking.refused(refused.code)
            self._close(asking, events)

    def _unanswered(self, missing: Unanswered, now: float, events: list[Event]) -> None:
        asking, self._asking = self._asking, None
        station = self.stations.get(missing.request.address)
        if station is None:
            return
        station.approach.unanswered(missing)
        if missing.missing is Missing.SILENT:
            station.counts.timeouts += 1
            station.garbling.was_silent()
            if station.alive:
                station.pace.unheard()
        else:
            station.counts.damaged += 1
            station.garbling.was_damaged(others_answer=self._others_answer(station))
            events += station.tell_clash(station.clashes)
        station.misses += 1
        self._silent(station, now)
        if asking is not None and not isinstance(asking, Block):
            asking.unanswered(now)
            self._close(asking, events)
        elif asking is not None:
            self._ask_again(station, asking, now)

    def _others_answer(self, station: AskedStation) -> bool:
        """Tell whether the line is sound: then damage is of an address's own making."""
        others = (s for s in self.stations.values() if s is not station)
        return any(s.garbling.answers for s in others)

    @staticmethod
    def _silent(station: AskedStation, now: float) -> None:
        if not station.alive:
            station.unverified = True
            station.due[Block.DEVICE] = min(station.due[Block.DEVICE], now)
            station.in_vain.clear()
            station.approach.reach.forget()
            # Longer quiet times did not help: that was not the reason.
            station.pace.forgive()

    def _ask_again(self, station: AskedStation, block: Block, now: float) -> None:
        """Retry a BMS that is alive; probe one that is not every other cycle."""
        if block is Block.LIVE:
            station.live_misses += 1
            if station.live_misses == _BURST_AFTER:
                station.due[Block.SETTINGS] = min(station.due[Block.SETTINGS], now)
        station.due[block] = now
        if station.alive:
            if block is not Block.LIVE:
                station.due[block] += station.put_off(block)
                if station.last_chance:
                    station.due[block] = max(station.due[block], now + _SETTLE)
                    station.due[Block.LIVE] = min(station.due[Block.LIVE], now)
            return
        for waiting in Block:
            station.due[waiting] = max(station.due[waiting], now + self._probe_after())

    def _probe_after(self) -> float:
        cycles = [s.cycle for s in self.stations.values() if s.alive and s.cycle]
        cycle = max([self.plan.live, *cycles])
        return min(_PROBE_AT_LEAST, 2 * cycle - self._bus_patience.timeout)

    def _close(self, job: Job, events: list[Event]) -> None:
        if job.ended:
            events += self._abandon([job])

    def _abandon(self, jobs: Sequence[Job]) -> list[Written | Settled]:
        """Take jobs off the list and tell how they ended, or how far they came."""
        ended = tuple(jobs)
        for job in ended:
            self._jobs.remove(job)
            if self._asking is job:
                self._asking = None
        return list(ends(ended))

    # -- another master -----------------------------------------------------------

    @property
    def _returns_at(self) -> float:
        """When the other master counts as gone; a link that is down proves nothing."""
        after = self.plan.return_after
        if after is None or not self._connected:
            return float("inf")
        return self._foreign_heard + after

    def _yield_bus(self, foreign: Foreign, now: float, events: list[Event]) -> None:
        self.yielded = True
        self._foreign_heard = now
        self._asking = self._read = None
        self.line.reset()
        events += self._abandon(self._jobs)
        events.append(ForeignMaster(foreign.address))

    def _listen(self, data: bytes, now: float, events: list[Event]) -> None:
        """Take over what the other master makes the BMS say; never speak."""
        if data:
            self._foreign_byte = now
            items = self._heard_framer.feed(data)
        elif now >= self._foreign_rests:
            items = self._heard_framer.flush()
        else:
            return
        if any(not isinstance(item, Discarded) for item in items):
            self._foreign_heard = now
        for heard in self._attributor.feed(items):
            match heard:
                case Attributed(frame, int(address), acknowledged=True):
                    station = self.stations.get(address)
                    if station and self._take_over(station, frame, now, events):
                        station.heard = now

    @property
    def _foreign_rests(self) -> float:
        """When what is held back of the other master's words will not be completed."""
        if not self._heard_framer.incomplete:
            return float("inf")
        return self._foreign_byte + self._timing.gap

    # -- what to send -------------------------------------------------------------

    def _departures(self, now: float) -> list[Event]:
        gone: list[Event] = []
        for station in self.stations.values():
            if station.available and now >= station.gone_at():
                station.available = False
                gone.append(Availability(station.address, False))
        return gone

    def _next(self, now: float, events: list[Event]) -> bytes:
        if self.line.busy:
            return b""
        if self._read is not None:
            return self._read_on(self._read, now)
        for job in oldest_of_each(self._jobs):
            if sent := self._advance_job(job, now, events):
                return sent
        if not self.stations:
            return b""
        station, block = self._choose(now)
        if now < self._start_of(station, station.due[block]):
            return b""
        asked = block if station.alive else self._probe(station)
        aside = self._is_aside(station, asked)
        self._since_aside = 0 if aside else self._since_aside + 1
        station.due[asked] = self._next_due(station, asked, now)
        self._asking = asked
        request = self._request(station, asked)
        return self.line.send(request, now, self._timeout(station))

    def _request(self, station: AskedStation, block: Block) -> Request:
        """Return what to ask for a block: its trigger, or its first registers."""
        approach, address = station.approach, station.address
        asked: Request | BlockRead
        if self._timing.registers:
            asked = approach.read(address, block)
        else:
            asked = approach.ask(address, block, alive=station.alive)
        if isinstance(asked, BlockRead):
            self._read = asked
            return asked.request
        return asked

    def _read_on(self, read: BlockRead, now: float) -> bytes:
        """Ask for more of a block; a BMS needs its quiet time in between too."""
        station = self.stations[read.address]
        if now < self._start_of(station, now):
            return b""
        return self.line.send(read.request, now, self._timeout(station))

    @staticmethod
    def _probe(station: AskedStation) -> Block:
        """Return what to ask of a silent BMS: one that returns has to say who it is.

        A changed DIP switch needs a restart, so after a silence the address may be
        another BMS's (rs485.md 1.3). Of one that does not say it, live values tell now
        and then that it is there.
        """
        if station.heard is None or station.misses % _PRESENCE_EACH == 0:
            return Block.LIVE
        return Block.DEVICE

    def _advance_job(self, job: Job, now: float, events: list[Event]) -> bytes:
        station = self.stations[job.address]
        if now < self._start_of(station, job.not_before):
            return b""
        match job.step():
            case Ask(block):
                request = self._request(station, block)
            case Write(request):
                self.budget.spend(station.address, request.register, now)
            case _:
                self._close(job, events)
                return b""
        self._asking = job
        return self.line.send(request, now, self._timeout(station))

    def _next_due(self, station: AskedStation, block: Block, now: float) -> float:
        """Return when the block is due again, without ever hurrying to catch up."""
        interval = self.plan.interval(block)
        return max(station.due[block] + interval, now + interval / 2)

    def _choose(self, now: float) -> tuple[AskedStation, Block]:
        """Return what to ask next: the most overdue of what need not stand back."""
        pairs = [(s, block) for s in self.stations.values() for block in Block]
        overdue = [(s, block) for s, block in pairs if s.due[block] <= now]
        first = [(s, b) for s, b in overdue if not self._stands_back(s, b, now)]
        return min(first or overdue or pairs, key=lambda pair: pair[0].due[pair[1]])

    def _stands_back(self, station: AskedStation, block: Block, now: float) -> bool:
        """Tell whether a request gives way to others that are due.

        A full bus takes one of them in each round of live values. One that needs a long
        quiet time after a silence would keep the line idle besides.
        """
        if not self._is_aside(station, block):
            return False
        if self._since_aside < len(self.stations):
            return True
        impatient = now >= station.due[block] + self.plan.live
        return now < self._start_of(station, now) and not impatient

    @staticmethod
    def _is_aside(station: AskedStation, block: Block) -> bool:
        """Tell whether nothing new is to be expected, or nothing at all."""
        known = block in station.state.seen and not station.unverified
        return station.misses > 0 or (known and block is not Block.LIVE)

    def _timeout(self, station: AskedStation) -> float:
        if station.patience.worst is None:
            return self._bus_patience.timeout
        return station.patience.timeout

    def _start_of(self, station: AskedStation, wanted: float) -> float:
        """Return when a request to this BMS may start at the earliest."""
        quiet = self.line.last_byte + station.pace.quiet
        return max(wanted, quiet)

    def _wake(self, now: float) -> float:
        times = list(self._wake_times(now))
        gone = [s.gone_at() for s in self.stations.values() if s.available]
        return max(now, min((*times, *gone), default=float("inf")))

    def _wake_times(self, now: float) -> Iterator[float]:
        if self.yielded:
            yield from (self._returns_at, self._foreign_rests)
        if not self._may_send:
            return
        deadline = self.line.deadline
        if deadline is not None:
            yield deadline
        if self.line.busy:
            return
        if self._read is not None:
            yield self._start_of(self.stations[self._read.address], now)
            return
        for job in oldest_of_each(self._jobs):
            yield self._start_of(self.stations[job.address], job.not_before)
        if self.stations:
            station, block = self._choose(now)
            yield self._start_of(station, station.due[block])
