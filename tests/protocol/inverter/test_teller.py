"""The machine that tells an inverter what a bank allows, or nothing (inverter.md 5)."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import pytest

from custom_components.jkbms.protocol.bank_member import Spot
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS, Language
from custom_components.jkbms.protocol.inverter.limits import Reason, Rules
from custom_components.jkbms.protocol.inverter.teller import (
    LISTEN_FOR,
    SILENT_AFTER,
    Phase,
    Teller,
)

from ..can.test_frames import DBC
from .bank import GUARD, Ear, limits_of, sight

KEEP_ALIVE: Final = CanMessage(0x305, bytes(8), False)
QUESTION: Final = CanMessage(0x301, bytes.fromhex("0B16212C37424D58"), False)


def test_nothing_is_said_before_the_bus_was_listened_to() -> None:
    ear = Ear()
    assert ear.run(LISTEN_FOR - 0.01) == []
    assert ear.phase() is Phase.LISTENING
    said = ear.run(1.0)
    assert said[0][1].id == 0x351
    assert ear.phase() is Phase.TELLING


def test_a_machine_that_was_not_begun_says_nothing() -> None:
    teller = Teller(Language.DEYE, Rules())
    assert teller.advance(5.0) == []
    assert teller.due(5.0) == float("inf")


def test_messages_come_in_their_order_at_their_pace() -> None:
    for language in (Language.DEYE, Language.VICTRON, Language.SMA):
        ear = Ear(language, step=0.002)
        ear.run(LISTEN_FOR + 5)
        script = SCRIPTS[language]
        ids = [message.id for _, message in ear.said]
        wanted = [frame.id for frame in script.frames] * 20
        assert ids[: len(wanted)] == wanted[: len(ids)]
        times = [time for time, _ in ear.said]
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps == pytest.approx([script.spacing] * len(gaps), abs=0.0021)
        assert all(len(m.data) == 8 and not m.extended for _, m in ear.said)


def test_limits_rise_slowly_from_nothing() -> None:
    ear = Ear()
    ear.run(LISTEN_FOR + 0.5)
    assert ear.limits == (55.2, 0.0, 0.0)
    ear.run(30)
    assert ear.teller.status.ramping
    _, charge, discharge = ear.limits
    assert charge == pytest.approx(100.0, rel=0.05)
    assert discharge == pytest.approx(150.0, rel=0.05)
    ear.run(35)
    assert ear.limits == (55.2, 200.0, 300.0)
    assert not ear.teller.status.ramping


def test_limits_fall_at_once_and_the_cycle_begins_anew() -> None:
    ear = Ear(Language.PYLONTECH_1_3)
    ear.up()
    ear.packs[0]["coldest"] = Spot(2.5, "T1")
    ear.give()
    (first, *_) = ear.run(0.1)
    assert first[1].id == 0x351
    assert limits_of(first[1].data) == (55.2, 100.0, 300.0)
    ear.packs[0].pop("coldest")
    ear.run(3.0)
    assert 100.0 < ear.limits[1] < 115.0


def test_a_limit_that_falls_waits_for_no_turn() -> None:
    ear = Ear(Language.DEYE)
    ear.up()
    while not ear.run(0.02):
        pass
    ear.packs[0]["coldest"] = Spot(2.5, "T1")
    ear.now += 0.03
    ear.give()
    assert ear.teller.due(ear.now) == ear.now
    (first,) = ear.teller.advance(ear.now)
    assert (first.id, limits_of(first.data)) == (0x351, (55.2, 100.0, 300.0))


def test_the_voltage_rises_slowly_too() -> None:
    ear = Ear()
    ear.packs[0]["floats"] = True
    ear.up()
    assert ear.limits[0] == 53.6
    ear.packs[0]["floats"] = False
    ear.run(10)
    assert 53.9 <= ear.limits[0] <= 54.2
    ear.run(30)
    assert ear.limits[0] == 55.2


@pytest.mark.parametrize(
    ("change", "trip"),
    [
        ({"online": False}, Reason.TOO_FEW_PACKS),
        ({"protections": ("alarm_cell_overvoltage",)}, Reason.PROTECTION),
        ({"volts": 70.0}, Reason.IMPLAUSIBLE),
        ({"heard": 0.0}, Reason.STALE),
    ],
)
def test_nothing_is_allowed_at_once_then_nothing_is_said(
    change: dict[str, object], trip: Reason
) -> None:
    ear = Ear()
    ear.up()
    ear.packs[1] |= change
    ear.give()
    ((_, first), *_) = ear.run(0.1)
    assert (first.id, limits_of(first.data)) == (0x351, (55.2, 0.0, 0.0))
    assert ear.phase() is Phase.ZERO
    assert ear.teller.status.trip is trip
    requests = [m.data[0] for _, m in ear.run(1.0) if m.id == 0x35C]
    assert set(requests) == {0x00}
    said = ear.run(SILENT_AFTER - 1.2)
    assert said
    assert {limits_of(m.data)[1:] for _, m in said if m.id == 0x351} == {(0.0, 0.0)}
    ear.run(0.2)
    assert ear.phase() is Phase.SILENT
    assert ear.run(60.0) == []
    assert ear.teller.status.sent is None


def test_a_loop_that_is_stuck_leads_to_silence_without_its_help() -> None:
    ear = Ear()
    ear.up()
    given = ear.now
    before = len(ear.said)
    while ear.now < given + 60:
        ear.now += 0.02
        ear.said += [(ear.now, m) for m in ear.teller.advance(ear.now)]
    said = ear.said[before:]
    lively = [t for t, m in said if m.id == 0x351 and any(limits_of(m.data)[1:])]
    assert max(lively) - given <= 10.0
    assert max(t for t, _ in said) - given <= 10.0 + SILENT_AFTER + 0.1
    assert ear.phase() is Phase.SILENT
    assert ear.teller.status.trip is Reason.STALE


def test_after_an_end_of_the_trouble_limits_rise_from_nothing() -> None:
    ear = Ear()
    ear.up()
    ear.packs[1]["online"] = False
    ear.run(SILENT_AFTER + 10)
    ear.packs[1]["online"] = True
    ear.run(2.0)
    assert ear.phase() is Phase.TELLING
    assert ear.teller.status.trip is None
    assert ear.limits[1] < 10.0
    ear.run(65)
    assert ear.limits == (55.2, 200.0, 300.0)


def test_a_bank_that_never_told_enough_is_not_told_of() -> None:
    ear = Ear()
    ear.packs[1]["online"] = False
    ear.give()
    assert ear.run(120.0) == []
    assert ear.phase() is Phase.WAITING
    assert ear.teller.status.trip is Reason.TOO_FEW_PACKS
    ear.packs[1]["online"] = True
    assert ear.run(2.0)


def test_settings_that_are_not_known_are_waited_for() -> None:
    ear = Ear()
    ear.packs[0]["cells"] = None
    ear.give()
    assert ear.run(20) == []
    assert ear.teller.status.trip is Reason.NOT_TOLD


def test_no_bank_at_all_is_waited_for() -> None:
    teller = Teller(Language.DEYE, Rules())
    teller.begin(0.0)
    assert teller.advance(10.0) == []
    assert teller.status.trip is Reason.NO_PACKS
    assert teller.status.phase is Phase.WAITING


def test_a_limit_that_gets_lost_is_no_limit() -> None:
    """The voltage is not known any more: nothing is allowed, what was known is told."""
    ear = Ear()
    ear.up()
    ear.packs[0] |= {"highest_cell": None, "lowest_cell": None}
    ear.run(2.0)
    assert ear.phase() is Phase.ZERO
    assert ear.teller.status.trip is Reason.NOT_TOLD
    assert ear.limits == (55.2, 0.0, 0.0)


def test_while_it_is_not_known_no_cell_is_told_as_0_v() -> None:
    ear = Ear(Language.DEYE)
    ear.packs = [{"number": 1}]
    ear.up()
    ear.packs[0] |= {"highest_cell": None, "lowest_cell": None, "state_of_charge": 40.0}
    ear.give()
    said = {message.id: message.data for _, message in ear.run(2.0)}
    assert said[0x370] == bytes.fromhex("16001400F80CE40C")
    assert said[0x355][0] == 50
    ear.packs[0] |= {"highest_cell": Spot(3.31, 9), "lowest_cell": Spot(3.3, 4)}
    ear.run(2.0)
    said = {message.id: message.data for _, message in ear.run(2.0)}
    assert said[0x370] == bytes.fromhex("16001400EE0CE40C")
    assert said[0x355][0] == 40


def test_the_voltage_falls_also_while_nothing_is_allowed() -> None:
    ear = Ear()
    ear.up()
    ear.packs[0]["protections"] = ("alarm_cell_overvoltage",)
    ear.run(2.0)
    ear.packs[0]["floats"] = True
    ear.run(2.0)
    assert ear.limits == (53.6, 0.0, 0.0)


# -- somebody else on the bus ---------------------------------------------------------


@pytest.mark.parametrize("code", [0x351, 0x359, 0x311])
def test_another_battery_is_heard_before_the_first_message(code: int) -> None:
    ear = Ear()
    ear.run(1.0)
    ear.teller.hear([CanMessage(code, bytes(8), False)], ear.now)
    assert ear.run(120.0) == []
    assert ear.phase() is Phase.STOPPED
    assert ear.teller.status.battery == code
    assert ear.teller.due(ear.now) == float("inf")


def test_another_battery_stops_us_in_the_middle_of_a_cycle() -> None:
    ear = Ear()
    ear.up()
    ear.teller.hear([CanMessage(0x351, bytes(8), False)], ear.now)
    assert ear.run(60.0) == []
    assert ear.teller.farewell(ear.now) == []


def test_our_own_words_that_come_back_are_nobody_else() -> None:
    ear = Ear()
    ear.up()
    others = [CanMessage(0x123, b"", False), KEEP_ALIVE]
    for _, message in ear.run(2.0):
        # Nobody else listens to them either.
        assert ear.teller.hear([message, *others], ear.now) == others
    assert ear.phase() is Phase.TELLING


def test_a_bus_that_was_lost_is_listened_to_anew() -> None:
    ear = Ear()
    ear.run(1.0)
    ear.teller.hear([CanMessage(0x351, bytes(8), False)], ear.now)
    ear.teller.begin(ear.now)
    assert ear.phase() is Phase.LISTENING
    ear.run(LISTEN_FOR + 1)
    assert ear.phase() is Phase.TELLING
    assert ear.limits[1] < 5.0


def test_long_ids_and_strangers_are_no_battery() -> None:
    ear = Ear()
    ear.teller.hear([CanMessage(0x351, bytes(8), True)], ear.now)
    ear.teller.hear([CanMessage(0x123, bytes(8), False)], ear.now)
    ear.run(10)
    assert ear.phase() is Phase.TELLING


def test_what_the_inverter_says_is_kept() -> None:
    ear = Ear()
    assert ear.teller.status.link(ear.now) is None
    ear.teller.hear([KEEP_ALIVE], ear.now)
    ear.run(1.0)
    ear.teller.hear([CanMessage(0x307, b"\x12\x34", False)], ear.now)
    status = ear.teller.status
    assert [code for code, _ in status.inverter] == [0x305, 0x307]
    assert dict(status.inverter)[0x307].data == b"\x12\x34"
    assert status.link(ear.now + 4.9) is True
    assert status.link(ear.now + 5.1) is False


# -- Growatt --------------------------------------------------------------------------


def test_growatt_is_answered_and_never_spoken_to_first() -> None:
    ear = Ear(Language.GROWATT)
    ear.teller.hear([QUESTION], ear.now)
    assert ear.run(LISTEN_FOR + 10) == []
    ear.teller.hear([QUESTION], ear.now)
    said = ear.run(1.0)
    assert [m.id for _, m in said] == [f.id for f in SCRIPTS[Language.GROWATT].frames]
    assert said[-1][0] - said[0][0] == pytest.approx(0.16, abs=0.021)
    # A question in the middle of an answer is that one.
    ear.teller.hear([QUESTION], ear.now)
    ear.run(0.06)
    ear.teller.hear([QUESTION], ear.now)
    assert len(ear.run(1.0)) < 9
    assert ear.run(5.0) == []


@pytest.mark.parametrize(("amperes", "state"), [(0.0, 1), (12.0, 2), (-12.0, 3)])
def test_growatt_hears_what_the_bank_does(amperes: float, state: int) -> None:
    ear = Ear(Language.GROWATT)
    ear.packs = [{"number": 1, "amperes": amperes}]
    ear.give()
    ear.run(LISTEN_FOR + 1)
    ear.teller.hear([QUESTION], ear.now)
    limits = next(m for _, m in ear.run(1.0) if m.id == 0x311)
    assert limits.data[7] & 0b11 == state


def test_growatt_hears_of_a_trip_with_its_next_question() -> None:
    ear = Ear(Language.GROWATT)
    ear.run(LISTEN_FOR + 1)
    for _ in range(70):
        ear.teller.hear([QUESTION], ear.now)
        ear.run(1.0)
    assert ear.limits == (55.2, 200.0, 300.0)
    ear.packs[0]["online"] = False
    ear.give()
    ear.teller.hear([QUESTION], ear.now)
    ear.run(1.0)
    assert ear.limits == (55.2, 0.0, 0.0)
    for _ in range(40):
        ear.teller.hear([QUESTION], ear.now)
        last = ear.run(1.0)
    assert last == []
    assert ear.phase() is Phase.SILENT


# -- the end --------------------------------------------------------------------------


def test_the_last_words_are_that_nothing_is_allowed() -> None:
    ear = Ear()
    ear.up()
    last = ear.teller.farewell(ear.now)
    assert [m.id for m in last] == [f.id for f in ear.teller.script.frames]
    assert limits_of(last[0].data) == (55.2, 0.0, 0.0)
    assert next(m.data[0] for m in last if m.id == 0x35C) == 0
    assert ear.run(10.0) == []
    assert ear.phase() is Phase.ENDED


def test_the_end_can_be_asked_for_by_another_thread() -> None:
    ear = Ear()
    ear.up()
    ear.teller.end()
    assert ear.teller.due(ear.now) == ear.now
    last = ear.run(5.0)
    times = [time for time, _ in last]
    assert len(last) == 8
    assert limits_of(last[0][1].data) == (55.2, 0.0, 0.0)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == pytest.approx([0.02] * 7, abs=0.001)
    assert ear.phase() is Phase.ENDED
    assert ear.run(5.0) == []


def test_what_is_left_of_the_last_words_is_said_when_the_bus_is_closed() -> None:
    ear = Ear()
    ear.up()
    ear.teller.end()
    said = ear.run(0.05)
    assert ear.phase() is Phase.ZERO
    rest = ear.teller.farewell(ear.now)
    assert [m.id for _, m in said] + [m.id for m in rest] == [
        frame.id for frame in ear.teller.script.frames
    ]
    # The rest waits for its turn, too.
    other = Ear()
    other.up()
    other.teller.end()
    assert len(other.teller.advance(other.now)) == 1
    assert other.teller.advance(other.now + 0.01) == []
    assert other.teller.due(other.now + 0.01) == pytest.approx(other.now + 0.02)


def test_who_has_said_nothing_says_no_farewell() -> None:
    assert Ear().teller.farewell(1000.0) == []


# -- when to look again ---------------------------------------------------------------


def test_the_thread_is_told_when_to_come_back() -> None:
    ear = Ear()
    assert ear.teller.due(ear.now) == ear.now + LISTEN_FOR
    ear.run(LISTEN_FOR + 0.5)
    ear.give()
    assert ear.teller.due(ear.now) == ear.now
    ear.teller.advance(ear.now)
    assert ear.now < ear.teller.due(ear.now) <= ear.now + 0.1001
    # What grows too old is noticed at once, also where nobody asks.
    growatt = Ear(Language.GROWATT)
    growatt.run(LISTEN_FOR + 0.5)
    due = growatt.teller.due(growatt.now)
    assert due == pytest.approx(growatt.heard + 10, abs=1e-3)


def test_a_thread_that_comes_late_sends_no_two_messages_at_once() -> None:
    ear = Ear()
    ear.run(LISTEN_FOR + 1)
    ear.now += 3.0
    assert len(ear.teller.advance(ear.now)) == 1
    assert ear.teller.due(ear.now) == pytest.approx(ear.now + 0.1)
    # A little late is made up for, but never faster than the quickest battery speaks.
    for late, pause in ((0.05, 0.05), (0.095, 0.02)):
        now = ear.teller.due(ear.now) + late
        assert len(ear.teller.advance(now)) == 1
        ear.now = now
        assert ear.teller.due(now) == pytest.approx(now + pause)
        ear.run(1.0)


# -- our own ear ----------------------------------------------------------------------


@pytest.mark.parametrize("language", Language)
def test_our_own_decoder_hears_what_is_said(language: Language) -> None:
    ear = Ear(language)
    ear.packs[0] |= {"warnings": ("alarm_battery_overtemperature",)}
    ear.packs[1] |= {
        "problems": ("alarm_wire_resistance",),
        "amperes": -20.0,
        "state_of_charge": 61.0,
    }
    listener = CanListener((BANK_ADDRESS,), interval=1.0)
    listener.connected(ear.now)
    for _ in range(700):
        if language is Language.GROWATT:
            ear.teller.hear([QUESTION], ear.now)
        for time, message in ear.run(0.2):
            listener.advance(time, [message])
        listener.advance(ear.now)
    last = {message.id: message.data for _, message in ear.said}
    theirs = {
        key: value
        for code in last.keys() & {0x351, 0x356, 0x311, 0x313}
        for key, value in DBC.get_message_by_frame_id(code)
        .decode_simple(last[code], decode_choices=False)
        .items()
    }
    for key, value in (
        ("charge_voltage_limit", 55.2),
        ("charge_current_limit", 200.0),
        ("discharge_current_limit", 300.0),
        ("total_voltage", 53.0),
        ("current", -10.0),
    ):
        assert theirs[key] == pytest.approx(value)
    state = listener.stations[BANK_ADDRESS].state
    values = state.values
    assert listener.dialect is SCRIPTS[language].dialect
    assert listener.malformed == listener.foreign == listener.implausible == 0
    assert values["charge_voltage_limit"] == 55.2
    assert values["charge_current_limit"] == 200.0
    assert values["discharge_current_limit"] == 300.0
    assert values["total_voltage"] == 53.0
    assert values["current"] == -10.0
    assert values["state_of_charge"] == 55
    assert values["state_of_health"] == 98
    if language not in (Language.SMA, Language.VICTRON):
        assert values["charge_enabled"] is True
        assert values["modules_total"] == 2
    if language in (Language.SMA, Language.VICTRON):
        assert values["fine_state_of_charge"] == 55.5
    if language not in (Language.PYLONTECH_1_2, Language.LUXPOWER, Language.SMA):
        assert values["max_cell_voltage"] == 3.32
        assert values["min_cell_voltage"] == 3.3
    if language in (Language.VICTRON, Language.DEYE, Language.PYLONTECH_1_3):
        assert values["max_temperature"] == 22
        assert values["min_temperature"] == 20
    if language is Language.VICTRON:
        assert values["modules_online"] == 2
        assert values["installed_capacity"] == 560
        assert values["min_cell_voltage_place"] == "00::04"
        assert values["max_temperature_place"] == "00::02"
    assert "fault" in str(values["errors"]).lower()
    assert values["warnings"] != "OK" or language is Language.GROWATT


def test_packs_that_tell_little_are_told_of_as_far_as_it_goes() -> None:
    bare = {
        "coldest": None,
        "warmest": Spot(20.0),
        "lowest_cell": Spot(3.3),
        "capacity": None,
        "remaining": None,
        "health": None,
        "charge_mos": None,
    }
    ear = Ear(Language.VICTRON)
    ear.packs = [{"number": 1, **bare}]
    deye = Ear(Language.DEYE)
    deye.packs = [{"number": 1, **bare, "warmest": None, "highest_cell": Spot(3.3)}]
    deye.run(LISTEN_FOR + 1)
    (extremes, *_) = (m.data for _, m in deye.said if m.id == 0x370)
    assert extremes == bytes.fromhex("00000000E40CE40C")
    ear.run(LISTEN_FOR + 1)
    said = {m.id: m.data for _, m in ear.said}
    assert said[0x374] == bytes(8)
    assert said[0x376] == bytes(8)
    assert said[0x379] == bytes(8)
    assert said[0x372] == bytes.fromhex("0100010000000000")
    assert sight(1).name == "Pack 1"


def test_an_extreme_is_told_with_the_number_of_its_cell_or_probe() -> None:
    ear = Ear(Language.DEYE)
    ear.packs = [
        {"number": 1, "highest_cell": Spot(3.31, 11), "warmest": Spot(24.0, "T3")},
        {"number": 2, "lowest_cell": Spot(3.31, 7), "coldest": Spot(21.0, "T4")},
    ]
    ear.run(LISTEN_FOR + 1)
    said = {message.id: message.data for _, message in ear.said}
    # Warmest probe, coldest probe, highest cell, lowest cell (can.md 2.2).
    assert said[0x371] == bytes.fromhex("0300010009000400")


def test_a_health_that_no_pack_tells_is_no_broken_battery() -> None:
    ear = Ear(Language.DEYE)
    ear.packs = [{"number": 1, "health": None}]
    ear.run(LISTEN_FOR + 1)
    assert next(m.data for _, m in ear.said if m.id == 0x355)[:4] == b"\x32\0\x64\0"
    ear.packs = [{"number": 1, "health": None}, {"number": 2, "health": 91.0}]
    ear.give()
    ear.run(1)
    assert next(m.data for _, m in reversed(ear.said) if m.id == 0x355)[2] == 91


@pytest.mark.parametrize(
    ("language", "uvp", "cutoff"),
    [
        (Language.SMA, 2.5, 410),
        (Language.SMA, 2.8, 448),
        (Language.VICTRON, 2.5, 400),
        (Language.DEYE, 2.801, 449),
    ],
)
def test_the_cut_off_is_that_of_the_packs_as_far_as_the_inverter_takes_it(
    language: Language, uvp: float, cutoff: int
) -> None:
    ear = Ear(language)
    ear.packs = [{"number": 1, "guard": replace(GUARD, cell_uvp=uvp)}]
    ear.run(LISTEN_FOR + 1)
    data = next(m.data for _, m in ear.said if m.id == 0x351)
    assert int.from_bytes(data[6:8], "little") == cutoff


def test_a_victron_hears_the_serial_number_of_the_first_pack_that_has_one() -> None:
    ear = Ear(Language.VICTRON)
    ear.packs = [{"number": 1}, {"number": 2, "serial_number": "2A0481234567"}]
    ear.run(LISTEN_FOR + 1)
    said = {m.id: m.data for _, m in ear.said}
    assert (said[0x380], said[0x381]) == (b"2A048123", b"4567\0\0\0\0")
    assert said[0x382] == b"JK-BMS\0\0"


def test_a_pack_whose_cells_are_not_told_is_not_told_of() -> None:
    ear = Ear(Language.VICTRON)
    ear.packs = [{"number": 1, "lowest_cell": None}]
    ear.run(LISTEN_FOR + 1)
    (cells, *_) = (m.data for _, m in ear.said if m.id == 0x373)
    assert cells[:2] == bytes(2)
    assert ear.limits[2] == 0.0
