"""The table of values against two others: the simulator's, and that of docs/rs485.md.

The captures say little about values that were small or zero when they were taken: a
wrong sign or scale of those shows here.
"""

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Bit, Scaled
from custom_components.jkbms.protocol.datum import Field, Quantity, Role, Tier
from custom_components.jkbms.protocol.fields import DEVICE, FIELDS, settings, writable
from simulator.registers import ITEMS, Item, Kind

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "rs485.md"
BY_ADDRESS: Final = {item.address: item for item in ITEMS.values()}
MASKS: Final = {0x1119, 0x111A, 0x1319, 0x1519}
"""Bits whose meaning nobody knows: one run of bytes here, cut or left out there."""
RESERVED: Final = {0x12D2, 0x12EE, 0x130E}


KNOWN: Final = [f for f in FIELDS if f.address not in MASKS | RESERVED]


def item_of(field: Field[Any]) -> Item:
    return BY_ADDRESS[field.address]


@pytest.mark.parametrize("field", KNOWN, ids=lambda field: field.key)
def test_a_row_has_the_place_and_the_wire_type_of_the_other_table(
    field: Field[Any],
) -> None:
    item = item_of(field)
    code = field.codec.code
    if item.kind is Kind.RAW:
        assert code == f"{item.size}s"
    elif field.role is not Role.SECRET:
        assert code == item.kind


def test_both_tables_know_the_same_places() -> None:
    assert BY_ADDRESS.keys() - MASKS == {field.address for field in KNOWN}


@pytest.mark.parametrize("field", writable(), ids=lambda field: field.key)
def test_the_limits_of_a_setting_are_those_that_a_pack_enforces(
    field: Field[Any],
) -> None:
    item = item_of(field)
    assert item.writable
    if field.options:
        # A pack knows more protocols than have a name.
        assert item.minimum == 0
        assert len(field.options) - 1 <= (item.maximum or 0) <= 31
        return
    if field.limits is None:
        wanted = (0, 0xFFFF) if isinstance(field.codec, Bit) else (0, 1)
        assert (item.minimum, item.maximum) == wanted
        return
    lowest, highest = map(
        field.codec.encode, (field.limits.minimum, field.limits.maximum)
    )
    assert highest == item.maximum
    # A real pack has refused an RCV time of 0, which JK's own application offers
    # (rs485.md 2.9): the pack shall say so.
    assert lowest == (0 if field.key == "cell_request_charge_time" else item.minimum)


# -- docs/rs485.md ----------------------------------------------------------------------

