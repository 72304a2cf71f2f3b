"""The tables of can.md, written down a second time: messages, bits of alarms, steps."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can import inverter, native
from custom_components.jkbms.protocol.can.conditions import alarm
from custom_components.jkbms.protocol.can.dialect import Dialect, of_bank
from custom_components.jkbms.protocol.can.frame import Decoded
from custom_components.jkbms.protocol.can.slot import Slot, unlike
from custom_components.jkbms.protocol.fields.can import LEVEL_OF
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS

# -- messages -------------------------------------------------------------------------

MESSAGES: Final = """
    BATT_ST1     2F4       5  0.1
    CELL_VOLT    4F4       6  0.1
    CELL_TEMP    5F4       5  1.0
    ALM_INFO     7F4       4  0.1
    BATT_ST2     18F128F4  8  0.2
    ALL_TEMP     18F228F4  6  1.0
    BMSERR_INFO  18F328F4  3  0.1
    BMS_INFO     18F428F4  7  1.0
    BmsSwSta     18F528F4  1  0.5
    BMSChg_INFO  1806E5F4  6  0.5
    CELLVOL_0    18E028F4  2  1.5
    CELLVOL_1    18E128F4  2  1.5
    CELLVOL_2    18E228F4  2  1.5
    CELLVOL_3    18E328F4  2  1.5
    CELLVOL_4    18E428F4  2  1.5
    CELLVOL_5    18E528F4  2  1.5
    CELLVOL_6    18E628F4  2  1.5
