"""A pack follows its serial number, not its address; another BMS is never taken for it."""

import asyncio

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from simulator import Bank, TcpServer

from .bus import entity_id, state_of, subentry_id
from .common import (
    bus_entry,
    device_of,
    holding,
    issue,
    loaded_anew,
    notices,
    pack_of,
    said,
    voltage,
    wait_until,
)

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


def swap(bank: Bank, one: int, other: int) -> None:
    """Exchange the DIP switches of two packs."""
    first, second = bank[one], bank[other]
    first.address, second.address = other, one


def stored(entry: MockConfigEntry) -> dict[str, int]:
    """The address stored for each pack."""
    return {
        subentry.subentry_id: subentry.data["address"]
        for subentry in entry.subentries.values()
    }


def serial_shown(entry: MockConfigEntry, address: int) -> str | None:
    """The serial number that the pack made for an address has read."""
    return pack_of(entry, address).station.state.identity.serial_number


async def restart(bank: Bank, *addresses: int) -> None:
    """Take packs off the bus for as long as a restart takes, so that they miss requests."""
    for address in addresses:
        bank[address].present = False
    await asyncio.sleep(20)


async def test_packs_that_changed_addresses_keep_their_entities_and_history(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = notices(hass)
    async with holding(hass, entry) as before:
        ids = {e.unique_id: e.entity_id for e in er.async_get(hass).entities.values()}
        serials = {address: bank[address].serial for address in (1, 2)}
        volts = {address: bank[address].number_of("pack_voltage") for address in (1, 2)}
        await restart(bank, 1, 2)
        swap(bank, 1, 2)
        for address in (1, 2):
            bank[address].present = True
        await loaded_anew(hass, entry, before)
        assert stored(entry) == {"pack1": 2, "pack2": 1, "pack3": 3, "pack4": 4}
        for address in (1, 2):
            assert serial_shown(entry, address) == serials[address]
            assert voltage(hass, address) == pytest.approx(volts[address] / 1000)
            assert not issue(hass, "other_bms", subentry_id(address))
        assert {
            e.unique_id: e.entity_id for e in er.async_get(hass).entities.values()
        } == ids
        assert sorted(said(caplog, "has moved")) == [
            "Gateway: Pack 1 has moved from address 1 to 2",
            "Gateway: Pack 2 has moved from address 2 to 1",
        ]
        title = "JK BMS: a pack has another address"
        assert [note["title"] for note in told] == [title, title]
        coordinator = entry.runtime_data
        await asyncio.sleep(30)
        assert entry.runtime_data is coordinator


async def test_packs_that_were_exchanged_while_nobody_looked_are_known_again(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        serials = {address: bank[address].serial for address in bank.addresses}
    # Three packs in a ring: 1 -> 2 -> 3 -> 1.
    swap(bank, 1, 2)
    swap(bank, 1, 3)
    assert bank[2].serial == serials[1]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(
        lambda: stored(entry) == {"pack1": 2, "pack2": 3, "pack3": 1, "pack4": 4}
    )
    await wait_until(
        lambda: (
            entry.state is ConfigEntryState.LOADED
            and all(
                serial_shown(entry, address) == serial
                for address, serial in serials.items()
            )
        )
    )
    await hass.async_block_till_done()
    assert all(pack.available for pack in entry.runtime_data.packs.values())
    coordinator = entry.runtime_data
    await asyncio.sleep(30)
    assert entry.runtime_data is coordinator


async def test_a_pack_that_takes_the_address_of_one_that_is_gone_is_followed(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1, 2)
    async with holding(hass, entry) as before:
        serial = bank[2].serial
        bank[1].present = False
        await wait_until(lambda: voltage(hass, 1) is None)
        # The other one is heard at the address of the first before anybody could
        # notice that it is not at its own any more.
        swap(bank, 1, 2)
        await loaded_anew_but(hass, entry, before)
        assert stored(entry) == {"pack1": 2, "pack2": 1}
        await wait_until(lambda: voltage(hass, 2))
        assert serial_shown(entry, 2) == serial
        assert voltage(hass, 1) is None
        assert not issue(hass, "other_bms", subentry_id(1))


async def loaded_anew_but(
    hass: HomeAssistant, entry: MockConfigEntry, before: object
) -> None:
    """Wait for a reload of a bus where a pack is missing."""
    await wait_until(
        lambda: (
            entry.state is ConfigEntryState.LOADED and entry.runtime_data is not before
        ),
        120,
    )
    await hass.async_block_till_done()


async def test_two_packs_with_one_serial_number_do_not_chase_each_other(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1, 2)
    async with holding(hass, entry) as coordinator:
        await restart(bank, 1)
        # A replaced board that calls itself like its neighbour.
        bank[1].set("serial_number", bank[2].serial.encode().ljust(16, b"\0"))
        bank[1].present = True
        await wait_until(lambda: issue(hass, "shared_serial", subentry_id(1)))
        await asyncio.sleep(60)
        assert entry.runtime_data is coordinator
        assert stored(entry) == {"pack1": 1, "pack2": 2}
        assert voltage(hass, 1) is None
        assert voltage(hass, 2)
        # It was asked again who it is.
        assert bank[2].asked[Block.DEVICE.trigger] > 1


async def test_an_unknown_bms_at_the_address_of_a_pack_shows_nothing(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
) -> None:
    async with holding(hass, entry) as coordinator:
        known = bank[1].serial
        device = device_of(hass, entry, subentry_id(1))
        await restart(bank, 1)
        bank[1].set("serial_number", b"99999999999\0\0\0\0\0")
        bank[1].present = True
        await wait_until(lambda: issue(hass, "other_bms", subentry_id(1)))
        await hass.async_block_till_done()
        assert voltage(hass, 1) is None
        assert state_of(hass, "binary_sensor", 1, "online").state == "off"
        assert voltage(hass, 2)
        # Nothing of it is kept, and nothing is written to it.
        assert entry.subentries[subentry_id(1)].data["serial_number"] == known
        assert device_of(hass, entry, subentry_id(1)) == device
        await asyncio.sleep(30)
        assert voltage(hass, 1) is None
        hass.config_entries.async_update_entry(
            entry, options={"write_tier": "protection"}
        )
        await loaded_anew_but(hass, entry, coordinator)
        with pytest.raises(HomeAssistantError) as caught:
            await entry.runtime_data.async_write(
                subentry_id(1), BY_KEY["cell_ovp"], 3.6
            )
        assert caught.value.translation_key == "write_unreachable"
        assert bank[1].journal == []


async def test_another_bms_is_noticed_also_when_the_change_was_quick(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        serial = bank[1].serial
        bank[1].set("serial_number", b"99999999999\0\0\0\0\0")
        # Its next reading is up to an hour away; here it is due now.
        coordinator.master.stations[1].due[Block.DEVICE] = 0.0
        await wait_until(lambda: issue(hass, "other_bms", subentry_id(1)))
        await hass.async_block_till_done()
        # Every entity knows, also those whose value is the same.
        assert voltage(hass, 1) is None
        bank[1].set("serial_number", serial.encode().ljust(16, b"\0"))
        coordinator.master.stations[1].due[Block.DEVICE] = 0.0
        await wait_until(lambda: voltage(hass, 1))
        assert not issue(hass, "other_bms", subentry_id(1))


async def test_what_is_learnt_later_reaches_the_device(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        bank[1].set("software_version", b"15.99\0\0\0")
        coordinator.master.stations[1].due[Block.DEVICE] = 0.0
        await wait_until(
            lambda: entry.subentries["pack1"].data["software_version"] == "15.99"
        )
        device = device_of(hass, entry, subentry_id(1))
        assert device is not None
        assert device.sw_version == "15.99"
        assert device.serial_number == bank[1].serial
        assert entry.runtime_data is coordinator


async def test_a_probe_that_fails_keeps_its_entity_and_one_that_is_added_gets_one(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        features = pack_of(entry, 1).features
        assert features is not None
        assert entity_id(hass, "sensor", 1, "cell_voltage_16")
        assert entity_id(hass, "sensor", 1, "cell_voltage_17") is None
        mask = bank[1].number_of("cell_presence")
        bank[1].set("cell_presence", mask & ~1 | 1 << 16)
        bank[1].set("cell_voltage_17", bank[1].number_of("cell_voltage_1"))
        bank[1].set("cell_voltage_1", 0)
        await wait_until(lambda: entity_id(hass, "sensor", 1, "cell_voltage_17"))
        await hass.async_block_till_done()
        assert entity_id(hass, "sensor", 1, "cell_voltage_1")
        learnt = pack_of(entry, 1).features
        assert learnt is not None
        assert learnt.cells == tuple(range(1, 18))
        assert entry.subentries["pack1"].data["features"]["cells"] == list(range(1, 18))
        assert entry.runtime_data is coordinator


async def test_a_pack_that_nobody_waits_for_any_more_learns_in_peace(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        calls = 0

        def learnt() -> None:
            nonlocal calls
            calls += 1

        remove = pack_of(entry, 1).async_on_features(learnt)
        remove()
        await asyncio.sleep(10)
        assert calls == 0
