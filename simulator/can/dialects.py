"""The frames that a bank sends to inverters of the Pylon, Victron and SMA families (can.md 2.1, 2.2)."""

from collections.abc import Callable, Mapping
import struct
from typing import Final

from .bank_view import BankView, Extreme

NAME: Final = b"JK-BMS"

_PRODUCT: Final = 0x4C69
"""The product number that a JK shows to Victron (can.md 2.2)."""

_KELVIN: Final = 273

# Which bits of a pack's alarm word stand behind what inverters are told.
OVER_VOLTAGE: Final = (4, 5)
UNDER_VOLTAGE: Final = (11, 12)
HOT: Final = (1, 8, 15)
COLD: Final = (9, 27)
DISCHARGE_CURRENT: Final = (13, 14, 25, 26)
CHARGE_CURRENT: Final = (6, 7)
SHORT_CIRCUIT: Final = (7, 14)
INTERNAL: Final = (2, 3, 10, 16, 17, 22)
WARNING_HOT: Final = (21,)

type Coder = Callable[[BankView], bytes]


def u16(value: float) -> int:
    """A number that fits into 16 bits, the nearest one if it does not."""
    return min(max(round(value), 0), 0xFFFF)


def s16(value: float) -> int:
    """A signed number that fits into 16 bits, the nearest one if it does not."""
    return min(max(round(value), -0x8000), 0x7FFF)


def _limits(bank: BankView) -> bytes:
    return struct.pack(
        "<HhhH",
        u16(bank.charge_voltage / 100),
        s16(bank.charge_current / 100),
        s16(bank.discharge_current / 100),
        u16(bank.cut_off / 100),
    )


def _charge(bank: BankView) -> bytes:
    return struct.pack("<HH4x", round(bank.soc), round(bank.soh))


def _charge_fine(bank: BankView) -> bytes:
    return struct.pack("<HHH2x", round(bank.soc), round(bank.soh), u16(bank.soc * 100))


def _measured(bank: BankView) -> bytes:
    return struct.pack(
        "<hhh2x",
        s16(bank.voltage / 10),
        s16(bank.current / 100),
        s16(bank.temperature),
    )


def _protections(bank: BankView) -> bytes:
    first = (
        bank.any(DISCHARGE_CURRENT) << 7
        | bank.any(COLD) << 4
        | bank.any(HOT) << 3
        | bank.any(UNDER_VOLTAGE) << 2
        | bank.any(OVER_VOLTAGE) << 1
    )
    second = bank.any(INTERNAL) << 3 | bank.any(CHARGE_CURRENT)
    return (
        bytes([first, second, bank.any(WARNING_HOT) << 3, 0, len(bank.packs)]) + b"PN\0"
    )


def _requests(bank: BankView) -> bytes:
    charge = bank.blocking_charge < len(bank.packs)
    discharge = bank.blocking_discharge < len(bank.packs)
    return bytes([charge << 7 | discharge << 6]).ljust(8, b"\0")


def _maker(bank: BankView) -> bytes:
    return NAME.ljust(8, b"\0")


def _extremes(bank: BankView) -> bytes:
    return struct.pack(
        "<hhHH",
        round(bank.warmest.value / 10),
        round(bank.coldest.value / 10),
        round(bank.highest_cell.value),
        round(bank.lowest_cell.value),
    )


def _places(bank: BankView) -> bytes:
    found = (bank.warmest, bank.coldest, bank.highest_cell, bank.lowest_cell)
    return struct.pack("<4H", *(extreme.place for extreme in found))


_SUPPORTED: Final = bytes.fromhex("A8A80200A8A80202")
"""What a healthy JK says in 0x35A: the pairs it supports hold 2."""

