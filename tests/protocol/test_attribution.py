"""Whose frame is it (rs485.md 4.4)."""

from typing import Final

import pytest

from custom_components.jkbms.protocol.attribution import Attributed, Attributor, Heard
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    Ack,
    Discarded,
    ExceptionReply,
    Frame,
    Item,
    WriteRequest,
    trigger,
)

from ..captures import golden_frames
from .helpers import frame_of, pack

LIVE: Final = frame_of(pack(), Block.LIVE)
SETTINGS_OF_0: Final = frame_of(pack(address=0), Block.SETTINGS)
SETTINGS_OF_3: Final = frame_of(pack(address=3), Block.SETTINGS)
DEVICE: Final = frame_of(pack(), Block.DEVICE)
STRAY: Final = Discarded(2)


def ack(address: int, block: Block = Block.LIVE) -> Ack:
    return Ack(address, block.trigger, 1)


def heard(*items: Item) -> list[Heard]:
    attributor = Attributor()
    out = [h for item in items for h in attributor.feed([item])]
    return [*out, *attributor.flush()]


def senders(*items: Item) -> list[tuple[int | None, bool]]:
    return [
        (h.address, h.acknowledged) for h in heard(*items) if isinstance(h, Attributed)
    ]


@pytest.mark.parametrize("address", range(16))
def test_the_ack_that_follows_names_the_sender(address: int) -> None:
    assert senders(LIVE, ack(address)) == [(address, True)]


@pytest.mark.parametrize(
    ("frame", "block"),
    [
        (LIVE, Block.LIVE),
        (SETTINGS_OF_3, Block.SETTINGS),
        (DEVICE, Block.DEVICE),
    ],
)
def test_an_ack_of_another_register_names_nobody(frame: Frame, block: Block) -> None:
    for other in Block:
        expected = (3, True) if other is block else (None, False)
        assert senders(frame, ack(3, other)) == [expected]


def test_an_ack_counts_over_a_few_stray_bytes_and_the_order_stays() -> None:
    assert heard(LIVE, STRAY, STRAY, ack(5), STRAY) == [
        Attributed(LIVE, 5, acknowledged=True),
        STRAY,
        STRAY,
        ack(5),
        STRAY,
    ]


def test_what_stands_behind_a_frame_is_told_once() -> None:
    again = Attributed(LIVE, 5, acknowledged=True)
    assert heard(LIVE, STRAY, ack(5), LIVE, ack(5)) == [
        *(again, STRAY, ack(5)),
        *(again, ack(5)),
    ]


def test_an_ack_far_behind_a_frame_is_not_its_own() -> None:
    far = Discarded(17)
    assert heard(LIVE, far, ack(5)) == [Attributed(LIVE, None), far, ack(5)]


@pytest.mark.parametrize("block", Block)
def test_an_ack_with_another_address_than_the_request_names_nobody(
    block: Block,
) -> None:
    frame = frame_of(pack(address=2), block)
    assert senders(trigger(2, block), frame, ack(3, block)) == [(None, False)]
    assert senders(trigger(2, block), frame, STRAY, ack(3, block)) == [(None, False)]
    # What was asked before and answered has no say in it.
    asked = (trigger(2, block), frame, ack(2, block))
    assert senders(*asked, frame, ack(3, block)) == [(2, True), (3, True)]


def test_a_master_speaks_behind_a_request_that_nobody_answered() -> None:
    assert senders(trigger(15, Block.LIVE), LIVE, ack(0)) == [(0, True)]
    request = trigger(15, Block.SETTINGS)
    own = ack(0, Block.SETTINGS)
    assert senders(request, SETTINGS_OF_0, own) == [(0, True)]
    assert senders(request, SETTINGS_OF_3, own) == [(None, False)]


def test_without_an_ack_the_request_before_names_the_sender() -> None:
    assert senders(trigger(4, Block.LIVE), LIVE) == [(4, False)]
    assert senders(trigger(4, Block.LIVE), STRAY, LIVE, trigger(5, Block.LIVE)) == [
        (4, False)
    ]


def test_a_request_for_another_block_names_nobody() -> None:
    assert senders(trigger(4, Block.SETTINGS), LIVE) == [(None, False)]
    assert senders(WriteRequest(4, 0x1070, bytes(4)), LIVE) == [(None, False)]


def test_a_request_is_answered_once() -> None:
    assert senders(trigger(4, Block.LIVE), LIVE, LIVE) == [(4, False), (None, False)]


def test_a_frame_that_nobody_asked_for_is_the_masters() -> None:
    assert senders(ack(4), LIVE, trigger(5, Block.LIVE)) == [(0, False)]


def test_a_frame_at_the_start_of_a_recording_is_nobodys() -> None:
    assert senders(LIVE) == [(None, False)]


def test_after_a_request_without_an_ack_nothing_is_taken_for_the_masters() -> None:
    """The second frame may be the answer to a request that noise has eaten."""
    assert senders(ack(0), trigger(4, Block.LIVE), LIVE, LIVE) == [
        (4, False),
        (None, False),
    ]


def test_settings_that_name_another_address_are_not_attributed_by_their_order() -> None:
    ask = trigger(3, Block.SETTINGS)
    assert senders(ask, SETTINGS_OF_3) == [(3, False)]
    assert senders(ask, SETTINGS_OF_0) == [(None, False)]
    assert senders(ack(4), SETTINGS_OF_0) == [(0, False)]
    assert senders(ack(4), SETTINGS_OF_3) == [(None, False)]
    # The address in the settings is a setting; the ACK is the proof.
    assert senders(SETTINGS_OF_0, ack(7, Block.SETTINGS)) == [(7, True)]


def test_a_log_is_attributed_like_any_frame() -> None:
    (log,) = (Frame(g.data) for g in golden_frames() if g.type == 5)
    assert senders(log, Ack(1, 0x1624, 1)) == [(1, True)]
    assert senders(log, Ack(1, 0x1622, 1)) == [(None, False)]
    assert senders(WriteRequest(1, 0x1624, b"\0\0"), log) == [(1, False)]


def test_everything_else_passes_in_its_order() -> None:
    refusal = ExceptionReply(1, 0x10, 2)
    assert heard(STRAY, refusal, LIVE, refusal, ack(1)) == [
        STRAY,
        refusal,
        Attributed(LIVE, None),
        refusal,
        ack(1),
    ]


def test_the_cycle_of_a_master_is_attributed_whole() -> None:
    cycle: list[Item] = [
        LIVE,
        ack(0),
        SETTINGS_OF_0,
        ack(0, Block.SETTINGS),
        trigger(3, Block.LIVE),
        LIVE,
        ack(3),
        trigger(3, Block.SETTINGS),
        SETTINGS_OF_3,
        ack(3, Block.SETTINGS),
        *(trigger(address, Block.LIVE) for address in range(4, 16)),
    ]
    assert senders(*cycle, *cycle) == [(0, True), (0, True), (3, True), (3, True)] * 2
