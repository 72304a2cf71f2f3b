"""The simulated gateway that converts: what it passes on, what it says itself, what it loses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import struct
from typing import Any

import pytest

from simulator import Bank, Manners, SlaveLine, Speed, cli, serve_modbus_tcp
from simulator.modbus_tcp import ModbusTcpGateway

from .test_cli import simulator

pytestmark = pytest.mark.usefixtures("socket_enabled")


class Client:
    """Somebody who asks, and keeps what is said by transaction."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take the two ends of a connection."""
        self.reader = reader
        self.writer = writer
        self.asked = 0

    def ask(self, unit: int, message: bytes) -> int:
        """Ask, and return the transaction."""
        self.asked += 1
        head = struct.pack(">HHHB", self.asked, 0, len(message) + 1, unit)
        self.writer.write(head + message)
        return self.asked

    async def hear(self, seconds: float = 2.0) -> tuple[int, int, bytes]:
        """Return transaction, unit and message of the next answer."""
        async with asyncio.timeout(seconds):
            head = await self.reader.readexactly(7)
            transaction, protocol, length, unit = struct.unpack(">HHHB", head)
            assert protocol == 0
            return transaction, unit, await self.reader.readexactly(length - 1)


@asynccontextmanager
async def client(gateway: ModbusTcpGateway) -> AsyncIterator[Client]:
    """A client of a gateway."""
    reader, writer = await asyncio.open_connection(gateway.host, gateway.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def four() -> SlaveLine:
    """Four packs without wire time."""
    return SlaveLine(Bank.default(still=True), speed=Speed.FAST)


def read(register: int, words: int) -> bytes:
    """Function 3."""
    return struct.pack(">BHH", 3, register, words)


async def test_a_read_and_a_write_are_passed_on() -> None:
    line = four()
    async with serve_modbus_tcp(line) as gateway, client(gateway) as one:
        one.ask(2, read(0x12A0, 2))
        assert await one.hear() == (1, 2, bytes.fromhex("03 04 00000000"))
        one.ask(2, bytes.fromhex("10 1084 0002 04 00000d52"))
        assert await one.hear() == (2, 2, bytes.fromhex("10 1084 0002"))
        one.ask(2, read(0x1200, 124))
        assert await one.hear() == (3, 2, bytes.fromhex("83 02"))
    assert line.bank[2].get("balance_start_voltage") == 3410


@pytest.mark.parametrize(
    ("manners", "unit", "code"),
    [
        (Manners(timeout=0.02), 9, 0x0B),
        (Manners(units=4), 5, 0x0A),
    ],
)
async def test_what_it_says_of_absent_packs(
    manners: Manners, unit: int, code: int
) -> None:
    async with (
        serve_modbus_tcp(four(), manners=manners) as gateway,
        client(gateway) as one,
    ):
        one.ask(unit, read(0x12A0, 2))
        assert await one.hear() == (1, unit, bytes((0x83, code)))
        one.ask(1, read(0x12A0, 2))
        assert (await one.hear())[0] == 2


async def test_one_that_says_nothing_of_them_goes_on_with_the_next() -> None:
    manners = Manners(timeout=0.02, silent=True)
    async with (
        serve_modbus_tcp(four(), manners=manners) as gateway,
        client(gateway) as one,
    ):
        one.ask(9, read(0x12A0, 2))
        one.ask(1, read(0x12A0, 2))
        assert (await one.hear())[:2] == (2, 1)
        assert [unit for unit, _ in gateway.requests] == [9, 1]


async def test_the_frame_behind_a_trigger_is_lost_in_it() -> None:
    line = four()
    async with (
        serve_modbus_tcp(line, manners=Manners(timeout=0.1)) as gateway,
        client(gateway) as one,
    ):
        one.ask(1, bytes.fromhex("10 1620 0001 02 0000"))
        assert await one.hear() == (1, 1, bytes.fromhex("90 0b"))
        assert line.counters.replies == 1


@pytest.mark.parametrize(
    "said", ["01 10 16 20 00 01 02 00 00 d6 f1", "00 01 00 00 00 01 01 03"]
)
async def test_what_is_no_modbus_tcp_is_not_put_on_the_line(said: str) -> None:
    line = four()
    async with serve_modbus_tcp(line) as gateway, client(gateway) as one:
        one.writer.write(bytes.fromhex(said))
        await asyncio.sleep(0.05)
        one.ask(1, read(0x12A0, 2))
        assert (await one.hear())[:2] == (1, 1)
        assert line.counters.heard == 1


async def test_answers_may_come_out_of_order() -> None:
    manners = Manners(swap=1.0)
    async with (
        serve_modbus_tcp(four(), manners=manners) as gateway,
        client(gateway) as one,
    ):
        for unit in (1, 2):
            one.ask(unit, read(0x12A0, 2))
        assert [(await one.hear())[0] for _ in range(2)] == [2, 1]


async def test_answers_may_be_missing_and_may_be_late() -> None:
    async with (
        serve_modbus_tcp(four(), manners=Manners(lose=1.0)) as gateway,
        client(gateway) as one,
    ):
        one.ask(1, read(0x12A0, 2))
        with pytest.raises(TimeoutError):
            await one.hear(0.1)
    async with (
        serve_modbus_tcp(four(), manners=Manners(delay=0.2)) as gateway,
        client(gateway) as one,
    ):
        one.ask(1, read(0x12A0, 2))
        with pytest.raises(TimeoutError):
            await one.hear(0.1)
        assert (await one.hear())[0] == 1


async def test_what_is_asked_for_somebody_who_left_is_said_to_nobody() -> None:
    line = four()
    async with serve_modbus_tcp(line, manners=Manners(delay=0.05)) as gateway:
        async with client(gateway) as one:
            one.ask(1, read(0x12A0, 2))
            await asyncio.sleep(0.02)
        async with client(gateway) as other:
            with pytest.raises(TimeoutError):
                await other.hear(0.1)
        assert gateway.clients in (0, 1)


async def test_it_serves_as_many_as_it_may_and_can_be_stopped_and_silenced() -> None:
    async with serve_modbus_tcp(four(), max_clients=1) as gateway:
        async with client(gateway) as one, client(gateway) as two:
            await asyncio.sleep(0.02)
            assert gateway.clients == 1
            with suppress(ConnectionResetError):
                assert await two.reader.read() == b""
            gateway.go_silent()
            one.ask(1, read(0x12A0, 2))
            with pytest.raises(TimeoutError):
                await one.hear(0.1)
            gateway.speak()
            port = gateway.port
            one.ask(1, read(0x12A0, 2))
            await gateway.stop()
            await gateway.stop()
            with suppress(ConnectionResetError):
                assert await one.reader.read() == b""
        await gateway.start()
        assert gateway.port == port
        async with client(gateway) as three:
            three.ask(1, read(0x12A0, 2))
            assert (await three.hear())[0] == 1


def test_noise_on_the_line_is_for_nobody() -> None:
    """What comes while nothing is asked is not kept."""
    gateway = serve_modbus_tcp(four())
    gateway._send(b"\x01\x03\x04")  # noqa: SLF001 - what the line says, without a line
    assert gateway.clients == 0


@pytest.mark.parametrize(
    ("text", "manners"),
    [
        ("", Manners()),
        ("delay=2,silent=1", Manners(delay=2.0, silent=True)),
        (
            "units=4,lose=0.1,swap=.2,timeout=1",
            Manners(units=4, lose=0.1, swap=0.2, timeout=1.0),
        ),
    ],
)
def test_manners_are_read(text: str, manners: Manners) -> None:
    assert Manners.parse(text) == manners


@pytest.mark.parametrize("text", ["polite=1", "delay=soon", "delay"])
def test_manners_that_there_are_not_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="gateway|number"):
        Manners.parse(text)


