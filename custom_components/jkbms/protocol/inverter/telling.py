"""What an inverter is told of a bank, as values of its messages (inverter.md 6)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Final

from ..bank_member import Flow, Spot
from ..can.conditions import BY_KEY, SYSTEM, Condition
from ..can.frame import Decoded
from ..can.growatt import CHARGING, DISCHARGING, STANDBY, STATUS_KEY
from ..can.inverter import ONLINE_KEY
from ..codecs import Value
from ..fields import (
    CAPACITY_REMAINING,
    CELL_COUNT,
    CHARGING_CYCLES,
    CURRENT,
    FULL_CHARGE_CAPACITY,
    SERIAL_NUMBER,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_VOLTAGE,
    can as of_can,
)
from .languages import Script
from .limits import Verdict
from .sight import PackSight

_MOST_BITS: Final = 8
_NOT_TOLD_HEALTH: Final = 100
"""%; there is no word for "not told" (inverter.md 6)."""
_KIN: Final[Mapping[str, tuple[str, ...]]] = {
    "cell_overvoltage": ("battery_overvoltage",),
    "charge_short_circuit": ("short_circuit", "charge_overcurrent"),
    "discharge_short_circuit": ("short_circuit", "discharge_overcurrent"),
    "short_circuit": ("discharge_overcurrent",),
    "charge_overtemperature": ("high_temperature",),
    "charge_undertemperature": ("low_temperature",),
    "cell_undervoltage": ("battery_undervoltage",),
    "low_soc": ("battery_undervoltage",),
    "discharge_overcurrent_2": ("discharge_overcurrent",),
    "discharge_overcurrent_3": ("discharge_overcurrent",),
    "discharge_overtemperature": ("high_temperature",),
    "discharge_undertemperature": ("low_temperature",),
    "mos_overtemperature": ("high_temperature", "discharge_overtemperature"),
    "battery_overtemperature": ("high_temperature", "charge_overtemperature"),
    "box_overtemperature": ("high_temperature", "discharge_overtemperature"),
    "high_temperature": ("discharge_overtemperature",),
    "low_temperature": ("discharge_undertemperature",),
    "cell_difference": ("cell_failure",),
    "charge_mos": ("contactor",),
    "discharge_mos": ("contactor",),
}
"""What is nearest to an alarm in a language that has no word of its own for it."""
_LAST: Final = (SYSTEM, BY_KEY["alarm_internal_communication"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an inverter is allowed: V, A, A."""

    voltage: float
    charge: float
    discharge: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an extreme is: the pack and the place in it, counted from 1."""

    spot: Spot
    pack: int

    @property
    def number(self) -> int | None:
        """The number of the cell, or of the probe in its name: T2."""
        place = self.spot.place
        if isinstance(place, str):
            digits = "".join(c for c in place if c.isdigit())
            return int(digits) if digits else None
        return place

    @property
    def text(self) -> str | None:
        """As a JK writes it, packs from 0 on."""
        return None if self.number is None else f"{self.pack:02}::{self.number:02}"


class Telling:
    """What is told of the packs that answer; only the limits are added to it."""

    def __init__(self, verdict: Verdict, script: Script) -> None:
        """Put together what the packs have told."""
        packs = verdict.packs
        self._script = script
        self._values = {
            **_together(packs, script.least_cutoff),
            **_counted(verdict),
            **_extremes(packs),
            of_can.BATTERY_MAKER.key: script.maker,
            of_can.FORCE_CHARGE.key: False,
            of_can.FULL_CHARGE_REQUEST.key: False,
        }
        if script.whole_degrees:
            for datum in (of_can.MAX_TEMPERATURE, of_can.MIN_TEMPERATURE):
                degrees = self._values[datum.key]
                if isinstance(degrees, int | float):
                    self._values[datum.key] = round(degrees)
        self.alarms = _words(
            (key for pack in packs for key in pack.problems), script.known(warns=False)
        )
        self.warnings = _words(
            (key for pack in packs for key in pack.warnings), script.known(warns=True)
        )

    def with_limits(
        self, limits: Limits, *, may_charge: bool, may_discharge: bool
    ) -> Decoded:
        """Return all there is to say."""
        values = {
            **self._values,
            of_can.CHARGE_VOLTAGE_LIMIT.key: limits.voltage,
            of_can.CHARGE_CURRENT_LIMIT.key: limits.charge,
            of_can.DISCHARGE_CURRENT_LIMIT.key: limits.discharge,
            of_can.CHARGE_ENABLED.key: may_charge,
            of_can.DISCHARGE_ENABLED.key: may_discharge,
        }
        return Decoded(values, self.alarms, self.warnings)


def _together(packs: tuple[PackSight, ...], least_cutoff: float) -> dict[str, Value]:
    members = [pack.member for pack in packs]
    weights = [m.capacity for m in members]
    amperes = _sum(m.amperes for m in members)
    charge = _mean((m.state_of_charge for m in members), weights)
    temperatures = [
        (m.coldest.value + m.warmest.value) / 2
        for m in members
        if m.coldest is not None and m.warmest is not None
    ]
    capacity = _sum(weights)
    health = _mean((p.health for p in packs), weights)
    cutoff = [p.guard.cell_uvp * p.cells for p in packs if p.guard.cell_uvp and p.cells]
    return {
        TOTAL_VOLTAGE.key: _mean((m.volts for m in members), [None]),
        CURRENT.key: amperes,
        STATUS_KEY: STANDBY
        if not amperes
        else CHARGING
        if amperes > 0
        else DISCHARGING,
        # Full is what is full: not what rounds to it.
        STATE_OF_CHARGE.key: None if charge is None else int(charge),
        of_can.FINE_STATE_OF_CHARGE.key: charge,
        # Where no pack tells it: an inverter would take 0 % for a broken battery.
        STATE_OF_HEALTH.key: _NOT_TOLD_HEALTH if health is None else int(health),
        of_can.AVERAGE_TEMPERATURE.key: _mean(temperatures, [None]),
        CAPACITY_REMAINING.key: _sum(m.remaining for m in members),
        FULL_CHARGE_CAPACITY.key: capacity,
        of_can.INSTALLED_CAPACITY.key: capacity,
        CHARGING_CYCLES.key: max((p.cycles or 0 for p in packs), default=None),
        CELL_COUNT.key: max((p.cells or 0 for p in packs), default=None),
        of_can.DISCHARGE_CUTOFF_VOLTAGE.key: (
            max(*cutoff, least_cutoff) if cutoff else None
        ),
        SERIAL_NUMBER.key: next(
            (p.serial_number for p in packs if p.serial_number), None
        ),
    }


def _counted(verdict: Verdict) -> dict[str, Value]:
    members = [pack.member for pack in verdict.packs]
    bits = sum(1 << n for n in range(min(len(members), _MOST_BITS)))
    return {
        of_can.MODULES_TOTAL.key: len(members) + verdict.absent,
        of_can.MODULES_ONLINE.key: len(members),
        of_can.MODULES_OFFLINE.key: verdict.absent,
        of_can.MODULES_BLOCKING_CHARGE.key: sum(
            not m.mos(Flow.CHARGE) for m in members
        ),
        of_can.MODULES_BLOCKING_DISCHARGE.key: sum(
            not m.mos(Flow.DISCHARGE) for m in members
        ),
        ONLINE_KEY: bits,
    }


def _extremes(packs: tuple[PackSight, ...]) -> dict[str, Value]:
    members = [pack.member for pack in packs]
    highest = _extreme((m.highest_cell for m in members), max)
    lowest = _extreme((m.lowest_cell for m in members), min)
    warmest = _extreme((m.warmest for m in members), max)
    coldest = _extreme((m.coldest for m in members), min)
    values: dict[str, Value] = {
        "max_cell_voltage": _value(highest),
        "min_cell_voltage": _value(lowest),
        "max_voltage_cell": _number(highest),
        "min_voltage_cell": _number(lowest),
        of_can.MAX_TEMPERATURE.key: _value(warmest),
        of_can.MIN_TEMPERATURE.key: _value(coldest),
        of_can.MAX_TEMPERATURE_SENSOR.key: _number(warmest),
        of_can.MIN_TEMPERATURE_SENSOR.key: _number(coldest),
    }
    if highest is not None and lowest is not None:
        values["delta_cell_voltage"] = round(highest.spot.value - lowest.spot.value, 3)
    for datum, place in (
        (of_can.MAX_VOLTAGE_PLACE, highest),
        (of_can.MIN_VOLTAGE_PLACE, lowest),
        (of_can.MAX_TEMPERATURE_PLACE, warmest),
        (of_can.MIN_TEMPERATURE_PLACE, coldest),
    ):
        values[datum.key] = None if place is None else place.text
    return values


def _extreme(
    spots: Iterable[Spot | None], pick: Callable[..., _Place]
) -> _Place | None:
    places = [_Place(spot, n) for n, spot in enumerate(spots) if spot is not None]
    return pick(places, key=lambda place: place.spot.value) if places else None


def _value(place: _Place | None) -> float | None:
    return None if place is None else place.spot.value


def _number(place: _Place | None) -> int | None:
    return None if place is None else place.number


def _sum(values: Iterable[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return fsum(told) if told else None


def _mean(
    values: Iterable[float | None], weights: Iterable[float | None]
) -> float | None:
    """Return the mean of what is told, weighted where every weight is known."""
    every, weight = list(values), list(weights)
    if None in weight or len(weight) != len(every):
        weight = [1.0] * len(every)
    pairs = [
        (value, each)
        for value, each in zip(every, weight, strict=True)
        if value is not None and each is not None
    ]
    total = fsum(each for _, each in pairs)
    return fsum(value * each for value, each in pairs) / total if total else None


def _words(keys: Iterable[str], known: frozenset[Condition]) -> tuple[Condition, ...]:
    """Return what a language says of active alarms, each once."""
    said: dict[Condition, None] = {}
    for key in keys:
        own = key.removeprefix("alarm_")
        names = [key, *(f"alarm_{kin}" for kin in _KIN.get(own, ()))]
        candidates = (*(BY_KEY[name] for name in names if name in BY_KEY), *_LAST)
        said |= dict.fromkeys([each for each in candidates if each in known][:1])
    return tuple(said)
