"""A bank whose pack at address 0 is master of the bus: the captured streams are the judges."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
import itertools
import struct

import pytest

from simulator import (
    SLOT_SLOW,
    Bank,
    Block,
    MasterLine,
    Pack,
    SlaveLine,
    Speed,
    parse_fault,
    trios,
)
from simulator.checks import crc_fits, sum8
from tests.captures import Capture, bus_streams

from . import DEVICE, LIVE, SETTINGS, ack, ask, pieces, read, trigger, write

BYTE = 10 / 115_200
REGISTERS = {1: SETTINGS, 2: LIVE, 3: DEVICE}


def capture(name: str) -> Capture:
    """One of the captured streams of a bus."""
    return next(stream for stream in bus_streams() if stream.id == name)


def messages(data: bytes) -> Iterator[bytes]:
    """The frames, requests and ACKs of a clean stream, in order and without a byte left over."""
    while data:
        if data.startswith(b"\x55\xaa\xeb\x90"):
            length = 300
            assert len(data) < 300 or sum8(data[:299]) == data[299]
        else:
            length = 11 if data[6:7] == b"\x02" and crc_fits(data[:11]) else 8
            assert len(data) < length or crc_fits(data[:length])
        yield data[:length]
        data = data[length:]


def name_of(message: bytes) -> str:
    """What a message is: `frame 2`, `ask 1 1620`, `ack 1 1620`."""
    if len(message) == 300:
        return f"frame {message[4]}"
    return f"{'ask' if len(message) == 11 else 'ack'} {message[0]} {message[2:4].hex()}"


def names(data: bytes) -> list[str]:
    """What a clean stream consists of."""
    return [name_of(message) for message in messages(data)]


def bus(addresses: Sequence[int] = range(2), **options: float) -> MasterLine:
    """A bank that stands still on the bus of its master."""
    return MasterLine(
        Bank.default(addresses, still=True),
        slot=options.pop("slot", 0.22),
        settings_for_all=bool(options.pop("settings_for_all", False)),
        turnaround=options.pop("turnaround", None),
    )


def hear(line: MasterLine, until: float) -> bytes:
    """Everything on the bus up to a time."""
    return b"".join(piece for _, piece in pieces(line, until))


def starts(line: MasterLine, until: float) -> list[tuple[float, str]]:
    """When each message of the master and its slaves begins, in seconds."""
    found = []
    stream = bytearray()
    times: list[float] = []
    for time, piece in pieces(line, until):
        first = time - len(piece) * BYTE
        times += [first + place * BYTE for place in range(len(piece))]
        stream += piece
    place = 0
    for message in messages(bytes(stream)):
        found.append((round(times[place], 4), name_of(message)))
        place += len(message)
    return found


def captured_bank(stream: Capture, slave: int) -> Bank:
    """The packs of a captured bus, with the very frames they sent there."""
    frames: dict[tuple[int, int], bytes] = {}
    for frame, end in itertools.pairwise(messages(stream.data)):
        if len(frame) == 300 and len(end) == 8:
            frames.setdefault((end[0], frame[4]), frame)
    packs = []
    for address in (0, slave):
        trio = trios()[0]
        seeds = dict(trio.frames)
        for block, kind in ((Block.SETTINGS, 1), (Block.LIVE, 2)):
            seeds[block] = replace(seeds[block], data=frames[address, kind])
        packs.append(Pack(replace(trio, frames=seeds), address, still=True))
    return Bank(packs)


def test_a_cycle_is_byte_for_byte_the_captured_one() -> None:
    stream = capture("phinix-readme-cycle")
    line = MasterLine(captured_bank(stream, 1), slot=SLOT_SLOW)
    assert hear(line, 18 * SLOT_SLOW - 0.01) == stream.data


@pytest.mark.parametrize(
    ("name", "slave"),
    [
        ("mpp-bus-084342", 1),
        ("mpp-bus-102915", 7),
        ("mpp-bus-103005", 7),
        ("mpp-bus-103114", 7),
        ("mpp-bus-capture-head", 1),
    ],
)
def test_order_requests_and_acks_are_those_of_captured_buses(
    name: str, slave: int
) -> None:
    def unframed(data: bytes) -> list[bytes]:
        """All but the contents of frames, which change as batteries do."""
        return [
            message[:5] if len(message) == 300 else message
            for message in messages(data)
        ]

    captured = unframed(capture(name).data)
    ours = unframed(hear(bus((0, slave)), 15 * 18 * 0.22))
    assert any(
        ours[start : start + len(captured)] == captured
        for start in range(len(ours) - len(captured))
    )


def test_a_pack_readdressed_while_it_runs_is_heard_as_captured() -> None:
    captured = names(capture("mpp-bus-084414-readdressed").data)
    line = bus((0, 1))
    heard = names(hear(line, 20.0))
    line.bank[1].readdress(3)
    heard += names(hear(line, 60.0))
    # The capture begins with address 4 and has four cycles before the switch is turned.
    first = heard.index("ask 4 1620")
    turned = heard.index("ack 3 1620")
    before = captured[: captured.index("ack 3 1620")]
    assert heard[turned - len(before) : turned] == before
    after = captured[len(before) :]
    assert heard[turned : turned + len(after)] == after
    assert first < turned - len(before)
    assert struct.unpack_from("<I", line.bank[3].frame(Block.SETTINGS), 270) == (3,)


@pytest.mark.parametrize(
    ("packs", "slot", "period"),
    [
        (1, 0.22, 3.74),
        (2, 0.22, 3.96),
        (4, 0.22, 4.40),
        (16, 0.22, 7.04),
        (2, SLOT_SLOW, 7.20),
        (2, 0.372, 6.70),
    ],
)
def test_cycles_take_as_long_as_measured(
    packs: int, slot: float, period: float
) -> None:
    turns = starts(bus(range(packs), slot=slot), 30.0)
    own = [
        time
        for (time, name), (_, end) in itertools.pairwise(turns)
        if (name, end) == ("frame 2", "ack 0 1620")
    ]
    assert len(own) > 3
    for one, other in itertools.pairwise(own):
        assert other - one == pytest.approx(period, abs=0.01)


def test_slots_of_the_master_are_those_measured() -> None:
    heard = {name: time for time, name in reversed(starts(bus(range(4)), 4.3))}
    assert heard["frame 2"] == 0.0
    assert heard["frame 1"] == pytest.approx(0.22, abs=0.001)
    assert heard["ask 1 1620"] == pytest.approx(0.44, abs=0.001)
    # An active slave: 260 ms from its first request to its last ACK.
    last = heard["ack 1 161e"] + 8 * BYTE
    assert last - heard["ask 1 1620"] == pytest.approx(0.26, abs=0.003)
    assert heard["ask 2 1620"] - heard["ask 1 1620"] == pytest.approx(0.44, abs=0.001)
    # An absent address: 220 ms.
    assert heard["ask 6 1620"] - heard["ask 5 1620"] == pytest.approx(0.22, abs=0.001)
    # From the request to the end of the answer: 38 ms.
    assert heard["ack 1 1620"] + 8 * BYTE - heard["ask 1 1620"] == pytest.approx(
        0.038, abs=0.001
    )


def test_a_lone_master_says_781_bytes_per_cycle() -> None:
    line = bus((0,))
    cycle = hear(line, 3.70)
    assert len(cycle) == 781
    assert names(cycle) == [
        "frame 2",
        "ack 0 1620",
        "frame 1",
        "ack 0 161e",
        *(f"ask {address} 1620" for address in range(1, 16)),
    ]
    assert line.broadcasts == 2
    assert line.polls.absent == 15


def test_some_firmware_asks_all_addresses_for_settings() -> None:
    line = bus((0, 2), settings_for_all=True)
    heard = names(hear(line, 32 * 0.22 - 0.01))
    assert [name for name in heard if name.startswith("ask")] == [
        f"ask {address} {register}"
        for address in range(1, 16)
        for register in ("1620", "161e")
    ]
    assert heard.count("frame 1") == heard.count("frame 2") == 2


def test_byte_5_of_the_masters_own_frames_is_0_and_of_its_slaves_as_captured() -> None:
    trio = next(t for t in trios() if t.frames[Block.LIVE].data[5] != 0)
    packs = [Pack(trio, address, still=True) for address in (0, 1)]
    stream = [*messages(hear(MasterLine(Bank(packs)), 3.9))]
    own = [frame[5] for frame, end in itertools.pairwise(stream) if end[0] == 0]
    assert own == [0, 0]
    # Both packs have the same values: only the slave's frame is as captured.
    assert stream.count(packs[1].frame(Block.LIVE)) == 1


def test_device_frames_never_come_by_themselves() -> None:
    heard = names(hear(bus(range(16)), 60.0))
    assert {name.split()[-1] for name in heard if name.startswith("a")} == {
        "1620",
        "161e",
    }
    assert "frame 3" not in heard


def test_physics_moves_what_the_master_says_of_itself() -> None:
    line = MasterLine(Bank.default((0,)), slot=10.0)
    frames = [
        message
        for message in messages(hear(line, 1800.0))
        if len(message) == 300 and message[4] == 2
    ]
    assert len(set(frames)) == len(frames) > 5


@pytest.mark.parametrize("register", [LIVE, SETTINGS, DEVICE])
def test_the_master_answers_nobody_on_its_bus(register: int) -> None:
    line = bus((0, 1))
    hear(line, 3.0)
    before = line.polls.absent
    line.receive(trigger(0, register), 3.0)
    line.receive(read(0, 0x1200, 10), 3.01)
    line.receive(write(0, 0x1070, bytes(4)), 3.02)
    heard = names(hear(line, 3.2))
    assert all(name.startswith("ask") for name in heard)
    assert line.counters.absent == 3
    assert line.polls.absent - before <= 1
    assert not line.bank[0].asked
    assert not line.bank[0].journal


def test_slaves_answer_whoever_asks_between_the_masters_requests() -> None:
    line = bus((0, 1))
    # Slot 9 begins at 1.98 s: address 9 is absent, and the bus silent for 200 ms.
    hear(line, 2.05)
    line.receive(trigger(1, DEVICE), 2.05)
    heard = hear(line, 2.15)
    assert heard == line.bank[1].frame(Block.DEVICE) + ack(1, DEVICE)
    assert line.counters.heard == line.counters.replies == 1
    assert line.counters.collisions == line.polls.collisions == 0
    assert names(hear(line, 6.0)).count("frame 3") == 0


def test_writes_of_a_client_reach_a_slave_on_the_masters_bus() -> None:
    line = bus((0, 1))
    hear(line, 2.05)
    line.receive(write(1, 0x1070, bytes([0, 0, 0, 0])), 2.05)
    assert hear(line, 2.15) == ack(1, 0x1070, 2)
    assert line.bank[1].get("charge_switch") == 0


def test_in_short_slots_slaves_are_still_deaf() -> None:
    line = bus((0, 1), slot=0.07)
    hear(line, 60.0)
    assert line.polls.unheard > 0
    line = bus((0, 1), slot=0.08)
    hear(line, 60.0)
    assert line.polls.unheard == 0


@pytest.mark.parametrize("lead", [-5 * BYTE, 0.0, 5 * BYTE])
def test_two_requests_at_once_are_both_lost(lead: float) -> None:
    line = bus((0, 1))
    hear(line, 0.4)
    # The master asks address 1 at 0.44 s.
    line.receive(trigger(1, DEVICE), 0.44 + lead)
    heard = hear(line, 0.65)
    assert len(heard) == 11
    assert heard != trigger(1)
    assert line.counters.collisions == line.polls.collisions == 1
    assert line.counters.heard == line.polls.heard == 0
    # Nobody has answered, so the master goes on to address 2 and comes back a cycle later.
    assert names(hear(line, 0.8))[:1] == ["ask 2 1620"]
    assert "ack 1 161e" in names(hear(line, 4.6))


def test_a_client_that_talks_into_an_answer_spoils_both_and_the_master_asks_no_further() -> (
    None
):
    line = bus((0, 1))
    whole = line.bank[1].frame(Block.LIVE) + ack(1, LIVE)
    heard = hear(line, 0.4) + hear(line, 0.46)
    line.receive(trigger(9), 0.46)
    heard += hear(line, 0.65)
    assert whole not in heard
    assert line.counters.collisions == 1
    assert names(hear(line, 0.7)) == ["ask 2 1620"]


def test_a_client_that_talks_into_the_masters_own_data_spoils_it() -> None:
    line = bus((0, 1))
    heard = hear(line, 0.235)
    line.receive(trigger(1), 0.235)
    heard += hear(line, 0.4)
    assert heard[308:][:300] != line.bank[0].frame(Block.SETTINGS)
    assert len(heard) == 616
    assert line.counters.collisions == 1
    assert line.counters.heard == 0


def test_an_answer_to_a_client_meets_the_next_request_of_the_master() -> None:
    line = bus((0, 1))
    hear(line, 2.18)
    # The master talks at 2.20 s, the answer lasts from 2.191 to 2.218 s.
    line.receive(trigger(1, DEVICE), 2.18)
    heard = hear(line, 2.3)
    assert len(heard) == 308
    assert heard != line.bank[1].frame(Block.DEVICE) + ack(1, DEVICE)
    assert line.polls.collisions == 1
    assert line.counters.replies == 1


def test_messages_that_follow_each_other_without_a_pause_are_not_told_apart() -> None:
    line = bus((0, 1))
    hear(line, 2.0)
    line.receive(trigger(1, DEVICE), 1.98 + 12 * BYTE)
    assert line.counters.collisions == 1
    # This one ends a millisecond before the master asks.
    line.receive(trigger(9), 2.2 - 11 * BYTE - 0.001)
    hear(line, 2.3)
    assert line.polls.collisions == 1
    assert line.counters.absent == 1


def test_a_slave_is_deaf_after_the_masters_own_data() -> None:
    line = bus((0, 1))
    hear(line, 0.035)
    line.receive(trigger(1), 0.035)
    assert hear(line, 0.2) == b""
    assert line.counters.unheard == 1


def test_noise_between_packs_keeps_slaves_from_hearing() -> None:
    line = MasterLine(
        Bank.default((0, 1), still=True),
        faults=[parse_fault("noise:every=0.44:burst=8:around=0:rate=0")],
    )
    heard = hear(line, 0.65)
    assert len(heard) < 3 * 308
    assert line.polls.collisions == 1
    assert line.polls.heard == 0


def test_a_slave_that_is_gone_is_only_probed() -> None:
    line = bus((0, 1, 2))
    hear(line, 4.0)
    line.bank[1].present = False
    heard = names(hear(line, 8.2))
    assert "ask 1 1620" in heard
    assert "ask 1 161e" not in heard
    line.bank[1].present = True
    assert "ack 1 161e" in names(hear(line, 13.0))


def test_a_master_that_is_switched_off_leaves_a_silent_bus_and_begins_anew() -> None:
    line = bus((0, 1))
    hear(line, 1.0)
    line.bank[0].present = False
    assert hear(line, 50.0) == b""
    assert len(ask_between(line, trigger(1), 50.0)) == 308
    line.bank[0].present = True
    assert names(hear(line, 53.0))[:2] == ["frame 2", "ack 0 1620"]


def ask_between(line: MasterLine, request: bytes, now: float) -> bytes:
    """What comes back for a request within 100 ms."""
    line.receive(request, now)
    return hear(line, now + 0.1)


def test_a_slave_becomes_master_and_the_master_a_slave() -> None:
    line = bus((0, 1))
    hear(line, 1.0)
    line.bank[0].readdress(5)
    assert hear(line, 10.0) == b""
    line.bank[1].readdress(0)
    heard = names(hear(line, 14.0))
    assert heard[:4] == ["frame 2", "ack 0 1620", "frame 1", "ack 0 161e"]
    assert "ack 5 161e" in heard
    assert "ack 1 1620" not in heard


def test_two_masters_talk_into_each_other() -> None:
    line = MasterLine(
        Bank.default((0, 1), still=True),
        faults=[parse_fault("duplicate:address=0")],
        slot=0.05,
    )
    heard = hear(line, 30.0)
    assert heard.count(b"\x55\xaa\xeb\x90\x02\x00") > 2 * 30 / (18 * 0.05) * 0.5
    assert line.broadcasts == pytest.approx(2 * 2 * 30 / (18 * 0.05), rel=0.2)


def test_without_a_pack_at_0_the_bus_is_silent_until_asked() -> None:
    line = bus((1, 2))
    assert hear(line, 30.0) == b""
    assert len(ask_between(line, trigger(2), 31.0)) == 308


def test_a_bus_runs_from_the_first_call_on() -> None:
    line = bus((0,))
    assert line.due() == 0.0
    line.connected(500.0)
    assert line.due() == pytest.approx(500.0 + 32 * BYTE)
    other = bus((0,))
    other.receive(b"\x01", 700.0)
    assert other.due() > 700.0
    assert hear(line, 505.0).startswith(b"\x55\xaa\xeb\x90\x02\x00")


def test_late_answers_count_as_none() -> None:
    line = bus((0, 1), turnaround=0.3)
    heard = hear(line, 3.9)
    assert line.polls.heard == 1
    assert trigger(1, SETTINGS) not in heard


@pytest.mark.parametrize(
    ("fault", "damaged"),
    [
        ("noise:rate=0.01", True),
        ("flip:rate=0.01", True),
        ("drop:rate=0.01", True),
        ("torn:rate=0.3", True),
        ("padding", True),
        ("late:rate=0.2:delay=0.6", True),
        ("silent:rate=0.3", True),
        ("flip:rate=0.01:address=9", False),
    ],
)
def test_faults_damage_all_that_is_said(fault: str, damaged: bool) -> None:
    line = MasterLine(
        Bank.default(range(4), still=True), seed=3, faults=[parse_fault(fault)]
    )
    clean = MasterLine(Bank.default(range(4), still=True))
    heard = hear(line, 60.0)
    assert (heard != hear(clean, 60.0)) is damaged
    again = MasterLine(
        Bank.default(range(4), still=True), seed=3, faults=[parse_fault(fault)]
    )
    assert hear(again, 60.0) == heard


def test_flipped_bits_reach_the_masters_requests_too() -> None:
    line = MasterLine(
        Bank.default((0,), still=True),
        faults=[parse_fault("flip:rate=0.05")],
    )
    clean = MasterLine(Bank.default((0,), still=True))
    requests, whole = hear(line, 3.7)[616:], hear(clean, 3.7)[616:]
    assert len(requests) == len(whole)
    assert requests != whole


def test_what_is_lost_to_the_last_byte_was_never_said() -> None:
    line = MasterLine(
        Bank.default((0, 1), still=True), faults=[parse_fault("drop:rate=1")]
    )
    assert hear(line, 3.9) == b""
    assert line.polls.withheld == 18
    assert line.broadcasts == 0


def test_a_master_can_vanish_and_come_back() -> None:
    line = MasterLine(
        Bank.default((0, 1), still=True),
        faults=[parse_fault("vanish:address=0:after=10:length=20")],
    )
    hear(line, 10.3)
    assert hear(line, 29.7) == b""
    assert "ack 0 1620" in names(hear(line, 40.0))


def test_without_wire_time_messages_come_whole_and_slots_stay() -> None:
    line = MasterLine(Bank.default((0, 1), still=True), speed=Speed.FAST)
    heard = list(pieces(line, 4.3))
    assert [len(piece) for _, piece in heard[:6]] == [308, 308, 11, 308, 11, 308]
    assert [round(time, 2) for time, _ in heard[:6]] == [
        0,
        0.22,
        0.44,
        0.44,
        0.66,
        0.66,
    ]
    assert line.polls.collisions == 0
    assert names(b"".join(piece for _, piece in heard[:20])) == names(
        capture("phinix-readme-cycle").data
    )


def test_a_bank_is_on_two_lines_at_once() -> None:
    bank = Bank.default(range(3), still=True)
    parallel = MasterLine(bank)
    own = SlaveLine(bank)
    hear(parallel, 2.0)
    # On RS485-1 every pack answers, the master too.
    for address in range(3):
        for register, block in ((DEVICE, Block.DEVICE), (LIVE, Block.LIVE)):
            now = 2.0 + address + (0.5 if block is Block.LIVE else 0.0)
            assert ask(own, trigger(address, register), now) == bank[address].frame(
                block
            ) + ack(address, register)
    assert ask(own, write(0, 0x1078, bytes(4)), 9.0) == ack(0, 0x1078, 2)
    # What was written there is heard here.
    heard = [*messages(hear(parallel, 9.0))]
    settings = [
        frame
        for frame, end in itertools.pairwise(messages(hear(parallel, 15.0)))
        if end == ack(0, SETTINGS)
    ]
    assert heard
    assert {struct.unpack_from("<I", frame, 126)[0] for frame in settings} == {0}
    assert own.counters.collisions == parallel.counters.collisions == 0
    bank[2].readdress(7)
    assert len(ask(own, trigger(7), 20.0)) == 308
    assert "ack 7 1620" in names(hear(parallel, 25.0))


def test_hours_of_a_bus_take_seconds() -> None:
    line = MasterLine(Bank.default(range(4), still=True), chunk=308)
    total = sum(len(piece) for _, piece in pieces(line, 10_800.0))
    per_cycle = 8 * 308 + 18 * 11
    assert total == pytest.approx(10_800 / 4.4 * per_cycle, rel=0.002)
    assert line.polls.unheard == line.polls.collisions == 0
