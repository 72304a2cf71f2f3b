"""What crossed a line as text, a message a line, to be kept, sent and played again.

`(1767225600.123456) in 55AAEB9002...`: seconds since 1970, whether it was heard (`in`)
or sent by this side (`out`), and the bytes; `damaged` behind bytes that make no message.
CAN is written as `candump -l` does it. Lines that begin with # are remarks.
"""

from collections.abc import Iterable, Iterator, Mapping
import json
import re
from typing import Final

from .can.message import CanMessage
from .masking import Message, Piece
from .recall import mapping

LABEL: Final = "recorded"
"""Under which a diagnostics file holds the lines."""
_LINE: Final = re.compile(
    r"\((\d{1,12}\.\d{1,9})\) (in|out) ((?:[0-9A-F]{2})+)(?: damaged)?", re.IGNORECASE
)
_REMARK: Final = "#"


def written(message: Message, offset: float) -> str:
    """Return the line of a message; `offset` makes wall-clock time of its time."""
    direction = "out" if message.sent else "in"
    remark = " damaged" if message.damaged else ""
    time = message.time + offset
    return f"({time:.6f}) {direction} {message.data.hex().upper()}{remark}"


def written_can(message: CanMessage, time: float) -> str:
    """Return the line of a CAN message at a wall-clock time."""
    code = f"{message.id:08X}" if message.extended else f"{message.id:03X}"
    return f"({time:.6f}) can0 {code}#{message.data.hex().upper()}"


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """Yield what the lines tell of; raises ValueError with a sentence for one that is none."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(_REMARK):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise ValueError(f"line {number} is none of a recording: {text[:40]!r}")
        time, direction, data = found.groups()
        yield Piece(float(time), direction == "out", bytes.fromhex(data))


def is_recording(text: str) -> bool:
    """Tell whether the first line that is no remark is one of a recorded RS485 line."""
    lines = (line.strip() for line in text.splitlines())
    first = next((s for s in lines if s and not s.startswith(_REMARK)), "")
    return _LINE.fullmatch(first) is not None


def of_diagnostics(text: str) -> dict[str, list[str]] | None:
    """Return what a diagnostics file has recorded, by line; None for another file.

    The bus is first, under an empty name; control lines follow under their ids.
    """
    try:
        content = json.loads(text)
    except RecursionError, ValueError:
        return None
    data = content.get("data", content) if isinstance(content, Mapping) else None
    if not isinstance(data, Mapping) or (recorded := _recorded(data)) is None:
        return None
    controls = mapping(data.get("control_lines"))
    told = {str(name): _recorded(line) for name, line in controls.items()}
    others = {name: lines for name, lines in told.items() if lines is not None}
    return {"": recorded, **others}


def _recorded(line: object) -> list[str] | None:
    """Return the lines that a bus or a control line has recorded."""
    lines = mapping(line).get(LABEL)
    if isinstance(lines, list) and all(isinstance(text, str) for text in lines):
        return lines
    return None
