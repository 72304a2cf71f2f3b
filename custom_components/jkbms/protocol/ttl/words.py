"""What the alarm word and the status word say (ttl4e57.md 5.3, 5.4)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ..alarms import LEVELS
from ..can.conditions import alarm
from ..can.station import told_alarms
from ..codecs import Value
from ..fields import CHARGE_MOS, DISCHARGE_MOS
from ..fields.can import LEVEL_OF

_BITS: Final = tuple(
    alarm(key)
    for key in (
        "low_soc",
        "mos_overtemperature",
        "battery_overvoltage",
        "battery_undervoltage",
        "battery_overtemperature",
        "charge_overcurrent",
        "discharge_overcurrent",
        "cell_difference",
        "box_overtemperature",
        "charge_undertemperature",
        "cell_overvoltage",
        "cell_undervoltage",
        "protection_309_a",
        "protection_309_b",
    )
)
_GRAVE: Final = tuple(
    replace(condition, grave=bit > 0) for bit, condition in enumerate(_BITS)
)
"""Only the low capacity is a warning; the others cut the current."""
ALARM_KEYS: Final = tuple(condition.key for condition in _BITS)
_LEVELS: Final = {
    "alarm_low_soc": LEVELS[-1],
    "alarm_battery_overtemperature": LEVELS[1],
}
"""How bad what is told otherwise elsewhere is: here a warning, and here a protection."""


@lru_cache(maxsize=64)
def of_alarms(word: int) -> Mapping[str, Value]:
    """Return what the alarm word says, by the keys that it has on other wires."""
    active = [c for bit, c in enumerate(_GRAVE) if word >> bit & 1]
    told = told_alarms(active, ALARM_KEYS)
    for key, level in _LEVELS.items():
        told[LEVEL_OF[key].key] = level if told[key] else LEVELS[0]
    return told


@lru_cache(maxsize=64)
def of_status(word: int) -> Mapping[str, Value]:
    """Return what the status word says; recordings contradict the paper on bit 3."""
    return {
        CHARGE_MOS.key: bool(word & 1),
        DISCHARGE_MOS.key: bool(word >> 1 & 1),
        "balancing": bool(word >> 2 & 1),
    }
