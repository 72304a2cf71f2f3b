"""A bus behind a gateway that converts Modbus TCP: read, set, lost and found."""

import asyncio
from collections.abc import AsyncIterator
import json
import logging

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
import pytest

from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.transport.health import Health, Trouble
from simulator import (
    PASSWORD,
    PIN,
    Bank,
    Manners,
    ModbusTcpGateway,
    SlaveLine,
    serve_modbus_tcp,
)
from tests.modbus_peer import RegisterMap, pymodbus_server, registers

from .bus import entity_id, state_of
from .common import bus_entry, holding, wait_until
from .test_bus_health import is_told

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

QUICK = Manners(timeout=0.1)


@pytest.fixture
async def converting(line: SlaveLine) -> AsyncIterator[ModbusTcpGateway]:
    """A gateway that converts, before four packs."""
    async with serve_modbus_tcp(line, manners=QUICK) as gateway:
        yield gateway


def shown(hass: HomeAssistant) -> str:
    """The voltage of the first pack."""
    return state_of(hass, "sensor", 1, "total_voltage").state


async def test_entities_show_what_pymodbus_server_holds(hass: HomeAssistant) -> None:
    """Its own server, with the registers of two captured packs."""
    bank = Bank.default((1, 2), still=True)
    maps = {
        pack.address: RegisterMap({k: registers(pack.frame(k)) for k in (1, 2, 3)})  # type: ignore[arg-type]  # an IntEnum
        for pack in bank
    }
    async with pymodbus_server(maps) as url:
        entry = bus_entry(url, 1, 2, write_tier="protection")
        async with holding(hass, entry):
            for pack in bank:
                volts = state_of(hass, "sensor", pack.address, "total_voltage").state
                assert float(volts) == pytest.approx(
                    pack.number_of("pack_voltage") / 1000, abs=0.01
                )
            number = entity_id(hass, "number", 1, "balance_starting_voltage")
            await hass.services.async_call(
                "number",
                "set_value",
                {"entity_id": number, "value": 3.41},
                blocking=True,
            )
            assert maps[1].writes == [(0x1084, (0, 3410))]
            state = state_of(hass, "number", 1, "balance_starting_voltage").state
            assert float(state) == 3.41


async def test_diagnostics_tell_how_blocks_are_read_and_no_secret(
    hass: HomeAssistant, converting: ModbusTcpGateway
) -> None:
    entry = bus_entry(converting.url, 1)
    async with holding(hass, entry):
        found = await async_get_config_entry_diagnostics(hass, entry)
    assert found["entry"]["data"]["device"] == f"modbus-tcp://{REDACTED}"
    assert found["registers_only"] is True
    told = found["packs"][0]["pacing"]
    assert told["by_registers"] == []
    assert told["registers"]["live"] == {"at_once": 120, "all": 147}
    text = json.dumps(found, default=str)
    for secret in (PIN, PASSWORD, converting.line.bank[1].serial):  # type: ignore[attr-defined]  # packs that answer
        assert secret not in text
        assert secret.encode().hex() not in text


async def test_an_outage_is_one_line_in_the_log_and_so_is_its_end(
    hass: HomeAssistant, converting: ModbusTcpGateway, caplog: pytest.LogCaptureFixture
) -> None:
    entry = bus_entry(converting.url, 1, 2)
    async with holding(hass, entry) as bus:
        caplog.clear()
        caplog.set_level(logging.INFO)
        await converting.stop()
        await wait_until(lambda: not bus.last_update_success)
        await wait_until(lambda: shown(hass) == STATE_UNAVAILABLE)
        await asyncio.sleep(600)
        await converting.start()
        await wait_until(lambda: bus.last_update_success)
        await wait_until(lambda: shown(hass) != STATE_UNAVAILABLE)
        lines = [
            r
            for r in caplog.records
            if r.name.startswith(("custom_components", "pymodbus"))
        ]
        assert [r.levelname for r in lines] == ["WARNING", "INFO"]


async def test_packs_that_a_gateway_misses_are_silent_and_told_with_what_to_do(
    hass: HomeAssistant, converting: ModbusTcpGateway, line: SlaveLine
) -> None:
    """What the gateway says in their place is nothing that they have said."""
    entry = bus_entry(converting.url, 1, 2)
    told = is_told(hass, entry, Trouble.NOTHING_HEARD_MODBUS)
    async with holding(hass, entry) as bus:
        await wait_until(lambda: bus.watch.health is Health.OK)
        for pack in line.bank:
            pack.present = False
        await wait_until(lambda: bus.watch.health is Health.SILENT, 90)
        assert not any(pack.available for pack in bus.packs.values())
        assert bus.last_update_success
        await wait_until(told, 300)
        assert bus.watch.troubles.keys() == {Trouble.NOTHING_HEARD_MODBUS}
        for pack in line.bank:
            pack.present = True
        await wait_until(lambda: not told(), 60)
        await wait_until(lambda: bus.watch.health is Health.OK, 120)


async def test_one_pack_that_a_gateway_misses_is_missing_and_the_other_stays(
    hass: HomeAssistant, converting: ModbusTcpGateway, line: SlaveLine
) -> None:
    entry = bus_entry(converting.url, 1, 2)
    async with holding(hass, entry) as bus:
        await wait_until(lambda: bus.watch.health is Health.OK)
        line.bank[2].present = False
        await wait_until(lambda: bus.watch.health is Health.MISSING, 90)
        assert [pack.available for pack in bus.packs.values()] == [True, False]
        await asyncio.sleep(400)
        assert bus.watch.troubles == {}


async def test_packs_that_refuse_registers_are_told_from_silent_ones(
    hass: HomeAssistant,
) -> None:
    """One firmware serves triggers only (rs485.md 2.3); a gateway that converts has none."""
    async with pymodbus_server({1: RegisterMap({}), 2: RegisterMap({})}) as url:
        entry = bus_entry(url, 1, 2)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        watch = entry.runtime_data.watch
        told = is_told(hass, entry, Trouble.MODBUS_GATEWAY)
        await wait_until(told, 400)
        assert watch.health is Health.GARBLED
        assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_a_gateway_of_2_s_keeps_its_packs_available(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_modbus_tcp(line, manners=Manners(delay=2.0)) as gateway:
        entry = bus_entry(gateway.url, 1, 2)
        async with holding(hass, entry) as bus:
            await asyncio.sleep(300)
            assert all(pack.available for pack in bus.packs.values())
            counts = [station.counts for station in bus.machine.stations.values()]
            assert [count.timeouts for count in counts] == [0, 0]


async def test_a_gateway_that_serves_somebody_else_only_is_told_so(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_modbus_tcp(line, manners=QUICK) as gateway:
        entry = bus_entry(gateway.url, 1)
        told = is_told(hass, entry, Trouble.GATEWAY_IN_USE)
        async with holding(hass, entry):
            gateway.max_clients = 0
            gateway.drop_clients()
            await wait_until(told, 300)
            gateway.max_clients = 1
            await wait_until(lambda: not told(), 300)


async def test_a_bus_behind_a_gateway_that_is_not_there_says_why(
    hass: HomeAssistant, converting: ModbusTcpGateway
) -> None:
    await converting.stop()
    entry = bus_entry(converting.url, 1)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "link_refused"
    assert await hass.config_entries.async_unload(entry.entry_id)
