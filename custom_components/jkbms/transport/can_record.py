"""Records of 13 bytes, the way gateways pass CAN frames over TCP (can.md 3.3)."""

from struct import Struct
from typing import Final

from ..protocol.can.message import CanMessage

SIZE: Final = 13
_RECORD: Final = Struct(">BI8s")
_EXTENDED: Final = 0x80
_REMOTE: Final = 0x40
_RESERVED: Final = 0x30
_LENGTH: Final = 0x0F
_PROOF: Final = 5
"""Records in a row by which the beginning of one is found again."""
_REACH: Final = 2 * SIZE
"""Bytes among which it is: a damaged record may have been noticed by the one before it."""


class RecordFramer:
    """Cuts a stream into records; nothing in it marks where one begins.

    A connection begins with a record. Where a head cannot be one, bytes were lost: the
    place to go on is the one where the most records in a row make sense.
    """

    def __init__(self) -> None:
        """Start at the beginning of a record."""
        self._buffer = bytearray()
        self._lost = False
        self.skipped = 0
        """Bytes that belong to no record."""
        self.remote = 0
        """Remote frames; nobody answers them here."""

    def feed(self, data: bytes) -> list[CanMessage]:
        """Take bytes and return the frames that they complete."""
        self._buffer += data
        messages: list[CanMessage] = []
        at = 0
        while len(self._buffer) - at >= SIZE:
            if self._lost:
                if len(self._buffer) - at < _REACH + SIZE * _PROOF:
                    break
                at = self._resume(at)
            elif not _believable(self._buffer, at) or not self._followed(at):
                self._lost = True
            else:
                self._take(at, messages)
                at += SIZE
        del self._buffer[:at]
        return messages

    def _take(self, at: int, messages: list[CanMessage]) -> None:
        head, number, data = _RECORD.unpack_from(self._buffer, at)
        if head & _REMOTE:
            self.remote += 1
            return
        messages.append(
            CanMessage(number, data[: head & _LENGTH], bool(head & _EXTENDED))
        )

    def _followed(self, at: int) -> bool:
        """Tell whether the next record, as far as it is there, may be one.

        A record that lost a byte ends with the first byte of the next one.
        """
        after = at + SIZE
        return len(self._buffer) - after < SIZE or _believable(self._buffer, after)

    def _resume(self, at: int) -> int:
        """Return where records begin again, or the first place that is not ruled out.

        Zeros look like records without data: where several places would do, the one
        with the most data in its records is right.
        """
        lengths = {
            start: _length(self._buffer, start, _PROOF)
            for start in range(at, at + _REACH)
        }
        best = max(lengths, key=lambda start: (lengths[start], -start))
        if lengths[best] > 0:
            self._lost = False
        else:
            best = at + SIZE
        self.skipped += best - at
        return best


def _believable(buffer: bytearray, at: int) -> bool:
    """Tell whether a record may begin here.

    Among zeros everything looks like a record without data: such a one has none at all.
    """
    head, number, data = _RECORD.unpack_from(buffer, at)
    length = head & _LENGTH
    return (
        not head & _RESERVED
        and length <= 8
        and number <= (0x1FFFFFFF if head & _EXTENDED else 0x7FF)
        and (length > 0 or not any(data))
    )


def _length(buffer: bytearray, start: int, count: int) -> int:
    """Return how much data so many records hold from here on; 0 if they are none."""
    places = range(start, start + SIZE * count, SIZE)
    if not all(_believable(buffer, at) for at in places):
        return 0
    return sum(buffer[at] & _LENGTH for at in places)


def encode(message: CanMessage) -> bytes:
    """Return the record of a frame."""
    head = len(message.data) | (_EXTENDED if message.extended else 0)
    return _RECORD.pack(head, message.id, message.data)
