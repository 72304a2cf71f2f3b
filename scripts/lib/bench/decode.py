"""Frames of 300 bytes: what it costs to find, to decode and to believe them."""

from collections.abc import Callable, Iterator
from typing import Any

from custom_components.jkbms.protocol.datum import Block, Field, Role
from custom_components.jkbms.protocol.fields import FIELDS_OF
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.state import BmsState

from . import said
from .floor import Look, scaler, unpacker
from .measure import Case, Effort, Samples, race
from .peer import PACKAGE, peer
from .report import Figure, Goal, timed
from .stream import framing

_PEER_VERSION = 15
_WITHIN = Goal(1.3)
_TWICE_AS_FAST = Goal(2.0, least=True)


def run(effort: Effort) -> Iterator[Figure]:
    """Measure live and settings frames, then the stream that they come in."""
    yield from _live(effort)
    yield from _settings(effort)
    yield from framing(effort)


def _live(effort: Effort) -> Iterator[Figure]:
    frames, a_fifth = said.told(Block.LIVE), said.a_fifth()
    fields = _decoded(Block.LIVE)
    unpacked = f"live floor: {len(fields)} fields unpacked, summed up"
    scaled = "live floor: by name, in volts and amperes"
    known = "live: decoded, its layout known, nothing else"
    alone = "live: recognised and decoded, nothing else"
    goes_on = "live, into the state: as simulated"
    a_fifth_changed = "live, into the state: a fifth of all changed"
    theirs = f"{PACKAGE}: some 40 values decoded"
    complete = f"{PACKAGE}: with what follows from them"
    cases = [
        _each(unpacked, frames, unpacker(fields)),
        _each(scaled, frames, scaler(fields)),
        _each(known, frames, _decoder(Block.LIVE, recognise(frames[0]))),
        _each(alone, frames, _decoder(Block.LIVE)),
        _believing(goes_on, frames),
        _believing(a_fifth_changed, a_fifth),
    ]
    rest = [
        _believing("live, into the state: all changed that may", said.all_that_may()),
        _believing("live, into the state: doubted, then said again", said.twice(), 2),
        _each("live, into the state: the first frame", frames, _first),
        _believing("live, into the state: on a noisy line", frames, noisy=True),
    ]
    other = peer(_PEER_VERSION)
    if other is not None:
        cases.append(_each(theirs, frames, other.decode))
        cases.append(_each(complete, frames, other.complete))
    results = race([*cases, *rest], effort)
    yield timed(unpacked, results, "µs")
    yield timed(scaled, results, "µs", floor=unpacked)
    yield timed(known, results, "µs", _WITHIN, floor=scaled)
    yield timed(alone, results, "µs", floor=scaled)
    yield timed(goes_on, results, "µs", _WITHIN, floor=scaled)
    yield timed(a_fifth_changed, results, "µs", _WITHIN, floor=scaled)
    for case in rest:
        yield timed(case.name, results, "µs", floor=scaled)
    yield from _compared(results, theirs, complete, goes_on)


def _compared(
    results: dict[str, Samples], theirs: str, complete: str, ours: str
) -> Iterator[Figure]:
    """Tell how often ours fits into theirs."""
    if theirs not in results:
        yield Figure(name=f"{PACKAGE} is not installed: nothing compared with it")
        return
    yield timed(theirs, results, "µs", _TWICE_AS_FAST, floor=ours)
    yield timed(complete, results, "µs", _TWICE_AS_FAST, floor=ours)


def _settings(effort: Effort) -> Iterator[Figure]:
    frames = said.told(Block.SETTINGS)
    fields = _decoded(Block.SETTINGS)
    unpacked = f"settings floor: {len(fields)} fields unpacked, summed up"
    scaled = "settings floor: by name, in volts and amperes"
    alone = "settings: recognised and decoded, nothing else"
    same = "settings, into the state: the same again"
    first = "settings, into the state: the first frame"
    results = race(
        [
            _each(unpacked, frames, unpacker(fields)),
            _each(scaled, frames, scaler(fields)),
            _each(alone, frames, _decoder(Block.SETTINGS)),
            _believing(same, frames, block=Block.SETTINGS),
            _each(first, frames, lambda data: _first(data, Block.SETTINGS)),
        ],
        effort,
    )
    yield timed(unpacked, results, "µs")
    yield timed(scaled, results, "µs", floor=unpacked)
    yield timed(alone, results, "µs", _WITHIN, floor=scaled)
    yield timed(same, results, "µs", _WITHIN, floor=scaled)
    yield timed(first, results, "µs", floor=scaled)


def _decoded(block: Block) -> list[Field[Any]]:
    fields = [field for field in FIELDS_OF[block] if field.role is not Role.SECRET]
    return sorted(fields, key=lambda field: field.offset)


def _each(name: str, frames: list[bytes], look: Look) -> Case:
    def run_all() -> None:
        for frame in frames:
            look(frame)

    return Case(name, run_all, len(frames))


def _decoder(block: Block, known: Layout | None = None) -> Callable[[bytes], object]:
    def look(frame: bytes) -> object:
        layout = known or recognise(frame)
        if layout is None or sum8(frame) != frame[-1]:
            raise ValueError("a frame was not recognised")
        return decode_block(frame, block, layout, offset=FRAME_HEAD)

    return look


def _first(data: bytes, block: Block = Block.LIVE) -> None:
    if sum8(data) != data[-1] or not BmsState().take_frame(Frame(data), block, 0.0):
        raise ValueError("a good frame was not believed")


def _believing(
    name: str,
    frames: list[bytes],
    times: int = 1,
    *,
    block: Block = Block.LIVE,
    noisy: bool = False,
) -> Case:
    """Return how frames are taken that are each said so many times until believed."""

    def run_all() -> None:
        state = BmsState()
        believed = 0
        for second, data in enumerate(frames):
            if sum8(data) == data[-1]:
                frame = Frame(data)
                update = state.take_frame(frame, block, float(second), noisy=noisy)
                believed += update is not None
        # On a noisy line the first has to be said twice.
        if believed < len(frames) // times - noisy:
            raise ValueError(f"{len(frames) - believed} good frames were not believed")

    return Case(name, run_all, len(frames))
