"""Who answers where a line carries Modbus alone: asked by registers, in simulated time."""

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import (
    READ,
    ExceptionReply,
    ReadRequest,
    WriteRequest,
)
from custom_components.jkbms.protocol.pacing import MODBUS_TCP, NETWORK
from custom_components.jkbms.protocol.scan import Scan
from custom_components.jkbms.protocol.survey import Finding
from simulator import Bank, SlaveLine, parse_fault

from .helpers import bank_of, framed
from .test_scan import Scanned, scanned


def asked(done: Scanned) -> list[ReadRequest]:
    found = [item for data in done.sent for item in framed(data)]
    assert not any(isinstance(item, WriteRequest) for item in found)
    return [item for item in found if isinstance(item, ReadRequest)]


def test_packs_are_found_and_read_as_by_triggers() -> None:
    by_registers = scanned(SlaveLine(bank_of(0, 1, 5, 15)), timing=MODBUS_TCP)
    by_triggers = scanned(SlaveLine(bank_of(0, 1, 5, 15)))
    assert by_registers.scan.finding is Finding.PACKS
    # Address 0 is everybody there.
    assert list(by_registers.scan.found) == [1, 5, 15]
    for address, state in by_registers.scan.found.items():
        assert state.seen.keys() == set(Block)
        assert state.values == by_triggers.scan.found[address].values
    requests = asked(by_registers)
    assert {one.address for one in requests} == set(range(1, 16))
    assert requests[0] == ReadRequest(1, Block.DEVICE.base, 28)
    assert by_registers.progress == sorted(by_registers.progress)


def test_where_nothing_at_all_is_said_nobody_is_asked_twice() -> None:
    done = scanned(SlaveLine(Bank([])), timing=MODBUS_TCP)
    assert done.scan.finding is Finding.SILENCE
    assert [one.address for one in asked(done)] == list(range(1, 16))
    assert done.seconds < 41


def test_a_gateway_that_says_that_nobody_is_there_is_named() -> None:
    rounds = ((Block.DEVICE, 28), (Block.LIVE, 120))
    answers = {
        ReadRequest(a, block.base, n).encode(): ExceptionReply(a, READ, 11).encode()
        for a in range(1, 16)
        for block, n in rounds
    }
    done = scanned(SlaveLine(Bank([])), timing=MODBUS_TCP, answers=answers)
    assert done.scan.finding is Finding.MODBUS_TCP
    assert len(asked(done)) == 30


def test_a_pack_that_was_missed_once_is_found_in_the_second_round() -> None:
    line = SlaveLine(
        bank_of(1, 2), faults=[parse_fault("vanish:address=2:after=0:length=5")]
    )
    assert list(scanned(line, timing=MODBUS_TCP).scan.found) == [1, 2]


def test_a_late_answer_is_none_of_the_next_address() -> None:
    bank = bank_of(1, 2)
    bank[1].turnaround = 2.6
    done = scanned(SlaveLine(bank), timing=MODBUS_TCP)
    assert 2 in done.scan.found
    serials = {a: s.identity.serial_number for a, s in done.scan.found.items()}
    assert all(serials[a] == bank[a].serial for a in serials)


@pytest.mark.parametrize("timing", [NETWORK, MODBUS_TCP], ids=["raw", "modbus"])
def test_only_a_transparent_line_is_opened_anew_to_be_asked_in_another_language(
    timing: object,
) -> None:
    scan = Scan(timing, 0.0, addresses=())  # type: ignore[arg-type]  # either of two
    step = scan.advance(0.0)
    assert step.afresh is (timing is NETWORK)
    assert step.done is (timing is MODBUS_TCP)
