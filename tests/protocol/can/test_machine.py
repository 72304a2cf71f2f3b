"""Packs on a bus: who appears, what is published and when, who goes."""

from itertools import pairwise
from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.alarms import WORD
from custom_components.jkbms.protocol.can import native
from custom_components.jkbms.protocol.can.dialect import Dialect
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, CanListener
from custom_components.jkbms.protocol.can.slot import Slot
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import FIELDS
from custom_components.jkbms.protocol.fields.can import BMS_VOLTAGE, DISCHARGE_TIME
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.station import (
    Appeared,
    Availability,
    Event,
    Updated,
)

from .bus import TICK, Bus, Cycle, Pack, msg


def came(event: Event) -> bool:
    return isinstance(event, Availability) and event.available


def went(event: Event) -> bool:
    return isinstance(event, Availability) and not event.available


def updates(events: list[Event]) -> list[Updated]:
    return [event for event in events if isinstance(event, Updated)]


def names(event: Event, key: str) -> bool:
    return isinstance(event, Updated) and key in event.update.changed


def running(pack: Pack | None = None, *, seconds: float = 6.0) -> tuple[Bus, Pack]:
    """Return a bus with a pack that is known and has spoken for a while."""
    one = pack or Pack()
    bus = Bus(one, addresses=(one.address,))
    bus.run(seconds)
    assert bus.listener.stations[one.address].available
    return bus, one


# -- appearing ------------------------------------------------------------------------


def test_a_pack_appears_updates_and_is_available_in_this_order() -> None:
    bus = Bus(Pack(address=2))
    assert bus.listener.stations == {}
    first = bus.run(6.0)
    kinds = [type(event) for event in first[:3]]
    assert kinds == [Appeared, Updated, Availability]
    assert {event.address for event in first} == {2}  # type: ignore[union-attr]  # none of these is a Written
    assert bus.listener.dialect is Dialect.NATIVE_V2
    assert bus.listener.stations[2].dialect is Dialect.NATIVE_V2


def test_a_pack_is_published_as_soon_as_it_is_complete() -> None:
    bus = Bus(Pack(), addresses=(0,))
    assert bus.until(came) <= 3.0
    bus = Bus(Pack(v1=True), addresses=(0,))
    assert 3.0 <= bus.until(came) <= 4.5


def test_the_values_are_those_of_rs485_where_they_mean_the_same() -> None:
    pack = Pack(amperes=-12.5, heating=2600, switches=0x2D)
    bus, _ = running(pack)
    values = bus.values()
    volts = sum(pack.cells) / 1000
    assert values["total_voltage"] == pytest.approx(volts)
    assert values[BMS_VOLTAGE.key] == 52.9
    assert values["current"] == -12.5
    assert values["power"] == pytest.approx(-12.5 * volts, abs=0.001)
    assert values["discharging_power"] == pytest.approx(12.5 * volts, abs=0.001)
    assert values["cell_voltage_16"] == 3.315
    assert (values["min_voltage_cell"], values["max_voltage_cell"]) == (1, 16)
    assert values["average_cell_voltage"] == 3.308
    assert values["delta_cell_voltage"] == 0.015
    assert values["state_of_charge"] == 81
    assert values["state_of_health"] == 100
    assert values["total_charging_cycle_capacity"] == 9841.1
    assert values["power_tube_temperature"] == 30
    assert values["temperature_sensor_5"] is None
    assert values["charging"] is True
    assert values["discharging"] is False
    assert values["balancing"] is True
    assert values["heating"] is True
    assert values["heating_current"] == 2.6
    assert values["errors"] == "OK"
    assert values["problem"] is False
    assert values["requested_charge_voltage"] == 57.6
    assert not any(value is None for key, value in values.items() if "cell" in key)


def test_version_1_turns_the_current_and_tells_cells_by_their_extremes() -> None:
    bus, _ = running(Pack(v1=True, amperes=-5.0))
    values = bus.values()
    assert values["current"] == -5.0
    assert values["power"] == pytest.approx(-5.0 * 52.9)
    assert values["total_voltage"] == 52.9
    assert (values["min_cell_voltage"], values["max_cell_voltage"]) == (3.3, 3.315)
    assert values["delta_cell_voltage"] == 0.015
    assert values[DISCHARGE_TIME.key] == 100
    assert values["average_cell_voltage"] is None
    assert bus.listener.dialect is Dialect.NATIVE_V1


