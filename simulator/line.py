"""One RS485 line without any I/O: bytes in, bytes out, time as an argument.

A request takes its time on the wire, the pack addressed thinks, its reply takes
its time, and for a while after it no pack hears anything (rs485.md 1.5).
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, Protocol, TypedDict

from .bank import Bank
from .checks import crc_fits
from .faults import Fault, Reply
from .modbus import answer, length_of, wanted
from .pack import Pack
from .wire import BYTE_TIME, Sending, Wire

TURNAROUND: Final = 0.010
"""Seconds a pack thinks: requests to ACK took 35 to 50 ms, 27 of them wire (rs485.md 1.5)."""

DEAF: Final = 0.035
"""Seconds after a reply in which requests are not heard (rs485.md 1.5)."""

_GAP: Final = 0.00175
"""Silence that ends a message: Modbus' fixed 1.75 ms above 19200 baud."""

_GAP_FAST: Final = 0.05
_REMEMBERED: Final = 32


class Speed(StrEnum):
    """How time passes on a line."""

    WIRE = "wire"
    FAST = "fast"


class Line(Protocol):
    """What a server carries between the line and its clients."""

    @property
    def faults(self) -> Sequence[Fault]:
        """What goes wrong on it; a server acts on the outages among them."""

    def connected(self, now: float) -> None:
        """Somebody has begun to listen."""

    def receive(self, data: bytes, now: float) -> None:
        """Bytes that the adapter was given to send."""

    def due(self) -> float | None:
        """When to call `collect` next; None while nothing is under way."""

    def collect(self, now: float) -> list[bytes]:
        """What the adapter has heard since the last call, in pieces."""


@dataclass(slots=True)
class Counters:
    """What happened to the requests on a line."""

    heard: int = 0
    unheard: int = 0
    """Lost because they began while the packs were deaf or busy."""
    absent: int = 0
    """For an address where no pack is."""
    damaged: int = 0
    """Not a request: wrong CRC, noise, or cut off."""
    collisions: int = 0
    """Requests or replies that met another talker."""
    withheld: int = 0
    """Answers that a fault swallowed."""
    replies: int = 0


class LineOptions(TypedDict, total=False):
    """What can be chosen for a line of packs: times in seconds, chunks in bytes."""

    speed: Speed
    turnaround: float | None
    jitter: float
    deaf: float | None
    gap: float | None
    chunk: int
    seed: int
    faults: Iterable[Fault]


