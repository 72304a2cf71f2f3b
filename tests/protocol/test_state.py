"""What is believed of a BMS, what follows from it, and what it has."""

from datetime import date
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.alarms import (
    ALARMS,
    BY_KEY as ALARM_BY_KEY,
    LEVELS,
    NOTICE_MASK,
    PROBLEM_MASK,
    WORD,
    Severity,
    active,
    severity_at,
)
from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.derived import DERIVED, derive
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import (
    BY_KEY,
    CHARGE_STATUS,
    CURRENT,
    HEATER,
    SOFTWARE_VERSION,
    TOTAL_VOLTAGE,
)
from custom_components.jkbms.protocol.frames import Frame, build_frame
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.plausibility import Implausible, implausible
from custom_components.jkbms.protocol.state import BmsState, Identity, Update

from ..captures import frames
from .helpers import frame_of, pack

CAPTURES: Final = {capture.id: capture for capture in frames()}


def take(state: BmsState, block: Block, kind: int = 0, **raw: Any) -> Update | None:
    return state.take_frame(frame_of(pack(kind, **raw), block), block, 1.0)


def live(**raw: Any) -> BmsState:
    state = BmsState()
    assert take(state, Block.LIVE, **raw)
    return state


def rejected(block: Block = Block.LIVE, **raw: Any) -> Implausible | None:
    state = BmsState()
    update = take(state, block, **raw)
    if update is not None:
        return None
    assert state.values == {}
    assert state.seen == {}
    (reason,) = state.rejected
    return reason


# -- plausibility -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, None),
        ({"soc": 100}, None),
        ({"soc": 101}, Implausible.STATE_OF_CHARGE),
        ({"soh": 101}, Implausible.STATE_OF_CHARGE),
        ({"cell_voltage_3": 5001}, Implausible.CELL_VOLTAGE),
        ({"cell_voltage_3": 0xFFFF}, Implausible.PACK_VOLTAGE),
        ({"cell_voltage_3": 0}, None),
        ({"pack_voltage": 40_000}, Implausible.PACK_VOLTAGE),
        ({"pack_voltage": 0}, Implausible.PACK_VOLTAGE),
        ({"current": 2_000_001}, Implausible.CURRENT),
        ({"current": -2_000_001}, Implausible.CURRENT),
        ({"current": -300_000}, None),
        ({"mos_temperature": 1600}, Implausible.TEMPERATURE),
        ({"mos_temperature": -700}, Implausible.TEMPERATURE),
        ({"mos_temperature": -2000}, None),
    ],
)
def test_a_live_frame_is_believed_only_as_a_whole(
    raw: dict[str, Any], reason: Implausible | None
) -> None:
    assert rejected(**raw) is reason


def test_a_little_difference_between_cells_and_pack_is_a_load_step() -> None:
    volts = pack().number_of("pack_voltage")
    assert rejected(pack_voltage=volts + 900) is None
    assert rejected(pack_voltage=volts + 1400) is Implausible.PACK_VOLTAGE


def test_a_live_frame_without_cells_has_no_voltage_to_believe() -> None:
    assert implausible(Block.LIVE, {}) is Implausible.CELL_VOLTAGE
    assert implausible(Block.LIVE, {"cell_presence": 1, "cell_voltage_1": 3.3}) is (
        Implausible.PACK_VOLTAGE
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({}, None),
        ({"cell_count": 1}, None),
        ({"cell_count": 32}, None),
        ({"cell_count": 0}, Implausible.SETTINGS),
        ({"cell_count": 33}, Implausible.SETTINGS),
        ({"cell_ovp": 5001}, Implausible.SETTINGS),
        ({"cell_ovp": 0}, None),
    ],
)
def test_settings_are_believed_only_within_reason(
    raw: dict[str, Any], reason: Implausible | None
) -> None:
    assert rejected(Block.SETTINGS, **raw) is reason
    assert implausible(Block.SETTINGS, {}) is Implausible.SETTINGS


def test_device_info_without_a_model_is_none() -> None:
    assert rejected(Block.DEVICE) is None
    assert rejected(Block.DEVICE, model=bytes(15)) is Implausible.MODEL


