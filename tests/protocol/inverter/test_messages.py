"""Messages of a bank are written as they are read, and as others read them."""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can import inverter
from custom_components.jkbms.protocol.can.conditions import alarm
from custom_components.jkbms.protocol.can.dialect import Dialect, of_bank
from custom_components.jkbms.protocol.can.frame import Decoded
from custom_components.jkbms.protocol.can.signals import (
    BankFrame,
    FineCharge,
    Mark,
    Number,
    at_least,
    at_most,
)
from custom_components.jkbms.protocol.inverter.languages import (
    LENGTH,
    SCRIPTS,
    Language,
)

from ..can.test_frames import DBC

FRAMES: Final = {
    **{
        f"{language} {frame.id:03X}": frame
        for language, script in SCRIPTS.items()
        for frame in script.frames
    },
    **{
        f"{dialect} {frame.id:03X}": frame
        for dialect, frames in inverter.FRAMES.items()
        for frame in frames.values()
    },
}


def frame_of(language: Language, code: int) -> BankFrame:
    """Return a message of a language."""
    return next(f for f in SCRIPTS[language].frames if f.id == code)


# -- the examples of can.md 2.2, 2.7, 2.8 and 2.10 ------------------------------------


@pytest.mark.parametrize(
    ("language", "code", "data"),
    [
        (Language.PYLONTECH_1_3, 0x359, "0000000004000022"),
        (Language.PYLONTECH_1_3, 0x351, "2802E803E803F701"),
        (Language.PYLONTECH_1_3, 0x355, "1A006400"),
        (Language.PYLONTECH_1_3, 0x356, "00000000FA00"),
        (Language.PYLONTECH_1_3, 0x35C, "C0"),
        (Language.PYLONTECH_1_3, 0x35E, "456E657267790000"),
        (Language.PYLONTECH_1_2, 0x351, "1402740E740ECC01"),
        (Language.PYLONTECH_1_2, 0x351, "2802F4012003E001"),
        (Language.PYLONTECH_1_2, 0x351, "9E027C016C07C601"),
        (Language.PYLONTECH_1_2, 0x356, "4E1302030405"),
        (Language.PYLONTECH_1_2, 0x356, "6C140400DC00"),
        (Language.PYLONTECH_1_2, 0x356, "6C140000DC00"),
        (Language.PYLONTECH_1_2, 0x355, "3C006400"),
        (Language.PYLONTECH_1_2, 0x359, "000000000A504E"),
        (Language.PYLONTECH_1_2, 0x359, "0000000001504E"),
        (Language.PYLONTECH_1_2, 0x35C, "C000"),
        (Language.PYLONTECH_1_2, 0x35E, "50594C4F4E202020"),
        (Language.DEYE, 0x359, "0000000001504E00"),
        (Language.DEYE, 0x35C, "C000000000000000"),
        (Language.DEYE, 0x35E, "4A4B2D424D530000"),
        (Language.DEYE, 0x370, "1E001D00F50DF30D"),
        (Language.DEYE, 0x371, "0400030001000400"),
        (Language.VICTRON, 0x355, "630064008E26"),
        (Language.VICTRON, 0x356, "521600002B01"),
        (Language.VICTRON, 0x35A, "A8A80200A8A80202"),
        (Language.VICTRON, 0x373, "F30DF40D2F013001"),
        (Language.VICTRON, 0x374, "30303A3A30320000"),
        (Language.VICTRON, 0x372, "0400010000000200"),
        (Language.VICTRON, 0x379, "2800"),
        (Language.GROWATT, 0x311, "0240017C01900002"),
        (Language.GROWATT, 0x313, "164B0000013D5664"),
        (Language.GROWATT, 0x314, "01AE01F400040003"),
        (Language.GROWATT, 0x319, "C00DF20DEE010700"),
        (Language.GROWATT, 0x320, "4A4B0F2600000000"),
    ],
)
def test_an_example_is_written_byte_for_byte(
    language: Language, code: int, data: str
) -> None:
    content = bytes.fromhex(data)
    layout = frame_of(language, code).layout
    said = layout.decode(content)
    assert layout.encode(said, len(content)) == content
    # What a JK sends has 8 bytes, filled up with zeros.
    assert layout.encode(said, LENGTH) == content.ljust(LENGTH, b"\0")


