"""The least that reading a CAN bus costs: each message unpacked by its id, and dropped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import struct
import threading
from typing import Final, override

import can

from custom_components.jkbms.transport.can_port import CanPort

from .home import until

_RECORD: Final = struct.Struct(">BI8s")
_CONTENT: Final = struct.Struct("<4H")
_PATIENCE: Final = 0.5


class _Records(asyncio.Protocol):
    """Reads a gateway of records as they come, on the event loop."""

    def __init__(self) -> None:
        self.heard = 0
        self._buffer = bytearray()

    @override
    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        whole = len(buffer) - len(buffer) % _RECORD.size
        for at in range(0, whole, _RECORD.size):
            _, _, content = _RECORD.unpack_from(buffer, at)
            _CONTENT.unpack(content)
        self.heard += whole // _RECORD.size
        del buffer[:whole]


@asynccontextmanager
async def reading(port: CanPort) -> AsyncIterator[None]:
    """Read a bus and do nothing with it, from the first message on."""
    if port.host is not None and port.port is not None:
        loop = asyncio.get_running_loop()
        transport, records = await loop.create_connection(
            _Records, port.host, port.port
        )
        try:
            await until(lambda: records.heard > 0)
            yield
        finally:
            transport.close()
        return
    thread = _Reader(port)
    thread.start()
    try:
        await until(lambda: thread.heard > 0)
        yield
    finally:
        thread.stopping.set()
        await asyncio.to_thread(thread.join)


class _Reader(threading.Thread):
    """Reads a bus with python-can as its documentation shows it."""

    def __init__(self, port: CanPort) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.heard = 0
        self._port = port

    @override
    def run(self) -> None:
        port = self._port
        bus = can.Bus(
            interface=port.adapter.value, channel=port.channel, bitrate=port.bitrate
        )
        with bus:
            while not self.stopping.is_set():
                message = bus.recv(_PATIENCE)
                if message is not None:
                    self.heard += 1
                    _CONTENT.unpack(message.data.ljust(_CONTENT.size))
