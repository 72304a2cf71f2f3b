"""Ids, history and statistics go on under the old id, and nothing is lost."""

from datetime import timedelta

from homeassistant.components.recorder.models import StatisticData
from homeassistant.components.recorder.statistics import get_metadata
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.protocol.energy import ENERGY_CHARGED

from ..bus import subentry_id
from .recorded import (
    ENERGY,
    HOUR,
    OLD,
    PERIOD,
    compiled,
    five_minutes,
    metadata,
    migrate,
    old_entity,
    ours,
    record,
    recorded,
    statistics,
    taken_over,
    tell,
    this_hour,
)

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
