"""What may be shown of a line: every message, and no secret in any of them."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.masking import masked
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    Ack,
    Discarded,
    Frame,
    ReadReply,
    ReadRequest,
    WriteRequest,
    build_frame,
    trigger,
)
from custom_components.jkbms.protocol.masking import Masker, Message, Piece, masked_run
from custom_components.jkbms.protocol.stream import Framer
from simulator import PASSWORD, PIN

from ..captures import bus_streams
from .helpers import answer_of, frame_of, pack

SECRETS: Final = (PIN.encode(), PASSWORD.encode(), pack().serial.encode())
DEVICE: Final = frame_of(pack(), Block.DEVICE).data


def shown(pieces: Iterable[Piece]) -> list[Message]:
    """What a masker makes of the pieces of a line."""
    masker = Masker()
    told = [message for piece in pieces for message in masker.feed(piece)]
    return [*told, *masker.flush()]


def heard(*chunks: bytes, apart: float = 0.01) -> list[Piece]:
    """Bytes that were heard one after another."""
    return [Piece(n * apart, False, chunk) for n, chunk in enumerate(chunks)]


def texts(data: bytes, secret: bytes) -> list[bytes]:
    """Return the pieces of a secret, of four bytes each, that are in the data."""
    parts = [secret[at : at + 4] for at in range(len(secret) - 3)]
    return [part for part in parts if part in data]


@pytest.mark.parametrize("capture", bus_streams(), ids=lambda capture: capture.id)
def test_a_line_without_device_info_is_shown_as_it_is(capture: Any) -> None:
    data = capture.data
    told = shown(heard(data))
    assert sum(len(message.data) for message in told) == len(data)
    at = 0
    for message in told:
        if not message.damaged:
            assert data[at : at + len(message.data)] == message.data
        at += len(message.data)


def test_a_frame_with_secrets_keeps_its_length_and_its_form() -> None:
    request, frame, ack = shown(
        [
            Piece(1.0, True, trigger(1, Block.DEVICE).encode()),
            *heard(answer_of(pack(), Block.DEVICE)),
        ]
    )
    assert (request.sent, request.time) == (True, 1.0)
    assert (frame.sent, frame.frame, len(frame.data)) == (False, True, 300)
    assert isinstance(Framer().feed(frame.data + ack.data)[0], Frame)
    assert all(secret not in frame.data for secret in SECRETS)
    assert frame.data[:46] == DEVICE[:46]


def test_a_message_has_the_time_of_its_last_byte() -> None:
    data = answer_of(pack(), Block.LIVE)
    told = shown(heard(data[:100], data[100:305], data[305:], apart=0.5))
    assert [(m.time, len(m.data)) for m in told] == [(0.5, 300), (1.0, 8)]


@pytest.mark.parametrize("size", [1, 7, 60, 150, 299])
@pytest.mark.parametrize("damage", ["cut", "begin_lost", "flipped", "type", "magic"])
def test_no_piece_of_a_damaged_frame_tells_a_secret(size: int, damage: str) -> None:
    device = bytearray(DEVICE)
    match damage:
        case "cut":
            device = device[:size]
        case "begin_lost":
            device = device[size:]
        case "flipped":
            device[size] ^= 0x10
        case "type":
            device[4] = 2
        case _:
            device[1] ^= 0x80
    data = answer_of(pack(), Block.LIVE) + bytes(device) + Ack(1, 0x161C, 1).encode()
    told = shown(heard(data + answer_of(pack(), Block.LIVE)))
    whole = b"".join(message.data for message in told)
    assert len(whole) == 616 + len(device) + 8
    for secret in SECRETS:
        assert texts(whole, secret) == []
    assert [m.damaged for m in told].count(True) == 1


def test_a_device_info_whose_type_was_damaged_so_that_the_sum_fits_is_hidden() -> None:
    disguised = build_frame(2, DEVICE[6:-1], DEVICE[5])
    (told,) = shown(heard(disguised))
    assert told.damaged
    assert all(texts(told.data, secret) == [] for secret in SECRETS)


def test_a_recording_that_begins_within_a_frame_tells_nothing_of_its_rest() -> None:
    told = shown(heard(DEVICE[60:] + Ack(1, 0x161C, 1).encode()))
    assert [(m.damaged, len(m.data)) for m in told] == [(True, 240), (False, 8)]
    assert set(told[0].data) == {0xFF}


def test_random_damage_never_shows_a_secret() -> None:
    random = Random(5)
    line = b"".join(answer_of(pack(), block) for block in Block)
    for _ in range(400):
        data = bytearray(line)
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(data))
            match random.randrange(3):
                case 0:
                    data[at] ^= 1 << random.randrange(8)
                case 1:
                    del data[at : at + random.randint(1, 40)]
                case _:
                    data[at:at] = random.randbytes(random.randint(1, 9))
        pieces, at = [], 0
        while at < len(data):
            size = random.randint(1, 200)
            pieces.append(Piece(at / 1000, False, bytes(data[at : at + size])))
            at += size
        whole = b"".join(message.data for message in shown(pieces))
        assert len(whole) == len(data)
        for secret in SECRETS:
            assert texts(whole, secret) == []


def test_of_bytes_that_make_no_message_only_the_heads_of_frames_stay() -> None:
    data = b"noise" + DEVICE[:40] + b"NW\x01\x22secret"
    run = masked_run(data)
    assert run == (b"\xff" * 5 + DEVICE[:6] + b"\xff" * 34 + b"NW\x01" + b"\xff" * 7)


def test_what_was_no_frame_does_not_become_one() -> None:
    for length in range(300, 340):
        run = masked_run(DEVICE[:6] + bytes(length - 6))
        framer = Framer()
        items = [*framer.feed(run), *framer.flush()]
        assert items == [Discarded(length)]


def test_heads_that_make_a_frame_whatever_is_between_them_do_not_stay() -> None:
    runs = []
    for fill in (0xFF, 0xFE, 0xFD):
        # The counter is chosen so that this filling would have the right sum.
        counter = -(sum(DEVICE[:5]) + 292 * fill) % 256
        runs.append(DEVICE[:5] + bytes([counter]) + bytes(294))
    assert masked_run(b"".join(runs)) == b"\xff" * 900


def test_what_was_held_back_is_told_after_a_silence_and_at_a_new_beginning() -> None:
    cut = DEVICE[:50]
    told = shown([Piece(0.0, False, cut), Piece(5.0, False, cut)])
    assert [(m.time, len(m.data)) for m in told] == [(0.0, 50), (5.0, 50)]
    told = shown([Piece(0.0, False, cut), Piece(0.1, False, b"", opened=True)])
    assert [(m.time, len(m.data)) for m in told] == [(0.0, 50)]


def test_registers_that_are_written_or_read_hide_what_is_private() -> None:
    write = WriteRequest(1, 0x1470, PASSWORD.encode().ljust(16, b"\0"))
    read = ReadRequest(1, 0x1420, 60)
    reply = ReadReply(1, DEVICE[6 + 0x20 : 6 + 0x20 + 120])
    told = shown(
        [
            Piece(0.0, True, write.encode()),
            Piece(0.1, True, read.encode()),
            Piece(0.2, False, reply.encode()),
        ]
    )
    assert told[0].data == WriteRequest(1, 0x1470, bytes(16)).encode()
    assert told[1].data == read.encode()
    assert told[2].data[:3] == reply.encode()[:3]
    assert told[2].data[3:11] == reply.data[:8]
    whole = b"".join(message.data for message in told)
    assert all(texts(whole, secret) == [] for secret in SECRETS)


def test_a_reply_behind_another_request_than_its_own_shows_nothing() -> None:
    """Neither is it known which registers it holds, nor those of the reply after it."""
    one, other = ReadRequest(1, 0x1470, 8), ReadRequest(2, 0x1200, 4)
    password = ReadReply(1, PASSWORD.encode().ljust(16, b"\0")).encode()
    volts = ReadReply(2, bytes.fromhex("0CE40CE50CE60CE7")).encode()
    for asked in ((one, other), (replace(one, register=0x1200), other)):
        sent = [Piece(0.0, True, read.encode()) for read in asked]
        told = shown([*sent, Piece(0.1, False, password), Piece(0.2, False, volts)])
        assert [message.data for message in told[2:]] == [
            ReadReply(1, bytes(16)).encode(),
            ReadReply(2, bytes(8)).encode(),
        ]


def test_a_reply_of_another_length_than_was_asked_for_last_shows_nothing() -> None:
    sent = [
        Piece(0.0, True, ReadRequest(1, register, words).encode())
        for register, words in ((0x1470, 8), (0x1200, 4))
    ]
    password = ReadReply(1, PASSWORD.encode().ljust(16, b"\0")).encode()
    (_, _, told) = shown([*sent, Piece(0.1, False, password)])
    assert told.data == ReadReply(1, bytes(16)).encode()


def test_messages_that_were_sent_at_once_are_told_one_by_one() -> None:
    parts = [
        trigger(1, Block.LIVE).encode(),
        ReadRequest(1, 0x1200, 4).encode(),
        Ack(1, 0x1070, 2).encode(),
        ReadRequest(2, 0x1000, 2).encode(),
    ]
    told = shown([Piece(1.0, True, b"".join(parts))])
    assert [message.data for message in told] == parts
    assert all(message.sent and not message.damaged for message in told)


def test_a_setting_that_is_written_is_shown() -> None:
    write = WriteRequest(1, 0x100C, bytes.fromhex("00000E42"))
    (told,) = shown([Piece(0.0, True, write.encode())])
    assert told.data == write.encode()


@pytest.mark.parametrize(
    ("message", "hidden"),
    [
        (CanMessage(0x2F4, b"ABCDEFGH", False), False),
        (CanMessage(0x35E, b"JK-BMS\0\0", False), False),
        (CanMessage(0x351, bytes.fromhex("3002000000000000"), False), False),
        (CanMessage(0x380, b"1234\0\0\0\0", False), True),
        (CanMessage(0x380, b"12\0\0\0\0\0\0", False), True),
        (CanMessage(0x381, b"5\0\0\0\0\0\0\0", False), True),
        (CanMessage(0x37F, b"12\0\0\0\0\0\0", False), False),
        (CanMessage(0x382, b"12\0\0\0\0\0\0", False), False),
        (CanMessage(0x371, b"GARAGE\0\0", False), True),
        (CanMessage(0x123, b"WVWZZZ1J", False), True),
        (CanMessage(0x123, bytes.fromhex("00FF10A0"), False), False),
    ],
)
def test_names_and_serial_numbers_on_can_are_hidden(
    message: CanMessage, hidden: bool
) -> None:
    told = masked(message)
    assert told == (
        message._replace(data=bytes(len(message.data))) if hidden else message
    )
