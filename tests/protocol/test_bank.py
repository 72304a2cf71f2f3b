"""Several packs as one: sums, weights, extremes, shares, and what is not known of them."""

from dataclasses import replace
from typing import Any

import pytest

from custom_components.jkbms.protocol.bank import Bank
from custom_components.jkbms.protocol.bank_member import Flow, Member, Spot
from custom_components.jkbms.protocol.bank_state import BANK_DATA
from custom_components.jkbms.protocol.datum import Block, Datum
from custom_components.jkbms.protocol.state import BmsState
from simulator import Pack

from .banks import away, details, look, member, value
from .helpers import frame_of, pack

# -- what a pack tells ----------------------------------------------------------------


def state_of(of: Pack) -> BmsState:
    """Return a pack as it is read."""
    state = BmsState()
    for block in (Block.DEVICE, Block.SETTINGS, Block.LIVE):
        assert state.take_frame(frame_of(of, block), block, 7.0)
    return state


def test_everything_is_taken_from_what_a_pack_says() -> None:
    of = pack(
        current=-20_000,
        remaining_capacity=100_000,
        alarms=1 << 4,
        balancer_state=1,
        charge_current_limit=60_000,
    )
    state = state_of(of)
    read = Member.read("one", "Garage", state.get, heard=7.0, energy=5.0)
    cells = {n: of.number_of(f"cell_voltage_{n}") / 1000 for n in range(1, 17)}
    lowest = min(cells, key=cells.__getitem__)
    highest = max(cells, key=cells.__getitem__)
    assert (read.pack_id, read.name, read.online, read.heard) == (
        "one",
        "Garage",
        True,
        7.0,
    )
    assert read.volts == of.number_of("pack_voltage") / 1000
    assert read.amperes == -20.0
    assert read.watts == pytest.approx(-20.0 * (read.volts or 0.0))
    assert read.state_of_charge == of.number_of("soc")
    assert read.remaining == 100.0
    assert read.capacity == of.number_of("full_capacity") / 1000
    assert read.lowest_cell == Spot(cells[lowest], lowest)
    assert read.highest_cell == Spot(cells[highest], highest)
    assert read.balancing is True
    assert read.problem is True
    assert read.errors == "Cell over-voltage protection"
    assert read.max_charge == 60.0
    assert (read.mos(Flow.CHARGE), read.mos(Flow.DISCHARGE)) == (
        read.charge_mos,
        read.discharge_mos,
    )


def test_the_temperatures_of_cells_count_and_those_of_mosfets_do_not() -> None:
    of = pack(
        temperature_1=205, temperature_2=-35, temperature_4=-2000, temperature_5=300
    )
    of.set("mos_temperature", 700)
    read = Member.read("one", "", state_of(of).get, heard=7.0, energy=None)
    assert read.coldest == Spot(-3.5, "T2")
    assert read.warmest == Spot(30.0, "T5")


def told_by(values: dict[str, Any]) -> Member:
    """Return a pack that tells only this."""

    def get(datum: Datum[Any]) -> Any:
        return values.get(datum.key)

    return Member.read("one", "One", get, heard=None, energy=None)


def test_extremes_without_probes_are_those_that_are_told() -> None:
    read = told_by({"min_temperature": 11, "max_temperature": 19})
    assert (read.coldest, read.warmest) == (Spot(11), Spot(19))
    assert value("min_temperature_place", replace(read, name="Rack")) == "Rack"
    assert details("min_temperature", read) == {"pack": "One", "sensor": None}


def test_a_pack_that_has_learnt_nothing_has_no_capacity() -> None:
    assert told_by({"full_charge_capacity": 0.0}).capacity is None
    assert told_by({}) == Member(pack_id="one", name="One", online=True)


def test_a_pack_that_was_only_heard_again_is_the_same() -> None:
    assert member(heard=1.0) == member(heard=2.0)


def test_a_bank_is_complete_when_all_of_its_packs_answer() -> None:
    assert Bank([member(1)]).complete
    assert Bank([member(1), member(2)]).complete
    assert not Bank([member(1), away(2)]).complete
    assert not Bank([away(1)]).complete
    assert not Bank([]).complete


# -- sums -----------------------------------------------------------------------------


def test_what_packs_carry_is_added_up() -> None:
    packs = (member(1, amperes=10.0), member(2, amperes=-4.0, energy=1.0))
    assert value("current", *packs) == 6.0
    assert value("power", *packs) == 318.0
    assert value("remaining_capacity", *packs) == 280.0
    assert value("total_capacity", *packs) == 560.0
    assert value("remaining_energy", *packs) == 8.17


