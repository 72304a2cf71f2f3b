"""Device info while another master has the bus: asked in its silences, or not at all."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import SERIAL_NUMBER
from custom_components.jkbms.protocol.frames import (
    Frame,
    Request,
    WriteRequest,
    build_frame,
    trigger,
)
from custom_components.jkbms.protocol.inquiries import Counts, Inquirer
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Station, Updated
from simulator import SLOT, SLOT_SLOW, Bank, MasterLine, parse_fault

from .happening import Turns
from .helpers import ack_of, answer_of, frame_of, framed, pack
from .listening import Heard

SLOT_19: float = 0.372
"""Seconds per slot on firmware 19.31 (rs485.md 4.2)."""
HOUR: float = 3600.0
LATE: int = 7
"""An address behind those of the packs, in the order of the master."""


def bus_of(
    slaves: int,
    slot: float = SLOT_SLOW,
    *,
    faults: Sequence[str] = (),
    settings_for_all: bool = False,
    chunk: int = 400,
) -> Heard:
    """Return a listener that may ask, on a bus with the time of the wire."""
    line = MasterLine(
        Bank.default(range(slaves + 1), seed=1, still=True),
        slot=slot,
        settings_for_all=settings_for_all,
        chunk=chunk,
        faults=[parse_fault(fault) for fault in faults],
    )
    return Heard(line, Listener((), SERIAL, ask_device_info=True))


def counts(bus: Heard) -> Counts:
    assert bus.listener.inquirer is not None
    return bus.listener.inquirer.counts


def requests(bus: Heard) -> list[tuple[float, Request]]:
    """Return what was sent, each a request on its own."""
    sent: list[tuple[float, Request]] = []
    for time, data in bus.sent:
        (request,) = framed(data)
        assert isinstance(request, WriteRequest)
        sent.append((time, request))
    return sent


def informed(bus: Heard) -> set[int]:
    """Return the addresses of the packs whose device info was read."""
    stations = bus.listener.stations
    return {a for a, s in stations.items() if Block.DEVICE in s.state.seen}


# -- on the wire -------------------------------------------------------------------


@pytest.mark.parametrize("settings_for_all", [False, True])
@pytest.mark.parametrize("slot", [SLOT_SLOW, SLOT_19])
@pytest.mark.parametrize("slaves", [1, 3, 8, 15])
def test_each_slave_is_asked_without_a_single_collision(
    slaves: int, slot: float, settings_for_all: bool
) -> None:
    bus = bus_of(slaves, slot, settings_for_all=settings_for_all, chunk=32)
    bus.run(180)
    addresses = set(range(1, slaves + 1))
    assert informed(bus) == addresses
    # What nothing known can contradict has to be said twice.
    assert counts(bus) == Counts(asked=2 * slaves, answered=2 * slaves)
    assert {request for _, request in requests(bus)} == {
        trigger(address, Block.DEVICE) for address in addresses
    }
    assert bus.line.counters.collisions == bus.line.polls.collisions == 0
    assert bus.line.polls.unheard == bus.line.counters.unheard == 0
    for address in addresses:
        serial = bus.listener.stations[address].state.get(SERIAL_NUMBER)
        assert serial == bus.line.bank[address].serial
    assert [a for a, s in bus.listener.stations.items() if not s.available] == []


def test_a_master_that_leaves_no_long_silence_is_never_disturbed() -> None:
    bus = bus_of(3, SLOT)
    bus.run(300)
    assert bus.here() == {0, 1, 2, 3}
    assert bus.sent == []
    assert bus.listener.inquirer is not None
    assert bus.listener.inquirer.longest_silence == pytest.approx(0.219, abs=0.001)


def test_a_listener_that_may_not_ask_never_does() -> None:
    bus = bus_of(3)
    bus.listener = Listener((), SERIAL)
    bus.run(300)
    assert bus.here() == {0, 1, 2, 3}
    assert bus.sent == []
    assert bus.listener.inquirer is None
    assert informed(bus) == set()


def test_packs_do_not_wait_for_what_is_asked() -> None:
    bus = bus_of(1)
    bus.run(15)
    assert bus.sent == []
    assert bus.listener.stations[1].features is not None
    assert bus.listener.stations[1].available


def test_device_info_is_read_once_an_hour() -> None:
    bus = bus_of(2)
    bus.run(2.5 * HOUR)
    for address in (1, 2):
        asked = [t for t, r in requests(bus) if r.address == address]
        assert len(asked) == 4
        # Twice at first, then once: there is something to compare with.
        assert 2.5 <= asked[1] - asked[0] < 15
        for one, other in pairwise(asked[1:]):
            assert HOUR <= other - one < HOUR + 15
    assert counts(bus).answered == counts(bus).asked == 8


def test_every_request_follows_a_quarter_of_a_second_of_silence() -> None:
    bus = bus_of(8)
    heard = [0.0]
    collect = bus.line.collect

    def noting(now: float) -> list[bytes]:
        pieces = collect(now)
        if pieces:
            heard.append(now)
        return pieces

    bus.line.collect = noting  # type: ignore[method-assign]  # to hear what it hears
    bus.run(200)
    assert len(bus.sent) == 16
    for time, _ in bus.sent:
        assert time - max(t for t in heard if t < time) >= 0.25
    times = [time for time, _ in bus.sent]
    assert all(other - one >= 2.5 for one, other in pairwise(times))


def test_a_slave_that_has_gone_is_not_asked() -> None:
    bus = bus_of(2)
    bus.run(16)
    bus.line.bank[1].present = False
    bus.run(120)
    assert {r.address for t, r in requests(bus) if t > 18} == {2}
    assert informed(bus) == {2}


def test_a_bus_without_its_master_is_left_alone() -> None:
    bus = bus_of(2)
    bus.run(60)
    for station in bus.listener.stations.values():
        station.state.seen.pop(Block.DEVICE, None)
    bus.line.bank[0].present = False
    before = len(bus.sent)
    bus.run(2 * HOUR)
    # It cannot know in the very silence in which the master went.
    assert len(bus.sent) <= before + 1


def test_an_echo_is_nobody_else() -> None:
    bus = bus_of(2, faults=["echo"])
    bus.run(120)
    assert informed(bus) == {1, 2}
    assert counts(bus) == Counts(asked=4, answered=4)


@pytest.mark.parametrize("delay", [0.005, 0.016, 0.03])
def test_a_link_with_some_delay_is_asked_through(delay: float) -> None:
    assert delayed(delay) > 0


@pytest.mark.parametrize("delay", [0.05, 0.08, 0.15])
def test_a_link_with_much_delay_is_given_up(delay: float) -> None:
    delayed(delay)


def delayed(delay: float) -> int:
    """Return how many packs are informed in 20 minutes; few requests go in vain."""
    bus = bus_of(3)
    coming: list[tuple[float, bytes]] = []
    going: list[tuple[float, bytes]] = []
    now = wake = 0.0
    turns = Turns()
    while now < 1200:
        turns.take(now)
        due = bus.line.due()
        assert due is not None
        times = [wake, due, *(t for t, _ in (*coming[:1], *going[:1]))]
        now = max(now, min(times))
        while going and going[0][0] <= now:
            bus.line.receive(going.pop(0)[1], now)
        coming += [(now + delay, piece) for piece in bus.line.collect(now)]
        data = b""
        while coming and coming[0][0] <= now:
            data += coming.pop(0)[1]
        step = bus.listener.advance(now, data)
        wake = step.wake
        if step.send:
            going.append((now + delay, step.send))
    told = counts(bus)
    assert told.asked - told.answered <= 12
    polls = bus.line.polls
    assert polls.collisions + polls.unheard <= 4
    serials = {p.serial for p in bus.line.bank}
    for address in informed(bus):
        assert bus.listener.stations[address].state.get(SERIAL_NUMBER) in serials
    return len(informed(bus))


@pytest.mark.parametrize(
    "fault", ["flip:rate=0.001", "drop:rate=0.0005", "noise:rate=0.002"]
)
def test_damaged_answers_are_never_believed(fault: str) -> None:
    bus = bus_of(4, faults=[fault])
    bus.run(1200)
    assert counts(bus).asked > 4
    for address in informed(bus):
        serial = bus.listener.stations[address].state.get(SERIAL_NUMBER)
        assert serial == bus.line.bank[address].serial


# -- byte by byte ------------------------------------------------------------------


class Cycle:
    """A master's cycle of two packs and an address that is absent, by hand."""

    def __init__(self) -> None:
        """Let three cycles pass, so that the silences are learnt."""
        self.listener = Listener((0, 1), SERIAL, ask_device_info=True)
        self.now = 0.0
        self.sent: bytes = b""
        for _ in range(3):
            assert self.sent == b""
            self.turn()

    def turn(self) -> None:
        """Let a cycle pass, up to the silence after the probe of the absent address."""
        for data in (
            answer_of(pack(address=0), Block.LIVE),
            trigger(1, Block.LIVE).encode() + answer_of(pack(), Block.LIVE),
            trigger(LATE, Block.LIVE).encode(),
        ):
            self.now += 0.4
            self.hear(0.0, data)

    def hear(self, after: float, data: bytes = b"") -> bytes:
        """Let time pass and bytes arrive; return what is sent then."""
        self.now += after
        self.sent = self.listener.advance(self.now, data).send
        return self.sent

    def asks(self) -> None:
        """Wait for the moment in which it asks."""
        assert self.hear(0.249) == b""
        assert self.hear(0.002) == trigger(1, Block.DEVICE).encode()

    @property
    def counts(self) -> Counts:
        """What became of the requests."""
        assert self.listener.inquirer is not None
        return self.listener.inquirer.counts

    def read(self) -> bool:
        """Whether the device info was believed."""
        return Block.DEVICE in self.listener.stations[1].state.seen


