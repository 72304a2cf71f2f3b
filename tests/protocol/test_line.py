"""The one open request of a line, and everything else that is heard meanwhile."""

from dataclasses import replace
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    MAGIC,
    Ack,
    ExceptionReply,
    ReadReply,
    ReadRequest,
    Request,
    WriteRequest,
    trigger,
)
from custom_components.jkbms.protocol.line import (
    Answered,
    Foreign,
    Late,
    Line,
    LineEvent,
    Missing,
    Refused,
    Traffic,
    Unanswered,
)
from custom_components.jkbms.protocol.pacing import SERIAL

from .helpers import ack_of, answer_of, frame_of, pack

ASK: Final = trigger(1, Block.LIVE)
WRITE: Final = WriteRequest(1, 0x1070, b"\0\0\0\0")
READ: Final = ReadRequest(1, 0x1290, 2)
FRAME: Final = frame_of(pack(), Block.LIVE)
ANSWER: Final = answer_of(pack(), Block.LIVE)
START: Final = 100.0
TIMEOUT: Final = 0.5


def asking(request: Request = ASK, own: tuple[int, ...] = (1, 2)) -> Line:
    line = Line(SERIAL, own)
    assert line.send(request, START, TIMEOUT) == request.encode()
    assert line.busy
    return line


def about(seconds: float) -> Any:
    return pytest.approx(seconds)


def deadline(line: Line) -> float | None:
    return line.deadline


def receive(line: Line, data: bytes, at: float = 0.02) -> list[LineEvent]:
    return list(line.receive(data, START + at))


def tick(line: Line, at: float) -> list[LineEvent]:
    return list(line.tick(START + at))


def test_an_answer_has_its_frame_and_the_time_it_took() -> None:
    line = asking()
    assert receive(line, ANSWER[:100], 0.015) == []
    assert receive(line, ANSWER[100:], 0.045) == [
        Answered(ASK, about(0.015), frame=FRAME)
    ]
    assert not line.busy
    assert line.deadline is None
    assert line.last_byte == START + 0.045
    assert line.traffic == {
        Traffic.REQUESTS: 1,
        Traffic.ANSWERS: 1,
        Traffic.BYTES: 308,
    }


def test_a_write_is_answered_by_its_bare_ack() -> None:
    line = asking(WRITE)
    assert receive(line, Ack(1, 0x1070, 2).encode()) == [Answered(WRITE, about(0.02))]


def test_a_read_is_answered_by_its_words() -> None:
    line = asking(READ)
    data = b"\0\0\xc0\x29"
    assert receive(line, ReadReply(1, data).encode()) == [
        Answered(READ, about(0.02), data=data)
    ]


def test_a_reply_that_comes_after_it_was_given_up_is_told_to_be_late() -> None:
    line = asking(READ)
    tick(line, 0.6)
    assert receive(line, ReadReply(1, bytes(4)).encode(), 0.7) == [Late(1)]
    assert line.traffic[Traffic.LATE] == 1
    # A read heard and its reply are somebody else's.
    events = receive(line, READ.encode() + ReadReply(1, bytes(4)).encode(), 5.0)
    assert events[0] == Foreign(1)


def test_silence_ends_a_request() -> None:
    line = asking()
    assert line.deadline == START + TIMEOUT
    assert tick(line, 0.49) == []
    assert tick(line, 0.5) == [Unanswered(ASK, Missing.SILENT)]
    assert deadline(line) is None
    assert tick(line, 0.6) == []
    assert line.traffic[Traffic.SILENT] == 1


def test_a_torn_answer_is_damage_not_silence() -> None:
    line = asking()
    assert receive(line, ANSWER[:200], 0.49) == []
    # The rest may still come: the wait is a gap longer.
    assert line.deadline == pytest.approx(START + 0.59)
    assert tick(line, 0.5) == []
    assert tick(line, 0.6) == [Unanswered(ASK, Missing.DAMAGED)]
    assert line.traffic[Traffic.DAMAGED] == 1
    assert line.traffic[Traffic.DISCARDED] == 200


def test_noise_never_makes_a_wait_endless() -> None:
    line = asking()
    events: list[LineEvent] = []
    now = 0.0
    while not events:
        now += 0.02
        events = receive(line, MAGIC + b"\x02", now) + tick(line, now)
        assert now < 2
    assert events == [Unanswered(ASK, Missing.DAMAGED)]
    assert now <= TIMEOUT + 3 * SERIAL.gap + 0.03


