"""What the table of values becomes in Home Assistant, and the texts and icons for it."""

import json
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.components.number.const import (
    DEVICE_CLASS_UNITS as NUMBER_UNITS,
    NumberMode,
)
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.components.sensor.const import (
    DEVICE_CLASS_STATE_CLASSES,
    DEVICE_CLASS_UNITS as SENSOR_UNITS,
)
from homeassistant.const import EntityCategory
import pytest

from custom_components.jkbms.bank_descriptions import (
    BANK,
    BANK_SENSORS,
    BankSensorDescription,
)
from custom_components.jkbms.bus_descriptions import TRAFFIC
from custom_components.jkbms.descriptions import (
    BINARY_SENSORS,
    BUTTONS,
    EVENTS,
    MEANING,
    NUMBERS,
    SELECTS,
    SENSORS,
    SWITCHES,
    SYNC_CLOCK,
    PackDescription,
    PackSensorDescription,
    number_description,
)
from custom_components.jkbms.protocol.blocking import BLOCKS
from custom_components.jkbms.protocol.datum import Field, Firmware, Quantity, Role, Tier
from custom_components.jkbms.protocol.derived import DERIVED
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import BALANCER, CAN, FIELDS, TTL, settings
from custom_components.jkbms.protocol.insight import OVER_TIME

PACKAGE: Final = Path(__file__).parents[2] / "custom_components" / "jkbms"
KEYS: Final = Path(__file__).with_name("frozen_keys.txt")
PLATFORMS: Final[dict[str, tuple[PackDescription, ...]]] = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "event": EVENTS,
    "number": NUMBERS,
    "select": SELECTS,
    "sensor": SENSORS,
    "switch": SWITCHES,
}


def load(name: str) -> Any:
    """Read a JSON file of the integration."""
    return json.loads((PACKAGE / name).read_text(encoding="utf-8"))


def all_keys() -> list[str]:
    """Return what unique ids and entity ids are made of."""
    of_packs = [
        f"{platform} {description.key} {description.object_id}"
        for platform, descriptions in PLATFORMS.items()
        for description in descriptions
    ]
    of_traffic = [
        f"{platform if d.of_pack else f'bus_{platform}'} {d.key} {d.key}"
        for platform, descriptions in TRAFFIC.items()
        for d in descriptions
    ]
    of_banks = [
        f"bank_{platform} {d.key} {d.key}"
        for platform, descriptions in BANK.items()
        for d in descriptions
    ]
    return sorted((*of_packs, *of_traffic, *of_banks))


def test_keys_stay_as_they_were_released() -> None:
    """A new key is added to the file; a key that is in it never goes and never changes."""
    assert KEYS.read_text(encoding="utf-8").splitlines() == all_keys()


def test_no_two_entities_of_a_pack_share_a_key_or_an_entity_id() -> None:
    lines = all_keys()
    assert len({line.rsplit(" ", 1)[0] for line in lines}) == len(lines)
    assert len({(line.split()[0], line.split()[2]) for line in lines}) == len(lines)


def test_every_quantity_means_something() -> None:
    assert set(MEANING) == set(Quantity)


def test_every_value_that_is_shown_has_an_entity_and_no_other_has_one() -> None:
    shown = {
        d.key
        for d in (*FIELDS, *DERIVED, *CAN, *TTL)
        if d.role in (Role.MEASUREMENT, Role.DIAGNOSTIC, Role.SETTING)
    }
    assert {d.datum.key for d in (*SENSORS, *BINARY_SENSORS)} == shown | {
        "online",
        "bms_clock_drift",
        "settings_differ",
        *(block.key for block in BLOCKS),
        *(datum.key for datum in OVER_TIME),
    }
    controls = [d.datum.key for d in (*NUMBERS, *SELECTS, *SWITCHES)]
    assert len(set(controls)) == len(controls)
    assert set(controls) == {
        field.key
        for field in FIELDS
        if field.offered and not (field.options and field.tier is Tier.DANGER)
    }


def test_every_setting_has_a_twin_that_only_shows_it() -> None:
    twins = {d.datum.key: d for d in (*SENSORS, *BINARY_SENSORS) if d.twin}
    only_shown = {datum.key for datum in TTL if datum.role is Role.SETTING}
    assert set(twins) == {field.key for field in settings()} | only_shown
    for key, twin in twins.items():
        assert twin.key == f"{key}_set"
        assert twin.entity_category is EntityCategory.DIAGNOSTIC


def test_every_control_is_a_setting_to_configure() -> None:
    for description in (*NUMBERS, *SELECTS, *SWITCHES):
        assert description.entity_category is EntityCategory.CONFIG
        assert isinstance(description.datum, Field)
        assert description.datum.role is Role.SETTING


def test_live_values_have_no_category() -> None:
    live = {
        d.key: d.entity_category
        for d in (*SENSORS, *BINARY_SENSORS)
        if d.datum.role is Role.MEASUREMENT
    }
    assert set(live.values()) == {None}
    assert {"total_voltage", "cell_voltage_1", "charging", "problem"} <= set(live)


def test_units_and_state_classes_are_such_as_home_assistant_takes() -> None:
    for d in (*SENSORS, *BANK_SENSORS):
        if d.device_class is None:
            continue
        units = SENSOR_UNITS.get(d.device_class, {None})
        assert d.native_unit_of_measurement in units, d.key
        if d.suggested_unit_of_measurement is not None:
            assert d.suggested_unit_of_measurement in units, d.key
        if d.state_class is not None:
            assert d.state_class in DEVICE_CLASS_STATE_CLASSES[d.device_class], d.key
    for n in NUMBERS:
        if n.device_class is not None:
            assert n.native_unit_of_measurement in NUMBER_UNITS[n.device_class], n.key


