"""The life of an entry: set up, learnt, changed, reloaded, unloaded, removed."""

import asyncio
import json
import logging
from pathlib import Path
import threading

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components.jkbms as integration
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.subentries import bms_subentries
from custom_components.jkbms.transport.link import Link, LinkFault
from simulator import Bank, SlaveLine, Speed, TcpServer, serve_pty, serve_tcp

from ..transport.peers import Swallower, deaf_host
from .bus import entity_id, state_of, subentry_id, title
from .common import (
    all_read,
    bus_entry,
    device_of,
    holding,
    is_free,
    issue,
    loaded_anew,
    pack_of,
    said,
    voltage,
    wait_until,
)

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


async def test_a_bus_is_set_up_with_the_values_of_its_packs(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        for address in bank.addresses:
            wanted = bank[address].number_of("pack_voltage") / 1000
            assert voltage(hass, address) == pytest.approx(wanted)
        assert bank.dangerous == []
        assert all(pack.journal == [] for pack in bank)


async def test_every_fault_of_a_link_has_its_words() -> None:
    file = Path(integration.__file__).parent / "translations" / "en.json"
    texts = json.loads(file.read_text())["exceptions"]
    for fault in LinkFault:
        assert "{url}" in texts[f"link_{fault}"]["message"]


async def fault_at_setup(hass: HomeAssistant, url: str) -> str | None:
    """Why an entry is not ready, as the key of the words for it."""
    entry = bus_entry(url, 1)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    placeholders = entry.error_reason_translation_placeholders
    assert placeholders is not None
    assert placeholders["url"] == url
    assert placeholders["detail"]
    assert entry.reason is not None
    assert url in entry.reason
    key = entry.error_reason_translation_key
    assert await hass.config_entries.async_remove(entry.entry_id)
    return key


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("/dev/missing", LinkFault.NO_SUCH_PORT),
        ("/dev/null", LinkFault.INVALID_ADDRESS),
        ("socket://127.0.0.1", LinkFault.INVALID_ADDRESS),
        ("gopher://127.0.0.1:70", LinkFault.INVALID_ADDRESS),
        ("socket://[fe80::1%25missing0]:8899", LinkFault.UNKNOWN_HOST),
        # ESPHome is not set up: Home Assistant's placeholder for it answers.
        ("esphome-hass://esphome/0123456789?port_name=uart", LinkFault.FAILED),
    ],
)
async def test_a_line_that_cannot_be_opened_says_why(
    hass: HomeAssistant, url: str, fault: LinkFault
) -> None:
    assert await async_setup_component(hass, "usb", {})
    assert await fault_at_setup(hass, url) == f"link_{fault}"


async def test_a_port_in_use_is_told(hass: HomeAssistant) -> None:
    async with serve_pty(SlaveLine(Bank.default())) as server:
        other = await Link.open(server.url, lambda _: None, lambda _: None)
        assert await fault_at_setup(hass, server.url) == "link_busy"
        await other.close()


