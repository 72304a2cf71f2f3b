"""A Home Assistant in this process, with a simulated bank in another one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import json
import logging
import sys
from tempfile import TemporaryDirectory
from typing import Any, Final

from homeassistant import loader
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.coordinator import BusCoordinator
from scripts.lib.ha_home import free_port

PACKS: Final = 16
_PATIENCE: Final = 60.0
_LOOK: Final = 0.1
_TALKATIVE: Final = ("homeassistant", "aiohttp_fast_zlib")
"""They warn of custom integrations, and of libraries that nothing here needs."""


@asynccontextmanager
async def home() -> AsyncIterator[HomeAssistant]:
    """Home Assistant's core as its tests have it, with nothing set up."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        async with async_test_home_assistant(config_dir=folder) as hass:
            # The test instance starts with a list without custom integrations.
            hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
            # It would take its usual port of every address.
            http = {"server_host": "127.0.0.1", "server_port": free_port()}
            if not await async_setup_component(hass, "http", {"http": http}):
                raise RuntimeError("Home Assistant's server was not set up")
            try:
                yield hass
            finally:
                await hass.async_stop(force=True)


@asynccontextmanager
async def bank(*wire: str) -> AsyncIterator[int]:
    """Simulated packs in a process of their own; yield the port that serves them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--packs",
        str(PACKS),
        "--seed",
        "1",
        *wire,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline())
        yield int(said["url"].rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def bus(
    hass: HomeAssistant, data: dict[str, Any]
) -> AsyncIterator[BusCoordinator]:
    """A bus of 16 packs, set up until all of them are there with their entities."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Bus",
        data=data,
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id=f"pack{address}",
                subentry_type=SUBENTRY_BMS,
                title=f"Pack {address}",
                unique_id=None,
                data={CONF_ADDRESS: address},
            )
            for address in range(PACKS)
        ],
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    if entry.state is not ConfigEntryState.LOADED:
        raise RuntimeError(f"the bus was not set up: {entry.reason}")
    coordinator: BusCoordinator = entry.runtime_data
    packs = coordinator.packs.values()
    try:
        await until(lambda: all(pack.available and pack.known for pack in packs))
        await hass.async_block_till_done()
        yield coordinator
    finally:
        await hass.config_entries.async_remove(entry.entry_id)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await asyncio.sleep(_LOOK)