def test_noise_alone_counts_as_damage() -> None:
    line = asking()
    receive(line, b"\xee" * 9)
    assert tick(line, 0.7) == [Unanswered(ASK, Missing.DAMAGED)]


@pytest.mark.parametrize("before", [0, 1, 16])
def test_an_answer_may_have_padding_before_its_ack(before: int) -> None:
    line = asking()
    padded = FRAME.data + bytes(before) + ack_of(1, Block.LIVE) + b"\0"
    assert [type(event) for event in receive(line, padded)] == [Answered]


def test_an_ack_too_far_behind_its_frame_proves_nothing() -> None:
    line = asking()
    padded = FRAME.data + bytes(17) + ack_of(1, Block.LIVE)
    assert receive(line, padded) == [Unanswered(ASK, Missing.DAMAGED)]


def test_an_ack_without_a_frame_is_damage() -> None:
    assert receive(asking(), ack_of(1, Block.LIVE)) == [
        Unanswered(ASK, Missing.DAMAGED)
    ]


def test_a_frame_without_an_ack_is_damage() -> None:
    line = asking()
    receive(line, FRAME.data, 0.45)
    assert tick(line, 0.5) == []
    assert tick(line, 0.55) == [Unanswered(ASK, Missing.DAMAGED)]


def test_a_frame_of_another_block_is_no_answer() -> None:
    other = frame_of(pack(), Block.SETTINGS).data
    assert receive(asking(), other + ack_of(1, Block.LIVE)) == [
        Unanswered(ASK, Missing.DAMAGED)
    ]


def test_the_last_frame_before_the_ack_is_the_answer() -> None:
    line = asking()
    other = frame_of(pack(1), Block.LIVE)
    assert receive(line, other.data + ANSWER) == [
        Answered(ASK, about(0.02), frame=FRAME)
    ]


def test_an_ack_of_another_bms_takes_its_frame_with_it() -> None:
    line = asking()
    assert receive(line, FRAME.data + ack_of(2, Block.LIVE)) == [Late(2)]
    assert line.busy
    assert receive(line, ack_of(1, Block.LIVE)) == [Unanswered(ASK, Missing.DAMAGED)]


def test_an_answer_after_its_time_is_late() -> None:
    line = asking()
    tick(line, 0.5)
    assert receive(line, ANSWER, 0.9) == [Late(1)]
    assert line.traffic[Traffic.LATE] == 1


def test_an_ack_of_another_quantity_is_not_ours() -> None:
    assert receive(asking(WRITE), Ack(1, 0x1070, 1).encode()) == [Late(1)]


def test_an_exception_refuses_a_write_and_a_read() -> None:
    for request, function in ((WRITE, 0x10), (READ, 0x03), (ASK, 0x10)):
        line = asking(request)
        assert receive(line, ExceptionReply(1, function, 2).encode()) == [
            Refused(request, 2)
        ]
        assert not line.busy
        assert line.traffic[Traffic.REFUSALS] == 1


@pytest.mark.parametrize(
    "refusal", [ExceptionReply(2, 0x10, 2), ExceptionReply(1, 0x03, 2)]
)
def test_an_exception_of_another_is_not_ours(refusal: ExceptionReply) -> None:
    line = asking(WRITE)
    assert receive(line, refusal.encode()) == []
    assert line.busy
    tick(line, 0.6)
    assert receive(line, refusal.encode(), 0.7) == []


# -- echo ---------------------------------------------------------------------------


def test_an_echo_is_counted_and_not_taken_for_another_master() -> None:
    line = asking()
    assert receive(line, ASK.encode() + ANSWER[:50], 0.02) == []
    assert line.traffic[Traffic.ECHOES] == 1
    assert [type(event) for event in receive(line, ANSWER[50:], 0.05)] == [Answered]


def test_an_echo_alone_is_silence() -> None:
    line = asking()
    assert receive(line, ASK.encode(), 0.002) == []
    assert tick(line, 0.5) == [Unanswered(ASK, Missing.SILENT)]


