"""The master where blocks are read by registers: for a gateway's sake, or a pack's."""

from collections import Counter
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import (
    ExceptionReply,
    ReadRequest,
    WriteRequest,
    trigger,
)
from custom_components.jkbms.protocol.line import Traffic
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import MODBUS_TCP, SERIAL
from custom_components.jkbms.protocol.station import Written
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change
from simulator import Bank, SlaveLine, Speed, Writing

from .bus import TRIGGERS, Bus, availability, bus_of
from .helpers import bank_of, framed

ALL: Final = set(Block)


class Deaf(SlaveLine):
    """Packs that do not answer some triggers."""

    mute: frozenset[bytes] = frozenset()
    refuses_reads = False

    def receive(self, data: bytes, now: float) -> None:
        if data in self.mute:
            self.counters.withheld += 1
            return
        if self.refuses_reads and data[1] == 3:
            self._wire.send(ExceptionReply(data[0], 3, 1).encode(), now + 0.02)
            return
        super().receive(data, now)


def asked(bus: Bus, since: float = 0.0) -> list[ReadRequest | WriteRequest]:
    """Return everything that was asked."""
    found: list[ReadRequest | WriteRequest] = []
    for time, data in bus.sent:
        (item,) = framed(data)
        assert isinstance(item, ReadRequest | WriteRequest)
        if time >= since:
            found.append(item)
    return found


def reads_of(bus: Bus, address: int, block: Block, since: float = 0.0) -> int:
    """Count the reads that begin a block."""
    wanted = (address, block.base)
    return sum(
        (one.address, one.register) == wanted
        for one in asked(bus, since)
        if isinstance(one, ReadRequest)
    )


def deaf_bus(*mute: bytes, refuses_reads: bool = False) -> Bus:
    line = Deaf(bank_of(1, 2))
    line.mute = frozenset(mute)
    line.refuses_reads = refuses_reads
    master = Master((1, 2), Plan(live=1.0), SERIAL, 100.0)
    master.connected(100.0)
    return Bus(master, line)


def values(bus: Bus) -> dict[int, dict[str, object]]:
    return {a: dict(s.state.values) for a, s in bus.master.stations.items()}


def test_packs_tell_the_same_by_registers_as_by_triggers() -> None:
    triggers, registers = bus_of(1, 2, 3, 4), bus_of(1, 2, 3, 4, timing=MODBUS_TCP)
    for bus in (triggers, registers):
        bus.run(20.0)
        assert all(s.state.seen.keys() == ALL for s in bus.master.stations.values())
        assert all(s.available for s in bus.master.stations.values())
        assert bus.lost == 0
    assert values(registers) == values(triggers)
    assert not any(isinstance(one, WriteRequest) for one in asked(registers))
    assert registers.master.registers_only
    assert not triggers.master.registers_only


def test_who_is_there_is_read_first() -> None:
    bus = bus_of(1, 2, timing=MODBUS_TCP)
    bus.run(10.0)
    first: dict[int, int] = {}
    for one in asked(bus):
        first.setdefault(one.address, one.register)
    assert first == {1: Block.DEVICE.base, 2: Block.DEVICE.base}


def test_a_pack_is_given_its_quiet_time_between_two_reads() -> None:
    bus = bus_of(1, timing=MODBUS_TCP, live=1.0)
    bus.run(60.0)
    assert bus.line.counters.unheard == 0
    pace = bus.master.stations[1].pace
    assert pace.quiet < 0.1


def test_a_pack_that_answers_fewer_registers_is_asked_for_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulator.modbus._MOST_REGISTERS", 60)
    bus = bus_of(1, timing=MODBUS_TCP)
    bus.run(20.0)
    station = bus.master.stations[1]
    assert station.available
    assert station.counts.refused == 0
    since = bus.now
    bus.run(20.0)
    later = [one for one in asked(bus, since) if isinstance(one, ReadRequest)]
    assert max(one.words for one in later) <= 60
    whole = bus_of(1)
    whole.run(20.0)
    assert values(bus) == values(whole)


def test_sixteen_blocks_a_second_are_not_needed_to_keep_the_interval() -> None:
    bus = bus_of(1, 2, timing=MODBUS_TCP, live=2.0)
    bus.run(20.0)
    since = bus.now
    bus.run(40.0)
    assert reads_of(bus, 1, Block.LIVE, since) == pytest.approx(20, abs=1)
    assert reads_of(bus, 2, Block.LIVE, since) == pytest.approx(20, abs=1)


