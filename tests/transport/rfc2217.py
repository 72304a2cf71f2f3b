"""A serial port server after RFC 2217, as small as a client allows."""

import asyncio
from typing import Final, Self, override

from simulator import Line

_IAC: Final = 255
_SE, _SB, _WILL, _WONT, _DO, _DONT = 240, 250, 251, 252, 253, 254
_ANSWER: Final = {_WILL: _DO, _DO: _WILL, _WONT: _DONT, _DONT: _WONT}
_SERVER: Final = 100
"""What a server adds to the number of the command that it confirms."""
_BAUD_RATE: Final = 1


class Rfc2217Server:
    """Serves a line to one client; `settings` holds what was asked of the port."""

    def __init__(self, line: Line) -> None:
        """Serve a line, once entered."""
        self.line = line
        self.settings: dict[int, bytes] = {}
        self.confirms = True
        self.clients: list[_Client] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """What to name in a client."""
        assert self._server is not None
        return f"rfc2217://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def baud_rate(self) -> int:
        """What was asked of the port."""
        return int.from_bytes(self.settings[_BAUD_RATE])

    async def __aenter__(self) -> Self:
        """Listen at any port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and let go of every client."""
        assert self._server is not None
        self._server.close()
        self.drop_clients()
        await self._server.wait_closed()

    def drop_clients(self) -> None:
        """Close every connection."""
        for client in self.clients:
            client.transport.abort()
        self.clients.clear()


class _Client(asyncio.Protocol):
    """One connection: data and commands mixed, apart only by their first byte."""

    transport: asyncio.Transport

    def __init__(self, server: Rfc2217Server) -> None:
        self._server = server
        self._unread = b""
        self._agreed: set[tuple[int, int]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.clients.append(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self in self._server.clients:
            self._server.clients.remove(self)

    @override
    def data_received(self, data: bytes) -> None:
        self._unread += data
        plain = bytearray()
        while self._unread:
            taken = self._take(plain)
            if not taken:
                break
            self._unread = self._unread[taken:]
        if plain:
            self._server.line.receive(bytes(plain), self._now())
            self._pump()

    def _take(self, plain: bytearray) -> int:
        """Take one byte of data or one command; 0 when it is not complete yet."""
        match list(self._unread[:3]):
            case [255, 255, *_]:
                plain.append(_IAC)
                return 2
            case [255, 250, *_]:
                end = self._unread.find(bytes([_IAC, _SE]))
                if end < 0:
                    return 0
                self._confirm(self._unread[2:end].replace(b"\xff\xff", b"\xff"))
                return end + 2
            case [255, command, option] if command in _ANSWER:
                self._agree(command, option)
                return 3
            case [255, *_]:
                return 0
            case [int(byte), *_]:
                plain.append(byte)
                return 1
        return 0

    def _agree(self, command: int, option: int) -> None:
        """Agree to an option once: two polite ends would thank each other for ever."""
        if (command, option) not in self._agreed:
            self._agreed.add((command, option))
            self.transport.write(bytes([_IAC, _ANSWER[command], option]))

    def _confirm(self, command: bytes) -> None:
        option, number, *value = command
        self._server.settings[number] = bytes(value)
        if self._server.confirms:
            head = bytes([_IAC, _SB, option, number + _SERVER])
            escaped = bytes(value).replace(b"\xff", b"\xff\xff")
            self.transport.write(head + escaped + bytes([_IAC, _SE]))

    def _pump(self) -> None:
        for piece in self._server.line.collect(self._now()):
            self.transport.write(piece.replace(b"\xff", b"\xff\xff"))
        due = self._server.line.due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._pump)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
