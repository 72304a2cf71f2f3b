"""Turn the notifications of a Bluetooth connection into values."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from custom_components.jkbms.protocol.attribution import Attributed
from custom_components.jkbms.protocol.ble.frames import ASKS, Order
from custom_components.jkbms.protocol.ble.station import ADDRESS
from custom_components.jkbms.protocol.ble.stream import Framer, Idle, Item
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.masking import Piece

type Line = dict[str, Any]

_ASKED: Final = {register: block.label for block, register in ASKS.items()}


def describe(
    pieces: Iterable[Piece], frame_line: Callable[[Attributed], Line]
) -> Iterator[Line]:
    """Yield what the pieces contain; `frame_line` tells what a frame of a pack says."""
    framer, time = Framer(), 0.0
    for piece in pieces:
        time = piece.time
        if piece.opened:
            yield from (_line(item, time, frame_line) for item in framer.flush())
        for item in (
            Framer().feed(piece.data) if piece.sent else framer.feed(piece.data)
        ):
            yield _line(item, time, frame_line)
    yield from (_line(item, time, frame_line) for item in framer.flush())


def _line(item: Item, time: float, frame_line: Callable[[Attributed], Line]) -> Line:
    when = {"time": round(time, 6)} if time else {}
    match item:
        case Frame():
            return when | frame_line(Attributed(item, ADDRESS)) | {"address": None}
        case Order() if item.ready:
            return {**when, "type": "ack", "accepted": item.accepted}
        case Order(register, value):
            asked = {"block": _ASKED[register]} if register in _ASKED else {}
            told = {"type": "request", "register": register, "data": value.hex()}
            return when | told | asked
        case Idle(data):
            return {**when, "type": "idle", "bytes": len(data)}
        case _:
            return {**when, "type": "discarded", "bytes": len(item.data)}
