"""`scripts/simulate` as people and other programs start it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import json
import os
from pathlib import Path
import signal
import sys
from typing import Any

import pytest

from simulator import (
    SLOT,
    Bank,
    Line,
    MasterLine,
    PtyServer,
    ReplayLine,
    SlaveLine,
    Speed,
    TcpServer,
    cli,
)
from simulator.can import BusEndpoint, cli as can
from simulator.ttl import TtlLine
from tests.captures import bus_streams

from . import ack, pieces, trigger

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "scripts" / "simulate"
PATIENCE = 20.0


def parse(*arguments: str) -> Any:
    """The options as the command line gives them."""
    return cli.parser().parse_args(arguments)


@asynccontextmanager
async def simulator(
    *arguments: str,
) -> AsyncIterator[tuple[dict[str, Any], asyncio.subprocess.Process]]:
    """A running simulator and the first line it said."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            said = json.loads(await process.stdout.readline())
        yield said, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("socket_enabled")
async def test_a_simulator_says_where_it_is_answers_and_ends_cleanly(
    number: signal.Signals,
) -> None:
    async with simulator("--packs", "1,2,5", "--still", "--tcp", "127.0.0.1:0") as (
        said,
        process,
    ):
        host, _, port = said["url"].removeprefix("socket://").rpartition(":")
        assert host == "127.0.0.1"
        assert [pack["address"] for pack in said["packs"]] == [1, 2, 5]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(trigger(5))
        async with asyncio.timeout(PATIENCE):
            answer = await reader.readexactly(308)
        assert answer[300:] == ack(5, 0x1620)
        process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            rest, errors = await process.communicate()
        assert (process.returncode, rest, errors) == (0, b"", b"")
        writer.close()


async def test_a_simulated_adapter_has_a_link_that_can_be_opened(
    tmp_path: Path,
) -> None:
    link = tmp_path / "ttyJK"
    async with simulator("--pty", str(link)) as (said, process):
        assert said["url"] == str(link)
        os.close(os.open(said["url"], os.O_RDWR | os.O_NOCTTY))
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("1", [1]),
        ("4", [1, 2, 3, 4]),
        ("16", [*range(16)]),
        ("1,2,5", [1, 2, 5]),
        ("7,", [7]),
        ("0,1", [0, 1]),
    ],
)
def test_packs_are_a_number_or_a_list(text: str, addresses: list[int]) -> None:
    assert [*parse("--packs", text).packs] == addresses


def test_the_defaults_are_four_moving_packs_on_a_gateway_at_any_port() -> None:
    options = parse()
    assert [*options.packs] == [1, 2, 3, 4]
    assert (options.tcp, options.pty, options.role) == (
        ("127.0.0.1", 0),
        None,
        "slaves",
    )
    assert (options.speed, options.still, options.seed) == (Speed.WIRE, False, 0)
    endpoint = cli.endpoint(options)
    assert isinstance(endpoint, TcpServer)
    assert isinstance(endpoint.line, SlaveLine)


def test_options_reach_the_line() -> None:
    endpoint = cli.endpoint(
        parse(
            "--pty",
            "--speed",
            "fast",
            "--seed",
            "7",
            "--fault",
            "noise:rate=0.01",
            "--fault",
            "echo",
        )
    )
    assert isinstance(endpoint, PtyServer)
    assert endpoint.link is None
    assert [fault.kind for fault in endpoint.line.faults] == ["noise", "echo"]


