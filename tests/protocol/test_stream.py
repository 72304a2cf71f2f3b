"""The framer: whatever the chunks, whatever lies between, all intact items and no others."""

from random import Random
from typing import Any, Final

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol import stream
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    FRAME_SIZE,
    MAGIC,
    Ack,
    Discarded,
    ExceptionReply,
    Frame,
    Item,
    ReadReply,
    ReadRequest,
    WriteRequest,
    build_frame,
    sum8,
    trigger,
)
from custom_components.jkbms.protocol.stream import Framer

from .helpers import (
    ack_of,
    answer_of,
    frame_of,
    framed,
    merged,
    noisy_stream,
    pack,
    read_sizes,
)

LIVE: Final = frame_of(pack(), Block.LIVE)
SETTINGS: Final = frame_of(pack(), Block.SETTINGS)
REQUEST: Final = trigger(1, Block.LIVE)
ACK: Final = Ack(1, Block.LIVE.trigger, 1)
TRANSACTION: Final = REQUEST.encode() + LIVE.data + ACK.encode()


def holds_back(framer: Framer) -> bool:
    return framer.incomplete


def only(items: list[Item], kind: type[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def test_a_transaction_may_be_cut_anywhere() -> None:
    for cut in range(len(TRANSACTION) + 1):
        assert framed(TRANSACTION, [cut]) == [REQUEST, LIVE, ACK]


def test_a_transaction_may_come_byte_by_byte() -> None:
    assert framed(TRANSACTION, [1] * len(TRANSACTION)) == [REQUEST, LIVE, ACK]


def test_a_stray_byte_anywhere_costs_no_more_than_what_it_hits() -> None:
    for at in range(len(TRANSACTION) + 1):
        torn = TRANSACTION[:at] + b"\xa5" + TRANSACTION[at:]
        items = framed(torn + TRANSACTION, [64] * 20)
        assert items[-3:] == [REQUEST, LIVE, ACK]
        for item in items[:-3]:
            assert item in (REQUEST, LIVE, ACK) or isinstance(item, Discarded)


def test_a_frame_that_lost_its_end_takes_nothing_with_it() -> None:
    for lost in range(1, FRAME_SIZE):
        torn = REQUEST.encode() + LIVE.data[:-lost] + ACK.encode()
        items = framed(torn + TRANSACTION, [37] * 20)
        assert merged(items) == [REQUEST, 300 - lost, ACK, REQUEST, LIVE, ACK]


@pytest.mark.parametrize("lost", [1, 3, 4, 5, 6, 150, 299])
def test_a_frame_that_lost_its_beginning_takes_nothing_with_it(lost: int) -> None:
    items = framed(LIVE.data[lost:] + ACK.encode() + TRANSACTION)
    assert merged(items) == [300 - lost, ACK, REQUEST, LIVE, ACK]


@pytest.mark.parametrize("follows", ["ack", "request", "frame"])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_torn_frame_whose_sum_fits_by_chance_is_not_believed(
    follows: str, size: int
) -> None:
    """One in 256 does; here it is made to, with what follows as its end."""
    rest = {"ack": ACK.encode(), "request": REQUEST.encode(), "frame": b""}[follows]
    rest += TRANSACTION
    for lost in (*range(1, 20), 60, 99):
        frame = bytearray(LIVE.data)
        frame[200] = 0
        window = bytes(frame[: 300 - lost]) + rest[:lost]
        frame[200] = window[299] - sum8(window) & 0xFF
        window = bytes(frame[: 300 - lost]) + rest[:lost]
        assert sum8(window) == window[299]
        data = bytes(frame[: 300 - lost]) + rest
        items = framed(data, [size] * (len(data) // size))
        assert only(items, Frame) == [LIVE]
        assert items[-3:] == [REQUEST, LIVE, ACK]


@pytest.mark.parametrize("lost", [1, 2, 3, 8, 11])
def test_the_request_behind_a_torn_frame_is_told_as_soon_as_it_is_whole(
    lost: int,
) -> None:
    """Nothing in the frame itself looks like the beginning of one."""
    rest = REQUEST.encode()
    frame = bytearray(LIVE.data[: FRAME_SIZE - lost].replace(b"\x10", b"\x11"))
    frame[200] = 0
    window = bytes(frame) + rest[:lost]
    frame[200] = window[299] - sum8(window) & 0xFF
    window = bytes(frame) + rest[:lost]
    assert sum8(window) == window[299]
    assert b"\x10" not in frame
    framer = Framer()
    assert framer.feed(bytes(frame) + rest[:-1]) == []
    assert framer.feed(rest[-1:]) == [Discarded(FRAME_SIZE - lost), REQUEST]
    framer = Framer()
    assert framer.feed(bytes(frame) + rest) == [Discarded(FRAME_SIZE - lost), REQUEST]


def test_a_frame_whose_end_looks_like_a_head_is_still_a_frame() -> None:
    for end in (b"\x01", b"\x01\x10", b"\x01\x10\x16", b"\x01\x10\x16\x20\x00"):
        frame = bytearray(LIVE.data)
        frame[299 - len(end) : 299] = end
        frame[299] = sum8(bytes(frame))
        data = bytes(frame)
        assert framed(data + ACK.encode()) == [Frame(data), ACK]
        assert framed(data) == [Frame(data)]
        framer = Framer()
        assert only(framer.feed(data) + framer.flush(), Frame) == [Frame(data)]


def test_a_sum_that_looks_like_an_address_waits_for_one_more_byte() -> None:
    block = bytearray(LIVE.data[6:299])
    block[200] = block[200] + 1 - LIVE.data[299] & 0xFF
    frame = build_frame(2, bytes(block))
    assert frame[299] == 1
    framer = Framer()
    assert framer.feed(frame) == []
    assert framer.incomplete
    assert framer.feed(ACK.encode()[:1]) == [Frame(frame)]
    assert framer.feed(ACK.encode()[1:]) == [ACK]


@pytest.mark.parametrize(
    "between",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\xff" * 7,
        b"\x55",
        MAGIC[:3],
        MAGIC,
        MAGIC + b"\x02",
        MAGIC + b"\x02\x05" + bytes(40),
        b"\x01\x10\x16",
        b"\x01\x10\x16\x20\x00\x01",
        REQUEST.encode()[:-1],
        b"\x01\x03\x12\xa0",
        b"\x01\x83\x02\xc0",
        LIVE.data[:100],
    ],
    ids=bytes.hex,
)
def test_what_lies_between_two_transactions_is_skipped(between: bytes) -> None:
    for size in (1, 3, 64, 2000):
        items = framed(TRANSACTION + between + TRANSACTION, [size] * 700)
        expected: list[Item | int] = [REQUEST, LIVE, ACK, REQUEST, LIVE, ACK]
        if between:
            expected.insert(3, len(between))
        assert merged(items) == expected


def test_padding_before_and_behind_the_ack_is_skipped() -> None:
    data = REQUEST.encode() + LIVE.data + b"\0" + ACK.encode() + b"\0" + TRANSACTION
    assert merged(framed(data)) == [REQUEST, LIVE, 1, ACK, 1, REQUEST, LIVE, ACK]


def test_frames_that_stick_together_are_parted() -> None:
    assert framed(LIVE.data * 3 + SETTINGS.data) == [LIVE, LIVE, LIVE, SETTINGS]


def test_a_frame_interleaved_with_another_is_dropped_and_the_inner_one_kept() -> None:
    data = SETTINGS.data[:32] + LIVE.data + ACK.encode() + SETTINGS.data[32:]
    assert only(framed(data, [32] * 30), Frame) == [LIVE]


def test_a_head_inside_a_frame_does_not_begin_another() -> None:
    """Four bytes of a payload can be the magic; the frame around it is dropped, no other invented."""
    frame = bytearray(LIVE.data)
    frame[100:104] = MAGIC
    frame[299] = sum8(bytes(frame))
    items = framed(bytes(frame) + ACK.encode() + TRANSACTION)
    assert only(items, Frame) == [LIVE]


@pytest.mark.parametrize(("address", "kept"), [(0, 0), (15, 0), (16, 1), (17, 1)])
def test_an_ack_inside_spoils_a_frame_where_it_can_be_one(
    address: int, kept: int
) -> None:
    frame = bytearray(LIVE.data)
    frame[100:108] = Ack(address, 0x1620, 1).encode()
    frame[299] = sum8(bytes(frame))
    assert len(only(framed(bytes(frame) + ACK.encode()), Frame)) == kept


@pytest.mark.parametrize("frame_type", [0x00, 0x04, 0x07, 0xFF])
def test_a_frame_of_an_unknown_type_is_none(frame_type: int) -> None:
    frame = build_frame(frame_type, LIVE.data[6:299])
    assert framed(frame) == [Discarded(300)]


def test_a_block_of_another_size_makes_no_frame() -> None:
    with pytest.raises(ValueError, match="293"):
        build_frame(2, bytes(292))


# -- requests and answers -----------------------------------------------------------

MESSAGES: Final[list[Item]] = [
    WriteRequest(5, 0x1070, b"\0\0\0\1"),
    WriteRequest(5, 0x1114, b"\x32\x51"),
    WriteRequest(15, 0x1470, bytes(range(12))),
    Ack(5, 0x1070, 2),
    Ack(0, 0x161E, 1),
    ReadRequest(9, 0x1200, 120),
    ExceptionReply(3, 0x10, 2),
    ExceptionReply(3, 0x03, 11),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_message_is_read_as_it_was_built(message: Any, size: int) -> None:
    data = message.encode()
    assert framed(data, [size] * len(data)) == [message]
    assert framed(data + data, [size] * 2 * len(data)) == [message] * 2


def test_more_different_messages_than_are_remembered_are_all_read() -> None:
    # What a hostile peer says once takes no memory for good.
    acks = [
        Ack(n % 16, 0x1000 + 4 * (n // 16), 2)
        for n in range(stream._MESSAGES_KEPT + 50)  # noqa: SLF001 -- the limit itself
    ]
    data = b"".join(ack.encode() for ack in acks)
    framer = Framer()
    assert only(framer.feed(data), Ack) == acks
    assert len(framer._known) <= stream._MESSAGES_KEPT  # noqa: SLF001 -- no other way


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_a_message_with_a_damaged_bit_is_none(message: Any) -> None:
    data = message.encode()
    for place in range(8 * len(data)):
        broken = bytearray(data)
        broken[place // 8] ^= 1 << place % 8
        assert not [
            item for item in framed(bytes(broken)) if not isinstance(item, Discarded)
        ]


def test_a_request_is_not_taken_for_an_ack_though_they_begin_alike() -> None:
    for address in range(16):
        for block in Block:
            request = trigger(address, block)
            for cut in range(1, 11):
                assert framed(request.encode(), [cut]) == [request]


@pytest.mark.parametrize(
    "data",
    [
        Ack(16, 0x1620, 1).encode(),
        Ack(1, 0x1621, 1).encode(),
        Ack(1, 0x0FFE, 1).encode(),
        Ack(1, 0x1700, 1).encode(),
        Ack(1, 0x1620, 0).encode(),
        Ack(1, 0x1620, 9).encode(),
        ReadRequest(1, 0x1600, 1).encode(),
        ReadRequest(1, 0x1200, 126).encode(),
        ReadRequest(1, 0x1201, 1).encode(),
        ExceptionReply(1, 0x10, 7).encode(),
        ExceptionReply(1, 0x06, 2).encode(),
        ReadReply(1, b"\0\0\0\0").encode(),
    ],
    ids=bytes.hex,
)
def test_what_no_bms_says_is_noise_though_its_sum_fits(data: bytes) -> None:
    assert framed(data) == [Discarded(len(data))]


READ: Final = ReadRequest(1, 0x1290, 2)
REPLY: Final = ReadReply(1, b"\0\0\xc0\x29")


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_reply_that_was_asked_for_is_read(size: int) -> None:
    framer = Framer()
    framer.expect_read(READ)
    data = REPLY.encode()
    items = [
        i for at in range(0, len(data), size) for i in framer.feed(data[at : at + size])
    ]
    assert items == [REPLY]
    assert framer.flush() == []
    # Each was asked for once.
    assert framer.feed(data) + framer.flush() == [Discarded(len(data))]


def test_a_reply_to_somebody_elses_request_is_read() -> None:
    assert framed(READ.encode() + REPLY.encode(), [1] * 30) == [READ, REPLY]


@pytest.mark.parametrize(
    "reply", [ReadReply(2, b"\0\0\xc0\x29"), ReadReply(1, b"\0\0\xc0\x29\0\0")]
)
def test_a_reply_from_another_or_of_another_length_is_none(reply: ReadReply) -> None:
    framer = Framer()
    framer.expect_read(READ)
    items = framer.feed(reply.encode()) + framer.flush()
    assert [type(item) for item in items] == [Discarded]


def test_a_reply_that_could_be_a_request_is_told_by_its_sum() -> None:
    """Its count of bytes is the high byte of a register then."""
    reply = ReadReply(1, bytes(0x12))
    framer = Framer()
    framer.expect_read(ReadRequest(1, 0x1200, 9))
    assert framer.feed(reply.encode()[:10]) == []
    assert framer.feed(reply.encode()[10:]) == [reply]
    framer.expect_read(ReadRequest(1, 0x1200, 9))
    request = ReadRequest(1, 0x1200, 9)
    assert framer.feed(request.encode()) == [request]


def test_a_reply_with_a_wrong_sum_is_none() -> None:
    framer = Framer()
    framer.expect_read(READ)
    broken = REPLY.encode()[:-1] + b"\0"
    assert framer.feed(broken) + framer.flush() == [Discarded(9)]


# -- silence, and beginning anew ----------------------------------------------------


def test_silence_ends_what_is_incomplete() -> None:
    framer = Framer()
    assert framer.feed(LIVE.data[:250]) == []
    assert holds_back(framer)
    assert merged(framer.flush()) == [250]
    assert not holds_back(framer)
    assert framer.feed(LIVE.data + ACK.encode()) == [LIVE, ACK]


def test_silence_finds_what_stood_behind_a_false_head() -> None:
    framer = Framer()
    assert framer.feed(MAGIC + b"\x02" + REQUEST.encode()) == []
    assert merged(framer.flush()) == [5, REQUEST]


def test_a_link_opened_anew_begins_with_an_empty_buffer() -> None:
    framer = Framer()
    framer.expect_read(READ)
    framer.feed(b"\xee" * 5 + LIVE.data[:100])
    framer.clear()
    assert not framer.incomplete
    assert framer.feed(REPLY.encode()) + framer.flush() == [Discarded(9)]


# -- by chance ----------------------------------------------------------------------

FRAMES: Final = [
    frame_of(pack(kind), block).data for kind in range(7) for block in Block
]
JUNK: Final = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda a, b: a + MAGIC + b, st.binary(max_size=9), st.binary(max_size=9)),
    st.sampled_from([b"", b"\0", REQUEST.encode()[:7], ACK.encode()[:5], MAGIC[:2]]),
)
TORN: Final = st.builds(
    lambda frame, cut: frame[:cut], st.sampled_from(FRAMES), st.integers(1, 299)
)
PIECE: Final = st.one_of(
    st.sampled_from(FRAMES).map(lambda data: (data, Frame(data))),
    st.builds(trigger, st.integers(0, 15), st.sampled_from(Block)).map(
        lambda r: (r.encode(), r)
    ),
    st.builds(
        Ack, st.integers(0, 15), st.sampled_from([b.trigger for b in Block]), st.just(1)
    ).map(lambda a: (a.encode(), a)),
    JUNK.map(lambda data: (data, None)),
)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(PIECE, max_size=12),
    sizes=st.lists(st.integers(1, 400), max_size=60),
)
@example(pieces=[(MAGIC, None), (FRAMES[0], Frame(FRAMES[0]))], sizes=[1] * 60)
def test_all_that_was_sent_is_found_and_nothing_else(
    pieces: list[tuple[bytes, Item | None]], sizes: list[int]
) -> None:
    data = b"".join(piece for piece, _ in pieces)
    items = framed(data, sizes)
    sent = [item for _, item in pieces if item is not None]
    assert [item for item in items if not isinstance(item, Discarded)] == sent
    left = len(data) - sum(len(piece) for piece, item in pieces if item is not None)
    assert sum(item.count for item in items if isinstance(item, Discarded)) == left


@settings(max_examples=150, deadline=None)
@given(
    torn=st.lists(TORN, min_size=1, max_size=4),
    ack=st.integers(0, 15),
    sizes=st.lists(st.integers(1, 400), max_size=60),
)
def test_torn_frames_followed_by_others_are_never_believed(
    torn: list[bytes], ack: int, sizes: list[int]
) -> None:
    data = b"".join(piece + ack_of(ack, Block.LIVE) for piece in torn) + TRANSACTION
    items = framed(data, sizes)
    assert only(items, Frame) == [LIVE]
    assert len(only(items, Ack)) == len(torn) + 1


@settings(max_examples=150, deadline=None)
@given(
    inside=st.integers(1, 299),
    junk=st.binary(min_size=1, max_size=20),
    frame=st.sampled_from(FRAMES),
)
def test_noise_inside_a_frame_spoils_that_frame_alone(
    inside: int, junk: bytes, frame: bytes
) -> None:
    spoilt = frame[:inside] + junk + frame[inside:]
    whole = Frame(frame)
    items = only(framed(spoilt + ACK.encode() + TRANSACTION), Frame)
    assert items[-1] == LIVE
    # The noise may repeat what it displaces; then nothing was spoilt. One in 256 frames
    # passes its sum by chance with bytes inside; only its ACK's distance and its values tell.
    chance = spoilt[:300]
    assert all(item in (LIVE, whole) or item.data == chance for item in items)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=2000), sizes=st.lists(st.integers(1, 100), max_size=40))
def test_random_bytes_are_all_accounted_for(data: bytes, sizes: list[int]) -> None:
    items = framed(data, sizes)
    accounted = 0
    for item in items:
        match item:
            case Discarded(count=count):
                accounted += count
            case Frame():
                accounted += FRAME_SIZE
            case _:
                accounted += len(item.encode())
    assert accounted == len(data)


# -- the noisy stream of performance.md 1 -------------------------------------------


def test_the_noisy_stream_yields_181_of_181_frames_and_none_invented() -> None:
    noisy = noisy_stream(1)
    assert len(noisy.intact) == 181
    assert 60_000 < len(noisy.data) < 70_000
    for size in range(1, 129):
        items = framed(noisy.data, [size] * (len(noisy.data) // size))
        assert [f.data for f in only(items, Frame)] == noisy.intact


def test_the_noisy_stream_in_reads_of_any_size_yields_the_same() -> None:
    noisy = noisy_stream(1)
    expected = framed(noisy.data)
    for seed in range(5):
        assert merged(framed(noisy.data, read_sizes(Random(seed)))) == merged(expected)


def test_no_noise_ever_invents_or_loses_a_frame() -> None:
    for seed in range(100):
        noisy = noisy_stream(1000 + seed, transactions=100, damaged=40)
        items = framed(noisy.data, read_sizes(Random(seed)))
        assert [f.data for f in only(items, Frame)] == noisy.intact


# -- work ---------------------------------------------------------------------------


class Work:
    """Counts the bytes that sums are made of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the framer and its sums."""
        self.bytes = 0
        for name in ("sum8", "sealed"):
            monkeypatch.setattr(stream, name, self._counted(getattr(stream, name)))

    def _counted(self, function: Any) -> Any:
        def count(data: bytes) -> Any:
            self.bytes += len(data)
            return function(data)

        return count


HOSTILE: Final = {
    "magics": MAGIC + b"\x02",
    "heads": b"\x01\x10\x16\x20\x00\x01",
    "long writes": b"\x01\x10\x10\x00\x00\x08\x10",
    "reads": b"\x01\x03\x12\x00\x00\x05",
    "exceptions": b"\x01\x83\x02",
    "answers": TRANSACTION,
    "nothing": b"\xee",
    "addresses": b"\x01",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_work_grows_with_the_bytes_and_no_faster(
    name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    spent = []
    for length in (6_000, 24_000):
        data = (HOSTILE[name] * length)[:length]
        work.bytes = 0
        framed(data, [size] * (length // size))
        spent.append(work.bytes)
    # At worst every fifth byte begins a frame that has to be summed up.
    assert spent[1] <= 80 * 24_000
    assert spent[1] <= 4.5 * spent[0] + 1000


def test_bytes_held_back_never_exceed_what_one_item_can_be() -> None:
    framer = Framer()
    framer.expect_read(ReadRequest(1, 0x1200, 120))
    most = 0
    noisy = noisy_stream(3, transactions=30, damaged=10)
    for byte in noisy.data + answer_of(pack(), Block.LIVE):
        framer.feed(bytes((byte,)))
        most = max(most, len(framer._buffer))  # noqa: SLF001  # nothing public tells it
    assert most <= FRAME_SIZE + 11
