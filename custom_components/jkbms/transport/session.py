"""Keeps a line open and its machine fed: what is heard in, bytes out, and back after outages."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final, Protocol, runtime_checkable

from ..protocol.ble.machine import BleMaster
from ..protocol.commands import Command
from ..protocol.master import Master
from ..protocol.settings_job import SettingsReport, Transaction, unreachable
from ..protocol.station import Event, Settled, Step, Written
from ..protocol.ttl.machine import TtlMaster
from ..protocol.write_job import Outcome, WriteResult
from ..protocol.writing import Change
from .link import LinkError, LinkFault

_RETRY_MIN: Final = 1.0
_RETRY_MAX: Final = 60.0
_RETRY_SHARE: Final = 8
"""The wait is an eighth of the outage: a minute without a line ends within 10 s."""
_RETRY_MAX_MISSING: Final = 5.0
"""To look for a port that is not there costs nothing."""
_SILENT_AFTER: Final = 30.0
"""Seconds from a request with not a byte after it until the line is opened anew."""
_STEADY_AFTER: Final = 5.0
"""Seconds that a line has to last where nothing is asked and silence proves nothing."""


class Line(Protocol):
    """An open line."""

    async def close(self) -> None:
        """Give the port back; afterwards nothing is told any more."""


@runtime_checkable
class WritableLine(Line, Protocol):
    """An open line that takes bytes."""

    def write(self, data: bytes) -> None:
        """Send bytes."""


type Opener[R] = Callable[
    [Callable[[R], None], Callable[[Exception | None], None]], Awaitable[Line]
]
"""Opens a line, told whom to hand what is heard and whom to tell its end; raises LinkError."""


class Machine[R](Protocol):
    """What a session feeds: a master that asks, or a listener that does not.

    R is what its line hands over: bytes, or the frames of a CAN bus.
    """

    @property
    def asking(self) -> bool:
        """Whether it sends requests, so that something should be heard."""

    def connected(self, now: float) -> None:
        """Begin, or begin anew, on a link that was opened."""

    def disconnected(self, now: float) -> tuple[Event, ...]:
        """Take note that the link is gone."""

    def advance(self, now: float, data: R = ..., /) -> Step:
        """Take in what was heard, if anything, and return what to do."""


class Tap[R](Protocol):
    """Is told of everything that crosses the line, and of its beginnings and ends."""

    def opened(self, now: float) -> None:
        """Take note that the line was opened."""

    def down(self, fault: LinkFault, now: float) -> None:
        """Take note that the line has ended, or did not open."""

    def heard(self, data: R, now: float) -> None:
        """Take note of what was heard."""

    def sent(self, data: bytes, now: float) -> None:
        """Take note of what was sent."""


class LinkState(StrEnum):
    """How it stands with the line."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DOWN = "down"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of the line, and what is wrong with it."""

    state: LinkState
    fault: LinkFault | None = None
    detail: str = ""