@pytest.mark.parametrize(
    ("language", "code", "values", "data"),
    [
        (Language.PYLONTECH_1_3, 0x351, {"charge_voltage_limit": 55.2, "charge_current_limit": 100.0, "discharge_current_limit": 100.0, "discharge_cutoff_voltage": 50.3}, "2802E803E803F701"),
        (Language.PYLONTECH_1_3, 0x355, {"state_of_charge": 26, "state_of_health": 100}, "1A00640000000000"),
        (Language.PYLONTECH_1_3, 0x356, {"total_voltage": 0.0, "current": 0.0, "average_temperature": 25.0}, "00000000FA000000"),
        (Language.PYLONTECH_1_3, 0x359, {"modules_total": 4, "packs_online_bits": 0x22}, "0000000004000022"),
        (Language.PYLONTECH_1_3, 0x35C, {"charge_enabled": True, "discharge_enabled": True}, "C000000000000000"),
        (Language.PYLONTECH_1_3, 0x35E, {"battery_maker": "Energy"}, "456E657267790000"),
        (Language.PYLONTECH_1_2, 0x351, {"charge_voltage_limit": 53.2, "charge_current_limit": 370.0, "discharge_current_limit": 370.0, "discharge_cutoff_voltage": 46.0}, "1402740E740ECC01"),
        (Language.PYLONTECH_1_2, 0x356, {"total_voltage": 49.42, "current": 77.0, "average_temperature": 128.4}, "4E13020304050000"),
        (Language.PYLONTECH_1_2, 0x359, {"modules_total": 10}, "000000000A504E00"),
        (Language.DEYE, 0x351, {"charge_voltage_limit": 55.2, "charge_current_limit": 50.0, "discharge_current_limit": 80.0, "discharge_cutoff_voltage": 48.0}, "2802F4012003E001"),
        (Language.DEYE, 0x355, {"state_of_charge": 60, "state_of_health": 100}, "3C00640000000000"),
        (Language.DEYE, 0x356, {"total_voltage": 52.28, "current": 0.4, "average_temperature": 22.0}, "6C140400DC000000"),
        (Language.DEYE, 0x359, {"modules_total": 1}, "0000000001504E00"),
        (Language.DEYE, 0x35E, {"battery_maker": "JK-BMS"}, "4A4B2D424D530000"),
        (Language.DEYE, 0x370, {"max_temperature": 30, "min_temperature": 29, "max_cell_voltage": 3.573, "min_cell_voltage": 3.571}, "1E001D00F50DF30D"),
        (Language.DEYE, 0x371, {"max_temperature_sensor": 4, "min_temperature_sensor": 3, "max_voltage_cell": 1, "min_voltage_cell": 4}, "0400030001000400"),
        (Language.PYLONTECH_1_3, 0x370, {"max_temperature": 30.0, "min_temperature": 29.0, "max_cell_voltage": 3.573, "min_cell_voltage": 3.571}, "2C012201F50DF30D"),
        (Language.SMA, 0x351, {"charge_voltage_limit": 67.0, "charge_current_limit": 38.0, "discharge_current_limit": 190.0, "discharge_cutoff_voltage": 45.4}, "9E027C016C07C601"),
        (Language.SMA, 0x35E, {"battery_maker": "SMA"}, "534D410000000000"),
        (Language.SMA, 0x35F, {"installed_capacity": 280.0}, "0000000018010000"),
        (Language.VICTRON, 0x355, {"state_of_charge": 99, "state_of_health": 100, "fine_state_of_charge": 98.7}, "630064008E260000"),
        (Language.VICTRON, 0x356, {"total_voltage": 57.14, "current": 0.0, "average_temperature": 29.9}, "521600002B010000"),
        (Language.VICTRON, 0x35A, {}, "A8A80200A8A80202"),
        (Language.VICTRON, 0x35F, {"software_version": "15.38", "capacity_remaining": 39.0}, "694C0F2627000000"),
        (Language.VICTRON, 0x360, {"force_charge": True}, "FF00000000000000"),
        (Language.VICTRON, 0x370, {"battery_maker": "JK-BMS"}, "4A4B2D424D530000"),
        (Language.VICTRON, 0x372, {"modules_online": 4, "modules_blocking_charge": 1, "modules_blocking_discharge": 0, "modules_offline": 2}, "0400010000000200"),
        (Language.VICTRON, 0x373, {"min_cell_voltage": 3.571, "max_cell_voltage": 3.572, "min_temperature": 30, "max_temperature": 31}, "F30DF40D2F013001"),
        (Language.VICTRON, 0x374, {"min_cell_voltage_place": "00::02"}, "30303A3A30320000"),
        (Language.VICTRON, 0x379, {"installed_capacity": 40.0}, "2800000000000000"),
        (Language.VICTRON, 0x380, {"serial_number": "2A0481234567"}, "3241303438313233"),
        (Language.VICTRON, 0x381, {"serial_number": "2A0481234567"}, "3435363700000000"),
        (Language.VICTRON, 0x382, {"battery_maker": "JK-BMS"}, "4A4B2D424D530000"),
        (Language.GROWATT, 0x311, {"charge_voltage_limit": 57.6, "charge_current_limit": 38.0, "discharge_current_limit": 40.0, "growatt_state": 2, "charge_enabled": True, "discharge_enabled": True}, "0240017C01900062"),
        (Language.GROWATT, 0x313, {"total_voltage": 57.07, "current": 0.0, "max_temperature": 31.7, "state_of_charge": 86, "state_of_health": 100}, "164B0000013D5664"),
        (Language.GROWATT, 0x314, {"capacity_remaining": 43.0, "full_charge_capacity": 50.0, "delta_cell_voltage": 0.004, "charging_cycles": 3}, "01AE01F400040003"),
        (Language.GROWATT, 0x319, {"charge_enabled": True, "discharge_enabled": True, "max_cell_voltage": 3.57, "min_cell_voltage": 3.566, "max_voltage_cell": 1, "min_voltage_cell": 7}, "C00DF20DEE010700"),
        (Language.GROWATT, 0x320, {"battery_maker": "JK", "software_version": "15.38"}, "4A4B0F2600000000"),
        (Language.GROWATT, 0x312, {"modules_total": 4, "battery_maker": "JK"}, "00000000044A4B00"),
        (Language.GROWATT, 0x322, {"max_temperature": 31.7, "min_temperature": -5.0}, "013DFFCE00000000"),
        (Language.GROWATT, 0x323, {"cell_count": 16}, "1000000000000000"),
        (Language.LUXPOWER, 0x355, {"state_of_charge": 50, "state_of_health": 99, "max_cell_voltage": 3.4, "min_cell_voltage": 3.3}, "32006300480DE40C"),
        (Language.LUXPOWER, 0x356, {"total_voltage": 53.0, "current": -10.0, "max_temperature": 22.0, "min_temperature": 20.0}, "B4149CFFDC00C800"),
        (Language.LUXPOWER, 0x359, {"modules_total": 2, "installed_capacity": 560.0}, "0000000002300200"),
        (Language.LUXPOWER, 0x35C, {"charge_enabled": True, "discharge_enabled": True, "charging_cycles": 12}, "C0000C0000000000"),
    ],
)  # fmt: skip
def test_values_are_written_as_they_were_seen(
    language: Language, code: int, values: dict[str, Any], data: str
) -> None:
    layout = frame_of(language, code).layout
    assert layout.encode(Decoded(values), LENGTH) == bytes.fromhex(data)


