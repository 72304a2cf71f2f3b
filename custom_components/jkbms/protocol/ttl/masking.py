"""What crossed a line of `4E 57`, message by message, without what is private in it."""

from collections.abc import Iterator
from typing import Final

from ..masking import Message as Shown, Piece, masked_run
from .frames import Command, Message
from .stream import Framer
from .table import CELLS, ITEMS, PRIVATE

_FLUSH_AFTER: Final = 1.0
"""Seconds of silence after which the rest of a message will not come."""


def masked_content(message: Message) -> bytes:
    """Return the content with zeros in place of passwords and names.

    Behind an id that nobody knows nothing can be told apart: all of it goes.
    """
    content = bytearray(message.content)
    if message.command == Command.PASSWORD:
        return bytes(len(content))
    at = 0
    while at < len(content):
        code = content[at]
        if code == CELLS and at + 1 < len(content):
            at += 2 + content[at + 1]
            continue
        item = ITEMS.get(code)
        end = len(content) if item is None else at + 1 + item.codec.size
        if item is None or code in PRIVATE:
            content[at + 1 : end] = bytes(len(content[at + 1 : end]))
        at = end
    return bytes(content)


class TtlMasker:
    """Turns the pieces of a line into messages that may be shown."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._framer = Framer()
        self._held = bytearray()
        """What the framer has not decided on."""
        self._last = float("-inf")

    def feed(self, piece: Piece) -> Iterator[Shown]:
        """Yield what is complete with this piece."""
        if piece.opened or (self._held and piece.time - self._last > _FLUSH_AFTER):
            yield from self.flush()
        if piece.sent:
            framer, held = Framer(), bytearray(piece.data)
            items = [*framer.split(piece.data), *framer.split(final=True)]
            yield from _shown(items, held, piece.time, sent=True)
        elif piece.data:
            self._last = piece.time
            self._held += piece.data
            items = self._framer.split(piece.data)
            yield from _shown(items, self._held, piece.time, sent=False)

    def flush(self) -> Iterator[Shown]:
        """Yield what is still held, as nothing more will follow."""
        items = self._framer.split(final=True)
        yield from _shown(items, self._held, self._last, sent=False)


def _shown(
    items: list[Message | int], held: bytearray, time: float, *, sent: bool
) -> Iterator[Shown]:
    """Yield what the items are, taking their bytes from those held."""
    for item in items:
        if isinstance(item, int):
            raw = bytes(held[:item])
            del held[:item]
            yield Shown(time, sent, masked_run(raw), damaged=True)
            continue
        del held[: len(item.encode())]
        masked = Message(
            item.terminal,
            item.command,
            item.source,
            item.transport,
            masked_content(item),
        )
        yield Shown(time, sent, masked.encode(), frame=not sent)
