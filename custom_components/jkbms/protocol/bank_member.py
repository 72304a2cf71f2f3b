"""What a bank takes from each of its packs."""

from dataclasses import dataclass, field as dataclass_field
from enum import Enum
from typing import Final, Self

from .blocking import Get
from .datum import Datum
from .derived import DERIVED, POWER, PROBLEM
from .energy import REST
from .fields import (
    BY_KEY,
    CAPACITY_REMAINING,
    CHARGE_MOS,
    CURRENT,
    DISCHARGE_MOS,
    FULL_CHARGE_CAPACITY,
    PROBES,
    STATE_OF_CHARGE,
    TOTAL_VOLTAGE,
)
from .fields.can import MAX_TEMPERATURE, MIN_TEMPERATURE

_BY_KEY: Final = {datum.key: datum for datum in DERIVED}
_MIN_CELL: Final = _BY_KEY["min_cell_voltage"]
_MIN_CELL_NUMBER: Final = _BY_KEY["min_voltage_cell"]
_MAX_CELL: Final = _BY_KEY["max_cell_voltage"]
_MAX_CELL_NUMBER: Final = _BY_KEY["max_voltage_cell"]
_BALANCING: Final = _BY_KEY["balancing"]
_ERRORS: Final = _BY_KEY["errors"]
_MAX_CHARGE: Final = BY_KEY["max_charge_current"]
_MAX_DISCHARGE: Final = BY_KEY["max_discharge_current"]
_PROBE_NAMES: Final = {
    probe: probe.key.replace("temperature_sensor_", "T") for probe in PROBES
}


class Flow(Enum):
    """A direction of the current."""

    CHARGE = 1
    DISCHARGE = -1


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A value at a place of a pack: a cell by its number, a probe by its name."""

    value: float
    place: int | str | None = None
    """None where the pack does not tell which it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A pack of a bank at a moment; None is what it does not tell."""

    pack_id: str
    name: str
    online: bool = False
    """Whether it answers; one that does not tells nothing."""
    heard: float | None = dataclass_field(default=None, compare=False)
    """When it was read last, s."""
    volts: float | None = None
    amperes: float | None = None
    watts: float | None = None
    state_of_charge: float | None = None
    remaining: float | None = None
    """Ah left."""
    capacity: float | None = None
    """Ah when full, as learnt."""
    energy: float | None = None
    """kWh left."""
    lowest_cell: Spot | None = None
    highest_cell: Spot | None = None
    coldest: Spot | None = None
    warmest: Spot | None = None
    charge_mos: bool | None = None
    discharge_mos: bool | None = None
    balancing: bool | None = None
    problem: bool | None = None
    errors: str | None = None
    """Its active alarms, "OK" for none."""
    max_charge: float | None = None
    """A, as set."""
    max_discharge: float | None = None

    @classmethod
    def read(
        cls,
        pack_id: str,
        name: str,
        get: Get,
        *,
        heard: float | None,
        energy: float | None,
    ) -> Self:
        """Return what a pack that answers tells."""
        capacity = get(FULL_CHARGE_CAPACITY)
        coldest, warmest = _temperatures(get)
        return cls(
            pack_id=pack_id,
            name=name,
            online=True,
            heard=heard,
            volts=get(TOTAL_VOLTAGE),
            amperes=get(CURRENT),
            watts=get(POWER),
            state_of_charge=get(STATE_OF_CHARGE),
            remaining=get(CAPACITY_REMAINING),
            # A pack that has learnt nothing yet says 0: that is no weight.
            capacity=capacity or None,
            energy=energy,
            lowest_cell=_spot(get, _MIN_CELL, _MIN_CELL_NUMBER),
            highest_cell=_spot(get, _MAX_CELL, _MAX_CELL_NUMBER),
            coldest=coldest,
            warmest=warmest,
            charge_mos=get(CHARGE_MOS),
            discharge_mos=get(DISCHARGE_MOS),
            balancing=get(_BALANCING),
            problem=get(PROBLEM),
            errors=get(_ERRORS),
            max_charge=get(_MAX_CHARGE),
            max_discharge=get(_MAX_DISCHARGE),
        )

    def mos(self, flow: Flow) -> bool | None:
        """Return whether current may go in a direction."""
        return self.charge_mos if flow is Flow.CHARGE else self.discharge_mos

    def carries(self, flow: Flow) -> bool | None:
        """Tell whether more than the current of a pack at rest goes in a direction."""
        if self.amperes is None:
            return None
        return self.amperes * flow.value > (self.capacity or 0.0) * REST


def _spot(
    get: Get, value: Datum[float], number: Datum[float] | None = None
) -> Spot | None:
    told = get(value)
    place = None if number is None else get(number)
    return None if told is None else Spot(told, None if place is None else int(place))


def _temperatures(get: Get) -> tuple[Spot | None, Spot | None]:
    """Return the lowest and the highest temperature of the cells.

    The MOSFETs are no cells. Where a message on CAN tells the extremes and no probes,
    nobody knows which probe it was.
    """
    told = {
        name: degrees
        for probe, name in _PROBE_NAMES.items()
        if (degrees := get(probe)) is not None
    }
    if not told:
        return _spot(get, MIN_TEMPERATURE), _spot(get, MAX_TEMPERATURE)
    spots = [Spot(degrees, name) for name, degrees in told.items()]
    return min(spots), max(spots)
