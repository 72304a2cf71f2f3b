"""Turn the bytes of a line of `4E 57` into values."""

from collections.abc import Iterable, Iterator
from typing import Any

from custom_components.jkbms.protocol.can.station import derived
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import ALARM_BITMASK
from custom_components.jkbms.protocol.masking import Piece
from custom_components.jkbms.protocol.plausibility import implausible
from custom_components.jkbms.protocol.ttl.decode import Decoded, decode
from custom_components.jkbms.protocol.ttl.frames import (
    Command,
    Message,
    Source,
    Transport,
)
from custom_components.jkbms.protocol.ttl.masking import masked_content
from custom_components.jkbms.protocol.ttl.stream import Framer

type Line = dict[str, Any]


def describe(pieces: Iterable[Piece]) -> Iterator[Line]:
    """Yield what the pieces contain; a key that is None does not apply."""
    framer, time = Framer(), 0.0
    for piece in pieces:
        time = piece.time
        if piece.opened:
            yield from (_line(item, time) for item in framer.split(final=True))
        yield from (_line(item, time) for item in framer.split(piece.data))
    yield from (_line(item, time) for item in framer.split(final=True))


def _line(item: Message | int, time: float) -> Line:
    when = {"time": round(time, 6)} if time else {}
    if isinstance(item, int):
        return {**when, "type": "discarded", "bytes": item}
    told = {
        **when,
        "type": _name(Transport, item.transport),
        "address": item.terminal,
        "command": _name(Command, item.command),
        "source": _name(Source, item.source),
    }
    reads = item.command in (Command.READ_ALL, Command.READ)
    said = decode(item.content) if reads and item.transport else None
    if said is None:
        return {**told, "content": masked_content(item).hex()}
    return {**told, **_values(said)}


def _values(said: Decoded) -> Line:
    values = said.values
    # What follows from the alarm word is told by it already.
    more = derived(values) if ALARM_BITMASK.key in values else {}
    return {
        "values": {**more, **values},
        "unknown_id": said.unknown if said.unknown >= 0 else None,
        "implausible": implausible(Block.LIVE, values),
    }


def _name(kind: type[Command | Source | Transport], number: int) -> str:
    known = {each.value: each.name.lower() for each in kind}
    return known.get(number, str(number))