# -- both ways ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_read_is_written_and_read_alike(name: str) -> None:
    frame = FRAMES[name]
    random = Random(name)
    for _ in range(300):
        said = frame.decode(random.randbytes(LENGTH))
        again = frame.decode(frame.layout.encode(said, LENGTH))
        assert again == said


def places() -> Iterator[tuple[str, Any]]:
    """Yield every place that holds a value, by the name of its message."""
    for name, frame in FRAMES.items():
        for part in frame.layout.parts:
            yield name, part


@pytest.mark.parametrize(("name", "part"), places())
def test_every_place_gives_back_what_was_put_there(name: str, part: Any) -> None:
    random = Random(name)
    for _ in range(50):
        data = random.randbytes(LENGTH)
        values: dict[str, Any] = {}
        part.read(data, values)
        conditions = part.active(data) if hasattr(part, "active") else ()
        written = bytearray(LENGTH)
        if isinstance(part, FineCharge):
            # It means something beside the whole number alone.
            written[:2] = data[:2]
        part.write(Decoded(values, conditions, conditions), written)
        again: dict[str, Any] = {}
        part.read(bytes(written), again)
        assert again == values
        if conditions:
            assert part.active(bytes(written)) == conditions


def test_every_value_of_a_message_is_at_a_place_of_its_own() -> None:
    """One place written must leave every other one as it is."""
    for name, frame in FRAMES.items():
        taken = bytearray(LENGTH)
        for part in frame.layout.parts:
            if isinstance(part, Number):
                size = part.end - part.offset
                place = bytes(LENGTH - size)
                mask = place[: part.offset] + b"\xff" * size + place[part.offset :]
                assert not any(a & b for a, b in zip(taken, mask, strict=True)), name
                taken = bytearray(a | b for a, b in zip(taken, mask, strict=True))


