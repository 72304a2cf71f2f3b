"""Settings over Bluetooth: in order, not too fast, proven; and what is never sent."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from custom_components.jkbms.protocol.ble import machine
from custom_components.jkbms.protocol.ble.frames import Order
from custom_components.jkbms.protocol.ble.registers import offers, order_for
from custom_components.jkbms.protocol.ble.station import ADDRESS
from custom_components.jkbms.protocol.budget import WriteBudget
from custom_components.jkbms.protocol.commands import SetClock, StartEmergency
from custom_components.jkbms.protocol.datum import Firmware
from custom_components.jkbms.protocol.errors import NotWritableError
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import BY_KEY, writable
from custom_components.jkbms.protocol.jobs import job_of
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.settings_job import Transaction
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.station import Settled, Written
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from simulator import Writing
from simulator.ble import GattPack, Generation

from .rig import Link, link_to, settled

_QUESTIONS = {0x96, 0x97}


def changes(link: Link) -> list[tuple[float, int, bytes]]:
    return [order for order in link.gatt.orders if order[1] not in _QUESTIONS]


def together(*wishes: tuple[str, Any]) -> Transaction:
    return Transaction(tuple(Change(ADDRESS, BY_KEY[k], v) for k, v in wishes))


@pytest.mark.parametrize(
    ("key", "value", "order", "raw"),
    [
        ("charging_switch", False, (0x1D, b"\0\0\0\0"), ("charge_switch", 0)),
        ("cell_ovp", 3.6, (0x04, b"\x10\x0e\0\0"), ("cell_ovp", 3600)),
        ("charge_utp", -5.0, (0x18, b"\xce\xff\xff\xff"), ("charge_utp", -50)),
        ("smart_sleep_time", 48, (0x39, b"\x30"), ("smart_sleep_hours", 48)),
        ("cell_request_charge_time", 1.5, (0xB3, b"\x0f"), ("rcv_time", 15)),
        ("dry_1_trigger", "low_soc", (0xAA, b"\x01\0"), ("dry1_source", 1)),
        ("precharge_time", 7, (0x25, b"\x07\0\0\0"), ("precharge_time", 7)),
    ],
)
def test_a_setting_is_written_and_proven(
    key: str, value: Any, order: tuple[int, bytes], raw: tuple[str, int]
) -> None:
    link = settled(link_to())
    assert link.gatt.pack.number_of(raw[0]) != raw[1]
    ended = link.write(key, value)
    assert ended.result.outcome is Outcome.PROVEN
    assert ended.result.found == value
    ((_, *sent),) = changes(link)
    assert tuple(sent) == order
    assert link.gatt.pack.number_of(raw[0]) == raw[1]
    assert link.values[key] == value
    assert link.gatt.pack.dangerous == []


def test_one_bit_is_changed_and_its_neighbours_are_kept() -> None:
    link = settled(link_to())
    pack = link.gatt.pack
    word = pack.number_of("function_word")
    value = not link.values["smart_sleep"]
    assert link.write("smart_sleep", value).result.outcome is Outcome.PROVEN
    assert pack.number_of("function_word") == word ^ 1 << 6
    ((_, register, data),) = changes(link)
    assert (register, data) == (0x2D, bytes([value, 0, 0, 0]))


def test_what_is_there_already_is_not_written() -> None:
    link = settled(link_to())
    ended = link.write("cell_ovp", link.values["cell_ovp"])
    assert ended.result.outcome is Outcome.PROVEN
    assert changes(link) == []


def test_a_second_is_left_between_two_writes() -> None:
    link = settled(link_to())
    pack = link.gatt.pack
    wishes = together(
        ("balance_trigger_voltage", 0.02),
        ("max_balance_current", 1.0),
        ("balancer", False),
    )
    ended = link.make(wishes)
    assert isinstance(ended, Settled)
    assert ended.report.proven
    times = [time for time, _, _ in changes(link)]
    assert [b - a for a, b in pairwise(times)] == [pytest.approx(1.0)] * 2
    assert pack.number_of("balance_trigger") == 20


def test_changes_of_their_own_wait_for_each_other_too() -> None:
    link = settled(link_to())
    for key in ("charging_switch", "discharging_switch", "balancer"):
        link.master.submit(Change(ADDRESS, BY_KEY[key], False))
    link.run(20.0)
    outcomes = [e.result.outcome for _, e in link.of_type(Written)]
    assert outcomes == [Outcome.PROVEN] * 3
    times = [time for time, _, _ in changes(link)]
    assert min(b - a for a, b in pairwise(times)) >= 1.0


def test_one_of_several_that_is_not_taken_takes_the_others_back() -> None:
    link = settled(link_to())
    pack = link.gatt.pack
    before = pack.number_of("balance_current_limit")
    link.gatt.ignores = {0x06}
    ended = link.make(
        together(("max_balance_current", 1.0), ("balance_trigger_voltage", 0.02))
    )
    assert isinstance(ended, Settled)
    current, trigger = ended.report.results
    assert (current.outcome, current.rolled_back) == (Outcome.PROVEN, True)
    assert trigger.outcome is Outcome.IGNORED
    assert ended.report.left_changed == ()
    assert pack.number_of("balance_current_limit") == before
    assert [register for _, register, _ in changes(link)] == [0x13, 0x06, 0x13]


@pytest.mark.parametrize("writing", [Writing.IGNORE, Writing.REFUSE_VALUE])
def test_what_the_pack_did_not_do_is_told(writing: Writing) -> None:
    link = settled(link_to())
    link.gatt.pack.writing = writing
    ended = link.write("cell_ovp", 3.6)
    assert ended.result.outcome is Outcome.IGNORED
    assert link.values["cell_ovp"] == ended.result.before


def test_a_write_that_got_lost_is_looked_at_and_repeated_once() -> None:
    link = settled(link_to())
    link.gatt.unheard = 1
    assert link.write("balancer", False).result.outcome is Outcome.PROVEN
    (first, *_), (second, *_) = changes(link)
    assert second - first >= 1.0
    link.gatt.unheard = 2
    assert link.write("balancer", True).result.outcome is Outcome.UNANSWERED
    assert len(changes(link)) == 4


def test_a_pack_that_does_not_answer_is_unreachable_and_nothing_is_written() -> None:
    link = settled(link_to())
    link.gatt.mute = True
    ended = link.write("balancer", False)
    assert ended.result.outcome is Outcome.UNREACHABLE
    assert changes(link) == []


def test_a_word_that_is_no_yes_is_a_refusal() -> None:
    link = settled(link_to())
    link.gatt.pack.writing = Writing.IGNORE
    change = Change(ADDRESS, BY_KEY["balancer"], False)
    link.master.submit(change)
    while not changes(link):
        link.run(0.01)
    no = bytearray.fromhex("AA5590EBC80100") + bytes(12)
    no.append(sum(no) % 256)
    link.master.advance(link.now, bytes(no))
    _, ended = link.run_until(lambda e: isinstance(e, Written))
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.REFUSED


def test_nothing_is_written_before_the_layout_is_known() -> None:
    link = link_to()
    assert link.write("balancer", False).result.outcome is Outcome.UNREACHABLE
    link = link_to()
    ended = link.make(together(("balancer", False)))
    assert isinstance(ended, Settled)
    assert ended.report.results[0].outcome is Outcome.UNREACHABLE
    assert changes(link) == []


def test_nothing_is_written_where_settings_and_live_values_disagree() -> None:
    link = settled(link_to())
    link.master.submit(Change(ADDRESS, BY_KEY["balancer"], False))
    link.gatt.generation = Generation.CELLS_24
    link.run(20.0)
    (told,) = [e for _, e in link.of_type(Written)]
    assert told.result.outcome is not Outcome.PROVEN
    assert changes(link) == []


def test_a_board_with_24_cells_takes_its_three_switches() -> None:
    link = settled(link_to(Generation.CELLS_24))
    for key in ("charging_switch", "discharging_switch", "balancer"):
        assert link.write(key, False).result.outcome is Outcome.PROVEN
    assert [(r, v) for _, r, v in changes(link)] == [
        (0x1D, bytes(4)),
        (0x1E, bytes(4)),
        (0x1F, bytes(4)),
    ]


@pytest.mark.parametrize("generation", [Generation.CELLS_24, Generation.FLOATS])
def test_an_older_board_is_sent_nothing_else(generation: Generation) -> None:
    link = settled(link_to(generation))
    takes = {"charging_switch", "discharging_switch", "balancer"}
    if generation is Generation.FLOATS:
        takes = set()
    for field in writable():
        if field.key in takes:
            continue
        value: Any = (
            field.limits.minimum if field.limits else (field.options or [True])[0]
        )
        ended = link.write(field.key, value)
        assert ended.result.outcome is Outcome.UNSUPPORTED, field.key
    assert changes(link) == []


def test_the_clock_is_set_and_proven() -> None:
    link = settled(link_to(still=False))
    local = datetime(2025, 11, 29, 15, 11, 59)
    ended = link.make(SetClock(ADDRESS, local, link.now))
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.PROVEN
    ((_, register, data),) = changes(link)
    assert (register, len(data)) == (0x6C, 4)
    # The recorded order for this time, give or take the seconds since (ble.md 7).
    assert int.from_bytes(data, "little") == pytest.approx(0x0B1F2C3F, abs=3)


def test_emergency_starts_where_it_is_wanted() -> None:
    link = settled(link_to(kind=_kind_with_emergency()))
    ended = link.make(StartEmergency(ADDRESS))
    assert isinstance(ended, Written)
    assert ended.result.outcome is Outcome.PROVEN
    ((_, register, data),) = changes(link)
    assert (register, data) == (0x6B, b"\x01\0\0\0")


def _kind_with_emergency() -> int:
    for kind in range(10):
        pack = link_to(kind=kind).gatt.pack
        if pack.number_of("emergency_minutes") and pack.firmware >= (14, 17):
            return kind
    raise AssertionError


def test_commands_are_not_for_older_boards() -> None:
    link = settled(link_to(Generation.CELLS_24))
    for command in (
        SetClock(ADDRESS, datetime(2025, 1, 1), link.now),
        StartEmergency(ADDRESS),
    ):
        ended = link.make(command)
        assert isinstance(ended, Written)
        assert ended.result.outcome is Outcome.UNSUPPORTED
    assert changes(link) == []


def test_a_command_has_no_order_on_other_boards() -> None:
    job = job_of(StartEmergency(ADDRESS), BmsState(), WriteBudget())
    request = StartEmergency(ADDRESS).request()
    assert order_for(job, request, Layout.JK02_32S) == Order(0x6B, b"\x01\0\0\0")
    for layout in (Layout.JK02_24S, Layout.JK04, None):
        assert order_for(job, request, layout) is None


def test_changes_are_given_up_with_the_connection() -> None:
    link = settled(link_to())
    link.master.submit(Change(ADDRESS, BY_KEY["balancer"], False))
    link.master.submit(together(("charging_switch", False)))
    link.close()
    (written,) = [e for _, e in link.of_type(Written)]
    (told,) = [e for _, e in link.of_type(Settled)]
    assert written.result.outcome is Outcome.UNREACHABLE
    assert told.report.results[0].outcome is Outcome.UNREACHABLE


def test_a_change_that_waits_for_its_turn_is_not_sent_on_another_connection() -> None:
    link = settled(link_to())
    link.master.submit(
        together(
            ("balance_trigger_voltage", 0.02),
            ("max_balance_current", 1.0),
            ("balancer", False),
        )
    )
    while not changes(link):
        link.run(0.01)
    ((first, _, _),) = changes(link)
    link.run(first + 0.95 - link.now)
    link.close()
    link.open()
    link.run(10.0)
    assert len(changes(link)) == 1


def test_the_last_gate_stands_before_the_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    link = settled(link_to())
    link.master.submit(Change(ADDRESS, BY_KEY["balancer"], False))
    shutdown = Order(0x65, bytes(4))
    monkeypatch.setattr(machine, "order_for", lambda *_: shutdown)
    with pytest.raises(NotWritableError):
        link.run(5.0)
    assert changes(link) == []


def test_switching_to_and_fro_has_an_end() -> None:
    link = settled(link_to())
    outcomes = [
        link.write("balancer", bool(turn % 2)).result.outcome for turn in range(12)
    ]
    assert outcomes[:10] == [Outcome.PROVEN] * 10
    assert Outcome.TOO_OFTEN in outcomes[10:]


def test_a_cancelled_transaction_is_put_back() -> None:
    link = settled(link_to())
    before = link.gatt.pack.number_of("balance_trigger")
    wishes = together(("balance_trigger_voltage", 0.02), ("max_balance_current", 1.0))
    link.master.submit(wishes)
    while not changes(link):
        link.run(0.01)
    link.master.cancel(together(("balancer", False)))
    link.master.cancel(wishes)
    link.run_until(lambda e: isinstance(e, Settled))
    assert link.gatt.pack.number_of("balance_trigger") == before


def test_only_what_is_to_be_cancelled_is_cancelled() -> None:
    link = settled(link_to())
    wishes = together(("balance_trigger_voltage", 0.02), ("max_balance_current", 1.0))
    link.master.submit(wishes)
    while not changes(link):
        link.run(0.01)
    link.master.cancel(together(("balancer", False)))
    _, ended = link.run_until(lambda e: isinstance(e, Settled))
    assert isinstance(ended, Settled)
    assert ended.report.proven
    assert link.gatt.pack.number_of("balance_trigger") == 20


def test_the_simulated_module_takes_no_two_changes_at_once() -> None:
    gatt: GattPack = link_to().gatt
    off = bytes.fromhex("AA5590EB1F0400000000000000000000000000") + b"\x9d"
    on = bytes.fromhex("AA5590EB1F0401000000000000000000000000") + b"\x9e"
    gatt.write(off, 200.0)
    gatt.write(on, 200.5)
    assert gatt.pack.number_of("balancer_switch") == 0
    gatt.write(on, 201.5)
    assert gatt.pack.number_of("balancer_switch") == 1


def test_every_setting_of_a_pack_can_be_changed_over_bluetooth_but_a_few() -> None:
    features = Features(cells=(), probes=(), heater=True, firmware=Firmware(19, 27))
    missing = {
        field.template
        for field in writable()
        if field.applies_to(features.firmware) and not offers(field, features)
    }
    assert missing == {
        "connection_resistance",
        "data_stored_period",
        "gps_heartbeat",
        "special_charger",
    }
