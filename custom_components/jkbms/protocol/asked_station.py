"""One BMS of a bus as its master knows it: what it owes, and how it has answered."""

from collections import Counter
from dataclasses import dataclass, field as dataclass_field
from typing import Final

from .approach import Approach
from .datum import Block
from .garbling import Garbling
from .pacing import Pace, Patience
from .station import Station

_SILENT_AFTER: Final = 3
"""Requests in a row without an answer before a BMS is probed instead of asked."""
_AT_ONCE: Final = 5
"""Requests for a block that are repeated at once: four triggers, then registers."""
_RARELY: Final = 60.0
"""Seconds between requests for what a BMS never tells to be believed."""


@dataclass(slots=True, kw_only=True)
class AskedStation(Station):
    """One BMS of the bus as its master knows it."""

    due: dict[Block, float]
    patience: Patience
    pace: Pace = dataclass_field(default_factory=Pace)
    misses: int = 0
    live_misses: int = 0
    in_vain: Counter[Block] = dataclass_field(default_factory=Counter)
    """Requests in a row for a block that brought nothing to be believed."""
    unverified: bool = True
    """Whether another BMS may have taken its place since its device info was read."""
    garbling: Garbling = dataclass_field(default_factory=Garbling)
    approach: Approach = dataclass_field(default_factory=Approach)

    @property
    def clashes(self) -> bool:
        """Whether two BMS seem to have its address."""
        return self.state.clashing or self.garbling.suspected

    @property
    def alive(self) -> bool:
        """Whether it answers, as far as the last requests tell."""
        return self.misses < _SILENT_AFTER

    @property
    def last_chance(self) -> bool:
        """Whether one request more without an answer makes it silent."""
        return self.misses == _SILENT_AFTER - 1

    def put_off(self, block: Block) -> float:
        """Count a request in vain; return for how long not to ask again: ever longer."""
        self.in_vain[block] += 1
        further = self.in_vain[block] - _AT_ONCE
        return min(_RARELY, 2.0 ** min(further, 6)) if further > 0 else 0.0
