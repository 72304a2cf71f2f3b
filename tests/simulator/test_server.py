"""The line over real sockets and real PTYs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import time

import pytest

from simulator import (
    Bank,
    Block,
    ReplayLine,
    SlaveLine,
    Speed,
    TcpServer,
    parse_fault,
    serve_pty,
    serve_tcp,
)

from . import DEVICE, SETTINGS, ack, trigger

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE = 10.0


def line(speed: Speed = Speed.FAST, *faults: str) -> SlaveLine:
    """Four packs that stand still."""
    bank = Bank.default(still=True)
    return SlaveLine(bank, speed=speed, faults=[parse_fault(fault) for fault in faults])


def whole(served: SlaveLine, address: int = 1) -> bytes:
    """The answer to a live-data trigger."""
    return served.bank[address].frame(Block.LIVE) + ack(address, 0x1620)


async def soon[T](waited: Awaitable[T]) -> T:
    """The result, or a failure where a test would hang."""
    async with asyncio.timeout(PATIENCE):
        return await waited


class Tcp:
    """A client of the gateway."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take over the two halves of a connection."""
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self, count: int = 308) -> bytes:
        return await soon(self._reader.readexactly(count))

    async def ask(self, request: bytes) -> bytes:
        self.send(request)
        return await self.read()

    async def end(self) -> bytes:
        """What comes until the connection is closed."""
        try:
            return await soon(self._reader.read())
        except ConnectionResetError:
            return b""

    async def hears_nothing(self, seconds: float = 0.05) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._reader.read(1)
                return False
        return True


