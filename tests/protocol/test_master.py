"""The master against the simulated bus: reading, losing and finding packs, in simulated time."""

from collections import Counter
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY, TOTAL_VOLTAGE
from custom_components.jkbms.protocol.frames import (
    Ack,
    ExceptionReply,
    WriteRequest,
    trigger,
)
from custom_components.jkbms.protocol.line import Traffic
from custom_components.jkbms.protocol.master import (
    Availability,
    ForeignMaster,
    Master,
    Plan,
    Updated,
    Written,
)
from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL, Timing
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from simulator import Bank, SlaveLine, parse_fault

from ..captures import golden_frames
from .helpers import Bus, ack_of, answer_of, bank_of, frame_of, framed, pack

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
    """Return everything that was sent, each a request on its own."""
    sent = []
    for time, data in bus.sent:
        (request,) = framed(data)
        assert isinstance(request, WriteRequest)
        sent.append((time, request))
    return sent


def asked_of(bus: Bus, address: int, block: Block, since: float = 0.0) -> list[float]:
    wanted = trigger(address, block)
    return [t for t, request in requests(bus) if request == wanted and t >= since]


def availability(bus: Bus, since: float = 0.0) -> list[tuple[int, bool]]:
    return [(e.address, e.available) for _, e in bus.of_type(Availability, since)]


# -- reading ------------------------------------------------------------------------


def test_every_block_of_every_pack_is_read_at_once() -> None:
    bus = bus_of(1, 2, 3)
    bus.run(3)
    for address, station in bus.master.stations.items():
        assert station.state.seen.keys() == set(Block)
        assert station.available
        assert station.alive
        volts = station.state.get(TOTAL_VOLTAGE)
        assert volts == bus.raw(address, "pack_voltage") / 1000
    order = [request.block for _, request in requests(bus)[:9]]
    assert order == [Block.LIVE] * 3 + [Block.DEVICE] * 3 + [Block.SETTINGS] * 3
    assert availability(bus) == [(1, True), (2, True), (3, True)]


def test_each_block_has_its_own_interval() -> None:
    bus = bus_of(1, live=5)
    bus.run(3 * 3600)
    assert len(asked_of(bus, 1, Block.LIVE)) == pytest.approx(3 * 720, abs=2)
    assert len(asked_of(bus, 1, Block.SETTINGS)) == pytest.approx(180, abs=2)
    assert len(asked_of(bus, 1, Block.DEVICE)) == 3
    assert bus.lost == 0


def test_the_interval_is_kept_to_the_tick() -> None:
    bus = bus_of(1, 2, live=2)
    bus.run(60)
    times = asked_of(bus, 1, Block.LIVE, since=110)
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert gaps == pytest.approx([2.0] * len(gaps), abs=0.11)
    assert times[-1] - times[0] == pytest.approx(2.0 * len(gaps), abs=0.11)


def test_only_read_triggers_are_sent_and_each_waits_for_quiet() -> None:
    bus = bus_of(1, 2, 3, 4)
    bus.run(60)
    assert {request.register for _, request in requests(bus)} == TRIGGERS
    assert bus.line.bank.dangerous == []
    assert all(pack.journal == [] for pack in bus.line.bank)
    assert bus.line.counters.unheard == 0
    assert bus.line.counters.collisions == 0


def test_a_master_that_is_not_connected_sends_nothing() -> None:
    master = Master([1], Plan(), SERIAL, 0.0)
    step = master.advance(5.0)
    assert step.send == b""
    assert step.wake == float("inf")
    assert not master.asking
    master.connected(6.0)
    assert master.asking
    assert master.advance(6.0).send == trigger(1, Block.LIVE).encode()


def test_a_master_without_packs_has_nothing_to_do() -> None:
    master = Master([], Plan(), SERIAL, 0.0)
    master.connected(0.0)
    assert not master.asking
    step = master.advance(1.0)
    assert (step.send, step.wake) == (b"", float("inf"))
    # Yet it listens: somebody may speak.
    assert master.advance(2.0, trigger(4, Block.LIVE).encode()).events == (
        ForeignMaster(4),
    )


def test_addresses_may_come_and_go() -> None:
    bus = bus_of(1, 2)
    bus.master.remove(2)
    bus.run(5)
    assert {request.address for _, request in requests(bus)} == {1}
    station = bus.master.add(2, bus.now)
    bus.run(5)
    assert station.available
    now = bus.now
    bus.master.remove(1)
    bus.run(5)
    assert {r.address for t, r in requests(bus) if t >= now} == {2}