def test_reasons_keep_their_names() -> None:
    """Diagnostics count by them."""
    assert [str(reason) for reason in Implausible] == [
        "layout",
        "state_of_charge",
        "cell_voltage",
        "pack_voltage",
        "current",
        "temperature",
        "counter_fell",
        "settings",
        "model",
        "unconfirmed",
    ]


# -- the state ----------------------------------------------------------------------


def test_an_update_names_what_has_changed() -> None:
    state = BmsState()
    first = take(state, Block.LIVE)
    assert first is not None
    assert first.block is Block.LIVE
    assert {"total_voltage", "power", "errors"} <= first.changed
    second = take(state, Block.LIVE)
    assert second is not None
    assert second.changed == frozenset()
    assert take(state, Block.LIVE, soc=12) is None
    third = take(state, Block.LIVE, soc=12)
    assert third is not None
    assert third.changed == {"state_of_charge"}
    assert state.get(BY_KEY["state_of_charge"]) == 12


def test_a_frame_that_is_not_believed_changes_nothing() -> None:
    state = live(soc=50)
    before = dict(state.values)
    assert take(state, Block.LIVE, soc=101) is None
    assert state.values == before
    assert state.rejected == {Implausible.STATE_OF_CHARGE: 1}


def test_a_counter_that_fell_is_believed_when_it_stays() -> None:
    """Once is damage; three times is another board, or erased data."""
    state = live(run_time=1000)
    assert take(state, Block.LIVE, run_time=900) is None
    assert take(state, Block.LIVE, run_time=901) is None
    assert take(state, Block.LIVE, run_time=902) is not None
    assert state.rejected == {Implausible.COUNTER_FELL: 2}
    assert state.values["total_runtime"] == 902
    assert take(state, Block.LIVE, run_time=1) is None


def test_a_counter_that_rises_again_was_damaged_once() -> None:
    state = live(run_time=1000)
    for _ in range(5):
        assert take(state, Block.LIVE, run_time=900) is None
        assert take(state, Block.LIVE, run_time=1000) is not None


@pytest.mark.parametrize("counter", ["cycles", "cycled_capacity", "run_time"])
def test_each_counter_only_rises(counter: str) -> None:
    state = live(**{counter: 50})
    assert take(state, Block.LIVE, **{counter: 49}) is None
    assert take(state, Block.LIVE, **{counter: 51}) is not None


def test_a_fallen_counter_needs_the_same_series_three_times() -> None:
    state = live(run_time=1000)
    assert take(state, Block.LIVE, run_time=900) is None
    assert take(state, Block.LIVE, run_time=500) is None
    assert take(state, Block.LIVE, run_time=100) is None
    assert take(state, Block.LIVE, run_time=100) is None
    assert take(state, Block.LIVE, run_time=100)


def test_the_firmware_learnt_later_gives_ambiguous_settings_their_meaning() -> None:
    state = BmsState()
    raw: dict[str, Any] = {"heating_start": 3, "heating_stop": 8}
    assert take(state, Block.SETTINGS, **raw)
    assert state.identity.software_version is None
    heating, alarm = (
        BY_KEY["heating_start_temperature"],
        BY_KEY["battery_overtemp_alarm"],
    )
    assert (state.get(heating), state.get(alarm)) == (None, None)
    update = take(state, Block.DEVICE)
    assert update is not None
    assert state.firmware == Firmware(15, 41)
    assert (state.get(heating), state.get(alarm)) == (3, None)
    assert {heating.key, "heating_stop_temperature", "model"} <= update.changed


def test_the_same_place_is_another_setting_on_older_firmware() -> None:
    state = BmsState()
    assert take(state, Block.SETTINGS, heating_start=60, heating_stop=50)
    assert take(state, Block.LIVE)
    assert take(state, Block.DEVICE, software_version=b"14.20\0\0\0")
    assert state.values["battery_overtemp_alarm"] == 60
    assert state.values["heating_start_temperature"] is None
    assert state.values["discharge_utp"] is None
    assert state.get(CHARGE_STATUS) is None
    # Read once more, nothing has to be decoded again.
    update = take(state, Block.DEVICE, software_version=b"14.20\0\0\0")
    assert update is not None
    assert update.changed == frozenset()


