"""Whoever is at the other end of a socket says too much, too little, or goes at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
import gc
from itertools import cycle
import socket
import threading
import time
import tracemalloc
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import NETWORK
from custom_components.jkbms.protocol.station import Event
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.transport.link import Link, LinkFault, line_at
from custom_components.jkbms.transport.session import (
    LinkState,
    LinkStatus,
    Opener,
    Session,
)
from custom_components.jkbms.transport.tape import ByteTape
from scripts.lib.simulated_loop import SimulatedLoop
from simulator import Bank, Block

from .peers import until

pytestmark = pytest.mark.usefixtures("socket_enabled")

_MACHINES: Final[dict[str, Callable[[float], Any]]] = {
    "master": lambda now: Master(range(1, 5), Plan(live=5.0), NETWORK, now),
    "listener": lambda _: Listener((1,), NETWORK),
    "older": lambda now: TtlMaster([1], NETWORK, now, interval=5.0),
}
_SAID: Final = {
    "zeros": b"\x00",
    "heads": b"\x55\xaa\xeb\x90",
    "long writes": b"\x01\x10\x10\x00\x00\x08\x10",
    "units": b"NW\x01\x00",
}


class Bus:
    """A session with its machine, and what has come of it."""

    def __init__(self, opener: Opener[bytes], machine: str) -> None:
        """Prepare; nothing is opened yet."""
        self.machine = _MACHINES[machine](asyncio.get_running_loop().time())
        self.events: list[Event] = []
        self.statuses: list[LinkStatus] = []
        self.tape = ByteTape()
        self.session = Session(
            opener,
            self.machine,
            self.events.extend,
            self.statuses.append,
            self.tape,
        )

    @property
    def faults(self) -> list[LinkFault | None]:
        """Why the line was down, each time."""
        return [one.fault for one in self.statuses if one.state is LinkState.DOWN]


@asynccontextmanager
async def running(
    url: str, machine: str, opener: Opener[bytes] | None = None
) -> AsyncIterator[Bus]:
    """A session that holds a line, ended at the end."""
    bus = Bus(opener or line_at(url), machine)
    task = asyncio.ensure_future(bus.session.run())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def thread_at(serve: Callable[[socket.socket], None]) -> AsyncIterator[str]:
    """A peer in a thread of its own, as fast as the machine allows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            # Whoever waits for a connection, or for room, is woken by its end.
            server.shutdown(socket.SHUT_RDWR)
            await asyncio.to_thread(thread.join)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ("master", "long writes"),
        ("master", "zeros"),
        ("listener", "heads"),
        ("listener", "long writes"),
        ("older", "units"),
    ],
)
async def test_a_peer_that_never_ends_gets_its_turn_and_no_more(
    machine: str, said: str
) -> None:
    block = _SAID[said] * 16_384
    poured = 0

    def pour(server: socket.socket) -> None:
        nonlocal poured
        with server.accept()[0] as peer:
            try:
                while True:
                    poured += peer.send(block)
            except OSError:
                return

    async with thread_at(pour) as url:
        tracemalloc.start()
        try:
            async with running(url, machine) as bus:
                await until(lambda: bus.tape.heard_bytes)
                begin, last = time.monotonic(), time.thread_time()
                longest = 0.0
                while time.monotonic() - begin < 0.25:
                    await asyncio.sleep(0.001)
                    longest = max(longest, (now := time.thread_time()) - last)
                    last = now
                heard = bus.tape.heard_bytes
                grown = tracemalloc.get_traced_memory()[1]
                assert bus.events == []
                assert bus.session.status.state is LinkState.CONNECTED
        finally:
            tracemalloc.stop()
    # Half a second is given in advance.
    assert 2048 <= heard <= 2 * 65_536
    # It waits in its own kernel, and in ours, but not here.
    assert poured > heard
    assert grown < 2_000_000
    # Seconds of this thread: a busy machine makes them no longer.
    assert longest < 0.2