"""
"""Name, id, the bytes that have a meaning, the measured period (can.md 1.2, 1.3)."""
OF_ALL: Final = {
    0x351: ("limits", 6),
    0x355: ("state of charge", 4),
    0x356: ("measurements", 6),
    0x35E: ("manufacturer", 1),
}
OF_DIALECTS: Final = {
    Dialect.PYLON: {
        **OF_ALL,
        0x359: ("alarms", 5),
        0x35C: ("requests", 1),
        0x370: ("extremes", 8),
        0x371: ("places", 8),
    },
    Dialect.SMA: {
        **OF_ALL,
        0x35A: ("alarms", 8),
        0x35B: ("events", 1),
        0x35F: ("battery", 4),
    },
    Dialect.VICTRON: {
        **OF_ALL,
        0x35A: ("alarms", 8),
        0x35F: ("product", 4),
        0x360: ("force charge", 1),
        0x370: ("name", 1),
        0x371: ("name, continued", 1),
        0x372: ("modules", 8),
        0x373: ("extremes", 8),
        0x374: ("lowest cell", 1),
        0x375: ("highest cell", 1),
        0x376: ("coldest sensor", 1),
        0x377: ("warmest sensor", 1),
        0x378: ("energies", 8),
        0x379: ("installed capacity", 2),
        0x380: ("serial number", 1),
        0x381: ("serial number, continued", 1),
        0x382: ("product id", 1),
    },
    Dialect.GROWATT: {
        0x311: ("limits", 8),
        0x312: ("alarms", 8),
        0x313: ("measurements", 8),
        0x314: ("capacity", 8),
        0x315: ("cells 0", 8),
        0x316: ("cells 1", 8),
        0x317: ("cells 2", 8),
        0x318: ("cells 3", 8),
        0x319: ("requests", 8),
        0x320: ("manufacturer", 4),
        0x321: ("update", 1),
        0x322: ("extremes", 8),
        0x323: ("protection", 1),
    },
}
"""What `scripts/decode` calls them, and how many bytes they need (can.md 2.2, 2.7)."""


def test_a_pack_sends_the_messages_of_the_document() -> None:
    listed = [line.split() for line in MESSAGES.strip().splitlines()]
    assert [
        (frame.name, frame.id, frame.extended, frame.length, frame.period)
        for frame in native.FRAMES
    ] == [
        (name, int(code, 16), len(code) > 3, int(length), float(period))
        for name, code, length, period in listed
    ]


@pytest.mark.parametrize("dialect", OF_DIALECTS)
def test_a_bank_sends_the_messages_of_the_document(dialect: Dialect) -> None:
    frames = inverter.FRAMES[dialect]
    assert {n: (f.name, f.length) for n, f in frames.items()} == OF_DIALECTS[dialect]
    assert all(code == frame.id for code, frame in frames.items())
    assert {(f.extended, f.period) for f in frames.values()} == {(False, 1.0)}
    assert inverter.BY_ID.keys() >= frames.keys()


def test_a_language_sends_no_message_with_more_than_the_eight_bytes_of_can() -> None:
    lengths = {f.length for script in SCRIPTS.values() for f in script.frames}
    assert min(lengths) >= 1
    assert max(lengths) == 8


@pytest.mark.parametrize(
    "ids",
    [
        set(),
        {0x311},
        {0x313},
        {0x359},
        {0x35A},
        {0x35A, 0x373},
        {0x351},
        {0x351, 0x373},
    ],
)
def test_a_language_is_not_told_by_some_of_its_messages(ids: set[int]) -> None:
    assert of_bank(ids) is None


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        # State of charge: as far as it goes between two messages.
        ("1302A00F50", "1302A00F52", True),
        ("1302A00F50", "1302A00F4E", True),
        ("1302A00F50", "1302A00F53", False),
        ("1302A00F50", "1302A00F4D", False),
        # Capacity, throughput, cycles.
        ("E108F00A00802300", "E108F00A32802300", True),
        ("E108F00A00802300", "E108F00A33802300", False),
        ("E108F00A00802300", "E108F00AFF7F2300", False),
        ("E108F00AF0FF2300", "E108F00A22002300", True),
        ("E108F00AF0FF2300", "E108F00A23002300", False),
        ("E108F00A00802300", "E108F00A00802400", True),
        ("E108F00A00802300", "E108F00A00802500", False),
        ("E108F00A00802300", "E108F00A00802200", False),
        ("E108F00A00802300", "E108F10A00802300", False),
        ("E108F00A00802300", "0000F00A00802300", True),
        # Run time.
        ("88820E00000064", "88820E00000064", True),
        ("88820E00000064", "B0820E00000064", True),
        ("88820E00000064", "B1820E00000064", False),
        ("88820E00000064", "87820E00000064", False),
    ],
)
def test_a_message_follows_from_the_one_before(
    old: str, new: str, follows: bool
) -> None:
    length = len(old) // 2
    (told,) = (
        frame.follows
        for frame in native.FRAMES
        if frame.follows is not None and frame.length == length
    )
    assert told(bytes.fromhex(old), bytes.fromhex(new)) is follows


@pytest.mark.parametrize(
    ("frame", "one", "other"),
    [
        ("BATT_ST1", "1302A00F50", "1302A00F20"),
        ("BATT_ST2", "E108F00A00802300", "1108F00A00301200"),
        ("BMS_INFO", "88820E00000064", "88020100000064"),
    ],
)
def test_two_packs_are_told_from_one_when_both_have_gone_on(
    frame: str, one: str, other: str
) -> None:
    """One that jumps is nobody's continuation: each has to have spoken twice."""
    declared = next(each for each in native.FRAMES if each.name == frame)
    slot = Slot[None](declared, None, declared.extended)
    turns = [bytes.fromhex(data) for data in (one, other, one, other, one)]
    told = [slot.take(data, float(n)) for n, data in enumerate(turns)]
    assert told == [False, False, False, True, True]
    alone = Slot[None](declared, None, declared.extended)
    jumps = (turns[0], turns[0], turns[1], turns[1], turns[0])
    assert not any(alone.take(data, float(n)) for n, data in enumerate(jumps))


# -- bits of alarms -------------------------------------------------------------------

