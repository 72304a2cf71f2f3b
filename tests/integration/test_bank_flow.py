"""How a bank is set up, offered, ignored and changed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_INTEGRATION_DISCOVERY,
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.config_flow import JkBmsConfigFlow
from custom_components.jkbms.const import DOMAIN
from simulator import TcpServer

from .banks import bank_entry, bank_number, bank_state, racks, whole_bank
from .common import bus_entry, holding, wait_until
from .dialog import TEXTS, Dialog

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


@pytest.fixture(autouse=True)
async def unload_what_was_created(hass: HomeAssistant) -> AsyncIterator[None]:
    """Leave nothing running."""
    yield
    await hass.async_block_till_done()
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def bank_of(hass: HomeAssistant) -> MockConfigEntry:
    """The one bank that is set up."""
    (entry,) = [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        if entry.data.get("mode") == "bank"
    ]
    assert entry.state is ConfigEntryState.LOADED
    return entry  # type: ignore[return-value]  # a real entry: there is no difference


def offers(hass: HomeAssistant) -> list[Any]:
    """The flows that wait for somebody to say yes."""
    return [
        flow
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        if flow["context"]["source"] == SOURCE_INTEGRATION_DISCOVERY
    ]


def labels(dialog: Dialog) -> dict[str, str]:
    """The packs that can be chosen."""
    schema = dialog.shown["data_schema"].schema
    return {
        option["value"]: option["label"] for option in schema["packs"].config["options"]
    }


async def test_a_bank_of_all_packs_takes_two_clicks(hass: HomeAssistant) -> None:
    async with (
        racks() as both,
        holding(hass, both.left_bus),
        holding(hass, both.right_bus),
    ):
        dialog = await Dialog.add(hass, "bank")
        assert dialog.step == "bank"
        assert labels(dialog) == {f"pack{n}": f"Pack {n}" for n in range(1, 5)}
        assert dialog.shown["data_schema"]({}) == {"all_packs": True}
        await dialog.submit(all_packs=True)
        assert dialog.step == "created"
        await hass.async_block_till_done()
        entry = bank_of(hass)
        assert entry.title == "Battery bank"
        assert entry.unique_id == "bank"
        assert entry.data == {"mode": "bank"}
        assert entry.options == {}
        assert bank_number(hass, entry, "packs_online") == 4
        # What was offered meanwhile is there now.
        assert offers(hass) == []


async def test_some_packs_of_several_buses_may_be_chosen(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, first):
        bus = both.right_bus
        hass.config_entries.async_update_subentry(
            bus, bus.subentries["pack3"], title="Pack 1"
        )
        await wait_until(lambda: bus.state is ConfigEntryState.LOADED)
        dialog = await Dialog.add(hass, "bank")
        assert labels(dialog) == {
            "pack1": "Pack 1 (Bus)",
            "pack2": "Pack 2",
            "pack3": "Pack 1 (Bus)",
            "pack4": "Pack 4",
        }
        await dialog.submit(all_packs=False, min_packs=2)
        assert (dialog.step, dialog.errors) == ("bank", {"packs": "no_packs"})
        await dialog.submit(all_packs=False, packs=["pack1", "pack4"], min_packs=3)
        assert (dialog.step, dialog.errors) == ("bank", {"min_packs": "too_many"})
        await dialog.submit(all_packs=False, packs=["pack1", "pack4"], min_packs=1)
        assert dialog.step == "created"
        await hass.async_block_till_done()
        second = dialog.shown["result"]
        assert second.title == "Battery bank 2"
        assert second.options == {"packs": ["pack1", "pack4"], "min_packs": 1}
        assert second.unique_id is None or first.unique_id is None
        assert bank_state(hass, second, "packs_online").state == "2"
        dialog = await Dialog.add(hass, "bank")
        await dialog.submit(all_packs=True)
        assert dialog.shown["result"].title == "Battery bank 3"


@pytest.mark.parametrize("way", ["options", "reconfigure"])
async def test_what_was_chosen_can_be_changed(hass: HomeAssistant, way: str) -> None:
    async with whole_bank(hass, packs=["pack1", "gone"], min_packs=1) as (_, entry):
        assert bank_state(hass, entry, "packs_online").state == "1"
        show = Dialog.options if way == "options" else Dialog.reconfigure
        dialog = await show(hass, entry)
        assert dialog.step == "bank"
        shown = dialog.shown["data_schema"].schema
        suggested = {
            str(key): key.description.get("suggested_value")
            for key in shown
            if key.description
        }
        assert suggested == {"all_packs": False, "packs": ["pack1"], "min_packs": 1}
        await dialog.submit(all_packs=False)
        assert dialog.errors == {"packs": "no_packs"}
        await dialog.submit(all_packs=True)
        assert dialog.step in ("created", "abort:reconfigure_successful")
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and bank_state(hass, entry, "packs_online").state == "4"
            )
        )
        assert entry.options == {}
        assert entry.data == {"mode": "bank"}


async def test_nothing_can_be_added_to_a_bank() -> None:
    types = JkBmsConfigFlow.async_get_supported_subentry_types(bank_entry())
    assert types == {}


async def test_one_pack_makes_no_bank(hass: HomeAssistant, gateway: TcpServer) -> None:
    async with holding(hass, bus_entry(gateway.url, 1)):
        result = await hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )
        assert result["type"] is FlowResultType.MENU
        assert result["menu_options"] == ["rs485", "can"]
        assert offers(hass) == []


async def test_a_bank_does_not_stand_in_the_way_of_another_bus(
    hass: HomeAssistant, quick_looks: None, gateway: TcpServer
) -> None:
    async with whole_bank(hass) as (both, _):
        dialog = await Dialog.add(hass)
        await dialog.submit(device=both.left.url)
        assert dialog.step == "abort:already_configured"


async def test_the_second_pack_brings_an_offer_that_takes_one_click(
    hass: HomeAssistant,
) -> None:
    async with (
        racks() as both,
        holding(hass, both.left_bus),
        holding(hass, both.right_bus),
    ):
        assert await hass.config_entries.async_reload(both.left_bus.entry_id)
        await hass.async_block_till_done()
        (offer,) = offers(hass)
        assert offer["step_id"] == "bank_offered"
        assert offer["context"]["title_placeholders"] == {"name": "Battery bank"}
        assert offer["context"]["unique_id"] == "bank"
        dialog = Dialog(hass, hass.config_entries.flow, TEXTS["config"])
        dialog.shown = {"flow_id": offer["flow_id"]}
        await dialog.look_again()
        assert dialog.placeholders == {
            "count": "4",
            "packs": "Pack 1, Pack 2, Pack 3, Pack 4",
        }
        await dialog.submit()
        assert dialog.step == "created"
        await hass.async_block_till_done()
        entry = bank_of(hass)
        assert (entry.title, entry.unique_id) == ("Battery bank", "bank")
        assert bank_number(hass, entry, "packs_online") == 4
        assert await hass.config_entries.async_reload(both.left_bus.entry_id)
        await hass.async_block_till_done()
        assert offers(hass) == []


async def test_an_offer_that_is_ignored_does_not_come_again_but_a_bank_can_be_added(
    hass: HomeAssistant,
) -> None:
    async with racks() as both, holding(hass, both.left_bus):
        (offer,) = offers(hass)
        flows = hass.config_entries.flow
        flows.async_abort(offer["flow_id"])
        await flows.async_init(
            DOMAIN,
            context={"source": SOURCE_IGNORE},
            data={"unique_id": "bank", "title": "Battery bank"},
        )
        assert await hass.config_entries.async_reload(both.left_bus.entry_id)
        await hass.async_block_till_done()
        assert offers(hass) == []
        dialog = await Dialog.add(hass, "bank")
        await dialog.submit(all_packs=True)
        assert dialog.step == "created"
        await hass.async_block_till_done()
        assert bank_number(hass, bank_of(hass), "packs_online") == 2


async def test_nothing_is_offered_beside_a_bank_or_a_form_for_one(
    hass: HomeAssistant,
) -> None:
    flows = hass.config_entries.flow
    discovery = {"source": SOURCE_INTEGRATION_DISCOVERY}
    async with racks() as both, holding(hass, both.left_bus):
        (offer,) = offers(hass)
        flows.async_abort(offer["flow_id"])
        dialog = await Dialog.add(hass, "bank")
        result = await flows.async_init(DOMAIN, context=discovery, data={})  # type: ignore[arg-type]  # a context is a dictionary
        assert result["reason"] == "already_in_progress"
        await dialog.submit(all_packs=True)
        assert dialog.step == "created"
        result = await flows.async_init(DOMAIN, context=discovery, data={})  # type: ignore[arg-type]  # a context is a dictionary
        assert result["reason"] == "already_configured"
        await hass.async_block_till_done()


async def test_a_bank_is_left_alone_when_home_assistant_starts_without_its_buses(
    hass: HomeAssistant,
) -> None:
    assert await async_setup_component(hass, DOMAIN, {})
    entry = bank_entry()
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(60)
    assert bank_state(hass, entry, "packs_online").state == "0"
    assert bank_number(hass, entry, "power") is None
