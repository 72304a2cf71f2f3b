"""Entities take the place of an add-on's: ids, history and statistics go on, and nothing is lost."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.components.recorder import history
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.db_schema import StatisticsShortTerm
from homeassistant.components.recorder.models import (
    StatisticData,
    StatisticMeanType,
    StatisticMetaData,
)
from homeassistant.components.recorder.statistics import (
    async_import_statistics,
    get_metadata,
    statistics_during_period,
)
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.protocol.energy import ENERGY_CHARGED

from .bus import entity_id, set_up, subentry_id

OLD: Final = "sensor.bms_1_tension_totale_volt"
ENERGY: Final = "sensor.battery_energy_in"
HOUR: Final = timedelta(hours=1)
PERIOD: Final = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def load_custom_integrations(
    recorder_mock: Recorder, enable_custom_integrations: None
) -> None:
    """Let Home Assistant record, and load integrations from `custom_components`."""


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
async def bus(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BusCoordinator]:
    """The bus, running."""
    await set_up(hass, entry)
    yield entry.runtime_data
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def ours(hass: HomeAssistant, key: str, platform: str = "sensor") -> str:
    """The id that an entity of the pack has now."""
    found = entity_id(hass, platform, 1, key)
    assert found is not None
    return found


def old_entity(
    hass: HomeAssistant,
    entity: str = OLD,
    *,
    platform: str = "mqtt",
    unique_id: str | None = None,
    unit: str | None = "V",
) -> er.RegistryEntry:
    """An entity whose add-on was stopped."""
    domain, object_id = entity.split(".")
    return er.async_get(hass).async_get_or_create(
        domain,
        platform,
        unique_id or f"id {object_id}",
        suggested_object_id=object_id,
        unit_of_measurement=unit,
    )


async def migrate(hass: HomeAssistant, **data: Any) -> dict[str, Any]:
    """Migrate, and return what the action says."""
    answer = await hass.services.async_call(
        DOMAIN, "migrate_entities", data, blocking=True, return_response=True
    )
    await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    assert isinstance(answer, dict)
    return answer


async def taken_over(hass: HomeAssistant, old: str, new: str) -> dict[str, Any]:
    """Let one entity take over an id."""
    answer = await migrate(hass, entities={old: new}, dry_run=False)
    (one,) = answer["entities"]
    assert one["problems"] == []
    assert one["done"]
    return answer


def tell(
    hass: HomeAssistant,
    entity: str,
    state: str,
    when: datetime,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Let an entity tell something at another time, while the bus keeps its own."""
    hass.states.async_set_internal(
        entity, state, attributes, False, Context(), None, when.timestamp()
    )


async def record(
    hass: HomeAssistant, entity: str, *states: tuple[datetime, str]
) -> None:
    """Record what an entity told at other times."""
    for when, state in states:
        tell(hass, entity, state, when)
        await async_wait_recording_done(hass)
    hass.states.async_remove(entity)
    await async_wait_recording_done(hass)


async def recorded(hass: HomeAssistant, entity: str) -> list[str]:
    """The states that are recorded under an id."""
    await async_wait_recording_done(hass)
    states = await hass.data["recorder_instance"].async_add_executor_job(
        history.get_significant_states,
        hass,
        dt_util.utcnow() - timedelta(days=9),
        None,
        [entity],
    )
    return [one.state for one in states.get(entity, ()) if isinstance(one, State)]


def metadata(
    entity: str, unit: str, unit_class: str, *, total: bool = False
) -> StatisticMetaData:
    """What is stored of the statistics of an id."""
    return StatisticMetaData(
        mean_type=StatisticMeanType.NONE if total else StatisticMeanType.ARITHMETIC,
        has_sum=total,
        name=None,
        source="recorder",
        statistic_id=entity,
        unit_class=unit_class,
        unit_of_measurement=unit,
    )


async def compiled(
    hass: HomeAssistant,
    meta: StatisticMetaData,
    hours: list[StatisticData],
    periods: list[StatisticData],
) -> None:
    """Store statistics as the recorder has compiled them before."""
    async_import_statistics(hass, meta, hours)
    hass.data["recorder_instance"].async_import_statistics(
        meta, periods, StatisticsShortTerm
    )
    await async_wait_recording_done(hass)


async def statistics(
    hass: HomeAssistant, entity: str, kind: str, period: Any = "5minute"
) -> list[float | None]:
    """What statistics are stored under an id."""
    await async_wait_recording_done(hass)
    rows = await hass.data["recorder_instance"].async_add_executor_job(
        statistics_during_period,
        hass,
        dt_util.utc_from_timestamp(0),
        None,
        {entity},
        period,
        {},
        {kind},
    )
    return [row.get(kind) for row in rows.get(entity, ())]


