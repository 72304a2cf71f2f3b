"""What crossed a line of `4E 57` may be shown: no password, no name, no maker's number."""

from hypothesis import given, strategies as st

from custom_components.jkbms.protocol.masking import Message as Shown, Piece
from custom_components.jkbms.protocol.ttl.frames import (
    Message,
    is_whole,
    pair,
    read_all,
    write,
)
from custom_components.jkbms.protocol.ttl.masking import TtlMasker, masked_content

from .answers import E1, E2, RECORDED, answer, content, decoded, message

SECRETS = (b"123456", b"Armins", b"Input Us", b"BT3072")


def shown(*pieces: Piece) -> list[Shown]:
    masker = TtlMasker()
    told = [m for piece in pieces for m in masker.feed(piece)]
    return told + list(masker.flush())


def heard(data: bytes, time: float = 1.0) -> Piece:
    return Piece(time, False, data)


def test_whole_answers_keep_all_but_what_is_private() -> None:
    for frame in (E1, E2):
        (told,) = shown(heard(frame))
        assert told.frame
        assert is_whole(told.data)
        assert len(told.data) == len(frame)
        assert not any(secret in told.data for secret in SECRETS)
        before, after = (
            decoded(content(frame)).values,
            decoded(message(told.data).content).values,
        )
        gone = {"user_data", "ttl_manufacturer_id", "model"}
        assert {k: v for k, v in before.items() if k not in gone} == {
            k: v for k, v in after.items() if k not in gone
        }
        assert all(after[key] is None for key in gone)


def test_requests_are_told_as_sent() -> None:
    data = read_all(0).encode() + write(0, 0xAB, 1).encode()
    one, other = shown(Piece(2.0, True, data))
    assert (one.data, other.data) == (data[:21], data[21:])
    assert one.sent
    assert not one.frame


def test_what_was_sent_by_halves_is_told_by_its_length() -> None:
    data = read_all(0).encode()
    one, other, last = shown(Piece(2.0, True, data + data[:9]), Piece(3.0, True, data))
    assert (one.data, last.data) == (data, data)
    assert (len(other.data), other.damaged, other.frame) == (9, True, False)
    assert [m.time for m in (one, other, last)] == [2.0, 2.0, 3.0]
    assert all(m.sent for m in (one, other, last))


def test_a_password_is_not_told_in_any_form() -> None:
    secret = b"sesame1234"
    for sent in (
        Message(0, 5, 3, 0, secret),
        Message(0, 2, 3, 0, b"\xb2" + secret),
        Message(0, 2, 3, 0, b"\xe0" + secret),
        Message(0, 3, 0, 1, b"\x79\x03\x01\x0c\xc6\xb2" + secret),
        Message(0, 3, 0, 1, b"\x79"),
    ):
        assert secret not in masked_content(sent)
        (told,) = shown(Piece(1.0, True, sent.encode()))
        assert secret not in told.data
        assert is_whole(told.data)
    assert masked_content(Message(0, 6, 0, 1, b"\x79\x30")) == b"\x79\x30"
    assert masked_content(pair(0)) == b"\0\0"


def test_what_is_cut_short_tells_its_length_only() -> None:
    cut = RECORDED["ttl-armin-truncated"]
    (told,) = shown(heard(cut))
    assert told.damaged
    assert len(told.data) == len(cut)
    assert told.data[:3] == b"NW\x01"
    assert set(told.data[3:]) == {0xFF}


def test_what_lies_around_an_answer_is_told_where_it_was() -> None:
    cut = RECORDED["ttl-armin-truncated"]
    before, whole, behind = shown(heard(b"\x00\x01" + E1 + cut))
    assert [m.damaged for m in (before, whole, behind)] == [True, False, True]
    assert before.data == b"\xff\xff"
    assert whole.data[:11] == E1[:11]
    assert behind.data == b"NW\x01" + b"\xff" * (len(cut) - 3)
    *_, last = shown(heard(E1 + b"\x01\x02\x03"))
    assert last.data == b"\xff" * 3


def test_silence_and_a_new_connection_end_a_message() -> None:
    half, rest = E1[:100], E1[100:]
    assert [m.damaged for m in shown(heard(half), heard(rest, 1.5))] == [False]
    assert [m.damaged for m in shown(heard(half), heard(rest, 2.0))] == [False]
    late = shown(heard(half), heard(rest, 2.001))
    assert all(m.damaged for m in late)
    # Each is told at the time at which it was heard.
    assert {m.time for m in late} == {1.0, 2.001}
    assert not any(m.sent or m.frame for m in late)
    assert sum(len(m.data) for m in late if m.time == 1.0) == 100
    anew = shown(heard(half), Piece(1.1, False, b"", opened=True), heard(rest, 1.2))
    assert all(m.damaged for m in anew)


@given(
    st.lists(st.sampled_from([E1, E2, b"\x00\xffN", E1[:150]]), max_size=5), st.data()
)
def test_nothing_private_is_shown_however_it_arrives(
    parts: list[bytes], data: st.DataObject
) -> None:
    line = b"".join(parts)
    pieces = []
    while line:
        size = data.draw(st.integers(1, 200))
        pieces.append(heard(line[:size]))
        line = line[size:]
    told = shown(*pieces)
    assert sum(len(m.data) for m in told) == sum(map(len, parts))
    assert not any(secret in m.data for m in told for secret in SECRETS)


def test_an_answer_with_an_unknown_id_hides_what_is_behind_it() -> None:
    frame = answer(content() + b"\xd0Armins")
    (told,) = shown(heard(frame))
    assert b"Armins" not in told.data