def test_an_idle_pack_of_version_1_has_no_negative_zero() -> None:
    bus, _ = running(Pack(v1=True))
    assert str(bus.values()["current"]) == "0.0"


def test_no_current_is_published_before_its_sign_is_known() -> None:
    """Whatever comes first: a current of the wrong sign is never told."""
    pack = Pack(amperes=30.0)
    bus = Bus(pack, addresses=(0,))
    # The adapter has delivered the 11-bit messages alone so far.
    v1 = Pack(v1=True, amperes=-30.0)
    bus.senders = [v1]
    assert updates(bus.run(2.5)) == []
    bus.senders = [pack]
    bus.run(6.0)
    assert bus.values()["current"] == 30.0


def test_a_pack_taken_for_version_1_is_read_anew_when_it_says_more() -> None:
    pack = Pack(amperes=30.0)
    only_short = {code for code, _, _ in pack.contents() if code > 0x7FF}
    pack.mute = set(only_short)
    bus = Bus(pack, addresses=(0,))
    bus.run(6.0)
    dialects = [bus.listener.dialect]
    pack.mute = set()
    bus.run(6.0)
    dialects.append(bus.listener.dialect)
    assert dialects == [Dialect.NATIVE_V1, Dialect.NATIVE_V2]
    assert bus.values()["current"] == 30.0


@pytest.mark.parametrize("seconds", [6.0, 6.9])
def test_a_pack_read_anew_need_not_say_twice_what_proves_itself(seconds: float) -> None:
    pack = Pack()
    pack.mute = {code for code, _, _ in pack.contents() if code > 0x7FF}
    bus = Bus(pack, addresses=(0,), interval=1.0)
    bus.run(seconds)
    pack.mute = set()
    # Its cells come every 1.5 s, and make up the voltage that it tells.
    assert bus.until(lambda e: names(e, "cell_voltage_16")) <= 2.1


def test_one_extended_message_by_accident_makes_no_version_2() -> None:
    bus, _ = running(Pack(v1=True, amperes=-5.0))
    for _ in range(3):
        bus.hear(msg(0x18F528F4, "2300000000000000"))
        bus.run(2.0)
    assert bus.values()["current"] == -5.0
    assert bus.listener.dialect is Dialect.NATIVE_V1
    assert "charging" not in bus.values()


def test_packs_of_both_versions_share_a_bus() -> None:
    bus = Bus(Pack(amperes=3.0), Pack(address=3, v1=True, amperes=-5.0))
    bus.run(8.0)
    assert bus.values(0)["current"] == 3.0
    assert bus.values(3)["current"] == -5.0
    assert bus.listener.dialect is Dialect.NATIVE_V2


def test_a_pack_at_an_address_without_short_ids_tells_what_it_can() -> None:
    pack = Pack(address=13, mute={0x2F4, 0x4F4, 0x5F4, 0x7F4})
    bus = Bus(pack)
    bus.run(8.0)
    values = bus.values(13)
    assert values["total_voltage"] == 52.92
    assert values["power"] is None
    assert "current" not in values
    features = bus.listener.stations[13].features
    assert features is not None
    assert not {"current", "power", "state_of_charge"} & {*(features.keys or ())}
    # Its faults it can tell, levels it cannot.
    keys = {key for key in features.keys if "alarm_" in key}
    assert len(keys & {alarm.key for alarm in WORD[:18]}) == 18
    assert not any(key.startswith("alarm_level_") for key in keys)
    assert not keys & {"alarm_low_soc", "alarm_battery_overtemperature"}


def test_the_last_address_with_short_ids_tells_levels() -> None:
    bus = Bus(Pack(address=11))
    bus.run(8.0)
    features = bus.listener.stations[11].features
    assert features is not None
    assert any(key.startswith("alarm_level_") for key in features.keys)


