"""How the resistance of the wires to the cells changes over weeks.

A BMS tells whole milliohms that waver by some of them (`tests/captures`), so what is
compared is their average over a day.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from .codecs import Value
from .derived import number, present_cells
from .fields import CELL_RESISTANCES
from .recall import day, items, mapping, number_in, whole_in

type Values = Mapping[str, Value]
type Milliohms = dict[int, float]
"""By the number of the cell, counted from 1."""

INTERVAL: Final = 600.0
"""Seconds between two looks."""
_DAY: Final = round(86_400 / INTERVAL)
"""Looks in a day."""
_MONTH: Final = timedelta(days=30)
_TOO_OLD: Final = timedelta(days=45)
_KEPT_EVERY: Final = timedelta(days=5)
_MOST: Final = 0xFFFF
_DIGITS: Final = 1


class Change(NamedTuple):
    """How much the wire that has changed most has changed."""

    milliohms: float
    cell: int
    since: date


@dataclass(slots=True)
class Wires:
    """The average resistances, and those that were kept of the weeks before."""

    _average: Milliohms
    _looks: int
    """Of how many looks it is the average, at most those of a day."""
    _looked: date
    _kept: list[tuple[date, Milliohms]]

    def __init__(self) -> None:
        """Start with nothing."""
        self._average = {}
        self._looks = 0
        self._looked = date.min
        self._kept = []

    def look(self, values: Values, today: date) -> None:
        """Take the present resistances into account."""
        told = {
            cell: milliohms
            for cell in present_cells(values)
            if (milliohms := number(values, CELL_RESISTANCES[cell - 1]))
        }
        if not told:
            return
        if abs(today - self._looked) > timedelta(days=1):
            # What was true before a long silence is no part of the average of a day.
            self._average, self._looks = {}, 0
        self._looked = today
        weight = 1 / (self._looks + 1)
        self._looks = min(self._looks + 1, _DAY - 1)
        self._average = {
            cell: (old := self._average.get(cell, now)) + weight * (now - old)
            for cell, now in told.items()
        }
        if self._known:
            self._keep(today)

    @property
    def _known(self) -> bool:
        return self._looks == _DAY - 1

    def _keep(self, today: date) -> None:
        self._kept = [
            (then, milliohms)
            for then, milliohms in self._kept
            if timedelta(0) <= today - then <= _TOO_OLD
        ]
        if not self._kept or today - self._kept[-1][0] >= _KEPT_EVERY:
            self._kept.append((today, dict(self._average)))

    @property
    def change(self) -> Change | None:
        """How far the wires are from what they were a month ago, None as long as unknown."""
        if not self._known:
            return None
        old = [kept for kept in self._kept if self._looked - kept[0] >= _MONTH]
        if not old:
            return None
        since, before = old[-1]
        changes = {
            cell: now - before[cell]
            for cell, now in self._average.items()
            if cell in before
        }
        if not changes:
            return None
        cell = max(changes, key=lambda cell: abs(changes[cell]))
        # Adding zero makes -0.0 a 0.0.
        return Change(round(changes[cell], _DIGITS) + 0.0, cell, since)

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        return {
            "average": _dump(self._average, 3),
            "looks": self._looks,
            "looked": self._looked.isoformat(),
            "kept": [
                [then.isoformat(), _dump(milliohms, 1)]
                for then, milliohms in self._kept
            ],
        }

    def load(self, stored: object) -> None:
        """Go on from what `dump` has stored; what makes no sense is left out."""
        data = mapping(stored)
        looked = day(data.get("looked"))
        looks = whole_in(data.get("looks"), 0, _DAY - 1)
        average = _load(data.get("average"))
        if looked is not None and looks is not None and average:
            self._average, self._looks, self._looked = average, looks, looked
        kept = []
        for item in items(data.get("kept")):
            pair = items(item, 2)
            then = day(pair[0]) if pair else None
            milliohms = _load(pair[1]) if pair else {}
            if then is not None and milliohms:
                kept.append((then, milliohms))
        self._kept = sorted(kept, key=lambda one: one[0])


def _dump(milliohms: Milliohms, digits: int) -> dict[str, float]:
    return {str(cell): round(value, digits) for cell, value in milliohms.items()}


def _load(stored: object) -> Milliohms:
    return {
        int(cell): value
        for cell, told in mapping(stored).items()
        if isinstance(cell, str)
        and cell in _CELLS
        and (value := number_in(told, 0, _MOST)) is not None
    }


_CELLS: Final = {str(n + 1) for n in range(len(CELL_RESISTANCES))}