_ALARM_PAIRS: Final = (
    (0, 1, OVER_VOLTAGE),
    (0, 2, UNDER_VOLTAGE),
    (0, 3, (1, 15)),
    (1, 0, (27,)),
    (1, 1, (8,)),
    (1, 2, (9,)),
    (1, 3, (13, 25, 26)),
    (2, 0, (6,)),
    (2, 2, SHORT_CIRCUIT),
    (2, 3, INTERNAL),
    (4, 3, WARNING_HOT),
)
"""Byte and pair of an alarm, and the bits that raise it; raised is 1 (can.md 2.2)."""


def _pairs(bank: BankView) -> bytes:
    said = bytearray(_SUPPORTED)
    for place, pair, bits in _ALARM_PAIRS:
        if bank.any(bits):
            said[place] = said[place] & ~(3 << 2 * pair) | 1 << 2 * pair
    return bytes(said)


def _firmware(bank: BankView) -> bytes:
    """Major and minor as two bytes."""
    return bytes(part & 0xFF for part in bank.packs[0].firmware)


def _product(bank: BankView) -> bytes:
    return (
        struct.pack("<H", _PRODUCT)
        + _firmware(bank)
        + struct.pack("<H2x", u16(bank.remaining / 1000))
    )


def _battery(bank: BankView) -> bytes:
    return b"\0\0" + _firmware(bank) + struct.pack("<H2x", u16(bank.nominal / 1000))


def _nothing(bank: BankView) -> bytes:
    return bytes(8)


def _online(bank: BankView) -> bytes:
    return struct.pack(
        "<4H",
        len(bank.packs),
        bank.blocking_charge,
        bank.blocking_discharge,
        bank.absent,
    )


def _kelvin(extreme: Extreme) -> int:
    return round(extreme.value / 10) + _KELVIN


def _range(bank: BankView) -> bytes:
    return struct.pack(
        "<4H",
        round(bank.lowest_cell.value),
        round(bank.highest_cell.value),
        _kelvin(bank.coldest),
        _kelvin(bank.warmest),
    )


def _id(extreme: Extreme) -> bytes:
    """A place as text, `00::02` for the second of the first pack."""
    return f"{extreme.pack:02}::{extreme.place:02}".encode().ljust(8, b"\0")


def _energy(bank: BankView) -> bytes:
    """Charged and discharged in 100 Wh; a JK shows none charged (can.md 2.2)."""
    discharged = sum(pack.number_of("cycled_capacity") for pack in bank.packs)
    return struct.pack("<4xI", round(discharged * bank.voltage / 1e8) & 0xFFFFFFFF)


def _installed(bank: BankView) -> bytes:
    return struct.pack("<H6x", u16(bank.nominal / 1000))


def _serial(bank: BankView) -> bytes:
    return bank.packs[0].serial.encode()[:16].ljust(16, b"\0")


PYLON: Final[Mapping[int, Coder]] = {
    0x351: _limits,
    0x355: _charge,
    0x356: _measured,
    0x35C: _requests,
    0x35E: _maker,
    0x370: _extremes,
    0x371: _places,
    0x359: _protections,
}
"""Pylon, Deye and GoodWe, which are the same, in the order measured."""

VICTRON: Final[Mapping[int, Coder]] = {
    0x351: _limits,
    0x355: _charge_fine,
    0x356: _measured,
    0x35A: _pairs,
    0x35E: _maker,
    0x35F: _product,
    0x360: _nothing,
    0x370: _maker,
    0x371: _nothing,
    0x372: _online,
    0x373: _range,
    0x374: lambda bank: _id(bank.lowest_cell),
    0x375: lambda bank: _id(bank.highest_cell),
    0x376: lambda bank: _id(bank.coldest),
    0x377: lambda bank: _id(bank.warmest),
    0x378: _energy,
    0x379: _installed,
    0x380: lambda bank: _serial(bank)[:8],
    0x381: lambda bank: _serial(bank)[8:],
}
"""Victron, in the order measured."""

SMA: Final[Mapping[int, Coder]] = {
    0x351: _limits,
    0x355: _charge_fine,
    0x356: _measured,
    0x35A: _pairs,
    0x35E: _maker,
    0x35F: _battery,
}
"""SMA, in the order measured on another maker's pack."""
