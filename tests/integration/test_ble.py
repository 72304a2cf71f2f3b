"""A pack on Bluetooth: its entry, its values, its switches, its faults, and nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
import json
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.jkbms import ble
from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.mode import ble_data
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.transport.health import Health, Trouble
from simulator import PASSWORD, PIN, Pack, trios
from simulator.ble import GattPack, Generation, Glue, Kind, make_older
from tests.radio import ADDRESS, Proxy, Radio, proxy_for

from .bus import entity_id, state_of, subentry_id
from .common import holding, issue, wait_until
from .test_descriptions import KEYS

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("enable_bluetooth"),
]

TITLE: Final = "Shed"


def radio_of(
    generation: Generation = Generation.CELLS_32,
    kind: Kind = Kind.NEW,
    address: str = ADDRESS,
    **module: Any,
) -> Radio:
    """A pack in the air."""
    pack = make_older(Pack(trios()[0], 0, still=True), generation)
    return Radio(GattPack(pack, generation=generation, **module), address, kind)


def ble_entry(address: str = ADDRESS, **options: Any) -> MockConfigEntry:
    """The entry of a pack on Bluetooth, nothing learnt."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=TITLE,
        unique_id=address,
        data=ble_data(address),
        options=options,
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id=subentry_id(0),
                subentry_type=SUBENTRY_BMS,
                title="Pack 0",
                unique_id=None,
                data={"address": 0},
            )
        ],
    )


@pytest.fixture
def radio() -> Radio:
    """A pack of today, with the newer kind of module."""
    return radio_of(glue=Glue.GLUED_IDLE, idle=True, repeats=True, joined=True)


@pytest.fixture
async def proxy(
    hass: HomeAssistant, enable_bluetooth: None, radio: Radio
) -> AsyncIterator[Proxy]:
    """A proxy that sees it."""
    with proxy_for(hass, radio) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
async def nothing_left(hass: HomeAssistant) -> AsyncIterator[None]:
    """Whatever a test did: no task of ours survives the unloading of the entries."""
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    left = [
        t for t in asyncio.all_tasks() if DOMAIN in (t.get_name() + repr(t.get_coro()))
    ]
    assert [t for t in left if t is not asyncio.current_task()] == []


def value(hass: HomeAssistant, key: str, platform: str = "sensor") -> str:
    return str(state_of(hass, platform, 0, key).state)


async def off(hass: HomeAssistant, key: str) -> None:
    """Turn a switch off as a person does."""
    entity = entity_id(hass, "switch", 0, key)
    await hass.services.async_call(
        "switch", "turn_off", {"entity_id": entity}, blocking=True
    )


def of_bus(hass: HomeAssistant, entry: MockConfigEntry, platform: str, key: str) -> str:
    found = er.async_get(hass).async_get_entity_id(
        platform, DOMAIN, f"{entry.entry_id}_{key}"
    )
    assert found is not None
    state = hass.states.get(found)
    assert state is not None
    return str(state.state)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("mtu", [23, 131, 247])
async def test_a_pack_on_bluetooth_has_the_entities_of_one_on_a_wire(
    hass: HomeAssistant, kind: Kind, mtu: int
) -> None:
    radio = radio_of(kind=kind, mtu=mtu, glue=Glue.GLUED, idle=True)
    pack = radio.gatt.pack
    with proxy_for(hass, radio):
        async with holding(hass, ble_entry()) as bus:
            assert value(hass, "total_voltage") == str(
                pack.number_of("pack_voltage") / 1000
            )
            assert value(hass, "state_of_charge") == str(pack.number_of("soc"))
            assert value(hass, "cell_voltage_1") == str(
                pack.number_of("cell_voltage_1") / 1000
            )
            assert entity_id(hass, "switch", 0, "charging_switch")
            assert entity_id(hass, "number", 0, "cell_ovp")
            assert bus.watch.health is Health.OK
            assert bus.watch.kind == "bluetooth"
        assert not radio.connected, "it is let go with the entry"
        assert radio.gatt.connections == 1


async def test_keys_are_those_of_a_wire(
    hass: HomeAssistant, radio: Radio, proxy: Proxy, everything_enabled: None
) -> None:
    frozen = {tuple(line.split()[:2]) for line in KEYS.read_text().splitlines()}
    async with holding(hass, ble_entry()):
        registry = er.async_get(hass)
        found = {
            (e.domain, e.unique_id.removeprefix(f"{subentry_id(0)}_"))
            for e in registry.entities.values()
            if e.platform == DOMAIN and e.unique_id.startswith(subentry_id(0))
        }
    assert len(found) > 100
    assert {one for one in found if one not in frozen} == set()


async def test_live_values_follow(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()):
        radio.gatt.pack.set("soc", radio.gatt.pack.number_of("soc") - 1)
        wanted = str(radio.gatt.pack.number_of("soc"))
        assert await wait_until(lambda: value(hass, "state_of_charge") == wanted) < 3.5


