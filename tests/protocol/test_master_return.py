"""A master that has fallen silent asks again when the other one has gone."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    Ack,
    ExceptionReply,
    ReadReply,
    ReadRequest,
    trigger,
)
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import (
    Availability,
    ForeignMaster,
    Resumed,
)

from .bus import Bus, bus_of
from .helpers import answer_of, frame_of, pack

REQUEST = trigger(7, Block.LIVE).encode()
READ = ReadRequest(3, 0x1290, 2)


def yielded(return_after: float | None = 60.0) -> Master:
    """Return a master that has heard another one at 0.05 s."""
    master = Master([1, 5], Plan(live=5, return_after=return_after), SERIAL, 0.0)
    master.connected(0.0)
    master.advance(0.0)
    assert master.advance(0.05, REQUEST).events == (ForeignMaster(7),)
    return master


def returning(bus: Bus) -> Bus:
    bus.master.plan = Plan(live=bus.master.plan.live, return_after=60.0)
    return bus


def test_it_wakes_to_return_and_asks_everything_anew() -> None:
    master = yielded()
    step = master.advance(1.0)
    assert step.wake == pytest.approx(60.05)
    assert master.advance(60.04).send == b""
    step = master.advance(60.05)
    assert step.events == (Resumed(),)
    assert step.send == trigger(1, Block.LIVE).encode()
    assert not master.yielded
    assert master.asking


def test_every_block_of_every_pack_is_read_after_a_return() -> None:
    bus = returning(bus_of(1, 2, 3, live=2))
    bus.run(20.3)
    heard = bus.now + 0.1
    bus.intrusion = [(heard, REQUEST)]
    bus.run(120)
    ((back, _),) = bus.of_type(Resumed)
    assert back == pytest.approx(heard + 60)
    assert [t for t, _ in bus.sent if heard < t < heard + 60] == []
    for station in bus.master.stations.values():
        assert station.available
        assert all(at > heard + 60 for at in station.state.seen.values())
        assert station.misses == 0
    gone = [e for _, e in bus.of_type(Availability, heard)]
    assert gone == [
        *(Availability(a, False) for a in (1, 2, 3)),
        *(Availability(a, True) for a in (1, 2, 3)),
    ]
    assert bus.lost <= 1


def test_without_the_option_it_never_returns() -> None:
    master = yielded(return_after=None)
    assert master.advance(1.0).wake == float("inf")
    step = master.advance(1e6)
    assert (step.send, step.events) == (b"", ())
    assert master.yielded


@pytest.mark.parametrize(
    "said",
    [
        REQUEST,
        Ack(3, 0x1070, 2).encode(),
        READ.encode(),
        READ.encode() + ReadReply(3, bytes(4)).encode(),
        ExceptionReply(3, 0x10, 2).encode(),
        answer_of(pack(address=9), Block.LIVE),
        frame_of(pack(), Block.LIVE).data + bytes(3),
    ],
    ids=["request", "ACK", "read", "reply", "refusal", "answer", "frame"],
)
def test_whatever_is_said_on_the_line_keeps_it_silent(said: bytes) -> None:
    master = yielded()
    master.advance(50.0, said)
    step = master.advance(50.2)
    assert step.wake == pytest.approx(110, abs=0.2)
    assert master.advance(105.0).events == ()
    assert master.advance(110.2).events == (Resumed(),)


def test_a_frame_that_is_held_back_counts_when_nothing_follows() -> None:
    master = yielded()
    # Its last byte could be the address of a request that is torn out of it.
    frames = (frame_of(pack(run_time=at), Block.LIVE).data for at in range(256))
    held = next(frame for frame in frames if frame[-1] == 7)
    step = master.advance(50.0, held)
    assert step.wake == pytest.approx(50.1)
    assert master.advance(50.05).wake == pytest.approx(50.1)
    assert master.advance(50.1).wake == pytest.approx(110.1)


def test_noise_is_nobody() -> None:
    master = yielded()
    now = 1.0
    while now < 60:
        step = master.advance(now, b"\x99\x01\x10\x16" * 5)
        assert step.send == b""
        now += 0.5
    assert master.advance(61.0, b"\x99").events == (Resumed(),)


def test_words_that_arrive_in_the_very_moment_still_count() -> None:
    master = yielded()
    assert master.advance(60.05, REQUEST).events == ()
    assert master.yielded


def test_a_link_that_is_down_does_not_prove_that_the_other_has_gone() -> None:
    master = yielded()
    master.disconnected(10.0)
    assert master.advance(10.0).wake == float("inf")
    assert master.advance(500.0).events == ()
    master.connected(1000.0)
    step = master.advance(1000.0)
    assert (step.send, step.wake) == (b"", 1060.0)
    assert master.advance(1060.0).events == (Resumed(),)


def test_half_a_word_of_the_other_is_forgotten_with_the_link() -> None:
    master = yielded()
    answer = answer_of(pack(), Block.LIVE)
    master.advance(1.0, answer[:200])
    master.disconnected(1.1)
    master.connected(2.0)
    assert master.advance(2.1, answer[200:]).events == ()
    assert master.advance(2.5, answer).events != ()


def test_one_that_returns_falls_silent_again_as_soon_as_the_other_does_speak() -> None:
    bus = returning(bus_of(1, 2, live=2))
    bus.run(5.3)
    first = bus.now + 0.1
    bus.intrusion = [(first, REQUEST), (first + 70.03, REQUEST)]
    bus.run(200)
    assert [
        type(e) for _, e in bus.events if isinstance(e, ForeignMaster | Resumed)
    ] == [
        ForeignMaster,
        Resumed,
        ForeignMaster,
        Resumed,
    ]
    again = [t for t, _ in bus.of_type(ForeignMaster)][1]
    assert [t for t, _ in bus.sent if again < t < again + 60] == []
    assert bus.master.stations[1].available


def test_the_master_of_a_bank_that_goes_is_succeeded() -> None:
    """Two that return never speak at once for long: the first one silences the other."""
    masters = [yielded(), yielded()]
    masters[1].advance(3.0, REQUEST)
    sent = masters[0].advance(60.1).send
    assert sent
    assert masters[1].advance(60.11, sent).send == b""
    assert masters[1].advance(63.1).events == ()
    assert masters[1].yielded
