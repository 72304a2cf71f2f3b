"""Polling packs that speak `4E 57`: asked, woken, switched, and never made up."""

from itertools import pairwise

import pytest

from custom_components.jkbms.protocol.datum import ALL_BLOCKS, Block, Firmware
from custom_components.jkbms.protocol.derived import cells
from custom_components.jkbms.protocol.fields import BY_KEY, writable
from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL
from custom_components.jkbms.protocol.station import (
    ForeignMaster,
    Resumed,
    Updated,
    Written,
)
from custom_components.jkbms.protocol.ttl.frames import Command, read_all, write
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.ttl.switch_job import CODES, takes
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from simulator.ttl import content_of, frame_of

from .answers import E1, answer, content
from .bus import bus_of

# -- asking ---------------------------------------------------------------------------


def test_one_pack_is_read_whole_with_one_request() -> None:
    bus = bus_of()
    bus.run(0.3)
    assert [m for _, m in bus.sent] == [read_all(0)]
    station = bus.station()
    assert bus.came_and_went() == [(0, True)]
    assert station.state.seen.keys() == ALL_BLOCKS
    said = bus.values()
    assert said["total_voltage"] == bus.raw("pack_voltage") // 10 / 100
    assert said["state_of_charge"] == bus.raw("soc")
    assert said["min_cell_voltage"] == min(cells(said).values())
    assert said["power"] == round(said["total_voltage"] * said["current"], 3)
    assert station.counts.ok == 1
    assert not bus.line.bank.dangerous


def test_what_a_pack_has_is_what_it_tells() -> None:
    bus = bus_of()
    assert bus.station().features is None
    bus.run(1)
    features = bus.station().features
    assert features is not None
    assert features.has(BY_KEY["state_of_charge"])
    assert features.has(BY_KEY["capacity_remaining"])
    # Other packs have it from firmware 19 on; this one tells it.
    assert features.has(BY_KEY["discharge_utp"])
    assert not features.has(BY_KEY["state_of_health"])
    assert not features.has(BY_KEY["heater"])
    assert features.has(BY_KEY["cell_voltage_1"])
    assert not features.has(BY_KEY["cell_voltage_32"])
    assert features.load(features.dump()) == features


@pytest.mark.parametrize("interval", [0.5, 1.0, 5.0])
def test_it_asks_at_the_interval(interval: float) -> None:
    bus = bus_of(interval=interval)
    bus.run(20 * interval)
    assert bus.station().counts.ok == pytest.approx(20, abs=1)
    assert bus.station().cycle == pytest.approx(interval, abs=0.05)


def test_requests_keep_their_distance() -> None:
    bus = bus_of(1, 2, 3, 4, interval=0.2)
    bus.run(10)
    times = [time for time, _ in bus.sent]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.1 + 0.026
    # None of them is starved.
    asked = [m.terminal for _, m in bus.sent]
    assert {asked.count(n) for n in (1, 2, 3, 4)} <= {
        len(asked) // 4,
        len(asked) // 4 + 1,
    }


def test_several_packs_are_told_apart_by_their_terminals() -> None:
    bus = bus_of(1, 2, 5)
    bus.run(3)
    for address in (1, 2, 5):
        volts = bus.raw("pack_voltage", address) // 10 / 100
        assert bus.values(address)["total_voltage"] == volts


def test_an_answer_of_another_terminal_is_not_the_answer() -> None:
    bus = bus_of(asked=(), fault="silent:rate=1")
    bus.intrusion = [(100.15, answer(content(), terminal=9))]
    bus.run(1)
    assert bus.station().counts.ok == 0


def test_an_answer_to_something_else_is_not_the_answer() -> None:
    bus = bus_of(fault="silent:rate=1")
    bus.intrusion = [(100.15, frame_of(0, 3, b"\x85\x07"))]
    bus.run(0.3)
    assert bus.values() == {}
    bus.run(3)
    assert bus.station().counts.ok == 0


def test_a_pack_in_the_middle_of_its_answer_is_waited_for() -> None:
    bus = bus_of(timing=NETWORK, chunk=7)
    bus.run(2)
    assert bus.station().counts.ok == 2


def test_live_values_are_read_when_asked_for() -> None:
    bus = bus_of(0, asked=(7,), interval=60)
    bus.run(5)
    asked = len(bus.sent)
    bus.master.ask_now(bus.now)
    bus.run(1)
    assert bus.station().counts.ok == 2
    # Who does not answer is not asked any sooner for it.
    assert [m.terminal for _, m in bus.sent[asked:]] == [0]


