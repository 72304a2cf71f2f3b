"""What travels on an RS485 line of JK packs: built, checked and read, one at a time."""

from dataclasses import dataclass
from enum import IntEnum
import struct
from typing import Final
from zlib import adler32

from .datum import BLOCK_OF_TRIGGER, Block

MAGIC: Final = b"\x55\xaa\xeb\x90"
FRAME_SIZE: Final = 300
FRAME_TYPES: Final = frozenset({0x01, 0x02, 0x03, 0x05, 0x06})
READ: Final = 0x03
WRITE: Final = 0x10
ERROR: Final = 0x80
LOG_TRIGGERS: Final = {0x1622: 0x06, 0x1624: 0x05}
TYPE_OF_TRIGGER: Final = {
    **{register: block.frame_type for register, block in BLOCK_OF_TRIGGER.items()},
    **LOG_TRIGGERS,
}


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE: Final = _crc_table()


def crc16(data: bytes) -> int:
    """Return the CRC-16/MODBUS of the data (rs485.md 2.1)."""
    crc = 0xFFFF
    table = _CRC_TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def seal(body: bytes) -> bytes:
    """Return the body followed by its CRC, low byte first."""
    return body + crc16(body).to_bytes(2, "little")


def sealed(message: bytes) -> bool:
    """Tell whether the message ends with its CRC."""
    return crc16(message[:-2]) == int.from_bytes(message[-2:], "little")


def sum8(frame: bytes) -> int:
    """Return the sum of the first 299 bytes modulo 256 (rs485.md 3.2).

    The low half of Adler-32 is 1 + the sum modulo 65521: exact for halves of a
    frame, and a quarter of the time of adding in Python.
    """
    return (adler32(frame[:150]) + adler32(frame[150:299]) - 2) & 0xFF


def build_frame(frame_type: int, block: bytes, counter: int = 0) -> bytes:
    """Return a whole frame around the 293 bytes of a block."""
    body = MAGIC + bytes((frame_type, counter)) + block
    if len(body) != FRAME_SIZE - 1:
        raise ValueError(f"a frame holds 293 bytes, not {len(block)}")
    return body + bytes((sum8(body + b"\0"),))


class ExceptionCode(IntEnum):
    """Why a BMS, or a gateway before it, refused a request (rs485.md 2.1)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_REGISTER = 2
    ILLEGAL_VALUE = 3
    FAILURE = 4
    BUSY = 6
    GATEWAY_PATH = 10
    GATEWAY_NO_RESPONSE = 11


UNREACHED: Final = frozenset(
    {ExceptionCode.GATEWAY_PATH, ExceptionCode.GATEWAY_NO_RESPONSE}
)
"""What a gateway says where no BMS has answered it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A 300-byte frame whose sum is right; whose it is only its ACK can tell."""

    data: bytes

    @property
    def type(self) -> int:
        """1 settings, 2 live, 3 device info, 5 log, 6 detail log."""
        return self.data[4]


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to a write, and the signature behind a frame."""

    address: int
    register: int
    words: int

    def encode(self) -> bytes:
        """Return the 8 bytes of the ACK."""
        return seal(
            struct.pack(">BBHH", self.address, WRITE, self.register, self.words)
        )


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """FC16; with a trigger register it asks for a frame instead of writing."""

    address: int
    register: int
    data: bytes

    @property
    def words(self) -> int:
        """How many registers it covers."""
        return len(self.data) // 2

    @property
    def block(self) -> Block | None:
        """The block it asks for, None for a real write."""
        return BLOCK_OF_TRIGGER.get(self.register)

    def encode(self) -> bytes:
        """Return the bytes to send."""
        head = struct.pack(
            ">BBHHB", self.address, WRITE, self.register, self.words, len(self.data)
        )
        return seal(head + self.data)

    def acknowledged_by(self, ack: Ack) -> bool:
        """Tell whether the ACK answers this request."""
        return (ack.address, ack.register, ack.words) == (
            self.address,
            self.register,
            self.words,
        )


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """FC03."""

    address: int
    register: int
    words: int

    def encode(self) -> bytes:
        """Return the bytes to send."""
        return seal(struct.pack(">BBHH", self.address, READ, self.register, self.words))


@dataclass(frozen=True, slots=True)
class ReadReply:
    """The big-endian data that FC03 returns."""

    address: int
    data: bytes

    def encode(self) -> bytes:
        """Return the bytes of the reply."""
        return seal(bytes((self.address, READ, len(self.data))) + self.data)


@dataclass(frozen=True, slots=True)
class ExceptionReply:
    """A refusal."""

    address: int
    function: int
    code: int

    def encode(self) -> bytes:
        """Return the bytes of the refusal."""
        return seal(bytes((self.address, self.function | ERROR, self.code)))


@dataclass(frozen=True, slots=True)
class Discarded:
    """A run of bytes that belong to nothing."""

    count: int


type Request = WriteRequest | ReadRequest
type Item = (
    Frame | Ack | WriteRequest | ReadRequest | ReadReply | ExceptionReply | Discarded
)


def trigger(address: int, block: Block) -> WriteRequest:
    """Return the request that makes a BMS send a block as a frame (rs485.md 3.1)."""
    return WriteRequest(address, block.trigger, b"\0\0")
