"""The frames that a bank answers a Growatt inverter with: big endian (can.md 2.7)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
import struct
from typing import Final

from .bank_view import BankView
from .dialects import (
    CHARGE_CURRENT,
    DISCHARGE_CURRENT,
    INTERNAL,
    NAME,
    SHORT_CIRCUIT,
    Coder,
    s16,
    u16,
)

REQUEST: Final = 0x301
REQUEST_DATA: Final = bytes.fromhex("0B16212C37424D58")

_EPOCH: Final = datetime(2020, 1, 1)
"""Where a pack's clock begins (rs485.md 2.6)."""

_STANDBY, _CHARGING, _DISCHARGING = 1, 2, 3


def _limits(bank: BankView) -> bytes:
    state = _STANDBY
    if bank.current:
        state = _CHARGING if bank.current > 0 else _DISCHARGING
    balancing = any(pack.number_of("balancer_state") for pack in bank.packs)
    status = (
        state
        | balancing << 3
        | (bank.blocking_discharge < len(bank.packs)) << 5
        | (bank.blocking_charge < len(bank.packs)) << 6
        | (len(bank.packs) > 1) << 8
    )
    return struct.pack(
        ">HHHH",
        u16(bank.charge_voltage / 100),
        u16(bank.charge_current / 100),
        u16(bank.discharge_current / 100),
        status,
    )


def _protection(bank: BankView) -> bytes:
    first = (
        bank.any(DISCHARGE_CURRENT) << 7
        | bank.any(CHARGE_CURRENT) << 6
        | bank.any(SHORT_CIRCUIT) << 5
        | bank.any((4,)) << 4
        | bank.any((11,)) << 3
        | bank.any((5,)) << 2
        | bank.any((12,)) << 1
    )
    second = (
        bank.any((1, 15)) << 7
        | bank.any((8,)) << 6
        | bank.any((27,)) << 5
        | bank.any((9,)) << 4
        | bank.any(INTERNAL) << 1
    )
    return bytes([first, second])


def _alarms(bank: BankView) -> bytes:
    cells = sum(pack.cell_count for pack in bank.packs)
    return (
        _protection(bank)
        + bytes([0, 0, len(bank.packs)])
        + NAME[:2]
        + bytes([min(cells, 0xFF)])
    )


def _measured(bank: BankView) -> bytes:
    return struct.pack(
        ">hhhBB",
        s16(bank.voltage / 10),
        s16(bank.current / 100),
        s16(bank.warmest.value),
        round(bank.soc),
        round(bank.soh) & 0x7F,
    )


def _capacity(bank: BankView) -> bytes:
    """In 0.1 Ah as a JK does it, not in the document's 10 mAh."""
    return struct.pack(
        ">HHHH",
        u16(bank.remaining / 100),
        u16(bank.full / 100),
        u16(bank.highest_cell.value - bank.lowest_cell.value),
        u16(max(pack.number_of("cycles") for pack in bank.packs)),
    )


def _cells(bank: BankView) -> bytes:
    charge = bank.blocking_charge < len(bank.packs)
    discharge = bank.blocking_discharge < len(bank.packs)
    return struct.pack(
        ">BHHBBB",
        charge << 7 | discharge << 6,
        round(bank.highest_cell.value),
        round(bank.lowest_cell.value),
        bank.highest_cell.place,
        bank.lowest_cell.place,
        0,
    )


def _maker(bank: BankView) -> bytes:
    pack = bank.packs[0]
    major, minor = pack.firmware
    clock = _EPOCH + timedelta(seconds=pack.number_of("rtc"))
    date = (
        clock.second
        | clock.minute << 6
        | clock.hour << 12
        | clock.day << 17
        | clock.month << 22
        | (clock.year % 100 & 0x3F) << 26
    )
    return NAME[:2] + bytes([major, minor]) + date.to_bytes(4)


def _update(bank: BankView) -> bytes:
    return bytes(8)


def _extremes(bank: BankView) -> bytes:
    levels = [pack.number_of("soc") for pack in bank.packs]
    return struct.pack(
        ">hhBBBB",
        s16(bank.warmest.value),
        s16(bank.coldest.value),
        bank.warmest.place,
        bank.coldest.place,
        max(levels),
        min(levels),
    )


def _count(bank: BankView) -> bytes:
    return bytes([bank.packs[0].cell_count]) + _protection(bank) + bytes(5)


GROWATT: Final[Mapping[int, Coder]] = {
    0x311: _limits,
    0x312: _alarms,
    0x313: _measured,
    0x314: _capacity,
    0x319: _cells,
    0x320: _maker,
    0x321: _update,
    0x322: _extremes,
    0x323: _count,
}
"""In the order measured."""
