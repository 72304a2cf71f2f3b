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
    WRITE,
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
_MAGIC_BYTE: Final = MAGIC[0]
_HEADS: Final = tuple(MAGIC + bytes((number,)) for number in sorted(FRAME_TYPES))
_HEAD_SIZE: Final = len(MAGIC) + 1
_ANSWER_SIZE: Final = 8
_TRIGGER_SIZE: Final = 11
_EXCEPTION_SIZE: Final = 5

_STRAY: Final = 16
"""Bytes that good adapters add at most (rs485.md 3.2); more of them were a message."""
_NOISE_LASTS: Final = 64
"""Frames that must come whole after a damaged message until a line counts as good."""
_NOISE_MOST: Final = 4 * _NOISE_LASTS

_FIRST: Final = frozenset(b"\x55" + bytes(range(MAX_ADDRESS + 1)))
_CANDIDATE: Final = re.compile(
    rb"[\x03\x10\x83\x90\xaa](?<=[\x00-\x0f\x55].)", re.DOTALL
)
"""The second byte of what may be an item; most bytes of a frame could be the first."""
_WRITE: Final = re.compile(rb"\x10[\x10-\x16]")
"""What follows the address in a request or an ACK; half the bytes of a frame could be one."""
_WRITE_CUT: Final = re.compile(rb"[\x00-\x0f]\x10?\Z")
_MESSAGES_KEPT: Final = 256

_WAIT: Final = 0
"""Any more bytes may tell."""
_NOTHING: Final = -1
"""Nothing begins here."""


class Framer:
    """Turns chunks of bytes into items, in the order of the line."""

    def __init__(self) -> None:
        """Start with an empty buffer."""
        self._buffer = b""
        self._needed = 0
        """How long the buffer has to be for more to be told."""
        self._discarded = 0
        self._expected: deque[tuple[int, int]] = deque(maxlen=_READS_REMEMBERED)
        self._known: dict[bytes, tuple[Item, int, bytes]] = {}
        """Messages that were checked, their sizes and bytes, by how they begin."""
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
        self._buffer = b""
        self._needed = 0
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
        buffer = self._buffer = self._buffer + data
        # A frame comes in many pieces: until it is whole there is nothing to look for.
        return [] if len(buffer) < self._needed else self._scan(final=False)

    def flush(self) -> list[Item]:
        """Return what the held back bytes contain, as nothing more will follow."""
        items = self._scan(final=True)
        if self._discarded:
            self._close_run(self._discarded, items)
            self._discarded = 0
        return items

    def _scan(self, *, final: bool) -> list[Item]:
        buffer, known = self._buffer, self._known
        items: list[Item] = []
        discarded = self._discarded
        position = self._needed = 0
        end = len(buffer)
        while position < end:
            first = buffer[position]
            if first == _MAGIC_BYTE:
                item, size = _frame_at(buffer, position, final=final)
            elif first > MAX_ADDRESS:
                item, size = None, _NOTHING
            else:
                message = known.get(buffer[position : position + _ANSWER_SIZE])
                if message is not None and buffer.startswith(message[2], position):
                    item, size, _ = message
                else:
                    item, size = self._item_at(buffer, position)
            if item is not None:
                if discarded:
                    self._close_run(discarded, items)
                    discarded = 0
                if self._noise and size == FRAME_SIZE:
                    self._noise -= 1
                items.append(item)
                position += size
            elif size == _NOTHING or final:
                begun = position
                # A magic or an address byte: what could begin an item.
                if found := _CANDIDATE.search(buffer, begun + 2):
                    position = found.start() - 1
                else:
                    position = end - (begun < end - 1 and buffer[-1] in _FIRST)
                discarded += position - begun
            else:
                self._needed = size
                break
        self._synchronous = self._synchronous or bool(items)
        self._discarded = discarded
        self._buffer = buffer[position:]
        return items

    def _close_run(self, count: int, items: list[Item]) -> None:
        """Tell that so many bytes belonged to nothing, after these items."""
        if count > _STRAY and (items or self._synchronous):
            self._noise = min(_NOISE_MOST, self._noise + _NOISE_LASTS)
        items.append(Discarded(count))

    def _item_at(self, buffer: bytes, at: int) -> tuple[Item | None, int]:
        """Return the item that begins with an address here and its size, else why not.

        That is `_NOTHING`, or how many bytes it takes at least to tell more.
        """
        if len(buffer) - at < 2:
            return None, _WAIT
        match buffer[at + 1]:
            case 0x10:
                return self._known_from_now(buffer, at, *_write_at(buffer, at))
            case 0x03:
                return self._read_at(buffer, at)
            case 0x83 | 0x90:
                return self._exception_at(buffer, at)
            case _:
                return None, _NOTHING

    def _known_from_now(
        self, buffer: bytes, at: int, item: Item | None, size: int
    ) -> tuple[Item | None, int]:
        """Remember a trigger or an ACK: 16 packs have a hundred, said over and over."""
        if (isinstance(item, WriteRequest) and size == _TRIGGER_SIZE) or (
            # The ACK of a write may be the beginning of a write, too.
            isinstance(item, Ack) and buffer[at + 6] != 2 * item.words
        ):
            if len(self._known) >= _MESSAGES_KEPT:
                self._known.clear()
            message = buffer[at : at + size]
            self._known[message[:_ANSWER_SIZE]] = item, size, message
        return item, size

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


