"""Whose frame is it: only what stands around a frame tells (rs485.md 4.4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .datum import Block
from .frames import TYPE_OF_TRIGGER, Ack, Discarded, Frame, Item, WriteRequest

MAX_STRAY: int = 16
"""Adapters put up to this many bytes between a frame and its ACK (rs485.md 3.2)."""
MASTER: int = 0


@dataclass(frozen=True, slots=True)
class Attributed:
    """A frame with the address of its sender; None where it cannot be known."""

    frame: Frame
    address: int | None
    acknowledged: bool = False
    """Whether the sender's own ACK, and not the order of the line, tells so."""


type Heard = Attributed | Item


class Attributor:
    """Names the sender of each frame; everything else passes in its order.

    A frame is held until what follows tells whose it is.
    """

    def __init__(self) -> None:
        """Start where nothing was heard yet."""
        self._frame: Frame | None = None
        self._behind: list[Item] = []
        self._request: WriteRequest | None = None
        self._answered = False
        """Whether an ACK was heard since the last request."""

    def feed(self, items: Iterable[Item]) -> Iterator[Heard]:
        """Yield what is decided with these items."""
        for item in items:
            yield from self._take(item)

    def flush(self) -> Iterator[Heard]:
        """Yield what is still held, as nothing more will follow."""
        yield from self._release(None)

    def _take(self, item: Item) -> Iterator[Heard]:
        match item:
            case Frame():
                yield from self._release(None)
                self._frame = item
            case Ack():
                yield from self._release(item)
                self._answered = True
                self._request = None
                yield item
            case WriteRequest():
                yield from self._release(None)
                self._request = item
                self._answered = False
                yield item
            case Discarded() if self._frame is not None and item.count <= MAX_STRAY:
                self._behind.append(item)
            case _:
                yield from self._release(None)
                yield item

    def _release(self, ack: Ack | None) -> Iterator[Heard]:
        frame = self._frame
        if frame is None:
            return
        yield self._attribute(frame, ack)
        yield from self._behind
        self._behind.clear()
        self._frame = None
        self._request = None

    def _attribute(self, frame: Frame, ack: Ack | None) -> Attributed:
        if ack is not None:
            fits = TYPE_OF_TRIGGER.get(ack.register) == frame.type
            fits = fits and self._was_asked(frame, ack.address)
            return Attributed(frame, ack.address if fits else None, fits)
        address: int | None = None
        if self._request is not None:
            if TYPE_OF_TRIGGER.get(self._request.register) == frame.type:
                address = self._request.address
        elif self._answered:
            # Nobody asked since the last answer: only a master speaks unasked.
            address = MASTER
        if frame.type == Block.SETTINGS.frame_type and _address_in(frame) != address:
            address = None
        return Attributed(frame, address)

    def _was_asked(self, frame: Frame, address: int) -> bool:
        """Tell whether who acknowledges may be who spoke.

        A slave speaks when it is asked, a master also behind a request that nobody has
        answered: its settings say then that they are its own.
        """
        if self._request is None or self._request.address == address:
            return True
        if address != MASTER:
            return False
        return frame.type != Block.SETTINGS.frame_type or _address_in(frame) == MASTER


def _address_in(frame: Frame) -> int:
    """Return the address that settings name; a setting, but normally the DIP's."""
    return int.from_bytes(frame.data[270:274], "little")
