"""A session with its machine on a line in memory, and what is looked at while days pass."""

from abc import ABC, abstractmethod
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
import gc
import logging
from pathlib import Path
import sys
import threading
import traceback
from typing import Any, Final, override

from custom_components.jkbms.protocol.station import (
    Appeared,
    Availability,
    Clash,
    Event,
    ForeignMaster,
    Moved,
    Resumed,
    Station,
    Updated,
)
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.session import LinkStatus, Session
from simulator import Bank

from .truth import Wrong
from .weather import Weather

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
_MOST_EXAMPLES: Final = 40
_LOOK: Final = 30.0
_LOUDEST: Final = 60
"""Lines in the log within an hour that nobody would call a storm."""


class LogCounter(logging.Handler):
    """Counts what is logged, hour by hour."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Listen to everything that is not for debugging."""
        super().__init__(logging.INFO)
        self._clock = clock
        self.hours: Counter[int] = Counter()
        self.words: Counter[str] = Counter()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self.hours[int(self._clock() // HOUR)] += 1
        self.words[f"{record.levelname} {record.name}: {record.msg}"[:160]] += 1


@dataclass(kw_only=True, slots=True)
class Size:
    """What a process holds."""

    day: float
    blocks: int
    """Objects that Python has allocated."""
    resident: int
    """Bytes."""
    tasks: int
    threads: int
    files: int
    timers: int


def size_now(day: float) -> Size:
    """Measure this process."""
    gc.collect()
    loop: Any = asyncio.get_running_loop()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Size(
        day=round(day, 2),
        blocks=sys.getallocatedblocks(),
        resident=pages * 4096,
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        files=len(list(Path("/proc/self/fd").iterdir())),
        # asyncio's own list of what is scheduled: nothing else tells of a timer that is lost.
        timers=sum(not timer.cancelled() for timer in loop._scheduled),  # noqa: SLF001
    )


@dataclass(kw_only=True)
class Tally:
    """What came of it."""

    events: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    wrong: list[tuple[Wrong, str]] = field(default_factory=list)
    """The first of them, with the faults of that moment."""
    wrong_count: int = 0
    lost: list[dict[str, Any]] = field(default_factory=list)
    """Packs that were not there, or not fresh, minutes after the last fault ended."""
    invented: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What the event loop was told of: exceptions in callbacks and lost tasks."""
    calms: int = 0
    sizes: list[Size] = field(default_factory=list)


class Rig(ABC):
    """One bus: its packs, its weather, its session."""

    name: str
    settled: float = 300.0
    """Seconds of calm after which every pack has to be there, its values fresh."""

    def __init__(self, weather: Weather, bank: Bank) -> None:
        """Prepare a bus; `run` lives through its days."""
        self.weather = weather
        self.bank = bank
        self.addresses = bank.addresses
        """Where the packs are in a calm."""
        self.tally = Tally()
        self.session: Session[Any]
        self._loop = asyncio.get_running_loop()
        self._checked_calm = -1.0

    @property
    @abstractmethod
    def stations(self) -> dict[int, Any]:
        """The stations of the machine."""

    @abstractmethod
    def check(self, address: int, update: Any) -> Wrong | None:
        """Return what is published and was never said."""

    @abstractmethod
    async def live(self, days: float) -> None:
        """Let the days pass."""

    @property
    def now(self) -> float:
        """The simulated time."""
        return self._loop.time()

    async def run(self, days: float) -> dict[str, Any]:
        """Let the days pass, and report."""
        logs = LogCounter(self._loop.time)
        logger = logging.getLogger()
        logger.addHandler(logs)
        self._loop.set_exception_handler(self._failed)
        running = asyncio.ensure_future(self.session.run())
        measuring = asyncio.ensure_future(self._measure(days))
        looking = asyncio.ensure_future(self._look())
        try:
            await self.live(days)
        finally:
            for task in (running, measuring, looking):
                task.cancel()
            await asyncio.gather(running, measuring, looking, return_exceptions=True)
            logger.removeHandler(logs)
        return self._report(days, logs)

    def _failed(self, _: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        told = repr(error or context["message"])[:300]
        if error is not None:
            places = traceback.extract_tb(error.__traceback__)[-4:]
            told += "".join(
                f" < {place.name}:{place.lineno}" for place in reversed(places)
            )
        self.tally.errors.append(told)

    async def _measure(self, days: float) -> None:
        """Measure when it has run for a twentieth of the time, and nineteen times more."""
        for part in range(1, 21):
            await asyncio.sleep(days * DAY / 20)
            self.tally.sizes.append(size_now(days * part / 20))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            self.weather.turn(self.now)
            since = self.weather.calm_since
            if since != self._checked_calm and self.now - since >= self.settled:
                self._checked_calm = since
                self.look_for_lost()

    def look_for_lost(self) -> None:
        """Take note of packs that are not there although nothing is wrong any more."""
        self.tally.calms += 1
        for address in self.addresses:
            station: Station | None = self.stations.get(address)
            if station is None or not station.available:
                heard = None if station is None else station.heard
                rejected = {} if station is None else dict(station.state.rejected)
                self.tally.lost.append(
                    {"time": round(self.now), "address": address, "heard": heard}
                    | {"rejected": rejected}
                )

    def take(self, events: tuple[Event, ...]) -> None:
        """Compare what is published with what was said."""
        tally = self.tally
        for event in events:
            tally.events[type(event).__name__] += 1
            match event:
                case Updated(address, update):
                    tally.published[update.block.label] += 1
                    if (wrong := self.check(address, update)) is not None:
                        tally.wrong_count += 1
                        if len(tally.wrong) < _MOST_EXAMPLES:
                            faults = ", ".join(map(str, self.weather.active))
                            tally.wrong.append((wrong, faults))
                case Appeared(address) if address not in self.bank.addresses:
                    tally.invented.append(f"{address} at {self.now:.0f} s")
                case (
                    Appeared()
                    | Moved()
                    | Availability()
                    | Clash()
                    | ForeignMaster()
                    | Resumed()
                ):
                    pass
                case _:
                    pass

    def status(self, _: LinkStatus) -> None:
        """Take note of the state of the line."""
        self.tally.events["LinkStatus"] += 1

    def refuse(self) -> None:
        """Raise what opening raises while the way to the line is closed."""
        if self.weather.outage == "close":
            raise LinkError(LinkFault.REFUSED, "closed by the weather")

    def details(self) -> dict[str, Any]:
        """Return what else is worth telling."""
        return {}

    def _report(self, days: float, logs: LogCounter) -> dict[str, Any]:
        tally = self.tally
        sizes = tally.sizes
        # The first tenth fills what is kept of every pack; from then on nothing should grow.
        first, last = (sizes[1], sizes[-1]) if len(sizes) > 2 else (None, None)
        growth = (
            {}
            if first is None or last is None
            else {
                name: getattr(last, name) - getattr(first, name)
                for name in (
                    "blocks",
                    "resident",
                    "tasks",
                    "threads",
                    "files",
                    "timers",
                )
            }
        )
        loudest = max(logs.hours.values(), default=0)
        return {
            "days": days,
            "packs": len(self.addresses),
            "faults": dict(self.weather.met),
            "calms": tally.calms,
            "published": dict(tally.published),
            "events": dict(tally.events),
            "reconnects": self.session.reconnects,
            "wrong": tally.wrong_count,
            "wrong_examples": [
                {"time": round(one.time), "address": one.address, "block": one.block}
                | {"values": [list(value) for value in one.values[:8]]}
                | {"faults": faults}
                for one, faults in tally.wrong
            ],
            "lost": tally.lost[:_MOST_EXAMPLES],
            "lost_count": len(tally.lost),
            "invented": tally.invented,
            "errors": tally.errors[:_MOST_EXAMPLES],
            "growth": growth,
            "sizes": [
                {name: getattr(size, name) for name in Size.__slots__} for size in sizes
            ],
            "log_lines": logs.hours.total(),
            "log_loudest_hour": loudest,
            "log_storm": loudest > _LOUDEST,
            "log_words": dict(logs.words.most_common(10)),
        } | self.details()


class MemoryLine:
    """An open line to a simulated bus, without a socket."""

    def __init__(
        self,
        pump: Callable[[float], list[Any]],
        due: Callable[[], float | None],
        receive: Callable[[Any], None],
        lost: Callable[[Exception | None], None],
        weather: Weather,
        take: Callable[[bytes, float], None] | None = None,
    ) -> None:
        """Pass on from now on."""
        self._collect, self._due, self._take = pump, due, take
        self._receive, self._lost = receive, lost
        self._weather = weather
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._open = True
        # What passed while nobody had opened the line was heard by nobody.
        self._collect(self._loop.time())
        self._plan()

    def write(self, data: bytes) -> None:
        """Put bytes on the wire."""
        if self._open and self._take is not None and self._weather.outage != "mute":
            self._take(data, self._loop.time())
            self._plan()

    async def close(self) -> None:
        """Pass nothing on any more."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()

    def _pump(self) -> None:
        if not self._open:
            return
        if self._weather.outage == "close":
            self._open = False
            self._lost(ConnectionResetError("closed by the weather"))
            return
        for piece in self._collect(self._loop.time()):
            if self._open and self._weather.outage != "mute":
                self._receive(piece)
        self._plan()

    def _plan(self) -> None:
        """Come back when there is something to hear; an answer is never there at once."""
        if not self._open:
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        due = self._due()
        # An outage is noticed soon, too.
        at = now + 5.0 if due is None else min(max(due, now + 1e-4), now + 5.0)
        self._timer = self._loop.call_at(at, self._pump)


type Opening = Callable[
    [Callable[[Any], None], Callable[[Exception | None], None]],
    Awaitable[MemoryLine],
]
