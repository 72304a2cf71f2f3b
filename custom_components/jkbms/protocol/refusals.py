"""What a BMS tells again and again although it cannot be true.

A frame like that is dropped, and the next one is believed: nobody needs to know. One
after the other means that the BMS is unlike all that is known, and its owner waits
for values that never come.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from .datum import Block
from .plausibility import Implausible

_LASTING: Final = 300.0
"""Seconds in which nothing of a block was believed, until that is told."""
_LATELY: Final = 180.0
"""Seconds without a further one after which it is over; settings come each minute."""


@dataclass(slots=True)
class _Run:
    """Refusals of one block with nothing believed in between."""

    reason: Implausible
    since: float
    until: float


@dataclass(slots=True)
class Refusals:
    """The refusals of one BMS; the blocks that were believed since are left to others."""

    _runs: dict[Block, _Run] = field(default_factory=dict)

    def note(
        self, block: Block, reason: Implausible, now: float, believed: float | None
    ) -> None:
        """Take note of one; `believed` is when the block was believed last."""
        run = self._runs.get(block)
        if run is None or not _goes_on(run, now, believed):
            run = self._runs[block] = _Run(reason, now, now)
        run.reason, run.until = reason, now

    def lasting(
        self, seen: Mapping[Block, float], now: float
    ) -> dict[Block, Implausible]:
        """Return why which blocks are not believed, for five minutes or more.

        `seen` holds when each was believed last.
        """
        return {
            block: run.reason
            for block, run in self._runs.items()
            if run.until - run.since >= _LASTING and _goes_on(run, now, seen.get(block))
        }


def _goes_on(run: _Run, now: float, believed: float | None) -> bool:
    recent = 0 <= now - run.until <= _LATELY
    return recent and (believed is None or believed < run.since)
