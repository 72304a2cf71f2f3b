"""Where the rows of the datasheet lie in the frames of older and newer boards."""

from enum import StrEnum
from functools import lru_cache
from itertools import compress
import struct
from typing import Any, Final

from .codecs import BIG, LITTLE, ByteOrder, Codec, Value
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
from .fields.rows import MAX_CELLS
from .frames import FRAME_SIZE
from .plan import Place, Plan

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
_CELLS: Final = tuple(
    (voltage.key, resistance.key)
    for voltage, resistance in zip(CELL_VOLTAGES, CELL_RESISTANCES, strict=True)
)
_PLANS_KEPT: Final = 64
"""Several of each kind of pack that a house may have; 40 kB each."""
_JK04_MASK: Final = 214
"""Where in a frame the oldest boards tell which cells there are (ble.md 4)."""
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


@lru_cache(maxsize=_PLANS_KEPT)
def plan_of(
    block: Block,
    layout: Layout,
    firmware: Firmware | None,
    order: ByteOrder = LITTLE,
    cells: int = MAX_CELLS,
) -> Plan:
    """Return how a block is decoded; the live block of a pack of so many cells."""
    placed: dict[Field[Any], Place] = {}
    absent = [key for cell in _CELLS[cells:] for key in cell]
    for field in FIELDS_OF[block]:
        where = place(field, layout)
        if field.role is Role.SECRET or where is None or field.key in absent:
            continue
        if _has(field, firmware):
            placed[field] = where
        else:
            absent.append(field.key)
    codecs = {field: codec_at(field, layout) for field in placed}
    return Plan(placed, codecs, absent, order)


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
    plan = plan_of(block, layout, firmware, order)
    if len(data) - offset < plan.unpacker.size:
        return _decode_beginning(data, block, layout, firmware, order, offset)
    if block is not Block.LIVE:
        return plan.decode(data, offset)
    mask = presence(data, layout, order, offset)
    if is_gapless(mask):
        # Half of the rows of a pack with 16 cells are those of cells it has not.
        plan = plan_of(block, layout, firmware, order, mask.bit_length())
        values = plan.decode(data, offset)
    else:
        values = plan.decode(data, offset)
        for cell, (voltage, resistance) in enumerate(_CELLS):
            if not mask >> cell & 1:
                values[voltage] = values[resistance] = None
    if layout is Layout.JK04:
        # It tells no voltage of the pack: its cells are in series (ble.md 5.3).
        volts = (values[voltage] for voltage, _ in _CELLS)
        numbers = [volt for volt in volts if isinstance(volt, int | float)]
        values[TOTAL_VOLTAGE.key] = round(sum(numbers), 3)
    return values


def is_gapless(mask: int) -> bool:
    """Tell whether a presence mask names the first cells and no others."""
    return not mask & (mask + 1)


def presence(
    data: bytes, layout: Layout, order: ByteOrder = LITTLE, offset: int = FRAME_HEAD
) -> int:
    """Return the mask that tells which cells are there."""
    where = place(CELL_PRESENCE, layout)
    assert where is not None
    start, code = where
    mask: int
    (mask,) = struct.unpack_from(order + code, data, offset + start)
    return mask


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
    present = tuple(compress(voltages, _named(mask)))
    if not present or 0 in present or mask >> cells:
        return False
    whole = sum(present)
    return bool(whole == sum(voltages) and abs(whole / len(present) - average) <= 20)


@lru_cache(maxsize=64)
def _named(mask: int) -> tuple[int, ...]:
    """Return which cells a mask names; that of a pack stays the same for good."""
    return tuple(mask >> n & 1 for n in range(mask.bit_length()))


def _looks_like_jk04(frame: bytes) -> bool:
    """Tell whether just the cells of the mask have a voltage, as floating point numbers."""
    if len(frame) < _JK04_MASK + 4:
        # Read by registers, from a BMS that does not serve so many of them.
        return False
    volts = struct.unpack_from("<24f", frame, FRAME_HEAD)
    (mask,) = struct.unpack_from("<I", frame, _JK04_MASK)
    named = [volt for n, volt in enumerate(volts) if mask >> n & 1]
    absent = [volt for n, volt in enumerate(volts) if not mask >> n & 1]
    return (
        bool(named)
        and not mask >> 24
        and not any(absent)
        and all(0.5 <= volt <= 5 for volt in named)
    )
