"""`scripts/simulate` with a CAN bus."""

import asyncio
import os
from pathlib import Path
import signal
from typing import Any

import pytest

from simulator import cli
from simulator.can import BusEndpoint, CanBus, Dialect, ReplayBus, SlcanPtyServer

from ..test_cli import parse, simulator
from .clients import PATIENCE, Pty

WIRES = [
    (["--slcan-pty"], "slcan"),
    (["--slcan-tcp", "127.0.0.1:0"], "slcan"),
    (["--socketcand", "127.0.0.1:0"], "socketcand"),
    (["--can-tcp", "127.0.0.1:0"], "can-tcp"),
]


def endpoint(*arguments: str) -> BusEndpoint:
    """What a command line asks for."""
    made = cli.endpoint(parse(*arguments))
    assert isinstance(made, BusEndpoint)
    return made


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(("arguments", "wire"), WIRES)
async def test_each_wire_is_served_and_announced(
    arguments: list[str], wire: str
) -> None:
    async with endpoint(*arguments, "--packs", "1,2") as served:
        said = cli.announcement(served)
        assert said["url"] == served.url
        assert served.url.startswith("socket://" if len(arguments) > 1 else "/dev/")
        assert (said["wire"], said["bitrate"]) == (wire, 250_000)
        assert said["dialect"] == "native"
        assert [pack["address"] for pack in said["packs"]] == [1, 2]


@pytest.mark.parametrize("dialect", Dialect)
def test_each_dialect_can_be_chosen(dialect: Dialect) -> None:
    served = endpoint("--can-tcp", "127.0.0.1:0", "--can-dialect", dialect)
    assert isinstance(served.bus, CanBus)
    assert served.bus.dialect is dialect
    assert len(served.bus.bank) == 4
    assert {pack.cell_count for pack in served.bus.bank} == (
        {8, 16} if dialect.native else {16}
    )


def test_options_reach_the_bus() -> None:
    served = endpoint(
        *("--slcan-pty", "/nowhere/link", "--packs", "16", "--seed", "7", "--still"),
        *("--can-bitrate", "500000", "--fault", "flood:rate=5", "--fault", "mute"),
    )
    assert isinstance(served, SlcanPtyServer)
    assert served.link == Path("/nowhere/link")
    assert served.bus.bitrate == 500_000
    assert [fault.kind for fault in served.bus.faults] == ["flood", "mute"]
    inverter = endpoint(
        *("--socketcand", "127.0.0.1:0", "--can-dialect", "growatt", "--can-inverter"),
        *("--can-unasked", "2", "--can-patience", "9", "--speed", "fast"),
    )
    ids = [can_id for _, can_id, _, _ in inverter.bus.messages(1.0)]
    assert 0x301 in ids
    assert 0x323 in ids


def test_a_recording_is_played_with_its_times(tmp_path: Path) -> None:
    log = tmp_path / "bus.log"
    log.write_text("(10.0) can0 2F4#1302\n(10.5) can0 18F128F4#E108\n")
    served = endpoint("--can-tcp", "127.0.0.1:0", "--replay", str(log))
    assert isinstance(served.bus, ReplayBus)
    assert [*served.bus.messages(0.9)] == [
        (0.0, 0x2F4, False, b"\x13\x02"),
        (0.5, 0x18F128F4, True, b"\xe1\x08"),
    ]
    said = cli.announcement(served)
    assert (said["wire"], said["bitrate"]) == ("can-tcp", 250_000)
    assert not {"packs", "dialect"} & {*said}


CAN = ["--can-tcp", "127.0.0.1:0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--can-dialect", "pylon"], "--can-dialect is about CAN: name a CAN wire too"),
        (["--can-inverter"], "--can-inverter is about CAN: name a CAN wire too"),
        (["--fault", "flood"], "flood happens on a CAN bus only"),
        ([*CAN, "--fault", "late"], "late does not happen on a CAN bus"),
        ([*CAN, "--slot", "1"], "--slot is for an RS485 line"),
        ([*CAN, "--control-pty"], "--control-pty is for an RS485 line"),
        ([*CAN, "--settings-for-all"], "--settings-for-all is for an RS485 line"),
        ([*CAN, "--chunk", "5"], "--chunk is for an RS485 line"),
        ([*CAN, "--role", "master"], "on CAN no pack is asked, so none is the master"),
        ([*CAN, "--packs", "20,1"], "CAN has no ids for address 20"),
        ([*CAN, "--can-inverter"], "native is not spoken with inverters"),
        (
            [*CAN, "--replay", "phinix-readme-cycle"],
            "line 1 is no candump line",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_told_in_a_sentence(
    arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match=f"simulate: {message}"):
        cli.main(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--can-tcp", "5020"], "'5020' is not HOST:PORT"),
        ([*CAN, "--tcp", "127.0.0.1:1"], "not allowed with"),
        ([*CAN, "--slcan-pty"], "not allowed with"),
        (
            [*CAN, "--can-dialect", "klingon"],
            "--can-dialect: invalid choice: 'klingon'",
        ),
        ([*CAN, "--can-bitrate", "125000"], "invalid choice: '125000'"),
        ([*CAN, "--can-patience", "soon"], "'soon' is no time in seconds"),
        ([*CAN, "--fault", "flood:volume=1"], "flood takes rate=VALUE"),
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
async def test_the_command_serves_records_and_ends_cleanly() -> None:
    async with simulator(*CAN, "--packs", "1,2,5", "--still") as (said, process):
        host, _, port = said["url"].removeprefix("socket://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(PATIENCE):
            records = [await reader.readexactly(13) for _ in range(50)]
        assert {record[0] for record in records} == {0x08, 0x88}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            rest, errors = await process.communicate()
        assert (process.returncode, rest, errors) == (0, b"", b"")
        writer.close()


async def test_the_command_is_an_adapter_with_a_link(tmp_path: Path) -> None:
    link = tmp_path / "ttyCAN"
    async with simulator("--slcan-pty", str(link)) as (said, process):
        assert (said["url"], said["wire"]) == (str(link), "slcan")
        port = Pty(str(link))
        os.write(port.handle, b"S5\rO\r")
        await port.until(b"T18F1")
        port.close()
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    assert not link.is_symlink()


def test_nothing_changes_for_a_line_that_is_no_bus() -> None:
    made: Any = cli.announcement(cli.endpoint(parse("--packs", "1")))
    assert "wire" not in made
