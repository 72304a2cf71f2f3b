"""How one value is written in a block: the wire type, its scale, and what means unknown."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
import math
import struct
from typing import Final, Literal, override

type Raw = int | float | bytes
type Value = float | int | bool | str | date | None
NUMBER: Final = (float, int)
"""For `isinstance`: a union would be made anew for each value, which takes five times as long."""

BMS_EPOCH: Final = datetime(2020, 1, 1)
"""Zero of the BMS clock, in the local time its owner's app has set (rs485.md 2.6)."""


@dataclass(frozen=True, slots=True)
class Codec[T]:
    """A wire type; `code` is its struct format without the byte order.

    The same bytes are little endian in a frame and big endian over FC03
    (rs485.md 2.4), so the byte order belongs to the path, not to the codec.
    """

    code: str

    @property
    def size(self) -> int:
        """Length in bytes."""
        return struct.calcsize(f"<{self.code}")

    def decode(self, raw: Raw) -> T | None:
        """Return the physical value, or None where the BMS has none."""
        raise NotImplementedError

    def encode(self, value: T) -> Raw:
        """Return the wire value; raises TypeError for what is never written."""
        raise TypeError(f"{type(self).__name__} values are not written")


@dataclass(frozen=True, slots=True)
class Scaled(Codec[float]):
    """A number; the physical value is raw / divisor."""

    divisor: int = 1
    unknown: int | None = None
    """The raw value that stands for "not measured" (−2000 for an absent probe)."""

    @override
    def decode(self, raw: Raw) -> float | None:
        if raw == self.unknown or isinstance(raw, bytes):
            return None
        return raw if self.divisor == 1 else raw / self.divisor

    @override
    def encode(self, value: float) -> int:
        return round(value * self.divisor)


@dataclass(frozen=True, slots=True)
class Single(Codec[float]):
    """A floating point number; `factor` makes it our unit. What is no number is unknown."""

    factor: float = 1.0
    digits: int = 4

    @override
    def decode(self, raw: Raw) -> float | None:
        if not isinstance(raw, float) or not math.isfinite(raw):
            return None
        return round(raw * self.factor, self.digits)


@dataclass(frozen=True, slots=True)
class Flag(Codec[bool]):
    """0 is off, everything else is on."""

    @override
    def decode(self, raw: Raw) -> bool:
        return bool(raw)

    @override
    def encode(self, value: bool) -> int:
        return int(value)


@dataclass(frozen=True, slots=True)
class Bit(Codec[bool]):
    """One bit of a word whose other bits mean something else."""

    bit: int = 0

    @override
    def decode(self, raw: Raw) -> bool:
        return bool(int(raw) >> self.bit & 1)


@dataclass(frozen=True, slots=True)
class Enumerated(Codec[str]):
    """A number that names a state; a number without a name is unknown."""

    options: tuple[str, ...] = ()

    @override
    def decode(self, raw: Raw) -> str | None:
        number = int(raw)
        return self.options[number] if number < len(self.options) else None

    @override
    def encode(self, value: str) -> int:
        return self.options.index(value)


@dataclass(frozen=True, slots=True)
class Text(Codec[str]):
    """ASCII, cut at the first NUL; what is not printable is no text at all."""

    @override
    def decode(self, raw: Raw) -> str | None:
        if not isinstance(raw, bytes):
            return None
        text = raw.split(b"\0", 1)[0].decode("ascii", "replace").strip()
        return text if text and text.isprintable() and text.isascii() else None


@dataclass(frozen=True, slots=True)
class Hexadecimal(Codec[str]):
    """Bytes whose meaning is not known, kept for diagnostics as hexadecimal text."""

    @override
    def decode(self, raw: Raw) -> str | None:
        return raw.hex() if isinstance(raw, bytes) else None


@dataclass(frozen=True, slots=True)
class Clock(Codec[datetime]):
    """Seconds since 2020-01-01 as a naive local time; 0 is a clock never set."""

    @override
    def decode(self, raw: Raw) -> datetime | None:
        return BMS_EPOCH + timedelta(0, int(raw)) if raw else None


@dataclass(frozen=True, slots=True)
class Date(Codec[date]):
    """A date as six digits, YYMMDD."""

    @override
    def decode(self, raw: Raw) -> date | None:
        if not isinstance(raw, bytes):
            return None
        try:
            return datetime.strptime(raw[:6].decode("ascii"), "%y%m%d").date()
        except ValueError:
            return None


U8: Final = Scaled("B")
I8: Final = Scaled("b")
U16: Final = Scaled("H")
U32: Final = Scaled("I")
I32: Final = Scaled("i")
F32: Final = Single("f", digits=6)
U16_MILLI: Final = Scaled("H", 1000)
U32_MILLI: Final = Scaled("I", 1000)
I16_MILLI: Final = Scaled("h", 1000)
I32_MILLI: Final = Scaled("i", 1000)
U32_TENTH: Final = Scaled("I", 10)
I32_TENTH: Final = Scaled("i", 10)
U8_TENTH: Final = Scaled("B", 10)
U16_HUNDREDTH: Final = Scaled("H", 100)
CELL_MILLIVOLT: Final = Scaled("H", 1000, unknown=0xFFFF)
PROBE: Final = Scaled("h", 10, unknown=-2000)
"""−200.0 °C is the BMS's word for "no sensor" (rs485.md 5.2)."""
FLAG8: Final = Flag("B")
FLAG32: Final = Flag("I")
CLOCK: Final = Clock("I")
DATE: Final = Date("8s")


def text(size: int) -> Text:
    """Return the codec of a text of that many bytes."""
    return Text(f"{size}s")


def hexadecimal(size: int) -> Hexadecimal:
    """Return the codec of that many bytes of unknown meaning."""
    return Hexadecimal(f"{size}s")


def bit16(bit: int) -> Bit:
    """Return the codec of one bit of a 16-bit word."""
    return Bit("H", bit)


def enum8(*options: str) -> Enumerated:
    """Return the codec of a byte that names one of the states, counted from 0."""
    return Enumerated("B", options)


type ByteOrder = Literal["<", ">"]
LITTLE: Final[ByteOrder] = "<"
"""Byte order inside a frame."""
BIG: Final[ByteOrder] = ">"
"""Byte order of FC03 and FC16."""