def test_firmware_that_is_updated_changes_what_the_settings_mean() -> None:
    state = BmsState()
    for block in Block:
        assert take(state, block)
    assert state.values["discharge_utp"] is None
    assert take(state, Block.DEVICE, software_version=b"19.27\0\0\0") is None
    update = take(state, Block.DEVICE, software_version=b"19.27\0\0\0")
    assert update is not None
    assert update.changed == {
        "software_version",
        "discharge_utp",
        "discharge_utp_recovery",
    }


def test_a_state_knows_who_it_is() -> None:
    state = BmsState()
    assert state.identity == Identity(None, None, None, None)
    of = pack()
    take(state, Block.DEVICE)
    assert state.identity == Identity(of.model, of.serial, "15A", "15.41")


def test_a_state_keeps_the_frames_it_believed() -> None:
    state = live()
    assert state.frames == {Block.LIVE: frame_of(pack(), Block.LIVE).data}
    assert state.seen == {Block.LIVE: 1.0}
    assert state.layout is Layout.JK02_32S
    assert state.cell_numbers == tuple(range(1, 17))


def test_older_boards_are_read_in_their_own_layout() -> None:
    state = BmsState()
    for name, block in (
        ("syssi-24s-v10-cell", Block.LIVE),
        ("syssi-24s-v10-dev", Block.DEVICE),
        ("syssi-faker-24s-settings", Block.SETTINGS),
    ):
        assert state.take_frame(Frame(CAPTURES[name].data), block, 1.0)
    assert state.layout is Layout.JK02_24S
    assert state.cell_numbers == tuple(range(1, 25))
    assert state.get(TOTAL_VOLTAGE) == 78.735
    assert state.values["cell_count"] == 24
    assert state.firmware == Firmware(10, 7)
    assert "temperature_sensor_4" not in state.values
    assert "device_address" not in state.values
    assert state.features is not None
    assert state.features.probes == ("temperature_sensor_1", "temperature_sensor_2")


def test_what_cannot_be_read_is_rejected() -> None:
    state = BmsState()
    jk04 = Frame(CAPTURES["syssi-jk04-cell"].data)
    assert state.take_frame(jk04, Block.LIVE, 1.0) is None
    blank = Frame(build_frame(2, bytes(293)))
    assert state.take_frame(blank, Block.LIVE, 1.0) is None
    assert state.rejected == {Implausible.LAYOUT: 2}


def test_a_broken_sense_wire_does_not_change_the_layout() -> None:
    """The mask and the cells disagree then; the footer still tells a 32-cell board."""
    state = BmsState()
    assert take(state, Block.LIVE, cell_voltage_5=0)
    assert state.layout is Layout.JK02_32S
    assert state.values["cell_voltage_5"] == 0
    assert state.values["min_voltage_cell"] == 5
    assert take(BmsState(), Block.LIVE, average_cell_voltage=1000)


def test_a_bms_that_misses_a_cell_and_says_so_is_believed() -> None:
    """The sum of the cells means nothing then, but the alarm is what matters."""
    assert rejected(cell_presence=0x7FFF) is Implausible.PACK_VOLTAGE
    for alarm in (
        "Balance lead resistance too high",
        "Cell count does not match setting",
    ):
        (bit,) = (n for n, a in enumerate(WORD) if a.name == alarm)
        state = live(cell_presence=0x7FFF, alarms=1 << bit)
        assert state.values["errors"] == alarm
        assert state.values["cell_voltage_16"] is None


# -- derived values -----------------------------------------------------------------


def test_power_has_the_sign_of_the_current() -> None:
    state = live(current=-10_000)
    volts = state.get(TOTAL_VOLTAGE)
    assert volts is not None
    assert state.values["power"] == pytest.approx(-10 * volts)
    assert state.values["charging_power"] == 0
    assert state.values["discharging_power"] == pytest.approx(10 * volts)
    charging = live(current=5_000)
    assert charging.values["charging_power"] == pytest.approx(5 * volts)
    assert str(live(current=0).values["discharging_power"]) == "0.0"


def test_cell_extremes_come_from_the_cells_that_are_there() -> None:
    state = live(
        cell_voltage_4=3333, cell_voltage_9=3200, highest_cell=0, lowest_cell=0
    )
    assert state.values["max_cell_voltage"] == 3.333
    assert state.values["max_voltage_cell"] == 4
    assert state.values["min_cell_voltage"] == 3.2
    assert state.values["min_voltage_cell"] == 9
    assert state.values["delta_cell_voltage"] == 0.133


