"""A bus that another master asks: who speaks, what is believed, who has moved."""

from collections import Counter
from random import Random
import tracemalloc

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.attribution import Attributed, Attributor
from custom_components.jkbms.protocol.continuity import continues, resumes
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Role
from custom_components.jkbms.protocol.fields import FIELDS_OF, STATE_OF_CHARGE
from custom_components.jkbms.protocol.frames import Ack, Frame, trigger
from custom_components.jkbms.protocol.layout import FRAME_HEAD, decode_block
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.station import (
    Appeared,
    Availability,
    Clash,
    Event,
    Moved,
    Updated,
)
from custom_components.jkbms.protocol.stream import Framer
from simulator import SLOT_SLOW, Bank, MasterLine, Pack, Speed
from tests.captures import bus_streams

from .helpers import ack_of, answer_of, frame_of, pack
from .listening import bus_of

_HIDDEN = (Role.RAW, Role.SECRET)
_STREAMS = {stream.id: stream for stream in bus_streams()}


def shown(frame: bytes) -> int:
    """Return a digest of what a frame says to people."""
    block = BLOCK_OF_TYPE[frame[4]]
    values = decode_block(frame, block, offset=FRAME_HEAD)
    return hash(tuple(values[f.key] for f in FIELDS_OF[block] if f.role not in _HIDDEN))


def replay(listener: Listener, data: bytes, chunk: int) -> list[Event]:
    """Play a captured stream at wire speed."""
    events: list[Event] = []
    now = 0.0
    for at in range(0, len(data), chunk):
        piece = data[at : at + chunk]
        now += len(piece) * 10 / 115_200
        events += listener.advance(now, piece).events
    events += listener.advance(now + 2).events
    return events


def test_packs_appear_as_they_are_heard() -> None:
    bus = bus_of(0, 1, 2, 5)
    bus.run(10)
    assert sorted(bus.listener.stations) == [0, 1, 2, 5]
    assert Counter(bus.of_type(Appeared)) == Counter(map(Appeared, (0, 1, 2, 5)))
    bus.run(10)
    for address, station in bus.listener.stations.items():
        assert station.available
        assert station.state.seen.keys() == {Block.LIVE, Block.SETTINGS}
        assert 4 < station.cycle < 5
        soc = bus.line.bank[address].get("soc")
        assert station.state.get(STATE_OF_CHARGE) == soc
    assert bus.listener.master_heard is not None
    assert bus.sent == []


def test_a_pack_that_is_known_is_no_news() -> None:
    bus = bus_of(0, 1)
    bus.listener.add(0)
    bus.listener.add(1)
    bus.run(6)
    assert bus.of_type(Appeared) == []
    assert {e.address for e in bus.of_type(Availability)} == {0, 1}


def test_a_pack_that_is_silent_for_45_seconds_is_not_away() -> None:
    bus = bus_of(0, 1, slot=SLOT_SLOW)
    bus.run(30)
    bus.line.bank[1].present = False
    bus.run(45)
    assert bus.here() == {0, 1}
    bus.run(30)
    assert bus.here() == {0}
    bus.line.bank[1].present = True
    bus.run(20)
    assert bus.here() == {0, 1}
    assert [e.available for e in bus.of_type(Availability) if e.address == 1] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("chunk", [1, 7, 300, 100_000])
def test_a_captured_pack_that_changes_its_address_moves(chunk: int) -> None:
    listener = Listener((), SERIAL)
    data = _STREAMS["mpp-bus-084414-readdressed"].data
    events = replay(listener, data, chunk)
    assert sorted(listener.stations) == [0, 3]
    assert [e for e in events if isinstance(e, Moved)] == [Moved(1, 3)]
    assert listener.stations[3].address == 3
    assert listener.unattributed == 0


@pytest.mark.parametrize("chunk", [1, 11, 100_000])
@pytest.mark.parametrize(
    ("stream", "addresses"),
    [
        ("phinix-bus-full", [0, 1]),
        ("mpp-bus-102915", [0, 7]),
        ("mpp-bus-103005", [0, 7]),
        ("mpp-bus-103114", [0, 7]),
        ("mpp-bus-capture-head", [0, 1]),
        ("mpp-bus-084232-truncated", []),
        ("phinix-bus-start", []),
    ],
)
def test_captured_buses_have_the_packs_their_notes_state(
    stream: str, addresses: list[int], chunk: int
) -> None:
    listener = Listener((), SERIAL)
    events = replay(listener, _STREAMS[stream].data, chunk)
    assert sorted(listener.stations) == addresses
    assert not [e for e in events if isinstance(e, Moved)]


def test_a_simulated_pack_that_changes_its_address_moves() -> None:
    bus = bus_of(0, 1, 2)
    bus.run(20)
    bus.line.bank[2].readdress(6)
    bus.run(20)
    assert sorted(bus.listener.stations) == [0, 1, 6]
    assert bus.of_type(Moved) == [Moved(2, 6)]
    # What has proven it is told at once.
    events = [event for _, event in bus.events]
    later = events[events.index(Moved(2, 6)) + 1 :]
    first = next(event for event in later if isinstance(event, Updated))
    assert (first.address, first.update.block) == (6, Block.LIVE)


