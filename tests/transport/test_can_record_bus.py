"""A gateway that takes frames slowly, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import socket
import threading

import can

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from custom_components.jkbms.transport.can_record import encode
from custom_components.jkbms.transport.can_record_bus import RecordSocket

MESSAGE = can.Message(
    arbitration_id=0x351, data=bytes.fromhex("2802E803E803F701"), is_extended_id=False
)

RECORD = encode(CanMessage(0x351, bytes(MESSAGE.data), False))


@contextmanager
def _gateway() -> Iterator[tuple[RecordSocket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = CanPort(
            adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=server.getsockname()[1]
        )
        bus = RecordSocket.connect(port, can.Message)
        peer, _ = server.accept()
        with peer:
            yield bus, peer
        bus.shutdown()


def _fill(bus: RecordSocket) -> int:
    """Send until nothing more is taken; return how many frames that were."""
    sent = 0
    with suppress(TimeoutError):
        while True:
            bus.send(MESSAGE, 0.05)
            sent += 1
    return sent


def test_a_gateway_that_takes_nothing_is_given_up_in_time() -> None:
    with _gateway() as (bus, _):
        assert _fill(bus) > 100


def test_a_frame_that_has_to_wait_is_sent_whole() -> None:
    with _gateway() as (bus, peer):
        sent = _fill(bus)
        heard = bytearray()

        def listen() -> None:
            while data := peer.recv(1 << 20):
                heard.extend(data)

        listener = threading.Thread(target=listen)
        listener.start()
        for _ in range(sent):
            bus.send(MESSAGE, 5.0)
        bus.shutdown()
        listener.join()
        # One may be cut off, at which it gave up.
        assert 2 * sent * len(RECORD) <= len(heard) < (2 * sent + 1) * len(RECORD)
        assert heard.startswith(RECORD) and heard.endswith(2 * RECORD)
