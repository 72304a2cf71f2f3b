"""python-can's own backends as clients: what works with them works with the simulator, in real time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import socket
import time
from typing import Any

import can
from can.interfaces.slcan import slcanBus
import pytest

from simulator import Bank
from simulator.can import (
    CanBus,
    Dialect,
    SlcanPtyServer,
    SlcanTcpServer,
    frames_of,
    parallel_bank,
    serve_slcan_pty,
    serve_slcan_tcp,
    serve_socketcand,
)

pytestmark = pytest.mark.usefixtures("socket_enabled")

PATIENCE = 10.0
ALIVE = can.Message(arbitration_id=0x305, is_extended_id=False, data=bytes(8))
CONTROL = can.Message(
    arbitration_id=0x18F0F428, is_extended_id=True, data=bytes.fromhex("02000000")
)
REMOTE = can.Message(
    arbitration_id=0x123, is_extended_id=False, is_remote_frame=True, dlc=2
)


def bank() -> Bank:
    """Two packs that stand still."""
    return Bank.default(range(2), still=True)


@contextmanager
def slcan(url: str, bitrate: int, **options: Any) -> Iterator[slcanBus]:
    """python-can's slcan on a PTY or a URL."""
    with slcanBus(url, bitrate=bitrate, sleep_after_open=0, **options) as client:
        yield client


@contextmanager
def socketcand(port: int) -> Iterator[can.BusABC]:
    """python-can's socketcand; its constructor spins on a closed port, so that is tried first."""
    socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    with can.Bus(
        interface="socketcand", host="127.0.0.1", port=port, channel="can0"
    ) as client:
        yield client


def listen(client: can.BusABC, seconds: float) -> list[can.Message]:
    """What is received in a span of time."""
    end = time.monotonic() + seconds
    messages = []
    while (left := end - time.monotonic()) > 0:
        message = client.recv(left)
        if message is not None:
            messages.append(message)
    return messages


def send_and_listen(client: can.BusABC, seconds: float = 2.2) -> list[can.Message]:
    """Send what a client may send, then listen."""
    for message in (ALIVE, CONTROL, ALIVE):
        client.send(message)
    return listen(client, seconds)


def judge(messages: list[can.Message], stage: CanBus) -> None:
    """Whether all has arrived that two packs say in two seconds, byte for byte."""
    expected = {
        frame.id: (frame.extended, frame.data)
        for pack in stage.bank
        for frames in frames_of(pack).values()
        for frame in frames
    }
    got = {
        message.arbitration_id: (message.is_extended_id, bytes(message.data))
        for message in messages
        if message.arbitration_id != 0x18F528F4
    }
    expected.pop(0x18F528F4)
    assert got == expected
    counts = Counter(message.arbitration_id for message in messages)
    assert counts[0x2F4] == pytest.approx(22, abs=3)
    assert counts[0x18F528F5] == pytest.approx(4.4, abs=1)
    assert not any(message.is_error_frame for message in messages)
    assert stage.counts[0x305] == 2
    assert stage.counts[0x18F0F428] == 1
    assert stage.bank[0].get("discharge_mos") == 0


