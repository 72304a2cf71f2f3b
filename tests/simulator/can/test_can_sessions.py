"""What a client of socketcand and of a gateway hears, byte by byte."""

import pytest

from simulator import Bank
from simulator.can import Bus, CanBus, Frame, frame_of
from simulator.can.frame import ERROR
from simulator.can.sessions import (
    RecordSession,
    SocketcandSession,
    decode_record,
    encode_record,
)

from . import heard, opened, pack

EPOCH = 1_700_000_000.0


def daemon(
    bus: Bus, settle: float = 0.0, bitrate: int | None = None
) -> SocketcandSession:
    """A connection that has been greeted."""
    session = SocketcandSession(
        bus,
        channel="can0",
        bitrate=bitrate or bus.bitrate,
        epoch=EPOCH,
        settle=settle,
    )
    assert session.collect(0.0) == b"< hi >"
    return session


def said(session: SocketcandSession, text: str, now: float = 0.0) -> bytes:
    """What comes back for text."""
    session.tap.bus.advance(now)
    session.receive(text.encode(), now)
    return session.collect(now)


def raw(bus: Bus, settle: float = 0.0, bitrate: int | None = None) -> SocketcandSession:
    """A connection in raw mode."""
    session = daemon(bus, settle, bitrate)
    assert said(session, "< open can0 >") == b"< ok >"
    assert said(session, "< rawmode >") == b"< ok >"
    return session


def test_frames_are_told_in_raw_mode_with_the_time_of_the_clock() -> None:
    bus = Bus()
    session = raw(bus)
    bus.send(frame_of(0x2F4, bytes.fromhex("1302B2")), 1.0)
    bus.send(frame_of(0x18F128F4, b""), 2.0)
    bus.send(ERROR, 3.0)
    bus.send(Frame(id=0x123, remote=True), 4.0)
    bus.advance(5.0)
    assert session.collect(5.0) == (
        b"< frame 2F4 1700000001.000284 1302B2 >"
        b"< frame 18F128F4 1700000002.000268  >"
        b"< error 088 1700000003.000080 >"
    )


def test_before_raw_mode_and_after_it_no_frames_are_told() -> None:
    bus = CanBus(Bank([pack(0)]))
    session = daemon(bus)
    assert said(session, "< open can0 >", 1.0) == b"< ok >"
    assert said(session, "", 2.0) == b""
    assert said(session, "< rawmode >", 2.0) == b"< ok >"
    assert said(session, "", 3.0).count(b"< frame 2F4 ") == 10
    assert said(session, "< bcmmode >", 3.0) == b"< ok >"
    assert said(session, "", 4.0) == b""


def test_a_daemon_takes_a_moment_to_open_its_socket() -> None:
    bus = Bus()
    session = raw(bus, settle=0.5)
    bus.send(frame_of(1, b""), 0.1)
    bus.send(frame_of(2, b""), 0.6)
    bus.advance(1.0)
    assert session.collect(1.0).startswith(b"< frame 002 ")


def test_another_bus_cannot_be_opened_and_ends_the_connection() -> None:
    session = daemon(Bus())
    assert said(session, "< open can1 >< rawmode >") == b"< error could not open bus >"
    assert session.over


@pytest.mark.parametrize(
    "text", ["< rawmode >", "< send 123 0 >", "< echo >", "< fire >", "< >", "<>"]
)
def test_what_a_daemon_does_not_know_yet_is_an_error(text: str) -> None:
    session = daemon(Bus())
    assert said(session, text) == b"< error unknown command >"
    assert not session.over


def test_an_open_bus_is_not_opened_again() -> None:
    session = raw(Bus())
    assert said(session, "< open can0 >") == b"< error unknown command >"
    assert said(session, "< echo >") == b"< echo >"


def test_what_a_client_sends_reaches_the_bus_and_all_others() -> None:
    bus = Bus()
    session, other, tap = raw(bus), raw(bus), opened(bus)
    assert said(session, "< send 305 8 0 0 0 0 0 0 0 ff >< send 18F0F428 1 A >") == b""
    bus.advance(1.0)
    frames = [
        frame_of(0x305, bytes([0, 0, 0, 0, 0, 0, 0, 255])),
        frame_of(0x18F0F428, b"\x0a"),
    ]
    assert heard(tap) == frames
    assert [frame for _, frame in bus.heard] == frames
    assert session.collect(1.0) == b""
    assert other.collect(1.0).count(b"< frame ") == 2