def _write_at(buffer: bytes, at: int) -> tuple[Item | None, int]:
    """Read an ACK or a write request; both begin with the same six bytes."""
    left = len(buffer) - at
    if left < 6:
        return None, 6
    register, words = struct.unpack_from(">HH", buffer, at + 2)
    if register not in _REGISTERS or not 1 <= words <= _MAX_WRITE_BYTES // 2:
        return None, _NOTHING
    if left < _ANSWER_SIZE:
        return None, _ANSWER_SIZE
    size = 9 + 2 * words
    request_possible = buffer[at + 6] == 2 * words
    if request_possible and left >= size and sealed(buffer[at : at + size]):
        data = buffer[at + 7 : at + size - 2]
        return WriteRequest(buffer[at], register, data), size
    if sealed(buffer[at : at + _ANSWER_SIZE]):
        return Ack(buffer[at], register, words), _ANSWER_SIZE
    if request_possible and left < size:
        return None, size
    return None, _NOTHING


def _frame_at(buffer: bytes, at: int, *, final: bool) -> tuple[Item | None, int]:
    end = at + FRAME_SIZE
    if not buffer.startswith(_HEADS, at):
        cut = MAGIC.startswith(buffer[at : at + _HEAD_SIZE])
        return None, _WAIT if cut else _NOTHING
    if len(buffer) < end:
        return None, FRAME_SIZE
    frame = buffer[at:end]
    if sum8(frame) != frame[-1] or frame.rfind(MAGIC) > 0:
        return None, _NOTHING
    # Most live frames have no byte with which a message in them could begin.
    if WRITE in frame or frame[-1] <= MAX_ADDRESS:
        torn = _is_torn(buffer, at + _HEAD_SIZE, end)
        if torn or (torn is None and not final):
            return None, _NOTHING if torn else _WAIT
    return Frame(frame), FRAME_SIZE


def _is_torn(buffer: bytes, start: int, end: int) -> bool | None:
    """Tell whether a message begins between: then the sum of the frame fits by chance.

    One in 256 frames that lost their end passes the sum with what follows them; the
    request or ACK that followed is then found inside, as another frame would be.
    None: what may begin there is not complete yet.
    """
    complete = len(buffer) >= end + 2 or not _is_cut(buffer, end)
    function = _WRITE.search(buffer, start, end + 2)
    while function:
        address = function.start() - 1
        if buffer[address] <= MAX_ADDRESS:
            for size in (_ANSWER_SIZE, _TRIGGER_SIZE):
                if len(buffer) - address < size:
                    complete = False
                elif sealed(buffer[address : address + size]):
                    return True
        function = _WRITE.search(buffer, function.end(), end + 2)
    return False if complete else None


def _is_cut(buffer: bytes, end: int) -> bool:
    """Tell whether the buffer ends with what may begin a request in a frame that ends there."""
    cut = _WRITE_CUT.search(buffer, end - 2)
    return cut is not None and cut.start() < end