async def in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """Run what blocks beside the loop that serves it."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.to_thread(call, *arguments)


def adapter_of(kind: str, stage: CanBus) -> SlcanPtyServer | SlcanTcpServer:
    """An slcan adapter of either kind, not yet started."""
    return serve_slcan_pty(stage) if kind == "pty" else serve_slcan_tcp(stage)


@pytest.mark.parametrize("kind", ["pty", "tcp"])
async def test_python_can_hears_and_sends_through_slcan(kind: str) -> None:
    stage = CanBus(bank())

    def client(url: str) -> tuple[Any, ...]:
        with slcan(url, 250_000) as adapter:
            version, number = adapter.get_version(1.0), adapter.get_serial_number(1.0)
            adapter.send(REMOTE)
            messages = send_and_listen(adapter)
        return version, number, messages

    async with adapter_of(kind, stage) as server:
        version, number, messages = await in_thread(client, server.url)
    judge(messages, stage)
    assert (version, number) == ((10, 13), "JK01")
    assert stage.counts[0x123] == 1


@pytest.mark.parametrize("kind", ["pty", "tcp"])
async def test_python_can_hears_nothing_at_the_wrong_rate(kind: str) -> None:
    stage = CanBus(bank())

    def client(url: str) -> list[can.Message]:
        with slcan(url, 500_000) as adapter:
            return listen(adapter, 0.5)

    async with adapter_of(kind, stage) as server:
        assert await in_thread(client, server.url) == []
        # On the right one it hears at once, with the same adapter.

        def right(url: str) -> list[can.Message]:
            with slcan(url, 250_000, listen_only=True) as adapter:
                return listen(adapter, 0.5)

        assert len(await in_thread(right, server.url)) > 20


async def test_python_can_hears_a_whole_bank_through_a_port_without_loss() -> None:
    stage = CanBus(Bank.default(range(8), still=True))

    def client(url: str) -> list[can.Message]:
        with slcan(url, 250_000) as adapter:
            return listen(adapter, 2.0)

    async with serve_slcan_tcp(stage) as server:
        messages = await in_thread(client, server.url)
    assert len({message.arbitration_id for message in messages}) >= 8 * 10
    assert len(messages) == pytest.approx(8 * 34 * 2, rel=0.1)


async def test_python_can_hears_and_sends_through_socketcand() -> None:
    stage = CanBus(bank())

    def client(port: int) -> list[can.Message]:
        with socketcand(port) as daemon:
            return send_and_listen(daemon)

    async with serve_socketcand(stage) as server:
        before = time.time()
        messages = await in_thread(client, server.port)
    judge(messages, stage)
    assert all(before < message.timestamp < time.time() for message in messages)


async def test_python_can_asks_a_growatt_bank_through_socketcand() -> None:
    stage = CanBus(parallel_bank(range(2), still=True), Dialect.GROWATT)

    def client(port: int) -> tuple[list[can.Message], list[can.Message]]:
        with socketcand(port) as daemon:
            before = listen(daemon, 0.3)
            daemon.send(
                can.Message(
                    arbitration_id=0x301,
                    is_extended_id=False,
                    data=bytes.fromhex("0B16212C37424D58"),
                )
            )
            return before, listen(daemon, 0.5)

    async with serve_socketcand(stage) as server:
        before, after = await in_thread(client, server.port)
    assert before == []
    assert [message.arbitration_id for message in after] == [
        *(0x311, 0x312, 0x313, 0x314, 0x319, 0x320, 0x321, 0x322, 0x323)
    ]


async def test_python_can_sees_error_frames_through_socketcand() -> None:
    stage = CanBus(bank())

    def client(port: int) -> list[can.Message]:
        with socketcand(port) as daemon:
            return listen(daemon, 0.5)

    async with serve_socketcand(stage, bitrate=500_000) as server:
        messages = await in_thread(client, server.port)
    assert messages
    assert all(message.is_error_frame for message in messages)


async def test_python_can_notices_an_adapter_that_was_unplugged(tmp_path: Path) -> None:
    stage = CanBus(bank())
    loop = asyncio.get_running_loop()
    server = serve_slcan_pty(stage, tmp_path / "usb-can")

    def client(url: str) -> int:
        adapter = slcanBus(url, bitrate=250_000, sleep_after_open=0)
        heard = len(listen(adapter, 0.5))
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE)
        with pytest.raises(can.CanOperationError):
            listen(adapter, 1.0)
        with pytest.raises(can.CanOperationError):
            adapter.shutdown()
        adapter.serialPortOrig.close()
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE)
        with slcan(url, 250_000) as again:
            return min(heard, len(listen(again, 0.5)))

    async with server:
        assert await in_thread(client, server.url) > 20
