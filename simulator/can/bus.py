"""A CAN bus without any I/O: nodes that talk by themselves, taps that listen, time as an argument.

Frames that want the bus at the same moment go by priority, each takes its time on
the wire, and nobody hears himself.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from ..faults import Fault
from ..line import Speed
from .frame import ERROR, Frame

BITRATES: Final = (250_000, 500_000)
"""The bit rates that JK's protocols use (can.md 0)."""

_REMEMBERED: Final = 10_000
_WAITING: Final = 64
"""Frames that may wait for a busy bus; a controller has few places, the rest is overwritten."""

_TX_FIFO: Final = 32
_WARNING: Final = 96
_PASSIVE: Final = 128
_ERROR_COST: Final = 8


class Node:
    """A station that talks when its time has come; this one has nothing to say."""

    hears: frozenset[int] = frozenset()
    """The ids of the frames it listens to."""

    def begin(self, now: float) -> None:
        """The bus is powered."""

    def listened(self, now: float) -> None:
        """Somebody has begun to listen."""

    def due(self) -> float | None:
        """When it wants to talk next; None for never."""
        return None

    def emit(self, now: float) -> Iterable[Frame]:
        """What it sends at its time."""
        return ()

    def hear(self, frame: Frame, now: float) -> None:
        """A frame with one of its ids has passed."""


@dataclass(slots=True)
class BusCounters:
    """What happened on the bus."""

    frames: int = 0
    """Passed whole, whoever sent them."""
    collisions: int = 0
    """Two nodes sent different content under one id at the same moment."""
    repeated: int = 0
    """Sent again because nobody acknowledged."""
    overwritten: int = 0
    """Never sent, because the bus had no time for them."""


class Tap:
    """The CAN controller of an adapter, a gateway or a daemon."""

    def __init__(self, bus: Bus, *, sees_errors: bool = False) -> None:
        """Connect to a bus, still closed; error frames are taken only by those who see them."""
        self.bus = bus
        self.is_open = False
        self.listen_only = False
        self.overflowed = False
        """Whether a frame to send found no place."""
        self.unread_errors = 0
        """Bus errors since they were last asked for."""
        self.error_count = 0
        """The controller's receive error counter."""
        self.waiting = 0
        """Frames of its own that wait for the bus."""
        self._sees_errors = sees_errors
        self._bitrate = bus.bitrate
        self._queue: deque[tuple[float, Frame]] = deque()
        bus.taps.append(self)

    def open(
        self, now: float, *, bitrate: int | None = None, listen_only: bool = False
    ) -> None:
        """Take part in the bus, at its own bit rate unless another is given."""
        self._bitrate = self.bus.bitrate if bitrate is None else bitrate
        self.is_open, self.listen_only = True, listen_only
        self.bus.listened(now)

    def close(self) -> None:
        """Leave the bus and forget everything."""
        self.is_open = self.listen_only = self.overflowed = False
        self.unread_errors = self.error_count = self.waiting = 0
        self._queue.clear()
        self.bus.withdraw(self)

    def detach(self) -> None:
        """Leave for good."""
        self.close()
        self.bus.taps.remove(self)

    @property
    def fits(self) -> bool:
        """Whether it reads the bus at the rate at which the bus talks."""
        return self._bitrate == self.bus.bitrate

    @property
    def acknowledges(self) -> bool:
        """Whether a sender can count on it."""
        return self.is_open and self.fits and not self.listen_only

    @property
    def warned(self) -> bool:
        """Whether the errors have reached the warning limit."""
        return self.error_count >= _WARNING

    @property
    def passive(self) -> bool:
        """Whether the errors have made the controller error passive."""
        return self.error_count >= _PASSIVE

    def take(self, frame: Frame, now: float) -> None:
        """A frame has passed."""
        if not self.is_open:
            return
        if frame.error or not self.fits:
            self.unread_errors += 1
            self.error_count = min(self.error_count + _ERROR_COST, _PASSIVE)
            if self._sees_errors:
                self._queue.append((now, ERROR))
            return
        self.error_count = max(self.error_count - 1, 0)
        self._queue.append((now, frame))

    def drain(self) -> list[tuple[float, Frame]]:
        """What it has heard since the last call."""
        heard = list(self._queue)
        self._queue.clear()
        return heard

    def send(self, frame: Frame, now: float) -> bool:
        """Queue a frame; False if there is no place for it."""
        if self.waiting >= _TX_FIFO:
            self.overflowed = True
            return False
        self.waiting += 1
        if self.fits:
            self.bus.send(frame, now, sender=self)
        return True


