"""What does not fit is refused or told before anything is done."""

from datetime import timedelta

from homeassistant.components.recorder.models import StatisticData
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator

from .recorded import (
    HOUR,
    OLD,
    compiled,
    metadata,
    migrate,
    old_entity,
    ours,
    statistics,
    taken_over,
    tell,
    this_hour,
)

# -- units and signs ------------------------------------------------------------------


async def test_a_value_is_shown_in_the_unit_that_dashboards_know(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old = "sensor.rack_cell_1"
    old_entity(hass, old, unit="mV")
    new = ours(hass, "cell_voltage_1")
    state = hass.states.get(new)
    assert state is not None
    answer = await taken_over(hass, old, new)
    assert "shown in mV" in answer["entities"][0]["notes"][0]
    shown = hass.states.get(old)
    assert shown is not None
    assert shown.attributes["unit_of_measurement"] == "mV"
    assert float(shown.state) == pytest.approx(float(state.state) * 1000)
    # Taken back, it is what it was.
    await compiled(
        hass,
        metadata(new, "V", "voltage"),
        [StatisticData(start=this_hour() - HOUR, mean=3.3)],
        [],
    )
    await migrate(hass, entities=answer["undo"], dry_run=False)
    back = hass.states.get(new)
    assert back is not None
    assert back.attributes["unit_of_measurement"] == "V"


@pytest.mark.parametrize(
    ("unit", "stored", "note"),
    [(None, False, "numbers mean the same"), ("v", False, "numbers mean the same")],
)
async def test_a_unit_that_is_not_known_is_told(
    hass: HomeAssistant, bus: BusCoordinator, unit: str | None, stored: bool, note: str
) -> None:
    old_entity(hass, unit=unit)
    answer = await migrate(hass, entities={OLD: ours(hass, "total_voltage")})
    (one,) = answer["entities"]
    assert one["problems"] == []
    assert note in one["notes"][0]


async def test_a_control_is_shown_in_the_old_unit_too(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old = "number.bms_1_bms_balance_starting_voltage"
    old_entity(hass, old, unit="mV")
    new = ours(hass, "balance_starting_voltage", "number")
    answer = await taken_over(hass, old, new)
    assert "shown in mV" in answer["entities"][0]["notes"][0]
    entry = er.async_get(hass).async_get(old)
    assert entry is not None
    assert entry.options["number"] == {"unit_of_measurement": "mV"}


@pytest.mark.parametrize(
    ("old", "platform", "key", "words"),
    [
        ("sensor.my_power", "template", "power", "the other way round"),
        ("sensor.my_current", "template", "current", "the other way round"),
        ("sensor.bms_1_puissance_totale", "mqtt", "power", "without a sign"),
        ("sensor.bms_1_courant_total", "mqtt", "current", None),
        ("sensor.bms_1_soc_pourcentage", "mqtt", "state_of_charge", None),
    ],
)
async def test_a_sign_that_may_differ_is_told(
    hass: HomeAssistant,
    bus: BusCoordinator,
    old: str,
    platform: str,
    key: str,
    words: str | None,
) -> None:
    unit = er.async_get(hass).async_get(ours(hass, key))
    assert unit is not None
    old_entity(hass, old, platform=platform, unit=unit.unit_of_measurement)
    answer = await migrate(hass, entities={old: ours(hass, key)})
    notes = " ".join(answer["entities"][0]["notes"])
    assert notes == "" if words is None else words in notes


@pytest.mark.parametrize(
    ("key", "total", "words"),
    [
        ("charging_cycles", False, "of different kinds"),
        ("balance_trigger_voltage_set", False, "no long-term statistics"),
    ],
)
async def test_statistics_of_another_kind_are_told_and_kept(
    hass: HomeAssistant, bus: BusCoordinator, key: str, total: bool, words: str
) -> None:
    new = ours(hass, key)
    entry = er.async_get(hass).async_update_entity(new, disabled_by=None)
    old = "sensor.something"
    meta = metadata(old, "V", "voltage", total=total)
    meta["unit_of_measurement"] = entry.unit_of_measurement
    if entry.unit_of_measurement is None:
        meta["unit_class"] = None
    row = StatisticData(start=this_hour() - HOUR, mean=3.0)
    await compiled(hass, meta, [row], [row])
    answer = await taken_over(hass, old, new)
    assert words in " ".join(answer["entities"][0]["notes"])
    assert await statistics(hass, old, "mean") == [3.0]


# -- refusals -------------------------------------------------------------------------


async def refused(hass: HomeAssistant, entities: dict[str, str], words: str) -> None:
    """Expect that nothing is done, whatever the action is asked for."""
    before = {one: entry.id for one, entry in er.async_get(hass).entities.items()}
    answer = await migrate(hass, entities=entities, dry_run=False)
    said = [text for one in answer["entities"] for text in one["problems"]]
    assert any(words in text for text in said), said
    assert answer["undo"] == {}
    assert {
        one: entry.id for one, entry in er.async_get(hass).entities.items()
    } == before
    with pytest.raises(HomeAssistantError, match=words):
        await hass.services.async_call(
            DOMAIN,
            "migrate_entities",
            {"entities": entities, "dry_run": False},
            blocking=True,
        )


async def test_a_misspelt_id_is_refused(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    await refused(hass, {OLD: ours(hass, "total_voltage")}, "Check the spelling")


async def test_only_entities_of_ours_take_over(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    other = old_entity(hass, "sensor.other").entity_id
    await refused(hass, {OLD: other}, "no entity of JK BMS")
    await refused(hass, {OLD: "sensor.nobody"}, "no entity of JK BMS")


async def test_one_entity_does_not_take_over_two_ids(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    old_entity(hass, "sensor.second")
    new = ours(hass, "total_voltage")
    await refused(hass, {OLD: new, "sensor.second": new}, "named twice")


async def test_two_entities_do_not_swap(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    one, other = ours(hass, "total_voltage"), ours(hass, "delta_cell_voltage")
    await refused(hass, {one: other, other: one}, "in a circle")


async def test_a_kind_of_entity_never_changes(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass, "sensor.bms_1_heating", unit=None)
    new = ours(hass, "charging", "binary_sensor")
    await refused(hass, {"sensor.bms_1_heating": new}, "before the dot")


async def test_an_entity_from_yaml_is_not_renamed(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    hass.states.async_set(OLD, "52")
    await refused(hass, {OLD: ours(hass, "total_voltage")}, "set up in YAML")


async def test_an_entity_that_still_tells_values_keeps_its_id(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    hass.states.async_set(OLD, "52.1")
    await refused(hass, {OLD: ours(hass, "total_voltage")}, "still tells values")
    hass.states.async_remove(OLD)
    tell(hass, OLD, "52.1", dt_util.utcnow() - timedelta(minutes=6))
    answer = await migrate(hass, entities={OLD: ours(hass, "total_voltage")})
    assert answer["entities"][0]["problems"] == []


async def test_ours_do_not_push_each_other_away(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    voltage, delta = ours(hass, "total_voltage"), ours(hass, "delta_cell_voltage")
    await refused(hass, {voltage: delta}, "entity of JK BMS itself")


async def test_a_disabled_entity_takes_over_nothing(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old = "sensor.bms_1_cell_1_ohm"
    old_entity(hass, old, unit="mΩ")
    await refused(hass, {old: ours(hass, "cell_resistance_1")}, "Enable it first")


async def test_a_unit_that_cannot_be_converted_is_refused(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass, unit="A")
    await refused(hass, {OLD: ours(hass, "total_voltage")}, "cannot convert")


async def test_statistics_without_a_unit_are_not_continued_with_one(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    meta = metadata(OLD, "V", "voltage")
    meta["unit_of_measurement"] = meta["unit_class"] = None
    await compiled(hass, meta, [StatisticData(start=this_hour() - HOUR, mean=5.0)], [])
    await refused(hass, {OLD: ours(hass, "total_voltage")}, "cannot convert")


async def test_one_fault_stops_all(hass: HomeAssistant, bus: BusCoordinator) -> None:
    old_entity(hass)
    entities = {
        OLD: ours(hass, "total_voltage"),
        "sensor.typo": ours(hass, "current"),
    }
    await refused(hass, entities, "Check the spelling")


async def test_nothing_named_is_nothing_to_do(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    with pytest.raises(ServiceValidationError, match="Name the entities"):
        await migrate(hass, dry_run=False)
