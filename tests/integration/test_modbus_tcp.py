"""Setting up a bus behind a gateway that converts Modbus TCP, or does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol import pacing
from simulator import (
    Bank,
    Manners,
    ModbusTcpGateway,
    ReplayLine,
    SlaveLine,
    Speed,
    load_capture,
    serve_modbus_tcp,
    serve_tcp,
)
from tests.modbus_peer import RegisterMap, registers

from .common import bus_entry, holding
from .dialog import Dialog

pytestmark = pytest.mark.usefixtures("socket_enabled", "quick_looks")

QUICK = Manners(timeout=0.01)


@pytest.fixture(autouse=True)
def no_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs here hear at once."""
    monkeypatch.setattr(pacing, "_QUIET_START", 0.002)
    monkeypatch.setattr(pacing, "_QUIET_MIN", 0.002)
    monkeypatch.setattr("simulator.modbus_tcp._QUIET", 0.001)


@pytest.fixture
async def converting(line: SlaveLine) -> AsyncIterator[ModbusTcpGateway]:
    """A gateway that converts, before four packs."""
    async with serve_modbus_tcp(line, manners=QUICK) as gateway:
        yield gateway


def plain(url: str) -> str:
    """Host and port, as a person types them."""
    return url.partition("://")[2]


async def add(hass: HomeAssistant, device: str) -> Dialog:
    dialog = await Dialog.add(hass)
    return await dialog.submit(device=device)


# -- set-up ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed", ["{plain}", "socket://{plain}", "modbus-tcp://{plain}"]
)
async def test_a_gateway_that_converts_is_recognised_and_asked_as_such(
    hass: HomeAssistant, converting: ModbusTcpGateway, bank: Bank, typed: str
) -> None:
    dialog = await add(hass, typed.format(plain=plain(converting.url)))
    assert dialog.step == "confirm_scan"
    await dialog.choose("scan")
    assert dialog.step == "confirm"
    assert dialog.placeholders["port"] == converting.url
    assert dialog.placeholders["count"] == "4"
    await dialog.submit(packs=["1", "2", "3", "4"], write_tier="everyday")
    assert dialog.step == "created"
    [entry] = hass.config_entries.async_entries(DOMAIN)
    assert entry.data == {"device": converting.url}
    assert entry.title == plain(converting.url)
    serials = {
        s.data["address"]: s.data["serial_number"] for s in entry.subentries.values()
    }
    assert serials == {pack.address: pack.serial for pack in bank}
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@pytest.mark.parametrize("typed", ["{plain}", "modbus-tcp://{plain}"])
async def test_a_transparent_gateway_is_asked_by_triggers_whatever_was_typed(
    hass: HomeAssistant, line: SlaveLine, typed: str
) -> None:
    async with serve_tcp(line) as server:
        dialog = await add(hass, typed.format(plain=plain(server.url)))
        await dialog.choose("scan")
        assert dialog.step == "confirm"
        assert dialog.placeholders["port"] == plain(server.url)
        dialog.close()


async def test_a_transparent_gateway_on_which_somebody_asks_is_told_before_anything_is_sent(
    hass: HomeAssistant,
) -> None:
    async with serve_tcp(ReplayLine(load_capture("phinix-readme-cycle"))) as server:
        dialog = await add(hass, f"modbus-tcp://{plain(server.url)}")
        assert dialog.step == "foreign_master"
        assert dialog.placeholders["port"] == plain(server.url)
        dialog.close()


async def test_what_a_transparent_line_turns_out_to_be_is_told(
    hass: HomeAssistant,
) -> None:
    """Somebody begins to ask while the packs are looked for."""
    async with serve_tcp(ReplayLine(load_capture("phinix-readme-cycle"))) as server:
        server.go_silent()
        dialog = await add(hass, f"modbus-tcp://{plain(server.url)}")
        assert dialog.step == "confirm_scan"
        server.speak()
        await dialog.choose("scan")
        assert dialog.step == "foreign_master"
        assert dialog.placeholders["port"] == plain(server.url)
        dialog.close()


async def test_nothing_can_be_overheard_through_a_gateway_that_converts(
    hass: HomeAssistant, converting: ModbusTcpGateway
) -> None:
    dialog = await add(hass, converting.url)
    assert dialog.step == "confirm_scan"
    assert "follow" not in dialog.shown["menu_options"]
    dialog.close()


async def test_a_gateway_without_packs_is_told_with_what_to_change(
    hass: HomeAssistant,
) -> None:
    async with serve_modbus_tcp(SlaveLine(Bank([])), manners=QUICK) as gateway:
        for typed in (plain(gateway.url), gateway.url):
            dialog = await add(hass, typed)
            await dialog.choose("scan")
            assert dialog.step == "modbus_tcp"
            assert dialog.shown["menu_options"] == ("scan", "port")
            dialog.close()


async def test_silence_in_both_modes_is_silence(hass: HomeAssistant) -> None:
    async with serve_tcp(SlaveLine(Bank([]), speed=Speed.FAST)) as server:
        dialog = await add(hass, f"modbus-tcp://{plain(server.url)}")
        await dialog.choose("scan")
        assert dialog.step == "silence"
        assert dialog.shown["menu_options"] == ("scan", "port")
        dialog.close()


