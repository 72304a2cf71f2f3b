"""What a simulated pack of `4E 57` answers, held against recordings and the vendor's table."""

import ast
from pathlib import Path
import sys
from typing import Any

import pytest

from simulator import Bank, Pack, Speed, parse_fault, serve_tcp, trios, ttl
from simulator.ttl import TtlLine, content_of, frame_of
from simulator.ttl.answer import alarm_word, temperature
from tests.captures import ttl_answers
from tests.simulator import ask, ask_timed

RECORDED = {capture.id: capture.data for capture in ttl_answers()}
READ_ALL = RECORDED["ttl-req-readall"]
E1 = RECORDED["ttl-armin-16s-idle"]
ACTIVATE = bytes.fromhex("4E57001300000000010300000000000068 00000124")
PAIR = bytes.fromhex("4E5700140000000005020000000000000068 00000128")
CHARGE_OFF = bytes.fromhex("4E57001400000000020200AB000000000068 000001D0")
BALANCER_OFF = bytes.fromhex("4E570014000000000202009D000000000068 000001C2")
VERSION = "11.XW_S11.26___"


def request(command: int, content: bytes = b"\0", terminal: int = 0) -> bytes:
    head = b"NW" + (len(content) + 18).to_bytes(2) + terminal.to_bytes(4)
    body = head + bytes([command, 3, 0]) + content + b"\0\0\0\0\x68"
    return body + b"\0\0" + sum(body).to_bytes(2)


def line_of(*addresses: int, fault: str | None = None, **options: Any) -> TtlLine:
    faults = [parse_fault(fault)] if fault else []
    bank = Bank.default(addresses or (0,), seed=1, still=True)
    return TtlLine(bank, faults=faults, seed=1, **options)


def test_it_says_the_ids_of_the_recordings_in_their_order() -> None:
    pack = Pack(trios()[0], 0, still=True)
    said, recorded = content_of(pack, VERSION), E1[11:-9]
    assert pack.cell_count == 16
    assert len(said) == len(recorded)
    at = 0
    while at < len(said):
        assert said[at] == recorded[at], f"{at:#x}"
        at += 1 + LENGTHS.get(said[at], 2)
    assert said[-2:] == recorded[-2:] == b"\xc0\x01"


LENGTHS = {
    0x79: 49,
    **dict.fromkeys((0x85, 0x86, 0x9D, 0xA9, 0xAB, 0xAC, 0xAE, 0xAF, 0xB1, 0xB3), 1),
    **dict.fromkeys((0xB8, 0xC0), 1),
    **dict.fromkeys((0x89, 0xAA, 0xB5, 0xB6, 0xB9), 4),
    0xB2: 10,
    0xB4: 8,
    0xB7: 15,
    0xBA: 24,
}
"""Bytes behind each id; two for the others (ttl4e57.md 4)."""


def test_a_frame_is_built_as_the_recorded_one() -> None:
    assert frame_of(0, 6, E1[11:-9]) == E1


def test_a_request_is_answered_in_its_time() -> None:
    line = line_of()
    reply, end = ask_timed(line, READ_ALL, 1.0)
    assert reply == frame_of(0, 6, content_of(line.bank[0], VERSION))
    assert 0.026 < end - 1.0 < 0.05
    assert line.bank[0].asked == {6: 1}
    assert line.counters.heard == 1


def test_the_other_reading_command_is_answered_alike() -> None:
    line = line_of(speed=Speed.FAST)
    one, other = ask(line, READ_ALL), ask(line, request(3), 1.0)
    assert other[8] == 3
    assert other[11:-9] == one[11:-9]


def test_only_the_terminal_named_answers() -> None:
    line = line_of(1, 2, speed=Speed.FAST)
    assert ask(line, READ_ALL) == b""
    assert ask(line, request(6, terminal=2), 1.0)[4:8] == b"\0\0\0\2"
    assert line.counters.absent == 1


@pytest.mark.parametrize(
    "wrong",
    [
        READ_ALL[:-1] + b"\x00",
        READ_ALL[:16] + b"\x00" + READ_ALL[17:],
        READ_ALL[:15],
        b"NW\x00\x05\x00\x00",
        b"\x01\x10\x16\x20\x00\x01\x02\x00\x00\xd6\xf1",
        bytes(40),
    ],
)
def test_what_is_no_request_is_not_answered(wrong: bytes) -> None:
    line = line_of()
    assert ask(line, wrong) == b""
    assert line.counters.damaged == 1


def test_what_a_pack_says_is_no_request() -> None:
    line = line_of()
    assert ask(line, E1) == b""


