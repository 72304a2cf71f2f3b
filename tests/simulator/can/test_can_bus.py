"""The wires: who sends first, how long it takes, and what happens when nobody listens."""

from collections.abc import Iterable

import pytest

from simulator import Bank, Speed
from simulator.can import Bus, CanBus, Dialect, Frame, Node, Tap, frame_of
from simulator.can.frame import ERROR

from . import first, heard, opened, pack, passed

STANDARD = frame_of(0x2F4, bytes(8))
EXTENDED = frame_of(0x0BD00000, bytes(8))


class Speaker(Node):
    """Sends given frames at one moment."""

    def __init__(self, *frames: Frame, at: float = 1.0) -> None:
        """Wait for the moment."""
        self.frames: tuple[Frame, ...] = frames
        self.at: float | None = at

    def due(self) -> float | None:
        return self.at

    def emit(self, now: float) -> Iterable[Frame]:
        self.at = None
        return self.frames


@pytest.mark.parametrize(
    ("frame", "bits"),
    [
        (frame_of(0x2F4, b""), 47),
        (STANDARD, 111),
        (EXTENDED, 131),
        (Frame(id=1, remote=True, length=8), 47),
        (ERROR, 20),
    ],
)
def test_a_frame_takes_the_time_of_its_bits(frame: Frame, bits: int) -> None:
    for speed, bitrate in ((1, 250_000), (1, 500_000), (0, 250_000)):
        bus = Bus(
            [Speaker(frame)],
            bitrate=bitrate,
            speed=Speed.WIRE if speed else Speed.FAST,
        )
        tap = opened(bus, sees_errors=True)
        bus.advance(2.0)
        [(time, passing)] = tap.drain()
        assert time == pytest.approx(1.0 + speed * bits / bitrate, abs=1e-9)
        assert passing == frame


def test_at_one_moment_the_lowest_id_goes_first() -> None:
    frames = [
        frame_of(0x18F128F4, b""),
        frame_of(0x7F4, b""),
        frame_of(0x2F4 << 18, b"", extended=True),
        frame_of(0x1806E5F4, b""),
        frame_of(0x2F4, b""),
        frame_of(0x0F0, b"", extended=True),
    ]
    bus = Bus([Speaker(frame) for frame in frames])
    ids = [can_id for _, can_id, _, _ in passed(bus, 2.0)]
    # 0x18... as 11 bits is 0x601 to 0x63C; a short id beats a long one with the same 11 bits.
    assert ids == [0x0F0, 0x2F4, 0x2F4 << 18, 0x1806E5F4, 0x18F128F4, 0x7F4]


def test_a_frame_under_way_is_not_interrupted() -> None:
    bus = Bus(
        [
            Speaker(frame_of(0x7F0, bytes(8))),
            Speaker(frame_of(0x001, bytes(8)), at=1.0001),
        ]
    )
    assert [can_id for _, can_id, _, _ in passed(bus, 2.0)] == [0x7F0, 0x001]


def test_nobody_hears_himself_and_all_others_do() -> None:
    bus = Bus()
    one, other, closed = opened(bus), opened(bus), Tap(bus)
    one.send(STANDARD, 0.0)
    bus.advance(1.0)
    assert heard(one) == []
    assert heard(other) == [STANDARD]
    assert heard(closed) == []
    [(time, frame)] = bus.heard
    assert time == pytest.approx(111 / 250_000)
    assert frame == STANDARD
    assert bus.counts == {0x2F4: 1}


class Attentive(Speaker):
    """Listens to what it says itself."""

    hears = frozenset({0x2F4})

    def __init__(self) -> None:
        """Have heard nothing."""
        super().__init__(STANDARD)
        self.heard: list[Frame] = []

    def hear(self, frame: Frame, now: float) -> None:
        self.heard.append(frame)


def test_a_node_hears_the_ids_it_listens_to_from_others() -> None:
    one, other = Attentive(), Attentive()
    other.at = None
    bus = Bus([one, other])
    opened(bus).send(EXTENDED, 0.0)
    bus.advance(2.0)
    assert one.heard == []
    assert other.heard == [STANDARD]


def test_a_frame_from_nowhere_is_heard_by_all_and_not_counted_as_a_tap_s() -> None:
    bus = Bus()
    tap = opened(bus)
    bus.send(STANDARD, 0.0)
    bus.advance(1.0)
    assert heard(tap) == [STANDARD]
    assert not bus.counts
    assert not bus.heard


def test_those_who_watch_are_told_when_somebody_sends() -> None:
    bus = Bus()
    told: list[int] = []
    bus.watchers.append(lambda: told.append(1))
    opened(bus).send(STANDARD, 0.0)
    assert told == [1]


def test_two_contents_under_one_id_at_one_moment_collide_and_are_sent_again() -> None:
    bus = Bus(
        [
            Speaker(frame_of(0x2F4, b"\1")),
            Speaker(frame_of(0x2F4, b"\2")),
            Speaker(frame_of(0x2F4, b"\3")),
        ]
    )
    tap = opened(bus, sees_errors=True)
    bus.advance(2.0)
    frames = heard(tap)
    assert [frame.error for frame in frames] == [True, False, False, False]
    assert sorted(frame.data for frame in frames[1:]) == [b"\1", b"\2", b"\3"]
    assert bus.counters.collisions == 1
    assert tap.unread_errors == 1


def test_two_equal_frames_at_one_moment_are_no_collision() -> None:
    bus = Bus([Speaker(STANDARD), Speaker(STANDARD)])
    assert len(passed(bus, 2.0)) == 2
    assert bus.counters.collisions == 0


