"""What a CAN message can warn of, and which alarm of the alarm word that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..alarms import ALARMS, PROBLEM_MASK, Severity


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong with a pack or a bank."""

    key: str
    name: str
    bit: int | None = None
    """Its place in the alarm word; None where that has no such alarm."""
    grave: bool = True
    """Whether it is a problem, and not only worth telling."""


BY_BIT: Final = {
    alarm.bit: Condition(
        alarm.key, alarm.name, alarm.bit, bool(PROBLEM_MASK >> alarm.bit & 1)
    )
    for alarm in ALARMS
    if alarm.severity is not Severity.INFO
}
BY_KEY: Final = {condition.key: condition for condition in BY_BIT.values()}


def alarm(key: str) -> Condition:
    """Return the condition that the alarm word has under this name."""
    return BY_KEY[f"alarm_{key}"]


def other(key: str, name: str) -> Condition:
    """Return a condition that the alarm word does not know."""
    return Condition(f"alarm_{key}", name)


HIGH_TEMPERATURE: Final = alarm("battery_overtemperature")
LOW_TEMPERATURE: Final = other("low_temperature", "Low temperature")
CELL_DIFFERENCE: Final = other("cell_difference", "Cell voltage difference too large")
TEMPERATURE_DIFFERENCE: Final = other(
    "temperature_difference", "Temperature difference too large"
)
LOW_SOC: Final = other("low_soc", "State of charge too low")
LOW_INSULATION: Final = other("low_insulation", "Insulation too low")
HV_INTERLOCK: Final = other("hv_interlock", "High-voltage interlock open")
EXTERNAL_COMMUNICATION: Final = other(
    "external_communication", "External communication fault"
)
SYSTEM: Final = other("system", "System fault")
CONTACTOR: Final = other("contactor", "Contactor fault")
SHORT_CIRCUIT: Final = other("short_circuit", "Short circuit")
GENERAL: Final = other("general", "General alarm")
SOFT_START: Final = other("soft_start", "Soft start failed")
CELL_FAILURE: Final = other("cell_failure", "Cell failure or imbalance")


def word(conditions: Iterable[Condition]) -> int:
    """Return the alarm word that says the same, as far as it can."""
    return sum(1 << bit for bit in {c.bit for c in conditions} if bit is not None)
