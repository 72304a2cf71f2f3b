"""What a bank tells a Growatt inverter, big endian (can.md 2.7)."""

import struct
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
    MODULES_TOTAL,
)
from .conditions import CELL_DIFFERENCE, SHORT_CIRCUIT, SYSTEM, alarm
from .frame import Decoded
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

LIMITS: Final = 0x311
MEASURED: Final = 0x313
JK: Final = "JK"
_WORDS: Final = struct.Struct(">HHHH")
CHARGING: Final = 2
DISCHARGING: Final = 3
STATUS_KEY: Final = "growatt_state"
"""What the bank does, which gives the current its sign; not a value to show."""


def _limits(data: bytes) -> Decoded:
    volts, charge, discharge, status = _WORDS.unpack_from(data)
    return Decoded(
        {
            CHARGE_VOLTAGE_LIMIT.key: volts / 10,
            CHARGE_CURRENT_LIMIT.key: charge / 10,
            DISCHARGE_CURRENT_LIMIT.key: discharge / 10,
            STATUS_KEY: status & 3,
        }
    )


ALARMS: Final[Bits] = {
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


def _alarms(data: bytes) -> Decoded:
    return Decoded(
        {MODULES_TOTAL.key: data[4]},
        active(data, ALARMS),
        active(data, _WARNINGS),
    )


_MEASURED: Final = struct.Struct(">hhhBB")


def _measured(data: bytes) -> Decoded:
    volts, amperes, degrees, soc, health = _MEASURED.unpack_from(data)
    return Decoded(
        {
            TOTAL_VOLTAGE.key: volts / 100,
            CURRENT.key: amperes / 10,
            MAX_TEMPERATURE.key: degrees / 10,
            STATE_OF_CHARGE.key: soc,
            STATE_OF_HEALTH.key: health & 0x7F,
        }
    )


def _capacity(data: bytes) -> Decoded:
    """Return capacities in 0.1 Ah, as JK sends them; others send 0.01 Ah."""
    remaining, full, delta, cycles = _WORDS.unpack_from(data)
    return Decoded(
        {
            CAPACITY_REMAINING.key: remaining / 10,
            FULL_CHARGE_CAPACITY.key: full / 10,
            "delta_cell_voltage": delta / 1000,
            CHARGING_CYCLES.key: cycles,
        }
    )


def _cells(first: int) -> Decode:
    def decode(data: bytes) -> Decoded:
        return Decoded(
            {
                CELL_VOLTAGES[first + n].key: raw / 1000 if raw else None
                for n, raw in enumerate(_WORDS.unpack_from(data))
            }
        )

    return decode


_REQUESTS: Final = struct.Struct(">BHHBB")


def _requests(data: bytes) -> Decoded:
    flags, highest, lowest, highest_cell, lowest_cell = _REQUESTS.unpack_from(data)
    return Decoded(
        {
            CHARGE_ENABLED.key: bool(flags & 0x80),
            DISCHARGE_ENABLED.key: bool(flags & 0x40),
            FORCE_CHARGE.key: bool(flags & 0x30),
            **cell_extremes(highest, lowest),
            "max_voltage_cell": highest_cell,
            "min_voltage_cell": lowest_cell,
        }
    )


def _maker(data: bytes) -> Decoded:
    maker = text(data[:2])
    return Decoded(
        {
            BATTERY_MAKER.key: maker,
            # Only of JK it is known that the two bytes are those of its software.
            SOFTWARE_VERSION.key: f"{data[2]}.{data[3]:02}" if maker == JK else None,
        }
    )


MESSAGES: Final = (
    bank_frame(LIMITS, "limits", 8, _limits),
    bank_frame(0x312, "alarms", 8, _alarms),
    bank_frame(MEASURED, "measurements", 8, _measured),
    bank_frame(0x314, "capacity", 8, _capacity),
    *(bank_frame(0x315 + k, f"cells {k}", 8, _cells(4 * k)) for k in range(4)),
    bank_frame(0x319, "requests", 8, _requests),
    bank_frame(0x320, "manufacturer", 4, _maker),
    bank_frame(0x321, "update", 1, nothing),
    bank_frame(0x322, "extremes", 8, nothing),
    bank_frame(0x323, "protection", 1, nothing),
)
