"""What crossed a Bluetooth connection, message by message, without what is private in it."""

from collections.abc import Iterator
from typing import Final

from ..frames import Frame
from ..layout import Layout, recognise
from ..masking import Message, Piece, is_disguised, masked_frame, masked_run
from .frames import Order
from .stream import Framer, Idle, Item

_FLUSH_AFTER: Final = 2.0
"""Seconds of silence after which the rest of a message will not come (ble.md 3)."""


class BleMasker:
    """Turns the notifications of a connection into messages that may be shown."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._framer = Framer()
        self._last = float("-inf")

    def feed(self, piece: Piece) -> Iterator[Message]:
        """Yield what is complete with this piece."""
        late = piece.time - self._last > _FLUSH_AFTER
        if piece.opened or (self._framer.incomplete and late):
            yield from self.flush()
        if piece.sent:
            # What is sent holds no secret: only settings and questions can leave.
            yield Message(piece.time, True, piece.data)
        elif piece.data:
            self._last = piece.time
            yield from self._shown(self._framer.feed(piece.data))

    def flush(self) -> Iterator[Message]:
        """Yield what is still held, as nothing more will follow."""
        yield from self._shown(self._framer.flush())

    def _shown(self, items: list[Item]) -> Iterator[Message]:
        for item in items:
            match item:
                case Frame(data) if _is_safe(item):
                    yield Message(self._last, False, masked_frame(data), frame=True)
                case Order() if item.ready:
                    yield Message(self._last, False, item.encode())
                case Order():
                    yield Message(self._last, False, masked_run(item.encode()))
                case Idle(data):
                    yield Message(self._last, False, data)
                case _:
                    run = masked_run(item.data)
                    yield Message(self._last, False, run, damaged=True)


def _is_safe(frame: Frame) -> bool:
    """Tell whether it is what it says: the numbers of JK04 may look like text."""
    return not is_disguised(frame) or recognise(frame.data) is Layout.JK04
