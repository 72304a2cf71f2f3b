"""What the tests of the migration share: old entities, what is recorded of them, the action."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.components.recorder import history
from homeassistant.components.recorder.db_schema import StatisticsShortTerm
from homeassistant.components.recorder.models import (
    StatisticData,
    StatisticMeanType,
    StatisticMetaData,
)
from homeassistant.components.recorder.statistics import (
    async_import_statistics,
    statistics_during_period,
)
from homeassistant.core import Context, HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.jkbms.const import DOMAIN

from ..bus import entity_id

OLD: Final = "sensor.bms_1_tension_totale_volt"
ENERGY: Final = "sensor.battery_energy_in"
HOUR: Final = timedelta(hours=1)
PERIOD: Final = timedelta(minutes=5)


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
