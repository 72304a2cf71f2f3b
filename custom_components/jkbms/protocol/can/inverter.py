"""What a bank tells an inverter: the messages of the inverter dialects (can.md 2.2)."""

from collections.abc import Iterable
from typing import Final

from ..fields import (
    CAPACITY_REMAINING,
    CHARGING_CYCLES,
    CURRENT,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_VOLTAGE,
)
from ..fields.can import (
    AVERAGE_TEMPERATURE,
    BATTERY_MAKER,
    CHARGE_CURRENT_LIMIT,
    CHARGE_ENABLED,
    CHARGE_VOLTAGE_LIMIT,
    DISCHARGE_CURRENT_LIMIT,
    DISCHARGE_CUTOFF_VOLTAGE,
    DISCHARGE_ENABLED,
    FINE_STATE_OF_CHARGE,
    FORCE_CHARGE,
    FULL_CHARGE_REQUEST,
    INSTALLED_CAPACITY,
    MAX_TEMPERATURE,
    MAX_TEMPERATURE_PLACE,
    MAX_TEMPERATURE_SENSOR,
    MAX_VOLTAGE_PLACE,
    MIN_TEMPERATURE,
    MIN_TEMPERATURE_PLACE,
    MIN_TEMPERATURE_SENSOR,
    MIN_VOLTAGE_PLACE,
    MODULES_BLOCKING_CHARGE,
    MODULES_BLOCKING_DISCHARGE,
    MODULES_OFFLINE,
    MODULES_ONLINE,
    MODULES_TOTAL,
)
from . import growatt
from .conditions import (
    CELL_DIFFERENCE,
    HIGH_TEMPERATURE,
    HIGH_VOLTAGE,
    LOW_TEMPERATURE,
    LOW_VOLTAGE,
    SHORT_CIRCUIT,
    SYSTEM,
    alarm,
)
from .dialect import Dialect
from .frame import Frame
from .signals import (
    Alarms,
    BankFrame,
    Bits,
    Cells,
    FineCharge,
    Flag,
    Mark,
    Number,
    Pairs,
    Part,
    Version,
    Whole,
    Words,
    at_least,
    at_most,
    bank_frame,
)

LIMITS: Final = 0x351
CHARGE: Final = 0x355
MEASURED: Final = 0x356
ALARMS: Final = 0x359
PAIRS: Final = 0x35A
REQUESTS: Final = 0x35C
MAKER: Final = 0x35E
_KELVIN: Final = 273
ONLINE_KEY: Final = "packs_online_bits"
"""One bit for each pack that answers; only some of Pylontech's followers have it."""


def _u16(key: str, offset: int, divisor: int = 1) -> Number:
    return Number(key, offset, "<H", divisor=divisor)


def _s16(key: str, offset: int, divisor: int = 1) -> Number:
    return Number(key, offset, "<h", divisor=divisor)


# -- Pylontech, SMA and Victron -------------------------------------------------------

_CVL: Final = Number(CHARGE_VOLTAGE_LIMIT.key, 0, "<H", divisor=10, rounding=at_most)
_CCL: Final = Number(CHARGE_CURRENT_LIMIT.key, 2, "<h", divisor=10, rounding=at_most)
_DCL: Final = Number(DISCHARGE_CURRENT_LIMIT.key, 4, "<h", divisor=10, rounding=at_most)
_CUTOFF: Final = Number(
    # Some leave it empty.
    DISCHARGE_CUTOFF_VOLTAGE.key, 6, "<H", divisor=10, unknown=0, rounding=at_least
)  # fmt: skip
_SOC: Final = _u16(STATE_OF_CHARGE.key, 0)
_SOH: Final = _u16(STATE_OF_HEALTH.key, 2)
_VOLTS: Final = _s16(TOTAL_VOLTAGE.key, 0, 100)
_AMPERES: Final = _s16(CURRENT.key, 2, 10)

