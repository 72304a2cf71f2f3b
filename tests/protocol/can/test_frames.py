"""Single messages: the examples of can.md, what was captured, and JK's protocol as a DBC."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

from cantools.database.can import Database
import pytest

from custom_components.jkbms.protocol.alarms import LEVELS
from custom_components.jkbms.protocol.can import growatt, inverter, native
from custom_components.jkbms.protocol.can.dialect import Dialect, of_bank
from custom_components.jkbms.protocol.can.frame import Decoded, Frame
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, owner_of
from custom_components.jkbms.protocol.can.native import whole_throughput
from custom_components.jkbms.protocol.datum import Role
from custom_components.jkbms.protocol.derived import DERIVED
from custom_components.jkbms.protocol.fields import CAN, FIELDS

from ...captures import can_messages
from .bus import msg

DOCS: Final = Path(__file__).parents[3] / "docs"
CAPTURES: Final = {capture.id: capture for capture in can_messages()}
KEYS: Final = {datum.key for datum in (*FIELDS, *DERIVED, *CAN)}


def decoded(code: int, data: str | bytes, *, v1: bool = False) -> Decoded:
    """Decode one of JK's own messages."""
    content = bytes.fromhex(data) if isinstance(data, str) else data
    frame, _ = native.BY_ID[code]
    assert frame.fits(len(content))
    return frame.decoded(content, v1=v1)


def of_inverter(dialect: Dialect, code: int, data: str) -> Decoded:
    """Decode a message of a bank."""
    frame = inverter.FRAMES[dialect][code]
    content = bytes.fromhex(data)
    assert frame.fits(len(content))
    return frame.decoded(content)


# -- the examples of can.md 1.5 -------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "data", "v1", "expected"),
    [
        (0x2F4, "1301D71133FF6400", True, {"bms_total_voltage": 27.5, "current": -56.7, "state_of_charge": 51, "discharge_time": 100}),
        (0x2F4, "1301D71133FF6400", False, {"bms_total_voltage": 27.5, "current": 56.7, "state_of_charge": 51}),
        (0x2F4, "E1008A1010", True, {"bms_total_voltage": 22.5, "current": -23.4, "state_of_charge": 16}),
        (0x4F4, "8C0A05920908", False, {"max_cell_voltage": 2.7, "max_voltage_cell": 5, "min_cell_voltage": 2.45, "min_voltage_cell": 8, "delta_cell_voltage": 0.25}),
        (0x5F4, "48062F013F", False, {"max_temperature": 22, "min_temperature": -3, "average_temperature": 13}),
        (0x18F128F4, "EE0AF00A7B240300", False, {"capacity_remaining": 279.8, "full_charge_capacity": 280.0, "cycle_capacity_counter": 933.9, "total_charging_cycle_capacity": 933.9, "charging_cycles": 3}),
        (0x18F128F4, "E108F00A6B802300", False, {"capacity_remaining": 227.3, "full_charge_capacity": 280.0, "cycle_capacity_counter": 3287.5, "total_charging_cycle_capacity": 9841.1, "charging_cycles": 35}),
        (0x18F128F4, "8B0190015A000000", False, {"capacity_remaining": 39.5, "full_charge_capacity": 40.0, "cycle_capacity_counter": 9.0, "total_charging_cycle_capacity": 9.0, "charging_cycles": 0}),
        (0x18F228F4, "07484750FFFF", False, {"temperature_sensor_1": 22, "temperature_sensor_2": 21, "power_tube_temperature": 30, "temperature_sensor_4": None, "temperature_sensor_5": None}),
        (0x18F428F4, "C8000000280A64", False, {"total_runtime": 200, "heating_current": 2.6, "state_of_health": 100}),
        (0x18F428F4, "88820E0000006400", False, {"total_runtime": 950_920, "heating_current": 0.0, "state_of_health": 100}),
        (0x18F528F4, "3D", False, {"charging": True, "discharging": False, "balancing": True, "heating": True, "charger_plugged": True, "acc_on": True}),
        (0x18E028F4, "AD0EAB0EA30EA60E", False, {"cell_voltage_1": 3.757, "cell_voltage_2": 3.755, "cell_voltage_3": 3.747, "cell_voltage_4": 3.75}),
        (0x1806E5F4, "034800C80000", False, {"requested_charge_voltage": 84.0, "requested_charge_current": 20.0, "charger_requested": True, "heating_requested": False}),
    ],
)  # fmt: skip
def test_an_example_says_what_it_says(
    code: int, data: str, v1: bool, expected: dict[str, Any]
) -> None:
    told = decoded(code, data, v1=v1)
    assert told.values == pytest.approx(expected, nan_ok=False)
    assert told.alarms == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("43002000", {"cell_overvoltage": "general", "battery_undervoltage": "serious", "low_soc": "important"}),
        ("00003000", {"low_soc": "general"}),
        ("00C00300", {"high_temperature": "general", "low_temperature": "general"}),
        ("0F000000FFFFFFFF", {"cell_overvoltage": "general", "cell_undervoltage": "general"}),
    ],
)  # fmt: skip
def test_alarm_levels_of_version_1(data: str, expected: dict[str, str]) -> None:
    told = decoded(0x7F4, data, v1=True)
    levels = {k.removeprefix("alarm_level_"): v for k, v in told.values.items()}
    assert len(levels) == 15
    assert {key: level for key, level in levels.items() if level != "none"} == expected
    assert len(told.alarms) == len(expected)


