"""A machine that asks and a simulated line, in simulated time."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import override

from custom_components.jkbms.protocol.master import Master
from custom_components.jkbms.protocol.station import Availability, Event
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from simulator import SlaveLine
from simulator.ttl import TtlLine

from .happening import Happening, Turns


@dataclass
class SimulatedBus[MasterT: (Master, TtlMaster), LineT: (SlaveLine, TtlLine), SentT](
    Happening
):
    """A machine and a simulated line in simulated time."""

    master: MasterT
    line: LineT
    now: float = 100.0
    sent: list[tuple[float, SentT]] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    intrusion: list[tuple[float, bytes]] = field(default_factory=list)
    """Bytes of others and when they arrive, in order."""

    @abstractmethod
    def noted(self, data: bytes) -> SentT:
        """Return what is kept of bytes that were sent."""

    @override
    def run(self, seconds: float) -> list[tuple[float, Event]]:
        """Let time pass; return the events of that time."""
        start = len(self.events)
        end = self.now + seconds
        turns = Turns()
        data = b""
        while True:
            turns.take(self.now)
            step = self.master.advance(self.now, data)
            self.events += [(self.now, event) for event in step.events]
            if step.send:
                self.sent.append((self.now, self.noted(step.send)))
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

    def came_and_went(self, since: float = 0.0) -> list[tuple[int, bool]]:
        """Return who came and who went."""
        return [(e.address, e.available) for _, e in self.of_type(Availability, since)]
