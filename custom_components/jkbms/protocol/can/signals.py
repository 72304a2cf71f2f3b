"""Where values are in a message of a bank: each place declared once, read and written by it."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
import struct
from typing import Final, override

from ..codecs import Text, Value
from .conditions import Condition
from .frame import Decoded, Frame

type Values = dict[str, Value]
type Bits = Mapping[tuple[int, int], Condition]
"""Conditions by byte and bit."""
type Rounding = Callable[[float], int]

_CYCLE: Final = 1.0
"""Seconds; the slowest (can.md 2.1)."""
_TEXT: Final = Text("8s")
_HAIR: Final = 1e-6
"""What floating point may have lost of a raw value that is whole."""
CELL_EXTREMES: Final = ("max_cell_voltage", "min_cell_voltage", "delta_cell_voltage")


def at_most(raw: float) -> int:
    """Round a limit so that no more is allowed than was meant."""
    return floor(raw + _HAIR)


def at_least(raw: float) -> int:
    """Round a limit up, where the higher one is the more careful."""
    return ceil(raw - _HAIR)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A place in a message."""

    told: bool = True
    """Whether a receiver takes the value from here; else another message tells it better."""

    @abstractmethod
    def read(self, data: bytes, values: Values) -> None:
        """Take values from a message of fitting length."""

    @abstractmethod
    def write(self, said: Decoded, data: bytearray) -> None:
        """Put values into an empty message; what is unknown is left empty."""


@dataclass(frozen=True)
class _Coded(Part):
    key: str
    offset: int
    code: str
    """Its struct format, byte order first."""

    @cached_property
    def _struct(self) -> struct.Struct:
        return struct.Struct(self.code)

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self._struct.size

    def raw(self, data: bytes | bytearray) -> int | None:
        """Return what is there; None where the message is too short."""
        if len(data) < self.end:
            return None
        raw: int = self._struct.unpack_from(data, self.offset)[0]
        return raw

    def put(self, raw: int, data: bytearray) -> None:
        """Put a number there, the nearest one that fits."""
        bits = 8 * self._struct.size
        low, high = 0, (1 << bits) - 1
        if self.code[-1].islower():
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
        self._struct.pack_into(data, self.offset, min(max(raw, low), high))


@dataclass(frozen=True)
class Number(_Coded):
    """A number; the value is raw / divisor less the bias."""

    divisor: int = 1
    bias: int = 0
    unknown: int | None = None
    """The raw value that stands for "not told"."""
    rounding: Rounding = round

    @override
    def read(self, data: bytes, values: Values) -> None:
        raw = self.raw(data)
        if raw is None or raw == self.unknown:
            values[self.key] = None
        else:
            values[self.key] = self.value(raw)

    def value(self, raw: int) -> float:
        """Return what a raw value means."""
        return (raw if self.divisor == 1 else raw / self.divisor) - self.bias

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        value = said.values.get(self.key)
        if isinstance(value, int | float) and self.end <= len(data):
            self.put(self.rounding((value + self.bias) * self.divisor), data)


@dataclass(frozen=True)
class FineCharge(Number):
    """The state of charge in hundredths, beside the whole one at the beginning."""

    @override
    def read(self, data: bytes, values: Values) -> None:
        values[self.key] = None
        # Pylontech's followers keep something else there, or nothing.
        if (raw := self.raw(data)) is None or any(data[self.end :]):
            return
        whole = int.from_bytes(data[:2], "little")
        value = self.value(raw)
        if abs(value - whole) <= 1 and (raw > 0 or whole == 0):
            values[self.key] = value


@dataclass(frozen=True)
class Share(_Coded):
    """Some bits of a number."""

    mask: int = 0

    @override
    def read(self, data: bytes, values: Values) -> None:
        raw = self.raw(data)
        values[self.key] = None if raw is None else raw & self.mask

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        value = said.values.get(self.key)
        if isinstance(value, int):
            self.put((self.raw(data) or 0) | value & self.mask, data)


@dataclass(frozen=True)
class Flag(Part):
    """Whether one of some bits of a byte is set; all of them are where it is so."""

    key: str
    byte: int
    mask: int

    @override
    def read(self, data: bytes, values: Values) -> None:
        values[self.key] = bool(data[self.byte] & self.mask)

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        if said.values.get(self.key):
            data[self.byte] |= self.mask


@dataclass(frozen=True)
class Whole(Part):
    """A byte that is all ones or nothing."""

    key: str
    byte: int = 0

    @override
    def read(self, data: bytes, values: Values) -> None:
        values[self.key] = data[self.byte] == 0xFF

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        if said.values.get(self.key):
            data[self.byte] = 0xFF


@dataclass(frozen=True)
class Words(Part):
    """A text of ASCII, filled up at its end."""

    key: str
    offset: int = 0
    size: int = 8
    fill: bytes = b"\0"
    skip: int = 0
    """Characters of the text that another message has."""

    @override
    def read(self, data: bytes, values: Values) -> None:
        values[self.key] = _TEXT.decode(data[self.offset : self.offset + self.size])

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        text = said.values.get(self.key)
        if isinstance(text, str):
            raw = text.encode("ascii", "replace")[self.skip :][: self.size]
            data[self.offset : self.offset + self.size] = raw.ljust(
                self.size, self.fill
            )