def test_what_is_added_up_has_the_digits_of_a_pack() -> None:
    packs = (member(1, capacity=100.0004), member(2, capacity=200.0002))
    assert value("total_capacity", *packs) == 300.001


def test_small_packs_share_small_currents() -> None:
    packs = (
        member(1, amperes=0.9, capacity=20.0, charge_mos=True, discharge_mos=False),
        member(2, amperes=0.0, capacity=20.0, charge_mos=True, discharge_mos=False),
    )
    assert value("current_sharing_error", *packs) == 100.0


def test_the_state_of_charge_is_weighted_by_capacity() -> None:
    small = member(1, state_of_charge=20.0, capacity=100.0)
    large = member(2, state_of_charge=80.0, capacity=300.0)
    assert value("state_of_charge", small, large) == 65.0
    assert value("lowest_state_of_charge", small, large) == 20.0
    assert details("lowest_state_of_charge", small, large) == {"pack": "Pack 1"}
    assert details("highest_state_of_charge", small, large) == {"pack": "Pack 2"}


def test_without_a_capacity_nothing_is_weighted() -> None:
    packs = (member(1), member(2, capacity=None))
    assert value("state_of_charge", *packs) is None
    assert value("highest_state_of_charge", *packs) == 50.0


def test_the_voltage_is_that_of_the_packs_that_are_on() -> None:
    off = member(3, volts=40.0, charge_mos=False, discharge_mos=False)
    half = member(2, volts=54.0, charge_mos=False, discharge_mos=None)
    assert value("voltage", member(1, volts=53.0), half, off) == 53.5
    assert value("voltage", off) == 40.0
    assert value("pack_voltage_spread", member(1, volts=53.2), off) == 13.2


# -- extremes -------------------------------------------------------------------------


def test_an_extreme_names_pack_and_cell() -> None:
    packs = (
        member(1, lowest_cell=Spot(3.21, 7), highest_cell=Spot(3.3, 1)),
        member(2, lowest_cell=Spot(3.25, 3), highest_cell=Spot(3.41, 16)),
    )
    assert value("min_cell_voltage", *packs) == 3.21
    assert value("max_cell_voltage", *packs) == 3.41
    assert value("delta_cell_voltage", *packs) == 0.2
    assert value("min_cell_voltage_place", *packs) == "Pack 1 cell 7"
    assert value("max_cell_voltage_place", *packs) == "Pack 2 cell 16"
    assert details("max_cell_voltage", *packs) == {"pack": "Pack 2", "cell": 16}


def test_an_extreme_of_temperature_names_pack_and_probe() -> None:
    packs = (member(1), member(2, coldest=Spot(-3.0, "T5"), warmest=Spot(9.0, "T1")))
    assert value("min_temperature", *packs) == -3.0
    assert value("min_temperature_place", *packs) == "Pack 2 T5"
    assert value("max_temperature_place", *packs) == "Pack 1 T2"
    assert details("max_temperature", *packs) == {"pack": "Pack 1", "sensor": "T2"}


def test_a_place_fits_into_a_state_and_keeps_its_number() -> None:
    place = value("min_cell_voltage_place", member(name="x" * 300))
    assert len(place) == 255
    assert place.endswith("x cell 4")


# -- how many -------------------------------------------------------------------------


def test_packs_are_counted_by_what_they_do() -> None:
    packs = (
        member(1, amperes=0.5),
        member(2, amperes=0.6, balancing=True),
        member(3, amperes=-30.0),
        away(4),
    )
    assert value("packs_total", *packs) == 4
    assert value("packs_online", *packs) == 3
    assert details("packs_online", *packs) == {"needed": 3, "missing": ["Pack 4"]}
    # A 500th of 280 Ah is 0.56 A.
    assert value("packs_charging", *packs) == 1
    assert value("packs_discharging", *packs) == 1
    assert value("balancing_packs", *packs) == 1


@pytest.mark.parametrize(
    ("online", "total", "needed", "enough"),
    [
        (0, 0, None, False),
        (1, 1, None, True),
        (1, 2, None, False),
        (2, 3, None, True),
        (2, 4, None, False),
        (3, 4, None, True),
        (1, 4, 1, True),
        (3, 4, 4, False),
        (2, 2, 4, True),
        (0, 2, 1, False),
    ],
)
def test_a_bank_is_told_of_only_if_enough_packs_answer(
    online: int, total: int, needed: int | None, enough: bool
) -> None:
    packs = [member(n) if n < online else away(n) for n in range(total)]
    view = look(*packs, needed=needed)
    assert view.enough is enough
    known = {datum.key for datum in BANK_DATA if view.knows(datum)}
    everything = {datum.key for datum in BANK_DATA}
    assert known == everything if enough else known == {"packs_total", "packs_online"}
    assert view.told["packs_online"].value == online


