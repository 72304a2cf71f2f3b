"""`scripts/decode`: captured bytes into lines of JSON, without Home Assistant."""

from collections import Counter
from io import BytesIO, TextIOWrapper
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.derived import DERIVED
from custom_components.jkbms.protocol.fields import FIELDS
from custom_components.jkbms.protocol.frames import (
    Ack,
    ExceptionReply,
    ReadReply,
    ReadRequest,
    WriteRequest,
    trigger,
)
from scripts.lib.decode import describe, main
from simulator import PASSWORD, PIN

from ..captures import ble_streams, bus_streams, frames, golden_frames
from .helpers import answer_of, frame_of, pack

ROOT: Final = Path(__file__).parents[2]
COMMAND: Final = ROOT / "scripts" / "decode"
# Without what makes coverage follow into other processes: it imports modules itself.
ENVIRONMENT: Final = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
STREAMS: Final = {capture.id: capture for capture in bus_streams()}
CYCLE: Final = STREAMS["phinix-readme-cycle"].data


def lines(data: bytes) -> list[dict[str, Any]]:
    return list(describe(data))


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )


def printed(result: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


# -- the command --------------------------------------------------------------------


def test_hex_text_with_any_white_space_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "capture.txt"
    text = CYCLE.hex(" ", 2).upper().replace(" 0", "\r\n\t0").replace(" 1", "\u00a0 1")
    file.write_text("\ufeff" + text + "\n", encoding="utf-8")
    assert printed(run(str(file))) == lines(CYCLE)


def test_binary_is_read_from_the_standard_input() -> None:
    result = run("--protocol", "rs485", "--raw", "-", stdin=CYCLE)
    assert printed(result) == lines(CYCLE)
    assert result.stderr.decode().splitlines() == [
        "1408 bytes: 2 live, 4 ack, 2 settings, 16 request; addresses: "
        "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15"
    ]


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        ((), b"55 AA zz", "not text of hexadecimal digits"),
        ((), b"55 A", "in pairs"),
        ((), b"\xff\xfe\x55", "--raw reads binary"),
        (("nowhere.txt",), b"", "nowhere.txt cannot be read"),
        ((".",), b"", "cannot be read"),
        (("--protocol", "zigbee"), b"", "choose from"),
        (("--nonsense",), b"", "unrecognized arguments"),
        (("a", "b"), b"", "unrecognized arguments"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(
    arguments: tuple[str, ...],
    stdin: bytes,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("usage: scripts/decode")


def test_the_command_ends_as_its_function_does() -> None:
    result = run(stdin=b"55 AA zz")
    assert result.returncode == 2
    assert result.stdout == b""
    assert b"scripts/decode: error: the standard input is not text" in result.stderr
    assert b"Traceback" not in result.stderr


def test_an_empty_input_was_read_too() -> None:
    result = run(stdin=b"  \n")
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr == b"0 bytes: nothing; addresses: none\n"


def test_a_reader_who_has_seen_enough_gets_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "long.bin"
    file.write_bytes(CYCLE * 50)
    script = '"$1" --raw "$2" | head -n 1'
    result = subprocess.run(
        ["bash", "-c", script, "bash", COMMAND, file],
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    assert json.loads(result.stdout)["type"] == "live"
    assert result.stderr == b""


def test_it_imports_the_standard_library_and_the_protocol_alone() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "scripts/lib/standalone.py",
            "decode",
            "-",
        ],
        cwd=ROOT,
        input=b"",
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    told = result.stderr.decode().splitlines()
    modules = {
        line.rpartition("|")[2].strip()
        for line in told
        if line.startswith("import time:")
    }
    ours = {name for name in modules if name.startswith("custom_components")}
    package = "custom_components.jkbms.protocol"
    assert f"{package}.stream" in ours
    assert all(
        name == "custom_components" or f"{name}.".startswith(f"{package}.")
        for name in ours
    )
    # What the interpreter of a virtual environment loads by itself is not ours.
    foreign = {
        name
        for name in modules
        if name.startswith(("homeassistant", "serialx", "probatio"))
    }
    assert foreign == set()


def test_the_function_behind_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "capture.bin"
    file.write_bytes(CYCLE)
    assert main(["--raw", str(file)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 24
    assert err.startswith("1408 bytes")


# -- what it says -------------------------------------------------------------------


def test_a_frame_has_its_sender_layout_and_values() -> None:
    (first, ack, *_) = lines(CYCLE)
    assert {key: first[key] for key in ("type", "address", "layout")} == {
        "type": "live",
        "address": 0,
        "layout": "jk02_32s",
    }
    values = first["values"]
    assert values["total_voltage"] == 52.336
    assert values["alarms"] == ["alarm_change_password"]
    assert values["alarm_bitmask"] == 1 << 19
    assert values["cell_voltage_16"] == 3.272
    assert values["cell_voltage_17"] is None
    assert values["power"] == 0
    assert values["bms_clock"] == "2024-11-06T16:29:51"
    assert ack == {
        "type": "ack",
        "address": 0,
        "function": 16,
        "register": 0x1620,
        "quantity": 1,
    }


def test_the_keys_are_those_of_the_datasheet() -> None:
    known = {datum.key for datum in (*FIELDS, *DERIVED)} | {"alarms"}
    for line in lines(b"".join(answer_of(pack(), block) for block in Block)):
        if line["type"] != "ack":
            assert line["values"].keys() <= known


def test_a_frame_that_is_nobodys_has_no_address() -> None:
    (line,) = lines(frame_of(pack(), Block.LIVE).data)
    assert "address" not in line
    assert line["values"]["state_of_charge"] == pack().get("soc")


def test_what_belongs_to_nothing_is_counted() -> None:
    assert lines(b"\xee" * 70 + trigger(1, Block.LIVE).encode()) == [
        {"type": "discarded", "bytes": 70},
        {
            "type": "request",
            "address": 1,
            "function": 16,
            "register": 0x1620,
            "quantity": 1,
            "block": "live",
        },
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_every_byte_of_a_captured_line_is_told_of(name: str) -> None:
    data = STREAMS[name].data
    size = {"live": 300, "settings": 300, "device": 300, "ack": 8, "request": 11}
    told = lines(data)
    assert sum(line.get("bytes") or size[line["type"]] for line in told) == len(data)


@pytest.mark.parametrize("capture", frames(), ids=lambda c: c.id)
def test_every_captured_frame_is_told_in_plain_json(capture: Any) -> None:
    for line in lines(capture.data):
        text = json.dumps(line, allow_nan=False)
        assert json.loads(text) == line
        for value in line.get("values", {}).values():
            if isinstance(value, float):
                assert len(repr(value).partition(".")[2]) <= 6
                assert repr(value) != "-0.0"


def test_the_oldest_boards_are_named_and_tell_what_they_have() -> None:
    (capture,) = (c for c in frames() if c.id == "syssi-jk04-cell")
    (line,) = lines(capture.data)
    assert (line["type"], line["layout"]) == ("live", "jk04")
    assert line["values"]["total_voltage"] == 53.691
    assert "current" not in line["values"]
    assert "alarms" not in line["values"]


def test_a_frame_of_no_known_layout_says_so() -> None:
    (line,) = lines(frame_of(pack(), Block.LIVE).data[:6] + bytes(293) + b"\x7c")
    assert line == {"type": "live", "layout": None, "values": {}}


def test_values_that_cannot_be_true_are_marked() -> None:
    (line, _) = lines(answer_of(pack(soc=150), Block.LIVE))
    assert line["implausible"] == "state_of_charge"
    assert line["values"]["state_of_charge"] == 150
    (line, _) = lines(answer_of(pack(), Block.LIVE))
    assert "implausible" not in line


def test_a_number_that_is_none_is_null() -> None:
    (line, _) = lines(answer_of(pack(pack_voltage_correction=float("nan")), Block.LIVE))
    assert line["values"]["voltage_correction"] is None


def test_the_firmware_is_learnt_from_the_same_pack_earlier_in_the_stream() -> None:
    of, other = pack(heating_start=3, heating_stop=8), pack(address=2)
    settings = answer_of(of, Block.SETTINGS)
    unknown, _, *_, learnt, _ = lines(
        settings
        + answer_of(other, Block.DEVICE)
        + settings
        + answer_of(of, Block.DEVICE)
        + settings
    )
    assert unknown["values"]["heating_start_temperature"] is None
    assert learnt["values"]["heating_start_temperature"] == 3
    assert learnt["values"]["battery_overtemp_alarm"] is None
    between = lines(answer_of(other, Block.DEVICE) + settings)[2]
    assert between["values"]["heating_start_temperature"] is None


def test_a_write_says_what_it_sets() -> None:
    write = WriteRequest(1, 0x100C, bytes.fromhex("00000E42"))
    refusal = ExceptionReply(1, 16, 3)
    assert lines(write.encode() + refusal.encode()) == [
        {
            "type": "request",
            "address": 1,
            "function": 16,
            "register": 0x100C,
            "quantity": 2,
            "data": "00000e42",
            "values": {"cell_ovp": 3.65},
        },
        {
            "type": "exception",
            "address": 1,
            "function": 16,
            "code": 3,
            "meaning": "illegal_value",
        },
    ]


def test_a_register_read_and_its_answer() -> None:
    read, reply = ReadRequest(1, 0x1290, 2), ReadReply(1, bytes.fromhex("0000C029"))
    assert lines(read.encode() + reply.encode()) == [
        {
            "type": "read",
            "address": 1,
            "function": 3,
            "register": 0x1290,
            "quantity": 2,
        },
        {
            "type": "answer",
            "address": 1,
            "function": 3,
            "register": 0x1290,
            "data": "0000c029",
            "values": {"total_voltage": 49.193},
        },
    ]


def test_logs_are_told() -> None:
    (golden,) = (g for g in golden_frames() if g.type == 5)
    ask = WriteRequest(1, 0x1624, b"\0\0")
    request, log, ack = lines(ask.encode() + golden.data + Ack(1, 0x1624, 1).encode())
    assert request["block"] == "log"
    assert (log["type"], log["address"]) == ("log", 1)
    assert log["values"]["count"] == 309
    assert log["values"]["events"][0] == {"runtime": 21072874, "code": 59}
    assert ack["type"] == "ack"
    (detailed,) = lines(pack().log.frames())
    assert detailed == {"type": "log", "values": {"records": []}}


def test_secrets_never_leave_the_decoder() -> None:
    """Neither from a frame, nor a read, a write, or a torn frame's bytes."""
    device = frame_of(pack(), Block.DEVICE).data
    assert PIN.encode() in device
    assert PASSWORD.encode() in device
    read = ReadRequest(1, 0x1430, 48)
    reply = ReadReply(1, device[6 + 0x30 : 6 + 0x30 + 96])
    write = WriteRequest(1, 0x1470, PASSWORD.encode() + bytes(4))
    data = (
        answer_of(pack(), Block.DEVICE)
        + device[:200]
        + read.encode()
        + reply.encode()
        + write.encode()
    )
    told = lines(data)
    assert [line["type"] for line in told] == [
        "device",
        "ack",
        "discarded",
        "read",
        "answer",
        "request",
    ]
    text = json.dumps(told)
    for secret in (PIN, PASSWORD):
        assert secret not in text
        assert secret.encode().hex() not in text


def test_a_bluetooth_recording_is_decoded() -> None:
    stream = next(c for c in ble_streams() if c.chunks)
    told = printed(run("--protocol", "ble", stdin=stream.data.hex().encode()))
    kinds = Counter(line["type"] for line in told)
    assert kinds == {"live": 8, "settings": 3, "ack": 4, "discarded": 1}
    assert {line["layout"] for line in told if "values" in line} == {"jk02_32s"}


def test_orders_and_idle_text_on_bluetooth_are_named() -> None:
    stream, order, *_ = ble_streams()
    recording = "\n".join(
        (
            f"(1.5) out {stream.orders[0].hex()}",
            f"(1.6) in {stream.data[:20].hex()}",
            "(1.7) in 41540D0A",
            f"(2.0) in {order.data.hex()}",
        )
    )
    told = printed(run("--protocol", "ble", stdin=recording.encode()))
    asked = {"type": "request", "register": 0x97, "data": "", "block": "device"}
    assert told == [
        {"time": 1.5, **asked},
        {"time": 1.6, "type": "ack", "accepted": True},
        {"time": 1.7, "type": "idle", "bytes": 4},
        {"time": 2.0, "type": "request", "register": 0x6E, "data": "3a"},
    ]
