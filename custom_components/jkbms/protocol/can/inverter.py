"""What a bank tells an inverter: the messages of the inverter dialects (can.md 2.2)."""

from collections.abc import Iterable
import struct
from typing import Final

from ..fields import (
    CURRENT,
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
    LOW_TEMPERATURE,
    SHORT_CIRCUIT,
    SYSTEM,
    Condition,
    alarm,
)
from .dialect import Dialect
from .frame import Decoded, Frame
from .parts import (
    HIGH_VOLTAGE,
    LOW_VOLTAGE,
    Bits,
    Decode,
    active,
    bank_frame,
    cell_extremes,
    nothing,
    text,
)

MAKER: Final = 0x35E
LIMITS: Final = 0x351
MEASURED: Final = 0x356
CHARGE: Final = 0x355
_KELVIN: Final = 273
_WORDS: Final = struct.Struct("<HHHH")


def _words(data: bytes) -> tuple[int, int, int, int]:
    """Return the four words of a message; those that it is too short for are 0."""
    return _WORDS.unpack(data.ljust(8, b"\0"))


# -- Pylontech, SMA and Victron -------------------------------------------------------

_LIMITS: Final = struct.Struct("<Hhh")


def _limits(data: bytes) -> Decoded:
    volts, charge, discharge = _LIMITS.unpack_from(data)
    *_, cutoff = _words(data)
    return Decoded(
        {
            CHARGE_VOLTAGE_LIMIT.key: volts / 10,
            CHARGE_CURRENT_LIMIT.key: charge / 10,
            DISCHARGE_CURRENT_LIMIT.key: discharge / 10,
            # Some leave it empty.
            DISCHARGE_CUTOFF_VOLTAGE.key: cutoff / 10 if cutoff else None,
        }
    )


def _charge(data: bytes) -> Decoded:
    soc, soh, fine, _ = _words(data)
    # Pylontech's followers keep something else there, or nothing.
    meant = abs(fine / 100 - soc) <= 1 and (fine > 0 or soc == 0) and len(data) > 4
    return Decoded(
        {
            STATE_OF_CHARGE.key: soc,
            STATE_OF_HEALTH.key: soh,
            FINE_STATE_OF_CHARGE.key: fine / 100 if meant else None,
        }
    )


_MEASURED: Final = struct.Struct("<hhh")


def _measured(data: bytes) -> Decoded:
    volts, amperes, degrees = _MEASURED.unpack_from(data)
    return Decoded(
        {
            TOTAL_VOLTAGE.key: volts / 100,
            CURRENT.key: amperes / 10,
            AVERAGE_TEMPERATURE.key: degrees / 10,
        }
    )


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


def _pylon_alarms(data: bytes) -> Decoded:
    return Decoded(
        {MODULES_TOTAL.key: data[4]},
        active(data, _PYLON_ALARMS),
        active(data, _PYLON_WARNINGS),
    )


