"""Programs that have opened an adapter or a port, without python-can."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
import os

from simulator import TcpServer

PATIENCE = 10.0


async def soon[T](waited: Awaitable[T]) -> T:
    """The result, or a failure where a test would hang."""
    async with asyncio.timeout(PATIENCE):
        return await waited


class Tcp:
    """A client of a port."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take over the two halves of a connection."""
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self, count: int) -> bytes:
        return await soon(self._reader.readexactly(count))

    async def until(self, end: bytes) -> bytes:
        return await soon(self._reader.readuntil(end))

    async def ask(self, text: bytes, answer: bytes) -> None:
        self.send(text)
        assert await self.read(len(answer)) == answer

    async def end(self) -> bytes:
        """What comes until the connection is closed."""
        try:
            return await soon(self._reader.read())
        except ConnectionResetError:
            return b""

    async def quiet(self, seconds: float = 0.3) -> None:
        """Read on until nothing more comes."""
        while not await self.hears_nothing(seconds):
            pass

    async def hears_nothing(self, seconds: float = 0.3) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._reader.read(4096)
                # Whoever hears the end would hear it for ever.
                assert not self._reader.at_eof()
                return False
        return True


@asynccontextmanager
async def connected(server: TcpServer) -> AsyncIterator[Tcp]:
    """A connection to a port."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        yield Tcp(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await soon(writer.wait_closed())


class Pty:
    """A program that has opened a serial port."""

    def __init__(self, path: str) -> None:
        """Open the port without waiting for anything."""
        self.handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self.handle)

    async def until(self, end: bytes) -> bytes:
        """What comes up to some bytes."""
        data = b""
        async with asyncio.timeout(PATIENCE):
            while end not in data:
                data += await self._some()
        return data

    async def _some(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.handle, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.handle)
        return os.read(self.handle, 4096)
