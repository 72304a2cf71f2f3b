"""The last of what crossed a line, with its times; whoever records listens here too."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ..protocol.ble.masking import BleMasker
from ..protocol.can.masking import masked
from ..protocol.can.message import CanMessage
from ..protocol.masking import Masker, Piece
from ..protocol.recording import written, written_can
from ..protocol.ttl.masking import TtlMasker
from .connections import Connections
from .link import LinkFault

FRAMES: Final = 64
_MOST_BYTES: Final = FRAMES * 319
"""So many frames with the request before and the ACK behind each of them."""
_MOST_PIECES: Final = 4 * FRAMES
_MOST_MESSAGES: Final = 16 * FRAMES
_TOGETHER: Final = 0.03
"""Seconds; bytes that follow each other so closely are kept as one piece."""


class Tape[R, PieceT](ABC):
    """What a session tells of its line; R is what the line hands over."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.connections = Connections()
        self.heard_bytes = 0
        self.sent_bytes = 0
        self.last_heard: float | None = None
        self.listener: Callable[[PieceT], None] | None = None
        """Who records, piece by piece."""

    def opened(self, now: float) -> None:
        """Take note that the line was opened."""
        self.connections.opened(now)

    def down(self, fault: LinkFault, now: float) -> None:
        """Take note that the line has ended, or did not open."""
        self.connections.down(fault, now)

    @abstractmethod
    def heard(self, data: R, now: float) -> None:
        """Keep what was heard."""

    @abstractmethod
    def sent(self, data: bytes, now: float) -> None:
        """Keep what was sent."""

    @abstractmethod
    def lines(self, offset: float) -> list[str]:
        """Return it as text without anything private; `offset` makes wall-clock time of times."""


class ByteTape(Tape[bytes, Piece]):
    """The last of the bytes of a line, in both directions."""

    def __init__(
        self,
        masker: type[Masker | TtlMasker | BleMasker] = Masker,
        *,
        together: float = _TOGETHER,
    ) -> None:
        """Start with nothing heard; the masker knows what is private on the line."""
        super().__init__()
        self.masker: Final = masker
        self._together: Final = together
        self._pieces: deque[Piece] = deque()
        self._size = 0

    def opened(self, now: float) -> None:
        """Take note that the line was opened."""
        super().opened(now)
        self._keep(Piece(now, False, b"", opened=True))

    def heard(self, data: bytes, now: float) -> None:
        """Keep what was heard."""
        self.heard_bytes += len(data)
        self.last_heard = now
        self._keep(Piece(now, False, data))

    def sent(self, data: bytes, now: float) -> None:
        """Keep what was sent."""
        self.sent_bytes += len(data)
        self._keep(Piece(now, True, data))

    def raw(self) -> bytes:
        """Return what was heard lately; never to be shown."""
        return b"".join(piece.data for piece in self._pieces if not piece.sent)

    def pieces(self) -> tuple[Piece, ...]:
        """Return what is kept; never to be shown as it is."""
        return tuple(self._pieces)

    def lines(self, offset: float) -> list[str]:
        """Return it as text without anything private."""
        masker = self.masker()
        messages = [m for piece in self._pieces for m in masker.feed(piece)]
        return [written(m, offset) for m in (*messages, *masker.flush())]

    def _keep(self, piece: Piece) -> None:
        if self.listener is not None:
            self.listener(piece)
        pieces = self._pieces
        if pieces and _belong_together(pieces[-1], piece, self._together):
            # Adapters hand over a byte at a time, and a piece is larger than a byte.
            last = pieces.pop()
            data = last.data + piece.data
            pieces.append(Piece(last.time, last.sent, data, opened=last.opened))
        else:
            pieces.append(piece)
        self._size += len(piece.data)
        while self._size > _MOST_BYTES or len(pieces) > _MOST_PIECES:
            self._size -= len(pieces.popleft().data)


def _belong_together(last: Piece, piece: Piece, within: float) -> bool:
    return (
        last.sent is piece.sent and not piece.opened and piece.time - last.time < within
    )


type CanPiece = tuple[float, Sequence[CanMessage]]


class CanTape(Tape[list[CanMessage], CanPiece]):
    """The last of the messages of a CAN bus."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        super().__init__()
        self.messages = 0
        self._batches: deque[CanPiece] = deque()
        self._size = 0

    def heard(self, data: list[CanMessage], now: float) -> None:
        """Keep what was heard."""
        self.messages += len(data)
        self.last_heard = now
        piece = (now, data)
        if self.listener is not None:
            self.listener(piece)
        self._batches.append(piece)
        self._size += len(data)
        while self._size > _MOST_MESSAGES and len(self._batches) > 1:
            self._size -= len(self._batches.popleft()[1])

    def sent(self, data: bytes, now: float) -> None:
        """Nothing: who listens on CAN has nothing to send."""

    def lines(self, offset: float) -> list[str]:
        """Return it as text without anything private."""
        return [
            written_can(masked(message), time + offset)
            for time, batch in self._batches
            for message in batch
        ]
