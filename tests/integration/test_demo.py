"""The demo, all but its processes: what it asks of Home Assistant is still there, and says what it should."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant as Hass
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.jkbms.const import DOMAIN
from scripts.lib.demo_check import check_all, complete
from scripts.lib.demo_plan import BUSES
from scripts.lib.demo_stage import Stage
from scripts.lib.ha_api import HomeAssistant
from scripts.lib.simulated import Bus, addresses
from simulator import cli

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


@pytest.fixture
async def port(
    hass: Hass,
    hass_client_no_auth: ClientSessionGenerator,
    local_auth: Any,
    hass_storage: dict[str, Any],
) -> int:
    """Where a fresh Home Assistant is reached."""
    hass_storage["onboarding"] = {
        "version": 4,
        "minor_version": 1,
        "key": "onboarding",
        "data": {"done": ["core_config", "analytics", "integration"]},
    }
    for component in ("onboarding", "config", "api", "websocket_api"):
        assert await async_setup_component(hass, component, {})
    client = await hass_client_no_auth()
    assert client.port is not None
    return client.port


@pytest.fixture(params=[True, False], ids=["still", "moving"])
async def stage(
    request: pytest.FixtureRequest, port: int, tmp_path: Path
) -> AsyncIterator[Stage]:
    """The buses of the demo, as captured or moving, beside a fresh Home Assistant."""
    async with AsyncExitStack() as running:
        buses = {}
        for planned in BUSES:
            options = planned.options("127.0.0.1:0", still=request.param)
            served = cli.endpoint(cli.parser().parse_args(options))
            await running.enter_async_context(served)
            said = cli.announcement(served)
            buses[planned.title] = Bus(url=said["url"], packs=addresses(said))
        yield Stage(folder=tmp_path, port=port, buses=buses, new=True)


@pytest.fixture
async def home(hass: Hass, stage: Stage) -> AsyncIterator[HomeAssistant]:
    """The demo's way to Home Assistant, everything set up; it is unloaded after the test."""
    async with aiohttp.ClientSession() as session:
        home = HomeAssistant(session, stage.url)
        await stage.enter(home)
        await stage.set_up(home)
        await complete(home, stage.buses)
        yield home
        await home.close()
        for entry in hass.config_entries.async_entries(DOMAIN):
            if entry.state is ConfigEntryState.LOADED:
                await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


@pytest.mark.parametrize("stage", [True], indirect=True)
async def test_the_check_of_the_demo_finds_nothing_wrong(
    home: HomeAssistant, stage: Stage
) -> None:
    stage.log.write_text("")
    assert await check_all(home, stage.buses, stage.log) == []


@pytest.mark.parametrize("stage", [False], indirect=True)
async def test_the_demo_shows_nothing_that_needs_repair_and_lets_one_in_again(
    hass: Hass, home: HomeAssistant, stage: Stage
) -> None:
    titles = {entry.title for entry in hass.config_entries.async_entries(DOMAIN)}
    assert titles == {bus.title for bus in BUSES} | {"Battery bank"}
    assert ir.async_get(hass).issues == {}
    later = replace(stage, new=False)
    async with aiohttp.ClientSession() as session:
        again = HomeAssistant(session, later.url)
        await later.enter(again)
        await complete(again, later.buses)
        await again.close()
