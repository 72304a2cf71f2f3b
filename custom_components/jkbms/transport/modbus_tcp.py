"""A gateway that converts Modbus TCP, behind the same bytes as any other line.

What the machine sends is a request with its CRC; what it hears is the answer with its
CRC, as they are on the wire behind the gateway. pymodbus speaks with the gateway.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar, copy_context
import logging
import struct
from typing import Final, Self
from urllib.parse import urlsplit

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from ..protocol.frames import (
    ERROR,
    READ,
    WRITE,
    Ack,
    ExceptionReply,
    ReadReply,
    ReadRequest,
    Request,
    WriteRequest,
)
from .link import LinkError, LinkFault, fault_of, keep_alive

_REMEMBERED: Final = 64
"""Requests that were given up, and may be answered yet."""
_CONNECT_TIMEOUT: Final = 10.0
"""Also for an answer; whoever asks gives up long before, and pymodbus is told then."""
_NEVER: Final = 1 << 30
_HEADER: Final = 7
"""Bytes before the function: transaction, protocol, length, unit."""
_LENGTHS: Final = range(2, 255)
_NOBODYS: Final = b"\xff\xff"
"""A transaction that pymodbus does not count up to."""

_ours: ContextVar[bool] = ContextVar("_ours", default=False)
"""Whether what runs belongs to a line of this module."""


class _Discretion(logging.Filter):
    """Keeps from the log what pymodbus says of these lines, and of nobody else's.

    It speaks up for each request without an answer, and quotes the last bytes of all
    lines. The machine counts what is lost; the session tells of an outage, once.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get() or record.levelno < logging.INFO


logging.getLogger("pymodbus.logging").addFilter(_Discretion())


