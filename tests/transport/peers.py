"""Whom a link meets: gateways that record, swallow or speak RFC 2217, and what it heard itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
import socket
import time
from typing import Final, Self, override

from custom_components.jkbms.transport.link import Link
from simulator import Bank, PtyServer, SlaveLine, Speed, TcpServer

PATIENCE: Final = 10.0


async def soon[T](waited: Awaitable[T]) -> T:
    """The result, or a failure where a test would hang."""
    async with asyncio.timeout(PATIENCE):
        return await waited


async def until(
    condition: Callable[[], object], patience: float = PATIENCE, look: float = 0.01
) -> None:
    """Wait until something is so; look again after so many seconds."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(look)


@contextmanager
def without_spinning() -> Iterator[None]:
    """Fail where this process computes all the while; give it a second or more.

    Who spins gets a third of a core even beside five others on two cores; who waits takes
    a few hundredths of one, and a tenth of a second for what it does once.
    """
    begin, worked = time.monotonic(), time.process_time()
    yield
    passed = time.monotonic() - begin
    assert time.process_time() - worked < 0.1 + 0.15 * passed


def four_packs(speed: Speed = Speed.FAST) -> SlaveLine:
    """A line with four packs that keep their values."""
    return SlaveLine(Bank.default(still=True), speed=speed)


class Ears:
    """What a link has told."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.data = b""
        self.lost: list[Exception | None] = []

    def receive(self, data: bytes) -> None:
        """Take bytes."""
        self.data += data

    def lose(self, error: Exception | None) -> None:
        """Take the end of the line."""
        self.lost.append(error)

    async def heard(self, count: int) -> None:
        """Wait for so many bytes."""
        await until(lambda: len(self.data) >= count)

    async def open(self, url: str) -> Link:
        """Open a link that tells this object."""
        return await soon(Link.open(url, self.receive, self.lose))


class RecordingLine:
    """A line with nobody on it, that keeps what it hears."""

    faults = ()

    def __init__(self, says: bytes = b"") -> None:
        """Say something to whoever connects."""
        self._says = says
        self._due: float | None = None
        self.heard = b""
        self.connections = 0

    def connected(self, now: float) -> None:
        """Somebody has opened the line."""
        self.connections += 1
        self._due = now if self._says else None

    def receive(self, data: bytes, now: float) -> None:
        """Keep what was sent."""
        self.heard += data

    def due(self) -> float | None:
        """When it speaks."""
        return self._due

    def collect(self, now: float) -> list[bytes]:
        """What it says."""
        if self._due is None or now < self._due:
            return []
        self._due = None
        return [self._says]


type Server = TcpServer | PtyServer


@asynccontextmanager
async def deaf_host() -> AsyncIterator[str]:
    """A host that never answers a connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        try:
            for _ in range(8):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
                waiting.append(one)
            yield f"socket://127.0.0.1:{port}"
        finally:
            for one in waiting:
                one.close()


class Swallower(asyncio.Protocol):
    """A gateway that takes connections and reads nothing, or ends them at once."""

    def __init__(self, *, hang_up: bool = False) -> None:
        """Take a connection, or end it."""
        self._hang_up = hang_up
        self._server: asyncio.Server | None = None
        self.transports: list[asyncio.Transport] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        """Listen at any port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self, "127.0.0.1", 0)
        self.url = f"socket://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        assert self._server is not None
        for transport in self.transports:
            transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._hang_up:
            transport.abort()
            return
        transport.pause_reading()
        self.transports.append(transport)
