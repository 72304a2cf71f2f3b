"""The master of many packs, of slow ones, and of a bad line, in simulated time."""

from itertools import pairwise
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import ExceptionReply
from custom_components.jkbms.protocol.line import Traffic
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.station import Availability, Updated
from simulator.faults import Silent

from .bus import Bus, asked_of, availability, bus_of, requests
from .helpers import frame_of

# -- sixteen packs -----------------------------------------------------------------


def test_sixteen_packs_at_the_speed_of_the_wire() -> None:
    """rs485.md 1.5: deaf for 35 ms after a reply; nothing is lost once the pacing has settled."""
    bus = bus_of(*range(16))
    bus.run(120)
    assert all(station.pace.settled for station in bus.master.stations.values())
    lost, unheard = bus.lost, bus.line.counters.unheard
    start = bus.now
    bus.run(600)
    assert bus.lost == lost == 0
    assert bus.line.counters.unheard == unheard == 0
    for address in range(16):
        times = [
            t
            for t, e in bus.of_type(Updated, start)
            if e.address == address and e.update.block is Block.LIVE
        ]
        cycles = [b - a for a, b in pairwise(times)]
        assert max(cycles) < 1.6
    assert availability(bus, start) == []
    assert bus.line.bank.dangerous == []


def live_cycles(bus: Bus, address: int, since: float) -> list[float]:
    times = [
        t
        for t, e in bus.of_type(Updated, since)
        if e.address == address and e.update.block is Block.LIVE
    ]
    return [b - a for a, b in pairwise(times)]


def test_an_absent_pack_delays_the_others_by_its_own_timeout_at_most() -> None:
    alone = bus_of(1, 2, 3, live=1)
    alone.run(30)
    alone.run(60)
    undisturbed = max(live_cycles(alone, 1, 130))
    bus = bus_of(1, 2, 3, live=1, asked=(9,))
    bus.run(30)
    bus.run(60)
    timeout = 0.12
    for address in (1, 2, 3):
        assert max(live_cycles(bus, address, 130)) <= undisturbed + timeout + 0.06
    assert all(bus.master.stations[a].counts.timeouts == 0 for a in (1, 2, 3))
    # It is asked now and then, at least every 30 s.
    assert 60 / 30 <= len(asked_of(bus, 9, Block.LIVE, 130)) <= 60 / 1.5
    assert not bus.master.stations[9].available


def test_a_pack_that_dies_delays_no_other_by_more_than_its_own_timeout() -> None:
    bus = bus_of(*range(1, 17 - 1), live=1)
    bus.run(60)
    start = bus.now
    bus.line.bank[7].present = False
    bus.run(60)
    for address in set(range(1, 16)) - {7}:
        assert max(live_cycles(bus, address, start - 2)) < 1.6 + 0.12 + 0.1
    assert bus.master.stations[7].counts.timeouts > 3
    assert availability(bus, start) == [(7, False)]


def test_a_pack_that_returns_is_back_within_two_cycles() -> None:
    for away in (7.0, 12.3, 40.0, 100.0, 500.0):
        bus = bus_of(1, 2, 3, live=5)
        bus.run(60)
        bus.line.bank[2].present = False
        bus.run(away)
        bus.line.bank[2].present = True
        back = bus.now
        bus.run(15)
        first = next(
            t
            for t, e in bus.of_type(Updated, back)
            if e.address == 2 and e.update.block is Block.LIVE
        )
        assert first - back <= 2 * 5 + 0.5
        assert bus.master.stations[2].available


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_bus_is_as_quick_as_before_an_hour_after_ten_bad_minutes(rate: float) -> None:
    bus = bus_of(*range(16), live=2)
    bus.run(120)
    bus.line.faults = (Silent(rate=rate),)
    bus.run(600)
    bus.line.faults = ()
    bus.run(3600)
    assert {s.pace.quiet for s in bus.master.stations.values()} == {0.05}
    assert max(s.cycle for s in bus.master.stations.values()) < 2.1


def test_coming_and_going_is_told_once() -> None:
    bus = bus_of(1, 2, live=2)
    bus.run(30)
    bus.line.bank[2].present = False
    gone_from = bus.now
    bus.run(120)
    bus.line.bank[2].present = True
    bus.run(30)
    assert availability(bus) == [(1, True), (2, True), (2, False), (2, True)]
    ((told, _),) = [(t, e) for t, e in bus.of_type(Availability) if not e.available]
    assert told - gone_from == pytest.approx(30, abs=2.1)