async def test_a_gateway_that_refuses_is_told(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    await gateway.stop()
    assert await fault_at_setup(hass, gateway.url) == "link_refused"


async def test_a_gateway_that_does_not_answer_is_told(hass: HomeAssistant) -> None:
    async with deaf_host() as url:
        assert await fault_at_setup(hass, url) == "link_timeout"


async def test_a_gateway_that_hangs_up_at_once_is_told(hass: HomeAssistant) -> None:
    async with Swallower(hang_up=True) as server:
        assert await fault_at_setup(hass, server.url) == "link_lost"


async def test_an_entry_that_is_not_ready_becomes_so_by_itself_and_says_it_once(
    hass: HomeAssistant,
    gateway: TcpServer,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await gateway.stop()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(60)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    # Home Assistant tells that an entry is not ready; nothing is left to say.
    assert all("not ready yet" in message for message in said(caplog))
    await gateway.start()
    await wait_until(lambda: entry.state is ConfigEntryState.LOADED, 120)
    await all_read(hass, entry)
    assert voltage(hass, 1)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("end", ["unload", "remove"])
async def test_nothing_is_left_of_an_entry_that_has_ended(
    hass: HomeAssistant, end: str
) -> None:
    assert await async_setup_component(hass, "usb", {})
    async with serve_pty(SlaveLine(Bank.default(still=True), speed=Speed.FAST)) as port:
        tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
        entry = bus_entry(port.url, 1, 2)
        async with holding(hass, entry):
            # The line, and who looks for newcomers on it.
            assert len(asyncio.all_tasks() - tasks) == 2
            with pytest.raises(Exception, match="locked by another"):
                await is_free(port.url)
        assert entry.state is ConfigEntryState.NOT_LOADED
        if end == "remove":
            assert await hass.config_entries.async_setup(entry.entry_id)
            await hass.config_entries.async_remove(entry.entry_id)
        assert asyncio.all_tasks() <= tasks
        assert await is_free(port.url)
        assert {
            thread
            for thread in set(threading.enumerate()) - threads
            if not thread.name.startswith("SyncWorker")
        } == set()


async def test_a_reload_takes_the_port_again_at_once(hass: HomeAssistant) -> None:
    async with serve_pty(SlaveLine(Bank.default(still=True), speed=Speed.FAST)) as port:
        entry = bus_entry(port.url, 1, 2)
        async with holding(hass, entry):
            for _ in range(3):
                assert await hass.config_entries.async_reload(entry.entry_id)
                assert entry.state is ConfigEntryState.LOADED
                await wait_until(lambda: voltage(hass, 1) is not None, 10)


async def test_home_assistant_that_stops_gives_the_port_back(
    hass: HomeAssistant,
) -> None:
    async with serve_pty(SlaveLine(Bank.default(still=True), speed=Speed.FAST)) as port:
        entry = bus_entry(port.url, 1)
        async with holding(hass, entry):
            await hass.async_stop(force=True)
            assert await is_free(port.url)


async def test_two_buses_do_not_know_of_each_other(hass: HomeAssistant) -> None:
    one, other = Bank.default(still=True, seed=1), Bank.default(still=True, seed=2)
    async with (
        serve_tcp(SlaveLine(one, speed=Speed.FAST)) as first,
        serve_tcp(SlaveLine(other, speed=Speed.FAST)) as second,
        holding(hass, bus_entry(first.url, 1)),
        holding(hass, bus_entry(second.url, 2)),
    ):
        assert voltage(hass, 1) == pytest.approx(one[1].number_of("pack_voltage") / 1e3)
        assert voltage(hass, 2) == pytest.approx(
            other[2].number_of("pack_voltage") / 1e3
        )
        await first.stop()
        await asyncio.sleep(60)
        assert voltage(hass, 1) is None
        assert voltage(hass, 2) is not None
        await first.start()
        await wait_until(lambda: voltage(hass, 1))


async def test_a_bus_without_packs_waits_for_its_first(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    loop = asyncio.get_running_loop()
    entry = bus_entry(gateway.url)
    begin = loop.time()
    async with holding(hass, entry):
        assert loop.time() - begin < 1
        await asyncio.sleep(120)
        assert gateway.clients == 1
        # There is nothing but the bus itself.
        entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        assert all(e.unique_id.startswith(f"{entry.entry_id}_") for e in entities)


async def test_a_pack_that_is_off_at_the_start_has_the_entities_it_had(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        known = len(er.async_get(hass).entities)
    bank[2].present = False
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert voltage(hass, 1)
    state = state_of(hass, "sensor", 2, "total_voltage")
    assert state.state == STATE_UNAVAILABLE
    assert "restored" not in state.attributes
    assert state_of(hass, "binary_sensor", 2, "online").state == STATE_OFF
    assert len(er.async_get(hass).entities) == known
    bank[2].present = True
    await wait_until(lambda: voltage(hass, 2))
    await wait_until(
        lambda: state_of(hass, "binary_sensor", 2, "online").state == STATE_ON
    )


async def test_a_pack_that_was_never_read_gets_its_entities_when_it_is(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[2].present = False
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert loop.time() - begin < 6
    assert entity_id(hass, "sensor", 2, "total_voltage") is None
    assert state_of(hass, "binary_sensor", 2, "online").state == STATE_OFF
    coordinator = entry.runtime_data
    bank[2].present = True
    await wait_until(lambda: entity_id(hass, "sensor", 2, "total_voltage"))
    await hass.async_block_till_done()
    assert voltage(hass, 2)
    # What was learnt is stored; that alone is no reason to interrupt the bus.
    assert entry.runtime_data is coordinator
    (learnt,) = (s for s in bms_subentries(entry) if s.data["address"] == 2)
    assert learnt.data["serial_number"] == bank[2].serial


async def test_what_is_learnt_does_not_reload_and_what_is_changed_does(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as first:
        entries = hass.config_entries
        subentry = entry.subentries[subentry_id(1)]
        entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "model": "JK_PB2A16S20P"}
        )
        await asyncio.sleep(5)
        assert entry.runtime_data is first

        entries.async_update_entry(entry, options={"poll_interval": 2})
        second = await loaded_anew(hass, entry, first)
        assert second.master.plan.live == 2

        assert not second.allows(BY_KEY["balancer"])
        entries.async_update_entry(entry, options={"write_tier": "everyday"})
        third = await loaded_anew(hass, entry, second)
        assert third.allows(BY_KEY["balancer"])
        assert not third.allows(BY_KEY["cell_ovp"])

        subentry = entry.subentries[subentry_id(1)]
        entries.async_update_subentry(entry, subentry, title="Garage")
        fourth = await loaded_anew(hass, entry, third)
        assert pack_of(entry, 1).name == "Garage"

        entries.async_remove_subentry(entry, subentry_id(2))
        fifth = await loaded_anew(hass, entry, fourth)
        assert subentry_id(2) not in fifth.packs
        assert entity_id(hass, "sensor", 2, "total_voltage") is None


async def test_a_pack_that_is_added_is_asked_from_then_on(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1)
    async with holding(hass, entry) as first:
        hass.config_entries.async_add_subentry(
            entry,
            ConfigSubentry(
                data={"address": 3},  # type: ignore[arg-type]  # Home Assistant freezes it
                subentry_id=subentry_id(3),
                subentry_type="bms",
                title=title(3),
                unique_id=None,
            ),
        )
        await loaded_anew(hass, entry, first)
        assert voltage(hass, 3)


async def test_several_changes_at_once_are_one_reload(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    async with holding(hass, entry) as first:
        reloads = 0
        reload = hass.config_entries.async_reload

        async def counted(entry_id: str) -> bool:
            nonlocal reloads
            reloads += 1
            return await reload(entry_id)

        hass.config_entries.async_reload = counted  # type: ignore[method-assign]  # counted
        for address in (1, 2, 3):
            hass.config_entries.async_update_subentry(
                entry, entry.subentries[subentry_id(address)], title=f"New {address}"
            )
        await loaded_anew(hass, entry, first)
        await asyncio.sleep(10)
        assert reloads == 1
        assert pack_of(entry, 3).name == "New 3"


async def test_the_devices_are_a_bus_and_the_packs_behind_it(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        bus = device_of(hass, entry, entry.entry_id)
        assert bus is not None
        assert bus.name == entry.title
        for address in bank.addresses:
            device = device_of(hass, entry, subentry_id(address))
            assert device is not None
            assert device.via_device_id == bus.id
            assert device.name == title(address)
            assert device.manufacturer == "JK (Jikong)"
            assert device.model == bank[address].model
            assert device.serial_number == bank[address].serial
            assert device.hw_version == bank[address].text("hardware_version")
            assert device.sw_version == bank[address].text("software_version")
            assert device.config_entry_id == entry.entry_id


async def test_a_device_can_be_removed_only_when_its_pack_is(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    devices = dr.async_get(hass)
    async with holding(hass, entry):
        kept = device_of(hass, entry, subentry_id(1))
        assert kept is not None
        remove = integration.async_remove_config_entry_device
        assert not await remove(hass, entry, kept)
        left = devices.async_get_or_create(
            config_entry_id=entry.entry_id, identifiers={(DOMAIN, "gone")}
        )
        assert await remove(hass, entry, left)


async def test_a_removed_pack_takes_its_issue_along(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        pass
    for address in (1, 2):
        subentry = entry.subentries[subentry_id(address)]
        hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "serial_number": f"other{address}"}
        )
    async with holding(hass, entry) as first:
        assert issue(hass, "other_bms", subentry_id(1))
        assert issue(hass, "other_bms", subentry_id(2))
        hass.config_entries.async_remove_subentry(entry, subentry_id(1))
        await loaded_anew(hass, entry, first)
        assert not issue(hass, "other_bms", subentry_id(1))
        assert issue(hass, "other_bms", subentry_id(2))
    await hass.config_entries.async_remove(entry.entry_id)
    assert not issue(hass, "other_bms", subentry_id(2))


async def test_home_assistants_event_loop_is_not_held_up(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    everything_enabled: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What blocks the loop does so in every round; a busy machine does not."""
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    caplog.set_level(logging.WARNING, "asyncio")
    rounds: list[list[str]] = []
    async with holding(hass, entry):
        for _ in range(3):
            caplog.clear()
            await asyncio.sleep(20)
            rounds.append(
                [r.getMessage() for r in caplog.records if r.name == "asyncio"]
            )
    assert [] in rounds