@dataclass(frozen=True)
class Version(Part):
    """A software version in two bytes, told where it is known what they mean."""

    key: str
    offset: int
    of: tuple[str, str] | None = None
    """Which value has to be what, for the bytes to be a version."""

    @override
    def read(self, data: bytes, values: Values) -> None:
        major, minor = data[self.offset : self.offset + 2]
        known = self.of is None or values.get(self.of[0]) == self.of[1]
        values[self.key] = f"{major}.{minor:02}" if known else None

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        version = said.values.get(self.key)
        if isinstance(version, str):
            major, _, minor = version.partition(".")
            data[self.offset] = int(major) & 0xFF
            data[self.offset + 1] = int(minor) & 0xFF


@dataclass(frozen=True)
class Mark(Part):
    """Bytes that are always the same."""

    offset: int
    content: bytes

    @override
    def read(self, data: bytes, values: Values) -> None:
        """There is nothing to learn from them."""

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        end = self.offset + len(self.content)
        data[self.offset : end] = self.content


@dataclass(frozen=True)
class Cells(Part):
    """The highest and the lowest cell, mV; 0 is unknown."""

    high: int
    low: int
    code: str = "<H"

    @override
    def read(self, data: bytes, values: Values) -> None:
        highest, lowest = (
            struct.unpack_from(self.code, data, offset)[0]
            for offset in (self.high, self.low)
        )
        values |= cell_extremes(highest, lowest)

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        for key, offset in zip(CELL_EXTREMES, (self.high, self.low), strict=False):
            Number(key, offset, self.code, divisor=1000).write(said, data)


@dataclass(frozen=True, kw_only=True)
class _Conditions(Part):
    """Places of conditions; they are no values."""

    warns: bool = False
    """Whether they are warnings, and no alarms."""

    @override
    def read(self, data: bytes, values: Values) -> None:
        """They have no value of their own."""

    @abstractmethod
    def active(self, data: bytes) -> tuple[Condition, ...]:
        """Return those that are active."""

    @property
    @abstractmethod
    def known(self) -> tuple[Condition, ...]:
        """Those that it has a place for."""

    def wanted(self, said: Decoded) -> tuple[Condition, ...]:
        """Return those to be told."""
        return said.warnings if self.warns else said.alarms


@dataclass(frozen=True)
class Alarms(_Conditions):
    """Conditions with a bit each."""

    bits: Bits

    @override
    def active(self, data: bytes) -> tuple[Condition, ...]:
        return tuple(
            condition
            for (byte, bit), condition in self.bits.items()
            if data[byte] >> bit & 1
        )

    @property
    @override
    def known(self) -> tuple[Condition, ...]:
        return tuple(self.bits.values())

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        wanted = self.wanted(said)
        for (byte, bit), condition in self.bits.items():
            if condition in wanted:
                data[byte] |= 1 << bit


@dataclass(frozen=True)
class Pairs(_Conditions):
    """Conditions with two bits each: 1 active, 2 all right, 0 not supported (can.md 2.2)."""

    offset: int
    conditions: tuple[Condition, ...]
    healthy: int
    """The four bytes of a JK with none of them active."""

    @override
    def active(self, data: bytes) -> tuple[Condition, ...]:
        word = int.from_bytes(data[self.offset : self.offset + 4], "little")
        return tuple(
            condition
            for n, condition in enumerate(self.conditions)
            if word >> 2 * n & 3 == 1
        )

    @property
    @override
    def known(self) -> tuple[Condition, ...]:
        return self.conditions

    @override
    def write(self, said: Decoded, data: bytearray) -> None:
        word, wanted = self.healthy, self.wanted(said)
        for n, condition in enumerate(self.conditions):
            if condition in wanted:
                word = word & ~(3 << 2 * n) | 1 << 2 * n
        data[self.offset : self.offset + 4] = word.to_bytes(4, "little")


@dataclass(frozen=True)
class Layout:
    """What is where in a message."""

    parts: tuple[Part, ...]

    def decode(self, data: bytes) -> Decoded:
        """Return what a message of fitting length says."""
        values: Values = {}
        alarms: tuple[Condition, ...] = ()
        warnings: tuple[Condition, ...] = ()
        for part in self.parts:
            if not part.told:
                continue
            part.read(data, values)
            if isinstance(part, _Conditions):
                if part.warns:
                    warnings += part.active(data)
                else:
                    alarms += part.active(data)
        return Decoded(values, alarms, warnings)

    def encode(self, said: Decoded, length: int) -> bytes:
        """Return the message of a length that says so."""
        data = bytearray(length)
        for part in self.parts:
            part.write(said, data)
        return bytes(data)

    def conditions(self, *, warns: bool = False) -> Iterable[Condition]:
        """Return what it can tell of, as alarms or as warnings."""
        for part in self.parts:
            if isinstance(part, _Conditions) and part.warns is warns:
                yield from part.known


@dataclass(frozen=True, slots=True, kw_only=True)
class BankFrame(Frame):
    """A message of a bank, which can be written as well as read."""

    layout: Layout


def bank_frame(code: int, name: str, length: int, *parts: Part) -> BankFrame:
    """Declare a message of a bank."""
    layout = Layout(parts)
    return BankFrame(
        name=name,
        id=code,
        length=length,
        period=_CYCLE,
        decode=layout.decode,
        layout=layout,
    )


def cell_extremes(highest: int, lowest: int) -> Values:
    """Return the extremes of the cells, given in millivolts; 0 is unknown."""
    if not highest or not lowest:
        return dict.fromkeys(CELL_EXTREMES)
    extremes = (highest, lowest, highest - lowest)
    return {k: raw / 1000 for k, raw in zip(CELL_EXTREMES, extremes, strict=True)}
