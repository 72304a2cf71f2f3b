"""The moving pack: everything it says fits together."""

import pytest

from simulator import Bank, Block, Pack, trios
from simulator.physics import resting_voltage

DAY = 86_400


def bank(seed: int = 1) -> Bank:
    """One moving pack of every kind."""
    return Bank.default(range(1, 8), seed=seed)


def cells(pack: Pack) -> list[int]:
    """The voltages of the cells there are."""
    return [
        pack.number_of(f"cell_voltage_{cell}") for cell in range(1, pack.cell_count + 1)
    ]


@pytest.fixture(params=range(1, 8))
def pack(request: pytest.FixtureRequest) -> Pack:
    """Each kind of pack in turn."""
    return bank()[request.param]


def test_a_moving_pack_begins_as_captured(pack: Pack) -> None:
    captured = Pack(pack.trio, pack.address, still=True)
    pack.advance(1000.0)
    assert pack.frame(Block.LIVE) == captured.frame(Block.LIVE)


def test_voltages_power_and_indexes_fit_together(pack: Pack) -> None:
    pack.advance(0.0)
    for minute in range(1, 24 * 60, 7):
        pack.advance(60.0 * minute)
        voltages = cells(pack)
        total, current = pack.number_of("pack_voltage"), pack.number_of("current")
        assert total == sum(voltages)
        assert pack.get("pack_voltage_coarse") == pytest.approx(total / 10, abs=1)
        assert pack.get("average_cell_voltage") == round(total / len(voltages))
        assert pack.get("cell_voltage_difference") == max(voltages) - min(voltages)
        assert voltages[pack.number_of("highest_cell")] == max(voltages)
        assert voltages[pack.number_of("lowest_cell")] == min(voltages)
        assert pack.get("power") == abs(total * current) // 1000
        full = pack.number_of("full_capacity")
        remaining = pack.number_of("remaining_capacity")
        assert 0 <= remaining <= full
        assert pack.get("soc") == pytest.approx(100 * remaining / full, abs=0.51)
        assert 2400 < min(voltages) <= max(voltages) < 3800


def test_the_remaining_capacity_is_the_integral_of_the_current(pack: Pack) -> None:
    pack.advance(0.0)
    start, cycled = (
        pack.number_of("remaining_capacity"),
        pack.number_of("cycled_capacity"),
    )
    charge = discharge = 0.0
    before = pack.number_of("current")
    for second in range(1, 3601):
        pack.advance(float(second))
        current = pack.number_of("current")
        step = (before + current) / 2 / 3600
        charge += step
        discharge += max(-step, 0.0)
        before = current
    full = pack.number_of("full_capacity")
    assert pack.number_of("remaining_capacity") - start == pytest.approx(
        charge, abs=2 + full * 1e-5
    )
    assert pack.number_of("cycled_capacity") - cycled == pytest.approx(
        discharge, abs=2 + full * 1e-5
    )


def test_the_length_of_the_steps_matters_little() -> None:
    fine, coarse = bank()[1], bank()[1]
    for pack in (fine, coarse):
        pack.advance(0.0)
    for second in range(1, 7201):
        fine.advance(float(second))
    coarse.advance(7200.0)
    assert coarse.get("remaining_capacity") == pytest.approx(
        fine.get("remaining_capacity"), rel=1e-3
    )


def test_a_bank_charges_by_day_and_discharges_by_night() -> None:
    pack = bank()[1]
    pack.advance(0.0)
    pack.advance(3600.0)
    assert pack.number_of("current") > 10_000
    pack.advance(11 * 3600.0)
    assert pack.number_of("current") < -10_000


def test_nothing_jumps_from_one_second_to_the_next(pack: Pack) -> None:
    pack.advance(0.0)
    full = pack.number_of("full_capacity")
    names = (
        "pack_voltage",
        "current",
        "mos_temperature",
        "temperature_1",
        "remaining_capacity",
    )
    before = [pack.number_of(name) for name in names]
    for second in range(1, 1800):
        pack.advance(float(second))
        now = [pack.number_of(name) for name in names]
        moved = [abs(new - old) for new, old in zip(now, before, strict=True)]
        assert moved[0] <= 40
        assert moved[1] <= 0.02 * full
        assert moved[2] <= 2
        assert moved[3] <= 2
        assert moved[4] <= 0.001 * full + 1
        before = now


def test_counters_and_clock_run_with_the_time(pack: Pack) -> None:
    names = ("run_time", "rtc", "total_run_time", "ticks")
    pack.advance(50.0)
    before = {name: pack.number_of(name) for name in names}
    for tenth in range(1, 1001):
        pack.advance(50.0 + tenth / 10)
    moved = {name: pack.number_of(name) - before[name] for name in names}
    assert moved == {
        "run_time": 100,
        "rtc": 100,
        "total_run_time": 100,
        "ticks": pytest.approx(1000, abs=1),
    }


def test_a_clock_that_was_set_runs_on_from_there(pack: Pack) -> None:
    pack.advance(0.0)
    pack.set("rtc", 200_000_000)
    pack.advance(60.0)
    assert pack.get("rtc") == 200_000_060


def test_cycles_follow_the_cycled_capacity() -> None:
    pack = bank()[1]
    pack.advance(0.0)
    cycles = pack.number_of("cycles")
    pack.advance(4.0 * DAY)
    assert pack.number_of("cycles") > cycles
    assert pack.get("cycles") == pack.number_of("cycled_capacity") // pack.number_of(
        "full_capacity"
    )


