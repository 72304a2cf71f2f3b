"""A machine and a simulated line of `4E 57` in simulated time."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.pacing import SERIAL, Timing
from custom_components.jkbms.protocol.station import Availability, Event, Written
from custom_components.jkbms.protocol.ttl.frames import Message
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.ttl.station import TtlStation
from custom_components.jkbms.protocol.writing import Change
from simulator import Bank, parse_fault
from simulator.ttl import TtlLine

from .answers import message


@dataclass
class Bus:
    """A machine and a simulated line in simulated time."""

    master: TtlMaster
    line: TtlLine
    now: float = 100.0
    sent: list[tuple[float, Message]] = field(default_factory=list)
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
            assert turns[self.now] < 100, "the machine does not let time pass"
            step = self.master.advance(self.now, data)
            self.events += [(self.now, event) for event in step.events]
            if step.send:
                self.sent.append((self.now, message(step.send)))
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

    def commands(self, since: float = 0.0) -> list[int]:
        """Return what was sent, by command."""
        return [m.command for t, m in self.sent if t >= since]

    def write(
        self, key: str, value: Any, address: int = 0, limit: float = 30.0
    ) -> Written:
        """Change a setting and return how it ended."""
        change = Change(address, BY_KEY[key], value)
        self.master.submit(change)
        _, event = self.run_until(
            lambda e: isinstance(e, Written) and e.change is change, limit
        )
        assert isinstance(event, Written)
        return event

    def station(self, address: int = 0) -> TtlStation:
        """Return what is known of a pack."""
        return self.master.stations[address]

    def values(self, address: int = 0) -> dict[str, Any]:
        """Return the values of a pack."""
        return self.station(address).state.values

    def raw(self, name: str, address: int = 0) -> Any:
        """Return a raw value in the memory of a pack."""
        return self.line.bank[address].get(name)

    def asks(self) -> bool:
        """Tell whether it sends requests."""
        return self.master.asking

    def yielded(self) -> bool:
        """Tell whether it has fallen silent for somebody else."""
        return self.master.yielded

    def availability(self, since: float = 0.0) -> list[tuple[int, bool]]:
        """Return who came and who went."""
        return [(e.address, e.available) for _, e in self.of_type(Availability, since)]


def bus_of(
    *addresses: int,
    interval: float = 1.0,
    timing: Timing = SERIAL,
    fault: str | None = None,
    asked: tuple[int, ...] = (),
    still: bool = True,
    return_after: float | None = None,
    **line: Any,
) -> Bus:
    """Return a machine that asks packs at these terminals, and at those of `asked`."""
    faults = [parse_fault(fault)] if fault else []
    bank = Bank.default(addresses or (0,), seed=1, still=still)
    master = TtlMaster(
        {*(addresses or (0,)), *asked},
        timing,
        100.0,
        interval=interval,
        return_after=return_after,
    )
    master.connected(100.0)
    return Bus(master, TtlLine(bank, faults=faults, seed=1, **line))
