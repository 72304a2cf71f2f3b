"""What was recorded, read by `scripts/decode`."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.masking import Masker, Piece
from custom_components.jkbms.protocol.recording import (
    is_recording,
    of_diagnostics,
    pieces,
    written,
    written_can,
)
from scripts.lib.decode import main

from .helpers import answer_of, pack

CAN: Final = written_can(
    CanMessage(0x2F4, bytes.fromhex("1301D71133006400"), False), 5.0
)


def recorded() -> list[str]:
    """A request, its answer and noise, as lines."""
    masker = Masker()
    heard = (
        Piece(1.0, True, trigger(1, Block.LIVE).encode()),
        Piece(1.05, False, answer_of(pack(), Block.LIVE)),
        Piece(9.0, False, b"\xee" * 30),
    )
    messages = [m for piece in heard for m in masker.feed(piece)]
    return [written(m, 1000.0) for m in (*messages, *masker.flush())]


def decode(
    file: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[list[dict[str, Any]], str]:
    """What the command prints."""
    assert main([*options, str(file)]) == 0
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_lines_are_read_as_they_were_written() -> None:
    lines = recorded()
    read = list(pieces(["# a remark", "", *lines]))
    assert [(p.time, p.sent, len(p.data)) for p in read] == [
        (1001.0, True, 11),
        (1001.05, False, 300),
        (1001.05, False, 8),
        (1009.0, False, 30),
    ]
    assert lines[-1].endswith(" damaged")
    assert is_recording("\n".join(["# a remark", *lines]))
    assert not is_recording("55 AA EB 90")
    assert not is_recording("")


def test_a_line_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 is none of a recording: 'what'"):
        list(pieces(["", "what"]))


def test_a_recording_is_decoded_with_times_and_who_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join(recorded()))
    lines, err = decode(file, capsys)
    assert [(x["time"], x["type"], x.get("sent")) for x in lines] == [
        (1001.0, "request", True),
        (1001.05, "live", None),
        (1001.05, "ack", None),
        (1009.0, "discarded", None),
    ]
    assert lines[1]["address"] == 1
    assert err.startswith("349 bytes: ")


def test_diagnostics_are_decoded_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "diagnostics.json"
    controls = {"one": {"recorded": recorded()}, "two": {}}
    data = {"recorded": recorded(), "control_lines": controls}
    file.write_text(json.dumps({"home_assistant": {}, "data": data}))
    lines, _ = decode(file, capsys)
    assert [x.get("line") for x in lines] == [None] * 4 + ["one"] * 4


def test_diagnostics_of_a_can_bus_are_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "diagnostics.json"
    file.write_text(json.dumps({"data": {"recorded": [CAN]}}))
    lines, err = decode(file, capsys)
    assert [(x["type"], x["id"]) for x in lines] == [("can", "2F4")]
    assert err.startswith("1 messages")


def test_a_recording_of_a_can_bus_is_one_of_candump(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "can.log"
    file.write_text(f"# a remark\n{CAN}\n")
    lines, err = decode(file, capsys, "--protocol", "can")
    assert [x["id"] for x in lines] == ["2F4"]
    assert " 0 unreadable" in err


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"data": 1}',
        '{"data": {}}',
        '{"data": {"recorded": "text"}}',
        '{"data": {"recorded": [1, 2]}}',
        '{"data": {"recorded": ["text", 2]}}',
    ],
)
def test_other_files_are_no_diagnostics(text: str) -> None:
    assert of_diagnostics(text) is None


def test_diagnostics_of_a_line_without_a_byte_have_no_lines() -> None:
    assert of_diagnostics('{"data": {"recorded": []}}') == {"": []}


def test_a_damaged_recording_ends_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join((*recorded(), "what")))
    with pytest.raises(SystemExit) as ended:
        main([str(file)])
    assert ended.value.code == 2
    assert "line 5 is none of a recording" in capsys.readouterr().err