def test_time_does_not_run_backwards() -> None:
    pack = bank()[1]
    pack.advance(100.0)
    pack.advance(160.0)
    frame = pack.frame(Block.LIVE)
    pack.advance(130.0)
    assert pack.frame(Block.LIVE) == frame


def test_a_seed_repeats_a_day_and_another_does_not() -> None:
    days = []
    for seed in (1, 1, 2):
        pack = bank(seed)[1]
        currents = []
        for minute in range(60):
            pack.advance(60.0 * minute)
            currents.append(pack.number_of("current"))
        days.append(currents)
    assert days[0] == days[1] != days[2]


def test_switches_and_limits_bound_the_current() -> None:
    pack = bank()[1]
    pack.advance(0.0)
    assert pack.write(0x102C, (5000).to_bytes(4), 0.0) is None
    pack.advance(3 * 3600.0)
    assert pack.get("current") == 5000
    assert pack.write(0x1070, bytes(4), 0.0) is None
    pack.advance(3 * 3600.0 + 5)
    assert pack.get("current") == 0
    assert pack.write(0x1038, (3000).to_bytes(4), 0.0) is None
    pack.advance(11 * 3600.0)
    assert pack.get("current") == -3000
    assert pack.write(0x1074, bytes(4), 0.0) is None
    pack.advance(11 * 3600.0 + 5)
    assert pack.get("current") == 0


def test_a_full_pack_is_not_charged_and_an_empty_one_not_discharged() -> None:
    pack = bank()[3]
    pack.advance(0.0)
    pack.advance(3 * 3600.0)
    assert pack.get("soc") == 100
    assert 0 <= pack.number_of("current") < 0.02 * pack.number_of("full_capacity")
    pack.set("remaining_capacity", pack.number_of("full_capacity") * 4 // 100)
    pack.set("charge_mos", 0)
    pack.move()
    pack.advance(0.0)
    for hour in range(1, 24):
        pack.advance(hour * 3600.0)
        assert pack.get("current") == 0


def test_warmth_follows_the_current_and_absent_probes_stay_absent() -> None:
    pack = bank()[1]
    pack.set("temperature_5", -2000)
    pack.move()
    pack.advance(0.0)
    cold = pack.number_of("mos_temperature")
    pack.advance(3 * 3600.0)
    assert pack.number_of("mos_temperature") > cold + 30
    assert pack.get("temperature_3") == pack.get("mos_temperature")
    assert pack.get("temperature_5") == -2000


def test_a_third_probe_of_its_own_is_no_mirror_of_the_mosfets() -> None:
    pack = bank()[1]
    pack.set("temperature_3", 150)
    pack.move()
    pack.advance(0.0)
    pack.advance(3 * 3600.0)
    assert pack.number_of("mos_temperature") > pack.number_of("temperature_3") + 50


def test_the_balancer_evens_out_what_is_uneven() -> None:
    pack = bank()[7]
    assert pack.write(0x1084, (3000).to_bytes(4), 0.0) is None
    pack.advance(0.0)
    before = pack.number_of("cell_voltage_difference")
    states = set()
    for minute in range(1, 120):
        pack.advance(61.0 * minute)
        states.add((pack.get("balancer_state"), pack.get("balance_current")))
    assert states == {(1, 2000), (2, -2000)}
    assert pack.number_of("cell_voltage_difference") < before
    assert pack.write(0x1078, bytes(4), 0.0) is None
    pack.advance(3.0 * 3600)
    assert (pack.get("balancer_state"), pack.get("balance_current")) == (0, 0)


def test_the_resting_voltage_rises_with_the_charge() -> None:
    curve = [resting_voltage(percent / 2) for percent in range(201)]
    assert curve == sorted(curve)
    assert curve[0] == 2800
    assert curve[-1] == 3440


def test_packs_in_parallel_are_charged_and_discharged_together() -> None:
    alike = Bank.alike(range(1, 5), trios()[0], seed=3, day=900)
    charges = [pack.number_of("soc") for pack in alike]
    assert max(charges) - min(charges) <= 8
    assert {pack.number_of("full_capacity") for pack in alike} == {280_000}
    assert len({tuple(cells(pack)) for pack in alike}) == 4
    currents, balancing = [], []
    for minute in range(31):
        for pack in alike:
            pack.advance(60.0 * minute)
        currents.append([pack.number_of("current") for pack in alike])
        balancing.append([pack.number_of("balancer_state") for pack in alike])
    assert any(min(now) > 20_000 for now in currents)
    assert any(max(now) < -20_000 for now in currents)
    assert any(all(now) for now in balancing)
    assert not all(any(now) for now in balancing)


def test_packs_in_parallel_say_at_once_what_they_begin_with() -> None:
    pack = Bank.alike([5], trios()[0])[5]
    assert pack.number_of("pack_voltage") == sum(cells(pack))
    assert pack.number_of("soc") == round(pack.number_of("remaining_capacity") / 2800)


def test_a_short_day_leaves_the_packs_own_time_as_it_is() -> None:
    pack = Bank.alike([1], trios()[0], day=600)[1]
    run_time = pack.number_of("run_time")
    pack.advance(50.0)
    pack.advance(650.0)
    assert pack.number_of("run_time") == run_time + 600
