"""Whether a frame says something so unlike the one before that it has to be said twice.

The sum of a frame misses one in 256 frames with several damaged bytes, and a single
wrong value ruins graphs and automations for good. What is doubted is not dropped or
smoothed: the BMS is asked again at once, and shown as soon as it says the same. A line
that damages bytes gets a closer look besides (`scrutiny`).
"""

from datetime import datetime
from typing import Final

from .codecs import Value
from .datum import Block
from .derived import Values, number
from .fields import (
    BALANCING_STATE,
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
from .fields.live import BMS_POWER

BELIEVED_AFTER: Final = 3
"""Frames in a row that one doubt holds back until it is none: this BMS is like that.

A counter that fell as often was reset: another board, or erased data.
"""
_BALANCING: Final = next(row for row in LIVE if row.key == "balancing_current")
_STEPS: Final[dict[str, float]] = {
    **{cell.key: 0.2 for cell in CELL_VOLTAGES},
    **{cell.key: 100.0 for cell in CELL_RESISTANCES},
    TOTAL_VOLTAGE.key: 3.0,
    CURRENT.key: 25.0,
    _BALANCING.key: 2.5,
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
COUNTDOWNS: Final = (
    *(field.key for field in LIVE if field.key.endswith("_release")),
    "emergency_time_left",
    "sleep_countdown",
)
_MAX_CURRENT: Final = 600.0
"""A; the highest charge current that can be set (rs485.md 7)."""
_SLACK: Final = 10.0
"""Seconds; run times are told in whole ones, and the line delivers late."""
_POWER_SLACK: Final = 0.02
"""W; what rounding of voltage, current and power can make."""
_POWER_SHARE: Final = 1e-5
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
        # 0 and 3 by turns in phinix-bus-full, frame by frame.
        "reserved_130e",
    }
)
"""What changes as it likes, and is never shown."""
_STEADY: Final = tuple(
    field.key
    for field in LIVE
    if field.key not in {*_STEPS, *_MOVED, *_CLOCKS, *COUNTDOWNS, *_FREE}
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
    unlike |= {key for key in COUNTDOWNS if _rises(new.get(key), old.get(key))}
    unlike |= {
        key for key, step in steps.items() if _jumps(new.get(key), old.get(key), step)
    }
    if CURRENT.key in unlike and power_fits(new):
        # Damage to the current alone cannot fit, a load that was switched does.
        unlike.discard(CURRENT.key)
    if _BALANCING.key in unlike and balancing_fits(new):
        unlike.discard(_BALANCING.key)
    return unlike


def balancing_fits(values: Values) -> bool:
    """Tell whether the balancing current has the direction that the BMS tells.

    State 1 charges and 2 discharges the cell: 2 A one way and the other by turns.
    """
    state, amperes = values.get(BALANCING_STATE.key), number(values, _BALANCING)
    return amperes is not None and state == (amperes > 0) + 2 * (amperes < 0)


def power_fits(values: Values) -> bool:
    """Tell whether the power that the BMS tells is its voltage times its current.

    They fit to 8 mW in 135 of 137 captured frames; in the other two, and in a few
    frames of each BMS whose load changes, the power belongs to another moment.
    """
    volts, amperes = number(values, TOTAL_VOLTAGE), number(values, CURRENT)
    watts = number(values, BMS_POWER)
    if volts is None or amperes is None or watts is None:
        return False
    return abs(abs(volts * amperes) - watts) <= _POWER_SLACK + _POWER_SHARE * watts


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
