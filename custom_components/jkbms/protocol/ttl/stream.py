"""Cuts the bytes of a line into frames of `4E 57`; what fits nothing is discarded."""

from collections.abc import Iterator
from typing import Final

from .frames import LENGTH_MAX, LENGTH_MIN, MAGIC, Message, is_whole

_LENGTH_END: Final = 4
_NOISY_FOR: Final = 20_000
"""Bytes for which a line counts as noisy after damage: some seventy answers."""


class Framer:
    """Takes bytes in any pieces and returns what is whole."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._held = bytearray()
        self.discarded = 0
        """Bytes that were no part of a frame."""
        self._sound = _NOISY_FOR
        """Bytes of whole frames since the last that were discarded."""

    @property
    def incomplete(self) -> bool:
        """Whether the rest of something is awaited."""
        return bool(self._held)

    @property
    def noisy(self) -> bool:
        """Whether bytes were discarded lately."""
        return self._sound < _NOISY_FOR

    def feed(self, data: bytes) -> list[Message]:
        """Take in bytes and return the frames that they complete."""
        return [item for item in self.split(data) if isinstance(item, Message)]

    def flush(self) -> list[Message]:
        """Return what is whole in what is held, as its rest will not come."""
        return [item for item in self.split(final=True) if isinstance(item, Message)]

    def split(self, data: bytes = b"", *, final: bool = False) -> list[Message | int]:
        """Take in bytes; return frames, and how many bytes lie between them, in order."""
        self._held += data
        items: list[Message | int] = []
        for item in self._cut(final=final):
            if isinstance(item, int) and items and isinstance(items[-1], int):
                items[-1] += item
            else:
                items.append(item)
        return items

    def clear(self) -> None:
        """Forget what is held: it belongs to another connection."""
        self.discarded += len(self._held)
        self._held.clear()

    def _cut(self, *, final: bool) -> Iterator[Message | int]:
        held = self._held
        while held:
            at = held.find(MAGIC)
            if at < 0:
                # The last byte may be the first half of a head.
                kept = not final and held[-1] == MAGIC[0]
                yield from self._discard(len(held) - kept)
                return
            yield from self._discard(at)
            wanted = self._wanted()
            if len(held) < wanted and not final:
                return
            frame = bytes(held[:wanted])
            if wanted and len(frame) == wanted and is_whole(frame):
                self._sound += wanted
                del held[:wanted]
                yield Message.parse(frame)
            else:
                # What follows a false head may be the real one.
                yield from self._discard(len(MAGIC))

    def _wanted(self) -> int:
        """Return how many bytes the frame that begins here has; 0 where it is none.

        Until that can be told it is what tells it.
        """
        if len(self._held) < _LENGTH_END:
            return _LENGTH_END
        length = int.from_bytes(self._held[2:_LENGTH_END], "big")
        return length + 2 if LENGTH_MIN <= length <= LENGTH_MAX else 0

    def _discard(self, count: int) -> Iterator[int]:
        if count:
            del self._held[:count]
            self.discarded += count
            self._sound = 0
            yield count
