"""What a BMS that answers leaves out, again and again.

An answer that is lost is asked for again, and nobody needs to know. One that never
comes means that its owner waits for entities that never get a value.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from .asked_station import AskedStation
from .ble.station import BleStation
from .datum import Block
from .ttl.station import TtlStation

_LASTING: Final = 300.0
"""Seconds in which a block did not come, until that is told."""
_FRESH: Final = 150.0
"""Seconds for which an answer proves that a BMS is there, and live values are new: one
that is silent is asked for them every two minutes at least."""
_SETTINGS_LAST: Final = 900.0
_CYCLES: Final = 20
"""Seconds, or cycles, for which settings need not come again: on a full bus each round of
live values takes those of one pack along, and there may be 16."""


@dataclass(slots=True)
class Omissions:
    """What one BMS leaves out, and since when."""

    _since: dict[Block, float] = field(default_factory=dict)

    def lasting(
        self, station: AskedStation | BleStation | TtlStation | None, now: float
    ) -> frozenset[Block]:
        """Look at it now; return what it has left out for five minutes or more.

        None where it is not asked at the moment. A block that comes and is not believed
        is left out too.
        """
        left_out = () if station is None else _left_out(station, now)
        self._since = {block: self._since.get(block, now) for block in left_out}
        return frozenset(b for b, t in self._since.items() if now - t >= _LASTING)


def _left_out(
    station: AskedStation | BleStation | TtlStation, now: float
) -> Iterator[Block]:
    """Yield what is asked for and does not come, although others do."""
    seen = station.state.seen
    # The older protocol has no blocks: all is told at once.
    if isinstance(station, TtlStation) or station.heard is None:
        return
    if now - station.heard > _FRESH:
        return
    who_lasts = _FRESH if _has_to_say_it_again(station) else inf
    if Block.DEVICE not in seen or now - seen[Block.DEVICE] > who_lasts:
        # Until then nothing of it is taken over.
        yield Block.DEVICE
        return
    settings_last = max(_SETTINGS_LAST, _CYCLES * station.cycle)
    for block, lasts in ((Block.LIVE, _FRESH), (Block.SETTINGS, settings_last)):
        if block not in seen or now - seen[block] > lasts:
            yield block


def _has_to_say_it_again(station: AskedStation | BleStation) -> bool:
    """Tell whether another BMS may have taken its place."""
    return isinstance(station, AskedStation) and station.unverified