def test_a_slow_bus_has_three_cycles_before_a_pack_counts_as_away() -> None:
    bus = bus_of(1, live=20)
    bus.run(100)
    gone_from = bus.now
    bus.line.bank[1].present = False
    bus.run(100)
    ((told, _),) = [(t, e) for t, e in bus.of_type(Availability) if not e.available]
    assert 40 < told - gone_from <= 61


def test_a_pack_that_never_was_there_never_goes() -> None:
    bus = bus_of(1, asked=(2,))
    bus.run(120)
    assert availability(bus) == [(1, True)]
    assert not bus.master.stations[2].alive
    # Who was never heard is asked for its live values alone.
    assert asked_of(bus, 2, Block.SETTINGS, 110) == []
    assert asked_of(bus, 2, Block.DEVICE, 110) == []


def test_a_pack_that_was_away_says_who_it_is_before_it_counts_as_there() -> None:
    """After a silence the address may be another BMS's (rs485.md 1.3)."""
    bus = bus_of(1, live=2)
    bus.run(30)
    bus.line.bank[1].present = False
    bus.run(60)
    bus.line.bank[1].present = True
    back = bus.now
    bus.run(20)
    blocks = [e.update.block for _, e in bus.of_type(Updated, back)]
    assert blocks[0] is Block.DEVICE
    assert availability(bus, back) == [(1, True)]
    (returned,) = [t for t, _ in bus.of_type(Availability, back)]
    lives = [t for t, e in bus.of_type(Updated, back) if e.update.block is Block.LIVE]
    assert returned == lives[0]


# -- pacing and patience -----------------------------------------------------------


@pytest.mark.parametrize("deaf", [0.064, 0.075, 0.144, 0.295])
def test_a_pack_that_stays_deaf_longer_is_learnt(deaf: float) -> None:
    bus = bus_of(1, 2, 3, live=0.2)
    bus.line.bank[2].deaf = deaf
    station = bus.master.stations[2]
    while station.counts.ok < 210:
        bus.run(1)
    lost, start = bus.lost, bus.now
    bus.run(15)
    assert station.counts.ok < 300
    assert bus.lost == lost
    assert lost <= 8
    assert deaf <= station.pace.quiet <= max(2 * deaf, 0.1)
    assert bus.master.stations[1].pace.quiet < 0.06
    # Whether it needs so long is tried again now and then, ever less often.
    bus.run(600)
    assert bus.lost <= lost + 12
    assert availability(bus, start) == []


def test_a_pack_that_thinks_long_is_waited_for() -> None:
    bus = bus_of(1, 2)
    bus.line.bank[2].turnaround = 0.3
    bus.run(30)
    # Not knowing it, the first request was given as long as the others need.
    assert bus.master.stations[2].counts.timeouts <= 1
    assert bus.master.stations[2].patience.timeout > 0.8
    assert bus.master.stations[1].patience.timeout < 0.2


def test_a_gateway_that_takes_two_seconds_is_waited_for() -> None:
    bus = bus_of(1, 2, live=5, timing=NETWORK, fault="late:rate=1:delay=2")
    bus.run(60)
    lost, start = bus.lost, bus.now
    bus.run(120)
    assert bus.lost == lost
    assert bus.master.line.traffic[Traffic.LATE] >= 1
    for station in bus.master.stations.values():
        assert station.available
        assert station.patience.timeout == 3.0
    assert len(bus.of_type(Updated, start)) > 40


# -- a bad line --------------------------------------------------------------------

