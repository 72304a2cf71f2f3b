"""What follows from the values of a frame: computed here, never taken from the BMS.

The BMS's own minimum, maximum and power are not used: its cell numbers are sampled at
another moment than its cells, and its power has no sign (rs485.md 8, quirks 19, 21).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .alarms import NOTICE_MASK, PROBLEM_MASK, WORD, Alarm, Severity, active
from .codecs import NUMBER, Value
from .datum import Datum, Field, Quantity, Role
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
_SEEN_LATELY: Final = 64
"""Masks and alarm words of a pack stay the same for hours; what follows is kept of so many."""


def number(values: Values, datum: Datum[Any]) -> float | None:
    """Return the value of a numeric datum, None where it is unknown."""
    value = values.get(datum.key)
    return value if isinstance(value, NUMBER) else None


@lru_cache(_SEEN_LATELY)
def _numbers(mask: int) -> tuple[int, ...]:
    return tuple(n + 1 for n in range(mask.bit_length()) if mask >> n & 1)


def present_cells(values: Values) -> tuple[int, ...]:
    """Return the numbers of the cells that the presence mask names."""
    return _numbers(int(number(values, CELL_PRESENCE) or 0))


def cells(values: Values) -> dict[int, float]:
    """Return the voltage of each present cell by its number, counted from 1."""
    return _by_cell(values, _VOLTAGE_KEYS)


_VOLTAGE_KEYS: Final = tuple(field.key for field in CELL_VOLTAGES)
_RESISTANCE_KEYS: Final = tuple(field.key for field in CELL_RESISTANCES)


def _by_cell(values: Values, keys: tuple[str, ...]) -> dict[int, float]:
    get = values.get
    return {
        cell: value
        for cell in present_cells(values)
        if isinstance(value := get(keys[cell - 1]), NUMBER)
    }


def _word(values: Values, field: Field[float]) -> int | None:
    value = number(values, field)
    return None if value is None else int(value)


# -- what follows from what -----------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Values that follow from the same ones, worked out together."""

    keys: tuple[str, ...]
    compute: Callable[[Values], tuple[Value, ...]]
    of: frozenset[str]
    """The keys of what they follow from."""


def _datum(
    key: str,
    name: str,
    quantity: Quantity,
    *,
    enabled: bool = True,
    role: Role = Role.MEASUREMENT,
    options: tuple[str, ...] = (),
) -> Datum[Any]:
    return Datum(
        key=key,
        name=name,
        quantity=quantity,
        enabled=enabled,
        role=role,
        options=options,
    )


def _powers(values: Values) -> tuple[float | None, float | None, float | None]:
    volts, amperes = number(values, TOTAL_VOLTAGE), number(values, CURRENT)
    if volts is None or amperes is None:
        return None, None, None
    power = round(volts * amperes, 3)
    return power, max(0.0, power), max(0.0, -power)


def _voltages(values: Values) -> tuple[float | None, ...]:
    by_cell = cells(values)
    if not by_cell:
        return (None,) * 6
    return compared(tuple(by_cell), tuple(by_cell.values()))


def compared(numbers: Sequence[int], volts: Sequence[float]) -> tuple[float, ...]:
    """Return the values of `COMPARED` of the cells with these numbers."""
    lowest, highest = min(volts), max(volts)
    return (
        round(sum(volts) / len(volts), 3),
        round(highest - lowest, 3),
        lowest,
        highest,
        numbers[volts.index(lowest)],
        numbers[volts.index(highest)],
    )


def _resistances(values: Values) -> tuple[float | None, float | None]:
    by_cell = _by_cell(values, _RESISTANCE_KEYS)
    if not by_cell:
        return None, None
    cell = max(by_cell, key=by_cell.__getitem__)
    return by_cell[cell], cell


_DIRECTIONS: Final = ("off", "charging", "discharging")


def _balancing(values: Values) -> tuple[bool | None, str | None]:
    state = _word(values, BALANCING_STATE)
    if state is None:
        return None, None
    return state != 0, _DIRECTIONS[state] if state < len(_DIRECTIONS) else None


_MAX_NAMED: Final = 5
"""A state of Home Assistant holds 255 characters."""


def listed(names: list[str]) -> str:
    """Return the names as one text that fits, "OK" for none."""
    shown = names[:_MAX_NAMED]
    if more := len(names) - len(shown):
        shown.append(f"{more} more")
    return ", ".join(shown) or "OK"


@lru_cache(_SEEN_LATELY)
def _of_word(word: int | None) -> tuple[Value, ...]:
    """Return what an alarm word says; what healthy packs also report is no error."""
    if word is None:
        return (None,) * (3 + len(WORD))
    return (
        bool(word & PROBLEM_MASK),
        bool(word & NOTICE_MASK),
        listed([alarm.name for alarm in active(word & ~NOTICE_MASK)]),
        *(bool(word >> bit & 1) for bit in range(len(WORD))),
    )


