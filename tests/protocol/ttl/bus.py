"""A machine and a simulated line of `4E 57` in simulated time."""

from typing import Any, override

from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.pacing import SERIAL, Timing
from custom_components.jkbms.protocol.station import Written
from custom_components.jkbms.protocol.ttl.frames import Message
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.ttl.station import TtlStation
from custom_components.jkbms.protocol.writing import Change
from simulator import Bank, parse_fault
from simulator.ttl import TtlLine

from ..simulated_bus import SimulatedBus
from .answers import message


class Bus(SimulatedBus[TtlMaster, TtlLine, Message]):
    """A machine and a simulated line in simulated time."""

    @override
    def noted(self, data: bytes) -> Message:
        """Keep what they mean."""
        return message(data)

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
