"""When a line of `4E 57` is asked, waited for and left alone: to the millisecond."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import (
    Availability,
    ForeignMaster,
    Resumed,
    Step,
    Written,
)
from custom_components.jkbms.protocol.ttl.frames import Message, read_all
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change

from .answers import E1, answer, changed, content
from .bus import Bus, bus_of

READ = bytes.fromhex("4E570013000000000603000000000000680000 0129")
ACTIVATE = bytes.fromhex("4E570013000000000103000000000000680000 0124")
PAIR = bytes.fromhex("4E57001400000000050200000000000000680000 0128")
CHARGE_OFF = bytes.fromhex("4E57001400000000020200AB0000000000680000 01D0")
DONE = Message(0, 2, 0, 1, b"\xab").encode()
NEVER = float("inf")


def master_of(*terminals: int, interval: float = 5.0) -> TtlMaster:
    """Return a machine on a link that was opened at 0."""
    master = TtlMaster(terminals or (0,), SERIAL, 0.0, interval=interval)
    master.connected(0.0)
    return master


def asked(interval: float = 5.0) -> TtlMaster:
    """Return a machine that has asked at 0.1."""
    master = master_of(interval=interval)
    assert master.advance(0.1).send == READ
    return master


def sent(bus: Bus) -> list[tuple[float, bytes]]:
    """Return what was sent and when, counted from the start."""
    return [(round(t - 100.0, 6), m.encode()) for t, m in bus.sent]


def silent(interval: float, seconds: float) -> Bus:
    """Return a line on which nobody has answered for some time."""
    bus = bus_of(interval=interval)
    bus.line.bank[0].present = False
    bus.run(seconds)
    return bus


# -- asking ---------------------------------------------------------------------------


def test_nothing_is_sent_before_the_link_is_open() -> None:
    master = TtlMaster((0,), SERIAL, 0.0, interval=5.0)
    assert master.advance(1.0) == Step(b"", NEVER, ())
    asking = [master.asking]
    master.connected(2.0)
    assert [*asking, master.asking] == [False, True]
    assert master.advance(2.1).send == READ


def test_a_tenth_of_a_second_of_quiet_comes_before_each_request() -> None:
    """ttl4e57.md 1."""
    master = master_of(interval=0.2)
    assert master.advance(0.0) == Step(b"", 0.1, ())
    assert not master.advance(0.0999).send
    step = master.advance(0.1)
    assert (step.send, step.wake) == (READ, 0.6)
    # It is due again at 0.2.
    step = master.advance(0.35, E1)
    assert step.send == b""
    assert step.wake == pytest.approx(0.45)
    assert not master.advance(0.4499).send
    assert master.advance(0.45).send == READ


def test_requests_keep_to_their_beat() -> None:
    bus = bus_of(interval=2.0)
    bus.run(7.0)
    assert sent(bus) == [(0.1, READ), (2.0, READ), (4.0, READ), (6.0, READ)]


@pytest.mark.parametrize(
    ("answered", "again"), [(0.2, 0.8), (0.4, 0.8), (0.45, 0.85), (0.55, 0.95)]
)
def test_a_late_answer_is_followed_by_half_an_interval_at_least(
    answered: float, again: float
) -> None:
    master = asked(0.8)
    assert master.advance(answered, E1).wake == pytest.approx(again)
    assert not master.advance(again - 0.001).send
    assert master.advance(again + 1e-9).send == READ


def test_how_long_an_answer_took_says_how_long_to_wait() -> None:
    master = asked()
    station = master.stations[0]
    assert station.patience.timeout == 0.5
    master.advance(0.35, E1)
    assert station.patience.worst == pytest.approx(0.25)
    assert station.patience.timeout == pytest.approx(0.77)
    assert (station.heard, station.misses, station.counts.ok) == (0.35, 0, 1)


def test_who_is_due_longest_is_asked_first() -> None:
    master = master_of(1, 2, 3)
    for terminal, due in ((1, 5.0), (2, 4.0), (3, 6.0)):
        master.stations[terminal].due = due
    assert master.advance(6.0).send[7] == 2


def test_asking_now_puts_nobody_off_who_is_due_already() -> None:
    master = master_of(1, 2)
    master.stations[1].due = 9.0
    master.stations[2].due = 3.0
    master.ask_now(4.0)
    assert [station.due for station in master.stations.values()] == [4.0, 3.0]
    # Three requests without an answer: it counts as asleep.
    master.stations[1].misses, master.stations[1].due = 3, 9.0
    master.ask_now(5.0)
    assert master.stations[1].due == 9.0


# -- no answer ------------------------------------------------------------------------


def test_a_request_counts_as_lost_after_half_a_second() -> None:
    master = asked()
    counts = master.stations[0].counts
    assert master.advance(0.5999).wake == 0.6
    assert counts.timeouts == 0
    assert master.advance(0.6).send == READ
    assert (counts.timeouts, counts.damaged) == (1, 0)
    assert master.stations[0].misses == 1


@pytest.mark.parametrize(
    ("interval", "pause"), [(0.2, 1.0), (0.5, 1.0), (2.0, 4.0), (15.0, 30.0), (40, 30)]
)
def test_who_misses_three_requests_is_woken_and_asked_every_other_cycle(
    interval: float, pause: float
) -> None:
    bus = silent(interval, 2.2 + 2 * pause + 0.6)
    woken = 1.6 + pause
    assert sent(bus) == [
        (0.1, READ),
        (0.6, READ),
        (1.1, READ),
        (woken, ACTIVATE),
        (woken + 0.5, READ),
        (woken + 1.0 + pause, READ),
    ]


def test_a_terminal_that_is_added_has_three_tries_too() -> None:
    bus = bus_of(1, interval=60.0)
    bus.run(1.0)
    station = bus.master.add(2, bus.now)
    assert (station.misses, station.cycle, station.gone_after) == (0, 60.0, 30.0)
    bus.run(3.0)
    assert [
        (m.command, round(t - 101.0, 6)) for t, m in bus.sent if m.terminal == 2
    ] == [(6, 0.0), (6, 0.5), (6, 1.0)]


@pytest.mark.parametrize(("interval", "after"), [(2.75, 600.5), (2.745, 605.49)])
def test_who_sleeps_on_is_woken_every_ten_minutes(
    interval: float, after: float
) -> None:
    """The first is due just after ten minutes, the other just before."""
    bus = silent(interval, 620.0)
    first, second = (t for t, m in bus.sent if m.command == 1)
    assert second - first == pytest.approx(after)


@pytest.mark.parametrize(("now", "sent"), [(609.999, READ), (610.0, ACTIVATE)])
def test_ten_minutes_after_it_was_woken_it_is_woken_again(
    now: float, sent: bytes
) -> None:
    master = master_of()
    master.stations[0].misses, master.stations[0].woken = 3, 10.0
    assert master.advance(now).send == sent
    assert master.stations[0].woken == (now if sent == ACTIVATE else 10.0)


def test_who_was_woken_is_not_asked_before_half_a_second() -> None:
    bus = silent(5.0, 11.6)
    bus.line.bank[0].present = True
    bus.run(2.0)
    # Its word for being awake comes before, and is not waited for.
    assert sent(bus)[3:] == [(11.6, ACTIVATE), (12.1, READ)]
    assert bus.station().counts.timeouts == 3
    assert bus.station().available


def test_an_answer_that_breaks_off_is_given_up_after_a_tenth_of_a_second() -> None:
    master = asked()
    station = master.stations[0]
    assert master.advance(0.2, E1[:100]).wake == pytest.approx(0.3)
    assert master.advance(0.25, E1[100:120]).wake == pytest.approx(0.35)
    master.advance(0.3499)
    assert (station.counts.damaged, master.framer.discarded) == (0, 0)
    master.advance(0.3501)
    assert (station.counts.damaged, station.counts.timeouts) == (1, 0)
    assert master.framer.discarded == 120
    assert (station.misses, station.heard) == (1, None)


def test_bytes_that_nobody_asked_for_are_given_up_too() -> None:
    master = asked()
    master.advance(0.2, E1)
    assert master.advance(1.0, E1[:100]).wake == pytest.approx(1.1)
    master.advance(1.0999)
    discarded = [master.framer.discarded]
    assert master.advance(1.1001).wake == 5.0
    assert [*discarded, master.framer.discarded] == [0, 100]


def test_what_has_to_be_said_twice_is_asked_for_at_once() -> None:
    master = asked()
    master.advance(0.2, E1)
    assert master.advance(5.0).send == READ
    other = answer(changed(content(), {0x85: "28"}))
    station = master.stations[0]
    assert master.advance(5.1, other).wake == pytest.approx(5.2)
    assert station.waits
    assert (station.misses, station.heard) == (0, 5.1)
    assert (station.counts.ok, station.counts.implausible) == (1, 0)
    assert master.advance(5.2).send == READ
    master.advance(5.3, other)
    assert station.state.values["state_of_charge"] == 40
    assert (station.counts.ok, station.counts.implausible) == (2, 0)
    assert station.state.seen[Block.LIVE] == 5.3


def test_what_cannot_be_true_is_a_miss() -> None:
    master = asked()
    master.advance(0.2, E1)
    assert master.advance(5.0).send == READ
    station = master.stations[0]
    for turn in (1, 2, 3):
        now = 5.0 + turn / 5
        wrong = answer(changed(content(), {0x85: "65"}))
        wake = master.advance(now, wrong).wake
        assert (station.misses, station.counts.implausible) == (turn, turn)
        assert station.heard == 0.2
        # Then it is asked every other cycle.
        assert wake == pytest.approx(now + 0.1 if turn < 3 else now + 10.0)
        assert bool(master.advance(now + 0.1).send) is (turn < 3)


def test_what_is_whole_and_no_answer_is_a_miss() -> None:
    master = asked()
    station = master.stations[0]
    assert master.advance(0.2, answer(b"\x79\x04")).wake == pytest.approx(0.3)
    assert (station.misses, station.heard) == (1, None)
    assert (station.counts.damaged, station.counts.timeouts) == (1, 0)


@pytest.mark.parametrize("transport", [1, 2])
def test_only_a_late_answer_lets_others_be_waited_for_longer(transport: int) -> None:
    master = master_of(1, 2)
    said = Message(2, 6, 0, transport, content()).encode()
    assert master.advance(0.1).send[7] == 1
    # One is awaited: whose answer this is, nobody knows.
    master.advance(0.15, said)
    assert master.stations[2].patience.worst is None
    master.remove(1)
    master.advance(0.2, said)
    assert master.stations[2].patience.worst == (1.0 if transport == 1 else None)


# -- coming and going -----------------------------------------------------------------


def test_the_cycle_is_the_time_between_the_last_two_answers() -> None:
    master = asked()
    station = master.stations[0]
    cycles = [station.cycle]
    for sent, heard in ((0.1, 0.2), (5.0, 5.3), (10.0, 10.1)):
        master.advance(sent)
        master.advance(heard, E1)
        cycles.append(station.cycle)
    # What was slow once makes the next one no quicker than is planned.
    assert cycles == [pytest.approx(c) for c in (5.0, 5.0, 5.1, 5.0)]


def test_what_is_asked_for_in_between_makes_nobody_away() -> None:
    bus = bus_of(0, interval=60.0)
    bus.run(130)
    for _ in range(2):
        bus.master.ask_now(bus.now)
        bus.run(3)
    bus.run(600)
    told = [e for _, e in bus.events if isinstance(e, Availability)]
    assert told == [Availability(0, True)]


@pytest.mark.parametrize(("interval", "away"), [(5.0, 30.0), (10.0, 30.0), (15.0, 45)])
def test_a_pack_is_away_after_half_a_minute_and_three_cycles(
    interval: float, away: float
) -> None:
    master = asked(interval)
    assert master.advance(0.2, E1).events[-1] == Availability(0, True)
    gone = (Availability(0, False),)
    assert master.disconnected(0.2 + away - 0.001) == ()
    assert master.advance(0.2 + away - 0.001).wake == pytest.approx(0.2 + away)
    assert master.advance(0.2 + away + 1e-9).events == gone
    assert master.advance(300.0) == Step(b"", NEVER, ())


def test_a_link_that_is_lost_late_tells_who_is_away() -> None:
    master = asked()
    master.advance(0.2, E1)
    assert master.disconnected(30.3) == (Availability(0, False),)


def test_a_new_link_is_asked_at_once_and_owes_nothing() -> None:
    bus = silent(15.0, 5.0)
    station = bus.station()
    assert station.misses == 3
    bus.master.disconnected(bus.now)
    bus.master.connected(bus.now)
    assert (station.misses, station.due) == (0, 105.0)
    bus.run(1.2)
    assert sent(bus)[3:] == [(5.1, READ), (5.6, READ), (6.1, READ)]


@pytest.mark.parametrize("told", [False, True])
def test_a_beginning_from_another_link_is_no_part_of_an_answer(told: bool) -> None:
    master = asked()
    master.advance(0.2, E1[:100])
    if told:
        assert master.disconnected(0.21) == ()
        assert master.advance(0.21) == Step(b"", NEVER, ())
    master.connected(0.22)
    assert master.framer.discarded == 100
    assert master.advance(0.32).send == READ
    # Nobody answers on the new one what was asked on the other.
    assert (master.stations[0].misses, master.stations[0].counts.damaged) == (0, 0)
    master.advance(0.4, E1)
    assert (master.stations[0].counts.ok, master.framer.discarded) == (1, 100)


def test_who_is_removed_takes_nothing_of_the_others_along() -> None:
    master = master_of(1, 2)
    for terminal in (1, 2):
        master.submit(Change(terminal, BY_KEY["charging_switch"], False))
    assert master.advance(0.1).send[7] == 1
    master.remove(2)
    (ended,) = master.advance(0.15).events
    assert isinstance(ended, Written)
    assert (ended.change.address, ended.result.outcome) == (2, Outcome.UNREACHABLE)
    assert master.advance(0.16).events == ()
    master.advance(0.2, answer(content(), terminal=1))
    assert (master.stations[1].counts.ok, master.stations[1].counts.timeouts) == (1, 0)
    # The change of the other one goes on.
    assert master.advance(0.31).send[7:9] == b"\x01\x05"


def test_a_request_keeps_its_distance_from_one_that_was_given_up() -> None:
    master = master_of(1, 2)
    assert master.advance(0.1).send[7] == 1
    master.remove(1)
    step = master.advance(0.11)
    assert step.send == b""
    assert step.wake == pytest.approx(0.2)
    assert master.advance(0.2).send[7] == 2


# -- another one asks -----------------------------------------------------------------


def test_whose_request_is_heard_is_told() -> None:
    master = asked()
    master.advance(0.2, E1)
    step = master.advance(1.0, read_all(7).encode())
    assert step.events == (ForeignMaster(7),)
    # It is asked no more, and goes when nobody else lets it speak.
    assert step.wake == pytest.approx(30.2)


def test_a_request_that_comes_back_twice_is_somebody_elses() -> None:
    master = asked()
    assert master.advance(0.11, READ).events == ()
    assert master.asking
    assert master.advance(0.12, READ).events == (ForeignMaster(0),)
    assert not master.asking


def test_another_request_while_an_answer_is_awaited_is_somebody_elses() -> None:
    master = asked()
    assert master.advance(0.11, PAIR).events == (ForeignMaster(0),)


def test_a_request_that_only_comes_back_is_a_timeout() -> None:
    master = asked()
    counts = master.stations[0].counts
    # It is awaited no longer for it.
    assert master.advance(0.11, READ).wake == 0.6
    master.advance(0.6)
    assert (counts.timeouts, counts.damaged) == (1, 0)


def returning() -> TtlMaster:
    """Return a machine that has fallen silent at 1, to ask again after a minute."""
    master = TtlMaster((0,), SERIAL, 0.0, interval=5.0, return_after=60.0)
    master.connected(0.0)
    assert master.advance(1.0, read_all(0).encode()).wake == 61.0
    return master


def test_it_asks_again_a_minute_after_the_last_request_of_another() -> None:
    master = returning()
    assert master.advance(60.999) == Step(b"", 61.0, ())
    step = master.advance(61.0)
    assert step.events == (Resumed(),)
    assert master.asking
    assert step.wake == pytest.approx(61.1)
    assert master.advance(61.1).send == READ


@pytest.mark.parametrize("said", [read_all(3).encode(), E1, answer(content(), 9)])
def test_what_is_heard_meanwhile_puts_that_off(said: bytes) -> None:
    master = returning()
    master.advance(41.0, said)
    assert master.advance(100.999).events in ((), (Availability(0, False),))
    assert not master.asking
    assert master.advance(101.0).events == (Resumed(),)


def test_what_was_cut_short_before_it_asks_again_is_no_part_of_an_answer() -> None:
    master = returning()
    master.advance(60.99, E1[:100])
    assert master.advance(61.0).events == (Resumed(),)
    assert master.framer.discarded == 100


def test_a_link_that_is_down_does_not_tell_that_the_other_is_gone() -> None:
    master = returning()
    master.disconnected(10.0)
    assert master.advance(500.0) == Step(b"", NEVER, ())
    master.connected(500.0)
    assert not master.asking
    assert master.advance(559.999) == Step(b"", 560.0, ())
    assert master.advance(560.0).events == (Resumed(),)


def test_who_does_not_want_to_return_stays_silent() -> None:
    master = asked()
    step = master.advance(0.2, PAIR)
    assert step.wake == NEVER
    assert master.advance(1e6) == Step(b"", NEVER, ())


def test_what_others_are_told_besides_is_no_damage() -> None:
    master = returning()
    for number, said in enumerate((DONE, Message(0, 5, 0, 1, b"\0").encode())):
        assert master.advance(2.0 + number, said).events == ()
    assert master.stations[0].counts.damaged == 0
    assert master.advance(4.0, E1).events[-1] == Availability(0, True)
    assert master.stations[0].counts.ok == 1


# -- switching ------------------------------------------------------------------------


def test_a_switch_takes_its_time_step_by_step() -> None:
    """ttl4e57.md 6: the pairing, 150 ms, the write; then it is read."""
    master = asked()
    master.advance(0.2, E1)
    change = Change(0, BY_KEY["charging_switch"], False)
    master.submit(change)
    assert not master.advance(0.29).send
    assert master.advance(0.31).send == READ
    assert master.advance(0.4, E1).wake == pytest.approx(0.5)
    step = master.advance(0.51)
    assert step.send == PAIR
    assert step.wake == pytest.approx(0.66)
    master.advance(0.55, Message(0, 5, 0, 1, b"\0").encode())
    assert not master.advance(0.6599).send
    step = master.advance(0.67)
    assert step.send == CHARGE_OFF
    # The slowest answer of late took 0.0995 s: three times that, and 20 ms.
    assert step.wake == pytest.approx(0.67 + 0.3185)
    station = master.stations[0]
    step = master.advance(0.92, DONE)
    assert step.wake == pytest.approx(1.32)
    assert (station.heard, station.counts.ok) == (0.92, 2)
    # It took 0.25 s from the write, not from the pairing.
    assert station.patience.worst == pytest.approx(0.25)
    assert not master.advance(1.3199).send
    assert master.advance(1.33).send == READ
    off = answer(changed(content(), {0xAB: "00"}))
    assert not master.advance(1.4, off).events
    # A switch that has moved is said twice.
    assert master.advance(1.51).send == READ
    *_, ended = master.advance(1.6, off).events
    assert isinstance(ended, Written)
    assert ended.change is change
    assert (ended.result.before, ended.result.found) == (True, False)


def test_the_answer_to_another_write_is_not_the_answer() -> None:
    master = master_of()
    master.submit(Change(0, BY_KEY["charging_switch"], False))
    assert master.advance(0.1).send == READ
    master.advance(0.2, E1)
    assert master.advance(0.31).send == PAIR
    assert master.advance(0.5).send == CHARGE_OFF
    wake = master.advance(0.6, Message(0, 2, 0, 1, b"\xac").encode()).wake
    assert wake == pytest.approx(0.7)
    master.advance(0.71)
    assert master.stations[0].counts.damaged == 1


def test_changes_of_one_pack_are_made_in_their_order() -> None:
    bus = bus_of()
    bus.run(1.0)
    changes = [Change(0, BY_KEY["charging_switch"], on) for on in (False, True)]
    for change in changes:
        bus.master.submit(change)
    bus.run(10.0)
    told = [(e.change, e.result.outcome) for _, e in bus.of_type(Written)]
    assert told == [(change, Outcome.PROVEN) for change in changes]
    assert bus.commands().count(2) == 2
    assert bus.raw("charge_switch") == 1
