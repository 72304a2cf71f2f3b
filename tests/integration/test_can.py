"""A CAN bus: packs, or a bank, speak by themselves, and nothing is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS
from custom_components.jkbms.protocol.fields import BY_KEY, CAN
from simulator import Bank, SlaveLine, Speed, serve_tcp
from simulator.can import (
    CanBus,
    Dialect,
    Frame,
    SessionServer,
    parallel_bank,
    serve_can_tcp,
)

from .bus import entity_id, state_of, subentry_id, title
from .common import device_of, issue, said, voltage, wait_until
from .dialog import Dialog
from .listening import registry

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]
CAN_KEYS: Final = {datum.key for datum in CAN}


def on_can(server: SessionServer, *addresses: int, **options: Any) -> MockConfigEntry:
    """The entry of a CAN bus behind a gateway."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Bus",
        data={
            "device": f"can_tcp://127.0.0.1:{server.port}",
            "mode": "can",
            "can": {"adapter": "can_tcp", "host": "127.0.0.1", "port": server.port},
        },
        options=options,
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


def is_heard(entry: MockConfigEntry, *addresses: int) -> bool:
    """Whether these packs, and no others, are configured and known."""
    return (
        entry.state is ConfigEntryState.LOADED
        and {s.data["address"] for s in entry.subentries.values()} == set(addresses)
        and all(p.available and p.features for p in entry.runtime_data.packs.values())
    )


@asynccontextmanager
async def loaded(
    hass: HomeAssistant, entry: MockConfigEntry, *addresses: int
) -> AsyncIterator[MockConfigEntry]:
    """The entry, set up and its packs heard; unloaded at the end."""
    if entry.entry_id not in {e.entry_id for e in hass.config_entries.async_entries()}:
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: is_heard(entry, *addresses))
    await hass.async_block_till_done()
    try:
        yield entry
    finally:
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


async def gateway(hass: HomeAssistant, port: int, **more: Any) -> Dialog:
    """Add a gateway in the network, up to what was heard."""
    dialog = await Dialog.add(hass, "can")
    await dialog.choose("can_network")
    fields = {"host": "127.0.0.1", "port": port, "adapter": "can_tcp"}
    return await dialog.submit(**fields, channel="can0", bitrate="find_out", **more)


