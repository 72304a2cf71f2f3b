"""One BMS heard on two lines is known as one, and two that are alike are not confused."""

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import (
    CELL_PRESENCE,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    DEVICE_ADDRESS,
    FULL_CHARGE_CAPACITY,
    TOTAL_RUNTIME,
)
from custom_components.jkbms.protocol.identity import is_comparable, is_same_bms
from custom_components.jkbms.protocol.state import BmsState


def heard(at: float, **values: float | None) -> BmsState:
    """A pack as one line tells of it."""
    known: dict[str, Value] = {
        TOTAL_RUNTIME.key: 1_000_000 + int(at),
        CYCLE_CAPACITY.key: 933.9,
        CHARGING_CYCLES.key: 3,
        FULL_CHARGE_CAPACITY.key: 280.0,
        CELL_PRESENCE.key: 0xFFFF,
        DEVICE_ADDRESS.key: 1,
        "cell_ovp": 3.65,
        "discharge_utp": -20.0,
    }
    state = BmsState(values=known | values)
    state.seen = {Block.LIVE: at, Block.SETTINGS: at}
    return state


def test_one_bms_on_two_lines_is_one() -> None:
    """Its counters went on with the clock, and only one line knows its firmware."""
    bus = heard(100.0)
    control = heard(
        107.0,
        total_charging_cycle_capacity=933.95,
        device_address=0,
        discharge_utp=None,
    )
    assert is_same_bms(bus, control)
    assert is_same_bms(control, bus)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (TOTAL_RUNTIME.key, 1_000_050),
        (TOTAL_RUNTIME.key, None),
        (CYCLE_CAPACITY.key, 940.0),
        (CYCLE_CAPACITY.key, 933.0),
        (CYCLE_CAPACITY.key, None),
        (CHARGING_CYCLES.key, 5),
        (CHARGING_CYCLES.key, None),
        (FULL_CHARGE_CAPACITY.key, 279.0),
        (CELL_PRESENCE.key, 0xFF),
        ("cell_ovp", 3.6),
    ],
)
def test_whatever_differs_makes_it_another(key: str, value: float | None) -> None:
    assert not is_same_bms(heard(100.0), heard(102.0, **{key: value}))


@pytest.mark.parametrize("block", [Block.LIVE, Block.SETTINGS])
def test_what_was_not_read_completely_is_not_compared(block: Block) -> None:
    state = heard(100.0)
    assert is_comparable(state)
    del state.seen[block]
    assert not is_comparable(state)
    assert not is_same_bms(state, heard(101.0))
    assert not is_same_bms(heard(101.0), state)


@pytest.mark.parametrize(
    ("elapsed", "key", "value", "same"),
    [
        # Whole seconds on one line, late delivery on the other: 10 s apart at most.
        (2.0, TOTAL_RUNTIME.key, 1_000_112, True),
        (2.0, TOTAL_RUNTIME.key, 1_000_113, False),
        (2.0, TOTAL_RUNTIME.key, 1_000_092, True),
        (2.0, TOTAL_RUNTIME.key, 1_000_091, False),
        # 600 A is the most that can be set (rs485.md 7): 600 Ah in an hour, and a step.
        (3600.0, CYCLE_CAPACITY.key, 933.9 + 600.05, True),
        (3600.0, CYCLE_CAPACITY.key, 933.9 + 600.15, False),
        (36_000.0, CYCLE_CAPACITY.key, 933.9 + 6000.05, True),
        (36_000.0, CYCLE_CAPACITY.key, 933.9 + 6000.15, False),
        (2.0, CHARGING_CYCLES.key, 4, True),
        (2.0, CHARGING_CYCLES.key, 2, False),
    ],
)
def test_counters_may_stand_where_the_time_between_puts_them(
    elapsed: float, key: str, value: float, same: bool
) -> None:
    one, other = heard(100.0), heard(100.0 + elapsed, **{key: value})
    assert is_same_bms(one, other) is same
    assert is_same_bms(other, one) is same