def test_a_pack_that_vanishes_in_the_middle_of_a_block_becomes_unavailable() -> None:
    bus = bus_of(1, 2, timing=MODBUS_TCP)
    bus.run(10.0)
    while not (bus.sent and bus.sent[-1][1][:4] == b"\x01\x03\x12\x00"):
        bus.run(0.01)
    bus.line.bank[1].present = False
    since = bus.now
    bus.run(60.0)
    assert availability(bus, since) == [(1, False)]
    assert bus.master.stations[2].available
    bus.line.bank[1].present = True
    since = bus.now
    bus.run(30.0)
    assert availability(bus, since) == [(1, True)]


def test_an_absent_pack_costs_the_others_no_round() -> None:
    bus = bus_of(1, 2, asked=(9,), timing=MODBUS_TCP, live=2.0)
    bus.run(60.0)
    since = bus.now
    bus.run(60.0)
    for address in (1, 2):
        assert reads_of(bus, address, Block.LIVE, since) >= 27


def says_unreached(bus: Bus, code: int) -> None:
    """Let a gateway answer for address 9."""

    def answered(data: bytes, now: float) -> None:
        if data[0] == 9:
            reply = ExceptionReply(9, data[1], code).encode()
            bus.intrusion.append((now + 0.05, reply))
        else:
            SlaveLine.receive(bus.line, data, now)

    bus.line.receive = answered  # type: ignore[method-assign]  # stands for a gateway


@pytest.mark.parametrize("code", [10, 11])
@pytest.mark.parametrize("timing", [MODBUS_TCP, SERIAL], ids=["modbus", "serial"])
def test_what_a_gateway_says_for_an_absent_pack_is_no_answer_of_it(
    code: int, timing: object
) -> None:
    bus = bus_of(1, asked=(9,), timing=timing)  # type: ignore[arg-type]  # either of two
    says_unreached(bus, code)
    bus.run(60.0)
    absent = bus.master.stations[9]
    assert absent.counts.refused == 0
    assert absent.counts.timeouts > 0
    assert absent.heard is None
    assert not absent.alive
    assert availability(bus) == [(1, True)]
    assert bus.master.line.traffic[Traffic.REFUSALS] == absent.counts.timeouts


def written(bus: Bus, change: Change) -> WriteResult:
    bus.master.submit(change)
    event = bus.run_until(lambda e: isinstance(e, Written))[1]
    assert isinstance(event, Written)
    return event.result


def test_a_setting_is_written_and_proven_by_registers() -> None:
    bus = bus_of(1, 2, timing=MODBUS_TCP)
    bus.run(10.0)
    field = BY_KEY["balance_starting_voltage"]
    change = Change(2, field, 3.41)
    assert written(bus, change).outcome is Outcome.PROVEN
    [entry] = bus.line.bank[2].journal
    assert (entry.register, entry.data) == (field.register, (3410).to_bytes(4))
    assert bus.line.bank[1].journal == []
    assert bus.line.bank.dangerous == []


def test_a_bit_beside_others_is_written_with_them_kept() -> None:
    bus = bus_of(1, timing=MODBUS_TCP)
    bus.run(10.0)
    before = bus.raw(1, "function_word")
    change = Change(1, BY_KEY["charging_float_mode"], not before >> 9 & 1)
    assert written(bus, change).outcome is Outcome.PROVEN
    assert bus.raw(1, "function_word") == before ^ 1 << 9


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("ignore", Outcome.IGNORED),
        ("clamp", Outcome.CLAMPED),
        ("refuse-register", Outcome.REFUSED_REGISTER),
        ("refuse-value", Outcome.REFUSED_VALUE),
    ],
)
def test_how_a_write_ends_is_told_as_by_triggers(mode: str, outcome: Outcome) -> None:
    bus = bus_of(1, timing=MODBUS_TCP)
    bus.run(10.0)
    bus.line.bank[1].writing = Writing(mode)
    change = Change(1, BY_KEY["max_charge_current"], 500)
    assert written(bus, change).outcome is outcome


def test_a_write_while_a_block_comes_waits_for_its_end() -> None:
    bus = bus_of(1, timing=MODBUS_TCP)
    bus.run(10.0)
    while not (bus.sent and bus.sent[-1][1][:4] == b"\x01\x03\x12\x00"):
        bus.run(0.01)
    since = bus.now
    change = Change(1, BY_KEY["balance_starting_voltage"], 3.42)
    assert written(bus, change).outcome is Outcome.PROVEN
    assert [one.register for one in asked(bus, since)][:2] == [0x12F0, 0x1000]


