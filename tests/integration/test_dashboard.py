"""What the dashboard asks the integration for, and how browsers get it."""

from typing import Any

from aiohttp.test_utils import TestClient
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL, UrlManager
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.dashboard import SETTINGS, describe
from custom_components.jkbms.descriptions import NUMBERS, SELECTS, SWITCHES
from simulator import Bank
from simulator.can import CanBus, parallel_bank, serve_can_tcp

from .banks import bank_entry, looked_at
from .bus import entity_id, set_up, subentry_id
from .can_house import can_entry
from .common import device_of, wait_until

type Answer = dict[str, Any]


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """Two packs."""
    return (1, 2)


async def described(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Answer:
    """What a browser is told."""
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "jkbms/dashboard"})
    answer = await client.receive_json()
    assert answer["success"], answer
    result: Answer = answer["result"]
    return result


@pytest.mark.usefixtures("loaded")
async def test_packs_are_told_in_their_order_with_their_entities_by_key(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, bank: Bank
) -> None:
    told = await described(hass, hass_ws_client)
    assert [pack["name"] for pack in told["packs"]] == ["Pack 1", "Pack 2"]
    one, _ = told["packs"]
    assert one["entities"]["cell_voltage_16"] == "sensor.pack_1_cell_voltage_16"
    assert one["entities"]["charging_switch"] == "switch.pack_1_charging"
    assert one["entities"]["charging"] == "binary_sensor.pack_1_charging"
    registry = er.async_get(hass)
    wanted = {
        entity.entity_id
        for entity in registry.entities.values()
        if entity.device_id == one["device_id"] and not entity.disabled
    }
    assert set(one["entities"].values()) == wanted
    protections = [bank[1].number_of(key) / 1000 for key in ("cell_uvp", "cell_ovp")]
    assert one["cell_range"] == protections


