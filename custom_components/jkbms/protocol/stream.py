"""The bytes of a line cut into frames, requests and answers, and what is left over.

Cut by content, never by silence: gateways and proxies keep no timing, split and glue
as they like (rs485.md 1.6, 3.2). Silence only tells that the rest will not come.
"""

from collections import deque
import re
import struct
from typing import Final

from .fields import MAX_ADDRESS
from .frames import (
    ERROR,
    FRAME_SIZE,
    FRAME_TYPES,
    MAGIC,
    Ack,
    Discarded,
    ExceptionCode,
    ExceptionReply,
    Frame,
    Item,
    ReadReply,
    ReadRequest,
    WriteRequest,
    sealed,
    sum8,
)

_MAX_WRITE_BYTES: Final = 16
"""The longest register of a JK BMS is a text of 16 bytes (rs485.md 2.7)."""
_REGISTERS: Final = range(0x1000, 0x1700, 2)
_READABLE: Final = range(0x1000, 0x1600, 2)
_MAX_READ_WORDS: Final = 125
_READS_REMEMBERED: Final = 4
"""A reply may come when the next reads have been asked for already."""
_CODES: Final = frozenset(ExceptionCode)
_ANSWER_SIZE: Final = 8
_TRIGGER_SIZE: Final = 11
_EXCEPTION_SIZE: Final = 5

_STRAY: Final = 16
"""Bytes that good adapters add at most (rs485.md 3.2); more of them were a message."""
_NOISE_LASTS: Final = 64
"""Frames that must come whole after a damaged message until a line counts as good."""
_NOISE_MOST: Final = 4 * _NOISE_LASTS

_CANDIDATE: Final = re.compile(rb"[\x00-\x0f\x55]")
_WRITE_HEAD: Final = re.compile(rb"[\x00-\x0f](?:\x10(?:[\x10-\x16]|\Z)|\Z)")
"""How a request or an ACK begins, at the end of the buffer as much as is there of it."""

_WAIT: Final = 0
"""More bytes are needed to tell."""
_NOTHING: Final = -1
"""Nothing begins here."""