BITS: Final = {
    (Dialect.PYLON, 0x359): """
        discharge_overcurrent - - low_temperature high_temperature battery_undervoltage battery_overvoltage -
        - - - cell_difference system - - charge_overcurrent
        discharge_overcurrent - - low_temperature high_temperature battery_undervoltage battery_overvoltage -
        - - - cell_failure internal_communication - - charge_overcurrent
    """,
    (Dialect.GROWATT, 0x312): """
        discharge_overcurrent charge_overcurrent short_circuit cell_overvoltage cell_undervoltage battery_overvoltage battery_undervoltage soft_start
        discharge_overtemperature charge_overtemperature discharge_undertemperature charge_undertemperature - - system cell_difference
        discharge_overcurrent charge_overcurrent - cell_overvoltage cell_undervoltage battery_overvoltage battery_undervoltage -
        discharge_overtemperature charge_overtemperature discharge_undertemperature charge_undertemperature - cell_difference - internal_communication
    """,
}  # fmt: skip
"""Two bytes of alarms, two of warnings, each from bit 7 to bit 0 (can.md 2.2, 2.7)."""
PAIRS: Final = (
    *("general", "battery_overvoltage", "battery_undervoltage", "high_temperature"),
    *("low_temperature", "charge_overtemperature", "charge_undertemperature"),
    *("discharge_overcurrent", "charge_overcurrent", "contactor", "short_circuit"),
    *("system", "cell_difference"),
)
"""0x35A, two bits each: four bytes of alarms, and the same of warnings (can.md 2.2)."""
LEVELS: Final = (
    *("cell_overvoltage", "cell_undervoltage"),
    *("battery_overvoltage v1", "battery_undervoltage v1", "cell_difference"),
    *("discharge_overcurrent", "charge_overcurrent", "high_temperature"),
    *("low_temperature", "temperature_difference v1", "low_soc", "low_insulation v1"),
    *("hv_interlock v1", "external_communication v1", "internal_communication"),
)
"""ALM_INFO, two bits each; what only version 1 tells (can.md 1.3)."""
FAULTS: Final = (
    *("wire_resistance", "mos_overtemperature", "cell_count", "current_sensor"),
    *("cell_overvoltage", "battery_overvoltage", "charge_overcurrent"),
    *("charge_short_circuit", "charge_overtemperature", "charge_undertemperature"),
    *("internal_communication", "cell_undervoltage", "battery_undervoltage"),
    *("discharge_overcurrent", "discharge_short_circuit"),
    *("discharge_overtemperature", "charge_mos", "discharge_mos"),
)
"""BMSERR_INFO, a bit each (can.md 1.3)."""


def named(conditions: Iterator[Any] | tuple[Any, ...]) -> list[str]:
    return [condition.key.removeprefix("alarm_") for condition in conditions]


def places(table: str) -> Iterator[tuple[int, int, str]]:
    """Yield byte, bit and name of each place, "-" where there is nothing."""
    for byte, row in enumerate(table.strip().splitlines()):
        names = row.split()
        assert len(names) == 8
        for bit, name in enumerate(reversed(names)):
            yield byte, bit, name


