"""One open line: a PTY as a serial port, a socket as a gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import errno
import os
from pathlib import Path
import socket
from typing import Any, override

import pytest
from serialx.common import UnknownUriScheme

from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL
from custom_components.jkbms.transport import link as link_module
from custom_components.jkbms.transport.link import (
    Link,
    LinkError,
    LinkFault,
    fault_of,
    is_network,
    timing_of,
)
from simulator import Block, serve_pty, serve_tcp

from ..simulator import ack, trigger
from .peers import Ears, RecordingLine, Server, Swallower, deaf_host, four_packs, until
from .rfc2217 import Rfc2217Server

KINDS = ("tcp", "pty")


@asynccontextmanager
async def served(kind: str) -> AsyncIterator[Server]:
    """Four packs behind a gateway or behind a USB adapter."""
    line = four_packs()
    async with serve_tcp(line) if kind == "tcp" else serve_pty(line) as server:
        yield server


async def refused(url: str) -> LinkFault:
    """Why a line cannot be opened."""
    with pytest.raises(LinkError) as caught:
        await Ears().open(url)
    assert str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_pass_both_ways(kind: str) -> None:
    ears = Ears()
    line = four_packs()
    async with serve_tcp(line) if kind == "tcp" else serve_pty(line) as server:
        link = await ears.open(server.url)
        link.write(trigger(2))
        await ears.heard(308)
        assert ears.data == line.bank[2].frame(Block.LIVE) + ack(2, 0x1620)
        await link.close()
    assert ears.lost == []


async def test_a_serial_port_belongs_to_one_user() -> None:
    async with served("pty") as server:
        link = await Ears().open(server.url)
        assert await refused(server.url) is LinkFault.BUSY
        await link.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_line_can_be_opened_at_once(kind: str) -> None:
    async with served(kind) as server:
        for _ in range(5):
            ears = Ears()
            link = await ears.open(server.url)
            link.write(trigger(1))
            await ears.heard(308)
            await link.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_closing_twice_is_closing(kind: str) -> None:
    async with served(kind) as server:
        link = await Ears().open(server.url)
        await link.close()
        await link.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_after_closing_nothing_is_told_and_nothing_is_sent(kind: str) -> None:
    ears = Ears()
    line = RecordingLine()
    async with serve_tcp(line) if kind == "tcp" else serve_pty(line) as server:
        link = await ears.open(server.url)
        link.write(b"first")
        await until(lambda: line.heard)
        await link.close()
        link.write(b"second")
        await server.stop()
        assert line.heard == b"first"
    assert (ears.data, ears.lost) == (b"", [])


async def test_a_gateway_that_hangs_up_ends_the_line_once() -> None:
    ears = Ears()
    async with serve_tcp(four_packs()) as server:
        link = await ears.open(server.url)
        await until(lambda: server.clients)
        server.drop_clients()
        await until(lambda: ears.lost)
        link.write(trigger(1))
        await link.close()
        assert len(ears.lost) == 1


async def test_an_unplugged_adapter_ends_the_line_once() -> None:
    ears = Ears()
    async with served("pty") as server:
        link = await ears.open(server.url)
        await server.stop()
        link.write(trigger(1))
        link.write(trigger(1))
        await until(lambda: ears.lost)
        link.write(trigger(1))
        await link.close()
        assert [type(error) for error in ears.lost] == [OSError]


async def test_what_is_no_serial_port_is_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert await refused(str(tmp_path / "missing")) is LinkFault.NO_SUCH_PORT
    assert await refused(f"device://{tmp_path}/missing") is LinkFault.NO_SUCH_PORT
    assert await refused(str(file / "below")) is LinkFault.NO_SUCH_PORT
    assert await refused("") is LinkFault.NO_SUCH_PORT
    assert await refused(str(tmp_path)) is LinkFault.INVALID_ADDRESS
    assert await refused(str(file)) is LinkFault.INVALID_ADDRESS
    assert await refused(str(fifo)) is LinkFault.INVALID_ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "socket://127.0.0.1",
        "socket://:8899",
        "socket://127.0.0.1:99999",
        "socket://127.0.0.1:port",
        "socket://[zz]:8899",
        "rfc2217://127.0.0.1",
        "gopher://127.0.0.1:70",
        # Known only where Home Assistant has set ESPHome or USB up.
        "esphome-hass://esphome/0123456789abcdef?port_name=uart",
        "/dev/tty\0",
    ],
)
async def test_what_is_no_address_is_told_apart(url: str) -> None:
    assert await refused(url) is LinkFault.INVALID_ADDRESS


@pytest.fixture
def unused_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("scheme", ["socket", "tcp", "rfc2217"])
async def test_a_refused_connection_is_told_apart(
    scheme: str, unused_port: int
) -> None:
    url = f"{scheme}://127.0.0.1:{unused_port}"
    assert await refused(url) is LinkFault.REFUSED


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
async def test_a_name_with_several_addresses_that_all_refuse_is_refused(
    scheme: str, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def two_addresses(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one))
            for one in (port, unused_port)
        ]

    # The errors differ, as those of an IPv4 and an IPv6 address do.
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
        with pytest.raises(LinkError) as caught:
            await Ears().open(f"{scheme}://gateway:{port}")
    assert "Multiple exceptions" in str(caught.value)
    assert caught.value.fault is LinkFault.REFUSED


async def test_a_host_nobody_knows_is_told_apart() -> None:
    # No resolver is asked for it: there is no such interface on this machine.
    url = "socket://[fe80::1%25missing0]:8899"
    assert await refused(url) is LinkFault.UNKNOWN_HOST


async def test_a_host_that_does_not_answer_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_CONNECT_TIMEOUT", 0.1)
    async with deaf_host() as url:
        assert await refused(url) is LinkFault.TIMEOUT


async def test_a_server_that_does_not_speak_rfc_2217_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_CONNECT_TIMEOUT", 0.1)
    line = RecordingLine()
    async with serve_tcp(line) as server:
        url = server.url.replace("socket", "rfc2217")
        assert await refused(url) is LinkFault.TIMEOUT
        await until(lambda: not server.clients)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (PermissionError(errno.EACCES, "no"), LinkFault.NO_PERMISSION),
        (PermissionError(errno.EPERM, "no"), LinkFault.NO_PERMISSION),
        (OSError(errno.ENXIO, "no"), LinkFault.NO_SUCH_PORT),
        (OSError(errno.ENODEV, "no"), LinkFault.NO_SUCH_PORT),
        (OSError(errno.EBUSY, "no"), LinkFault.BUSY),
        (BlockingIOError(errno.EAGAIN, "no"), LinkFault.BUSY),
        (OSError(errno.EHOSTUNREACH, "no"), LinkFault.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "no"), LinkFault.UNREACHABLE),
        (OSError(errno.EHOSTDOWN, "no"), LinkFault.UNREACHABLE),
        (TimeoutError(errno.ETIMEDOUT, "no"), LinkFault.TIMEOUT),
        (TimeoutError(), LinkFault.TIMEOUT),
        (socket.gaierror(socket.EAI_NONAME, "no"), LinkFault.UNKNOWN_HOST),
        (OSError(errno.EIO, "no"), LinkFault.FAILED),
        (OSError("no"), LinkFault.FAILED),
        (
            OSError("Multiple exceptions: [Errno 101] no, [Errno 113] no"),
            LinkFault.UNREACHABLE,
        ),
        (
            OSError("Multiple exceptions: [Errno 111] no, [Errno 113] no"),
            LinkFault.REFUSED,
        ),
        (UnknownUriScheme("no"), LinkFault.INVALID_ADDRESS),
        (RuntimeError("no"), LinkFault.FAILED),
    ],
)
def test_every_error_has_a_fault(error: Exception, fault: LinkFault) -> None:
    assert fault_of(error) is fault


class Watched(Link):
    """A link that shows its transport."""

    transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport


async def options_of(url: str) -> dict[str, int]:
    """The keep-alive options of a connection."""
    ears = Ears()
    link = await Watched.open(url, ears.receive, ears.lose)
    connection = link.transport.get_extra_info("socket")
    found = {
        name: connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        if hasattr(socket, name)
    }
    found["SO_KEEPALIVE"] = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_KEEPALIVE
    )
    await link.close()
    return found


async def test_a_gateway_that_lost_its_power_is_noticed_in_half_a_minute() -> None:
    async with served("tcp") as server:
        options = await options_of(server.url)
    assert options["SO_KEEPALIVE"]
    idle, interval = options["TCP_KEEPIDLE"], options["TCP_KEEPINTVL"]
    assert idle + options["TCP_KEEPCNT"] * interval <= 30


async def test_a_system_without_an_option_keeps_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # macOS has no TCP_KEEPIDLE.
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    async with served("tcp") as server:
        options = await options_of(server.url)
    assert options["SO_KEEPALIVE"]
    assert options["TCP_KEEPINTVL"] == 5


async def test_a_line_that_fails_while_it_is_opened_is_not_left_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: socket.socket) -> None:
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(link_module, "keep_alive", fail)
    async with serve_tcp(four_packs()) as server:
        assert await refused(server.url) is LinkFault.FAILED
        await until(lambda: not server.clients)


@pytest.mark.parametrize("steps", range(12))
async def test_opening_a_serial_port_can_be_given_up_at_any_moment(steps: int) -> None:
    async with served("pty") as server:
        opening = asyncio.create_task(Ears().open(server.url))
        for _ in range(steps):
            await asyncio.sleep(0.002)
        opening.cancel()
        if await asyncio.wait([opening]) and not opening.cancelled():
            await opening.result().close()
        link = await Ears().open(server.url)
        await link.close()


async def test_connecting_can_be_given_up() -> None:
    async with deaf_host() as url:
        opening = asyncio.create_task(Ears().open(url))
        await asyncio.sleep(0.02)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


@pytest.mark.filterwarnings("error::ResourceWarning")
async def test_closing_does_not_wait_for_a_gateway_that_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_CLOSE_TIMEOUT", 0.05)
    ears = Ears()
    async with Swallower() as gateway:
        link = await ears.open(gateway.url)
        link.write(bytes(50_000_000))
        await link.close()
    assert ears.lost == []


async def test_rfc_2217_passes_every_byte_and_sets_the_speed() -> None:
    ears = Ears()
    line = four_packs()
    line.bank[1].set("cell_voltage_1", 0xFFFF)
    async with Rfc2217Server(line) as server:
        link = await ears.open(server.url)
        assert server.baud_rate == 115_200
        link.write(trigger(1))
        await ears.heard(308)
        assert ears.data == line.bank[1].frame(Block.LIVE) + ack(1, 0x1620)
        assert b"\xff\xff" in ears.data
        await link.close()
        await until(lambda: not server.clients)
    assert ears.lost == []


async def test_rfc_2217_tells_that_the_server_hangs_up() -> None:
    ears = Ears()
    async with Rfc2217Server(four_packs()) as server:
        link = await ears.open(server.url)
        server.drop_clients()
        await until(lambda: ears.lost)
        link.write(trigger(1))
        await link.close()
    assert len(ears.lost) == 1


async def test_rfc_2217_is_closed_also_when_the_server_has_died(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_CLOSE_TIMEOUT", 0.05)
    async with Rfc2217Server(four_packs()) as server:
        link = await Ears().open(server.url)
        server.confirms = False
        link.write(trigger(1))
        await link.close()
        await until(lambda: not server.clients)


def test_the_kind_of_link_is_read_from_its_address() -> None:
    for url in ("/dev/ttyUSB0", "device:///dev/ttyUSB0"):
        assert not is_network(url)
        assert timing_of(url) is SERIAL
    for url in ("socket://a:1", "rfc2217://a:1", "esphome-hass://esphome/a"):
        assert is_network(url)
        assert timing_of(url) is NETWORK
