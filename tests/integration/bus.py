"""What the tests of a bus share: names, lookups, waiting."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol.datum import Block

_PATIENCE: Final = 5.0
"""Seconds; what is waited for takes a fraction of one."""


def subentry_id(address: int) -> str:
    """The id of the subentry of a pack."""
    return f"pack{address}"


def title(address: int) -> str:
    """The name of a pack."""
    return f"Pack {address}"


def entity_id(hass: HomeAssistant, platform: str, address: int, key: str) -> str | None:
    """The id of an entity, None where the pack does not have it."""
    return er.async_get(hass).async_get_entity_id(
        platform, DOMAIN, f"{subentry_id(address)}_{key}"
    )


def state_of(hass: HomeAssistant, platform: str, address: int, key: str) -> State:
    """The state of an entity that is enabled."""
    entity = entity_id(hass, platform, address, key)
    assert entity is not None, f"pack {address} has no {platform} {key}"
    state = hass.states.get(entity)
    assert state is not None, f"{entity} is disabled"
    return state


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so, on the clock of the wire."""
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set a bus up and wait until everything of its packs was read."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(
        lambda: all(
            len(pack.station.state.seen) == len(Block)
            for pack in entry.runtime_data.packs.values()
        )
    )
    await hass.async_block_till_done()
