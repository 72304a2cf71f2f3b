"""Serves a CAN bus as adapters, gateways and daemons do: over a PTY or over TCP."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
import time

from ..faults import Fault
from ..server import Endpoint, PtyServer, TcpServer
from .bus import Bus
from .faults import damaged
from .sessions import RecordSession, Session, SocketcandSession
from .slcan import SlcanAdapter

CHANNEL = "can0"
"""The bus that the daemon offers."""

SETTLE = 0.05
"""Seconds from the daemon's answer to its first frame: python-can cannot tell them apart if they come together."""


class BusEndpoint(Endpoint):
    """An endpoint that looks at its bus again when another one has sent."""

    bus: Bus
    wire: str
    """What it speaks to its clients."""

    def _plug(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.bus.watchers.append(self._wake)

    def _unplug(self) -> None:
        with suppress(ValueError):
            self.bus.watchers.remove(self._wake)

    def _wake(self) -> None:
        self._loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        if self._wake in self.bus.watchers:
            self._pump()


class SlcanPtyServer(BusEndpoint, PtyServer):
    """A USB adapter: unplugged it loses what it was told."""

    wire = "slcan"

    def __init__(self, bus: Bus, link: Path | None = None) -> None:
        """Serve at a PTY the system chooses, and at the link if one is given."""
        self.bus = bus
        self.adapter = SlcanAdapter(bus)
        super().__init__(self.adapter, link)

    async def start(self) -> None:
        """Plug the adapter in."""
        self.adapter.power_up()
        await super().start()
        self._plug()

    async def stop(self) -> None:
        """Pull the adapter out."""
        self._unplug()
        self.adapter.power_up()
        await super().stop()


class SlcanTcpServer(BusEndpoint, TcpServer):
    """The same behind a port; a second client is turned away."""

    wire = "slcan"

    def __init__(self, bus: Bus, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve at a port, 0 for any."""
        self.bus = bus
        self.adapter = SlcanAdapter(bus)
        super().__init__(self.adapter, host, port, max_clients=1)

    async def start(self) -> None:
        """Switch the adapter on."""
        self.adapter.power_up()
        await super().start()
        self._plug()

    async def stop(self) -> None:
        """Switch it off."""
        self._unplug()
        self.adapter.power_up()
        await super().stop()


class _BusLine:
    """A bus as the line of a server whose clients have a session each."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self._bus.faults

    def connected(self, now: float) -> None:
        """The bus does not notice."""

    def receive(self, data: bytes, now: float) -> None:
        """Sessions take what clients send."""

    def due(self) -> float | None:
        return self._bus.due()

    def collect(self, now: float) -> list[bytes]:
        self._bus.advance(now)
        return []


class SessionServer(BusEndpoint, TcpServer):
    """A server whose clients share the bus and nothing else."""

    def __init__(
        self,
        bus: Bus,
        wire: str,
        begin: Callable[[float], Session],
        host: str,
        port: int,
    ) -> None:
        """Serve at a port, 0 for any; `begin` makes the session of a client at a time."""
        super().__init__(_BusLine(bus), host, port)
        self.bus = bus
        self.wire = wire
        self.sessions: dict[asyncio.Transport, Session] = {}
        self._begin = begin

    async def start(self) -> None:
        """Listen."""
        await super().start()
        self._plug()

    async def stop(self) -> None:
        """Close the port and every connection."""
        self._unplug()
        await super().stop()

    def welcome(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        self.sessions[transport] = self._begin(asyncio.get_running_loop().time())
        super().welcome(transport)

    def dismiss(self, transport: asyncio.Transport) -> None:
        """A client has gone."""
        super().dismiss(transport)
        self.sessions.pop(transport).end()

    def take(self, transport: asyncio.Transport, data: bytes) -> None:
        """A client has sent bytes."""
        session = self.sessions.get(transport)
        if session is not None and not self.silent:
            now = asyncio.get_running_loop().time()
            self.bus.advance(now)
            session.receive(data, now)
            self._pump()

    def _pump(self) -> None:
        super()._pump()
        now = asyncio.get_running_loop().time()
        for transport, session in self.sessions.items():
            said = damaged(self.line.faults, session.collect(now))
            if said and not self.silent:
                transport.write(said)
            if session.over:
                transport.close()


def serve_slcan_pty(bus: Bus, link: Path | None = None) -> SlcanPtyServer:
    """A USB adapter for `async with`; its `url` is known once entered."""
    return SlcanPtyServer(bus, link)


def serve_slcan_tcp(bus: Bus, host: str = "127.0.0.1", port: int = 0) -> SlcanTcpServer:
    """An adapter behind a port for `async with`; its `url` is known once entered."""
    return SlcanTcpServer(bus, host, port)


def serve_socketcand(
    bus: Bus,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    channel: str = CHANNEL,
    bitrate: int | None = None,
    settle: float = SETTLE,
) -> SessionServer:
    """A socketcand for `async with`; its interface has the bus's bit rate unless told otherwise."""

    def begin(now: float) -> Session:
        return SocketcandSession(
            bus,
            channel=channel,
            bitrate=bus.bitrate if bitrate is None else bitrate,
            epoch=time.time() - now,
            settle=settle,
        )

    return SessionServer(bus, "socketcand", begin, host, port)


def serve_can_tcp(
    bus: Bus, host: str = "127.0.0.1", port: int = 0, *, bitrate: int | None = None
) -> SessionServer:
    """A CAN-Ethernet gateway for `async with`; it has the bus's bit rate unless told otherwise."""

    def begin(now: float) -> Session:
        return RecordSession(
            bus, now=now, bitrate=bus.bitrate if bitrate is None else bitrate
        )

    return SessionServer(bus, "can-tcp", begin, host, port)
