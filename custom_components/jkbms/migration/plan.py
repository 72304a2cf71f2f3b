"""What a migration would do, judged before anything is done."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from homeassistant.components.number.const import (
    UNIT_CONVERTERS as NUMBER_CONVERTERS,
    NumberDeviceClass,
)
from homeassistant.components.recorder.statistics import UNIT_CLASS_TO_UNIT_CONVERTER
from homeassistant.components.sensor.const import (
    ATTR_STATE_CLASS,
    UNIT_CONVERTERS as SENSOR_CONVERTERS,
    SensorStateClass,
)
from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    Platform,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_conversion import BaseUnitConverter

from ..const import DOMAIN
from ..errors import refusal, sentence
from .history import Recorded, async_recorded
from .names import SIGNED, match

_ALIVE_FOR: Final = timedelta(minutes=5)
"""How long ago an entity may have told something to be taken for alive."""
_SUMS: Final = (SensorStateClass.TOTAL, SensorStateClass.TOTAL_INCREASING)


@dataclass(slots=True, kw_only=True)
class Step:
    """An entity that takes the place of another, or shall."""

    old: str
    """The id that is taken."""
    new: str
    """The id of the entity that takes it."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unit: str | None = None
    """The unit it has to be shown in from then on, where that is another."""
    recorded: Recorded = field(default_factory=Recorded)
    continues: bool = False
    """Whether the statistics of the id go on."""
    done: bool = False
    gave_way: str | None = None
    """The id that the entity has now that had the old id."""


async def async_plan(hass: HomeAssistant, entities: Mapping[str, str]) -> list[Step]:
    """Return what it takes that entities take over old ids, in the order to do it in."""
    recorded = await async_recorded(hass, entities)
    order, circle = in_order(entities)
    steps = []
    for old in (*order, *circle):
        step = Step(old=old, new=entities[old], recorded=recorded[old])
        _judge(hass, step, entities, in_circle=old in circle)
        steps.append(step)
    return steps


