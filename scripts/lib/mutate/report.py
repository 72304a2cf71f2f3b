"""What came of the mutants, as figures with the doubt that a sample leaves."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
import math
from typing import Any, Final

from .running import Fate, Verdict

_NOTICED: Final = frozenset({Fate.KILLED, Fate.ENDLESS})
_Z: Final = 1.96
"""Of a confidence of 95 %."""


@dataclass(kw_only=True)
class Tally:
    """What came of the mutants of a module."""

    of: int
    """Mutants there are; fewer may have been tried."""
    fates: Counter[Fate] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """Mutants that are programs and were tried."""
        return self.fates.total() - self.fates[Fate.INVALID]

    @property
    def killed(self) -> int:
        """Mutants that were noticed."""
        return sum(self.fates[fate] for fate in _NOTICED)

    @property
    def score(self) -> float | None:
        """Share of the tried ones that were noticed."""
        return self.killed / self.tried if self.tried else None


@dataclass(kw_only=True)
class Report:
    """What came of all mutants so far."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    alive: list[Verdict] = field(default_factory=list)
    endless: list[Verdict] = field(default_factory=list)
    """Noticed only because they took too long: worth a look."""

    def add(self, verdict: Verdict) -> None:
        """Take note of one."""
        tally = self.tallies[verdict.mutant.module]
        tally.fates[verdict.fate] += 1
        tally.seconds += verdict.seconds
        if verdict.fate in {Fate.SURVIVED, Fate.UNSEEN}:
            self.alive.append(verdict)
        elif verdict.fate is Fate.ENDLESS:
            self.endless.append(verdict)

    def total(self) -> tuple[float, float]:
        """Return the share that is noticed in all modules, and how far it may be off.

        Each module counts by the number of its mutants, not by how many were tried.
        """
        known = [tally for tally in self.tallies.values() if tally.tried]
        of = sum(tally.of for tally in known)
        share = variance = 0.0
        for tally in known:
            weight, score = tally.of / of, tally.killed / tally.tried
            share += weight * score
            left = 1 - min(1.0, tally.tried / tally.of)
            # One more of each, or a module without a survivor would leave no doubt.
            likely = (tally.killed + 1) / (tally.tried + 2)
            variance += weight**2 * left * likely * (1 - likely) / tally.tried
        return share, _Z * math.sqrt(variance)

    def dump(self) -> dict[str, Any]:
        """Return it for programs."""
        share, doubt = self.total() if self.tallies else (0.0, 0.0)
        return {
            "score": round(share, 4),
            "plus_minus": round(doubt, 4),
            "modules": {
                name: {
                    "mutants": tally.of,
                    "tried": tally.tried,
                    "killed": tally.killed,
                }
                | {"fates": dict(tally.fates), "seconds": round(tally.seconds, 1)}
                for name, tally in self.tallies.items()
            },
            "alive": [
                {"name": one.mutant.name, "what": one.mutant.what, "fate": one.fate}
                | {"left_out": one.left_out}
                for one in self.alive
            ],
            "endless": [one.mutant.name for one in self.endless],
        }


def lines_of(report: Report) -> Iterable[str]:
    """Yield the table."""
    yield f"{'module':24} {'mutants':>8} {'tried':>6} {'killed':>7} {'score':>7}"
    for name, tally in report.tallies.items():
        score = "" if tally.score is None else f"{100 * tally.score:.1f} %"
        yield f"{name:24} {tally.of:8} {tally.tried:6} {tally.killed:7} {score:>7}"
    share, doubt = report.total()
    yield f"all: {100 * share:.1f} % ± {100 * doubt:.1f} %"
    for one in report.alive:
        some = f", {one.left_out} slow tests not run" if one.left_out else ""
        yield f"  {one.fate} {one.mutant.name}: {one.mutant.what}{some}"
