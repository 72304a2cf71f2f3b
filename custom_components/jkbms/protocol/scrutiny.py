"""What is looked at besides when the line damages bytes: what a frame tells twice.

A BMS tells much twice: cells and their average, voltage and current and power, several
clocks. Each is compared with how the same BMS told it before, so that a BMS whose two
samples never agree is no exception; `state` forgets a rule that this BMS never keeps.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, cast

from .codecs import NUMBER, Flag
from .continuity import keeps_time
from .datum import Block
from .derived import Values, cells, number, present_cells
from .doubt import COUNTDOWNS, balancing_fits, power_fits
from .fields import (
    BALANCING_STATE,
    BMS_CLOCK,
    BY_KEY,
    CAPACITY_REMAINING,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    FULL_CHARGE_CAPACITY,
    HEATING_CURRENT,
    MOS_TEMPERATURE,
    STATE_OF_CHARGE,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)
from .fields.live import BMS_AVERAGE, BMS_POWER, LIVE
from .layout import FRAME_HEAD

_CELL_STEP: Final = 0.0026
"""V that a cell goes away from the others; 2 mV at most in the captured streams."""
_CELL_SHARE: Final = 0.03
"""How much more or less than the others a cell goes with the load."""
_SUM_STEP: Final = 0.012
"""V; the sum of the cells went 7 mV from the total voltage in the captured streams."""
_AVERAGE_STEP: Final = 0.0021
_DELTA_STEP: Final = 0.0051
_EXTREME: Final = 0.0041
"""V by which the cell that the BMS names may miss the extreme (rs485.md 8)."""
_COARSE: Final = 0.0101
"""V; the coarse voltage is the total voltage cut to 10 mV in all 137 captured frames."""
_SOC_STEP: Final = 1.0
"""%; state of charge is the remaining of the full capacity to 0.7 % in all captures."""
_UNSEEN_CURRENT: Final = 20.0
"""A that may have flown between two frames and is in neither."""
_CAPACITY_SLACK: Final = 0.02
_SENSED: Final = ("charge_sense_voltage", "discharge_sense_voltage")
_SENSE_SHARE: Final = 0.01
"""V per A; 2.6 to 7.6 mV per A in the captures."""
_SENSE_STEP: Final = 0.0031
_AUXILIARY_STEP: Final = 0.1
"""A by which a balancing or heating current varies while it flows."""
_WARMING: Final = 0.004
"""°C per second, of cells."""
_WARMTH_SLACK: Final = 0.25
_MIRROR_STEP: Final = 0.15
_CLOCK_STEP: Final = 1.1
"""Seconds by which two clocks of one BMS differ more or less than before."""
_CHARGE: Final = (STATE_OF_CHARGE, CAPACITY_REMAINING, FULL_CHARGE_CAPACITY)
_PROBES: Final = tuple(f"temperature_sensor_{n}" for n in (1, 2, 4, 5))
_BALANCING_CURRENT: Final = BY_KEY["balancing_current"].key
_POWER_ONS: Final = BY_KEY["power_on_count"].key
_MIRROR: Final = BY_KEY["mos_temperature_mirror"].key
_UPTIME: Final = BY_KEY["uptime"].key
_PHASE_TIME: Final = BY_KEY["charge_status_time"].key
_EXTREMES: Final = (
    ("bms_max_voltage_cell_index", max),
    ("bms_min_voltage_cell_index", min),
)
_QUIET: Final = (
    *(cell.key for cell in CELL_RESISTANCES),
    CHARGING_CYCLES.key,
    "event_log_entries",
    "brownout_time",
    "charge_pwm",
    "discharge_pwm",
    "reserved_130e",
)
"""What stays the same from one frame to the next, or is learnt not to."""


def _spans() -> tuple[slice, ...]:
    """Return where a live frame of a 32-cell board holds more than is decoded."""
    rows = (row for row in LIVE if not isinstance(row.codec, Flag))
    spans = (range(row.offset, row.offset + row.codec.size) for row in rows)
    read = {byte for span in spans for byte in span}
    return tuple(
        slice(FRAME_HEAD + byte, FRAME_HEAD + byte + 1)
        for byte in range(max(read))
        if byte not in read
    )


_UNREAD: Final = (slice(5, 6), *_spans())


def suspicions(block: Block, new: Values, old: Values, elapsed: float) -> set[str]:
    """Return what in a block does not fit to itself as it did some seconds ago."""
    match block:
        case Block.LIVE:
            return {f"{key} closely" for key in _suspicions(new, old, elapsed)}
        case Block.DEVICE if new.get(_POWER_ONS) != old.get(_POWER_ONS):
            return {_POWER_ONS}
        case _:
            return set()


def _suspicions(new: Values, old: Values, elapsed: float) -> Iterator[str]:
    yield from (key for key in _QUIET if new.get(key) != old.get(key))
    yield from _voltages(new, old)
    if not power_fits(new):
        yield BMS_POWER.key
    yield from _charges(new, old, elapsed)
    yield from _temperatures(new, old, elapsed)
    yield from _clocks(new, old, elapsed)
    yield from _balancing(new, old)
    if _leaps(new, old, HEATING_CURRENT.key):
        yield HEATING_CURRENT.key
    most = _SENSE_STEP + _SENSE_SHARE * abs(_change(new, old, CURRENT.key) or 0.0)
    for key in _SENSED:
        if _beyond(_change(new, old, key), most):
            yield key


def _balancing(new: Values, old: Values) -> Iterator[str]:
    """Compare state and current, which change together."""
    same = new.get(BALANCING_STATE.key) == old.get(BALANCING_STATE.key)
    if same and not _leaps(new, old, _BALANCING_CURRENT):
        return
    if same or not balancing_fits(new):
        yield BALANCING_STATE.key


def _voltages(new: Values, old: Values) -> Iterator[str]:
    volts, before = cells(new), cells(old)
    if volts.keys() != before.keys() or not volts:
        return
    total, total_before = sum(volts.values()), sum(before.values())
    mean, mean_before = total / len(volts), total_before / len(volts)
    step = _CELL_STEP + _CELL_SHARE * abs(mean - mean_before)
    for cell, voltage in volts.items():
        if abs(voltage - mean - before[cell] + mean_before) > step:
            yield CELL_VOLTAGES[cell - 1].key
    for key, step, moved in (
        (TOTAL_VOLTAGE.key, _SUM_STEP, total - total_before),
        (BMS_AVERAGE.key, _AVERAGE_STEP, mean - mean_before),
        ("bms_delta_cell_voltage", _DELTA_STEP, _spread(volts) - _spread(before)),
    ):
        change = _change(new, old, key)
        if change is not None and abs(change - moved) > step:
            yield key
    coarse, told = new.get("coarse_voltage"), number(new, TOTAL_VOLTAGE)
    if isinstance(coarse, float) and told is not None and abs(told - coarse) > _COARSE:
        yield "coarse_voltage"
    for key, pick in _EXTREMES:
        named = volts.get(cast("int", new[key]) + 1)
        if named is None or abs(named - pick(volts.values())) > _EXTREME:
            yield key


def _spread(volts: dict[int, float]) -> float:
    return max(volts.values()) - min(volts.values())


def _charges(new: Values, old: Values, elapsed: float) -> Iterator[str]:
    amperes = max(abs(number(v, CURRENT) or 0.0) for v in (new, old)) + _UNSEEN_CURRENT
    most = _CAPACITY_SLACK + amperes * elapsed / 3600
    for field in (CAPACITY_REMAINING, CYCLE_CAPACITY):
        if _beyond(_change(new, old, field.key), most):
            yield field.key
    soc, left, full = (number(new, field) for field in _CHARGE)
    # A BMS that has learnt no capacity, or tells none, tells nothing twice here.
    if (
        full
        and left is not None
        and soc is not None
        and abs(100 * left / full - soc) > _SOC_STEP
    ):
        yield STATE_OF_CHARGE.key


def _temperatures(new: Values, old: Values, elapsed: float) -> Iterator[str]:
    for key in _PROBES:
        if _beyond(_change(new, old, key), _WARMTH_SLACK + _WARMING * elapsed):
            yield key
    mos, mirror = _change(new, old, MOS_TEMPERATURE.key), _change(new, old, _MIRROR)
    if mos is not None and mirror is not None and abs(mos - mirror) > _MIRROR_STEP:
        yield _MIRROR


def _clocks(new: Values, old: Values, elapsed: float) -> Iterator[str]:
    ran = _change(new, old, TOTAL_RUNTIME.key) or 0.0
    if not keeps_time(ran, elapsed):
        yield TOTAL_RUNTIME.key
    for key in (_UPTIME, BMS_CLOCK.key):
        change = _change(new, old, key)
        if change is not None and abs(change - ran) > _CLOCK_STEP:
            yield key
    phase = _change(new, old, _PHASE_TIME)
    if phase and not keeps_time(phase, elapsed):
        yield _PHASE_TIME
    for key in COUNTDOWNS:
        left, before = new.get(key), old.get(key)
        if isinstance(left, NUMBER) and isinstance(before, NUMBER):
            fell = min(elapsed, before)
            if left != before and not keeps_time(before - left, fell):
                yield key


def _change(new: Values, old: Values, key: str) -> float | None:
    """Return how far a value went; None where it cannot be told."""
    after, before = new.get(key), old.get(key)
    if isinstance(after, NUMBER) and isinstance(before, NUMBER):
        return after - before
    if isinstance(after, datetime) and isinstance(before, datetime):
        return (after - before).total_seconds()
    return None


def _leaps(new: Values, old: Values, key: str) -> bool:
    """Tell whether a current began, ended, or is another one."""
    change = _change(new, old, key)
    began = bool(new.get(key)) != bool(old.get(key))
    return began or _beyond(change, _AUXILIARY_STEP)


def _beyond(change: float | None, step: float) -> bool:
    return change is not None and abs(change) > step


def unread(new: bytes, old: bytes, values: Values) -> set[str]:
    """Return which bytes of a live frame that are not decoded as they are have changed."""
    count = max(present_cells(values), default=0)
    spans = (*_UNREAD, slice(6 + 2 * count, 70), slice(80 + 2 * count, 144))
    return {f"byte {span.start}" for span in spans if new[span] != old[span]}