def test_a_master_is_one_of_the_packs() -> None:
    endpoint = cli.endpoint(parse("--role", "master", "--packs", "3"))
    assert isinstance(endpoint.line, MasterLine)
    assert endpoint.line.bank.addresses == [0, 1, 2]
    assert (endpoint.line.slot, endpoint.line.settings_for_all) == (SLOT, False)
    endpoint = cli.endpoint(
        parse(
            *("--role", "master", "--packs", "5,0"),
            *("--slot", "0.4", "--settings-for-all", "--fault", "padding"),
        )
    )
    assert isinstance(endpoint.line, MasterLine)
    assert endpoint.line.bank.addresses == [0, 5]
    assert (endpoint.line.slot, endpoint.line.settings_for_all) == (0.4, True)
    assert [fault.kind for fault in endpoint.line.faults] == ["padding"]
    full = cli.endpoint(parse("--role", "master", "--packs", "16"))
    assert [pack["address"] for pack in cli.announcement(full)["packs"]] == [*range(16)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--role", "master", "--packs", "1,2"],
            "a master is the pack at address 0: name it among the packs",
        ),
        (["--chunk", "1,2"], "only a capture takes several sizes of chunks"),
        (
            ["--replay", "phinix-readme-cycle", "--control-pty"],
            "a capture has no packs that a second line could reach",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_told_in_a_sentence(
    arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=f"simulate: {message}"):
        cli.main(arguments)


@pytest.mark.usefixtures("socket_enabled")
async def test_a_bus_and_the_control_line_of_its_packs_are_served_together(
    tmp_path: Path,
) -> None:
    link = tmp_path / "control"
    async with simulator(
        *("--role", "master", "--packs", "2", "--still"),
        *("--speed", "fast", "--slot", "0.05"),
        *("--control-pty", str(link)),
    ) as (said, process):
        host, _, port = said["url"].removeprefix("socket://").rpartition(":")
        assert said["control"] == str(link)
        reader, writer = await asyncio.open_connection(host, int(port))
        # The bus talks to those who never say a word.
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(ack(1, 0x161E))
            heard = await reader.readuntil(ack(1, 0x161E))
        assert ack(0, 0x1620) in heard
        assert ack(0, 0x161E) in heard
        adapter = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        answer = b""
        async with asyncio.timeout(PATIENCE):
            while not answer.endswith(ack(0, 0x161C)):
                if not answer:
                    os.write(adapter, trigger(0, 0x161C))
                await asyncio.sleep(0.2)
                with suppress(BlockingIOError):
                    answer += os.read(adapter, 4096)
        os.close(adapter)
        writer.close()
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


def test_the_control_line_can_be_a_gateway() -> None:
    options = parse("--role", "master", "--control-tcp", "127.0.0.1:0")
    first = cli.endpoint(options)
    second = cli.control(options, first.line)
    assert isinstance(second, TcpServer)
    assert isinstance(second.line, SlaveLine)
    assert isinstance(first.line, MasterLine)
    assert second.line.bank is first.line.bank
    assert cli.announcement(first, second)["control"] == second.url
    assert cli.control(parse(), first.line) is None


def test_a_capture_takes_chunks_and_a_pace() -> None:
    endpoint = cli.endpoint(
        parse("--replay", "phinix-readme-cycle", "--chunk", "1,64", "--slot", "0.4")
    )
    endpoint.line.connected(0.0)
    heard = list(pieces(endpoint.line, 7.15))
    assert [len(piece) for _, piece in heard[:4]] == [1, 64, 1, 64]
    assert heard[-1][0] == pytest.approx(6.8, abs=0.01)
    packs = cli.endpoint(parse("--chunk", "100"))
    assert max(len(piece) for _, piece in asked(packs.line)) == 100


def asked(line: Line) -> list[tuple[float, bytes]]:
    """What comes back for a request, in pieces."""
    line.receive(trigger(1), 0.0)
    return list(pieces(line, 1.0))


def test_a_capture_is_played_instead_of_packs() -> None:
    endpoint = cli.endpoint(
        parse("--replay", bus_streams()[0].id, "--tcp", "[::1]:5020")
    )
    assert isinstance(endpoint, TcpServer)
    assert isinstance(endpoint.line, ReplayLine)
    assert (endpoint.host, endpoint.port) == ("::1", 5020)
    assert "packs" not in cli.announcement(endpoint)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--packs", "many"],
            "'many' is neither a number of packs nor a list of addresses",
        ),
        (["--packs", ""], "neither a number"),
        (["--packs", "1,300"], "neither a number"),
        (["--packs", "0"], "a bus takes 1 to 16 packs, not 0"),
        (["--packs", "17"], "a bus takes 1 to 16 packs, not 17"),
        (["--tcp", "5020"], "'5020' is not HOST:PORT"),
        (["--tcp", "127.0.0.1:x"], "is not HOST:PORT"),
        (["--tcp", "127.0.0.1:70000"], "is not HOST:PORT"),
        (["--tcp", "127.0.0.1:0", "--pty"], "not allowed with"),
        (["--fault", "fire"], "no fault is called 'fire'"),
        (["--replay", "nowhere"], "no file and no capture is called 'nowhere'"),
        (["--role", "king"], "invalid choice: 'king'"),
        (["--slot", "soon"], "'soon' is no time in seconds"),
        (["--slot", "0"], "'0' is no time in seconds"),
        (["--chunk", "0"], "'0' is no size of chunks"),
        (["--chunk", "1,,2"], "'1,,2' is no size of chunks"),
        (["--control-tcp", "5020"], "'5020' is not HOST:PORT"),
        (["--control-tcp", "127.0.0.1:0", "--control-pty"], "not allowed with"),
        (["--modbus-tcp", "5020"], "'5020' is not HOST:PORT"),
        (["--modbus-tcp", "127.0.0.1:0", "--pty"], "not allowed with"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        cli.main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("socket_enabled")
async def test_a_port_in_use_is_told_in_a_sentence() -> None:
    server = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        "--tcp",
        f"127.0.0.1:{port}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, errors = await process.communicate()
    assert (process.returncode, said) == (1, b"")
    assert errors.startswith(b"simulate: ")
    assert b"Traceback" not in errors
    server.close()
    await server.wait_closed()


def test_a_fault_that_fits_no_pack_is_told_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="simulate: duplicate: no pack has address 9"):
        cli.main(["--fault", "duplicate:address=9"])