class ModbusTcpLine:
    """An open connection to a gateway; one request at a time, the last one counts."""

    def __init__(
        self,
        host: str,
        port: int,
        receive: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        """Prepare a line; `open` makes one."""
        self._receive = receive
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=_CONNECT_TIMEOUT,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._crossed,
            trace_connect=self._connected,
        )
        # That nobody answers is no reason to hang up: other packs may.
        self._client.set_max_no_responses(_NEVER)
        self._task: asyncio.Task[None] | None = None
        self._asked: Request | None = None
        self._given_up: OrderedDict[int, Request] = OrderedDict()
        """Requests by transaction that were not answered when the next one came."""
        self._transaction = 0
        self._context = copy_context()
        """Of whoever opened the line: what it does with an answer is none of pymodbus'."""
        self._open = True

    @classmethod
    async def open(
        cls,
        url: str,
        receive: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> Self:
        """Connect to the gateway; raises LinkError."""
        host, port = _endpoint(url)
        line = cls(host, port, receive, lost)
        token = _ours.set(True)
        try:
            if not await line._client.connect():
                await line.close()
                raise await _reason(host, port)
        finally:
            _ours.reset(token)
        if line._open:
            keep_alive(line._client.ctx.transport.get_extra_info("socket"))
        return line

    def write(self, data: bytes) -> None:
        """Send one request; that before it is given up."""
        request = _request(data)
        if request.address == 0:
            # Unit 0 is a broadcast: it would reach every pack, and none would answer.
            return
        if self._task is not None and self._asked is not None:
            self._task.cancel()
            self._given_up[self._transaction] = self._asked
            if len(self._given_up) > _REMEMBERED:
                self._given_up.popitem(last=False)
        self._asked = request
        token = _ours.set(True)
        try:
            self._task = self._loop.create_task(self._ask(request))
        finally:
            _ours.reset(token)

    async def close(self) -> None:
        """Hang up; afterwards neither callback is called again."""
        self._receive = self._lost = _ignore
        self._open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        transport = self._client.ctx.transport
        token = _ours.set(True)
        try:
            self._client.close()
        finally:
            _ours.reset(token)
        if isinstance(transport, asyncio.WriteTransport):
            # A gateway may take only one connection: the next one needs this one's place.
            transport.abort()
            await asyncio.sleep(0)

    async def _ask(self, request: Request) -> None:
        client, unit = self._client, request.address
        try:
            if isinstance(request, ReadRequest):
                answer = await client.read_holding_registers(
                    request.register, count=request.words, device_id=unit
                )
            else:
                values = struct.unpack(f">{request.words}H", request.data)
                answer = await client.write_registers(
                    request.register, list(values), device_id=unit
                )
        except ModbusException:
            # Not connected any more, or given up: each is told elsewhere.
            return
        self._asked = None
        self._tell(_answer(request, answer))

    def _crossed(self, sent: bool, data: bytes) -> bytes:
        """Watch what crosses, for what comes too late or damaged; called by pymodbus."""
        if sent:
            self._transaction = int.from_bytes(data[:2])
            return data
        at = 0
        passed = bytearray(data)
        while len(data) - at > _HEADER:
            transaction, protocol, length = struct.unpack_from(">HHH", data, at)
            if protocol or length not in _LENGTHS:
                reason = "the other side does not speak Modbus TCP"
                self._end(LinkError(LinkFault.LOST, reason))
                return b""
            message = data[at + _HEADER : at + _HEADER - 1 + length]
            begin, at = at, at + _HEADER - 1 + length
            if at > len(data):
                break
            if not _well_formed(message):
                # pymodbus would fail at it and hang up; it skips another's transaction.
                passed[begin : begin + 2] = _NOBODYS
            elif late := self._given_up.pop(transaction, None):
                self._came_late(late, message)
        return bytes(passed)

    def _came_late(self, request: Request, message: bytes) -> None:
        """Hand over an answer that nobody waits for, where it cannot be mistaken."""
        if message[:1] != bytes((READ,)) or not isinstance(request, ReadRequest):
            return
        asked = self._asked
        if isinstance(asked, ReadRequest) and _alike(asked, request):
            return
        if len(message) == 2 + 2 * request.words:
            self._tell(ReadReply(request.address, message[2:]).encode())

    def _connected(self, connected: bool) -> None:
        """Take note that the connection has begun or ended; called by pymodbus."""
        if not connected:
            self._end(None)

    def _tell(self, data: bytes) -> None:
        self._loop.call_soon(lambda: self._receive(data), context=self._context)

    def _end(self, error: LinkError | None) -> None:
        if self._open:
            self._open = False
            self._loop.call_soon(lambda: self._lost(error), context=self._context)


def _well_formed(message: bytes) -> bool:
    """Tell whether a message is an answer to one of the two functions, or a refusal."""
    match message[0]:
        case 0x03:
            return len(message) >= 2 and len(message) == 2 + message[1]
        case 0x10:
            return len(message) == 5
        case function:
            return function in (READ | ERROR, WRITE | ERROR) and len(message) == 2


def _alike(one: ReadRequest, other: ReadRequest) -> bool:
    """Tell whether the answers of two requests look the same behind the gateway."""
    return (one.address, one.words) == (other.address, other.words)


def _endpoint(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise LinkError(LinkFault.INVALID_ADDRESS, f"{url}: host and port are needed")


async def _reason(host: str, port: int) -> LinkError:
    """Return why a gateway could not be reached: pymodbus only says that it was not."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            transport, _ = await loop.create_connection(asyncio.Protocol, host, port)
    except (OSError, ValueError) as error:
        return LinkError(fault_of(error), str(error) or repr(error))
    transport.abort()
    return LinkError(LinkFault.LOST, "closed by the other side")


def _request(data: bytes) -> Request:
    """Read a request of this side's own making."""
    unit, function, register, words = struct.unpack_from(">BBHH", data)
    if function == READ:
        return ReadRequest(unit, register, words)
    return WriteRequest(unit, register, data[7:-2])


def _answer(request: Request, answer: ModbusPDU) -> bytes:
    """Return an answer as it is on the wire behind the gateway."""
    unit = request.address
    if answer.isError():
        function = answer.function_code & 0x7F
        return ExceptionReply(unit, function, answer.exception_code).encode()
    if isinstance(request, ReadRequest):
        data = struct.pack(f">{len(answer.registers)}H", *answer.registers)
        return ReadReply(unit, data).encode()
    return Ack(unit, answer.address, answer.count).encode()


def _ignore(_: object) -> None:
    """Take no notice: the owner has closed the line."""