class Framer:
    """Turns chunks of bytes into items, in the order of the line."""

    def __init__(self) -> None:
        """Start with an empty buffer."""
        self._buffer = bytearray()
        self._discarded = 0
        self._expected: deque[tuple[int, int]] = deque(maxlen=_READS_REMEMBERED)
        self._synchronous = False
        """Whether something was found since the link was opened."""
        self._noise = 0

    @property
    def noisy(self) -> bool:
        """Whether the line has damaged messages lately: what passes may be damaged too."""
        return self._noise > 0 or (self._synchronous and self._discarded > _STRAY)

    @property
    def incomplete(self) -> bool:
        """Whether bytes are held back because an item may not be complete yet."""
        return bool(self._buffer)

    def clear(self) -> None:
        """Forget everything: the link was opened anew."""
        self._buffer.clear()
        self._discarded = 0
        self._expected.clear()
        self._synchronous = False

    def expect_read(self, request: ReadRequest) -> None:
        """Accept a reply to this request, which this side has sent.

        A reply names neither register nor function beyond doubt; only one that was
        asked for, and has the length that was asked for, is believed.
        """
        self._expected.append((request.address, 2 * request.words))

    def feed(self, data: bytes) -> list[Item]:
        """Return the items that are complete with these bytes."""
        self._buffer += data
        return self._scan(final=False)

    def flush(self) -> list[Item]:
        """Return what the held back bytes contain, as nothing more will follow."""
        items = self._scan(final=True)
        self._close_run(items)
        return items

    def _scan(self, *, final: bool) -> list[Item]:
        buffer = bytes(self._buffer)
        items: list[Item] = []
        position = 0
        end = len(buffer)
        while position < end:
            item, size = self._item_at(buffer, position, final=final)
            if item is not None:
                self._close_run(items)
                self._synchronous = True
                self._noise = max(0, self._noise - isinstance(item, Frame))
                items.append(item)
                position += size
            elif size == _WAIT and not final:
                break
            else:
                skip = self._next_candidate(buffer, position + 1) - position
                self._discarded += skip
                position += skip
        del self._buffer[:position]
        return items

    def _close_run(self, items: list[Item]) -> None:
        if self._discarded:
            if self._synchronous and self._discarded > _STRAY:
                self._noise = min(_NOISE_MOST, self._noise + _NOISE_LASTS)
            items.append(Discarded(self._discarded))
            self._discarded = 0

    @staticmethod
    def _next_candidate(buffer: bytes, start: int) -> int:
        """Return where the next item could begin: a magic or an address byte."""
        found = _CANDIDATE.search(buffer, start)
        return found.start() if found else len(buffer)

    def _item_at(
        self, buffer: bytes, at: int, *, final: bool
    ) -> tuple[Item | None, int]:
        """Return the item that begins here and its size, else why there is none."""
        if buffer[at] == MAGIC[0]:
            return _frame_at(buffer, at, final=final)
        if buffer[at] > MAX_ADDRESS:
            return None, _NOTHING
        if len(buffer) - at < 2:
            return None, _WAIT
        match buffer[at + 1]:
            case 0x10:
                return self._write_at(buffer, at)
            case 0x03:
                return self._read_at(buffer, at)
            case 0x83 | 0x90:
                return self._exception_at(buffer, at)
            case _:
                return None, _NOTHING

    def _write_at(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        """Read an ACK or a write request; both begin with the same six bytes."""
        left = len(buffer) - at
        if left < 6:
            return None, _WAIT
        address, _, register, words = struct.unpack_from(">BBHH", buffer, at)
        if register not in _REGISTERS or not 1 <= words <= _MAX_WRITE_BYTES // 2:
            return None, _NOTHING
        if left < 7:
            return None, _WAIT
        size = 9 + 2 * words
        request_possible = buffer[at + 6] == 2 * words
        if request_possible and left >= size and sealed(buffer[at : at + size]):
            data = buffer[at + 7 : at + size - 2]
            return WriteRequest(address, register, data), size
        if left < _ANSWER_SIZE:
            return None, _WAIT
        if sealed(buffer[at : at + _ANSWER_SIZE]):
            return Ack(address, register, words), _ANSWER_SIZE
        if request_possible and left < size:
            return None, _WAIT
        return None, _NOTHING

    def _read_at(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        left = len(buffer) - at
        if left < 3:
            return None, _WAIT
        waits = False
        expected = (buffer[at], buffer[at + 2])
        if expected in self._expected:
            size = 5 + buffer[at + 2]
            if left >= size and sealed(buffer[at : at + size]):
                self._expected.remove(expected)
                return ReadReply(buffer[at], buffer[at + 3 : at + size - 2]), size
            waits = left < size
        if left < _ANSWER_SIZE:
            return None, _WAIT
        address, _, register, words = struct.unpack_from(">BBHH", buffer, at)
        if (
            register in _READABLE
            and 1 <= words <= _MAX_READ_WORDS
            and sealed(buffer[at : at + _ANSWER_SIZE])
        ):
            request = ReadRequest(address, register, words)
            self.expect_read(request)
            return request, _ANSWER_SIZE
        return None, _WAIT if waits else _NOTHING

    def _exception_at(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        if len(buffer) - at < _EXCEPTION_SIZE:
            return None, _WAIT
        if buffer[at + 2] not in _CODES:
            return None, _NOTHING
        if not sealed(buffer[at : at + _EXCEPTION_SIZE]):
            return None, _NOTHING
        function = buffer[at + 1] & ~ERROR
        return ExceptionReply(buffer[at], function, buffer[at + 2]), _EXCEPTION_SIZE


def _frame_at(buffer: bytes, at: int, *, final: bool) -> tuple[Item | None, int]:
    head = buffer[at : at + len(MAGIC)]
    if not MAGIC.startswith(head):
        return None, _NOTHING
    if len(buffer) - at <= len(MAGIC):
        return None, _WAIT
    if buffer[at + len(MAGIC)] not in FRAME_TYPES:
        return None, _NOTHING
    if len(buffer) - at < FRAME_SIZE:
        return None, _WAIT
    frame = buffer[at : at + FRAME_SIZE]
    if sum8(frame) != frame[-1]:
        return None, _NOTHING
    match _is_torn(buffer, at):
        case True:
            return None, _NOTHING
        case None if not final:
            return None, _WAIT
        case _:
            return Frame(frame), FRAME_SIZE


def _is_torn(buffer: bytes, at: int) -> bool | None:
    """Tell whether something else begins inside: then the sum fits by chance.

    One in 256 frames that lost their end passes the sum with what follows them; the
    request, ACK or frame that followed is then found inside. None: what may begin
    there is not complete yet.
    """
    end = at + FRAME_SIZE
    if buffer.find(MAGIC, at + 1, end) > 0:
        return True
    complete = True
    for head in _WRITE_HEAD.finditer(buffer, at + len(MAGIC), end + 2):
        start = head.start()
        if start >= end:
            break
        for size in (_ANSWER_SIZE, _TRIGGER_SIZE):
            if len(buffer) - start < size:
                complete = False
            elif sealed(buffer[start : start + size]):
                return True
    return False if complete else None