def test_what_version_2_has_reserved_is_no_alarm() -> None:
    told = decoded(0x7F4, "43002000")
    assert len(told.values) == 9
    assert [alarm.key for alarm in told.alarms] == [
        "alarm_cell_overvoltage",
        "alarm_low_soc",
    ]


def test_a_general_alarm_is_a_problem_only_where_a_protection_is_behind_it() -> None:
    soc, protection = (decoded(0x7F4, data).alarms for data in ("00003000", "03000000"))
    assert [alarm.grave for alarm in soc] == [False]
    assert [alarm.grave for alarm in protection] == [True]
    (serious,) = decoded(0x7F4, "00001000").alarms
    assert serious.grave
    (hot,) = decoded(0x7F4, "00400000").alarms
    assert (hot.key, hot.bit, hot.grave) == ("alarm_battery_overtemperature", 21, True)


def test_fault_bits_are_those_of_the_alarm_word() -> None:
    assert [a.bit for a in decoded(0x18F328F4, "023001FFFFFFFFFF").alarms] == [
        1,
        12,
        13,
        16,
    ]
    every = decoded(0x18F328F4, "FFFFFF").alarms
    assert [alarm.bit for alarm in every] == list(range(18))


def test_what_has_no_meaning_is_unknown() -> None:
    told = decoded(0x1806E5F4, "034800C80207").values
    assert told["charger_requested"] is None
    assert told["heating_requested"] is None
    assert decoded(0x5F4, "FF01000049").values["max_temperature"] is None
    assert decoded(0x5F4, "FF01000049").values["min_temperature"] is None
    assert decoded(0x18F228F4, "1000474A4949").values["temperature_sensor_1"] is None


def test_cells_are_numbered_through_and_a_zero_is_none() -> None:
    assert decoded(0x18E328F4, "E40C00000000E50C").values == {
        "cell_voltage_13": 3.3,
        "cell_voltage_14": None,
        "cell_voltage_15": None,
        "cell_voltage_16": 3.301,
    }
    assert decoded(0x18E628F4, "E40CE50CE60CE70C").values == {"cell_voltage_25": 3.3}


@pytest.mark.parametrize(
    ("counter", "capacity", "cycles", "whole"),
    [
        (3287.5, 280.0, 35, 9841.1),
        (4306.8, 280.0, 62, 17414.0),
        # As many cycles leave a choice, or none.
        (100.0, 280.0, 500, None),
        (100.0, 40.0, 100, None),
        (6553.5, 40.0, 0, None),
        (0.0, 0.0, 0, 0.0),
    ],
)
def test_the_throughput_is_whole_or_unknown(
    counter: float, capacity: float, cycles: int, whole: float | None
) -> None:
    assert whole_throughput(counter, capacity, cycles) == whole


# -- the examples of can.md 2.10 of the inverter dialects -----------------------------