def test_three_kinds_of_extended_messages_make_version_2() -> None:
    pack = Pack(amperes=30.0)
    kinds = {0x18E028F4, 0x18F228F4, 0x18F528F4}
    pack.mute = {code for code, _, _ in pack.contents() if code > 0x7FF} - kinds
    bus = Bus(pack, addresses=(0,))
    bus.run(6.0)
    assert bus.listener.stations[0].dialect is Dialect.NATIVE_V2


@pytest.mark.parametrize("kinds", [(0x18F528F4,), (0x18E028F4, 0x18F528F4)])
def test_one_or_two_kinds_of_extended_messages_make_neither_version(
    kinds: tuple[int, ...],
) -> None:
    """Which sign its current has cannot be told: it is not published."""
    pack = Pack(amperes=30.0)
    pack.mute = {code for code, _, _ in pack.contents() if code > 0x7FF} - {*kinds}
    bus = Bus(pack, addresses=(0,))
    assert updates(bus.run(12.0)) == []
    assert bus.listener.stations[0].dialect is None


@pytest.mark.parametrize("count", [4, 7, 8, 13, 16, 24, 25])
def test_any_number_of_cells(count: int) -> None:
    bus, pack = running(Pack(cells=[3300 + n for n in range(count)]))
    station = bus.listener.stations[0]
    assert station.cells == count
    assert station.state.cell_numbers == tuple(range(1, count + 1))
    assert bus.values()["total_voltage"] == pytest.approx(sum(pack.cells) / 1000)
    assert bus.values()["max_voltage_cell"] == count


# -- what is not believed -------------------------------------------------------------


def test_a_cell_that_is_missed_is_unknown_and_the_pack_stays() -> None:
    bus, pack = running()
    pack.volts = 529
    pack.cells[4] = 0
    bus.run(8.0)
    values = bus.values()
    assert values["cell_voltage_5"] is None
    assert values["total_voltage"] == 52.9
    assert values["min_cell_voltage"] == 3.3
    assert bus.listener.stations[0].available
    assert bus.listener.stations[0].cells == 16


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"soc": 150}, Implausible.STATE_OF_CHARGE),
        ({"health": 101}, Implausible.STATE_OF_CHARGE),
        ({"volts": 400}, Implausible.PACK_VOLTAGE),
        ({"amperes": 2500.0}, Implausible.CURRENT),
        ({"cells": [6000] * 16}, Implausible.CELL_VOLTAGE),
        ({"cells": [0] * 16, "volts": 528}, Implausible.CELL_VOLTAGE),
        ({"temperatures": (22, 23, 160, 24, 24)}, Implausible.TEMPERATURE),
        ({"temperatures": (160, 23, 30, 24, 24)}, Implausible.TEMPERATURE),
    ],
)
def test_what_cannot_be_true_as_a_whole_makes_no_pack(
    change: dict[str, Any], reason: Implausible
) -> None:
    bus = Bus(Pack(**change), addresses=(0,))
    assert updates(bus.run(8.0)) == []
    assert bus.listener.stations[0].state.rejected == {reason: 1}
    assert bus.listener.implausible == 1
    assert bus.values() == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"soc": 150}, Implausible.STATE_OF_CHARGE),
        ({"amperes": -2500.0}, Implausible.CURRENT),
        ({"cells": [6000] * 16}, Implausible.CELL_VOLTAGE),
        ({"cells": [0] * 16, "volts": 528}, Implausible.CELL_VOLTAGE),
        ({"volts": 2000}, Implausible.PACK_VOLTAGE),
        ({"cells": [3300, 3301], "volts": 83}, Implausible.PACK_VOLTAGE),
        ({"cells": [3300] * 40, "volts": 1320}, Implausible.PACK_VOLTAGE),
        ({"cells": [3400] + [3300] * 39 + [3299]}, Implausible.CELL_VOLTAGE),
        ({"temperatures": (160,)}, Implausible.TEMPERATURE),
    ],
)
def test_version_1_is_judged_without_cells(
    change: dict[str, Any], reason: Implausible
) -> None:
    bus = Bus(Pack(v1=True, **change), addresses=(0,))
    assert updates(bus.run(8.0)) == []
    assert bus.listener.stations[0].state.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("cells", "believed"),
    [
        ([3300] * 16, True),
        ([5000] * 16, True),
        ([5001] + [5000] * 15, False),
    ],
)
def test_cells_of_version_1_are_believed_up_to_5_volts(
    cells: list[int], believed: bool
) -> None:
    bus = Bus(Pack(v1=True, cells=cells), addresses=(0,))
    bus.run(6.0)
    assert bus.listener.stations[0].available is believed


