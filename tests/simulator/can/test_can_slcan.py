"""The slcan adapter, command by command."""

import pytest

from simulator import Bank
from simulator.can import Bus, CanBus, Frame, SlcanAdapter, Tap, frame_of
from simulator.can.frame import ERROR
from simulator.can.slcan import decode, encode

from . import heard, opened, pack

OK, BELL = b"\r", b"\a"


def said(adapter: SlcanAdapter, command: str, now: float = 0.0) -> bytes:
    """What comes back for a command, frames included."""
    adapter.receive(command.encode() + b"\r", now)
    return b"".join(adapter.collect(now))


def ready(bus: Bus, now: float = 0.0, rate: str = "S5") -> SlcanAdapter:
    """An adapter with an open channel."""
    adapter = SlcanAdapter(bus)
    assert said(adapter, rate, now) == OK
    assert said(adapter, "O", now) == OK
    return adapter


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (frame_of(0x2F4, bytes.fromhex("1302B20F51000000")), "t2F481302B20F51000000\r"),
        (frame_of(0x18F128F4, b"\xe1\x08"), "T18F128F42E108\r"),
        (frame_of(0x7, b""), "t0070\r"),
        (Frame(id=0x123, remote=True, length=8), "r1238\r"),
        (Frame(id=0x123, extended=True, remote=True), "R000001230\r"),
    ],
)
def test_frames_are_lines_of_text_both_ways(frame: Frame, text: str) -> None:
    assert encode(frame) == text.encode()
    assert decode(text.rstrip()) == frame
    assert decode(text.rstrip().replace("E", "e")) == frame
    assert encode(frame, 0x1234) == text.replace("\r", "1234\r").encode()


@pytest.mark.parametrize(
    "command",
    [
        *("t", "t2F", "t2F4", "t2F49", "t2F49131313131313131313", "t2F4113AA"),
        *("t2F4A", "t8000", "tXYZ0", "t2F42 1 2", "t2F42-1-2", "T200000000"),
        *("r12381", "r123", "R1238", "t2F4²"),
    ],
)
def test_a_frame_that_is_none_is_refused(command: str) -> None:
    assert decode(command) is None
    assert said(ready(Bus()), command) == BELL


def test_a_channel_has_a_rate_before_it_opens_and_opens_once() -> None:
    adapter = SlcanAdapter(Bus())
    assert said(adapter, "O") == BELL
    assert said(adapter, "C") == BELL
    assert said(adapter, "t2F40") == BELL
    assert said(adapter, "F") == BELL
    assert said(adapter, "S9") == BELL
    assert said(adapter, "S") == BELL
    assert said(adapter, "S5") == OK
    assert said(adapter, "O") == OK
    assert said(adapter, "O") == BELL
    assert said(adapter, "S6") == BELL
    assert said(adapter, "Z1") == BELL
    assert said(adapter, "C") == OK
    assert said(adapter, "L") == OK
    assert said(adapter, "t2F40") == BELL
    assert adapter.refused == 10


def test_what_an_adapter_does_not_know_it_refuses() -> None:
    adapter = ready(Bus())
    for command in ("Q1", "X1", "O1", "M00000000", "?", "Fx", "é"):
        assert said(adapter, command) == BELL
    assert said(adapter, "") == OK


def test_version_and_serial_number_are_told_open_or_closed() -> None:
    adapter = SlcanAdapter(Bus())
    assert (said(adapter, "V"), said(adapter, "N")) == (b"V1013\r", b"NJK01\r")
    adapter = ready(Bus())
    assert (said(adapter, "V"), said(adapter, "N")) == (b"V1013\r", b"NJK01\r")


@pytest.mark.parametrize(
    ("command", "bitrate"),
    [
        *(("S5", 250_000), ("S6", 500_000)),
        *(("s011C", 250_000), ("s001C", 500_000), ("s001c", 500_000)),
    ],
)
def test_frames_pass_at_the_bus_s_rate_only(command: str, bitrate: int) -> None:
    for real in (250_000, 500_000):
        bus = CanBus(Bank([pack(0)]), bitrate=real)
        adapter = ready(bus, rate=command)
        text = b"".join(adapter.collect(1.0))
        assert bool(text) == (real == bitrate)
        flags = said(adapter, "F", 1.0)
        assert flags == (b"F00\r" if real == bitrate else b"FA4\r")


def test_wrong_timing_registers_are_refused() -> None:
    adapter = SlcanAdapter(Bus())
    for command in ("s", "s01", "s01GG", "s011C0"):
        assert said(adapter, command) == BELL


