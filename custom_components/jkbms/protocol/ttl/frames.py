"""What travels on a line of the protocol `4E 57`: built, checked and read, one at a time."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from zlib import adler32

MAGIC: Final = b"\x4e\x57"
END: Final = 0x68
HEAD: Final = 11
"""Bytes before the content."""
TAIL: Final = 9
"""Bytes after it: record number, end mark, and two sums of which one is used."""
LENGTH_MIN: Final = 0x13
LENGTH_MAX: Final = 0x200
"""What the length field says at least, and at most: an answer of 32 cells says 0x151."""
MAX_TERMINAL: Final = 0xFF_FFFF
_HALF: Final = 256
"""So many bytes add up to less than the modulus of Adler-32."""


class Command(IntEnum):
    """What is asked for (ttl4e57.md 2); the answer says the same."""

    ACTIVATE = 1
    WRITE = 2
    READ = 3
    PASSWORD = 5
    READ_ALL = 6


class Source(IntEnum):
    """Who speaks (ttl4e57.md 2)."""

    BMS = 0
    BLUETOOTH = 1
    GPS = 2
    PC = 3


class Transport(IntEnum):
    """Why it speaks (ttl4e57.md 2)."""

    REQUEST = 0
    ANSWER = 1
    UPLOAD = 2


def sum16(frame: bytes) -> int:
    """Return the sum of everything up to the end mark (ttl4e57.md 2).

    The low half of Adler-32 is 1 + the sum modulo 65521: exact for 256 bytes.
    """
    end = len(frame) - 4
    if end <= _HALF:
        return (adler32(frame[:end]) & 0xFFFF) - 1
    total = 0
    for at in range(0, end, _HALF):
        total += (adler32(frame[at : min(at + _HALF, end)]) & 0xFFFF) - 1
    return total & 0xFFFF


def is_whole(frame: bytes) -> bool:
    """Tell whether bytes of the right length end like a frame, with the right sum."""
    return frame[-5] == END and sum16(frame) == int.from_bytes(frame[-2:], "big")


@dataclass(frozen=True, slots=True)
class Message:
    """A request, or an answer, whose sum is right."""

    terminal: int
    command: int
    source: int
    transport: int
    content: bytes

    @classmethod
    def parse(cls, frame: bytes) -> Message:
        """Read a whole frame."""
        return cls(
            int.from_bytes(frame[4:8], "big"),
            frame[8],
            frame[9],
            frame[10],
            frame[HEAD:-TAIL],
        )

    def encode(self) -> bytes:
        """Return the frame, with record number 0."""
        size = HEAD + len(self.content) + TAIL
        body = b"".join(
            (
                MAGIC,
                (size - 2).to_bytes(2, "big"),
                self.terminal.to_bytes(4, "big"),
                bytes((self.command, self.source, self.transport)),
                self.content,
                bytes((0, 0, 0, 0, END)),
            )
        )
        return body + bytes(2) + (sum(body) & 0xFFFF).to_bytes(2, "big")


def read_all(terminal: int) -> Message:
    """Return what asks for everything (ttl4e57.md 3)."""
    return _request(terminal, Command.READ_ALL, Source.PC, b"\0")


def activate(terminal: int) -> Message:
    """Return what wakes a BMS (ttl4e57.md 3)."""
    return _request(terminal, Command.ACTIVATE, Source.PC, b"\0")


def pair(terminal: int) -> Message:
    """Return what is sent before a write, by the one program whose writes are proven.

    It is the source of the writes, too, that are seen to work (ttl4e57.md 6).
    """
    return _request(terminal, Command.PASSWORD, Source.GPS, b"\0\0")


def write(terminal: int, code: int, value: int) -> Message:
    """Return the write of a value of one byte (ttl4e57.md 6)."""
    return _request(terminal, Command.WRITE, Source.GPS, bytes((code, value)))


def _request(
    terminal: int, command: Command, source: Source, content: bytes
) -> Message:
    return Message(terminal, command, source, Transport.REQUEST, content)
