"""One CAN frame: what decides who sends first, and how long it takes."""

from dataclasses import dataclass
from typing import Final

_STANDARD_BITS: Final = 47
_EXTENDED_BITS: Final = 67
_ERROR_BITS: Final = 20

STANDARD_MOST: Final = 0x7FF
EXTENDED_MOST: Final = 0x1FFFFFFF

BUS_ERROR: Final = 0x088
"""SocketCAN's error classes "protocol violation" and "bus error", the id of every error frame here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A frame with up to 8 bytes; a remote one has a length and no bytes, an error frame is none at all."""

    id: int
    data: bytes = b""
    extended: bool = False
    remote: bool = False
    length: int = 0
    """Length that a remote frame asks for; other frames have their bytes."""
    error: bool = False

    @property
    def code(self) -> int:
        """The data length code."""
        return self.length if self.remote else len(self.data)

    @property
    def priority(self) -> int:
        """Sorts as arbitration does: a low number wins, and of equal first 11 bits the short id."""
        if self.error:
            return -1
        if self.extended:
            return (self.id >> 18) << 19 | 1 << 18 | self.id & 0x3FFFF
        return self.id << 19

    @property
    def bits(self) -> int:
        """Bits on the wire with the pause after it; stuff bits, which depend on the content, are left out."""
        if self.error:
            return _ERROR_BITS
        head = _EXTENDED_BITS if self.extended else _STANDARD_BITS
        return head + 8 * len(self.data)


def frame_of(can_id: int, data: bytes, *, extended: bool | None = None) -> Frame:
    """A data frame; an id that needs 29 bits is extended without being told so."""
    if extended is None:
        extended = can_id > STANDARD_MOST
    return Frame(id=can_id, data=data, extended=extended)


ERROR: Final = Frame(id=BUS_ERROR, error=True)