_PYLON_ALARMS: Final[Bits] = {
    (0, 1): HIGH_VOLTAGE,
    (0, 2): LOW_VOLTAGE,
    (0, 3): HIGH_TEMPERATURE,
    (0, 4): LOW_TEMPERATURE,
    (0, 7): alarm("discharge_overcurrent"),
    (1, 0): alarm("charge_overcurrent"),
    (1, 3): SYSTEM,
    (1, 4): CELL_DIFFERENCE,
}
_PYLON_WARNINGS: Final[Bits] = {
    (2, 1): HIGH_VOLTAGE,
    (2, 2): LOW_VOLTAGE,
    (2, 3): HIGH_TEMPERATURE,
    (2, 4): LOW_TEMPERATURE,
    (2, 7): alarm("discharge_overcurrent"),
    (3, 0): alarm("charge_overcurrent"),
    (3, 3): alarm("internal_communication"),
    (3, 4): alarm("cell_failure"),
}
_CONDITIONS: Final = (
    alarm("general"),
    HIGH_VOLTAGE,
    LOW_VOLTAGE,
    HIGH_TEMPERATURE,
    LOW_TEMPERATURE,
    alarm("charge_overtemperature"),
    alarm("charge_undertemperature"),
    alarm("discharge_overcurrent"),
    alarm("charge_overcurrent"),
    alarm("contactor"),
    SHORT_CIRCUIT,
    SYSTEM,
    CELL_DIFFERENCE,
)


def _alarms(*more: Part) -> BankFrame:
    """Return 0x359, whose last bytes are each follower's own."""
    return bank_frame(
        ALARMS,
        "alarms",
        5,
        Alarms(_PYLON_ALARMS),
        Alarms(_PYLON_WARNINGS, warns=True),
        Number(MODULES_TOTAL.key, 4, "<B"),
        *more,
    )


def _maker(fill: bytes = b"\0") -> BankFrame:
    return bank_frame(MAKER, "manufacturer", 1, Words(BATTERY_MAKER.key, fill=fill))


def _extremes(divisor: int = 1) -> BankFrame:
    """Return 0x370, whose temperatures have no unit that all agree on."""
    return bank_frame(
        0x370,
        "extremes",
        8,
        _s16(MAX_TEMPERATURE.key, 0, divisor),
        _s16(MIN_TEMPERATURE.key, 2, divisor),
        Cells(4, 6),
    )


def _requests(*more: Part) -> BankFrame:
    return bank_frame(
        REQUESTS,
        "requests",
        1,
        Flag(CHARGE_ENABLED.key, 0, 0x80),
        Flag(DISCHARGE_ENABLED.key, 0, 0x40),
        # Makers do not agree which of the two is the more urgent.
        Flag(FORCE_CHARGE.key, 0, 0x30),
        Flag(FULL_CHARGE_REQUEST.key, 0, 0x08),
        *more,
    )


def _kelvin(key: str, offset: int) -> Number:
    return Number(key, offset, "<H", bias=_KELVIN, unknown=0)


_COMMON: Final = (
    bank_frame(LIMITS, "limits", 6, _CVL, _CCL, _DCL, _CUTOFF),
    bank_frame(
        CHARGE,
        "state of charge",
        4,
        _SOC,
        _SOH,
        FineCharge(FINE_STATE_OF_CHARGE.key, 4, "<H", divisor=100),
    ),
    bank_frame(
        MEASURED,
        "measurements",
        6,
        _VOLTS,
        _AMPERES,
        _s16(AVERAGE_TEMPERATURE.key, 4, 10),
    ),
    _maker(),
)
_PYLON: Final = (
    _alarms(),
    _requests(),
    _extremes(),
    bank_frame(
        0x371,
        "places",
        8,
        _u16(MAX_TEMPERATURE_SENSOR.key, 0),
        _u16(MIN_TEMPERATURE_SENSOR.key, 2),
        _u16("max_voltage_cell", 4),
        _u16("min_voltage_cell", 6),
    ),
)
_PAIRS: Final = bank_frame(
    PAIRS,
    "alarms",
    8,
    Pairs(0, _CONDITIONS, 0x0002A8A8),
    Pairs(4, _CONDITIONS, 0x0202A8A8, warns=True),
)
_SMA: Final = (
    _PAIRS,
    bank_frame(0x35B, "events", 1),
    bank_frame(
        0x35F,
        "battery",
        4,
        Number(INSTALLED_CAPACITY.key, 4, "<H", told=False),
    ),
)
_VICTRON: Final = (
    _PAIRS,
    bank_frame(
        0x35F,
        "product",
        4,
        Mark(0, bytes.fromhex("694C")),
        Version(SOFTWARE_VERSION.key, 2),
        Number(CAPACITY_REMAINING.key, 4, "<H", told=False),
    ),
    bank_frame(0x360, "force charge", 1, Whole(FORCE_CHARGE.key)),
    bank_frame(0x370, "name", 1, Words(BATTERY_MAKER.key, told=False)),
    bank_frame(
        0x371, "name, continued", 1, Words(BATTERY_MAKER.key, skip=8, told=False)
    ),
    bank_frame(
        0x372,
        "modules",
        8,
        _u16(MODULES_ONLINE.key, 0),
        _u16(MODULES_BLOCKING_CHARGE.key, 2),
        _u16(MODULES_BLOCKING_DISCHARGE.key, 4),
        _u16(MODULES_OFFLINE.key, 6),
    ),
    bank_frame(
        0x373,
        "extremes",
        8,
        Cells(2, 0),
        _kelvin(MIN_TEMPERATURE.key, 4),
        _kelvin(MAX_TEMPERATURE.key, 6),
    ),
    bank_frame(0x374, "lowest cell", 1, Words(MIN_VOLTAGE_PLACE.key)),
    bank_frame(0x375, "highest cell", 1, Words(MAX_VOLTAGE_PLACE.key)),
    bank_frame(0x376, "coldest sensor", 1, Words(MIN_TEMPERATURE_PLACE.key)),
    bank_frame(0x377, "warmest sensor", 1, Words(MAX_TEMPERATURE_PLACE.key)),
    # The unit of these energies is not known (can.md 2.2).
    bank_frame(0x378, "energies", 8),
    bank_frame(0x379, "installed capacity", 2, _u16(INSTALLED_CAPACITY.key, 0)),
    bank_frame(0x380, "serial number", 1, Words(SERIAL_NUMBER.key, told=False)),
    bank_frame(
        0x381,
        "serial number, continued",
        1,
        Words(SERIAL_NUMBER.key, skip=8, told=False),
    ),
    bank_frame(0x382, "product id", 1, Words(BATTERY_MAKER.key, told=False)),
)

