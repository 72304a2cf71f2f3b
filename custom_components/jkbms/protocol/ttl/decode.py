"""From the content of an answer to values by key (ttl4e57.md 4).

The ids of an answer are walked once; answers of the same shape are then unpacked at
one go, as long as their ids are where they were.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter, truediv
import re
import struct
from typing import Any, Final

from ..codecs import Flag, Raw, Scaled, Text, Value
from ..fields import (
    CELL_PRESENCE,
    CELL_VOLTAGES,
    CURRENT,
    HARDWARE_VERSION,
    MODEL,
    SOFTWARE_VERSION,
)
from ..fields.ttl import ALARM_WORD, MANUFACTURER_ID, PROTOCOL_VERSION, STATUS_WORD
from ..plan import Picked
from .table import CELLS, ITEMS, YearMonth
from .words import of_alarms, of_status

_SHAPES_KEPT: Final = 32
_CELL_SIZE: Final = 3
_MODEL_AT: Final = 12
"""Firmware 10 and later: user data of 12 bytes, then the model (ttl4e57.md 4)."""
_MODEL_HEAD: Final = b"JK"
_VERSIONS: Final = re.compile(r"H?([^_]+)_+S([^_]+)_*")
"""Hardware and software, as in 11.XW_S11.26___ and H6.X__S6.1.3S__."""
_SIGN: Final = 0x8000
_OFFSET: Final = 10_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """What an answer says."""

    values: dict[str, Value]
    unknown: int
    """The id at which the walk ended because nobody knows it; -1 for none."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where the values of an answer are."""

    codes: tuple[int, ...]
    cells: int
    fixed: dict[int, int]
    """What has to be at a place for this to be the same shape."""
    unknown: int


def decode(content: bytes) -> Decoded | None:
    """Return what an answer to "read all" says; None where it is none, or not whole."""
    key = (len(content), content[:2])
    shape = _shapes.get(key)
    if shape is None or shape.places(content) != shape.fixed:
        walk = _walked(content)
        if walk is None:
            return None
        shape = _shapes[key] = _Shape(walk)
        while len(_shapes) > _SHAPES_KEPT:
            _shapes.popitem(last=False)
    return Decoded(shape.decode(content), shape.unknown)


def current(raw: int, version: float | None) -> float | None:
    """Return A, + while charging, by the version of the protocol (ttl4e57.md 5.2)."""
    match version:
        case 0 | None:
            return (_OFFSET - raw) / 100
        case 1:
            return -raw / 100 if raw < _SIGN else (raw - _SIGN) / 100
        case _:
            return None


def _walked(content: bytes) -> _Walk | None:
    """Follow the ids to the end, or to one that nobody knows."""
    count, rest = divmod(content[1] if len(content) > 1 else 1, _CELL_SIZE)
    at = 2 + _CELL_SIZE * count
    if content[:1] != bytes((CELLS,)) or rest or not count or at > len(content):
        return None
    numbers = {2 + _CELL_SIZE * n: n + 1 for n in range(count)}
    if count > len(CELL_VOLTAGES) or any(content[p] != n for p, n in numbers.items()):
        return None
    fixed = {0: CELLS, 1: _CELL_SIZE * count, **numbers}
    codes: list[int] = []
    while at < len(content):
        code = content[at]
        item = ITEMS.get(code)
        if item is None or code in codes:
            return _Walk(tuple(codes), count, {**fixed, at: code}, code)
        fixed[at] = code
        codes.append(code)
        at += 1 + item.codec.size
    return _Walk(tuple(codes), count, fixed, -1) if at == len(content) else None


