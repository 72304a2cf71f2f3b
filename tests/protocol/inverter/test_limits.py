"""What a bank allows at a moment, and why no more (inverter.md 3, 4)."""

from dataclasses import replace
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.alarms import ALARMS, Severity
from custom_components.jkbms.protocol.bank_member import Member, Spot
from custom_components.jkbms.protocol.datum import Datum
from custom_components.jkbms.protocol.inverter.limits import (
    FRESH_FOR,
    Reason,
    Rules,
    Verdict,
    judge,
    taper,
)
from custom_components.jkbms.protocol.inverter.sight import Guard, PackSight

from ..banks import away
from .bank import GUARD, sight

RULES: Final = Rules()


def look(*packs: PackSight, rules: Rules = RULES, now: float = 0.0) -> Verdict:
    """Judge packs."""
    return judge(packs, rules, now)


def absent(number: int) -> PackSight:
    """Return a pack that does not answer."""
    return PackSight(member=away(number))


# -- voltage --------------------------------------------------------------------------


def test_the_voltage_is_the_request_of_the_packs() -> None:
    verdict = look(sight(1), sight(2))
    assert verdict.voltage.value == pytest.approx(55.2)
    assert verdict.voltage.reason is Reason.NONE
    assert verdict.voltage.pack is None


def test_a_pack_that_floats_asks_for_less() -> None:
    verdict = look(sight(1), sight(2, floats=True))
    assert verdict.voltage.value == pytest.approx(53.6)
    assert (verdict.voltage.reason, verdict.voltage.pack) == (Reason.FLOAT, "Pack 2")


def test_the_least_of_all_packs_counts() -> None:
    low = replace(GUARD, cell_request_charge_voltage=3.40)
    assert look(sight(1), sight(2, guard=low)).voltage.value == pytest.approx(54.4)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_what_the_voltage_would_be_is_the_least_of_all_packs_too(
    order: tuple[int, int],
) -> None:
    low = replace(GUARD, cell_request_charge_voltage=3.40)
    packs = {1: sight(1, floats=True), 2: sight(2, guard=low)}
    verdict = look(*(packs[n] for n in order))
    assert verdict.voltage.value == pytest.approx(53.6)
    assert verdict.voltage.full == pytest.approx(54.4)


def test_no_voltage_is_above_the_protection_of_a_cell() -> None:
    odd = replace(GUARD, cell_request_charge_voltage=4.0)
    assert look(sight(1, guard=odd)).voltage.value == pytest.approx(3.65 * 16)


def test_a_cell_above_its_target_lowers_the_voltage_by_that_much() -> None:
    verdict = look(
        sight(1, volts=55.0, highest_cell=Spot(3.53, 7), lowest_cell=Spot(3.42, 1))
    )
    assert verdict.voltage.value == pytest.approx(55.0 - 0.08)
    assert verdict.voltage.reason is Reason.CELL_VOLTAGE


def test_it_is_never_lowered_below_the_float_voltage() -> None:
    verdict = look(sight(1, volts=53.0, highest_cell=Spot(3.64, 7)))
    assert verdict.voltage.value == pytest.approx(3.35 * 16)


def test_a_pack_without_a_request_is_charged_to_where_a_protection_ends() -> None:
    old = replace(
        GUARD, cell_request_charge_voltage=None, cell_request_float_voltage=None
    )
    assert look(sight(1, guard=old)).voltage.value == pytest.approx(3.45 * 16)


@pytest.mark.parametrize(
    "unknown",
    [{"guard": Guard()}, {"highest_cell": None}],
)
def test_what_is_not_told_is_not_guessed(unknown: dict[str, Any]) -> None:
    verdict = look(sight(1), sight(2, **unknown))
    assert verdict.voltage.value is None
    assert (verdict.voltage.reason, verdict.voltage.pack) == (
        Reason.NOT_TOLD,
        "Pack 2",
    )


# -- currents -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unknown", "charge", "discharge"),
    [
        ({"highest_cell": None}, 0.0, 150.0),
        ({"guard": replace(GUARD, cell_ovp=None)}, 0.0, 150.0),
        ({"lowest_cell": None}, 100.0, 0.0),
        ({"guard": replace(GUARD, cell_uvp=None)}, 100.0, 0.0),
        ({"guard": replace(GUARD, charge_otp=None)}, 0.0, 150.0),
        ({"guard": replace(GUARD, charge_utp=None)}, 0.0, 150.0),
        ({"guard": replace(GUARD, discharge_otp=None)}, 100.0, 0.0),
        ({"warmest": None}, 0.0, 0.0),
    ],
)
def test_a_current_that_nothing_guards_is_none(
    unknown: dict[str, Any], charge: float, discharge: float
) -> None:
    verdict = look(sight(1, **unknown))
    assert (verdict.charge.value, verdict.discharge.value) == (charge, discharge)
    for advice in (verdict.charge, verdict.discharge):
        assert (advice.reason is Reason.NOT_TOLD) is (advice.value == 0.0)


