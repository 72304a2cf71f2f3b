"""Frames of 300 bytes: what it costs to find, to decode and to believe them."""

from collections.abc import Callable, Iterator
from operator import truediv
import struct
from typing import Any, Final

from custom_components.jkbms.protocol.codecs import Scaled
from custom_components.jkbms.protocol.datum import Block, Field, Role
from custom_components.jkbms.protocol.fields import FIELDS_OF
from custom_components.jkbms.protocol.frames import FRAME_SIZE, Frame, sum8
from custom_components.jkbms.protocol.layout import FRAME_HEAD, decode_block, recognise
from custom_components.jkbms.protocol.state import BmsState
import simulator
from simulator import Pack, trios

from .measure import Case, Effort, race
from .report import Figure, Goal, timed
from .stream import framing

_FRAMES: Final = 100
"""So many seconds of one pack; each run begins with a state that knows nothing."""
_SIMULATED: Final = {
    Block.LIVE: simulator.Block.LIVE,
    Block.SETTINGS: simulator.Block.SETTINGS,
}


def run(effort: Effort) -> Iterator[Figure]:
    """Measure live and settings frames, then the stream that they come in."""
    yield from _block(Block.LIVE, effort)
    yield from _block(Block.SETTINGS, effort)
    yield from framing(effort)


def _block(block: Block, effort: Effort) -> Iterator[Figure]:
    frames = _series(block)
    fields = _decoded(block)
    name, count = block.label, len(fields)
    unpacked = f"{name} floor: {count} fields unpacked, summed up"
    scaled = f"{name} floor: by name, in volts and amperes"
    decoded = f"{name}: checked, recognised, decoded"
    good = f"{name}: checked and taken into the state"
    noisy = f"{name}: the same on a noisy line"
    results = race(
        [
            Case(unpacked, _each(frames, _unpacker(fields)), len(frames)),
            Case(scaled, _each(frames, _scaler(fields)), len(frames)),
            Case(decoded, _each(frames, _decoder(block)), len(frames)),
            Case(good, _believer(frames, block, noisy=False), len(frames)),
            Case(noisy, _believer(frames, block, noisy=True), len(frames)),
        ],
        effort,
    )
    yield timed(unpacked, results, "µs")
    yield timed(scaled, results, "µs", floor=unpacked)
    yield timed(decoded, results, "µs", Goal(1.3), floor=scaled)
    yield timed(good, results, "µs", floor=scaled)
    yield timed(noisy, results, "µs", floor=scaled)


def _series(block: Block) -> list[bytes]:
    """Return what a pack says, second by second."""
    pack = Pack(trios()[0], 1, seed=1)
    frames = []
    for second in range(_FRAMES):
        pack.advance(float(second))
        frames.append(pack.frame(_SIMULATED[block]))
    return frames


def _decoded(block: Block) -> list[Field[Any]]:
    fields = [field for field in FIELDS_OF[block] if field.role is not Role.SECRET]
    return sorted(fields, key=lambda field: field.offset)


def _each(frames: list[bytes], look: Callable[[bytes], object]) -> Callable[[], None]:
    def run_all() -> None:
        for frame in frames:
            look(frame)

    return run_all


# -- floors ---------------------------------------------------------------------------


def _format(fields: list[Field[Any]]) -> struct.Struct:
    """Return what unpacks fields of a frame, those that share bytes once."""
    parts, position = ["<"], 0
    for offset, code in sorted({(f.offset + FRAME_HEAD, f.codec.code) for f in fields}):
        parts.append(f"{offset - position}x{code}")
        position = offset + struct.calcsize(f"<{code}")
    return struct.Struct("".join(parts))


def _unpacker(fields: list[Field[Any]]) -> Callable[[bytes], object]:
    unpack = _format(fields).unpack_from

    def look(frame: bytes) -> object:
        if sum(memoryview(frame)[: FRAME_SIZE - 1]) & 0xFF != frame[FRAME_SIZE - 1]:
            raise ValueError("the sum does not fit")
        return unpack(frame)

    return look


def _scaler(fields: list[Field[Any]]) -> Callable[[bytes], object]:
    texts = [field for field in fields if field.codec.code.endswith("s")]
    places = {f.offset: f for f in fields if f not in texts}
    numbers = list(places.values())
    divisors = [
        field.codec.divisor if isinstance(field.codec, Scaled) else 1
        for field in numbers
    ]
    keys, text_keys = [f.key for f in numbers], [f.key for f in texts]
    unpack, unpack_texts = _format(numbers).unpack_from, _format(texts).unpack_from

    def look(frame: bytes) -> object:
        if sum(memoryview(frame)[: FRAME_SIZE - 1]) & 0xFF != frame[FRAME_SIZE - 1]:
            raise ValueError("the sum does not fit")
        values: dict[str, Any] = dict(
            zip(keys, map(truediv, unpack(frame), divisors, strict=True), strict=True)
        )
        if text_keys:
            values |= zip(text_keys, unpack_texts(frame), strict=True)
        return values

    return look


# -- ours -----------------------------------------------------------------------------


def _decoder(block: Block) -> Callable[[bytes], object]:
    def look(frame: bytes) -> object:
        layout = recognise(frame)
        if layout is None or sum8(frame) != frame[-1]:
            raise ValueError("a frame was not recognised")
        return decode_block(frame, block, layout, offset=FRAME_HEAD)

    return look


def _believer(frames: list[bytes], block: Block, *, noisy: bool) -> Callable[[], None]:
    def run_all() -> None:
        state = BmsState()
        believed = 0
        for second, data in enumerate(frames):
            if sum8(data) == data[-1]:
                update = state.take_frame(
                    Frame(data), block, float(second), noisy=noisy
                )
                believed += update is not None
        # On a noisy line the first has to be said twice.
        if believed < len(frames) - noisy:
            raise ValueError(f"{len(frames) - believed} good frames were not believed")

    return run_all
