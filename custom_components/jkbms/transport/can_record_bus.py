"""A gateway with records of 13 bytes, for a thread: what is sent goes out while the event loop is stuck."""

import errno
import select
import socket
from typing import TYPE_CHECKING, Any, Final, Self

from ..protocol.can.message import CanMessage
from .can_intake import WAIT
from .can_port import CanPort
from .can_record import RecordFramer, encode
from .link import keep_alive

if TYPE_CHECKING:
    import can

_CONNECT_TIMEOUT: Final = 9.0
_READ: Final = 65_536


class RecordSocket:
    """A connection to a gateway, used as a bus of python-can is."""

    def __init__(self, connection: socket.socket, messages: Any) -> None:
        """Use a connection; frames are made by python-can."""
        self._connection = connection
        self._message = messages
        self._framer = RecordFramer()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    @classmethod
    def connect(cls, port: CanPort, messages: Any) -> Self:
        """Connect to a gateway; raises OSError."""
        address = (port.host, port.port)
        connection = socket.create_connection(address, _CONNECT_TIMEOUT)
        keep_alive(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        return cls(connection, messages)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame; raises OSError where the gateway does not take it in time.

        It is tried before anything is asked of the socket: each call of the system may
        cost 5 ms where the event loop is busy.
        """
        data = encode(
            CanMessage(msg.arbitration_id, bytes(msg.data), msg.is_extended_id)
        )
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._connection.settimeout(timeout)
            try:
                self._connection.sendall(data[sent:])
            finally:
                self._connection.setblocking(False)

    def take(self, wait: float = WAIT) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""
        if not self._poll.poll(wait * 1000):
            return []
        data = self._connection.recv(_READ)
        if not data:
            raise OSError(errno.EPIPE, "closed by the other side")
        return [
            self._message(arbitration_id=code, data=content, is_extended_id=extended)
            for code, content, extended in self._framer.feed(data)
        ]

    def shutdown(self) -> None:
        """Close the connection."""
        self._connection.close()