@pytest.mark.parametrize(
    ("dialect", "code", "data", "expected"),
    [
        (Dialect.PYLON, 0x351, "1402740E740ECC01", {"charge_voltage_limit": 53.2, "charge_current_limit": 370.0, "discharge_current_limit": 370.0, "discharge_cutoff_voltage": 46.0}),
        (Dialect.PYLON, 0x351, "2802F4012003E001", {"charge_voltage_limit": 55.2, "charge_current_limit": 50.0, "discharge_current_limit": 80.0, "discharge_cutoff_voltage": 48.0}),
        (Dialect.PYLON, 0x351, "9E027C016C07C601", {"charge_voltage_limit": 67.0, "charge_current_limit": 38.0, "discharge_current_limit": 190.0, "discharge_cutoff_voltage": 45.4}),
        (Dialect.PYLON, 0x351, "2802E803E803", {"charge_voltage_limit": 55.2, "charge_current_limit": 100.0, "discharge_current_limit": 100.0, "discharge_cutoff_voltage": None}),
        (Dialect.PYLON, 0x356, "4E1302030405", {"total_voltage": 49.42, "current": 77.0, "average_temperature": 128.4}),
        (Dialect.PYLON, 0x356, "6C140400DC00", {"total_voltage": 52.28, "current": 0.4, "average_temperature": 22.0}),
        (Dialect.VICTRON, 0x356, "525600002B01".replace("5256", "5216"), {"total_voltage": 57.14, "current": 0.0, "average_temperature": 29.9}),
        (Dialect.PYLON, 0x355, "3C006400", {"state_of_charge": 60, "state_of_health": 100, "fine_state_of_charge": None}),
        (Dialect.PYLON, 0x355, "1A00640000000000", {"state_of_charge": 26, "state_of_health": 100, "fine_state_of_charge": None}),
        (Dialect.VICTRON, 0x355, "630064008E26", {"state_of_charge": 99, "state_of_health": 100, "fine_state_of_charge": 98.7}),
        (Dialect.PYLON, 0x359, "000000000A504E", {"modules_total": 10}),
        (Dialect.PYLON, 0x359, "0000000001504E00", {"modules_total": 1}),
        (Dialect.PYLON, 0x359, "0000000004000022", {"modules_total": 4}),
        (Dialect.PYLON, 0x35C, "C000", {"charge_enabled": True, "discharge_enabled": True, "force_charge": False, "full_charge_requested": False}),
        (Dialect.PYLON, 0x35C, "28", {"charge_enabled": False, "discharge_enabled": False, "force_charge": True, "full_charge_requested": True}),
        (Dialect.PYLON, 0x35E, "4A4B2D424D530000", {"battery_maker": "JK-BMS"}),
        (Dialect.PYLON, 0x35E, "50594C4F4E202020", {"battery_maker": "PYLON"}),
        (Dialect.PYLON, 0x370, "1E001D00F50DF30D", {"max_temperature": 30, "min_temperature": 29, "max_cell_voltage": 3.573, "min_cell_voltage": 3.571, "delta_cell_voltage": 0.002}),
        (Dialect.PYLON, 0x371, "0400030001000400", {"max_temperature_sensor": 4, "min_temperature_sensor": 3, "max_voltage_cell": 1, "min_voltage_cell": 4}),
        (Dialect.VICTRON, 0x373, "F30DF40D2F013001", {"min_cell_voltage": 3.571, "max_cell_voltage": 3.572, "delta_cell_voltage": 0.001, "min_temperature": 30, "max_temperature": 31}),
        (Dialect.VICTRON, 0x373, "0000000000000000", {"min_cell_voltage": None, "max_cell_voltage": None, "delta_cell_voltage": None, "min_temperature": None, "max_temperature": None}),
        (Dialect.VICTRON, 0x35A, "A8A80200A8A80202", {}),
        (Dialect.VICTRON, 0x35F, "694C0F2627000000", {"software_version": "15.38"}),
        (Dialect.VICTRON, 0x360, "FF", {"force_charge": True}),
        (Dialect.VICTRON, 0x372, "0400010000000200", {"modules_online": 4, "modules_blocking_charge": 1, "modules_blocking_discharge": 0, "modules_offline": 2}),
        (Dialect.VICTRON, 0x374, "30303A3A30320000", {"min_cell_voltage_place": "00::02"}),
        (Dialect.VICTRON, 0x379, "2800", {"installed_capacity": 40}),
        (Dialect.GROWATT, 0x311, "0240017C01900002", {"charge_voltage_limit": 57.6, "charge_current_limit": 38.0, "discharge_current_limit": 40.0, "growatt_state": 2}),
        (Dialect.GROWATT, 0x313, "164B0000013D5664", {"total_voltage": 57.07, "current": 0.0, "max_temperature": 31.7, "state_of_charge": 86, "state_of_health": 100}),
        (Dialect.GROWATT, 0x314, "01AE01F400040003", {"capacity_remaining": 43.0, "full_charge_capacity": 50.0, "delta_cell_voltage": 0.004, "charging_cycles": 3}),
        (Dialect.GROWATT, 0x316, "0DF20DF10000FFFF", {"cell_voltage_5": 3.57, "cell_voltage_6": 3.569, "cell_voltage_7": None, "cell_voltage_8": 65.535}),
        (Dialect.GROWATT, 0x319, "C00DF20DEE010700", {"charge_enabled": True, "discharge_enabled": True, "force_charge": False, "max_cell_voltage": 3.57, "min_cell_voltage": 3.566, "delta_cell_voltage": 0.004, "max_voltage_cell": 1, "min_voltage_cell": 7}),
        (Dialect.GROWATT, 0x320, "4A4B0F2600000000", {"battery_maker": "JK", "software_version": "15.38"}),
        (Dialect.GROWATT, 0x320, "47570F2600000000", {"battery_maker": "GW", "software_version": None}),
    ],
)  # fmt: skip
def test_a_message_to_an_inverter(
    dialect: Dialect, code: int, data: str, expected: dict[str, Any]
) -> None:
    told = of_inverter(dialect, code, data)
    assert told.values == pytest.approx(expected)
    assert (told.alarms, told.warnings) == ((), ())


