"""A listener on a simulated bus that a BMS asks."""

from dataclasses import dataclass, field
from random import Random

from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Event
from simulator import Bank, MasterLine, Speed, parse_fault

from .happening import Turns


@dataclass
class Heard:
    """A simulated bus with its own master, and a listener on it, in simulated time."""

    line: MasterLine
    listener: Listener = field(default_factory=lambda: Listener((), SERIAL))
    now: float = 0.0
    events: list[tuple[float, Event]] = field(default_factory=list)
    sent: list[tuple[float, bytes]] = field(default_factory=list)

    def run(self, seconds: float, damage: float = 0.0, seed: int = 1) -> None:
        """Let time pass; each byte is damaged with a probability."""
        random = Random(seed)
        end = self.now + seconds
        wake = self.now
        turns = Turns()
        while self.now < end:
            turns.take(self.now)
            due = self.line.due()
            self.now = max(self.now, min(wake, end if due is None else due))
            data = bytearray(b"".join(self.line.collect(self.now)))
            for at in range(len(data)):
                if damage and random.random() < damage:
                    data[at] = random.randrange(256)
            step = self.listener.advance(self.now, bytes(data))
            if step.send:
                self.sent.append((self.now, step.send))
                self.line.receive(step.send, self.now)
            wake = step.wake
            self.events += [(self.now, event) for event in step.events]

    def here(self) -> set[int]:
        """Return the addresses of the packs that are available."""
        return {a for a, s in self.listener.stations.items() if s.available}

    def of_type[T](self, kind: type[T]) -> list[T]:
        """Return the events of one type."""
        return [event for _, event in self.events if isinstance(event, kind)]


def bus_of(*addresses: int, fault: str | None = None, slot: float = 0.22) -> Heard:
    """Return a listener on the bus of packs of several kinds, without wire time."""
    bank = Bank.default(addresses=addresses, seed=1)
    faults = [parse_fault(fault)] if fault else []
    return Heard(MasterLine(bank, speed=Speed.FAST, slot=slot, faults=faults))