def test_status_flags_tell_of_bus_errors_until_they_are_read() -> None:
    bus = Bus()
    adapter = ready(bus)
    bus.send(ERROR, 0.0)
    assert said(adapter, "F", 1.0) == b"F80\r"
    assert said(adapter, "F", 1.0) == b"F00\r"
    for _ in range(12):
        bus.send(ERROR, 1.0)
    assert said(adapter, "F", 2.0) == b"F84\r"
    for _ in range(4):
        bus.send(ERROR, 2.0)
    assert said(adapter, "F", 3.0) == b"FA4\r"
    assert said(adapter, "F", 3.0) == b"F24\r"


def test_frames_with_the_wrong_rate_fill_the_queue() -> None:
    bus = CanBus(Bank([pack(0)]))
    adapter = ready(bus, rate="S6")
    answers = [said(adapter, "t3050") for _ in range(34)]
    assert answers == [b"z\r"] * 32 + [BELL] * 2
    assert said(adapter, "F") == b"F02\r"
    assert said(adapter, "F") == b"F00\r"
    assert said(adapter, "C") == OK
    assert not bus.counts


def test_a_client_s_frames_reach_the_bus() -> None:
    bus = CanBus(Bank([pack(0)]))
    adapter = ready(bus)
    other = opened(bus)
    assert said(adapter, "t30580000000000000000") == b"z\r"
    assert said(adapter, "T18F0F4282AB10") == b"Z\r"
    assert said(adapter, "r1234") == b"z\r"
    bus.advance(0.05)
    assert bus.counts == {0x305: 1, 0x18F0F428: 1, 0x123: 1}
    sent = [frame for _, frame in bus.heard]
    assert {*sent} <= {*heard(other)}
    # The bus was idle for the first; of the others the lower id wins.
    assert sent == [
        frame_of(0x305, bytes(8)),
        Frame(id=0x123, remote=True, length=4),
        frame_of(0x18F0F428, b"\xab\x10"),
    ]


def test_commands_may_come_in_pieces_or_many_at_once() -> None:
    adapter = SlcanAdapter(Bus())
    for byte in b"C\rS5\r":
        adapter.receive(bytes([byte]), 0.0)
    adapter.receive(b"\rO\rV\rt12", 0.0)
    assert b"".join(adapter.collect(0.0)) == BELL + OK + OK + OK + b"V1013\r"
    adapter.receive(b"30\r", 0.0)
    assert b"".join(adapter.collect(0.0)) == b"z\r"


def test_a_command_without_end_is_refused_when_it_ends() -> None:
    adapter = SlcanAdapter(Bus())
    for _ in range(1000):
        adapter.receive(b"t" * 100, 0.0)
    assert adapter.collect(0.0) == []
    assert said(adapter, "") == BELL
    assert said(adapter, "V") == b"V1013\r"


def test_time_stamps_are_the_milliseconds_of_a_minute() -> None:
    bus = Bus()
    adapter = SlcanAdapter(bus)
    assert said(adapter, "Z2") == BELL
    for command in ("Z1", "S5", "O"):
        assert said(adapter, command) == OK
    bus.send(frame_of(0x2F4, b"\x11"), 61.5)
    assert b"".join(adapter.collect(62.0)) == b"t2F411105DC\r"
    for command in ("C", "Z0", "O"):
        assert said(adapter, command, 62.0) == OK
    bus.send(frame_of(0x2F4, b"\x11"), 63.0)
    assert b"".join(adapter.collect(64.0)) == b"t2F4111\r"


def test_an_answer_is_due_at_once_and_frames_when_the_bus_has_them() -> None:
    bus = CanBus(Bank([pack(0)]))
    adapter = SlcanAdapter(bus)
    assert adapter.due() is None
    adapter.receive(b"V\r", 5.0)
    assert adapter.due() == 0.0
    adapter.collect(5.0)
    assert adapter.due() == bus.due()
    assert adapter.due() is not None


def test_an_adapter_keeps_its_state_for_the_next_client_and_loses_it_with_its_power() -> (
    None
):
    bus = CanBus(Bank([pack(0)]))
    adapter = ready(bus)
    adapter.receive(b"t30", 0.0)
    adapter.connected(1.0)
    assert b"".join(adapter.collect(1.0)).count(b"\r") > 20
    adapter.receive(b"V\r", 1.0)
    adapter.power_up()
    assert adapter.collect(2.0) == []
    assert said(adapter, "O", 2.0) == BELL


def test_a_listening_adapter_hears_all_and_acknowledges_nothing() -> None:
    bus = CanBus(Bank([pack(0)]))
    adapter = SlcanAdapter(bus)
    said(adapter, "S5")
    said(adapter, "L")
    assert not adapter.tap.acknowledges
    assert isinstance(adapter.tap, Tap)
    assert b"".join(adapter.collect(1.0)).count(b"t2F4") == 10