def in_order(entities: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the old ids in an order in which each is free in time, and those without one."""
    pending, order = dict(entities), list[str]()
    while free := [old for old in pending if old not in pending.values()]:
        order += free
        for old in free:
            del pending[old]
    return order, list(pending)


def _judge(
    hass: HomeAssistant, step: Step, entities: Mapping[str, str], *, in_circle: bool
) -> None:
    names = {"old": step.old, "new": step.new}
    registry = er.async_get(hass)
    entry, occupant = registry.async_get(step.new), registry.async_get(step.old)
    ours_makes_way = (
        occupant is not None
        and occupant.platform == DOMAIN
        and step.old in entities.values()
    )
    if entry is None or not (entry.platform == DOMAIN or ours_makes_way):
        problem = refusal("migration_not_ours", **names)
    elif in_circle or list(entities.values()).count(step.new) > 1:
        problem = refusal("migration_twice", **names)
    elif step.old.partition(".")[0] != entry.domain:
        problem = refusal("migration_other_kind", **names)
    elif occupant is None and hass.states.get(step.old) is not None:
        problem = refusal("migration_yaml", **names)
    elif occupant is None and not (step.recorded or _was_its_own(hass, entry, step)):
        problem = refusal("migration_unknown", **names)
    elif occupant is not None and occupant.platform == DOMAIN and not ours_makes_way:
        problem = refusal("migration_taken", **names)
    elif occupant is not None and not ours_makes_way and _is_alive(hass, step.old):
        problem = refusal("migration_alive", **names)
    elif entry.platform != DOMAIN:
        # It gets back what it had before.
        return
    elif entry.disabled_by is not None:
        problem = refusal("migration_disabled", **names)
    else:
        for told, is_problem in _look_at_values(hass, step, entry, occupant):
            (step.problems if is_problem else step.notes).append(sentence(hass, told))
        return
    step.problems.append(sentence(hass, problem))


def _was_its_own(hass: HomeAssistant, entry: er.RegistryEntry, step: Step) -> bool:
    """Tell whether an id is the one that the entity would be given anew."""
    return er.async_get(hass).async_regenerate_entity_id(entry) == step.old


def _is_alive(hass: HomeAssistant, entity_id: str) -> bool:
    """Tell whether an entity still tells values.

    Without an availability topic an MQTT entity keeps its last value for good.
    """
    state = hass.states.get(entity_id)
    if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
        return False
    return dt_util.utcnow() - state.last_reported < _ALIVE_FOR


# -- values ---------------------------------------------------------------------------


def _look_at_values(
    hass: HomeAssistant,
    step: Step,
    entry: er.RegistryEntry,
    occupant: er.RegistryEntry | None,
) -> Iterator[tuple[ServiceValidationError, bool]]:
    """Yield what does not fit, and whether that forbids it; notes what to do about it."""
    names = {"old": step.old, "new": step.new}
    statistics = step.recorded.statistics
    state_class = (entry.capabilities or {}).get(ATTR_STATE_CLASS)
    if statistics is not None:
        if state_class is None:
            yield refusal("migration_note_no_statistics", **names), False
        elif statistics["has_sum"] != (state_class in _SUMS):
            yield refusal("migration_note_other_statistics", **names), False
        else:
            step.continues = True
    yield from _look_at_units(hass, step, entry, occupant)
    if entry.translation_key in SIGNED:
        known = next(match(step.old, occupant), None)
        if known is None:
            yield refusal("migration_note_sign", **names), False
        elif known.key in known.predecessor.unsigned:
            yield refusal("migration_note_unsigned", **names), False


def _unit(hass: HomeAssistant, entry: er.RegistryEntry) -> str | None:
    """Return the unit that an entity is shown in; the registry learns of it later."""
    state = hass.states.get(entry.entity_id)
    shown = None if state is None else state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
    return shown or entry.unit_of_measurement


def _look_at_units(
    hass: HomeAssistant,
    step: Step,
    entry: er.RegistryEntry,
    occupant: er.RegistryEntry | None,
) -> Iterator[tuple[ServiceValidationError, bool]]:
    statistics = step.recorded.statistics
    ours, theirs = _unit(hass, entry), None
    if occupant is not None:
        # What is shown may differ from what is stored, which is converted then.
        theirs = _unit(hass, occupant)
    elif statistics is None:
        return
    if theirs is None and statistics is not None:
        theirs = statistics["unit_of_measurement"]
    names = {
        "old": step.old,
        "new": step.new,
        "old_unit": theirs or "–",
        "new_unit": ours or "–",
    }
    if theirs == ours:
        return
    if statistics is None and (
        theirs is None or ours is None or theirs.casefold() == ours.casefold()
    ):
        yield refusal("migration_note_unit_unknown", **names), False
        return
    converter = _converter(entry)
    if converter is None or not {ours, theirs} <= converter.VALID_UNITS:
        yield refusal("migration_unit", **names), True
        return
    step.unit = theirs
    yield refusal("migration_note_unit", **names), False


def _converter(entry: er.RegistryEntry) -> type[BaseUnitConverter] | None:
    """Return what converts the values of an entity where its owner chooses another unit."""
    kind = entry.device_class or entry.original_device_class
    if entry.domain == Platform.SENSOR:
        return SENSOR_CONVERTERS.get(kind)
    if entry.domain == Platform.NUMBER and kind is not None:
        return NUMBER_CONVERTERS.get(NumberDeviceClass(kind))
    return None


def reading(hass: HomeAssistant, step: Step) -> float | None:
    """Return what an entity counts now, in the unit of the statistics it takes over."""
    state, statistics = hass.states.get(step.new), step.recorded.statistics
    if state is None or statistics is None:
        return None
    try:
        value = float(state.state)
    except ValueError:
        return None
    ours, theirs = (
        state.attributes.get(ATTR_UNIT_OF_MEASUREMENT),
        statistics["unit_of_measurement"],
    )
    converter = UNIT_CLASS_TO_UNIT_CONVERTER.get(statistics["unit_class"] or "")
    if ours == theirs or converter is None:
        return value
    return converter.convert(value, ours, theirs)
