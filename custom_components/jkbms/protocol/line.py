"""A half-duplex line as its one master sees it: a request at a time, and its answer.

Everything heard is accounted for: the answer asked for, an answer that came too late,
the echo of an adapter, another master, and what nobody can read.
"""

from collections import Counter, deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from .attribution import MASTER, MAX_STRAY
from .datum import BLOCK_OF_TYPE
from .fence import check_sendable
from .frames import (
    READ,
    WRITE,
    Ack,
    Discarded,
    ExceptionReply,
    Frame,
    Item,
    ReadReply,
    ReadRequest,
    Request,
    WriteRequest,
)
from .pacing import Timing
from .stream import Framer

_HARD_LIMIT: Final = 3
"""An answer that trickles in gets this many gaps at most: noise never ends a wait."""
_ECHO_WITHIN: Final = 3.0
"""Seconds; a gateway may return an echo with its usual delay."""


class Missing(StrEnum):
    """Why a request has no answer."""

    SILENT = auto()
    """Not one byte came."""
    DAMAGED = auto()
    """Bytes came, no answer among them."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request: a frame, the words of a read, or a bare ACK."""

    request: Request
    latency: float
    """Seconds from the request to the first byte after it."""
    frame: Frame | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A BMS, or a gateway, said no."""

    request: Request
    code: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing that counts came in time."""

    request: Request
    missing: Missing