class _Shape:
    """How answers with the same ids at the same places are decoded."""

    def __init__(self, walk: _Walk) -> None:
        """Sort the values by what has to be done with them."""
        self.unknown: Final = walk.unknown
        self.places: Final = itemgetter(*walk.fixed)
        self.fixed: Final = tuple(walk.fixed.values())
        parts = ["2x", "xH" * walk.cells]
        scaled = [(f.key, at, 1000) for at, f in enumerate(CELL_VOLTAGES[: walk.cells])]
        numbers: list[tuple[str, int]] = []
        flags: list[tuple[str, int]] = []
        texts: list[tuple[str, int]] = []
        others: list[tuple[str, int, Callable[[Raw], Value]]] = []
        at = walk.cells
        for code in walk.codes:
            codec, datum = ITEMS[code].codec, ITEMS[code].datum
            if datum is None:
                parts.append(f"x{codec.size}x")
                continue
            parts.append(f"x{codec.code}")
            match codec:
                case Scaled(unknown=None, divisor=1):
                    numbers.append((datum.key, at))
                case Scaled(unknown=None, divisor=divisor):
                    scaled.append((datum.key, at, divisor))
                case Flag():
                    flags.append((datum.key, at))
                case Text() | YearMonth():
                    texts.append((datum.key, at))
                case _:
                    others.append((datum.key, at, codec.decode))
            at += 1
        self._unpack: Final = struct.Struct(">" + "".join(parts)).unpack_from
        self._scaled: Final = Picked(
            [key for key, _, _ in scaled], [a for _, a, _ in scaled]
        )
        self._divisors: Final = [divisor for _, _, divisor in scaled]
        self._numbers: Final = Picked(*_columns(numbers))
        self._flags: Final = Picked(*_columns(flags))
        self._texts: Final = Picked(*_columns(texts))
        self._others: Final = others
        self._presence: Final = (1 << walk.cells) - 1
        # Where the walk ended early the version may come behind: who knows which it is.
        self._has_version: Final = walk.unknown < 0 or 0xC0 in walk.codes

    def decode(self, content: bytes) -> dict[str, Value]:
        """Return the values."""
        raw = self._unpack(content)
        scaled, numbers, flags = self._scaled, self._numbers, self._flags
        values: dict[str, Value] = dict(
            zip(
                scaled.keys,
                map(truediv, scaled.pick(raw), self._divisors, strict=True),
                strict=True,
            )
        )
        values |= zip(numbers.keys, numbers.pick(raw), strict=True)
        values |= zip(flags.keys, map(bool, flags.pick(raw)), strict=True)
        for key, at, codec in self._others:
            values[key] = codec(raw[at])
        values |= _texts(self._texts.keys, self._texts.pick(raw))
        values[CELL_PRESENCE.key] = self._presence
        if CURRENT.key in values:
            values[CURRENT.key] = self._current(values)
        if ALARM_WORD.key in values:
            values |= of_alarms(values[ALARM_WORD.key])
        if STATUS_WORD.key in values:
            values |= of_status(values[STATUS_WORD.key])
        return values

    def _current(self, values: dict[str, Any]) -> float | None:
        if not self._has_version:
            return None
        return current(values[CURRENT.key], values.get(PROTOCOL_VERSION.key))


def _columns(pairs: list[tuple[str, int]]) -> tuple[list[str], list[int]]:
    return [key for key, _ in pairs], [at for _, at in pairs]


_shapes: OrderedDict[tuple[int, bytes], _Shape] = OrderedDict()


# Texts stay the same as long as nobody renames the pack.
@lru_cache(maxsize=64)
def _texts(keys: tuple[str, ...], raw: tuple[bytes, ...]) -> Mapping[str, Value]:
    codecs = {item.datum.key: item.codec for item in ITEMS.values() if item.datum}
    found = dict(zip(keys, raw, strict=True))
    values: dict[str, Value] = {key: codecs[key].decode(r) for key, r in found.items()}
    if (version := values.get(SOFTWARE_VERSION.key)) is not None:
        values |= _versions(str(version))
    if (maker := found.get(MANUFACTURER_ID.key)) is not None:
        model = maker[_MODEL_AT:]
        known = model.startswith(_MODEL_HEAD)
        values[MODEL.key] = codecs[MANUFACTURER_ID.key].decode(model) if known else None
    return values


def _versions(text: str) -> dict[str, Value]:
    found = _VERSIONS.fullmatch(text)
    if found is None:
        return {SOFTWARE_VERSION.key: text, HARDWARE_VERSION.key: None}
    hardware, software = found.groups()
    return {SOFTWARE_VERSION.key: software, HARDWARE_VERSION.key: hardware}