@pytest.mark.parametrize(
    ("amperes", "believed"), [(-2000.0, True), (-2000.1, False), (400.0, True)]
)
def test_a_current_of_version_1_is_believed_up_to_2000_amperes(
    amperes: float, believed: bool
) -> None:
    bus = Bus(Pack(v1=True, amperes=amperes), addresses=(0,))
    bus.run(6.0)
    assert bus.listener.stations[0].available is believed


@pytest.mark.parametrize(("count", "believed"), [(32, True), (33, False)])
def test_version_1_may_have_32_cells(count: int, believed: bool) -> None:
    cells = [3300 + n for n in range(count)]
    bus = Bus(Pack(v1=True, cells=cells, volts=1056), addresses=(0,))
    bus.run(6.0)
    assert bus.listener.stations[0].available is believed


def test_a_cell_of_version_1_may_have_no_voltage_left() -> None:
    bus = Bus(Pack(v1=True, mute={0x4F4}, volts=495), addresses=(0,))
    bus.senders.append(Cycle([msg(0x4F4, "E40C010000100000")]))
    bus.run(6.0)
    assert bus.values()["min_cell_voltage"] == 0.0
    assert bus.values()["delta_cell_voltage"] == 3.3


def test_extremes_of_temperature_are_in_their_order() -> None:
    bus = Bus(Pack(v1=True, mute={0x5F4}), addresses=(0,))
    wrong = Cycle([msg(0x5F4, "4801490047000000")], every=20)
    bus.senders.append(wrong)
    bus.run(8.0)
    assert bus.values() == {}
    assert bus.listener.stations[0].state.rejected == {Implausible.TEMPERATURE: 1}


def test_a_jump_has_to_be_said_twice() -> None:
    bus, pack = running()
    once = bytes.fromhex("1102b20f40000000")
    bus.hear(msg(0x2F4, once))
    bus.run(4.0)
    assert bus.values()["state_of_charge"] == 81
    pack.soc = 40
    bus.run(3.0)
    assert bus.values()["state_of_charge"] == 40


def test_an_alarm_that_is_said_once_is_none() -> None:
    bus, _ = running()
    bus.hear(msg(0x7F4, "0100000000000000"))
    bus.hear(msg(0x18F328F4, "1000000000000000"))
    for _ in range(20):
        bus.run(0.5)
        assert bus.values()["problem"] is False


def test_a_value_that_always_jumps_is_believed_at_last() -> None:
    """A message that jumps each time is how this BMS is."""
    bus, pack = running()
    random = Random(1)
    seen = set()
    for _ in range(400):
        pack.temperatures = tuple(random.choice((20, 40, 60)) for _ in range(5))
        bus.run(TICK * 2)
        seen.add(bus.values()["temperature_sensor_1"])
    assert len(seen) > 1
    assert bus.listener.stations[0].available


def test_the_tenth_jump_in_a_row_is_believed() -> None:
    slot = Slot(native.STATUS, None, extended=False)
    shown = []
    for n, soc in enumerate((81, 81, 20, 60, 10, 70, 30, 95, 50, 15, 65, 35)):
        slot.take(bytes((0x11, 0x02, 0xB2, 0x0F, soc, 0, 0, 0)), n / 10)
        slot.settle(v1=False, cautious=True)
        shown.append(slot.said and slot.said.values["state_of_charge"])
    assert shown == [None, *[81] * 10, 35]