class Session[R = bytes]:
    """One bus: its line and its machine, from start to stop."""

    def __init__(
        self,
        opener: Opener[R],
        machine: Machine[R],
        on_events: Callable[[tuple[Event, ...]], None],
        on_status: Callable[[LinkStatus], None],
        tap: Tap[R] | None = None,
        *,
        dear: bool = False,
    ) -> None:
        """Bind a line to its machine; nothing is opened yet.

        Where opening is `dear` it is done more and more seldom on a silent line, too.
        """
        self._open = opener
        self._dear = dear
        self._machine = machine
        self._on_events = on_events
        self._on_status = on_status
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._link: Line | None = None
        self._ended: asyncio.Future[LinkError] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[int, asyncio.Future[WriteResult]] = {}
        self._settling: dict[int, asyncio.Future[SettingsReport]] = {}
        self._unheard: float | None = None
        """When the first request was sent after the last byte that was heard."""
        self._down_since: float | None = None
        self._opened: asyncio.Future[LinkError | None] = self._loop.create_future()
        self.status = LinkStatus(LinkState.CONNECTING)
        self.reconnects = 0

    async def run(self) -> None:
        """Hold the line until cancelled."""
        try:
            while True:
                error = await self._hold_line()
                outage = self._went_down(error)
                await asyncio.sleep(_pause(error.fault, outage, dear=self._dear))
                self.reconnects += 1
        finally:
            self._first_attempt(LinkError(LinkFault.LOST, "closed by this side"))
            self._publish(self._machine.disconnected(self._loop.time()))
            if self._timer is not None:
                self._timer.cancel()
            self._set_status(LinkStatus(LinkState.CLOSED))

    async def opened(self) -> None:
        """Wait for the first attempt to open the line; raises LinkError."""
        if (error := await asyncio.shield(self._opened)) is not None:
            raise error

    async def write(self, wish: Change | Command) -> WriteResult:
        """Make a change, or start an action, and return how it ended."""
        master: object = self._machine
        if not isinstance(master, Master | TtlMaster | BleMaster) or master.yielded:
            return WriteResult(Outcome.UNREACHABLE)
        if self._link is None:
            return WriteResult(Outcome.UNREACHABLE)
        if isinstance(master, Master | BleMaster):
            master.submit(wish)
        elif not isinstance(wish, Change):
            # The older protocol has no actions.
            return WriteResult(Outcome.UNSUPPORTED)
        else:
            master.submit(wish)
        ended: asyncio.Future[WriteResult] = self._loop.create_future()
        self._waiting[id(wish)] = ended
        self.advance()
        return await ended

    async def settle(self, transaction: Transaction) -> SettingsReport:
        """Make changes that belong together and return how they ended.

        Who waits no longer wants none of them: what was made is put back.
        """
        master = self._writing_master
        if master is None:
            return unreachable(transaction)
        ended: asyncio.Future[SettingsReport] = self._loop.create_future()
        self._settling[id(transaction)] = ended
        master.submit(transaction)
        self.advance()
        try:
            return await ended
        except asyncio.CancelledError:
            master.cancel(transaction)
            self.advance()
            raise

    @property
    def _writing_master(self) -> Master | BleMaster | None:
        """The machine, where something can be written now."""
        master: object = self._machine
        if not isinstance(master, Master | BleMaster) or self._link is None:
            return None
        return None if master.yielded else master

    def advance(self, data: R | None = None) -> None:
        """Let the machine take in what was heard and do what is due."""
        now = self._loop.time()
        machine = self._machine
        step = machine.advance(now) if data is None else machine.advance(now, data)
        if step.send and self._link is not None:
            assert isinstance(self._link, WritableLine)
            self._link.write(step.send)
            if self._tap is not None:
                self._tap.sent(step.send, now)
            self._unheard = now if self._unheard is None else self._unheard
        wake = step.wake
        if self._unheard is not None:
            if now < (silent_at := self._unheard + _SILENT_AFTER):
                wake = min(wake, silent_at)
            else:
                self._end(LinkError(LinkFault.SILENT, "nobody answers"))
        if step.anew:
            self._end(LinkError(LinkFault.SILENT, "nobody answers"))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wake == inf else self._loop.call_at(wake, self.advance)
        self._publish(step.events)

    async def _hold_line(self) -> LinkError:
        """Open the line, serve it until it ends, and return why it did."""
        ended: asyncio.Future[LinkError] = self._loop.create_future()
        self._ended = ended
        steady: asyncio.TimerHandle | None = None
        try:
            link = await self._open(self._received, self._line_lost)
        except LinkError as error:
            self._first_attempt(error)
            return error
        try:
            self._link = link
            self._first_attempt(None)
            if self._tap is not None:
                self._tap.opened(self._loop.time())
            self._machine.connected(self._loop.time())
            # After an outage only a byte proves that the line is back: a gateway may
            # take a connection just to close it, again and again.
            if self._down_since is None:
                self._set_status(LinkStatus(LinkState.CONNECTED))
            elif not self._machine.asking:
                steady = self._loop.call_later(_STEADY_AFTER, self._is_up)
            self.advance()
            return await ended
        finally:
            self._link = None
            self._unheard = None
            if steady is not None:
                steady.cancel()
            await link.close()

    def _first_attempt(self, error: LinkError | None) -> None:
        if not self._opened.done():
            self._opened.set_result(error)

    def _went_down(self, error: LinkError) -> float:
        """Take note of it and return how long nothing has been heard."""
        now = self._loop.time()
        if self._down_since is None:
            self._down_since = now
        if self._tap is not None:
            self._tap.down(error.fault, now)
        self._set_status(LinkStatus(LinkState.DOWN, error.fault, str(error)))
        self._publish(self._machine.disconnected(now))
        self.advance()
        return now - self._down_since

    def _received(self, data: R) -> None:
        self._unheard = None
        if self._tap is not None:
            self._tap.heard(data, self._loop.time())
        self._is_up()
        self.advance(data)

    def _is_up(self) -> None:
        self._down_since = None
        self._set_status(LinkStatus(LinkState.CONNECTED))

    def _line_lost(self, error: Exception | None) -> None:
        if not isinstance(error, LinkError):
            detail = str(error) if error else "closed by the other side"
            error = LinkError(LinkFault.LOST, detail)
        self._end(error)

    def _end(self, error: LinkError) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    def _set_status(self, status: LinkStatus) -> None:
        if status == self.status:
            return
        self.status = status
        self._on_status(status)

    def _publish(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Written(wish, result):
                    _hand_over(self._waiting.pop(id(wish), None), result)
                case Settled(transaction, report):
                    _hand_over(self._settling.pop(id(transaction), None), report)
                case _:
                    pass
        if events:
            self._on_events(events)


def _hand_over[T](ended: asyncio.Future[T] | None, result: T) -> None:
    """Tell how it ended, unless nobody waits for that any more."""
    if ended is not None and not ended.done():
        ended.set_result(result)


def _pause(fault: LinkFault, outage: float, *, dear: bool = False) -> float:
    """Return how long to wait before the line is opened again."""
    match fault:
        case LinkFault.SILENT if not dear:
            # It opens well: asking on is how packs that wake up are noticed.
            longest = _RETRY_MIN
        case (
            LinkFault.NO_SUCH_PORT
            | LinkFault.NO_SUCH_INTERFACE
            | LinkFault.INTERFACE_DOWN
            | LinkFault.OUT_OF_RANGE
            | LinkFault.NO_ADAPTER
        ):
            longest = _RETRY_MAX_MISSING
        case _:
            longest = _RETRY_MAX
    return min(longest, max(_RETRY_MIN, outage / _RETRY_SHARE))