@asynccontextmanager
async def connected(server: TcpServer) -> AsyncIterator[Tcp]:
    """A connection to a gateway."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        yield Tcp(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await soon(writer.wait_closed())


class Pty:
    """A program that has opened a serial port."""

    def __init__(self, path: str) -> None:
        """Open the port without waiting for anything."""
        self.handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self.handle)

    async def read(self, count: int = 308) -> bytes:
        data = b""
        async with asyncio.timeout(PATIENCE):
            while len(data) < count:
                data += await self._some()
        return data

    async def _some(self) -> bytes:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.handle, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.handle)
        return os.read(self.handle, 4096)

    async def ask(self, request: bytes) -> bytes:
        os.write(self.handle, request)
        return await self.read()


async def test_a_gateway_answers_at_the_speed_of_the_wire() -> None:
    served = line(Speed.WIRE)
    async with serve_tcp(served) as server, connected(server) as client:
        assert server.url == f"socket://127.0.0.1:{server.port}"
        begin = time.perf_counter()
        assert await client.ask(trigger(1)) == whole(served)
        assert time.perf_counter() - begin > 0.037


async def test_a_gateway_sends_long_replies_in_pieces() -> None:
    served = line(Speed.WIRE)
    async with serve_tcp(served) as server, connected(server) as client:
        client.send(trigger(1))
        assert await client.read(32) == whole(served)[:32]
        assert await client.read(276) == whole(served)[32:]


async def test_without_wire_time_hundreds_of_requests_take_moments() -> None:
    served = line()
    async with serve_tcp(served) as server, connected(server) as client:
        for _ in range(100):
            for register in (DEVICE, SETTINGS, 0x1620):
                assert len(await client.ask(trigger(2, register))) == 308
    assert served.counters.replies == 300


async def test_clients_share_one_stream() -> None:
    served = line()
    async with (
        serve_tcp(served) as server,
        connected(server) as one,
        connected(server) as other,
    ):
        assert await one.ask(trigger(1)) == whole(served)
        assert await other.read() == whole(served)
        assert server.clients == 2


async def test_a_client_too_many_is_turned_away() -> None:
    served = line()
    async with serve_tcp(served, max_clients=1) as server, connected(server) as one:
        assert await one.ask(trigger(1)) == whole(served)
        async with connected(server) as other:
            with suppress(ConnectionError):
                other.send(trigger(1))
            assert await other.end() == b""
        assert await one.ask(trigger(2)) == whole(served, 2)
        assert server.clients == 1


async def test_a_place_is_free_again_when_a_client_leaves() -> None:
    served = line()
    async with serve_tcp(served, max_clients=1) as server:
        async with connected(server) as client:
            await client.ask(trigger(1))
        async with connected(server) as client:
            assert await client.ask(trigger(1)) == whole(served)


async def test_dropped_clients_may_come_back() -> None:
    served = line()
    async with serve_tcp(served) as server:
        async with connected(server) as client:
            await client.ask(trigger(1))
            server.drop_clients()
            assert await client.end() == b""
        async with connected(server) as client:
            assert await client.ask(trigger(1)) == whole(served)


async def test_a_stopped_gateway_refuses_and_a_started_one_is_where_it_was() -> None:
    served = line()
    async with serve_tcp(served) as server:
        port = server.port
        async with connected(server) as client:
            await client.ask(trigger(1))
            await server.stop()
            assert await client.end() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(server.host, port)
        await server.stop()
        await server.start()
        assert server.port == port
        async with connected(server) as client:
            assert await client.ask(trigger(1)) == whole(served)


async def test_a_silent_gateway_stays_connected() -> None:
    served = line()
    async with serve_tcp(served) as server, connected(server) as client:
        await client.ask(trigger(1))
        server.go_silent()
        client.send(trigger(1))
        assert await client.hears_nothing()
        assert served.counters.heard == 1
        server.speak()
        assert await client.ask(trigger(1)) == whole(served)


async def test_a_gateway_that_falls_silent_swallows_what_is_on_its_way() -> None:
    served = SlaveLine(Bank.default(still=True), turnaround=0.1)
    async with serve_tcp(served) as server, connected(server) as client:
        client.send(trigger(1))
        async with asyncio.timeout(PATIENCE):
            while not served.counters.heard:
                await asyncio.sleep(0)
            server.go_silent()
            while served.due() is not None:
                await asyncio.sleep(0.01)
        assert await client.hears_nothing()
        assert served.counters.replies == 1


async def test_stopping_leaves_no_timer_behind() -> None:
    served = SlaveLine(Bank.default(still=True), turnaround=5.0)
    async with serve_tcp(served) as server, connected(server) as client:
        client.send(trigger(1))
        async with asyncio.timeout(PATIENCE):
            while not served.counters.heard:
                await asyncio.sleep(0)
    assert served.due() is not None


async def test_a_gateway_closes_by_itself_and_comes_back() -> None:
    served = line(Speed.FAST, "close:after=0.05:length=0.05")
    async with serve_tcp(served) as server:
        async with connected(server) as client:
            assert await client.ask(trigger(1)) == whole(served)
            assert await client.end() == b""
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(ConnectionRefusedError):
                    async with connected(server) as client:
                        assert await client.ask(trigger(1)) == whole(served)
                        break
                await asyncio.sleep(0.01)


async def test_a_gateway_goes_mute_again_and_again() -> None:
    served = line(Speed.FAST, "mute:after=0.02:length=0.04:every=0.08")
    states = []
    async with serve_tcp(served) as server, asyncio.timeout(PATIENCE):
        for wanted in (True, False, True, False):
            while server.silent is not wanted:
                await asyncio.sleep(0.005)
            states.append(server.silent)
    assert states == [True, False, True, False]


async def test_noise_by_itself_reaches_a_client() -> None:
    served = line(Speed.FAST, "noise:every=0.02:burst=7")
    async with serve_tcp(served) as server, connected(server) as client:
        assert len(await client.read(21)) == 21


async def test_a_pty_answers_like_a_serial_port() -> None:
    served = line(Speed.WIRE)
    async with serve_pty(served) as server:
        port = Pty(server.url)
        begin = time.perf_counter()
        assert await port.ask(trigger(1)) == whole(served)
        assert time.perf_counter() - begin > 0.037
        port.close()


async def test_a_pty_can_be_closed_and_opened_again() -> None:
    served = line()
    async with serve_pty(served) as server:
        for _ in range(3):
            port = Pty(server.url)
            assert await port.ask(trigger(3)) == whole(served, 3)
            port.close()


async def test_a_pty_passes_every_byte_as_it_is() -> None:
    served = line(Speed.FAST, "echo")
    async with serve_pty(served) as server:
        port = Pty(server.url)
        os.write(port.handle, bytes(range(256)))
        assert await port.read(255) == bytes(range(255))
        port.close()


async def test_an_adapter_is_unplugged_and_plugged_again(tmp_path: Path) -> None:
    link = tmp_path / "usb-jk"
    served = line()
    async with serve_pty(served, link) as server:
        assert server.url == str(link)
        port = Pty(server.url)
        assert await port.ask(trigger(1)) == whole(served)
        await server.stop()
        assert not link.is_symlink()
        with pytest.raises(OSError):
            os.write(port.handle, trigger(1))
        port.close()
        await server.stop()
        await server.start()
        port = Pty(server.url)
        assert await port.ask(trigger(1)) == whole(served)
        port.close()
    assert not link.is_symlink()


async def test_unplugging_in_the_middle_of_a_reply_drops_the_rest() -> None:
    served = line(Speed.WIRE)
    async with serve_pty(served) as server:
        port = Pty(server.url)
        os.write(port.handle, trigger(1))
        assert len(await port.read(32)) >= 32
        await server.stop()
        port.close()


async def test_a_reply_to_a_port_that_was_closed_is_lost() -> None:
    served = SlaveLine(Bank.default(still=True), deaf=0.0)
    async with serve_pty(served) as server:
        port = Pty(server.url)
        os.write(port.handle, trigger(1))
        await port.read(32)
        port.close()
        async with asyncio.timeout(PATIENCE):
            while served.due() is not None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        port = Pty(server.url)
        assert await port.ask(trigger(2)) == whole(served, 2)
        port.close()


async def test_a_reader_that_does_not_read_loses_bytes_and_stops_nobody() -> None:
    served = line()
    async with serve_pty(served) as server:
        port = Pty(server.url)
        assert await port.ask(trigger(1)) == whole(served)
        for turn in range(400):
            os.write(port.handle, trigger(1))
            async with asyncio.timeout(PATIENCE):
                while served.counters.heard < 2 + turn:
                    await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while served.due() is not None:
                await asyncio.sleep(0.01)
        kept = os.read(port.handle, 1_000_000)
        assert 0 < len(kept) < 400 * 308
        port.close()


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_a_capture_is_played_from_its_first_byte_to_whoever_listens(
    kind: str,
) -> None:
    data = bytes(range(256)) * 2
    played = ReplayLine(data)
    if kind == "tcp":
        async with serve_tcp(played) as server, connected(server) as client:
            assert await client.read(1024) == data + data
        return
    async with serve_pty(played) as adapter:
        port = Pty(adapter.url)
        assert (await port.read(1024))[:1024] == data + data
        port.close()