@pytest.mark.usefixtures("socket_enabled")
async def test_a_run_inside_a_loop_ends_with_the_signal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = asyncio.create_task(cli.run(parse("--packs", "1", "--speed", "fast")))
    said = ""
    async with asyncio.timeout(PATIENCE):
        while not said:
            await asyncio.sleep(0.01)
            said = capsys.readouterr().out
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert json.loads(said)["packs"] == [
        {"address": 1, "serial": "90000000001", "model": "JK_PB2A16S20P"}
    ]


async def test_the_module_is_the_command(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--help",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.startswith(b"usage: simulate")


async def test_without_a_python_3_14_the_command_says_what_to_run(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    command = folder / "simulate"
    command.write_bytes(COMMAND.read_bytes())
    command.chmod(0o755)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(
            f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}"
        )
    process = await asyncio.create_subprocess_exec(
        tools / "bash",
        command,
        env={"PATH": str(tools)},
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"scripts/setup" in errors


@pytest.mark.parametrize(
    ("packs", "terminals"), [("1", [0]), ("3", [1, 2, 3]), ("2,7", [2, 7])]
)
def test_packs_of_the_older_protocol_answer_by_their_terminals(
    packs: str, terminals: list[int]
) -> None:
    endpoint = cli.endpoint(parse("--role", "ttl", "--packs", packs))
    assert isinstance(endpoint.line, TtlLine)
    assert endpoint.line.bank.addresses == terminals


def test_a_line_of_the_older_protocol_has_no_second_one() -> None:
    options = parse("--role", "ttl", "--control-tcp", "127.0.0.1:0")
    with pytest.raises(ValueError, match="4E 57"):
        cli.control(options, cli.endpoint(options).line)


def bank_of(*arguments: str) -> Bank:
    """The packs that a command line puts on its line."""
    options = parse(*arguments)
    served = cli.endpoint(options)
    bank = can.bank_of(served) if isinstance(served, BusEndpoint) else None
    if bank is None:
        assert isinstance(served.line, SlaveLine)
        bank = served.line.bank
    return bank


@pytest.mark.parametrize(
    "wire", [[], ["--can-tcp", "127.0.0.1:0"], ["--role", "master"]]
)
def test_packs_in_parallel_are_of_one_kind(wire: list[str]) -> None:
    bank = bank_of(*wire, "--packs", "0,5", "--alike", "syssi-15.38-16s", "--day", "90")
    assert {pack.trio.id for pack in bank} == {"syssi-15.38-16s"}
    assert bank.addresses == [0, 5]


def test_only_packs_in_parallel_have_days_of_another_length() -> None:
    with pytest.raises(ValueError, match="add --alike"):
        bank_of("--day", "90")


@pytest.mark.parametrize(
    "wrong", [["--alike", "lead"], ["--alike", "syssi-15.38-16s", "--still"]]
)
def test_packs_in_parallel_are_of_a_known_kind_and_move(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(*wrong)
