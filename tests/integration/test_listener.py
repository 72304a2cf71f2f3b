"""A bus that another master asks: what is heard is shown, and not one byte is sent."""

import asyncio
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
import pytest

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS, SOFTWARE_VERSION
from simulator import SLOT_SLOW, Bank, MasterLine, Speed, TcpServer, serve_tcp

from .bus import entity_id, state_of, subentry_id
from .common import bus_entry, issue, notices, pack_of, said, voltage, wait_until
from .dialog import Dialog
from .listening import (
    Recorded,
    Silent,
    addresses_of,
    is_heard,
    listening,
    load,
    registry,
    unload,
)

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

DEVICE_KEYS: Final = {field.key for field in FIELDS if field.block is Block.DEVICE}


async def test_not_a_byte_is_sent_in_an_hour_of_traffic_silence_and_reconnects(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank.default(range(2), still=True)
    lines = [Recorded(bank, slot=SLOT_SLOW), Silent(), Recorded(bank)]
    async with serve_tcp(lines[0]) as server:
        entry = await load(hass, listening(server.url, 0, 1), 0, 1)
        session = entry.runtime_data.session
        await asyncio.sleep(300)
        await server.stop()
        await asyncio.sleep(90)
        assert voltage(hass, 1) is None
        await server.start()
        await wait_until(lambda: voltage(hass, 0) and voltage(hass, 1))
        server.drop_clients()
        await asyncio.sleep(60)
        assert voltage(hass, 1) is not None
        reconnects = session.reconnects
        caplog.clear()
        server.line = lines[1]
        await asyncio.sleep(3000)
        # Nobody asks, so nobody speaks: the line is sound all the same.
        assert session.reconnects == reconnects
        assert said(caplog, "the line is") == []
        assert voltage(hass, 1) is None
        server.line = lines[2]
        server.drop_clients()
        await wait_until(lambda: voltage(hass, 0) and voltage(hass, 1))
        await entry.runtime_data.async_request_refresh()
        await asyncio.sleep(150)
        await unload(hass, entry)
        await asyncio.sleep(60)
        assert [line.sent for line in lines] == [b"", b"", b""]


async def test_packs_appear_as_they_are_heard_with_what_listening_can_tell(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank.default(range(5), still=True)
    late = bank[4]
    late.present = False
    line = Recorded(bank)
    async with serve_tcp(line) as server:
        entry = listening(server.url)
        loads: list[ConfigEntryState] = []
        entry.async_on_state_change(
            lambda: (
                loads.append(entry.state)
                if entry.state is ConfigEntryState.LOADED
                else None
            )
        )
        await load(hass, entry, 0, 1, 2, 3)
        assert addresses_of(entry) == {n: f"JK BMS {n}" for n in range(4)}
        # All that are heard in a cycle cost one reload.
        assert len(loads) == 2
        assert len(said(caplog, "a BMS speaks at address")) == 4
        for subentry in entry.subentries.values():
            pack = bank[subentry.data["address"]]
            assert subentry.data["serial_number"] is None
            cells = list(range(1, pack.cell_count + 1))
            assert subentry.data["features"]["cells"] == cells
        ids = registry(hass)
        for one in entry.subentries:
            keys = {i.removeprefix(f"{one}_") for i in ids if i.startswith(one)}
            assert "total_voltage" in keys
            assert "cell_ovp_set" in keys
            assert "charging_switch_set" in keys
            assert not keys & DEVICE_KEYS
        assert {i.split(".")[0] for i in ids.values()} == {
            "binary_sensor",
            "event",
            "sensor",
        }
        shown = hass.states.get("sensor.jk_bms_2_total_voltage")
        assert shown is not None
        assert float(shown.state) == pytest.approx(
            bank[2].number_of("pack_voltage") / 1000, abs=0.01
        )
        late.present = True
        await wait_until(lambda: is_heard(entry, *range(5)))
        assert line.sent == b""
        await unload(hass, entry)


async def test_a_pack_that_misses_cycles_stays_and_one_that_is_silent_goes(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(3), still=True)
    async with serve_tcp(Recorded(bank)) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2), 0, 1, 2)
        bank[2].present = False
        await asyncio.sleep(45)
        assert voltage(hass, 2) is not None
        await asyncio.sleep(30)
        assert voltage(hass, 2) is None
        assert state_of(hass, "binary_sensor", 2, "online").state == "off"
        assert voltage(hass, 1) is not None
        bank[2].present = True
        await wait_until(lambda: voltage(hass, 2) is not None)
        await unload(hass, entry)


async def test_a_pack_whose_dip_switch_was_changed_keeps_its_entities(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(3), still=True)
    told = notices(hass)
    async with serve_tcp(Recorded(bank)) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2), 0, 1, 2)
        ids = registry(hass)
        bank[2].readdress(5)
        await wait_until(lambda: is_heard(entry, 0, 1, 5))
        await hass.async_block_till_done()
        assert addresses_of(entry)[5] == "Pack 2"
        assert voltage(hass, 2) is not None
        assert registry(hass) == ids
        assert len(told) == 1
        assert (
            "Pack 2 on Bus was at address 2 and is at address 5" in told[0]["message"]
        )
        await unload(hass, entry)


