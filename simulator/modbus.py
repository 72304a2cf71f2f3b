"""What one pack answers to one complete request (rs485.md 2.1, 2.8, 3.1)."""

from collections.abc import Callable
from typing import Final

from .checks import with_crc
from .pack import Outcome, Pack
from .registers import ACTIONS, Block
from .rules import Refusal
from .seeds import compact_log

READ: Final = 0x03
WRITE_ONE: Final = 0x06
WRITE: Final = 0x10

_MOST_REGISTERS: Final = 123
"""FC03 of 123 registers is served, of 124 refused (rs485.md 2.3)."""

_SHORTEST_WRITE: Final = 9
"""A write's length without its payload."""

_BLOCKS: Final = {0x161C: Block.DEVICE, 0x161E: Block.SETTINGS, 0x1620: Block.LIVE}
"""The writes that only ask for a block."""

_LOGS: Final[dict[int, Callable[[Pack], bytes]]] = {
    0x1622: lambda pack: pack.log.frames(),
    0x1624: lambda _: compact_log().data,
}
"""The writes that only ask for a log."""

_PRESETS: Final = (0x160A, 0x160C, 0x160E)
"""Presets answer with the settings frame before the ACK (rs485.md 2.8)."""

_KNOWN_ACTIONS: Final = range(0x1600, 0x162E, 2)

_PASSWORD: Final = 0x1470
_PASSWORD_LENGTH: Final = 12


def length_of(message: bytes | bytearray) -> int | None:
    """How long a request must become, as far as its first bytes say; None if only silence ends it."""
    if len(message) < 2:
        return _SHORTEST_WRITE
    if message[1] in (READ, WRITE_ONE):
        return 8
    if message[1] != WRITE:
        return None
    return _SHORTEST_WRITE + (message[6] if len(message) > 6 else 0)


def wanted(request: bytes) -> Block | None:
    """The block that a request reads, by its trigger or register by register; None if it reads none."""
    register = int.from_bytes(request[2:4])
    match request[1]:
        case 0x03:
            return Block.of(register)
        case 0x10:
            return _BLOCKS.get(register)
    return None


def answer(pack: Pack, request: bytes, now: float) -> bytes:
    """The bytes a pack replies to a request that has its address and a correct CRC."""
    pack.advance(now)
    match request[1]:
        case 0x03:
            return _read(pack, request)
        case 0x10:
            return _write(pack, request, now)
        case 0x06:
            return _refuse(pack, WRITE_ONE, Refusal.REGISTER)
    return _refuse(pack, request[1], Refusal.FUNCTION)


def _refuse(pack: Pack, function: int, refusal: Refusal) -> bytes:
    return with_crc(bytes([pack.address, function | 0x80, refusal]))


def _read(pack: Pack, request: bytes) -> bytes:
    address = int.from_bytes(request[2:4])
    quantity = int.from_bytes(request[4:6])
    if not 1 <= quantity <= _MOST_REGISTERS:
        return _refuse(pack, READ, Refusal.REGISTER)
    data = pack.read(address, 2 * quantity)
    if isinstance(data, Refusal):
        return _refuse(pack, READ, data)
    pack.asked[address] = pack.asked.get(address, 0) + 1
    return with_crc(bytes([pack.address, READ, len(data)]) + data)


def _write(pack: Pack, request: bytes, now: float) -> bytes:
    address = int.from_bytes(request[2:4])
    quantity = int.from_bytes(request[4:6])
    payload = request[7:-2]
    ack = with_crc(bytes([pack.address]) + request[1:6])
    if address in _BLOCKS or address in _LOGS:
        pack.asked[address] = pack.asked.get(address, 0) + 1
        block = _BLOCKS.get(address)
        return (_LOGS[address](pack) if block is None else pack.frame(block)) + ack
    if address in ACTIONS:
        if address not in _KNOWN_ACTIONS:
            pack.note(address, payload, now, Outcome.REFUSED)
            return _refuse(pack, WRITE, Refusal.REGISTER)
        pack.act(address, payload, now)
        return pack.frame(Block.SETTINGS) + ack if address in _PRESETS else ack
    if address == _PASSWORD and len(payload) == _PASSWORD_LENGTH:
        # Real packs take this one (rs485.md 2.7); nothing that talks to this bank should send it.
        pack.set("settings_password", payload)
        pack.note(address, payload, now, Outcome.STORED)
        return ack
    if 2 * quantity != len(payload):
        return _refuse(pack, WRITE, Refusal.REGISTER)
    refusal = pack.write(address, payload, now)
    return ack if refusal is None else _refuse(pack, WRITE, refusal)
