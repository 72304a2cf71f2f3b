"""What follows from the values of a frame: computed here, never taken from the BMS.

The BMS's own minimum, maximum and power are not used: its cell numbers are sampled at
another moment than its cells, and its power has no sign (rs485.md 8, quirks 19, 21).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .alarms import NOTICE_MASK, PROBLEM_MASK, active
from .codecs import Value
from .datum import Block, Datum, Field, Quantity, Role
from .fields import (
    ALARM_BITMASK,
    BALANCING_STATE,
    CELL_PRESENCE,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    CURRENT,
    TOTAL_VOLTAGE,
    WIRE_ALARMS,
)

type Values = Mapping[str, Value]
_Q = Quantity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived[T](Datum[T]):
    """A value computed from the values of one block."""

    block: Block = Block.LIVE
    compute: Callable[[Values], T | None]


def number(values: Values, field: Field[Any]) -> float | None:
    """Return the value of a numeric field, None where it is unknown."""
    value = values.get(field.key)
    return value if isinstance(value, int | float) else None


def present_cells(values: Values) -> tuple[int, ...]:
    """Return the numbers of the cells that the presence mask names."""
    mask = int(number(values, CELL_PRESENCE) or 0)
    return tuple(n + 1 for n in range(mask.bit_length()) if mask >> n & 1)


def cells(values: Values) -> dict[int, float]:
    """Return the voltage of each present cell by its number, counted from 1."""
    return _by_cell(values, CELL_VOLTAGES)


def _by_cell(values: Values, fields: tuple[Field[float], ...]) -> dict[int, float]:
    return {
        cell: value
        for cell in present_cells(values)
        if (value := number(values, fields[cell - 1])) is not None
    }


def _power(values: Values) -> float | None:
    volts, amperes = number(values, TOTAL_VOLTAGE), number(values, CURRENT)
    if volts is None or amperes is None:
        return None
    return round(volts * amperes, 3)


def _charging_power(values: Values) -> float | None:
    power = _power(values)
    return None if power is None else max(0.0, power)


def _discharging_power(values: Values) -> float | None:
    power = _power(values)
    return None if power is None else max(0.0, -power)


def _average(values: Values) -> float | None:
    volts = cells(values).values()
    return round(sum(volts) / len(volts), 3) if volts else None


def _delta(values: Values) -> float | None:
    volts = cells(values).values()
    return round(max(volts) - min(volts), 3) if volts else None


def _extreme(
    fields: tuple[Field[float], ...], pick: Callable[..., Any]
) -> Callable[[Values], float | None]:
    def compute(values: Values) -> float | None:
        of_cell = _by_cell(values, fields)
        return pick(of_cell.values()) if of_cell else None

    return compute


def _extreme_cell(
    fields: tuple[Field[float], ...], pick: Callable[..., Any]
) -> Callable[[Values], int | None]:
    def compute(values: Values) -> int | None:
        of_cell = _by_cell(values, fields)
        return pick(of_cell, key=of_cell.__getitem__) if of_cell else None

    return compute


def _word(values: Values, field: Field[float]) -> int | None:
    value = number(values, field)
    return None if value is None else int(value)


def _balancing(values: Values) -> bool | None:
    state = _word(values, BALANCING_STATE)
    return None if state is None else state != 0


_DIRECTIONS: Final = ("off", "charging", "discharging")


def _balancing_direction(values: Values) -> str | None:
    state = _word(values, BALANCING_STATE)
    if state is None or state >= len(_DIRECTIONS):
        return None
    return _DIRECTIONS[state]


def _problem(values: Values) -> bool | None:
    word = _word(values, ALARM_BITMASK)
    return None if word is None else bool(word & PROBLEM_MASK)


def _notice(values: Values) -> bool | None:
    word = _word(values, ALARM_BITMASK)
    return None if word is None else bool(word & NOTICE_MASK)


_MAX_NAMED: Final = 5
"""A state of Home Assistant holds 255 characters."""


def _errors(values: Values) -> str | None:
    """Name the active alarms; what healthy packs also report is none of them."""
    word = _word(values, ALARM_BITMASK)
    if word is None:
        return None
    names = [alarm.name for alarm in active(word & ~NOTICE_MASK)]
    shown = names[:_MAX_NAMED]
    if more := len(names) - len(shown):
        shown.append(f"{more} more")
    return ", ".join(shown) or "OK"


def _wire_alarm_cells(values: Values) -> str | None:
    word = _word(values, WIRE_ALARMS)
    if word is None:
        return None
    numbers = [str(n + 1) for n in range(word.bit_length()) if word >> n & 1]
    return ", ".join(numbers) or "OK"


def _derived[T](
    key: str,
    name: str,
    quantity: Quantity,
    compute: Callable[[Values], T | None],
    *,
    enabled: bool = True,
    role: Role = Role.MEASUREMENT,
    options: tuple[str, ...] = (),
) -> Derived[T]:
    return Derived(
        key=key,
        name=name,
        quantity=quantity,
        compute=compute,
        enabled=enabled,
        role=role,
        options=options,
    )


POWER: Final = _derived("power", "Battery power", _Q.POWER, _power)
PROBLEM: Final = _derived("problem", "Problem", _Q.PROBLEM, _problem)
DERIVED: Final[tuple[Derived[Any], ...]] = (
    POWER,
    _derived(
        "charging_power", "Charging power", _Q.POWER, _charging_power, enabled=False
    ),
    _derived(
        "discharging_power",
        "Discharging power",
        _Q.POWER,
        _discharging_power,
        enabled=False,
    ),
    _derived("average_cell_voltage", "Average cell voltage", _Q.CELL_VOLTAGE, _average),
    _derived("delta_cell_voltage", "Cell voltage difference", _Q.CELL_VOLTAGE, _delta),
    _derived(
        "min_cell_voltage",
        "Lowest cell voltage",
        _Q.CELL_VOLTAGE,
        _extreme(CELL_VOLTAGES, min),
    ),
    _derived(
        "max_cell_voltage",
        "Highest cell voltage",
        _Q.CELL_VOLTAGE,
        _extreme(CELL_VOLTAGES, max),
    ),
    _derived(
        "min_voltage_cell",
        "Lowest cell number",
        _Q.NUMBER,
        _extreme_cell(CELL_VOLTAGES, min),
    ),
    _derived(
        "max_voltage_cell",
        "Highest cell number",
        _Q.NUMBER,
        _extreme_cell(CELL_VOLTAGES, max),
    ),
    _derived(
        "max_cell_resistance",
        "Highest lead resistance",
        _Q.RESISTANCE,
        _extreme(CELL_RESISTANCES, max),
        enabled=False,
    ),
    _derived(
        "max_resistance_cell",
        "Highest lead resistance cell",
        _Q.NUMBER,
        _extreme_cell(CELL_RESISTANCES, max),
        enabled=False,
    ),
    _derived("balancing", "Balancing", _Q.ACTIVITY, _balancing),
    _derived(
        "balancing_direction",
        "Balancing direction",
        _Q.CHOICE,
        _balancing_direction,
        enabled=False,
        options=_DIRECTIONS,
    ),
    PROBLEM,
    _derived(
        "notice",
        "Notice",
        _Q.FLAG,
        _notice,
        enabled=False,
        role=Role.DIAGNOSTIC,
    ),
    _derived("errors", "Active alarms", _Q.TEXT, _errors, role=Role.DIAGNOSTIC),
    _derived(
        "wire_alarm_cells",
        "Cells with a balance lead alarm",
        _Q.TEXT,
        _wire_alarm_cells,
        enabled=False,
        role=Role.DIAGNOSTIC,
    ),
)


def derive(values: Values) -> dict[str, Value]:
    """Return all values derived from a live block."""
    return {derived.key: derived.compute(values) for derived in DERIVED}
