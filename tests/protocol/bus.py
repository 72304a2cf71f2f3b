"""A master and a simulated line in simulated time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import ReadRequest, WriteRequest, trigger
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL, Timing
from custom_components.jkbms.protocol.station import Availability, Event
from simulator import SlaveLine, parse_fault

from .helpers import bank_of, framed


@dataclass
class Bus:
    """A master and a simulated line in simulated time."""

    master: Master
    line: SlaveLine
    now: float = 100.0
    connected: bool = True
    sent: list[tuple[float, bytes]] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    intrusion: list[tuple[float, bytes]] = field(default_factory=list)
    """Bytes of others and when they arrive, in order."""

    def run(self, seconds: float) -> list[tuple[float, Event]]:
        """Let time pass; return the events of that time."""
        start = len(self.events)
        end = self.now + seconds
        turns = Counter[float]()
        data = b""
        while True:
            turns[self.now] += 1
            assert turns[self.now] < 100, "the master does not let time pass"
            step = self.master.advance(self.now, data)
            self.events += [(self.now, event) for event in step.events]
            if step.send:
                self.sent.append((self.now, step.send))
                self.line.receive(step.send, self.now)
            due = self.line.due()
            times = [step.wake] + ([due] if due is not None else [])
            times += [time for time, _ in self.intrusion[:1]]
            self.now = max(self.now, min(times))
            if self.now >= end:
                self.now = end
                return self.events[start:]
            data = b"".join(self.line.collect(self.now))
            while self.intrusion and self.intrusion[0][0] <= self.now:
                data += self.intrusion.pop(0)[1]

    def run_until(
        self, happened: Callable[[Event], bool], limit: float = 60.0
    ) -> tuple[float, Event]:
        """Let time pass until an event; fail when it does not come."""
        end = self.now + limit
        while self.now < end:
            for time, event in self.run(0.05):
                if happened(event):
                    return time, event
        raise AssertionError("it did not happen")

    def of_type[T](self, kind: type[T], since: float = 0.0) -> list[tuple[float, T]]:
        """Return the events of one type."""
        return [(t, e) for t, e in self.events if isinstance(e, kind) and t >= since]

    @property
    def lost(self) -> int:
        """Requests that got no answer."""
        return sum(
            s.counts.timeouts + s.counts.damaged for s in self.master.stations.values()
        )

    def raw(self, address: int, name: str) -> Any:
        """Return a raw value in the memory of a pack."""
        return self.line.bank[address].get(name)


TRIGGERS: Final = frozenset(block.trigger for block in Block)


def bus_of(
    *addresses: int,
    live: float = 1.0,
    timing: Timing = SERIAL,
    fault: str | None = None,
    seed: int = 1,
    asked: tuple[int, ...] = (),
) -> Bus:
    """Return a master that asks packs at these addresses, and at those of `asked`."""
    faults = [parse_fault(fault)] if fault else []
    line = SlaveLine(bank_of(*addresses), faults=faults, seed=seed)
    master = Master({*addresses, *asked}, Plan(live=live), timing, 100.0)
    master.connected(100.0)
    return Bus(master, line)


def requests(bus: Bus) -> list[tuple[float, WriteRequest]]:
    """Return every trigger and write that was sent, each a request on its own.

    Registers are read only where triggers stay unanswered.
    """
    sent = []
    for time, data in bus.sent:
        (request,) = framed(data)
        if isinstance(request, ReadRequest):
            continue
        assert isinstance(request, WriteRequest)
        sent.append((time, request))
    return sent


def asked_of(bus: Bus, address: int, block: Block, since: float = 0.0) -> list[float]:
    wanted = trigger(address, block)
    return [t for t, request in requests(bus) if request == wanted and t >= since]


def asks(master: Master) -> bool:
    return master.asking


def availability(bus: Bus, since: float = 0.0) -> list[tuple[int, bool]]:
    return [(e.address, e.available) for _, e in bus.of_type(Availability, since)]
