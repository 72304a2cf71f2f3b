"""How far values may go before an answer of `4E 57` has to be said twice: both sides."""

from typing import Any

import pytest

from custom_components.jkbms.protocol.pacing import SERIAL, Patience
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.ttl.station import TtlStation

from .answers import E1, E2, E3, changed, content, values


def known(of: bytes = E1, /, **changes: str) -> TtlStation:
    """Return a station that has believed an answer at 0."""
    it = TtlStation(0, gone_after=30.0, cycle=1.0, due=0.0, patience=Patience(SERIAL))
    assert it.take(said(of, **changes), 0.0) is not None
    return it


def said(of: bytes = E1, /, **changes: str) -> dict[str, Any]:
    """Return an answer with values by their ids, as `x85="28"`."""
    return values(changed(content(of), {int(k[1:], 16): v for k, v in changes.items()}))


def with_cells(*millivolts: int, total: int) -> dict[str, Any]:
    """Return an answer with other cells and another voltage, in 10 mV."""
    whole = bytearray(content(E1))
    for number, told in enumerate(millivolts):
        whole[3 + 3 * number : 5 + 3 * number] = told.to_bytes(2, "big")
    return values(changed(bytes(whole), {0x83: f"{total:04x}"}))


# -- what follows, and what is not known yet ------------------------------------------


@pytest.mark.parametrize(
    ("of", "percent", "capacity", "left"),
    [
        (E1, "3C", "0000006E", 66.0),
        (E2, "0F", "0000000E", 2.1),
        (E3, "64", "000000EA", 234.0),
        (E1, "07", "00000013", 1.33),
        (E1, "00", "0000006E", 0.0),
    ],
)
def test_what_is_left_is_the_share_of_the_capacity(
    of: bytes, percent: str, capacity: str, left: float
) -> None:
    """It is not transmitted (ttl4e57.md 4)."""
    it = known(of, x87="0001", x85=percent, xAA=capacity)
    assert it.state.values["capacity_remaining"] == left


@pytest.mark.parametrize("gone", ["x85", "xAA"])
def test_what_is_left_needs_both(gone: str) -> None:
    it = known(**{gone: ""})
    assert it.state.values["capacity_remaining"] is None
    assert it.features is not None
    assert it.features.keys is not None
    assert "capacity_remaining" not in it.features.keys


def test_0_is_not_shown_for_20_seconds() -> None:
    """16 s were measured (ttl4e57.md 1)."""
    zero = {"x85": "00", "x87": "0000"}
    it = known(**zero)
    keys = (
        "state_of_charge",
        "charging_cycles",
        "total_charging_cycle_capacity",
        "capacity_remaining",
    )
    for now in (10.0, 19.999):
        assert it.take(said(**zero), now) is not None
        assert [it.state.values[key] for key in keys] == [None] * 4
    # Now it has a value, and that is said twice.
    assert it.take(said(**zero), 20.0) is None
    assert it.take(said(**zero), 20.1) is not None
    assert [it.state.values[key] for key in keys] == [0] * 4


def test_the_20_seconds_begin_anew_with_each_start() -> None:
    zero = {"x85": "00", "x87": "0000"}
    it = known(**zero)
    shown = []
    for now, told in ((10.1, said()), (44.9, said(**zero))):
        it.take(told, now - 0.1)
        it.take(told, now)
        shown.append(it.state.values["state_of_charge"])
    assert shown == [60, None]
    it.take(said(**zero), 44.95)
    it.begin()
    assert it.take(said(**zero), 50.0) is not None
    assert it.take(said(**zero), 69.9) is not None
    assert it.take(said(**zero), 70.0) is None


@pytest.mark.parametrize(
    ("percent", "cycles"), [("00", "0007"), ("3C", "0000"), ("01", "0000")]
)
def test_one_of_both_that_is_not_0_makes_both_known(percent: str, cycles: str) -> None:
    it = known(x85=percent, x87=cycles)
    assert it.state.values["state_of_charge"] == int(percent, 16)
    assert it.state.values["charging_cycles"] == int(cycles, 16)


def test_throughput_that_is_told_while_it_starts_is_shown() -> None:
    it = known(x85="00", x87="0000", x89="00000005")
    assert it.state.values["total_charging_cycle_capacity"] == 5
    assert it.state.values["state_of_charge"] is None


