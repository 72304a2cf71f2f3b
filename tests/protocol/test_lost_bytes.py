"""A line that loses a byte moves what follows, the same way each time; a sum that fits proves nothing."""

from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block, Role
from custom_components.jkbms.protocol.fields import SETTINGS
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.plausibility import implausible
from custom_components.jkbms.protocol.state import BmsState

from ..captures import frames

_CONTENT: Final = range(FRAME_HEAD, 270)
"""Up to the address: of what follows, single bytes have no meaning that could be wrong."""
_SHOWN: Final = {field.key for field in SETTINGS if field.role is not Role.RAW}


def without(data: bytes, place: int) -> bytes:
    """A frame that has lost a byte and whose sum fits all the same, as in one of 256 packs."""
    rest = (data[:place] + data[place + 1 :])[:299]
    return rest + bytes((sum(rest) & 0xFF,))


SETTINGS_FRAMES: Final = [
    one.data
    for one in frames()
    if one.data[4] == Block.SETTINGS.frame_type
    and recognise(one.data) is Layout.JK02_32S
]


@pytest.mark.parametrize("data", SETTINGS_FRAMES, ids=range(len(SETTINGS_FRAMES)))
def test_settings_that_have_moved_by_a_byte_are_not_believed(data: bytes) -> None:
    def read(frame: bytes) -> dict[str, object]:
        layout = Layout.JK02_32S
        values = decode_block(frame, Block.SETTINGS, layout, offset=FRAME_HEAD)
        assert frame is not data or implausible(Block.SETTINGS, values) is None
        believed = implausible(Block.SETTINGS, values) is None
        return {key: values[key] for key in _SHOWN & values.keys()} if believed else {}

    told = read(data)
    assert told
    for place in _CONTENT:
        moved = without(data, place)
        if recognise(moved) is Layout.JK02_32S:
            assert read(moved) in ({}, told), place


def test_a_byte_that_is_lost_twice_is_not_believed_the_second_time() -> None:
    data = next(d for d in SETTINGS_FRAMES if d[270] == 5 or d[274] == 5)
    state = BmsState()
    assert state.take_frame(Frame(data), Block.SETTINGS, 1.0)
    known = dict(state.values)
    for turn in range(6):
        moved = Frame(without(data, 240 + turn))
        assert not state.take_frame(moved, Block.SETTINGS, 2.0 + turn, noisy=True)
    assert state.values == known
