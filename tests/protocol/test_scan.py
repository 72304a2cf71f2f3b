"""Who answers on a bus: the scan against the simulated line, in simulated time."""

from dataclasses import dataclass, field
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Ack, ExceptionReply, trigger
from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL, Timing
from custom_components.jkbms.protocol.scan import Scan
from custom_components.jkbms.protocol.survey import Finding
from simulator import Bank, SlaveLine, parse_fault

from .helpers import answer_of, bank_of, frame_of, pack

MBAP: Final = bytes.fromhex("4a4b 0000 0006 01 03 1290 0002")


@dataclass
class Scanned:
    """A scan that has come to its end."""

    scan: Scan
    sent: list[bytes] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    seconds: float = 0.0


def scanned(
    line: SlaveLine,
    timing: Timing = SERIAL,
    intrusion: tuple[float, bytes] | None = None,
    answers: dict[bytes, bytes] | None = None,
) -> Scanned:
    """Scan a line; `answers` are what something else than a pack says to a request."""
    start = now = 50.0
    done = Scanned(Scan(timing, start))
    data = b""
    while True:
        step = done.scan.advance(now, data)
        done.progress.append(step.progress)
        if step.done:
            done.seconds = now - start
            return done
        due = None
        replies = b""
        if step.send:
            done.sent.append(step.send)
            line.receive(step.send, now)
            replies = (answers or {}).get(step.send, b"")
        due = line.due()
        now = max(now, min(step.wake, due if due is not None else float("inf")))
        assert now - start < 120, "the scan does not end"
        data = b"".join(line.collect(now)) + replies
        if intrusion and now - start >= intrusion[0]:
            data += intrusion[1]
            intrusion = None


def test_all_packs_are_found_and_read() -> None:
    bank = bank_of(1, 2, 5, 15)
    done = scanned(SlaveLine(bank))
    assert done.scan.finding is Finding.PACKS
    assert list(done.scan.found) == [1, 2, 5, 15]
    for address, state in done.scan.found.items():
        assert state.seen.keys() == set(Block)
        assert state.identity.serial_number == bank[address].serial
    assert done.progress == sorted(done.progress)
    assert done.progress[0] < 0.05
    assert done.progress[-1] == 1
    assert any(0.4 < shown < 0.6 for shown in done.progress)
    assert done.seconds < 15
    assert bank.dangerous == []


def test_address_0_is_asked_too() -> None:
    """Over UART1 it answers like any other (rs485.md 1.4)."""
    assert list(scanned(SlaveLine(bank_of(0, 3))).scan.found) == [0, 3]


def test_sixteen_packs_are_found_in_a_few_seconds() -> None:
    done = scanned(SlaveLine(bank_of(*range(16))))
    assert list(done.scan.found) == list(range(16))
    assert done.seconds < 10


def test_a_silent_line_is_asked_twice_and_named_so() -> None:
    done = scanned(SlaveLine(Bank([])))
    assert done.scan.finding is Finding.SILENCE
    assert done.scan.found == {}
    blocks = (Block.LIVE, Block.SETTINGS)
    assert done.sent == [trigger(a, b).encode() for b in blocks for a in range(16)]
    assert done.seconds < 20


def test_a_pack_that_was_missed_once_is_found_in_the_second_round() -> None:
    bank = bank_of(1, 2)
    line = SlaveLine(bank, faults=[parse_fault("vanish:address=2:after=0:length=2")])
    assert list(scanned(line).scan.found) == [1, 2]


def test_a_pack_that_answers_live_only_after_another_trigger_is_found() -> None:
    """It stays silent in the first round and answers in the second (rs485.md 8, quirk 10)."""
    of = pack(address=4)
    answers = {
        trigger(4, Block.SETTINGS).encode(): answer_of(of, Block.SETTINGS),
        trigger(4, Block.DEVICE).encode(): answer_of(of, Block.DEVICE),
    }
    done = scanned(SlaveLine(Bank([])), answers=answers)
    assert list(done.scan.found) == [4]
    assert done.scan.found[4].seen.keys() == {Block.SETTINGS, Block.DEVICE}
    # The live block is asked for three times, then left to the master.
    assert done.sent.count(trigger(4, Block.LIVE).encode()) == 1 + 3


@pytest.mark.parametrize(
    "fault",
    [
        "flip:rate=0.0008",
        "drop:rate=0.0008",
        "torn:rate=0.3",
        "noise:rate=0.001",
        "silent:rate=0.3",
        "padding:after=2",
        "echo",
    ],
)
def test_packs_are_found_on_a_bad_line(fault: str) -> None:
    line = SlaveLine(bank_of(1, 2, 3), faults=[parse_fault(fault)], seed=2)
    done = scanned(line)
    assert done.scan.finding is Finding.PACKS
    assert set(done.scan.found) == {1, 2, 3}