def test_values_of_a_start_are_known_to_come() -> None:
    it = known(x85="00", x87="0000")
    assert it.features is not None
    assert it.features.keys is not None
    assert set(it.features.keys) >= {
        "state_of_charge",
        "charging_cycles",
        "total_charging_cycle_capacity",
        "capacity_remaining",
    }
    assert "state_of_health" not in it.features.keys


# -- how far ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ({"x85": "3A"}, {"x85": "39"}),
        ({"x85": "3E"}, {"x85": "3F"}),
        ({"x80": "001B"}, {"x80": "001C"}),
        ({"x81": "0010"}, {"x81": "000F"}),
        ({"x84": "09C4"}, {"x84": "09C5"}),
        ({"x87": "0001"}, {"x87": "0002"}),
        ({"x89": "00000001"}, {"x89": "00000002"}),
        # Balancing comes and goes by itself, what conducts does not.
        ({"x8C": "0007"}, {"x8C": "0002"}),
        ({"x8C": "000B"}, {"x8C": "0001"}),
        ({"xB6": "00000E86"}, {"xB6": "00000E87"}),
    ],
)
def test_a_value_may_go_so_far_and_no_further(
    near: dict[str, str], far: dict[str, str]
) -> None:
    it = known()
    assert it.take(said(**near), 0.1) is not None
    it = known()
    assert it.take(said(**far), 0.1) is None
    assert it.state.rejected == {Implausible.UNCONFIRMED: 1}


@pytest.mark.parametrize(("elapsed", "believed"), [(45.0, True), (44.9, False)])
def test_the_run_time_goes_no_faster_than_the_clock(
    elapsed: float, believed: bool
) -> None:
    """Two minutes are told, and 75 s more than have passed are allowed."""
    it = known()
    assert (it.take(said(xB6="00000E87"), elapsed) is not None) is believed


STEADY = {
    **{f"x{code:02X}": "0001" for code in range(0x8E, 0x9D)},
    **{f"x{code:02X}": "0001" for code in range(0x9E, 0xA9)},
    "x86": "03",
    "x8A": "0011",
    "x8B": "0001",
    "x9D": "00",
    "xA9": "11",
    "xAA": "0000006F",
    "xAB": "00",
    "xAC": "00",
    "xAD": "0419",
    "xAE": "02",
    "xAF": "01",
    "xB0": "000B",
    "xB1": "15",
    "xB3": "01",
    "xB4": "42726D696E735F5F",
    "xB5": "32333038",
    "xB7": "31312E58575F5331312E32375F5F5F",
    "xB8": "01",
    "xB9": "0000006F",
    "xC0": "00",
}


@pytest.mark.parametrize("code", sorted(STEADY))
def test_what_stays_the_same_for_hours_is_said_twice(code: str) -> None:
    it = known()
    other = said(**{code: STEADY[code]})
    assert it.take(other, 1.0) is None
    assert it.take(other, 1.1) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"x80": "0017"},
        {"x81": "0016"},
        {"x82": "0017"},
        {"x85": "3B"},
        {"x87": "0001"},
        {"x89": "00000001"},
        {"x84": "00C9"},
        {"x84": "80C9"},
    ],
)
def test_on_a_noisy_line_small_steps_are_said_twice_too(
    change: dict[str, str],
) -> None:
    it = known()
    assert it.take(said(**change), 1.0) is not None
    it = known()
    assert it.take(said(**change), 1.0, noisy=True) is None
    assert it.take(said(**change), 1.1, noisy=True) is not None


@pytest.mark.parametrize("raw", ["00C8", "80C8", "0001"])
def test_two_amperes_more_or_less_are_no_noise(raw: str) -> None:
    assert known().take(said(x84=raw), 1.0, noisy=True) is not None


CELLS = (
    3270, 3262, 3271, 3271, 3271, 3269, 3270, 3271,
    3266, 3266, 3266, 3266, 3265, 3265, 3265, 3265,
)  # fmt: skip


def moved(*steps: int) -> tuple[int, ...]:
    whole = (*steps, *[0] * (len(CELLS) - len(steps)))
    return tuple(cell + step for cell, step in zip(CELLS, whole, strict=True))