async def test_a_refresh_takes_the_next_values(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry(update_interval=30)) as bus:
        radio.gatt.pack.set("soc", radio.gatt.pack.number_of("soc") - 1)
        wanted = str(radio.gatt.pack.number_of("soc"))
        await bus.async_request_refresh()
        assert await wait_until(lambda: value(hass, "state_of_charge") == wanted) < 1.5
        orders = len(radio.gatt.orders)
        await bus.async_refresh_settings(subentry_id(0))
        await wait_until(lambda: len(radio.gatt.orders) >= orders + 2)
        assert {register for _, register, _ in radio.gatt.orders[orders:]} == {
            0x96,
            0x97,
        }


async def test_a_switch_is_turned_and_proven(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry(write_tier="everyday")):
        await off(hass, "charging_switch")
        assert radio.gatt.pack.number_of("charge_switch") == 0
        assert value(hass, "charging_switch", "switch") == STATE_OFF
        radio.gatt.ignores = {0x1E}
        with pytest.raises(HomeAssistantError):
            await off(hass, "discharging_switch")
        assert value(hass, "discharging_switch", "switch") == STATE_ON
        assert radio.gatt.pack.dangerous == []


async def test_nothing_is_written_unless_it_is_allowed(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()):
        assert value(hass, "charging_switch", "switch") == STATE_UNAVAILABLE
    assert {register for _, register, _ in radio.gatt.orders} == {0x96, 0x97}


async def test_settings_together_are_all_or_none(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry(write_tier="everyday")) as bus:
        pack = bus.packs[subentry_id(0)]
        radio.gatt.ignores = {0x06}
        report = await bus.changes.async_set_all(
            pack,
            {
                BY_KEY["max_balance_current"]: 1.0,
                BY_KEY["balance_trigger_voltage"]: 0.02,
            },
        )
        assert not report.proven
        assert report.left_changed == ()
        assert radio.gatt.pack.number_of("balance_current_limit") != 1000


@pytest.mark.parametrize(
    ("generation", "switches"),
    [
        (Generation.CELLS_24, {"charging_switch", "discharging_switch", "balancer"}),
        (Generation.FLOATS, set()),
    ],
)
async def test_older_boards_have_what_they_tell_and_take(
    hass: HomeAssistant, generation: Generation, switches: set[str]
) -> None:
    radio = radio_of(generation, Kind.OLD)
    with proxy_for(hass, radio):
        async with holding(hass, ble_entry(write_tier="protection")):
            registry = er.async_get(hass)
            offered = {
                e.unique_id.removeprefix(f"{subentry_id(0)}_")
                for e in registry.entities.values()
                if e.platform == DOMAIN
                and e.domain in ("switch", "number", "select")
                and e.unique_id.startswith(subentry_id(0))
            }
            assert offered == switches
            assert float(value(hass, "total_voltage")) == pytest.approx(
                radio.gatt.pack.number_of("pack_voltage") / 1000, abs=0.1
            )
            has_current = entity_id(hass, "sensor", 0, "current") is not None
            assert has_current is (generation is Generation.CELLS_24)
            for key in switches:
                await off(hass, key)
            assert radio.gatt.pack.dangerous == []