def test_a_limit_is_never_rounded_to_more() -> None:
    assert [at_most(x) for x in (57.6 * 10, 57.69 * 10, 0.0, 38.0 * 10)] == [
        576,
        576,
        0,
        380,
    ]
    assert at_least(44.81 * 10) == 449
    layout = frame_of(Language.DEYE, 0x351).layout
    said = Decoded(
        {
            "charge_voltage_limit": 55.29,
            "charge_current_limit": 99.99,
            "discharge_current_limit": 100.06,
            "discharge_cutoff_voltage": 44.81,
        }
    )
    assert layout.encode(said, 8) == bytes.fromhex("2802E703E803C101")


@pytest.mark.parametrize(
    ("language", "code", "key", "value", "raw"),
    [
        (Language.DEYE, 0x356, "current", 3276.8, "0000FF7F00000000"),
        (Language.DEYE, 0x356, "current", 1e9, "0000FF7F00000000"),
        (Language.DEYE, 0x356, "current", -3276.9, "0000008000000000"),
        (Language.DEYE, 0x371, "min_voltage_cell", 65535, "000000000000FFFF"),
        (Language.DEYE, 0x371, "min_voltage_cell", 65536, "000000000000FFFF"),
        (Language.DEYE, 0x371, "min_voltage_cell", -1, "0000000000000000"),
        (Language.GROWATT, 0x312, "modules_total", 256, "00000000FF000000"),
        (Language.GROWATT, 0x314, "charging_cycles", 70_000, "000000000000FFFF"),
    ],
)
def test_a_number_that_does_not_fit_is_the_nearest_that_does(
    language: Language, code: int, key: str, value: float, raw: str
) -> None:
    layout = frame_of(language, code).layout
    assert layout.encode(Decoded({key: value}), 8) == bytes.fromhex(raw)


def test_what_is_unknown_is_left_empty() -> None:
    for frame in FRAMES.values():
        fixed = bytearray(LENGTH)
        for part in frame.layout.parts:
            if isinstance(part, Mark) or part.__class__.__name__ == "Pairs":
                part.write(Decoded(), fixed)
        assert frame.layout.encode(Decoded(), LENGTH) == bytes(fixed)


# -- others read it -------------------------------------------------------------------

_BY_DBC: Final = {message.frame_id for message in DBC.messages}
_IN_OTHER_WORDS: Final = {
    # Victron has a name there; the followers have units and places of their own.
    (Language.VICTRON, 0x370),
    (Language.VICTRON, 0x371),
    (Language.PYLONTECH_1_3, 0x370),
    (Language.LUXPOWER, 0x355),
    (Language.LUXPOWER, 0x356),
}


