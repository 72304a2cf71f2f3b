"""What an inverter has to know of each pack, beyond what a bank shows (inverter.md 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from ..alarms import BY_KEY as ALARMS, PROBLEMS, Severity, severity_at
from ..bank_member import Flow, Member
from ..blocking import Get
from ..datum import Datum
from ..derived import ALARM_STATES
from ..fields import (
    BY_KEY,
    CELL_COUNT,
    CELL_PRESENCE,
    CHARGE_STATUS,
    CHARGING_CYCLES,
    MOS_TEMPERATURE,
    SERIAL_NUMBER,
    STATE_OF_HEALTH,
)
from ..fields.can import CAN_ALARMS, LEVEL_OF
from ..fields.ttl import TTL_ALARMS

_ALARM_DATA: Final[tuple[Datum[bool], ...]] = (
    *(
        datum
        for datum in ALARM_STATES
        if ALARMS[datum.key].severity is not Severity.INFO
    ),
    *CAN_ALARMS,
    *TTL_ALARMS,
)
ALARM_OF: Final = {datum.key: datum for datum in _ALARM_DATA}
"""What each alarm is called, by key."""
_HARMLESS: Final = frozenset(
    {
        # The current stays what it is: a lead of the balancer, a line to somebody else.
        "alarm_wire_resistance",
        "alarm_external_communication",
        # An empty pack is no broken one: its state of charge and its cells limit it.
        "alarm_low_soc",
    }
)
FLOAT: Final = "float"
"""The charge phase after absorption (rs485.md 2.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A pack's settings that guard its cells: V per cell, °C; None is not told."""

    cell_ovp: float | None = None
    cell_ovpr: float | None = None
    cell_uvp: float | None = None
    cell_uvpr: float | None = None
    cell_request_charge_voltage: float | None = None
    cell_request_float_voltage: float | None = None
    charge_otp: float | None = None
    charge_otp_recovery: float | None = None
    charge_utp: float | None = None
    charge_utp_recovery: float | None = None
    discharge_otp: float | None = None
    discharge_otp_recovery: float | None = None
    discharge_utp: float | None = None
    discharge_utp_recovery: float | None = None
    mos_otp: float | None = None
    mos_otp_recovery: float | None = None

    @classmethod
    def read(cls, get: Get) -> Self:
        """Return the settings as a pack tells them."""
        return cls(**{key: get(field) for key, field in _SETTINGS.items()})

    @property
    def full_cell(self) -> float | None:
        """Up to where a cell is charged: RCV, or where there is none what follows an OVP."""
        if self.cell_request_charge_voltage is not None:
            return self.cell_request_charge_voltage
        return self.cell_ovpr


_SETTINGS: Final[dict[str, Datum[Any]]] = {
    key: BY_KEY[key] for key in Guard.__dataclass_fields__
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackSight:
    """A pack at a moment, as the limits follow from it."""

    member: Member
    guard: Guard = Guard()
    cells: int | None = None
    floats: bool = False
    """Whether it asks for its float voltage."""
    health: float | None = None
    cycles: int | None = None
    mos_temperature: float | None = None
    serial_number: str | None = None
    protections: tuple[str, ...] = ()
    """Keys of active alarms after which nobody can count on the pack."""
    problems: tuple[str, ...] = ()
    """Keys of all active protections and faults."""
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, member: Member, get: Get) -> Self:
        """Return what a pack tells; one that does not answer tells nothing."""
        if not member.online:
            return cls(member=member)
        problems, warnings = _conditions(get)
        health, cycles = get(STATE_OF_HEALTH), get(CHARGING_CYCLES)
        return cls(
            member=member,
            guard=Guard.read(get),
            cells=_cells(get),
            floats=get(CHARGE_STATUS) == FLOAT,
            health=health,
            cycles=None if cycles is None else int(cycles),
            mos_temperature=get(MOS_TEMPERATURE),
            serial_number=get(SERIAL_NUMBER),
            protections=tuple(key for key in problems if key not in _HARMLESS),
            problems=problems,
            warnings=warnings,
        )

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return self.member.name

    def setting(self, flow: Flow) -> float | None:
        """Return the continued current of a direction, A, as set."""
        charge = flow is Flow.CHARGE
        return self.member.max_charge if charge else self.member.max_discharge

    def age(self, now: float) -> float:
        """Return how old what it tells is, s."""
        heard = self.member.heard
        return float("inf") if heard is None else now - heard


def _cells(get: Get) -> int | None:
    """Return how many cells there are: those that are measured, else as set."""
    if presence := get(CELL_PRESENCE):
        return int(presence).bit_count()
    count = get(CELL_COUNT)
    return int(count) if count else None


def _conditions(get: Get) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the active alarms: those that are a problem, and warnings."""
    severities = dict(_active(get))
    return (
        tuple(key for key, severity in severities.items() if severity in PROBLEMS),
        tuple(key for key, severity in severities.items() if severity not in PROBLEMS),
    )


def _active(get: Get) -> Iterator[tuple[str, Severity]]:
    for datum in _ALARM_DATA:
        if get(datum):
            level = LEVEL_OF.get(datum.key)
            told = None if level is None else get(level)
            yield datum.key, severity_at(ALARMS[datum.key], told)