DIVISORS: Final = {
    "mV": 1000,
    "mA": 1000,
    "mW": 1000,
    "mAh": 1000,
    "µΩ": 1000,
    "0.1 °C": 10,
    "0.1 s": 10,
    "10 mV": 100,
}
"""What turns a raw value into V, A, W, Ah, mΩ, °C or s."""


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield registers, type and unit of the rows of the sections 2.5 and 2.6."""
    text = REFERENCE.read_text(encoding="utf-8")
    section = text[text.index("### 2.5 ") : text.index("### 2.7 ")]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| 0x"):
            yield cells[0], cells[1], cells[3]


def addresses(registers: str, kind: str) -> list[int]:
    """Return where the values of a row are; of an array, where it begins."""
    named = [int(word, 16) for word in re.findall(r"0x([0-9A-F]{4})", registers)]
    size = int(re.findall(r"[uif](\d+)", kind)[0]) // 8
    if "…" in registers:
        return list(range(named[0], named[1] + 1, size))
    if "u8, u8" in kind or "2 ×" in kind:
        return [named[0], named[0] + 1]
    return named


def described() -> Iterator[tuple[int, str, str]]:
    """Yield address, type and unit of each value that the reference describes."""
    for registers, kind, unit in rows():
        places = addresses(registers, kind)
        units = unit.split(", ")
        if len(units) == 1:
            units *= len(places)
        (code, *_) = re.findall(r"[uif]\d+", kind)
        for place, of_place in zip(places, units, strict=True):
            yield place, code, of_place


@pytest.mark.parametrize(
    ("address", "kind", "unit"),
    described(),
    ids=lambda value: f"{value:#06x}" if isinstance(value, int) else str(value),
)
def test_a_row_has_the_type_and_the_scale_of_the_reference(
    address: int, kind: str, unit: str
) -> None:
    fields = [field for field in KNOWN if field.address == address]
    assert fields or address in range(0x111A, 0x1122), "a value without a row"
    for field in fields:
        assert (
            field.codec.code
            == {
                "u8": "B",
                "i8": "b",
                "u16": "H",
                "i16": "h",
                "u32": "I",
                "i32": "i",
                "f32": "f",
            }[kind]
        )
        divisor = field.codec.divisor if isinstance(field.codec, Scaled) else 1
        assert divisor == DIVISORS.get(unit, 1)


def test_the_alike_are_written_alike() -> None:
    codecs: dict[str, set[object]] = {}
    for field in FIELDS:
        if field.index is not None:
            codecs.setdefault(field.template, set()).add(field.codec)
    assert {len(each) for each in codecs.values()} == {1}


UNIT_OF_RAW: Final = {
    Quantity.PACK_VOLTAGE: {"mV"},
    Quantity.CELL_VOLTAGE: {"mV"},
    Quantity.CURRENT: {"mA"},
    Quantity.POWER: {"mW"},
    Quantity.CHARGE: {"mAh"},
    Quantity.CHARGE_THROUGHPUT: {"mAh"},
    Quantity.RESISTANCE: {"mΩ", "µΩ"},
    Quantity.TEMPERATURE: {"0.1 °C", "°C"},
    Quantity.SECONDS: {"s"},
    Quantity.RUN_TIME: {"s"},
    Quantity.MICROSECONDS: {"µs"},
    Quantity.HOURS: {"h"},
    Quantity.PERCENTAGE: {"%"},
    Quantity.STATE_OF_CHARGE: {"%"},
}


def test_a_quantity_is_measured_in_its_unit() -> None:
    units = {address: unit for address, _, unit in described()}
    for field in FIELDS:
        if field.role is not Role.RAW and field.address in units:
            allowed = UNIT_OF_RAW.get(field.quantity)
            assert allowed is None or units[field.address] in allowed, field.key


def test_the_times_of_the_charge_phases_alone_are_scaled_in_the_device_block() -> None:
    scaled = {
        field.key: field.codec.divisor
        for field in DEVICE
        if isinstance(field.codec, Scaled) and field.codec.divisor != 1
    }
    assert scaled == {"cell_request_charge_time": 10, "cell_request_float_time": 10}


SWITCH_WORD_NAMES: Final = (
    "heater",
    "disable_temperature_sensors",
    "gps_heartbeat",
    "port_switch",
    "display_always_on",
    "special_charger",
    "smart_sleep",
    "disable_pcl_module",
    "timed_stored_data",
    "charging_float_mode",
    "button_emergency",
    "dry_contact_intermittent",
    "discharge_ocp_2",
    "discharge_ocp_3",
    "gps_lock_charging",
    "gps_lock_discharging",
)
"""The bits of 0x1114, lowest first (rs485.md 2.5)."""


def test_each_bit_of_the_switch_word_is_the_one_the_vendor_names() -> None:
    bits = {
        field.codec.bit: field.key
        for field in FIELDS
        if isinstance(field.codec, Bit) and field.address == 0x1114
    }
    assert bits == dict(enumerate(SWITCH_WORD_NAMES))


def test_what_is_a_danger_has_no_control() -> None:
    offered = {
        field.codec.bit
        for field in writable()
        if isinstance(field.codec, Bit) and field.offered
    }
    assert offered == {0, 4, 6, 7, 8, 9}
    assert {field.template for field in writable() if not field.offered} == {
        "connection_resistance",
        "disable_temperature_sensors",
        "gps_heartbeat",
        "port_switch",
        "special_charger",
        "uart1_protocol",
        "can_protocol",
    }


EVERYDAY: Final = frozenset(
    [
        "charging_switch",
        "discharging_switch",
        "balancer",
        "charging_float_mode",
        "heater",
        "smart_sleep",
        "display_always_on",
        "timed_stored_data",
        "balance_trigger_voltage",
        "balance_starting_voltage",
        "max_balance_current",
        "smart_sleep_voltage",
        "soc_100_voltage",
        "soc_0_voltage",
        "cell_request_charge_voltage",
        "cell_request_float_voltage",
        "cell_request_charge_time",
        "cell_request_float_time",
        "smart_sleep_time",
        "lcd_buzzer_trigger",
        "lcd_buzzer_value",
        "lcd_buzzer_release",
        "dry_1_trigger",
        "dry_1_value",
        "dry_1_release",
        "dry_2_trigger",
        "dry_2_value",
        "dry_2_release",
        "data_stored_period",
    ]
)
DANGER: Final = frozenset(
    [
        "special_charger",
        "gps_heartbeat",
        "disable_temperature_sensors",
        "port_switch",
        "uart1_protocol",
        "can_protocol",
        "device_address",
    ]
)


def test_every_setting_has_its_tier() -> None:
    """What guards the cells is a protection; what is written down here is not."""
    tiers = {field.template: field.tier for field in FIELDS if field.tier is not None}
    assert {key for key, tier in tiers.items() if tier is Tier.EVERYDAY} == EVERYDAY
    assert {key for key, tier in tiers.items() if tier is Tier.DANGER} == DANGER
    assert {"cell_ovp", "cell_count", "max_charge_current", "precharge_time"} <= {
        key for key, tier in tiers.items() if tier is Tier.PROTECTION
    }


def test_what_has_no_known_scale_is_not_written() -> None:
    assert {field.template for field in settings() if not field.writable} == {
        "device_address",
        *(
            f"{key}_{part}"
            for key in ("lcd_buzzer", "dry_1", "dry_2")
            for part in ("value", "release")
        ),
    }
