"""Cuts notifications into frames and orders; what stands between them is noise or lost.

Notifications may hold less than a frame, a frame with the word of having taken an order
glued to it, or the end of one frame and the beginning of the next (ble.md 2, 3).
"""

from collections.abc import Iterator
from dataclasses import dataclass
import re
from typing import Final

from ..frames import FRAME_SIZE, FRAME_TYPES, MAGIC, Frame, sum8
from .frames import IDLE, ORDER_MAGIC, ORDER_SIZE, Order

_HEAD: Final = re.compile(re.escape(MAGIC) + rb"|" + re.escape(ORDER_MAGIC))
_ONLY_IDLE: Final = re.compile(rb"(?:" + re.escape(IDLE) + rb")+")
_BEGINNINGS: Final = tuple(
    whole[:size] for size in (3, 2, 1) for whole in (MAGIC, ORDER_MAGIC, IDLE)
)
"""The longest first."""
_NOISY_FOR: Final = 20_000
"""Bytes for which a connection counts as noisy after a loss: some seventy frames."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Text of the radio module that tells nothing."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """Bytes that belong to nothing: a notification before or behind them is missing."""

    data: bytes


type Item = Frame | Order | Idle | Lost


class Framer:
    """Takes notifications as they come and returns what is whole."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._held = bytearray()
        self.discarded = 0
        """Bytes that were no part of anything."""
        self.idle = 0
        """How often the radio module said its text."""
        self._synchronous = False
        """Whether something was found since the connection was made."""
        self._sound = _NOISY_FOR

    @property
    def incomplete(self) -> bool:
        """Whether the rest of something is awaited."""
        return bool(self._held)

    @property
    def noisy(self) -> bool:
        """Whether notifications were lost lately: a frame may be put together wrongly."""
        return self._sound < _NOISY_FOR

    def feed(self, data: bytes) -> list[Item]:
        """Take a notification and return what it completes, in order."""
        if _ONLY_IDLE.fullmatch(data):
            # Also in the middle of a frame: it comes when the module likes.
            self.idle += len(data) // len(IDLE)
            return [Idle(data)]
        self._held += data
        return _merged(self._cut(final=False))

    def flush(self) -> list[Item]:
        """Return what is whole in what is held, as its rest will not come."""
        return _merged(self._cut(final=True))

    def clear(self) -> None:
        """Forget what is held: it belongs to another connection."""
        self.discarded += len(self._held)
        self._held.clear()
        self._synchronous = False

    def _cut(self, *, final: bool) -> Iterator[Item]:
        held = self._held
        while held:
            found = _HEAD.search(held)
            if found is None:
                kept = 0 if final else _beginning(held)
                yield from self._skip(len(held) - kept)
                return
            yield from self._skip(found.start())
            size = ORDER_SIZE if held.startswith(ORDER_MAGIC) else FRAME_SIZE
            if len(held) < size and not final:
                return
            item = _whole(bytes(held[:size]), size)
            if item is None:
                yield from self._skip(1)
                continue
            del held[:size]
            self._synchronous = True
            self._sound += size
            yield item

    def _skip(self, count: int) -> Iterator[Item]:
        """Take bytes away that begin nothing, telling the module's text apart."""
        skipped = bytes(self._held[:count])
        del self._held[:count]
        while skipped:
            before, text, skipped = skipped.partition(IDLE)
            if before:
                self.discarded += len(before)
                if self._synchronous:
                    self._sound = 0
                yield Lost(before)
            if text:
                self.idle += 1
                yield Idle(text)


def _merged(items: Iterator[Item]) -> list[Item]:
    """Return the items with one run for what was lost in a row."""
    merged: list[Item] = []
    for item in items:
        if isinstance(item, Lost) and merged and isinstance(merged[-1], Lost):
            merged[-1] = Lost(merged[-1].data + item.data)
        else:
            merged.append(item)
    return merged


def _beginning(data: bytearray) -> int:
    """Return how many of the last bytes may be the beginning of something."""
    return next((len(b) for b in _BEGINNINGS if data.endswith(b)), 0)


def _whole(data: bytes, size: int) -> Frame | Order | None:
    if len(data) < size:
        return None
    if size == ORDER_SIZE:
        return Order.parse(data)
    if data[4] not in FRAME_TYPES or sum8(data) != data[-1]:
        return None
    # One in 256 frames that have lost a piece passes the sum with what follows them.
    return None if _HEAD.search(data, 1) else Frame(data)
