"""A gateway that converts Modbus TCP: it knows Modbus, and loses everything else.

Requests of all clients wait in one queue; each is put on the line as Modbus RTU, and
what comes back is passed on only if it is a whole Modbus answer (rs485.md 1.6).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from random import Random
import struct
from typing import Any, Final, get_type_hints

from .checks import crc_fits, with_crc
from .line import Line
from .modbus import READ, WRITE
from .server import Endpoint

_HEAD: Final = struct.Struct(">HHHB")
"""Transaction, protocol, length from the unit on, unit."""
_MOST: Final = 254
_QUIET: Final = 0.04
"""Seconds after an answer in which a pack does not hear (rs485.md 1.5)."""
_PATH_UNAVAILABLE: Final = 0x0A
_NO_RESPONSE: Final = 0x0B


@dataclass(frozen=True, kw_only=True, slots=True)
class Manners:
    """How a gateway behaves; times in seconds, shares from 0 to 1."""

    timeout: float = 0.3
    """How long it waits for a pack."""
    silent: bool = False
    """Whether it says nothing of a pack that does not answer, instead of exception 0x0B."""
    delay: float = 0.0
    """How much later than it has it an answer is passed on."""
    units: int = 247
    """The highest unit it has a path to; beyond it says exception 0x0A."""
    lose: float = 0.0
    """The share of answers that it loses."""
    swap: float = 0.0
    """The share of answers that it passes on only after the next one."""

    @classmethod
    def parse(cls, text: str) -> Manners:
        """Read `delay=2,silent=1`; raises ValueError."""
        kinds = get_type_hints(cls)
        given: dict[str, Any] = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            if name not in {field.name for field in fields(cls)}:
                raise ValueError(f"a gateway has no {name!r}")
            try:
                number = float(value)
            except ValueError:
                raise ValueError(f"{value!r} is no number for {name}") from None
            given[name] = kinds[name](number)
        return cls(**given)


@dataclass(slots=True)
class _Asked:
    """A request that waits, or is on the line."""

    client: asyncio.Transport
    transaction: int
    unit: int
    message: bytes
    """The request without unit and CRC."""


class ModbusTcpGateway(Endpoint):
    """A gateway in Modbus TCP mode."""

    def __init__(
        self,
        line: Line,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        manners: Manners | None = None,
        max_clients: int | None = None,
        seed: int = 0,
    ) -> None:
        """Serve at a port, 0 for any; clients beyond the most are closed at once."""
        super().__init__(line)
        self.host = host
        self.port = port
        self.manners = manners or Manners()
        self.max_clients = max_clients
        self.requests: list[tuple[int, bytes]] = []
        """Units and what each was asked, in the order in which they were put on the line."""
        self._random = Random(f"{seed}/modbus-tcp")
        self._server: asyncio.Server | None = None
        self._clients: list[asyncio.Transport] = []
        self._queue: deque[_Asked] = deque()
        self._asked: _Asked | None = None
        self._heard = bytearray()
        self._gives_up: asyncio.TimerHandle | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._kept: tuple[_Asked, bytes] | None = None
        """An answer that waits for the next one."""

    @property
    def url(self) -> str:
        """What to name in a client to reach this gateway."""
        return f"modbus-tcp://{self.host}:{self.port}"

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
        self._forget()
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

    def welcome(self, transport: asyncio.Transport) -> bool:
        """A client has connected; tell whether it may stay."""
        if self.max_clients is not None and len(self._clients) >= self.max_clients:
            transport.abort()
            return False
        self._clients.append(transport)
        return True

    def dismiss(self, transport: asyncio.Transport) -> None:
        """A client has gone; what it asked is asked for nobody."""
        if transport in self._clients:
            self._clients.remove(transport)

    def ask(
        self, client: asyncio.Transport, transaction: int, unit: int, message: bytes
    ) -> None:
        """A client has asked something."""
        if self.silent:
            return
        asked = _Asked(client, transaction, unit, message)
        if unit > self.manners.units:
            self._answer(asked, self._refusal(asked, _PATH_UNAVAILABLE))
            return
        self._queue.append(asked)
        self._next()

    def _forget(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._queue.clear()
        self._heard.clear()
        self._asked = self._gives_up = self._kept = None

    def _later(
        self, seconds: float, call: Callable[..., None], *arguments: Any
    ) -> asyncio.TimerHandle:
        """Do something later, unless the gateway has stopped by then."""

        def act() -> None:
            self._timers.discard(timer)
            call(*arguments)

        timer = asyncio.get_running_loop().call_later(seconds, act)
        self._timers.add(timer)
        return timer

    def _next(self) -> None:
        """Put the next request on the line once the last one is done with."""
        if self._asked is not None or not self._queue:
            return
        asked = self._asked = self._queue.popleft()
        self._heard.clear()
        self.requests.append((asked.unit, asked.message))
        self._gives_up = self._later(self.manners.timeout, self._unanswered, asked)
        self._received(with_crc(bytes((asked.unit,)) + asked.message))

    def _send(self, data: bytes) -> None:
        """The line has said something."""
        if self._asked is None:
            return
        self._heard += data
        message = bytes(self._heard)
        if _is_answer(message, self._asked):
            self._done(message[1:-2])

    def _unanswered(self, asked: _Asked) -> None:
        refusal = self._refusal(asked, _NO_RESPONSE)
        self._done(b"" if self.manners.silent else refusal)

    def _done(self, message: bytes) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None
        assert self._gives_up is not None
        self._gives_up.cancel()
        self._timers.discard(self._gives_up)
        if message and self._random.random() >= self.manners.lose:
            self._deliver(asked, message)
        self._later(_QUIET, self._next)

    def _deliver(self, asked: _Asked, message: bytes) -> None:
        manners = self.manners
        if self._random.random() < manners.swap and self._kept is None:
            self._kept = asked, message
            return
        self._later(manners.delay, self._answer, asked, message)
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._later(manners.delay, self._answer, *kept)

    @staticmethod
    def _refusal(asked: _Asked, code: int) -> bytes:
        return bytes((asked.message[0] | 0x80, code))

    def _answer(self, asked: _Asked, message: bytes) -> None:
        if asked.client in self._clients and not self.silent:
            head = _HEAD.pack(asked.transaction, 0, len(message) + 1, asked.unit)
            asked.client.write(head + message)


class _Client(asyncio.Protocol):
    """One connection of the gateway."""

    _transport: asyncio.Transport

    def __init__(self, gateway: ModbusTcpGateway) -> None:
        self._gateway = gateway
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._gateway.welcome(transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > _HEAD.size:
            transaction, protocol, length, unit = _HEAD.unpack_from(self._buffer)
            if protocol or not 2 <= length <= _MOST:
                # Not Modbus TCP, a trigger perhaps: nobody could tell what comes next.
                self._buffer = b""
                return
            end = _HEAD.size - 1 + length
            if len(self._buffer) < end:
                return
            message, self._buffer = self._buffer[_HEAD.size : end], self._buffer[end:]
            self._gateway.ask(self._transport, transaction, unit, message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._gateway.dismiss(self._transport)


def _is_answer(message: bytes, asked: _Asked) -> bool:
    """Whether these bytes are the whole Modbus answer to a request, and nothing else."""
    function = asked.message[0]
    if len(message) < 5 or message[0] != asked.unit:
        return False
    match message[1]:
        case answered if answered == function | 0x80:
            size = 5
        case answered if answered != function:
            return False
        case 0x03:
            size = 5 + message[2]
        case _:
            size = 8
    return len(message) == size and function in (READ, WRITE) and crc_fits(message)


def serve_modbus_tcp(
    line: Line,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    manners: Manners | None = None,
    max_clients: int | None = None,
    seed: int = 0,
) -> ModbusTcpGateway:
    """A gateway for `async with`; its `url` is known once entered."""
    return ModbusTcpGateway(
        line, host, port, manners=manners, max_clients=max_clients, seed=seed
    )
