"""A master and a pack that tells of something never, or never anything to be believed."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.pacing import MODBUS_TCP, SERIAL, Timing
from custom_components.jkbms.protocol.station import Updated
from simulator import Block as SimBlock
from simulator.faults import Withhold

from .bus import Bus, asked_of, availability, bus_of, requests


def withhold(bus: Bus, *blocks: Block) -> None:
    """Let the first pack leave out these blocks from now on, and tell all others."""
    bus.line.faults = tuple(Withhold(address=1, block=told(block)) for block in blocks)


def told(block: Block) -> SimBlock:
    """A block as the simulator knows it."""
    return SimBlock(block.frame_type)


def withholding_bus(*blocks: Block, live: float = 1.0, timing: Timing = SERIAL) -> Bus:
    bus = bus_of(1, 2, live=live, timing=timing)
    withhold(bus, *blocks)
    return bus


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


@pytest.mark.parametrize(
    ("live", "timing"),
    [*((live, SERIAL) for live in (1.0, 5.0, 20.0, 60.0)), (5.0, MODBUS_TCP)],
)
@pytest.mark.parametrize("block", [Block.SETTINGS, Block.DEVICE])
def test_a_block_that_never_comes_is_asked_for_ever_less(
    block: Block, live: float, timing: Timing
) -> None:
    bus = withholding_bus(block, live=live, timing=timing)
    bus.run(600)
    assert len(asked_of(bus, 1, block)) <= 25
    assert bus.line.counters.withheld <= 30
    (other,) = {Block.SETTINGS, Block.DEVICE} - {block}
    assert len(asked_of(bus, 1, other)) <= 11
    for address in (1, 2):
        assert updates(bus, address, Block.LIVE) >= 0.98 * 600 // live
    known = block is not Block.DEVICE
    assert availability(bus) == [(1, True), (2, True)] if known else [(2, True)]


@pytest.mark.parametrize("live", [1.0, 5.0, 60.0])
def test_who_returns_and_does_not_say_who_it_is_is_heard_and_not_believed(
    live: float,
) -> None:
    """It may be another one with this address: its values are not taken over."""
    bus = withholding_bus(live=live)
    bus.run(130)
    station = bus.master.stations[1]
    bus.line.bank[1].present = False
    bus.run(200)
    assert not station.available
    withhold(bus, Block.DEVICE)
    bus.line.bank[1].present = True
    since, told = bus.now, station.state.seen[Block.LIVE]
    bus.run(130)
    for _ in range(100):
        bus.run(6)
        assert station.heard is not None
        assert bus.now - station.heard <= 130
    assert not station.available
    assert station.state.seen[Block.LIVE] == told
    assert updates(bus, 2, Block.LIVE) >= 0.98 * (bus.now - 100) // live
    # It costs little more than one that is not there.
    asked = [t for t, to in requests(bus) if to.address == 1 and t >= since]
    assert len(asked) <= 1.25 * 730 / min(30.0, 1.2 * live) + 5
    withhold(bus)
    bus.run(130)
    assert station.available


def test_what_is_said_again_after_long_is_read_within_a_minute() -> None:
    bus = withholding_bus(Block.SETTINGS)
    bus.run(3600)
    withhold(bus)
    bus.run(62)
    assert Block.SETTINGS in bus.master.stations[1].state.seen


def test_one_live_answer_that_is_lost_is_no_reason_to_ask_for_more() -> None:
    """Two in a row are: firmware 15.36 may want another trigger first."""
    for lost, more in ((1, 0), (1, 0), (2, 1)):
        bus = withholding_bus()
        bus.run(20)
        asked = len(asked_of(bus, 1, Block.SETTINGS))
        before = bus.line.counters.withheld
        withhold(bus, Block.LIVE)
        while bus.line.counters.withheld < before + lost:
            bus.run(0.05)
        withhold(bus)
        bus.run(5)
        assert len(asked_of(bus, 1, Block.SETTINGS)) - asked == more
        # And the next one that is lost is the first again.
        withhold(bus, Block.LIVE)
        while bus.line.counters.withheld < before + lost + 1:
            bus.run(0.05)
        withhold(bus)
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