class SlaveLine:
    """A bank of packs that answer whoever asks."""

    def __init__(
        self,
        bank: Bank,
        *,
        speed: Speed = Speed.WIRE,
        turnaround: float | None = None,
        jitter: float = 0.0,
        deaf: float | None = None,
        gap: float | None = None,
        chunk: int = 32,
        seed: int = 0,
        faults: Iterable[Fault] = (),
    ) -> None:
        """Connect packs; times in seconds default to those of the speed, chunks are bytes."""
        wire = speed is Speed.WIRE
        self.bank = bank
        self.faults = tuple(faults)
        self.counters = Counters()
        self.turnaround = (
            (TURNAROUND if wire else 0.0) if turnaround is None else turnaround
        )
        self.deaf = (DEAF if wire else 0.0) if deaf is None else deaf
        self.jitter = jitter
        self.gap = (_GAP if wire else _GAP_FAST) if gap is None else gap
        self._random = Random(f"{seed}/line")
        self._wire = Wire(
            byte_time=BYTE_TIME if wire else 0.0,
            chunk=chunk if wire else 0xFFFF,
            random=self._random,
        )
        self._message = bytearray()
        self._message_start = 0.0
        self._heard_until = 0.0
        self._spoiled = False
        self._replies: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._busy: dict[int, tuple[float, float]] = {}
        for index, fault in enumerate(self.faults):
            fault.attach(bank, Random(f"{seed}/{index}/{fault.kind}"))

    def connected(self, now: float) -> None:
        """Packs do not care who listens."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that the adapter puts on the wire from `now` on, or after those it still sends."""
        if not data:
            return
        start = max(now, self._heard_until)
        if self._message and start - self._heard_until > self.gap:
            self._end_message()
        byte_time = self._wire.byte_time
        end = start + len(data) * byte_time
        for fault in self.faults:
            if echo := fault.echo(data):
                self._wire.send(echo, start, echo=True)
        self._spoiled |= self._meets(start, end)
        for place, byte in enumerate(data):
            if not self._message:
                self._message_start = start + place * byte_time
            self._message.append(byte)
            self._heard_until = start + (place + 1) * byte_time
            if len(self._message) == self._length() and self._is_intact():
                self._take(self._heard_until)
                self._spoiled |= self._wire.disturb(self._heard_until, end)

    def due(self) -> float | None:
        """When something happens next: bytes arrive, a message ends, or a fault acts."""
        times = [fault.due() for fault in self.faults]
        times.append(self._wire.due())
        if self._message:
            times.append(self._heard_until + self.gap)
        return min((time for time in times if time is not None), default=None)

    def collect(self, now: float) -> list[bytes]:
        """What the adapter has heard up to `now`."""
        if self._message and now >= self._heard_until + self.gap:
            self._end_message()
        for fault in self.faults:
            for time, data in fault.emit(now):
                self._wire.send(data, time)
        return self._wire.collect(now)

    def _meets(self, start: float, end: float) -> bool:
        """Whether a client's bytes meet another talker; what he says is damaged."""
        return self._wire.disturb(start, end)

    def _end_message(self) -> None:
        """Silence: what has come so far is all there is, a request only if its function is unknown."""
        if self._length() is None and self._is_intact():
            self._take(self._heard_until + self.gap)
            return
        self.counters.damaged += 1
        self._forget()

    def _length(self) -> int | None:
        """How long the request must become; None if only silence ends it."""
        return length_of(self._message)

    def _is_intact(self) -> bool:
        """Whether the request is whole."""
        return crc_fits(self._message)

    def _said(self, pack: Pack, request: bytes, now: float) -> bytes:
        """What a pack says to a request."""
        return answer(pack, request, now)

    def _forget(self) -> None:
        self._message.clear()
        self._spoiled = False

    def _take(self, end: float) -> None:
        """Let the packs hear a complete request."""
        request, start, spoiled = (
            bytes(self._message),
            self._message_start,
            self._spoiled,
        )
        self._forget()
        if spoiled:
            self.counters.collisions += 1
            return
        self._hear(request, start, end, self.counters)

    def _hear(
        self, request: bytes, start: float, end: float, counters: Counters
    ) -> list[Sending]:
        """Let the packs addressed answer a request; these are their answers."""
        packs = [pack for pack in self._addressed(request) if self._on_bus(pack, start)]
        if not packs:
            counters.absent += 1
        sendings = []
        for pack in packs:
            if self._is_deaf(pack, start):
                counters.unheard += 1
            else:
                counters.heard += 1
                sendings.append(self._reply(pack, request, end, counters))
        return [sending for sending in sendings if sending is not None]

    def _addressed(self, request: bytes) -> list[Pack]:
        """The packs that a request is for."""
        return [pack for pack in self.bank if pack.address == request[0]]

    def _on_bus(self, pack: Pack, now: float) -> bool:
        return pack.present and all(fault.hears(pack, now) for fault in self.faults)

    def _is_deaf(self, pack: Pack, start: float) -> bool:
        busy_from, busy_until = self._busy.get(id(pack), (0.0, 0.0))
        if busy_from <= start < busy_until:
            return True
        deaf = self.deaf if pack.deaf is None else pack.deaf
        return any(begin <= start < end + deaf for begin, end in self._replies)

    def _reply(
        self, pack: Pack, request: bytes, now: float, counters: Counters
    ) -> Sending | None:
        data = self._said(pack, request, now)
        reply = Reply(address=pack.address, data=data, block=wanted(request))
        for fault in self.faults:
            fault.shape(reply)
        if not reply.data:
            counters.withheld += 1
            return None
        turnaround = self.turnaround if pack.turnaround is None else pack.turnaround
        start = now + turnaround + self._random.uniform(0, self.jitter) + reply.delay
        sending, collided = self._wire.send(reply.data, start)
        counters.collisions += collided
        counters.replies += 1
        self._busy[id(pack)] = (now, sending.end)
        self._replies.append((sending.start, sending.end))
        return sending