def test_a_counter_that_fell_is_believed_when_it_stays() -> None:
    bus, pack = running()
    pack.runtime = 10
    assert bus.run(0.5) is not None
    rejected = bus.listener.stations[0].state.rejected
    while not rejected:
        bus.run(TICK)
    # It is looked at each quarter of a second, and the third time it is believed.
    assert bus.until(lambda e: names(e, "total_runtime")) == pytest.approx(0.5)
    assert bus.values()["total_runtime"] < 100
    assert rejected == {Implausible.COUNTER_FELL: 1}


def test_messages_of_the_wrong_length_are_counted_and_dropped() -> None:
    bus, _ = running()
    before = bus.values()
    for data in ("", "1302b20f", "1302b20f51000000FF"):
        bus.hear(msg(0x2F4, data))
        bus.hear(msg(0x2F5, data))
    assert bus.listener.malformed == 6
    bus.run(4.0)
    assert {**bus.values(), "total_runtime": 0} == {**before, "total_runtime": 0}
    assert list(bus.listener.stations) == [0]


def test_foreign_messages_are_counted_and_those_of_inverters_apart() -> None:
    bus, _ = running()
    bus.hear(msg(0x123, "00"), msg(0x2F4, "00", extended=True), msg(0x1CFF00F9, "00"))
    bus.hear(msg(0x305, bytes(8)), msg(0x305, bytes(8), extended=True))
    assert bus.listener.foreign == 4
    assert bus.listener.of_inverter == 1


def test_a_bus_of_random_messages_is_no_pack_and_moves_none() -> None:
    """The ids are our own, the bytes are anybody's."""
    random = Random(7)
    bus = Bus(addresses=(0,))
    ids = [code + address for code, _, _ in Pack().contents() for address in range(12)]
    ids += [0x351, 0x355, 0x356, 0x359, 0x35A, 0x35C, 0x311, 0x313, 0x370, 0x373]
    for _ in range(4000):
        bus.hear(*(msg(random.choice(ids), random.randbytes(8)) for _ in range(20)))
        bus.step += 1
    assert bus.events == []
    assert list(bus.listener.stations) == [0]
    assert bus.listener.dialect is None


def test_a_pack_keeps_its_values_among_random_hits() -> None:
    random = Random(3)
    pack = Pack(amperes=7.0)
    bus = Bus(pack, addresses=(0,))
    ids = [code for code, _, _ in pack.contents()] + [0x7F4, 0x18F328F4, 0x18E628F4]
    for _ in range(1200):
        bus.run(TICK)
        if random.random() < 0.2:
            bus.hear(msg(random.choice(ids), random.randbytes(8)))
        values = bus.values() if bus.listener.stations[0].state.seen else {}
        if values:
            assert values["state_of_charge"] == 81
            assert values["errors"] == "OK"
            assert values["requested_charge_voltage"] == 57.6
            assert values["charging_cycles"] == 35
            assert values["total_runtime"] - pack.runtime in range(-20, 1)
    assert bus.listener.stations[0].available
    assert not bus.listener.clashing


# -- two packs at one address ---------------------------------------------------------


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("known", [(0,), ()])
def test_two_packs_at_one_address_are_told_and_never_mixed(
    known: tuple[int, ...], v1: bool
) -> None:
    one = Pack(v1=v1)
    other = Pack(v1=v1, soc=40, runtime=123_456, remaining=1120, cycles=12)
    bus = Bus(one, other, addresses=known)
    bus.run(20.0)
    assert bus.listener.clashing == (0,)
    assert bus.events == []


def test_a_second_pack_at_the_address_of_one_ends_its_values() -> None:
    bus, pack = running()
    bus.senders.append(Pack(runtime=123_456, cycles=12, throughput=100))
    told = [e.update.changed for e in updates(bus.run(8.0))]
    assert bus.listener.stations[0].clashing
    assert not any("charging_cycles" in changed for changed in told)
    assert bus.until(went, 40.0) <= 30.0
    assert bus.values()["charging_cycles"] == pack.cycles
    bus.senders.pop()
    assert bus.until(came, 40.0) <= 10.0
    bus.run(12.0)
    assert not bus.listener.stations[0].clashing