def test_the_currents_are_what_the_packs_are_set_to() -> None:
    verdict = look(sight(1), sight(2))
    assert (verdict.charge.value, verdict.discharge.value) == (200.0, 300.0)
    assert not verdict.charge.reduced
    assert not verdict.discharge.reduced


def test_a_pack_that_is_off_carries_nothing() -> None:
    verdict = look(sight(1), sight(2, charge_mos=False))
    assert (verdict.charge.value, verdict.charge.reason) == (100.0, Reason.MOS_OFF)
    assert verdict.charge.pack == "Pack 2"
    assert verdict.discharge.value == 300.0
    both = look(sight(1, charge_mos=False))
    assert (both.charge.value, both.charge.reason) == (0.0, Reason.MOS_OFF)


def test_a_pack_that_does_not_tell_whether_it_is_on_is_off() -> None:
    verdict = look(sight(1, discharge_mos=None))
    assert verdict.discharge.value == 0.0
    assert verdict.discharge.reason is Reason.NOT_TOLD


def test_the_pack_with_the_least_for_its_capacity_decides() -> None:
    verdict = look(sight(1), sight(2, max_charge=50.0))
    # Half of it goes through each: 50 A is what the second may have.
    assert (verdict.charge.value, verdict.charge.reason) == (100.0, Reason.SHARING)
    assert verdict.charge.pack == "Pack 2"
    unequal = look(sight(1, capacity=100.0), sight(2, capacity=300.0))
    assert unequal.charge.value == pytest.approx(100 / 0.75)
    untold = look(sight(1, capacity=None), sight(2, capacity=300.0))
    assert untold.charge.value == 200.0


@pytest.mark.parametrize(
    ("told", "charge", "discharge", "reason"),
    [
        ({"highest_cell": Spot(3.55, 1)}, 50.0, 150.0, Reason.CELL_VOLTAGE),
        ({"highest_cell": Spot(3.65, 1)}, 0.0, 150.0, Reason.CELL_VOLTAGE),
        ({"highest_cell": Spot(3.45, 1)}, 100.0, 150.0, Reason.NONE),
        ({"lowest_cell": Spot(2.9, 1)}, 100.0, 75.0, Reason.CELL_VOLTAGE),
        ({"lowest_cell": Spot(2.8, 1)}, 100.0, 0.0, Reason.CELL_VOLTAGE),
        ({"coldest": Spot(2.5, "T1")}, 50.0, 150.0, Reason.COLD),
        ({"coldest": Spot(-5.0, "T1")}, 0.0, 150.0, Reason.COLD),
        ({"coldest": Spot(-15.0, "T1")}, 0.0, 75.0, Reason.COLD),
        ({"warmest": Spot(52.5, "T2")}, 50.0, 150.0, Reason.HOT),
        ({"warmest": Spot(57.5, "T2")}, 0.0, 75.0, Reason.HOT),
        ({"mos_temperature": 85.0}, 50.0, 75.0, Reason.MOS_HOT),
        ({"state_of_charge": 0.0}, 100.0, 0.0, Reason.EMPTY),
    ],
)  # fmt: skip
def test_a_current_shrinks_toward_a_protection(
    told: dict[str, Any], charge: float, discharge: float, reason: Reason
) -> None:
    cell = next((s.value for k, s in told.items() if k.endswith("_cell")), None)
    volts = {} if cell is None else {"volts": 16 * cell}
    verdict = look(sight(1, **{"highest_cell": Spot(3.32, 9), **volts, **told}))
    assert verdict.trip is None, verdict.detail
    assert verdict.charge.value == pytest.approx(charge)
    assert verdict.discharge.value == pytest.approx(discharge)
    assert reason in (verdict.charge.reason, verdict.discharge.reason)


def test_the_weakest_pack_limits_the_whole_bank() -> None:
    verdict = look(sight(1), sight(2, coldest=Spot(2.5, "T1")))
    assert verdict.charge.value == pytest.approx(100.0)
    assert (verdict.charge.reason, verdict.charge.pack) == (Reason.COLD, "Pack 2")
    assert verdict.charge.full == 200.0


