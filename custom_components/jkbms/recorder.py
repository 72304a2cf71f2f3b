"""Records a line into a file: what crosses it, with times, and nothing private."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
import time
from typing import Any, Final, Protocol, TextIO

from homeassistant.core import HomeAssistant, callback

from .protocol.can.masking import masked
from .protocol.masking import Message, Piece
from .protocol.recording import written, written_can
from .transport.tape import ByteTape, CanPiece, CanTape

MOST_SECONDS: Final = 600
FOLDER: Final = "jkbms"
_WRITE_EVERY: Final = 1.0
_MOST_WAITING: Final = 4096
"""Pieces that wait for a slow disk; what comes beyond them is lost, and counted."""
_MOST_BYTES: Final = 64 * 2**20
"""Ten minutes of a full CAN bus take half of it."""


@dataclass(slots=True)
class Recorded:
    """What a recording holds."""

    path: str = ""
    bytes: int = 0
    """That crossed the line."""
    frames: int = 0
    """Whole frames among them, or messages of a CAN bus."""
    lost: int = 0
    """Pieces that the disk was too slow for, or the file too small."""
    complete: bool = False
    """Whether it has lasted as long as it should."""


class _Scribe(Protocol):
    """Turns the pieces of a line into lines of text."""

    def lines(self, pieces: list[Any], told: Recorded) -> Iterator[str]:
        """Yield the lines of more pieces, and count."""

    def rest(self, told: Recorded) -> Iterator[str]:
        """Yield what was held back."""


class _ByteScribe:
    def __init__(self, offset: float, tape: ByteTape) -> None:
        self._offset = offset
        self._masker = tape.masker()

    def lines(self, pieces: list[Piece], told: Recorded) -> Iterator[str]:
        for piece in pieces:
            told.bytes += len(piece.data)
            yield from self._told(self._masker.feed(piece), told)

    def rest(self, told: Recorded) -> Iterator[str]:
        yield from self._told(self._masker.flush(), told)

    def _told(self, messages: Iterator[Message], told: Recorded) -> Iterator[str]:
        for message in messages:
            told.frames += message.frame
            yield written(message, self._offset)


class _CanScribe:
    def __init__(self, offset: float) -> None:
        self._offset = offset

    def lines(self, pieces: list[CanPiece], told: Recorded) -> Iterator[str]:
        for at, messages in pieces:
            told.frames += len(messages)
            for message in messages:
                told.bytes += len(message.data)
                yield written_can(masked(message), at + self._offset)

    def rest(self, told: Recorded) -> Iterator[str]:
        yield from ()


class Recording:
    """One recording of one line."""

    def __init__(
        self, hass: HomeAssistant, tape: ByteTape | CanTape, kind: str
    ) -> None:
        """Prepare it; the kind becomes a part of the file's name."""
        self._hass = hass
        self._tape = tape
        self._kind = kind
        offset = time.time() - hass.loop.time()
        self._scribe: _Scribe
        if isinstance(tape, CanTape):
            self._scribe = _CanScribe(offset)
        else:
            self._scribe = _ByteScribe(offset, tape)
        self._waiting: list[Any] = []
        self._stopped = asyncio.Event()
        self._file: TextIO | None = None
        self._told = Recorded()
        self._lock = Lock()

    @callback
    def stop(self) -> None:
        """End it before its time."""
        self._stopped.set()

    async def run(self, seconds: float) -> Recorded:
        """Record for so long; raises OSError where the file cannot be written."""
        loop = self._hass.loop
        await self._hass.async_add_executor_job(self._open)
        self._tape.listener = self._take
        ends = loop.time() + seconds
        try:
            while not self._stopped.is_set() and (left := ends - loop.time()) > 0:
                try:
                    async with asyncio.timeout(min(left, _WRITE_EVERY)):
                        await self._stopped.wait()
                except TimeoutError:
                    await self._write()
            self._told.complete = not self._stopped.is_set()
        finally:
            self._tape.listener = None
            # Also where whoever asked for it waits no more: the file is closed.
            await asyncio.shield(self._hass.async_add_executor_job(self._close))
        return self._told

    @callback
    def _take(self, piece: Any) -> None:
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(piece)
        else:
            self._told.lost += 1

    async def _write(self) -> None:
        pieces, self._waiting = self._waiting, []
        await self._hass.async_add_executor_job(self._put, pieces)

    # From here on: in threads. Who is cancelled closes while the last piece is written.

    def _open(self) -> None:
        folder = Path(self._hass.config.path(FOLDER))
        folder.mkdir(exist_ok=True)
        name = f"{self._kind}_{time.strftime('%Y%m%d-%H%M%S')}"
        number = 1
        while True:
            path = folder / (f"{name}.log" if number == 1 else f"{name}_{number}.log")
            try:
                self._file = path.open("x", encoding="ascii")
            except FileExistsError:
                number += 1
                continue
            self._told.path = str(path)
            return

    def _put(self, pieces: list[Any]) -> None:
        with self._lock:
            self._add(pieces)

    def _add(self, pieces: list[Any]) -> None:
        assert self._file is not None
        if self._file.tell() > _MOST_BYTES:
            self._told.lost += len(pieces)
            return
        self._write_lines(self._scribe.lines(pieces, self._told))

    def _write_lines(self, lines: Iterator[str]) -> None:
        assert self._file is not None
        self._file.write("".join(f"{line}\n" for line in lines))

    def _close(self) -> None:
        assert self._file is not None
        with self._lock, self._file:
            self._add(self._waiting)
            self._write_lines(self._scribe.rest(self._told))
