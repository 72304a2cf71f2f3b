"""What a bank recommends, with the reason of each limit (inverter.md 1, 3, 4)."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.bank_member import Spot
from custom_components.jkbms.protocol.datum import Quantity
from custom_components.jkbms.protocol.inverter.advice import ADVICE, KEYS, advise
from custom_components.jkbms.protocol.inverter.limits import Rules, judge
from custom_components.jkbms.protocol.inverter.sight import Guard, PackSight

from ..banks import away
from .bank import sight

RULES: Final = Rules()
ABSENT: Final = PackSight(member=away(3))


def advised(*packs: PackSight, rules: Rules = RULES) -> dict[str, tuple[Any, Any]]:
    """Return what is recommended: each value, with what belongs to it."""
    told = advise(judge(packs, rules, 0.0))
    return {key: (one.value, dict(one.details)) for key, one in told.items()}


def test_each_limit_is_told_and_its_reason_beside_it() -> None:
    cold = sight(2, coldest=Spot(2.5, "T1"))
    assert advised(sight(1), cold) == {
        "recommended_charge_voltage": (55.2, {"reason": "none"}),
        "recommended_charge_current": (100.0, {"reason": "cold"}),
        "recommended_discharge_current": (300.0, {"reason": "none"}),
        "recommended_charge_voltage_reason": (
            "none",
            {"pack": None, "without_reduction": 55.2, "detail": ""},
        ),
        "recommended_charge_current_reason": (
            "cold",
            {"pack": "Pack 2", "without_reduction": 200.0, "detail": ""},
        ),
        "recommended_discharge_current_reason": (
            "none",
            {"pack": None, "without_reduction": 300.0, "detail": ""},
        ),
    }


def test_a_trip_names_what_it_is_about_with_every_limit() -> None:
    told = advised(sight(1), ABSENT)
    assert told["recommended_charge_voltage"] == (55.2, {"reason": "too_few_packs"})
    for key in ("recommended_charge_current", "recommended_discharge_current"):
        assert told[key] == (0.0, {"reason": "too_few_packs"})
        assert told[f"{key}_reason"] == (
            "too_few_packs",
            # What it would be otherwise is not known while nothing is allowed.
            {"pack": None, "without_reduction": None, "detail": "Pack 3"},
        )


def test_what_is_not_known_is_not_recommended() -> None:
    told = advised(sight(1), sight(2, guard=Guard()))
    assert told["recommended_charge_voltage"] == (None, {"reason": "not_told"})
    reason, details = told["recommended_charge_voltage_reason"]
    assert (reason, details["pack"]) == ("not_told", "Pack 2")
    assert details["without_reduction"] is None


@pytest.mark.parametrize(
    ("most", "told"),
    [(7.0, 7.0), (7.09, 7.0), (7.1, 7.1), (57.6, 57.6), (99.99, 99.9), (0.04, 0.0)],
)
def test_a_limit_is_told_in_tenths_and_never_as_more(most: float, told: float) -> None:
    rules = Rules(charge_current=most, discharge_current=most)
    found = advised(sight(1), rules=rules)
    assert found["recommended_charge_current"][0] == told
    assert found["recommended_discharge_current"][0] == told


def test_what_a_limit_would_be_is_told_in_tenths_too() -> None:
    told = advised(sight(1, max_charge=33.37, coldest=Spot(2.5, "T1")))
    assert told["recommended_charge_current"][0] == 16.6
    _, details = told["recommended_charge_current_reason"]
    assert details["without_reduction"] == 33.3


def test_every_recommendation_is_of_what_is_declared() -> None:
    assert advised(sight(1)).keys() == KEYS
    assert [(datum.key, datum.name, datum.quantity) for datum in ADVICE] == [
        (
            "recommended_charge_voltage",
            "Recommended charge voltage",
            Quantity.PACK_VOLTAGE,
        ),
        ("recommended_charge_current", "Recommended charge current", Quantity.CURRENT),
        (
            "recommended_discharge_current",
            "Recommended discharge current",
            Quantity.CURRENT,
        ),
        ("recommended_charge_voltage_reason", "Charge voltage reason", Quantity.CHOICE),
        ("recommended_charge_current_reason", "Charge current reason", Quantity.CHOICE),
        (
            "recommended_discharge_current_reason",
            "Discharge current reason",
            Quantity.CHOICE,
        ),
    ]
    for datum in ADVICE[3:]:
        assert datum.options == (
            "none",
            "float",
            "cell_voltage",
            "cold",
            "hot",
            "mos_hot",
            "empty",
            "sharing",
            "mos_off",
            "pack_missing",
            "own_limit",
            "not_told",
            "no_packs",
            "too_few_packs",
            "stale",
            "protection",
            "implausible",
        )
