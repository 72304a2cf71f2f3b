"""When a pack on Bluetooth is asked, waited for and given up: to the millisecond."""

from typing import Any

import pytest

from custom_components.jkbms.protocol.ble.machine import BleMaster
from custom_components.jkbms.protocol.ble.station import ADDRESS
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.settings_job import Transaction
from custom_components.jkbms.protocol.station import (
    Availability,
    Settled,
    Step,
    Updated,
    Written,
)
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from simulator import Block as SimBlock, Pack, trios

from .rig import link_to, settled

NEVER = float("inf")
READY = bytes.fromhex("AA5590EBC8010100000000000000000000000044")
ASK_DEVICE = bytes.fromhex("AA5590EB9700000000000000000000000000 0011")
ASK_SETTINGS = bytes.fromhex("AA5590EB9600000000000000000000000000 0010")
CHARGE_OFF = bytes.fromhex("AA5590EB1D04000000000000000000000000 009B")
COME = Availability(ADDRESS, True)
GONE = Availability(ADDRESS, False)


@pytest.fixture
def pack() -> Pack:
    return Pack(trios()[0], 0, still=True)


def connected(**options: Any) -> BleMaster:
    """Return a machine whose connection was made at 0."""
    master = BleMaster([ADDRESS], 0.0, **options)
    master.connected(0.0)
    return master


def known(pack: Pack, **options: Any) -> BleMaster:
    """Return a machine that has read everything: the live values at 0.4."""
    master = connected(**options)
    assert master.advance(0.0).send == ASK_DEVICE
    assert master.advance(0.1, pack.frame(SimBlock.DEVICE) + READY).send == ASK_SETTINGS
    assert not master.advance(0.2, pack.frame(SimBlock.SETTINGS) + READY).send
    assert COME in master.advance(0.4, pack.frame(SimBlock.LIVE)).events
    return master


# -- asking ---------------------------------------------------------------------------


def test_nothing_is_sent_before_there_is_a_connection() -> None:
    master = BleMaster([ADDRESS], 0.0)
    asking = [master.asking]
    assert master.advance(10.0) == Step(b"", NEVER, ())
    master.connected(20.0)
    assert [*asking, master.asking] == [False, True]
    assert master.advance(20.0).send == ASK_DEVICE
    assert master.interval == 2.0
    assert master.yielded is False


def test_an_order_is_waited_for_as_long_as_a_proxy_may_need() -> None:
    master = connected()
    step = master.advance(0.0)
    assert (step.send, step.wake) == (ASK_DEVICE, 3.0)
    counts = master.stations[ADDRESS].counts
    assert master.advance(2.999).wake == 3.0
    assert counts.timeouts == 0
    # The other block has waited for its turn since the beginning.
    assert master.advance(3.0).send == ASK_SETTINGS
    assert (counts.timeouts, master.stations[ADDRESS].misses) == (1, 1)


def test_a_pack_that_says_nothing_of_being_ready_is_given_a_moment(pack: Pack) -> None:
    master = connected()
    master.advance(0.0)
    step = master.advance(0.5, pack.frame(SimBlock.DEVICE))
    assert step.send == b""
    assert step.wake == pytest.approx(1.1)
    assert not master.advance(1.0999).send
    assert master.advance(1.1001).send == ASK_SETTINGS
    # The frame took half a second: what came behind it does not count.
    assert master.stations[ADDRESS].patience.worst == 0.5


def test_an_answer_is_waited_for_two_seconds_at_least(pack: Pack) -> None:
    master = known(pack)
    assert master.stations[ADDRESS].patience.timeout == 2.0
    assert master.advance(60.3).send == ASK_SETTINGS
    assert master.advance(60.3).wake == pytest.approx(min(62.3, 45.4))


def test_blocks_are_asked_for_anew_from_their_answers(pack: Pack) -> None:
    due = known(pack).stations[ADDRESS].due
    assert due == {
        Block.DEVICE: pytest.approx(3600.1),
        Block.SETTINGS: pytest.approx(60.2),
    }


def test_asking_for_a_block_puts_none_off_that_is_due_already() -> None:
    master = connected()
    station = master.stations[ADDRESS]
    assert station.due == {Block.DEVICE: 0.0, Block.SETTINGS: 0.001}
    master.ask_for((Block.DEVICE, Block.SETTINGS), 5.0)
    assert station.due == {Block.DEVICE: 0.0, Block.SETTINGS: 0.001}
    station.due = {Block.DEVICE: 100.0, Block.SETTINGS: 60.0}
    master.ask_for((Block.DEVICE,), 5.0)
    assert station.due == {Block.DEVICE: 5.0, Block.SETTINGS: 60.0}


