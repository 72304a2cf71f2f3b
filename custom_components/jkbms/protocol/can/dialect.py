"""Which of its languages a CAN port speaks, told by the ids it sends (can.md 0)."""

from collections.abc import Set as AbstractSet
from enum import StrEnum


class Dialect(StrEnum):
    """A set of messages that belong together."""

    NATIVE_V1 = "native_v1"
    """JK's own in its first version: four messages, current positive on discharge."""
    NATIVE_V2 = "native_v2"
    """JK's own with cells and everything else."""
    PYLON = "pylon"
    """Pylontech and those who follow it: Deye, GoodWe, Luxpower."""
    SMA = "sma"
    VICTRON = "victron"
    GROWATT = "growatt"


def of_bank(ids: AbstractSet[int]) -> Dialect | None:
    """Return the dialect of a bank that sends these 11-bit ids; None: cannot tell yet.

    What a Victron bank sends beyond SMA's messages may come last: whoever asks has to
    have heard a whole cycle.
    """
    if 0x311 in ids and 0x313 in ids:
        return Dialect.GROWATT
    if 0x351 not in ids:
        return None
    if 0x35A in ids:
        return Dialect.VICTRON if ids & {0x373, 0x379} else Dialect.SMA
    return Dialect.PYLON if 0x359 in ids else None
