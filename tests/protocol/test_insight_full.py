"""When a pack was full, and what has happened since: hand-made days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.state import BmsState

from ..captures import frames
from .helpers import framed
from .insight_days import (
    BERLIN,
    CAPACITY,
    HOUR,
    NOON,
    Watcher,
    full,
    values,
    wires_told,
)


def test_a_pack_is_full_when_its_capacity_is_reached() -> None:
    watcher = Watcher()
    watcher.read(
        values(
            state_of_charge=100,
            capacity_remaining=CAPACITY,
            average_cell_voltage=3.34,
        )
    )
    assert watcher.get("last_full") == watcher.now.astimezone(UTC)
    assert watcher.get("days_since_full") == 0
    assert watcher.get("ah_since_full") == 0


@pytest.mark.parametrize(
    ("told", "is_full"),
    [
        (full(capacity_remaining=279.0, current=14.0), True),
        (full(capacity_remaining=279.0, current=14.1), False),
        (full(capacity_remaining=None), True),
        (full(state_of_charge=99), False),
        (full(state_of_charge=None), False),
        # Captured: a counter at its end, and cells that are not.
        (full(average_cell_voltage=3.256), False),
        (full(average_cell_voltage=3.32), False),
        (full(average_cell_voltage=3.33), True),
        # Captured: 100 % is rounded, and cells at rest are not near full.
        (
            values(state_of_charge=100, capacity_remaining=0.9955 * CAPACITY),
            False,
        ),
    ],
)
def test_100_percent_alone_is_not_full(told: dict[str, Any], is_full: bool) -> None:
    watcher = Watcher()
    watcher.read(told)
    assert (watcher.get("last_full") is not None) is is_full


def test_captured_packs_that_say_100_percent_at_rest_are_not_taken_for_full() -> None:
    at_end = 0
    for capture in frames():
        for frame in framed(capture.data):
            state, watcher = BmsState(), Watcher()
            if not isinstance(frame, Frame) or frame.type != Block.LIVE.frame_type:
                continue
            if state.take_frame(frame, Block.LIVE, 0.0) is None:
                continue
            at_end += state.values["state_of_charge"] == 100
            watcher.read({**state.values, "cell_ovp": 3.65})
            assert watcher.get("last_full") is None
    assert at_end >= 3


def test_days_and_ampere_hours_count_from_the_end_of_being_full() -> None:
    watcher = Watcher()
    watcher.hold(full(), 3 * HOUR)
    assert sum("last_full" in keys for keys in watcher.writes) == 12
    assert watcher.get("days_since_full") == 0
    end = watcher.now
    watcher.hold(values(current=-28.0, state_of_charge=90), 5 * HOUR)
    watcher.hold(values(current=28.0, state_of_charge=90), HOUR)
    # What was charged is not taken off.
    assert watcher.get("ah_since_full") == 140
    assert watcher.get("days_since_full") == 0.2
    assert end - watcher.get("last_full") < timedelta(minutes=15)
    watcher.skip(86_400)
    watcher.read(values(current=-28.0))
    assert watcher.get("days_since_full") == 1.2
    assert watcher.get("ah_since_full") == 140
    watcher.read(full())
    assert watcher.get("ah_since_full") == 0
    assert watcher.get("days_since_full") == 0


def test_a_pack_that_stays_full_says_when_every_quarter_of_an_hour() -> None:
    watcher = Watcher()
    watcher.read(full())
    first = watcher.get("last_full")
    watcher.read(full(), 899)
    assert watcher.get("last_full") == first
    watcher.read(full(), 1)
    assert watcher.get("last_full") - first == timedelta(minutes=15)


def test_a_little_that_was_drawn_is_remembered() -> None:
    watcher = Watcher()
    watcher.read(full())
    shown = watcher.get("last_full")
    watcher.hold(values(current=-28.0), 60)
    watcher.restart()
    assert watcher.get("last_full") == shown
    assert watcher.get("ah_since_full") == 0


def test_a_change_of_the_wires_that_is_not_known_any_more_is_not_shown() -> None:
    watcher = Watcher()
    for day in range(32):
        for _ in range(144):
            watcher.read(values(**wires_told(60, 65 + day)), 600)
    assert watcher.get("cell_resistance_change") == pytest.approx(30, abs=1.1)
    assert watcher.detail("cell_resistance_change")["cell"] == 2
    watcher.skip(5 * 86_400)
    changed = watcher.read(values(**wires_told(60, 97)))
    assert "cell_resistance_change" in changed
    assert watcher.get("cell_resistance_change") is None


def test_an_hour_of_summer_time_is_no_hour_since_full() -> None:
    watcher = Watcher(now=datetime(2026, 10, 24, 12, tzinfo=BERLIN))
    watcher.read(full())
    # The day has 25 hours.
    watcher.read(values(), 86_400 - 60)
    assert watcher.now.hour == 10
    assert watcher.get("days_since_full") == 0.9
    watcher.read(values(), 61)
    assert watcher.get("days_since_full") == 1.0


def test_a_time_that_a_wrong_clock_told_is_forgotten() -> None:
    watcher = Watcher(now=NOON.replace(year=2099))
    watcher.read(full())
    watcher.now = NOON
    watcher.read(values(), 60)
    assert watcher.get("last_full") is None
    assert watcher.get("days_since_full") is None
    assert watcher.get("ah_since_full") is None
    watcher.read(full())
    assert watcher.get("last_full") == watcher.now.astimezone(UTC)


def test_a_clock_that_is_set_back_a_little_makes_no_negative_days() -> None:
    watcher = Watcher()
    watcher.read(full())
    watcher.now -= timedelta(hours=2)
    watcher.read(values(), 60)
    assert watcher.get("days_since_full") == 0
    assert watcher.get("last_full") is not None
