"""Tests of the simulator: the captures and the vendor's samples are the judges."""

from collections.abc import Iterator

from simulator import Line
from simulator.checks import with_crc

SETTINGS = 0x161E
LIVE = 0x1620
DEVICE = 0x161C


def trigger(address: int, register: int = LIVE) -> bytes:
    """The request for a frame."""
    return with_crc(bytes([address, 0x10]) + register.to_bytes(2) + b"\0\1\2\0\0")


def ack(address: int, register: int, quantity: int = 1) -> bytes:
    """What a pack says after it took a write."""
    return with_crc(
        bytes([address, 0x10]) + register.to_bytes(2) + quantity.to_bytes(2)
    )


def read(address: int, register: int, quantity: int) -> bytes:
    """The request for registers."""
    return with_crc(
        bytes([address, 0x03]) + register.to_bytes(2) + quantity.to_bytes(2)
    )


def write(address: int, register: int, payload: bytes) -> bytes:
    """The request to store bytes."""
    quantity = len(payload) // 2
    head = bytes([address, 0x10]) + register.to_bytes(2) + quantity.to_bytes(2)
    return with_crc(head + bytes([len(payload)]) + payload)


def refusal(address: int, function: int, code: int) -> bytes:
    """A Modbus exception."""
    return with_crc(bytes([address, function | 0x80, code]))


def pieces(line: Line, until: float = float("inf")) -> Iterator[tuple[float, bytes]]:
    """What the adapter hears and when, until the line has nothing more to do."""
    while (due := line.due()) is not None and due <= until:
        for piece in line.collect(due):
            yield due, piece


def ask(line: Line, request: bytes, now: float = 0.0) -> bytes:
    """Everything that comes back for a request."""
    line.receive(request, now)
    return b"".join(piece for _, piece in pieces(line))


def ask_timed(line: Line, request: bytes, now: float) -> tuple[bytes, float]:
    """Everything that comes back for a request, and when its last byte did."""
    line.receive(request, now)
    heard = list(pieces(line))
    return b"".join(piece for _, piece in heard), heard[-1][0] if heard else now
