"""Two BMS that speak with one address by turns, and what only looks like it."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.continuity import goes_on
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.doubt import BELIEVED_AFTER
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.state import BmsState

from .helpers import frame_of, pack


def hears(
    state: BmsState, kind: int, now: float, block: Block = Block.LIVE, **raw: Any
) -> bool:
    """Let a pack of a kind speak, whose run time goes on; return whether it is believed."""
    made = pack(kind)
    ran = {name: made.number_of(name) + int(now) for name in ("run_time", "rtc")}
    made = pack(kind, **ran, **raw)
    return state.take_frame(frame_of(made, block), block, now) is not None


def by_turns(state: BmsState, first: int, other: int, start: float, end: int) -> None:
    for n in range(end):
        assert hears(state, first, start + 5.0 * n)
        assert not hears(state, other, start + 5.0 * n + 2)


@pytest.mark.parametrize(("first", "other"), [(0, 1), (1, 0)])
def test_two_bms_with_one_address_are_told_from_one(first: int, other: int) -> None:
    """Whichever has the lower counters: the first one is believed throughout."""
    state = BmsState()
    by_turns(state, first, other, 0.0, 3)
    assert not clashes(state)
    by_turns(state, first, other, 15.0, 2)
    assert clashes(state)
    assert (
        state.values["full_charge_capacity"] == (live_of(first)["full_charge_capacity"])
    )
    # The first one misses a turn, and more.
    for now in (30.0, 35.0, 40.0, 45.0):
        assert not hears(state, other, now)
    assert hears(state, first, 50.0)
    assert clashes(state)


def clashes(state: BmsState) -> bool:
    return state.clashing


def live_of(kind: int) -> Mapping[str, Any]:
    state = BmsState()
    assert hears(state, kind, 0.0)
    return state.values


def test_settings_are_not_those_of_the_other_bms() -> None:
    state = BmsState()
    assert hears(state, 0, 0.0, Block.SETTINGS)
    assert not hears(state, 1, 1.0, Block.SETTINGS)
    assert hears(state, 1, 2.0, Block.SETTINGS), "nothing tells of a second BMS yet"
    state = BmsState()
    assert hears(state, 0, 0.0, Block.SETTINGS)
    by_turns(state, 0, 1, 0.0, 5)
    assert clashes(state)
    for now in (25.0, 26.0, 27.0):
        assert not hears(state, 1, now, Block.SETTINGS)
    assert hears(state, 0, 28.0, Block.SETTINGS)
    assert hears(state, 0, 29.0, Block.DEVICE), "the first of a block is all there is"


def test_a_clash_is_over_when_the_other_is_gone() -> None:
    state = BmsState()
    by_turns(state, 0, 1, 0.0, 5)
    assert clashes(state)
    for now in range(25, 195, 5):
        assert hears(state, 0, now)
        assert clashes(state)
    for now in (200, 205, 210):
        assert hears(state, 0, now)
    assert not clashes(state)
    assert not hears(state, 1, 215.0)


def test_the_other_is_believed_when_the_first_is_gone() -> None:
    state = BmsState()
    by_turns(state, 0, 1, 0.0, 5)
    believed = [hears(state, 1, now) for now in range(25, 260, 5)]
    assert not any(believed[:30])
    assert believed[-1]
    assert not clashes(state)
    assert state.values["full_charge_capacity"] == live_of(1)["full_charge_capacity"]


def test_damage_does_not_hide_the_other_bms() -> None:
    state = BmsState()
    for n in range(5):
        assert hears(state, 0, 5.0 * n)
        assert not hears(state, 1, 5.0 * n + 2)
        assert not hears(state, 1, 5.0 * n + 3, full_capacity=77_000 + n)
    assert clashes(state)


@pytest.mark.parametrize(("first", "other"), [(0, 1), (1, 0)])
def test_a_replaced_board_is_no_clash(first: int, other: int) -> None:
    state = BmsState()
    for n in range(5):
        assert hears(state, first, 5.0 * n)
    believed = [hears(state, other, 25.0 + 5 * n) for n in range(6)]
    assert believed[3:] == [True] * 3
    assert not clashes(state)


def test_counters_that_are_reset_are_no_clash() -> None:
    state = BmsState()
    assert hears(state, 0, 0.0)
    zero: dict[str, Any] = {"cycled_capacity": 0, "cycles": 0}
    assert [hears(state, 0, 5.0 * n, **zero) for n in range(1, 6)] == [
        n >= BELIEVED_AFTER for n in range(1, 6)
    ]
    assert not clashes(state)


def test_a_pack_that_changes_by_turns_is_no_clash() -> None:
    """Its own run time goes on, whatever it says besides."""
    state = BmsState()
    for n in range(20):
        assert hears(state, 0, 10.0 * n)
        assert not hears(state, 0, 10.0 * n + 5, alarms=1 << 4, soc=90)
    assert not clashes(state)


def test_damage_is_no_clash() -> None:
    random = Random(5)
    state = BmsState()
    for n in range(300):
        hears(state, 0, 5.0 * n)
        made = pack(0, run_time=pack().number_of("run_time") + 5 * n)
        data = bytearray(frame_of(made, Block.LIVE).data)
        for _ in range(random.randint(2, 6)):
            data[random.randrange(6, 299)] = random.randrange(256)
        data[299] = sum8(bytes(data))
        state.take_frame(Frame(bytes(data)), Block.LIVE, 5.0 * n + 2)
        assert not clashes(state)


def test_nothing_goes_on_from_nothing() -> None:
    values = live_of(0)
    assert goes_on(values, values, 1.0)
    assert not goes_on({}, values, 1.0)
    assert not goes_on(values, live_of(1), 1.0)
    assert not goes_on(values, values, 60.0)
