"""A bank over time: packs that are left out, energy, time left."""

from itertools import pairwise
from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.bank_member import Member
from custom_components.jkbms.protocol.bank_state import BankState, BankView
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.energy import (
    ENERGY_CHARGED,
    ENERGY_DISCHARGED,
    EnergyAccount,
)
from custom_components.jkbms.protocol.state import BmsState
from simulator import Pack, trios

from .banks import away, look, member
from .helpers import frame_of

HOUR: Final = 3600.0

# -- packs that are left out ----------------------------------------------------------


def left_out(view: BankView) -> tuple[bool | None, Any, Any]:
    """Return whether a pack does not participate, and which."""
    told = view.told["pack_not_participating"]
    return (told.value, told.details["not_charging"], told.details["not_discharging"])


def test_a_pack_that_is_off_while_others_run_is_told_after_a_minute() -> None:
    bank = BankState()
    packs = [member(1), member(2, amperes=0.0, charge_mos=False)]
    assert left_out(bank.look(packs, 100.0)) == (False, [], [])
    assert left_out(bank.look(packs, 159.9)) == (False, [], [])
    assert left_out(bank.look(packs, 160.0)) == (True, ["Pack 2"], [])
    packs[1] = member(2)
    assert left_out(bank.look(packs, 161.0)) == (False, [], [])
    packs[1] = member(2, charge_mos=False)
    assert left_out(bank.look(packs, 162.0)) == (False, [], [])


@pytest.mark.parametrize(
    "packs",
    [
        # The other way round it may be off.
        (member(1), member(2, amperes=0.0, discharge_mos=False)),
        # Nobody else does anything.
        (member(1, amperes=0.3), member(2, amperes=0.0, charge_mos=False)),
        (member(1, amperes=0.0), member(2, amperes=20.0, charge_mos=False)),
        (member(1), away(2)),
    ],
)
def test_a_pack_that_nobody_misses_is_not_told(packs: tuple[Member, ...]) -> None:
    bank = BankState()
    bank.look(packs, 0.0)
    assert left_out(bank.look(packs, 1000.0)) == (False, [], [])


def test_a_pack_may_be_left_out_when_discharging() -> None:
    bank = BankState()
    packs = (member(1, amperes=-9.0), member(2, amperes=0.0, discharge_mos=False))
    bank.look(packs, 0.0)
    assert left_out(bank.look(packs, 60.0)) == (True, [], ["Pack 2"])


def test_who_does_not_tell_whether_it_is_on_is_not_taken_for_on() -> None:
    assert left_out(look(member(1), member(2, charge_mos=None)))[0] is None
    assert left_out(look(away(1)))[0] is None


# -- energy ---------------------------------------------------------------------------


def charged(bank: BankState) -> float:
    """Return the kWh charged up to now."""
    return bank.account.total(ENERGY_CHARGED)


def run(bank: BankState, *heard: tuple[float, ...], watts: float = 500.0) -> None:
    """Look at packs that were heard at these times, each with the same power."""
    for times in heard:
        packs = [
            member(n, heard=time, watts=watts, amperes=watts / 50)
            for n, time in enumerate(times)
        ]
        bank.look(packs, max(times))


def test_the_energy_of_a_bank_is_that_of_all_its_packs() -> None:
    bank = BankState()
    run(bank, *((5.0 * n, 5.0 * n + 2) for n in range(721)))
    assert charged(bank) == pytest.approx(1.0)
    assert bank.look([], 0.0).told["energy_charged"].value == 1.0


def test_a_look_before_all_were_heard_anew_counts_nothing() -> None:
    bank = BankState()
    run(bank, (0.0, 2.0), (5.0, 2.0), (5.0, 2.0))
    assert charged(bank) == 0.0
    run(bank, (5.0, 7.0))
    assert charged(bank) == pytest.approx(1000 * 5 / 3.6e6)


def test_what_is_counted_ends_where_the_first_pack_was_heard_last() -> None:
    bank = BankState()
    run(bank, (0.0, 0.0), (5.0, 9.0))
    assert charged(bank) == pytest.approx(1000 * 5 / 3.6e6)