@pytest.mark.usefixtures("loaded")
async def test_the_bus_is_told(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    (bus,) = (await described(hass, hass_ws_client))["buses"]
    assert bus["name"] == "Gateway"
    assert bus["entities"]["health"] == "sensor.gateway_health"


@pytest.mark.usefixtures("loaded")
async def test_an_entity_is_known_by_its_unique_id_whatever_it_is_called(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    registry = er.async_get(hass)
    power = entity_id(hass, "sensor", 1, "power")
    current = entity_id(hass, "sensor", 1, "current")
    voltage = entity_id(hass, "sensor", 1, "total_voltage")
    assert power and current and voltage
    registry.async_update_entity(power, new_entity_id="sensor.cellar")
    registry.async_update_entity(current, hidden_by=er.RegistryEntryHider.USER)
    registry.async_update_entity(voltage, disabled_by=er.RegistryEntryDisabler.USER)
    await hass.async_block_till_done()
    one, _ = (await described(hass, hass_ws_client))["packs"]
    assert one["entities"]["power"] == "sensor.cellar"
    assert {"current", "total_voltage"}.isdisjoint(one["entities"])


async def test_a_pack_has_the_name_that_its_owner_gave_it(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    device = device_of(hass, loaded, subentry_id(2))
    assert device is not None
    dr.async_get(hass).async_update_device(device.id, name_by_user="Garage")
    packs = (await described(hass, hass_ws_client))["packs"]
    assert [pack["name"] for pack in packs] == ["Pack 1", "Garage"]


async def test_a_pack_that_is_disabled_is_left_out(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    device = device_of(hass, loaded, subentry_id(1))
    assert device is not None
    dr.async_get(hass).async_update_device(
        device.id, disabled_by=dr.DeviceEntryDisabler.USER
    )
    await hass.async_block_till_done()
    packs = (await described(hass, hass_ws_client))["packs"]
    assert [pack["name"] for pack in packs] == ["Pack 2"]


async def test_what_was_removed_is_no_more(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await hass.config_entries.async_remove(loaded.entry_id)
    await hass.async_block_till_done()
    told = await described(hass, hass_ws_client)
    assert (told["packs"], told["banks"], told["buses"]) == ([], [], [])


async def test_a_bus_that_is_not_set_up_tells_its_packs(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await hass.config_entries.async_unload(loaded.entry_id)
    packs = (await described(hass, hass_ws_client))["packs"]
    assert [pack["name"] for pack in packs] == ["Pack 1", "Pack 2"]
    assert [pack["cell_range"] for pack in packs] == [None, None]


@pytest.mark.usefixtures("loaded")
async def test_a_bank_names_its_packs(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    async with looked_at(hass, bank_entry(packs=[subentry_id(2)])):
        told = await described(hass, hass_ws_client)
    (bank,) = told["banks"]
    assert bank["packs"] == [told["packs"][1]["device_id"]]
    assert bank["entities"]["power"] == "sensor.battery_bank_power"


@pytest.mark.simulated_time
@pytest.mark.usefixtures("socket_enabled")
async def test_a_pack_that_tells_no_protections_has_the_range_of_its_chemistry(
    hass: HomeAssistant,
) -> None:
    def ranges() -> list[tuple[float, float] | None]:
        return [pack.cell_range for pack in describe(hass).packs]

    async with serve_can_tcp(CanBus(parallel_bank((1,), still=True))) as server:
        entry = can_entry(server, 1)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await wait_until(lambda: [one for one in ranges() if one is not None])
        assert ranges() == [(2.5, 3.65)]
        assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


def test_every_setting_with_a_control_has_a_tier() -> None:
    controls = {d.key for d in (*NUMBERS, *SWITCHES, *SELECTS)}
    assert SETTINGS.keys() == controls
    assert set(SETTINGS.values()) == {"everyday", "protection"}


class TestBrowser:
    """Where there is a frontend."""

    @pytest.fixture
    def frontend(self, hass: HomeAssistant) -> UrlManager:
        """What a frontend that is set up leaves behind: its name, and its list of modules."""
        hass.config.components.add("frontend")
        manager = UrlManager(lambda *_: None, [])
        hass.data[DATA_EXTRA_MODULE_URL] = manager
        return manager

    @staticmethod
    async def load(client: TestClient[Any, Any], url: str) -> tuple[str, str]:
        """A module and how long it may be kept."""
        answer = await client.get(url)
        assert answer.status == 200, url
        assert answer.content_type == "text/javascript"
        return await answer.text(), answer.headers["Cache-Control"]

    async def test_every_page_loads_the_entry_point_and_that_finds_the_others(
        self,
        hass: HomeAssistant,
        frontend: UrlManager,
        hass_client_no_auth: ClientSessionGenerator,
    ) -> None:
        assert await async_setup_component(hass, DOMAIN, {})
        (url,) = frontend.urls
        client = await hass_client_no_auth()
        code, kept = await self.load(client, url)
        assert "ll-strategy-" in code
        assert "max-age" in kept
        folder = url.rpartition("/")[0]
        for name in ("dashboard", "cards", "model", "overview", "pack", "settings"):
            await self.load(client, f"{folder}/{name}.js")

    async def test_it_is_said_once_however_many_buses_there_are(
        self, hass: HomeAssistant, frontend: UrlManager, entry: MockConfigEntry
    ) -> None:
        await set_up(hass, entry)
        assert await hass.config_entries.async_reload(entry.entry_id)
        assert len(frontend.urls) == 1
        assert await hass.config_entries.async_remove(entry.entry_id)
        assert len(frontend.urls) == 1
        await hass.async_block_till_done()

    async def test_without_a_frontend_nothing_is_served(
        self, hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
    ) -> None:
        assert await async_setup_component(hass, DOMAIN, {})
        assert DATA_EXTRA_MODULE_URL not in hass.data
        client = await hass_client_no_auth()
        routes = [str(resource) for resource in client.app.router.resources()]
        assert not [route for route in routes if "jkbms_static" in route]