def test_an_unknown_command_is_not_answered() -> None:
    line = line_of(speed=Speed.FAST)
    assert ask(line, request(9)) == b""
    assert line.counters.withheld == 1


def test_a_switch_is_taken_and_the_answer_is_its_id() -> None:
    line = line_of(speed=Speed.FAST)
    assert ask(line, PAIR)[8:11] == b"\5\0\1"
    assert line.pairings == 1
    assert ask(line, CHARGE_OFF, 1.0) == frame_of(0, 2, b"\xab")
    pack = line.bank[0]
    assert (pack.get("charge_switch"), pack.get("charge_mos")) == (0, 0)
    said = content_of(pack, VERSION)
    assert b"\xab\0\xac\1" in said
    assert not line.bank.dangerous


@pytest.mark.parametrize(
    ("version", "taken"), [("10.XW_S10.07___", True), (VERSION, False)]
)
def test_the_balancer_is_switched_by_older_firmware_only(
    version: str, taken: bool
) -> None:
    line = line_of(version=version, speed=Speed.FAST)
    assert bool(ask(line, BALANCER_OFF)) is taken
    assert line.bank[0].get("balancer_switch") == int(not taken)


def test_other_writes_only_enter_the_journal() -> None:
    line = line_of(speed=Speed.FAST)
    assert ask(line, request(2, b"\x90\x0e\x10")) == b""
    ((address, write),) = line.bank.dangerous
    assert (address, write.register, write.data) == (0, 0x90, b"\x0e\x10")


def test_a_pack_that_refuses_says_nothing() -> None:
    line = line_of(speed=Speed.FAST, fault="writes:mode=refuse-value")
    assert ask(line, CHARGE_OFF) == b""
    assert line.bank[0].get("charge_switch") == 1


def test_a_sleeping_pack_wakes_and_boots() -> None:
    line = line_of(speed=Speed.FAST)
    line.bank[0].set("soc", 60)
    line.sleep(0)
    assert ask(line, READ_ALL) == b""
    assert ask(line, ACTIVATE, 1.0)[8] == 1
    assert line.activations == 1
    assert b"\x85\x00\x86\x02\x87\x00\x00" in ask(line, READ_ALL, 2.0)
    assert b"\x85\x3c\x86" in ask(line, READ_ALL, 18.0)
    ask(line, ACTIVATE, 19.0)
    assert b"\x85\x3c\x86" in ask(line, READ_ALL, 20.0)


@pytest.mark.parametrize(
    ("milliamperes", "modern", "legacy"),
    [
        (-20_000, 0x07D0, 12_000),
        (20_000, 0x87D0, 8000),
        (0, 0, 10_000),
        (-10_000, 0x03E8, 11_000),
        (5000, 0x81F4, 9500),
        (-400_000, 0x7FFF, 50_000),
    ],
)
def test_a_current_in_both_formats(milliamperes: int, modern: int, legacy: int) -> None:
    pack = Pack(trios()[0], 0, still=True)
    pack.set("current", milliamperes)
    new = content_of(pack, VERSION)
    old = content_of(pack, VERSION, legacy_current=True)
    at = new.index(b"\x84", new.index(b"\x83", 50) + 3)
    assert new[at + 1 : at + 3] == modern.to_bytes(2)
    assert old[at + 1 : at + 3] == legacy.to_bytes(2)
    assert len(old) == len(new) - 2


@pytest.mark.parametrize(
    ("tenths", "word"),
    [(0, 0), (223, 22), (-10, 101), (-400, 140), (-2000, 140), (1000, 100)],
)
def test_temperatures_below_zero_go_on_above_100(tenths: int, word: int) -> None:
    assert temperature(tenths) == word


def test_alarms_have_bits_of_their_own() -> None:
    assert alarm_word(0) == 0
    assert alarm_word(1 << 4) == 1 << 10
    assert alarm_word(1 << 8 | 1 << 15) == 1 << 4
    assert alarm_word(1 << 0) == 0


@pytest.mark.usefixtures("socket_enabled")
async def test_it_is_served_like_any_line() -> None:
    async with serve_tcp(line_of(speed=Speed.FAST)) as server:
        assert server.url.startswith("socket://127.0.0.1:")


FILES = sorted(Path(ttl.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_shares_nothing_with_what_it_judges_and_knows_no_clock(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case ast.ImportFrom(level=0, module=str(module)):
                modules = [module]
            case ast.ImportFrom(level=level):
                assert level <= 2
                continue
            case _:
                continue
        assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names
    assert "import asyncio" not in text
    assert "import time" not in text
