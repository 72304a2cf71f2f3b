"""How the wires to the cells change over weeks of hand-made readings."""

from datetime import date, timedelta

import pytest

from custom_components.jkbms.protocol.wires import Change, Wires

from .insight_days import NOON, Watcher, values, watched, wires_told


def change_of(wires: Wires) -> Change:
    """Return a change that is known."""
    assert wires.change is not None
    return wires.change


def test_the_wire_that_changed_most_in_a_month_is_named() -> None:
    assert watched(30).change is None
    change = watched(31).change
    assert change is not None
    assert change.cell == 2
    assert change.milliohms == pytest.approx(30 / 3, abs=0.6)
    assert change.since == date(2026, 1, 1)


def test_the_comparison_stays_a_month_old() -> None:
    wires = watched(31)
    for day in range(31, 90):
        change = watched(1, first=day, wires=wires).change
        assert change is not None
        age = date(2026, 1, 1) + timedelta(days=day) - change.since
        assert timedelta(days=30) <= age <= timedelta(days=34)
        assert change.milliohms == pytest.approx(age.days / 3, abs=0.6)
    assert len(wires.dump()["kept"]) <= 10


def test_a_wire_that_gets_better_is_a_change_too() -> None:
    wires = Wires()
    for of_day in range(35):
        for _ in range(144):
            wires.look(
                wires_told(60, 100 - of_day), date(2026, 1, 1) + timedelta(days=of_day)
            )
    assert wires.change is not None
    assert wires.change.cell == 2
    assert wires.change.milliohms < -28


def test_wires_that_never_change_have_changed_by_nothing() -> None:
    wires = Wires()
    for of_day in range(31):
        for _ in range(144):
            wires.look(wires_told(60, 61), date(2026, 1, 1) + timedelta(days=of_day))
    assert wires.change == (0.0, 1, date(2026, 1, 1))
    assert str(wires.change.milliohms) == "0.0"


def test_an_average_does_not_go_on_behind_a_silence_of_days() -> None:
    wires = watched(31)
    watched(1, first=35, wires=wires)
    before = change_of(wires).milliohms
    wires.look(wires_told(60, 200, 58), date(2026, 2, 20))
    assert wires.change is None
    watched(1, first=50, wires=wires)
    assert before < change_of(wires).milliohms < before + 15


def test_every_look_weighs_the_same_in_the_average_of_a_first_day() -> None:
    wires = Wires()
    for day in (date(2026, 1, 1), date(2026, 2, 1)):
        for milliohms in (60, 70, 80, 90):
            wires.look(wires_told(milliohms), day)
        assert wires.dump()["average"] == {"1": 75.0}


def test_what_is_months_old_is_not_a_month_old() -> None:
    wires = watched(31)
    watched(1, first=120, wires=wires)
    assert wires.change is None


def test_cells_that_were_not_there_cannot_be_compared() -> None:
    wires = watched(31)
    for _ in range(200):
        wires.look(
            {"cell_presence": 0x18, "cell_resistance_4": 50, "cell_resistance_5": 50},
            date(2026, 1, 31),
        )
    assert wires.change is None


def test_a_resistance_of_nothing_was_never_measured() -> None:
    wires = Wires()
    wires.look(wires_told(0, 0), date(2026, 1, 1))
    wires.look({}, date(2026, 1, 1))
    assert wires.dump()["average"] == {}
    wires.look(wires_told(0, 60), date(2026, 1, 1))
    assert wires.dump()["average"] == {"2": 60.0}


def test_what_a_wrong_clock_kept_does_not_stop_the_comparison() -> None:
    wires = watched(1, first=9999)
    assert wires.dump()["kept"]
    watched(31, wires=wires)
    assert wires.change is not None
    assert wires.change.since == date(2026, 1, 1)


def test_the_change_is_shown_with_its_cell_after_a_restart_too() -> None:
    watcher = Watcher()
    for of_day in range(31):
        for _ in range(144):
            told = values(**wires_told(60, 61 + of_day))
            watcher.read(told, 600)
    assert watcher.get("cell_resistance_change") == pytest.approx(30, abs=1)
    detail = watcher.detail("cell_resistance_change")
    assert detail == {"cell": 2, "since": NOON.date() + timedelta(days=1)}
    shown = watcher.get("cell_resistance_change")
    watcher.restart()
    assert watcher.get("cell_resistance_change") == shown
    assert watcher.detail("cell_resistance_change") == detail


def test_what_was_kept_of_a_day_stays() -> None:
    wires = watched(1)
    (kept,) = wires.dump()["kept"]
    watched(1, wires=wires)
    assert wires.dump()["kept"] == [kept]


def test_a_change_is_told_to_a_tenth_of_a_milliohm() -> None:
    milliohms = change_of(watched(35)).milliohms
    assert milliohms == round(milliohms, 1)
    assert milliohms != round(milliohms)
