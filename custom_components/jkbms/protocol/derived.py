"""What follows from the values of a frame: computed here, never taken from the BMS.

The BMS's own minimum, maximum and power are not used: its cell numbers are sampled at
another moment than its cells, and its power has no sign (rs485.md 8, quirks 19, 21).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from .alarms import NOTICE_MASK, PROBLEM_MASK, WORD, Alarm, Severity, active
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


@dataclass(frozen=True, slots=True)
class Reading:
    """A live block with what several values follow from, worked out once."""

    values: Values
    cells: Mapping[int, float]
    """Volts by cell number."""
    resistances: Mapping[int, float]
    """Milliohms by cell number."""
    alarms: int | None
    """The alarm word."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derived[T](Datum[T]):
    """A value computed from the values of one block."""

    block: Block = Block.LIVE
    compute: Callable[[Reading], T | None]


def number(values: Values, datum: Datum[Any]) -> float | None:
    """Return the value of a numeric datum, None where it is unknown."""
    value = values.get(datum.key)
    return value if isinstance(value, (int, float)) else None


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


def _power(reading: Reading) -> float | None:
    volts, amperes = (
        number(reading.values, TOTAL_VOLTAGE),
        number(reading.values, CURRENT),
    )
    if volts is None or amperes is None:
        return None
    return round(volts * amperes, 3)


def _charging_power(reading: Reading) -> float | None:
    power = _power(reading)
    return None if power is None else max(0.0, power)


def _discharging_power(reading: Reading) -> float | None:
    power = _power(reading)
    return None if power is None else max(0.0, -power)


def _average(reading: Reading) -> float | None:
    volts = reading.cells.values()
    return round(sum(volts) / len(volts), 3) if volts else None


def _delta(reading: Reading) -> float | None:
    volts = reading.cells.values()
    return round(max(volts) - min(volts), 3) if volts else None


type _PerCell = Callable[[Reading], Mapping[int, float]]
_VOLTAGES: Final = attrgetter("cells")
_RESISTANCES: Final = attrgetter("resistances")


def _extreme(
    of: _PerCell, pick: Callable[..., Any]
) -> Callable[[Reading], float | None]:
    def compute(reading: Reading) -> float | None:
        by_cell = of(reading)
        return pick(by_cell.values()) if by_cell else None

    return compute


def _extreme_cell(
    of: _PerCell, pick: Callable[..., Any]
) -> Callable[[Reading], int | None]:
    def compute(reading: Reading) -> int | None:
        by_cell = of(reading)
        return pick(by_cell, key=by_cell.__getitem__) if by_cell else None

    return compute


def _word(values: Values, field: Field[float]) -> int | None:
    value = number(values, field)
    return None if value is None else int(value)


def _balancing(reading: Reading) -> bool | None:
    state = _word(reading.values, BALANCING_STATE)
    return None if state is None else state != 0


_DIRECTIONS: Final = ("off", "charging", "discharging")


def _balancing_direction(reading: Reading) -> str | None:
    state = _word(reading.values, BALANCING_STATE)
    if state is None or state >= len(_DIRECTIONS):
        return None
    return _DIRECTIONS[state]


def _any_of(mask: int) -> Callable[[Reading], bool | None]:
    """Return what tells whether an alarm of a mask is active."""

    def compute(reading: Reading) -> bool | None:
        return None if reading.alarms is None else bool(reading.alarms & mask)

    return compute


_MAX_NAMED: Final = 5
"""A state of Home Assistant holds 255 characters."""


def _errors(reading: Reading) -> str | None:
    """Name the active alarms; what healthy packs also report is none of them."""
    if reading.alarms is None:
        return None
    return listed([alarm.name for alarm in active(reading.alarms & ~NOTICE_MASK)])


def listed(names: list[str]) -> str:
    """Return the names as one text that fits, "OK" for none."""
    shown = names[:_MAX_NAMED]
    if more := len(names) - len(shown):
        shown.append(f"{more} more")
    return ", ".join(shown) or "OK"


def _wire_alarm_cells(reading: Reading) -> str | None:
    word = _word(reading.values, WIRE_ALARMS)
    if word is None:
        return None
    numbers = [str(n + 1) for n in range(word.bit_length()) if word >> n & 1]
    return ", ".join(numbers) or "OK"


def _derived[T](
    key: str,
    name: str,
    quantity: Quantity,
    compute: Callable[[Reading], T | None],
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
PROBLEM: Final = _derived("problem", "Problem", _Q.PROBLEM, _any_of(PROBLEM_MASK))
_COMPUTED: Final[tuple[Derived[Any], ...]] = (
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
        _extreme(_VOLTAGES, min),
    ),
    _derived(
        "max_cell_voltage",
        "Highest cell voltage",
        _Q.CELL_VOLTAGE,
        _extreme(_VOLTAGES, max),
    ),
    _derived(
        "min_voltage_cell",
        "Lowest cell number",
        _Q.NUMBER,
        _extreme_cell(_VOLTAGES, min),
    ),
    _derived(
        "max_voltage_cell",
        "Highest cell number",
        _Q.NUMBER,
        _extreme_cell(_VOLTAGES, max),
    ),
    _derived(
        "max_cell_resistance",
        "Highest lead resistance",
        _Q.RESISTANCE,
        _extreme(_RESISTANCES, max),
        enabled=False,
    ),
    _derived(
        "max_resistance_cell",
        "Highest lead resistance cell",
        _Q.NUMBER,
        _extreme_cell(_RESISTANCES, max),
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
        _any_of(NOTICE_MASK),
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


def _alarm(alarm: Alarm) -> Datum[bool]:
    is_notice = alarm.severity is Severity.INFO
    return Datum(
        key=alarm.key,
        name=alarm.name,
        quantity=_Q.FLAG if is_notice else _Q.PROBLEM,
        role=Role.DIAGNOSTIC,
        enabled=not is_notice,
    )


ALARM_STATES: Final = tuple(_alarm(alarm) for alarm in WORD)
"""Whether each alarm of the alarm word is active; the place of each is its bit."""
DERIVED: Final[tuple[Datum[Any], ...]] = (*_COMPUTED, *ALARM_STATES)


# The word of a pack stays the same for hours: 29 bits need not be looked at each time.
@lru_cache(maxsize=64)
def _alarm_states(word: int | None) -> Mapping[str, Value]:
    if word is None:
        return dict.fromkeys(alarm.key for alarm in WORD)
    return {alarm.key: bool(word >> bit & 1) for bit, alarm in enumerate(WORD)}


def derive(values: Values) -> dict[str, Value]:
    """Return all values derived from a live block."""
    reading = Reading(
        values,
        cells(values),
        _by_cell(values, CELL_RESISTANCES),
        _word(values, ALARM_BITMASK),
    )
    computed = {derived.key: derived.compute(reading) for derived in _COMPUTED}
    return {**computed, **_alarm_states(reading.alarms)}
