"""What a gateway that converts may say, and when: nothing is mistaken, nobody is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import logging
import socket
import struct
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.frames import ReadReply, ReadRequest, WriteRequest
from custom_components.jkbms.transport.link import (
    Link,
    LinkError,
    LinkFault,
    is_modbus,
    is_network,
    line_at,
    timing_of,
)
from custom_components.jkbms.transport.modbus_tcp import ModbusTcpLine
from simulator import serve_modbus_tcp, serve_tcp

from .modbus import free_port, opened
from .peers import Ears, four_packs, until
from .rig import running

pytestmark = pytest.mark.simulated_time


class Server:
    """A peer that speaks bytes as a test wants them."""

    def __init__(self) -> None:
        """Listen to nobody yet."""
        self.heard: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.writers.append(writer)
        while data := await reader.read(1024):
            self.heard.append(data)

    def say(self, data: bytes) -> None:
        self.writers[-1].write(data)

    def answer(self, number: int, data: bytes) -> bytes:
        """The answer to a request, with its head."""
        head = self.heard[number]
        return head[:4] + (len(data) + 1).to_bytes(2) + head[6:7] + data


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Server, str]]:
    """A server and what to name in a client."""
    script = Server()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield script, f"modbus-tcp://127.0.0.1:{port}"
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


READ_1: Final = ReadRequest(1, 0x12A0, 2)
READ_2: Final = ReadRequest(2, 0x12A0, 2)


def words(*values: int) -> bytes:
    """The message of an answer to a read."""
    return bytes((3, 2 * len(values))) + struct.pack(f">{len(values)}H", *values)


async def test_answers_out_of_order_are_each_taken_for_what_they_answer() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        link.write(READ_2.encode())
        await until(lambda: len(server.heard) == 2)
        server.say(server.answer(1, words(2, 2)) + server.answer(0, words(1, 1)))
        await ears.heard(18)
        answers = {ReadReply(a, bytes((0, a, 0, a))).encode() for a in (1, 2)}
        assert {ears.data[:9], ears.data[9:]} == answers
        assert server.heard[0][:2] != server.heard[1][:2]
        await link.close()


async def test_an_answer_that_comes_too_late_is_told_while_nothing_is_asked() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        link.write(READ_2.encode())
        await until(lambda: len(server.heard) == 2)
        server.say(server.answer(0, words(1, 1)))
        # It has the length of the other, and another address: nobody mistakes it.
        await ears.heard(9)
        assert ears.data == ReadReply(1, bytes((0, 1, 0, 1))).encode()
        await link.close()


async def test_a_late_answer_that_could_be_mistaken_is_dropped() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        link.write(ReadRequest(1, 0x1290, 2).encode())
        await until(lambda: len(server.heard) == 2)
        server.say(server.answer(0, words(1, 1)))
        server.say(server.answer(1, words(2, 2)))
        await ears.heard(9)
        assert ears.data == ReadReply(1, bytes((0, 2, 0, 2))).encode()
        await link.close()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (WriteRequest(1, 0x1070, bytes(4)), bytes.fromhex("10 1070 0002")),
        (READ_1, bytes.fromhex("83 0b")),
        (READ_1, words(1, 2, 3)),
    ],
    ids=["ack", "exception", "of another length"],
)
async def test_other_late_answers_teach_nothing(
    request_: ReadRequest | WriteRequest, message: bytes
) -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(request_.encode())
        await until(lambda: len(server.heard) == 1)
        link.write(READ_2.encode())
        await until(lambda: len(server.heard) == 2)
        server.say(server.answer(0, message) + server.answer(1, words(2, 2)))
        await ears.heard(9)
        assert ears.data == ReadReply(2, bytes((0, 2, 0, 2))).encode()
        await link.close()


@pytest.mark.parametrize(
    "message",
    ["03 04 0001", "03", "10 1070", "83", "83 02 00", "2b 0e", "04 02 0000"],
)
async def test_an_answer_that_makes_no_sense_is_none(message: str) -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        server.say(server.answer(0, bytes.fromhex(message)))
        link.write(READ_2.encode())
        await until(lambda: len(server.heard) == 2)
        server.say(server.answer(1, words(2, 2)))
        await ears.heard(9)
        assert ears.data == ReadReply(2, bytes((0, 2, 0, 2))).encode()
        assert ears.lost == []
        await link.close()


async def test_an_answer_in_pieces_is_whole() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        for byte in server.answer(0, words(1, 1)):
            server.say(bytes((byte,)))
            await asyncio.sleep(0.001)
        await ears.heard(9)
        assert ears.data == ReadReply(1, bytes((0, 1, 0, 1))).encode()
        await link.close()


@pytest.mark.parametrize(
    "said", [b"\x55\xaa\xeb\x90" * 4, b"HTTP/1.1 400 Bad", b"\0\1\0\0\xff\xff\1\3"]
)
async def test_who_does_not_speak_modbus_tcp_is_told_so_once(said: bytes) -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        server.say(said)
        await until(lambda: ears.lost)
        server.say(said)
        await asyncio.sleep(0.02)
        [error] = ears.lost
        assert isinstance(error, LinkError)
        assert error.fault is LinkFault.LOST
        assert "Modbus" in str(error)
        await link.close()


async def test_many_requests_without_an_answer_leave_the_connection_open() -> None:
    """Pymodbus hangs up after three: one absent pack would end it for all."""
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        for number in range(80):
            link.write(READ_1.encode())
            await until(lambda: len(server.heard) == number + 1)  # noqa: B023 - awaited in place
        link.write(READ_2.encode())
        await until(lambda: len(server.heard) == 81)
        server.say(server.answer(80, words(2, 2)))
        await ears.heard(9)
        assert ears.lost == []
        await link.close()


async def test_requests_one_right_after_the_other_leave_the_last_one() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        for _ in range(3):
            link.write(READ_1.encode())
        link.write(READ_2.encode())
        await until(lambda: server.heard)
        assert server.heard[-1][6] == 2
        server.say(server.answer(-1, words(2, 2)))
        await ears.heard(9)
        assert ears.data == ReadReply(2, bytes((0, 2, 0, 2))).encode()
        await link.close()


async def test_a_line_that_is_closed_says_nothing_any_more() -> None:
    async with scripted() as (server, url):
        ears = Ears()
        link = await opened(url, ears)
        link.write(READ_1.encode())
        await until(lambda: len(server.heard) == 1)
        server.say(server.answer(0, words(1, 1)))
        await link.close()
        await asyncio.sleep(0.02)
        assert ears.data == b""
        assert ears.lost == []


async def test_the_place_at_a_gateway_is_free_as_soon_as_the_line_is_closed() -> None:
    async with serve_modbus_tcp(four_packs(), max_clients=1) as gateway:
        for _ in range(3):
            link = await opened(gateway.url, Ears())
            await link.close()
            await until(lambda: not gateway.clients)


async def test_an_end_of_the_connection_is_told_once() -> None:
    async with serve_modbus_tcp(four_packs()) as gateway:
        ears = Ears()
        link = await opened(gateway.url, ears)
        gateway.drop_clients()
        await until(lambda: ears.lost)
        link.write(READ_1.encode())
        await asyncio.sleep(0.02)
        assert len(ears.lost) == 1
        await link.close()


# -- opening --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("modbus-tcp://127.0.0.1:{port}", LinkFault.REFUSED),
        ("modbus-tcp://no-such-host.invalid:502", LinkFault.UNKNOWN_HOST),
        ("modbus-tcp://127.0.0.1", LinkFault.INVALID_ADDRESS),
        ("modbus-tcp://127.0.0.1:99999", LinkFault.INVALID_ADDRESS),
    ],
)
async def test_why_a_gateway_cannot_be_reached_is_told(
    url: str,
    fault: LinkFault,
    pymodbus_says: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault is LinkFault.UNKNOWN_HOST:
        loop = asyncio.get_running_loop()

        async def unknown(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(loop, "create_connection", unknown)
    with pytest.raises(LinkError) as raised:
        await opened(url.format(port=free_port()), Ears())
    assert raised.value.fault is fault
    assert pymodbus_says == []


async def test_a_gateway_that_shows_everybody_out_is_told_by_the_end_of_the_line() -> (
    None
):
    async with (
        serve_modbus_tcp(four_packs(), max_clients=0) as gateway,
        running(gateway.url, (1,)) as rig,
    ):
        await rig.wait(lambda: rig.faults.count(LinkFault.LOST))
        assert rig.seen() == set()


async def test_a_gateway_that_can_be_reached_only_at_second_sight_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(_: Any) -> bool:
        return False

    monkeypatch.setattr(
        "custom_components.jkbms.transport.modbus_tcp.AsyncModbusTcpClient.connect",
        fails,
    )
    async with serve_modbus_tcp(four_packs()) as gateway:
        with pytest.raises(LinkError) as raised:
            await opened(gateway.url, Ears())
    assert raised.value.fault is LinkFault.LOST


async def test_the_scheme_names_the_link() -> None:
    async with serve_modbus_tcp(four_packs()) as gateway:
        assert is_modbus(gateway.url)
        assert is_network(gateway.url)
        assert timing_of(gateway.url).registers
        link = await line_at(gateway.url)(lambda _: None, lambda _: None)
        assert isinstance(link, ModbusTcpLine)
        await link.close()
    async with serve_tcp(four_packs()) as server:
        assert not is_modbus(server.url)
        other = await line_at(server.url)(lambda _: None, lambda _: None)
        assert isinstance(other, Link)
        await other.close()
