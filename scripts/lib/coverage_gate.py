"""Fail unless every part of the project is covered as far as it promises.

usage: coverage_gate.py [COVERAGE_JSON]

Reads the JSON report of a branch-coverage run; exit code 1 and the uncovered lines when a part stays below.
"""

from collections.abc import Iterable
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from typing import Any, Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A part of the project and the share of its lines and branches that tests must reach."""

    name: str
    paths: tuple[str, ...]
    percent: float
    """At least this when 100, more than this below."""

    def holds(self, percent: float) -> bool:
        """Tell whether the promise is kept."""
        return percent >= 100 if self.percent >= 100 else percent > self.percent


_PACKAGE: Final = "custom_components/jkbms"
_FLOWS: Final = tuple(
    f"{_PACKAGE}/{name}.py"
    for name in (
        "config_flow",
        "line_flow",
        "can_flow",
        "control_flow",
        "subentry_flow",
        "options_flow",
        "tier_flow",
        "bus_flow",
        "bank_flow",
    )
)

GATES: Final = (
    Gate(name="protocol", paths=(f"{_PACKAGE}/protocol/",), percent=100),
    Gate(name="transport", paths=(f"{_PACKAGE}/transport/",), percent=100),
    Gate(name="config flow", paths=_FLOWS, percent=100),
    Gate(name="integration", paths=(f"{_PACKAGE}/",), percent=95),
    Gate(name="simulator", paths=("simulator/",), percent=95),
)


def _ranges(lines: Iterable[int]) -> str:
    """Write line numbers the short way: 3, 7-9."""
    spans: list[list[int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def _uncovered(report: dict[str, Any]) -> str:
    """Name the lines and branches of one file that no test reached."""
    missing: list[int] = report["missing_lines"]
    branches = [
        f"{start}->{'exit' if end < 0 else end}"
        for start, end in report["missing_branches"]
        if start not in missing and end not in missing
    ]
    return "; ".join(
        text
        for text in (
            f"lines {_ranges(missing)}" if missing else "",
            f"branches {', '.join(branches)}" if branches else "",
        )
        if text
    )


def check(
    files: dict[str, dict[str, Any]], gates: tuple[Gate, ...] = GATES
) -> tuple[list[str], bool]:
    """Return the report's lines and whether every gate holds; a file counts for the first gate that names it."""
    lines: list[str] = []
    passed = True
    left = {path.replace("\\", "/"): report for path, report in files.items()}
    for gate in gates:
        mine = {
            path: left.pop(path) for path in sorted(left) if path.startswith(gate.paths)
        }
        total = reached = 0
        for report in mine.values():
            summary = report["summary"]
            total += summary["num_statements"] + summary["num_branches"]
            reached += summary["covered_lines"] + summary["covered_branches"]
        if not total:
            lines.append(
                f"FAIL  {gate.name}: nothing was measured under {', '.join(gate.paths)}"
            )
            passed = False
            continue
        percent = 100 * reached / total
        good = gate.holds(percent)
        passed = passed and good
        wanted = "100 %" if gate.percent >= 100 else f"more than {gate.percent:g} %"
        # Cut, not rounded: 99.996 is not 100.
        shown = int(percent * 100) / 100
        lines.append(
            f"{'ok  ' if good else 'FAIL'}  {gate.name}: {shown:.2f} % (wanted: {wanted})"
        )
        for path, report in mine.items():
            if where := _uncovered(report):
                lines.append(f"        {path}: {where}")
    return lines, passed


def main() -> int:
    """Check the report named on the command line."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "coverage.json")
    if not path.is_file():
        print(f"There is no coverage report {path}", file=sys.stderr)
        return 1
    report = json.loads(path.read_text())
    if not report["meta"]["branch_coverage"]:
        print(
            f"{path} holds no branches: nothing of the project ran, or without branch coverage",
            file=sys.stderr,
        )
        return 1
    lines, passed = check(report["files"])
    print("\n".join(lines))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
