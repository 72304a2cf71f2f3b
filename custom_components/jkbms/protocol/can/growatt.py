"""What a bank tells a Growatt inverter, big endian (can.md 2.7)."""

from typing import Final

from ..fields import (
    CAPACITY_REMAINING,
    CELL_VOLTAGES,
    CHARGING_CYCLES,
    CURRENT,
    FULL_CHARGE_CAPACITY,
    SOFTWARE_VERSION,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_VOLTAGE,
)
from ..fields.can import (
    BATTERY_MAKER,
    CHARGE_CURRENT_LIMIT,
    CHARGE_ENABLED,
    CHARGE_VOLTAGE_LIMIT,
    DISCHARGE_CURRENT_LIMIT,
    DISCHARGE_ENABLED,
    FORCE_CHARGE,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    MODULES_TOTAL,
)
from ..fields.settings import CELL_COUNT
from .conditions import (
    CELL_DIFFERENCE,
    HIGH_VOLTAGE,
    LOW_VOLTAGE,
    SHORT_CIRCUIT,
    SYSTEM,
    alarm,
)
from .signals import (
    Alarms,
    Bits,
    Cells,
    Flag,
    Number,
    Share,
    Version,
    Words,
    at_most,
    bank_frame,
)

LIMITS: Final = 0x311
MEASURED: Final = 0x313
JK: Final = "JK"
CHARGING: Final = 2
DISCHARGING: Final = 3
STANDBY: Final = 1
STATUS_KEY: Final = "growatt_state"
"""What the bank does, which gives the current its sign; not a value to show."""

_ALARMS: Final[Bits] = {
    (0, 7): alarm("discharge_overcurrent"),
    (0, 6): alarm("charge_overcurrent"),
    (0, 5): SHORT_CIRCUIT,
    (0, 4): alarm("cell_overvoltage"),
    (0, 3): alarm("cell_undervoltage"),
    (0, 2): HIGH_VOLTAGE,
    (0, 1): LOW_VOLTAGE,
    (0, 0): alarm("soft_start"),
    (1, 7): alarm("discharge_overtemperature"),
    (1, 6): alarm("charge_overtemperature"),
    (1, 5): alarm("discharge_undertemperature"),
    (1, 4): alarm("charge_undertemperature"),
    (1, 1): SYSTEM,
    (1, 0): CELL_DIFFERENCE,
}
_WARNINGS: Final[Bits] = {
    (2, 7): alarm("discharge_overcurrent"),
    (2, 6): alarm("charge_overcurrent"),
    (2, 4): alarm("cell_overvoltage"),
    (2, 3): alarm("cell_undervoltage"),
    (2, 2): HIGH_VOLTAGE,
    (2, 1): LOW_VOLTAGE,
    (3, 7): alarm("discharge_overtemperature"),
    (3, 6): alarm("charge_overtemperature"),
    (3, 5): alarm("discharge_undertemperature"),
    (3, 4): alarm("charge_undertemperature"),
    (3, 2): CELL_DIFFERENCE,
    (3, 0): alarm("internal_communication"),
}


def _limit(key: str, offset: int) -> Number:
    return Number(key, offset, ">H", divisor=10, rounding=at_most)


def _s16(key: str, offset: int, divisor: int) -> Number:
    return Number(key, offset, ">h", divisor=divisor)


def _u16(key: str, offset: int, divisor: int = 1) -> Number:
    return Number(key, offset, ">H", divisor=divisor)


def _cell(number: int, offset: int) -> Number:
    key = CELL_VOLTAGES[number].key
    return Number(key, offset, ">H", divisor=1000, unknown=0)


MESSAGES: Final = (
    bank_frame(
        LIMITS,
        "limits",
        8,
        _limit(CHARGE_VOLTAGE_LIMIT.key, 0),
        _limit(CHARGE_CURRENT_LIMIT.key, 2),
        _limit(DISCHARGE_CURRENT_LIMIT.key, 4),
        Share(STATUS_KEY, 6, ">H", mask=3),
        # 0x319 tells these, too.
        Flag(DISCHARGE_ENABLED.key, 7, 0x20, told=False),
        Flag(CHARGE_ENABLED.key, 7, 0x40, told=False),
    ),
    bank_frame(
        0x312,
        "alarms",
        8,
        Alarms(_ALARMS),
        Alarms(_WARNINGS, warns=True),
        Number(MODULES_TOTAL.key, 4, ">B"),
        Words(BATTERY_MAKER.key, 5, 2, told=False),
    ),
    bank_frame(
        MEASURED,
        "measurements",
        8,
        _s16(TOTAL_VOLTAGE.key, 0, 100),
        _s16(CURRENT.key, 2, 10),
        _s16(MAX_TEMPERATURE.key, 4, 10),
        Number(STATE_OF_CHARGE.key, 6, ">B"),
        Share(STATE_OF_HEALTH.key, 7, ">B", mask=0x7F),
    ),
    bank_frame(
        0x314,
        "capacity",
        8,
        # In 0.1 Ah, as JK sends them; others send 0.01 Ah.
        _u16(CAPACITY_REMAINING.key, 0, 10),
        _u16(FULL_CHARGE_CAPACITY.key, 2, 10),
        _u16("delta_cell_voltage", 4, 1000),
        _u16(CHARGING_CYCLES.key, 6),
    ),
    *(
        bank_frame(
            0x315 + k, f"cells {k}", 8, *(_cell(4 * k + n, 2 * n) for n in range(4))
        )
        for k in range(4)
    ),
    bank_frame(
        0x319,
        "requests",
        8,
        Flag(CHARGE_ENABLED.key, 0, 0x80),
        Flag(DISCHARGE_ENABLED.key, 0, 0x40),
        Flag(FORCE_CHARGE.key, 0, 0x30),
        Cells(1, 3, ">H"),
        Number("max_voltage_cell", 5, ">B"),
        Number("min_voltage_cell", 6, ">B"),
    ),
    bank_frame(
        0x320,
        "manufacturer",
        4,
        Words(BATTERY_MAKER.key, 0, 2),
        # Only of JK it is known that the two bytes are those of its software.
        Version(SOFTWARE_VERSION.key, 2, (BATTERY_MAKER.key, JK)),
    ),
    bank_frame(0x321, "update", 1),
    bank_frame(
        0x322,
        "extremes",
        8,
        Number(MAX_TEMPERATURE.key, 0, ">h", divisor=10, told=False),
        Number(MIN_TEMPERATURE.key, 2, ">h", divisor=10, told=False),
    ),
    bank_frame(
        0x323,
        "protection",
        1,
        Number(CELL_COUNT.key, 0, ">B", told=False),
        Alarms(
            {(byte + 1, bit): one for (byte, bit), one in _ALARMS.items()}, told=False
        ),
    ),
)
