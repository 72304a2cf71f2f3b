"""Frames found in a stream, clean and noisy, as performance.md 1 describes it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final
from zlib import adler32

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Discarded, Frame, Item, trigger
from custom_components.jkbms.protocol.stream import Framer
from simulator import Bank
from simulator.modbus import answer

from .least import Least
from .measure import Case, Effort, race
from .report import Figure, Goal, timed

_TRANSACTIONS: Final = 200
_DAMAGED: Final = 19
_MAGIC: Final = b"\x55\xaa\xeb\x90"
_SIZE: Final = 300
_ALL: Final = Goal(100.0, "value", least=True)
_NONE: Final = Goal(0.0, "value")


@dataclass(frozen=True, slots=True)
class _Stream:
    """What arrives, piece by piece, and which frames in it are intact."""

    pieces: tuple[bytes, ...]
    intact: tuple[bytes, ...]


def sample(*, noisy: bool) -> _Stream:
    """Return the line of performance.md 1, the same each time."""
    random = Random(1)
    bank = Bank.default(range(1, 5), seed=1)
    damaged = set(random.sample(range(_TRANSACTIONS), _DAMAGED)) if noisy else set()
    arrived = bytearray()
    intact = []
    for place in range(_TRANSACTIONS):
        pack = bank.packs[place % len(bank)]
        pack.advance(float(place))
        request = trigger(pack.address, Block.LIVE).encode()
        said = answer(pack, request, float(place))
        arrived += request
        if place in damaged:
            arrived += _damaged(said, random)
        else:
            arrived += said
            start = said.index(_MAGIC)
            intact.append(said[start : start + _SIZE])
        if noisy and place % 2:
            noise = random.randbytes(random.randint(1, 64))
            arrived += noise + _MAGIC * (random.random() < 0.25)
    return _Stream(tuple(_pieces(bytes(arrived), random)), tuple(intact))


def _damaged(said: bytes, random: Random) -> bytes:
    """Return an answer with another byte in its frame, or cut off there."""
    at = said.index(_MAGIC) + random.randrange(len(_MAGIC) + 1, _SIZE)
    if random.random() < 0.5:
        return said[:at]
    changed = bytes([said[at] ^ random.randrange(1, 256)])
    return said[:at] + changed + said[at + 1 :]


def _pieces(data: bytes, random: Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = random.randint(1, 128)
        yield data[at : at + size]
        at += size


class _Bare:
    """The least that a framer does with each piece: it looks for a head and a sum."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the frames that are complete with this piece."""
        buffer = self._buffer
        buffer += piece
        found = []
        start = 0
        while (at := buffer.find(_MAGIC, start)) >= 0 and at + _SIZE <= len(buffer):
            frame = bytes(buffer[at : at + _SIZE])
            total = (adler32(frame[:150], 0) & 0xFFFF) + (
                adler32(frame[150:299], 0) & 0xFFFF
            )
            if total & 0xFF == frame[-1]:
                found.append(frame)
                start = at + _SIZE
            else:
                start = at + 1
        del buffer[: at if at >= 0 else max(start, len(buffer) - len(_MAGIC) + 1)]
        return found


def bare(pieces: Iterable[bytes]) -> list[bytes]:
    """Return the frames of a stream by nothing but their head and their sum."""
    framer = _Bare()
    return [frame for piece in pieces for frame in framer.feed(piece)]


def least(pieces: Iterable[bytes]) -> list[bytes | Frame | Discarded]:
    """Return what is told in a stream by as little as that takes."""
    framer = Least()
    return [item for piece in pieces for item in framer.feed(piece)]


def cut(pieces: Iterable[bytes]) -> list[Item]:
    """Return what the framer makes of a stream: all that is in it, and what is not."""
    framer = Framer()
    items = [item for piece in pieces for item in framer.feed(piece)]
    return items + framer.flush()


def framing(effort: Effort) -> Iterator[Figure]:
    """Measure the framer, and see whether it finds all frames and nothing else."""
    for kind, stream in (
        ("clean", sample(noisy=False)),
        ("noisy", sample(noisy=True)),
    ):
        floor = f"{kind} stream floor: head found, sum checked"
        simple = f"{kind} stream: the least that tells requests, frames and ACKs"
        own = f"{kind} stream: cut into requests, frames and ACKs"
        count = len(stream.intact)
        results = race(
            [
                Case(floor, _over(bare, stream), count),
                Case(simple, _over(least, stream), count),
                Case(own, _over(cut, stream), count),
            ],
            effort,
        )
        yield timed(floor, results, "µs")
        yield timed(simple, results, "µs", floor=floor)
        yield timed(own, results, "µs", Goal(2.0), floor=floor)
        found = [item.data for item in cut(stream.pieces) if isinstance(item, Frame)]
        lost = [frame for frame in stream.intact if frame not in found]
        wrong = [frame for frame in found if frame not in stream.intact]
        yield Figure(
            name=f"{kind} stream: intact frames found",
            value=100 * (1 - len(lost) / count),
            unit="%",
            goals=(_ALL,),
        )
        yield Figure(
            name=f"{kind} stream: damaged frames passed on",
            value=len(wrong),
            unit="",
            goals=(_NONE,),
        )


def _over(
    find: Callable[[Iterable[bytes]], object], stream: _Stream
) -> Callable[[], None]:
    def run_all() -> None:
        find(stream.pieces)

    return run_all