def test_a_damaged_answer_of_a_found_pack_is_asked_again() -> None:
    line = SlaveLine(bank_of(1), faults=[parse_fault("torn:rate=0.5")], seed=5)
    done = scanned(line)
    assert done.scan.found[1].seen.keys() == set(Block)


def test_a_pack_whose_values_cannot_be_believed_is_asked_again_and_left() -> None:
    bank = bank_of(1)
    bank[1].set("soc", 150)
    done = scanned(SlaveLine(bank))
    # Three times by itself, and three times more once its settings were read.
    assert done.sent.count(trigger(1, Block.LIVE).encode()) == 6
    assert list(done.scan.found) == [1]
    assert done.scan.found[1].seen.keys() == {Block.SETTINGS, Block.DEVICE}


def test_a_refusal_is_no_pack() -> None:
    """A gateway may answer for a BMS that it cannot reach."""
    answers = {
        trigger(a, b).encode(): ExceptionReply(a, 0x10, 11).encode()
        for a in range(16)
        for b in Block
    }
    done = scanned(SlaveLine(Bank([])), answers=answers)
    assert done.scan.found == {}


@pytest.mark.parametrize(
    "foreign",
    [trigger(7, Block.LIVE).encode() * 2, frame_of(pack(), Block.LIVE).data],
    ids=["request", "broadcast"],
)
def test_another_master_ends_the_scan_at_once(foreign: bytes) -> None:
    if len(foreign) == 300:
        foreign += Ack(0, 0x1620, 1).encode()
        scan = Scan(SERIAL, 50.0, addresses=range(1, 16))
        scan.advance(50.0)
        step = scan.advance(50.2, foreign)
        assert step.done
        assert step.send == b""
        assert scan.finding is Finding.FOREIGN_MASTER
        return
    done = scanned(SlaveLine(bank_of(1)), intrusion=(1.0, foreign))
    assert done.scan.finding is Finding.FOREIGN_MASTER
    assert done.seconds < 1.2
    assert done.progress[-1] == 1


def test_noise_is_named() -> None:
    line = SlaveLine(Bank([]), faults=[parse_fault("noise:every=0.7:burst=30")])
    done = scanned(line)
    assert done.scan.finding is Finding.NOISE
    assert done.scan.found == {}


def test_a_line_that_is_never_quiet_is_given_up() -> None:
    """Asking into somebody's talk would only disturb it."""
    noise = bytes(range(0x60, 0x90))
    scan = Scan(SERIAL, 50.0)
    now, step = 50.0, scan.advance(50.0, noise)
    sent = []
    while not step.done:
        now += 0.02
        step = scan.advance(now, noise)
        sent.append(step.send)
        assert now < 60, "the scan does not end"
    assert not any(sent)
    assert scan.finding is Finding.NOISE
    assert step.progress == 1


def test_a_line_that_is_never_quiet_is_noise() -> None:
    line = SlaveLine(Bank([]), faults=[parse_fault("noise:every=0.05:burst=30")])
    done = scanned(line)
    assert done.scan.finding is Finding.NOISE
    assert done.seconds < 60


def test_a_late_answer_does_not_confuse_the_scan() -> None:
    answers = {trigger(3, Block.LIVE).encode(): answer_of(pack(address=2), Block.LIVE)}
    done = scanned(SlaveLine(bank_of(1)), answers=answers)
    assert list(done.scan.found) == [1]


# -- gateways that translate --------------------------------------------------------


def test_a_gateway_that_translates_modbus_is_named() -> None:
    answers = {MBAP: MBAP[:4] + bytes.fromhex("0007 01 03 04 0000 c029")}
    done = scanned(SlaveLine(Bank([])), timing=NETWORK, answers=answers)
    assert done.scan.finding is Finding.MODBUS_TCP
    assert done.sent[-1] == MBAP
    assert done.progress[-1] == 1


def test_the_answer_of_such_a_gateway_may_come_in_pieces() -> None:
    scan = Scan(NETWORK, 0.0, addresses=())
    step = scan.advance(0.0)
    assert step.send == MBAP
    assert step.wake == 2.0
    assert scan.advance(0.5, MBAP[:2]).done is False
    assert scan.advance(0.6, MBAP[2:5]).done is True
    assert scan.finding is Finding.MODBUS_TCP


def test_a_transparent_gateway_stays_silent() -> None:
    done = scanned(SlaveLine(Bank([])), timing=NETWORK)
    assert done.sent[-1] == MBAP
    assert done.scan.finding is Finding.SILENCE
    assert done.seconds < 45


def test_packs_behind_a_gateway_are_not_asked_in_another_language() -> None:
    done = scanned(SlaveLine(bank_of(1)), timing=NETWORK)
    assert MBAP not in done.sent
    assert done.scan.finding is Finding.PACKS


def test_a_serial_line_is_never_asked_in_another_language() -> None:
    assert MBAP not in scanned(SlaveLine(Bank([]))).sent
