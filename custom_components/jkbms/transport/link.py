"""One open line: a serial port, a gateway, or a proxy, behind one URL."""

import asyncio
from collections.abc import Awaitable, Callable
import contextlib
from enum import StrEnum
import errno
import importlib
import re
import socket
from typing import TYPE_CHECKING, Final, Self, override
from urllib.parse import urlsplit

from serialx import SerialException, create_serial_connection
from serialx.common import UnknownUriScheme

from ..protocol.pacing import MODBUS_TCP, NETWORK, SERIAL, Timing

if TYPE_CHECKING:
    from .modbus_tcp import ModbusTcpLine

BAUD_RATE: Final = 115_200
"""8N1, on every JK port but the protocols 013 and 014 (rs485.md 1.1)."""
MODBUS_SCHEME: Final = "modbus-tcp"
"""Of a gateway that converts: `modbus-tcp://host:port`."""
_CONNECT_TIMEOUT: Final = 10.0
_CLOSE_TIMEOUT: Final = 5.0
_TCP_SCHEMES: Final = frozenset({"socket", "tcp"})
_MOST: Final = 65_536.0
"""Bytes in a second that are taken in for long: five times what RS485 carries, and what a
full CAN bus takes as records. A peer that says more is no line; it waits for its turn."""
_AT_ONCE: Final = 2048
"""Bytes that are taken in before others have their turn: no peer may hold everybody up."""
_IN_ADVANCE: Final = 0.5
"""Seconds: a gateway may have kept something while the network was away."""
_MOST_WAITING: Final = 2**19
"""Bytes, where a transport cannot be made to wait; what comes beyond them is lost."""
_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
"""A gateway that lost its power is noticed within 30 s."""


class LinkFault(StrEnum):
    """Why a line cannot be used, as its owner has to tell apart."""

    NO_SUCH_PORT = "no_such_port"
    NO_PERMISSION = "no_permission"
    BUSY = "busy"
    """Another program has the port."""
    REFUSED = "refused"
    """The gateway is there and does not want this connection."""
    UNKNOWN_HOST = "unknown_host"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    INVALID_ADDRESS = "invalid_address"
    LOST = "lost"
    """The line was open and has closed."""
    SILENT = "silent"
    """The line is open, and nobody on it answers."""
    MISSING_DRIVER = "missing_driver"
    """What a CAN adapter needs is not installed, or not in this system."""
    NO_SUCH_INTERFACE = "no_such_interface"
    INTERFACE_DOWN = "interface_down"
    """The CAN interface is there and was not brought up."""
    BUS_ERRORS = "bus_errors"
    """A CAN bus on which nothing but errors is heard: its bit rate is another one."""
    OUT_OF_RANGE = "out_of_range"
    """A pack on Bluetooth is not seen: off, too far, or connected to somebody else."""
    IN_USE = "in_use"
    """It is seen, and does not let this side in."""
    NO_SLOT = "no_slot"
    """The adapters and proxies that see it hold as many connections as they can."""
    NO_ADAPTER = "no_adapter"
    """There is no Bluetooth, or nothing that can make connections."""
    UNPAIRED = "unpaired"
    """It talks to those only that it is paired with (firmware 19.30 and later)."""
    NO_BMS = "no_bms"
    """What is connected offers none of the services of a JK BMS."""
    RELEASED = "released"
    """Its owner has let the phone app in."""
    FAILED = "failed"


class LinkError(Exception):
    """A line cannot be opened; `fault` says why."""

    def __init__(self, fault: LinkFault, detail: str) -> None:
        """Keep the fault beside the words of the operating system."""
        super().__init__(detail)
        self.fault = fault


_BY_ERRNO: Final = {
    errno.ENOENT: LinkFault.NO_SUCH_PORT,
    errno.ENXIO: LinkFault.NO_SUCH_PORT,
    errno.ENODEV: LinkFault.NO_SUCH_PORT,
    errno.ENOTDIR: LinkFault.NO_SUCH_PORT,
    errno.EACCES: LinkFault.NO_PERMISSION,
    errno.EPERM: LinkFault.NO_PERMISSION,
    errno.EBUSY: LinkFault.BUSY,
    errno.EAGAIN: LinkFault.BUSY,
    errno.ECONNREFUSED: LinkFault.REFUSED,
    errno.ECONNRESET: LinkFault.REFUSED,
    errno.ECONNABORTED: LinkFault.REFUSED,
    errno.EHOSTUNREACH: LinkFault.UNREACHABLE,
    errno.ENETUNREACH: LinkFault.UNREACHABLE,
    errno.EHOSTDOWN: LinkFault.UNREACHABLE,
    errno.ETIMEDOUT: LinkFault.TIMEOUT,
    errno.ENOTTY: LinkFault.INVALID_ADDRESS,
    errno.EISDIR: LinkFault.INVALID_ADDRESS,
}
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


def fault_of(error: Exception) -> LinkFault:
    """Name the fault behind an error of opening a line."""
    match error:
        case TimeoutError():
            return LinkFault.TIMEOUT
        case socket.gaierror():
            return LinkFault.UNKNOWN_HOST
        case OSError(errno=None):
            return _fault_among(_ERRNO.findall(str(error)))
        case OSError():
            return _BY_ERRNO.get(error.errno or 0, LinkFault.FAILED)
        case ValueError() | UnknownUriScheme():
            return LinkFault.INVALID_ADDRESS
        case _:
            return LinkFault.FAILED