ANSWER = answer_of(pack(), Block.DEVICE)
FRAME = frame_of(pack(), Block.DEVICE).data
ACK = ack_of(1, Block.DEVICE)


def test_an_answer_that_was_said_twice_is_believed() -> None:
    cycle = Cycle()
    cycle.asks()
    cycle.hear(0.05, ANSWER)
    assert not cycle.read()
    for _ in range(3):
        cycle.turn()
    cycle.asks()
    cycle.now += 0.05
    events = cycle.listener.advance(cycle.now, ANSWER).events
    assert [type(event) for event in events] == [Updated]
    assert cycle.read()
    assert cycle.counts == Counts(asked=2, answered=2)


def test_only_the_first_answer_tells_the_delay_of_the_link() -> None:
    """The same ACK later is of somebody else's request."""
    cycle = Cycle()
    cycle.asks()
    cycle.hear(0.05, ANSWER)
    cycle.hear(1.0, ACK)
    for _ in range(3):
        cycle.turn()
    cycle.asks()


def test_an_answer_that_came_late_tells_the_delay_of_the_link() -> None:
    cycle = Cycle()
    cycle.asks()
    cycle.hear(0.11)
    assert cycle.counts.unanswered == 1
    cycle.hear(0.2, ANSWER)
    for _ in range(30):
        cycle.turn()
    # 0.31 s and what the master needs do not fit behind 0.25 s of silence.
    assert cycle.hear(0.26) == b""


