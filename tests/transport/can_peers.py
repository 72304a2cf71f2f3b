"""Whom a CAN link meets, and what it heard itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
import struct
import sys
import threading
from typing import Any, ClassVar, Final, override
from urllib.parse import urlsplit

import can

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport.can_link import CanLink
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from simulator import Speed
from simulator.can import (
    Bus,
    frame_of,
    serve_can_tcp,
    serve_slcan_pty,
    serve_slcan_tcp,
    serve_socketcand,
)

from .peers import until

KINDS: Final = ("slcan-pty", "slcan-tcp", "socketcand", "can-tcp")
"""The adapters whose real counterparts a test can be."""
THREADS: Final = "jkbms "
"""How the names of reader threads begin."""


def fast_bus() -> Bus:
    """A bus on which frames take no time, at the bit rate of the ports here."""
    return Bus(bitrate=500_000, speed=Speed.FAST)


def readers() -> list[threading.Thread]:
    """The reader threads that are alive."""
    return [one for one in threading.enumerate() if one.name.startswith(THREADS)]


def tcp_port(kind: str, host: str, port: int, **options: Any) -> CanPort:
    """The way to something that listens there."""
    match kind:
        case "slcan-tcp":
            url = f"socket://{host}:{port}"
            return CanPort(
                adapter=CanAdapter.SLCAN,
                channel=url,
                **({"bitrate": 500_000} | options),
            )
        case "socketcand":
            return CanPort(
                adapter=CanAdapter.SOCKETCAND,
                channel="can0",
                host=host,
                port=port,
                **options,
            )
        case _:
            return CanPort(adapter=CanAdapter.CAN_TCP, host=host, port=port, **options)


def device_port(device: str | Path, **options: Any) -> CanPort:
    """The way through an slcan adapter at a serial port."""
    return CanPort(
        adapter=CanAdapter.SLCAN,
        channel=str(device),
        **({"bitrate": 500_000} | options),
    )


def port_of(kind: str, url: str, **options: Any) -> CanPort:
    """The way to a simulated server."""
    if kind == "slcan-pty":
        return device_port(url, **options)
    parts = urlsplit(url)
    return tcp_port(kind, str(parts.hostname), int(parts.port or 0), **options)


def serve(kind: str, bus: Bus, link: Path | None = None, **options: Any) -> Any:
    """A bus behind one of the kinds."""
    match kind:
        case "slcan-pty":
            return serve_slcan_pty(bus, link, **options)
        case "slcan-tcp":
            return serve_slcan_tcp(bus, **options)
        case "socketcand":
            return serve_socketcand(bus, **options)
        case _:
            return serve_can_tcp(bus, **options)


def numbered(number: int) -> CanMessage:
    """A frame that says which one it is, with 11 and 29 bits in turn."""
    data = struct.pack("<Q", number)
    if number % 2:
        return CanMessage(0x18F128F4, data, True)
    return CanMessage(0x2F4, data, False)


def say(bus: Bus, *messages: CanMessage) -> None:
    """Let somebody on the bus send frames."""
    now = asyncio.get_running_loop().time()
    for message in messages:
        bus.send(frame_of(message.id, message.data, extended=message.extended), now)


class CanEars:
    """What a link has told."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.messages: list[CanMessage] = []
        self.batches = 0
        self.lost: list[Exception | None] = []

    def receive(self, messages: list[CanMessage]) -> None:
        """Take frames."""
        assert messages
        self.batches += 1
        self.messages += messages

    def lose(self, error: Exception | None) -> None:
        """Take the end of the bus."""
        self.lost.append(error)

    async def heard(self, count: int) -> None:
        """Wait for so many frames."""
        await until(lambda: len(self.messages) >= count)

    async def open(self, port: CanPort) -> CanLink:
        """Open a link that tells this object."""
        async with asyncio.timeout(20):
            return await CanLink.open(port, self.receive, self.lose)

    @asynccontextmanager
    async def listening(self, port: CanPort) -> AsyncIterator[CanLink]:
        """A link that is closed at the end."""
        link = await self.open(port)
        try:
            # socketcand takes a moment to open its raw socket.
            await asyncio.sleep(0.1)
            yield link
        finally:
            await link.close()


type Script = Callable[["ScriptedBus"], Any]


class ScriptedBus(can.BusABC):
    """A backend of python-can that does what a test says; stands in for adapters that need drivers."""

    on_open: ClassVar[Script | None] = None
    on_recv: ClassVar[Callable[[ScriptedBus, float | None], can.Message | None]]
    on_shutdown: ClassVar[Script | None] = None
    sent: ClassVar[list[can.Message]]
    made: ClassVar[list[dict[str, Any]]]

    def __init__(self, channel: Any, **arguments: Any) -> None:
        """Open as the script says."""
        type(self).made.append({"channel": channel, **arguments})
        if (script := type(self).on_open) is not None:
            script(self)
        super().__init__(channel)

    @override
    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        return type(self).on_recv(self, timeout), False

    @override
    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        type(self).sent.append(msg)

    @override
    def shutdown(self) -> None:
        super().shutdown()
        if (script := type(self).on_shutdown) is not None:
            script(self)


class PeerProcess:
    """A simulated server in a process of its own, that can be killed."""

    def __init__(self, kind: str, port: int = 0) -> None:
        """Serve at a port, 0 for any."""
        self._kind = kind
        self.port = port
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Run, and wait until it can be reached."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.transport.can_daemon",
            self._kind,
            str(self.port),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())

    async def kill(self) -> None:
        """End it without any farewell."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None
