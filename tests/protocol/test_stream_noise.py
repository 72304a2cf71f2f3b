"""A line that damages messages is told, as more is asked of what passes there."""

from typing import Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Ack, trigger
from custom_components.jkbms.protocol.stream import Framer

from .helpers import frame_of, pack

TRANSACTION: Final = (
    trigger(1, Block.LIVE).encode()
    + frame_of(pack(), Block.LIVE).data
    + Ack(1, Block.LIVE.trigger, 1).encode()
)


def is_noisy(framer: Framer) -> bool:
    return framer.noisy


def test_a_line_that_damages_a_message_is_noisy_for_a_while() -> None:
    framer = Framer()
    framer.feed(TRANSACTION)
    assert not is_noisy(framer)
    broken = bytearray(TRANSACTION)
    broken[100] ^= 1
    framer.feed(bytes(broken) + TRANSACTION)
    assert is_noisy(framer)
    for _ in range(62):
        framer.feed(TRANSACTION)
    assert is_noisy(framer)
    framer.feed(TRANSACTION)
    assert not is_noisy(framer)


def test_a_line_is_noisy_before_the_damage_has_an_end() -> None:
    framer = Framer()
    framer.feed(TRANSACTION)
    framer.feed(b"\xff" * 17)
    assert is_noisy(framer)


def test_where_listening_begins_is_no_noise() -> None:
    """The first message was half over, on every link that is opened."""
    framer = Framer()
    framer.feed(TRANSACTION[40:300] + TRANSACTION)
    assert not is_noisy(framer)
    framer.feed(TRANSACTION[:200])
    framer.clear()
    framer.feed(TRANSACTION[200:] + TRANSACTION)
    assert not is_noisy(framer)


def test_what_good_adapters_add_is_no_noise() -> None:
    framer = Framer()
    for size in (1, 16):
        framer.feed(TRANSACTION[:311] + b"\0" * size + TRANSACTION[311:])
        assert not is_noisy(framer)


def test_much_damage_is_forgotten_as_slowly_as_four_times_a_little() -> None:
    framer = Framer()
    framer.feed(TRANSACTION)
    for _ in range(50):
        framer.feed(TRANSACTION[:200] + TRANSACTION)
    for _ in range(254):
        framer.feed(TRANSACTION)
    assert is_noisy(framer)
    framer.feed(TRANSACTION)
    assert not is_noisy(framer)
