"""What an answer of `4E 57` means: recorded ones against what their publishers say."""

from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.alarms import ALARMS
from custom_components.jkbms.protocol.datum import Role
from custom_components.jkbms.protocol.derived import DERIVED, cells
from custom_components.jkbms.protocol.fields import CAN, FIELDS, TTL
from custom_components.jkbms.protocol.ttl.decode import current, decode
from custom_components.jkbms.protocol.ttl.table import ITEMS, PRIVATE, SECRETS, TELLS
from custom_components.jkbms.protocol.ttl.words import ALARM_KEYS, of_status
from tests.captures import Capture, ttl_answers

from .answers import E1, E2, E3, E5, changed, content, decoded, message, places, values

STATED = {
    "total_voltage_v": "total_voltage",
    "current_a": "current",
    "temp_mos_c": "power_tube_temperature",
    "temp_1_c": "temperature_sensor_1",
    "temp_2_c": "temperature_sensor_2",
    "soc_pct": "state_of_charge",
    "cycles": "charging_cycles",
    "cycle_capacity_ah": "total_charging_cycle_capacity",
    "capacity_setting_ah": "total_battery_capacity_setting",
    "alarm_bitmask": "ttl_alarm_word",
    "mode_bitmask": "ttl_status_word",
    "cell_count": "ttl_cell_count",
    "cell_setting": "cell_count",
    "protocol_version": "ttl_protocol_version",
}
ANSWERS = [c for c in ttl_answers() if c.checksum_ok and c.id != "ttl-req-readall"]


@pytest.mark.parametrize("capture", ANSWERS, ids=lambda capture: capture.id)
def test_a_recorded_answer_says_what_its_source_states(capture: Capture) -> None:
    said = decoded(message(capture.data).content)
    assert said.unknown < 0
    found: dict[str, Any] = said.values
    stated = dict(capture.expected)
    volts = list(cells(found).values())
    assert volts == stated.pop("cell_voltages_v", volts)
    for name, key in STATED.items():
        if name in stated:
            assert found[key] == stated.pop(name), name
    if (version := stated.pop("sw_version", None)) is not None:
        assert f"S{found['software_version']}" in version
        assert version.removeprefix("H").startswith(found["hardware_version"])
    if (minutes := stated.pop("runtime_min", None)) is not None:
        assert found["total_runtime"] == 60 * minutes
    if (maker := stated.pop("manufacturer", None)) is not None:
        assert found["ttl_manufacturer_id"] == maker
    if (kind := stated.pop("battery_type", None)) is not None:
        assert found["battery_type"] == ("lfp", "li_ion", "lto")[kind]
    if stated.pop("chemistry", None):
        assert found["battery_type"] == "li_ion"
    for derived in ("cell_delta_v_computed", "power_w_computed", "bytes_received"):
        stated.pop(derived, None)
    for name in ("cell_min_v", "cell_min_no", "cell_max_v", "cell_max_no"):
        stated.pop(name, None)
    assert stated == {}


def test_every_value_of_an_idle_pack_is_told() -> None:
    said = values(content(E1))
    assert (
        said
        | {
            "power_tube_temperature": 22,
            "temperature_sensor_1": 21,
            "temperature_sensor_2": 22,
            "total_voltage": 52.28,
            "current": 0.0,
            "state_of_charge": 60,
            "charging_cycles": 0,
            "charging": True,
            "discharging": True,
            "balancing": False,
            "battery_ovp": 55.2,
            "battery_uvp": 48.0,
            "cell_ovp": 3.45,
            "cell_ovpr": 3.4,
            "cell_ovp_delay": 5,
            "cell_uvp": 3.0,
            "cell_uvpr": 3.05,
            "cell_uvp_delay": 5,
            "cell_difference_protection": 0.3,
            "max_discharge_current": 80,
            "discharge_ocp_delay": 30,
            "max_charge_current": 50,
            "charge_ocp_delay": 30,
            "balance_starting_voltage": 3.2,
            "balance_trigger_voltage": 0.01,
            "balancer": True,
            "mos_otp": 80,
            "mos_otp_recovery": 70,
            "box_otp": 100,
            "box_otp_recovery": 100,
            "temperature_difference_protection": 20,
            "charge_otp": 60,
            "discharge_otp": 70,
            "charge_utp": 5,
            "charge_utp_recovery": 10,
            "discharge_utp": -20,
            "discharge_utp_recovery": -10,
            "cell_count": 16,
            "total_battery_capacity_setting": 110,
            "charging_switch": True,
            "discharging_switch": True,
            "device_address": 1,
            "battery_type": "lfp",
            "sleep_wait_time": 10,
            "low_soc_threshold": 20,
            "special_charger": False,
            "manufacturing_month": "2023-07",
            "total_runtime": 3717 * 60,
            "software_version": "11.26",
            "hardware_version": "11.XW",
            "model": "JK_B2A20S20P",
            "actual_battery_capacity": 110,
            "errors": "OK",
            "problem": False,
        }
        == said
    )
    assert str(said["current"]) == "0.0"
    assert [round(1000 * v) for v in cells(said).values()] == [
        3270, 3262, 3271, 3271, 3271, 3269, 3270, 3271, 3266, 3266, 3266, 3266,
        *[3265] * 4,
    ]  # fmt: skip


