"""The action that gives entities the ids of those they take the place of."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
import probatio

from ..const import DOMAIN
from ..errors import failure, refusal
from ..pack_targets import all_targets, targets
from .carry_out import async_carry_out
from .plan import Step, async_plan
from .proposal import async_propose

_ENTITIES: Final = "entities"
_PREFIX: Final = "prefix"
_REMOVE_OLD: Final = "remove_old"
_DRY_RUN: Final = "dry_run"
_SCHEMA: Final = probatio.Schema(
    {
        probatio.Optional(_ENTITIES, default=dict): probatio.Schema(
            {cv.entity_id: cv.entity_id}
        ),
        probatio.Optional(ATTR_DEVICE_ID): cv.string,
        probatio.Optional(_PREFIX): cv.string,
        probatio.Optional(_REMOVE_OLD, default=False): cv.boolean,
        probatio.Optional(_DRY_RUN, default=True): cv.boolean,
    }
)


@callback
def async_setup_migration(hass: HomeAssistant) -> None:
    """Offer the action."""
    hass.services.async_register(
        DOMAIN,
        "migrate_entities",
        _migrate,
        schema=_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _migrate(call: ServiceCall) -> ServiceResponse:
    """Let entities take over old ids, all or none, or say what that would do.

    Raises what is wrong where nobody reads the response.
    """
    entities: dict[str, str] = call.data[_ENTITIES]
    dry_run: bool = call.data[_DRY_RUN]
    if not entities:
        if not dry_run:
            raise refusal("migration_nothing")
        return await _propose(call)
    steps = await async_plan(call.hass, entities)
    if not (dry_run or _problems(steps)):
        await async_carry_out(call.hass, steps, remove_old=call.data[_REMOVE_OLD])
    if (problems := _problems(steps)) and not call.return_response:
        raise failure("migration_not_done", problems="\n".join(problems))
    return _answer(steps, dry_run=dry_run)


async def _propose(call: ServiceCall) -> ServiceResponse:
    """Return which entities seem to belong together, and what taking over would do."""
    hass, device_id = call.hass, call.data.get(ATTR_DEVICE_ID)
    packs = list(all_targets(hass)) if device_id is None else targets(hass, [device_id])
    sources = await async_propose(hass, packs, call.data.get(_PREFIX))
    proposed = {old: new for one in sources for old, new in one.entities.items()}
    steps = await async_plan(hass, proposed)
    fitting = {step.old: step.new for step in steps if not step.problems}
    return {
        **_answer(steps, dry_run=True),
        "proposal": fitting,
        "sources": [asdict(source) for source in sources],
    }


def _problems(steps: Iterable[Step]) -> list[str]:
    return [problem for step in steps for problem in step.problems]


def _answer(steps: Iterable[Step], *, dry_run: bool) -> dict[str, Any]:
    """Return what was done, or would be, and what `entities` takes it all back."""
    undo: dict[str, str] = {}
    for step in steps:
        if step.done:
            undo[step.new] = step.old
        if step.gave_way is not None:
            undo[step.old] = step.gave_way
    return {
        "dry_run": dry_run,
        "entities": [
            {
                "old": step.old,
                "new": step.new,
                "done": step.done,
                "problems": step.problems,
                "notes": step.notes,
            }
            for step in steps
        ],
        "undo": undo,
    }
