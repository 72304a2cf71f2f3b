"""Framing of `4E 57`: what is whole is found, what is damaged yields nothing."""

from collections.abc import Iterator

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol.ttl import frames
from custom_components.jkbms.protocol.ttl.frames import (
    LENGTH_MAX,
    Command,
    Message,
    Source,
    Transport,
    activate,
    is_whole,
    pair,
    read_all,
    sum16,
    write,
)
from custom_components.jkbms.protocol.ttl.stream import Framer
from simulator.ttl import frame_of
from tests.captures import Capture, ttl_answers

from .answers import E1, E2, RECORDED, answer, content, message

GOOD = [capture for capture in ttl_answers() if capture.checksum_ok]


@pytest.mark.parametrize(
    ("made", "documented"),
    [
        (read_all(0), "4E57001300000000060300000000000068 00000129"),
        (activate(0), "4E57001300000000010300000000000068 00000124"),
        (pair(0), "4E5700140000000005020000000000000068 00000128"),
        (write(0, 0xAB, 1), "4E57001400000000020200AB010000000068 000001D1"),
        (write(0, 0xAB, 0), "4E57001400000000020200AB000000000068 000001D0"),
        (write(0, 0xAC, 1), "4E57001400000000020200AC010000000068 000001D2"),
        (write(0, 0xAC, 0), "4E57001400000000020200AC000000000068 000001D1"),
        (write(0, 0x9D, 1), "4E570014000000000202009D010000000068 000001C3"),
        (write(0, 0x9D, 0), "4E570014000000000202009D000000000068 000001C2"),
    ],
)
def test_requests_are_those_that_are_proven(made: Message, documented: str) -> None:
    assert made.encode() == bytes.fromhex(documented)
    assert message(made.encode()) == made


def test_the_request_of_the_captures_is_ours() -> None:
    assert read_all(0).encode() == RECORDED["ttl-req-readall"]


@pytest.mark.parametrize("capture", GOOD, ids=lambda capture: capture.id)
def test_every_recorded_message_is_whole(capture: Capture) -> None:
    data = capture.data
    assert is_whole(data)
    assert sum16(data) == sum(data[:-4]) & 0xFFFF


def test_an_answer_says_who_speaks_and_to_what() -> None:
    said = message(E1)
    assert (said.terminal, said.command) == (0, Command.READ_ALL)
    assert (said.source, said.transport) == (Source.BMS, Transport.ANSWER)
    assert said.content[:2] == b"\x79\x30"


def test_the_simulator_builds_the_same_frame() -> None:
    assert frame_of(0, 6, content()) == E1
    assert frame_of(7, 6, content()) == answer(content(), 7)


@given(st.binary(min_size=1, max_size=481), st.integers(0, 0xFFFFFFFF))
@example(b"\x79", 0xFFFFFFFF)
def test_what_is_encoded_is_read_back(data: bytes, terminal: int) -> None:
    sent = Message(terminal, 6, 0, 1, data)
    framer = Framer()
    assert framer.feed(sent.encode()) == [sent]
    assert not framer.incomplete
    assert not framer.noisy


UNUSED = (len(E2) - 4, len(E2) - 3)
"""A second sum that nobody uses."""


@pytest.mark.parametrize("place", [n for n in range(len(E2)) if n not in UNUSED])
def test_one_changed_byte_is_noticed(place: int) -> None:
    for change in (0x01, 0x80, 0xFF):
        data = bytearray(E2)
        data[place] ^= change
        framer = Framer()
        assert framer.feed(bytes(data)) + framer.flush() == []
        assert framer.discarded == len(data)
        assert framer.noisy


def test_a_truncated_answer_yields_nothing() -> None:
    cut = RECORDED["ttl-armin-truncated"]
    framer = Framer()
    assert framer.feed(cut) == []
    assert framer.incomplete
    assert framer.flush() == []
    assert framer.discarded == len(cut)
    for length in range(len(E1)):
        framer = Framer()
        assert framer.feed(E1[:length]) + framer.flush() == []


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@given(
    st.lists(st.sampled_from([E1, E2, read_all(3).encode()]), min_size=1, max_size=4),
    st.lists(st.integers(1, 300), max_size=20),
)
def test_pieces_of_any_size_make_the_same_messages(
    frames_sent: list[bytes], sizes: list[int]
) -> None:
    framer = Framer()
    heard = [m for p in pieces(b"".join(frames_sent), sizes) for m in framer.feed(p)]
    assert heard == [message(frame) for frame in frames_sent]
    assert framer.discarded == 0


@settings(max_examples=200)
@given(st.binary(max_size=700), st.lists(st.integers(1, 90), max_size=30))
def test_noise_yields_nothing_and_is_all_counted(
    noise: bytes, sizes: list[int]
) -> None:
    framer = Framer()
    heard = [m for piece in pieces(noise, sizes) for m in framer.feed(piece)]
    heard += framer.flush()
    assert all(is_whole(m.encode()) for m in heard)
    taken = sum(len(m.encode()) for m in heard)
    assert framer.discarded == len(noise) - taken
    assert not framer.incomplete


@given(
    st.binary(max_size=80).map(lambda noise: noise.replace(b"\x4e", b"\x4f")),
    st.integers(0, 3),
)
def test_the_answer_behind_noise_is_found(noise: bytes, false_heads: int) -> None:
    framer = Framer()
    heads = b"NW\x00\x30" * false_heads
    heard = framer.feed(noise + heads + E1) + framer.flush()
    assert heard == [message(E1)]
    assert framer.discarded == len(noise) + len(heads)


def test_a_false_head_that_claims_much_is_given_up_in_silence() -> None:
    framer = Framer()
    false = b"NW" + LENGTH_MAX.to_bytes(2, "big")
    assert framer.feed(false + E2) == []
    assert framer.incomplete
    assert framer.flush() == [message(E2)]


@pytest.mark.parametrize("head", [b"NW\x00\x12", b"NW\x02\x01", b"NW\xff\xff"])
def test_a_length_that_no_frame_has_is_no_head(head: bytes) -> None:
    framer = Framer()
    assert framer.feed(head + E2) == [message(E2)]


def test_half_a_head_waits_for_the_other_half() -> None:
    framer = Framer()
    assert framer.feed(b"\x00N") == []
    assert framer.discarded == 1
    assert framer.feed(E1[1:]) == [message(E1)]
    assert framer.feed(b"NW") == []
    assert framer.feed(b"\x01") == []
    framer.clear()
    assert not framer.incomplete
    assert framer.discarded == 4


def test_a_line_is_noisy_for_20000_bytes_after_damage() -> None:
    assert (len(E1), len(pair(0).encode()), len(read_all(0).encode())) == (291, 22, 21)
    whole = [E1] * 68 + [pair(0).encode()] * 2 + [read_all(0).encode()] * 8
    assert sum(map(len, whole)) == 20_000
    framer = Framer()
    noisy = [framer.noisy]
    for heard in (b"\x00", *whole, b"\x00"):
        framer.feed(heard)
        noisy.append(framer.noisy)
    assert noisy == [False, *[True] * 78, False, True]


def test_the_sum_of_the_longest_frame_is_exact() -> None:
    data = b"\xff" * (LENGTH_MAX + 2 - frames.HEAD - frames.TAIL)
    frame = answer(data)
    assert len(frame) == LENGTH_MAX + 2
    assert message(frame).content == data
