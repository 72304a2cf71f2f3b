"""Two buses with two packs each, and a bank of all four."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.bank_coordinator import BankCoordinator
from custom_components.jkbms.const import DOMAIN
from simulator import Bank, Pack, SlaveLine, Speed, TcpServer, serve_tcp

from .common import bus_entry, holding

LEFT: Final = (1, 2)
RIGHT: Final = (3, 4)


@dataclass
class Racks:
    """Two gateways, and the entries of their buses."""

    packs: dict[int, Pack]
    left: TcpServer
    right: TcpServer
    left_bus: MockConfigEntry
    right_bus: MockConfigEntry


@asynccontextmanager
async def racks(**options: Any) -> AsyncIterator[Racks]:
    """Packs on two lines; their entries are not added yet."""
    left, right = (
        Bank.default(LEFT, still=True),
        Bank.default(RIGHT, still=True, seed=1),
    )
    async with (
        serve_tcp(SlaveLine(left, speed=Speed.FAST)) as one,
        serve_tcp(SlaveLine(right, speed=Speed.FAST)) as other,
    ):
        buses = (
            bus_entry(one.url, *LEFT, **options),
            bus_entry(other.url, *RIGHT, **options),
        )
        packs = {pack.address: pack for pack in (*left, *right)}
        for pack in packs.values():
            pack.set("charge_mos", 1)
            pack.set("discharge_mos", 1)
        yield Racks(packs, one, other, *buses)


def bank_entry(**options: Any) -> MockConfigEntry:
    """The entry of a bank."""
    return MockConfigEntry(
        domain=DOMAIN, title="Battery bank", data={"mode": "bank"}, options=options
    )


@asynccontextmanager
async def looked_at(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BankCoordinator]:
    """The entry of a bank set up; unloaded at the end."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    try:
        yield entry.runtime_data
    finally:
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


@asynccontextmanager
async def whole_bank(
    hass: HomeAssistant, *, poll_interval: int = 5, **options: Any
) -> AsyncIterator[tuple[Racks, MockConfigEntry]]:
    """Both buses and a bank of all packs, everything read."""
    entry = bank_entry(**options)
    async with (
        racks(poll_interval=poll_interval) as both,
        holding(hass, both.left_bus),
        holding(hass, both.right_bus),
        looked_at(hass, entry),
    ):
        yield both, entry


def bank_id(
    hass: HomeAssistant, entry: MockConfigEntry, key: str, platform: str = "sensor"
) -> str | None:
    """The id of an entity of a bank."""
    return er.async_get(hass).async_get_entity_id(
        platform, DOMAIN, f"{entry.entry_id}_{key}"
    )


def bank_state(
    hass: HomeAssistant, entry: MockConfigEntry, key: str, platform: str = "sensor"
) -> State:
    """The state of an entity of a bank that is enabled."""
    entity = bank_id(hass, entry, key, platform)
    assert entity is not None, f"no {platform} {key}"
    state = hass.states.get(entity)
    assert state is not None, f"{entity} is disabled"
    return state


def bank_number(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> float | None:
    """The state of a sensor as a number, None while it is unavailable."""
    state = bank_state(hass, entry, key).state
    return None if state == STATE_UNAVAILABLE else float(state)


def amperes(pack: Pack) -> float:
    """What a pack carries."""
    return pack.number_of("current") / 1000


def watts(pack: Pack) -> float:
    """The power in the memory of a pack."""
    return pack.number_of("pack_voltage") / 1000 * amperes(pack)