# -- losses ---------------------------------------------------------------------------


def test_a_silent_pack_becomes_unavailable_and_costs_the_others_little() -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    bus.line.bank[1].present = False
    before = bus.station(2).counts.ok
    start = bus.now
    bus.run(40)
    assert bus.came_and_went(start) == [(1, False)]
    assert bus.station(2).counts.ok - before >= 38
    assert bus.values(1)["total_voltage"] > 0  # Known, but not shown any more.
    bus.line.bank[1].present = True
    start = bus.now
    bus.run(12)
    assert bus.came_and_went(start) == [(1, True)]
    # It was away: that was no cycle.
    assert bus.station(1).cycle < 2


def test_what_is_heard_after_an_absence_is_no_cycle() -> None:
    bus = bus_of(1, interval=5.0)
    bus.run(12)
    cycle = bus.station(1).cycle
    bus.line.bank[1].present = False
    bus.run(100)
    bus.line.bank[1].present = True
    bus.run_until(lambda e: isinstance(e, Updated), 60.0)
    assert bus.station(1).cycle == cycle


def test_nobody_is_asked_in_a_hurry_who_does_not_answer() -> None:
    bus = bus_of(asked=(3,), interval=1.0)
    bus.line.bank[0].present = False
    bus.run(600)
    assert len(bus.sent) < 2 * (600 / 2 + 4)


def test_an_answer_that_came_late_is_waited_for_longer() -> None:
    bus = bus_of(turnaround=0.8, interval=2.0)
    bus.run(30)
    assert bus.station().available
    assert bus.station().counts.timeouts <= 3


def test_an_answer_that_nobody_waits_for_any_more_shows_nothing() -> None:
    bus = bus_of(interval=5.0)
    bus.run(1)
    before, timeout = dict(bus.values()), bus.station().patience.timeout
    bus.intrusion = [
        (bus.now + 0.5, answer(content())),
        (bus.now + 0.9, answer(content(), terminal=9)),
    ]
    bus.run(2)
    assert bus.values() == before
    assert bus.station().patience.timeout > timeout
    assert bus.station().patience.worst == pytest.approx(2 * timeout)


def test_damage_is_counted_and_shows_nothing() -> None:
    bus = bus_of(fault="flip:rate=1")
    bus.run(20)
    station = bus.station()
    assert not station.available
    assert station.state.values == {}
    assert station.counts.damaged > 3
    assert bus.master.framer.discarded > 0


def test_an_answer_that_is_whole_but_none_counts_as_damaged() -> None:
    bus = bus_of(fault="silent:rate=1")
    bus.intrusion = [(100.15, answer(b"\x79\x04"))]
    bus.run(0.2)
    assert bus.station().counts.damaged == 1
    assert bus.station().state.values == {}


def test_an_unknown_id_is_counted_on_the_pack() -> None:
    bus = bus_of(fault="silent:rate=1")
    bus.intrusion = [(100.15, answer(content() + b"\x00\x01"))]
    bus.run(0.2)
    assert bus.station().unknown == {0x00: 1}
    assert bus.values()["state_of_charge"] == 60


def test_what_cannot_be_true_is_not_shown() -> None:
    bus = bus_of()
    bus.run(1)
    bus.line.bank[0].set("soc", 130)
    before = bus.values()["state_of_charge"]
    bus.run(4)
    station = bus.station()
    assert bus.values()["state_of_charge"] == before
    assert station.counts.implausible >= 3
    assert station.misses >= 3


def test_a_lost_link_forgets_what_was_under_way() -> None:
    bus = bus_of()
    bus.run(2)
    change = Change(0, BY_KEY["charging_switch"], False)
    bus.master.submit(change)
    bus.run(0.02)
    (ended,) = bus.master.disconnected(bus.now)
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.UNREACHABLE
    assert not bus.asks()
    bus.run(40)
    assert bus.came_and_went()[-1] == (0, False)
    bus.master.connected(bus.now)
    assert bus.asks()
    bus.run(1)
    assert bus.came_and_went()[-1] == (0, True)