@pytest.mark.parametrize(
    ("unknown", "charge", "discharge"),
    [
        ({"max_charge": None}, 0.0, 150.0),
        ({"max_discharge": None}, 100.0, 0.0),
        ({"coldest": None}, 0.0, 0.0),
        ({"warmest": None}, 0.0, 0.0),
        ({"lowest_cell": None}, 100.0, 0.0),
        ({"mos_temperature": None}, 100.0, 150.0),
        ({"guard": replace(GUARD, discharge_utp=None)}, 100.0, 150.0),
        ({"guard": replace(GUARD, charge_utp=None)}, 0.0, 150.0),
        ({"guard": replace(GUARD, charge_otp=None)}, 0.0, 150.0),
        ({"guard": replace(GUARD, cell_uvp=None)}, 100.0, 0.0),
        ({"guard": replace(GUARD, cell_uvpr=None)}, 100.0, 150.0),
        ({"guard": replace(GUARD, charge_utp_recovery=None)}, 100.0, 150.0),
    ],
)
def test_a_pack_that_does_not_tell_what_guards_it_carries_nothing(
    unknown: dict[str, Any], charge: float, discharge: float
) -> None:
    verdict = look(sight(1, **unknown))
    assert (verdict.charge.value, verdict.discharge.value) == (charge, discharge)
    for advice in (verdict.charge, verdict.discharge):
        assert (advice.reason is Reason.NOT_TOLD) is (advice.value == 0)


def test_what_the_owner_allows_is_the_most() -> None:
    rules = Rules(charge_voltage=54.0, charge_current=30.0, discharge_current=400.0)
    verdict = look(sight(1), rules=rules)
    assert (verdict.voltage.value, verdict.voltage.reason) == (54.0, Reason.OWN_LIMIT)
    assert (verdict.charge.value, verdict.charge.reason) == (30.0, Reason.OWN_LIMIT)
    assert (verdict.discharge.value, verdict.discharge.reason) == (150.0, Reason.NONE)


def test_a_taper_is_a_straight_line() -> None:
    assert [taper(v, 0.0, 10.0) for v in (-1, 0, 2.5, 10, 11)] == [0, 0, 0.25, 1, 1]
    assert [
        taper(v, 3.65, 3.45) for v in (3.7, 3.65, 3.55, 3.45, 3.3)
    ] == pytest.approx([0, 0, 0.5, 1, 1])


def test_settings_that_meet_leave_a_taper_all_the_same() -> None:
    tight = replace(GUARD, cell_request_charge_voltage=3.65, cell_uvpr=2.8)
    verdict = look(
        sight(
            1,
            guard=tight,
            volts=16 * 3.625,
            highest_cell=Spot(3.625, 1),
            lowest_cell=Spot(3.62, 2),
        )
    )
    assert verdict.charge.value == pytest.approx(50.0)


# -- nothing is allowed ---------------------------------------------------------------


def test_data_that_is_too_old_allows_nothing() -> None:
    verdict = look(sight(1), now=FRESH_FOR)
    assert verdict.trip is None
    verdict = look(sight(1), now=FRESH_FOR + 0.01)
    assert verdict.trip is Reason.STALE
    assert (verdict.charge.value, verdict.discharge.value) == (0.0, 0.0)
    assert look(sight(1, heard=None)).trip is Reason.STALE


def test_a_verdict_knows_until_when_it_holds() -> None:
    verdict = look(sight(1, heard=3.0), sight(2, heard=1.0), now=4.0)
    assert verdict.within(4.0) == 11.0
    assert look(absent(1), now=4.0).within(4.0) == 14.0


def test_a_bank_that_lacks_a_pack_allows_nothing_unless_so_few_are_enough() -> None:
    packs = (sight(1), sight(2), absent(3))
    assert look(*packs).trip is Reason.TOO_FEW_PACKS
    assert look(*packs).detail == "Pack 3"
    verdict = look(*packs, rules=Rules(min_packs=2))
    assert verdict.trip is None
    assert (verdict.charge.value, verdict.charge.reason) == (
        200.0,
        Reason.PACK_MISSING,
    )
    assert look(absent(1), rules=Rules(min_packs=0)).trip is Reason.TOO_FEW_PACKS
    assert look().trip is Reason.NO_PACKS
    # Also where packs were taken out of the bank since that number was chosen.
    assert look(sight(1), rules=Rules(min_packs=5)).trip is Reason.TOO_FEW_PACKS


