"""What every test inside Home Assistant needs: a bank of packs, a gateway, a bus entry."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryData
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from simulator import Bank, SlaveLine, Speed, TcpServer, serve_tcp

from .bus import subentry_id, title


@pytest.fixture(autouse=True)
def load_custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load integrations from `custom_components`."""


@pytest.fixture
def bank() -> Bank:
    """Four packs, one of each captured kind, that keep their values as captured."""
    return Bank.default(still=True)


@pytest.fixture
def line(bank: Bank) -> SlaveLine:
    """The line they are on, without the waiting of a real one."""
    return SlaveLine(bank, speed=Speed.FAST)


@pytest.fixture
async def gateway(
    hass: HomeAssistant, socket_enabled: None, line: SlaveLine
) -> AsyncIterator[TcpServer]:
    """A gateway in transparent mode; it can be stopped, started and silenced."""
    async with serve_tcp(line) as server:
        yield server


@pytest.fixture
def bus_url(gateway: TcpServer) -> str:
    """What to name as the line."""
    return gateway.url


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """Which packs of the bank are configured; a test may say otherwise."""
    return (1, 2, 3, 4)


@pytest.fixture
def options() -> dict[str, Any]:
    """The options of the bus; a test may say otherwise."""
    return {}


@pytest.fixture
def entry(
    hass: HomeAssistant,
    bus_url: str,
    addresses: tuple[int, ...],
    options: dict[str, Any],
) -> MockConfigEntry:
    """The entry of a bus as the config flow makes it, not set up; nothing is learnt yet."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Gateway",
        data={"device": bus_url},
        options=options,
        version=1,
        minor_version=1,
        subentries_data=[
            ConfigSubentryData(
                subentry_id=subentry_id(address),
                subentry_type=SUBENTRY_BMS,
                title=title(address),
                unique_id=None,
                data={"address": address},
            )
            for address in addresses
        ],
    )
    entry.add_to_hass(hass)
    return entry


@pytest.fixture
async def loaded(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[MockConfigEntry]:
    """The entry, set up, its packs read once; unloaded after the test."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    yield entry
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


@pytest.fixture
def everything_enabled() -> Iterator[None]:
    """Enable also the entities that start out disabled."""
    with patch(
        "homeassistant.helpers.entity.Entity.entity_registry_enabled_default", True
    ):
        yield
