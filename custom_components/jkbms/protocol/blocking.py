"""Why a BMS lets no current in, or none out: its switch, its alarms, its timers."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, Final, Protocol

from .datum import Datum, Field, Quantity
from .derived import ALARM_STATES
from .fields import BY_KEY, CHARGE_MOS, DISCHARGE_MOS, STATE_OF_CHARGE
from .fields.can import CAN_ALARMS, CHARGE_ENABLED, DISCHARGE_ENABLED
from .fields.settings import CHARGING_SWITCH, DISCHARGING_SWITCH


class Reason(StrEnum):
    """Why a MOSFET is off, or a bank asks not to be charged or discharged."""

    NONE = auto()
    """It is not off."""
    SWITCHED_OFF = auto()
    """Its owner wants it so."""
    SHORT_CIRCUIT = auto()
    MOS_FAULT = auto()
    OVERCURRENT = auto()
    OVERVOLTAGE = auto()
    UNDERVOLTAGE = auto()
    OVERTEMPERATURE = auto()
    MOS_OVERTEMPERATURE = auto()
    UNDERTEMPERATURE = auto()
    FAULT = auto()
    """The BMS does not trust itself, its cells or its wiring."""
    OTHER_PROTECTION = auto()
    WAITING_RELEASE = auto()
    """A protection is over; its release time is not (rs485.md 2.6)."""
    PRECHARGING = auto()
    FULL = auto()
    EMPTY = auto()
    REMOTE_LOCK = auto()
    UNKNOWN = "unknown_reason"
    """Nothing that the BMS tells explains it."""


class Get(Protocol):
    """What returns the value of a datum, None where it is not known."""

    def __call__[T](self, datum: Datum[T], /) -> T | None:
        """Return the value."""


_R = Reason
_ALARMS: Final = {datum.key: datum for datum in (*ALARM_STATES, *CAN_ALARMS)}
_PRECHARGING: Final = BY_KEY["precharging"]

type _Causes = tuple[tuple[Reason, tuple[str, ...]], ...]
_FAULTS: Final[_Causes] = (
    (
        _R.FAULT,
        (
            "cell_count",
            "current_sensor",
            "internal_communication",
            "temperature_sensor",
            "parallel_module",
            "low_insulation",
            "hv_interlock",
            "system",
            "soft_start",
            "cell_failure",
        ),
    ),
    (
        _R.OTHER_PROTECTION,
        ("cell_difference", "temperature_difference", "general"),
    ),
    # A warning on RS485; where nothing else explains it, that is what is left.
    (_R.OVERTEMPERATURE, ("battery_overtemperature",)),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block(Datum[str]):
    """Why one direction of the current is off."""

    outputs: tuple[Datum[bool], ...]
    """What tells whether it is off: a pack's MOSFET, or what a bank allows."""
    switch: Field[bool]
    causes: tuple[tuple[Reason, tuple[Datum[bool], ...]], ...]
    """Alarms by what they mean, the most telling first."""
    releases: tuple[Field[Any], ...]
    full: Reason
    """What a state of charge at its end is."""
    end: float
    """The state of charge at which there is no more to do, %."""
    waits: tuple[Datum[Any], ...] = ()
    """What the BMS does before it switches on."""

    @property
    def told_by(self) -> Iterator[Datum[Any]]:
        """All that the reason follows from."""
        yield from self.outputs
        yield self.switch
        for _, alarms in self.causes:
            yield from alarms
        yield from (*self.releases, *self.waits, STATE_OF_CHARGE, _LOCK)

    def reason(self, get: Get) -> Reason | None:
        """Return why it is off; None where it is not known whether it is."""
        on = next((v for o in self.outputs if (v := get(o)) is not None), None)
        if on is None:
            return None
        if on:
            return Reason.NONE
        if get(self.switch) is False:
            return Reason.SWITCHED_OFF
        for cause, alarms in self.causes:
            if any(map(get, alarms)):
                return cause
        if any(map(get, self.releases)):
            return Reason.WAITING_RELEASE
        if any(map(get, self.waits)):
            return Reason.PRECHARGING
        if get(STATE_OF_CHARGE) == self.end:
            return self.full
        return Reason.REMOTE_LOCK if get(_LOCK) else Reason.UNKNOWN