def the_entry(hass: HomeAssistant) -> Any:
    """The only entry."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    return entry


async def test_packs_that_speak_are_found_and_shown(hass: HomeAssistant) -> None:
    bank = Bank.default(range(1, 4), still=True)
    bus = CanBus(bank)
    async with serve_can_tcp(bus) as server:
        dialog = await gateway(hass, server.port)
        assert dialog.actions == ["can_listen"]
        assert dialog.step == "can_confirm"
        assert dialog.placeholders["count"] == "3"
        assert dialog.placeholders["found"].splitlines()[0] == "| 1 | 16 |"
        await dialog.submit()
        assert dialog.step == "created"
        entry = the_entry(hass)
        assert entry.data == {
            "device": f"can_tcp://127.0.0.1:{server.port}",
            "mode": "can",
            "can": {"adapter": "can_tcp", "host": "127.0.0.1", "port": server.port},
        }
        assert entry.title == f"127.0.0.1:{server.port}"
        async with loaded(hass, entry, 1, 2, 3):
            titles = {s.title: s for s in entry.subentries.values()}
            assert set(titles) == {"JK BMS 1", "JK BMS 2", "JK BMS 3"}
            pack = bank[1]
            cells = [pack.number_of(f"cell_voltage_{n}") for n in range(1, 17)]

            def shown(key: str) -> str:
                state = hass.states.get(f"sensor.jk_bms_1_{key}")
                assert state is not None, key
                return state.state

            assert float(shown("cell_voltage_3")) == cells[2] / 1000
            assert float(shown("total_voltage")) == pytest.approx(sum(cells) / 1000)
            current = pack.number_of("current") / 1000
            assert float(shown("current")) == pytest.approx(current, abs=0.06)
            assert float(shown("state_of_charge")) == pack.number_of("soc")
            device = device_of(hass, entry, titles["JK BMS 1"].subentry_id)
            assert device is not None
            assert device.via_device_id is not None
            # No settings, no device info, no controls.
            keys = {u.split("_", 1)[1] for u in registry(hass)}
            assert not {k for k in keys if k.endswith("_set")}
            assert not keys & {"serial_number", "power_on_count", "charging_switch"}
            assert "requested_charge_voltage" in keys
            assert "charge_voltage_limit" not in keys
    assert not bus.heard


@pytest.mark.parametrize(
    "dialect", [Dialect.PYLON, Dialect.VICTRON, Dialect.SMA, Dialect.GROWATT]
)
async def test_a_bank_that_speaks_to_an_inverter_is_one_device(
    hass: HomeAssistant, dialect: Dialect
) -> None:
    bus = CanBus(parallel_bank(range(1, 3)), dialect, inverter=True)
    async with serve_can_tcp(bus) as server:
        dialog = await gateway(hass, server.port)
        assert dialog.step == "can_confirm_bank"
        assert dialog.placeholders["dialect"] == dialect.value
        await dialog.submit()
        entry = the_entry(hass)
        async with loaded(hass, entry, BANK_ADDRESS):
            (subentry,) = entry.subentries.values()
            assert subentry.title == "JK BMS bank"
            limit = hass.states.get("sensor.jk_bms_bank_charge_voltage_limit")
            assert limit is not None
            assert 40 < float(limit.state) < 65
            soc = hass.states.get("sensor.jk_bms_bank_state_of_charge")
            assert soc is not None
            assert 0 < float(soc.state) <= 100


async def test_nobody_on_the_bus_is_told_and_packs_may_come_later(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default((4, 7), still=True)
    for pack in bank:
        pack.present = False
    async with serve_can_tcp(CanBus(bank)) as server:
        dialog = await gateway(hass, server.port)
        assert dialog.step == "can_silence"
        await dialog.choose("can_listen")
        assert dialog.step == "can_silence"
        await dialog.choose("can_anyway")
        assert dialog.step == "created"
        entry = the_entry(hass)
        async with loaded(hass, entry):
            for pack in bank:
                pack.present = True
            await wait_until(lambda: is_heard(entry, 4, 7))
            await hass.async_block_till_done()
            assert hass.states.get("sensor.jk_bms_7_total_voltage")


async def test_only_an_inverter_is_told_from_a_battery(hass: HomeAssistant) -> None:
    async with serve_can_tcp(CanBus(Bank([]), Dialect.PYLON, inverter=True)) as server:
        dialog = await gateway(hass, server.port)
        assert dialog.step == "can_inverter"
        await dialog.choose("can")
        assert dialog.step == "can"
        # What was filled in before is there again.
        await dialog.choose("can_network")
        schema = dialog.shown["data_schema"].schema
        suggested = {
            str(k): (k.description or {}).get("suggested_value") for k in schema
        }
        assert suggested["port"] == server.port


async def test_packs_with_one_address_are_told_of(hass: HomeAssistant) -> None:
    bank = Bank([*Bank.default((1,), still=True), *Bank.default((2,), still=True)])
    bank.packs[1].set("soc", 11)
    bank.packs[1].set("run_time", 12_345)
    bank.packs[1].address = 1
    async with serve_can_tcp(CanBus(bank)) as server:
        dialog = await gateway(hass, server.port)
        assert dialog.step == "can_clash"
        assert dialog.placeholders["addresses"] == "1"


async def test_traffic_of_others_is_no_bms(hass: HomeAssistant) -> None:
    bus = CanBus(Bank([]))
    async with serve_can_tcp(bus) as server:
        speaking = asyncio.create_task(_strangers(bus))
        dialog = await gateway(hass, server.port)
        assert dialog.step == "can_foreign"
        speaking.cancel()


async def _strangers(bus: CanBus) -> None:
    loop = asyncio.get_running_loop()
    while True:
        bus.send(Frame(id=0x123, data=b"12345678"), loop.time())
        await asyncio.sleep(0.02)


async def test_a_gateway_that_is_not_there_is_told_in_its_form(
    hass: HomeAssistant,
) -> None:
    async with serve_can_tcp(CanBus(Bank([]))) as server:
        port = server.port
    dialog = await gateway(hass, port)
    assert dialog.step == "can_network"
    assert dialog.errors == {"base": "refused"}
    fields = {"port": port, "adapter": "can_tcp", "bitrate": "find_out"}
    await dialog.submit(host="", channel="", **fields)
    assert dialog.errors == {"base": "invalid_address"}


async def test_the_adapter_of_another_line_is_refused(hass: HomeAssistant) -> None:
    bank = Bank.default(range(1, 3), still=True)
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as wire:
        MockConfigEntry(domain=DOMAIN, data={"device": wire.url}).add_to_hass(hass)
        dialog = await gateway(hass, wire.port)
        assert dialog.step == "abort:already_configured"


async def test_a_pack_that_falls_silent_goes_and_comes_back(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank.default(range(1, 4), still=True)
    async with (
        serve_can_tcp(CanBus(bank)) as server,
        loaded(hass, on_can(server, 1, 2, 3), 1, 2, 3),
    ):
        bank[2].present = False
        await wait_until(lambda: voltage(hass, 2) is None)
        assert voltage(hass, 1)
        bank[2].present = True
        await wait_until(lambda: voltage(hass, 2))
        await server.stop()
        await asyncio.sleep(40)
        assert voltage(hass, 1) is None
        await server.start()
        assert await wait_until(lambda: voltage(hass, 1)) < 20
        assert len(said(caplog, "the line is down")) == 1
        assert len(said(caplog, "the line is back")) == 1


async def test_states_are_written_at_the_chosen_rate_and_only_when_they_changed(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(1, 3), still=True)
    async with (
        serve_can_tcp(CanBus(bank)) as server,
        loaded(hass, on_can(server, 1, 2), 1, 2) as entry,
    ):
        await asyncio.sleep(5)
        seen: list[str] = []

        def note(event: Event[Any]) -> None:
            seen.append(event.data["entity_id"])

        hass.bus.async_listen(EVENT_STATE_CHANGED, note)
        await asyncio.sleep(10)
        await hass.async_block_till_done()
        # Nothing moves in these packs but their run time, and what it brings in.
        assert {name.rsplit("_", 1)[-1] for name in seen} <= {"runtime", "charged"}
        seen.clear()
        dialog = await Dialog.options(hass, entry)
        assert dialog.step == "can"
        await dialog.submit(update_interval=5.0, acknowledge=False)
        assert dialog.step == "created"
        await wait_until(lambda: is_heard(entry, 1, 2))
        await asyncio.sleep(6)
        seen.clear()
        for n in range(20):
            bank[1].set("soc", 20 + n)
            await asyncio.sleep(1)
        told = [name for name in seen if name.endswith("1_state_of_charge")]
        assert 3 <= len(told) <= 5


async def test_an_alarm_is_shown_until_its_frames_stop(hass: HomeAssistant) -> None:
    bank = Bank.default(range(1, 3), still=True)
    async with (
        serve_can_tcp(CanBus(bank)) as server,
        loaded(hass, on_can(server, 1, 2), 1, 2),
    ):
        assert state_of(hass, "binary_sensor", 1, "problem").state == "off"
        bank[1].set("alarms", 1 << 4)
        await wait_until(
            lambda: state_of(hass, "binary_sensor", 1, "problem").state == "on"
        )
        assert "over-voltage" in state_of(hass, "sensor", 1, "errors").state
        assert state_of(hass, "binary_sensor", 2, "problem").state == "off"
        bank[1].set("alarms", 0)
        await wait_until(
            lambda: state_of(hass, "binary_sensor", 1, "problem").state == "off"
        )


async def test_nothing_is_sent_but_the_answer_that_its_owner_wants(
    hass: HomeAssistant,
) -> None:
    bus = CanBus(Bank.default(range(1, 3), still=True))
    async with (
        serve_can_tcp(bus) as server,
        loaded(hass, on_can(server, 1, 2), 1, 2) as entry,
    ):
        await asyncio.sleep(30)
        assert not bus.heard
        hass.config_entries.async_update_entry(entry, options={"acknowledge": True})
        await wait_until(lambda: bus.heard)
        begin = sum(bus.counts.values())
        await asyncio.sleep(20)
        assert set(bus.counts) == {0x305}
        assert 19 <= sum(bus.counts.values()) - begin <= 21


async def test_nothing_can_be_changed_on_can(hass: HomeAssistant) -> None:
    async with serve_can_tcp(CanBus(Bank.default((1,), still=True))) as server:
        entry = on_can(server, 1, write_tier="protection")
        async with loaded(hass, entry, 1):
            with pytest.raises(ServiceValidationError) as caught:
                await entry.runtime_data.async_write(
                    subentry_id(1), BY_KEY["cell_ovp"], 3.6
                )
            assert caught.value.translation_key == "listening"
            dialog = await Dialog.add_bms(hass, entry)
            assert dialog.step == "abort:listening"


async def test_a_control_line_makes_packs_on_can_settable(hass: HomeAssistant) -> None:
    bank = Bank.default(range(1, 3), still=True)
    wire = SlaveLine(bank, speed=Speed.FAST)
    async with serve_can_tcp(CanBus(bank)) as server, serve_tcp(wire) as sockets:
        entry = on_can(server, 1, 2, write_tier="everyday")
        async with loaded(hass, entry, 1, 2):
            ids = registry(hass)
            dialog = await Dialog.add_control_line(hass, entry)
            await (await dialog.submit(device=sockets.url)).choose("scan")
            # CAN tells neither serial numbers nor settings: their owner knows.
            for address in (1, 2):
                assert dialog.step == "which_pack"
                await dialog.submit(pack=subentry_id(address))
                if dialog.step == "confirm":
                    break
            await dialog.submit()
            assert dialog.step == "created"
            await wait_until(
                lambda: (
                    entity_id(hass, "number", 2, "cell_ovp") is not None
                    and entry.state is ConfigEntryState.LOADED
                    and all(
                        p.control is not None and p.control.available
                        for p in entry.runtime_data.packs.values()
                    )
                )
            )
            await hass.async_block_till_done()
            assert {k: v for k, v in registry(hass).items() if k in ids} == ids
            await entry.runtime_data.async_write(
                subentry_id(2), BY_KEY["balance_starting_voltage"], 3.41
            )
            assert bank[2].number_of("balance_start_voltage") == 3410
            # What only CAN tells is still told.
            await wait_until(
                lambda: (
                    state_of(hass, "sensor", 1, "requested_charge_voltage").state
                    not in (STATE_UNAVAILABLE, "unknown")
                )
            )
            dialog = await Dialog.options(hass, entry)
            assert dialog.step == "can_controlled"
            await dialog.submit(write_tier="protection", acknowledge=False)
            assert dialog.step == "confirm_protection"
            await dialog.submit(understood=True)
            assert dialog.step == "created"
            assert entry.options["write_tier"] == "protection"
            await hass.async_block_till_done()


@pytest.mark.parametrize("named", [True, False])
async def test_another_adapter_keeps_every_entity(
    hass: HomeAssistant, named: bool
) -> None:
    """A name that its owner gave stays; that of the adapter becomes the new one's."""
    bank = Bank.default(range(1, 3), still=True)
    bus = CanBus(bank)
    async with (
        serve_can_tcp(bus) as one,
        serve_can_tcp(bus) as other,
        loaded(hass, on_can(one, 1, 2), 1, 2) as entry,
    ):
        ids = registry(hass)
        if not named:
            name = f"127.0.0.1:{one.port}"
            hass.config_entries.async_update_entry(entry, title=name)
        dialog = await Dialog.reconfigure(hass, entry)
        assert dialog.step == "can"
        await dialog.choose("can_network")
        await dialog.submit(
            host="127.0.0.1",
            port=other.port,
            adapter="can_tcp",
            channel="",
            bitrate="find_out",
        )
        assert dialog.step == "can_confirm"
        await dialog.submit()
        assert dialog.step == "abort:reconfigure_successful"
        await wait_until(lambda: is_heard(entry, 1, 2) and other.clients == 1)
        assert entry.title == ("Bus" if named else f"127.0.0.1:{other.port}")
        assert one.clients == 0
        assert registry(hass) == ids


