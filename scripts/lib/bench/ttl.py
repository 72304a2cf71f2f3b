"""Answers of `4E 57`: what it costs to check, to decode and to believe them."""

from collections.abc import Callable, Iterator
from operator import truediv
import struct
from typing import Any, Final

from custom_components.jkbms.protocol.codecs import Scaled
from custom_components.jkbms.protocol.pacing import SERIAL, Patience
from custom_components.jkbms.protocol.ttl.decode import decode
from custom_components.jkbms.protocol.ttl.frames import HEAD, TAIL, is_whole
from custom_components.jkbms.protocol.ttl.station import TtlStation
from custom_components.jkbms.protocol.ttl.stream import Framer
from custom_components.jkbms.protocol.ttl.table import ITEMS
from simulator import Pack, trios
from simulator.ttl import content_of, frame_of

from .measure import Case, Effort, race
from .report import Figure, Goal, timed

_FRAMES: Final = 100
"""So many seconds of one pack; each run begins with a state that knows nothing."""
_VERSION: Final = "11.XW_S11.26___"
_SHAPES: Final = {"16 cells": (0, False), "8 cells, the first version": (5, True)}
"""The captured pack that speaks, and whether it tells no version."""

type Look = Callable[[bytes], object]


def run(effort: Effort) -> Iterator[Figure]:
    """Measure each shape of answers."""
    for name, (kind, legacy) in _SHAPES.items():
        yield from _shape(name, _series(kind, legacy=legacy), effort)


def _shape(name: str, frames: list[bytes], effort: Effort) -> Iterator[Figure]:
    unpacked = f"{name} floor: unpacked, summed up"
    scaled = f"{name} floor: by name, in volts and amperes"
    decoded = f"{name}: checked, decoded"
    cut = f"{name}: found in the stream"
    good = f"{name}: found and taken into the state"
    results = race(
        [
            Case(unpacked, _each(frames, _unpacker(frames[0])), len(frames)),
            Case(scaled, _each(frames, _scaler(frames[0])), len(frames)),
            Case(decoded, _each(frames, _decoded), len(frames)),
            Case(cut, _cutter(frames), len(frames)),
            Case(good, _believer(frames), len(frames)),
        ],
        effort,
    )
    yield timed(unpacked, results, "µs")
    yield timed(scaled, results, "µs", floor=unpacked)
    yield timed(decoded, results, "µs", Goal(1.5), floor=scaled)
    yield timed(cut, results, "µs", floor=unpacked)
    yield timed(good, results, "µs", floor=scaled)


def _series(kind: int, *, legacy: bool) -> list[bytes]:
    """Return what a pack says, second by second."""
    pack = Pack(trios()[kind], 0, seed=1)
    frames = []
    for second in range(_FRAMES):
        pack.advance(float(second))
        said = content_of(pack, _VERSION, legacy_current=legacy)
        frames.append(frame_of(0, 6, said))
    return frames


def _each(frames: list[bytes], look: Look) -> Callable[[], None]:
    def run_all() -> None:
        for frame in frames:
            look(frame)

    return run_all


# -- floors ---------------------------------------------------------------------------


def _items(frame: bytes) -> tuple[str, list[tuple[str, Any]]]:
    """Return the struct format of the content, and key and codec of each value in it."""
    content = frame[HEAD:-TAIL]
    count = content[1] // 3
    parts = [f"{HEAD + 2}x", "xH" * count]
    values: list[tuple[str, Any]] = [
        (f"cell_voltage_{n + 1}", Scaled("H", 1000)) for n in range(count)
    ]
    at = 2 + content[1]
    while at < len(content):
        item = ITEMS[content[at]]
        at += 1 + item.codec.size
        if item.datum is None:
            parts.append(f"{1 + item.codec.size}x")
        else:
            parts.append(f"x{item.codec.code}")
            values.append((item.datum.key, item.codec))
    return ">" + "".join(parts), values


def _check(frame: bytes) -> None:
    if sum(memoryview(frame)[:-4]) & 0xFFFF != int.from_bytes(frame[-2:], "big"):
        raise ValueError("the sum does not fit")


def _unpacker(first: bytes) -> Look:
    unpack = struct.Struct(_items(first)[0]).unpack_from

    def look(frame: bytes) -> object:
        _check(frame)
        return unpack(frame)

    return look


def _scaler(first: bytes) -> Look:
    code, values = _items(first)
    unpack = struct.Struct(code).unpack_from
    numbers = [n for n, (_, c) in enumerate(values) if not c.code.endswith("s")]
    texts = [n for n in range(len(values)) if n not in numbers]
    keys = [values[n][0] for n in numbers]
    text_keys = [values[n][0] for n in texts]
    divisors = [getattr(values[n][1], "divisor", 1) for n in numbers]

    def look(frame: bytes) -> object:
        _check(frame)
        raw = unpack(frame)
        picked = [raw[n] for n in numbers]
        told: dict[str, Any] = dict(
            zip(keys, map(truediv, picked, divisors, strict=True), strict=True)
        )
        told |= zip(text_keys, [raw[n] for n in texts], strict=True)
        return told

    return look


# -- ours -----------------------------------------------------------------------------


def _decoded(frame: bytes) -> object:
    said = decode(frame[HEAD:-TAIL]) if is_whole(frame) else None
    if said is None:
        raise ValueError("an answer was not decoded")
    return said


def _cutter(frames: list[bytes]) -> Callable[[], None]:
    def run_all() -> None:
        framer = Framer()
        found = sum(len(framer.feed(frame)) for frame in frames)
        if found != len(frames):
            raise ValueError(f"{len(frames) - found} answers were not found")

    return run_all


def _believer(frames: list[bytes]) -> Callable[[], None]:
    def run_all() -> None:
        station = TtlStation(
            0, gone_after=30.0, cycle=1.0, due=0.0, patience=Patience(SERIAL)
        )
        framer = Framer()
        believed = 0
        for second, frame in enumerate(frames):
            for message in framer.feed(frame):
                said = decode(message.content)
                if said is not None:
                    update = station.take(said.values, float(second))
                    believed += update is not None
        if believed < len(frames):
            raise ValueError(f"{len(frames) - believed} answers were not believed")

    return run_all
