"""The register map of a captured pack, and pymodbus' own server before it.

A second opinion on where values are and in which order their bytes come: the offsets are
those of the simulator's table, transcribed from the vendor's map (rs485.md 2.4 to 2.7).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
import logging
from typing import Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulator.registers import ITEMS, MODBUS_ORDER, Block, Item, Kind

BASES: Final = {1: 0x1000, 2: 0x1200, 3: 0x1400}
BLOCK_BYTES: Final = 294
_FIRST: Final = 0x1000
_COUNT: Final = 0x0700
_MOS_24S: Final = 128
_ALARMS_24S: Final = 130


def _moved(item: Item) -> tuple[int, int] | None:
    """Return offset and size of a value on a 24-cell board (ble.md 5.1)."""
    offset, size = item.offset, item.size
    cell = item.name.rpartition("_")[2]
    if cell.isdecimal() and int(cell) > 24 and "temperature" not in item.name:
        return None
    if item.block is Block.SETTINGS:
        if item.name.startswith("connection_resistance"):
            return offset + 16, size
        return (offset, size) if offset <= 0x84 else None
    if item.block is Block.DEVICE:
        return (offset, size) if offset <= 0x70 else None
    match item.name:
        case "mos_temperature":
            return _MOS_24S, 2
        case "alarms":
            return _ALARMS_24S, 2
        case name if name.startswith("cell_voltage_") and cell.isdecimal():
            return offset, size
        case _:
            return offset - (16 if offset < 0x8A else 32), size


def registers(frame: bytes, *, old: bool = False) -> bytes:
    """Return what FC03 tells of a block that came as a frame."""
    block = Block(frame[4])
    image = frame[6:299] + b"\0"
    if not old:
        return bytes(image[place] for place in MODBUS_ORDER[block])
    data = bytearray(image)
    for item in ITEMS.values():
        where = _moved(item) if item.block is block else None
        if where is not None and item.kind is not Kind.RAW:
            start, size = where
            data[start : start + size] = reversed(image[start : start + size])
    return bytes(data)


class RegisterMap:
    """The blocks of one pack, addressed by byte as JK does (rs485.md 2.2)."""

    def __init__(
        self, blocks: Mapping[int, bytes], *, most: int = 123, end: int = BLOCK_BYTES
    ) -> None:
        """Serve these blocks by type; at most so many registers, up to a byte."""
        self.blocks = {BASES[kind]: bytearray(data) for kind, data in blocks.items()}
        self.most = most
        self.end = end
        self.reads: list[tuple[int, int]] = []
        self.refused: list[tuple[int, int]] = []
        self.writes: list[tuple[int, tuple[int, ...]]] = []

    def read(self, address: int, count: int) -> bytes | None:
        """Return the bytes of some registers; None where they are refused."""
        self.reads.append((address, count))
        base = address & ~0x1FF
        start = address - base
        stop = start + 2 * count
        data = self.blocks.get(base, b"")
        if count > self.most or address & 1 or stop > min(self.end, len(data)):
            self.refused.append((address, count))
            return None
        return bytes(data[start:stop])

    async def act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Answer in the place of pymodbus' word-addressed memory; called by its server."""
        if values is not None:
            words = tuple(map(int, values))
            self.writes.append((address, words))
            new = b"".join(word.to_bytes(2) for word in words)
            base = address & ~0x1FF
            self.blocks[base][address - base : address - base + len(new)] = new
            return None
        data = self.read(address, count)
        if data is None:
            return ExcCodes.ILLEGAL_ADDRESS
        at = address - start
        current[at : at + count] = [
            int.from_bytes(data[n : n + 2]) for n in range(0, len(data), 2)
        ]
        return None


def _device(unit: int, registers: RegisterMap) -> SimDevice:
    memory = SimData(_FIRST, count=_COUNT, values=0, datatype=DataType.REGISTERS)
    return SimDevice(unit, simdata=[memory], action=registers.act)


@asynccontextmanager
async def pymodbus_server(maps: Mapping[int, RegisterMap]) -> AsyncIterator[str]:
    """Serve packs by unit at a free port; yields what to name in a client."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    devices = [_device(unit, one) for unit, one in maps.items()]
    # Its own methods are not all typed.
    server: Any = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        port = server.transport.sockets[0].getsockname()[1]
        yield f"modbus-tcp://127.0.0.1:{port}"
    finally:
        await server.shutdown()
