"""What only the owner can mend, and the flows that help with it."""

import asyncio

from homeassistant.components.repairs import ConfirmRepairFlow
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.repairs import async_create_fix_flow
from simulator import (
    Bank,
    MasterLine,
    Pack,
    SlaveLine,
    Speed,
    TcpServer,
    serve_tcp,
    trios,
)

from ..simulator import trigger
from .bus import subentry_id
from .common import (
    Fix,
    bus_entry,
    holding,
    issue,
    loaded_anew,
    said,
    voltage,
    wait_until,
)
from .dialog import TEXTS

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


class Overheard(SlaveLine):
    """A line that keeps everything that is sent on it."""

    def __init__(self, bank: Bank) -> None:
        """Serve a bank without the waiting of a real line."""
        super().__init__(bank, speed=Speed.FAST)
        self.sent = b""

    def receive(self, data: bytes, now: float) -> None:
        self.sent += data
        super().receive(data, now)


async def speak(server: TcpServer) -> None:
    """Let another master's request be heard by whoever is connected."""
    server._send(trigger(9))  # noqa: SLF001 - what a bus carries that no pack has sent


async def test_another_master_silences_this_one_at_once(
    hass: HomeAssistant, bank: Bank, fix: Fix, caplog: pytest.LogCaptureFixture
) -> None:
    line = Overheard(bank)
    async with (
        serve_tcp(line) as server,
        holding(hass, bus_entry(server.url, 1, 2)) as before,
    ):
        entry = before.config_entry
        await asyncio.sleep(12)
        asked = len(line.sent)
        assert asked
        await speak(server)
        await wait_until(lambda: before.master.yielded)
        sent = line.sent
        await asyncio.sleep(120)
        assert line.sent == sent
        found = issue(hass, "foreign_master", entry.entry_id)
        assert found is not None
        assert found.is_fixable
        assert found.severity is ir.IssueSeverity.ERROR
        assert found.translation_placeholders == {"bus": "Bus"}
        assert len(said(caplog, "another master")) == 1
        # What it makes the packs say would be shown; it says nothing.
        assert voltage(hass, 1) is None
        assert said(caplog, "the line is") == []

        # Looking at the form changes nothing.
        await fix(found, False)
        assert entry.runtime_data is before
        await fix(found, "ask_again")
        assert isinstance(entry, MockConfigEntry)
        await loaded_anew(hass, entry, before)
        assert not issue(hass, "foreign_master", entry.entry_id)
        assert len(line.sent) > len(sent)
        assert voltage(hass, 1)


async def test_what_another_master_makes_the_packs_say_is_shown(
    hass: HomeAssistant, bank: Bank
) -> None:
    line = Overheard(bank)
    async with (
        serve_tcp(line) as server,
        holding(hass, bus_entry(server.url, 1, 2)) as coordinator,
    ):
        await speak(server)
        await wait_until(lambda: coordinator.master.yielded)
        begin = asyncio.get_running_loop().time()
        bank[1].set("pack_voltage", bank[1].number_of("pack_voltage") + 10)
        wanted = bank[1].number_of("pack_voltage") / 1000
        while asyncio.get_running_loop().time() - begin < 60:
            for address in (1, 2):
                request = trigger(address)
                server._send(request)  # noqa: SLF001 - as above
                line.receive(request, asyncio.get_running_loop().time())
                server._pump()  # noqa: SLF001 - nobody connected has sent it
                await asyncio.sleep(2)
        assert voltage(hass, 1) == pytest.approx(wanted)
        assert voltage(hass, 2)


@pytest.mark.parametrize("step", ["ask_again", "listen"])
async def test_an_issue_of_a_bus_that_was_removed_is_gone(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry, step: str
) -> None:
    async with holding(hass, entry) as coordinator:
        await speak(gateway)
        await wait_until(lambda: coordinator.master.yielded)
        found = issue(hass, "foreign_master", entry.entry_id)
        assert found is not None
        flow = await async_create_fix_flow(hass, found.issue_id, dict(found.data or {}))
        await hass.config_entries.async_remove(entry.entry_id)
        assert not issue(hass, "foreign_master", entry.entry_id)
    # A form that was open when it was removed does no harm.
    flow.hass = hass
    flow.handler = found.domain
    flow.issue_id = found.issue_id
    result = await getattr(flow, f"async_step_{step}")({})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_master_that_is_there_to_stay_is_listened_to(
    hass: HomeAssistant, fix: Fix
) -> None:
    bank = Bank.default(range(1, 4), still=True)
    line = MasterLine(bank, speed=Speed.FAST, chunk=400)
    async with (
        serve_tcp(line) as server,
        holding(hass, bus_entry(server.url, 1, 2)) as before,
    ):
        entry = before.config_entry
        bank[3].readdress(0)
        await wait_until(lambda: issue(hass, "foreign_master", entry.entry_id))
        found = issue(hass, "foreign_master", entry.entry_id)
        assert found is not None
        await fix(found, "listen")
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and entry.runtime_data.listens
                and len(entry.runtime_data.packs) == 3
                and all(pack.available for pack in entry.runtime_data.packs.values())
            )
        )
        assert not issue(hass, "foreign_master", entry.entry_id)
        assert voltage(hass, 1)
        assert entry.subentries[subentry_id(1)].data["serial_number"] == bank[1].serial


