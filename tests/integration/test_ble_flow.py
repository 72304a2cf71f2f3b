"""A pack on Bluetooth is set up: found by itself or chosen, asked, recognised, explained."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_BLUETOOTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms import ble
from custom_components.jkbms.bank_members import all_packs, packs_of
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.mode import Mode, mode_of
from custom_components.jkbms.transport.link import LinkError, LinkFault
from simulator.ble import Generation
from tests.radio import ADDRESS, NAME, SERVICE, Proxy, Radio, proxy_for

from .common import bus_entry, wait_until
from .dialog import TEXTS, Dialog
from .test_ble import ble_entry, radio_of

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("enable_bluetooth"),
]
OTHER = "20:21:11:00:00:02"


@pytest.fixture
def radio() -> Radio:
    """A pack in the air."""
    return radio_of()


@pytest.fixture
async def proxy(
    hass: HomeAssistant, enable_bluetooth: None, radio: Radio
) -> AsyncIterator[Proxy]:
    """A proxy that sees it; what was set up is unloaded before it goes."""
    with proxy_for(hass, radio) as proxy:
        yield proxy
        for entry in hass.config_entries.async_entries(DOMAIN):
            if entry.state is ConfigEntryState.LOADED:
                await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


def offered(hass: HomeAssistant) -> list[dict[str, Any]]:
    """The packs that are offered by themselves."""
    return [
        dict(flow)
        for flow in hass.config_entries.flow.async_progress()
        if flow["handler"] == DOMAIN and flow["context"]["source"] == SOURCE_BLUETOOTH
    ]


async def walked(hass: HomeAssistant, flow_id: str, answer: Any) -> dict[str, Any]:
    """Answer a form and wait for what comes of it."""
    flows = hass.config_entries.flow
    result = await flows.async_configure(flow_id, answer)
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        await hass.async_block_till_done()
        result = await flows.async_configure(flow_id)
    return dict(result)


async def test_a_pack_that_is_seen_is_offered_with_its_name_and_signal(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    await wait_until(lambda: offered(hass))
    (flow,) = offered(hass)
    assert flow["context"]["title_placeholders"]["name"] == f"{NAME} (-67 dBm)"
    assert radio.attempts == 0, "nobody connects before it is wanted"
    result = await walked(hass, flow["flow_id"], {})
    assert result["step_id"] == "ble_confirm"
    text = TEXTS["config"]["step"]["ble_confirm"]["description"]
    assert radio.gatt.pack.serial in text.format(**result["description_placeholders"])
    assert not radio.connected, "it is let go until the entry takes it"
    result = await walked(hass, flow["flow_id"], {"write_tier": "everyday"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert mode_of(entry) is Mode.BLE
    assert entry.title == NAME
    assert entry.options == {"write_tier": "everyday", "update_interval": 2}
    (subentry,) = entry.subentries.values()
    assert subentry.data["serial_number"] == radio.gatt.pack.serial
    await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
    assert offered(hass) == []


async def test_whoever_is_within_reach_may_have_any_name(
    hass: HomeAssistant, enable_bluetooth: None
) -> None:
    radio = radio_of()
    radio.name = "JK_![x](http://e.vil/)|\n\u202e<img src=x>{{ 1/0 }}"
    with proxy_for(hass, radio):
        await hass.async_block_till_done()
        (flow,) = offered(hass)
        shown = "JK_x(http e.vil/)img src=x 1/0"
        assert flow["context"]["title_placeholders"]["name"] == f"{shown} (-67 dBm)"
        dialog = await Dialog.add(hass, "ble")
        (field,) = dialog.shown["data_schema"].schema.values()
        assert field.config["options"][0]["label"].startswith(shown)


async def test_the_same_pack_is_not_offered_again(
    hass: HomeAssistant, radio: Radio
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    with proxy_for(hass, radio):
        await hass.async_block_till_done()
        assert offered(hass) == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_advertisement_ends_the_waiting_for_a_pack(
    hass: HomeAssistant, radio: Radio
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    with proxy_for(hass):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    with proxy_for(hass, radio):
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED, 4)
        await hass.config_entries.async_unload(entry.entry_id)


async def test_devices_of_others_are_not_offered(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, radio: Radio
) -> None:
    monkeypatch.setattr("tests.radio.MANUFACTURER", 0x004C)
    with proxy_for(hass, radio):
        await hass.async_block_till_done()
        assert offered(hass) == []
        dialog = await Dialog.add(hass, "ble")
        assert dialog.step == "ble_none"
        await dialog.look_again()
        assert dialog.step == "ble_none"
        await dialog.choose("ble")
        assert dialog.step == "ble_none"


async def test_packs_that_are_seen_are_listed_and_asked(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    dialog = await Dialog.add(hass, "ble")
    assert dialog.step == "ble"
    (option,) = dialog.shown["data_schema"].schema["address"].config["options"]
    assert option == {"value": ADDRESS, "label": f"{NAME} ({ADDRESS}, -67 dBm)"}
    await dialog.submit(address=ADDRESS)
    assert dialog.step == "ble_confirm"
    assert radio.gatt.orders
    assert {register for _, register, _ in radio.gatt.orders} == {0x96, 0x97}
    await dialog.submit(write_tier="protection")
    assert dialog.step == "confirm_protection"
    await dialog.submit(understood=True)
    assert dialog.shown["type"] is FlowResultType.CREATE_ENTRY


async def test_one_that_cannot_be_connected_is_explained_and_asked_again(
    hass: HomeAssistant,
    proxy: Proxy,
    radio: Radio,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dialog = await Dialog.add(hass, "ble")
    for trouble, error in (
        ("lets_in", "in_use"),
        ("demands_pairing", "unpaired"),
        ("foreign", "no_bms"),
    ):
        setattr(radio, trouble, trouble != "lets_in")
        await dialog.submit(address=ADDRESS)
        assert dialog.step == "ble"
        assert dialog.errors == {"base": error}
        setattr(radio, trouble, trouble == "lets_in")
    failure = LinkError(LinkFault.FAILED, "who knows")
    with patch("custom_components.jkbms.ble_flow.async_meet", side_effect=failure):
        await dialog.submit(address=ADDRESS)
    assert dialog.errors == {"base": "ble_failed"}
    assert f"{ADDRESS} cannot be connected: who knows" in caplog.text
    radio.gatt.mute = True
    await dialog.submit(address=ADDRESS)
    assert dialog.errors == {"base": "ble_silent"}
    radio.gatt.mute = False
    await dialog.submit(address=ADDRESS)
    assert dialog.step == "ble_confirm"


async def test_one_that_was_offered_and_cannot_be_connected_is_offered_still(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    await wait_until(lambda: offered(hass))
    (flow,) = offered(hass)
    proxy.slots = 0
    result = await walked(hass, flow["flow_id"], {})
    assert result["step_id"] == "ble_found"
    assert result["errors"] == {"base": "no_slot"}


@pytest.mark.usefixtures("socket_enabled")
async def test_a_pack_that_a_wire_has_is_recognised_and_counted_once(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    wired = bus_entry("socket://127.0.0.1:1", 1)
    wired.add_to_hass(hass)
    (subentry,) = wired.subentries.values()
    hass.config_entries.async_update_subentry(
        wired, subentry, data={"address": 1, "serial_number": radio.gatt.pack.serial}
    )
    dialog = await Dialog.add(hass, "ble")
    await dialog.submit(address=ADDRESS)
    assert dialog.step == "ble_known"
    assert dialog.shown["description_placeholders"]["owner"] == wired.title
    await dialog.choose("ble_confirm")
    await dialog.submit(write_tier="off")
    assert dialog.shown["type"] is FlowResultType.CREATE_ENTRY
    (pack,) = all_packs(hass)
    assert pack.bus is wired, "the wire comes first"
    both = [
        s
        for entry in hass.config_entries.async_entries(DOMAIN)
        for s in entry.subentries
    ]
    assert len(both) == 2
    assert len(packs_of(hass, {"packs": both})) == 1


async def test_a_wire_is_preferred_whichever_was_set_up_first(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    wired = bus_entry("socket://127.0.0.1:1", 1)
    wired.add_to_hass(hass)
    for one, address in ((entry, 0), (wired, 1)):
        (subentry,) = one.subentries.values()
        data = {"address": address, "serial_number": "90000000000"}
        hass.config_entries.async_update_subentry(one, subentry, data=data)
    (pack,) = all_packs(hass)
    assert pack.bus is wired


async def test_an_entry_can_be_given_another_pack(hass: HomeAssistant) -> None:
    first, second = radio_of(), radio_of(Generation.CELLS_24, address=OTHER)
    second.gatt.pack.number = 7
    second.gatt.pack.set("serial_number", b"90000000007\0")
    entry = ble_entry()
    entry.add_to_hass(hass)
    with proxy_for(hass, first, second):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await wait_until(lambda: entry.runtime_data.packs["pack0"].serial_number)
        dialog = await Dialog.reconfigure(hass, entry)
        assert dialog.step == "ble"
        await dialog.submit(address=OTHER)
        assert dialog.step == "ble_stranger"
        await dialog.choose("ble_use")
        assert dialog.shown["reason"] == "reconfigure_successful"
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
        assert entry.unique_id == OTHER
        await wait_until(lambda: second.connected)
        assert not first.connected
        dialog = await Dialog.reconfigure(hass, entry)
        await dialog.submit(address=OTHER)
        assert dialog.shown["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_options_of_a_pack_on_bluetooth(
    hass: HomeAssistant, proxy: Proxy, radio: Radio
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    dialog = await Dialog.options(hass, entry)
    assert dialog.step == "bluetooth"
    await dialog.submit(update_interval=7, write_tier="off")
    await hass.async_block_till_done()
    await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.runtime_data.machine.interval == 7


async def test_nothing_is_added_to_an_entry_of_one_pack(hass: HomeAssistant) -> None:
    entry: MockConfigEntry = ble_entry()
    assert entry.supported_subentry_types == {}


def test_the_manifest_names_what_the_list_takes() -> None:
    package = Path(ble.__file__).parent
    manifest = json.loads((package / "manifest.json").read_text(encoding="utf-8"))
    matchers = manifest["bluetooth"]
    assert {one["manufacturer_id"] for one in matchers} == ble.MANUFACTURERS
    assert {one["service_uuid"] for one in matchers} == {SERVICE}
    assert all(one["connectable"] for one in matchers)
    assert "bluetooth" in manifest["after_dependencies"]
    assert "bluetooth" not in manifest["dependencies"], "wires do without"
