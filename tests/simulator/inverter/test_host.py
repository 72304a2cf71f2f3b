"""The simulated inverter notices what is wrong: a judge that never complains proves nothing."""

import struct
from typing import Final

import pytest

from simulator import Speed
from simulator.can import Bus, frame_of
from simulator.inverter import LANGUAGES, InverterHost

DEYE: Final = LANGUAGES["deye"]


def limits(volts: float = 55.2, charge: float = 50.0) -> bytes:
    """A message of limits."""
    return struct.pack("<HhhH", round(volts * 10), round(charge * 10), 500, 448)


CONTENT: Final = {
    0x351: limits(),
    0x355: struct.pack("<HH4x", 50, 100),
    0x35C: b"\xc0" + bytes(7),
}


class Wires:
    """A bus with an inverter, on which a test speaks."""

    def __init__(self, language: str = "deye") -> None:
        """Power it."""
        self.host = InverterHost(LANGUAGES[language], timeout=5.0)
        self.bus = Bus([self.host], bitrate=500_000, speed=Speed.FAST)
        self.now = 100.0
        self.bus.advance(self.now)

    def say(self, code: int, data: bytes | None = None, after: float = 0.1) -> None:
        """Send a message after a while."""
        self.now += after
        content = CONTENT.get(code, bytes(8)) if data is None else data
        self.bus.send(frame_of(code, content), self.now)
        self.bus.advance(self.now)

    def cycle(self, **other: bytes) -> None:
        """Send a whole cycle, with other content where it is named."""
        for code in DEYE.ids:
            self.say(code, other.get(f"x{code:03X}"))


def test_a_battery_that_speaks_well_is_obeyed() -> None:
    wires = Wires()
    for _ in range(5):
        wires.cycle()
    assert wires.host.complaints == []
    assert wires.host.cycles == 4
    held = wires.host.held(wires.now)
    assert held is not None
    assert (held.voltage, held.charge, held.discharge) == (55.2, 50.0, 50.0)
    assert wires.bus.counters.frames == 5 * 8 + 4


def test_it_gives_up_when_nothing_is_said() -> None:
    wires = Wires()
    wires.cycle()
    since = wires.now - 0.7
    assert wires.host.held(since + 5.0) is not None
    assert wires.host.held(since + 5.1) is None
    assert wires.host.timeouts == 1


@pytest.mark.parametrize(
    ("code", "data", "complaint"),
    [
        (0x351, limits(volts=70.0), "charge voltage 70.0 V"),
        (0x351, limits(charge=2000.0), "2000.0 A"),
        (0x355, struct.pack("<HH4x", 101, 100), "state of charge 101"),
        (0x35C, bytes(8), "charging is forbidden"),
        (0x356, bytes(6), "356 has 6 bytes"),
    ],
)
def test_what_cannot_be_meant_is_complained_of(
    code: int, data: bytes, complaint: str
) -> None:
    wires = Wires()
    wires.cycle(**{f"x{code:03X}": data})
    assert complaint in " ".join(wires.host.complaints)


def test_order_and_pace_are_checked() -> None:
    wires = Wires()
    wires.say(0x355)
    assert "begins a cycle" in wires.host.complaints[-1]
    wires.cycle()
    wires.say(0x351)
    wires.say(0x356)
    assert "356, not 355" in wires.host.complaints[-1]
    wires.say(0x35C, after=0.01)
    assert "after another" in wires.host.complaints[-1]
    wires.say(0x35E, after=0.5)
    assert "late" in wires.host.complaints[-1]
    wires.cycle()
    wires.say(0x351, after=0.9)
    assert "limits came late" in wires.host.complaints[-1]


def test_a_cycle_may_begin_anew() -> None:
    wires = Wires()
    wires.cycle()
    wires.say(0x351)
    wires.say(0x355)
    wires.say(0x351, limits(charge=20.0), after=0.05)
    wires.say(0x355)
    assert wires.host.complaints == []
    wires.say(0x351, after=0.05)
    assert "limits came again" in wires.host.complaints[-1]


def test_one_that_is_unplugged_hears_and_says_nothing() -> None:
    wires = Wires()
    wires.cycle()
    wires.host.drop(wires.now + 20)
    frames = wires.bus.counters.frames
    wires.cycle()
    wires.cycle()
    assert wires.bus.counters.frames == frames + 16
    assert wires.host.held(wires.now + 5.0) is None
    wires.now += 30
    # It is plugged in again in the middle of a cycle.
    wires.say(0x359)
    wires.cycle()
    assert wires.host.held(wires.now) is not None
    assert wires.host.complaints == []


def test_a_growatt_asks() -> None:
    wires = Wires("growatt")
    seen = [code for _, code, _, _ in wires.bus.messages(103.0, start=wires.now)]
    assert seen == [0x301] * 3
    data = struct.pack(">HHHH", 552, 500, 400, 2)
    wires.bus.send(frame_of(0x311, data), 103.0)
    wires.bus.send(frame_of(0x312, bytes(8)), 103.02)
    held = wires.host.held(103.1)
    assert held is not None
    assert (held.voltage, held.charge, held.discharge) == (55.2, 50.0, 40.0)
    wires.bus.send(frame_of(0x313, bytes(6) + bytes([130, 0])), 103.04)
    wires.bus.advance(103.1)
    assert "state of charge 130" in wires.host.complaints[-1]
