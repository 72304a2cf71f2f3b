"""The command line of scripts/fuzz."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
import subprocess
import sys
from typing import Final

from .seeds import ROOT, seeds_of
from .targets import TARGETS

_KEPT: Final = ROOT / ".fuzz"
_CHILD: Final = ROOT / "scripts" / "lib" / "standalone.py"
_LONGEST: Final = 4096
_MEMORY: Final = 1024
"""MB; what takes more gathers without an end."""
_SLOWEST: Final = 20
"""Seconds that one input may take on a busy machine."""
_RUNS: Final = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_COVERED: Final = re.compile(r"cov: (\d+)")
_FOUND: Final = re.compile(r"Test unit written to (\S+)")
_RAISED: Final = re.compile(r"^[\w.]*(?:Exception|Error|Violation): .*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What came of a target."""

    name: str
    runs: int
    covered: int
    """Places of the code that were reached."""
    found: Path | None
    """The input that something must not have done with."""
    raised: str


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Feed everything that reads bytes from outside with inputs that lead it to new places "
        "(atheris, libFuzzer), beginning with what real devices sent. Nothing may raise, "
        "spin, lose bytes or show a value that is none. What was learnt is kept in .fuzz.",
        suggest_on_error=True,
    )
    options.add_argument(
        "names",
        nargs="*",
        choices=[[], *TARGETS],
        metavar="TARGET",
        help=f"{', '.join(TARGETS)}; all unless told",
    )
    options.add_argument(
        "--seconds", type=int, default=60, help="for each (default: %(default)s)"
    )
    options.add_argument("--seed", type=int, default=1)
    return options


def fuzz(name: str, seconds: int, seed: int, kept: Path = _KEPT) -> Result:
    """Feed one target."""
    corpus = kept / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds_of(name)):
        (corpus / f"seed-{number}").write_bytes(data)
    told = {
        "max_total_time": seconds,
        "seed": seed,
        "max_len": _LONGEST,
        "timeout": _SLOWEST,
        "rss_limit_mb": _MEMORY,
        "artifact_prefix": f"{kept}/{name}-",
        "print_final_stats": 1,
    }
    done = subprocess.run(
        [sys.executable, str(_CHILD), "fuzz.one", name]
        + [f"-{option}={value}" for option, value in told.items()]
        + [str(corpus)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stdout + done.stderr
    found, raised = _FOUND.search(said), _RAISED.search(said)
    if done.returncode and not found:
        raise RuntimeError(f"{name}: {said[-2000:]}")
    runs, covered = _RUNS.search(said), _COVERED.findall(said)
    return Result(
        name=name,
        runs=int(runs[1]) if runs else 0,
        covered=int(covered[-1]) if covered else 0,
        found=Path(found[1]) if found else None,
        raised=raised[0] if raised else "",
    )


def table(results: list[Result]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield f"{'':12} {'inputs':>10} {'places':>8}"
    for one in results:
        yield f"{one.name:12} {one.runs:10} {one.covered:8}"
        if one.found is not None:
            yield f"  FAILED: {one.raised} by {one.found}"


def main(arguments: list[str] | None = None) -> int:
    """Feed what the arguments describe; 1 if anything failed."""
    options = parser().parse_args(arguments)
    results = [
        fuzz(name, options.seconds, options.seed) for name in options.names or TARGETS
    ]
    print("\n".join(table(results)))
    return int(any(one.found for one in results))


if __name__ == "__main__":
    sys.exit(main())
