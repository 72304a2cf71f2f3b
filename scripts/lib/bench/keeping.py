"""What was measured, kept in the form of pyperf, whose commands compare one run with another."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyperf

from .report import Figure

_UNIT = "second"


def keep(path: Path, measured: Mapping[str, Iterable[Figure]]) -> None:
    """Write the samples of all figures that have some; raises OSError."""
    found = [
        one for name, figures in measured.items() for one in _benchmarks(name, figures)
    ]
    if not found:
        raise OSError("nothing was timed: there is nothing to keep")
    pyperf.BenchmarkSuite(found).dump(str(path), replace=True)


def _benchmarks(name: str, figures: Iterable[Figure]) -> Iterator[pyperf.Benchmark]:
    machine = pyperf.Run([1.0]).get_metadata()
    for figure in figures:
        # pyperf knows no time that is too short to be told from none.
        if figure.samples is None or min(figure.samples.seconds) <= 0:
            continue
        about = machine | {"name": f"{name}: {figure.name}", "unit": _UNIT}
        # A round is a run: it has met the machine in a moment of its own.
        yield pyperf.Benchmark(
            [
                pyperf.Run([seconds], metadata=about, collect_metadata=False)
                for seconds in figure.samples.seconds
            ]
        )
