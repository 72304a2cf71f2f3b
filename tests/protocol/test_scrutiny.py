"""What a frame tells twice has to agree, as it did before: each rule, within and beyond."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.layout import FRAME_HEAD, Layout, decode_block
from custom_components.jkbms.protocol.scrutiny import suspicions, unread

from .helpers import frame_of, pack

DATA: Final = frame_of(pack(), Block.LIVE).data
VALUES: Final[Mapping[str, Value]] = decode_block(
    DATA, Block.LIVE, Layout.JK02_32S, firmware=None, offset=FRAME_HEAD
)
"""An idle pack: 16 cells of 3.293 V, 55 % of 280 Ah."""
CELLS: Final = tuple(f"cell_voltage_{n}" for n in range(1, 17))
SECONDS: Final = 4.0


def moved(values: Mapping[str, Value], **by: Any) -> dict[str, Value]:
    """Return the values with some of them higher by so much."""
    new: dict[str, Any] = dict(values)
    for key, change in by.items():
        new[key] = new[key] + change
    return new


def later(**by: Any) -> dict[str, Value]:
    """Return what the pack tells some seconds later, with some values higher."""
    clocks = {
        "total_runtime": SECONDS,
        "uptime": SECONDS,
        "bms_clock": timedelta(seconds=SECONDS),
    }
    return moved(moved(VALUES, **clocks), **by)


def suspected(
    new: Mapping[str, Value], old: Mapping[str, Value] = VALUES, after: float = SECONDS
) -> set[str]:
    """Return what is doubted, without the word that tells these doubts from others."""
    told = suspicions(Block.LIVE, new, old, after)
    assert all(doubt.endswith(" closely") for doubt in told)
    return {doubt.removesuffix(" closely") for doubt in told}


def test_an_idle_pack_is_beyond_suspicion() -> None:
    assert suspected(later()) == set()
    assert suspected(VALUES, after=0.0) == set()


@pytest.mark.parametrize(
    ("key", "within", "beyond"),
    [
        # A step of one cell is one of its mean too: a sixteenth.
        ("cell_voltage_5", 0.0027, 0.0029),
        ("total_voltage", 0.005, -0.013),
        ("bms_average_cell_voltage", 0.002, 0.0022),
        ("bms_delta_cell_voltage", 0.005, 0.0052),
        ("coarse_voltage", -0.005, -0.0055),
        ("capacity_remaining", 0.042, 0.0425),
        ("total_charging_cycle_capacity", 0.042, 0.0425),
        ("state_of_charge", 1, 2),
        ("temperature_sensor_1", 0.2, 0.3),
        ("temperature_sensor_2", -0.2, -0.3),
        ("temperature_sensor_4", 0.2, 0.3),
        ("temperature_sensor_5", 0.2, 0.3),
        ("mos_temperature_mirror", 0.1, 0.2),
        ("uptime", 1.0, 1.2),
        ("uptime", -1.0, -1.2),
        ("bms_clock", timedelta(seconds=1), timedelta(seconds=2)),
        ("charge_status_time", 4, 60),
        ("sleep_countdown", -4, -60),
        ("charge_sense_voltage", 0.003, 0.0033),
        ("discharge_sense_voltage", -0.003, -0.0033),
    ],
)
def test_what_is_told_twice_has_to_agree(key: str, within: Any, beyond: Any) -> None:
    assert suspected(later(**{key: within})) == set()
    assert suspected(later(**{key: beyond})) == {key}


@pytest.mark.parametrize(
    "key",
    [
        "cell_resistance_1",
        "cell_resistance_32",
        "charging_cycles",
        "event_log_entries",
        "brownout_time",
        "charge_pwm",
        "discharge_pwm",
    ],
)
def test_what_stays_the_same_is_doubted_at_once(key: str) -> None:
    assert suspected({**later(), key: 77}) == {key}


def test_an_unknown_value_stays_the_same_too() -> None:
    assert suspected({**later(), "reserved_130e": "0303"}) == {"reserved_130e"}


def test_cells_that_move_together_may_move_apart_by_a_share() -> None:
    load = dict.fromkeys(CELLS, 0.1) | {
        "total_voltage": 1.6,
        "coarse_voltage": 1.6,
        "bms_average_cell_voltage": 0.1,
    }
    assert suspected(later(**load)) == set()
    highest = load | {"bms_max_voltage_cell_index": 3, "bms_delta_cell_voltage": 0.005}
    assert suspected(later(**highest | {"cell_voltage_5": 0.1055})) == set()
    assert suspected(later(**highest | {"cell_voltage_5": 0.1065})) == {
        "cell_voltage_5"
    }
    # What was told of the cells has moved elsewhere.
    assert suspected(later(**load | {"total_voltage": 1.58})) >= {"total_voltage"}


def test_the_difference_that_is_told_goes_with_that_of_the_cells() -> None:
    load = dict.fromkeys(CELLS, 0.3) | {
        "total_voltage": 4.81,
        "coarse_voltage": 4.81,
        "bms_average_cell_voltage": 0.3,
        "cell_voltage_5": 0.31,
        "bms_max_voltage_cell_index": 3,
    }
    assert suspected(later(**load, bms_delta_cell_voltage=0.01)) == set()
    assert suspected(later(**load)) == {"bms_delta_cell_voltage"}


def test_another_number_of_cells_is_not_compared() -> None:
    fewer = {**later(), "cell_presence": 0x7FFF, "cell_voltage_16": None}
    assert suspected(fewer) == set()


@pytest.mark.parametrize(
    ("key", "other"),
    [("bms_max_voltage_cell_index", 4), ("bms_min_voltage_cell_index", 4)],
)
def test_the_cell_that_is_named_has_the_extreme(key: str, other: int) -> None:
    volts = {**VALUES, **dict.fromkeys(CELLS, 3.293)}
    right = {**volts, "cell_voltage_2": 3.299, "cell_voltage_1": 3.287}
    assert suspected(right, right, 0.0) == set()
    assert suspected({**right, key: other}, right, 0.0) == {key}
    # It may miss it by 4 mV, and there has to be such a cell.
    near = {**volts, "cell_voltage_2": 3.297, "cell_voltage_1": 3.289}
    assert suspected({**near, key: other}, near, 0.0) == set()
    assert suspected({**near, key: 20}, near, 0.0) == {key}


def test_power_is_voltage_times_current() -> None:
    loaded = {**VALUES, "current": 10.0, "bms_power": 526.95}
    assert suspected(loaded, loaded, 0.0) == set()
    assert suspected({**loaded, "bms_power": 626.95}, loaded, 0.0) == {"bms_power"}


def test_a_current_carries_what_it_can() -> None:
    loaded = {**VALUES, "current": 100.0, "bms_power": 5269.5}
    # 120 A for an hour: 20 A may have flown unseen.
    for key, reach in (
        ("capacity_remaining", 0.02 + 120 * 4 / 3600),
        ("total_charging_cycle_capacity", 0.02 + 120 * 4 / 3600),
    ):
        for new, old in ((loaded, {**loaded, "current": 0.0}), (loaded, loaded)):
            more = moved(new, **{key: reach - 0.001}, total_runtime=4, uptime=4)
            more["bms_clock"] = later()["bms_clock"]
            assert suspected(more, old) == set()
            too_much = moved(more, **{key: 0.002})
            assert suspected(too_much, old) == {key}


@pytest.mark.parametrize("key", ["full_charge_capacity", "capacity_remaining"])
def test_a_capacity_that_is_not_told_proves_no_charge(key: str) -> None:
    unknown = {**VALUES, key: None, "state_of_charge": 5}
    assert suspected(unknown, unknown, 0.0) == set()
    nothing = {**VALUES, "full_charge_capacity": 0.0, "state_of_charge": 5}
    assert suspected(nothing, nothing, 0.0) == set()


def test_cells_warm_up_with_time() -> None:
    key, minute = "temperature_sensor_1", 60.0
    clocks = {"total_runtime": minute, "uptime": minute}
    after = moved(VALUES, **clocks, bms_clock=timedelta(seconds=minute))
    assert suspected(moved(after, **{key: 0.48}), after=minute) == set()
    assert suspected(moved(after, **{key: 0.5}), after=minute) == {key}


def test_both_temperatures_of_the_mosfets_go_together() -> None:
    both = {"power_tube_temperature": 3.0, "mos_temperature_mirror": 3.0}
    assert suspected(later(**both)) == set()
    one = "mos_temperature_mirror"
    assert suspected(later(power_tube_temperature=3.0)) == {one}


def test_the_run_time_goes_on_like_the_clock_here() -> None:
    assert suspected(VALUES, after=5.0) == set()
    assert suspected(VALUES, after=5.2) == {"total_runtime"}
    # The others are compared with it.
    hour = {"total_runtime": 3600, "uptime": 3600}
    ahead = moved(VALUES, **hour, bms_clock=timedelta(hours=1))
    assert suspected(ahead, after=4.0) == {"total_runtime"}
    assert suspected(ahead, after=3600.0) == set()


@pytest.mark.parametrize("key", ["undervoltage_release", "emergency_time_left"])
def test_a_countdown_counts_down(key: str) -> None:
    before = {**VALUES, key: 30}
    assert suspected({**later(), key: 26}, before) == set()
    assert suspected({**later(), key: 30}, before) == set()
    assert suspected({**later(), key: 8}, before) == {key}
    assert suspected({**later(), key: 60}, before) == {key}
    # It ends at 0, not below.
    short = {**VALUES, key: 2}
    assert suspected({**later(), key: 0}, short) == set()


def test_a_heating_current_comes_and_goes_with_a_doubt() -> None:
    assert suspected(later(heating_current=0.05)) == {"heating_current"}
    warm = {**VALUES, "heating_current": 2.0}
    assert suspected({**later(), "heating_current": 2.09}, warm) == set()
    assert suspected({**later(), "heating_current": 2.11}, warm) == {"heating_current"}
    assert suspected({**later(), "heating_current": 0.0}, warm) == {"heating_current"}


def test_a_sense_voltage_follows_the_current() -> None:
    loaded = later(current=10.0, bms_power=526.95)
    for key in ("charge_sense_voltage", "discharge_sense_voltage"):
        assert suspected(moved(loaded, **{key: 0.103})) == set()
        assert suspected(moved(loaded, **{key: 0.1033})) == {key}


@pytest.mark.parametrize(
    ("state", "amperes", "doubted"),
    [
        (1, 2.0, True),
        (1, -2.0, True),
        (0, 2.0, True),
        (0, 0.0, False),
    ],
)
def test_a_balancing_current_and_its_state_change_together(
    state: int, amperes: float, doubted: bool
) -> None:
    new = {**later(), "balancing_state": state, "balancing_current": amperes}
    # What fits to itself and began is none; the same state cannot have another current.
    fits = state == (amperes > 0) + 2 * (amperes < 0)
    expected = {"balancing_state"} if doubted and not fits else set()
    assert suspected(new) == expected


def test_another_count_of_power_ons_is_another_start() -> None:
    old: dict[str, Value] = {"power_on_count": 7}
    doubts = suspicions(Block.DEVICE, {"power_on_count": 8}, old, 1.0)
    assert doubts == {"power_on_count"}
    assert suspicions(Block.DEVICE, old, old, 1.0) == set()
    assert suspicions(Block.SETTINGS, {"power_on_count": 8}, old, 1.0) == set()


@pytest.mark.parametrize("at", [5, 38, 69, 112, 143])
def test_what_nobody_reads_stays_the_same(at: int) -> None:
    """Behind 16 cells, their resistances, and where nothing is known to be."""
    other = DATA[:at] + bytes((DATA[at] ^ 1,)) + DATA[at + 1 :]
    (found,) = unread(other, DATA, VALUES)
    assert found.startswith("byte ")
    assert unread(DATA, DATA, VALUES) == set()


@pytest.mark.parametrize("at", [6, 37, 80, 111, 150])
def test_what_is_read_is_judged_as_what_it_says(at: int) -> None:
    other = DATA[:at] + bytes((DATA[at] ^ 1,)) + DATA[at + 1 :]
    assert unread(other, DATA, VALUES) == set()
