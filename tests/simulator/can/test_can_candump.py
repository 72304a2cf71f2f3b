"""Recordings: reading them and playing them."""

from itertools import islice
from pathlib import Path

import can
import pytest

from simulator import Bank, Speed
from simulator.can import CanBus, Frame, ReplayBus, frame_of, parse_candump
from simulator.can.frame import ERROR

from . import heard, opened, pack, passed

LOG = """
# a comment
(1436509052.249713) vcan0 2F4#1302B20F51000000
(1436509052.349713) vcan0 18F128F4#E108F00A6B802300 R
(1436509052.449713) can0 123#R
(1436509052.549713) can0 123#R4 T
(1436509052.649713) can0 20000088#0000000000000000
(1436509053.249713) vcan0 305#
"""

FRAMES = [
    (0.0, frame_of(0x2F4, bytes.fromhex("1302B20F51000000"))),
    (0.1, frame_of(0x18F128F4, bytes.fromhex("E108F00A6B802300"))),
    (0.2, Frame(id=0x123, remote=True)),
    (0.3, Frame(id=0x123, remote=True, length=4)),
    (0.4, ERROR),
    (1.0, frame_of(0x305, b"")),
]


def test_a_log_is_frames_with_times_from_the_first() -> None:
    found = parse_candump(LOG)
    assert [time for time, _ in found] == pytest.approx(
        [time for time, _ in FRAMES], abs=1e-6
    )
    assert [frame for _, frame in found] == [frame for _, frame in FRAMES]


def test_what_candump_shows_on_the_screen_can_be_read_too() -> None:
    text = """
      (005.100000)  can0  2F4   [8]  13 02 B2 0F 51 00 00 00
      (005.350000)  can0  18F128F4   [8]  E1 08 F0 0A 6B 80 23 00   '....k.#.'
      (005.400000)  can0  RX - -  305   [0]
      (005.500000)  can0  123   [4]  remote request
    """
    found = parse_candump(text)
    assert [time for time, _ in found] == pytest.approx([0.0, 0.25, 0.3, 0.4])
    assert [frame for _, frame in found] == [
        frame_of(0x2F4, bytes.fromhex("1302B20F51000000")),
        frame_of(0x18F128F4, bytes.fromhex("E108F00A6B802300")),
        frame_of(0x305, b""),
        Frame(id=0x123, remote=True),
    ]


def test_without_times_frames_are_10_ms_apart() -> None:
    found = parse_candump("can0  2F4  [1]  13\ncan0  2F4  [1]  14")
    assert found == [(0.0, frame_of(0x2F4, b"\x13")), (0.01, frame_of(0x2F4, b"\x14"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(1.0) can0 2F4#13\nnothing", "line 2 is no candump line: 'nothing'"),
        ("(1.0) can0 2F4#1", "line 1 is no candump line"),
        ("(1.0) can0 123##1AABB", "line 1 is no candump line"),
        ("", "the recording holds no frame"),
    ],
)
def test_a_text_that_is_no_recording_is_told_in_a_sentence(
    text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        parse_candump(text)


def test_a_recording_is_played_once_somebody_listens_and_again_after_its_end() -> None:
    bus = ReplayBus(parse_candump(LOG))
    bus.advance(5.0)
    assert bus.due() is None
    tap = opened(bus, 10.0, sees_errors=True)
    bus.advance(11.0)
    first = tap.drain()
    assert [time - 10.0 for time, _ in first] == pytest.approx(
        [time for time, _ in FRAMES], abs=1e-6
    )
    assert [frame for _, frame in first] == [frame for _, frame in FRAMES]
    # Another listener changes nothing.
    opened(bus, 11.0)
    bus.advance(11.25)
    # The pause is as long as the others are on average.
    assert [time - 10.0 for time, _ in tap.drain()] == pytest.approx([1.2])


def test_a_recording_may_be_played_once() -> None:
    bus = ReplayBus(parse_candump(LOG), repeat=False)
    assert len(passed(bus, 1e6)) == 3


@pytest.mark.parametrize("text", [LOG, "(1.0) can0 2F4#13"])
def test_without_wire_time_a_recording_is_played_once_and_at_once(text: str) -> None:
    frames = parse_candump(text)
    bus = ReplayBus(frames, speed=Speed.FAST)
    tap = opened(bus, 3.0, sees_errors=True)
    bus.advance(3.0)
    assert heard(tap) == [frame for _, frame in frames]
    assert bus.due() is None


def test_what_python_can_records_of_a_bank_plays_the_same(tmp_path: Path) -> None:
    messages = list(islice(CanBus(Bank([pack(3)])).messages(), 300))
    file = tmp_path / "bank.log"
    with can.CanutilsLogWriter(file) as writer:
        for time, can_id, extended, data in messages:
            writer.on_message_received(
                can.Message(
                    timestamp=time,
                    arbitration_id=can_id,
                    is_extended_id=extended,
                    data=data,
                )
            )
    bus = ReplayBus(parse_candump(file.read_text()), repeat=False)
    played = passed(bus, 1e6)
    assert [message[1:] for message in played] == [message[1:] for message in messages]
    assert [time for time, *_ in played] == pytest.approx(
        [time - messages[0][0] for time, *_ in messages], abs=2e-6
    )
