"""The frames of three generations of boards, written down a second time (ble.md 5)."""

from enum import StrEnum
import struct
from typing import Final

from ..checks import sum8
from ..pack import FRAME_LENGTH, Pack
from ..registers import Block

_HEAD: Final = b"\x55\xaa\xeb\x90"


class Generation(StrEnum):
    """A generation of boards by its frames."""

    CELLS_32 = "32"
    CELLS_24 = "24"
    FLOATS = "jk04"


_OLDER: Final = {
    Generation.CELLS_24: (b"JK-B2A24S15P", b"10.XW", b"10.07"),
    Generation.FLOATS: (b"JK-B2A16S", b"3.0", b"3.3.0"),
}


def make_older(pack: Pack, generation: Generation) -> Pack:
    """Give a pack the name and the versions of an older board."""
    if named := _OLDER.get(generation):
        model, hardware, software = named
        pack.set("model", model)
        pack.set("max_cells", 0)
        pack.set("hardware_version", hardware)
        pack.set("software_version", software)
    return pack


def frame_of(pack: Pack, block: Block, generation: Generation, counter: int) -> bytes:
    """What a board of this generation sends of a block."""
    body = bytearray(FRAME_LENGTH - 1)
    whole = pack.frame(block)
    body[:6] = _HEAD + bytes([block, counter])
    match generation, block:
        case Generation.CELLS_32, _:
            body[6:] = whole[6:-1]
        case _, Block.DEVICE:
            body[6:134] = whole[6:134]
        case Generation.CELLS_24, Block.SETTINGS:
            # Up to the start of balancing, then the leads of 24 cells; nothing behind.
            body[6:142] = whole[6:142]
            body[158:254] = whole[142:238]
        case Generation.CELLS_24, _:
            _live_24(pack, body)
        case _, Block.SETTINGS:
            _settings_floats(pack, body)
        case _:
            _live_floats(pack, body)
    return bytes(body) + bytes([sum8(body)])


def _put(body: bytearray, at: int, code: str, *values: float) -> None:
    struct.pack_into(f"<{code}", body, at, *values)


def _cells(pack: Pack) -> list[int]:
    return [n + 1 for n in range(24) if pack.number_of("cell_presence") >> n & 1]


def _live_24(pack: Pack, body: bytearray) -> None:
    get = pack.number_of
    for cell in range(1, 25):
        _put(body, 4 + 2 * cell, "H", get(f"cell_voltage_{cell}"))
        _put(body, 62 + 2 * cell, "H", get(f"wire_resistance_{cell}"))
    _put(body, 54, "I", get("cell_presence"))
    _put(body, 58, "HH", get("average_cell_voltage"), get("cell_voltage_difference"))
    _put(body, 62, "BB", get("highest_cell"), get("lowest_cell"))
    _put(body, 114, "I", get("wire_alarms"))
    _put(body, 118, "IIi", get("pack_voltage"), get("power"), get("current"))
    _put(body, 130, "hh", get("temperature_1"), get("temperature_2"))
    _put(body, 134, "h", get("mos_temperature"))
    _put(body, 136, "H", get("alarms") & 0xFFFF)
    _put(body, 138, "h", get("balance_current"))
    _put(body, 140, "BB", get("balancer_state"), get("soc"))
    _put(body, 142, "iI", get("remaining_capacity"), get("full_capacity"))
    _put(body, 150, "II", get("cycles"), get("cycled_capacity"))
    _put(body, 158, "BB", get("soh"), get("precharge"))
    # Other content than the user alarms of newer boards.
    _put(body, 160, "H", 0x02D9)
    _put(body, 162, "I", get("run_time"))
    _put(body, 166, "BB", get("charge_mos"), get("discharge_mos"))
    _put(body, 168, "H", 0x067F)
    _put(body, 182, "B", 0x07)
    _put(body, 186, "H", get("emergency_left"))
    _put(body, 214, "I", get("ticks"))


def _live_floats(pack: Pack, body: bytearray) -> None:
    get = pack.number_of
    cells = _cells(pack)
    volts = {cell: get(f"cell_voltage_{cell}") / 1000 for cell in cells}
    for cell in cells:
        _put(body, 2 + 4 * cell, "f", volts[cell])
        _put(body, 98 + 4 * cell, "f", get(f"wire_resistance_{cell}") / 1000)
    _put(body, 202, "f", sum(volts.values()) / len(volts))
    _put(body, 206, "f", max(volts.values()) - min(volts.values()))
    _put(body, 214, "I", get("cell_presence"))
    highest, lowest = (
        max(cells, key=volts.__getitem__),
        min(cells, key=volts.__getitem__),
    )
    _put(body, 218, "BBBB", highest - 1, lowest - 1, get("balancer_state"), 1)
    _put(body, 222, "f", get("balance_current") / 1000)
    _put(body, 286, "I", get("run_time"))


def _settings_floats(pack: Pack, body: bytearray) -> None:
    get = pack.number_of
    _put(body, 6, "f", 1.0)
    _put(body, 34, "B", get("cell_count"))
    _put(body, 38, "f", get("power_off_voltage") / 1000)
    _put(body, 74, "f", 3.0)
    _put(body, 98, "ff", get("balance_start_voltage") / 1000, 3.4)
    _put(body, 106, "f", get("balance_trigger") / 1000)
    _put(body, 110, "f", get("balance_current_limit") / 1000)
    _put(body, 114, "B", get("balancer_switch"))
