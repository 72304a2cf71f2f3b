"""What may be shown of a Bluetooth connection, and that nobody is named in it."""

from typing import Final

import pytest

from custom_components.jkbms.protocol.ble.frames import IDLE, Order
from custom_components.jkbms.protocol.ble.masking import BleMasker
from custom_components.jkbms.protocol.layout import Layout, recognise
from custom_components.jkbms.protocol.masking import Message, Piece
from simulator import PASSWORD, PIN
from simulator.ble import Generation, Glue
from tests.captures import frames

from .rig import link_to, settled

READY: Final = Order(0xC8, b"\x01").encode()
LIVE: Final = next(c.data[:300] for c in frames() if c.id == "syssi-24s-v10-cell")
REST: Final = LIVE[150:]


def shown(*pieces: Piece) -> list[Message]:
    masker = BleMasker()
    told = [m for piece in pieces for m in masker.feed(piece)]
    return [*told, *masker.flush()]


def heard(*data: bytes) -> list[Piece]:
    return [Piece(0.1 * n, False, part) for n, part in enumerate(data)]


@pytest.mark.parametrize("generation", list(Generation))
@pytest.mark.parametrize("mtu", [23, 247])
def test_names_numbers_and_passwords_are_in_no_message(
    generation: Generation, mtu: int
) -> None:
    link = settled(
        link_to(generation, mtu=mtu, glue=Glue.GLUED_IDLE, idle=True, repeats=True)
    )
    told = shown(*heard(*link.heard))
    text = b"".join(message.data for message in told)
    secrets = [PIN.encode(), PASSWORD.encode(), link.gatt.pack.serial.encode()]
    assert all(secret in b"".join(link.heard) for secret in secrets) or mtu == 23
    for secret in secrets:
        assert secret not in text
        assert secret[:4] not in text
    assert len(text) == len(b"".join(link.heard))
    assert all(recognise(m.data) for m in told if m.frame)
    assert not any(message.damaged for message in told)


def test_pieces_of_a_lost_frame_show_nothing() -> None:
    link = settled(link_to())
    device = next(p for p in link.heard if PIN.encode() in p)
    (told,) = shown(*heard(device))
    assert told.damaged
    assert PIN.encode() not in told.data


def test_orders_words_and_texts_are_shown_as_they_are() -> None:
    sent = Piece(1.0, True, Order(0x1D, b"\0\0\0\0").encode())
    told = shown(sent, *heard(READY, IDLE))
    assert [m.data for m in told] == [sent.data, READY, IDLE]
    assert [m.sent for m in told] == [True, False, False]


def test_an_order_of_somebody_else_may_hold_a_name() -> None:
    (told,) = shown(*heard(Order(0x9F, b"Anna's cellar").encode()))
    assert b"Anna" not in told.data
    assert len(told.data) == 20
    assert not told.sent


@pytest.mark.parametrize(
    ("last", "joined"),
    [
        (Piece(2.5, False, REST), True),
        (Piece(2.75, False, REST), False),
        (Piece(0.75, False, REST, opened=True), False),
    ],
)
def test_a_rest_joins_what_came_within_two_seconds_on_the_same_connection(
    last: Piece, joined: bool
) -> None:
    told = shown(Piece(0.5, False, LIVE[:150]), last)
    if joined:
        assert [(m.time, m.frame, m.sent) for m in told] == [(2.5, True, False)]
        return
    assert [(m.time, len(m.data)) for m in told] == [(0.5, 150), (last.time, 150)]
    assert all(m.damaged and not m.sent for m in told)


def test_a_connection_that_opens_ends_what_was_held() -> None:
    masker = BleMasker()
    assert list(masker.feed(Piece(0.5, False, LIVE[:100]))) == []
    (told,) = masker.feed(Piece(0.75, False, b"", opened=True))
    assert (told.time, told.damaged, len(told.data)) == (0.5, True, 100)
    assert list(masker.flush()) == []


def test_numbers_of_the_oldest_boards_that_look_like_text_are_shown() -> None:
    link = link_to(Generation.FLOATS)
    pack = link.gatt.pack
    # 3.3 V is "33S@" as a floating point number.
    for cell in range(1, pack.cell_count + 1):
        pack.set(f"cell_voltage_{cell}", 3300)
    settled(link)
    live = [m for m in shown(*heard(*link.heard)) if m.frame and m.data[4] == 2]
    assert live
    assert recognise(live[0].data) is Layout.JK04