async def test_a_report_tells_of_the_bus_and_not_where_it_is(
    hass: HomeAssistant,
) -> None:
    async with (
        serve_can_tcp(CanBus(Bank.default((1, 2), still=True))) as server,
        loaded(hass, on_can(server, 1, 2), 1, 2) as entry,
    ):
        report: Any = await async_get_config_entry_diagnostics(hass, entry)
        assert report["mode"] == "can"
        assert report["dialect"] == "native_v2"
        assert report["entry"]["data"]["device"] == REDACTED
        assert "127.0.0.1" not in str(report)
        assert report["packs"][0]["values"]["state_of_charge"]


async def test_packs_on_rs485_have_nothing_of_can(hass: HomeAssistant) -> None:
    bank = Bank.default((1,), still=True)
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as wire:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Bus",
            data={"device": wire.url},
            subentries_data=on_can_subentries(1),
        )
        async with loaded(hass, entry, 1):
            keys = {u.split("_", 1)[1] for u in registry(hass)}
            assert not keys & CAN_KEYS


def on_can_subentries(address: int) -> list[ConfigSubentryDataWithId]:
    """The subentry of one pack."""
    return [
        ConfigSubentryDataWithId(
            subentry_id=subentry_id(address),
            subentry_type=SUBENTRY_BMS,
            title=title(address),
            unique_id=None,
            data={"address": address},
        )
    ]


async def test_two_packs_at_one_address_raise_a_repair(hass: HomeAssistant) -> None:
    bank = Bank.default((1, 2), still=True)
    async with (
        serve_can_tcp(CanBus(bank)) as server,
        loaded(hass, on_can(server, 1, 2), 1, 2),
    ):
        bank[2].set("soc", 11)
        bank[2].set("run_time", 12_345)
        bank[2].address = 1
        await wait_until(lambda: issue(hass, "shared_address", "pack1"), 120)
