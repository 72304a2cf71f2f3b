"""What a row in the table of CAN messages says: id, length, period, meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..codecs import Value
from .conditions import Condition

MAX_LENGTH: Final = 8
FULL_SET: Final = 3.0
"""Seconds in which everything periodic was heard: twice the longest period measured."""
_PERIODS: Final = 5
"""A message that was missing for so many of its periods has stopped."""


# One is made for each message that changes: a frozen one would take twice as long.
@dataclass(slots=True)
class Decoded:
    """What one message says; it is shared, and stays as it is."""

    values: Mapping[str, Value] = field(default_factory=dict)
    alarms: tuple[Condition, ...] = ()
    warnings: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A message that a BMS sends: the same for all addresses but for the id."""

    name: str
    id: int
    """At address 0."""
    extended: bool = False
    length: int
    """The bytes that have a meaning; more are padding."""
    period: float
    """Seconds, as measured (can.md 1.2, 2.1)."""
    decode: Callable[[bytes], Decoded]
    decode_v1: Callable[[bytes], Decoded] | None = None
    """What it says in version 1 of JK's own protocol, where that is something else."""
    follows: Callable[[bytes, bytes], bool] | None = None
    """Tells whether one BMS can say the second a moment after the first."""

    @property
    def gone_after(self) -> float:
        """Seconds after which its values are unknown though the BMS speaks."""
        return max(FULL_SET, _PERIODS * self.period)

    def decoded(self, data: bytes, *, v1: bool = False) -> Decoded:
        """Return what a message of fitting length says."""
        return (self.decode_v1 if v1 and self.decode_v1 else self.decode)(data)

    def fits(self, length: int) -> bool:
        """Tell whether a message of this length can be it."""
        return self.length <= length <= MAX_LENGTH