def test_settings_that_cannot_be_believed_are_asked_for_at_once_then_less() -> None:
    link = settled(link_to())
    link.gatt.pack.set("cell_ovp", 9000)
    start = link.now
    link.master.ask_for((Block.SETTINGS,), start)
    link.run(40.0)
    times = [t - start for t, register, _ in link.gatt.orders if t >= start]
    # The answer is complete after 0.12 s; the waits are 0, 4, 8, 16 s.
    assert times == [pytest.approx(t) for t in (0.0, 0.12, 4.24, 12.36, 28.48)]
    assert link.station.misses == 5
    assert link.station.counts.implausible == 5


# -- live values ----------------------------------------------------------------------


def test_live_values_are_taken_over_a_little_early_but_not_much(pack: Pack) -> None:
    master = known(pack)
    live = pack.frame(SimBlock.LIVE)
    assert master.advance(2.09, live).events == ()
    (updated,) = master.advance(2.11, live).events
    assert isinstance(updated, Updated)
    station = master.stations[ADDRESS]
    assert station.state.seen[Block.LIVE] == station.heard == 2.11
    # That is no reason to expect the next one any sooner.
    assert station.cycle == 2.0
    assert master.advance(3.80, live).events == ()
    edge = known(pack, interval=2.9)
    assert len(edge.advance(0.4 + 2.9 - 0.3, live).events) == 1
    assert len(master.advance(3.82, live).events) == 1


def test_a_pack_comes_with_live_values_and_not_before(pack: Pack) -> None:
    master = connected()
    master.advance(0.0)
    told = [
        master.advance(0.1, pack.frame(SimBlock.DEVICE) + READY).events,
        master.advance(0.2, pack.frame(SimBlock.SETTINGS) + READY).events,
        master.advance(0.3, pack.frame(SimBlock.LIVE)).events,
        master.advance(2.3, pack.frame(SimBlock.LIVE)).events,
    ]
    assert [COME in events for events in told] == [False, False, True, False]


@pytest.mark.parametrize(("interval", "away"), [(2.0, 30.0), (10.0, 30.0), (20.0, 60)])
def test_a_pack_is_away_after_half_a_minute_and_three_cycles(
    pack: Pack, interval: float, away: float
) -> None:
    master = known(pack, interval=interval)
    master.disconnected(0.5)
    assert master.advance(0.4 + away - 0.001) == Step(b"", 0.4 + away, ())
    assert master.advance(0.4 + away).events == (GONE,)
    assert master.advance(1000.0) == Step(b"", NEVER, ())


def test_a_connection_that_is_lost_late_tells_that_the_pack_is_away(pack: Pack) -> None:
    assert known(pack).disconnected(30.3) == ()
    assert known(pack).disconnected(30.5) == (GONE,)


def test_live_values_that_cease_are_asked_for_every_five_seconds(pack: Pack) -> None:
    master = known(pack)
    assert master.advance(0.4).wake == pytest.approx(5.4)
    assert not master.advance(5.399).send
    assert master.advance(5.4).send == ASK_SETTINGS
    settings = pack.frame(SimBlock.SETTINGS) + READY
    # It answers, and the live values do not come all the same.
    assert master.advance(5.5, settings).wake == pytest.approx(10.4)
    assert not master.advance(10.399).send
    assert master.advance(10.401).send == ASK_SETTINGS
    # Live values that are not needed yet are live values.
    master.advance(10.5, settings)
    master.advance(11.0, pack.frame(SimBlock.LIVE))
    assert master.advance(11.1, pack.frame(SimBlock.LIVE)).events == ()
    assert master.advance(11.1).wake == pytest.approx(16.1)


def test_where_orders_go_unanswered_the_stream_is_not_asked_for_besides() -> None:
    link = link_to()
    link.gatt.mute = True
    link.run(10.0)
    assert [(t, r) for t, r, _ in link.gatt.orders] == [
        (100.0, 0x97),
        (103.0, 0x96),
        (106.0, 0x97),
    ]


# -- the end of a connection ------------------------------------------------------------


def test_a_connection_without_a_frame_is_given_up_after_45_seconds() -> None:
    master = connected()
    steps = {now: master.advance(now).anew for now in (0.0, 44.999, 45.0)}
    assert steps == {0.0: False, 44.999: False, 45.0: True}
    master.connected(100.0)
    assert not master.advance(144.999).anew
    assert master.advance(145.0).anew


def test_the_last_frame_counts_if_it_came_over_this_connection(pack: Pack) -> None:
    master = known(pack)
    master.advance(2.0, pack.frame(SimBlock.LIVE))
    assert master.framed == 2.0
    told = [master.advance(now).anew for now in (46.999, 47.0)]
    # Text, words and pieces prove nothing.
    master.advance(48.0, b"AT\r\n")
    master.advance(48.1, READY)
    assert master.framed == 2.0
    master.disconnected(49.0)
    told.append(master.advance(50.0).anew)
    master.connected(60.0)
    told += [master.advance(now).anew for now in (104.999, 105.0)]
    assert told == [False, True, False, False, True]