async def other_bms(hass: HomeAssistant, bank: Bank) -> ir.IssueEntry:
    """Put a BMS with fewer cells in the place of the first one."""
    bank[1].present = False
    await asyncio.sleep(20)
    bank[1].set("serial_number", b"99999999999\0\0\0\0\0")
    for cell in range(9, 17):
        bank[1].set(f"cell_voltage_{cell}", 0)
    bank[1].set("cell_presence", 0xFF)
    bank[1].set("pack_voltage", bank[1].number_of("pack_voltage") // 2)
    bank[1].present = True
    await wait_until(lambda: issue(hass, "other_bms", subentry_id(1)))
    found = issue(hass, "other_bms", subentry_id(1))
    assert found is not None
    return found


async def test_a_replaced_bms_continues_the_history_of_the_one_before(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry, fix: Fix
) -> None:
    async with holding(hass, entry) as before:
        known = bank[1].serial
        ids = {e.unique_id: e.entity_id for e in er.async_get(hass).entities.values()}
        found = await other_bms(hass, bank)
        assert found.translation_placeholders == {
            "bus": "Gateway",
            "pack": "Pack 1",
            "address": "1",
            "known": known,
            "heard": "99999999999",
        }
        await fix(found, False)
        assert voltage(hass, 1) is None
        await fix(found, True)
        await loaded_anew(hass, entry, before)
        assert not issue(hass, "other_bms", subentry_id(1))
        assert voltage(hass, 1)
        data = entry.subentries[subentry_id(1)].data
        assert data["serial_number"] == "99999999999"
        # What the one before had beyond it is not expected of it.
        assert data["features"]["cells"] == list(range(1, 9))
        assert {
            e.unique_id: e.entity_id for e in er.async_get(hass).entities.values()
        } == ids


async def test_an_issue_is_gone_when_the_known_bms_is_back(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        known = bank[1].serial.encode().ljust(16, b"\0")
        bank[1].present = False
        await asyncio.sleep(20)
        bank[1].set("serial_number", b"99999999999\0\0\0\0\0")
        bank[1].present = True
        await wait_until(lambda: issue(hass, "other_bms", subentry_id(1)))
        bank[1].present = False
        await asyncio.sleep(20)
        bank[1].set("serial_number", known)
        bank[1].present = True
        await wait_until(lambda: not issue(hass, "other_bms", subentry_id(1)))
        await wait_until(lambda: voltage(hass, 1))


@pytest.mark.parametrize("gone", ["pack", "bus"])
async def test_a_form_about_a_pack_that_was_removed_does_no_harm(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry, gone: str
) -> None:
    async with holding(hass, entry) as before:
        found = await other_bms(hass, bank)
        flow = await async_create_fix_flow(hass, found.issue_id, dict(found.data or {}))
        assert isinstance(flow, ConfirmRepairFlow)
        flow.hass = hass
        flow.handler = found.domain
        flow.issue_id = found.issue_id
        if gone == "pack":
            hass.config_entries.async_remove_subentry(entry, subentry_id(1))
            await loaded_anew(hass, entry, before)
        else:
            await hass.config_entries.async_remove(entry.entry_id)
        result = await flow.async_step_confirm({})
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        assert entry.state is (
            ConfigEntryState.LOADED if gone == "pack" else ConfigEntryState.NOT_LOADED
        )


async def test_a_bus_is_taken_again_when_its_owner_wants_that(
    hass: HomeAssistant, bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    line = MasterLine(bank, speed=Speed.FAST)
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2, return_to_master=True)
        async with holding(hass, entry) as coordinator:
            bank[4].readdress(0)
            await wait_until(lambda: issue(hass, "foreign_master", entry.entry_id))
            await asyncio.sleep(300)
            assert coordinator.master.yielded
            bank[0].readdress(4)
            await wait_until(lambda: not coordinator.master.yielded, 90)
            assert not issue(hass, "foreign_master", entry.entry_id)
            assert len(said(caplog, "asking again")) == 1
            before = bank[1].asked[Block.LIVE.trigger]
            await wait_until(lambda: bank[1].asked[Block.LIVE.trigger] > before)
            assert voltage(hass, 1)
            # It gives way as before.
            bank[4].readdress(0)
            await wait_until(lambda: issue(hass, "foreign_master", entry.entry_id))


async def test_two_packs_with_one_address_are_told_of(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    """Both answer at once, and neither is understood."""
    async with holding(hass, entry):
        bank.packs.append(Pack(trios()[2], 1, still=True))
        await wait_until(lambda: issue(hass, "shared_address", subentry_id(1)), 120)
        found = issue(hass, "shared_address", subentry_id(1))
        assert found is not None
        text = TEXTS["issues"]["shared_address"]
        told = text["description"].format(**found.translation_placeholders or {})
        assert "address 1, which belongs to Pack 1" in told
        assert voltage(hass, 2)
        bank.packs.pop()
        await wait_until(lambda: not issue(hass, "shared_address", subentry_id(1)), 120)
        await wait_until(lambda: voltage(hass, 1))