# -- shares ---------------------------------------------------------------------------


def test_shares_that_are_fair_by_capacity_have_no_error() -> None:
    packs = (member(1, amperes=-20.0, capacity=100.0), member(2, amperes=-56.0))
    assert value("current_sharing_error", *packs) == 0.0


def test_the_pack_that_is_farthest_from_its_share_is_named() -> None:
    packs = (
        member(1, amperes=30.0),
        member(2, amperes=33.0),
        member(3, amperes=27.0),
        member(4, amperes=50.0),
    )
    # 35 A is fair for each.
    assert value("current_sharing_error", *packs) == 42.9
    assert details("current_sharing_error", *packs) == {"pack": "Pack 4"}


def test_shares_are_told_from_a_50th_of_the_capacity_per_hour_on() -> None:
    # Together 12 A of 560 Ah, of which 11.2 A are enough; 6 A is fair for each.
    packs = (member(1, amperes=9.0), member(2, amperes=3.0))
    assert value("current_sharing_error", *packs) == 50.0


def test_a_pack_that_is_off_in_this_direction_has_no_share() -> None:
    idle = member(3, amperes=0.0, charge_mos=False)
    packs = (member(1, amperes=20.0), member(2, amperes=20.0))
    assert value("current_sharing_error", *packs, idle) == 0.0
    backwards = [replace(p, amperes=-(p.amperes or 0.0)) for p in packs]
    assert value("current_sharing_error", *backwards, idle) == 100.0


@pytest.mark.parametrize(
    "packs",
    [
        (member(1, amperes=0.0), member(2, amperes=0.0)),
        # Together less than a 50th of 560 Ah.
        (member(1, amperes=6.0), member(2, amperes=5.0)),
        (member(1, amperes=100.0),),
        (member(1, amperes=100.0), member(2, amperes=0.0, charge_mos=False)),
        (member(1, amperes=100.0), member(2, amperes=None)),
        (member(1, amperes=100.0), member(2, capacity=None)),
        (away(1),),
    ],
)
def test_where_shares_mean_nothing_there_is_no_error(packs: tuple[Member, ...]) -> None:
    assert value("current_sharing_error", *packs) is None
    assert details("current_sharing_error", *packs) == {}


# -- limits ---------------------------------------------------------------------------


def test_limits_are_added_up_over_packs_that_are_on() -> None:
    packs = (
        member(1),
        member(2, max_charge=60.0, discharge_mos=False),
        member(3, max_charge=None, charge_mos=False),
    )
    assert value("charge_current_limit", *packs) == 160.0
    assert value("discharge_current_limit", *packs) == 300.0
    assert value("charge_current_limit", member(charge_mos=False)) == 0.0


@pytest.mark.parametrize(
    "packs",
    [
        (member(1), member(2, max_charge=None)),
        (member(1), member(2, charge_mos=None)),
        (away(1),),
    ],
)
def test_a_limit_that_is_not_known_is_not_taken_for_zero(
    packs: tuple[Member, ...],
) -> None:
    assert value("charge_current_limit", *packs) is None


# -- alarms ---------------------------------------------------------------------------


def test_alarms_are_told_with_their_pack() -> None:
    packs = (
        member(2, errors="Cell under-voltage protection", problem=True),
        member(1),
        member(3, errors=None, problem=None),
    )
    assert value("problem", *packs) is True
    assert value("active_alarms", *packs) == "Pack 2: Cell under-voltage protection"
    assert value("active_alarms", member(1), member(2)) == "OK"
    assert value("problem", member(1), member(2)) is False


def test_who_does_not_tell_of_alarms_is_not_taken_for_well() -> None:
    packs = (member(1), member(2, errors=None, problem=None))
    assert value("active_alarms", *packs) is None
    assert value("problem", *packs) is None
    assert value("active_alarms", away(1)) is None
    assert value("problem", away(1)) is None


def test_many_alarms_are_cut_to_what_a_state_holds() -> None:
    text = value("active_alarms", *(member(n, errors="x" * 40) for n in range(9)))
    assert len(text) == 255
    assert text.startswith("Pack 0: xxx")
    assert text.endswith("…")


def test_a_pack_tells_nothing_until_it_was_heard() -> None:
    assert Member(pack_id="id", name="Pack").online is False


def test_any_current_of_a_pack_of_unknown_capacity_goes_somewhere() -> None:
    assert member(amperes=1e-6, capacity=None).carries(Flow.CHARGE) is True
    assert member(amperes=-1e-6, capacity=None).carries(Flow.CHARGE) is False
    assert member(amperes=0.0, capacity=None).carries(Flow.CHARGE) is False