def test_an_answer_to_an_address_no_longer_asked_is_dropped() -> None:
    for data in (
        answer_of(pack(), Block.LIVE),
        ExceptionReply(1, 0x10, 2).encode(),
        b"",
    ):
        master = Master([1], Plan(), SERIAL, 0.0)
        master.connected(0.0)
        assert master.advance(0.0).send
        master.remove(1)
        assert master.advance(0.9, data).events == ()


def test_a_late_answer_of_an_address_not_asked_teaches_nothing() -> None:
    master = Master([1], Plan(), SERIAL, 0.0)
    assert master.advance(0.5, answer_of(pack(address=4), Block.LIVE)).events == ()
    before = master.stations[1].patience.timeout
    master.advance(1.0, answer_of(pack(address=1), Block.LIVE))
    assert master.stations[1].patience.timeout > before


# -- sixteen packs ------------------------------------------------------------------


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
        cycles = [b - a for a, b in zip(times, times[1:], strict=False)]
        assert max(cycles) < 1.6 + 0.1
        assert sum(cycles) / len(cycles) < 1.6
    assert availability(bus, start) == []
    assert bus.line.bank.dangerous == []


def live_cycles(bus: Bus, address: int, since: float) -> list[float]:
    times = [
        t
        for t, e in bus.of_type(Updated, since)
        if e.address == address and e.update.block is Block.LIVE
    ]
    return [b - a for a, b in zip(times, times[1:], strict=False)]


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


# -- pacing and patience ------------------------------------------------------------


@pytest.mark.parametrize("deaf", [0.064, 0.075, 0.144, 0.295])
def test_a_pack_that_stays_deaf_longer_is_learnt(deaf: float) -> None:
    bus = bus_of(1, 2, 3, live=0.2)
    bus.line.bank[2].deaf = deaf
    bus.run(300)
    lost, start = bus.lost, bus.now
    bus.run(120)
    assert bus.lost == lost
    assert lost <= 8
    assert bus.master.stations[2].pace.quiet >= deaf
    assert bus.master.stations[1].pace.quiet < 0.06
    assert bus.master.stations[2].pace.quiet <= max(2 * deaf, 0.1)
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


# -- a bad line ---------------------------------------------------------------------

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
        assert station.state.rejected.total() == 0
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