# -- publishing -----------------------------------------------------------------------


@pytest.mark.parametrize("interval", [1.0, 2.0, 10.0])
def test_updates_come_no_more_often_than_asked(interval: float) -> None:
    random = Random(5)
    packs = [Pack(address=n) for n in range(3)]
    bus = Bus(*packs, addresses=range(3), interval=interval)
    for _ in range(round(60 / TICK)):
        for pack in packs:
            pack.amperes = random.randrange(1000) / 10
        bus.run(TICK)
    for address in range(3):
        times = [
            time
            for time, event in bus.events
            if isinstance(event, Updated) and event.address == address
        ]
        assert len(times) >= 60 / interval * 0.8
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps[1:]) >= interval - 0.01


def test_an_update_names_only_what_has_changed() -> None:
    bus, pack = running()
    pack.still = True
    bus.run(4.0)
    pack.amperes = 1.0
    events = updates(bus.run(4.0))
    assert [e.update.block for e in events] == [Block.LIVE]
    assert events[0].update.changed == {"current", "power", "charging_power"}


def test_what_was_told_is_counted() -> None:
    bus, _ = running()
    # The run time goes on: there is something new to tell each time.
    assert len(updates([event for _, event in bus.events])) >= 2
    bus.run(20.0)
    told = len(updates([event for _, event in bus.events]))
    assert bus.listener.stations[0].counts.ok == told


def test_nothing_new_is_no_update() -> None:
    bus, pack = running()
    pack.still = True
    bus.run(4.0)
    assert bus.run(4.0) == []


def test_the_machine_sleeps_while_nobody_speaks() -> None:
    listener = CanListener((0, BANK_ADDRESS))
    listener.connected(0.0)
    assert listener.advance(5.0).wake == float("inf")
    assert listener.asking is False


# -- alarms ---------------------------------------------------------------------------


def test_faults_and_levels_are_alarms_and_end_when_they_are_not_repeated() -> None:
    bus, pack = running()
    pack.faults = 1 << 4 | 1 << 17
    pack.alarms = 1 | 3 << 20
    bus.run(4.0)
    values = bus.values()
    assert values["alarm_bitmask"] == 1 << 4 | 1 << 17
    assert values["problem"] is True
    assert values["errors"] == (
        "Cell over-voltage protection, Discharge MOS fault, State of charge too low"
    )
    assert values["alarm_level_cell_overvoltage"] == "serious"
    assert values["alarm_level_low_soc"] == "general"
    pack.faults = pack.alarms = 0
    ended = bus.until(lambda e: names(e, "errors"), 10.0)
    assert ended <= 6.0
    values = bus.values()
    assert (values["errors"], values["problem"]) == ("OK", False)
    assert values["alarm_level_cell_overvoltage"] == "none"


# -- features -------------------------------------------------------------------------


def test_features_are_known_after_a_whole_cycle() -> None:
    bus = Bus(Pack(switches=0x2B), addresses=(0,), interval=60.0)
    bus.until(came)
    early = bus.listener.stations[0].features
    assert early is None
    bus.run(4.0)
    features = bus.listener.stations[0].features
    assert features is not None
    assert features.cells == tuple(range(1, 17))
    assert features.probes == (
        "temperature_sensor_1",
        "temperature_sensor_2",
        "temperature_sensor_4",
    )
    assert features.heater
    assert features.keys is not None
    told = {datum.key for datum in FIELDS if features.has(datum)}
    assert {"total_voltage", "current", "charging", "cell_voltage_16"} <= told
    assert not {"cell_resistance_1", "bms_clock", "balancing_current"} & told
    assert {"errors", "problem", "power", "acc_on"} <= {*features.keys}
    assert not {"notice", "wire_alarm_cells", "balancing_direction"} & {*features.keys}
    assert bus.listener.stations[0].needs == {Block.LIVE}


def test_a_heater_is_told_by_its_current() -> None:
    bus, _ = running(Pack(heating=1))
    features = bus.listener.stations[0].features
    assert features is not None
    assert features.heater
