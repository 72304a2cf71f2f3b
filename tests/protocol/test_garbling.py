"""Two packs with one address: both answer at once, or by turns."""

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.garbling import Garbling
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Clash

from .bus import bus_of
from .helpers import answer_of, pack


def damage(garbling: Garbling, times: int, *, others_answer: bool = True) -> bool:
    for _ in range(times):
        garbling.was_damaged(others_answer=others_answer)
    return garbling.suspected


def test_ten_damaged_answers_in_a_row_are_suspicious() -> None:
    garbling = Garbling()
    assert not damage(garbling, 9)
    assert damage(garbling, 1)


def test_a_line_that_damages_everything_is_no_clash() -> None:
    assert not damage(Garbling(), 100, others_answer=False)


def test_silence_and_whole_answers_begin_the_row_anew() -> None:
    garbling = Garbling()
    damage(garbling, 9)
    garbling.was_silent()
    assert not damage(garbling, 9)
    garbling.was_whole()
    assert not damage(garbling, 9)


def test_one_whole_answer_is_not_the_end() -> None:
    garbling = Garbling()
    damage(garbling, 10)
    for _ in range(2):
        garbling.was_whole()
    assert garbling.suspected
    damage(garbling, 1)
    for _ in range(3):
        assert garbling.suspected
        garbling.was_whole()
    assert not garbling.suspected


def test_three_whole_answers_in_a_row_make_one_that_answers() -> None:
    garbling = Garbling()
    answers = []
    for _ in range(3):
        garbling.was_whole()
        answers.append(garbling.answers)
    assert answers == [False, False, True]
    garbling.was_silent()
    assert not garbling.answers


def test_two_packs_that_answer_at_once_are_told_and_so_is_the_end_of_it() -> None:
    bus = bus_of(1, 2, fault="duplicate:address=1")
    bus.run(600)
    assert [event for _, event in bus.of_type(Clash)] == [Clash(1, True)]
    assert bus.master.stations[1].clashing
    second = bus.line.bank.packs[-1]
    assert second.address == 1
    second.present = False
    bus.run(120)
    assert [event for _, event in bus.of_type(Clash)][1:] == [Clash(1, False)]
    assert bus.master.stations[1].available


def test_a_line_that_garbles_all_answers_tells_of_no_clash() -> None:
    bus = bus_of(1, 2, fault="flip:rate=0.02")
    bus.run(600)
    assert bus.of_type(Clash) == []


def test_two_packs_that_answer_by_turns_are_told() -> None:
    master = Master([1], Plan(live=5), SERIAL, 0.0)
    master.connected(0.0)
    now = 0.0
    told = []
    turn = 0
    while now < 120:
        now += 0.05
        step = master.advance(now)
        if step.send and step.send[3] == 0x20:
            other = turn % 2
            turn += 1
            speaker = pack(2 if other else 0, run_time=int(now) + 1000 + 50_000 * other)
            step = master.advance(now + 0.04, answer_of(speaker, Block.LIVE))
            told += [event for event in step.events if isinstance(event, Clash)]
        elif step.send:
            block = Block.DEVICE if step.send[3] == 0x1C else Block.SETTINGS
            master.advance(now + 0.04, answer_of(pack(), block))
    assert told == [Clash(1, True)]
