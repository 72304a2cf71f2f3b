"""Whether a frame says something so unlike the one before that it has to be said twice.

The sum of a frame misses one in 256 frames with several damaged bytes, and a single
wrong value ruins graphs and automations for good. What is doubted is not dropped or
smoothed: the BMS is asked again at once, and shown as soon as it says the same. A line
that damages bytes gets a closer look besides (`scrutiny`).
"""

from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

from .codecs import NUMBER, Value
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
_COUNTING: Final = frozenset({"device_runtime", "power_on_count"})


@dataclass(frozen=True, slots=True)
class Margin:
    """How far a value may go from one frame to the next, in its unit."""

    fall: float
    rise: float
    per_second: float = 0.0
    """How much further for each second between them."""

    def holds(self, new: Value, old: Value, elapsed: float) -> bool:
        """Tell whether a value that is another one now has gone no further."""
        if isinstance(new, NUMBER) and isinstance(old, NUMBER):
            change = new - old
        elif isinstance(new, datetime) and isinstance(old, datetime):
            change = (new - old).total_seconds()
        else:
            # It has come or gone, or it is a word.
            return False
        more = elapsed * self.per_second
        return -self.fall - more <= change <= self.rise + more


FREE: Final = Margin(inf, inf)
STEADY: Final = Margin(-1.0, -1.0)
"""Not at all: alarms, switches, capacity, masks, calibration stay the same for hours."""
_OF_KEY: Final = {
    **{field.key: STEADY for field in LIVE},
    **{key: Margin(step, step) for key, step in _STEPS.items()},
    **dict.fromkeys(_MOVED, Margin(1.0, 1.0, _MAX_CURRENT / 3600)),
    **dict.fromkeys(_CLOCKS, Margin(_SLACK, _SLACK, 1.0)),
    **dict.fromkeys(COUNTDOWNS, Margin(inf, 0.0)),
}
_MARGINS: Final = {key: most for key, most in _OF_KEY.items() if key not in _FREE}


def margin(key: str) -> Margin:
    """Return how far a live value may go without a doubt."""
    return _MARGINS.get(key, FREE)


def doubts(block: Block, new: Values, old: Values, elapsed: float) -> set[str]:
    """Return the keys of the values that are unlike the old ones of some seconds ago."""
    if block is not Block.LIVE:
        return {
            key
            for key, value in new.items()
            if key not in _COUNTING and old.get(key) != value
        }
    now, then = new.get, old.get
    # Most are what they were: that is seen before a method is called.
    unlike = {
        key
        for key, margin in _MARGINS.items()
        if (value := now(key)) != (before := then(key))
        and not margin.holds(value, before, elapsed)
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