@pytest.mark.parametrize(
    ("cells", "total", "believed"),
    [
        (CELLS, 5231, True),
        (CELLS, 5232, False),
        (CELLS, 5225, True),
        (CELLS, 5224, False),
        # One up and one down: the mean stays where it was.
        (moved(6, -6), 5228, True),
        (moved(7, -7), 5228, False),
        (moved(-7, 7), 5228, False),
        # All of them, and the pack with them, or without.
        (moved(*[10] * 16), 5244, True),
        (moved(*[10] * 16), 5247, True),
        (moved(*[10] * 16), 5248, False),
        (moved(*[-10] * 16), 5212, True),
        (moved(*[-10] * 16), 5208, False),
    ],
)
def test_on_a_noisy_line_cells_and_pack_move_together(
    cells: tuple[int, ...], total: int, believed: bool
) -> None:
    it = known()
    told = with_cells(*cells, total=total)
    assert (it.take(told, 1.0, noisy=True) is not None) is believed
    assert known().take(told, 1.0) is not None


@pytest.mark.parametrize(("of", "then"), [(E2, E1), (E1, E2)])
def test_on_a_noisy_line_another_number_of_cells_is_said_twice(
    of: bytes, then: bytes
) -> None:
    it = known(of)
    assert it.take(said(then), 1.0, noisy=True) is None
    assert it.waits or it.state.rejected[Implausible.COUNTER_FELL]


# -- how often -------------------------------------------------------------------------


def turns(it: TtlStation, *answers: dict[str, Any]) -> list[bool]:
    """Return which of some answers that follow each other are believed."""
    return [it.take(a, 1.0 + n / 10) is not None for n, a in enumerate(answers)]


def test_what_is_never_the_same_is_believed_from_the_third_time_on() -> None:
    answers = [said(xAD=f"{turn:04x}") for turn in range(5)]
    assert turns(known(), *answers) == [False, False, True, True, True]


def test_what_is_believed_between_ends_the_counting() -> None:
    one, two, three, four = (said(xAD=f"{turn:04x}") for turn in range(4))
    believed = turns(known(), one, two, said(), three, four)
    assert believed == [False, False, True, False, False]


def test_a_second_doubt_is_said_twice_for_itself() -> None:
    low, low_and_hot = said(x85="28"), said(x85="28", x80="0050")
    it = known()
    assert turns(it, low, low_and_hot, low_and_hot) == [False, False, True]
    assert it.state.values["power_tube_temperature"] == 80


@pytest.mark.parametrize(
    "fallen",
    [{"x87": "0001"}, {"x87": "0018"}, {"x89": "000016D9"}, {"xB6": "000182E2"}],
)
def test_a_counter_has_to_fall_three_times_in_a_row(fallen: dict[str, str]) -> None:
    less = said(E3, **fallen)
    believed = turns(known(E3), less, less, said(E3), less, less, less)
    assert believed == [False, False, True, False, False, True]


def test_a_counter_that_falls_elsewhere_begins_to_count_anew() -> None:
    it = known(E3)
    one, other = said(E3, x87="0001"), said(E3, x87="0005")
    assert turns(it, one, other, other, other) == [False, False, False, True]


def test_what_stands_beside_a_fallen_counter_is_the_same_each_time() -> None:
    less, hot = said(E3, x87="0001"), said(E3, x87="0001", x80="0050")
    assert turns(known(E3), hot, less, less, less) == [False, False, False, True]


def test_a_fallen_counter_does_not_carry_anything_else_along() -> None:
    it = known(E3)
    less, hot = said(E3, x87="0001"), said(E3, x87="0001", x80="0050")
    assert turns(it, less, less, hot, hot, hot) == [False, False, False, False, True]


def test_what_cannot_be_true_is_never_said_often_enough() -> None:
    it = known()
    assert turns(it, *[said(x85="65")] * 5) == [False] * 5
    assert it.state.rejected == {Implausible.STATE_OF_CHARGE: 5}
    assert not it.waits


def test_damage_between_two_that_agree_has_them_said_anew() -> None:
    it = known()
    low, wrong = said(x85="28"), said(x85="65")
    assert turns(it, low, wrong, low) == [False, False, True]


@pytest.mark.parametrize(("misses", "alive"), [(0, True), (2, True), (3, False)])
def test_three_requests_without_an_answer_are_silence(misses: int, alive: bool) -> None:
    it = known()
    it.misses = misses
    assert it.alive is alive


def test_what_has_changed_is_told_and_nothing_else() -> None:
    it = known()
    update = it.take(said(x84="00C8"), 1.0)
    assert update is not None
    assert update.changed == {"current", "power", "discharging_power"}
    assert it.state.values["power"] == pytest.approx(-104.56)
    assert set(it.state.seen.values()) == {1.0}
