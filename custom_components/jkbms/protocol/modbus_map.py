"""Blocks read register by register, for lines on which a trigger has no answer (rs485.md 2).

A gateway that converts Modbus TCP loses the frames behind triggers; FC03 brings the same
bytes, big endian. What was read is put in the order that frames have, so that nothing
behind it has to know how it came.
"""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field as dataclass_field
from functools import cache
import struct
from typing import Any, Final

from .datum import Block, Field, Role
from .fields import FIELDS_OF
from .frames import FRAME_SIZE, MAGIC, ExceptionCode, Frame, ReadRequest, build_frame
from .layout import FRAME_HEAD, Layout, place, recognise
from .line import Answered, Refused, Unanswered

MOST_WORDS: Final = 120
"""Registers that every BMS answers at once; some answer 123 (rs485.md 2.3)."""
_BLOCK_SIZE: Final = FRAME_SIZE - FRAME_HEAD - 1
BLOCK_WORDS: Final = (_BLOCK_SIZE + 1) // 2
_NUMBER: Final = 2
"""Registers of a number; with fewer at once its halves would be of two moments."""
_LEAST: Final = {
    # Up to the switches, and up to the bytes that tell the layout.
    Block.LIVE: 0x0C2 // 2,
    Block.SETTINGS: 0x11A // 2,
    Block.DEVICE: 0x0B4 // 2,
}
"""Registers of a block without which it is of no use."""
_TOO_FAR: Final = frozenset(
    {ExceptionCode.ILLEGAL_REGISTER, ExceptionCode.ILLEGAL_VALUE}
)
"""How a BMS, or a gateway before it, refuses too many registers, or those past a block."""


def _secret_words(block: Block) -> set[int]:
    """Return the registers of a block that hold a PIN or a password."""
    secrets = [f for f in FIELDS_OF[block] if f.role is Role.SECRET]
    return {
        byte // 2
        for field in secrets
        for byte in range(field.offset, field.offset + field.codec.size)
    }


def _spans(block: Block) -> tuple[range, ...]:
    """Return what is read of a block; a PIN has no reason to cross a network."""
    secret = _secret_words(block)
    spans: list[range] = []
    start = 0
    for word in range(BLOCK_WORDS + 1):
        if word in secret or word == BLOCK_WORDS:
            if word > start:
                spans.append(range(start, word))
            start = word + 1
    return tuple(spans)


def _inside(block: Block) -> frozenset[int]:
    """Return where no read may begin: the second register of a number.

    Its halves would be of two moments.
    """
    return frozenset(
        (field.offset + 2) // 2
        for field in FIELDS_OF[block]
        if field.codec.size == 4 and not field.codec.code.endswith("s")
    )


_SPANS: Final = {block: _spans(block) for block in Block}
_INSIDE: Final = {block: _inside(block) for block in Block}