async def test_a_silent_gateway_can_be_asked_in_its_other_mode(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    """One that says nothing of absent packs does not give itself away."""
    line.bank[1].present = False
    manners = Manners(timeout=0.01, silent=True)
    async with serve_modbus_tcp(line, manners=manners) as gateway:
        dialog = await add(hass, plain(gateway.url))
        await dialog.choose("scan")
        assert dialog.step == "silence"
        assert dialog.shown["menu_options"] == ("scan", "as_modbus", "follow", "port")
        await dialog.choose("as_modbus")
        assert dialog.step == "confirm"
        assert dialog.placeholders["port"] == gateway.url
        dialog.close()


@asynccontextmanager
async def hanging_up() -> AsyncIterator[str]:
    """A gateway that hangs up on whoever says nothing, or no Modbus TCP."""
    of = next(iter(Bank.default((1,), still=True)))
    served = RegisterMap({k: registers(of.frame(k)) for k in (1, 2, 3)})  # type: ignore[arg-type]  # an IntEnum

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await asyncio.wait_for(reader.read(260), 0.15):
                if head[2:4] != b"\0\0":
                    break
                unit, address, count = head[6], head[8:10], head[10:12]
                data = served.read(int.from_bytes(address), int.from_bytes(count))
                if unit != 1 or data is None:
                    body = bytes((head[7] | 0x80, 2 if unit == 1 else 11))
                else:
                    body = bytes((3, len(data))) + data
                writer.write(head[:4] + (len(body) + 1).to_bytes(2) + head[6:7] + body)
        except TimeoutError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


async def test_a_gateway_that_hangs_up_on_who_says_nothing_can_still_be_set_up(
    hass: HomeAssistant,
) -> None:
    async with hanging_up() as place:
        dialog = await add(hass, f"modbus-tcp://{place}")
        assert dialog.step == "confirm_scan"
        dialog.close()


async def test_a_gateway_that_hangs_up_on_triggers_is_asked_the_other_way(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.line_flow.LISTEN_FOR", 0.05)
    async with hanging_up() as place:
        dialog = await add(hass, place)
        assert dialog.step == "confirm_scan"
        await dialog.choose("scan")
        assert dialog.step == "confirm"
        assert dialog.placeholders["port"] == f"modbus-tcp://{place}"
        dialog.close()


async def test_who_hangs_up_in_both_modes_is_said_to(hass: HomeAssistant) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for typed in (place, f"modbus-tcp://{place}"):
            dialog = await add(hass, typed)
            await dialog.choose("scan")
            assert dialog.step == "rs485"
            assert dialog.errors == {"base": "lost"}
            dialog.close()


async def test_who_hangs_up_on_triggers_and_says_nothing_else_is_said_to(
    hass: HomeAssistant,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await reader.read(260)) and head[2:4] == bytes(2):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        dialog = await add(hass, f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await dialog.choose("scan")
        assert dialog.step == "rs485"
        assert dialog.errors == {"base": "lost"}
        dialog.close()


async def test_a_port_that_is_in_use_is_known_in_both_modes(
    hass: HomeAssistant, converting: ModbusTcpGateway
) -> None:
    bus_entry(converting.url, 1).add_to_hass(hass)
    dialog = await add(hass, plain(converting.url))
    assert dialog.step == "abort:already_configured"


async def test_a_gateway_that_was_switched_over_is_followed_by_reconfiguring(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2)
        entry.add_to_hass(hass)
        port = server.port
    async with serve_modbus_tcp(line, port=port, manners=QUICK) as gateway:
        dialog = await Dialog.reconfigure(hass, entry)
        await dialog.submit(device=server.url)
        assert dialog.step == "known_line"
        await dialog.choose("listen")
        assert dialog.step == "abort:reconfigure_successful"
        assert entry.data["device"] == gateway.url
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()


async def test_a_pack_at_address_0_is_told_when_its_gateway_begins_to_convert(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_modbus_tcp(line, manners=QUICK) as gateway:
        entry = bus_entry("/dev/null", 0, 1)
        entry.add_to_hass(hass)
        dialog = await Dialog.reconfigure(hass, entry)
        await dialog.submit(device=gateway.url)
        assert dialog.step == "confirm_scan"
        await dialog.choose("scan")
        assert dialog.step == "address_0"
        assert dialog.shown["menu_options"] == ("scan", "port", "use_anyway")
        dialog.close()
        await hass.async_block_till_done()


async def test_address_0_is_refused_with_the_reason(
    hass: HomeAssistant, converting: ModbusTcpGateway
) -> None:
    entry = bus_entry(converting.url, 1)
    async with holding(hass, entry):
        dialog = await Dialog.add_bms(hass, entry)
        await dialog.submit(address="0")
        assert dialog.step == "user"
        assert dialog.errors == {"address": "address_0"}
        await dialog.submit(address="2")
        assert dialog.step == "confirm"
        dialog.close()