def this_hour() -> datetime:
    """When the present hour has begun."""
    return dt_util.utcnow().replace(minute=0, second=0, microsecond=0)


def five_minutes(when: datetime) -> datetime:
    """When a period of short-term statistics has begun."""
    return when.replace(minute=when.minute // 5 * 5, second=0, microsecond=0)


# -- ids and history ------------------------------------------------------------------


async def test_history_goes_on_under_the_old_id(
    hass: HomeAssistant, bus: BusCoordinator, caplog: pytest.LogCaptureFixture
) -> None:
    now = dt_util.utcnow()
    await record(hass, OLD, (now - 2 * HOUR, "52.1"), (now - HOUR, "52.2"))
    old_entity(hass)
    new = ours(hass, "total_voltage")
    value = hass.states.get(new)
    assert value is not None
    before = await recorded(hass, new)
    answer = await taken_over(hass, OLD, new)
    assert ours(hass, "total_voltage") == OLD
    assert hass.states.get(new) is None
    shown = hass.states.get(OLD)
    assert shown is not None
    assert shown.state == value.state
    assert await recorded(hass, OLD) == ["52.1", "52.2", "", value.state]
    assert (await recorded(hass, new))[: len(before)] == before
    assert answer["undo"] == {new: OLD, OLD: f"{OLD}_old"}
    assert er.async_get(hass).async_get(f"{OLD}_old") is not None
    assert "in use" not in caplog.text
    assert "jkbms_" not in "".join(
        await hass.data["recorder_instance"].async_add_executor_job(get_metadata, hass)
    )


async def test_what_was_answered_undoes_it_with_history_and_names(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    await record(hass, OLD, (dt_util.utcnow() - HOUR, "52.1"))
    unique_id = old_entity(hass).unique_id
    new = ours(hass, "total_voltage")
    answer = await taken_over(hass, OLD, new)
    undone = await migrate(hass, entities=answer["undo"], dry_run=False)
    assert [one["problems"] for one in undone["entities"]] == [[], []]
    assert ours(hass, "total_voltage") == new
    entry = er.async_get(hass).async_get(OLD)
    assert entry is not None
    assert (entry.platform, entry.unique_id) == ("mqtt", unique_id)
    assert "52.1" in await recorded(hass, OLD)
    assert "52.1" not in await recorded(hass, new)
    assert hass.states.get(new) is not None


async def test_an_old_entity_is_removed_only_if_that_was_said(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    await record(hass, OLD, (dt_util.utcnow() - HOUR, "52.1"))
    old_entity(hass)
    new = ours(hass, "total_voltage")
    answer = await migrate(hass, entities={OLD: new}, dry_run=False, remove_old=True)
    assert answer["undo"] == {new: OLD}
    assert er.async_get(hass).async_get(f"{OLD}_old") is None
    assert (await recorded(hass, OLD))[0] == "52.1"


async def test_an_entity_that_is_only_recorded_can_be_taken_over(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    await record(hass, OLD, (dt_util.utcnow() - HOUR, "52.1"))
    answer = await taken_over(hass, OLD, ours(hass, "total_voltage"))
    assert len(answer["undo"]) == 1
    assert (await recorded(hass, OLD))[0] == "52.1"


async def test_a_dry_run_changes_nothing(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    new = ours(hass, "total_voltage")
    answer = await migrate(hass, entities={OLD: new})
    assert answer == {
        "dry_run": True,
        "entities": [
            {"old": OLD, "new": new, "done": False, "problems": [], "notes": []}
        ],
        "undo": {},
    }
    assert ours(hass, "total_voltage") == new


async def test_two_entities_can_follow_each_other(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    old_entity(hass)
    voltage, delta = ours(hass, "total_voltage"), ours(hass, "delta_cell_voltage")
    answer = await migrate(hass, entities={voltage: delta, OLD: voltage}, dry_run=False)
    assert all(one["done"] for one in answer["entities"])
    assert (ours(hass, "total_voltage"), ours(hass, "delta_cell_voltage")) == (
        OLD,
        voltage,
    )


async def test_an_integration_that_keeps_its_entity_is_told(
    hass: HomeAssistant, bus: BusCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.migration.carry_out._PATIENCE", 0.05)
    old_entity(hass)
    new = ours(hass, "total_voltage")
    hass.states.async_set(OLD, "unknown")
    answer = await migrate(hass, entities={OLD: new}, dry_run=False)
    (one,) = answer["entities"]
    assert not one["done"]
    assert "timeout" in one["problems"][0]
    assert ours(hass, "total_voltage") == new
    assert answer["undo"] == {OLD: f"{OLD}_old"}


# -- statistics -----------------------------------------------------------------------


async def test_mean_statistics_go_on_and_the_gap_is_filled(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    hour = this_hour()
    new = ours(hass, "total_voltage")
    await compiled(
        hass,
        metadata(OLD, "V", "voltage"),
        [StatisticData(start=hour - 9 * HOUR, mean=52.0, min=51.0, max=53.0)],
        [StatisticData(start=hour - 9 * HOUR, mean=52.0, min=51.0, max=53.0)],
    )
    later = [hour - 4 * HOUR, hour - 3 * HOUR]
    rows = [StatisticData(start=one, mean=54.0, min=53.5, max=54.5) for one in later]
    await compiled(hass, metadata(new, "V", "voltage"), rows, rows)
    await taken_over(hass, OLD, new)
    assert await statistics(hass, OLD, "mean", "hour") == [52.0, 54.0, 54.0]
    assert await statistics(hass, OLD, "max") == [53.0, 54.5, 54.5]
    assert await statistics(hass, new, "mean", "hour") == [54.0, 54.0]
    do_adhoc_statistics(hass, start=five_minutes(dt_util.utcnow()))
    found = await statistics(hass, OLD, "mean")
    assert found[:3] == [52.0, 54.0, 54.0]
    assert len(found) == 4


@pytest.mark.parametrize("stopped", [timedelta(hours=9), timedelta(days=30)])
async def test_energy_goes_on_from_the_old_total(
    hass: HomeAssistant, bus: BusCoordinator, stopped: timedelta
) -> None:
    hour = this_hour()
    new = ours(hass, "energy_charged")
    row = StatisticData(start=hour - stopped, state=1234.0, sum=100.0)
    # Short-term statistics are purged after some days.
    await compiled(
        hass,
        metadata(ENERGY, "kWh", "energy", total=True),
        [row],
        [row] if stopped < timedelta(days=9) else [],
    )
    await compiled(
        hass,
        metadata(new, "kWh", "energy", total=True),
        [
            StatisticData(start=hour - 4 * HOUR, state=10.0, sum=1.0),
            StatisticData(start=hour - 3 * HOUR, state=11.0, sum=2.0),
        ],
        [
            StatisticData(start=hour - 4 * HOUR, state=10.0, sum=1.0),
            StatisticData(start=hour - 3 * HOUR, state=11.0, sum=2.0),
        ],
    )
    await _charge(hass, bus, 11.0)
    await taken_over(hass, ENERGY, new)
    assert await statistics(hass, ENERGY, "sum", "hour") == [100.0, 101.0, 102.0]
    assert (await statistics(hass, ENERGY, "sum"))[-2:] == [101.0, 102.0]
    await _count(hass, bus, 11.5)
    assert (await statistics(hass, ENERGY, "sum"))[-1] == pytest.approx(102.5)


async def test_a_new_counter_is_no_jump_of_the_old_total(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    new = ours(hass, "energy_charged")
    row = StatisticData(start=this_hour() - HOUR, state=5.0, sum=100.0)
    await compiled(hass, metadata(ENERGY, "Wh", "energy", total=True), [row], [row])
    await _charge(hass, bus, 70.0)
    answer = await taken_over(hass, ENERGY, new)
    assert "shown in Wh" in answer["entities"][0]["notes"][0]
    assert await statistics(hass, ENERGY, "sum") == [100.0, 100.0]
    assert await statistics(hass, ENERGY, "state") == [5.0, 70000.0]
    await _count(hass, bus, 70.25)
    assert (await statistics(hass, ENERGY, "sum"))[-1] == pytest.approx(350.0)


async def _count(hass: HomeAssistant, bus: BusCoordinator, total: float) -> None:
    """Let the energy that was taken over count on, and compile it."""
    await async_wait_recording_done(hass)
    await _charge(hass, bus, total)
    shown = hass.states.get(ENERGY)
    assert shown is not None
    start = five_minutes(dt_util.utcnow() + PERIOD)
    hass.states.async_remove(ENERGY)
    tell(hass, ENERGY, shown.state, start + timedelta(seconds=1), shown.attributes)
    await async_wait_recording_done(hass)
    do_adhoc_statistics(hass, start=start)


async def _charge(hass: HomeAssistant, bus: BusCoordinator, total: float) -> None:
    """Let the pack have counted so many kWh."""
    energy = bus.packs[subentry_id(1)].energy
    energy.resume(ENERGY_CHARGED, total - energy.total(ENERGY_CHARGED))
    bus.wake(bus.packs[subentry_id(1)], {ENERGY_CHARGED.key})
    await hass.async_block_till_done()


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
    answer = await migrate(hass)
    assert set(answer["proposal"]) == {
        "sensor.bms_1_tension_totale_volt",
        "sensor.bms_1_cell_1_volt",
        "sensor.bms_1_courant_total",
    }
