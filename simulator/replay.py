"""Plays captured bytes on a line, for those who only listen."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
import json
from pathlib import Path
import re
from typing import Final

from .checks import crc_fits, sum8
from .faults import Fault
from .line import TURNAROUND, Speed
from .wire import BYTE_TIME

CHUNK: Final = 32
"""Bytes that arrive at once unless chosen otherwise."""

_CAPTURES: Final = Path(__file__).parent.parent / "tests" / "captures"
_MAGIC: Final = b"\x55\xaa\xeb\x90"
_FRAME: Final = 300
_REQUEST: Final = 11
_ACK: Final = 8
_RECORDED: Final = re.compile(
    r"\((?P<time>\d{1,12}\.\d{1,9})\) (?:in|out) (?P<data>(?:[0-9A-Fa-f]{2})+)(?: damaged)?"
)


class Recording(bytes):
    """The bytes of a line that was recorded, and when each message of it was through."""

    messages: tuple[tuple[float, bytes], ...] = ()
    """Seconds from the first message, and the message."""


class ReplayLine:
    """Sends bytes from their first one on once somebody listens, and hears nothing."""

    faults: Sequence[Fault] = ()

    def __init__(
        self,
        data: bytes,
        *,
        speed: Speed = Speed.WIRE,
        repeat: bool = True,
        chunk: int | Sequence[int] = CHUNK,
        slot: float | None = None,
    ) -> None:
        """Play bytes once, or over and over where that takes time.

        They arrive in chunks of one size or of several in turn.  Captures have no
        times, so the bytes follow each other closely, or as messages of a master
        that talks once per slot of so many seconds.  A recording keeps its times,
        unless there is a slot or no wire speed.
        """
        byte_time = BYTE_TIME if speed is Speed.WIRE else 0.0
        if isinstance(data, Recording) and slot is None and byte_time:
            parts, self._period = _timed(data.messages)
        elif slot is None:
            parts, self._period = [(0.0, data)], len(data) * byte_time
        else:
            parts, self._period = _paced(data, slot, byte_time)
        sizes = cycle([chunk] if isinstance(chunk, int) else chunk)
        self._pieces = [*_chunked(parts, sizes, byte_time)]
        self._repeat = repeat and self._period > 0
        self._start: float | None = None
        self._next = 0

    def connected(self, now: float) -> None:
        """Begin, if nobody has listened before."""
        if self._start is None:
            self._start = now

    def receive(self, data: bytes, now: float) -> None:
        """Nobody is there to hear it."""

    def due(self) -> float | None:
        """When the next piece is through."""
        if self._start is None or self._next == len(self._pieces):
            return None
        return self._start + self._pieces[self._next][0]

    def collect(self, now: float) -> list[bytes]:
        """The pieces that are through."""
        pieces = []
        while (
            self._start is not None and (due := self.due()) is not None and due <= now
        ):
            pieces.append(self._pieces[self._next][1])
            self._next += 1
            if self._repeat and self._next == len(self._pieces):
                self._start, self._next = self._start + self._period, 0
        return pieces


def _chunked(
    parts: Iterable[tuple[float, bytes]], sizes: Iterator[int], byte_time: float
) -> Iterator[tuple[float, bytes]]:
    """Pieces and when the last byte of each is through."""
    for start, part in parts:
        place = 0
        while place < len(part):
            piece = part[place : place + next(sizes)]
            place += len(piece)
            yield start + place * byte_time, piece


def _timed(
    messages: Sequence[tuple[float, bytes]],
) -> tuple[list[tuple[float, bytes]], float]:
    """What to send and when its first byte goes out, and how long all of it takes.

    A message was noted when it was through; none begins before the one before it is.
    """
    parts: list[tuple[float, bytes]] = []
    free = 0.0
    for through, message in messages:
        length = len(message) * BYTE_TIME
        start = max(free, through - length)
        parts.append((start, message))
        free = start + length
    # The pause between the end and the beginning is one like the others.
    return parts, free + free / max(len(parts), 1)


def _paced(
    data: bytes, slot: float, byte_time: float
) -> tuple[list[tuple[float, bytes]], float]:
    """What to send and when, and how long all of it takes."""
    parts = []
    start = 0.0
    for request, answer in _exchanges(data):
        time = start
        if request:
            parts.append((time, request))
            time += len(request) * byte_time + TURNAROUND
        if answer:
            parts.append((time, bytes(answer)))
            time += len(answer) * byte_time
        start = max(start + slot, time)
    return parts, start


def _exchanges(data: bytes) -> Iterator[tuple[bytes, bytearray]]:
    """Each request with what came after it; a frame that nobody asked for is one without request."""
    request, answer = b"", bytearray()
    open_for_frame = True
    for message in _messages(data):
        asks = len(message) == _REQUEST
        frame = len(message) == _FRAME
        if asks or (frame and not open_for_frame):
            if request or answer:
                yield request, answer
            request, answer = message if asks else b"", bytearray()
        if not asks:
            answer += message
        open_for_frame = asks or (open_for_frame and not frame)
    yield request, answer


def _messages(data: bytes) -> Iterator[bytes]:
    """Whole frames, requests and ACKs, and single bytes that belong to none."""
    place = 0
    while place < len(data):
        length = _length(data[place : place + _FRAME])
        yield data[place : place + length]
        place += length


def _length(data: bytes) -> int:
    """How long the message at the beginning is."""
    if data.startswith(_MAGIC) and len(data) == _FRAME and sum8(data[:-1]) == data[-1]:
        return _FRAME
    if data[1:3] == b"\x10\x16":
        for length in (_REQUEST, _ACK):
            if len(data) >= length and crc_fits(data[:length]):
                return length
    return 1


def _recording(lines: Iterable[str]) -> Recording:
    """The bytes of recorded lines; raises ValueError with a sentence for a line that is none."""
    noted: list[tuple[float, bytes]] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _RECORDED.fullmatch(text)
        if match is None:
            raise ValueError(f"line {number} is none of a recording: {text[:40]!r}")
        noted.append((float(match["time"]), bytes.fromhex(match["data"])))
    if not noted:
        raise ValueError("the recording holds nothing")
    recording = Recording(b"".join(data for _, data in noted))
    first = noted[0][0]
    recording.messages = tuple((time - first, data) for time, data in noted)
    return recording


def _recorded_lines(text: str) -> list[str] | None:
    """What a diagnostics file of Home Assistant has recorded: of the bus, else of the first other line that has anything."""
    try:
        content = json.loads(text)
    except RecursionError, ValueError:
        return None
    data = content.get("data", content) if isinstance(content, dict) else None
    if not isinstance(data, dict) or "recorded" not in data:
        return None
    controls = data.get("control_lines")
    lines = [data, *(controls.values() if isinstance(controls, dict) else ())]
    told = [line.get("recorded") for line in lines if isinstance(line, dict)]
    recorded: object = next((one for one in told if one), [])
    if not isinstance(recorded, list) or not all(isinstance(r, str) for r in recorded):
        raise ValueError("what it has recorded is no list of lines")
    return recorded


def _load_file(path: Path) -> bytes:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except ValueError:
        return raw
    recorded = _recorded_lines(text)
    lines = text.splitlines() if recorded is None else recorded
    told = [line.strip() for line in lines]
    first = next((line for line in told if line and not line.startswith("#")), "")
    if _RECORDED.fullmatch(first):
        return _recording(lines)
    if recorded is not None:
        # Of a CAN bus: candump's lines.
        return "\n".join(lines).encode()
    try:
        return bytes.fromhex(text)
    except ValueError:
        return raw


def load_capture(name: str) -> bytes:
    """The bytes of a capture: a file, or the id of one that the tests keep.

    A file is hex text, raw bytes, a recording, or diagnostics that hold one.

    Raises ValueError with a sentence if there is no such thing.
    """
    path = Path(name)
    if path.is_file():
        return _load_file(path)
    for file in sorted(_CAPTURES.glob("*.json")):
        entries = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(entries, dict):
            entries = [
                {"id": key, "hex": value["frame_hex"]} for key, value in entries.items()
            ]
        for entry in entries:
            if entry["id"] == name and isinstance(entry["hex"], str):
                return bytes.fromhex(entry["hex"])
    raise ValueError(f"no file and no capture is called {name!r}")