@pytest.mark.parametrize(
    ("raw", "balancing", "direction"),
    [
        (0, False, "off"),
        (1, True, "charging"),
        (2, True, "discharging"),
        (3, True, None),
    ],
)
def test_the_balancer_has_a_direction(
    raw: int, balancing: bool, direction: str | None
) -> None:
    state = live(balancer_state=raw)
    assert state.values["balancing"] is balancing
    assert state.values["balancing_direction"] == direction


def test_without_a_block_every_derived_value_is_unknown() -> None:
    assert set(derive({}).values()) == {None}
    assert derive({}).keys() == {derived.key for derived in DERIVED}


def test_alarms_are_named_lowest_bit_first_and_cut_to_five() -> None:
    assert live(alarms=0).values["errors"] == "OK"
    state = live(alarms=1 << 4 | 1 << 11)
    assert state.values["errors"] == (
        "Cell over-voltage protection, Cell under-voltage protection"
    )
    assert state.values["problem"] is True
    everything = live(alarms=0xFFFF_FFFF).values["errors"]
    assert isinstance(everything, str)
    assert everything.endswith(", 21 more")
    assert len(everything) < 255


def test_what_healthy_packs_report_is_a_notice_and_no_problem() -> None:
    state = live(alarms=1 << 19)
    assert state.values["errors"] == "OK"
    assert state.values["problem"] is False
    assert state.values["notice"] is True
    warning = live(alarms=1 << 21)
    assert (warning.values["problem"], warning.values["notice"]) == (False, False)


def test_wire_alarms_name_their_cells() -> None:
    assert live(wire_alarms=0).values["wire_alarm_cells"] == "OK"
    assert live(wire_alarms=0b1001_0000).values["wire_alarm_cells"] == "5, 8"


def test_every_alarm_bit_has_its_own_key_and_severity() -> None:
    assert [alarm.bit for alarm in WORD] == list(range(29))
    assert len({alarm.key for alarm in ALARMS}) == len(ALARMS)
    assert {alarm.bit for alarm in ALARMS if alarm not in WORD} == {None}
    assert PROBLEM_MASK & NOTICE_MASK == 0
    rest = {n for n in range(29) if not (PROBLEM_MASK | NOTICE_MASK) >> n & 1}
    assert rest == {a.bit for a in WORD if a.severity is Severity.WARNING} == {21}
    assert [alarm.bit for alarm in active(0xE000_0005)] == [0, 2]


@pytest.mark.parametrize("bit", range(29))
def test_each_bit_is_an_alarm_of_its_own(bit: int) -> None:
    values = live(alarms=1 << bit).values
    told = {alarm.bit: values[alarm.key] for alarm in WORD}
    assert told == {n: n == bit for n in range(29)}


@pytest.mark.parametrize(
    ("key", "severities"),
    [
        ("cell_overvoltage", ("protection",) * 4),
        ("internal_communication", ("fault",) * 4),
        ("battery_overtemperature", ("warning", "protection", "protection", "warning")),
        ("low_soc", ("protection", "protection", "protection", "warning")),
        ("hv_interlock", ("fault", "fault", "fault", "warning")),
    ],
)
def test_how_bad_an_alarm_is_depends_on_its_level_unless_it_is_in_the_word(
    key: str, severities: tuple[str, ...]
) -> None:
    alarm = ALARM_BY_KEY[f"alarm_{key}"]
    assert tuple(severity_at(alarm, level) for level in LEVELS) == severities
    assert severity_at(alarm, None) == severities[0]


# -- features -----------------------------------------------------------------------


def features(kind: int = 0, **raw: Any) -> Features:
    state = BmsState()
    for block in Block:
        assert take(state, block, kind, **raw)
    assert state.features is not None
    return state.features


def test_features_need_every_block() -> None:
    state = live()
    assert state.features is None
    take(state, Block.DEVICE)
    assert state.features is None
    take(state, Block.SETTINGS)
    assert state.features is not None


def test_features_can_be_told_from_fewer_blocks() -> None:
    heard = frozenset({Block.LIVE, Block.SETTINGS})
    state = live()
    assert state.features_from(heard) is None
    take(state, Block.SETTINGS)
    told = state.features_from(heard)
    assert told is not None
    assert told.cells == tuple(range(1, 17))
    assert told.firmware is None


