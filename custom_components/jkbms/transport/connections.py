"""How the connections of a line have begun and ended: by that it is told what ends them."""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from .link import LinkFault

_KEPT: Final = 16
_SHORT: Final = 10.0
"""Seconds; whoever is shown out this soon was not wanted."""
_LONG: Final = 15.0
_TIMES: Final = 4
"""Ends in a row that make a habit."""
_ALIKE: Final = 0.15
"""How much the lengths of connections may differ, as a share, that a clock ends."""
_WITHIN: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Ended:
    opened: float
    ended: float

    @property
    def length(self) -> float:
        return self.ended - self.opened


class Connections:
    """The last connections of a line, and the attempts since."""

    def __init__(self) -> None:
        """Start with none."""
        self.opened_at: float | None = None
        """Since when the line is open; None while it is not."""
        self.ever_opened = False
        self.last_opened: float | None = None
        self.fault: LinkFault | None = None
        """Why it could not be opened, or has ended last, until it opens and stays."""
        self.since: float | None = None
        """Since when that has been the reason."""
        self._ended: deque[_Ended] = deque(maxlen=_KEPT)

    def opened(self, now: float) -> None:
        """Take note that the line was opened."""
        self.opened_at = self.last_opened = now
        self.ever_opened = True
        if self.fault is not LinkFault.LOST:
            self.fault = self.since = None

    def down(self, fault: LinkFault, now: float) -> None:
        """Take note that the line has ended, or did not open."""
        if self.opened_at is not None and fault is LinkFault.LOST:
            self._ended.append(_Ended(self.opened_at, now))
        self.opened_at = None
        if fault is not self.fault:
            self.fault, self.since = fault, now

    def lasting(self, now: float) -> float:
        """Return for how many seconds the line has been open."""
        return 0.0 if self.opened_at is None else now - self.opened_at

    def closed_at_once(self, now: float) -> bool:
        """Tell whether the other side ends each connection as soon as it has begun."""
        last = list(self._ended)[-_TIMES:]
        return (
            len(last) == _TIMES
            and all(each.length < _SHORT for each in last)
            and now - last[-1].ended < _WITHIN
            and self.lasting(now) < _SHORT
        )

    def closed_regularly(self, now: float) -> float | None:
        """Return after how many seconds the other side ends connections; None where none does."""
        lengths = [each.length for each in self._ended][-_TIMES:]
        if len(lengths) < _TIMES or min(lengths) < _LONG:
            return None
        usual = median(lengths)
        if max(abs(length - usual) for length in lengths) > _ALIKE * usual:
            return None
        # One that lasts is the proof that nobody ends them any more.
        last = self._ended[-1].ended
        mended = max(3 * usual, 2 * _WITHIN)
        return None if now - last > usual + mended else usual
