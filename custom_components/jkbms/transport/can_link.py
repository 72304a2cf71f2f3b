"""One open CAN bus, whatever its adapter; it sends nothing that it was not told to."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, Self

from ..protocol.can.message import CanMessage
from .can_counts import CanCounts
from .can_port import CanAdapter, CanPort
from .can_record import RecordFramer, encode
from .can_thread import PAUSE, CanThread, Speaker
from .link import Link, LinkError, LinkFault

ACKNOWLEDGEMENT: Final = CanMessage(0x305, bytes(8), False)
"""What an inverter says to a bank (can.md 2.3)."""
_ACKNOWLEDGE_EVERY: Final = 1.0


class _Bus(Protocol):
    """A bus behind some adapter."""

    def send(self, message: CanMessage) -> None:
        """Send a frame."""

    async def close(self) -> None:
        """Give the adapter back."""


class CanLink:
    """An open bus: `receive` gets its frames in batches, `lost` is told once when it ends."""

    def __init__(
        self, lost: Callable[[Exception | None], None], counts: CanCounts
    ) -> None:
        """Prepare a bus; `open` makes one."""
        self._lost = lost
        self.counts = counts
        self._bus: _Bus | None = None
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        port: CanPort,
        receive: Callable[[list[CanMessage]], None],
        lost: Callable[[Exception | None], None],
        counts: CanCounts | None = None,
        speaker: Speaker | None = None,
    ) -> Self:
        """Open the bus; raises LinkError. A speaker says on it what it has to say."""
        if port.traits.bitrate and port.bitrate is None:
            # A guess would disturb a bus that works at another rate.
            raise LinkError(LinkFault.INVALID_ADDRESS, "its bit rate is not known yet")
        link = cls(lost, counts or CanCounts())
        if port.adapter is CanAdapter.CAN_TCP and speaker is None:
            bus = _RecordBus.open(port, link.counts, receive, link._ended)
            link._bus = await bus
        else:
            # Who speaks does so whatever the event loop is busy with.
            link._bus = await CanThread.open(
                port, link.counts, receive, link._ended, speaker
            )
        if port.acknowledge:
            link._acknowledge()
        return link

    def send(self, message: CanMessage) -> None:
        """Send a frame; what fails ends the bus."""
        if self._bus is not None:
            self._bus.send(message)

    async def close(self) -> None:
        """Give the adapter back; afterwards neither callback is called again."""
        self._stop()
        if (bus := self._bus) is not None:
            self._bus = None
            await bus.close()

    def _acknowledge(self) -> None:
        self.send(ACKNOWLEDGEMENT)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_ACKNOWLEDGE_EVERY, self._acknowledge)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ended(self, error: Exception | None) -> None:
        self._stop()
        self._lost(error)


class CanLine:
    """The way to a bus, to be opened as often as needed; its counts go on."""

    def __init__(self, port: CanPort, speaker: Speaker | None = None) -> None:
        """Name the way, and who speaks there."""
        self.port = port
        self._speaker = speaker
        self.counts = CanCounts()

    async def open(
        self,
        receive: Callable[[list[CanMessage]], None],
        lost: Callable[[Exception | None], None],
    ) -> CanLink:
        """Open the bus; raises LinkError."""
        return await CanLink.open(self.port, receive, lost, self.counts, self._speaker)


class _RecordBus:
    """A bus behind a gateway that passes records of 13 bytes."""

    _link: Link

    def __init__(
        self, counts: CanCounts, receive: Callable[[list[CanMessage]], None]
    ) -> None:
        self._framer = RecordFramer()
        self._counts = counts
        self._receive = receive

    @classmethod
    async def open(
        cls,
        port: CanPort,
        counts: CanCounts,
        receive: Callable[[list[CanMessage]], None],
        lost: Callable[[Exception | None], None],
    ) -> Self:
        bus = cls(counts, receive)
        host = f"[{port.host}]" if ":" in str(port.host) else port.host
        url = f"socket://{host}:{port.port}"
        bus._link = await Link.open(url, bus._received, lost, PAUSE)
        return bus

    def send(self, message: CanMessage) -> None:
        self._link.write(encode(message))

    async def close(self) -> None:
        await self._link.close()

    def _received(self, data: bytes) -> None:
        framer, counts = self._framer, self._counts
        skipped, remote = framer.skipped, framer.remote
        messages = framer.feed(data)
        counts.frames += len(messages)
        counts.skipped += framer.skipped - skipped
        counts.ignored += framer.remote - remote
        if messages:
            self._receive(messages)