def test_a_firmware_is_assumed_until_another_is_read() -> None:
    state = BmsState()
    state.assume(None)
    assert SOFTWARE_VERSION.key not in state.values
    state.assume("14.20")
    assert state.firmware == Firmware(14, 20)
    take(state, Block.DEVICE)
    read = state.firmware
    assert read == Firmware(15, 41)
    state.assume("14.20")
    assert state.firmware == read


def test_a_bms_has_the_cells_and_probes_that_are_connected() -> None:
    found = features(temperature_2=-2000)
    assert found.cells == tuple(range(1, 17))
    assert found.probes == (
        "temperature_sensor_1",
        "temperature_sensor_4",
        "temperature_sensor_5",
    )
    assert found.has(BY_KEY["cell_voltage_16"])
    assert not found.has(BY_KEY["cell_voltage_17"])
    assert not found.has(BY_KEY["connection_resistance_17"])
    assert found.has(BY_KEY["temperature_sensor_1"])
    assert not found.has(BY_KEY["temperature_sensor_2"])
    assert found.has(CURRENT)


def test_a_bms_has_what_its_firmware_knows() -> None:
    found = features()
    assert found.firmware == Firmware(15, 41)
    assert found.has(BY_KEY["heating_start_temperature"])
    assert not found.has(BY_KEY["battery_overtemp_alarm"])
    assert not found.has(BY_KEY["discharge_utp"])


@pytest.mark.parametrize(
    ("raw", "heater"),
    [
        ({}, False),
        ({"heater": 1}, True),
        ({"heater_current": 500}, True),
        ({"function_word": 0x3201}, True),
        ({"hardware_options": b"CEHMPRT\0\0\0\0\0"}, True),
        ({"hardware_options": b"CEMPRT\0\0\0\0\0\0"}, False),
    ],
)
def test_anything_may_tell_of_a_heater(raw: dict[str, Any], heater: bool) -> None:
    found = features(**raw)
    assert found.heater is heater
    assert found.has(HEATER)
    assert found.uses(HEATER) is heater


def test_what_is_disabled_is_not_used_unless_somebody_objects() -> None:
    found = features()
    assert found.uses(TOTAL_VOLTAGE)
    assert not found.uses(BY_KEY["cell_resistance_1"])


def test_features_survive_being_stored() -> None:
    for found in (
        features(),
        Features(cells=(), probes=(), heater=False, firmware=None),
    ):
        assert Features.load(found.dump()) == found


def test_a_probe_or_cell_that_fails_is_still_a_feature() -> None:
    old, new = (
        features(),
        features(temperature_1=-2000, cell_presence=0x7FFF, alarms=1 << 2),
    )
    both = new.merged(old)
    assert both.cells == tuple(range(1, 17))
    assert "temperature_sensor_1" in both.probes
    unknown = Features(cells=(), probes=(), heater=True, firmware=None)
    assert old.merged(unknown).firmware == old.firmware
    assert unknown.merged(old).firmware == old.firmware
    assert old.merged(unknown).heater


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("15.41", Firmware(15, 41)),
        ("11.288H", Firmware(11, 288)),
        ("8.0.3M", Firmware(8, 0)),
        ("V19", None),
        ("15", None),
        ("15.", None),
        ("15.x4", None),
        ("x.41", None),
        (".41", None),
        ("", None),
        (None, None),
    ],
)
def test_a_firmware_version_is_read_from_its_text(
    text: str | None, version: Firmware | None
) -> None:
    assert Firmware.parse(text) == version


def test_firmware_versions_have_an_order_and_a_text() -> None:
    assert Firmware(14, 20) < Firmware(15, 3) < Firmware(15, 41) < Firmware(19, 5)
    assert str(Firmware(19, 5)) == "19.05"
    assert SOFTWARE_VERSION.applies_to(None)


def test_a_manufacturing_date_is_a_date() -> None:
    state = BmsState()
    take(state, Block.DEVICE, first_on_date=b"241217\0\0")
    values: dict[str, Any] = state.values
    assert values["manufacturing_date"] == date(2024, 12, 17)