@dataclass(slots=True)
class Extent:
    """How a BMS lets a block be read, as its refusals have shown; in registers."""

    words: int = MOST_WORDS
    """How many at once."""
    proven: int = 0
    """How many it has answered at once."""
    end: int = BLOCK_WORDS
    """Where the block ends for it."""
    trial: int | None = None
    """How many are asked for next, since more were refused."""

    def shrink(self, at: int, words: int) -> bool:
        """Take note of a refusal; tell whether fewer are worth a try."""
        too_many = words > self.proven
        if words <= (_NUMBER if too_many else 1):
            self.end = at
            return False
        if too_many:
            self.words = self.trial = max(_NUMBER, words // 2)
        else:
            self.trial = words // 2
            self.end = at + words - 1
        return True

    def took(self, words: int) -> None:
        """Take note of an answer."""
        self.proven = max(self.proven, words)
        self.trial = None


@dataclass(slots=True)
class Reach:
    """How a BMS lets each of its blocks be read."""

    extents: dict[Block, Extent] = dataclass_field(
        default_factory=lambda: defaultdict(Extent)
    )

    def forget(self) -> None:
        """Begin anew: another BMS may be asked, or over another gateway."""
        self.extents.clear()


class BlockRead:
    """One block on its way in."""

    def __init__(self, address: int, block: Block, reach: Reach) -> None:
        """Begin with the first registers."""
        self.address = address
        self.block = block
        self._extent = reach.extents[block]
        self._spans = deque(_SPANS[block])
        self._data = bytearray(2 * BLOCK_WORDS)
        self._at = 0
        """The register that is read next, counted from the first of the block."""

    @property
    def request(self) -> ReadRequest:
        """What to ask next."""
        return ReadRequest(self.address, self.block.base + 2 * self._at, self._words)

    @property
    def _words(self) -> int:
        extent = self._extent
        most = min(extent.words, extent.trial or MOST_WORDS)
        stop = min(self._at + most, self._spans[0].stop, extent.end)
        if stop in _INSIDE[self.block] and stop - 1 > self._at:
            stop -= 1
        return stop - self._at

    def take(
        self, came: Answered | Refused | Unanswered
    ) -> Answered | Refused | Unanswered | None:
        """Return what has come of the block; None while there is more to ask."""
        match came:
            case Answered(request=ReadRequest() as request, data=bytes(data)):
                self._keep(request, data)
                if self._spans:
                    return None
                too_far = Refused(request, ExceptionCode.ILLEGAL_REGISTER)
                return self._whole(came.latency, too_far)
            case Refused(request=ReadRequest() as request) if came.code in _TOO_FAR:
                if self._extent.shrink(self._at, request.words):
                    return None
                self._spans.clear()
                return self._whole(0.0, came)
            case _:
                return came

    def _whole(self, latency: float, too_far: Refused) -> Answered | Refused:
        """Return what came of the block, the refusal where that is of no use."""
        if self._extent.end >= _LEAST[self.block]:
            return Answered(too_far.request, latency, self._frame())
        # That it has nothing of use may change; one register shows it.
        self._extent.end = BLOCK_WORDS
        return too_far

    def _keep(self, request: ReadRequest, data: bytes) -> None:
        self._extent.took(request.words)
        self._data[2 * self._at : 2 * (self._at + request.words)] = data
        self._at += request.words
        self._go_on()

    def _go_on(self) -> None:
        """Go to the next registers that are there and wanted."""
        while self._spans and self._at >= min(self._spans[0].stop, self._extent.end):
            self._spans.popleft()
            if self._spans:
                self._at = self._spans[0].start

    def _frame(self) -> Frame:
        """Return the block as a frame; what could not be read is missing at its end."""
        data = bytes(self._data[: 2 * self._extent.end])
        for layout in (Layout.JK02_24S, Layout.JK02_32S):
            frame = _framed(self.block, frame_order(self.block, data, layout))
            # The order of bytes depends on the layout, and the layout shows in the bytes.
            if recognise(frame) is layout:
                break
        return Frame(frame)


def _framed(block: Block, data: bytes) -> bytes:
    if len(data) >= _BLOCK_SIZE:
        return build_frame(block.frame_type, data[:_BLOCK_SIZE])
    return MAGIC + bytes((block.frame_type, 0)) + data


def holds(frame: Frame | None, fields: Iterable[Field[Any]]) -> bool:
    """Tell whether the registers of fields were read, as far as they are in the block."""
    if frame is None:
        return False
    return all(
        len(frame.data)
        >= FRAME_HEAD + field.register - field.block.base + 2 * field.words
        for field in fields
        if field.block.frame_type == frame.type
    )


@cache
def _numbers(block: Block, layout: Layout) -> tuple[tuple[int, int], ...]:
    """Return where the numbers of more than one byte begin and end."""
    places = (place(field, layout) for field in FIELDS_OF[block])
    spans = {
        (where[0], where[0] + struct.calcsize(f"<{where[1]}"))
        for where in places
        if where is not None and not where[1].endswith("s")
    }
    return tuple(sorted((a, b) for a, b in spans if b - a > 1))


def frame_order(block: Block, data: bytes, layout: Layout) -> bytes:
    """Turn the numbers of a block around, between the order of frames and of FC03."""
    turned = bytearray(data)
    for start, stop in _numbers(block, layout):
        turned[start:stop] = turned[start:stop][::-1]
    return bytes(turned)
