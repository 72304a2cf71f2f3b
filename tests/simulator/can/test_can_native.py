"""What a bank says by itself: when, from whom, and how it changes."""

from collections import defaultdict
from itertools import pairwise

import pytest

from simulator import Bank, Block
from simulator.can import CanBus, Dialect, frame_of, frames_of
from simulator.can.native import CONTROL, KINDS, Name

from . import first, heard, opened, pack, passed


def times(
    messages: list[tuple[float, int, bool, bytes]],
) -> dict[tuple[int, bool], list[float]]:
    """When each id passed."""
    found: dict[tuple[int, bool], list[float]] = defaultdict(list)
    for time, can_id, extended, _ in messages:
        found[can_id, extended].append(time)
    return found


def test_the_measured_periods_hold() -> None:
    found = times(passed(CanBus(Bank.default([0], still=True)), 60.0))
    # can.md 1.2, the column of measured periods.
    expected = {
        0x02F4: 0.1,
        0x04F4: 0.1,
        0x05F4: 1.0,
        0x18F128F4: 0.2,
        0x18F228F4: 1.0,
        0x18F428F4: 1.0,
        0x18F528F4: 0.5,
        0x18E028F4: 1.5,
        0x18E128F4: 1.5,
        0x18E228F4: 1.5,
        0x18E328F4: 1.5,
        0x1806E5F4: 0.5,
    }
    assert {can_id for can_id, _ in found} == {*expected}
    for (can_id, extended), moments in found.items():
        assert extended == (can_id > 0x7FF)
        gaps = [after - before for before, after in pairwise(moments)]
        # Frames that wait for others vary by the time of those.
        assert all(gap == pytest.approx(expected[can_id], abs=0.005) for gap in gaps)
        assert sum(gaps) / len(gaps) == pytest.approx(expected[can_id], rel=1e-3)


def test_ten_seconds_have_as_many_frames_as_the_capture() -> None:
    # 344 frames with 12 ids in 10 s (can.md 1.2).
    messages = passed(CanBus(Bank.default([0], still=True)), 10.0)
    assert len(messages) == pytest.approx(344, abs=8)
    assert len({can_id for _, can_id, _, _ in messages}) == 12


def test_alarm_frames_come_every_100_ms_while_there_is_an_alarm() -> None:
    bank = Bank([pack(3)])
    bus = CanBus(bank)
    tap = opened(bus)

    def sent(start: float) -> dict[int, int]:
        counts: dict[int, int] = defaultdict(int)
        bus.advance(start + 1.0)
        for frame in heard(tap):
            counts[frame.id] += 1
        return counts

    assert not {0x07F7, 0x18F328F7} & {*sent(0.0)}
    bank[3].set("alarms", 1 << 4)
    active = sent(1.0)
    assert active[0x07F7] == pytest.approx(10, abs=1)
    assert active[0x18F328F7] == pytest.approx(10, abs=1)
    bank[3].set("alarms", 0)
    bus.advance(2.1)
    heard(tap)
    assert not {0x07F7, 0x18F328F7} & {*sent(2.1)}


def test_packs_have_clocks_of_their_own() -> None:
    found = times(passed(CanBus(Bank.default(range(4), still=True), seed=5), 600.0))
    starts = [found[0x2F4 + address, False][0] for address in range(4)]
    assert len({round(start, 3) for start in starts}) == 4
    lengths = {
        round(found[0x2F4 + address, False][-1] - found[0x2F4 + address, False][0], 4)
        for address in range(4)
    }
    assert len(lengths) > 1


def test_the_same_seed_says_the_same_again_and_another_does_not() -> None:
    def said(seed: int) -> list[tuple[float, int, bool, bytes]]:
        return first(CanBus(Bank.default(range(3), seed=seed), seed=seed), 500)

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_addresses_from_12_on_have_no_standard_ids() -> None:
    messages = passed(CanBus(Bank.default([11, 12, 15], still=True)), 2.0)
    standard = {can_id for _, can_id, extended, _ in messages if not extended}
    assert standard == {0x2FF, 0x4FF, 0x5FF}
    # The address is added to the whole id: from 12 on it carries into the next byte.
    states = {can_id for _, can_id, _, _ in messages if can_id >> 16 == 0x18F5}
    assert states == {0x18F528FF, 0x18F52900, 0x18F52903}


def test_version_1_speaks_standard_frames_only_with_the_other_sign() -> None:
    bank = Bank([pack(0, current=-12_300, alarms=1 << 12)])
    messages = passed(CanBus(bank, Dialect.NATIVE_V1), 2.0)
    assert {can_id for _, can_id, _, _ in messages} == {0x2F4, 0x4F4, 0x5F4, 0x7F4}
    current = next(data for _, can_id, _, data in messages if can_id == 0x2F4)[2:4]
    assert int.from_bytes(current, "little") == 4123


def test_what_is_sent_is_what_the_pack_holds() -> None:
    bank = Bank.default(range(3), seed=4)
    bus = CanBus(bank)
    tap = opened(bus)
    bus.advance(600.0)
    latest = {frame.id: frame.data for frame in heard(tap)}
    for made in bank:
        for name, frames in frames_of(made).items():
            # The power board measures once a second, and cells are sent every 1.5 s.
            if KINDS[name].period <= 0.1:
                assert [latest[frame.id] for frame in frames] == [
                    frame.data for frame in frames
                ]