BAD: Final = [
    "noise:rate=0.0003:around=4",
    "noise:rate=0:around=0:every=0.9:burst=20",
    "flip:rate=0.0003",
    "drop:rate=0.0003",
    "torn:rate=0.1",
    "silent:rate=0.1",
    "late:rate=0.05:delay=0.6",
    "padding:before=1:after=1",
    "echo",
    "echo:most=5",
]


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_line_costs_time_and_never_a_wrong_value(fault: str) -> None:
    bus = bus_of(1, 2, 3, 4, live=1, fault=fault)
    bus.run(180)
    for address, station in bus.master.stations.items():
        assert station.available
        of = bus.line.bank[address]
        for block, frame in station.state.frames.items():
            assert frame == frame_of(of, block).data
        assert set(station.state.rejected) <= {Implausible.UNCONFIRMED}
        assert station.counts.ok > 80
    assert not bus.master.yielded
    assert not any(available is False for _, available in availability(bus))
    assert bus.line.bank.dangerous == []
    assert all(p.journal == [] for p in bus.line.bank)


def test_two_packs_at_one_address_never_mix() -> None:
    bus = bus_of(1, 2, 3, fault="duplicate:address=2")
    bus.run(120)
    assert bus.master.stations[1].available
    assert bus.master.stations[3].available
    twins = [p for p in bus.line.bank if p.address == 2]
    assert len(twins) == 2
    for block, frame in bus.master.stations[2].state.frames.items():
        assert frame in {frame_of(twin, block).data for twin in twins}


def test_values_that_cannot_be_true_do_not_keep_the_bus_busy() -> None:
    bus = bus_of(1, 2, live=2)
    bus.line.bank[2].set("soc", 150)
    bus.run(60)
    start = len(bus.sent)
    bus.run(120)
    station = bus.master.stations[2]
    assert not station.available
    assert station.state.rejected[Implausible.STATE_OF_CHARGE] > 3
    assert station.counts.implausible == station.state.rejected.total()
    assert bus.master.stations[1].available
    # 60 for the good pack; the other's live values are asked for 3 times every other cycle.
    assert len(bus.sent) - start < 60 + 4 * 30 + 60
    bus.line.bank[2].set("soc", 50)
    bus.run(10)
    assert station.available


def test_values_that_stop_being_true_make_a_pack_unavailable() -> None:
    bus = bus_of(1, live=2)
    bus.run(20)
    assert bus.master.stations[1].available
    bus.line.bank[1].set("soc", 150)
    bus.run(45)
    assert availability(bus) == [(1, True), (1, False)]
    bus.line.bank[1].set("soc", 50)
    bus.run(20)
    assert availability(bus) == [(1, True), (1, False), (1, True)]


def test_a_counter_that_was_reset_is_believed_soon() -> None:
    bus = bus_of(1, live=2)
    bus.run(20)
    bus.line.bank[1].set("run_time", 5)
    bus.run(10)
    station = bus.master.stations[1]
    assert station.state.values["total_runtime"] == 5
    assert station.state.rejected == {Implausible.COUNTER_FELL: 2}
    assert availability(bus) == [(1, True)]


def test_firmware_that_answers_live_only_after_another_trigger_is_helped() -> None:
    """rs485.md 8, quirk 10: settings are asked for between two tries."""
    bus = bus_of(1, live=2)
    bus.run(10)
    bus.line.bank[1].present = False
    start = bus.now
    bus.run(2.5)
    blocks = [r.block for t, r in requests(bus) if t >= start]
    first = blocks.index(Block.LIVE)
    assert blocks[first : first + 3].count(Block.LIVE) == 2
    assert Block.SETTINGS in blocks[first:]


def test_damaged_answers_are_counted_apart_from_those_that_never_came() -> None:
    bus = bus_of(1, fault="flip:rate=0.002")
    bus.run(60)
    counts = bus.master.stations[1].counts
    assert counts.damaged > 5
    assert counts.damaged + counts.timeouts == bus.lost
    assert counts.timeouts < counts.damaged / 2


def test_a_refused_trigger_is_counted_and_asked_again_next_time() -> None:
    master = Master([1], Plan(live=5), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    step = master.advance(0.05, ExceptionReply(1, 0x10, 2).encode())
    assert step.events == ()
    assert master.stations[1].counts.refused == 1
    assert master.stations[1].misses == 0
    assert master.stations[1].heard is None


def test_a_gateway_that_says_that_nobody_answers_is_no_refusal() -> None:
    master = Master([1], Plan(live=5), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    step = master.advance(0.05, ExceptionReply(1, 0x10, 11).encode())
    assert step.events == ()
    assert master.stations[1].counts.refused == 0
    assert master.stations[1].counts.timeouts == 1