def _fault_among(numbers: list[str]) -> LinkFault:
    """Name the fault where a name stands for several addresses and each has failed.

    asyncio joins their errors in one text; where one refuses, a gateway is there.
    """
    faults = [_BY_ERRNO.get(int(number), LinkFault.FAILED) for number in numbers]
    if LinkFault.REFUSED in faults:
        return LinkFault.REFUSED
    return faults[-1] if faults else LinkFault.FAILED


def is_network(url: str) -> bool:
    """Tell whether the line is reached over a network."""
    return "://" in url and not url.startswith("device://")


def timing_of(url: str) -> Timing:
    """Return what to expect of the line before anything is learnt."""
    if is_modbus(url):
        return MODBUS_TCP
    return NETWORK if is_network(url) else SERIAL


def is_modbus(url: str) -> bool:
    """Tell whether a gateway is told to carry Modbus alone."""
    return url.startswith(f"{MODBUS_SCHEME}://")


class Link(asyncio.Protocol):
    """An open line: `receive` gets its bytes, `lost` is told once when it ends."""

    def __init__(
        self,
        receive: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        """Prepare a line; `open` makes one."""
        self._receive = receive
        self._lost = lost
        self._rest = 0.0
        self._waiting = bytearray()
        self._paid = 0.0
        """Until when what was taken in is allowed for."""
        self._reading: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.get_running_loop().create_future()

    @property
    def waiting(self) -> int:
        """How many bytes were handed over and have to wait for their turn."""
        return len(self._waiting)

    @classmethod
    async def open(
        cls,
        url: str,
        receive: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
        rest: float = 0.0,
    ) -> Self:
        """Open the line for this process alone; raises LinkError.

        With `rest`, bytes are fetched no more often than every so many seconds; what
        trickles in meanwhile waits in the kernel.
        """
        link = cls(receive, lost)
        link._rest = rest
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await link._connect(url)
        except Exception as error:
            # Proxies raise whatever their own libraries do; each means "not open".
            await link.close()
            raise LinkError(fault_of(error), str(error) or repr(error)) from error
        return link

    async def _connect(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        if parts.scheme in _TCP_SCHEMES:
            if not parts.hostname or not parts.port:
                raise ValueError(f"{url}: host and port are needed")
            # serialx offers no way to its socket, and without keep-alive a gateway
            # that lost its power looks like packs that are asleep.
            transport, _ = await loop.create_connection(
                lambda: self, parts.hostname, parts.port
            )
            keep_alive(transport.get_extra_info("socket"))
            return
        await create_serial_connection(
            loop, lambda: self, url, baudrate=BAUD_RATE, exclusive=True
        )

    def write(self, data: bytes) -> None:
        """Send bytes; what a broken line swallows shows as a missing answer."""
        if self._transport is not None:
            with contextlib.suppress(OSError, SerialException):
                self._transport.write(data)

    async def close(self) -> None:
        """Give the port back; afterwards neither callback is called again."""
        self._receive = _ignore
        self._lost = _ignore
        transport = self._transport
        if transport is None:
            return
        transport.close()
        if not await self._has_closed():
            # Bytes that nobody takes, or a server that does not answer.
            transport.abort()
            await self._has_closed()

    async def _has_closed(self) -> bool:
        done, _ = await asyncio.wait([self._closed], timeout=_CLOSE_TIMEOUT)
        return bool(done)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        """Pass the bytes on, a little at a time where there are many."""
        self._waiting += data[: _MOST_WAITING - len(self._waiting)]
        if self._reading is None:
            self._pass_on()

    def _pass_on(self) -> None:
        """Pass on what others can wait for, and say when to go on."""
        piece = bytes(self._waiting[:_AT_ONCE])
        del self._waiting[:_AT_ONCE]
        loop = asyncio.get_running_loop()
        now = loop.time()
        # What was not taken in lately may be taken in at once.
        self._paid = max(self._paid, now - _IN_ADVANCE) + len(piece) / _MOST
        pause = max(self._rest, self._paid - now)
        if pause > 0 or self._waiting:
            self._pause(paused=True)
            self._reading = loop.call_later(max(pause, 0.0), self._go_on)
        self._receive(piece)

    def _go_on(self) -> None:
        self._reading = None
        if self._waiting:
            self._pass_on()
        else:
            self._pause(paused=False)

    def _pause(self, *, paused: bool) -> None:
        assert self._transport is not None
        with contextlib.suppress(NotImplementedError):
            # A proxy that hands over what it gets knows no pause.
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the line has ended."""
        self._transport = None
        if self._reading is not None:
            self._reading.cancel()
        if self._waiting:
            self._receive(bytes(self._waiting[:_AT_ONCE]))
        self._closed.set_result(None)
        self._lost(exc)


def line_at(
    url: str,
) -> Callable[
    [Callable[[bytes], None], Callable[[Exception | None], None]],
    Awaitable[Link | ModbusTcpLine],
]:
    """Return what opens the line behind a URL, as often as needed."""

    async def open_line(
        receive: Callable[[bytes], None], lost: Callable[[Exception | None], None]
    ) -> Link | ModbusTcpLine:
        if is_modbus(url):
            # pymodbus costs 14 ms to import: only where it is used, and not here.
            loop = asyncio.get_running_loop()
            module = await loop.run_in_executor(
                None, importlib.import_module, f"{__package__}.modbus_tcp"
            )
            line: ModbusTcpLine = await module.ModbusTcpLine.open(url, receive, lost)
            return line
        return await Link.open(url, receive, lost)

    return open_line


def _ignore(_: object) -> None:
    """Take no notice: the owner has closed the line."""


def keep_alive(connection: socket.socket) -> None:
    """Have a peer that vanished noticed, also where nothing is ever sent."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