def test_terminals_can_be_added_and_removed() -> None:
    bus = bus_of(1, 2)
    bus.master.remove(2)
    bus.run(3)
    assert bus.came_and_went() == [(1, True)]
    bus.master.add(2, bus.now)
    bus.run(3)
    assert bus.came_and_went() == [(1, True), (2, True)]
    change = Change(2, BY_KEY["charging_switch"], False)
    bus.master.submit(change)
    bus.run(0.005)
    bus.master.remove(2)
    bus.run(1)
    ((_, ended),) = bus.of_type(Written)
    assert ended.result.outcome is Outcome.UNREACHABLE
    assert bus.raw("charge_switch", 2) == 1


def test_a_terminal_is_removed_while_it_is_woken_or_waited_for() -> None:
    bus = bus_of(1, asked=(2,))
    bus.run(3)
    while bus.commands()[-1] != Command.ACTIVATE:
        bus.run(0.01)
    bus.master.remove(2)
    sent = len(bus.sent)
    bus.run(3)
    assert {m.terminal for _, m in bus.sent[sent:]} == {1}
    assert bus.station(1).counts.timeouts == 0


def test_a_machine_without_packs_asks_nobody() -> None:
    master = TtlMaster((), SERIAL, 0.0, interval=5.0)
    master.connected(0.0)
    step = master.advance(0.0)
    assert (step.send, step.wake) == (b"", float("inf"))
    assert not master.asking


# -- asleep, and just awake -----------------------------------------------------------


def test_a_sleeping_pack_is_woken_once_and_then_read() -> None:
    bus = bus_of(asleep=(0,))
    bus.run(15)
    assert bus.line.activations == 1
    assert bus.came_and_went() == [(0, True)]
    assert bus.commands().count(Command.ACTIVATE) == 1


def test_what_a_pack_says_while_it_boots_is_not_shown() -> None:
    bus = bus_of(interval=1.0)
    for name, value in (("soc", 60), ("cycles", 7), ("cycled_capacity", 900_000)):
        bus.line.bank[0].set(name, value)
    bus.line.boot(0, 100.0)
    shown: set[object] = set()
    while bus.now < 140:
        bus.run(0.5)
        shown |= {
            bus.values().get("state_of_charge"),
            bus.values().get("charging_cycles"),
        }
        if bus.now < 116:
            assert bus.values()["capacity_remaining"] is None
            assert bus.values()["total_charging_cycle_capacity"] is None
            assert bus.values()["total_voltage"] > 0
    assert shown == {None, 60, 7}
    assert bus.values()["total_charging_cycle_capacity"] == 900
    # Entities exist from the start; they do not come later.
    features = bus.station().features
    assert features is not None
    assert features.has(BY_KEY["state_of_charge"])


def test_a_pack_that_reboots_does_not_fall_to_0() -> None:
    bus = bus_of(interval=1.0)
    for name, value in (("soc", 60), ("cycles", 7)):
        bus.line.bank[0].set(name, value)
    bus.run(5)
    bus.line.boot(0, bus.now)
    bus.run(3)
    assert bus.values()["state_of_charge"] is None
    assert bus.values()["charging_cycles"] is None
    bus.run(20)
    assert bus.values()["state_of_charge"] == 60
    assert bus.station().counts.implausible == 0


def test_a_new_pack_that_is_empty_says_so_after_a_while() -> None:
    bus = bus_of()
    for name in ("soc", "cycles", "cycled_capacity"):
        bus.line.bank[0].set(name, 0)
    bus.run(15)
    assert bus.values()["state_of_charge"] is None
    bus.run(10)
    assert bus.values()["state_of_charge"] == 0
    assert bus.values()["charging_cycles"] == 0


# -- another one asks -----------------------------------------------------------------


def test_another_host_on_the_line_ends_all_asking() -> None:
    bus = bus_of(interval=1.0)
    bus.run(2.5)
    bus.intrusion = [(bus.now + 0.1, read_all(0).encode())]
    bus.run(0.2)
    sent = len(bus.sent)
    assert bus.yielded()
    assert not bus.asks()
    bus.run(100)
    assert len(bus.sent) == sent
    assert len(bus.of_type(ForeignMaster)) == 1


