"""The bus over real sockets and real PTYs."""

import asyncio
import os
from pathlib import Path

import pytest

from simulator import Bank
from simulator.can import (
    CanBus,
    Dialect,
    parallel_bank,
    parse_can_fault,
    serve_can_tcp,
    serve_slcan_pty,
    serve_slcan_tcp,
    serve_socketcand,
)

from . import KEEP_ALIVE
from .clients import PATIENCE, Pty, connected

pytestmark = pytest.mark.usefixtures("socket_enabled")

OPEN = b"S5\rO\r"
ALIVE = b"t30580000000000000000\r"
ALIVE_RECORD = bytes.fromhex("0800000305") + bytes(8)
RECORD = 13


def bus(*faults: str, packs: int = 2) -> CanBus:
    """Packs that stand still."""
    return CanBus(
        Bank.default(range(packs), still=True),
        faults=[parse_can_fault(fault) for fault in faults],
    )


async def reached(stage: CanBus, count: int = 1) -> None:
    """Wait until keep-alive frames have passed."""
    async with asyncio.timeout(PATIENCE):
        while stage.counts[0x305] < count:
            await asyncio.sleep(0.005)


async def test_an_adapter_behind_a_port_passes_frames_both_ways() -> None:
    stage = bus()
    async with serve_slcan_tcp(stage) as server, connected(server) as client:
        assert server.url == f"socket://127.0.0.1:{server.port}"
        await client.ask(OPEN, b"\r\r")
        assert (await client.until(b"\rt2F48")).count(b"\r") > 1
        client.send(ALIVE)
        await client.until(b"z\r")
        await reached(stage)


async def test_an_adapter_has_one_client_at_a_time_and_keeps_its_state() -> None:
    async with serve_slcan_tcp(bus()) as server:
        async with connected(server) as one:
            await one.ask(OPEN, b"\r\r")
            async with connected(server) as other:
                assert await other.end() == b""
            await one.until(b"T18F1")
        async with connected(server) as one:
            # It was never told to close its channel.
            await one.until(b"T18F1")


async def test_an_adapter_that_was_off_has_forgotten_everything() -> None:
    async with serve_slcan_tcp(bus()) as server:
        async with connected(server) as client:
            await client.ask(OPEN, b"\r\r")
            port = server.port
            await server.stop()
            await client.end()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        await server.start()
        assert server.port == port
        async with connected(server) as client:
            await client.ask(b"O\r", b"\a")
            await client.ask(OPEN, b"\r\r")
            await client.until(b"T18F1")


async def test_a_silent_adapter_says_nothing_and_hears_nothing() -> None:
    stage = bus()
    async with serve_slcan_tcp(stage) as server, connected(server) as client:
        await client.ask(OPEN, b"\r\r")
        await client.until(b"T18F1")
        server.go_silent()
        await asyncio.sleep(0.05)
        client.send(ALIVE)
        await client.quiet()
        server.speak()
        await client.until(b"T18F1")
        assert not stage.counts


async def test_a_usb_adapter_passes_frames_both_ways() -> None:
    stage = bus()
    async with serve_slcan_pty(stage) as server:
        port = Pty(server.url)
        os.write(port.handle, b"V\r" + OPEN)
        assert (await port.until(b"T18F1")).startswith(b"V1013\r\r\r")
        os.write(port.handle, ALIVE)
        await port.until(b"z\r")
        await reached(stage)
        port.close()


async def test_a_usb_adapter_is_unplugged_and_plugged_again(tmp_path: Path) -> None:
    link = tmp_path / "usb-can"
    stage = bus()
    async with serve_slcan_pty(stage, link) as server:
        assert server.url == str(link)
        port = Pty(server.url)
        os.write(port.handle, OPEN)
        await port.until(b"T18F1")
        await server.stop()
        assert not link.is_symlink()
        with pytest.raises(OSError):
            os.write(port.handle, ALIVE)
        port.close()
        await server.stop()
        await server.start()
        port = Pty(server.url)
        os.write(port.handle, b"O\r")
        assert await port.until(b"\a") == b"\a"
        os.write(port.handle, OPEN)
        await port.until(b"T18F1")
        port.close()


async def test_a_fault_unplugs_the_adapter_for_a_while(tmp_path: Path) -> None:
    link = tmp_path / "usb-can"
    async with serve_slcan_pty(bus("close:after=0.05:length=0.05"), link):
        assert link.is_symlink()
        async with asyncio.timeout(PATIENCE):
            while link.is_symlink():
                await asyncio.sleep(0.005)
            while not link.is_symlink():
                await asyncio.sleep(0.005)


