"""How the values of a block are unpacked: all at once, then each kind of value in one go.

Going through the codec of each row instead takes three times as long.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter, truediv
import struct
from typing import Any, Final

from .codecs import Bit, ByteOrder, Codec, Flag, Raw, Scaled, Value
from .datum import Field

type Place = tuple[int, str]
"""Byte offset in the block, and struct code."""


class Picked:
    """Some of the raw values, and their keys."""

    def __init__(self, keys: Iterable[str], places: list[int]) -> None:
        """Take them by their places."""
        self.keys: Final = tuple(keys)
        self.pick: Final = _picker(places)


def _picker(places: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what takes the values at some places, however few."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda raw: tuple(raw[at] for at in places)


class Plan:
    """How the blocks of one kind of BMS are decoded."""

    def __init__(
        self,
        placed: Mapping[Field[Any], Place],
        codecs: Mapping[Field[Any], Codec[Any]],
        absent: Iterable[str],
        order: ByteOrder,
    ) -> None:
        """Sort the values by what has to be done with them."""
        # Bits of one word share an item.
        items = sorted(set(placed.values()))
        index = {item: number for number, item in enumerate(items)}
        self.fields: Final = {field: index[item] for field, item in placed.items()}
        """Which of the raw values is whose."""
        self.unpacker: Final = unpacker(items, order)
        self._absent: Final[dict[str, None]] = dict.fromkeys(absent)
        integers: list[tuple[str, int]] = []
        scaled: list[tuple[str, int, int]] = []
        unknown: list[tuple[str, int, int]] = []
        flags: list[tuple[str, int, int]] = []
        others: list[tuple[str, int, Callable[[Raw], Value]]] = []
        for field, at in self.fields.items():
            key = field.key
            match codecs[field]:
                case Scaled(unknown=None, divisor=1):
                    integers.append((key, at))
                case Scaled(unknown=value, divisor=divisor):
                    scaled.append((key, at, divisor))
                    if value is not None:
                        unknown.append((key, at, value))
                case Flag():
                    flags.append((key, at, -1))
                case Bit(bit=bit):
                    flags.append((key, at, 1 << bit))
                case codec:
                    others.append((key, at, codec.decode))
        self._integers: Final = _picked(integers)
        self._scaled: Final = _picked(scaled)
        self._divisors: Final = [divisor for _, _, divisor in scaled]
        self._unknown: Final = tuple(unknown)
        self._flags: Final = tuple(flags)
        self._others: Final = tuple(others)

    def decode(self, data: bytes, offset: int) -> dict[str, Value]:
        """Return the values of a block by key; None is unknown."""
        raw = self.unpacker.unpack_from(data, offset)
        scaled, integers = self._scaled, self._integers
        values: dict[str, Value] = dict(
            zip(
                scaled.keys,
                map(truediv, scaled.pick(raw), self._divisors, strict=True),
                strict=True,
            )
        )
        values.update(zip(integers.keys, integers.pick(raw), strict=True))
        for key, at, unknown in self._unknown:
            if raw[at] == unknown:
                values[key] = None
        for key, at, mask in self._flags:
            values[key] = raw[at] & mask != 0
        for key, at, decode in self._others:
            values[key] = decode(raw[at])
        values |= self._absent
        return values


def _picked(rows: list[Any]) -> Picked:
    return Picked([row[0] for row in rows], [row[1] for row in rows])


def unpacker(items: Iterable[Place], order: ByteOrder) -> struct.Struct:
    """Return what unpacks the values at some places, in their order."""
    parts: list[str] = []
    position = 0
    for offset, code in items:
        parts.append(f"{offset - position}x{code}")
        position = offset + struct.calcsize(f"<{code}")
    return struct.Struct(order + "".join(parts))