@dataclass(order=True, slots=True)
class _Waiting:
    """A frame that wants the bus."""

    priority: int
    number: int
    frame: Frame = field(compare=False)
    sender: Node | Tap | None = field(compare=False)
    again: bool = field(default=False, compare=False)
    """Whether it has met its like before."""


class Bus:
    """Nodes and taps on a pair of wires."""

    def __init__(
        self,
        nodes: Iterable[Node] = (),
        *,
        bitrate: int = BITRATES[0],
        speed: Speed = Speed.WIRE,
        faults: Sequence[Fault] = (),
        arbitrates: bool = True,
    ) -> None:
        """Connect nodes; without wire speed frames take no time, without arbitration they keep their order."""
        self.nodes: list[Node] = []
        self.bitrate = bitrate
        self.faults = tuple(faults)
        self.acknowledged = True
        """Whether another node acknowledges what the packs send; if not, it takes an open tap."""
        self.taps: list[Tap] = []
        self.watchers: list[Callable[[], None]] = []
        """Called when somebody has sent, so that those who wait look again."""
        self.counters = BusCounters()
        self.heard: deque[tuple[float, Frame]] = deque(maxlen=_REMEMBERED)
        """What taps have sent, with the time at which it was through; the last ten thousand."""
        self.counts: Counter[int] = Counter()
        """How often each id was sent by taps."""
        self._bit_time = 1 / bitrate if speed is Speed.WIRE else 0.0
        self._arbitrates = arbitrates
        self._number = count()
        self._begun = False
        self._free = 0.0
        self._ready: list[_Waiting] = []
        self._sending: tuple[float, _Waiting] | None = None
        self._agenda: list[tuple[float, int, Node]] = []
        self._listeners: dict[int, list[Node]] = {}
        for node in nodes:
            self.join(node)

    def join(self, node: Node) -> None:
        """Connect a node, before the bus is powered."""
        self.nodes.append(node)
        for can_id in node.hears:
            self._listeners.setdefault(can_id, []).append(node)

    @property
    def ids(self) -> list[tuple[int, bool]]:
        """The ids under which its packs speak, and whether they have 29 bits; none are known here."""
        return []

    # Time

    def messages(
        self, until: float = float("inf"), *, start: float = 0.0
    ) -> Iterator[tuple[float, int, bool, bytes]]:
        """Time, id, extended and data of what passes up to a time in seconds, as fast as it can be computed.

        Remote and error frames, which have no data, are left out.
        """
        self.listened(start)
        while (passed := self._step(until)) is not None:
            time, frame = passed
            if not frame.error and not frame.remote:
                yield time, frame.id, frame.extended, frame.data

    def advance(self, now: float) -> None:
        """Let everything happen that is through by now; the first call powers the bus."""
        self._begin(now)
        while self._step(now) is not None:
            pass

    def due(self) -> float | None:
        """When to call `advance` next."""
        if self._sending is not None:
            return self._sending[0]
        if self._ready:
            return self._free
        return self._next()

    def listened(self, now: float) -> None:
        """Tell the nodes that somebody has begun to listen; this powers the bus too."""
        self._begin(now)
        for node in self.nodes:
            node.listened(now)
            self._plan(node)

    # Sending

    def send(
        self, frame: Frame, now: float, *, sender: Node | Tap | None = None
    ) -> None:
        """Let somebody send a frame as soon as the bus is free."""
        self.advance(now)
        self._queue(frame, now, sender)
        for watcher in [*self.watchers]:
            watcher()

    def withdraw(self, sender: Tap) -> None:
        """Forget what a tap has not sent yet."""
        self._ready = [item for item in self._ready if item.sender is not sender]
        heapify(self._ready)

    def _queue(self, frame: Frame, since: float, sender: Node | Tap | None) -> None:
        if isinstance(sender, Node) and len(self._ready) >= _WAITING:
            self.counters.overwritten += 1
            return
        if not self._ready and self._sending is None:
            self._free = max(self._free, since)
        priority = frame.priority if self._arbitrates else 0
        heappush(self._ready, _Waiting(priority, next(self._number), frame, sender))

    # One frame after the other

    def _begin(self, now: float) -> None:
        if self._begun:
            return
        self._begun = True
        self._free = now
        for node in self.nodes:
            node.begin(now)
            self._plan(node)

    def _plan(self, node: Node) -> None:
        due = node.due()
        if due is not None:
            heappush(self._agenda, (due, next(self._number), node))

    def _next(self) -> float | None:
        """When the next node wants to talk; entries that a node has overtaken are dropped."""
        while self._agenda:
            due, _, node = self._agenda[0]
            if node.due() == due:
                return due
            heappop(self._agenda)
        return None

    def _gather(self, now: float) -> None:
        """Let all nodes speak whose time has come."""
        while (due := self._next()) is not None and due <= now:
            node = heappop(self._agenda)[2]
            for frame in node.emit(due):
                self._queue(frame, due, node)
            self._plan(node)

    def _choose(self, limit: float) -> bool:
        """Decide who has the bus next, if anybody wants it by then."""
        while not self._ready:
            due = self._next()
            if due is None or due > limit:
                return False
            self._gather(due)
        self._gather(self._free)
        first = heappop(self._ready)
        if self._collides(first):
            self.counters.collisions += 1
            heappush(self._ready, first)
            first = _Waiting(ERROR.priority, 0, ERROR, None)
        end = self._free + first.frame.bits * self._bit_time
        self._sending = (end, first)
        return True

    def _collides(self, first: _Waiting) -> bool:
        """Whether another sends under the same id now; having seen that, they go one after the other."""
        if not self._ready or first.again or not self._arbitrates:
            return False
        second = self._ready[0]
        first.again = second.again = (
            second.priority == first.priority
            and second.frame != first.frame
            and not first.frame.error
        )
        return first.again

    def _step(self, limit: float) -> tuple[float, Frame] | None:
        """Let the next frame pass, if it is through by then."""
        if self._sending is None and not self._choose(limit):
            return None
        assert self._sending is not None
        end, sent = self._sending
        if end > limit:
            return None
        self._sending = None
        self._free = end
        self._pass(sent, end)
        return end, sent.frame

    def _pass(self, sent: _Waiting, now: float) -> None:
        frame, sender = sent.frame, sent.sender
        lonely = isinstance(sender, Node) and not self._acknowledged()
        if lonely:
            # An error passive sender repeats without end and without disturbing.
            self.counters.repeated += 1
            sent.again = True
            heappush(self._ready, sent)
        else:
            self.counters.frames += 1
        for tap in self.taps:
            if tap is not sender:
                tap.take(frame, now)
        if isinstance(sender, Tap):
            sender.waiting = max(sender.waiting - 1, 0)
            self.heard.append((now, frame))
            self.counts[frame.id] += 1
        if frame.error or lonely:
            return
        for node in self._listeners.get(frame.id, ()):
            if node is not sender:
                node.hear(frame, now)
                self._plan(node)

    def _acknowledged(self) -> bool:
        return self.acknowledged or any(tap.acknowledges for tap in self.taps)