@pytest.mark.parametrize(
    ("dialect", "code", "data", "alarms", "warnings"),
    [
        (Dialect.PYLON, 0x359, "9E190000010000", ["battery_overvoltage", "battery_undervoltage", "high_temperature", "low_temperature", "discharge_overcurrent", "charge_overcurrent", "system", "cell_difference"], []),
        (Dialect.PYLON, 0x359, "00009E19010000", [], ["battery_overvoltage", "battery_undervoltage", "high_temperature", "low_temperature", "discharge_overcurrent", "charge_overcurrent", "internal_communication", "cell_failure"]),
        (Dialect.SMA, 0x35A, "0400000000400000", ["battery_overvoltage"], ["discharge_overcurrent"]),
        (Dialect.SMA, 0x35A, "5555550155555501", ["general", "battery_overvoltage", "battery_undervoltage", "high_temperature", "low_temperature", "charge_overtemperature", "charge_undertemperature", "discharge_overcurrent", "charge_overcurrent", "contactor", "short_circuit", "system", "cell_difference"], ["general", "battery_overvoltage", "battery_undervoltage", "high_temperature", "low_temperature", "charge_overtemperature", "charge_undertemperature", "discharge_overcurrent", "charge_overcurrent", "contactor", "short_circuit", "system", "cell_difference"]),
        (Dialect.GROWATT, 0x312, "1801000001000010", ["cell_overvoltage", "cell_undervoltage", "cell_difference"], []),
        (Dialect.GROWATT, 0x312, "00001081010000" + "10", [], ["cell_overvoltage", "discharge_overtemperature", "internal_communication"]),
    ],
)  # fmt: skip
def test_alarms_towards_an_inverter(
    dialect: Dialect, code: int, data: str, alarms: list[str], warnings: list[str]
) -> None:
    told = of_inverter(dialect, code, data)
    assert [a.key.removeprefix("alarm_") for a in told.alarms] == alarms
    assert [w.key.removeprefix("alarm_") for w in told.warnings] == warnings
    assert all(alarm.grave for alarm in told.alarms)


@pytest.mark.parametrize(
    ("ids", "dialect"),
    [
        ({0x351}, None),
        ({0x351, 0x355, 0x356}, None),
        ({0x359}, None),
        ({0x351, 0x359}, Dialect.PYLON),
        ({0x351, 0x35A}, Dialect.SMA),
        ({0x351, 0x35A, 0x379}, Dialect.VICTRON),
        ({0x351, 0x35A, 0x373}, Dialect.VICTRON),
        ({0x311, 0x313}, Dialect.GROWATT),
        (set(), None),
    ],
)
def test_the_ids_of_a_bank_tell_its_dialect(
    ids: set[int], dialect: Dialect | None
) -> None:
    assert of_bank(ids) is dialect


# -- whose a message is ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "extended", "whose"),
    [
        (0x2F4, False, 0),
        (0x2F6, False, 2),
        (0x7FF, False, 11),
        (0x2F4, True, None),
        (0x300, False, None),
        (0x18F128F6, True, 2),
        (0x18F12900, True, 12),
        (0x18E62903, True, 15),
        (0x18F12904, True, None),
        (0x1806E5F4, True, 0),
        (0x18F0F428, True, None),
        (0x01F21400, True, None),
        (0x351, False, BANK_ADDRESS),
        (0x351, True, None),
        (0x305, False, None),
        (0x123, False, None),
    ],
)
def test_the_id_says_whose_a_message_is(
    code: int, extended: bool, whose: int | None
) -> None:
    found = owner_of(msg(code, "00", extended=extended))
    assert (None if found is None else found[1]) == whose


