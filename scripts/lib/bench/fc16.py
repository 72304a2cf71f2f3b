"""Requests and ACKs of FC16, built and read."""

from collections.abc import Callable, Iterator
import struct
from typing import Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Ack, WriteRequest, crc16, trigger
from custom_components.jkbms.protocol.stream import Framer

from .measure import Case, Effort, race
from .report import Figure, Goal, timed

_TRIGGERS: Final = [trigger(address, block) for address in range(16) for block in Block]
_WRITES: Final = [
    WriteRequest(address, 0x1000 + 4 * n, struct.pack(">I", 3000 + n))
    for address in range(16)
    for n in range(30)
]
"""More than a framer remembers, each another one."""
_ACKS: Final = [Ack(each.address, each.register, each.words) for each in _TRIGGERS]
_HEAD: Final = struct.Struct(">BBHHB")
_ANSWER: Final = struct.Struct(">BBHH")


def run(effort: Effort) -> Iterator[Figure]:
    """Measure both ways."""
    said = [each.encode() for each in _TRIGGERS]
    writes = [each.encode() for each in _WRITES]
    acks = [each.encode() for each in _ACKS]
    packed, own = "request floor: packed, with its CRC", "request: built"
    unpacked = "request floor: unpacked, CRC checked"
    read = "request: read, a trigger said before"
    written = "request: read, another write each time"
    answer, own_answer = "ACK floor: unpacked, CRC checked", "ACK: read"
    results = race(
        [
            Case(packed, _pack, len(_TRIGGERS)),
            Case(own, _build, len(_TRIGGERS)),
            Case(unpacked, _unpack(said, _HEAD), len(said)),
            Case(read, _read(said), len(said)),
            Case(written, _read(writes), len(writes)),
            Case(answer, _unpack(acks, _ANSWER), len(acks)),
            Case(own_answer, _read(acks), len(acks)),
        ],
        effort,
    )
    yield timed(packed, results, "µs")
    yield timed(own, results, "µs", Goal(2.0), floor=packed)
    yield timed(unpacked, results, "µs")
    yield timed(read, results, "µs", Goal(2.0), floor=unpacked)
    yield timed(written, results, "µs", floor=unpacked)
    yield timed(answer, results, "µs")
    yield timed(own_answer, results, "µs", Goal(2.0), floor=answer)


def _pack() -> None:
    for each in _TRIGGERS:
        body = _HEAD.pack(each.address, 0x10, each.register, 1, 2) + each.data
        _ = body + crc16(body).to_bytes(2, "little")


def _build() -> None:
    for each in _TRIGGERS:
        each.encode()


def _unpack(messages: list[bytes], head: struct.Struct) -> Callable[[], None]:
    def run_all() -> None:
        for message in messages:
            if crc16(message[:-2]) != int.from_bytes(message[-2:], "little"):
                raise ValueError("the CRC does not fit")
            head.unpack_from(message)

    return run_all


def _read(messages: list[bytes]) -> Callable[[], None]:
    framer = Framer()

    def run_all() -> None:
        found = sum(len(framer.feed(message)) for message in messages)
        if found != len(messages):
            raise ValueError(f"{len(messages) - found} messages were not found")

    return run_all
