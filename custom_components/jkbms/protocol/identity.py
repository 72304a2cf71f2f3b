"""Whether two lines tell of one BMS, where a serial number is known on one of them only."""

from typing import Final

from .codecs import NUMBER, Value
from .datum import Block, Role
from .derived import Values
from .fields import (
    CELL_PRESENCE,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    DEVICE_ADDRESS,
    FULL_CHARGE_CAPACITY,
    SETTINGS,
    TOTAL_RUNTIME,
)
from .state import BmsState

_CLOCK_SLACK: Final = 10.0
"""Seconds; run times are told in whole ones, and either line delivers late."""
_CAPACITY_SLACK: Final = 0.1
"""Ah; throughput is counted in steps."""
_MAX_CURRENT: Final = 600.0
"""A; the highest charge current that can be set (rs485.md 7)."""
_COMPARED: Final = tuple(
    field.key
    for field in SETTINGS
    if field.role is Role.SETTING and field is not DEVICE_ADDRESS
)


def is_comparable(state: BmsState) -> bool:
    """Tell whether enough was read to tell a BMS from others."""
    return {Block.LIVE, Block.SETTINGS} <= state.seen.keys()


def is_same_bms(one: BmsState, other: BmsState) -> bool:
    """Tell whether two states can only be of one BMS, heard on two lines.

    Its settings are the same, and its counters stand where the time between the two
    readings puts them: the run time counts the seconds since the BMS was first
    switched on. False also while live values or settings of either are missing.
    """
    if not (is_comparable(one) and is_comparable(other)):
        return False
    if any(_differ(one.values.get(k), other.values.get(k)) for k in _COMPARED):
        return False
    early, late = sorted((one, other), key=lambda state: state.seen[Block.LIVE])
    elapsed = late.seen[Block.LIVE] - early.seen[Block.LIVE]
    ran = _rise(early.values, late.values, TOTAL_RUNTIME.key)
    moved = _rise(early.values, late.values, CYCLE_CAPACITY.key)
    cycles = _rise(early.values, late.values, CHARGING_CYCLES.key)
    most = _CAPACITY_SLACK + elapsed * _MAX_CURRENT / 3600
    return (
        ran is not None
        and abs(ran - elapsed) <= _CLOCK_SLACK
        and moved is not None
        and 0 <= moved <= most
        and cycles in (0, 1)
        and _rise(early.values, late.values, FULL_CHARGE_CAPACITY.key) == 0
        and _rise(early.values, late.values, CELL_PRESENCE.key) == 0
    )


def _differ(one: Value, other: Value) -> bool:
    """Tell whether two values contradict each other.

    What a setting means may hang on the firmware, which only one of the lines tells.
    """
    return None not in (one, other) and one != other


def _rise(early: Values, late: Values, key: str) -> float | None:
    before, after = early.get(key), late.get(key)
    if not isinstance(before, NUMBER) or not isinstance(after, NUMBER):
        return None
    return after - before
