"""`scripts/decode --protocol ttl`: bytes, recordings, diagnostics."""

import json
from pathlib import Path
from typing import Any

import pytest

from custom_components.jkbms.protocol.masking import Piece
from custom_components.jkbms.protocol.recording import written
from custom_components.jkbms.protocol.ttl.frames import Message, read_all
from custom_components.jkbms.protocol.ttl.masking import TtlMasker
from scripts.lib.decode import main
from tests.captures import ttl_answers

from .answers import E1, answer, content


def told(
    path: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[list[dict[str, Any]], str]:
    assert main(["--protocol", "ttl", *more, str(path)]) == 0
    out, err = capsys.readouterr()
    return [json.loads(line) for line in out.splitlines()], err


def test_all_captures_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "line.hex"
    file.write_text("\n".join(capture.data.hex(" ") for capture in ttl_answers()))
    lines, summary = told(file, capsys)
    kinds = [line["type"] for line in lines]
    assert kinds.count("answer") == 6
    assert kinds.count("request") == 1
    assert kinds.count("discarded") == 1
    assert "6 answer" in summary
    first = lines[0]
    assert (first["address"], first["command"], first["source"]) == (
        0,
        "read_all",
        "bms",
    )
    assert first["values"]["current"] == 2.08
    assert first["values"]["power"] == pytest.approx(111.467)
    assert "123456" not in json.dumps(lines)


def test_binary_and_odd_messages_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "line.bin"
    data = (
        answer(content() + b"\xd0\x01")
        + Message(3, 9, 7, 1, b"\xb2secret1234").encode()
    )
    data += answer(b"\x79\x03\x01\x0c\xc6")
    file.write_bytes(data)
    (first, odd, short), _ = told(file, capsys, "--raw")
    assert first["unknown_id"] == 0xD0
    assert (odd["command"], odd["source"], odd["address"]) == ("9", "7", 3)
    assert "secret" not in bytes.fromhex(odd["content"]).decode("latin1")
    assert short["implausible"] == "pack_voltage"
    assert "power" not in short["values"]


def test_a_recording_keeps_its_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masker = TtlMasker()
    pieces = [
        Piece(10.0, True, read_all(0).encode()),
        Piece(10.04, False, E1[:100]),
        Piece(10.05, False, E1[100:]),
    ]
    file = tmp_path / "bus.txt"
    messages = [m for piece in pieces for m in masker.feed(piece)]
    file.write_text("\n".join(written(m, 1_700_000_000.0) for m in messages))
    lines, _ = told(file, capsys)
    assert [(line["type"], line["time"]) for line in lines] == [
        ("request", 1_700_000_010.0),
        ("answer", 1_700_000_010.05),
    ]
    assert lines[1]["values"]["total_voltage"] == 52.28


def test_a_file_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "line.hex"
    file.write_text("no hex")
    with pytest.raises(SystemExit):
        main(["--protocol", "ttl", str(file)])
    assert "hexadecimal" in capsys.readouterr().err
