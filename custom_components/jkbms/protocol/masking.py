"""What crossed a line, message by message, without what is private in it.

A BMS tells its PIN, its passwords, its serial number and its owner's names to anyone on
the wire. Whole messages keep their form and get a right sum. Bytes that make no message
may be a piece of any frame: of them only their number and the heads of frames stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import re
from typing import Final

from .datum import Block, Role
from .fields import DEVICE
from .frames import (
    FRAME_SIZE,
    MAGIC,
    Discarded,
    Frame,
    Item,
    ReadReply,
    ReadRequest,
    WriteRequest,
    build_frame,
)
from .layout import FRAME_HEAD
from .stream import Framer

_PRIVATE: Final = [f for f in DEVICE if f.private or f.role is Role.SECRET]
_HIDDEN: Final = range(
    min(f.offset for f in _PRIVATE), max(f.offset + f.codec.size for f in _PRIVATE)
)
"""Names, serial number, PIN and passwords, with the little that lies between them."""
_REGISTERS: Final = range(
    Block.DEVICE.base + _HIDDEN.start, Block.DEVICE.base + _HIDDEN.stop
)
_TEXT: Final = re.compile(rb"[\x20-\x7e]{4}")
"""No other block has text where the device info keeps its secrets (rs485.md 2.5, 2.6)."""
_HEAD: Final = re.compile(
    re.escape(MAGIC) + rb"[\x01-\x03\x05\x06][\x00-\xff]?|\x4e\x57[\x00\x01]", re.DOTALL
)
"""How frames begin, those of the older protocol too (ttl4e57.md)."""
_FILLS: Final = (0xFF, 0xFE, 0xFD)
"""Nothing begins with any of these bytes."""
_FLUSH_AFTER: Final = 1.0
"""Seconds of silence after which the rest of a message will not come."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that crossed a line at once."""

    time: float
    sent: bool
    """Whether this side has sent them."""
    data: bytes
    opened: bool = False
    """Whether the line was opened just then: nothing from before goes on."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, or a run of bytes that are none, fit to be shown to anybody."""

    time: float
    """When its last byte had come."""
    sent: bool
    data: bytes
    damaged: bool = False
    """Whether these are bytes that make no message."""
    frame: bool = False
    """Whether it is a whole frame."""


def masked_frame(frame: bytes) -> bytes:
    """Return a frame, whole and with a right sum, without what is private in it.

    What could not be read of its end is shown as 0.
    """
    size = FRAME_SIZE - FRAME_HEAD - 1
    content = bytearray(frame[FRAME_HEAD : FRAME_HEAD + size].ljust(size, b"\0"))
    if frame[4] == Block.DEVICE.frame_type:
        content[_HIDDEN.start : _HIDDEN.stop] = bytes(len(_HIDDEN))
    return build_frame(frame[4], bytes(content), frame[5])


def masked_run(data: bytes) -> bytes:
    """Return as many bytes, of which only the heads of frames are as they were."""
    for fill in _FILLS:
        shown = bytearray([fill]) * len(data)
        for head in _HEAD.finditer(data):
            shown[head.start() : head.end()] = head[0]
        # What was no frame must not become one: the sum is of one byte.
        masked, framer = bytes(shown), Framer()
        items = (*framer.feed(masked), *framer.flush())
        if all(isinstance(item, Discarded) for item in items):
            return masked
    return bytes([_FILLS[0]]) * len(data)


def _masked_registers(register: int | None, data: bytes) -> bytes:
    """Return what registers hold; nothing where it is not known which they are."""
    return bytes(
        0 if register is None or register + place in _REGISTERS else byte
        for place, byte in enumerate(data)
    )


def is_disguised(frame: Frame) -> bool:
    """Tell whether it says to be another frame than the device info and has text as that.

    Damage may change the type, and the sum fits by chance.
    """
    hidden = frame.data[FRAME_HEAD + _HIDDEN.start : FRAME_HEAD + _HIDDEN.stop]
    return frame.type != Block.DEVICE.frame_type and bool(_TEXT.search(hidden))


class Masker:
    """Turns the pieces of a line into messages that may be shown."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._framer = Framer()
        self._held = bytearray()
        """What the framer has not decided on."""
        self._last = float("-inf")
        self._read: ReadRequest | None = None

    def feed(self, piece: Piece) -> Iterator[Message]:
        """Yield what is complete with this piece."""
        if piece.opened or (self._held and piece.time - self._last > _FLUSH_AFTER):
            yield from self.flush()
        if piece.sent:
            yield from self._sent(piece)
        elif piece.data:
            self._last = piece.time
            self._held += piece.data
            for item in self._framer.feed(piece.data):
                yield self._heard(item)

    def flush(self) -> Iterator[Message]:
        """Yield what is still held, as nothing more will follow."""
        for item in self._framer.flush():
            yield self._heard(item)

    def _heard(self, item: Item) -> Message:
        raw = bytes(self._held[: _size(item)])
        del self._held[: len(raw)]
        return self._message(self._last, False, item, raw)

    def _sent(self, piece: Piece) -> Iterator[Message]:
        framer, at = Framer(), 0
        for item in (*framer.feed(piece.data), *framer.flush()):
            if isinstance(item, ReadRequest):
                self._framer.expect_read(item)
            raw = piece.data[at : at + _size(item)]
            at += len(raw)
            yield self._message(piece.time, True, item, raw)

    def _message(self, time: float, sent: bool, item: Item, raw: bytes) -> Message:
        match item:
            case Discarded():
                return Message(time, sent, masked_run(raw), damaged=True)
            case Frame() if is_disguised(item):
                return Message(time, sent, masked_run(raw), damaged=True)
            case Frame(data):
                return Message(time, sent, masked_frame(data), frame=True)
            case WriteRequest(address, register, data):
                shown = WriteRequest(
                    address, register, _masked_registers(register, data)
                )
                return Message(time, sent, shown.encode())
            case ReadRequest():
                self._read = item
                return Message(time, sent, raw)
            case ReadReply(address, data):
                reply = ReadReply(address, self._masked_reply(item, data))
                return Message(time, sent, reply.encode())
            case _:
                return Message(time, sent, raw)

    def _masked_reply(self, reply: ReadReply, data: bytes) -> bytes:
        """Return what was read, without anything where it is not known what was asked."""
        read, self._read = self._read, None
        asked = read and (read.address, 2 * read.words) == (reply.address, len(data))
        register = read.register if asked and read else None
        return _masked_registers(register, data)


def _size(item: Item) -> int:
    match item:
        case Discarded(count):
            return count
        case Frame():
            return FRAME_SIZE
        case _:
            return len(item.encode())
