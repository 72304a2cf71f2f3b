"""What is remembered of a pack, and memories that were damaged."""

from collections.abc import Iterator
from datetime import timedelta
import json
from typing import Any, Final

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.insight import INSIGHTS

from .insight_days import Watcher, charge, full, top, values, watched, wires_told


def experienced() -> Watcher:
    """Return who has seen something of everything."""
    watcher = Watcher()
    charge(watcher, 3)
    charge(watcher, 7, 8)
    watcher.hold(full(balancing=True), 120)
    watcher.hold(values(current=-100.0), 300)
    watcher.hold(values(**wires_told(60, 61)), 700)
    return watcher


def test_a_restart_changes_nothing() -> None:
    watcher = experienced()
    before = dict(watcher.insight.values), watcher.insight.dump()
    shown = {key for key, value in before[0].items() if value is not None}
    assert shown == {datum.key for datum in INSIGHTS} - {"cell_resistance_change"}
    watcher.restart()
    assert watcher.insight.dump() == before[1]
    watcher.read(values(**wires_told(60, 61)), 60)
    # The time of being full is shown in steps while it goes on.
    ended = watcher.insight.values.pop("last_full")
    assert timedelta(0) <= ended - before[0].pop("last_full") < timedelta(minutes=15)
    assert watcher.insight.values == before[0]
    charge(watcher, 7)
    assert watcher.detail("runaway_cell") == {"led": 1, "charges": 3}


def test_a_charge_that_a_restart_interrupts_is_one() -> None:
    watcher = Watcher()
    charge(watcher, 3)
    watcher.restart()
    watcher.read(top(max_voltage_cell=9, max_cell_voltage=3.49))
    watcher.read(top(max_voltage_cell=8, max_cell_voltage=3.51))
    assert watcher.get("runaway_cell") == 8
    assert watcher.detail("runaway_cell") == {"led": 1, "charges": 1}


def pieces(stored: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to each piece of what is stored."""
    yield path
    if isinstance(stored, dict):
        for key, value in stored.items():
            yield from pieces(value, (*path, key))
    elif isinstance(stored, list):
        for place, value in enumerate(stored):
            yield from pieces(value, (*path, place))


def replaced(stored: Any, path: tuple[Any, ...], by: Any) -> Any:
    """Return a copy with one piece replaced."""
    if not path:
        return by
    copy = dict(stored) if isinstance(stored, dict) else list(stored)
    copy[path[0]] = replaced(copy[path[0]], path[1:], by)
    return copy


GARBAGE: Final[list[Any]] = [
    None,
    True,
    -1,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "x",
    "0001-01-01T00:00:00+23:00",
    "2026-07-01T12:00:00",
    "9999-12-31",
    [],
    [[]],
    [None, None],
    {},
    {"33": 1.0, "1": "x", "2": 7},
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
def test_what_makes_no_sense_is_left_out_and_the_rest_is_kept(garbage: Any) -> None:
    good = watched(31).dump()
    stored = experienced().insight.dump() | {"wires": good}
    stored = json.loads(json.dumps(stored))
    paths = [path for path in pieces(stored) if len(path) < 5]
    assert len(paths) > 40
    for path in paths:
        watcher = Watcher()
        watcher.insight.load(replaced(stored, path, garbage))
        for told in (values(**wires_told(60, 61)), full(balancing=True), values()):
            watcher.read(told)
        dumped = watcher.insight.dump()
        assert json.loads(json.dumps(dumped, allow_nan=False)) == dumped
        if path and path[0] != "spreads":
            assert watcher.get("rested_cell_spread") == 0.004
        for key in ("ah_since_full", "balancing_minutes_today", "days_since_full"):
            assert watcher.get(key) >= 0


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.sampled_from(["2026-07-01", "2026-07-01T12:00:00+00:00"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["wires", "kept", "average", "leads", "cells", "spreads", "today"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_is_stored_can_be_loaded(stored: Any) -> None:
    watcher = Watcher()
    watcher.insight.load(stored)
    watcher.read(full())
    json.dumps(watcher.insight.dump(), allow_nan=False)