def test_a_charging_pack_of_firmware_6_has_no_capacity_of_its_own() -> None:
    said = values(content(E2))
    assert said["current"] == 2.08
    assert said["actual_battery_capacity"] is None
    assert said["model"] is None
    assert (said["hardware_version"], said["software_version"]) == ("6.X", "6.1.3S")
    assert said["balancing"] is True


def test_an_answer_to_the_other_reading_command_says_the_same() -> None:
    assert message(E3).command == 3
    said = values(content(E3))
    assert said["current"] == 4.53
    assert (said["charge_utp"], said["charge_utp_recovery"]) == (1, 3)
    assert said["total_runtime"] == 99_043 * 60


def test_switches_and_what_flows_are_different_things() -> None:
    said = values(content(E5))
    assert (said["charging_switch"], said["discharging_switch"]) == (False, False)
    assert (said["charging"], said["discharging"]) == (False, False)
    assert said["balancing"] is True
    assert said["model"] == "JK-B2A24S15P"


@pytest.mark.parametrize(
    ("version", "raw", "amperes"),
    [
        ("01", "07D0", -20.0),
        ("01", "87D0", 20.0),
        ("01", "0045", -0.69),
        ("01", "824A", 5.86),
        ("01", "80D0", 2.08),
        ("01", "7FFF", -327.67),
        ("01", "8000", 0.0),
        ("01", "FFFF", 327.67),
        ("00", "0000", 100.0),
        ("00", "2AF8", -10.0),
        ("00", "251C", 5.0),
        ("", "2710", 0.0),
        ("02", "2710", None),
    ],
)
def test_the_current_has_the_format_of_the_version(
    version: str, raw: str, amperes: float | None
) -> None:
    said = decoded(changed(content(), {0x84: raw, 0xC0: version}))
    assert said.values["current"] == amperes


@given(st.integers(0, 0xFFFF), st.sampled_from([None, 0, 1]))
def test_a_current_has_one_meaning(raw: int, version: int | None) -> None:
    amperes = current(raw, version)
    assert amperes is not None
    again = 10_000 - 100 * amperes if version != 1 else 100 * abs(amperes)
    assert round(again) == (raw & 0x7FFF if version == 1 else raw)


@pytest.mark.parametrize(
    ("raw", "degrees"),
    [
        ("0000", 0),
        ("0063", 99),
        ("0064", 100),
        ("0065", -1),
        ("008C", -40),
        ("00A0", -60),
        ("00A1", None),
        ("FFFF", None),
    ],
)
def test_temperatures_above_100_count_downwards(raw: str, degrees: int | None) -> None:
    assert values(changed(content(), {0x80: raw}))["power_tube_temperature"] == degrees


ALARM_OF_BIT = [
    "alarm_low_soc",
    "alarm_mos_overtemperature",
    "alarm_battery_overvoltage",
    "alarm_battery_undervoltage",
    "alarm_battery_overtemperature",
    "alarm_charge_overcurrent",
    "alarm_discharge_overcurrent",
    "alarm_cell_difference",
    "alarm_box_overtemperature",
    "alarm_charge_undertemperature",
    "alarm_cell_overvoltage",
    "alarm_cell_undervoltage",
    "alarm_protection_309_a",
    "alarm_protection_309_b",
]


