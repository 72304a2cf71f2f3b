"""What can be the answer to what was sent (ttl4e57.md 2, 6)."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.ttl.frames import Message, read_all, write
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.ttl.pending import Pending

from .answers import content

OFF: Final = write(3, 0xAB, 0)


def waiting_for(sent: Message) -> Pending:
    """Return what waits for the answer to something sent to terminal 3."""
    master = TtlMaster({3}, SERIAL, 0.0, interval=5.0)
    return Pending(master.stations[3], sent, 0.0)


def said(data: bytes, **other: Any) -> Message:
    """Return what the pack says that OFF was sent to, but for what is said otherwise."""
    parts: dict[str, Any] = {"terminal": 3, "command": 2, "source": 0, "transport": 1}
    return Message(**parts | other, content=data)


@pytest.mark.parametrize(
    ("message", "answers"),
    [
        (said(b"\xab"), True),
        # Whoever repeats the value, too, means the same.
        (said(b"\xab\x00"), True),
        (said(b"\xab\x01"), True),
        (said(b"\xac"), False),
        (said(b"\x9d\xab"), False),
        (said(b""), False),
        (said(b"\xab", terminal=4), False),
        (said(b"\xab", command=3), False),
        (said(b"\xab", command=6), False),
        (said(b"\xab", transport=0), False),
        (said(b"\xab", transport=2), False),
    ],
)
def test_a_write_is_answered_by_its_id(message: Message, answers: bool) -> None:
    assert waiting_for(OFF).answered_by(message) is answers


def test_a_request_for_everything_is_answered_by_whatever_there_is() -> None:
    pending = waiting_for(read_all(3))
    assert pending.answered_by(said(content(), command=6))
    assert not pending.answered_by(said(content(), command=3))
