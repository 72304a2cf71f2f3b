"""What is on a CAN bus: told by listening, for there is nothing to ask."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, auto
from itertools import pairwise
from typing import Final

from .dialect import Dialect
from .machine import BANK_ADDRESS, CanListener
from .message import CanMessage

LISTEN_FOR: Final = 6.0
"""Seconds; a pack proves itself in two cycles of its cells, of 1.5 s each."""
_SLICES: Final = 60
"""What was heard is gone through as if it had come evenly while listening."""
_KEPT: Final = 40_000
"""More messages than 500 kbit/s carry in that time."""


class CanFinding(StrEnum):
    """What a bus turned out to be."""

    SILENCE = auto()
    """No message came: wrong bit rate, wires, termination, or CAN is off."""
    PACKS = auto()
    """Packs speak JK's own protocol."""
    BANK = auto()
    """A BMS speaks to an inverter, for all packs together."""
    INVERTER = auto()
    """Only an inverter was heard, and no battery that answers it."""
    CLASH = auto()
    """Two packs at least speak at one address, and none at an address of its own."""
    FOREIGN = auto()
    """Messages, but none that make a BMS."""


@dataclass(frozen=True, slots=True)
class HeardPack:
    """A pack that was heard."""

    address: int
    cells: int
    """How many it has; 0 where it does not tell (version 1)."""


class CanSurvey:
    """Listens; never sends."""

    def __init__(self, *, hears_extended: bool = True) -> None:
        """Start having heard nothing."""
        self._heard: deque[CanMessage] = deque(maxlen=_KEPT)
        self._hears_extended = hears_extended
        self._listener = CanListener(())
        self.counts: Counter[str] = Counter()
        """Messages in all; after `finish` also those of inverters, foreign ones, and
        those too short or too long for their id."""

    def hear(self, messages: Iterable[CanMessage]) -> None:
        """Take in messages of the bus."""
        for message in messages:
            self._heard.append(message)
            self.counts["messages"] += 1

    def finish(self) -> CanFinding:
        """Return what the bus is, as far as listening tells."""
        listener = CanListener((), hears_extended=self._hears_extended)
        self._listener = listener
        messages = list(self._heard)
        ends = [len(messages) * n // _SLICES for n in range(_SLICES + 1)]
        for n, (begin, end) in enumerate(pairwise(ends)):
            listener.advance(n * LISTEN_FOR / _SLICES, messages[begin:end])
        self.counts["inverter"] = listener.of_inverter
        self.counts["foreign"] = listener.foreign
        self.counts["malformed"] = listener.malformed
        if self.packs:
            return CanFinding.PACKS
        if BANK_ADDRESS in listener.stations:
            return CanFinding.BANK
        if self.clashing:
            return CanFinding.CLASH
        if not messages:
            return CanFinding.SILENCE
        if listener.of_inverter == len(messages):
            return CanFinding.INVERTER
        return CanFinding.FOREIGN

    @property
    def dialect(self) -> Dialect | None:
        """What is spoken, once `finish` was called."""
        return self._listener.dialect

    @property
    def packs(self) -> tuple[HeardPack, ...]:
        """The packs heard, by address."""
        return tuple(
            HeardPack(address, station.cells)
            for address, station in sorted(self._listener.stations.items())
            if address != BANK_ADDRESS
        )

    @property
    def clashing(self) -> tuple[int, ...]:
        """The addresses at which two packs seem to speak."""
        return self._listener.clashing
