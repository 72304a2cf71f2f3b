"""What seems to belong together is proposed, and never carried out unasked."""

from homeassistant.components.recorder.models import StatisticData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from custom_components.jkbms.coordinator import BusCoordinator

from .recorded import (
    HOUR,
    OLD,
    compiled,
    metadata,
    migrate,
    old_entity,
    ours,
    record,
    this_hour,
)

# -- proposals ------------------------------------------------------------------------


async def test_a_proposal_is_made_and_never_carried_out(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    for name, unit in (
        ("courant_total", "A"),
        ("soc_pourcentage", "%"),
        ("cell_1_volt", "V"),
        ("sonde_3_temp", "°C"),
        ("total_runtime_formatted", None),
        ("bms_1_alarm_list", None),
    ):
        old_entity(hass, f"sensor.bms_1_{name}", unit=unit)
    old_entity(hass, "number.bms_1_bms_balance_starting_voltage")
    old_entity(hass, "sensor.garage_temperature", unit="°C")
    before = set(er.async_get(hass).entities)
    answer = await migrate(hass)
    (source,) = answer["sources"]
    assert source["prefix"] == "bms_1"
    assert source["pack"] == "Pack 1"
    assert answer["proposal"] == {
        OLD: ours(hass, "total_voltage"),
        "sensor.bms_1_courant_total": ours(hass, "current"),
        "sensor.bms_1_soc_pourcentage": ours(hass, "state_of_charge"),
        "sensor.bms_1_cell_1_volt": ours(hass, "cell_voltage_1"),
        "sensor.bms_1_sonde_3_temp": ours(hass, "temperature_sensor_4"),
        "sensor.bms_1_bms_1_alarm_list": ours(hass, "errors"),
        "number.bms_1_bms_balance_starting_voltage": ours(
            hass, "balance_starting_voltage", "number"
        ),
    }
    assert source["left"] == ["sensor.bms_1_total_runtime_formatted"]
    assert set(er.async_get(hass).entities) == before
    # What is proposed can be taken as it is.
    done = await migrate(hass, entities=answer["proposal"], dry_run=False)
    assert all(one["done"] for one in done["entities"])


async def test_a_name_without_a_number_is_assigned_by_its_owner(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    for rack in ("left", "right"):
        for name in ("battery_voltage", "battery_current", "cell_voltage_01"):
            old_entity(hass, f"sensor.{rack}_{name}", platform="esphome", unit=None)
    answer = await migrate(hass)
    assert [one["pack"] for one in answer["sources"]] == [None, None]
    assert answer["proposal"] == {}
    assert len(answer["sources"][0]["left"]) == 3
    pack = er.async_get(hass).async_get(ours(hass, "current"))
    assert pack is not None
    answer = await migrate(hass, device_id=pack.device_id, prefix="left")
    assert answer["proposal"] == {
        "sensor.left_battery_voltage": ours(hass, "total_voltage"),
        "sensor.left_battery_current": ours(hass, "current"),
        "sensor.left_cell_voltage_01": ours(hass, "cell_voltage_1"),
    }


async def test_what_is_known_only_to_the_recorder_is_proposed_too(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    row = StatisticData(start=this_hour() - HOUR, mean=3.0)
    for name, unit, unit_class in (
        ("tension_totale_volt", "V", "voltage"),
        ("cell_1_volt", "V", "voltage"),
        ("courant_total", "A", "electric_current"),
    ):
        meta = metadata(f"sensor.bms_1_{name}", unit, unit_class)
        await compiled(hass, meta, [row], [row])
    name = "sensor.bms_1_soc_pourcentage"
    await record(hass, name, (dt_util.utcnow() - HOUR, "70"))
    answer = await migrate(hass)
    assert set(answer["proposal"]) == {
        name,
        "sensor.bms_1_tension_totale_volt",
        "sensor.bms_1_cell_1_volt",
        "sensor.bms_1_courant_total",
    }