def parse(*arguments: str) -> Any:
    """The options as the command line gives them."""
    return cli.parser().parse_args(arguments)


def test_the_command_line_makes_such_a_gateway() -> None:
    options = parse(
        "--modbus-tcp", "127.0.0.1:1502", "--gateway", "delay=2", "--packs", "2"
    )
    made = cli.endpoint(options)
    assert isinstance(made, ModbusTcpGateway)
    assert made.url == "modbus-tcp://127.0.0.1:1502"
    assert made.manners.delay == 2.0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--modbus-tcp", "h:1", "--role", "master", "--packs", "0,1"), "overhears"),
        (("--gateway", "delay=2"), "--modbus-tcp"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        cli.endpoint(parse(*arguments))


def test_wrong_manners_are_said_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse("--modbus-tcp", "h:1", "--gateway", "polite=1")
    assert "polite" in capsys.readouterr().err


async def test_the_script_serves_and_answers() -> None:
    async with simulator("--modbus-tcp", "127.0.0.1:0", "--packs", "1", "--still") as (
        said,
        _,
    ):
        host, port = said["url"].removeprefix("modbus-tcp://").split(":")
        assert [pack["address"] for pack in said["packs"]] == [1]
        reader, writer = await asyncio.open_connection(host, int(port))
        one = Client(reader, writer)
        one.ask(1, read(0x12A0, 2))
        assert (await one.hear())[:2] == (1, 1)
        writer.close()