# -- what followers of Pylontech have in other words ----------------------------------

PYLON_12: Final = (_alarms(Mark(5, b"PN")), _maker(b" "))
"""Pylontech's own: its letters in 0x359, and names filled up with spaces."""
PYLON_13: Final = (
    _alarms(Number(ONLINE_KEY, 7, "<B")),
    _extremes(10),
    bank_frame(LIMITS, "limits", 8, _CVL, _CCL, _DCL, _CUTOFF),
)
"""Version 1.3, which is GoodWe's 1.5: who is online in 0x359, tenths of a degree."""
DEYE: Final = (_alarms(Mark(5, b"PN")),)
"""What a JK sends for Deye, Pylontech and GoodWe alike."""
LUXPOWER: Final = (
    bank_frame(CHARGE, "state of charge", 8, _SOC, _SOH, Cells(4, 6)),
    bank_frame(
        MEASURED,
        "measurements",
        8,
        _VOLTS,
        _AMPERES,
        _s16(MAX_TEMPERATURE.key, 4, 10),
        _s16(MIN_TEMPERATURE.key, 6, 10),
    ),
    _alarms(_u16(INSTALLED_CAPACITY.key, 5)),
    _requests(_u16(CHARGING_CYCLES.key, 2)),
)
"""Nothing in the ids tells it from Pylontech: to be sent, not to be recognised."""

# -- the table ------------------------------------------------------------------------


def by_id[FrameT: Frame](frames: Iterable[FrameT]) -> dict[int, FrameT]:
    """Return messages by their id; of two with one id the last counts."""
    return {frame.id: frame for frame in frames}


FRAMES: Final[dict[Dialect, dict[int, BankFrame]]] = {
    Dialect.PYLON: by_id((*_COMMON, *_PYLON)),
    Dialect.SMA: by_id((*_COMMON, *_SMA)),
    Dialect.VICTRON: by_id((*_COMMON, *_VICTRON)),
    Dialect.GROWATT: by_id(growatt.MESSAGES),
}
ALARM_KEYS: Final = {
    dialect: frozenset(
        condition.key
        for frame in frames.values()
        for condition in frame.layout.conditions()
    )
    for dialect, frames in FRAMES.items()
}
"""What a bank warns of, whether it does so now or not."""
BY_ID: Final = by_id(
    Frame(
        name=frame.name,
        id=frame.id,
        length=1,
        period=frame.period,
        decode=bank_frame(frame.id, frame.name, 1).decode,
    )
    for frames in FRAMES.values()
    for frame in frames.values()
)
"""Every id that a bank uses; which message it is depends on the others."""
QUESTION: Final = 0x301
"""Growatt's, which asks for a cycle of messages."""
KEEP_ALIVE: Final = 0x305
OF_INVERTERS: Final = frozenset({0x00F, 0x300, QUESTION, KEEP_ALIVE, 0x306, 0x307})
"""What inverters say to a battery (can.md 2.3)."""
