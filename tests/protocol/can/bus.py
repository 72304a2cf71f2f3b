"""A CAN bus in a test: packs and a bank that say their messages in their own periods."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
import struct
from typing import Any, Final

from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.station import Event

TICK: Final = 0.05
"""Seconds of the bus in one step; every period is a multiple of it."""


def msg(code: int, data: str | bytes, *, extended: bool | None = None) -> CanMessage:
    """Return a message; an id above 11 bits is an extended one."""
    content = bytes.fromhex(data) if isinstance(data, str) else data
    return CanMessage(code, content, code > 0x7FF if extended is None else extended)


@dataclass
class Pack:
    """A pack as can.md 1.3 describes it, written down a second time."""

    address: int = 0
    v1: bool = False
    cells: list[int] = field(default_factory=lambda: [3300 + n for n in range(16)])
    volts: int | None = None
    """0.1 V; None: what the cells make."""
    amperes: float = 0.0
    """+ is charging."""
    soc: int = 81
    runtime: int = 950_920
    remaining: int = 2273
    full: int = 2800
    throughput: int = 0x806B
    cycles: int = 35
    temperatures: tuple[int, ...] = (22, 23, 30, 24, 255 - 50)
    switches: int = 0x23
    health: int = 100
    heating: int = 0
    alarms: int = 0
    faults: int = 0
    charge: tuple[int, int, int, int] = (576, 950, 0, 0)
    still: bool = False
    """Whether its run time stands."""
    mute: set[int] = field(default_factory=set)
    """Ids (at address 0) that it does not send."""

    def contents(self) -> Iterator[tuple[int, float, bytes]]:
        """Yield id at address 0, period and content of each message."""
        volts = round(sum(self.cells) / 100) if self.volts is None else self.volts
        sign = -1 if self.v1 else 1
        hours = 100 if self.v1 else 0
        amperes = round(sign * self.amperes * 10) + 4000
        yield (
            0x2F4,
            0.1,
            struct.pack("<HHBBH", volts, amperes, self.soc, 0, hours),
        )
        real = [cell for cell in self.cells if cell] or [0]
        high, low = max(real), min(real)
        where = [self.cells.index(c) + 1 if c else 0 for c in (high, low)]
        yield 0x4F4, 0.1, struct.pack("<HBHBxx", high, where[0], low, where[1])
        known = [t for t in self.temperatures if t != 205] or [0]
        warm, cold = max(known) + 50, min(known) + 50
        mean = round(sum(known) / len(known)) + 50
        yield 0x5F4, 1.0, bytes((warm, 1, cold, 0, mean, 0, 0, 0))
        if self.alarms:
            yield 0x7F4, 0.1, struct.pack("<Ixxxx", self.alarms)
        if self.v1:
            return
        yield (
            0x18F128F4,
            0.2,
            struct.pack(
                "<HHHH", self.remaining, self.full, self.throughput, self.cycles
            ),
        )
        yield (
            0x18F228F4,
            1.0,
            bytes((0x10, *(t + 50 for t in self.temperatures), 0, 0)),
        )
        if self.faults:
            yield 0x18F328F4, 0.1, struct.pack("<Ixxxx", self.faults)
        yield (
            0x18F428F4,
            1.0,
            struct.pack("<IHBx", self.runtime, self.heating, self.health),
        )
        yield 0x18F528F4, 0.5, bytes((self.switches, 0, 0, 0, 0, 0, 0, 0))
        yield 0x1806E5F4, 0.5, struct.pack(">HHBBxx", *self.charge)
        for k in range(0, len(self.cells), 4):
            four = [*self.cells[k : k + 4], 0, 0, 0][:4]
            yield 0x18E028F4 + (k // 4 << 16), 1.5, struct.pack("<4H", *four)

    def messages(self, step: int) -> Iterator[CanMessage]:
        """Yield what it says in a step of the bus."""
        for n, (code, period, data) in enumerate(self.contents()):
            every = round(period / TICK)
            # Not all at once: a cell frame is the last to come.
            if code not in self.mute and (step + n) % every == every - 1:
                yield msg(code + self.address, data)
        if not self.still and step % 20 == 19:
            self.runtime += 1


@dataclass
class Cycle:
    """A sender of the same messages again and again, one after the other."""

    said: list[CanMessage]
    every: int = 2
    """Steps from one message to the next."""

    def messages(self, step: int) -> Iterator[CanMessage]:
        """Yield what it says in a step of the bus."""
        if step % self.every == 0:
            yield self.said[step // self.every % len(self.said)]


@dataclass
class Answers:
    """A bank that says all its messages at once, whenever its inverter asks."""

    said: list[CanMessage]
    every: float
    """Seconds from one question to the next."""

    def messages(self, step: int) -> Iterator[CanMessage]:
        """Yield what it says in a step of the bus."""
        if step % round(self.every / TICK) == 0:
            yield from self.said


type Sender = Pack | Cycle | Answers


class Bus:
    """Time, those who send, and the listener."""

    def __init__(
        self, *senders: Sender, addresses: Iterable[int] = (), interval: float = 2.0
    ) -> None:
        """Start at a time that is not 0."""
        self.listener = CanListener(addresses, interval=interval)
        self.senders = list(senders)
        self.step = 0
        self.start = 1000.0
        self.events: list[tuple[float, Event]] = []
        self.listener.connected(self.start)

    @property
    def now(self) -> float:
        """Seconds."""
        return self.start + self.step * TICK

    def run(self, seconds: float) -> list[Event]:
        """Let time pass; return what has happened meanwhile."""
        before = len(self.events)
        for _ in range(round(seconds / TICK)):
            self.step += 1
            said = [m for s in self.senders for m in s.messages(self.step)]
            self.hear(*said)
        return [event for _, event in self.events[before:]]

    def hear(self, *said: CanMessage) -> list[Event]:
        """Hand these messages over now."""
        step = self.listener.advance(self.now, said)
        assert step.send == b""
        assert step.wake >= self.now
        self.events += [(self.now, event) for event in step.events]
        return list(step.events)

    def until(self, wanted: Callable[[Event], bool], limit: float = 20.0) -> float:
        """Let time pass until something happens; return when."""
        begin = self.now
        while self.now - begin < limit:
            if any(wanted(event) for event in self.run(TICK)):
                return self.now - begin
        raise AssertionError("it has not happened")

    def values(self, address: int = 0) -> dict[str, Any]:
        """Return the values of a station."""
        return dict(self.listener.stations[address].state.values)
