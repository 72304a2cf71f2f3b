"""One CAN message to named values: by a struct for each id, by cantools, and by ours."""

from collections.abc import Callable, Iterator
from pathlib import Path
import struct
from typing import Any, Final

import cantools
from cantools.database.can import Database, Message

from custom_components.jkbms.protocol.can.machine import owner_of
from custom_components.jkbms.protocol.can.message import CanMessage

from .measure import Case, Effort, race
from .report import Figure, Goal, timed

_DBC: Final = Path(__file__).parents[3] / "docs" / "jk_can.dbc"
_CODES: Final = {8: "B", 16: "H", 32: "I"}
_WORD: Final = struct.Struct("<Q")
_EXTENDED: Final = 0x8000_0000
_RECORD: Final = struct.Struct("<IB3x8s")
"""Linux' `struct can_frame`."""
_LOOK: Final = """
def look(data):
    {names} = unpack(data)
    (word,) = whole(data)
    return {{{values}}}
"""

type Look = Callable[[bytes], object]


def naming(messages: list[CanMessage], effort: Effort) -> Iterator[Figure]:
    """Measure how the messages of one pack become values."""
    database = cantools.database.load_file(_DBC)
    assert isinstance(database, Database)
    known = {message.frame_id: message for message in database.messages}
    said = [m for m in messages if m.id in known]
    floor, peer = "floor: to named values, by a struct for its id", "cantools: the same"
    own = "ours: the same, and what an alarm means"
    results = race(
        [
            Case(floor, _by_struct(said, known), len(said)),
            Case(peer, _by_cantools(said, known), len(said)),
            Case(own, _by_ours(said), len(said)),
        ],
        effort,
    )
    yield timed(floor, results, "µs")
    yield timed(own, results, "µs", Goal(1.5), floor=floor)
    yield timed(peer, results, "µs", Goal(2.0, least=True), floor=own)


def _by_struct(
    messages: list[CanMessage], known: dict[int, Message]
) -> Callable[[], None]:
    records = [
        _RECORD.pack(m.id | m.extended * _EXTENDED, len(m.data), m.data)
        for m in messages
    ]
    looks = {
        code | message.is_extended_frame * _EXTENDED: _look(message)
        for code, message in known.items()
    }
    unpack = _RECORD.unpack_from

    def run_all() -> None:
        for record in records:
            code, _, data = unpack(record)
            looks[code](data)

    return run_all


def _look(message: Message) -> Look:
    """Return straight-line code for a message, with one unpack of all whole bytes."""
    parts, position = ["<"], 0
    names: list[str] = []
    values: list[str] = []
    for signal in sorted(message.signals, key=lambda signal: signal.start):
        start, length = signal.start, signal.length
        if signal.byte_order == "big_endian":
            # Motorola counts from the highest bit of the first byte.
            start -= 7
        if length in _CODES and start % 8 == 0:
            parts.append(f"{start // 8 - position}x{_CODES[length]}")
            position = (start + length) // 8
            raw = f"v{len(names)}"
            names.append(raw)
        else:
            raw = f"(word >> {start} & {(1 << length) - 1})"
        scaled = raw if signal.scale == 1 else f"{raw} / {round(1 / signal.scale)}"
        shifted = f"{scaled} + {signal.offset}" * bool(signal.offset) or scaled
        values.append(f"{signal.name!r}: {shifted}")
    room: dict[str, Any] = {
        "unpack": struct.Struct("".join(parts)).unpack_from,
        "whole": _WORD.unpack_from,
    }
    look = _LOOK.format(
        names=f"({''.join(f'{n}, ' for n in names)})", values=", ".join(values)
    )
    exec(look, room)  # noqa: S102 -- of our own table
    made: Look = room["look"]
    return made


def _by_cantools(
    messages: list[CanMessage], known: dict[int, Message]
) -> Callable[[], None]:
    def run_all() -> None:
        for message in messages:
            known[message.id].decode(message.data, allow_truncated=True)

    return run_all


def _by_ours(messages: list[CanMessage]) -> Callable[[], None]:
    def run_all() -> None:
        for message in messages:
            found = owner_of(message)
            assert found is not None
            found[0].decoded(message.data)

    return run_all
