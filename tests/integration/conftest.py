"""What every test inside Home Assistant needs: a bank of packs, a gateway, a bus entry."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import patch

from homeassistant.components.repairs.const import DOMAIN as REPAIRS_DOMAIN
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.protocol import pacing
from custom_components.jkbms.protocol.pacing import Timing
from simulator import Bank, SlaveLine, Speed, TcpServer, serve_tcp

from .bus import set_up, subentry_id, title
from .common import Fix
from .dialog import TEXTS
from .house import House
from .listening import Recorded, listening, load


@pytest.fixture(autouse=True)
def load_custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load integrations from `custom_components`."""


@pytest.fixture
def bank() -> Bank:
    """Four packs, one of each captured kind, that keep their values as captured."""
    return Bank.default(still=True)


@pytest.fixture
def line(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> SlaveLine:
    """The line they are on: bytes take no time, so nobody has to wait for quiet."""
    monkeypatch.setattr(pacing, "_QUIET_START", 0.002)
    monkeypatch.setattr(pacing, "_QUIET_MIN", 0.002)
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
            ConfigSubentryDataWithId(
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
    await set_up(hass, entry)
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


@pytest.fixture
def quick_looks() -> Iterator[None]:
    """Let the looks at a line take moments: silence costs as long as one waits for it."""
    network = Timing(answer=0.05, gap=0.05)
    serial = Timing(answer=0.05, gap=0.05)
    modbus = Timing(answer=0.2, gap=0.05, least=0.15, registers=True)
    package = "custom_components.jkbms"
    with (
        patch(f"{package}.line_flow.LISTEN_FOR", 0.25),
        patch(f"{package}.transport.link.NETWORK", network),
        patch(f"{package}.transport.link.SERIAL", serial),
        patch(f"{package}.transport.link.MODBUS_TCP", modbus),
        patch(f"{package}.protocol.scan.NETWORK", network),
        patch(f"{package}.protocol.pacing._TIMEOUT_MIN", 0.04),
        patch(f"{package}.protocol.scan._MBAP_WAIT", 0.3),
        patch(f"{package}.protocol.scan._QUIET", 0.02),
        patch(f"{package}.protocol.ttl.machine._QUIET", 0.005),
        patch(f"{package}.protocol.ttl.machine._WAKE_WAIT", 0.05),
    ):
        yield


@pytest.fixture
async def fix(hass: HomeAssistant) -> Fix:
    """Walk through the flow behind an issue, as its owner does, or stop at its form."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})

    async def walk(found: ir.IssueEntry, choice: bool | str) -> dict[str, Any]:
        flows = hass.data[REPAIRS_DOMAIN]["flow_manager"]
        result = await flows.async_init(found.domain, data={"issue_id": found.issue_id})
        texts = TEXTS["issues"][found.translation_key]["fix_flow"]["step"]
        text = texts[result["step_id"]]
        text["description"].format(**result["description_placeholders"])
        answer: dict[str, Any] = {}
        if result["type"] is FlowResultType.MENU:
            assert set(result["menu_options"]) == set(text["menu_options"])
            answer = {"next_step_id": choice}
        elif result["step_id"] == "choose":
            answer = {"pack": choice}
        else:
            assert result["step_id"] == "confirm"
        if choice:
            result = await flows.async_configure(result["flow_id"], answer)
            aborts = TEXTS["issues"][found.translation_key]["fix_flow"].get("abort", {})
            if result["type"] is FlowResultType.ABORT:
                text = aborts[result["reason"]]
                text.format(**result["description_placeholders"])
            else:
                assert result["type"] is FlowResultType.CREATE_ENTRY
        return dict(result)

    return walk


@pytest.fixture
async def house(hass: HomeAssistant, bank: Bank) -> AsyncIterator[House]:
    """A bus that is listened to, and sockets that are not connected yet."""
    sockets = SlaveLine(bank, speed=Speed.FAST)
    async with serve_tcp(Recorded(bank)) as bus, serve_tcp(sockets) as control:
        entry = listening(bus.url, *bank.addresses)
        await load(hass, entry, *bank.addresses)
        yield House(bank, bus, control, entry)
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()
