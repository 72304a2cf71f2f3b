"""Packs that are added to a bus, or get another address, while Home Assistant asks."""

import asyncio

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.subentries import bms_subentries
from simulator import Bank, SlaveLine, Speed, TcpServer, serve_tcp

from .bus import subentry_id, title
from .common import (
    Fix,
    all_read,
    bus_entry,
    holding,
    issue,
    loaded_anew,
    pack_of,
    voltage,
    wait_until,
)

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]
_ROUND = 17 * 60.0
"""Seconds in which every free address was asked."""


def newcomer(
    hass: HomeAssistant, entry: MockConfigEntry, address: int
) -> ir.IssueEntry | None:
    """The issue that says that somebody answers there."""
    return issue(hass, "newcomer", f"{entry.entry_id}_{address}")


def is_running(entry: MockConfigEntry) -> bool:
    """Whether the entry is loaded."""
    return entry.state is ConfigEntryState.LOADED


@pytest.fixture
def absent(bank: Bank) -> Bank:
    """A bank of which two packs are not there yet."""
    bank[3].present = bank[4].present = False
    return bank


async def test_a_pack_that_is_added_to_the_bus_is_offered_and_set_up(
    hass: HomeAssistant, absent: Bank, fix: Fix
) -> None:
    async with serve_tcp(SlaveLine(absent, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=30)
        async with holding(hass, entry) as before:
            await asyncio.sleep(300)
            assert newcomer(hass, entry, 3) is None
            absent[3].present = True
            await wait_until(lambda: newcomer(hass, entry, 3), _ROUND)
            found = newcomer(hass, entry, 3)
            assert found is not None
            assert found.severity is ir.IssueSeverity.WARNING
            assert found.translation_placeholders == {
                "bus": "Bus",
                "address": "3",
                "model": absent[3].model,
                "serial_number": absent[3].serial,
            }
            # Nobody is set up unasked.
            assert len(list(bms_subentries(entry))) == 2
            await fix(found, True)
            await loaded_anew(hass, entry, before)
            assert [s.data["address"] for s in bms_subentries(entry)] == [1, 2, 3]
            assert newcomer(hass, entry, 3) is None


async def test_the_offer_ends_when_the_pack_is_gone_again(
    hass: HomeAssistant, absent: Bank, fix: Fix
) -> None:
    async with serve_tcp(SlaveLine(absent, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=30)
        async with holding(hass, entry):
            absent[3].present = True
            await wait_until(lambda: newcomer(hass, entry, 3), _ROUND)
            absent[3].present = False
            found = newcomer(hass, entry, 3)
            assert found is not None
            shown = await fix(found, True)
            assert shown["type"] is FlowResultType.ABORT
            assert shown["reason"] == "nothing_answered"
            await wait_until(lambda: not newcomer(hass, entry, 3), _ROUND)
            assert len(list(bms_subentries(entry))) == 2


async def test_an_offer_of_a_bus_that_is_not_running_adds_nothing(
    hass: HomeAssistant, absent: Bank, fix: Fix
) -> None:
    async with serve_tcp(SlaveLine(absent, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=30)
        async with holding(hass, entry):
            absent[3].present = True
            await wait_until(lambda: newcomer(hass, entry, 3), _ROUND)
            found = newcomer(hass, entry, 3)
            assert found is not None
            assert await hass.config_entries.async_unload(entry.entry_id)
            shown = await fix(found, True)
            assert shown["reason"] == "nothing_answered"
            assert entry.state is ConfigEntryState.NOT_LOADED


async def test_a_pack_follows_its_dip_switch_to_an_address_that_was_free(
    hass: HomeAssistant, absent: Bank
) -> None:
    async with serve_tcp(SlaveLine(absent, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=30)
        async with holding(hass, entry) as before:
            absent[2].readdress(7)
            await wait_until(
                lambda: is_running(entry) and entry.runtime_data is not before, _ROUND
            )
            await all_read(hass, entry)
            assert pack_of(entry, 2).address == 7
            assert entry.subentries[subentry_id(2)].title == title(2)
            assert voltage(hass, 2)
            assert newcomer(hass, entry, 7) is None


async def test_one_that_answers_at_a_second_address_stays_where_it_is(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[3].set("serial_number", bank[1].serial.encode())
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, 4, poll_interval=30)
        async with holding(hass, entry) as coordinator:
            await asyncio.sleep(_ROUND)
            assert entry.runtime_data is coordinator
            assert pack_of(entry, 1).address == 1
            assert newcomer(hass, entry, 3) is None


async def test_nobody_is_looked_for_while_another_master_has_the_bus(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1, 2)
    async with holding(hass, entry) as coordinator:
        await gateway.stop()
        await wait_until(lambda: not coordinator.last_update_success)
        asked = sum(bank[3].asked.values())
        await asyncio.sleep(_ROUND)
        assert sum(bank[3].asked.values()) == asked
        assert newcomer(hass, entry, 3) is None


async def test_a_full_bus_has_no_room_for_newcomers(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(1, 16), still=True)
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, *range(1, 16))
        async with holding(hass, entry) as coordinator:
            await asyncio.sleep(130)
            assert len(coordinator.master.stations) == 15
