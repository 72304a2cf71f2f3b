"""Serves a line over TCP like a transparent gateway, or over a PTY like a USB adapter."""

from abc import ABC, abstractmethod
import asyncio
from contextlib import suppress
import os
from pathlib import Path
import select
import termios
import tty
from types import TracebackType
from typing import Final, Self

from .faults import Close, Outage
from .line import Line

_READ: Final = 4096
_LOOK: Final = 0.02
"""Seconds between looks whether somebody has opened the PTY."""


class Endpoint(ABC):
    """Moves bytes between a line and whoever is connected, at the line's pace."""

    def __init__(self, line: Line) -> None:
        """Serve a line, once entered or started."""
        self.line = line
        self.silent = False
        self._timer: asyncio.TimerHandle | None = None
        self._outages: list[asyncio.Task[None]] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """What to name in a client to reach this endpoint."""

    @abstractmethod
    async def start(self) -> None:
        """Be reachable, also again after `stop`."""

    @abstractmethod
    async def stop(self) -> None:
        """Be unreachable and let go of every client."""

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Hand bytes to whoever is connected."""

    async def __aenter__(self) -> Self:
        """Start, and let the line's outages run."""
        await self.start()
        self._outages = [
            asyncio.create_task(self._suffer(fault))
            for fault in self.line.faults
            if isinstance(fault, Outage)
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop without leaving a task, a timer or an open file."""
        for task in self._outages:
            task.cancel()
        await asyncio.gather(*self._outages, return_exceptions=True)
        await self.stop()

    def go_silent(self) -> None:
        """Stay connected, but pass nothing on in either direction."""
        self.silent = True

    def speak(self) -> None:
        """Pass bytes on again."""
        self.silent = False

    async def _suffer(self, outage: Outage) -> None:
        await asyncio.sleep(outage.after)
        while True:
            if isinstance(outage, Close):
                await self.stop()
                await asyncio.sleep(outage.length)
                await self.start()
            else:
                self.go_silent()
                await asyncio.sleep(outage.length)
                self.speak()
            if not outage.every:
                return
            await asyncio.sleep(max(outage.every - outage.length, 0.0))

    def _received(self, data: bytes) -> None:
        if not self.silent:
            self.line.receive(data, asyncio.get_running_loop().time())
            self._pump()

    def _pump(self) -> None:
        """Pass on what has arrived, and come back when more is due."""
        loop = asyncio.get_running_loop()
        for piece in self.line.collect(loop.time()):
            if not self.silent:
                self._send(piece)
        self._rest()
        due = self.line.due()
        if due is not None:
            self._timer = loop.call_at(due, self._pump)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TcpServer(Endpoint):
    """A gateway in transparent mode: all clients share one stream."""

    def __init__(
        self,
        line: Line,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        max_clients: int | None = None,
    ) -> None:
        """Serve at a port, 0 for any; clients beyond the most are closed at once."""
        super().__init__(line)
        self.host = host
        self.port = port
        self.max_clients = max_clients
        self._server: asyncio.Server | None = None
        self._clients: list[asyncio.Transport] = []

    @property
    def url(self) -> str:
        """A pyserial style URL."""
        return f"socket://{self.host}:{self.port}"

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    async def start(self) -> None:
        """Listen, at the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Client(self), self.host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._pump()

    async def stop(self) -> None:
        """Close the port and every connection."""
        self._rest()
        if self._server is None:
            return
        self._server.close()
        self.drop_clients()
        await self._server.wait_closed()
        self._server = None

    def drop_clients(self) -> None:
        """Close every connection, as a gateway that restarts."""
        for transport in self._clients:
            transport.abort()
        self._clients.clear()

    def _send(self, data: bytes) -> None:
        for transport in self._clients:
            transport.write(data)

    def welcome(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        if self.max_clients is not None and len(self._clients) >= self.max_clients:
            transport.abort()
            return
        self._clients.append(transport)
        self.line.connected(asyncio.get_running_loop().time())
        self._pump()

    def dismiss(self, transport: asyncio.Transport) -> None:
        """A client has gone."""
        if transport in self._clients:
            self._clients.remove(transport)

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """A client has sent bytes."""
        if transport in self._clients:
            self._received(data)


class _Client(asyncio.Protocol):
    """One connection of the gateway."""

    _transport: asyncio.Transport

    def __init__(self, server: TcpServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.welcome(transport)

    def data_received(self, data: bytes) -> None:
        self._server.take(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.dismiss(self._transport)


class PtyServer(Endpoint):
    """A USB adapter: a PTY, and a symbolic link that stays the same when it is plugged again."""

    def __init__(self, line: Line, link: Path | None = None) -> None:
        """Serve at a PTY the system chooses, and at the link if one is given."""
        super().__init__(line)
        self.link = link
        self._master: int | None = None
        self._path = ""
        self._poll = select.poll()
        self._look: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        """The path to open."""
        return str(self.link) if self.link is not None else self._path

    async def start(self) -> None:
        """Plug the adapter in."""
        self._master, slave = os.openpty()
        self._path = os.ttyname(slave)
        tty.setraw(slave)
        # Only with every slave end closed does the master tell when a client comes or goes.
        os.close(slave)
        os.set_blocking(self._master, False)
        self._poll.register(self._master, select.POLLIN)
        if self.link is not None:
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(self._path)
        self._await_client()
        self._pump()

    async def stop(self) -> None:
        """Pull the adapter out."""
        self._rest()
        if self._master is None:
            return
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self.link is not None:
            self.link.unlink(missing_ok=True)
        asyncio.get_running_loop().remove_reader(self._master)
        self._poll.unregister(self._master)
        os.close(self._master)
        self._master = None

    def _await_client(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._master is not None
        if any(events & select.POLLHUP for _, events in self._poll.poll(0)):
            self._look = loop.call_later(_LOOK, self._await_client)
            return
        self._look = None
        loop.add_reader(self._master, self._readable)
        self.line.connected(loop.time())
        self._pump()

    def _readable(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._received(data)
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self._forget_unread()
        self._await_client()

    def _forget_unread(self) -> None:
        """Drop what the client that left had not read, as a closed port does."""
        with suppress(OSError):
            slave = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            termios.tcflush(slave, termios.TCIFLUSH)
            os.close(slave)

    def _send(self, data: bytes) -> None:
        # A client that does not read loses bytes, as from a full adapter.
        if self._master is not None and self._look is None:
            with suppress(BlockingIOError, OSError):
                os.write(self._master, data)


def serve_tcp(
    line: Line,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    max_clients: int | None = None,
) -> TcpServer:
    """A gateway for `async with`; its `url` is known once entered."""
    return TcpServer(line, host, port, max_clients=max_clients)


def serve_pty(line: Line, link: Path | None = None) -> PtyServer:
    """A USB adapter for `async with`; its `url` is known once entered."""
    return PtyServer(line, link)