@dataclass(frozen=True, slots=True)
class Late:
    """The answer to a request that was given up before."""

    address: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else asks on this line, or a master announces itself."""

    address: int
    """The address asked, or 0 for the master itself."""


type LineEvent = Answered | Refused | Unanswered | Late | Foreign


class Traffic(StrEnum):
    """What is counted on a line."""

    BYTES = auto()
    REQUESTS = auto()
    ANSWERS = auto()
    REFUSALS = auto()
    SILENT = auto()
    DAMAGED = auto()
    LATE = auto()
    ECHOES = auto()
    FOREIGN = auto()
    DISCARDED = auto()


@dataclass(slots=True)
class _Pending:
    request: Request
    sent: float
    deadline: float
    limit: float
    first: float | None = None
    """When the first byte of an answer came; the echo is none."""
    frame: Frame | None = None
    stray: int = 0


class Line:
    """The master's end of a line; it owns the framer and the one open request."""

    def __init__(self, timing: Timing, own: Container[int]) -> None:
        """Take the link's timing and the addresses this side asks."""
        self._timing = timing
        self._own = own
        self._framer = Framer()
        self._pending: _Pending | None = None
        self._last_byte = float("-inf")
        self.traffic: Counter[Traffic] = Counter()
        self._unechoed: deque[tuple[float, Request]] = deque(maxlen=8)

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._pending is not None

    @property
    def noisy(self) -> bool:
        """Whether the line has damaged messages lately."""
        return self._framer.noisy

    @property
    def last_byte(self) -> float:
        """When the last byte was heard or sent."""
        return self._last_byte

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to decide, None if never."""
        if self._pending is not None:
            return self._pending.deadline
        return self._last_byte + self._timing.gap if self._framer.incomplete else None

    def reset(self) -> None:
        """Forget what was under way: the link was opened anew.

        Not what was sent: a gateway may hand the echo to its next client.
        """
        self._framer.clear()
        self._pending = None
        self._last_byte = float("-inf")

    def send(self, request: Request, now: float, timeout: float) -> bytes:
        """Open an exchange and return the bytes to send; no write but an allowed one."""
        if isinstance(request, ReadRequest):
            self._framer.expect_read(request)
        else:
            check_sendable(request)
        limit = now + timeout + _HARD_LIMIT * self._timing.gap
        self._pending = _Pending(request, now, now + timeout, limit)
        self._unechoed.append((now, request))
        self._last_byte = now
        self.traffic[Traffic.REQUESTS] += 1
        return request.encode()

    def receive(self, data: bytes, now: float) -> Iterator[LineEvent]:
        """Yield what these bytes have decided."""
        self._last_byte = now
        self.traffic[Traffic.BYTES] += len(data)
        yield from self._take(self._framer.feed(data), now)
        pending = self._pending
        if pending is not None and (pending.frame or self._framer.incomplete):
            pending.first = pending.first or now
            extended = max(pending.deadline, now + self._timing.gap)
            pending.deadline = min(extended, pending.limit)

    def tick(self, now: float) -> Iterator[LineEvent]:
        """Yield what the silence has decided."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        yield from self._take(self._framer.flush(), now)
        pending = self._pending
        if pending is None or now < pending.deadline:
            return
        self._pending = None
        damaged = pending.first is not None
        self.traffic[Traffic.DAMAGED if damaged else Traffic.SILENT] += 1
        yield Unanswered(
            pending.request, Missing.DAMAGED if damaged else Missing.SILENT
        )

    def _take(self, items: list[Item], now: float) -> Iterator[LineEvent]:
        for item in items:
            match item:
                case Frame():
                    self._take_frame(item)
                case Ack():
                    yield from self._take_ack(item, now)
                case WriteRequest() | ReadRequest():
                    yield from self._take_request(item, now)
                case ReadReply():
                    yield from self._take_reply(item, now)
                case ExceptionReply():
                    yield from self._take_exception(item)
                case _:
                    self._take_discarded(item)

    def _take_frame(self, frame: Frame) -> None:
        if self._pending is not None:
            self._pending.frame = frame
            self._pending.stray = 0

    def _take_discarded(self, item: Discarded) -> None:
        self.traffic[Traffic.DISCARDED] += item.count
        if self._pending is not None:
            self._pending.stray += item.count
            self._pending.first = self._pending.first or self._last_byte

    def _take_ack(self, ack: Ack, now: float) -> Iterator[LineEvent]:
        pending = self._pending
        request = pending.request if pending else None
        if (
            pending is None
            or not isinstance(request, WriteRequest)
            or not request.acknowledged_by(ack)
        ):
            if pending is not None:
                pending.frame = None
            if ack.address == MASTER and MASTER not in self._own:
                self.traffic[Traffic.FOREIGN] += 1
                yield Foreign(MASTER)
            else:
                self.traffic[Traffic.LATE] += 1
                yield Late(ack.address)
            return
        self._pending = None
        if request.block is None:
            yield self._answered(pending, now)
            return
        frame = pending.frame
        if (
            frame is None
            or pending.stray > MAX_STRAY
            or BLOCK_OF_TYPE.get(frame.type) is not request.block
        ):
            self.traffic[Traffic.DAMAGED] += 1
            yield Unanswered(request, Missing.DAMAGED)
            return
        yield self._answered(pending, now, frame=frame)

    def _answered(
        self,
        pending: _Pending,
        now: float,
        *,
        frame: Frame | None = None,
        data: bytes | None = None,
    ) -> Answered:
        self.traffic[Traffic.ANSWERS] += 1
        first = pending.first if pending.first is not None else now
        return Answered(pending.request, first - pending.sent, frame, data)

    def _take_request(self, request: Request, now: float) -> Iterator[LineEvent]:
        for sent, own in self._unechoed:
            if own == request and now - sent < _ECHO_WITHIN:
                self._unechoed.remove((sent, own))
                self.traffic[Traffic.ECHOES] += 1
                if self._pending is not None:
                    # What came until now was the echo, not the beginning of an answer.
                    self._pending.first = None
                return
        self.traffic[Traffic.FOREIGN] += 1
        yield Foreign(request.address)

    def _take_reply(self, reply: ReadReply, now: float) -> Iterator[LineEvent]:
        pending = self._pending
        request = pending.request if pending else None
        if (
            pending is None
            or not isinstance(request, ReadRequest)
            or (request.address, 2 * request.words) != (reply.address, len(reply.data))
        ):
            self.traffic[Traffic.LATE] += 1
            yield Late(reply.address)
            return
        self._pending = None
        yield self._answered(pending, now, data=reply.data)

    def _take_exception(self, reply: ExceptionReply) -> Iterator[LineEvent]:
        pending = self._pending
        if pending is None or pending.request.address != reply.address:
            return
        function = READ if isinstance(pending.request, ReadRequest) else WRITE
        if reply.function != function:
            return
        self._pending = None
        self.traffic[Traffic.REFUSALS] += 1
        yield Refused(pending.request, reply.code)