def test_it_wakes_for_the_moment_and_for_the_end_of_the_wait() -> None:
    cycle = Cycle()
    step = cycle.listener.advance(cycle.now + 0.15)
    assert step.wake == pytest.approx(cycle.now + 0.25)
    asked = step.wake
    assert cycle.listener.advance(asked).send
    assert cycle.listener.advance(asked + 0.01).wake == pytest.approx(asked + 0.1)
    step = cycle.listener.advance(asked + 0.1)
    assert cycle.counts == Counts(asked=1, unanswered=1)
    assert step.wake > asked + 10


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (trigger(2, Block.LIVE).encode(), Counts(asked=1, collisions=1)),
        (answer_of(pack(), Block.LIVE), Counts(asked=1, collisions=1)),
        (ack_of(1, Block.DEVICE), Counts(asked=1, collisions=1)),
        (FRAME + ack_of(2, Block.DEVICE), Counts(asked=1, collisions=1)),
        (FRAME + trigger(2, Block.LIVE).encode(), Counts(asked=1, collisions=1)),
        (b"\x99" * 17 + ANSWER, Counts(asked=1, collisions=1)),
        (b"\x99" * 9 + ANSWER, Counts(asked=1, answered=1)),
        (FRAME + b"\x99" * 8 + ACK, Counts(asked=1, answered=1)),
        (
            b"\x99" * 9 + FRAME + b"\x99" * 8 + ACK,
            Counts(asked=1, collisions=1),
        ),
        (trigger(1, Block.DEVICE).encode() + ANSWER, Counts(asked=1, answered=1)),
        (FRAME, Counts(asked=1, collisions=1)),
        (FRAME[:200], Counts(asked=1, collisions=1)),
        (b"", Counts(asked=1, unanswered=1)),
        (trigger(1, Block.DEVICE).encode(), Counts(asked=1, unanswered=1)),
    ],
    ids=[
        "the master's next request",
        "another frame",
        "an ACK alone",
        "the ACK of another",
        "a request for an ACK",
        "much noise",
        "some noise",
        "stray bytes",
        "stray bytes before and behind",
        "an echo",
        "no ACK",
        "a torn frame",
        "nothing",
        "an echo alone",
    ],
)
def test_what_follows_a_request_is_judged(data: bytes, result: Counts) -> None:
    cycle = Cycle()
    cycle.asks()
    cycle.hear(0.04, data)
    cycle.hear(0.11)
    assert cycle.counts == result
    assert not cycle.read()
    cycle.turn()
    # Whatever it was, the next cycle is left alone.
    assert cycle.hear(0.26) == b""


def test_an_own_request_that_returns_is_no_master() -> None:
    cycle = Cycle()
    cycle.asks()
    heard = cycle.listener.master_heard
    cycle.hear(0.01, trigger(1, Block.DEVICE).encode())
    assert cycle.listener.master_heard == heard
    cycle.hear(5, trigger(1, Block.DEVICE).encode())
    assert cycle.listener.master_heard == cycle.now


