"""Entities take the place of others, one after the other."""

import asyncio
from collections.abc import Iterable
from typing import Final

from homeassistant.const import CONF_UNIT_OF_MEASUREMENT
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, restore_state
from homeassistant.helpers.event import async_track_state_change_event

from ..errors import failure, sentence
from .history import async_continuation, async_continue, staying_with_the_ids
from .plan import Step, reading

_PATIENCE: Final = 10.0
"""Seconds for an integration to take an entity away."""


async def async_carry_out(
    hass: HomeAssistant, steps: Iterable[Step], *, remove_old: bool
) -> None:
    """Do what was planned, up to the first step that fails."""
    for step in steps:
        try:
            await _make_way(hass, step, remove_old=remove_old)
            await _take_over(hass, step)
        except (TimeoutError, ValueError) as error:
            detail = str(error) or "timeout"
            problem = failure(
                "migration_failed", old=step.old, new=step.new, detail=detail
            )
            step.problems.append(sentence(hass, problem))
            break
        step.done = True
    # What was counted is stored by entity id, every 15 minutes: a power cut until then
    # would lose all of it.
    await restore_state.async_get(hass).async_dump_states()


async def _make_way(hass: HomeAssistant, step: Step, *, remove_old: bool) -> None:
    """Take the old id from the entity that has it."""
    registry = er.async_get(hass)
    occupant = registry.async_get(step.old)
    if occupant is None:
        return
    if remove_old:
        registry.async_remove(step.old)
    else:
        object_id = f"{step.old.partition('.')[2]}_old"
        free = registry.async_get_available_entity_id(occupant.domain, object_id)
        with staying_with_the_ids(hass, step.old, free):
            registry.async_update_entity(step.old, new_entity_id=free)
        step.gave_way = free
    await _gone(hass, step.old)


async def _take_over(hass: HomeAssistant, step: Step) -> None:
    registry = er.async_get(hass)
    statistics, continuation = step.recorded.statistics, None
    if step.continues and statistics is not None:
        continuation = await async_continuation(
            hass, statistics, step.new, reading(hass, step)
        )
    with staying_with_the_ids(hass, step.new, step.old):
        entry = registry.async_update_entity(step.new, new_entity_id=step.old)
    if continuation is not None:
        async_continue(hass, continuation)
    if step.unit is not None:
        options = dict(entry.options.get(entry.domain, {}))
        registry.async_update_entity_options(
            step.old, entry.domain, options | {CONF_UNIT_OF_MEASUREMENT: step.unit}
        )
    await _gone(hass, step.new)
    if (state := hass.states.get(step.old)) is not None:
        # Its first state under the new id was told while that was renamed, and is
        # recorded with what the entity has told before.
        hass.states.async_set(
            step.old, state.state, state.attributes, True, state.context
        )


async def _gone(hass: HomeAssistant, entity_id: str) -> None:
    """Wait until an id has no state any more; raises TimeoutError."""
    gone = asyncio.Event()

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        if event.data["new_state"] is None:
            gone.set()

    stop = async_track_state_change_event(hass, entity_id, changed)
    try:
        if hass.states.get(entity_id) is not None:
            async with asyncio.timeout(_PATIENCE):
                await gone.wait()
    finally:
        stop()
