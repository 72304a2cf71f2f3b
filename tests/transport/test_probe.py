"""A look at a line: listening without a sound, asking who is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from custom_components.jkbms.protocol.survey import Finding
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.probe import _Inbox, async_listen, async_scan
from simulator import (
    Bank,
    Line,
    ReplayLine,
    SlaveLine,
    Speed,
    load_capture,
    parse_fault,
    serve_pty,
    serve_tcp,
)
from simulator.ttl import TtlLine

from .peers import Ears, RecordingLine, Server, four_packs, soon, until

pytestmark = pytest.mark.simulated_time

type Probe = Callable[[str, Callable[[float], None]], Coroutine[Any, Any, Any]]

KINDS = ("tcp", "pty")
PROBES = (async_listen, async_scan)


@asynccontextmanager
async def served(kind: str, line: Line) -> AsyncIterator[Server]:
    """A line behind a gateway or behind a USB adapter."""
    async with serve_tcp(line) if kind == "tcp" else serve_pty(line) as server:
        yield server


async def can_be_opened(url: str) -> bool:
    """Whether a port is free."""
    link = await Ears().open(url)
    await link.close()
    return True


@pytest.mark.parametrize("kind", KINDS)
async def test_listening_sends_not_one_byte(kind: str) -> None:
    line = RecordingLine()
    shares: list[float] = []
    async with served(kind, line) as server:
        heard = await async_listen(server.url, shares.append)
        assert await can_be_opened(server.url)
    assert line.connections
    assert line.heard == b""
    assert heard.finding is Finding.SILENCE
    assert heard.packs == ()
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 < shares[-1] < 1
    assert len(shares) >= 16


@pytest.mark.parametrize("kind", KINDS)
async def test_listening_where_another_master_asks_names_the_packs(kind: str) -> None:
    line = ReplayLine(load_capture("phinix-readme-cycle"), repeat=False)
    async with served(kind, line) as server:
        heard = await async_listen(server.url, lambda _: None)
    assert heard.finding is Finding.FOREIGN_MASTER
    assert [pack.address for pack in heard.packs] == [0, 1]
    assert all(pack.frames for pack in heard.packs)


async def test_listening_takes_as_long_as_asked() -> None:
    loop = asyncio.get_running_loop()
    async with served("tcp", RecordingLine()) as server:
        begin = loop.time()
        await async_listen(server.url, lambda _: None)
        assert loop.time() - begin == pytest.approx(8.0, abs=0.1)
        begin = loop.time()
        await async_listen(server.url, lambda _: None, 2.0)
        assert loop.time() - begin == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_scan_finds_who_is_there_and_reads_them(kind: str) -> None:
    bank = Bank.default(addresses=(0, 3, 15), still=True)
    shares: list[float] = []
    async with served(kind, SlaveLine(bank, speed=Speed.FAST)) as server:
        scanned = await async_scan(server.url, shares.append)
        assert await can_be_opened(server.url)
    assert scanned.finding is Finding.PACKS
    assert sorted(scanned.found) == [0, 3, 15]
    for address, state in scanned.found.items():
        assert state.identity.serial_number == bank[address].serial
        assert len(state.seen) == 3
    assert 0 <= min(shares) <= max(shares) <= 1
    assert bank.dangerous == []
    assert all(pack.journal == [] for pack in bank)


async def test_a_scan_through_noise_finds_them_too() -> None:
    line = SlaveLine(
        Bank.default(still=True),
        speed=Speed.FAST,
        faults=[parse_fault("padding:before=3:after=5"), parse_fault("echo")],
    )
    async with served("tcp", line) as server:
        scanned = await async_scan(server.url, lambda _: None)
    assert sorted(scanned.found) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_scan_of_a_silent_line_says_so(kind: str) -> None:
    async with served(kind, RecordingLine()) as server:
        scanned = await async_scan(server.url, lambda _: None)
    assert scanned.finding is Finding.SILENCE
    assert scanned.found == {}


async def test_a_scan_stops_where_another_master_asks() -> None:
    line = ReplayLine(load_capture("phinix-readme-cycle"))
    async with served("tcp", line) as server:
        scanned = await async_scan(server.url, lambda _: None)
    assert scanned.finding is Finding.FOREIGN_MASTER


@pytest.mark.parametrize("probe", PROBES)
async def test_a_line_that_cannot_be_opened_says_why(probe: Probe) -> None:
    with pytest.raises(LinkError) as caught:
        await probe("/dev/missing", lambda _: None)
    assert caught.value.fault is LinkFault.NO_SUCH_PORT


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_line_that_is_lost_on_the_way_is_told(probe: Probe, kind: str) -> None:
    line = RecordingLine()
    async with served(kind, line) as server:
        looking = asyncio.create_task(probe(server.url, lambda _: None))
        await until(lambda: line.connections)
        await server.stop()
        with pytest.raises(LinkError) as caught:
            await soon(looking)
    assert caught.value.fault is LinkFault.LOST


async def test_what_came_before_the_line_was_lost_counts() -> None:
    # A proxy hands over its last bytes and the end of the line in one go.
    inbox = _Inbox()
    inbox.receive(b"last ")
    inbox.receive(b"words")
    inbox.lose(None)
    soon_enough = asyncio.get_running_loop().time() + 1
    assert await inbox.take(soon_enough) == b"last words"
    with pytest.raises(LinkError) as caught:
        await inbox.take(soon_enough)
    assert caught.value.fault is LinkFault.LOST


@pytest.mark.parametrize("probe", PROBES)
async def test_a_look_that_is_given_up_leaves_the_port(probe: Probe) -> None:
    async with served("pty", four_packs()) as server:
        looking = asyncio.create_task(probe(server.url, lambda _: None))
        await asyncio.sleep(0.5)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        assert await can_be_opened(server.url)


async def test_a_gateway_that_takes_one_connection_in_all_is_silent_and_not_refusing() -> (
    None
):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.close()
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    scanned = await async_scan(url, lambda _: None)
    assert scanned.finding is Finding.SILENCE
    assert scanned.found == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_pack_that_speaks_the_older_protocol_is_found(kind: str) -> None:
    bank = Bank.default(addresses=(0,), still=True)
    shares: list[float] = []
    async with served(kind, TtlLine(bank, speed=Speed.FAST)) as server:
        scanned = await async_scan(server.url, shares.append)
        assert await can_be_opened(server.url)
    assert scanned.finding is Finding.LEGACY_PROTOCOL
    assert list(scanned.found) == [0]
    assert scanned.found[0].features is not None
    assert shares == sorted(shares)
    assert shares[-1] < 1
    assert bank[0].journal == []