def test_a_refused_trigger_is_counted_and_asked_again_next_time() -> None:
    master = Master([1], Plan(live=5), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    step = master.advance(0.05, ExceptionReply(1, 0x10, 11).encode())
    assert step.events == ()
    assert master.stations[1].counts.refused == 1
    assert master.stations[1].heard is None


# -- links that come and go ---------------------------------------------------------


def test_after_an_outage_everything_is_read_anew() -> None:
    bus = bus_of(1, 2, live=5)
    bus.run(20)
    assert bus.master.disconnected(bus.now) == ()
    down = bus.now
    bus.run(20)
    assert [t for t, _ in bus.sent if t > down] == []
    bus.master.connected(bus.now)
    up = bus.now
    bus.run(3)
    for address in (1, 2):
        for block in Block:
            assert len(asked_of(bus, address, block, up)) == 1
    assert availability(bus) == [(1, True), (2, True)]


def test_a_long_outage_makes_every_pack_unavailable() -> None:
    bus = bus_of(1, 2)
    bus.run(20)
    bus.master.disconnected(bus.now)
    bus.run(40)
    assert availability(bus)[2:] == [(1, False), (2, False)]
    bus.master.connected(bus.now)
    bus.run(5)
    assert availability(bus)[4:] == [(1, True), (2, True)]


def test_a_pack_that_is_overdue_goes_when_the_link_does() -> None:
    bus = bus_of(1)
    bus.run(20)
    assert bus.master.disconnected(bus.now + 100) == (Availability(1, False),)


# -- another master -----------------------------------------------------------------


@pytest.mark.parametrize(
    "foreign",
    [
        trigger(7, Block.LIVE).encode(),
        frame_of(pack(), Block.LIVE).data + Ack(0, 0x1620, 1).encode(),
    ],
    ids=["request", "broadcast"],
)
def test_another_master_silences_this_one_at_once(foreign: bytes) -> None:
    bus = bus_of(1, 2, live=2)
    bus.run(10.6)
    heard_at = bus.now + 0.1
    bus.intrusion = [(heard_at, foreign)]
    bus.run(30)
    assert [t for t, _ in bus.sent if t > heard_at] == []
    assert len(bus.of_type(ForeignMaster)) == 1
    assert bus.master.yielded
    assert not bus.master.asking


def test_what_follows_another_masters_request_is_not_acted_upon() -> None:
    master = Master([1], Plan(), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    both = trigger(7, Block.LIVE).encode() * 2 + answer_of(pack(), Block.LIVE)
    assert master.advance(0.05, both).events == (ForeignMaster(7),)


def yielded_master() -> Master:
    master = Master([1, 5], Plan(live=5), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    master.advance(0.05, trigger(7, Block.LIVE).encode())
    assert master.yielded
    return master


def test_after_yielding_what_the_packs_say_is_still_heard() -> None:
    master = yielded_master()
    data = b"".join(answer_of(pack(address=a), Block.LIVE) for a in (0, 1, 5))
    step = master.advance(1.0, data)
    assert [e.address for e in step.events if isinstance(e, Updated)] == [1, 5]
    assert step.send == b""
    assert master.stations[5].heard == 1.0


def test_after_yielding_only_what_is_proven_by_an_ack_counts() -> None:
    master = yielded_master()
    frame = frame_of(pack(), Block.LIVE).data
    asked = trigger(1, Block.LIVE).encode()
    assert master.advance(1.0, asked + frame + asked).events == ()
    log = next(g.data for g in golden_frames() if g.type == 5)
    assert master.advance(2.0, log + Ack(1, 0x1624, 1).encode()).events == ()
    wrong = frame_of(pack(soc=150), Block.LIVE).data + ack_of(1, Block.LIVE)
    assert master.advance(3.0, wrong).events == ()
    assert master.stations[1].heard is None


# -- writing ------------------------------------------------------------------------


def write(bus: Bus, address: int, key: str, value: float | bool) -> Written:
    change = Change(address, BY_KEY[key], value)
    bus.master.submit(change)
    _, event = bus.run_until(
        lambda e: isinstance(e, Written) and e.change is change, limit=30
    )
    assert isinstance(event, Written)
    return event


def test_a_change_during_polling_is_written_and_proven() -> None:
    bus = bus_of(1, 2, 3, live=1)
    bus.run(10)
    start = bus.now
    ended = write(bus, 2, "cell_ovp", 3.6)
    assert ended.result.outcome is Outcome.PROVEN
    assert ended.result.found == 3.6
    assert bus.raw(2, "cell_ovp") == 3600
    assert bus.now - start < 2
    # The state knows before the event tells.
    assert bus.master.stations[2].state.values["cell_ovp"] == 3.6
    assert bus.line.bank.dangerous == []
    (entry,) = bus.line.bank[2].journal
    assert (entry.register, entry.data) == (0x100C, bytes.fromhex("00000E10"))
    assert [p.journal for p in bus.line.bank if p.address != 2] == [[], []]


@pytest.mark.parametrize(
    ("key", "value", "name", "raw"),
    [
        ("charging_switch", False, "charge_switch", 0),
        ("charge_utp", -12.5, "charge_utp", -125),
        ("heating_start_temperature", -5, "heating_start", -5),
        ("cell_request_float_time", 3.5, "rfv_time", 35),
        ("smart_sleep_time", 12, "smart_sleep_hours", 12),
        ("data_stored_period", 60, "log_period", 60),
    ],
)
def test_every_kind_of_setting_arrives(
    key: str, value: float | bool, name: str, raw: int
) -> None:
    bus = bus_of(1)
    bus.run(5)
    assert write(bus, 1, key, value).result.outcome is Outcome.PROVEN
    assert bus.raw(1, name) == raw


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("ignore", Outcome.IGNORED),
        ("clamp", Outcome.CLAMPED),
        ("refuse-register", Outcome.REFUSED_REGISTER),
        ("refuse-value", Outcome.REFUSED_VALUE),
    ],
)
def test_what_a_pack_did_to_a_write_is_told(mode: str, outcome: Outcome) -> None:
    bus = bus_of(1, fault=f"writes:mode={mode}")
    bus.run(5)
    # More than the model carries, so that there is something to clamp.
    result = write(bus, 1, "max_charge_current", 500).result
    assert result.outcome is outcome
    before = bus.master.stations[1].state.values["max_charge_current"]
    if outcome is Outcome.CLAMPED:
        assert result.found == before == 200
    else:
        assert result.before == before


def test_what_the_firmware_refuses_by_its_limits_is_told() -> None:
    bus = bus_of(1)
    bus.run(5)
    result = write(bus, 1, "max_charge_current", 500).result
    assert (result.outcome, result.code) == (Outcome.REFUSED_VALUE, 3)


def test_two_changes_to_the_same_word_in_a_row_both_stay() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("function_word", 0xF200)
    changes = [
        Change(1, BY_KEY["display_always_on"], True),
        Change(1, BY_KEY["smart_sleep"], True),
        Change(1, BY_KEY["charging_float_mode"], False),
    ]
    for change in changes:
        bus.master.submit(change)
    bus.run(10)
    ended = [e for _, e in bus.of_type(Written)]
    assert [e.change for e in ended] == changes
    assert {e.result.outcome for e in ended} == {Outcome.PROVEN}
    # The unknown bits 12 to 15 are as they were.
    assert bus.raw(1, "function_word") == 0xF050


def test_a_byte_pair_keeps_its_other_half() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("rcv_time", 17)
    write(bus, 1, "cell_request_float_time", 2)
    assert (bus.raw(1, "rcv_time"), bus.raw(1, "rfv_time")) == (17, 20)


def test_changes_of_two_packs_go_side_by_side() -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    start = bus.now
    for address in (1, 2):
        bus.master.submit(Change(address, BY_KEY["balancer"], False))
    bus.run(3)
    ended = bus.of_type(Written, start)
    assert {e.result.outcome for _, e in ended} == {Outcome.PROVEN}
    assert ended[1][0] - ended[0][0] < 0.4


def test_a_pack_that_is_not_there_cannot_be_written() -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    bus.line.bank[2].present = False
    assert write(bus, 2, "balancer", False).result.outcome is Outcome.UNREACHABLE
    assert bus.line.bank[2].journal == []


def test_a_pack_that_vanishes_after_the_write_leaves_it_unproven() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.master.submit(Change(1, BY_KEY["balancer"], False))
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    bus.run(0.05)
    bus.line.bank[1].present = False
    bus.run(10)
    ((_, ended),) = bus.of_type(Written)
    assert ended.result.outcome is Outcome.UNPROVEN
    assert ended.result.before is True


def test_a_setting_that_the_firmware_does_not_have_is_not_written() -> None:
    bus = bus_of(1)
    bus.run(5)
    result = write(bus, 1, "discharge_utp", -10).result
    assert result.outcome is Outcome.UNSUPPORTED
    assert bus.line.bank[1].journal == []


def test_a_write_on_a_bad_line_is_proven_or_says_why() -> None:
    for seed in range(6):
        bus = bus_of(1, 2, fault="silent:rate=0.25", seed=seed)
        bus.run(10)
        ended = write(bus, 1, "cell_ovp", 3.61)
        stored = bus.raw(1, "cell_ovp") == 3610
        match ended.result.outcome:
            case Outcome.PROVEN:
                assert stored
            case Outcome.UNANSWERED | Outcome.UNREACHABLE:
                assert not stored
            case outcome:
                assert outcome is Outcome.UNPROVEN
        assert len(bus.line.bank[1].journal) <= 2


def test_values_that_cannot_be_believed_are_no_proof() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("cell_count", 99)
    assert write(bus, 1, "cell_ovp", 3.61).result.outcome is Outcome.UNREACHABLE
    assert bus.line.bank[1].journal == []


@pytest.mark.parametrize("how", ["outage", "another master", "removal"])
def test_a_change_ends_with_its_bus(how: str) -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    changes = [Change(1, BY_KEY["balancer"], value) for value in (False, True)]
    for change in changes:
        bus.master.submit(change)
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    ended: list[Written] = []
    match how:
        case "outage":
            ended = [
                e for e in bus.master.disconnected(bus.now) if isinstance(e, Written)
            ]
        case "another master":
            bus.intrusion = [(bus.now, trigger(7, Block.LIVE).encode())]
        case _:
            bus.master.remove(1)
    bus.run(2)
    ended += [e for _, e in bus.of_type(Written)]
    assert [(e.change, e.result.outcome) for e in ended] == [
        (changes[0], Outcome.UNPROVEN),
        (changes[1], Outcome.UNREACHABLE),
    ]


def test_an_address_that_is_asked_again_does_not_meet_its_old_changes() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.master.submit(Change(1, BY_KEY["balancer"], False))
    while not bus.line.bank[1].journal:
        bus.run(0.005)
    bus.master.remove(1)
    bus.master.add(1, bus.now)
    bus.run(5)
    assert len(bus.of_type(Written)) == 1
    assert bus.master.stations[1].available


def test_everything_that_ever_was_sent_is_a_trigger_or_the_change() -> None:
    bus = bus_of(1, 2, 3)
    bus.run(5)
    write(bus, 1, "heater", True)
    write(bus, 3, "cell_uvp", 2.7)
    bus.run(60)
    sent = Counter(request.register for _, request in requests(bus))
    assert sent.keys() == TRIGGERS | {0x1114, 0x1004}
    assert (sent[0x1114], sent[0x1004]) == (1, 1)


def test_an_empty_bank_is_a_silent_bus() -> None:
    master = Master([3], Plan(live=1), SERIAL, 100.0)
    master.connected(100.0)
    bus = Bus(master, SlaveLine(Bank([])))
    bus.run(60)
    assert master.line.traffic[Traffic.SILENT] == len(bus.sent)
    assert bus.events == []
