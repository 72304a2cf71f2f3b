"""The master against the simulated bus: what it reads, and who else may speak."""

from itertools import pairwise

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import TOTAL_VOLTAGE
from custom_components.jkbms.protocol.frames import Ack, ExceptionReply, trigger
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import (
    Availability,
    ForeignMaster,
    Updated,
)

from ..captures import golden_frames
from .bus import TRIGGERS, asked_of, asks, availability, bus_of, requests
from .helpers import ack_of, answer_of, frame_of, pack

# -- reading -----------------------------------------------------------------------


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
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == pytest.approx([2.0] * len(gaps), abs=0.11)
    assert times[-1] - times[0] == pytest.approx(2.0 * len(gaps), abs=0.11)


def test_a_pack_that_is_asked_seldom_is_away_after_three_cycles() -> None:
    bus = bus_of(1, live=20)
    bus.run(50)
    read = bus.master.stations[1].state.seen[Block.LIVE]
    bus.line.bank[1].present = False
    bus.run(read + 59.9 - bus.now)
    assert availability(bus) == [(1, True)]
    bus.run(0.2)
    assert availability(bus) == [(1, True), (1, False)]


def test_what_is_asked_for_in_between_makes_nobody_away() -> None:
    """`update_entity` may ask at any time; the next poll is a minute later all the same."""
    bus = bus_of(1, live=60)
    bus.run(130)
    station = bus.master.stations[1]
    for _ in range(2):
        bus.master.ask_now(bus.now)
        bus.run(3)
    assert bus.now - station.state.seen[Block.LIVE] < 3
    bus.run(600)
    assert availability(bus) == [(1, True)]
    assert station.cycle == pytest.approx(60, abs=0.2)


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
    assert not asks(master)
    master.connected(6.0)
    assert asks(master)
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


def test_what_was_not_answered_is_not_forgotten_for_its_interval() -> None:
    """The third miss of a start may be that of the device info, which is read hourly."""
    bus = bus_of(1, live=2)
    bus.line.bank[1].present = False
    while len(asked_of(bus, 1, Block.DEVICE)) < 1:
        bus.run(0.01)
    bus.run(0.6)
    bus.line.bank[1].present = True
    bus.run(8)
    assert bus.master.stations[1].available
    assert bus.master.stations[1].state.seen.keys() == set(Block)


# -- links that come and go --------------------------------------------------------


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


def test_who_was_silent_is_asked_like_the_others_when_the_line_is_opened_anew() -> None:
    bus = bus_of(1, 2)
    bus.run(20)
    bus.line.bank[1].present = False
    bus.run(20)
    bus.master.disconnected(bus.now)
    bus.line.bank[1].present = True
    up = bus.now
    bus.master.connected(up)
    bus.run(5)
    first = {asked_of(bus, 1, block, up)[0]: block for block in Block}
    assert [first[time] for time in sorted(first)] == [
        *(Block.LIVE, Block.DEVICE, Block.SETTINGS)
    ]


def test_a_pack_that_is_overdue_goes_when_the_link_does() -> None:
    bus = bus_of(1)
    bus.run(20)
    assert bus.master.disconnected(bus.now + 100) == (Availability(1, False),)


# -- another master ----------------------------------------------------------------


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
