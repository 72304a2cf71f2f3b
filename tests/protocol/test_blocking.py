"""Why a current is off: each reason, and which of several is told."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.alarms import ALARMS
from custom_components.jkbms.protocol.blocking import (
    CHARGING_BLOCK,
    DISCHARGING_BLOCK,
    Block as CurrentBlock,
    Reason,
)
from custom_components.jkbms.protocol.datum import Block, Datum
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.state import BmsState

from ..captures import frames
from .helpers import frame_of, framed, pack

BOTH: Final = {
    "cell_count": "fault",
    "current_sensor": "fault",
    "internal_communication": "fault",
    "temperature_sensor": "fault",
    "parallel_module": "fault",
    "low_insulation": "fault",
    "hv_interlock": "fault",
    "system": "fault",
    "soft_start": "fault",
    "cell_failure": "fault",
    "contactor": "mos_fault",
    "short_circuit": "short_circuit",
    "short_circuit_release": "short_circuit",
    "mos_overtemperature": "mos_overtemperature",
    "battery_overtemperature": "overtemperature",
    "high_temperature": "overtemperature",
    "low_temperature": "undertemperature",
    "cell_difference": "other_protection",
    "temperature_difference": "other_protection",
    "general": "other_protection",
    "gps_remote_lock": "remote_lock",
}
CHARGING: Final = BOTH | {
    "cell_overvoltage": "overvoltage",
    "battery_overvoltage": "overvoltage",
    "charge_overcurrent": "overcurrent",
    "charge_short_circuit": "short_circuit",
    "charge_overtemperature": "overtemperature",
    "charge_undertemperature": "undertemperature",
    "charge_mos": "mos_fault",
}
DISCHARGING: Final = BOTH | {
    "cell_undervoltage": "undervoltage",
    "battery_undervoltage": "undervoltage",
    "discharge_overcurrent": "overcurrent",
    "discharge_overcurrent_2": "overcurrent",
    "discharge_overcurrent_3": "overcurrent",
    "discharge_short_circuit": "short_circuit",
    "discharge_overtemperature": "overtemperature",
    "discharge_undertemperature": "undertemperature",
    "discharge_mos": "mos_fault",
    "discharge_on_failed": "mos_fault",
    "low_soc": "empty",
}
BLOCKS: Final = (
    (CHARGING_BLOCK, "charging", CHARGING),
    (DISCHARGING_BLOCK, "discharging", DISCHARGING),
)


def reason(block: CurrentBlock, **values: Any) -> str | None:
    """Return why a current is off with only these values known."""

    def get[T](datum: Datum[T]) -> T | None:
        return values.get(datum.key)

    return block.reason(get)


@pytest.mark.parametrize(
    ("block", "output", "alarm", "expected"),
    [
        (block, output, alarm.key, meanings.get(alarm.key[6:], "unknown_reason"))
        for block, output, meanings in BLOCKS
        for alarm in ALARMS
    ],
)
def test_each_alarm_explains_what_it_stops_and_nothing_else(
    block: CurrentBlock, output: str, alarm: str, expected: str
) -> None:
    assert reason(block, **{output: False, alarm: True}) == expected
    assert reason(block, **{output: True, alarm: True}) == "none"
    assert reason(block, **{alarm: True}) is None


@pytest.mark.parametrize(
    ("block", "output", "timers"),
    [
        (
            CHARGING_BLOCK,
            "charging",
            ("charge_overcurrent", "charge_short", "overvoltage"),
        ),
        (
            DISCHARGING_BLOCK,
            "discharging",
            ("discharge_overcurrent", "discharge_short", "undervoltage"),
        ),
    ],
)
def test_a_release_time_that_runs_keeps_its_own_direction_off(
    block: CurrentBlock, output: str, timers: tuple[str, ...]
) -> None:
    (other,) = (b for b, _, _ in BLOCKS if b is not block)
    for timer in timers:
        running = {"charging": False, "discharging": False, f"{timer}_release": 3}
        assert reason(block, **running) == "waiting_release"
        assert reason(other, **running) == "unknown_reason"
        assert reason(block, **running | {f"{timer}_release": 0}) == "unknown_reason"
    running = {output: False, f"{timers[0]}_release": 3}
    assert reason(block, **running, alarm_cell_count=True) == "fault"


def test_a_switch_that_is_off_explains_everything() -> None:
    off = {"charging": False, "discharging": False, "alarm_cell_count": True}
    assert reason(CHARGING_BLOCK, **off, charging_switch=False) == "switched_off"
    assert reason(CHARGING_BLOCK, **off, charging_switch=True) == "fault"
    assert reason(CHARGING_BLOCK, **off, discharging_switch=False) == "fault"
    assert reason(DISCHARGING_BLOCK, **off, discharging_switch=False) == "switched_off"


def test_the_ends_of_the_state_of_charge_explain_one_direction_each() -> None:
    for soc, charging, discharging in (
        (100, "full", "unknown_reason"),
        (50, "unknown_reason", "unknown_reason"),
        (0, "unknown_reason", "empty"),
    ):
        off = {"charging": False, "discharging": False, "state_of_charge": soc}
        assert reason(CHARGING_BLOCK, **off) == charging
        assert reason(DISCHARGING_BLOCK, **off) == discharging


def test_a_pre_charge_comes_before_the_discharge() -> None:
    off = {"charging": False, "discharging": False, "precharging": True}
    assert reason(DISCHARGING_BLOCK, **off) == "precharging"
    assert reason(CHARGING_BLOCK, **off) == "unknown_reason"


def test_a_bank_allows_what_a_pack_switches() -> None:
    stopped = {"charge_enabled": False, "alarm_high_temperature": True}
    assert reason(CHARGING_BLOCK, **stopped) == "overtemperature"
    assert reason(CHARGING_BLOCK, charge_enabled=True) == "none"
    assert reason(DISCHARGING_BLOCK, discharge_enabled=False) == "unknown_reason"
    # The MOSFET of a pack is nearer to the truth than what a bank asks for.
    assert reason(CHARGING_BLOCK, charging=True, charge_enabled=False) == "none"


def test_only_what_can_be_said_is_an_option() -> None:
    assert set(CHARGING_BLOCK.options) == set(Reason) - {
        "undervoltage",
        "empty",
        "precharging",
    }
    assert set(DISCHARGING_BLOCK.options) == set(Reason) - {"overvoltage", "full"}


def test_every_value_that_matters_is_named() -> None:
    for block, _, meanings in BLOCKS:
        asked: set[str] = set()
        known: dict[str, Any] = {"charging": False, "discharging": False}

        def get[T](
            datum: Datum[T], asked: set[str] = asked, known: dict[str, Any] = known
        ) -> T | None:
            asked.add(datum.key)
            return known.get(datum.key)

        block.reason(get)
        assert asked <= {datum.key for datum in block.told_by}
        assert {f"alarm_{key}" for key in meanings} <= asked


@pytest.mark.parametrize(
    ("raw", "charging", "discharging"),
    [
        ({}, "none", "none"),
        ({"charge_mos": 0, "charge_switch": 0}, "switched_off", "none"),
        ({"charge_mos": 0, "alarms": 1 << 4}, "overvoltage", "none"),
        ({"discharge_mos": 0, "alarms": 1 << 11}, "none", "undervoltage"),
        ({"discharge_mos": 0, "cell_uvp_left": 9}, "none", "waiting_release"),
    ],
)
def test_a_pack_says_why(raw: dict[str, int], charging: str, discharging: str) -> None:
    state = BmsState()
    for block in (Block.LIVE, Block.SETTINGS):
        assert state.take_frame(frame_of(pack(**raw), block), block, 1.0)
    assert CHARGING_BLOCK.reason(state.get) == charging
    assert DISCHARGING_BLOCK.reason(state.get) == discharging


def test_captured_packs_say_why() -> None:
    """What was recorded: one that is too cold, one full, one with cells missing."""
    told = set()
    for capture in frames():
        for frame in framed(capture.data):
            if not isinstance(frame, Frame) or frame.type != Block.LIVE.frame_type:
                continue
            state = BmsState()
            if state.take_frame(frame, Block.LIVE, 1.0):
                reasons = (block.reason(state.get) for block, _, _ in BLOCKS)
                told.add(tuple(reasons))
    assert told == {
        ("none", "none"),
        ("undertemperature", "none"),
        ("overvoltage", "none"),
        ("none", "unknown_reason"),
        ("fault", "fault"),
    }
