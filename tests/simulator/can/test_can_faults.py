"""Each fault of a CAN bus does what its name says, and the same again with the same seed."""

from collections import Counter

import pytest

from simulator import Bank, parse_fault
from simulator.can import (
    CAN_KINDS,
    CanBus,
    Dialect,
    ReplayBus,
    SlcanAdapter,
    Tap,
    parallel_bank,
    parse_can_fault,
    parse_candump,
)
from simulator.can.faults import Alone, Errors, Flood, damaged

from . import heard, opened, pack, passed


def bus(*faults: str, packs: int = 2, seed: int = 1) -> CanBus:
    """Packs that stand still, with faults."""
    return CanBus(
        Bank.default(range(packs), still=True),
        seed=seed,
        faults=[parse_can_fault(fault) for fault in faults],
    )


@pytest.mark.parametrize("kind", CAN_KINDS)
def test_every_kind_can_be_named_without_parameters(kind: str) -> None:
    assert type(parse_can_fault(kind)) is CAN_KINDS[kind]
    assert passed(bus(kind), 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fire", "no fault of a CAN bus is called 'fire'; there are close, mute, "),
        ("late", "no fault of a CAN bus is called 'late'"),
        ("flood:volume=3", "flood takes rate=VALUE, hits=VALUE, extended=VALUE, not"),
        ("flood:rate", "'' is no value for rate of flood"),
        ("flood:rate=much", "'much' is no value for rate of flood"),
        ("alone:rate=1", "alone takes nothing, not 'rate=1'"),
        ("drop:rate=much", "'much' is no value for rate of drop"),
    ],
)
def test_a_fault_that_cannot_be_understood_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_can_fault(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop:address=3", "drop: the bytes of a CAN adapter are no pack's"),
        ("duplicate:address=9", "duplicate: no pack has address 9"),
        ("readdress:address=9", "readdress: no pack has address 9"),
        ("flood:rate=0", "flood: a rate is more than 0"),
        ("errors:rate=-1", "errors: a rate is more than 0"),
    ],
)
def test_a_fault_that_no_bus_can_have_is_told_in_a_sentence(
    text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bus(text)


def test_faults_of_rs485_do_not_happen_here() -> None:
    with pytest.raises(ValueError, match="late does not happen on a CAN bus"):
        CanBus(Bank([pack(0)]), faults=[parse_fault("late")])


def test_a_recording_has_no_packs_to_suffer() -> None:
    frames = parse_candump("(1.0) can0 2F4#13\n(1.1) can0 2F4#14")
    for kind in ("vanish", "duplicate", "readdress"):
        with pytest.raises(ValueError, match=f"{kind}: a recording has no packs"):
            ReplayBus(frames, faults=[parse_can_fault(kind)])
    flooded = ReplayBus(frames, faults=[parse_can_fault("flood:rate=100:hits=1")])
    ids = [can_id for _, can_id, _, _ in passed(flooded, 10.0)]
    assert ids.count(0x2F4) == pytest.approx(100, abs=2)
    assert len(ids) == pytest.approx(1100, abs=3)


def test_a_flood_is_repeatable_by_seed() -> None:
    said = [passed(bus("flood", seed=seed), 1.0) for seed in (1, 1, 2)]
    assert said[0] == said[1]
    assert said[0] != said[2]


def test_a_flood_fills_the_bus_with_foreign_frames_and_some_of_ours() -> None:
    stage = bus("flood:rate=1000:hits=0.1:extended=0.5")
    ours = {*stage.ids}
    clean = {message[1:] for message in passed(bus(), 10.0)}
    foreign = [message for message in passed(stage, 10.0) if message[1:] not in clean]
    assert len(foreign) == pytest.approx(10_000, rel=0.01)
    hits = [message for message in foreign if message[1:3] in ours]
    assert len(hits) == pytest.approx(1000, rel=0.15)
    assert all(len(data) == 8 for *_, data in hits)
    assert len({(can_id, extended) for _, can_id, extended, _ in hits}) > 20
    rest = [message for message in foreign if message[1:3] not in ours]
    assert sum(message[2] for message in rest) == pytest.approx(4500, rel=0.1)
    assert {len(data) for *_, data in rest} == {*range(9)}


def test_a_flood_hits_the_ids_of_an_inverter_too() -> None:
    stage = CanBus(
        parallel_bank([0], still=True),
        Dialect.PYLON,
        faults=[parse_can_fault("flood:hits=1")],
    )
    ids = Counter(can_id for _, can_id, _, _ in passed(stage, 5.0))
    assert {*ids} == {can_id for can_id, _ in stage.ids}


def test_a_bus_at_its_limit_still_passes_frames_in_their_order() -> None:
    stage = CanBus(
        Bank.default(range(12), still=True),
        bitrate=500_000,
        faults=[parse_can_fault("flood:rate=6000:hits=0.02")],
    )
    messages = passed(stage, 2.0)
    # 500 kbit/s carry some 4500 frames of this kind.
    assert 7000 < len(messages) < 12_000
    assert stage.counters.overwritten > 100
    assert any(message[1] == 0x2F4 for message in messages)


def test_error_frames_come_at_their_rate() -> None:
    stage = bus("errors:rate=20")
    tap = opened(stage, sees_errors=True)
    stage.advance(10.0)
    errors = [frame for frame in heard(tap) if frame.error]
    assert len(errors) == pytest.approx(200, abs=2)


def test_alone_means_that_a_listener_is_not_enough() -> None:
    stage = bus("alone")
    tap = Tap(stage)
    tap.open(0.0, listen_only=True)
    stage.advance(1.0)
    assert stage.counters.repeated > 1000
    assert len({frame.id for frame in heard(tap)}) < 6


def test_a_pack_vanishes_and_returns() -> None:
    messages = passed(bus("vanish:address=1:after=5:length=10"), 20.0)
    times = [time for time, can_id, _, _ in messages if can_id == 0x2F5]
    assert not [time for time in times if 5.2 < time < 15.0]
    assert [time for time in times if time < 5] and [
        time for time in times if time > 15.2
    ]
    assert [
        time for time, can_id, _, _ in messages if can_id == 0x2F4 and 6 < time < 14
    ]


def test_a_whole_bus_falls_silent() -> None:
    for stage in (
        bus("vanish:after=5:length=10"),
        CanBus(
            parallel_bank(range(2), still=True),
            Dialect.PYLON,
            faults=[parse_can_fault("vanish:after=5:length=10")],
        ),
    ):
        times = [time for time, *_ in passed(stage, 30.0)]
        # An inverter's cycle that has begun is finished.
        assert not [time for time in times if 6.0 < time < 15.0]
        assert [time for time in times if time > 16]


def test_two_packs_have_one_address() -> None:
    stage = bus("duplicate:address=1")
    assert stage.bank.addresses == [0, 1]
    assert len(stage.bank) == 3
    voltages = {data for _, can_id, _, data in passed(stage, 2.0) if can_id == 0x4F5}
    assert len(voltages) == 2


def test_a_pack_is_readdressed_while_it_speaks() -> None:
    messages = passed(bus("readdress:address=1:to=7:after=5"), 10.0)
    old = [time for time, can_id, _, _ in messages if can_id == 0x2F5]
    new = [time for time, can_id, _, _ in messages if can_id == 0x2FB]
    assert old[-1] < 5.1
    assert 5.0 < new[0] < 5.2
    assert len(new) == pytest.approx(50, abs=1)


@pytest.mark.parametrize("fault", ["drop:rate=0.01", "flip:rate=0.01", "torn:rate=0.2"])
def test_bytes_of_an_adapter_are_lost_or_changed(fault: str) -> None:
    def text(*faults: str) -> bytes:
        adapter = SlcanAdapter(bus(*faults))
        adapter.receive(b"S5\rO\r", 0.0)
        pieces = [adapter.collect(place / 100) for place in range(1000)]
        return b"".join(piece for said in pieces for piece in said)

    clean, wrong = text(), text(fault)
    assert wrong != clean
    assert wrong == text(fault)
    if fault.startswith("flip"):
        assert len(wrong) == len(clean)
    else:
        assert 0.7 < len(wrong) / len(clean) < 1
    assert wrong.count(b"t2F4") > 60


def test_other_faults_leave_bytes_as_they_are() -> None:
    faults = [Flood(), Errors(), Alone(), parse_can_fault("close")]
    assert damaged(faults, b"t2F40\r") == b"t2F40\r"
