"""The contents of the native frames, coded from values (can.md 1.3)."""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum
from itertools import batched
import struct
from typing import Final

MOST_CELLS: Final = 25

ABSENT: Final = 0xFF
"""A temperature of a probe that is not connected."""

_FAULTS: Final = 0x3FFFF
_MASK: Final = 0x10
"""ALL_TEMP's first byte as fw 15.38 sends it, with all five probes connected."""


class Version(StrEnum):
    """The two generations of the native protocol."""

    V1 = "v1"
    """Four standard frames, and a current that is positive while discharging."""
    V2 = "v2"


class Alarm(IntEnum):
    """Where the level of an alarm is in ALM_INFO: its start bit."""

    CELL_OVER_VOLTAGE = 0
    CELL_UNDER_VOLTAGE = 2
    PACK_OVER_VOLTAGE = 4
    PACK_UNDER_VOLTAGE = 6
    CELL_DIFFERENCE = 8
    DISCHARGE_OVER_CURRENT = 10
    CHARGE_OVER_CURRENT = 12
    HOT = 14
    COLD = 16
    TEMPERATURE_DIFFERENCE = 18
    SOC_LOW = 20
    INSULATION = 22
    INTERLOCK = 24
    EXTERNAL_COMMUNICATION = 26
    INTERNAL_COMMUNICATION = 28


_ONLY_V1: Final = {
    Alarm.PACK_OVER_VOLTAGE,
    Alarm.PACK_UNDER_VOLTAGE,
    Alarm.TEMPERATURE_DIFFERENCE,
    Alarm.INSULATION,
    Alarm.INTERLOCK,
    Alarm.EXTERNAL_COMMUNICATION,
}

_ALARM_OF_BIT: Final = {
    1: Alarm.HOT,
    4: Alarm.CELL_OVER_VOLTAGE,
    5: Alarm.PACK_OVER_VOLTAGE,
    6: Alarm.CHARGE_OVER_CURRENT,
    7: Alarm.CHARGE_OVER_CURRENT,
    8: Alarm.HOT,
    9: Alarm.COLD,
    10: Alarm.INTERNAL_COMMUNICATION,
    11: Alarm.CELL_UNDER_VOLTAGE,
    12: Alarm.PACK_UNDER_VOLTAGE,
    13: Alarm.DISCHARGE_OVER_CURRENT,
    14: Alarm.DISCHARGE_OVER_CURRENT,
    15: Alarm.HOT,
    25: Alarm.DISCHARGE_OVER_CURRENT,
    26: Alarm.DISCHARGE_OVER_CURRENT,
    27: Alarm.COLD,
}
"""The alarm that a bit of a pack's alarm word raises; protections are the worst level."""

_SERIOUS: Final = 1


def _u16(value: float) -> int:
    """A number that fits into 16 bits, the nearest one if it does not."""
    return min(max(round(value), 0), 0xFFFF)


def _celsius(tenths: float | None) -> int:
    """A temperature as a byte: whole degrees from -50 on, 0xFF for no probe."""
    if tenths is None:
        return ABSENT
    return min(max(round(tenths / 10) + 50, 0), ABSENT - 1)


def batt_st1(
    version: Version, *, millivolts: int, milliamperes: int, soc: int, hours: int = 0
) -> bytes:
    """0x02F4; charging is positive in the arguments."""
    sign = -1 if version is Version.V1 else 1
    return struct.pack(
        "<HHBBH",
        _u16(millivolts / 100),
        _u16(sign * milliamperes / 100 + 4000),
        soc,
        0,
        _u16(hours) if version is Version.V1 else 0,
    )


def cell_volt(highest: tuple[int, int], lowest: tuple[int, int]) -> bytes:
    """0x04F4 of two cells, each in mV with its number from 1 on."""
    return struct.pack("<HBHBxx", *highest, *lowest)


def cell_temp(
    highest: tuple[float | None, int],
    lowest: tuple[float | None, int],
    average: float | None,
) -> bytes:
    """0x05F4 of two probes, each in tenths of a degree with its place."""
    return bytes(
        [
            _celsius(highest[0]),
            highest[1],
            _celsius(lowest[0]),
            lowest[1],
            _celsius(average),
        ]
    ).ljust(8, b"\0")


def alm_info(levels: Mapping[Alarm, int]) -> bytes:
    """0x07F4 of alarms with their levels: 1 serious, 2 important, 3 general."""
    word = 0
    for alarm, level in levels.items():
        word |= level << alarm
    return struct.pack("<I4x", word)


def batt_st2(*, remaining: int, full: int, cycled: int, cycles: int) -> bytes:
    """0x18F128F4 in mAh; the cycled capacity begins again at 6553.6 Ah."""
    return struct.pack(
        "<HHHH",
        _u16(remaining / 100),
        _u16(full / 100),
        round(cycled / 100) & 0xFFFF,
        _u16(cycles),
    )


def all_temp(probes: Sequence[float | None], *, mask: int = _MASK) -> bytes:
    """0x18F228F4 of five probes in tenths of a degree."""
    return bytes([mask, *map(_celsius, probes)]).ljust(8, b"\0")


def bmserr_info(alarms: int) -> bytes:
    """0x18F328F4: the lower 18 bits of the alarm word that RS485 knows too."""
    return struct.pack("<I4x", alarms & _FAULTS)


def bms_info(*, seconds: int, heating: int, soh: int) -> bytes:
    """0x18F428F4; the heating current is in mA."""
    return struct.pack("<IHBx", seconds, _u16(heating), soh)


def switches(
    *,
    charge: bool,
    discharge: bool,
    balancing: bool,
    heating: bool,
    plugged: bool,
    acc: bool,
) -> bytes:
    """0x18F528F4."""
    flags = (charge, discharge, balancing, heating, plugged, acc)
    return bytes([sum(flag << bit for bit, flag in enumerate(flags))]).ljust(8, b"\0")


def cellvol(cells: Iterable[int]) -> list[bytes]:
    """0x18E028F4 and those after it: four cells each in mV, missing ones are 0."""
    return [
        struct.pack("<4H", *four, *[0] * (4 - len(four)))
        for four in batched([*cells][:MOST_CELLS], 4, strict=False)
    ]


def chg_info(
    *, millivolts: int, milliamperes: int, off: bool = False, heat: bool = False
) -> bytes:
    """0x1806E5F4, big endian unlike all others."""
    return struct.pack(
        ">HHBBxx", _u16(millivolts / 100), _u16(milliamperes / 100), off, heat
    )


def levels_of(alarms: int, version: Version) -> dict[Alarm, int]:
    """What a pack's alarm word raises on CAN."""
    return {
        alarm: _SERIOUS
        for bit, alarm in _ALARM_OF_BIT.items()
        if alarms >> bit & 1 and (version is Version.V1 or alarm not in _ONLY_V1)
    }
