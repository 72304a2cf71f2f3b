"""What was measured, as a table for people and as JSON for programs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
import os
import platform
from typing import Any, Final

from .measure import Samples

_UNITS: Final = {"µs": 1e6, "ms": 1e3, "s": 1.0}
_HEAD: Final = ("", "value", "p10 – p90", "× floor", "goal")


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure, or its ratio to the floor, should at most be."""

    most: float
    of: str = "ratio"
    """"ratio" or "value"."""
    least: bool = False
    """It should be at least that instead."""

    def met(self, figure: Figure) -> bool:
        """Tell whether it is."""
        reached = figure.ratio if self.of == "ratio" else figure.value
        assert reached is not None
        return reached >= self.most if self.least else reached <= self.most

    def told(self, figure: Figure) -> str:
        """Return it in words."""
        unit = "×" if self.of == "ratio" else figure.unit
        sign = "≥" if self.least else "≤"
        return f"{sign} {self.most:g} {unit} {'met' if self.met(figure) else 'MISSED'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    value: float | None = None
    """None where nothing could be measured, and the name says why."""
    unit: str = ""
    spread: tuple[float, float] | None = None
    ratio: float | None = None
    floor: str | None = None
    """The name of what the ratio is to."""
    goals: tuple[Goal, ...] = ()
    samples: Samples | None = None
    """What it is the median of."""

    def dump(self) -> dict[str, Any]:
        """Return it as plain data."""
        goals = [
            {"most" if not g.least else "least": g.most, "of": g.of, "met": g.met(self)}
            for g in self.goals
        ]
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "spread": self.spread,
            "ratio": self.ratio,
            "floor": self.floor,
            "goals": goals,
        }


def timed(
    name: str,
    samples: Mapping[str, Samples],
    unit: str,
    *goals: Goal,
    floor: str | None = None,
) -> Figure:
    """Return the figure of a case, with its ratio to another one."""
    factor = _UNITS[unit]
    own = samples[name]
    low, high = own.spread
    figure = Figure(
        name=name,
        value=own.median * factor,
        unit=unit,
        spread=(low * factor, high * factor),
        goals=goals,
        samples=own,
    )
    if floor is None:
        return figure
    return replace(figure, floor=floor, ratio=own.over(samples[floor]))


def machine() -> dict[str, Any]:
    """Return what was measured on."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def table(title: str, figures: Iterable[Figure]) -> str:
    """Return figures as lines of text."""
    rows = [_HEAD, *map(_row, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [title, ""]
    for row in rows:
        first, *numbers, goal = row
        cells = [first.ljust(widths[0])]
        cells += [n.rjust(w) for n, w in zip(numbers, widths[1:-1], strict=True)]
        lines.append("  ".join((*cells, goal)).rstrip())
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    spread = ""
    if figure.spread is not None:
        spread = " – ".join(map(_number, figure.spread))
    return (
        figure.name,
        ""
        if figure.value is None
        else f"{_number(figure.value)} {figure.unit}".rstrip(),
        spread,
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        ", ".join(goal.told(figure) for goal in figure.goals),
    )


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
