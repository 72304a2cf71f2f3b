"""The command line of scripts/mutate."""

import argparse
import ast
import contextlib
import json
import os
from pathlib import Path
from random import Random
import sys
from typing import Final

import pytest

from .grafting import ROOT, stand_in
from .mutants import Mutant, mutants
from .report import Report, Tally, lines_of
from .running import OPTIONS, TESTS, Mutation, Source, Verdict, unvaried
from .watching import Coverage, digest_of

_PROTOCOL: Final = ROOT / "custom_components" / "jkbms" / "protocol"
_PACKAGE: Final = "custom_components.jkbms.protocol"
_KEPT: Final = ROOT / ".mutate"


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="scripts/mutate",
        description="Change the protocol package in one place at a time, and see whether its tests "
        "notice. Only tests that run the changed line are run, in a fork. What survives is "
        "either a test that is missing or a change that changes nothing.",
        suggest_on_error=True,
    )
    options.add_argument(
        "modules",
        nargs="*",
        help="as in stream, can/pack or can/pack:120#7; all unless told",
    )
    options.add_argument(
        "--sample", type=int, metavar="N", help="try N mutants of each module, not all"
    )
    options.add_argument("--seed", type=int, default=1, help="of the sample")
    options.add_argument("--jobs", type=int, default=1, help="processes at a time")
    options.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="of tests to spend on a mutant, the likeliest first (default: %(default)g)",
    )
    options.add_argument(
        "--json", type=Path, metavar="FILE", help="write it for programs"
    )
    options.add_argument("--verbose", action="store_true", help="tell each fate")
    return options


def _sources(names: list[str]) -> dict[str, Source]:
    wanted = {name.partition(":")[0] for name in names}
    texts = {path: path.read_text() for path in sorted(_PROTOCOL.rglob("*.py"))}
    tests = "".join(path.read_text() for path in (ROOT / TESTS).rglob("*.py"))
    found = {}
    for path, text in texts.items():
        parts = path.relative_to(_PROTOCOL).with_suffix("").parts
        name = "/".join(parts)
        if not wanted or name in wanted:
            found[name] = Source(
                name=".".join((_PACKAGE, *parts)).removesuffix(".__init__"),
                path=path,
                tree=ast.parse(text),
                others=(tests, *(texts[one] for one in texts if one is not path)),
            )
    return found


def _chosen(
    sources: dict[str, Source], options: argparse.Namespace, report: Report
) -> list[Mutant]:
    named = {name for name in options.modules if "#" in name}
    chosen: list[Mutant] = []
    for name, source in sources.items():
        if not (all_of := mutants(source.tree, name)):
            continue
        report.tallies[name] = Tally(of=len(all_of))
        if any(one.startswith(f"{name}:") for one in named):
            all_of = [one for one in all_of if one.name in named]
        elif options.sample is not None and options.sample < len(all_of):
            picked = Random(f"{options.seed}/{name}").sample(all_of, options.sample)
            all_of = sorted(picked, key=lambda one: one.number)
        chosen += all_of
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Try the mutants that the arguments describe; 1 if some survive."""
    asked = parser()
    options = asked.parse_args(arguments)
    if not (sources := _sources(options.modules)):
        asked.error(f"no module is called {' or '.join(options.modules)}")
    os.chdir(ROOT)
    _KEPT.mkdir(exist_ok=True)
    stand_in()
    unvaried()
    report = Report()
    chosen = _chosen(sources, options, report)
    cache = _KEPT / "coverage.json"
    digest = digest_of(_PROTOCOL)
    out = sys.stdout

    def judged(verdict: Verdict) -> None:
        report.add(verdict)
        if options.verbose:
            mutant = verdict.mutant
            told = f"{verdict.fate} {mutant.name}: {mutant.what} [{verdict.killer}]"
            print(f"{told} {verdict.seconds:.2f} s", file=out, flush=True)

    plugin = Mutation(
        folder=_PROTOCOL,
        sources=sources,
        mutants=chosen,
        coverage=lambda: Coverage.load(cache, digest),
        cache=cache,
        digest=digest,
        jobs=options.jobs,
        patience=options.patience,
        on_verdict=judged,
    )
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        status = pytest.main([*OPTIONS, TESTS], plugins=[plugin])
    if status:
        print("pytest could not collect the tests", file=sys.stderr)
        return 2
    print("\n".join(lines_of(report)))
    if options.json is not None:
        options.json.write_text(json.dumps(report.dump(), indent=2))
    return int(bool(report.alive))


if __name__ == "__main__":
    sys.exit(main())