# -- what was captured ----------------------------------------------------------------


NAMES: Final = {
    "total_voltage_v": ("bms_total_voltage", "total_voltage"),
    "soc_pct": ("state_of_charge",),
    "soh_pct": ("state_of_health",),
    "cell_max_v": ("max_cell_voltage",),
    "cell_max_no": ("max_voltage_cell",),
    "cell_min_v": ("min_cell_voltage",),
    "cell_min_no": ("min_voltage_cell",),
    "temp_max_c": ("max_temperature",),
    "temp_min_c": ("min_temperature",),
    "temp_avg_c": ("average_temperature",),
    "current_a": ("current",),
    "current_a_rounded_0.1": ("current",),
    "temperature_c": ("average_temperature",),
    "capacity_remaining_ah": ("capacity_remaining",),
    "capacity_full_ah": ("full_charge_capacity",),
    "cycle_capacity_ah": ("cycle_capacity_counter",),
    "runtime_s": ("total_runtime",),
    "heat_current_a": ("heating_current",),
    "name": ("battery_maker",),
}
"""What the sources call it, and what it is here."""


def of_capture(code: int, data: bytes) -> Decoded | None:
    """Decode a message of a capture, as Pylontech's where it is none of JK's."""
    found = owner_of(msg(code, data))
    if found is None:
        return None
    frame: Frame = found[0]
    if found[1] == BANK_ADDRESS:
        frame = inverter.FRAMES[Dialect.PYLON][code]
    return frame.decoded(data) if frame.fits(len(data)) else None


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_says_what_its_source_says(name: str) -> None:
    capture = CAPTURES[name]
    said = {code: of_capture(code, data) for code, data, _ in capture.messages}
    expected = {
        key: value
        for key, value in capture.expected.items()
        if not isinstance(value, dict)
    }
    values = {k: v for each in said.values() if each for k, v in each.values.items()}
    for code, told in (
        (int(key, 16), value)
        for key, value in capture.expected.items()
        if isinstance(value, dict) and len(key) < 9 and key != "alarms"
        if all(c in "0123456789ABCDEF" for c in key)
    ):
        each = said[code]
        assert each is not None
        check(told, dict(each.values), each)
    check(expected, values, None)
    if "cell_voltages_mv" in capture.expected:
        for cell, millivolts in capture.expected["cell_voltages_mv"].items():
            assert values[f"cell_voltage_{cell}"] == millivolts / 1000


def check(
    expected: dict[str, Any], values: dict[str, Any], said: Decoded | None
) -> None:
    """Compare what a source says of values with what was decoded."""
    for key, value in expected.items():
        if key in NAMES:
            ours = [values[name] for name in NAMES[key] if name in values]
            assert ours, key
            wanted = value.strip() if isinstance(value, str) else value
            assert ours == [pytest.approx(wanted)] * len(ours), key
        if key == "alarms" and said is not None:
            levels = [v for v in said.values.values() if v != LEVELS[0]]
            assert sorted(map(str, levels)) == sorted(LEVELS[n] for n in value.values())


def test_what_is_expected_of_captures_is_looked_at() -> None:
    """A name that nobody knows would be a check that cannot fail."""
    told = {
        key
        for capture in CAPTURES.values()
        for name, value in capture.expected.items()
        for key in (value if isinstance(value, dict) else (name,))
    }
    assert told - NAMES.keys() - {str(n) for n in range(1, 26)} == {
        "alarms",
        # of the document that explains one message in two ways, and of other wires
        "byte0",
        "byte1",
        "value_2_3",
        "discharge_time_h",
        "1 unit overvoltage",
        "4 total undervoltage",
        "11 SOC too low",
        "1 MOS over temperature",
        "12 pack undervoltage",
        "device_address",
        "cycles",
        "capacity_nominal_ah",
        "temps_c",
        "fault_bytes",
        "temp_max_no",
        "temp_min_no",
    }


def test_the_charge_request_that_was_seen_in_part() -> None:
    """Two bytes and a number were told: 0x0240, and 950 in the next two."""
    (capture,) = CAPTURES["can-jeanluc-1806e5f4"].messages
    assert of_capture(capture[0], capture[1]) is None
    whole = capture[1] + (950).to_bytes(2, "big") + bytes(4)
    told = decoded(0x1806E5F4, whole).values
    assert told["requested_charge_voltage"] == 57.6
    assert told["requested_charge_current"] == 95.0