def test_moving_packs_move_on_the_bus() -> None:
    messages = passed(CanBus(Bank.default([0], seed=1)), 600.0)
    cells = {data for _, can_id, _, data in messages if can_id == 0x18E028F4}
    assert len(cells) > 3
    seconds = [
        int.from_bytes(data[:4], "little")
        for _, can_id, _, data in messages
        if can_id == 0x18F428F4
    ]
    assert [after - before for before, after in pairwise(seconds)].count(1) > 590


def test_a_value_set_by_a_test_is_sent_with_the_next_frame() -> None:
    bank = Bank([pack(0)])
    bus = CanBus(bank)
    tap = opened(bus)
    bus.advance(1.0)
    heard(tap)
    bank[0].set("soc", 17)
    bus.advance(1.2)
    assert {frame.data[4] for frame in heard(tap) if frame.id == 0x2F4} == {17}
    bank[0].set("rcv", 3500)
    bus.advance(2.0)
    limits = [frame.data for frame in heard(tap) if frame.id == 0x1806E5F4]
    assert limits[-1][:2] == (560).to_bytes(2)


def test_a_readdressed_pack_speaks_under_its_new_ids() -> None:
    bank = Bank([pack(1)])
    bus = CanBus(bank)
    tap = opened(bus)
    bus.advance(1.0)
    assert {frame.id & 0xFF for frame in heard(tap)} == {0xF5}
    bank[1].address = 2
    bus.advance(2.0)
    assert {frame.id & 0xFF for frame in heard(tap)} == {0xF6}


def test_an_absent_pack_is_silent_until_it_comes_back() -> None:
    bank = Bank([pack(0)])
    bus = CanBus(bank)
    tap = opened(bus)
    bank[0].present = False
    bus.advance(5.0)
    assert heard(tap) == []
    bank[0].present = True
    bus.advance(6.0)
    assert len(heard(tap)) > 30


def test_the_control_frame_switches_the_pack_at_address_0_and_is_noticed() -> None:
    bank = Bank([pack(0), pack(1)])
    bus = CanBus(bank)
    tap = opened(bus)
    # Charge off, discharge ignored, balancing off.
    tap.send(frame_of(CONTROL, bytes.fromhex("0500010000000000")), 1.0)
    bus.advance(2.0)
    assert [bank[0].get(name) for name in ("charge_switch", "charge_mos")] == [0, 0]
    assert [bank[0].get(name) for name in ("discharge_switch", "discharge_mos")] == [
        1,
        1,
    ]
    assert bank[0].get("balancer_switch") == 0
    assert bank[1].get("charge_switch") == 1
    states = [frame.data[0] for frame in heard(tap) if frame.id == 0x18F528F4]
    assert states[-1] & 3 == 2
    [(address, write)] = bank.dangerous
    assert (address, write.register, write.dangerous) == (0, CONTROL, True)
    tap.send(frame_of(CONTROL, bytes.fromhex("0101")), 3.0)
    bus.advance(4.0)
    assert len(bank.dangerous) == 1


def test_version_1_knows_no_control_frame() -> None:
    bank = Bank([pack(0)])
    bus = CanBus(bank, Dialect.NATIVE_V1)
    opened(bus).send(frame_of(CONTROL, bytes.fromhex("0700000000000000")), 1.0)
    bus.advance(2.0)
    assert bank[0].get("charge_switch") == 1
    assert bus.counts == {CONTROL: 1}


def test_a_bank_has_no_more_addresses_than_there_are_ids() -> None:
    with pytest.raises(ValueError, match="CAN has no ids for address 16"):
        CanBus(Bank.default([0, 16, 200], still=True))


def test_native_packs_have_no_inverter() -> None:
    message = "native is not spoken with inverters"
    with pytest.raises(ValueError, match=message):
        CanBus(Bank([pack(0)]), inverter=True)
    with pytest.raises(ValueError, match=message):
        CanBus(Bank([pack(0)]), patience=1.0)
    with pytest.raises(ValueError, match=message):
        CanBus(Bank([pack(0)]), unasked=1.0)


def test_all_ids_that_pass_were_announced() -> None:
    bank = Bank([pack(0, alarms=1 << 4), pack(13, alarms=1 << 4)])
    bus = CanBus(bank)
    said = {(can_id, extended) for _, can_id, extended, _ in passed(bus, 5.0)}
    assert said <= {*bus.ids}
    assert {(0x7F4, False), (0x18F32901, True)} <= said
    assert not any(can_id == 0x301 for can_id, _ in bus.ids)
    old = CanBus(Bank([pack(1)]), Dialect.NATIVE_V1)
    assert {*old.ids} == {(can_id, False) for can_id in (0x2F5, 0x4F5, 0x5F5, 0x7F5)}


def test_all_frames_of_sixteen_packs_pass_in_order() -> None:
    bus = CanBus(Bank.default(range(16), seed=1))
    last = 0.0
    count = 0
    for time, *_ in bus.messages(60.0):
        assert time > last
        last = time
        count += 1
    assert bus.counters.frames == count
    assert count / 60 == pytest.approx(12 * 34.2 + 4 * 13.7, rel=0.03)
    assert bus.counters.overwritten == 0


def test_what_a_still_pack_sends_never_changes() -> None:
    bank = Bank.default([0], still=True)
    live = bank[0].frame(Block.LIVE)
    messages = passed(CanBus(bank), 60.0)
    assert len({(can_id, data) for _, can_id, _, data in messages}) == 12
    assert bank[0].frame(Block.LIVE) is live
    assert Name.BATT_ST1 in frames_of(bank[0])
