"""The command line of scripts/bench."""

import argparse
from collections.abc import Callable, Iterable
from importlib import import_module
import json
from pathlib import Path
import sys
from time import perf_counter
from typing import Final

from .keeping import keep
from .measure import FULL, QUICK, Effort
from .report import Figure, machine, table

BENCHMARKS: Final = {
    "decode": "a frame of 300 bytes, from the stream into the state",
    "ttl": "an answer of the older protocol 4E 57, from the stream into the state",
    "fc16": "requests and ACKs, built and read",
    "can": "a CAN message, and 16 packs inside Home Assistant",
    "fanout": "waking the entities of 16 packs in Home Assistant",
    "memory": "what the entities of 16 packs take of Home Assistant",
    "send": "telling an inverter while 16 packs change in Home Assistant",
    "startup": "importing the protocol, and what must not come with it",
    "cycle": "asking 1, 4 and 16 packs in turn, in simulated time",
}
"""Each is a module beside this one with a function `run`."""


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure speed beside a floor that is measured in the same run. Times are of the "
        "CPU, medians of shuffled rounds; what counts are the ratios. Goals are told, not enforced.",
        epilog="benchmarks: "
        + "; ".join(f"{name}, {what}" for name, what in BENCHMARKS.items()),
        suggest_on_error=True,
    )
    options.add_argument(
        "names",
        nargs="*",
        choices=[[], *BENCHMARKS],
        metavar="BENCHMARK",
        help=f"{', '.join(BENCHMARKS)}; all unless told",
    )
    options.add_argument(
        "--quick", action="store_true", help="see whether it works; figures mean little"
    )
    options.add_argument("--json", action="store_true", help="print JSON, no table")
    options.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="write all samples for pyperf: `python -m pyperf compare_to OLD NEW --table` compares two runs",
    )
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments describe."""
    chosen = parser().parse_args(arguments)
    effort = QUICK if chosen.quick else FULL
    measured: dict[str, list[Figure]] = {}
    begin = perf_counter()
    for name in chosen.names or BENCHMARKS:
        figures = measured[name] = list(_benchmark(name)(effort))
        if not chosen.json:
            print(table(f"{name}: {BENCHMARKS[name]}", figures), end="\n\n", flush=True)
    seconds = round(perf_counter() - begin, 1)
    if chosen.json:
        about = {"machine": machine(), "quick": chosen.quick, "seconds": seconds}
        dumped = {
            name: [figure.dump() for figure in figures]
            for name, figures in measured.items()
        }
        print(json.dumps({**about, "benchmarks": dumped}, indent=2))
    else:
        print(f"{seconds} s")
    if chosen.keep is not None:
        keep(chosen.keep, measured)
    return 0


def _benchmark(name: str) -> Callable[[Effort], Iterable[Figure]]:
    run: Callable[[Effort], Iterable[Figure]]
    # One that needs no Home Assistant does not wait for it.
    run = import_module(f"scripts.lib.bench.{name}").run
    return run


if __name__ == "__main__":
    sys.exit(main())