# -- docs/jk_can.dbc, a second description --------------------------------------------

DBC: Final = Database()
DBC.add_dbc_file(DOCS / "jk_can.dbc")


@pytest.mark.parametrize("frame", native.FRAMES, ids=lambda frame: frame.name)
def test_both_descriptions_read_random_bytes_alike(frame: Frame) -> None:
    random = Random(frame.name)
    message = DBC.get_message_by_frame_id(frame.id)
    assert message.name == frame.name
    assert message.is_extended_frame is frame.extended
    for _ in range(300):
        data = random.randbytes(8)
        theirs = message.decode_simple(data, decode_choices=False)
        ours = frame.decoded(data)
        assert in_words_of_dbc(frame, ours, theirs) == pytest.approx(theirs)


def in_words_of_dbc(
    frame: Frame, ours: Decoded, theirs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return our values as a DBC can say them, unknown ones as it says them."""
    if frame is native.FAULTS:
        keys = {alarm.key for alarm in ours.alarms}
        return {key: int(key in keys) for key in theirs}
    values: dict[str, Any] = {}
    for key, raw in theirs.items():
        value = ours.values.get(key)
        if key.startswith("alarm_level_"):
            value = LEVELS.index(str(value))
        if key == "charger_off":
            told = ours.values["charger_requested"]
            value = None if told is None else not told
        if value is None:
            assert raw in unknown(frame, key), key
            value = raw
        values[key] = value
    return values


def unknown(frame: Frame, key: str) -> tuple[float, ...] | range:
    """Return what a DBC says where there is nothing known."""
    if frame in native.CELLS:
        return (0,)
    if "temperature" in key:
        return (-50, 205)
    assert key in ("charger_off", "heating_requested")
    return range(2, 256)


def test_the_dbc_describes_every_message_and_no_other() -> None:
    described = {message.frame_id for message in DBC.messages}
    own = {frame.id for frame in native.FRAMES}
    assert own <= described
    # Texts, and what is told in words that differ, no DBC can say.
    assert described - own == {
        *(0x311, 0x312, 0x313, 0x314, 0x315, 0x316, 0x317, 0x318, 0x319),
        *(0x351, 0x355, 0x356, 0x359, 0x35A, 0x35C),
        *(0x370, 0x371, 0x372, 0x373, 0x379),
    }


@pytest.mark.parametrize(
    ("dialect", "code"),
    [
        (dialect, code)
        for dialect, frames in inverter.FRAMES.items()
        for code in frames
        if code in {message.frame_id for message in DBC.messages}
        and not (dialect is Dialect.VICTRON and code in (0x370, 0x371))
    ],
)
def test_the_dbc_reads_a_bank_alike(dialect: Dialect, code: int) -> None:
    random = Random(f"{dialect}{code}")
    frame = inverter.FRAMES[dialect][code]
    for _ in range(300):
        data = random.randbytes(8)
        ours = frame.decoded(data)
        theirs = DBC.get_message_by_frame_id(code).decode_simple(
            data, decode_choices=False
        )
        for key in theirs.keys() & ours.values.keys():
            value = ours.values[key]
            if isinstance(value, int | float):
                assert float(value) == pytest.approx(theirs[key]), key
        told = {alarm.key for alarm in ours.alarms}
        for key, raw in theirs.items():
            if key.startswith("alarm_"):
                assert (key in told) is (raw == 1), key


# -- the keys -------------------------------------------------------------------------


def test_every_value_of_a_message_is_declared() -> None:
    frames = [
        *native.FRAMES,
        *(f for d in inverter.FRAMES.values() for f in d.values()),
    ]
    for frame in frames:
        for v1 in (False, True):
            told = frame.decoded(bytes(range(8)), v1=v1)
            assert told.values.keys() <= KEYS | {growatt.STATUS_KEY}


def test_keys_of_can_are_no_others_key() -> None:
    others = [datum.key for datum in (*FIELDS, *DERIVED)]
    ours = [datum.key for datum in CAN]
    assert len({*ours, *others}) == len(ours) + len({*others})
    assert {datum.key for datum in CAN if datum.role is Role.RAW} == {
        "cycle_capacity_counter"
    }


def test_a_level_has_a_word_for_each_of_two_bits() -> None:
    assert LEVELS == ("none", "serious", "important", "general")
