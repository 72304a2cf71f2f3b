"""What a CAN message can warn of, and which alarm of the alarm word that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..alarms import ALARMS, PROBLEMS, WORD, Alarm, Severity


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong with a pack or a bank."""

    key: str
    name: str
    bit: int | None = None
    """Its place in the alarm word; None where that has no such alarm."""
    grave: bool = True
    """Whether it is a problem, and not only worth telling."""


def _condition(alarm: Alarm) -> Condition:
    return Condition(alarm.key, alarm.name, alarm.bit, alarm.severity in PROBLEMS)


BY_KEY: Final = {
    alarm.key: _condition(alarm)
    for alarm in ALARMS
    if alarm.severity is not Severity.INFO
}


def alarm(key: str) -> Condition:
    """Return the condition of this name."""
    return BY_KEY[f"alarm_{key}"]


def of_bits(count: int) -> tuple[Condition, ...]:
    """Return the conditions of the lowest bits of the alarm word."""
    return tuple(BY_KEY[alarm.key] for alarm in WORD[:count])


HIGH_VOLTAGE: Final = alarm("battery_overvoltage")
LOW_VOLTAGE: Final = alarm("battery_undervoltage")
HIGH_TEMPERATURE: Final = alarm("high_temperature")
LOW_TEMPERATURE: Final = alarm("low_temperature")
CELL_DIFFERENCE: Final = alarm("cell_difference")
SHORT_CIRCUIT: Final = alarm("short_circuit")
SYSTEM: Final = alarm("system")


def word(conditions: Iterable[Condition]) -> int:
    """Return the alarm word that says the same, as far as it can."""
    return sum(1 << bit for bit in {c.bit for c in conditions} if bit is not None)
