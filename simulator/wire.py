"""The pair of wires: who talks when, what arrives when, and what collisions leave over."""

from dataclasses import dataclass
from random import Random
from typing import Final

BYTE_TIME: Final = 10 / 115_200
"""Seconds that one byte with start and stop bit takes (rs485.md 1.1)."""

_ROUNDING: Final = 1e-6
"""Seconds that floating point may be wrong by, far below the time of a byte."""


@dataclass(slots=True)
class Sending:
    """Bytes on their way to the adapter, one after the other from `start`."""

    data: bytearray
    start: float
    byte_time: float
    echo: bool = False
    taken: int = 0
    damaged: bool = False
    """Whether another talker met it."""

    @property
    def end(self) -> float:
        """When the last byte is through."""
        return self.start + len(self.data) * self.byte_time

    def arrived(self, now: float) -> int:
        """How many bytes are through."""
        if now + _ROUNDING >= self.end:
            return len(self.data)
        if now < self.start:
            return 0
        return int((now - self.start + _ROUNDING) / self.byte_time)


class Wire:
    """Carries replies to the adapter, in pieces as a USB adapter hands them on."""

    def __init__(self, *, byte_time: float, chunk: int, random: Random) -> None:
        """Set up an idle wire; `chunk` is the most bytes that arrive at once."""
        self.byte_time = byte_time
        self._chunk = chunk
        self._random = random
        self._sendings: list[Sending] = []

    def send(
        self, data: bytes, start: float, *, echo: bool = False
    ) -> tuple[Sending, bool]:
        """Put bytes on the wire, and say whether somebody else was talking."""
        sending = Sending(bytearray(data), start, self.byte_time, echo)
        if not echo:
            for other in self._sendings:
                if not other.echo and self._overlap(other, sending):
                    self._merge(other, sending)
                    return other, True
        self._sendings.append(sending)
        self._sendings.sort(key=lambda item: item.start)
        return sending, False

    def disturb(self, start: float, end: float) -> bool:
        """Damage what is being sent in a span of time, and say whether there was anything."""
        hit = False
        for sending in self._sendings:
            if sending.echo or sending.start >= end or sending.end <= start:
                continue
            hit = sending.damaged = True
            first = max(sending.taken, int((start - sending.start) / self.byte_time))
            last = min(
                len(sending.data), int((end - sending.start) / self.byte_time) + 1
            )
            for place in range(first, last):
                sending.data[place] = self._random.randrange(256)
        return hit

    def due(self) -> float | None:
        """When the next bytes can be collected."""
        times = [
            sending.start
            + min(sending.taken + self._chunk, len(sending.data)) * sending.byte_time
            for sending in self._sendings
        ]
        return min(times, default=None)

    def collect(self, now: float) -> list[bytes]:
        """The pieces that have arrived since the last call."""
        pieces = []
        for sending in self._sendings:
            arrived = sending.arrived(now)
            if arrived < len(sending.data):
                arrived -= (arrived - sending.taken) % self._chunk
            if arrived > sending.taken:
                pieces.append(bytes(sending.data[sending.taken : arrived]))
                sending.taken = arrived
        if pieces:
            self._sendings = [
                sending
                for sending in self._sendings
                if sending.taken < len(sending.data)
            ]
        return pieces

    def _overlap(self, one: Sending, other: Sending) -> bool:
        if not self.byte_time:
            # Without wire time two replies meet only if they start at the same moment.
            return one.start == other.start
        return one.start < other.end and other.start < one.end

    def _merge(self, first: Sending, second: Sending) -> None:
        """Two stations talk at once: equal bits survive, the rest is chance."""
        if second.start < first.start:
            first.data, second.data = second.data, first.data
            first.start, second.start = second.start, first.start
        first.damaged = True
        shift = (second.start - first.start) / self.byte_time if self.byte_time else 0.0
        aligned = abs(shift - round(shift)) < 0.1
        offset = round(shift) if aligned else int(shift)
        for place, byte in enumerate(second.data, start=offset):
            if place >= len(first.data):
                first.data.append(byte)
            elif aligned:
                first.data[place] &= byte
            else:
                first.data[place] = self._random.randrange(256)