async def test_switching_between_asking_and_listening_keeps_every_entity_id(
    hass: HomeAssistant,
) -> None:
    """A pack becomes master of the bus, and later is given an address again."""
    bank = Bank.default(range(1, 4), still=True)
    line = Recorded(bank)
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=5, write_tier="everyday")
        entry = await load(hass, entry, 1, 2)
        ids = registry(hass)
        states = {s.entity_id for s in hass.states.async_all()}
        known = {i: dict(s.data) for i, s in entry.subentries.items()}
        assert known[subentry_id(1)]["serial_number"] == bank[1].serial
        assert entity_id(hass, "switch", 1, "charging_switch")

        bank[3].readdress(0)
        await wait_until(lambda: issue(hass, "foreign_master", entry.entry_id))
        dialog = await Dialog.reconfigure(hass, entry)
        await (await dialog.submit(device=server.url)).choose("listen")
        assert dialog.step == "foreign_master"
        assert dialog.placeholders["heard"] == "0, 1, 2"
        line.sent = b""
        await dialog.choose("follow")
        assert dialog.step == "follow"
        await dialog.submit()
        assert dialog.step == "abort:reconfigure_successful"
        await wait_until(lambda: is_heard(entry, 0, 1, 2))
        await hass.async_block_till_done()
        assert entry.data == {"device": server.url, "mode": "listener"}
        assert not issue(hass, "foreign_master", entry.entry_id)
        assert line.sent == b""
        assert {k: v for k, v in registry(hass).items() if k in ids} == ids
        # What was read while it was asked is still known.
        assert {i: dict(entry.subentries[i].data) for i in known} == known
        pack = pack_of(entry, 1)
        assert (
            pack.station.state.get(SOFTWARE_VERSION)
            == known[pack.subentry_id]["software_version"]
        )
        assert pack.serial_number == bank[1].serial
        gone = entity_id(hass, "switch", 1, "charging_switch")
        assert gone is not None
        state = hass.states.get(gone)
        assert state is None or state.state == "unavailable"
        assert state_of(hass, "binary_sensor", 1, "charging_switch_set").state == "on"

        bank[0].readdress(3)
        dialog = await Dialog.reconfigure(hass, entry)
        await dialog.submit(device=server.url)
        # Silence: it is asked before the first byte is sent.
        assert dialog.step == "confirm_scan"
        assert line.sent == b""
        await dialog.choose("scan")
        assert dialog.step == "abort:reconfigure_successful"
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and pack_of(entry, 1).available
                and pack_of(entry, 2).available
            )
        )
        await hass.async_block_till_done()
        assert entry.data == {"device": server.url}
        assert {k: v for k, v in registry(hass).items() if k in ids} == ids
        assert states <= {s.entity_id for s in hass.states.async_all()}
        await unload(hass, entry)


async def test_what_needs_a_master_is_refused_in_words(hass: HomeAssistant) -> None:
    line = Recorded(Bank.default(range(2), still=True))
    async with serve_tcp(line) as server:
        entry = await load(hass, listening(server.url, 0, 1), 0, 1)
        assert (await Dialog.options(hass, entry)).step == "listening"
        assert (await Dialog.add_bms(hass, entry)).step == "abort:listening"
        coordinator = entry.runtime_data
        with pytest.raises(ServiceValidationError) as caught:
            await coordinator.async_write(
                subentry_id(1), BY_KEY["charging_switch"], True
            )
        assert caught.value.translation_key == "listening"

        await asyncio.sleep(10)
        report: Any = await async_get_config_entry_diagnostics(hass, entry)
        assert report["mode"] == "listener"
        assert report["entry"]["data"] == {
            "device": f"socket://{REDACTED}",
            "mode": "listener",
        }
        assert report["seconds_since_master"] < 5
        assert report["packs"][1]["pacing"] == {"cycle": pytest.approx(3.96, abs=0.3)}
        assert line.sent == b""
        await unload(hass, entry)


