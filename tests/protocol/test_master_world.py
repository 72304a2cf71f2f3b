"""Whatever has happened to a bus: when it is calm again, it is like one to which nothing has."""

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.pacing import MODBUS_TCP, NETWORK, SERIAL, Timing
from custom_components.jkbms.protocol.station import Updated
from custom_components.jkbms.protocol.writing import Change
from simulator import parse_fault
from simulator.faults import Fault

from .bus import Bus, availability, bus_of

_FAULTS: Final = (
    "noise:rate=0.01",
    "flip:rate=0.003",
    "drop:rate=0.003",
    "torn:rate=0.3",
    "late:rate=0.3:delay=0.6",
    "silent:rate=0.3",
    "repeat:rate=0.5",
    "padding",
    *(f"withhold:block={block.label}" for block in Block),
)
_CALM: Final = 3600.0
"""Seconds after which nothing of what has happened may be felt any more."""
_WATCHED: Final = 600.0


class World:
    """A bus to which things happen by chance."""

    def __init__(self, seed: int, addresses: list[int], bus: Bus) -> None:
        """Take a bus over."""
        self.random = Random(f"{seed}/world")
        self.addresses = addresses
        self.bus = bus

    def happen(self) -> None:
        """Let one thing happen."""
        what: tuple[Callable[[], None], ...] = (
            self._leave,
            self._return,
            self._fault,
            self._end_fault,
            self._ask,
            self._write,
            self._lose_the_line,
        )
        self.random.choice(what)()

    def clear_up(self) -> None:
        """Let all be well again."""
        self._end_fault()
        self._return()

    @property
    def _some(self) -> int:
        return self.random.choice(self.addresses)

    def _leave(self) -> None:
        self.bus.line.bank[self._some].present = False

    def _return(self) -> None:
        for pack in self.bus.line.bank:
            pack.present = True

    def _fault(self) -> None:
        fault: Fault = parse_fault(self.random.choice(_FAULTS))
        fault.address = self.random.choice((None, self._some))
        fault.attach(self.bus.line.bank, Random(f"{self.random.random()}"))
        self.bus.line.faults = (fault,)

    def _end_fault(self) -> None:
        self.bus.line.faults = ()

    def _ask(self) -> None:
        self.bus.master.ask_now(self.bus.now)

    def _write(self) -> None:
        value = self.random.randrange(5, 20) / 1000
        wish = Change(self._some, BY_KEY["balance_trigger_voltage"], value)
        self.bus.master.submit(wish)

    def _lose_the_line(self) -> None:
        self.bus.master.disconnected(self.bus.now)
        self.bus.run(self.random.uniform(0.1, 40))
        self.bus.master.connected(self.bus.now)


def watched(bus: Bus) -> Counter[tuple[int, str]]:
    """Count what is read of whom in some minutes in which nobody comes or goes."""
    since = bus.now
    bus.run(_WATCHED)
    assert availability(bus, since) == []
    told = [e for _, e in bus.of_type(Updated, since)]
    return Counter((e.address, e.update.block.label) for e in told)


@pytest.mark.parametrize(
    ("seed", "packs", "live", "timing"),
    [
        (1, 3, 1.0, SERIAL),
        (2, 6, 2.0, NETWORK),
        (3, 15, 10.0, SERIAL),
        (4, 2, 60.0, SERIAL),
        (5, 4, 5.0, MODBUS_TCP),
    ],
    ids=str,
)
def test_what_has_happened_is_over_when_it_is_over(
    seed: int, packs: int, live: float, timing: Timing
) -> None:
    addresses = Random(seed).sample(range(1, 16), packs)
    calm = bus_of(*addresses, live=live, timing=timing, seed=seed)
    calm.run(_WATCHED)
    expected = watched(calm)
    bus = bus_of(*addresses, live=live, timing=timing, seed=seed)
    world = World(seed, addresses, bus)
    while bus.now < 2000:
        bus.run(world.random.expovariate(1 / 20))
        world.happen()
    world.clear_up()
    bus.run(_CALM)
    assert all(station.available for station in bus.master.stations.values())
    found = watched(bus)
    for address in addresses:
        assert found[address, "live"] >= 0.97 * expected[address, "live"] - 1
        assert abs(found[address, "settings"] - expected[address, "settings"]) <= 2
        assert found[address, "device"] <= 1