def test_a_protection_of_one_pack_allows_nothing() -> None:
    verdict = look(sight(1), sight(2, protections=("alarm_cell_overvoltage",)))
    assert verdict.trip is Reason.PROTECTION
    assert verdict.detail == "Pack 2: cell_overvoltage"
    assert (verdict.charge.value, verdict.discharge.value) == (0.0, 0.0)
    assert verdict.voltage.value == pytest.approx(55.2)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"state_of_charge": 101.0}, "state of charge"),
        ({"volts": 5.0}, "5.0 V of 16 cells"),
        ({"volts": 90.0}, "90.0 V of 16 cells"),
        ({"volts": 50.0}, "not the sum"),
        ({"amperes": 170.0}, "170.0 A"),
        ({"amperes": -240.0}, "-240.0 A"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_allows_nothing(told: dict[str, Any], words: str) -> None:
    verdict = look(sight(1), sight(2, **told))
    assert verdict.trip is Reason.IMPLAUSIBLE
    assert words in verdict.detail


@pytest.mark.parametrize("key", ["volts", "amperes", "state_of_charge", "cells"])
def test_a_pack_that_does_not_tell_the_least_allows_nothing(key: str) -> None:
    verdict = look(sight(1), sight(2, **{key: None}))
    assert (verdict.trip, verdict.detail) == (Reason.NOT_TOLD, "Pack 2")
    assert (verdict.charge.value, verdict.discharge.value) == (0.0, 0.0)


def test_packs_that_cannot_be_one_battery_allow_nothing() -> None:
    fewer = sight(2, cells=15, volts=49.7)
    assert "as many cells" in look(sight(1), fewer).detail
    apart = sight(2, volts=49.0, lowest_cell=Spot(3.05, 1), highest_cell=Spot(3.1, 2))
    assert "side by side" in look(sight(1), apart).detail
    # One that is off is not connected to the other.
    off = replace(apart, member=replace(apart.member, charge_mos=False))
    assert look(sight(1), off).trip is None


def test_extremes_that_are_not_told_are_no_contradiction() -> None:
    verdict = look(sight(1, lowest_cell=None, highest_cell=None))
    assert verdict.trip is None


# -- what is taken from a pack --------------------------------------------------------


def pack_with(**values: Any) -> PackSight:
    """Return a pack as it is read from its values."""

    def get[T](datum: Datum[T]) -> T | None:
        return values.get(datum.key)

    return PackSight.read(Member(pack_id="id", name="Pack", online=True), get)


def test_a_pack_is_read_from_its_values() -> None:
    pack = pack_with(
        cell_presence=0xFFFF,
        cell_count=8,
        charge_status="float",
        state_of_health=97,
        charging_cycles=42,
        power_tube_temperature=31.5,
        cell_ovp=3.65,
        mos_otp_recovery=70.0,
        discharge_utp=-20.0,
    )
    assert (pack.cells, pack.floats, pack.health, pack.cycles) == (16, True, 97, 42)
    assert pack.mos_temperature == 31.5
    assert pack.guard == Guard(cell_ovp=3.65, mos_otp_recovery=70, discharge_utp=-20)
    assert pack_with(cell_count=8).cells == 8
    assert pack_with().cells is None
    assert pack_with().cycles is None


def test_a_pack_that_does_not_answer_tells_nothing() -> None:
    pack = PackSight.read(away(1), lambda datum: pytest.fail(datum.key))
    assert pack == PackSight(member=away(1))


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.key)
def test_protections_count_and_hints_do_not(alarm: Any) -> None:
    pack = pack_with(**{alarm.key: True})
    harmless = {
        "alarm_wire_resistance",
        "alarm_external_communication",
        "alarm_low_soc",
    }
    grave = alarm.severity in (Severity.FAULT, Severity.PROTECTION)
    assert (alarm.key in pack.problems) is grave
    assert (alarm.key in pack.protections) is (grave and alarm.key not in harmless)
    assert (alarm.key in pack.warnings) is (alarm.severity is Severity.WARNING)


def test_the_level_of_an_alarm_on_can_counts() -> None:
    alarm = {"alarm_cell_difference": True}
    general = pack_with(**alarm, alarm_level_cell_difference="general")
    assert (general.protections, general.warnings) == ((), ("alarm_cell_difference",))
    serious = pack_with(**alarm, alarm_level_cell_difference="serious")
    assert serious.protections == ("alarm_cell_difference",)