def test_a_frame_without_its_ack_counts_when_it_goes_on_where_its_pack_left_off() -> (
    None
):
    listener = Listener((1,), SERIAL)
    asked = trigger(1, Block.LIVE).encode()
    first = pack(run_time=1000)
    listener.advance(0.0, asked + answer_of(first, Block.LIVE))
    listener.advance(4.0, asked + frame_of(pack(run_time=1004), Block.LIVE).data)
    step = listener.advance(4.2)
    assert [type(e) for e in step.events] == [Updated]
    assert listener.stations[1].state.values["total_runtime"] == 1004
    listener.advance(8.0, asked + frame_of(pack(run_time=9000), Block.LIVE).data)
    assert listener.advance(8.2).events == ()
    assert listener.unattributed == 1


def test_settings_without_their_ack_count_for_a_pack_whose_settings_are_known() -> None:
    listener = Listener((1,), SERIAL)
    asked = trigger(1, Block.SETTINGS).encode()
    listener.advance(0.0, asked + frame_of(pack(), Block.SETTINGS).data)
    assert listener.advance(1.0).events == ()
    listener.advance(2.0, asked + answer_of(pack(), Block.SETTINGS))
    listener.advance(3.0, asked + frame_of(pack(), Block.SETTINGS).data)
    assert [type(e) for e in listener.advance(4.0).events] == [Updated]


def test_nobody_unknown_is_believed_without_an_ack() -> None:
    listener = Listener((), SERIAL)
    frame = frame_of(pack(), Block.LIVE).data
    for cycle in range(5):
        now = 5.0 * cycle
        listener.advance(now, trigger(1, Block.LIVE).encode() + frame)
        listener.advance(now + 1)
    assert listener.stations == {}
    assert listener.unattributed == 5


def test_frames_of_unknown_kind_and_damaged_candidates_are_passed_over() -> None:
    listener = Listener((), SERIAL)
    asked = trigger(1, Block.LIVE).encode()
    impossible = answer_of(pack(soc=150), Block.LIVE)
    for cycle in range(4):
        listener.advance(5.0 * cycle, asked + impossible)
    assert listener.stations == {}
    assert listener.advance(25.0, b"").events == ()
    log = bytearray(frame_of(pack(), Block.LIVE).data)
    log[4] = 5
    log[299] = sum(log[:299]) & 0xFF
    ack = Ack(1, 0x1624, 1).encode()
    listener.advance(30.0, bytes(log) + ack)
    listener.advance(31.0, b"\x99" * 40)
    listener.advance(32.0)
    assert listener.discarded == 40


def test_an_impossible_frame_of_a_known_pack_is_counted() -> None:
    listener = Listener((1,), SERIAL)
    listener.advance(0.0, answer_of(pack(), Block.LIVE))
    listener.advance(5.0, answer_of(pack(soc=150), Block.LIVE))
    assert listener.stations[1].counts.implausible == 1
    listener.advance(10.0, answer_of(pack(alarms=1 << 4), Block.LIVE))
    assert listener.stations[1].counts.implausible == 1
    listener.advance(15.0, answer_of(pack(alarms=1 << 4), Block.LIVE))
    assert listener.stations[1].state.values["problem"] is True


def signed(speaker: Pack, address: int) -> bytes:
    """Return the live values of a pack, signed with any address."""
    return frame_of(speaker, Block.LIVE).data + ack_of(address, Block.LIVE)


def test_a_new_address_is_proven_by_live_values_of_one_pack_alone() -> None:
    one, other = pack(0, 1), pack(1, 5)
    listener = Listener((), SERIAL)
    for cycle, speaker in enumerate((one, other, one, other)):
        events = listener.advance(5.0 * cycle, signed(speaker, 5)).events
        assert events == ()
    assert Appeared(5) in listener.advance(20.0, signed(other, 5)).events
    assert listener.stations[5].state.values["total_runtime"] == other.get("run_time")


def test_two_packs_that_could_both_be_it_are_not_guessed() -> None:
    listener = Listener((1, 2), SERIAL)
    for address in (1, 2):
        listener.advance(0.0, answer_of(pack(address=address), Block.LIVE))
    for now in (10.0, 14.0):
        events = listener.advance(now, answer_of(pack(address=3), Block.LIVE)).events
    assert events[0] == Appeared(3)


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    trigger(1, Block.LIVE).encode(),
                    trigger(9, Block.DEVICE).encode(),
                    answer_of(pack(), Block.LIVE),
                    answer_of(pack(), Block.SETTINGS),
                    answer_of(pack(address=0), Block.LIVE),
                    frame_of(pack(), Block.DEVICE).data,
                    b"",
                    b"\x01\x10\x16",
                ]
            )
            | st.binary(max_size=40),
            st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.3, 0.4, 5.0, 100.0]),
        ),
        max_size=40,
    )
)
def test_whatever_is_heard_not_one_byte_is_sent(
    pieces: list[tuple[bytes, float]],
) -> None:
    listener = Listener((1,), SERIAL)
    now = 0.0
    for data, pause in pieces:
        assert listener.advance(now, data).send == b""
        now += pause
        step = listener.advance(now)
        assert step.send == b""
        assert step.wake >= now


