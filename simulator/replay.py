"""Plays captured bytes on a line, for those who only listen."""

from collections.abc import Sequence
import json
from pathlib import Path
from typing import Final

from .faults import Fault
from .line import Speed
from .wire import BYTE_TIME

_CHUNK: Final = 32
_CAPTURES: Final = Path(__file__).parent.parent / "tests" / "captures"


class ReplayLine:
    """Sends bytes from their first one on once somebody listens, and hears nothing."""

    faults: Sequence[Fault] = ()

    def __init__(
        self, data: bytes, *, speed: Speed = Speed.WIRE, repeat: bool = True
    ) -> None:
        """Play bytes once, or over and over at the speed of the wire."""
        self._data = data
        self._byte_time = BYTE_TIME if speed is Speed.WIRE else 0.0
        self._repeat = repeat and bool(self._byte_time) and bool(data)
        self._start: float | None = None
        self._sent = 0

    def connected(self, now: float) -> None:
        """Begin, if nobody has listened before."""
        if self._start is None:
            self._start = now

    def receive(self, data: bytes, now: float) -> None:
        """Nobody is there to hear it."""

    def due(self) -> float | None:
        """When the next piece is through."""
        if self._start is None:
            return None
        end = min(self._sent + _CHUNK, len(self._data))
        return self._start + end * self._byte_time if end > self._sent else None

    def collect(self, now: float) -> list[bytes]:
        """The pieces that are through."""
        pieces = []
        while (due := self.due()) is not None and due <= now:
            piece = self._data[self._sent : self._sent + _CHUNK]
            pieces.append(piece)
            self._sent += len(piece)
            if self._repeat and self._sent == len(self._data):
                self._start, self._sent = due, 0
        return pieces


def load_capture(name: str) -> bytes:
    """The bytes of a capture: a file of hex text or of raw bytes, or the id of one that the tests keep.

    Raises ValueError with a sentence if there is no such thing.
    """
    path = Path(name)
    if path.is_file():
        raw = path.read_bytes()
        try:
            return bytes.fromhex(raw.decode("ascii"))
        except ValueError:
            return raw
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
