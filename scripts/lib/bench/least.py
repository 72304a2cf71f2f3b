"""The least that a framer does which tells requests, ACKs, frames and what is none of them.

It knows no reads and no refusals, keeps no state of the line, and has no end of silence:
what is left of the product's framer is what these cost.
"""

import re
from typing import Final

from custom_components.jkbms.protocol.fields import MAX_ADDRESS
from custom_components.jkbms.protocol.frames import (
    FRAME_SIZE,
    MAGIC,
    WRITE,
    Discarded,
    Frame,
    sealed,
    sum8,
)
from custom_components.jkbms.protocol.stream import _is_torn

_WRITE: Final = re.compile(rb"[\x00-\x0f]\x10[\x10-\x16]")
_KEY: Final = 8
_SIZES: Final = (11, 8)
"""Of a trigger and of an ACK."""


class Least:
    """Goes from head to head, and looks at what lies between."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._buffer = b""
        self._known: dict[bytes, bytes] = {}

    def feed(self, piece: bytes) -> list[bytes | Frame | Discarded]:
        """Return what is complete with this piece; requests and ACKs as their bytes."""
        buffer = self._buffer = self._buffer + piece
        if len(buffer) < FRAME_SIZE and buffer.startswith(MAGIC):
            return []
        told: list[bytes | Frame | Discarded] = []
        position = 0
        while True:
            head = buffer.find(MAGIC, position)
            position = self._between(buffer, position, head, told)
            if head < 0 or head + FRAME_SIZE > len(buffer):
                self._buffer = buffer[position:]
                return told
            frame = buffer[head : head + FRAME_SIZE]
            end = head + FRAME_SIZE
            if sum8(frame) == frame[-1] and not (
                frame.rfind(MAGIC) > 0
                or (
                    (WRITE in frame or frame[-1] <= MAX_ADDRESS)
                    and _is_torn(buffer, head + len(MAGIC), end)
                )
            ):
                told.append(Frame(frame))
                position = end
            else:
                told.append(Discarded(1))
                position = head + 1

    def _between(
        self,
        buffer: bytes,
        position: int,
        head: int,
        told: list[bytes | Frame | Discarded],
    ) -> int:
        """Tell what lies before the next head; return where what is open begins."""
        end = head if head >= 0 else len(buffer)
        junk = 0
        while position < end:
            known = self._known.get(buffer[position : position + _KEY])
            if known is not None:
                if junk:
                    told.append(Discarded(junk))
                    junk = 0
                told.append(known)
                position += len(known)
                continue
            found = _WRITE.search(buffer, position, end)
            if head < 0 and end - (found.start() if found else position) < _SIZES[0]:
                break
            if found is None:
                junk += end - position
                position = end
                break
            junk += found.start() - position
            position = found.start()
            for size in _SIZES:
                message = buffer[position : position + size]
                if len(message) == size and sealed(message):
                    self._known[message[:_KEY]] = message
                    break
            else:
                junk += 1
                position += 1
        if junk:
            told.append(Discarded(junk))
        return position