def test_a_slow_bus_is_no_gap_however_many_packs_it_has() -> None:
    bank = BankState()
    looks = []
    times = [float(n) for n in range(8)]
    for step in range(1, 30 * 8):
        times[step % 8] = 60.0 * (step // 8) + step % 8
        looks.append(tuple(times))
    run(bank, *looks, watts=125.0)
    minutes = charged(bank) * 60
    assert 24 <= minutes <= 29


def test_a_pack_that_is_away_is_a_gap() -> None:
    bank = BankState()
    run(bank, *((5.0 * n, 5.0 * n) for n in range(11)))
    before = charged(bank)
    for n in range(11, 200):
        bank.look([member(0, heard=5.0 * n), away(1)], 5.0 * n)
    assert charged(bank) == before
    run(bank, (1000.0, 1000.0), (1005.0, 1005.0))
    assert charged(bank) == pytest.approx(before + 1000 * 5 / 3.6e6)


@pytest.mark.parametrize("told", [{"watts": None}, {"heard": None}])
def test_a_pack_that_does_not_tell_its_power_is_a_gap(told: dict[str, Any]) -> None:
    bank = BankState()
    run(bank, (0.0, 0.0), (5.0, 5.0))
    before = charged(bank)
    bank.look([member(0, heard=10.0), member(1, **{"heard": 10.0} | told)], 10.0)
    assert charged(bank) == before


def test_a_bank_without_packs_counts_nothing() -> None:
    view = look()
    assert view.told["energy_charged"].value is None
    assert view.told["power"].value is None


def test_what_goes_round_between_packs_is_no_energy_of_the_bank() -> None:
    bank = BankState()
    for n in range(100):
        packs = [
            member(1, heard=5.0 * n, watts=800.0),
            member(2, heard=5.0 * n, watts=-800.0),
        ]
        bank.look(packs, 5.0 * n)
    assert charged(bank) == 0.0


def test_the_time_left_is_that_of_all_packs_and_unknown_while_one_is_away() -> None:
    bank = BankState()
    packs = [member(n, amperes=-70.0, heard=0.0) for n in range(3)]
    view = bank.look(packs, 0.0)
    assert view.told["time_to_empty"].value == 2 * HOUR
    assert view.told["time_to_full"].value is None
    view = bank.look([*packs[:2], away(2)], 1.0)
    assert view.enough
    assert view.told["time_to_empty"].value is None


@pytest.mark.parametrize("seed", range(2))
def test_a_day_of_packs_that_are_read_by_turns_is_counted_right(seed: int) -> None:
    random = Random(seed)
    packs = [Pack(trios()[kind], kind + 1, seed=seed) for kind in range(3)]
    accounts = [EnergyAccount(5.0) for _ in packs]
    states = [BmsState() for _ in packs]
    bank = BankState()
    now = random.uniform(0, 86400)
    readings: list[tuple[float, float]] = []
    for cycle in range(800):
        for n, one in enumerate(packs):
            at = now + 5.0 * cycle + 1.5 * n
            one.advance(at)
            states[n].take_frame(frame_of(one, Block.LIVE), Block.LIVE, at)
            accounts[n].read(states[n].values, at)
        known = [
            Member.read(
                str(n),
                str(n),
                state.get,
                heard=state.seen.get(Block.LIVE),
                energy=accounts[n].stored,
            )
            for n, state in enumerate(states)
        ]
        bank.look(known, at)
        readings.append((at, sum(one.watts or 0.0 for one in known)))
    assert (
        bank.account.total(ENERGY_CHARGED) + bank.account.total(ENERGY_DISCHARGED) > 0.5
    )
    for datum, sign in ((ENERGY_CHARGED, 1), (ENERGY_DISCHARGED, -1)):
        whole = sum(
            max(0.0, sign * (before + after) / 2) * (end - begin)
            for (begin, before), (end, after) in pairwise(readings)
        )
        assert bank.account.total(datum) == pytest.approx(
            whole / 3.6e6, rel=0.01, abs=0.005
        )


def test_a_bank_says_how_many_packs_it_needs() -> None:
    assert [BankState(None).needed(total) for total in (1, 2, 3, 4)] == [1, 2, 2, 3]
    assert BankState(2).needed(16) == 2
