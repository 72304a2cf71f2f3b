"""A master and a pack that tells of something never, or never anything to be believed."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Updated
from simulator import SlaveLine

from .bus import Bus, asked_of, availability, bus_of
from .helpers import bank_of, framed


class Silent(SlaveLine):
    """Packs of which the first never tells some blocks, in whatever way it is asked."""

    silent: frozenset[Block] = frozenset()

    def receive(self, data: bytes, now: float) -> None:
        (request,) = framed(data)
        register = getattr(request, "register", 0)
        for block in self.silent:
            asked = register == block.trigger or register & 0xFE00 == block.base
            if data[0] == 1 and asked:
                self.counters.withheld += 1
                return
        super().receive(data, now)


def silent_bus(*silent: Block) -> Bus:
    line = Silent(bank_of(1, 2))
    line.silent = frozenset(silent)
    master = Master((1, 2), Plan(live=1.0), SERIAL, 100.0)
    master.connected(100.0)
    return Bus(master, line)


def updates(bus: Bus, address: int, block: Block) -> int:
    """Count how often a block was read."""
    told = [event for _, event in bus.of_type(Updated) if event.address == address]
    return [event.update.block for event in told].count(block)


@pytest.mark.parametrize("later", [False, True])
def test_settings_that_nobody_can_believe_cost_no_live_values(later: bool) -> None:
    bus = bus_of(1, 2)
    bus.run(10 * later)
    right = bus.raw(1, "cell_ovp")
    bus.line.bank[1].set("cell_ovp", 9000)
    since = bus.now
    bus.run(600)
    for address in (1, 2):
        assert len(asked_of(bus, address, Block.LIVE, since)) >= 598
        assert len(asked_of(bus, address, Block.DEVICE, since)) <= 1
    assert len(asked_of(bus, 1, Block.SETTINGS, since)) <= 25
    assert availability(bus) == [(1, True), (2, True)]
    bus.line.bank[1].set("cell_ovp", right)
    since = bus.now
    bus.run(61)
    assert Block.SETTINGS in bus.master.stations[1].state.seen
    assert bus.master.stations[1].state.seen[Block.SETTINGS] > since
    # It is one like the others again.
    since = bus.now
    bus.run(300)
    assert len(asked_of(bus, 1, Block.SETTINGS, since)) == 5


@pytest.mark.parametrize("block", [Block.SETTINGS, Block.DEVICE])
def test_a_block_that_never_comes_is_asked_for_ever_less(block: Block) -> None:
    bus = silent_bus(block)
    bus.run(600)
    assert len(asked_of(bus, 1, block)) <= 25
    assert bus.line.counters.withheld <= 30
    assert updates(bus, 1, Block.LIVE) >= 590


def test_what_is_said_again_after_long_is_read_within_a_minute() -> None:
    bus = silent_bus(Block.SETTINGS)
    bus.run(3600)
    assert isinstance(bus.line, Silent)
    bus.line.silent = frozenset()
    bus.run(62)
    assert Block.SETTINGS in bus.master.stations[1].state.seen


def test_one_live_answer_that_is_lost_is_no_reason_to_ask_for_more() -> None:
    """Two in a row are: firmware 15.36 may want another trigger first."""
    for lost, more in ((1, 0), (1, 0), (2, 1)):
        bus = silent_bus()
        bus.run(20)
        assert isinstance(bus.line, Silent)
        asked = len(asked_of(bus, 1, Block.SETTINGS))
        before = bus.line.counters.withheld
        bus.line.silent = frozenset({Block.LIVE})
        while bus.line.counters.withheld < before + lost:
            bus.run(0.05)
        bus.line.silent = frozenset()
        bus.run(5)
        assert len(asked_of(bus, 1, Block.SETTINGS)) - asked == more
        # And the next one that is lost is the first again.
        bus.line.silent = frozenset({Block.LIVE})
        while bus.line.counters.withheld < before + lost + 1:
            bus.run(0.05)
        bus.line.silent = frozenset()
        bus.run(5)
        assert len(asked_of(bus, 1, Block.SETTINGS)) - asked == more


def test_the_cycle_is_that_of_a_full_bus_and_no_absence() -> None:
    bus = bus_of(*range(1, 17 - 1), live=0.5)
    bus.run(30)
    cycle = bus.master.stations[1].cycle
    assert cycle > 1.0
    bus.line.bank[1].present = False
    bus.run(60)
    bus.line.bank[1].present = True
    bus.run_until(lambda e: isinstance(e, Updated) and e.address == 1, 30.0)
    assert bus.master.stations[1].cycle == cycle