def test_settings_leave_no_statistics() -> None:
    assert {d.state_class for d in SENSORS if d.twin} == {None}


def test_sensors_with_choices_are_enumerations_and_no_others_are() -> None:
    for d in SENSORS:
        assert (d.device_class is SensorDeviceClass.ENUM) == bool(d.options), d.key


@pytest.mark.parametrize("sensors", [SENSORS, BANK_SENSORS])
def test_one_sensor_is_the_battery(
    sensors: tuple[PackSensorDescription | BankSensorDescription, ...],
) -> None:
    assert [d.key for d in sensors if d.device_class is SensorDeviceClass.BATTERY] == [
        "state_of_charge"
    ]


def test_numbers_are_typed_within_the_limits_of_their_setting() -> None:
    for d in NUMBERS:
        limits = d.datum.limits
        assert limits is not None
        assert (d.native_min_value, d.native_max_value, d.native_step) == (
            limits.minimum,
            limits.maximum,
            limits.step,
        )
        assert d.mode is NumberMode.BOX


def test_choices_offer_what_their_setting_can_be_and_none_that_can_do_harm() -> None:
    assert {d.key: tuple(d.options or ()) for d in SELECTS} == {
        field.key: field.options
        for field in FIELDS
        if field.writable and field.options and field.tier is Tier.EVERYDAY
    }
    assert len(SELECTS) == 3


@pytest.mark.parametrize(
    ("firmware", "settable"),
    [("14.16", False), ("14.17", True), ("15.41", True), (None, False)],
)
def test_a_clock_can_be_set_where_the_firmware_is_known_to_have_the_register(
    firmware: str | None, settable: bool
) -> None:
    features = Features(
        cells=(1,), probes=(), heater=False, firmware=Firmware.parse(firmware)
    )
    fitting = [d.key for d in BUTTONS if d.fits(features)]
    assert (SYNC_CLOCK.key in fitting) is settable
    assert "refresh_settings" in fitting


def test_a_setting_without_limits_is_no_number() -> None:
    with pytest.raises(ValueError, match="balancer has no limits"):
        number_description(BALANCER)


@pytest.mark.parametrize("heater", [True, False])
def test_what_belongs_to_a_heater_starts_out_enabled_where_one_is_fitted(
    heater: bool,
) -> None:
    features = Features(cells=(1,), probes=(), heater=heater, firmware=None)
    enabled = {
        d.key: d.enabled(features)
        for descriptions in PLATFORMS.values()
        for d in descriptions
        if d.key in ("heating", "heating_current", "heater", "heater_set")
    }
    assert enabled == dict.fromkeys(
        ("heating", "heating_current", "heater", "heater_set"), heater
    )


def test_a_twin_may_be_enabled_where_its_control_is_not() -> None:
    features = Features(cells=(1,), probes=(), heater=False, firmware=None)
    [control] = [d for d in NUMBERS if d.key == "total_battery_capacity_setting"]
    [twin] = [d for d in SENSORS if d.key == "total_battery_capacity_setting_set"]
    assert not control.enabled(features)
    assert twin.enabled(features)


def test_every_entity_has_its_english_name() -> None:
    texts = load("translations/en.json")["entity"]
    for platform, descriptions in PLATFORMS.items():
        for d in descriptions:
            text = texts[platform][d.translation_key]
            assert text["name"] == d.label
            placeholders = set(re.findall(r"{(\w+)}", text["name"]))
            assert placeholders == set(d.translation_placeholders or {}), d.key
            assert set(text.get("state", {})) == set(d.datum.options), d.key
        traffic = TRAFFIC.get(platform, ())
        for t in traffic:
            text = texts[platform][t.translation_key]
            assert text["name"] == t.label
            assert text.get("state", {}) == (t.texts or {})
        of_banks = BANK.get(platform, ())
        for b in of_banks:
            text = texts[platform][b.translation_key]
            assert text["name"] == b.label
            assert text.get("state", {}) == (b.texts or {})
            if isinstance(b, BankSensorDescription):
                assert b.options == (list(b.texts) if b.texts else None)
        assert set(texts[platform]) == {
            d.translation_key for d in (*descriptions, *traffic, *of_banks)
        }


def test_no_two_entities_of_a_platform_have_the_same_name() -> None:
    for descriptions in PLATFORMS.values():
        names = [
            d.label.format(**(d.translation_placeholders or {})) for d in descriptions
        ]
        assert len(set(names)) == len(names)
    for of_bank in BANK.values():
        assert len({d.label for d in of_bank}) == len(of_bank)


def test_every_entity_that_no_class_draws_has_an_icon_and_no_other_needs_one() -> None:
    icons = load("icons.json")["entity"]
    for platform, descriptions in PLATFORMS.items():
        classless = {
            d.translation_key
            for d in descriptions
            if d.device_class in (None, SensorDeviceClass.ENUM)
        }
        classless |= {
            t.translation_key
            for t in TRAFFIC.get(platform, ())
            if t.device_class in (None, SensorDeviceClass.ENUM)
        }
        classless |= {
            b.translation_key
            for b in BANK.get(platform, ())
            if b.device_class in (None, SensorDeviceClass.ENUM)
        }
        assert set(icons[platform]) == classless, platform


def test_icons_of_states_are_of_states_that_exist() -> None:
    icons = load("icons.json")["entity"]
    for platform, descriptions in PLATFORMS.items():
        options = (
            {d.translation_key: {*d.datum.options, "on", "off"} for d in descriptions}
            | {
                t.translation_key: {*(t.texts or ()), "on", "off"}
                for t in TRAFFIC.get(platform, ())
            }
            | {b.translation_key: set[str]() for b in BANK.get(platform, ())}
        )
        for key, icon in icons[platform].items():
            assert set(icon.get("state", {})) <= options[key]