def test_after_a_collision_nobody_is_asked_for_a_while() -> None:
    bus = bus_of(3)
    bus.run(12)
    while not bus.sent:
        bus.run(0.01)
    asked = bus.now
    bus.listener.advance(bus.now, trigger(2, Block.LIVE).encode())
    assert counts(bus).collisions == 1
    bus.run(60)
    times = [time for time, _ in bus.sent][1:]
    assert times[0] >= asked + 10


def test_silences_without_a_master_that_asks_are_not_used() -> None:
    listener = Listener((0, 1), SERIAL, ask_device_info=True)
    listener.advance(0.0, trigger(LATE, Block.LIVE).encode())
    for turn in range(40):
        for address in (0, 1):
            now = 20.0 + turn + 0.4 * address
            data = answer_of(pack(address=address), Block.LIVE)
            assert listener.advance(now, data).send == b""
            assert listener.advance(now + 0.26).send == b""
    assert listener.inquirer is not None
    assert listener.inquirer.longest_silence is not None
    assert listener.inquirer.longest_silence > 0.35


def test_the_shortest_of_the_silences_counts() -> None:
    cycle = Cycle()
    # The master goes on at once this time: 0.25 s and an inquiry did not fit.
    cycle.hear(0.2, answer_of(pack(address=0), Block.LIVE))
    for _ in range(2):
        cycle.turn()
        assert cycle.hear(0.26) == b""
        cycle.now -= 0.26


def test_a_moment_that_was_missed_is_not_made_up_for() -> None:
    cycle = Cycle()
    assert cycle.hear(0.35) == b""


def test_silences_that_are_unclear_are_not_used() -> None:
    cycle = Cycle()
    cycle.now += 0.4
    cycle.hear(0.0, trigger(LATE, Block.LIVE).encode() + b"\x01\x10")
    assert cycle.hear(0.26) == b""


def test_a_pause_of_the_master_is_no_silence_to_learn_from() -> None:
    inquirer = Inquirer(SERIAL)
    probe = trigger(LATE, Block.LIVE)
    for turn in range(4):
        inquirer.heard([probe], 11, 30.0 * turn, incomplete=False)
    assert inquirer.longest_silence is None


@pytest.mark.parametrize(("heard", "asked"), [(0.5, True), (0.484375, False)])
def test_who_is_silent_for_more_than_two_cycles_is_not_asked(
    heard: float, asked: bool
) -> None:
    # Times that are exact as binary fractions.
    inquirer = Inquirer(SERIAL)
    probe = trigger(LATE, Block.LIVE)
    for turn in range(4):
        inquirer.heard([probe], 11, 0.5 * turn, incomplete=False)
    slave = Station(1, 30.0, cycle=0.640625, heard=heard, available=True)
    request = inquirer.next({1: slave}, 1.5, 1.78125)
    assert request == (trigger(1, Block.DEVICE) if asked else None)


def test_requests_of_other_tools_name_no_silence() -> None:
    inquirer = Inquirer(SERIAL)
    for turn in range(4):
        other = WriteRequest(1, 0x1070, bytes(4))
        inquirer.heard([other], 13, 0.4 * turn, incomplete=False)
    assert inquirer.longest_silence is None


def test_a_link_opened_anew_has_to_be_learnt_anew() -> None:
    cycle = Cycle()
    cycle.listener.connected(cycle.now)
    cycle.turn()
    assert cycle.hear(0.26) == b""
    inquirer = cycle.listener.inquirer
    assert inquirer is not None
    assert inquirer.longest_silence is None


def test_a_slave_that_does_not_answer_is_asked_ever_less() -> None:
    cycle = Cycle()
    asked = []
    for _ in range(3000):
        cycle.turn()
        if cycle.hear(0.26):
            asked.append(cycle.now)
            cycle.hear(0.11)
    assert cycle.counts == Counts(asked=len(asked), unanswered=len(asked))
    gaps = [other - one for one, other in pairwise(asked)]
    assert gaps[:3] == pytest.approx([10, 20, 40], abs=3)
    assert gaps[6:] == pytest.approx([600] * len(gaps[6:]), abs=3)
    assert len(asked) == 13


def test_an_answer_that_makes_no_sense_is_asked_for_ever_less() -> None:
    cycle = Cycle()
    nonsense = Frame(build_frame(Block.DEVICE.frame_type, bytes(293)))
    asked = []
    for _ in range(1500):
        cycle.turn()
        if cycle.hear(0.26):
            asked.append(cycle.now)
            cycle.hear(0.05, nonsense.data + ACK)
    assert not cycle.read()
    gaps = [other - one for one, other in pairwise(asked)]
    assert gaps == sorted(gaps)
    assert len(asked) < 12
