"""Recordings of Home Assistant played by the simulator, with their times."""

import json
from pathlib import Path
from typing import Final

import pytest

from simulator import ReplayLine, Speed, load_capture
from simulator.replay import Recording

from . import ack, trigger

ASK: Final = trigger(1)
ANSWER: Final = ack(1, 0x1620)
LINES: Final = (
    "# a remark",
    f"(1767225600.000000) out {ASK.hex().upper()}",
    f"(1767225600.050000) in {ANSWER.hex().upper()}",
    f"(1767225605.000000) in {'FF' * 20} damaged",
)


def played(line: ReplayLine, until: float) -> list[tuple[float, bytes]]:
    """What comes until a time, and when."""
    line.connected(0.0)
    heard: list[tuple[float, bytes]] = []
    while (due := line.due()) is not None and due <= until:
        heard += [(due, piece) for piece in line.collect(due)]
    return heard


def test_a_recording_keeps_its_times(tmp_path: Path) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join(LINES))
    capture = load_capture(str(file))
    assert capture == ASK + ANSWER + b"\xff" * 20
    heard = played(ReplayLine(capture, repeat=False, chunk=999), 60)
    assert [piece for _, piece in heard] == [ASK, ANSWER, b"\xff" * 20]
    assert [time for time, _ in heard] == pytest.approx([0.001, 0.05, 5.0], abs=0.002)


def test_a_recording_is_played_over_and_over(tmp_path: Path) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join(LINES))
    heard = played(ReplayLine(load_capture(str(file)), chunk=999), 14)
    assert [piece for _, piece in heard].count(ASK) == 3


def test_without_wire_speed_a_recording_comes_at_once(tmp_path: Path) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join(LINES))
    line = ReplayLine(load_capture(str(file)), speed=Speed.FAST, chunk=999)
    assert [time for time, _ in played(line, 60)] == [0.0]


@pytest.mark.parametrize("wrapped", [True, False])
def test_diagnostics_play_what_the_bus_or_a_control_line_has_recorded(
    tmp_path: Path, wrapped: bool
) -> None:
    file = tmp_path / "diagnostics.json"
    data = {"recorded": [], "control_lines": {"one": {"recorded": list(LINES)}}}
    file.write_text(json.dumps({"data": data} if wrapped else data))
    capture = load_capture(str(file))
    assert isinstance(capture, Recording)
    assert len(capture.messages) == 3


def test_diagnostics_of_a_can_bus_give_the_lines_of_candump(tmp_path: Path) -> None:
    file = tmp_path / "diagnostics.json"
    line = "(1767225600.000000) can0 2F4#1301D71133006400"
    file.write_text(json.dumps({"data": {"recorded": [line]}}))
    assert load_capture(str(file)) == line.encode()


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "master.log"
    file.write_text("\n".join((*LINES, "(now) in zz")))
    with pytest.raises(ValueError, match="line 5 is none of a recording"):
        load_capture(str(file))


def test_another_file_of_json_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text('{"data": []}')
    assert load_capture(str(file)) == b'{"data": []}'