def test_an_echo_in_pieces_is_not_the_beginning_of_the_answer() -> None:
    line = asking()
    assert receive(line, ASK.encode()[:4], 0.001) == []
    assert receive(line, ASK.encode()[4:], 0.002) == []
    assert receive(line, ANSWER, 0.3) == [Answered(ASK, about(0.3), frame=FRAME)]


def test_part_of_an_echo_is_noise_before_the_answer() -> None:
    line = asking()
    assert [type(e) for e in receive(line, ASK.encode()[:6] + ANSWER)] == [Answered]
    line = asking()
    assert [type(e) for e in receive(line, ASK.encode()[3:] + ANSWER)] == [Answered]


def test_an_echo_may_come_as_late_as_the_answer() -> None:
    line = asking()
    tick(line, 0.5)
    line.send(trigger(2, Block.LIVE), START + 0.6, TIMEOUT)
    assert receive(line, ASK.encode(), 0.7) == []
    assert receive(line, trigger(2, Block.LIVE).encode(), 0.8) == []
    assert line.traffic[Traffic.ECHOES] == 2


def test_an_echo_may_come_when_nothing_is_awaited_any_more() -> None:
    line = asking()
    tick(line, 0.5)
    assert receive(line, ASK.encode(), 0.7) == []
    assert line.traffic[Traffic.ECHOES] == 1


def test_the_same_request_twice_is_once_an_echo() -> None:
    line = asking()
    assert receive(line, ASK.encode() * 2) == [Foreign(1)]
    assert line.traffic[Traffic.FOREIGN] == 1


def test_the_echoes_of_the_last_eight_requests_are_known() -> None:
    """Of more than these any request would be taken for an echo."""
    line = Line(SERIAL, range(1, 10))
    for address in range(1, 10):
        line.send(trigger(address, Block.LIVE), START + 0.1 * address, 0.05)
        tick(line, 0.1 * address + 0.06)
    assert receive(line, trigger(1, Block.LIVE).encode(), 1.0) == [Foreign(1)]
    for address in range(2, 10):
        assert receive(line, trigger(address, Block.LIVE).encode(), 1.0) == []
    assert line.traffic[Traffic.ECHOES] == 8


def test_our_own_request_long_after_is_somebody_elses() -> None:
    line = asking()
    tick(line, 0.5)
    assert receive(line, ASK.encode(), 3.5) == [Foreign(1)]


# -- somebody else ------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_", [trigger(7, Block.LIVE), ReadRequest(7, 0x1200, 1), WRITE]
)
def test_a_request_that_is_not_ours_is_foreign(request_: Request) -> None:
    line = asking()
    assert receive(line, request_.encode()) == [Foreign(request_.address)]


def test_an_ack_of_address_0_announces_a_master() -> None:
    assert receive(asking(), FRAME.data + ack_of(0, Block.LIVE)) == [Foreign(0)]


def test_an_ack_of_address_0_is_an_answer_where_we_ask_it() -> None:
    line = asking(replace(ASK, address=0), own=(0,))
    assert [type(e) for e in receive(line, FRAME.data + ack_of(0, Block.LIVE))] == [
        Answered
    ]
    assert receive(line, ack_of(0, Block.LIVE), 1.0) == [Late(0)]


def test_a_foreign_answer_without_a_request_of_ours_is_late() -> None:
    line = Line(SERIAL, (1,))
    assert receive(line, ANSWER) == [Late(1)]
    assert receive(line, b"\xee" * 3) == []


def test_bytes_that_wait_for_more_are_given_up_after_a_gap() -> None:
    line = Line(SERIAL, (1,))
    receive(line, FRAME.data[:100], 0.0)
    assert line.deadline == START + SERIAL.gap
    assert tick(line, 0.05) == []
    assert tick(line, 0.11) == []
    assert deadline(line) is None
    assert line.traffic[Traffic.DISCARDED] == 100


def test_a_link_opened_anew_has_forgotten_what_was_under_way() -> None:
    line = asking()
    receive(line, ANSWER[:100])
    line.reset()
    assert not line.busy
    assert line.deadline is None
    assert line.last_byte == float("-inf")
    assert receive(line, ANSWER[100:], 1.0) == [Late(1)]
    # But not what was sent: a gateway may hand the echo to its next client.
    assert receive(line, ASK.encode(), 1.1) == []
    assert receive(line, ASK.encode(), 1.2) == [Foreign(1)]