def test_what_it_is_told_is_shown_all_the_same() -> None:
    bus = bus_of(interval=1.0)
    bus.run(2.5)
    pack = bus.line.bank[0]
    pack.set("soc", bus.values()["state_of_charge"] - 1)
    said = frame_of(0, 6, content_of(pack, bus.line.version))
    for second in range(1, 40):
        at = bus.now + second
        bus.intrusion += [(at, read_all(0).encode()), (at + 0.03, said)]
        bus.intrusion += [(at + 0.04, frame_of(0, 3, b"\x85\x07"))]
        bus.intrusion += [(at + 0.05, frame_of(8, 6, content()))]
    bus.run(40)
    assert bus.station().available
    assert bus.values()["state_of_charge"] == bus.raw("soc")


def test_it_asks_again_when_the_other_is_gone_if_its_owner_wants_it() -> None:
    bus = bus_of(return_after=60.0)
    bus.run(2.5)
    change = Change(0, BY_KEY["charging_switch"], False)
    bus.master.submit(change)
    bus.run(0.01)
    bus.intrusion = [
        (bus.now + 0.1, write(0, 0xAB, 1).encode()),
        (bus.now + 20.0, write(0, 0xAB, 1).encode()),
    ]
    bus.run(70)
    assert bus.yielded()
    ((_, ended),) = bus.of_type(Written)
    assert ended.result.outcome is Outcome.UNREACHABLE
    bus.run(15)
    assert not bus.yielded()
    assert len(bus.of_type(Resumed)) == 1
    assert bus.station().available
    bus.master.disconnected(bus.now)


def test_an_adapter_that_repeats_what_is_sent_is_no_other_host() -> None:
    bus = bus_of(fault="echo")
    bus.run(20)
    assert not bus.yielded()
    assert bus.station().counts.ok >= 19
    bus.line.bank[0].present = False
    bus.run(20)
    assert not bus.yielded()
    assert bus.station().counts.damaged == 0
    assert bus.station().counts.timeouts > 3


def test_an_upload_that_nobody_asked_for_is_let_pass() -> None:
    bus = bus_of()
    bus.run(2.5)
    upload = bytearray(E1)
    upload[10] = 2
    upload[-2:] = (sum(upload[:-4]) & 0xFFFF).to_bytes(2, "big")
    before = bus.values()["total_voltage"]
    bus.intrusion = [(bus.now + 0.1, bytes(upload))]
    bus.run(2)
    assert bus.values()["total_voltage"] == before
    assert not bus.yielded()


# -- switching ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [("charging_switch", "charge_switch"), ("discharging_switch", "discharge_switch")],
)
def test_a_switch_is_read_written_and_proven_by_a_new_read(key: str, name: str) -> None:
    bus = bus_of(1, 2)
    bus.run(3)
    start = bus.now
    ended = bus.write(key, False, 2)
    assert ended.result.outcome is Outcome.PROVEN
    assert (ended.result.before, ended.result.found) == (True, False)
    assert bus.raw(name, 2) == 0
    assert bus.values(2)[key] is False
    own = [m.command for t, m in bus.sent if t >= start and m.terminal == 2]
    at = own.index(Command.PASSWORD)
    assert own[at - 1] == Command.READ_ALL
    assert own[at + 1] == Command.WRITE
    assert own[at + 2] == Command.READ_ALL
    assert bus.line.bank[1].journal == []
    assert not bus.line.bank.dangerous
    assert bus.now - start < 3


def test_a_switch_that_stands_right_is_not_written() -> None:
    bus = bus_of()
    bus.run(3)
    assert bus.write("charging_switch", True).result.outcome is Outcome.PROVEN
    assert bus.line.bank[0].journal == []


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("10.XW_S10.07___", Outcome.PROVEN),
        ("H6.X__S6.1.3S__", Outcome.PROVEN),
        ("11.XW_S11.26___", Outcome.UNSUPPORTED),
        ("15A_____S15.41_", Outcome.UNSUPPORTED),
    ],
)
def test_the_balancer_is_switched_where_the_firmware_takes_it(
    version: str, outcome: Outcome
) -> None:
    bus = bus_of(version=version)
    bus.run(3)
    wanted = not bus.values()["balancer"]
    assert bus.write("balancer", wanted).result.outcome is outcome
    written = bool(bus.line.bank[0].journal)
    assert written is (outcome is Outcome.PROVEN)


@pytest.mark.parametrize(
    "key", ["cell_ovp", "smart_sleep", "total_battery_capacity_setting"]
)
def test_nothing_but_switches_is_ever_written(key: str) -> None:
    bus = bus_of()
    bus.run(3)
    value = True if key == "smart_sleep" else 4.0
    assert bus.write(key, value).result.outcome is Outcome.UNSUPPORTED
    assert Command.WRITE not in bus.commands()