@pytest.mark.parametrize(("bit", "key"), list(enumerate(ALARM_OF_BIT)))
def test_each_bit_is_one_alarm(bit: int, key: str) -> None:
    said = values(changed(content(), {0x8B: f"{1 << bit:04x}"}))
    assert [k for k in ALARM_KEYS if said[k]] == [key]
    # Low capacity is a warning; everything else has cut the current.
    assert said["problem"] is (key != "alarm_low_soc")
    (name,) = (alarm.name for alarm in ALARMS if alarm.key == key)
    assert said["errors"] == name
    low, hot = said["alarm_level_low_soc"], said["alarm_level_high_temperature"]
    assert low == ("general" if bit == 0 else "none")
    assert hot == ("serious" if bit == 4 else "none")


@pytest.mark.parametrize("bit", range(16))
def test_each_bit_of_the_status_has_its_meaning(bit: int) -> None:
    """ttl4e57.md 5.4."""
    on = [key for key, value in of_status(1 << bit).items() if value]
    assert on == ["charging", "discharging", "balancing"][bit : bit + 1]


def test_reserved_bits_are_no_alarm() -> None:
    said = values(changed(content(), {0x8B: "C000", 0x8C: "FFF8"}))
    assert (said["errors"], said["problem"]) == ("OK", False)
    assert (said["charging"], said["discharging"]) == (False, False)
    assert said["balancing"] is False


def test_an_under_voltage_is_told_by_both_words() -> None:
    said = values(changed(content(), {0x8B: "0008", 0x8C: "0001", 0x85: "00"}))
    assert said["alarm_battery_undervoltage"] is True
    assert said["discharging"] is False
    assert said["state_of_charge"] == 0


# -- the walk -------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0xC7, 0x00, 0x79])
def test_an_unknown_id_ends_the_walk_and_is_told(code: int) -> None:
    whole = content(E1)
    at = places(whole)[0x97]
    said = decoded(whole[:at] + bytes([code]) + b"\x01\x02\x03" + whole[at:])
    assert said.unknown == code
    assert said.values["cell_difference_protection"] == 0.3
    assert "max_discharge_current" not in said.values
    # The version of the protocol comes last: without it nobody knows the format.
    assert said.values["current"] is None


def test_an_unknown_id_behind_the_version_costs_nothing() -> None:
    said = decoded(content(E1) + b"\xc1\x00\x01")
    assert said.unknown == 0xC1
    assert said.values["current"] == 0.0


def test_an_id_that_comes_twice_ends_the_walk() -> None:
    said = decoded(content(E1) + b"\x85\x63")
    assert said.unknown == 0x85
    assert said.values["state_of_charge"] == 60


def test_ids_that_are_only_written_do_not_end_it() -> None:
    whole = content(E1)
    at = places(whole)[0xC0]
    said = decoded(whole[:at] + b"\xbb\0\xbc\0\xbd\0\xbe\0\0\xbf\0\0" + whole[at:])
    assert said.unknown < 0
    assert said.values == values(whole)


def test_a_short_answer_has_what_it_has() -> None:
    whole = content(E1)
    said = decoded(whole[: places(whole)[0x80]])
    assert cells(said.values)[1] == 3.27
    assert "current" not in said.values
    assert "alarm_bitmask" not in said.values
    said = decoded(whole[: places(whole)[0x86]])
    assert said.values["state_of_charge"] == 60


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x79",
        b"\x79\x00",
        b"\x80\x00\x16",
        b"\x79\x04\x01\x0c\xc6\x02",
        b"\x79\x06\x01\x0c\xc6",
        b"\x79\x06\x01\x0c\xc6\x03\x0c\xc6",
        b"\x79\x63" + b"".join(bytes((n, 12, 1)) for n in range(1, 34)),
        content(E1)[:-1],
        content(E1)[:100],
    ],
)
def test_what_is_no_answer_says_nothing(broken: bytes) -> None:
    assert decode(broken) is None


@given(st.binary(max_size=400))
def test_anything_is_an_answer_or_none(data: bytes) -> None:
    decode(data)
    decode(b"\x79\x03\x01\x0c\xc6" + data)


