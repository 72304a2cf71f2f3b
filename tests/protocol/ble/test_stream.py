"""Notifications in, frames out: recorded ones, glued ones, cut ones, lost ones."""

import json
from typing import Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol.ble.frames import IDLE, Order
from custom_components.jkbms.protocol.ble.stream import Framer, Idle, Item, Lost
from custom_components.jkbms.protocol.frames import Frame, build_frame
from tests.captures import FOLDER, ble_streams, frames

READY: Final = Order(0xC8, b"\x01").encode()
LIVE: Final = next(c.data[:300] for c in frames() if c.id == "syssi-24s-v10-cell")
SETTINGS: Final = next(
    c.data[:300] for c in frames() if c.id == "syssi-faker-24s-settings"
)
STREAM: Final = next(c for c in ble_streams() if c.chunks)


def fed(*notifications: bytes) -> list[Item]:
    framer = Framer()
    items = [item for data in notifications for item in framer.feed(data)]
    return [*items, *framer.flush()]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def types(items: list[Item]) -> list[int | str]:
    return [i.data[4] if isinstance(i, Frame) else type(i).__name__ for i in items]


def test_the_recorded_stream_is_cut_as_its_publisher_counted() -> None:
    raw = json.loads((FOLDER / "ble.json").read_text(encoding="utf-8"))[0]
    census = raw["tester_frame_census"]
    items = fed(*STREAM.notifications)
    told = types(items)
    assert told.count(2) == census["F02"]
    assert told.count(1) == census["F01"]
    assert told.count("Order") == 4
    rest = [i for i in items if isinstance(i, Lost)]
    # Its publisher counts four orders of 20 bytes among what he does not parse.
    assert sum(len(i.data) for i in rest) == census["unparsed_bytes"] - 80 + 4


@pytest.mark.parametrize("size", [1, 3, 17, 20, 64, 128, 150, 244, 509, 4000])
def test_packets_of_any_size_bring_the_same(size: int) -> None:
    whole = b"".join(STREAM.notifications)
    assert _found(fed(*cut(whole, size))) == _found(fed(*STREAM.notifications))


def _found(items: list[Item]) -> list[int | str]:
    return [found for found in types(items) if found != "Lost"]


@settings(deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_any_cuts_bring_the_same(sizes: list[int]) -> None:
    whole = SETTINGS + READY + IDLE + LIVE + IDLE + LIVE + READY
    pieces, at = [], 0
    for size in [*sizes, len(whole)]:
        pieces.append(whole[at : at + size])
        at += size
    assert types(fed(*pieces)) == types(fed(whole))
    assert types(fed(whole)) == [1, "Order", "Idle", 2, "Idle", 2, "Order"]


@pytest.mark.parametrize(
    ("notifications", "expected"),
    [
        ([SETTINGS + READY], [1, "Order"]),
        ([SETTINGS + READY + IDLE], [1, "Order", "Idle"]),
        ([IDLE + LIVE], ["Idle", 2]),
        ([SETTINGS + LIVE[:84], LIVE[84:]], [1, 2]),
        ([LIVE[:128], IDLE, LIVE[128:]], ["Idle", 2]),
        ([LIVE[:128], IDLE * 3, LIVE[128:]], ["Idle", 2]),
        ([IDLE[:2], IDLE[2:] + LIVE], ["Idle", 2]),
        ([READY[:10], READY[10:]], ["Order"]),
        ([LIVE[:1], LIVE[1:3], LIVE[3:]], [2]),
        ([b"\x00" * 30 + LIVE], ["Lost", 2]),
        ([LIVE + b"\x55\xaa"], [2, "Lost"]),
        ([b""], []),
    ],
)
def test_what_is_glued_or_cut_is_told_apart(
    notifications: list[bytes], expected: list[int | str]
) -> None:
    assert types(fed(*notifications)) == expected


def test_the_text_of_the_module_stays_inside_a_frame() -> None:
    block = bytearray(LIVE[6:299])
    block[100:108] = IDLE + IDLE
    frame = build_frame(2, bytes(block))
    items = fed(*cut(frame, 104))
    assert items == [Frame(frame)]
    assert fed(IDLE + frame) == [Idle(IDLE), Frame(frame)]


def test_a_lost_notification_costs_its_frame_and_no_other() -> None:
    parts = cut(LIVE, 150) + cut(LIVE, 150) + cut(SETTINGS, 150)
    for lost in range(4):
        told = types(fed(*(p for n, p in enumerate(parts) if n != lost)))
        assert [t for t in told if t != "Lost"] == [2, 1]


def test_a_frame_that_holds_the_beginning_of_another_is_none() -> None:
    torn = bytearray(LIVE[:150] + LIVE[:149])
    torn[20] = (torn[20] - sum(torn) + LIVE[0]) % 256
    torn += bytes([sum(torn) % 256])
    assert len(torn) == 300
    assert 2 not in types(fed(bytes(torn)))


def test_losses_make_a_connection_noisy_for_some_frames() -> None:
    framer = Framer()
    told = []
    for data in (LIVE[150:], LIVE, LIVE[:150] + LIVE, *[LIVE] * 66):
        framer.feed(data)
        told.append(framer.noisy)
    # A connection may begin in the middle of a frame.
    assert told == [False, False, True, *[True] * 65, False]
    assert framer.discarded == 300


def test_what_is_held_belongs_to_its_connection() -> None:
    framer = Framer()
    told = []
    for step in (lambda: framer.feed(LIVE[:150]), framer.clear):
        step()
        told.append(framer.incomplete)
    assert told == [True, False]
    assert framer.discarded == 150
    assert framer.feed(LIVE) == [Frame(LIVE)]


def test_every_connection_may_begin_in_the_middle_of_a_frame() -> None:
    framer = Framer()
    for _ in range(3):
        framer.feed(LIVE[150:])
        framer.feed(LIVE)
        assert not framer.noisy
        framer.clear()
    assert framer.discarded == 450


def test_a_frame_of_an_unknown_kind_and_a_damaged_order_are_lost() -> None:
    assert types(fed(build_frame(0x09, bytes(293)))) == ["Lost"]
    assert types(fed(READY[:-1] + b"\0")) == ["Lost"]
    assert types(fed(READY[:5] + b"\x0e" + READY[6:])) == ["Lost"]


@settings(deadline=None)
@given(st.binary(max_size=900))
def test_nothing_is_lost_whatever_comes(data: bytes) -> None:
    told = sum(
        len(i.encode()) if isinstance(i, Order) else len(i.data) for i in fed(data)
    )
    assert told == len(data)