_LOCK: Final = _ALARMS["alarm_gps_remote_lock"]
_OF_NO_OTHER: Final = (
    _R.NONE,
    _R.SWITCHED_OFF,
    _R.WAITING_RELEASE,
    _R.REMOTE_LOCK,
    _R.UNKNOWN,
)


def _block(
    key: str,
    name: str,
    outputs: tuple[Datum[bool], ...],
    switch: Field[bool],
    causes: _Causes,
    releases: tuple[str, ...],
    end: tuple[Reason, float],
    waits: tuple[Datum[Any], ...] = (),
) -> Block:
    reasons = {*_OF_NO_OTHER, *(cause for cause, _ in causes), end[0]}
    if waits:
        reasons.add(_R.PRECHARGING)
    return Block(
        key=key,
        name=name,
        quantity=Quantity.CHOICE,
        options=tuple(reason for reason in Reason if reason in reasons),
        outputs=outputs,
        switch=switch,
        causes=tuple(
            (cause, tuple(_ALARMS[f"alarm_{alarm}"] for alarm in alarms))
            for cause, alarms in causes
        ),
        releases=tuple(BY_KEY[f"{timer}_release"] for timer in releases),
        full=end[0],
        end=end[1],
        waits=waits,
    )


CHARGING_BLOCK: Final = _block(
    "charging_block_reason",
    "Why charging is off",
    (CHARGE_MOS, CHARGE_ENABLED),
    CHARGING_SWITCH,
    (
        (
            _R.SHORT_CIRCUIT,
            ("charge_short_circuit", "short_circuit_release", "short_circuit"),
        ),
        (_R.MOS_FAULT, ("charge_mos", "contactor")),
        (_R.OVERCURRENT, ("charge_overcurrent",)),
        (_R.OVERVOLTAGE, ("cell_overvoltage", "battery_overvoltage")),
        (_R.OVERTEMPERATURE, ("charge_overtemperature", "high_temperature")),
        (_R.MOS_OVERTEMPERATURE, ("mos_overtemperature",)),
        (_R.UNDERTEMPERATURE, ("charge_undertemperature", "low_temperature")),
        *_FAULTS,
    ),
    ("charge_short", "charge_overcurrent", "overvoltage"),
    (_R.FULL, 100),
)
DISCHARGING_BLOCK: Final = _block(
    "discharging_block_reason",
    "Why discharging is off",
    (DISCHARGE_MOS, DISCHARGE_ENABLED),
    DISCHARGING_SWITCH,
    (
        (
            _R.SHORT_CIRCUIT,
            ("discharge_short_circuit", "short_circuit_release", "short_circuit"),
        ),
        (_R.MOS_FAULT, ("discharge_mos", "discharge_on_failed", "contactor")),
        (
            _R.OVERCURRENT,
            (
                "discharge_overcurrent",
                "discharge_overcurrent_2",
                "discharge_overcurrent_3",
            ),
        ),
        (_R.UNDERVOLTAGE, ("cell_undervoltage", "battery_undervoltage")),
        (_R.OVERTEMPERATURE, ("discharge_overtemperature", "high_temperature")),
        (_R.MOS_OVERTEMPERATURE, ("mos_overtemperature",)),
        (_R.UNDERTEMPERATURE, ("discharge_undertemperature", "low_temperature")),
        *_FAULTS,
        (_R.EMPTY, ("low_soc",)),
    ),
    ("discharge_short", "discharge_overcurrent", "undervoltage"),
    (_R.EMPTY, 0),
    (_PRECHARGING,),
)
BLOCKS: Final = (CHARGING_BLOCK, DISCHARGING_BLOCK)
