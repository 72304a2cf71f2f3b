"""What a BMS warns of: the bits of its alarm word (rs485.md 6.1), and what only CAN has."""

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
    """Something that a BMS warns of."""

    bit: int | None
    """Its place in the alarm word; None where that has no such alarm."""
    key: str
    name: str
    severity: Severity


_F: Final = Severity.FAULT
_P: Final = Severity.PROTECTION
_W: Final = Severity.WARNING
_I: Final = Severity.INFO

WORD: Final = tuple(
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
"""The alarms of the alarm word; the place of each is its bit."""
ON_CAN: Final = tuple(
    Alarm(None, f"alarm_{key}", name, severity)
    for key, name, severity in (
        ("high_temperature", "High temperature", _P),
        ("low_temperature", "Low temperature", _P),
        ("cell_difference", "Cell voltage difference too large", _P),
        ("temperature_difference", "Temperature difference too large", _P),
        ("low_soc", "State of charge too low", _P),
        ("low_insulation", "Insulation too low", _F),
        ("hv_interlock", "High-voltage interlock open", _F),
        ("external_communication", "External communication fault", _F),
        ("system", "System fault", _F),
        ("contactor", "Contactor fault", _F),
        ("short_circuit", "Short circuit", _P),
        ("general", "General alarm", _F),
        ("soft_start", "Soft start failed", _F),
        ("cell_failure", "Cell failure or imbalance", _F),
    )
)
"""What messages on CAN tell and the alarm word does not know (can.md 1.3, 2.2)."""
ON_TTL: Final = tuple(
    Alarm(None, f"alarm_{key}", name, severity)
    for key, name, severity in (
        ("box_overtemperature", "Battery box over-temperature protection", _P),
        ("protection_309_a", "Protection 309 A", _P),
        ("protection_309_b", "Protection 309 B", _P),
    )
)
"""What only the protocol `4E 57` tells (ttl4e57.md 5.3)."""
ALARMS: Final = (*WORD, *ON_CAN, *ON_TTL)
BY_KEY: Final = {alarm.key: alarm for alarm in ALARMS}

PROBLEMS: Final = frozenset({_F, _P})
"""What a pack that is well never has."""
PROBLEM_MASK: Final = sum(1 << n for n, a in enumerate(WORD) if a.severity in PROBLEMS)
NOTICE_MASK: Final = sum(1 << n for n, a in enumerate(WORD) if a.severity is _I)

LEVELS: Final = ("none", "serious", "important", "general")
"""What two bits of the alarm frame on CAN say, 0 to 3; the lower, the worse (can.md 1.3)."""


def active(bitmask: int) -> tuple[Alarm, ...]:
    """Return the alarms set in the word, lowest bit first; unknown bits are left."""
    return tuple(alarm for n, alarm in enumerate(WORD) if bitmask >> n & 1)


def severity_at(alarm: Alarm, level: str | None) -> Severity:
    """Return how bad an alarm is at a level of CAN; None and "none": nothing is told of it.

    What the alarm word has as a protection is one at each level. Of what only CAN has,
    the lowest level is a warning.
    """
    if level in (None, LEVELS[0]) or (
        alarm.bit is not None and alarm.severity in PROBLEMS
    ):
        return alarm.severity
    if level == LEVELS[-1]:
        return Severity.WARNING
    return alarm.severity if alarm.severity in PROBLEMS else Severity.PROTECTION
