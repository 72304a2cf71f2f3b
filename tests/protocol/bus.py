"""A master and a simulated line in simulated time."""

from typing import Any, Final, override

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import ReadRequest, WriteRequest, trigger
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL, Timing
from simulator import SlaveLine, parse_fault

from .helpers import bank_of, framed
from .simulated_bus import SimulatedBus


class Bus(SimulatedBus[Master, SlaveLine, bytes]):
    """A master and a simulated line in simulated time."""

    @override
    def noted(self, data: bytes) -> bytes:
        """Keep them."""
        return data

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
    return bus.came_and_went(since)
