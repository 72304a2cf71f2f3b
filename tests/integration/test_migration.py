"""What predecessors call their entities leads to entities that exist; without a recorder ids move all the same."""

from typing import Final

from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.util import slugify
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.descriptions import (
    BINARY_SENSORS,
    NUMBERS,
    SELECTS,
    SENSORS,
    SWITCHES,
)
from custom_components.jkbms.migration.names import PREDECESSORS, Predecessor, match
from custom_components.jkbms.migration.plan import in_order

from .bus import entity_id, set_up, subentry_id

KEYS: Final = {
    description.key
    for table in (SENSORS, BINARY_SENSORS, NUMBERS, SWITCHES, SELECTS)
    for description in table
}


@pytest.mark.parametrize("predecessor", PREDECESSORS, ids=lambda one: one.platform)
def test_every_name_leads_to_an_entity_of_ours(predecessor: Predecessor) -> None:
    keys = {(key or "").replace("{n}", "1") for key in predecessor.names.values()}
    unknown = {key for key in keys - {""} if not {key, f"{key}_set"} & KEYS}
    assert unknown == set()
    assert predecessor.unsigned <= KEYS


@pytest.mark.parametrize("predecessor", PREDECESSORS, ids=lambda one: one.platform)
def test_every_name_is_found_at_the_end_of_an_id(predecessor: Predecessor) -> None:
    for name, key in predecessor.names.items():
        text = f"bms_1_{name}".replace("{n}", "07")
        wanted = key and key.replace("{n}", "7")
        assert predecessor.find(text) == ("bms_1", wanted), text


@pytest.mark.parametrize(
    ("entity", "platform", "unique_id", "prefix", "key"),
    [
        (
            "sensor.bms_1_bms_1_alarm_list",
            "mqtt",
            "whatever",
            "bms_1",
            "errors",
        ),
        (
            "number.bms_master_bms_cell_count",
            "mqtt",
            "whatever",
            "bms_master",
            "cell_count",
        ),
        # An id that its owner has changed is known by the unique id.
        (
            "sensor.rack_voltage",
            "mqtt",
            "jk_bms_1_total_voltage",
            "jk_bms_1",
            "total_voltage",
        ),
        (
            f"sensor.{slugify('JK BMS 1 电池总电压')}",
            "mqtt",
            "x",
            "jk_bms_1",
            "total_voltage",
        ),
        (
            f"sensor.{slugify('JK BMS 1 07單體電壓')}",
            "mqtt",
            "x",
            "jk_bms_1",
            "cell_voltage_7",
        ),
        (
            "sensor.gateway_rs485_bms1_cell_voltage_01",
            "esphome",
            "x",
            "gateway_rs485_bms1",
            "cell_voltage_1",
        ),
        (
            "sensor.jk_b2a24s_stored_energy",
            "bms_ble",
            "x",
            "jk_b2a24s",
            "remaining_energy",
        ),
    ],
)
def test_an_entity_is_recognised(
    hass: HomeAssistant,
    entity: str,
    platform: str,
    unique_id: str,
    prefix: str,
    key: str,
) -> None:
    domain, object_id = entity.split(".")
    entry = er.async_get(hass).async_get_or_create(
        domain, platform, unique_id, suggested_object_id=object_id
    )
    found = [(one.prefix, one.key) for one in match(entity, entry)]
    assert (prefix, key) in found


def test_what_another_integration_has_is_none_of_a_predecessor(
    hass: HomeAssistant,
) -> None:
    entry = er.async_get(hass).async_get_or_create("sensor", "shelly", "x_voltage")
    assert list(match("sensor.garage_voltage", entry)) == []
    assert list(match("sensor.bms_1_something", None)) == []


def test_each_id_is_free_when_its_turn_comes() -> None:
    # The entity that has "b" goes to "a" first.
    assert in_order({"b": "c", "a": "b"}) == (["a", "b"], [])
    assert in_order({"a": "b", "b": "a", "c": "d"}) == (["c"], ["a", "b"])


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


async def test_without_a_recorder_ids_are_taken_over_all_the_same(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    old = "sensor.bms_1_soc_pourcentage"
    er.async_get(hass).async_get_or_create(
        "sensor", "mqtt", "x", suggested_object_id=old.removeprefix("sensor.")
    )
    new = entity_id(hass, "sensor", 1, "state_of_charge")
    assert new is not None
    proposal = await hass.services.async_call(
        DOMAIN, "migrate_entities", {}, blocking=True, return_response=True
    )
    assert proposal is not None
    # One entity alone could be anything.
    assert proposal["sources"] == []
    answer = await hass.services.async_call(
        DOMAIN,
        "migrate_entities",
        {"entities": {old: new}, "dry_run": False},
        blocking=True,
        return_response=True,
    )
    await hass.async_block_till_done()
    assert answer is not None
    assert entity_id(hass, "sensor", 1, "state_of_charge") == old
    state = hass.states.get(old)
    assert state is not None
    assert state.state not in ("unavailable", "unknown")
    undo = answer["undo"]
    await hass.services.async_call(
        DOMAIN, "migrate_entities", {"entities": undo, "dry_run": False}, blocking=True
    )
    await hass.async_block_till_done()
    assert entity_id(hass, "sensor", 1, "state_of_charge") == new
    assert er.async_get(hass).async_get_entity_id("sensor", "mqtt", "x") == old
    assert subentry_id(1) in loaded.subentries


async def test_an_alarm_takes_over_an_id_and_not_what_was_stored_for_it(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    old = "binary_sensor.bms_1_alarm"
    stored = {"active": True, "since": None, "count": 99}
    mock_restore_cache_with_extra_data(hass, [(State(old, "on"), stored)])
    await set_up(hass, entry)
    new = entity_id(hass, "binary_sensor", 1, "alarm_cell_overvoltage")
    assert new is not None
    er.async_get(hass).async_update_entity(new, new_entity_id=old)
    await hass.async_block_till_done()
    state = hass.states.get(old)
    assert state is not None
    assert state.attributes["count"] == 0
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
