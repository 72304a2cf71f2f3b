"""What holds for a bank whatever its packs tell."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Final

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.bank import Bank
from custom_components.jkbms.protocol.bank_member import Member, Spot
from custom_components.jkbms.protocol.bank_rows import COMPUTED

from .banks import look, member


def _maybe(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | numbers


def _spots(low: float, high: float, places: Any) -> st.SearchStrategy[Any]:
    return st.builds(Spot, st.floats(low, high), places)


def _members(maybe: Callable[[st.SearchStrategy[Any]], Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        member,
        number=st.just(0),
        online=st.booleans(),
        volts=maybe(st.floats(40, 60)),
        amperes=maybe(st.floats(-300, 300)),
        state_of_charge=maybe(st.integers(0, 100)),
        remaining=maybe(st.floats(0, 300)),
        capacity=maybe(st.floats(50, 300)),
        energy=maybe(st.floats(0, 20)),
        lowest_cell=maybe(_spots(2, 3, st.integers(1, 32))),
        highest_cell=maybe(_spots(3, 4, st.integers(1, 32))),
        coldest=maybe(_spots(-20, 20, st.sampled_from(("T1", "T5")))),
        warmest=maybe(_spots(20, 60, st.sampled_from(("T1", "T5")))),
        charge_mos=maybe(st.booleans()),
        discharge_mos=maybe(st.booleans()),
        balancing=maybe(st.booleans()),
        problem=maybe(st.booleans()),
        errors=maybe(st.sampled_from(("OK", "Too hot"))),
        max_charge=maybe(st.floats(1, 600)),
        max_discharge=maybe(st.floats(1, 600)),
    )


def _banks(maybe: Callable[[st.SearchStrategy[Any]], Any]) -> st.SearchStrategy[Any]:
    return st.lists(_members(maybe), max_size=16).map(
        lambda packs: [
            replace(one, pack_id=f"id{n}", name=f"Pack {n}")
            for n, one in enumerate(packs)
        ]
    )


SILENT_ONES: Final = _banks(_maybe)
KNOWN: Final = _banks(lambda numbers: numbers)


@given(KNOWN)
def test_sums_are_sums_and_what_is_weighted_lies_between(packs: list[Member]) -> None:
    told = look(*packs).told
    online = [one for one in packs if one.online]
    if not online:
        assert told["power"].value is None
        assert told["state_of_charge"].value is None
        return
    assert told["power"].value == pytest.approx(
        sum(one.watts or 0.0 for one in online), abs=0.001
    )
    assert told["current"].value == pytest.approx(
        sum(one.amperes or 0.0 for one in online), abs=0.001
    )
    lowest = told["lowest_state_of_charge"].value
    highest = told["highest_state_of_charge"].value
    assert lowest <= told["state_of_charge"].value <= highest
    volts = [one.volts or 0.0 for one in online]
    assert min(volts) - 0.001 <= told["voltage"].value <= max(volts) + 0.001


@given(KNOWN)
def test_extremes_are_extremes_and_are_where_they_are_said_to_be(
    packs: list[Member],
) -> None:
    told = look(*packs).told
    online = {one.name: one for one in packs if one.online}
    for key, of, sign in (
        ("min_cell_voltage", "lowest_cell", 1),
        ("max_cell_voltage", "highest_cell", -1),
        ("min_temperature", "coldest", 1),
        ("max_temperature", "warmest", -1),
    ):
        found = told[key]
        if not online:
            assert found.value is None
            continue
        spots = [getattr(one, of) for one in online.values()]
        assert all(sign * found.value <= sign * spot.value for spot in spots)
        spot = getattr(online[str(found.details["pack"])], of)
        place = found.details.get("cell", found.details.get("sensor"))
        assert (found.value, place) == (spot.value, spot.place)


NEEDED_BY: Final = {
    "watts": {"power"},
    "amperes": {"current", "packs_charging", "packs_discharging"},
    "state_of_charge": {"state_of_charge", "lowest_state_of_charge"},
    "remaining": {"remaining_capacity"},
    "capacity": {"total_capacity", "state_of_charge"},
    "energy": {"remaining_energy"},
    "lowest_cell": {"min_cell_voltage", "min_cell_voltage_place", "delta_cell_voltage"},
    "highest_cell": {"max_cell_voltage", "delta_cell_voltage"},
    "coldest": {"min_temperature", "min_temperature_place"},
    "warmest": {"max_temperature", "max_temperature_place"},
    "volts": {"pack_voltage_spread"},
    "balancing": {"balancing_packs"},
    "charge_mos": {"charge_current_limit"},
    "discharge_mos": {"discharge_current_limit"},
}


@given(SILENT_ONES)
def test_what_one_pack_does_not_tell_is_not_known_of_the_bank(
    packs: list[Member],
) -> None:
    told = look(*packs).told
    online = [one for one in packs if one.online]
    for name, keys in NEEDED_BY.items():
        if any(getattr(one, name) is None for one in online) or not online:
            assert {key: told[key].value for key in keys} == dict.fromkeys(keys)
    for one in online:
        if one.problem:
            assert told["problem"].value is True


@given(SILENT_ONES, st.randoms(use_true_random=False))
def test_the_order_of_the_packs_does_not_matter(
    packs: list[Member], random: Random
) -> None:
    shuffled = packs.copy()
    random.shuffle(shuffled)
    assert look(*shuffled) == look(*packs)


@given(SILENT_ONES)
def test_a_pack_that_is_away_changes_nothing_but_the_numbers(
    packs: list[Member],
) -> None:
    online = Bank(one for one in packs if one.online)
    whole = Bank(packs)
    for row in COMPUTED:
        if not row.always:
            assert row.compute(whole) == row.compute(online)
            assert row.details(whole) == row.details(online)