def test_no_other_setting_can_be_written_on_any_firmware() -> None:
    versions = (None, "6.1.3S", "7.1.0H", "10.99", "11.00", "15.41", "19.27")
    taken = {
        (field.key, version)
        for field in writable()
        for version in versions
        if takes(field, Firmware.parse(version))
    }
    always = {
        (k, v) for k in ("charging_switch", "discharging_switch") for v in versions
    }
    older = {("balancer", v) for v in ("6.1.3S", "7.1.0H", "10.99")}
    assert taken == always | older
    assert sorted(CODES.values()) == [0x9D, 0xAB, 0xAC]


def test_a_balancer_of_unknown_firmware_is_left_alone() -> None:
    bus = bus_of()
    assert bus.write("balancer", False).result.outcome is Outcome.UNSUPPORTED


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("writes:mode=ignore", Outcome.IGNORED),
        ("writes:mode=refuse-value", Outcome.UNANSWERED),
    ],
)
def test_what_a_pack_did_not_do_is_told(fault: str, outcome: Outcome) -> None:
    bus = bus_of(fault=fault)
    bus.run(3)
    ended = bus.write("charging_switch", False)
    assert ended.result.outcome is outcome
    assert ended.result.found is True


def test_a_write_that_the_answer_to_was_lost_is_proven_by_reading() -> None:
    bus = bus_of()
    bus.run(3)
    change = Change(0, BY_KEY["charging_switch"], False)
    bus.master.submit(change)
    while Command.WRITE not in bus.commands():
        bus.run(0.001)
    bus.run(0.005)
    bus.line.collect(bus.now + 0.02)  # The answer never arrives.
    _, event = bus.run_until(lambda e: isinstance(e, Written))
    assert isinstance(event, Written)
    assert event.result.outcome is Outcome.PROVEN


def test_a_pack_that_is_gone_cannot_be_switched() -> None:
    bus = bus_of()
    bus.run(3)
    bus.line.bank[0].present = False
    assert bus.write("charging_switch", False).result.outcome is Outcome.UNREACHABLE


def test_switching_to_and_fro_has_an_end() -> None:
    bus = bus_of()
    bus.run(3)
    outcomes = [
        bus.write("charging_switch", bool(turn % 2)).result.outcome
        for turn in range(12)
    ]
    assert outcomes[:10] == [Outcome.PROVEN] * 10
    assert Outcome.TOO_OFTEN in outcomes[10:]


def test_changes_of_one_pack_wait_for_each_other() -> None:
    bus = bus_of(1, 2)
    bus.run(3)
    changes = [
        Change(address, BY_KEY[key], False)
        for address in (1, 2)
        for key in ("charging_switch", "discharging_switch")
    ]
    for change in changes:
        bus.master.submit(change)
    bus.run(10)
    ended = [event for _, event in bus.of_type(Written)]
    assert {id(e.change) for e in ended} == {id(c) for c in changes}
    assert all(e.result.outcome is Outcome.PROVEN for e in ended)
    for address in (1, 2):
        assert (
            bus.raw("charge_switch", address)
            == bus.raw("discharge_switch", address)
            == 0
        )


def test_a_pack_that_does_not_tell_the_switch_is_not_written() -> None:
    bus = bus_of(fault="silent:rate=1")
    whole = content()
    at = whole.index(b"\x83", 50)
    bus.master.submit(Change(0, BY_KEY["charging_switch"], False))
    bus.intrusion = [(100.15, answer(whole[: at + 3]))]
    bus.run(1)
    ((_, ended),) = bus.of_type(Written)
    assert ended.result.outcome is Outcome.UNSUPPORTED


def test_updates_say_what_has_changed() -> None:
    bus = bus_of()
    bus.run(1.5)
    bus.line.bank[0].set("soc", bus.raw("soc") - 1)
    start = bus.now
    bus.run(1)
    ((_, event),) = bus.of_type(Updated, start)
    assert event.update.block is Block.LIVE
    assert event.update.changed == {"state_of_charge", "capacity_remaining"}


def test_packs_are_read_through_noise() -> None:
    bus = bus_of(1, 2, fault="noise:rate=0.002", interval=0.5, still=False)
    bus.run(60)
    for address in (1, 2):
        assert bus.station(address).available
        assert bus.station(address).counts.ok > 60
