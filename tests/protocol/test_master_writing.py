"""Changes during polling: each arrives and is proven, or says why not."""

from collections import Counter

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.line import Traffic
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Updated, Written
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from simulator import Bank, SlaveLine

from .bus import TRIGGERS, Bus, bus_of, requests

# -- writing -----------------------------------------------------------------------


def write(bus: Bus, address: int, key: str, value: float | bool) -> Written:
    change = Change(address, BY_KEY[key], value)
    bus.master.submit(change)
    _, event = bus.run_until(
        lambda e: isinstance(e, Written) and e.change is change, limit=30
    )
    assert isinstance(event, Written)
    return event


def test_a_change_during_polling_is_written_and_proven() -> None:
    bus = bus_of(1, 2, 3, live=1)
    bus.run(10)
    start = bus.now
    ended = write(bus, 2, "cell_ovp", 3.6)
    assert ended.result.outcome is Outcome.PROVEN
    assert ended.result.found == 3.6
    assert bus.raw(2, "cell_ovp") == 3600
    assert bus.now - start < 2
    # The state knows before the event tells.
    assert bus.master.stations[2].state.values["cell_ovp"] == 3.6
    assert bus.line.bank.dangerous == []
    (entry,) = bus.line.bank[2].journal
    assert (entry.register, entry.data) == (0x100C, bytes.fromhex("00000E10"))
    assert [p.journal for p in bus.line.bank if p.address != 2] == [[], []]


@pytest.mark.parametrize(
    ("key", "value", "name", "raw"),
    [
        ("charging_switch", False, "charge_switch", 0),
        ("charge_utp", -12.5, "charge_utp", -125),
        ("heating_start_temperature", -5, "heating_start", -5),
        ("cell_request_float_time", 3.5, "rfv_time", 35),
        ("smart_sleep_time", 12, "smart_sleep_hours", 12),
        ("data_stored_period", 60, "log_period", 60),
    ],
)
def test_every_kind_of_setting_arrives(
    key: str, value: float | bool, name: str, raw: int
) -> None:
    bus = bus_of(1)
    bus.run(5)
    assert write(bus, 1, key, value).result.outcome is Outcome.PROVEN
    assert bus.raw(1, name) == raw


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        ("ignore", Outcome.IGNORED),
        ("clamp", Outcome.CLAMPED),
        ("refuse-register", Outcome.REFUSED_REGISTER),
        ("refuse-value", Outcome.REFUSED_VALUE),
    ],
)
def test_what_a_pack_did_to_a_write_is_told(mode: str, outcome: Outcome) -> None:
    bus = bus_of(1, fault=f"writes:mode={mode}")
    bus.run(5)
    # More than the model carries, so that there is something to clamp.
    result = write(bus, 1, "max_charge_current", 500).result
    assert result.outcome is outcome
    before = bus.master.stations[1].state.values["max_charge_current"]
    if outcome is Outcome.CLAMPED:
        assert result.found == before == 200
    else:
        assert result.before == before


def test_what_the_firmware_refuses_by_its_limits_is_told() -> None:
    bus = bus_of(1)
    bus.run(5)
    result = write(bus, 1, "max_charge_current", 500).result
    assert (result.outcome, result.code) == (Outcome.REFUSED_VALUE, 3)


def test_two_changes_to_the_same_word_in_a_row_both_stay() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("function_word", 0xF200)
    changes = [
        Change(1, BY_KEY["display_always_on"], True),
        Change(1, BY_KEY["smart_sleep"], True),
        Change(1, BY_KEY["charging_float_mode"], False),
    ]
    for change in changes:
        bus.master.submit(change)
    bus.run(10)
    ended = [e for _, e in bus.of_type(Written)]
    assert [e.change for e in ended] == changes
    assert {e.result.outcome for e in ended} == {Outcome.PROVEN}
    # The unknown bits 12 to 15 are as they were.
    assert bus.raw(1, "function_word") == 0xF050


def test_a_byte_pair_keeps_its_other_half() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("rcv_time", 17)
    write(bus, 1, "cell_request_float_time", 2)
    assert (bus.raw(1, "rcv_time"), bus.raw(1, "rfv_time")) == (17, 20)


def test_changes_of_two_packs_go_side_by_side() -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    start = bus.now
    for address in (1, 2):
        bus.master.submit(Change(address, BY_KEY["balancer"], False))
    bus.run(3)
    ended = bus.of_type(Written, start)
    assert {e.result.outcome for _, e in ended} == {Outcome.PROVEN}
    assert ended[1][0] - ended[0][0] < 0.4


def test_a_pack_that_is_not_there_cannot_be_written() -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    bus.line.bank[2].present = False
    assert write(bus, 2, "balancer", False).result.outcome is Outcome.UNREACHABLE
    assert bus.line.bank[2].journal == []


def test_a_pack_that_vanishes_after_the_write_leaves_it_unproven() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.master.submit(Change(1, BY_KEY["balancer"], False))
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    bus.run(0.05)
    bus.line.bank[1].present = False
    bus.run(10)
    ((_, ended),) = bus.of_type(Written)
    assert ended.result.outcome is Outcome.UNPROVEN
    assert ended.result.before is True


