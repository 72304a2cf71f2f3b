"""Whether a block can be true as a whole; a frame that cannot is dropped whole.

The sum of a frame lets one wrong frame in 256 pass when more than one byte is damaged.
"""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final

from .codecs import NUMBER, Value
from .datum import Block, Field, Quantity
from .derived import cells, number
from .fields import (
    ALARM_BITMASK,
    CELL_COUNT,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    MODEL,
    MOS_TEMPERATURE,
    SETTINGS,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)

type Values = Mapping[str, Value]


class Implausible(StrEnum):
    """Why a block was not believed."""

    LAYOUT = auto()
    STATE_OF_CHARGE = auto()
    CELL_VOLTAGE = auto()
    PACK_VOLTAGE = auto()
    CURRENT = auto()
    TEMPERATURE = auto()
    COUNTER_FELL = auto()
    SETTINGS = auto()
    MODEL = auto()
    UNCONFIRMED = auto()
    """So unlike the frame before that it has to be said twice."""


_MAX_CELL: Final = 5.0
"""V; LTO to Li-ion end at 4.4 V (rs485.md 7), a cell input cannot measure 6 V."""
_PACK_TOLERANCE: Final = 0.5
_PACK_SHARE: Final = 0.02
"""Cells and pack are sampled apart: up to 26 mV seen in captures, a load step more."""
_MAX_CURRENT: Final = 2000.0
"""A; the largest "current range" seen is 1500 A (rs485.md 2.5)."""
_WIRE_ALARMS: Final = 0b101
"""Lead resistance too high, and cells missing (rs485.md 6.1)."""
_TEMPERATURES: Final = range(-60, 151)
_CELL_SETTINGS: Final = tuple(
    field for field in SETTINGS if field.quantity is Quantity.CELL_VOLTAGE
)
_WIDE: Final = 4
"""Bytes of a setting whose value leaps beyond all reason where a byte before it is missing."""
_BEYOND: Final = 4.0
"""Times the limit of a setting; no pack has so much, whatever its model."""
_MAX_ADDRESS: Final = 255
_MAX_RESISTANCE: Final = 10_000.0
"""mΩ; a lead has a few."""
_BOUNDS: Final = {
    **{
        field.key: _BEYOND * max(abs(field.limits.minimum), abs(field.limits.maximum))
        for field in SETTINGS
        if field.limits is not None and field.codec.size == _WIDE
    },
    **{
        field.key: _MAX_RESISTANCE
        for field in SETTINGS
        if field.template == "connection_resistance"
    },
    "device_address": _MAX_ADDRESS,
}
"""Of settings: a lost byte moves all that follow, by the same bytes each time, so that saying
it twice proves nothing; and where the sum fits once, it does so again."""
_COUNTERS: Final = (CHARGING_CYCLES, CYCLE_CAPACITY, TOTAL_RUNTIME)


def implausible(
    block: Block, values: Values, before: Values | None = None
) -> Implausible | None:
    """Return why the values cannot be true, None where they can.

    `before` holds the last believed values of the same block of the same BMS.
    """
    match block:
        case Block.LIVE:
            return _live(values) or _fallen(values, before or {})
        case Block.SETTINGS:
            return _settings(values)
        case _:
            return None if values.get(MODEL.key) else Implausible.MODEL


def _above(values: Values, field: Field[float], limit: float) -> bool:
    value = number(values, field)
    return value is not None and abs(value) > limit


def _live(values: Values) -> Implausible | None:
    if _above(values, STATE_OF_CHARGE, 100) or _above(values, STATE_OF_HEALTH, 100):
        return Implausible.STATE_OF_CHARGE
    volts = cells(values).values()
    if not volts or max(volts) > _MAX_CELL:
        return Implausible.CELL_VOLTAGE
    total, whole = number(values, TOTAL_VOLTAGE), sum(volts)
    tolerance = max(_PACK_TOLERANCE, _PACK_SHARE * whole)
    # A cell that reads 0, or that a BMS misses and says so, has lost its sense wire:
    # the sum means nothing then, and the alarm must get through.
    told = int(number(values, ALARM_BITMASK) or 0) & _WIRE_ALARMS
    compared = min(volts) > 0 and not told
    if total is None or (compared and abs(whole - total) > tolerance):
        return Implausible.PACK_VOLTAGE
    if _above(values, CURRENT, _MAX_CURRENT):
        return Implausible.CURRENT
    mos = number(values, MOS_TEMPERATURE)
    if mos is not None and int(mos) not in _TEMPERATURES:
        return Implausible.TEMPERATURE
    return None


def _fallen(values: Values, before: Values) -> Implausible | None:
    for field in _COUNTERS:
        now, then = number(values, field), number(before, field)
        if now is not None and then is not None and now < then:
            return Implausible.COUNTER_FELL
    return None


def _settings(values: Values) -> Implausible | None:
    count = number(values, CELL_COUNT)
    if count is None or not 1 <= count <= 32:
        return Implausible.SETTINGS
    volts = (value for field in _CELL_SETTINGS if (value := number(values, field)))
    if any(volt > _MAX_CELL for volt in volts):
        return Implausible.SETTINGS
    for key, most in _BOUNDS.items():
        told = values.get(key)
        if isinstance(told, NUMBER) and abs(told) > most:
            return Implausible.SETTINGS
    return None
