"""What a line is, told by listening."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    MAGIC,
    Ack,
    ExceptionReply,
    ReadRequest,
    trigger,
)
from custom_components.jkbms.protocol.survey import Finding, Overheard, Survey, diagnose

from ..captures import bus_streams
from .helpers import answer_of, frame_of, pack

LIVE = frame_of(pack(), Block.LIVE).data
LEGACY = bytes.fromhex("4e57 0118 0000 0000 0600 0179") + bytes(40)


def surveyed(*heard: bytes) -> Survey:
    survey = Survey()
    for data in heard:
        survey.hear(data)
    return survey


@pytest.mark.parametrize(
    ("heard", "finding"),
    [
        (b"", Finding.SILENCE),
        (b"\0" * 16, Finding.SILENCE),
        (b"\xe0" * 17, Finding.NOISE),
        (bytes(range(0x80, 0x100)), Finding.NOISE),
        (LEGACY, Finding.LEGACY_PROTOCOL),
        (b"\xee" * 30 + b"NW\xff\xff" + LEGACY, Finding.LEGACY_PROTOCOL),
        (b"\xee" * 30 + b"NW\xff\xff", Finding.NOISE),
        # The shortest and the longest that there are.
        (b"NW\0\x12" + bytes(40), Finding.LEGACY_PROTOCOL),
        (b"NW\0\x11" + bytes(40), Finding.NOISE),
        (b"NW\x01\x90" + bytes(40), Finding.LEGACY_PROTOCOL),
        (b"NW\x01\x91" + bytes(40), Finding.NOISE),
        (b"\xee" * 30 + b"NW", Finding.NOISE),
        (LIVE[:100] * 2, Finding.CUT_FRAMES),
        (LIVE[:100], Finding.NOISE),
        (MAGIC * 2, Finding.SILENCE),
        (trigger(3, Block.LIVE).encode(), Finding.FOREIGN_MASTER),
        (ReadRequest(3, 0x1200, 8).encode(), Finding.FOREIGN_MASTER),
        (Ack(0, 0x1620, 1).encode(), Finding.FOREIGN_MASTER),
        (Ack(3, 0x1070, 2).encode(), Finding.FOREIGN_MASTER),
        (ExceptionReply(3, 16, 2).encode(), Finding.FOREIGN_MASTER),
        (LIVE, Finding.FOREIGN_MASTER),
        # What a frame that breaks off seems to hold.
        (LIVE[:40] + trigger(3, Block.LIVE).encode(), Finding.FOREIGN_MASTER),
    ],
    ids=lambda value: value.hex()[:12] if isinstance(value, bytes) else value,
)
def test_a_line_is_named_by_what_was_heard(heard: bytes, finding: Finding) -> None:
    for size in (1, 1000):
        pieces = [heard[at : at + size] for at in range(0, len(heard), size)]
        assert surveyed(*pieces).finish() is finding


@pytest.mark.parametrize("capture", bus_streams(), ids=lambda c: c.id)
def test_every_captured_line_has_a_master(capture: object) -> None:
    (found,) = (c for c in bus_streams() if c is capture)
    survey = surveyed(found.data)
    cut = found.expected.get("complete_frames") == 0
    assert survey.finish() is (Finding.NOISE if cut else Finding.FOREIGN_MASTER)
    heard = {pack.address for pack in survey.packs}
    expected = set(found.expected.get("responding_slaves", ()))
    assert heard - {0} >= expected


def test_packs_are_counted_by_their_acks_alone() -> None:
    """A frame whose ACK was lost could be anybody's."""
    one, five = (
        answer_of(pack(address=1), Block.LIVE),
        answer_of(pack(address=5), Block.LIVE),
    )
    survey = surveyed(one, five, one, trigger(7, Block.LIVE).encode(), LIVE)
    assert survey.finish() is Finding.FOREIGN_MASTER
    assert survey.packs == (Overheard(1, 2), Overheard(5, 1))


def test_long_noise_is_diagnosed_by_its_end() -> None:
    survey = surveyed(LEGACY, b"\xee" * 5000)
    assert survey.finish() is Finding.NOISE
    assert diagnose(b"") is Finding.SILENCE
