"""The recorder while entities change their ids: what is recorded stays with the ids.

Home Assistant lets history and statistics follow an entity to its new id. Where one entity
takes the place of another, the past belongs to the id: dashboards show that.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from homeassistant.components.recorder.const import DOMAIN as RECORDER_DOMAIN
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.recorder.db_schema import StatisticsShortTerm
from homeassistant.components.recorder.models import StatisticData, StatisticMetaData
from homeassistant.components.recorder.statistics import (
    StatisticsRow,
    async_import_statistics,
    async_update_statistics_metadata,
    get_last_short_term_statistics,
    get_last_statistics,
    get_metadata,
    statistics_during_period,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.recorder import DATA_INSTANCE, session_scope
from homeassistant.util import dt as dt_util

_PERIOD: Final = timedelta(minutes=5)
"""What short-term statistics are compiled over."""
_COMPILED_AFTER: Final = timedelta(seconds=30)
_MEASURED: Final = ("mean", "min", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the recorder has of an entity id."""

    states: bool = False
    statistics: StatisticMetaData | None = None

    def __bool__(self) -> bool:
        """Whether it has anything."""
        return self.states or self.statistics is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How the statistics of an id go on with those that an entity has had elsewhere."""

    metadata: StatisticMetaData
    hours: tuple[StatisticData, ...]
    periods: tuple[StatisticData, ...]


def _recorder(hass: HomeAssistant) -> Recorder | None:
    recorder: Recorder | None = hass.data.get(DATA_INSTANCE)
    return recorder


async def async_recorded(
    hass: HomeAssistant, entity_ids: Iterable[str]
) -> dict[str, Recorded]:
    """Return what is recorded of entity ids; nothing where nothing is recorded at all."""
    recorder = _recorder(hass)
    ids = set(entity_ids)
    if recorder is None:
        return dict.fromkeys(ids, Recorded())
    await recorder.async_block_till_done()
    return await recorder.async_add_executor_job(_recorded, hass, recorder, ids)


def _recorded(
    hass: HomeAssistant, recorder: Recorder, ids: set[str]
) -> dict[str, Recorded]:
    with session_scope(hass=hass, read_only=True) as session:
        states = recorder.states_meta_manager.get_many(ids, session, False)
    statistics = get_metadata(hass, statistic_ids=ids)
    return {
        one: Recorded(
            states=states.get(one) is not None,
            statistics=statistics[one][1] if one in statistics else None,
        )
        for one in ids
    }


async def async_recorded_ids(hass: HomeAssistant) -> list[str]:
    """Return the entity ids of which anything is recorded, registered or not."""
    recorder = _recorder(hass)
    if recorder is None:
        return []
    await recorder.async_block_till_done()
    return await recorder.async_add_executor_job(_recorded_ids, hass, recorder)


def _recorded_ids(hass: HomeAssistant, recorder: Recorder) -> list[str]:
    with session_scope(hass=hass, read_only=True) as session:
        known = recorder.states_meta_manager.get_metadata_id_to_entity_id(session)
    statistics = get_metadata(hass, statistic_source=RECORDER_DOMAIN)
    return sorted({*known.values(), *statistics})


# -- ids ------------------------------------------------------------------------------


@contextmanager
def staying_with_the_ids(
    hass: HomeAssistant, entity_id: str, new_entity_id: str
) -> Iterator[None]:
    """Rename an entity within, and let neither history nor statistics follow it.

    The recorder works its tasks off in the order they were given, all in one go: while it
    renames what it has of `entity_id`, nothing may be under the new id.
    """
    recorder = _recorder(hass)
    if recorder is None:
        yield
        return
    aside = f"{new_entity_id.partition('.')[0]}.jkbms_{uuid4().hex}"
    _rename(hass, recorder, new_entity_id, aside)
    try:
        yield
        _rename(hass, recorder, new_entity_id, entity_id)
    finally:
        _rename(hass, recorder, aside, new_entity_id)


@callback
def _rename(hass: HomeAssistant, recorder: Recorder, old: str, new: str) -> None:
    async_update_statistics_metadata(hass, old, new_statistic_id=new)
    recorder.async_update_states_metadata(old, new_entity_id=new)


# -- statistics -----------------------------------------------------------------------


async def async_continuation(
    hass: HomeAssistant,
    metadata: StatisticMetaData,
    entity_id: str,
    reading: float | None,
) -> Continuation:
    """Return how statistics go on with an entity that has another id now.

    `reading` is what the entity counts now, in the unit of the statistics.
    """
    recorder = hass.data[DATA_INSTANCE]
    return await recorder.async_add_executor_job(
        _continuation, hass, metadata, entity_id, reading, dt_util.utcnow()
    )


def _continuation(
    hass: HomeAssistant,
    metadata: StatisticMetaData,
    entity_id: str,
    reading: float | None,
    now: datetime,
) -> Continuation:
    old = metadata["statistic_id"]
    counted = metadata["has_sum"]
    last_hour = _last(get_last_statistics(hass, 1, old, False, {"sum"}))
    last_period = _last(get_last_short_term_statistics(hass, 1, old, False, {"sum"}))
    hours = _rows(hass, metadata, entity_id, "hour", last_hour)
    periods = _rows(hass, metadata, entity_id, "5minute", last_period)
    offset = 0.0
    if counted:
        before = (last_period or last_hour or {}).get("sum") or 0.0
        first = next(iter(periods if last_period or not hours else hours), None)
        if first is not None:
            begin = (first.get("sum") or 0.0) - (first.get("change") or 0.0)
            offset = before - begin
    new_hours = tuple(_moved(row, counted, offset) for row in hours)
    new_periods = tuple(_moved(row, counted, offset) for row in periods)
    if counted and not new_periods and reading is not None:
        # The next sum is counted from the last state: it has to be of the same counter.
        total = new_hours[-1].get("sum") if new_hours else None
        seam = StatisticData(
            start=_last_compiled(now),
            state=reading,
            sum=before if total is None else total,
        )
        new_periods = (seam,)
    return Continuation(metadata=metadata, hours=new_hours, periods=new_periods)


def _last(found: dict[str, list[StatisticsRow]]) -> StatisticsRow | None:
    return next((rows[0] for rows in found.values() if rows), None)


def _rows(
    hass: HomeAssistant,
    metadata: StatisticMetaData,
    entity_id: str,
    period: Any,
    last: StatisticsRow | None,
) -> list[StatisticsRow]:
    """Return what was compiled of an entity since, in the unit of the statistics."""
    start = 0.0 if last is None else last["start"]
    unit_class, unit = metadata["unit_class"], metadata["unit_of_measurement"]
    units = {unit_class: unit} if unit_class and unit else None
    found = statistics_during_period(
        hass,
        dt_util.utc_from_timestamp(start),
        None,
        {entity_id},
        period,
        units,
        {"mean", "min", "max", "state", "sum", "change"},
    )
    return [row for row in found.get(entity_id, ()) if row["start"] > start]


def _moved(row: StatisticsRow, counted: bool, offset: float) -> StatisticData:
    moved = StatisticData(start=dt_util.utc_from_timestamp(row["start"]))
    if not counted:
        moved.update({key: row.get(key) for key in _MEASURED})  # type: ignore[typeddict-item] # keys of both
        return moved
    moved["state"] = row.get("state") or 0.0
    moved["sum"] = (row.get("sum") or 0.0) + offset
    return moved


def _last_compiled(now: datetime) -> datetime:
    """Return the start of the last period that was compiled for sure."""
    end = (now - _COMPILED_AFTER).timestamp() // _PERIOD.seconds * _PERIOD.seconds
    return dt_util.utc_from_timestamp(end) - _PERIOD


@callback
def async_continue(hass: HomeAssistant, continuation: Continuation) -> None:
    """Let statistics go on."""
    metadata = continuation.metadata
    if continuation.hours:
        async_import_statistics(hass, metadata, continuation.hours)
    if continuation.periods:
        hass.data[DATA_INSTANCE].async_import_statistics(
            metadata, continuation.periods, StatisticsShortTerm
        )