@pytest.mark.parametrize(
    ("language", "frame"),
    [
        pytest.param(language, frame, id=f"{language} {frame.id:03X}")
        for language, script in SCRIPTS.items()
        for frame in script.frames
        if frame.id in _BY_DBC and (language, frame.id) not in _IN_OTHER_WORDS
    ],
)
def test_the_dbc_reads_what_is_written(language: Language, frame: BankFrame) -> None:
    random = Random(f"{language}{frame.id}")
    for _ in range(100):
        said = frame.decode(random.randbytes(LENGTH))
        data = frame.layout.encode(said, LENGTH)
        theirs = DBC.get_message_by_frame_id(frame.id).decode_simple(
            data, decode_choices=False
        )
        alarms = {condition.key for condition in said.alarms}
        warnings = {c.key.replace("alarm_", "warning_") for c in said.warnings}
        for key, value in theirs.items():
            if key.startswith(("alarm_", "warning_")):
                active = value == 1 if frame.id == inverter.PAIRS else bool(value)
                assert active is (key in alarms | warnings), key
            elif key.startswith("force_charge_"):
                assert bool(value) is said.values["force_charge"]
            elif key in ("charge_output", "discharge_output"):
                continue
            elif isinstance(ours := said.values.get(key), int | float):
                assert value == pytest.approx(float(ours)), key
            else:
                # 0 K, or what stands for nothing.
                assert value in (0, -273), key


def test_the_dbc_describes_every_message_with_limits() -> None:
    assert {0x351, 0x355, 0x356, 0x359, 0x35A, 0x35C, 0x311, 0x312, 0x313} <= _BY_DBC


@pytest.mark.parametrize("language", Language)
def test_a_listener_knows_the_language_by_its_ids(language: Language) -> None:
    script = SCRIPTS[language]
    assert of_bank({frame.id for frame in script.frames}) is script.dialect


@pytest.mark.parametrize(
    ("language", "ids", "cycle"),
    [
        (Language.DEYE, "351 355 356 35C 35E 370 371 359", 0.8),
        (Language.PYLONTECH_1_3, "351 355 356 35C 35E 370 371 359", 0.8),
        (Language.PYLONTECH_1_2, "351 355 356 35C 35E 359", 0.6),
        (Language.LUXPOWER, "351 355 356 35C 35E 359", 0.6),
        (Language.SMA, "351 355 356 35A 35E 35F", 0.996),
        (Language.VICTRON, "351 355 356 35A 35E 35F 360 370 371 372 373 374 375 376 377 379 380 381 382", 0.76),
        (Language.GROWATT, "311 312 313 314 319 320 321 322 323", 0.18),
    ],
)  # fmt: skip
def test_order_and_pace_are_those_of_a_jk(
    language: Language, ids: str, cycle: float
) -> None:
    script = SCRIPTS[language]
    assert " ".join(f"{frame.id:03X}" for frame in script.frames) == ids
    assert script.cycle == pytest.approx(cycle)
    assert script.asked is (language is Language.GROWATT)


def test_a_language_is_stored_under_a_name_that_stays() -> None:
    assert [str(language) for language in Language] == [
        "pylontech_1_2",
        "pylontech_1_3",
        "deye",
        "sma",
        "victron",
        "luxpower",
        "growatt",
    ]


def test_a_victron_tells_a_condition_by_1_and_health_by_2() -> None:
    layout = frame_of(Language.VICTRON, 0x35A).layout
    high = alarm("battery_overvoltage")
    told = layout.encode(Decoded(alarms=(high,)), 8)
    assert told == bytes.fromhex("A4A80200A8A80202")
    assert layout.decode(told).alarms == (high,)
    warned = layout.encode(Decoded(warnings=(high,)), 8)
    assert layout.decode(warned).warnings == (high,)


def test_luxpower_tells_cells_and_temperatures_where_others_have_nothing() -> None:
    charge = frame_of(Language.LUXPOWER, 0x355).layout
    said = {"state_of_charge": 50.0, "state_of_health": 99.0}
    cells = {"max_cell_voltage": 3.4, "min_cell_voltage": 3.3}
    data = charge.encode(Decoded({**said, **cells}), 8)
    assert data == bytes.fromhex("32006300480DE40C")
    # Whoever takes it for Pylontech's does not take a cell for a state of charge.
    theirs = inverter.FRAMES[Dialect.PYLON][0x355].decode(data)
    assert theirs.values["fine_state_of_charge"] is None
