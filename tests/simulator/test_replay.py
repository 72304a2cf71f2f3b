"""Captures played on a line."""

from pathlib import Path

import pytest

from simulator import SLOT, SLOT_SLOW, Bank, MasterLine, ReplayLine, Speed, load_capture
from tests.captures import Capture, bus_streams, golden_frames

from . import ack, pieces, trigger

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


@pytest.mark.parametrize(
    ("chunk", "sizes"),
    [(1, [1] * 10), (7, [7, 3]), ([3, 1], [3, 1, 3, 1, 2]), ([4, 99], [4, 6])],
)
def test_chunks_have_the_sizes_chosen(chunk: int | list[int], sizes: list[int]) -> None:
    line = ReplayLine(bytes(range(10)), repeat=False, chunk=chunk)
    line.connected(0.0)
    heard = list(pieces(line))
    assert [len(piece) for _, piece in heard] == sizes
    assert b"".join(piece for _, piece in heard) == bytes(range(10))


@pytest.mark.parametrize("stream", bus_streams(), ids=lambda stream: stream.id)
@pytest.mark.parametrize("slot", [None, SLOT])
@pytest.mark.parametrize("speed", Speed)
def test_no_byte_of_a_capture_is_lost_or_moved(
    stream: Capture, slot: float | None, speed: Speed
) -> None:
    line = ReplayLine(
        stream.data, repeat=False, slot=slot, speed=speed, chunk=[1, 50, 300]
    )
    line.connected(0.0)
    assert b"".join(piece for _, piece in pieces(line)) == stream.data


@pytest.mark.parametrize("speed", Speed)
def test_a_paced_capture_has_the_times_of_a_simulated_bus(speed: Speed) -> None:
    stream = load_capture("phinix-readme-cycle")
    line = ReplayLine(stream, slot=SLOT_SLOW, chunk=308, speed=speed)
    line.connected(0.0)
    bus = MasterLine(
        Bank.default((0, 1), still=True),
        slot=SLOT_SLOW,
        chunk=308,
        speed=speed,
        turnaround=0.010,
    )
    played = [(round(time, 6), len(piece)) for time, piece in pieces(line, 19.9)]
    spoken = [(round(time, 6), len(piece)) for time, piece in pieces(bus, 19.9)]
    assert [length for _, length in played] == [length for _, length in spoken]
    assert [time for time, _ in played] == pytest.approx(
        [time for time, _ in spoken], abs=2e-4
    )


def test_what_is_no_message_stays_where_it_was() -> None:
    frame = load_capture("phinix-readme-cycle")[:300]
    data = b"noise" + frame + ack(0, 0x1620) + frame[:100] + trigger(1) + trigger(2)
    line = ReplayLine(data, slot=1.0, chunk=999)
    line.connected(0.0)
    heard = [(int(time), len(piece)) for time, piece in pieces(line, 3.5)]
    assert heard == [(0, 5 + 308 + 100), (1, 11), (2, 11), (3, 5 + 308 + 100)]


def test_a_message_longer_than_its_slot_is_not_cut() -> None:
    line = ReplayLine(bytes(1000) + trigger(1), slot=0.01, repeat=False, chunk=999)
    line.connected(0.0)
    assert [time for time, _ in pieces(line)] == pytest.approx(
        [999 * BYTE, 1000 * BYTE, 1011 * BYTE]
    )


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
