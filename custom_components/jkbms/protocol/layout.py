"""Where the rows of the datasheet lie in the frames of older and newer boards."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
import struct
from typing import Any, Final, cast

from .codecs import BIG, LITTLE, Bit, ByteOrder, Codec, Flag, Raw, Scaled, Value
from .datum import Block, Field, Firmware, Role
from .fields import (
    ALARM_BITMASK,
    CELL_PRESENCE,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    FIELDS,
    FIELDS_OF,
    MOS_TEMPERATURE,
    TOTAL_VOLTAGE,
)
from .fields.jk04 import JK04
from .frames import FRAME_SIZE

FRAME_HEAD: Final = 6
"""Bytes of a frame before its block: magic, type, counter."""


class Layout(StrEnum):
    """A generation of frames (ble.md 4)."""

    JK02_32S = "jk02_32s"
    """Software 11 and later: every board with RS485."""
    JK02_24S = "jk02_24s"
    """Software 4 to 10: the same rows, closer together."""
    JK04 = "jk04"
    """Software 3: floating point numbers, and neither current nor charge."""


_LIVE_24S_LAST: Final = 0x12F0
"""Nothing after the tick counter is known on 24-cell boards (ble.md 5.1)."""
_LIVE_24S_ABSENT: Final = frozenset(
    {
        "user_alarm",
        "user_alarm_2",
        "charge_pwm",
        "discharge_pwm",
        "coarse_voltage",
        "heating_current",
        "relay",
        "acc",
        "special_charger_plugged",
        "startup_flag",
        "voltage_c_minus",
        "mcu_id",
        "reserved_12d2",
        "reserved_12ee",
        "charger_plugged",
    }
)
_CELLS: Final = tuple(zip(CELL_VOLTAGES, CELL_RESISTANCES, strict=True))
_SETTINGS_24S_LAST: Final = 0x1084
_DEVICE_24S_LAST: Final = 0x1470


def _place_24s(field: Field[Any]) -> tuple[int, str] | None:
    """Return offset and struct code on a 24-cell board, None where it has no such row.

    The arrays hold 24 instead of 32 cells: what follows the first lies 16 bytes
    earlier, what follows the second 32 (ble.md 5.1).
    """
    code = field.codec.code
    match field.block:
        case Block.SETTINGS:
            if field.index is not None:
                return (
                    (152 + 4 * (field.index - 1), code) if field.index <= 24 else None
                )
            return (field.offset, code) if field.address <= _SETTINGS_24S_LAST else None
        case Block.DEVICE:
            return (field.offset, code) if field.address <= _DEVICE_24S_LAST else None
        case _:
            if field is MOS_TEMPERATURE:
                return 128, code
            if field is ALARM_BITMASK:
                return 130, "H"
            if field.key in _LIVE_24S_ABSENT or field.address > _LIVE_24S_LAST:
                return None
            if field.index is not None and field.index > 24:
                return None
            if field.address < 0x1240:
                return field.offset, code
            return field.offset - (16 if field.address < 0x128A else 32), code


def place(field: Field[Any], layout: Layout) -> tuple[int, str] | None:
    """Return byte offset in the block and struct code, None where absent."""
    match layout:
        case Layout.JK02_32S:
            return field.offset, field.codec.code
        case Layout.JK02_24S:
            return _place_24s(field)
        case Layout.JK04 if field.block is Block.DEVICE:
            # The device info of both older boards is alike (ble.md 5.6).
            return _place_24s(field)
        case _:
            where = JK04.get(field.key)
            return None if where is None else (where.offset, where.codec.code)


def codec_at(field: Field[Any], layout: Layout) -> Codec[Any]:
    """Return how a row is written in this layout."""
    if layout is Layout.JK04 and (where := JK04.get(field.key)) is not None:
        return where.codec
    return field.codec


@dataclass(frozen=True, slots=True)
class _Plan:
    """One unpack for a whole block, then one short loop for each kind of value.

    Going through the codec of each row instead takes three times as long.
    """

    unpacker: struct.Struct
    integers: tuple[tuple[str, int], ...]
    scaled: tuple[tuple[str, int, int], ...]
    """Key, index of the raw value, divisor."""
    probes: tuple[tuple[str, int, int, int], ...]
    """Key, index, divisor, the raw value that means unknown."""
    flags: tuple[tuple[str, int, int], ...]
    """Key, index, mask."""
    others: tuple[tuple[str, int, Callable[[Raw], Value]], ...]
    absent: dict[str, None]


def _unpacker(items: Iterable[tuple[int, str]], order: ByteOrder) -> struct.Struct:
    parts: list[str] = []
    position = 0
    for offset, code in items:
        parts.append(f"{offset - position}x{code}")
        position = offset + struct.calcsize(f"<{code}")
    return struct.Struct(order + "".join(parts))


@cache
def _plan(
    block: Block, layout: Layout, order: ByteOrder, firmware: Firmware | None
) -> _Plan:
    placed: dict[Field[Any], tuple[int, str]] = {}
    absent: dict[str, None] = {}
    for field in FIELDS_OF[block]:
        where = place(field, layout)
        if field.role is Role.SECRET or where is None:
            continue
        if _has(field, firmware):
            placed[field] = where
        else:
            absent[field.key] = None
    # Bits of one word share an item.
    items = sorted(set(placed.values()))
    index = {item: number for number, item in enumerate(items)}
    integers: list[tuple[str, int]] = []
    scaled: list[tuple[str, int, int]] = []
    probes: list[tuple[str, int, int, int]] = []
    flags: list[tuple[str, int, int]] = []
    others: list[tuple[str, int, Callable[[Raw], Value]]] = []
    for field, where in placed.items():
        key, at = field.key, index[where]
        match codec_at(field, layout):
            case Scaled(unknown=int(unknown), divisor=divisor):
                probes.append((key, at, divisor, unknown))
            case Scaled(divisor=1):
                integers.append((key, at))
            case Scaled(divisor=divisor):
                scaled.append((key, at, divisor))
            case Flag():
                flags.append((key, at, -1))
            case Bit(bit=bit):
                flags.append((key, at, 1 << bit))
            case codec:
                others.append((key, at, codec.decode))
    return _Plan(
        _unpacker(items, order),
        tuple(integers),
        tuple(scaled),
        tuple(probes),
        tuple(flags),
        tuple(others),
        absent,
    )


def decode_block(
    data: bytes,
    block: Block,
    layout: Layout = Layout.JK02_32S,
    *,
    firmware: Firmware | None = None,
    order: ByteOrder = LITTLE,
    offset: int = 0,
) -> dict[str, Value]:
    """Return the values of a block by key; None is unknown.

    `data` holds the block at `offset`. Values that this firmware does not have are
    None, and so are those whose place means something else on other firmware while
    the firmware is not known (0x1116, rs485.md 5.1).
    """
    plan = _plan(block, layout, order, firmware)
    if len(data) - offset < plan.unpacker.size:
        return _decode_beginning(data, block, layout, firmware, order, offset)
    raw = plan.unpacker.unpack_from(data, offset)
    values: dict[str, Value] = {key: raw[at] for key, at in plan.integers}
    values |= {key: raw[at] / divisor for key, at, divisor in plan.scaled}
    values |= {
        key: None if (number := raw[at]) == unknown else number / divisor
        for key, at, divisor, unknown in plan.probes
    }
    values |= {key: raw[at] & mask != 0 for key, at, mask in plan.flags}
    values |= {key: decode(raw[at]) for key, at, decode in plan.others}
    values |= plan.absent
    if block is Block.LIVE:
        _forget_absent_cells(values)
        if layout is Layout.JK04:
            # It tells no voltage of the pack: its cells are in series (ble.md 5.3).
            volts = (values[voltage.key] for voltage, _ in _CELLS)
            numbers = [v for v in volts if isinstance(v, int | float)]
            values[TOTAL_VOLTAGE.key] = round(sum(numbers), 3)
    return values


def _decode_beginning(
    data: bytes,
    block: Block,
    layout: Layout,
    firmware: Firmware | None,
    order: ByteOrder,
    offset: int,
) -> dict[str, Value]:
    """Return the values of a block whose end is missing: what lay there is unknown."""
    held = len(data) - offset
    whole = data.ljust(FRAME_SIZE, b"\0")
    values = decode_block(
        whole, block, layout, firmware=firmware, order=order, offset=offset
    )
    for field in FIELDS_OF[block]:
        where = place(field, layout)
        if where and field.key in values:
            start, code = where
            if start + struct.calcsize(f"<{code}") > held:
                values[field.key] = None
    return values


def _forget_absent_cells(values: dict[str, Value]) -> None:
    """Make the slots of cells that are not there unknown; they read as 0."""
    mask = int(cast("float", values[CELL_PRESENCE.key]))
    for cell, (voltage, resistance) in enumerate(_CELLS):
        if not mask >> cell & 1:
            values[voltage.key] = values[resistance.key] = None


def _has(field: Field[Any], firmware: Firmware | None) -> bool:
    return field.applies_to(firmware) and not (firmware is None and field.ambiguous)


def decode_registers(
    register: int, data: bytes, *, firmware: Firmware | None = None
) -> dict[str, Value]:
    """Return the values that lie wholly in some registers, as FC03 and FC16 carry them."""
    values: dict[str, Value] = {}
    for field in FIELDS:
        start = field.address - register
        inside = 0 <= start <= len(data) - field.codec.size
        if inside and field.role is not Role.SECRET:
            (raw,) = struct.unpack_from(BIG + field.codec.code, data, start)
            known = _has(field, firmware)
            values[field.key] = field.codec.decode(raw) if known else None
    return values


def blanked(register: int, data: bytes) -> bytes:
    """Return the content of registers without the secrets among it."""
    shown = bytearray(data)
    for field in FIELDS:
        if field.role is Role.SECRET:
            at = field.address - register
            for byte in range(max(0, at), min(len(data), at + field.codec.size)):
                shown[byte] = 0
    return bytes(shown)


def recognise(frame: bytes) -> Layout | None:
    """Tell the layout of a valid frame by its content (ble.md 4); None: cannot tell.

    Version numbers do not do: a JK04 board reports 8.0.3M.
    """
    match frame[4]:
        case 0x01:
            if frame[6:10] == b"\x00\x00\x80\x3f" and not any(frame[10:34]):
                return Layout.JK04
            return Layout.JK02_32S if any(frame[287:288]) else Layout.JK02_24S
        case 0x02:
            return _recognise_live(frame)
        case 0x03:
            return Layout.JK02_32S if any(frame[134:299]) else Layout.JK02_24S
        case _:
            return None


def _recognise_live(frame: bytes) -> Layout | None:
    if _mask_fits(frame, cells=32, mask_at=70):
        return Layout.JK02_32S
    if _mask_fits(frame, cells=24, mask_at=54):
        return Layout.JK02_24S
    if _looks_like_jk04(frame):
        return Layout.JK04
    # A broken sense wire breaks the rule of the mask just when the data matters
    # most; the footer of a 32-cell board still tells it from the older ones.
    return Layout.JK02_32S if any(frame[287:288]) else None


def _mask_fits(frame: bytes, *, cells: int, mask_at: int) -> bool:
    """Tell whether the presence mask names just the cells that have a voltage."""
    voltages = struct.unpack_from(f"<{cells}H", frame, FRAME_HEAD)
    mask, average = struct.unpack_from("<IH", frame, mask_at)
    present = [v for n, v in enumerate(voltages) if mask >> n & 1]
    if not present or 0 in present or mask >> cells:
        return False
    if any(v and not mask >> n & 1 for n, v in enumerate(voltages)):
        return False
    return bool(abs(sum(present) / len(present) - average) <= 20)


def _looks_like_jk04(frame: bytes) -> bool:
    """Tell whether just the cells of the mask have a voltage, as floating point numbers."""
    volts = struct.unpack_from("<24f", frame, FRAME_HEAD)
    (mask,) = struct.unpack_from("<I", frame, 214)
    named = [volt for n, volt in enumerate(volts) if mask >> n & 1]
    absent = [volt for n, volt in enumerate(volts) if not mask >> n & 1]
    return (
        bool(named)
        and not mask >> 24
        and not any(absent)
        and all(0.5 <= volt <= 5 for volt in named)
    )
