"""One open CAN bus: python-can's own backends against simulated adapters, daemons and gateways."""

import asyncio
from collections.abc import AsyncIterator
import os
from pathlib import Path
import time
import tty
from typing import Any

import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport import can_link, can_thread, link as link_module
from custom_components.jkbms.transport.can_counts import CanCounts
from custom_components.jkbms.transport.can_intake import SlcanReadAhead
from custom_components.jkbms.transport.can_link import ACKNOWLEDGEMENT, CanLine, CanLink
from custom_components.jkbms.transport.can_port import CanPort
from custom_components.jkbms.transport.link import Link, LinkError, LinkFault
from simulator import Bank
from simulator.can import Bus, CanBus, Frame

from .can_peers import (
    KINDS,
    CanEars,
    PeerProcess,
    device_port,
    fast_bus,
    numbered,
    port_of,
    readers,
    say,
    serve,
    tcp_port,
)
from .peers import Ears, Swallower, deaf_host, soon, until, without_spinning


@pytest.fixture(autouse=True)
async def no_thread_is_left() -> AsyncIterator[None]:
    """See that every reader has ended with its link."""
    yield
    assert readers() == []


async def refused(port: CanPort) -> LinkFault:
    """Why a bus cannot be opened."""
    with pytest.raises(LinkError) as caught:
        await CanEars().open(port)
    assert str(caught.value)
    assert caught.value.__cause__ is None or port.traits.network
    return caught.value.fault