async def test_a_daemon_greets_opens_and_tells_frames() -> None:
    stage = bus()
    async with (
        serve_socketcand(stage, settle=0.0) as server,
        connected(server) as one,
        connected(server) as other,
    ):
        for client in (one, other):
            assert await client.read(6) == b"< hi >"
            await client.ask(b"< open can0 >", b"< ok >")
            await client.ask(b"< rawmode >", b"< ok >")
        assert b"< frame 18F1" in await one.until(b"< frame 18F1")
        one.send(b"< send 305 8 0 0 0 0 0 0 0 0 >")
        assert b"0000000000000000" in await other.until(b"0000000000000000 >")
        await reached(stage)
        assert len(server.sessions) == 2
    assert stage.taps == []


async def test_a_daemon_closes_the_connection_for_a_bus_that_it_has_not() -> None:
    async with serve_socketcand(bus()) as server, connected(server) as client:
        await client.ask(b"< open vcan9 >", b"< hi >")
        assert await client.end() == b"< error could not open bus >"
    async with (
        serve_socketcand(bus(), channel="vcan9", bitrate=500_000) as server,
        connected(server) as client,
    ):
        client.send(b"< open vcan9 >< rawmode >")
        assert await client.until(b"< error 088")


async def test_a_gateway_has_several_clients_with_a_record_per_frame() -> None:
    stage = bus()
    async with (
        serve_can_tcp(stage) as server,
        connected(server) as one,
        connected(server) as other,
    ):
        for client in (one, other):
            records = [await client.read(RECORD) for _ in range(30)]
            assert {record[0] for record in records} == {0x08, 0x88}
        one.send(ALIVE_RECORD[:7])
        await asyncio.sleep(0.05)
        one.send(ALIVE_RECORD[7:] + ALIVE_RECORD)
        await reached(stage, 2)


async def test_a_gateway_may_have_the_wrong_rate() -> None:
    async with (
        serve_can_tcp(bus(), bitrate=500_000) as server,
        connected(server) as client,
    ):
        assert await client.hears_nothing()


async def test_a_gateway_restarts_dies_and_comes_back() -> None:
    stage = bus()
    async with serve_can_tcp(stage) as server:
        async with connected(server) as client:
            await client.read(RECORD)
            server.drop_clients()
            await client.end()
        async with connected(server) as client:
            await client.read(RECORD)
            await server.stop()
            await client.end()
        await server.start()
        async with connected(server) as client:
            await client.read(RECORD)
            server.go_silent()
            await asyncio.sleep(0.05)
            client.send(ALIVE_RECORD)
            await client.quiet()
        assert not stage.counts
    assert stage.taps == []


async def test_bytes_lost_on_the_way_move_the_records() -> None:
    async with (
        serve_can_tcp(bus("drop:rate=0.02")) as server,
        connected(server) as client,
    ):
        records = [await client.read(RECORD) for _ in range(60)]
        assert {record[0] for record in records} > {0x08, 0x88}


async def test_several_wires_serve_one_bus_and_hear_each_other_at_once() -> None:
    stage = CanBus(parallel_bank([0], still=True), Dialect.GROWATT)
    async with (
        serve_slcan_tcp(stage) as adapter,
        serve_can_tcp(stage) as gateway,
        connected(adapter) as one,
        connected(gateway) as other,
    ):
        await one.ask(b"S6\rO\r", b"\r\r")
        # The bank says nothing before it is asked: nobody has a reason to look.
        assert await other.hears_nothing(0.1)
        one.send(b"t30180B16212C37424D58\r")
        assert (await other.read(RECORD))[3:5] == b"\x03\x01"
        assert (await other.read(9 * RECORD))[3:5] == b"\x03\x11"
        assert await one.until(b"t3238") != b""
    assert stage.watchers == []


async def test_an_endpoint_that_stops_does_not_look_again() -> None:
    stage = bus()
    async with serve_can_tcp(stage) as gateway, serve_slcan_tcp(stage) as adapter:
        stage.send(KEEP_ALIVE, asyncio.get_running_loop().time())
        await gateway.stop()
        await adapter.stop()
        await asyncio.sleep(0)
        assert stage.watchers == []


async def test_a_bank_kept_alive_through_a_wire_goes_on() -> None:
    stage = CanBus(parallel_bank([0], still=True), Dialect.PYLON, patience=0.2)
    async with serve_can_tcp(stage) as server, connected(server) as client:
        await client.quiet()
        client.send(ALIVE_RECORD)
        records = [await client.read(RECORD) for _ in range(8)]
        assert [record[3:5].hex() for record in records] == [
            *("0351", "0355", "0356", "035c", "035e", "0370", "0371", "0359")
        ]