def test_a_setting_that_the_firmware_does_not_have_is_not_written() -> None:
    bus = bus_of(1)
    bus.run(5)
    result = write(bus, 1, "discharge_utp", -10).result
    assert result.outcome is Outcome.UNSUPPORTED
    assert bus.line.bank[1].journal == []


def test_a_write_on_a_bad_line_is_proven_or_says_why() -> None:
    for seed in range(6):
        bus = bus_of(1, 2, fault="silent:rate=0.25", seed=seed)
        bus.run(10)
        ended = write(bus, 1, "cell_ovp", 3.61)
        stored = bus.raw(1, "cell_ovp") == 3610
        match ended.result.outcome:
            case Outcome.PROVEN:
                assert stored
            case Outcome.UNANSWERED | Outcome.UNREACHABLE:
                assert not stored
            case outcome:
                assert outcome is Outcome.UNPROVEN
        assert len(bus.line.bank[1].journal) <= 2


def test_values_that_cannot_be_believed_are_no_proof() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].set("cell_count", 99)
    assert write(bus, 1, "cell_ovp", 3.61).result.outcome is Outcome.UNREACHABLE
    assert bus.line.bank[1].journal == []


@pytest.mark.parametrize("how", ["outage", "another master", "removal"])
def test_a_change_ends_with_its_bus(how: str) -> None:
    bus = bus_of(1, 2)
    bus.run(5)
    changes = [Change(1, BY_KEY["balancer"], value) for value in (False, True)]
    for change in changes:
        bus.master.submit(change)
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    ended: list[Written] = []
    match how:
        case "outage":
            ended = [
                e for e in bus.master.disconnected(bus.now) if isinstance(e, Written)
            ]
        case "another master":
            bus.intrusion = [(bus.now, trigger(7, Block.LIVE).encode())]
        case _:
            bus.master.remove(1)
    bus.run(2)
    ended += [e for _, e in bus.of_type(Written)]
    assert [(e.change, e.result.outcome) for e in ended] == [
        (changes[0], Outcome.UNPROVEN),
        (changes[1], Outcome.UNREACHABLE),
    ]


def test_an_address_that_is_asked_again_does_not_meet_its_old_changes() -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.master.submit(Change(1, BY_KEY["balancer"], False))
    while not bus.line.bank[1].journal:
        bus.run(0.005)
    bus.master.remove(1)
    bus.master.add(1, bus.now)
    bus.run(5)
    assert len(bus.of_type(Written)) == 1
    # The same while the answer never comes.
    bus.line.bank[1].present = False
    bus.run(0.3)
    sent = len(bus.sent)
    bus.master.submit(Change(1, BY_KEY["balancer"], True))
    while (
        len(bus.sent) == sent or bus.sent[-1][1] != trigger(1, Block.SETTINGS).encode()
    ):
        bus.run(0.002)
    bus.master.remove(1)
    bus.master.add(1, bus.now)
    bus.run(1)
    bus.line.bank[1].present = True
    bus.run(5)
    assert len(bus.of_type(Written)) == 2
    assert bus.master.stations[1].available


def test_everything_that_ever_was_sent_is_a_trigger_or_the_change() -> None:
    bus = bus_of(1, 2, 3)
    bus.run(5)
    write(bus, 1, "heater", True)
    write(bus, 3, "cell_uvp", 2.7)
    bus.run(60)
    sent = Counter(request.register for _, request in requests(bus))
    assert sent.keys() == TRIGGERS | {0x1114, 0x1004}
    assert (sent[0x1114], sent[0x1004]) == (1, 1)


def test_an_empty_bank_is_a_silent_bus() -> None:
    master = Master([3], Plan(live=1), SERIAL, 100.0)
    master.connected(100.0)
    bus = Bus(master, SlaveLine(Bank([])))
    bus.run(60)
    assert master.line.traffic[Traffic.SILENT] == len(bus.sent)
    assert bus.events == []


def test_nothing_is_written_on_the_strength_of_the_first_frame_of_a_block() -> None:
    """A first frame is believed without being repeated; what shares a register is not.

    One in 256 frames with several damaged bytes passes its sum, and the bits beside
    the wanted one would be written as they were damaged.
    """
    bus = bus_of(1, live=1)
    bus.run(10)
    state = bus.master.stations[1].state
    word = bus.raw(1, "function_word")
    # What comes first is damaged, and its sum fits.
    del state.seen[Block.SETTINGS]
    bus.line.bank[1].set("function_word", word ^ 0x0302)
    change = Change(1, BY_KEY["smart_sleep"], True)
    bus.master.submit(change)
    bus.run_until(lambda e: isinstance(e, Updated) and e.update.block is Block.SETTINGS)
    bus.line.bank[1].set("function_word", word)
    bus.run_until(lambda e: isinstance(e, Written) and e.change is change)
    (entry,) = bus.line.bank[1].journal
    assert int.from_bytes(entry.data) == word | 1 << 6
    assert bus.raw(1, "function_word") == word | 1 << 6
