"""Energy over time, against the power of simulated packs, looked at much more often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, Final

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.energy import (
    COUNTED,
    ENERGY_CHARGED,
    ENERGY_DISCHARGED,
    FOLLOWED,
    EnergyAccount,
    Integrator,
    chemistry,
    in_steps,
    remaining_energy,
    times_left,
    with_followed,
)
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.state import BmsState
from simulator import Pack, trios

from .helpers import frame_of, pack

HOUR: Final = 3600.0
KILOWATT: Final = 1000.0


def counted(*readings: tuple[float, float], cycle: float = 0.0) -> Integrator:
    """Return what counted these readings: seconds, watts."""
    integrator = Integrator(cycle)
    for time, watts in readings:
        integrator.read(time, watts)
    return integrator


# -- counting -------------------------------------------------------------------------


def test_an_hour_of_steady_power_is_its_energy() -> None:
    steady = counted(*((10.0 * n, KILOWATT) for n in range(361)))
    assert steady.charged == pytest.approx(1.0)
    assert steady.discharged == 0.0


def test_discharging_is_counted_apart_and_positive() -> None:
    steady = counted(*((10.0 * n, -KILOWATT) for n in range(361)))
    assert steady.charged == 0.0
    assert steady.discharged == pytest.approx(1.0)


def test_power_goes_in_a_straight_line_between_two_readings() -> None:
    assert counted((0.0, 0.0), (20.0, 3600.0)).charged == pytest.approx(0.01)


def test_a_change_of_direction_is_split_where_the_power_is_zero() -> None:
    # From 3 kW to -1 kW in 20 s: it is zero after 15 s.
    turned = counted((0.0, 3000.0), (20.0, -1000.0))
    assert turned.charged == pytest.approx(3000.0 * 15 / 2 / 3.6e6)
    assert turned.discharged == pytest.approx(1000.0 * 5 / 2 / 3.6e6)


def test_one_reading_is_no_energy() -> None:
    alone = counted((1000.0, KILOWATT))
    assert (alone.charged, alone.discharged) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("silence", "joules"), [(30.0, 30 * KILOWATT), (30.001, 0.0), (86400.0, 0.0)]
)
def test_nothing_is_counted_across_a_gap(silence: float, joules: float) -> None:
    integrator = counted((0.0, KILOWATT))
    elapsed = integrator.read(silence, KILOWATT)
    assert integrator.charged == pytest.approx(joules / 3.6e6)
    assert elapsed == (silence if joules else None)


def test_counting_goes_on_behind_a_gap() -> None:
    after = counted((0.0, KILOWATT), (500.0, KILOWATT), (510.0, KILOWATT))
    assert after.charged == pytest.approx(10 * KILOWATT / 3.6e6)


def test_who_is_asked_once_a_minute_is_not_always_in_a_gap() -> None:
    slow = counted(*((60.0 * n, KILOWATT) for n in range(61)), cycle=60.0)
    assert slow.charged == pytest.approx(1.0)
    assert slow.patience == 180.0


def test_a_slow_bus_is_known_for_slow_after_a_few_readings() -> None:
    slow = counted(*((60.0 * n, KILOWATT) for n in range(61)))
    assert slow.charged == pytest.approx(58 / 60)


def test_two_gaps_do_not_make_a_third_one_short() -> None:
    times = [0.0, 7.0, 14.0, 21.0, 71.0, 78.0, 128.0]
    assert counted(*((time, 0.0) for time in times)).patience == 30.0


@pytest.mark.parametrize("again", [10.0, 9.0, 0.0])
def test_time_that_was_counted_is_not_counted_again(again: float) -> None:
    once = counted((0.0, KILOWATT), (10.0, KILOWATT))
    assert once.read(again, 9 * KILOWATT) == 0.0
    once.read(20.0, KILOWATT)
    assert once.charged == pytest.approx(20 * KILOWATT / 3.6e6)


READINGS: Final = st.lists(
    st.tuples(
        st.floats(-5, 100, allow_nan=False), st.floats(-20_000, 20_000, allow_nan=False)
    ),
    max_size=40,
)


@given(READINGS)
def test_it_never_falls_and_never_makes_more_than_the_highest_power(
    readings: list[tuple[float, float]],
) -> None:
    integrator = Integrator()
    now = latest = 0.0
    for step, watts in readings:
        before = integrator.charged, integrator.discharged
        now += step
        integrator.read(now, watts)
        latest = max(latest, now)
        assert integrator.charged >= before[0]
        assert integrator.discharged >= before[1]
    most = max((abs(watts) for _, watts in readings), default=0.0)
    whole = integrator.charged + integrator.discharged
    assert whole <= most * (latest + 5) / 3.6e6 * (1 + 1e-9)


# -- a day ----------------------------------------------------------------------------


@dataclass
class Day:
    """A simulated pack that is read, and its true energy while somebody reads it."""

    pack: Pack = field(default_factory=lambda: Pack(trios()[1], 1, seed=1))
    state: BmsState = field(default_factory=BmsState)
    account: EnergyAccount = field(default_factory=lambda: EnergyAccount(5.0))
    now: float = 0.0
    charged: float = 0.0
    discharged: float = 0.0
    turns: int = 0
    readings: int = 0

    def power(self) -> float:
        """Return the watts in the memory of the pack."""
        return (
            self.pack.number_of("pack_voltage") * self.pack.number_of("current") / 1e6
        )

    def live(self, seconds: float) -> None:
        """Let time pass while somebody reads, in steps of at most two seconds."""
        end = self.now + seconds
        watts = self.power()
        while self.now < end:
            step = min(2.0, end - self.now)
            self.now += step
            self.pack.advance(self.now)
            before, watts = watts, self.power()
            self.turns += before * watts < 0
            self.charged += max(0.0, before + watts) / 2 * step / 3.6e6
            self.discharged += max(0.0, -before - watts) / 2 * step / 3.6e6

    def skip(self, seconds: float) -> None:
        """Let time pass while nobody reads, until a reading is believed again."""
        self.now += seconds
        self.pack.advance(self.now)
        while not self.read():
            self.now += 5.0
            self.pack.advance(self.now)

    def read(self) -> bool:
        """Read the pack; tell whether it was believed."""
        frame = frame_of(self.pack, Block.LIVE)
        update = self.state.take_frame(frame, Block.LIVE, self.now)
        if update is None:
            return False
        self.readings += 1
        self.account.read(self.state.values, self.state.seen[Block.LIVE])
        return True

    def restart(self, seconds: float) -> None:
        """Forget all but the energies, and read on after some time."""
        stored = {datum: self.account.total(datum) for datum in COUNTED}
        self.account, self.state = EnergyAccount(5.0), BmsState()
        for datum, energy in stored.items():
            self.account.resume(datum, energy)
        self.skip(seconds)


def test_the_energy_of_a_day_with_gaps_restarts_and_changes_of_direction_is_right() -> (
    None
):
    random = Random(7)
    day = Day()
    day.skip(0.0)
    # When, how long, and whether Home Assistant was restarted.
    breaks = [
        (1_000.0, 31.0, False),
        (7_200.0, 45.0, False),
        *((9_000.0 + 9_000.0 * n, 40.0, True) for n in range(8)),
        (20_000.0, 3 * HOUR, False),
        (60_000.0, 600.0, False),
        (70_000.0, 3600.0, True),
    ]
    for time, silence, restarted in sorted(breaks):
        while day.now < time:
            day.live(random.uniform(4.0, 6.0))
            assert day.read()
        (day.restart if restarted else day.skip)(silence)
    while day.now < 24 * HOUR:
        day.live(random.uniform(4.0, 6.0))
        assert day.read()
    assert day.readings > 13_000
    assert day.turns >= 10
    assert min(day.charged, day.discharged) > 3
    account = day.account
    assert account.total(ENERGY_CHARGED) == pytest.approx(day.charged, rel=0.001)
    assert account.total(ENERGY_DISCHARGED) == pytest.approx(day.discharged, rel=0.001)
    assert account.values["energy_charged"] == round(account.total(ENERGY_CHARGED), 2)


# -- an account -----------------------------------------------------------------------


def live(**raw: Any) -> Mapping[str, Any]:
    """Return the values of a pack that stands still, of all blocks."""
    state = BmsState()
    of = pack(1, **raw)
    for block in Block:
        assert state.take_frame(frame_of(of, block), block, 0.0)
    return state.values


def test_readings_of_two_lines_are_of_one_pack() -> None:
    values = live(current=20_000, pack_voltage=53_224)
    account = EnergyAccount()
    for time in (0.0, 5.0, 5.3, 5.0, 4.9, 10.0, 10.3, 15.0):
        account.read(values, time)
    assert account.total(ENERGY_CHARGED) == pytest.approx(20 * 53.224 * 15 / 3.6e6)
    assert account.total(ENERGY_DISCHARGED) == 0.0


def test_what_is_older_than_what_was_read_is_not_shown() -> None:
    account = EnergyAccount()
    account.read(live(remaining_capacity=100_000), 10.0)
    assert account.read(live(remaining_capacity=150_000), 9.9) == set()
    assert account.values["remaining_energy"] == 5.12


def test_it_names_only_what_is_to_be_shown_anew() -> None:
    values = live(current=0)
    account = EnergyAccount()
    assert account.read(values, 0.0) == {datum.key for datum in FOLLOWED}
    assert account.read(values, 5.0) == set()
    charging = live(current=100_000)
    account.read(charging, 10.0)
    named = [account.read(charging, 10.0 + n) for n in range(1, 8)]
    # 5.3 kW are 10 Wh in less than 7 s.
    assert sum("energy_charged" in keys for keys in named) == 1
    assert not any("energy_discharged" in keys for keys in named)


def test_a_pack_that_tells_no_power_is_not_followed() -> None:
    account = EnergyAccount()
    assert account.read({"current": 3.0}, 1.0) == set()
    assert account.values == {}


def test_it_goes_on_from_what_was_counted_before() -> None:
    account = EnergyAccount()
    account.resume(ENERGY_DISCHARGED, 1234.5678)
    assert account.values == {"energy_discharged": 1234.57}
    values = live(current=-100_000)
    account.read(values, 0.0)
    account.read(values, 20.0)
    watts = 100 * 53.224
    assert account.total(ENERGY_DISCHARGED) == pytest.approx(
        1234.5678 + watts * 20 / 3.6e6
    )


def test_what_a_setting_tells_is_shown_without_a_new_reading() -> None:
    account = EnergyAccount()
    values = {**live(remaining_capacity=100_000)}
    limit = values.pop("cell_ovp")
    account.read(values, 0.0)
    assert account.values["remaining_energy"] is None
    assert "remaining_energy" in account.read({**values, "cell_ovp": limit}, 0.0)
    assert account.values["remaining_energy"] == 100 * 16 * 3.2 / 1000


def test_the_chemistry_stays_known_while_no_charger_is_asked_for_anything() -> None:
    on_can: dict[str, Any] = {
        "power": 0.0,
        "current": 0.0,
        "cell_presence": 0xFFFF,
        "capacity_remaining": 100.0,
        "requested_charge_voltage": 57.6,
    }
    account = EnergyAccount()
    account.read(on_can, 0.0)
    account.read(on_can | {"requested_charge_voltage": 0.0}, 2.0)
    assert account.values["remaining_energy"] == 5.12


# -- energy left ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("millivolts", "told", "name"),
    [
        (3650, 0, "lfp"),
        (3600, 1, "lfp"),
        (4200, 0, "li_ion"),
        (4100, 1, "li_ion"),
        (2700, 0, "lto"),
        (3900, 0, "lfp"),
        (3900, 1, "li_ion"),
        (3100, 2, "lto"),
        (3900, 9, None),
    ],
)
def test_the_protection_tells_the_chemistry_and_the_bms_where_it_leaves_a_choice(
    millivolts: int, told: int, name: str | None
) -> None:
    assert chemistry(live(cell_ovp=millivolts, battery_type=told)) == name


@pytest.mark.parametrize(
    ("volts", "cells", "name"),
    [
        (57.6, 16, "lfp"),
        (58.8, 14, "li_ion"),
        (56.0, 20, "lto"),
        (0.0, 16, None),
        (57.6, 0, None),
    ],
)
def test_on_can_what_is_asked_of_the_charger_tells_the_chemistry(
    volts: float, cells: int, name: str | None
) -> None:
    values = {"requested_charge_voltage": volts, "cell_presence": (1 << cells) - 1}
    assert chemistry(values) == name


def test_every_captured_pack_is_lfp() -> None:
    for kind in range(len(trios())):
        state = BmsState()
        for block in Block:
            assert state.take_frame(frame_of(pack(kind), block), block, 0.0)
        assert chemistry(state.values) == "lfp"


def test_remaining_energy_is_remaining_capacity_at_nominal_voltage() -> None:
    values = live(remaining_capacity=280_000, cell_presence=0xFFFF)
    assert remaining_energy(values, 3.2) == pytest.approx(14.336)
    assert remaining_energy(values, None) is None
    assert remaining_energy({"cell_presence": 1}, 3.2) is None
    assert remaining_energy({"capacity_remaining": 1.0}, 3.2) is None


@pytest.mark.parametrize(("protection", "volts"), [(3.65, 3.2), (4.2, 3.7), (2.7, 2.3)])
def test_a_cell_counts_with_the_voltage_that_its_maker_states(
    protection: float, volts: float
) -> None:
    """Lithium iron phosphate, lithium ion, lithium titanate."""
    account = EnergyAccount()
    values = live(remaining_capacity=100_000, cell_presence=0xFFFF)
    account.read({**values, "cell_ovp": protection}, 0.0)
    assert account.stored == pytest.approx(100 * 16 * volts / 1000)


def test_less_than_nothing_is_nothing() -> None:
    values = {"capacity_remaining": -2.0, "cell_presence": 0xFF}
    assert remaining_energy(values, 3.2) == 0.0


# -- time left ------------------------------------------------------------------------

TENTH: Final = {"capacity_remaining": 20.0, "full_charge_capacity": 200.0}


@pytest.mark.parametrize(
    ("amperes", "left"),
    [
        (-20.0, (HOUR, None)),
        (20.0, (None, 9 * HOUR)),
        (0.4, (None, None)),
        (-0.4, (None, None)),
        (0.0, (None, None)),
        (-0.5, (40 * HOUR, None)),
    ],
)
def test_time_is_left_in_the_direction_in_which_it_goes(
    amperes: float, left: tuple[float | None, float | None]
) -> None:
    assert times_left(TENTH, amperes) == left


def test_no_time_is_left_at_the_end() -> None:
    assert times_left(TENTH | {"capacity_remaining": -1.0}, -20.0) == (0.0, None)
    assert times_left(TENTH | {"capacity_remaining": 201.0}, 20.0) == (None, 0.0)


def test_without_capacity_no_time_is_known() -> None:
    assert times_left({"capacity_remaining": 20.0}, 5.0) == (None, None)
    assert times_left({"full_charge_capacity": 20.0}, 5.0) == (None, None)
    assert times_left(TENTH | {"full_charge_capacity": 0.0}, 0.0) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [(1000.0, 60), (7100.0, 60), (7300.0, 300), (50_000.0, 900), (200_000.0, 3600)],
)
def test_the_farther_off_the_coarser(seconds: float, step: int) -> None:
    shown = in_steps(seconds, None)
    assert shown is not None
    assert shown % step == 0
    assert abs(shown - seconds) <= step / 2


def test_what_is_shown_stays_while_it_is_near() -> None:
    assert in_steps(3629.0, 3600.0) == 3600.0
    assert in_steps(3541.0, 3600.0) == 3600.0
    assert in_steps(3540.0, 3600.0) == 3540.0
    assert in_steps(None, 3600.0) is None


def test_times_change_at_most_once_a_minute_while_the_current_is_steady() -> None:
    account = EnergyAccount()
    shown = []
    for second in range(0, 1800, 5):
        values = TENTH | {
            "power": -1000.0,
            "current": -20.0 - 0.2 * (second % 2),
            "capacity_remaining": 20.0 - 20.0 * second / HOUR,
        }
        account.read(values, second)
        shown.append(account.values["time_to_empty"])
    changes = sum(a != b for a, b in pairwise(shown))
    assert changes <= 31
    assert shown[0] == HOUR
    assert shown[-1] == pytest.approx(HOUR / 2, abs=60)


def test_a_load_that_comes_and_goes_is_smoothed_over_minutes() -> None:
    def reading(amperes: float) -> dict[str, float]:
        return TENTH | {"power": 52 * amperes, "current": amperes}

    account = EnergyAccount()
    account.read(reading(-10.0), 0.0)
    assert account.values["time_to_empty"] == 2 * HOUR
    account.read(reading(-100.0), 5.0)
    spike = account.values["time_to_empty"]
    assert spike is not None
    assert 1.7 * HOUR < spike < 2 * HOUR
    for n in range(60):
        account.read(reading(-100.0), 10.0 + 10 * n)
    settled = account.values["time_to_empty"]
    assert settled == pytest.approx(0.2 * HOUR, rel=0.2)
    # What was smoothed before a gap says nothing of what is behind it.
    account.read(reading(-10.0), 5000.0)
    assert account.values["time_to_empty"] == 2 * HOUR


# -- what is told on can --------------------------------------------------------------


def can_features(*keys: str) -> Features:
    """Return the features of who tells these values on CAN."""
    return Features.of({}, (), None, heater=False, keys=keys)


@pytest.mark.parametrize(
    ("told", "follows"),
    [
        ((), set()),
        (("power",), {"energy_charged", "energy_discharged"}),
        (("capacity_remaining", "average_cell_voltage"), set()),
        (
            ("capacity_remaining", "average_cell_voltage", "requested_charge_voltage"),
            {"remaining_energy"},
        ),
        (
            ("current", "capacity_remaining", "full_charge_capacity"),
            {"time_to_empty", "time_to_full"},
        ),
    ],
)
def test_on_can_only_what_can_follow_is_there(
    told: tuple[str, ...], follows: set[str]
) -> None:
    features = with_followed(can_features(*told))
    assert {d.key for d in FOLLOWED if features.has(d)} == follows
    assert with_followed(features) == features


def test_the_blocks_of_rs485_have_all_of_it() -> None:
    features = Features.of({}, (1,), None, heater=False)
    assert with_followed(features) is features
    assert all(features.has(datum) for datum in FOLLOWED)