_PAIRS: Final = (
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
_ACTIVE: Final = 1
"""2 is "all right", 0 "not supported" (can.md 2.2)."""


def _in_pairs(data: bytes) -> tuple[Condition, ...]:
    word = int.from_bytes(data, "little")
    return tuple(
        condition for n, condition in enumerate(_PAIRS) if word >> 2 * n & 3 == _ACTIVE
    )


def _sma_alarms(data: bytes) -> Decoded:
    return Decoded(alarms=_in_pairs(data[:4]), warnings=_in_pairs(data[4:]))


def _requests(data: bytes) -> Decoded:
    flags = data[0]
    return Decoded(
        {
            CHARGE_ENABLED.key: bool(flags & 0x80),
            DISCHARGE_ENABLED.key: bool(flags & 0x40),
            # Makers do not agree which of the two is the more urgent.
            FORCE_CHARGE.key: bool(flags & 0x30),
            FULL_CHARGE_REQUEST.key: bool(flags & 0x08),
        }
    )


def _maker(data: bytes) -> Decoded:
    return Decoded({BATTERY_MAKER.key: text(data)})


def _force(data: bytes) -> Decoded:
    return Decoded({FORCE_CHARGE.key: data[0] == 0xFF})


def _product(data: bytes) -> Decoded:
    return Decoded({SOFTWARE_VERSION.key: f"{data[2]}.{data[3]:02}"})


_EXTREMES: Final = struct.Struct("<hhHH")


def _extremes(data: bytes) -> Decoded:
    """Return cells, and temperatures as they are: nobody says in which unit."""
    warmest, coldest, highest, lowest = _EXTREMES.unpack_from(data)
    return Decoded(
        {
            MAX_TEMPERATURE.key: warmest,
            MIN_TEMPERATURE.key: coldest,
            **cell_extremes(highest, lowest),
        }
    )


def _places(data: bytes) -> Decoded:
    warmest, coldest, highest, lowest = _words(data)
    return Decoded(
        {
            MAX_TEMPERATURE_SENSOR.key: warmest,
            MIN_TEMPERATURE_SENSOR.key: coldest,
            "max_voltage_cell": highest,
            "min_voltage_cell": lowest,
        }
    )


def _modules(data: bytes) -> Decoded:
    online, no_charge, no_discharge, offline = _words(data)
    return Decoded(
        {
            MODULES_ONLINE.key: online,
            MODULES_BLOCKING_CHARGE.key: no_charge,
            MODULES_BLOCKING_DISCHARGE.key: no_discharge,
            MODULES_OFFLINE.key: offline,
        }
    )


def _kelvin_extremes(data: bytes) -> Decoded:
    lowest, highest, coldest, warmest = _words(data)
    return Decoded(
        {
            **cell_extremes(highest, lowest),
            MIN_TEMPERATURE.key: coldest - _KELVIN if coldest else None,
            MAX_TEMPERATURE.key: warmest - _KELVIN if warmest else None,
        }
    )


def _place(key: str) -> Decode:
    def decode(data: bytes) -> Decoded:
        return Decoded({key: text(data)})

    return decode


def _installed(data: bytes) -> Decoded:
    return Decoded({INSTALLED_CAPACITY.key: int.from_bytes(data[:2], "little")})


# -- the table ------------------------------------------------------------------------

_COMMON: Final = (
    bank_frame(LIMITS, "limits", 6, _limits),
    bank_frame(CHARGE, "state of charge", 4, _charge),
    bank_frame(MEASURED, "measurements", 6, _measured),
    bank_frame(MAKER, "manufacturer", 1, _maker),
)
_PYLON: Final = (
    bank_frame(0x359, "alarms", 5, _pylon_alarms),
    bank_frame(0x35C, "requests", 1, _requests),
    bank_frame(0x370, "extremes", 8, _extremes),
    bank_frame(0x371, "places", 8, _places),
)
_SMA: Final = (
    bank_frame(0x35A, "alarms", 8, _sma_alarms),
    bank_frame(0x35B, "events", 1, nothing),
    bank_frame(0x35F, "battery", 4, nothing),
)
_VICTRON: Final = (
    bank_frame(0x35A, "alarms", 8, _sma_alarms),
    bank_frame(0x35F, "product", 4, _product),
    bank_frame(0x360, "force charge", 1, _force),
    bank_frame(0x370, "name", 1, nothing),
    bank_frame(0x371, "name, continued", 1, nothing),
    bank_frame(0x372, "modules", 8, _modules),
    bank_frame(0x373, "extremes", 8, _kelvin_extremes),
    bank_frame(0x374, "lowest cell", 1, _place(MIN_VOLTAGE_PLACE.key)),
    bank_frame(0x375, "highest cell", 1, _place(MAX_VOLTAGE_PLACE.key)),
    bank_frame(0x376, "coldest sensor", 1, _place(MIN_TEMPERATURE_PLACE.key)),
    bank_frame(0x377, "warmest sensor", 1, _place(MAX_TEMPERATURE_PLACE.key)),
    # The unit of these energies is not known (can.md 2.2).
    bank_frame(0x378, "energies", 8, nothing),
    bank_frame(0x379, "installed capacity", 2, _installed),
    bank_frame(0x380, "serial number", 1, nothing),
    bank_frame(0x381, "serial number, continued", 1, nothing),
    bank_frame(0x382, "product id", 1, nothing),
)


def _by_id(frames: Iterable[Frame]) -> dict[int, Frame]:
    return {frame.id: frame for frame in frames}


FRAMES: Final[dict[Dialect, dict[int, Frame]]] = {
    Dialect.PYLON: _by_id((*_COMMON, *_PYLON)),
    Dialect.SMA: _by_id((*_COMMON, *_SMA)),
    Dialect.VICTRON: _by_id((*_COMMON, *_VICTRON)),
    Dialect.GROWATT: _by_id(growatt.MESSAGES),
}
ALARM_KEYS: Final = {
    dialect: frozenset(condition.key for condition in conditions)
    for dialect, conditions in (
        (Dialect.PYLON, _PYLON_ALARMS.values()),
        (Dialect.SMA, _PAIRS),
        (Dialect.VICTRON, _PAIRS),
        (Dialect.GROWATT, growatt.ALARMS.values()),
    )
}
"""What a bank warns of, whether it does so now or not."""
BY_ID: Final = _by_id(
    Frame(
        name=frame.name,
        id=frame.id,
        length=1,
        period=frame.period,
        decode=nothing,
    )
    for frames in FRAMES.values()
    for frame in frames.values()
)
"""Every id that a bank uses; which message it is depends on the others."""
OF_INVERTERS: Final = frozenset({0x00F, 0x300, 0x301, 0x305, 0x306, 0x307})
"""What inverters say to a battery (can.md 2.3)."""