def _alarms(values: Values) -> tuple[Value, ...]:
    return _of_word(_word(values, ALARM_BITMASK))


@lru_cache(_SEEN_LATELY)
def _of_wires(word: int) -> tuple[str]:
    return (", ".join(map(str, _numbers(word))) or "OK",)


def _wire_alarms(values: Values) -> tuple[str | None]:
    word = _word(values, WIRE_ALARMS)
    return (None,) if word is None else _of_wires(word)


# -- their names ----------------------------------------------------------------------

POWER: Final = _datum("power", "Battery power", _Q.POWER)
_POWERS: Final = (
    POWER,
    _datum("charging_power", "Charging power", _Q.POWER, enabled=False),
    _datum("discharging_power", "Discharging power", _Q.POWER, enabled=False),
)
COMPARED: Final = (
    _datum("average_cell_voltage", "Average cell voltage", _Q.CELL_VOLTAGE),
    _datum("delta_cell_voltage", "Cell voltage difference", _Q.CELL_VOLTAGE),
    _datum("min_cell_voltage", "Lowest cell voltage", _Q.CELL_VOLTAGE),
    _datum("max_cell_voltage", "Highest cell voltage", _Q.CELL_VOLTAGE),
    _datum("min_voltage_cell", "Lowest cell number", _Q.NUMBER),
    _datum("max_voltage_cell", "Highest cell number", _Q.NUMBER),
)
_RESISTANCES: Final = (
    _datum(
        "max_cell_resistance", "Highest lead resistance", _Q.RESISTANCE, enabled=False
    ),
    _datum(
        "max_resistance_cell",
        "Highest lead resistance cell",
        _Q.NUMBER,
        enabled=False,
    ),
)
_BALANCING: Final = (
    _datum("balancing", "Balancing", _Q.ACTIVITY),
    _datum(
        "balancing_direction",
        "Balancing direction",
        _Q.CHOICE,
        enabled=False,
        options=_DIRECTIONS,
    ),
)
PROBLEM: Final = _datum("problem", "Problem", _Q.PROBLEM)
_OF_WORD: Final = (
    PROBLEM,
    _datum("notice", "Notice", _Q.FLAG, enabled=False, role=Role.DIAGNOSTIC),
    _datum("errors", "Active alarms", _Q.TEXT, role=Role.DIAGNOSTIC),
)
_WIRE_ALARM_CELLS: Final = _datum(
    "wire_alarm_cells",
    "Cells with a balance lead alarm",
    _Q.TEXT,
    enabled=False,
    role=Role.DIAGNOSTIC,
)


def _alarm(alarm: Alarm) -> Datum[bool]:
    is_notice = alarm.severity is Severity.INFO
    return _datum(
        alarm.key,
        alarm.name,
        _Q.FLAG if is_notice else _Q.PROBLEM,
        enabled=not is_notice,
        role=Role.DIAGNOSTIC,
    )


ALARM_STATES: Final = tuple(_alarm(alarm) for alarm in WORD)
"""Whether each alarm of the alarm word is active; the place of each is its bit."""
DERIVED: Final[tuple[Datum[Any], ...]] = (
    *_POWERS,
    *COMPARED,
    *_RESISTANCES,
    *_BALANCING,
    *_OF_WORD,
    _WIRE_ALARM_CELLS,
    *ALARM_STATES,
)


def _group(
    data: tuple[Datum[Any], ...],
    compute: Callable[[Values], tuple[Value, ...]],
    *of: Field[Any],
) -> _Group:
    keys = tuple(datum.key for datum in data)
    return _Group(keys, compute, frozenset(field.key for field in of))


_GROUPS: Final = (
    _group(_POWERS, _powers, TOTAL_VOLTAGE, CURRENT),
    _group(COMPARED, _voltages, CELL_PRESENCE, *CELL_VOLTAGES),
    _group(_RESISTANCES, _resistances, CELL_PRESENCE, *CELL_RESISTANCES),
    _group(_BALANCING, _balancing, BALANCING_STATE),
    _group((*_OF_WORD, *ALARM_STATES), _alarms, ALARM_BITMASK),
    _group((_WIRE_ALARM_CELLS,), _wire_alarms, WIRE_ALARMS),
)
_GROUP_OF: Final = {key: group for group in _GROUPS for key in group.of}


def derive(values: Values) -> dict[str, Value]:
    """Return all values derived from a live block."""
    derived: dict[str, Value] = {}
    for group in _GROUPS:
        derived.update(zip(group.keys, group.compute(values), strict=True))
    return derived


def derive_from(values: Values, changed: Iterable[str]) -> dict[str, Value]:
    """Return those that follow from what has changed; the cells have to be the same."""
    derived: dict[str, Value] = {}
    last = None
    for group in map(_GROUP_OF.get, changed):
        if group is not None and group is not last:
            derived.update(zip(group.keys, group.compute(values), strict=True))
            last = group
    return derived
