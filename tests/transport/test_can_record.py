"""The records of CAN-Ethernet gateways: whole, in pieces, and after a loss."""

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport.can_record import SIZE, RecordFramer, encode
from simulator.can import Frame
from simulator.can.sessions import encode_record

from .can_peers import numbered

EXTENDED = bytes.fromhex("85 12345678 AABBCCDDEE000000")
STANDARD = bytes.fromhex("05 00000678 1234567890000000")

MESSAGES = st.lists(
    st.one_of(
        st.builds(
            CanMessage, st.integers(0, 0x7FF), st.binary(max_size=8), st.just(False)
        ),
        st.builds(
            CanMessage, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True)
        ),
    ),
    max_size=30,
)


def test_the_vendors_examples_are_read() -> None:
    assert RecordFramer().feed(EXTENDED + STANDARD) == [
        CanMessage(0x12345678, bytes.fromhex("AABBCCDDEE"), True),
        CanMessage(0x678, bytes.fromhex("1234567890"), False),
    ]


@pytest.mark.parametrize("record", [EXTENDED, STANDARD])
def test_the_vendors_examples_are_written(record: bytes) -> None:
    (message,) = RecordFramer().feed(record)
    assert encode(message) == record


@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 40), min_size=1))
def test_any_cutting_gives_the_same_frames(
    messages: list[CanMessage], cuts: list[int]
) -> None:
    data = b"".join(map(encode, messages))
    framer, found, at, turn = RecordFramer(), [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        found += framer.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == messages
    assert framer.skipped == 0


@given(messages=MESSAGES)
def test_what_another_implementation_writes_is_read(
    messages: list[CanMessage],
) -> None:
    data = b"".join(
        encode_record(Frame(id=m.id, data=m.data, extended=m.extended))
        for m in messages
    )
    assert RecordFramer().feed(data) == messages


@given(data=st.binary(max_size=400))
def test_no_bytes_are_too_strange(data: bytes) -> None:
    framer = RecordFramer()
    for message in framer.feed(data):
        assert len(message.data) <= 8
        assert message.id <= (0x1FFFFFFF if message.extended else 0x7FF)
    assert framer.skipped <= len(data)


@pytest.mark.parametrize("lost", range(1, SIZE))
@pytest.mark.parametrize("start", [0, 3, 12])
def test_after_lost_bytes_records_are_found_again(lost: int, start: int) -> None:
    messages = [numbered(number) for number in range(60)]
    data = b"".join(map(encode, messages))
    hole = 20 * SIZE + start
    framer = RecordFramer()
    found = framer.feed(data[:hole] + data[hole + lost :])
    # What was hit is dropped, with the one that tells it in doubt; nothing is invented.
    assert set(found) <= set(messages)
    assert found == [message for message in messages if message in found]
    assert len(found) >= len(messages) - 3 - 6
    assert 0 < framer.skipped < 3 * SIZE


def test_zeros_are_not_taken_for_records() -> None:
    messages = [
        CanMessage(number, bytes([number % 7]) + bytes(7), False)
        for number in range(0x100, 0x120)
    ]
    data = b"".join(map(encode, messages))
    framer = RecordFramer()
    found = framer.feed(b"\xff\x00\x00" + data)
    assert set(found) <= set(messages)
    assert found[-1] == messages[-1]
    assert framer.skipped == 3


def test_a_stream_of_something_else_gives_nothing_and_keeps_nothing() -> None:
    framer = RecordFramer()
    for _ in range(100):
        assert framer.feed(b"\xff" * 100) == []
    assert framer.skipped > 9_900


def test_remote_frames_are_counted_and_dropped() -> None:
    framer = RecordFramer()
    remote = encode_record(Frame(id=0x2F4, remote=True, length=8))
    assert framer.feed(remote + STANDARD + remote) == RecordFramer().feed(STANDARD)
    assert framer.remote == 2
