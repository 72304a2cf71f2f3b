"""The gate that keeps the promised test coverage."""

from typing import Any

import pytest

from scripts.lib.coverage_gate import GATES, Gate, check

GATE = (Gate(name="part", paths=("part/",), percent=100),)


def measured(
    *,
    lines: int = 10,
    missing: tuple[int, ...] = (),
    branches: tuple[tuple[int, int], ...] = (),
) -> dict[str, Any]:
    """Return one file's report with ten branches."""
    return {
        "summary": {
            "num_statements": lines,
            "covered_lines": lines - len(missing),
            "num_branches": 10,
            "covered_branches": 10 - len(branches),
        },
        "missing_lines": list(missing),
        "missing_branches": [list(branch) for branch in branches],
    }


def test_full_coverage_passes() -> None:
    lines, passed = check({"part/a.py": measured()}, GATE)
    assert passed
    assert lines == ["ok    part: 100.00 % (wanted: 100 %)"]


def test_uncovered_lines_and_branches_are_named() -> None:
    lines, passed = check(
        {"part/a.py": measured(missing=(3, 4, 5, 9), branches=((2, 3), (7, -1)))}, GATE
    )
    assert not passed
    assert lines[1] == "        part/a.py: lines 3-5, 9; branches 7->exit"


def test_one_missed_branch_of_many_is_not_full_coverage() -> None:
    files = {
        "part/a.py": measured(lines=1_000_000),
        "part/b.py": measured(branches=((1, 2),)),
    }
    lines, passed = check(files, GATE)
    assert not passed
    assert "99.99 %" in lines[0]


def test_a_part_that_was_not_measured_fails() -> None:
    assert not check({"other/a.py": measured()}, GATE)[1]


@pytest.mark.parametrize(("missing", "passed"), [(1, False), (0, True)])
def test_a_limit_below_full_must_be_exceeded(missing: int, passed: bool) -> None:
    gate = (Gate(name="part", paths=("part/",), percent=95),)
    files = {"part/a.py": measured(lines=10, missing=tuple(range(missing)))}
    assert check(files, gate)[1] is passed


def test_a_file_counts_for_the_first_part_that_names_it() -> None:
    package = "custom_components/jkbms"
    files = {
        f"{package}/protocol/frames.py": measured(missing=(1,)),
        f"{package}/transport/serial.py": measured(),
        f"{package}/config_flow.py": measured(),
        f"{package}/sensor.py": measured(),
        "simulator/pack.py": measured(),
    }
    lines, passed = check(files, GATES)
    assert not passed
    assert [line[:4] for line in lines if not line.startswith(" ")] == [
        "FAIL",
        "ok  ",
        "ok  ",
        "ok  ",
        "ok  ",
    ]
