"""How far apart the cells of a pack were, and which of them leads (docs/insight.md)."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from .codecs import Value
from .derived import DERIVED, number
from .fields import STATE_OF_CHARGE
from .fields.rows import MAX_CELLS
from .recall import items, mapping, moment, number_in, whole_in

type Values = Mapping[str, Value]

DIFFERENCE: Final = next(d for d in DERIVED if d.key == "delta_cell_voltage")
_DIGITS: Final = 3
_MOST_VOLTS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Spread:
    """How far apart the cells were, and when, at which state of charge."""

    volts: float
    measured: datetime
    state_of_charge: float | None

    @classmethod
    def of(cls, values: Values, now: datetime) -> Self | None:
        """Return what the values tell, None where they do not."""
        volts = number(values, DIFFERENCE)
        if volts is None:
            return None
        return cls(
            round(volts, _DIGITS),
            in_seconds(now),
            number(values, STATE_OF_CHARGE),
        )

    def dump(self) -> list[Any]:
        """Return plain data to store."""
        return [self.volts, self.measured.isoformat(), self.state_of_charge]

    @classmethod
    def load(cls, stored: object) -> Self | None:
        """Return what `dump` has stored, None where it makes no sense."""
        told = items(stored, 3)
        volts = number_in(told[0], 0, _MOST_VOLTS) if told else None
        measured = moment(told[1]) if told else None
        if volts is None or measured is None:
            return None
        return cls(volts, measured, number_in(told[2], 0, 100))


def in_seconds(now: datetime) -> datetime:
    """Return a time in UTC: the difference of two local ones is wrong in summer time."""
    return now.astimezone(UTC).replace(microsecond=0)


_CHARGES: Final = 10
_CHARGE_OVER: Final = 5
"""Percent that the state of charge has to fall before another charge counts."""


class Leads:
    """Which cell had the highest voltage of all in each of the last charges."""

    def __init__(self) -> None:
        """Start with no charge."""
        self.cells: deque[int] = deque(maxlen=_CHARGES)
        self._over = True
        self._volts = 0.0
        self._highest_soc = 0.0

    def follow(self, soc: float) -> None:
        """Notice that a charge is over."""
        if soc > self._highest_soc:
            self._highest_soc = soc
        elif soc <= self._highest_soc - _CHARGE_OVER:
            self._over = True

    def note(self, cell: int, volts: float, soc: float) -> bool:
        """Take note of the highest cell near full; tell whether it leads this charge now."""
        if self._over:
            self._over = False
            self._highest_soc = soc
            self.cells.append(cell)
        elif volts > self._volts:
            self.cells[-1] = cell
        else:
            return False
        self._volts = volts
        return True

    @property
    def most(self) -> tuple[int, int] | None:
        """The cell that led most often and how often; of several the latest."""
        if not self.cells:
            return None
        led = Counter(self.cells)
        most = max(led.values())
        return next(cell for cell in reversed(self.cells) if led[cell] == most), most

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        return {
            "cells": list(self.cells),
            "over": self._over,
            "volts": self._volts,
            "highest_soc": self._highest_soc,
        }

    def load(self, stored: object) -> None:
        """Go on from what `dump` has stored; without its end a charge is over."""
        data = mapping(stored)
        cells = (whole_in(one, 1, MAX_CELLS) for one in items(data.get("cells")))
        self.cells = deque((cell for cell in cells if cell), maxlen=_CHARGES)
        volts = number_in(data.get("volts"), 0, _MOST_VOLTS)
        soc = number_in(data.get("highest_soc"), 0, 100)
        if self.cells and volts is not None and soc is not None:
            self._over = data.get("over") is not False
            self._volts, self._highest_soc = volts, soc