def test_an_address_that_is_removed_in_the_middle_of_a_block_is_forgotten() -> None:
    bus = bus_of(1, 2, timing=MODBUS_TCP)
    while not (bus.sent and bus.sent[-1][1][:4] == b"\x01\x03\x12\x00"):
        bus.run(0.01)
    bus.master.remove(1)
    since = bus.now
    bus.run(10.0)
    assert {one.address for one in asked(bus, since + 0.001)} == {2}
    assert bus.master.stations[2].available


def test_a_link_that_ends_in_the_middle_of_a_block_begins_anew() -> None:
    bus = bus_of(1, timing=MODBUS_TCP)
    while not (bus.sent and bus.sent[-1][1][:4] == b"\x01\x03\x12\x00"):
        bus.run(0.01)
    bus.master.disconnected(bus.now)
    bus.run(5.0)
    bus.master.connected(bus.now)
    since = bus.now
    bus.run(5.0)
    assert asked(bus, since)[0].register == Block.DEVICE.base
    assert bus.master.stations[1].available


# -- packs whose triggers stay without an answer ------------------------------------


def test_a_block_whose_trigger_stays_unanswered_is_read_by_registers() -> None:
    bus = deaf_bus(trigger(1, Block.LIVE).encode())
    bus.run(40.0)
    station = bus.master.stations[1]
    assert station.approach.by_registers == {Block.LIVE}
    assert station.available
    assert bus.master.stations[2].approach.by_registers == set()
    since = bus.now
    bus.run(20.0)
    assert reads_of(bus, 1, Block.LIVE, since) == pytest.approx(20, abs=2)
    assert trigger(1, Block.LIVE) not in asked(bus, since)
    assert reads_of(bus, 2, Block.LIVE) == 0
    healthy = bus_of(1, 2)
    healthy.run(20.0)
    assert values(bus)[1] == values(healthy)[1]


def test_it_is_asked_by_triggers_again_when_the_line_is_opened_anew() -> None:
    bus = deaf_bus(trigger(1, Block.LIVE).encode())
    bus.run(40.0)
    bus.master.disconnected(bus.now)
    bus.master.connected(bus.now)
    since = bus.now
    bus.run(5.0)
    assert trigger(1, Block.LIVE) in asked(bus, since)


def test_settings_that_are_written_are_read_the_same_way() -> None:
    bus = deaf_bus(trigger(1, Block.SETTINGS).encode())
    bus.run(60.0)
    assert bus.master.stations[1].approach.by_registers == {Block.SETTINGS}
    change = Change(1, BY_KEY["balance_starting_voltage"], 3.42)
    assert written(bus, change).outcome is Outcome.PROVEN


def test_a_pack_that_refuses_registers_is_asked_by_triggers_again() -> None:
    bus = deaf_bus(trigger(1, Block.LIVE).encode(), refuses_reads=True)
    bus.run(60.0)
    kinds = Counter(
        type(one) for one in asked(bus) if one.address == 1 and one.register != 0x161C
    )
    assert kinds[ReadRequest] >= 2
    assert kinds[WriteRequest] > 4 * kinds[ReadRequest]
    assert bus.master.stations[1].approach.by_registers == set()
    assert not bus.master.stations[1].available


def test_a_pack_that_is_gone_is_never_asked_for_registers() -> None:
    bus = bus_of(1, asked=(2,))
    bus.run(60.0)
    assert all(isinstance(one, WriteRequest) for one in asked(bus))


def test_registers_that_are_not_heard_any_more_make_room_for_triggers() -> None:
    bus = deaf_bus(trigger(1, Block.LIVE).encode())
    bus.run(40.0)
    assert isinstance(bus.line, Deaf)
    bus.line.mute = frozenset()
    bus.line.bank[1].present = False
    bus.run(5.0)
    assert bus.master.stations[1].approach.by_registers == set()
    bus.line.bank[1].present = True
    since = bus.now
    bus.run(40.0)
    assert reads_of(bus, 1, Block.LIVE, since) == 0
    assert bus.master.stations[1].available


def test_a_late_answer_to_a_read_teaches_patience() -> None:
    bank: Bank = bank_of(1, 2)
    line = SlaveLine(bank, speed=Speed.FAST)
    master = Master((1, 2), Plan(live=1.0), MODBUS_TCP, 100.0)
    master.connected(100.0)
    bus = Bus(master, line)
    bus.run(20.0)
    station = master.stations[1]
    assert station.patience.timeout == 1.0
    bank[1].turnaround = 1.3
    bus.run(60.0)
    assert station.patience.timeout > 1.3
    since = bus.now
    bus.run(30.0)
    assert availability(bus, since) == []
    assert station.available


def test_only_triggers_are_sent_where_they_are_answered() -> None:
    bus = bus_of(1)
    bus.run(30.0)
    assert {one.register for one in asked(bus)} <= TRIGGERS
