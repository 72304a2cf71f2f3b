"""Cases timed beside each other: in shuffled rounds, so that all meet the same machine."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import gc
from random import Random
from statistics import median, quantiles
from time import thread_time
from typing import Final

_BATCH: Final = 0.004
"""Seconds of CPU that a case runs at a time: a thousand times what the clock resolves."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float
    """What takes its time by the clock."""


FULL: Final = Effort(rounds=41, seconds=20.0)
QUICK: Final = Effort(rounds=3, seconds=2.0)


@dataclass(frozen=True, slots=True)
class Case:
    """Something to be timed."""

    name: str
    run: Callable[[], object]
    units: int = 1
    """How many of what is counted are in one run."""


@dataclass(frozen=True, slots=True)
class Samples:
    """CPU seconds per unit, one in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """What half of the rounds took at most."""
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """What all but a tenth of the rounds took at least, and at most."""
        tenths = quantiles(self.seconds, n=10, method="inclusive")
        return tenths[0], tenths[-1]

    def over(self, floor: Samples) -> float:
        """How often the floor fits in, compared round by round."""
        pairs = zip(self.seconds, floor.seconds, strict=True)
        return median(own / other for own, other in pairs)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Leave garbage where it is for a while."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def race(cases: Iterable[Case], effort: Effort) -> dict[str, Samples]:
    """Time the cases, by name."""
    runs = [(case, _repeats(case)) for case in cases]
    taken: dict[str, list[float]] = {case.name: [] for case, _ in runs}
    random = Random(1)
    with undisturbed():
        for _ in range(effort.rounds):
            random.shuffle(runs)
            for case, repeats in runs:
                seconds = _time(case, repeats)
                taken[case.name].append(seconds / repeats / case.units)
    return {name: Samples(tuple(seconds)) for name, seconds in taken.items()}


def _repeats(case: Case) -> int:
    case.run()
    return max(1, round(_BATCH / max(_time(case, 1), 1e-7)))


def _time(case: Case, repeats: int) -> float:
    run = case.run
    begin = thread_time()
    for _ in range(repeats):
        run()
    return thread_time() - begin