async def test_the_switch_lets_the_phone_in_and_takes_the_pack_back(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    entry = ble_entry()
    async with holding(hass, entry) as bus:
        connected = er.async_get(hass).async_get_entity_id(
            "switch", DOMAIN, f"{entry.entry_id}_connection"
        )
        assert connected is not None
        call = {"entity_id": connected}
        assert of_bus(hass, entry, "switch", "connection") == STATE_ON
        await hass.services.async_call("switch", "turn_off", call, blocking=True)
        await wait_until(lambda: not radio.connected)
        assert of_bus(hass, entry, "switch", "connection") == STATE_OFF
        assert of_bus(hass, entry, "sensor", "health") == Health.RELEASED
        # Somebody has it for an hour; nobody tries to get in.
        radio.lets_in = False
        attempts = radio.attempts
        await asyncio.sleep(3600)
        assert radio.attempts == attempts
        assert bus.watch.troubles == {}
        assert value(hass, "total_voltage") == STATE_UNAVAILABLE
        radio.lets_in = True
        await hass.services.async_call("switch", "turn_on", call, blocking=True)
        assert await wait_until(lambda: bus.packs[subentry_id(0)].available) < 6
        await wait_until(lambda: bus.watch.health is Health.OK)


async def test_an_attempt_is_given_up_when_the_phone_shall_have_it(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        radio.hangs = True
        radio.drop()
        await wait_until(lambda: radio.attempts == 2)
        bus.async_connect(False)
        await wait_until(lambda: bus.session.status.fault == "released")
        radio.hangs = False
        bus.async_connect(True)
        await wait_until(lambda: radio.connected)


async def test_a_connection_that_is_lost_comes_back(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        radio.drop()
        assert await wait_until(lambda: radio.connected) < 5
        await wait_until(lambda: bus.last_update_success)
        assert bus.session.reconnects == 1
        assert value(hass, "total_voltage") != STATE_UNAVAILABLE


async def test_a_pack_out_of_range_costs_nothing_but_its_back_off(
    hass: HomeAssistant, radio: Radio, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ble_entry()
    async with holding(hass, entry) as bus:
        looks: list[float] = []

        def not_seen(*_: Any, **__: Any) -> None:
            looks.append(hass.loop.time())

        with monkeypatch.context() as gone:
            gone.setattr(ble, "async_ble_device_from_address", not_seen)
            radio.drop()
            await wait_until(lambda: bus.watch.health is Health.OUT_OF_RANGE, 120)
            attempts = radio.attempts
            await asyncio.sleep(600)
            assert radio.attempts == attempts
            assert len(looks) < 200
            assert bus.watch.troubles.keys() == {Trouble.BLUETOOTH_GONE}
            assert issue(hass, Trouble.BLUETOOTH_GONE, entry.entry_id)
            assert value(hass, "total_voltage") == STATE_UNAVAILABLE
        await wait_until(lambda: bus.watch.health is Health.OK)
        assert bus.watch.troubles == {}


async def test_one_that_does_not_let_in_is_tried_more_and_more_seldom(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        radio.lets_in = False
        radio.drop()
        await wait_until(lambda: bus.watch.health is Health.IN_USE, 120)
        await asyncio.sleep(1800)
        before = radio.attempts
        await asyncio.sleep(600)
        assert radio.attempts - before <= 2 * 11
        assert bus.watch.troubles.keys() == {Trouble.BLUETOOTH_IN_USE}
        radio.lets_in = True
        await wait_until(lambda: bus.watch.health is Health.OK, 120)


async def test_no_free_connection_is_told(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        proxy.slots = 0
        radio.drop()
        await wait_until(lambda: bus.watch.health is Health.NO_SLOT, 180)
        proxy.slots = 3
        await wait_until(lambda: bus.watch.health is Health.OK, 180)


async def test_a_pack_that_wants_to_be_paired_is_told_in_repairs(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    entry = ble_entry()
    async with holding(hass, entry) as bus:
        radio.demands_pairing = True
        radio.drop()
        await wait_until(lambda: bus.watch.health is Health.UNPAIRED, 120)
        await wait_until(lambda: Trouble.BLUETOOTH_UNPAIRED in bus.watch.troubles)
        assert issue(hass, Trouble.BLUETOOTH_UNPAIRED, entry.entry_id)
        assert not radio.connected
        radio.demands_pairing = False
        await wait_until(lambda: bus.watch.health is Health.OK, 120)
        assert bus.watch.troubles == {}


async def test_a_silent_pack_is_asked_reconnected_and_told(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        # The text of its module goes on, and proves nothing.
        radio.gatt.mute = True
        await wait_until(lambda: bus.watch.health is Health.SILENT, 120)
        assert value(hass, "total_voltage") == STATE_UNAVAILABLE
        await asyncio.sleep(300)
        assert bus.watch.troubles.keys() == {Trouble.BLUETOOTH_SILENT}
        connections = radio.gatt.connections
        assert 3 < connections < 12
        radio.gatt.mute = False
        await wait_until(lambda: bus.watch.health is Health.OK, 180)


async def test_another_device_is_no_bms(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    async with holding(hass, ble_entry()) as bus:
        radio.foreign = True
        radio.drop()
        await wait_until(lambda: bus.watch.health is Health.NO_BMS, 120)
        assert not radio.connected


async def test_an_entry_whose_pack_is_not_there_is_not_ready_and_says_why(
    hass: HomeAssistant, radio: Radio
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    with proxy_for(hass):
        assert not await hass.config_entries.async_setup(entry.entry_id)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert entry.error_reason_translation_key == "link_out_of_range"
        await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entry_is_not_ready_where_nothing_can_connect(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    monkeypatch.setattr(ble, "async_scanner_count", lambda *_, **__: 0)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "link_no_adapter"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_diagnostics_show_notifications_and_nobody(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    radio: Radio,
    proxy: Proxy,
) -> None:
    entry = ble_entry()
    async with holding(hass, entry):
        await asyncio.sleep(10)
        told: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    text = json.dumps(told).upper()
    for secret in (PIN, PASSWORD, radio.gatt.pack.serial, ADDRESS):
        assert secret not in text
        assert secret.encode().hex().upper() not in text
    assert told["mode"] == "ble"
    assert set(told["notifications"]) >= {4, 244}
    assert any(" in 55AAEB90" in line for line in told["recorded"])
    assert any(" out AA5590EB96" in line for line in told["recorded"])
    assert told["packs"][0]["layout"] == "jk02_32s"
    assert told["packs"][0]["pacing"]["layout_agreed"] == "jk02_32s"


async def test_a_pack_that_was_removed_from_its_entry_is_found_again(
    hass: HomeAssistant, radio: Radio, proxy: Proxy
) -> None:
    entry = ble_entry()
    async with holding(hass, entry):
        hass.config_entries.async_remove_subentry(entry, subentry_id(0))
        await hass.async_block_till_done()
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
        await wait_until(lambda: len(entry.subentries) == 1)
        (subentry,) = entry.subentries.values()
        assert subentry.data["serial_number"] == radio.gatt.pack.serial
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and any(p.available for p in entry.runtime_data.packs.values())
            )
        )