@pytest.mark.parametrize(("dialect", "code"), BITS)
def test_each_bit_of_alarms_is_where_the_document_has_it(
    dialect: Dialect, code: int
) -> None:
    frame = inverter.FRAMES[dialect][code]
    writers = [
        other
        for script in SCRIPTS.values()
        for other in script.frames
        if other.id == code
    ]
    assert writers
    for byte, bit, name in places(BITS[dialect, code]):
        data = bytearray(8)
        data[byte] = 1 << bit
        told = frame.decoded(bytes(data))
        expected: list[list[str]] = [[], []]
        if name != "-":
            expected[byte // 2] = [name]
        assert [named(told.alarms), named(told.warnings)] == expected, (byte, bit)
        for writer in writers:
            written = writer.layout.encode(told, 8)
            assert written[:4] == (data[:4] if name != "-" else bytes(4))


def test_growatt_hears_the_protections_a_second_time() -> None:
    """0x323: behind the number of cells, in the order of 0x312."""
    layout = inverter.FRAMES[Dialect.GROWATT][0x323].layout
    for byte, bit, name in places(BITS[Dialect.GROWATT, 0x312]):
        if byte < 2 and name != "-":
            data = layout.encode(Decoded(alarms=(alarm(name),)), 8)
            assert int.from_bytes(data, "little") == 1 << 8 * (byte + 1) + bit
            assert layout.decode(data) == Decoded()


@pytest.mark.parametrize(
    ("dialect", "number", "told"),
    [
        (Dialect.GROWATT, 0x320, {"battery_maker", "software_version"}),
        (Dialect.GROWATT, 0x322, set()),
        (Dialect.GROWATT, 0x323, set()),
        (Dialect.VICTRON, 0x35F, {"software_version"}),
        (Dialect.PYLON, 0x35E, {"battery_maker"}),
    ],
)
def test_what_others_tell_too_or_nobody_wants_is_only_written(
    dialect: Dialect, number: int, told: set[str]
) -> None:
    frame = inverter.FRAMES[dialect][number]
    assert frame.decoded(b"ABCDEFGH").values.keys() == told


@pytest.mark.parametrize("dialect", [Dialect.SMA, Dialect.VICTRON])
@pytest.mark.parametrize("value", range(4))
def test_each_pair_of_bits_is_where_the_document_has_it(
    dialect: Dialect, value: int
) -> None:
    frame = inverter.FRAMES[dialect][0x35A]
    for place in range(32):
        told = frame.decoded((value << 2 * place).to_bytes(8, "little"))
        half, n = divmod(place, 16)
        expected: list[list[str]] = [[], []]
        if value == 1 and n < len(PAIRS):
            expected[half] = [PAIRS[n]]
        assert [named(told.alarms), named(told.warnings)] == expected


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize(
    ("level", "word"), [(1, "serious"), (2, "important"), (3, "general")]
)
def test_each_level_of_an_alarm_is_where_the_document_has_it(
    v1: bool, level: int, word: str
) -> None:
    for place in range(16):
        data = (level << 2 * place).to_bytes(4, "little")
        told = native.ALARMS.decoded(data, v1=v1)
        name = LEVELS[place] if place < len(LEVELS) else "v1"
        key, _, only_v1 = name.partition(" ")
        active = {k: value for k, value in told.values.items() if value != "none"}
        if place == len(LEVELS) or (only_v1 and not v1):
            assert (active, told.alarms) == ({}, ())
            continue
        assert active == {f"alarm_level_{key}": word}
        own = "battery_overtemperature" if key == "high_temperature" else key
        assert named(told.alarms) == [own]
        assert LEVEL_OF[f"alarm_{own}"].key == f"alarm_level_{key}"
    assert len(LEVEL_OF) == len(LEVELS)


def test_each_fault_is_where_the_document_has_it() -> None:
    for bit in range(24):
        told = native.FAULTS.decoded((1 << bit).to_bytes(3, "little"))
        assert named(told.alarms) == list(FAULTS[bit : bit + 1])
        assert (told.values, told.warnings) == ({}, ())


# -- steps ----------------------------------------------------------------------------

ANYWHERE: Final = (
    *("current", "heating_current", "balancing", "cycle_capacity_counter"),
    *("max_voltage_cell", "delta_cell_voltage", "fine_state_of_charge", "modules_online"),
)  # fmt: skip
STEPS: Final = {
    **{f"cell_voltage_{n}": (0.2, 0) for n in range(1, 33)},
    **dict.fromkeys(("min_cell_voltage", "max_cell_voltage"), (0.2, 0)),
    **dict.fromkeys(("total_voltage", "bms_total_voltage"), (3, 0)),
    "state_of_charge": (2, 0),
    "charging_cycles": (1, 0),
    # 600 A for an hour are 600 Ah.
    **dict.fromkeys(
        ("capacity_remaining", "total_charging_cycle_capacity"), (1, 600 / 3600)
    ),
    "total_runtime": (10, 1),
    **{f"temperature_sensor_{n}": (5, 0) for n in (1, 2, 4, 5)},
    "power_tube_temperature": (5, 0),
    **{f"{which}_temperature": (5, 0) for which in ("max", "min", "average")},
    **dict.fromkeys(
        (
            *("state_of_health", "full_charge_capacity", "installed_capacity"),
            *("requested_charge_voltage", "requested_charge_current"),
            *("charge_voltage_limit", "charge_current_limit"),
            *("discharge_current_limit", "discharge_cutoff_voltage", "modules_total"),
        ),
        (0, 0),
    ),
}
"""How far a value goes by itself, and per second."""
STATES: Final = (
    *("charging", "discharging", "heating", "charger_plugged", "acc_on"),
    *("charge_enabled", "discharge_enabled", "force_charge"),
)
_HAIR: Final = 0.001


def doubted(new: Any, old: Any, key: str, elapsed: float) -> bool:
    return unlike(Decoded({key: new}), Decoded({key: old}), elapsed)


@pytest.mark.parametrize("key", STEPS)
def test_a_value_is_doubted_beyond_its_step(key: str) -> None:
    step, pace = STEPS[key]
    for elapsed in (0.0, 6.0, 60.0):
        far = step + pace * elapsed
        for moved, expected in ((far, False), (far + _HAIR, True)):
            assert doubted(moved, 0.0, key, elapsed) is expected
            assert doubted(0.0, moved, key, elapsed) is expected
    assert doubted(1.0, None, key, 0.0)
    assert doubted(None, 1.0, key, 0.0)
    assert not doubted(None, None, key, 0.0)


@pytest.mark.parametrize("key", STATES)
def test_another_state_is_doubted(key: str) -> None:
    for state in (False, True):
        assert not doubted(state, state, key, 1e6)
        assert doubted(state, not state, key, 1e6)


@pytest.mark.parametrize("key", ANYWHERE)
def test_what_may_go_anywhere_is_not_doubted_and_hides_nothing_behind_it(
    key: str,
) -> None:
    assert not doubted(1e6, 0.0, key, 0.0)
    old = Decoded({key: 0.0, "state_of_charge": 50})
    assert unlike(Decoded({key: 1e6, "state_of_charge": 53}), old, 0.0)
