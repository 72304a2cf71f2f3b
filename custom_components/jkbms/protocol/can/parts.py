"""What the messages of all banks are made of, whatever the dialect."""

from collections.abc import Callable
from typing import Final

from ..codecs import Text, Value
from .conditions import Condition, alarm
from .frame import Decoded, Frame

type Decode = Callable[[bytes], Decoded]
type Bits = dict[tuple[int, int], Condition]
"""Conditions by byte and bit."""

HIGH_VOLTAGE: Final = alarm("battery_overvoltage")
LOW_VOLTAGE: Final = alarm("battery_undervoltage")
_CELL_EXTREMES: Final = ("max_cell_voltage", "min_cell_voltage", "delta_cell_voltage")
_CYCLE: Final = 1.0
"""Seconds; the slowest (can.md 2.1)."""
_TEXT: Final = Text("8s")


def bank_frame(code: int, name: str, length: int, decode: Decode) -> Frame:
    """Declare a message of a bank."""
    return Frame(name=name, id=code, length=length, period=_CYCLE, decode=decode)


def nothing(_data: bytes) -> Decoded:
    """Decode a message that is known and tells nothing to show."""
    return Decoded()


def text(data: bytes) -> str | None:
    """Return what is written in a message."""
    return _TEXT.decode(data)


def active(data: bytes, bits: Bits) -> tuple[Condition, ...]:
    """Return the conditions whose bit is set."""
    return tuple(
        condition for (byte, bit), condition in bits.items() if data[byte] >> bit & 1
    )


def cell_extremes(highest: int, lowest: int) -> dict[str, Value]:
    """Return the extremes of the cells, given in millivolts; 0 is unknown."""
    if not highest or not lowest:
        return dict.fromkeys(_CELL_EXTREMES)
    extremes = (highest, lowest, highest - lowest)
    return {k: raw / 1000 for k, raw in zip(_CELL_EXTREMES, extremes, strict=True)}