@pytest.mark.parametrize("told", [False, True])
def test_a_new_connection_begins_with_who_it_is(pack: Pack, told: bool) -> None:
    master = known(pack)
    station = master.stations[ADDRESS]
    station.misses = 4
    master.ask_for((Block.SETTINGS,), 0.5)
    assert master.advance(0.5, pack.frame(SimBlock.LIVE)[:100]).send == ASK_SETTINGS
    if told:
        master.disconnected(0.6)
        assert master.framer.discarded == 100
        # Nothing is awaited any more but that it counts as away.
        assert master.advance(7.9) == Step(b"", 30.4, ())
    master.connected(8.0)
    assert master.framer.discarded == 100
    assert station.misses == 0
    assert station.due == {Block.DEVICE: 8.0, Block.SETTINGS: 8.001}
    assert master.advance(8.0).send == ASK_DEVICE
    assert station.counts.timeouts == 0


def test_the_rest_of_a_frame_is_waited_for_two_seconds(pack: Pack) -> None:
    master = known(pack)
    live = pack.frame(SimBlock.LIVE)
    assert master.advance(1.0, live[:200]).wake == pytest.approx(3.0)
    assert master.advance(1.5, live[200:220]).wake == pytest.approx(3.5)
    lost = []
    for now in (3.499, 3.5):
        master.advance(now)
        lost.append(master.framer.discarded)
    assert lost == [0, 220]


# -- changes ----------------------------------------------------------------------------


def wish(key: str, value: Any) -> Change:
    return Change(ADDRESS, BY_KEY[key], value)


def test_nothing_is_changed_before_the_layout_is_known_and_that_is_told_once() -> None:
    master = connected()
    change = wish("balancer", False)
    both = Transaction((change,))
    master.submit(change)
    master.submit(both)
    one, other = master.advance(0.0).events
    assert isinstance(one, Written)
    assert one.change is change
    assert one.result.outcome is Outcome.UNREACHABLE
    assert isinstance(other, Settled)
    assert other.transaction is both
    assert master.advance(0.1).events == ()


def test_settings_alone_do_not_tell_the_layout(pack: Pack) -> None:
    master = connected()
    master.advance(0.0)
    master.advance(0.1, pack.frame(SimBlock.DEVICE) + READY)
    master.advance(0.2, pack.frame(SimBlock.SETTINGS) + READY)
    master.submit(wish("balancer", False))
    (ended,) = master.advance(0.3).events
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.UNREACHABLE


def test_a_change_takes_its_time_step_by_step(pack: Pack) -> None:
    """ble.md 2: read, written, and read again 0.4 s after the word of having taken it."""
    master = known(pack)
    master.submit(wish("charging_switch", False))
    settings = pack.frame(SimBlock.SETTINGS) + READY
    assert master.advance(1.0).send == ASK_SETTINGS
    step = master.advance(1.1, settings)
    assert step.send == CHARGE_OFF
    assert step.wake == pytest.approx(3.1)
    step = master.advance(1.3, READY)
    assert step.send == b""
    assert step.wake == pytest.approx(1.7)
    assert not master.advance(1.6999).send
    assert master.advance(1.7001).send == ASK_SETTINGS
    pack.set("charge_switch", 0)
    off = pack.frame(SimBlock.SETTINGS) + READY
    # A switch that has moved is said twice.
    assert master.advance(1.8, off).send == ASK_SETTINGS
    *_, ended = master.advance(1.9, off).events
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.PROVEN


def test_a_refusal_is_told_with_its_number(pack: Pack) -> None:
    master = known(pack)
    master.submit(wish("charging_switch", False))
    settings = pack.frame(SimBlock.SETTINGS) + READY
    assert master.advance(1.0).send == ASK_SETTINGS
    assert master.advance(1.1, settings).send[4] == 0x1D
    no = bytearray.fromhex("AA5590EBC8020201") + bytes(11)
    no.append(sum(no) % 256)
    now = 1.2
    events = [*master.advance(now, bytes(no)).events]
    for _ in range(100):
        step = master.advance(now)
        events += step.events
        if step.send == ASK_SETTINGS:
            events += master.advance(now + 0.1, settings).events
        now = max(now + 0.1, min(step.wake, now + 0.5))
    (ended,) = [event for event in events if isinstance(event, Written)]
    assert (ended.result.outcome, ended.result.code) == (Outcome.REFUSED, 0x0102)


def test_a_change_that_is_not_acknowledged_is_no_timeout_of_a_frame() -> None:
    link = settled(link_to())
    link.gatt.unheard = 1
    before = link.station.counts.timeouts
    assert link.write("balancer", False).result.outcome is Outcome.PROVEN
    assert link.station.counts.timeouts == before
    assert link.station.misses == 0