@pytest.mark.parametrize("kind", KINDS)
async def test_not_one_frame_is_lost(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    sent = [numbered(number) for number in range(5000)]
    async with (
        serve(kind, bus) as server,
        ears.listening(port_of(kind, server.url)) as link,
    ):
        for begin in range(0, len(sent), 20):
            say(bus, *sent[begin : begin + 20])
            await asyncio.sleep(0.002)
        await ears.heard(len(sent))
        await asyncio.sleep(0.2)
        assert link.counts == CanCounts(frames=len(sent))
    assert ears.messages == sent
    assert ears.lost == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_bus_wakes_the_event_loop_a_few_times_a_second(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    async with serve(kind, bus) as server, ears.listening(port_of(kind, server.url)):
        begin = time.monotonic()
        for number in range(300):
            say(bus, numbered(number))
            await asyncio.sleep(0.003)
        passed = time.monotonic() - begin
        await ears.heard(300)
    assert ears.batches <= passed / 0.05 + 3


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_ever_sent_by_itself(kind: str) -> None:
    bus, ears = CanBus(Bank.default(range(2), still=True), bitrate=500_000), CanEars()
    async with serve(kind, bus) as server, ears.listening(port_of(kind, server.url)):
        await asyncio.sleep(1.5)
        await ears.heard(50)
    assert not bus.heard
    assert not bus.counts


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_told_to_be_sent_is(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    async with (
        serve(kind, bus) as server,
        ears.listening(port_of(kind, server.url)) as link,
    ):
        link.send(CanMessage(0x305, bytes(8), False))
        link.send(CanMessage(0x18F128F4, b"\x01\x02", True))
        await until(lambda: len(bus.heard) == 2)
    assert [(f.id, f.extended, f.data) for _, f in bus.heard] == [
        (0x305, False, bytes(8)),
        (0x18F128F4, True, b"\x01\x02"),
    ]
    link.send(CanMessage(0x305, bytes(8), False))
    await asyncio.sleep(0.2)
    assert len(bus.heard) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_who_acknowledges_does_as_an_inverter_and_nothing_else(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_link, "_ACKNOWLEDGE_EVERY", 0.3)
    bus, ears = fast_bus(), CanEars()
    async with serve(kind, bus) as server:
        port = port_of(kind, server.url, acknowledge=True)
        async with ears.listening(port):
            await until(lambda: len(bus.heard) == 5)
        times = [at for at, _ in bus.heard]
        assert 0.9 <= times[-1] - times[0] <= 1.6
        await asyncio.sleep(0.5)
    assert {(f.id, f.data, f.extended) for _, f in bus.heard} == {ACKNOWLEDGEMENT}
    assert bus.counts[0x305] == 5


async def test_an_adapter_takes_part_in_the_bus_unless_it_is_to_listen_only() -> None:
    bus = fast_bus()
    async with serve("slcan-pty", bus) as server:
        for silent in (False, True):
            port = device_port(server.url, listen_only=silent)
            async with CanEars().listening(port):
                assert server.adapter.tap.is_open
                assert server.adapter.tap.listen_only is silent
                assert server.adapter.tap.acknowledges is not silent
            await until(lambda: not server.adapter.tap.is_open)


@pytest.mark.parametrize("rate", [250_000, 500_000])
async def test_an_adapter_is_told_its_bit_rate(rate: int) -> None:
    bus, ears = Bus(bitrate=rate), CanEars()
    async with (
        serve("slcan-pty", bus) as server,
        ears.listening(device_port(server.url, bitrate=rate)),
    ):
        say(bus, numbered(1))
        await ears.heard(1)


async def test_a_bit_rate_that_is_not_known_is_not_guessed() -> None:
    async with serve("slcan-pty", fast_bus()) as server:
        port = device_port(server.url, bitrate=None)
        assert await refused(port) is LinkFault.INVALID_ADDRESS
        assert not server.adapter.tap.is_open


@pytest.mark.parametrize("kind", KINDS)
async def test_remote_frames_are_dropped_and_counted(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    async with (
        serve(kind, bus) as server,
        ears.listening(port_of(kind, server.url)) as link,
    ):
        now = asyncio.get_running_loop().time()
        bus.send(Frame(id=0x2F4, remote=True, length=8), now)
        bus.send(Frame(id=0x18F128F4, extended=True, remote=True, length=0), now)
        say(bus, numbered(7))
        await ears.heard(1)
        # socketcand keeps them to itself.
        assert link.counts.ignored == (0 if kind == "socketcand" else 2)
    assert ears.messages == [numbered(7)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_bus_can_be_opened_at_once(kind: str) -> None:
    bus = fast_bus()
    async with serve(kind, bus) as server:
        for number in range(4):
            ears = CanEars()
            async with ears.listening(port_of(kind, server.url)) as link:
                say(bus, numbered(number))
                await ears.heard(1)
                assert ears.messages == [numbered(number)]
            await link.close()
            assert ears.lost == []
            if kind == "slcan-tcp":
                # The adapter has room for one; the old connection ends in its own time.
                await until(lambda: server.clients == 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_after_closing_nothing_is_told(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    async with serve(kind, bus) as server:
        async with ears.listening(port_of(kind, server.url)):
            say(bus, *[numbered(number) for number in range(50)])
        count = len(ears.messages)
        say(bus, numbered(1))
        await asyncio.sleep(0.2)
        assert len(ears.messages) == count
    assert ears.lost == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bus_that_ends_is_told_once(kind: str) -> None:
    bus, ears = fast_bus(), CanEars()
    async with serve(kind, bus) as server:
        link = await ears.open(port_of(kind, server.url))
        await server.stop()
        await until(lambda: ears.lost)
        link.send(numbered(1))
        await asyncio.sleep(0.3)
        assert len(ears.lost) == 1
        if kind != "can-tcp":
            (error,) = ears.lost
            assert isinstance(error, LinkError)
            assert error.fault is LinkFault.LOST
            assert error.__traceback__ is None
        assert readers() == []
        await link.close()
    assert len(ears.lost) == 1


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_daemon_that_is_killed_costs_next_to_nothing(kind: str) -> None:
    daemon, ears = PeerProcess(kind), CanEars()
    await soon(daemon.start())
    try:
        link = await ears.open(tcp_port(kind, "127.0.0.1", daemon.port))
        await ears.heard(50)
        with without_spinning():
            await daemon.kill()
            await until(lambda: ears.lost)
            await asyncio.sleep(1)
        assert len(ears.lost) == 1
        await link.close()
    finally:
        await daemon.kill()


async def test_an_adapter_that_is_pulled_out_gives_its_file_back() -> None:
    ears = CanEars()
    before = len([*Path("/proc/self/fd").iterdir()])
    async with serve("slcan-pty", fast_bus()) as server:
        for _ in range(3):
            link = await ears.open(device_port(server.url))
            await server.stop()
            await until(lambda: len(ears.lost))
            await link.close()
            ears.lost.clear()
            await server.start()
    assert len([*Path("/proc/self/fd").iterdir()]) <= before


async def test_a_device_that_is_missing_is_named(tmp_path: Path) -> None:
    assert await refused(device_port(tmp_path / "no")) is LinkFault.NO_SUCH_PORT
    assert await refused(device_port("/dev/null")) is LinkFault.INVALID_ADDRESS


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_port_where_nobody_listens_refuses_at_once(kind: str) -> None:
    async with serve(kind, fast_bus()) as server:
        port = port_of(kind, server.url)
    # python-can by itself would hammer it for 10 s, with a whole core.
    async with asyncio.timeout(5):
        assert await refused(port) is LinkFault.REFUSED


@pytest.mark.parametrize("kind", ["socketcand", "can-tcp"])
async def test_a_host_that_does_not_answer_is_given_up(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_thread, "_OPEN_TIMEOUT", 0.2)
    monkeypatch.setattr(link_module, "_CONNECT_TIMEOUT", 0.2)
    async with deaf_host() as url:
        assert await refused(port_of(kind, url)) is LinkFault.TIMEOUT


async def test_a_server_that_does_not_greet_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(can_thread, "_OPEN_TIMEOUT", 0.3)
    async with Swallower() as gateway:
        port = port_of("socketcand", gateway.url)
        assert await refused(port) is LinkFault.TIMEOUT
    async with Swallower(hang_up=True) as gateway:
        port = port_of("socketcand", gateway.url)
        assert await refused(port) in (LinkFault.REFUSED, LinkFault.FAILED)


async def test_a_daemon_without_this_interface_says_so() -> None:
    async with serve("socketcand", fast_bus(), channel="can7") as server:
        port = port_of("socketcand", server.url)
        assert await refused(port) is LinkFault.NO_SUCH_INTERFACE


async def test_a_daemon_on_a_busy_bus_is_opened() -> None:
    # Without a pause its last answer and the first frames arrive as one.
    bus, ears = CanBus(Bank.default(range(16), still=True), bitrate=500_000), CanEars()
    async with serve("socketcand", bus, settle=0.0) as server:
        for _ in range(5):
            async with ears.listening(port_of("socketcand", server.url)):
                pass
    assert ears.messages


async def test_a_serial_port_belongs_to_one_user() -> None:
    async with serve("slcan-pty", fast_bus()) as server:
        port = device_port(server.url)
        link: CanLink | Link = await CanEars().open(port)
        assert await refused(port) is LinkFault.BUSY
        with pytest.raises(LinkError) as caught:
            await Ears().open(server.url)
        assert caught.value.fault is LinkFault.BUSY
        await link.close()
        link = await Ears().open(server.url)
        await asyncio.sleep(0.1)
        commands = server.adapter.refused
        assert await refused(port) is LinkFault.BUSY
        # Not one byte was written into the other's bus.
        await asyncio.sleep(0.1)
        assert server.adapter.refused == commands
        await link.close()


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_gateway_that_lost_its_power_is_noticed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    keep = link_module.keep_alive

    def watched(connection: Any) -> None:
        keep(connection)
        kept.append(connection.getsockopt(1, 9))

    monkeypatch.setattr(link_module, "keep_alive", watched)
    monkeypatch.setattr(
        "custom_components.jkbms.transport.can_driver.keep_alive", watched
    )
    async with (
        serve(kind, fast_bus()) as server,
        CanEars().listening(port_of(kind, server.url)),
    ):
        assert kept == [1]


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 30])
@pytest.mark.parametrize("kind", KINDS)
async def test_opening_can_be_given_up_at_any_moment(kind: str, steps: int) -> None:
    async with serve(kind, fast_bus()) as server:
        port = port_of(kind, server.url)
        opening = asyncio.create_task(CanEars().open(port))
        for _ in range(steps):
            await asyncio.sleep(0.002)
        opening.cancel()
        if await asyncio.wait([opening]) and not opening.cancelled():
            await opening.result().close()
        await until(lambda: getattr(server, "clients", 0) == 0)
        link = await CanEars().open(port)
        await link.close()


async def test_counts_go_on_over_connections() -> None:
    bus = fast_bus()
    async with serve("can-tcp", bus) as server:
        line = CanLine(port_of("can-tcp", server.url))
        for count in (1, 2):
            ears = CanEars()
            link = await line.open(ears.receive, ears.lose)
            await asyncio.sleep(0.05)
            say(bus, numbered(count))
            await ears.heard(1)
            await link.close()
            assert line.counts.frames == count


async def test_bytes_that_a_gateway_lost_are_counted() -> None:
    bus, ears = fast_bus(), CanEars()
    async with (
        serve("can-tcp", bus) as server,
        ears.listening(port_of("can-tcp", server.url)) as link,
    ):
        for transport in server.sessions:
            transport.write(bytes([0xFF] * 20))
        await asyncio.sleep(0.2)
        for number in range(40):
            say(bus, numbered(number))
        await ears.heard(30)
        assert link.counts.skipped == 20
    assert ears.messages[-1] == numbered(39)


async def test_errors_of_a_daemons_bus_are_counted() -> None:
    bus, ears = Bus(bitrate=250_000), CanEars()
    async with (
        serve("socketcand", bus, bitrate=500_000) as server,
        ears.listening(port_of("socketcand", server.url)) as link,
    ):
        say(bus, *[numbered(number) for number in range(10)])
        await until(lambda: link.counts.errors >= 10)
    assert ears.messages == []
    assert ears.lost == []


@pytest.mark.parametrize(
    ("line", "sound"),
    [
        (b"t2F42AABB", True),
        (b"T0CF000018aabbccdd00112233", True),
        (b"t2F42AABB12C0", True),
        (b"r2F48", True),
        (b"z", True),
        (b"V1013", True),
        # Bytes are missing: in a frame, between two, at the beginning.
        (b"t2F42AAB", False),
        (b"t2F42AAt2F42CCDD", False),
        (b"t2F42AABBCC", False),
        (b"r2F48AA", False),
        (b"t2F49" + b"A" * 18, False),
        (b"2F42AABB", False),
        (b"B42AABB", False),
        (b"t2F42A\xffBB", False),
    ],
)
def test_only_whole_lines_of_an_slcan_adapter_are_passed_on(
    line: bytes, sound: bool
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as port:
        ahead = SlcanReadAhead(port)
        for part in (line[:3], line[3:] + b"\r"):
            os.write(writing, part)
            ahead.fetch()
        assert [ahead.read(), ahead.read(), ahead.read()] == [
            line if sound else b"t0008",
            b"\r",
            b"",
        ]
        os.close(writing)


def test_bytes_without_an_end_of_line_are_given_up() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as port:
        ahead = SlcanReadAhead(port)
        os.write(writing, b"A" * 65)
        ahead.fetch()
        assert [ahead.read(), ahead.read(), ahead.read()] == [b"t0008", b"\r", b""]
        os.close(writing)


async def test_a_damaged_line_of_an_adapter_is_counted_and_ends_nothing() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    ears = CanEars()
    async with ears.listening(device_port(os.ttyname(slave))) as link:
        os.write(master, b"t2F48AABBt2F42AABB\r42AABB\rt2F42AABB\r")
        await ears.heard(1)
        assert [message.data for message in ears.messages] == [b"\xaa\xbb"]
        assert link.counts.damaged == 2
        # As many as would end a bus on which nothing else is heard.
        os.write(master, b"42AABB\r" * 30)
        await until(lambda: link.counts.damaged == 32)
        assert ears.lost == []
    os.close(master)
    os.close(slave)