def test_half_a_frame_waits_for_its_rest_however_often_time_is_told() -> None:
    listener = Listener((1,), SERIAL)
    data = trigger(1, Block.LIVE).encode() + answer_of(pack(), Block.LIVE)
    events: list[Event] = []
    for n, at in enumerate(range(0, len(data), 20)):
        now = n * 0.002
        events += listener.advance(now, data[at : at + 20]).events
        events += listener.advance(now + 0.001).events
    events += listener.advance(now + 1.0).events
    assert [type(event) for event in events] == [Updated, Availability]
    assert listener.discarded == 0


def test_a_lost_link_leaves_nothing_half_heard() -> None:
    listener = Listener((1,), SERIAL)
    answer = answer_of(pack(), Block.LIVE)
    listener.advance(0.0, answer)
    listener.advance(1.0, answer[:100])
    assert listener.disconnected(1.5) == ()
    listener.connected(2.0)
    step = listener.advance(3.0, answer)
    assert [type(e) for e in step.events] == [Updated]
    assert listener.discarded == 0
    assert listener.disconnected(100.0) == (Availability(1, False),)


def test_nothing_continues_what_was_never_heard() -> None:
    frame = frame_of(pack(), Block.LIVE)
    assert not continues(BmsState(), frame, Block.LIVE, 1.0)
    assert not resumes(BmsState(), frame, 1.0)
    assert not continues(BmsState(), frame, Block.DEVICE, 1.0)
    state = BmsState()
    assert state.take_frame(frame, Block.LIVE, 0.0)
    del state.values["total_runtime"]
    assert not resumes(state, frame, 1.0)
    broken = bytearray(frame.data)
    broken[70:74] = b"\0\0\0\0"
    assert not resumes(state, Frame(bytes(broken)), 1.0)


@pytest.mark.parametrize(("damage", "wrong"), [(0.002, 0.0), (0.01, 0.01)])
def test_a_damaged_bus_invents_no_pack_and_hardly_a_value(
    damage: float, wrong: float
) -> None:
    """What is shown is compared with what was really sent."""
    bank = Bank.default(addresses=range(5), seed=3)
    line = MasterLine(bank, speed=Speed.FAST)
    listener = Listener((), SERIAL)
    clean, names = Framer(), Attributor()
    random = Random(5)
    told: set[tuple[int | None, int]] = set()
    good = bad = 0
    now = 0.0
    while now < 3600 and (due := line.due()) is not None:
        now = max(now, due)
        data = bytearray(b"".join(line.collect(now)))
        for heard in names.feed(clean.feed(bytes(data))):
            if isinstance(heard, Attributed):
                told.add((heard.address, shown(heard.frame.data)))
        for at in range(len(data)):
            if random.random() < damage:
                data[at] = random.randrange(256)
        for event in listener.advance(now, bytes(data)).events:
            if isinstance(event, Updated):
                frame = listener.stations[event.address].state.frames[
                    event.update.block
                ]
                true = (event.address, shown(frame)) in told
                good += true
                bad += not true
    assert sorted(listener.stations) == [0, 1, 2, 3, 4]
    assert good > 300
    assert bad <= wrong * good


def test_memory_stays_flat() -> None:
    bus = bus_of(0, 1, 2)
    bus.run(300)
    bus.events.clear()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    for _ in range(6):
        bus.run(300)
        bus.events.clear()
    here = tracemalloc.Filter(True, "*/jkbms/protocol/*")
    grown = tracemalloc.take_snapshot().filter_traces([here])
    tracemalloc.stop()
    diff = grown.compare_to(before.filter_traces([here]), "filename")
    assert sum(line.size_diff for line in diff) < 100_000


def test_two_packs_at_one_address_are_told_and_so_is_the_end_of_it() -> None:
    listener = Listener((1,), SERIAL)
    told: list[tuple[float, Clash]] = []
    for turn in range(120):
        now = 5.0 * turn
        both = turn % 2 and turn < 60
        speaker = pack(2 if both else 0, run_time=int(50_000 * both + now) + 1000)
        events = listener.advance(now, answer_of(speaker, Block.LIVE)).events
        told += [(now, e) for e in events if isinstance(e, Clash)]
    assert [event for _, event in told] == [Clash(1, True), Clash(1, False)]
    assert told[0][0] < 60
    assert 300 < told[1][0] < 550