@pytest.mark.parametrize(
    "text",
    [
        *("< send 305 9 0 0 0 0 0 0 0 0 0 >", "< send 305 2 0 >", "< send xyz 0 >"),
        *("< send 800 0 >", "< send FFFFFFFF 0 >", "< send 305 1 100 >"),
        *("< send 305 one 0 >", "< send -1 0 >"),
    ],
)
def test_a_send_that_is_none_is_not_answered_and_not_sent(text: str) -> None:
    bus = Bus()
    session = raw(bus)
    assert said(session, text) == b""
    assert session.damaged == 1
    bus.advance(1.0)
    assert not bus.counts


def test_text_may_come_in_pieces_with_nonsense_between() -> None:
    session = daemon(Bus())
    out = b""
    for letter in "noise< open can0 >\n more < rawmode ><ec":
        out += said(session, letter)
    assert out == b"< ok >< ok >"
    assert said(session, "ho>") == b"< echo >"


def test_an_element_without_end_is_thrown_away() -> None:
    session = daemon(Bus())
    assert said(session, "<" + "x" * 300) == b""
    assert session.damaged == 1
    assert said(session, "< open can0 >") == b"< ok >"


def test_an_interface_at_the_wrong_rate_tells_of_errors_only() -> None:
    bus = CanBus(Bank([pack(0)]))
    session = raw(bus, bitrate=500_000)
    told = said(session, "", 2.0)
    assert told.count(b"< error 088 ") > 60
    assert b"frame" not in told


def test_a_connection_that_ends_leaves_the_bus() -> None:
    bus = Bus()
    session = raw(bus)
    session.end()
    assert bus.taps == []


RECORDS = [
    (
        "8512345678AABBCCDDEE000000",
        frame_of(0x12345678, bytes.fromhex("AABBCCDDEE")),
    ),
    ("05000006781234567890000000", frame_of(0x678, bytes.fromhex("1234567890"))),
    (
        "08000002F41302B20F51000000",
        frame_of(0x2F4, bytes.fromhex("1302B20F51000000")),
    ),
    (
        "8818F128F4E108F00A6B802300",
        frame_of(0x18F128F4, bytes.fromhex("E108F00A6B802300")),
    ),
    ("44000001230000000000000000", Frame(id=0x123, remote=True, length=4)),
    (
        "C8000001230000000000000000",
        Frame(id=0x123, remote=True, length=8, extended=True),
    ),
]


@pytest.mark.parametrize(("text", "frame"), RECORDS)
def test_records_have_the_bytes_of_the_manual_both_ways(
    text: str, frame: Frame
) -> None:
    assert encode_record(frame) == bytes.fromhex(text)
    assert decode_record(bytes.fromhex(text)) == frame


@pytest.mark.parametrize(
    "text",
    [
        *("09000002F40000000000000000", "18000002F40000000000000000"),
        *("28000002F40000000000000000", "08000008000000000000000000"),
        "88200000000000000000000000",
    ],
)
def test_a_record_that_is_none_is_noticed(text: str) -> None:
    assert decode_record(bytes.fromhex(text)) is None


def test_records_are_cut_from_any_pieces_and_found_again_after_lost_bytes() -> None:
    bus = Bus()
    tap = opened(bus)
    session = RecordSession(bus, now=0.0, bitrate=bus.bitrate)
    stream = b"".join(bytes.fromhex(text) for text, _ in RECORDS[:4])
    for byte in stream:
        session.receive(bytes([byte]), 0.0)
    bus.advance(1.0)
    assert sorted(frame.id for frame in heard(tap)) == [
        0x2F4,
        0x678,
        0x12345678,
        0x18F128F4,
    ]
    assert session.damaged == 0
    session.receive(b"\xff\xff\xff" + bytes.fromhex(RECORDS[3][0]), 1.0)
    bus.advance(2.0)
    assert heard(tap) == [RECORDS[3][1]]
    assert session.damaged == 3


def test_a_gateway_passes_frames_on_and_no_errors() -> None:
    bus = Bus()
    session = RecordSession(bus, now=0.0, bitrate=bus.bitrate)
    bus.send(RECORDS[3][1], 0.0)
    bus.send(ERROR, 0.1)
    bus.send(RECORDS[4][1], 0.2)
    bus.advance(1.0)
    assert session.collect(1.0) == bytes.fromhex(RECORDS[3][0] + RECORDS[4][0])
    assert session.tap.unread_errors == 1


def test_a_gateway_at_the_wrong_rate_is_silent() -> None:
    bus = CanBus(Bank([pack(0)]))
    session = RecordSession(bus, now=0.0, bitrate=500_000)
    bus.advance(2.0)
    assert session.collect(2.0) == b""
    session.end()
    assert bus.taps == []
