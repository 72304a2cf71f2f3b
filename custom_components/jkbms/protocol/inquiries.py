"""Asks slaves for their device info in the silences of another master (rs485.md 4.5).

Slaves answer anyone, but who talks into a master's cycle costs it answers. So the
silences are learnt first: what is said before each of them, and how long it lasted.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .attribution import MASTER, MAX_STRAY
from .datum import Block
from .frames import Ack, Discarded, Frame, Item, WriteRequest, trigger
from .pacing import Timing
from .station import Station

QUIET: Final = 0.250
"""Seconds of silence before a request (rs485.md 4.5)."""
_EXCHANGE: Final = 0.080
"""Seconds from a request to when the master may go on, at least (rs485.md 1.5)."""
_DEAF: Final = 0.035
"""Seconds after an answer in which nobody hears the master (rs485.md 1.5)."""
_MASTERS: Final = frozenset({Block.LIVE.trigger, Block.SETTINGS.trigger})
"""The registers that a master asks for (rs485.md 4.1)."""
_BYTE: Final = 10 / 115_200
_LEARNT_FROM: Final = 2
_REMEMBERED: Final = 4
"""Silences of a kind; the shortest of them counts."""
_PAUSE: Final = 1.0
"""A silence this long, in seconds, is no part of a cycle (rs485.md 4.2)."""
_MASTER_WITHIN: Final = 10.0
"""Seconds; no cycle takes longer (rs485.md 4.2)."""
_READ_EVERY: Final = 3600.0
_BETWEEN: Final = 2.5
"""Seconds between two requests, whoever is asked (rs485.md 4.5)."""
_RETRY_AFTER: Final = 10.0
_RETRY_MAX: Final = 600.0
_HEARD_WITHIN: Final = 2
"""Cycles."""
_ECHO_WITHIN: Final = 3.0
"""Seconds; a gateway may return an echo with its usual delay."""


@dataclass(slots=True)
class Counts:
    """What became of the requests."""

    asked: int = 0
    answered: int = 0
    collisions: int = 0
    """Given up since somebody else was heard, or since the answer was damaged."""
    unanswered: int = 0


@dataclass(slots=True)
class _Pending:
    request: WriteRequest
    framed: bool = False
    stray: int = 0


@dataclass(slots=True)
class _Wait:
    """How long not to ask, doubled each time it was for nothing."""

    until: float = float("-inf")
    failures: int = 0

    def extend(self, first: float, now: float) -> None:
        """Wait longer than the last time."""
        self.until = now + min(_RETRY_MAX, first * 2.0**self.failures)
        self.failures = min(self.failures + 1, 16)


class Inquirer:
    """Finds the moments to ask in, and judges what follows."""

    def __init__(self, timing: Timing) -> None:
        """Start with nothing learnt."""
        self.counts = Counts()
        self._gap = timing.gap
        self._last_byte = float("-inf")
        self._before: Item | None = None
        """What was said before the present silence; None where that is unclear."""
        self._silences: defaultdict[Item, deque[float]] = defaultdict(
            lambda: deque(maxlen=_REMEMBERED)
        )
        self._pending: _Pending | None = None
        self._sent: tuple[float, WriteRequest] | None = None
        self._room = _EXCHANGE
        """Seconds that an inquiry took of late with the delay of this link."""
        self._room_until = float("-inf")
        self._unmeasured: tuple[float, WriteRequest] | None = None
        """The last request until it is answered, in time or not."""
        self._line = _Wait()
        self._waits: defaultdict[int, _Wait] = defaultdict(_Wait)

    @property
    def longest_silence(self) -> float | None:
        """Seconds that the master surely leaves somewhere, None until learnt."""
        learnt = [min(s) for s in self._silences.values() if len(s) >= _LEARNT_FROM]
        return max(learnt, default=None)

    def clear(self) -> None:
        """Begin anew on a link that was opened, with what may be another delay."""
        self._silences.clear()
        self._room_until = float("-inf")
        self._before = None
        self._pending = None

    def is_echo(self, item: Item, now: float) -> bool:
        """Tell whether an item is the last own request, as some adapters return it."""
        if self._sent is None:
            return False
        sent, request = self._sent
        return item == request and now - sent < _ECHO_WITHIN

    def heard(
        self, items: list[Item], size: int, now: float, *, incomplete: bool
    ) -> None:
        """Take note of bytes, and of what was found with them."""
        if self._before is not None:
            quiet = now - size * _BYTE - self._last_byte
            if quiet < _PAUSE:
                self._silences[self._before].append(quiet)
        self._last_byte = now
        self._before = None
        self._measure(items, now)
        self._judge(items, now)
        if items and not incomplete and self._pending is None:
            self._before = self._key(items[-1])

    def flushed(self, items: list[Item], now: float) -> None:
        """Take note of what was found as nothing more came; judge what is overdue."""
        self._judge(items, now)
        pending = self._pending
        if pending is None or now < self._last_byte + self._gap:
            return
        if pending.framed or pending.stray:
            self._collided(pending, now)
            return
        self.counts.unanswered += 1
        self._give_up(pending, now)

    def next(
        self, stations: Mapping[int, Station], master_heard: float | None, now: float
    ) -> WriteRequest | None:
        """Return the request to send now, if any."""
        if master_heard is None or now - master_heard > _MASTER_WITHIN:
            return None
        if not self._last_byte + QUIET <= now <= self._latest(now):
            return None
        station = self._choose(stations.values(), now)
        if station is None:
            return None
        request = trigger(station.address, Block.DEVICE)
        self._pending = _Pending(request)
        self._sent = self._unmeasured = (now, request)
        self._before = None
        self._last_byte = now
        self._line.until = now + _BETWEEN
        self.counts.asked += 1
        return request

    def wake(self, now: float) -> Iterator[float]:
        """Yield when there may be something to do."""
        if self._pending is not None:
            yield self._last_byte + self._gap
            return
        start = max(self._last_byte + QUIET, self._line.until)
        if now < start <= self._latest(now):
            yield start

    def _latest(self, now: float) -> float:
        """When the present silence is too old for a request."""
        known = () if self._before is None else self._silences.get(self._before, ())
        if len(known) < _LEARNT_FROM:
            return float("-inf")
        room = self._room if now < self._room_until else _EXCHANGE
        return self._last_byte + min(known) - room

    def _choose(self, stations: Iterable[Station], now: float) -> Station | None:
        """Return whose device info was not read for longest, of those that are here."""
        if now < self._line.until:
            return None
        return min(
            (s for s in stations if self._is_due(s, now)),
            key=lambda s: s.state.seen.get(Block.DEVICE, float("-inf")),
            default=None,
        )

    def _is_due(self, station: Station, now: float) -> bool:
        if station.address == MASTER or station.heard is None or not station.available:
            return False
        if now - station.heard > _HEARD_WITHIN * station.cycle:
            return False
        read = station.state.seen.get(Block.DEVICE)
        if read is not None and now - read < _READ_EVERY:
            self._waits.pop(station.address, None)
            return False
        return now >= self._waits[station.address].until

    @staticmethod
    def _key(item: Item) -> Item | None:
        """Return what names a silence: a request of the master, or an answer's end."""
        if isinstance(item, WriteRequest | Ack) and item.register in _MASTERS:
            return item
        return None

    def _measure(self, items: list[Item], now: float) -> None:
        """Learn how much room an inquiry needs, also from an answer that came late."""
        if self._unmeasured is None:
            return
        sent, request = self._unmeasured
        if any(isinstance(i, Ack) and request.acknowledged_by(i) for i in items):
            # An adapter may have been slow once: that is not kept for ever.
            self._room = max(_EXCHANGE, now - sent + _DEAF)
            self._room_until = now + _RETRY_MAX
            self._unmeasured = None

    def _judge(self, items: list[Item], now: float) -> None:
        for item in items:
            pending = self._pending
            if pending is None:
                return
            match item:
                case WriteRequest() if self.is_echo(item, now):
                    pass
                case Frame() if item.type == Block.DEVICE.frame_type:
                    pending.framed = True
                case Ack() if pending.framed and pending.request.acknowledged_by(item):
                    self._answered(pending, now)
                case Discarded(count) if pending.stray + count <= MAX_STRAY:
                    pending.stray += count
                case _:
                    self._collided(pending, now)

    def _answered(self, pending: _Pending, now: float) -> None:
        """Take note of an answer; one that is not believed is asked for again."""
        self._pending = None
        self.counts.answered += 1
        self._line.failures = 0
        self._waits[pending.request.address].extend(_BETWEEN, now)

    def _collided(self, pending: _Pending, now: float) -> None:
        self.counts.collisions += 1
        self._line.extend(_RETRY_AFTER, now)
        self._give_up(pending, now)

    def _give_up(self, pending: _Pending, now: float) -> None:
        self._pending = None
        self._waits[pending.request.address].extend(_RETRY_AFTER, now)