async def test_a_gateway_that_is_away_is_tried_again(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve_tcp(Recorded(Bank.default(range(2), still=True))) as server:
        entry = listening(server.url, 0, 1)
        entry.add_to_hass(hass)
        await server.stop()
        assert not await hass.config_entries.async_setup(entry.entry_id)
        assert entry.state is ConfigEntryState.SETUP_RETRY
        assert entry.error_reason_translation_key == "link_refused"
        await server.start()
        await wait_until(lambda: is_heard(entry, 0, 1))
        await unload(hass, entry)


async def test_a_silent_bus_is_set_up_and_its_link_is_back_when_it_lasts(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve_tcp(Recorded(Bank([]))) as server:
        entry = listening(server.url)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        server.drop_clients()
        await asyncio.sleep(20)
        went, came = said(caplog, "the line is")
        assert "the line is down" in went
        assert "the line is back" in came
        server.drop_clients()
        await asyncio.sleep(3)
        await unload(hass, entry)


# Setting it up.


async def _met_master(hass: HomeAssistant, server: TcpServer) -> Dialog:
    dialog = await Dialog.add(hass)
    await dialog.submit(device=server.url)
    assert dialog.step == "foreign_master"
    return dialog


async def test_a_bus_with_a_master_is_set_up_to_be_listened_to(
    hass: HomeAssistant,
) -> None:
    line = Recorded(Bank.default(range(3), still=True))
    async with serve_tcp(line) as server:
        dialog = await _met_master(hass, server)
        assert dialog.placeholders["heard"] == "0, 1, 2"
        await dialog.choose("follow")
        assert dialog.step == "follow"
        assert dialog.placeholders["heard"] == "0, 1, 2"
        assert dialog.shown["data_schema"]({}) == {}
        await dialog.submit()
        assert dialog.step == "created"
        (entry,) = hass.config_entries.async_entries(DOMAIN)
        assert isinstance(entry.data["mode"], str)
        assert entry.data == {"device": server.url, "mode": "listener"}
        assert [s.title for s in entry.subentries.values()] == [
            "JK BMS 0",
            "JK BMS 1",
            "JK BMS 2",
        ]
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
        packs = entry.runtime_data.packs.values()
        await wait_until(lambda: all(pack.available for pack in packs))
        await hass.async_block_till_done()
        assert line.sent == b""
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_silent_line_may_be_listened_to_until_a_master_comes(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(1, 3), still=True)
    line = Recorded(bank)
    async with serve_tcp(line) as server:
        dialog = await Dialog.add(hass)
        await dialog.submit(device=server.url)
        assert dialog.step == "confirm_scan"
        await dialog.choose("follow")
        assert dialog.placeholders["heard"] == "–"
        await dialog.submit()
        assert dialog.step == "created"
        (entry,) = hass.config_entries.async_entries(DOMAIN)
        assert not entry.subentries
        bank[2].readdress(0)
        await wait_until(lambda: len(entry.subentries) == 2)
        assert line.sent == b""
        await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_master_may_be_overruled_after_a_warning(hass: HomeAssistant) -> None:
    bank = Bank.default(range(3), still=True)
    line = Recorded(bank)
    async with serve_tcp(line) as server:
        dialog = await _met_master(hass, server)
        await dialog.choose("overrule")
        assert dialog.step == "overrule"
        assert dialog.shown["menu_options"] == ("scan", "follow", "port")
        assert line.sent == b""
        # It is given an address while the warning is read.
        bank[0].readdress(9)
        await asyncio.sleep(5)
        await dialog.choose("scan")
        assert dialog.step == "confirm"
        assert dialog.placeholders["count"] == "3"
        dialog.close()


async def test_slaves_are_asked_who_they_are_if_their_owner_wants_that(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(3), still=True)
    line = MasterLine(bank, speed=Speed.WIRE, slot=SLOT_SLOW)
    async with serve_tcp(line) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2), 0, 1, 2)
        assert entity_id(hass, "sensor", 1, "power_on_count") is None
        ids = registry(hass)
        dialog = await Dialog.options(hass, entry)
        await dialog.submit(ask_device_info=True)
        assert dialog.step == "created"
        serials = {"pack1": bank[1].serial, "pack2": bank[2].serial}

        def learnt() -> bool:
            return all(
                entry.subentries[one].data.get("serial_number") == serial
                for one, serial in serials.items()
            )

        await wait_until(learnt, 120)
        await hass.async_block_till_done()
        assert entity_id(hass, "sensor", 1, "power_on_count")
        # The master is never asked, and nothing else is.
        assert entry.subentries["pack0"].data.get("serial_number") is None
        assert entity_id(hass, "sensor", 0, "power_on_count") is None
        assert Block.DEVICE.trigger not in bank[0].asked
        assert {k: v for k, v in registry(hass).items() if k in ids} == ids
        device = dr.async_get(hass).async_get_device_by_identifier(
            (DOMAIN, "pack1"), entry.entry_id
        )
        assert device is not None
        assert device.serial_number == bank[1].serial
        report: Any = await async_get_config_entry_diagnostics(hass, entry)
        assert report["inquiries"]["answered"] >= 2
        await unload(hass, entry)


async def test_packs_that_exchange_addresses_keep_their_entities(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(4), still=True)
    told = notices(hass)
    async with serve_tcp(Recorded(bank)) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2, 3), 0, 1, 2, 3)
        ids = registry(hass)
        volts = {address: voltage(hass, address) for address in (1, 2, 3)}
        assert len(set(volts.values())) == 3
        one, two, three = bank[1], bank[2], bank[3]
        for pack, address in ((one, 2), (two, 3), (three, 1)):
            pack.address = address
            pack.set("device_address", address)
        await wait_until(
            lambda: (
                {s.subentry_id: s.data["address"] for s in entry.subentries.values()}
                == {"pack0": 0, "pack1": 2, "pack2": 3, "pack3": 1}
            ),
            120,
        )
        await wait_until(lambda: is_heard(entry, 0, 1, 2, 3))
        await hass.async_block_till_done()
        assert {address: voltage(hass, address) for address in volts} == volts
        assert registry(hass) == ids
        assert told
        await unload(hass, entry)
