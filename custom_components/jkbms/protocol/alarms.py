"""The alarm word of a BMS: which bit is which alarm, and how bad it is (rs485.md 6.1)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """What an alarm asks of its owner."""

    FAULT = "fault"
    """Something is broken or wired wrongly."""
    PROTECTION = "protection"
    """The BMS has cut the current to protect the cells."""
    WARNING = "warning"
    """It will, if this goes on."""
    INFO = "info"
    """Also set on healthy packs (rs485.md 8, quirk 33)."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One bit of the alarm word."""

    bit: int
    key: str
    name: str
    severity: Severity


_F: Final = Severity.FAULT
_P: Final = Severity.PROTECTION
_W: Final = Severity.WARNING
_I: Final = Severity.INFO

ALARMS: Final = tuple(
    Alarm(bit, f"alarm_{key}", name, severity)
    for bit, (key, name, severity) in enumerate(
        (
            ("wire_resistance", "Balance lead resistance too high", _F),
            ("mos_overtemperature", "MOS over-temperature protection", _P),
            ("cell_count", "Cell count does not match setting", _F),
            ("current_sensor", "Current sensor fault", _F),
            ("cell_overvoltage", "Cell over-voltage protection", _P),
            ("battery_overvoltage", "Battery over-voltage protection", _P),
            ("charge_overcurrent", "Charge over-current protection", _P),
            ("charge_short_circuit", "Charge short-circuit protection", _P),
            ("charge_overtemperature", "Charge over-temperature protection", _P),
            ("charge_undertemperature", "Charge low-temperature protection", _P),
            ("internal_communication", "Internal communication fault", _F),
            ("cell_undervoltage", "Cell under-voltage protection", _P),
            ("battery_undervoltage", "Battery under-voltage protection", _P),
            ("discharge_overcurrent", "Discharge over-current protection", _P),
            ("discharge_short_circuit", "Discharge short-circuit protection", _P),
            ("discharge_overtemperature", "Discharge over-temperature protection", _P),
            ("charge_mos", "Charge MOS fault", _F),
            ("discharge_mos", "Discharge MOS fault", _F),
            ("gps_disconnected", "GPS disconnected", _I),
            ("change_password", "Change the password", _I),
            ("discharge_on_failed", "Switching discharge on failed", _F),
            ("battery_overtemperature", "Battery over-temperature alarm", _W),
            ("temperature_sensor", "Temperature sensor fault", _F),
            ("parallel_module", "Parallel module fault", _F),
            ("short_circuit_release", "Short-circuit release failed", _F),
            ("discharge_overcurrent_2", "Discharge over-current level II", _P),
            ("discharge_overcurrent_3", "Discharge over-current level III", _P),
            ("discharge_undertemperature", "Discharge low-temperature protection", _P),
            ("gps_remote_lock", "Remote GPS lock", _I),
        )
    )
)
_PROBLEMS: Final = frozenset({_F, _P})
PROBLEM_MASK: Final = sum(1 << a.bit for a in ALARMS if a.severity in _PROBLEMS)
NOTICE_MASK: Final = sum(1 << a.bit for a in ALARMS if a.severity is _I)


def active(bitmask: int) -> tuple[Alarm, ...]:
    """Return the alarms set in the word, lowest bit first; unknown bits are left."""
    return tuple(alarm for alarm in ALARMS if bitmask >> alarm.bit & 1)
