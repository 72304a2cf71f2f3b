"""Whether a frame says something so unlike the one before that it has to be said twice.

The sum of a frame misses one in 256 frames with several damaged bytes, and a single
wrong value ruins graphs and automations for good. What is doubted is not dropped or
smoothed: the BMS is asked again at once, and shown as soon as it says the same.
"""

from datetime import datetime
from typing import Final

from .codecs import Value
from .datum import Block
from .derived import Values
from .fields import (
    BMS_CLOCK,
    CAPACITY_REMAINING,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    LIVE,
    MOS_TEMPERATURE,
    STATE_OF_CHARGE,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)

BELIEVED_AFTER: Final = 3
"""Doubted frames in a row after which the last is believed: this BMS is like that.

A counter that fell as often was reset: another board, or erased data.
"""
_STEPS: Final[dict[str, float]] = {
    **{cell.key: 0.2 for cell in CELL_VOLTAGES},
    **{cell.key: 100.0 for cell in CELL_RESISTANCES},
    TOTAL_VOLTAGE.key: 3.0,
    CURRENT.key: 25.0,
    "balancing_current": 2.5,
    "heating_current": 2.5,
    STATE_OF_CHARGE.key: 2.0,
    CHARGING_CYCLES.key: 1.0,
    "event_log_entries": 5.0,
    MOS_TEMPERATURE.key: 5.0,
    **{f"temperature_sensor_{n}": 5.0 for n in (1, 2, 4, 5)},
}
"""How far a value may go from one frame to the next, in its unit."""
_MOVED: Final = (CAPACITY_REMAINING.key, CYCLE_CAPACITY.key)
_CLOCKS: Final = (TOTAL_RUNTIME.key, BMS_CLOCK.key, "uptime", "charge_status_time")
_COUNTDOWNS: Final = (
    *(field.key for field in LIVE if field.key.endswith("_release")),
    "emergency_time_left",
    "sleep_countdown",
)
_MAX_CURRENT: Final = 600.0
"""A; the highest charge current that can be set (rs485.md 7)."""
_SLACK: Final = 10.0
"""Seconds; run times are told in whole ones, and the line delivers late."""
_FREE: Final = frozenset(
    {
        "bms_average_cell_voltage",
        "bms_delta_cell_voltage",
        "bms_max_voltage_cell_index",
        "bms_min_voltage_cell_index",
        "bms_power",
        "balancing_state",
        "brownout_time",
        "charge_pwm",
        "charge_sense_voltage",
        "coarse_voltage",
        "discharge_pwm",
        "discharge_sense_voltage",
        "mos_temperature_mirror",
    }
)
"""What changes as it likes, and is never shown."""
_STEADY: Final = tuple(
    field.key
    for field in LIVE
    if field.key not in {*_STEPS, *_MOVED, *_CLOCKS, *_COUNTDOWNS, *_FREE}
)
"""What stays the same for hours: alarms, switches, capacity, masks, calibration."""
_COUNTING: Final = frozenset({"device_runtime", "power_on_count"})


def doubts(block: Block, new: Values, old: Values, elapsed: float) -> set[str]:
    """Return the keys of the values that are unlike the old ones of some seconds ago."""
    if block is not Block.LIVE:
        return {
            key
            for key, value in new.items()
            if key not in _COUNTING and old.get(key) != value
        }
    steps = {
        **_STEPS,
        **dict.fromkeys(_MOVED, 1 + elapsed * _MAX_CURRENT / 3600),
        **dict.fromkeys(_CLOCKS, elapsed + _SLACK),
    }
    unlike = {key for key in _STEADY if new.get(key) != old.get(key)}
    unlike |= {key for key in _COUNTDOWNS if _rises(new.get(key), old.get(key))}
    return unlike | {
        key for key, step in steps.items() if _jumps(new.get(key), old.get(key), step)
    }


def _jumps(new: Value, old: Value, step: float) -> bool:
    """Tell whether a value went further than a step, or came or went itself."""
    if isinstance(new, int | float) and isinstance(old, int | float):
        return abs(new - old) > step
    if isinstance(new, datetime) and isinstance(old, datetime):
        return abs((new - old).total_seconds()) > step
    return new != old


def _rises(new: Value, old: Value) -> bool:
    """Tell whether a countdown went up: it has begun anew, or it is damaged."""
    if isinstance(new, int | float) and isinstance(old, int | float):
        return new > old
    return new != old