class Endless(asyncio.Transport):
    """A proxy: it hands over what it gets, and cannot be made to wait."""


async def test_what_a_proxy_pours_out_is_kept_within_bounds() -> None:
    heard = bytearray()
    lost: list[Exception | None] = []
    link = Link(heard.extend, lost.append)
    link.connection_made(Endless())
    for _ in range(40):
        link.data_received(bytes(100_000))
    assert len(heard) == 2048
    assert link.waiting == 2**19
    await asyncio.sleep(0.1)
    # Within half a second's worth it goes on at once, piece by piece.
    assert 10_000 <= len(heard) <= 50_000
    assert link.waiting < 2**19
    before = len(heard)
    link.connection_lost(None)
    assert len(heard) == before + 2048
    assert lost == [None]


async def test_a_peer_that_hangs_up_at_once_is_asked_more_and_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.jkbms.transport.session._RETRY_MIN", 0.005)
    met = 0

    def hang_up(server: socket.socket) -> None:
        nonlocal met
        while True:
            try:
                peer = server.accept()[0]
            except OSError:
                return
            met += 1
            if met % 2:
                # Gone without a word, as when its power fails.
                peer.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
            peer.close()

    async with thread_at(hang_up) as url, running(url, "master") as bus:
        await until(lambda: met > 8)
        tasks = len(asyncio.all_tasks())
        gc.collect()
        links = sum(isinstance(one, Link) for one in gc.get_objects())
        await until(lambda: met > 18)
        assert len(asyncio.all_tasks()) <= tasks + 1
        gc.collect()
        assert sum(isinstance(one, Link) for one in gc.get_objects()) <= links + 1
        assert set(bus.faults) <= {LinkFault.LOST, LinkFault.REFUSED}
        assert bus.session.reconnects >= 15
        assert bus.events == []


async def test_a_peer_that_is_there_and_says_nothing_is_left_for_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.jkbms.transport.session._SILENT_AFTER", 0.2)
    peers: list[socket.socket] = []

    def keep(server: socket.socket) -> None:
        while True:
            try:
                peer = server.accept()[0]
            except OSError:
                return
            # Half open: nothing more will come, and nothing is read.
            peer.shutdown(socket.SHUT_WR) if len(peers) == 1 else None
            peers.append(peer)

    async with thread_at(keep) as url, running(url, "master") as bus:
        await until(lambda: len(bus.faults) >= 1 and len(peers) >= 2)
        assert bus.faults[0] is LinkFault.SILENT
        assert bus.events == []
        assert bus.tape.heard_bytes == 0
    for peer in peers:
        peer.close()


class Trickle:
    """A line in memory on which a byte of a frame comes each minute, for ever."""

    opened = 0

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        """Begin to speak."""
        frame = Bank.default((1,), still=True)[1].frame(Block.LIVE)
        self._bytes = cycle(frame)
        self._receive = receive
        self._speak()
        Trickle.opened += 1

    def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(60, self._speak)
        self._receive(bytes((next(self._bytes),)))

    def write(self, data: bytes) -> None:
        """Hear nothing."""

    async def close(self) -> None:
        """Fall silent."""
        self._timer.cancel()


@pytest.mark.parametrize("machine", _MACHINES)
def test_a_byte_a_minute_is_heard_and_means_nothing(machine: str) -> None:
    async def opened(receive: Callable[[bytes], None], _: object) -> Trickle:
        await asyncio.sleep(0.1)
        return Trickle(receive)

    async def hours() -> Bus:
        async with running("", machine, opened) as bus:
            await asyncio.sleep(1.5 * 3600)
            assert len(asyncio.all_tasks()) <= 3
        return bus

    Trickle.opened = 0
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(grace=0.0)) as runner:
        bus = runner.run(hours())
    assert bus.tape.heard_bytes >= 90
    assert bus.events == []
    # Who asks finds nobody there, and tries the line anew; who listens can wait.
    assert (Trickle.opened > 20) is (machine != "listener")
