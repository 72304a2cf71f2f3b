"""Captures played on a line."""

from pathlib import Path

import pytest

from simulator import ReplayLine, Speed, load_capture
from tests.captures import bus_streams, golden_frames

from . import pieces

BYTE = 10 / 115_200


def test_bytes_are_played_once_somebody_listens_at_the_speed_of_the_wire() -> None:
    line = ReplayLine(bytes(range(100)), repeat=False)
    assert line.due() is None
    assert line.collect(5.0) == []
    line.connected(10.0)
    line.connected(99.0)
    heard = list(pieces(line))
    assert [len(piece) for _, piece in heard] == [32, 32, 32, 4]
    assert heard[0][0] == pytest.approx(10.0 + 32 * BYTE)
    assert heard[-1][0] == pytest.approx(10.0 + 100 * BYTE)
    assert b"".join(piece for _, piece in heard) == bytes(range(100))
    assert line.due() is None


def test_a_capture_begins_again_when_it_ends() -> None:
    line = ReplayLine(b"abcde")
    line.connected(0.0)
    heard = b"".join(piece for _, piece in pieces(line, 0.01))
    assert heard.startswith(b"abcdeabcde")


def test_what_is_said_to_a_capture_is_not_heard() -> None:
    line = ReplayLine(b"abc", repeat=False)
    line.receive(b"request", 0.0)
    assert line.due() is None
    assert not line.faults


@pytest.mark.parametrize(("data", "speed"), [(b"abc", Speed.FAST), (b"", Speed.WIRE)])
def test_without_wire_time_a_capture_is_played_once(data: bytes, speed: Speed) -> None:
    line = ReplayLine(data, speed=speed)
    line.connected(3.0)
    assert b"".join(piece for _, piece in pieces(line)) == data


def test_captures_of_the_tests_are_found_by_their_id() -> None:
    stream = bus_streams()[0]
    assert load_capture(stream.id) == stream.data
    frame = golden_frames()[0]
    assert load_capture(frame.id) == frame.data


def test_files_may_be_hex_text_or_raw_bytes(tmp_path: Path) -> None:
    text = tmp_path / "capture.hex"
    text.write_text("55 AA EB 90\n01 05\n")
    assert load_capture(str(text)) == bytes.fromhex("55aaeb900105")
    raw = tmp_path / "capture.bin"
    raw.write_bytes(b"\x55\xaa\xeb\x90")
    assert load_capture(str(raw)) == b"\x55\xaa\xeb\x90"
    ascii_raw = tmp_path / "capture.txt"
    ascii_raw.write_bytes(b"not hex")
    assert load_capture(str(ascii_raw)) == b"not hex"


def test_a_capture_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no file and no capture is called 'nowhere'"):
        load_capture("nowhere")
