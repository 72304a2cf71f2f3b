"""What a pack says in `4E 57`, transcribed a second time on purpose (ttl4e57.md 2, 4, 5)."""

from collections.abc import Iterator
import struct
from typing import Final

from ..pack import Pack
from ..seeds import PASSWORD

_MINUTE: Final = 60
_MILLI: Final = 1000
_MAKER: Final = 24

_ALARMS: Final = {
    1: 1,
    5: 2,
    12: 3,
    21: 4,
    8: 4,
    15: 4,
    6: 5,
    13: 6,
    9: 9,
    4: 10,
    11: 11,
}
"""The bit here of each bit of the alarm word of RS485 that has one."""


def frame_of(terminal: int, command: int, content: bytes) -> bytes:
    """A whole answer of a BMS."""
    size = len(content) + 20
    head = struct.pack(">HHIBBB", 0x4E57, size - 2, terminal, command, 0, 1)
    body = head + content + bytes([0, 0, 0, 0, 0x68])
    return body + struct.pack(">HH", 0, sum(body) % 0x10000)


def temperature(tenths: int) -> int:
    """A temperature as the word of it: what is below zero goes on above 100."""
    degrees = round(max(tenths, -400) / 10)
    return degrees if degrees >= 0 else 100 - degrees


def content_of(
    pack: Pack, version: str, *, booting: bool = False, legacy_current: bool = False
) -> bytes:
    """Everything that a pack says when it is asked for all."""
    return b"".join(_values(pack, version, booting, legacy_current))


def alarm_word(alarms: int) -> int:
    """The alarms of the other protocol, as this one tells them."""
    return sum(1 << bit for bit in {_ALARMS[b] for b in _ALARMS if alarms >> b & 1})


def _values(
    pack: Pack, version: str, booting: bool, legacy_current: bool
) -> Iterator[bytes]:
    get = pack.number_of
    cells = [n + 1 for n in range(32) if get("cell_presence") >> n & 1]
    yield bytes([0x79, 3 * len(cells)])
    for place, cell in enumerate(cells, 1):
        yield struct.pack(">BH", place, get(f"cell_voltage_{cell}"))
    for code, name in enumerate(
        ("mos_temperature", "temperature_1", "temperature_2"), 0x80
    ):
        yield _word(code, temperature(get(name)))
    yield _word(0x83, get("pack_voltage") // 10)
    yield _word(0x84, _current(get("current"), legacy=legacy_current))
    yield bytes([0x85, 0 if booting else get("soc"), 0x86, 2])
    yield _word(0x87, 0 if booting else get("cycles"))
    yield _long(0x89, 0 if booting else get("cycled_capacity") // _MILLI)
    yield _word(0x8A, len(cells))
    yield _word(0x8B, alarm_word(get("alarms")))
    status = get("charge_mos") | get("discharge_mos") << 1
    yield _word(0x8C, status | bool(get("balancer_state")) << 2)
    yield from _limits(pack, len(cells))
    yield bytes([0xA9, get("cell_count")])
    yield _long(0xAA, get("nominal_capacity") // _MILLI)
    yield bytes([0xAB, get("charge_switch"), 0xAC, get("discharge_switch")])
    yield _word(0xAD, 1048)
    yield bytes([0xAE, pack.address, 0xAF, min(get("battery_type"), 2)])
    yield _word(0xB0, 10)
    yield bytes([0xB1, 20, 0xB2]) + PASSWORD.encode()[:10].ljust(10, b"\0")
    yield (
        bytes([0xB3, 0, 0xB4])
        + b"Input Us"
        + b"\xb5"
        + pack.text("first_on_date")[:4].encode()
    )
    yield _long(0xB6, get("run_time") // _MINUTE)
    yield b"\xb7" + version.encode()[:15].ljust(15, b"_") + b"\xb8\0"
    yield _long(0xB9, get("full_capacity") // _MILLI)
    yield b"\xba" + (b"Input Userda" + pack.model.encode())[:_MAKER].ljust(
        _MAKER, b"\0"
    )
    if not legacy_current:
        yield b"\xc0\1"


def _limits(pack: Pack, cells: int) -> Iterator[bytes]:
    get = pack.number_of
    yield _word(0x8E, get("cell_ovp") * cells // 10)
    yield _word(0x8F, get("cell_uvp") * cells // 10)
    yield _word(0x90, get("cell_ovp"))
    yield _word(0x91, get("cell_ovpr"))
    yield _word(0x92, 5)
    yield _word(0x93, get("cell_uvp"))
    yield _word(0x94, get("cell_uvpr"))
    yield _word(0x95, 5)
    yield _word(0x96, 300)
    yield _word(0x97, get("discharge_current_limit") // _MILLI)
    yield _word(0x98, get("discharge_ocp_delay"))
    yield _word(0x99, get("charge_current_limit") // _MILLI)
    yield _word(0x9A, get("charge_ocp_delay"))
    yield _word(0x9B, get("balance_start_voltage"))
    yield _word(0x9C, get("balance_trigger"))
    yield bytes([0x9D, get("balancer_switch")])
    for code, name in ((0x9E, "mos_otp"), (0x9F, "mos_otpr")):
        yield _word(code, get(name) // 10)
    for code, degrees in ((0xA0, 70), (0xA1, 60), (0xA2, 20)):
        yield _word(code, degrees)
    yield _word(0xA3, get("charge_otp") // 10)
    yield _word(0xA4, get("discharge_otp") // 10)
    yield _signed(0xA5, get("charge_utp") // 10)
    yield _signed(0xA6, get("charge_utpr") // 10)
    yield _signed(0xA7, -20)
    yield _signed(0xA8, -10)


def _current(milliamperes: int, *, legacy: bool) -> int:
    hundredths = round(milliamperes / 10)
    if legacy:
        return min(max(10_000 + -hundredths, 0), 0xFFFF)
    return min(abs(hundredths), 0x7FFF) | (0x8000 if hundredths > 0 else 0)


def _word(code: int, value: int) -> bytes:
    return struct.pack(">BH", code, value)


def _signed(code: int, value: int) -> bytes:
    return struct.pack(">Bh", code, value)


def _long(code: int, value: int) -> bytes:
    return struct.pack(">BI", code, value)