@given(st.data())
def test_a_damaged_content_never_raises(data: st.DataObject) -> None:
    broken = bytearray(content(E1))
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(
            st.integers(0, 255)
        )
    decode(bytes(broken))


def test_ids_elsewhere_are_another_shape() -> None:
    # Same length, same cells: what lies where another id was is not taken for it.
    whole = content(E1)
    at, end = places(whole)[0x80], places(whole)[0x82]
    swapped = whole[:at] + whole[end - 3 : end] + whole[at : end - 3] + whole[end:]
    for _ in range(2):
        assert values(whole)["power_tube_temperature"] == 22
        assert values(swapped)["power_tube_temperature"] == 22
        assert values(swapped)["temperature_sensor_1"] == 21


def test_another_unknown_id_at_the_same_place_is_told_as_such() -> None:
    for code in (0xD0, 0xD1, 0xD0):
        assert decoded(content(E1) + bytes([code, 1])).unknown == code


def test_cells_have_their_numbers_in_each_answer() -> None:
    wrong = bytearray(content(E1))
    wrong[5] = 3
    assert decode(content(E1)) is not None
    assert decode(bytes(wrong)) is None


def test_a_pack_has_32_cells_at_most() -> None:
    for count in (1, 32):
        told = b"".join(bytes((n, 12, n)) for n in range(1, count + 1))
        said = values(b"\x79" + bytes([3 * count]) + told)
        assert cells(said) == {n: (0x0C00 + n) / 1000 for n in range(1, count + 1)}
        assert said["cell_presence"] == 2**count - 1


def test_shapes_without_number_are_not_all_remembered() -> None:
    first = b"\x79\x03\x01\x0c\xc6"
    for length in range(100):
        decode(first + b"\xff" + bytes(length))
    assert values(content(E1))["state_of_charge"] == 60


def test_texts_that_are_none_are_unknown() -> None:
    said = values(
        changed(content(), {0xB5: b"2313".hex(), 0xB7: "FF" * 15, 0xBA: "00" * 24})
    )
    assert said["manufacturing_month"] is None
    assert said["software_version"] is None
    assert said["model"] is None
    assert said["ttl_manufacturer_id"] is None
    months = [
        values(changed(content(), {0xB5: month.encode().hex()}))["manufacturing_month"]
        for month in ("2300", "2301", "2312", "9911")
    ]
    assert months == [None, "2023-01", "2023-12", "2099-11"]
    odd = values(changed(content(), {0xB5: "FF" * 4, 0xB7: b"RELEASE 2 SERIE".hex()}))
    assert odd["manufacturing_month"] is None
    assert odd["software_version"] == "RELEASE 2 SERIE"
    assert odd["hardware_version"] is None


# -- the table ------------------------------------------------------------------------


def test_the_password_is_never_decoded() -> None:
    said = values(changed(content(), {0xB2: b"9876543210".hex()}))
    assert not any("9876" in str(value) for value in said.values())
    assert {0xB2} == SECRETS
    assert {0xB2, 0xB4, 0xBA} == PRIVATE


def test_keys_are_unique_across_all_wires() -> None:
    keys = [datum.key for datum in (*FIELDS, *DERIVED, *CAN, *TTL)]
    assert len(keys) == len(set(keys))
    told = [item.datum.key for item in ITEMS.values() if item.datum]
    assert len(told) == len(set(told))


def test_what_can_be_told_is_known_beforehand() -> None:
    fields = {field.key for field in FIELDS}
    for frame in (E1, E2, E3, E5):
        said = values(content(frame)).keys() & fields
        assert said <= TELLS | {"cell_presence", "alarm_bitmask"}


def test_what_only_this_protocol_has_is_told_by_it() -> None:
    said = values(content(E1))
    assert {datum.key for datum in TTL} <= said.keys()
    assert not any(datum.role is Role.SECRET for datum in TTL)


def test_the_cells_are_those_that_are_told() -> None:
    said = values(content(E1))
    told = [n for n in range(1, 33) if said.get(f"cell_voltage_{n}") is not None]
    assert told == [*range(1, len(told) + 1)]
    assert said["cell_presence"] == 2 ** len(told) - 1
