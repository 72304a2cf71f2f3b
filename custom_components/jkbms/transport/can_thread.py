"""One bus of python-can in one thread of its own, from opening to shutting down."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from ..protocol.can.message import CanMessage
from .can_counts import CanCounts
from .can_driver import Sender, opened
from .can_faults import ending_error, opening_error
from .can_intake import WAIT
from .can_port import CanAdapter, CanPort
from .link import LinkError, LinkFault, fault_of

if TYPE_CHECKING:
    import can

_LOGGER: Final = logging.getLogger(__name__)
_OPEN_TIMEOUT: Final = 10.0
_CLOSE_TIMEOUT: Final = 5.0
_SEND_TIMEOUT: Final = 0.5
_LAST_PACE: Final = 0.02
"""Seconds between two of the last words: the quickest that a JK is (can.md 2.1)."""
_LAST_WORDS: Final = 0.1
PAUSE: Final = 0.05
"""Seconds between two batches: 16 packs wake the event loop 20 times a second, not 550."""
_CROWD: Final = 100
"""So many frames in a batch leave no time for a pause: buffers would run over."""
_MOST_UNSENT: Final = 16
_ERRORS: Final = 20
_ERRORS_FOR: Final = 3.0
"""Seconds of errors without one frame that tell a wrong bit rate from a disturbance."""
_BUS_OFF: Final = 0x40
"""Class of an error frame: the controller has left the bus, and stays away."""

_left_behind: dict[str, threading.Thread] = {}
"""Threads that are stuck in a driver, by the name of their port."""


class Speaker(Protocol):
    """Who has something to say on a bus, at times of its own; driven by the thread alone."""

    def begin(self, now: float) -> None:
        """Begin on a bus that was opened."""

    def hear(self, messages: Iterable[CanMessage], now: float) -> list[CanMessage]:
        """Take note of what others say; return it, without what some gateways send back."""

    def due(self, now: float) -> float:
        """Return when to call `advance` next, at the latest."""

    def advance(self, now: float) -> list[CanMessage]:
        """Return what is to be sent now."""

    def farewell(self, now: float) -> list[CanMessage]:
        """Return what to send before the bus is closed."""


class CanThread:
    """Reads a bus; every exception of its backend ends it."""

    def __init__(
        self,
        port: CanPort,
        counts: CanCounts,
        receive: Callable[[list[CanMessage]], None],
        lost: Callable[[Exception | None], None],
        speaker: Speaker | None = None,
    ) -> None:
        """Prepare a bus; `open` makes one."""
        self._port = port
        self._speaker = speaker
        self._counts = counts
        self._receive = receive
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        """Whose time the values carry that are spoken of; it may be read by any thread."""
        self._opened: asyncio.Future[LinkError | None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closing = threading.Event()
        self._unsent: deque[CanMessage] = deque(maxlen=_MOST_UNSENT)
        self._heard = 0.0
        self._errors = 0
        """Error frames since the last good one."""
        self._damaged = 0
        """Damaged ones since then."""
        # A daemon: what is stuck in a driver must not keep the system from stopping.
        self._thread = threading.Thread(
            target=self._run, name=f"jkbms {port.name}", daemon=True
        )

    @classmethod
    async def open(
        cls,
        port: CanPort,
        counts: CanCounts,
        receive: Callable[[list[CanMessage]], None],
        lost: Callable[[Exception | None], None],
        speaker: Speaker | None = None,
    ) -> Self:
        """Open the bus; raises LinkError."""
        bus = cls(port, counts, receive, lost, speaker)
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT):
                await bus._start()
        except TimeoutError:
            bus._leave()
            raise LinkError(
                LinkFault.TIMEOUT, f"{port.name} does not open, nor does it fail"
            ) from None
        except asyncio.CancelledError:
            bus._leave()
            raise
        return bus

    async def _start(self) -> None:
        while self._port.name in _left_behind:
            # No second thread into a driver in which one is stuck.
            if not _left_behind[self._port.name].is_alive():
                del _left_behind[self._port.name]
                break
            await asyncio.sleep(PAUSE)
        if self._port.adapter is CanAdapter.SOCKETCAND:
            await _greet(self._port)
        self._thread.start()
        if (error := await self._opened) is not None:
            self._thread.join()
            raise error

    def send(self, message: CanMessage) -> None:
        """Send a frame, soon; what fails ends the bus."""
        self._unsent.append(message)

    async def close(self) -> None:
        """Give the port back; afterwards neither callback is called again."""
        self._silence()
        done, _ = await asyncio.wait([self._ended], timeout=_CLOSE_TIMEOUT)
        if done:
            self._thread.join()
        else:
            _LOGGER.warning("%s does not close", self._port.name)
            self._leave()

    def _silence(self) -> None:
        self._receive = _ignore
        self._lost = _ignore
        self._closing.set()

    def _leave(self) -> None:
        """Let the thread end by itself, if it ever does."""
        self._silence()
        if self._thread.is_alive():
            _left_behind[self._port.name] = self._thread

    def _run(self) -> None:
        """Be the thread."""
        opening = True
        error: LinkError | None = None
        try:
            with opened(self._port) as (bus, intake):
                messages = intake.take()
                opening = False
                self._tell(self._has_opened, None)
                self._heard = time.monotonic()
                if self._speaker is not None:
                    self._speaker.begin(self._clock())
                while True:
                    self._pass_on(messages)
                    if self._closing.wait(self._pause(len(messages))):
                        break
                    self._send_all(bus)
                    messages = intake.take(self._patience())
                self._say_farewell(bus)
        except Exception as raised:  # noqa: BLE001  # a backend raises whatever its driver does
            if opening:
                error = opening_error(raised, self._port)
            else:
                error = ending_error(raised)
        if opening:
            self._tell(self._has_opened, error)
        else:
            self._tell(self._has_ended, error)

    def _pause(self, heard: int) -> float:
        """Return how long to let messages gather; who speaks has no time for that.

        Each wait may cost 5 ms where the event loop is busy: there is one per message.
        """
        return 0.0 if self._speaker is not None or heard >= _CROWD else PAUSE

    def _patience(self) -> float:
        """Return how long to listen, no longer than until something is to be said."""
        if self._speaker is None:
            return WAIT
        now = self._clock()
        return max(0.0, min(WAIT, self._speaker.due(now) - now))

    def _tell[T](self, told: Callable[[T], None], what: T) -> None:
        try:
            self._loop.call_soon_threadsafe(told, what)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            self._closing.set()

    def _pass_on(self, heard: list[can.Message]) -> None:
        messages = [one for message in heard if (one := self._sort(message))]
        if messages:
            self._heard = time.monotonic()
            self._errors = self._damaged = 0
            if self._speaker is not None:
                messages = self._speaker.hear(messages, self._clock())
            if messages:
                self._tell(self._hand_over, messages)
        elif time.monotonic() > self._heard + _ERRORS_FOR:
            if self._errors >= _ERRORS:
                raise LinkError(LinkFault.BUS_ERRORS, "nothing but errors on the bus")
            if self._damaged >= _ERRORS:
                # Another device is at this port.
                raise LinkError(LinkFault.LOST, "nothing but bytes that are no frames")

    def _sort(self, message: can.Message) -> CanMessage | None:
        """Return what a BMS may have said; count the rest."""
        if message.is_error_frame:
            self._counts.errors += 1
            self._errors += 1
            if self._port.adapter in _TELLS_BUS_OFF and (
                message.arbitration_id & _BUS_OFF
            ):
                raise LinkError(LinkFault.BUS_ERRORS, "the adapter has left the bus")
            return None
        if message.is_remote_frame or message.is_fd or not message.is_rx:
            self._counts.ignored += 1
            return None
        if len(message.data) != message.dlc:
            self._counts.damaged += 1
            self._damaged += 1
            return None
        self._counts.frames += 1
        return CanMessage(
            message.arbitration_id, bytes(message.data), message.is_extended_id
        )

    def _send_all(self, bus: Sender) -> None:
        while self._unsent:
            self._send(bus, self._unsent.popleft())
        if self._speaker is not None:
            for message in self._speaker.advance(self._clock()):
                self._send(bus, message)

    def _say_farewell(self, bus: Sender) -> None:
        if self._speaker is None:
            return
        if messages := self._speaker.farewell(self._clock()):
            for message in messages:
                self._send(bus, message)
                time.sleep(_LAST_PACE)
            # An adapter that is closed forgets what it has not sent yet.
            time.sleep(_LAST_WORDS)

    def _send(self, bus: Sender, message: CanMessage) -> None:
        import can  # noqa: PLC0415  # by now it is loaded

        bus.send(
            can.Message(
                arbitration_id=message.id,
                data=message.data,
                is_extended_id=message.extended,
            ),
            _SEND_TIMEOUT,
        )

    # From here on: on the event loop.

    def _has_opened(self, error: LinkError | None) -> None:
        if not self._opened.done():
            self._opened.set_result(error)

    def _hand_over(self, messages: list[CanMessage]) -> None:
        self._receive(messages)

    def _has_ended(self, error: LinkError | None) -> None:
        self._ended.set_result(None)
        self._lost(error)


_TELLS_BUS_OFF: Final = (CanAdapter.SOCKETCAN, CanAdapter.GS_USB)


async def _greet(port: CanPort) -> None:
    """Raise LinkError where no socketcand greets.

    python-can hammers a closed port for 10 s with a whole core, and waits for ever for
    a greeting.
    """
    try:
        reader, writer = await asyncio.open_connection(port.host, port.port)
        try:
            greeting = await reader.readuntil(b">")
        finally:
            writer.close()
    except OSError as error:
        raise LinkError(fault_of(error), str(error) or repr(error)) from error
    except asyncio.IncompleteReadError, asyncio.LimitOverrunError:
        greeting = b""
    if greeting != b"< hi >":
        raise LinkError(LinkFault.REFUSED, f"no socketcand at {port.name}")


def _ignore(_: object) -> None:
    """Take no notice: the owner has closed the bus."""