def test_a_controller_at_another_rate_counts_errors_and_hears_nothing() -> None:
    bus = CanBus(Bank([pack(0)]))
    tap = Tap(bus)
    tap.open(0.0, bitrate=500_000)
    assert (tap.fits, tap.acknowledges, tap.warned) == (False, False, False)
    bus.advance(0.2)
    assert 0 < tap.unread_errors < 12
    assert not tap.warned
    bus.advance(2.0)
    assert (tap.warned, tap.passive) == (True, True)
    assert heard(tap) == []


def test_a_controller_recovers_with_good_frames() -> None:
    bus = Bus()
    tap = opened(bus)
    for time in range(13):
        bus.send(ERROR, float(time))
    bus.advance(20.0)
    assert (tap.error_count, tap.warned, tap.passive) == (104, True, False)
    for time in range(9):
        bus.send(STANDARD, 20.0 + time)
    bus.advance(40.0)
    assert (tap.error_count, tap.warned) == (95, False)
    assert heard(tap) == [STANDARD] * 9


def test_what_finds_no_place_to_wait_is_refused() -> None:
    bus = CanBus(Bank([pack(0)]))
    tap = Tap(bus)
    tap.open(0.0, bitrate=500_000)
    assert [tap.send(STANDARD, 0.0) for _ in range(33)] == [True] * 32 + [False]
    assert tap.overflowed
    bus.advance(10.0)
    assert not bus.counts
    tap.close()
    tap.open(10.0)
    assert tap.send(STANDARD, 10.0)
    bus.advance(11.0)
    assert bus.counts == {0x2F4: 1}


def test_a_controller_that_closes_takes_its_frames_along() -> None:
    bus = Bus()
    one, other = opened(bus), opened(bus)
    for _ in range(4):
        one.send(STANDARD, 0.0)
    other.send(EXTENDED, 0.0)
    bus.advance(0.0001)
    one.detach()
    bus.advance(1.0)
    assert heard(other) == [STANDARD]
    assert bus.counts == {0x2F4: 1, EXTENDED.id: 1}
    assert bus.taps == [other]


def test_alone_with_listeners_a_pack_repeats_its_frame_without_end() -> None:
    bus = CanBus(Bank([pack(0)]))
    bus.acknowledged = False
    tap = Tap(bus)
    tap.open(0.0, listen_only=True)
    bus.advance(1.0)
    frames = heard(tap)
    # A full bus: 1 s of 250 kbit/s.
    assert len(frames) > 1000
    assert len({frame.id for frame in frames}) < 4
    assert bus.counters.frames == 0
    assert bus.counters.repeated == len(frames)
    tap.close()
    tap.open(1.0)
    bus.advance(3.0)
    assert len({frame.id for frame in heard(tap)}) == 12
    assert bus.counters.frames > 60


def test_what_a_full_bus_has_no_time_for_is_overwritten() -> None:
    bus = CanBus(Bank([pack(0)]))
    bus.acknowledged = False
    passed(bus, 10.0)
    assert bus.counters.overwritten > 200


def test_a_node_with_nothing_to_say_is_silent() -> None:
    silent = Node()
    assert passed(Bus([silent]), 1e9) == []
    assert [*silent.emit(0.0)] == []


def test_a_bus_without_anybody_is_silent() -> None:
    bus = Bus()
    assert passed(bus, 1e9) == []
    assert bus.due() is None
    assert bus.ids == []


def test_due_names_the_next_moment() -> None:
    bus = Bus([Speaker(STANDARD, EXTENDED)])
    assert bus.due() is None
    bus.advance(0.0)
    assert bus.due() == 1.0
    bus.advance(1.0)
    # Of two ids that begin alike the short one is first.
    assert bus.due() == pytest.approx(1.0 + 111 / 250_000, abs=1e-7)
    bus.advance(1.00045)
    bus.send(STANDARD, 1.00046)
    assert bus.due() == pytest.approx(1.0 + 242 / 250_000, abs=1e-7)
    bus.advance(2.0)
    assert bus.due() is None


def test_a_frame_on_an_idle_bus_is_due_at_once() -> None:
    bus = Bus()
    tap = opened(bus, 5.0)
    tap.send(STANDARD, 6.0)
    assert bus.due() == 6.0


def test_messages_are_the_frames_with_data() -> None:
    bus = Bus([Speaker(Frame(id=1, remote=True), ERROR, STANDARD)])
    assert [can_id for _, can_id, _, _ in passed(bus, 2.0)] == [0x2F4]


def test_messages_may_begin_at_any_time() -> None:
    bus = CanBus(Bank([pack(0)]))
    assert next(bus.messages(start=5000.0))[0] > 5000.0
    assert first(bus, 1)[0][0] > 5000.0


@pytest.mark.parametrize("dialect", Dialect)
def test_each_dialect_has_its_bit_rate(dialect: Dialect) -> None:
    native = dialect in ("native", "native-v1")
    assert CanBus(Bank([pack(0)]), dialect).bitrate == (250_000 if native else 500_000)
    assert CanBus(Bank([pack(0)]), dialect, bitrate=500_000).bitrate == 500_000


def test_twice_the_bit_rate_changes_no_content() -> None:
    slow, fast = (
        passed(CanBus(Bank([pack(0)]), bitrate=rate), 10.0)
        for rate in (250_000, 500_000)
    )
    assert [message[1:] for message in slow] == [message[1:] for message in fast]
