"""The limits that a BMS has shown by refusing, and what is made of stored ones."""

import json
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.learnt import LearntLimits, Refused
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change, Wish

FRESH: Final = LearntLimits("15.41")
CURRENT: Final = BY_KEY["max_charge_current"]


def refused(
    known: LearntLimits, value: Wish, before: Value, key: str = CURRENT.key
) -> LearntLimits:
    change = Change(1, BY_KEY[key], value)
    return known.learn(change, WriteResult(Outcome.REFUSED_VALUE, before, before, 3))


def test_the_least_that_was_too_much_and_the_most_that_was_too_little_count() -> None:
    known = FRESH
    for value in (300, 250, 280):
        known = refused(known, value, 100.0)
    for value in (1, 5, 2):
        known = refused(known, value, 100.0)
    assert known.of(CURRENT) == Refused(low=5, high=250)
    allowed = [
        value
        for value in (1, 5, 6, 249, 250, 600)
        if known.allows(CURRENT, value, 100.0)
    ]
    assert allowed == [6, 249]


def test_bounds_that_contradict_each_other_are_replaced_by_the_newer() -> None:
    known = refused(refused(FRESH, 100, 150.0), 80, 50.0)
    assert known.of(CURRENT) == Refused(high=80)
    assert refused(known, 90, 120.0).of(CURRENT) == Refused(low=90)
    # The same value was too much and too little.
    assert refused(known, 80, 120.0).of(CURRENT) == Refused(low=80)
    assert refused(refused(FRESH, 80, 120.0), 80, 50.0).of(CURRENT) == Refused(high=80)


@pytest.mark.parametrize(
    "outcome",
    [o for o in Outcome if o not in (Outcome.REFUSED_VALUE, Outcome.PROVEN)],
)
def test_nothing_is_learnt_from_other_outcomes(outcome: Outcome) -> None:
    change = Change(1, CURRENT, 300)
    assert FRESH.learn(change, WriteResult(outcome, 100.0, 100.0)) is FRESH


def test_a_bms_that_takes_it_after_all_has_no_such_limit() -> None:
    known = refused(FRESH, 150, 100.0)
    taken = Change(1, CURRENT, 180), WriteResult(Outcome.PROVEN, 100.0, 180.0)
    assert known.learn(*taken).of(CURRENT) == Refused()
    inside = Change(1, CURRENT, 120), WriteResult(Outcome.PROVEN, 100.0, 120.0)
    assert known.learn(*inside) is known


@pytest.mark.parametrize(
    ("key", "value", "before"),
    [
        # Another setting may have been the reason.
        ("cell_ovp", 3.5, 3.65),
        ("heating_start_temperature", 5, 0),
        ("balancer", True, False),
        ("uart1_protocol", "niu", "jk_modbus"),
        # Nobody knows from which side it was too far.
        ("max_charge_current", 300, None),
    ],
)
def test_what_says_nothing_for_later_is_not_learnt(
    key: str, value: Wish, before: Value
) -> None:
    assert refused(FRESH, value, before, key) is FRESH
    assert FRESH.allows(BY_KEY[key], value, before)


def test_what_is_known_survives_being_stored() -> None:
    known = refused(refused(FRESH, 250, 100.0), 0.0, 5, "cell_request_charge_time")
    stored = json.loads(json.dumps(known.dump()))
    assert stored == {
        "software_version": "15.41",
        "refused": {
            "cell_request_charge_time": [0.0, None],
            "max_charge_current": [None, 250],
        },
    }
    assert LearntLimits.load(stored, "15.41") == known
    # Another firmware may allow more.
    assert LearntLimits.load(stored, "15.45") == LearntLimits("15.45")
    forgotten = LearntLimits("15.41", {CURRENT.key: Refused()})
    assert forgotten.dump()["refused"] == {}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "refused",
        {"refused": {"max_charge_current": [None, 250]}},
        {"software_version": ["15.41"], "refused": {}},
        {"software_version": "15.41"},
        {"software_version": "15.41", "refused": []},
        *(
            {"software_version": "15.41", "refused": {key: pair}}
            for key, pair in (
                (7, [None, 250]),
                ("no_such_setting", [None, 250]),
                ("cell_ovp", [None, 3.6]),
                ("max_charge_current", 250),
                ("max_charge_current", [250]),
                ("max_charge_current", [None, "250"]),
                ("max_charge_current", [None, True]),
                ("max_charge_current", [None, float("nan")]),
                ("max_charge_current", [None, float("inf")]),
                ("max_charge_current", [None, 0.5]),
                ("max_charge_current", [700, None]),
                ("max_charge_current", [250, 250]),
            )
        ),
    ],
)
def test_what_was_not_stored_by_us_is_ignored(data: Any) -> None:
    assert LearntLimits.load(data, "15.41") == FRESH
