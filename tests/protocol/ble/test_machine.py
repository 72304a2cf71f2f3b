"""The conversation with one pack: what is asked, taken over, asked again, given up."""

from itertools import pairwise
from typing import Any

import pytest

from custom_components.jkbms.protocol.ble.machine import BleMaster
from custom_components.jkbms.protocol.ble.station import ADDRESS
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BALANCER, BY_KEY, CELL_VOLTAGES
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.station import (
    Appeared,
    Availability,
    Counts,
    Updated,
)
from simulator import Block as SimBlock, trios
from simulator.ble import Generation, Glue
from tests.captures import ble_streams

from .rig import link_to, settled

READY = bytes.fromhex("AA5590EBC8010100000000000000000000000044")
GENERATIONS = list(Generation)
LAYOUT_OF = {
    Generation.CELLS_32: Layout.JK02_32S,
    Generation.CELLS_24: Layout.JK02_24S,
    Generation.FLOATS: Layout.JK04,
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("mtu", [23, 131, 247, 517])
@pytest.mark.parametrize("glue", Glue)
@pytest.mark.parametrize("idle", [False, True])
def test_every_module_and_every_board_is_understood(
    generation: Generation, mtu: int, glue: Glue, idle: bool
) -> None:
    link = link_to(generation, mtu=mtu, glue=glue, idle=idle, joined=True, repeats=True)
    settled(link)
    assert link.station.layout is LAYOUT_OF[generation]
    assert link.availability() == [True]
    assert link.orders() == [0x97, 0x96]
    assert link.master.framer.discarded == 0
    assert not link.station.state.rejected
    pack = link.gatt.pack
    assert link.values["serial_number"] == pack.serial
    for number in range(1, pack.cell_count + 1):
        told = link.values[CELL_VOLTAGES[number - 1].key]
        assert told == pytest.approx(pack.number_of(f"cell_voltage_{number}") / 1000)
    assert link.values["balancer"] is bool(pack.number_of("balancer_switch"))


@pytest.mark.parametrize("kind", range(len(trios())))
def test_the_packs_of_the_captures_say_the_same_as_on_rs485(kind: int) -> None:
    link = settled(link_to(kind=kind))
    pack = link.gatt.pack
    assert link.values["current"] == pack.number_of("current") / 1000
    assert link.values["state_of_charge"] == pack.number_of("soc")
    assert link.values["cell_ovp"] == pack.number_of("cell_ovp") / 1000
    assert link.station.state.told is None


def test_device_information_comes_first_and_the_next_order_waits_until_it_is_ready() -> (
    None
):
    link = link_to(glue=Glue.APART)
    link.run(3.0)
    (first, device, _), (second, settings, _) = link.gatt.orders
    assert (device, settings) == (0x97, 0x96)
    assert second - first == pytest.approx(0.12, abs=0.01)


def test_a_pack_that_never_says_to_be_ready_is_asked_on() -> None:
    link = link_to(glue=Glue.APART, lose={2, 5})
    link.run(5.0)
    (first, _, _), (second, _, _) = link.gatt.orders[:2]
    assert second - first == pytest.approx(0.63, abs=0.05)
    assert link.availability() == [True]


def test_the_next_order_leaves_with_the_frame_if_the_pack_was_ready_before() -> None:
    link = link_to()
    sent = link.master.advance(100.0).send
    assert sent[4] == 0x97
    assert not link.master.advance(100.1, READY).send
    device = link.gatt.pack.frame(SimBlock.DEVICE)
    assert link.master.advance(100.2, device).send[4] == 0x96


def test_live_values_are_taken_over_as_often_as_wanted() -> None:
    link = settled(link_to(still=False, interval=2.0))
    since = link.now
    link.run(60)
    times = link.updates("live", since)
    gaps = [b - a for a, b in pairwise(times)]
    # The order for the settings sets the beat of the stream anew.
    assert gaps == [pytest.approx(2.0, abs=0.2)] * len(gaps)
    assert link.station.cycle == pytest.approx(2.0)


def test_the_cycle_is_that_of_the_pack_where_it_is_slower() -> None:
    link = settled(link_to(still=False, interval=0.1))
    link.run(20)
    assert link.station.cycle == pytest.approx(0.5, abs=0.1)
    link.close()
    link.run(60.0)
    link.open()
    since = link.now
    link.run(1.0)
    assert len(link.updates("live", since)) == 1
    # It was away: that was no cycle.
    assert link.station.cycle == pytest.approx(0.5, abs=0.1)


def test_what_is_asked_for_in_between_makes_nobody_away() -> None:
    link = settled(link_to(still=False, interval=60.0))
    link.run(70)
    link.master.ask_now()
    link.run(1.0)
    since = link.now
    link.run(300)
    assert link.station.cycle >= 60
    assert link.availability(since) == []


def test_the_next_live_values_are_taken_over_on_request() -> None:
    link = settled(link_to(still=False, interval=30.0))
    since = link.now
    link.master.ask_now()
    link.run(1.0)
    assert len(link.updates("live", since)) == 1


def test_settings_are_read_each_minute_and_who_it_is_each_hour() -> None:
    link = settled(link_to())
    link.run(3600)
    # The next is counted from the answer.
    settings, device = (
        [b - a for a, b in pairwise(t for t, r, _ in link.gatt.orders if r == register)]
        for register in (0x96, 0x97)
    )
    assert settings == [pytest.approx(60.2, abs=0.2)] * 59
    assert device == [pytest.approx(3600.2, abs=0.2)]


def test_frames_are_counted_by_what_became_of_them() -> None:
    link = settled(link_to(interval=0.0))
    link.run(10.0)
    station, pack = link.station, link.gatt.pack
    times = [time for time, _ in link.of_type(Updated)]
    assert station.counts == Counts(ok=len(times))
    assert station.heard == times[-1]
    whole = pack.number_of("soc")
    pack.set("soc", 101)
    link.master.advance(link.now, pack.frame(SimBlock.LIVE))
    assert station.counts == Counts(ok=len(times), implausible=1)
    assert station.heard == times[-1]
    # What is held back until it is said again is none of both.
    pack.set("soc", whole - 20)
    link.master.advance(link.now, pack.frame(SimBlock.LIVE))
    assert station.counts == Counts(ok=len(times), implausible=1)


def test_each_order_without_an_answer_doubles_the_wait_for_the_next() -> None:
    link = link_to()
    link.gatt.mute = True
    link.run(40.0)
    # Each is waited for 3 s; then its block rests for 2, 4, 8, 16 s.
    assert [(time, register) for time, register, _ in link.gatt.orders] == [
        (100.0, 0x97),
        (103.0, 0x96),
        (106.0, 0x97),
        (110.0, 0x96),
        (117.0, 0x97),
        (129.0, 0x96),
    ]
    assert link.station.misses == 6
    assert link.station.back_off == 30.0


def test_settings_that_nobody_can_believe_are_asked_for_ever_less() -> None:
    link = settled(link_to())
    right = link.gatt.pack.number_of("cell_ovp")
    link.gatt.pack.set("cell_ovp", 9000)
    link.run(60.0)
    since = link.now
    link.run(300.0)
    assert len(link.orders(since)) <= 16
    assert link.station.available
    assert link.availability(since) == []
    link.gatt.pack.set("cell_ovp", right)
    link.run(31.0)
    assert link.station.misses == 0
    assert link.updates("settings", link.now - 31.0)


def test_the_repeated_device_information_answers_nothing() -> None:
    link = settled(link_to(repeats=True))
    pack = link.gatt.pack
    link.gatt.mute = True
    link.master.ask_for((Block.DEVICE,), link.now)
    link.run(0.01)
    frame = bytearray(pack.frame(SimBlock.DEVICE))
    frame[5] = 0xA5
    frame[-1] = sum(frame[:-1]) % 256
    before = link.station.counts.timeouts
    link.master.advance(link.now, bytes(frame))
    link.gatt.mute = False
    link.run(3.0)
    assert link.station.counts.timeouts == before + 1


def test_what_changes_much_is_said_twice() -> None:
    link = settled(link_to())
    since = link.now
    link.gatt.pack.set("soc", link.gatt.pack.number_of("soc") - 20)
    link.run(4.0)
    assert link.values["state_of_charge"] == link.gatt.pack.number_of("soc")
    # The next frame of the stream says it again: no need to wait for the interval.
    first = link.updates("live", since)[0]
    assert first - since < 3.1


def test_silence_is_asked_into_and_then_the_connection_is_given_up() -> None:
    link = settled(link_to(idle=True))
    since, framed = link.now, link.master.framed
    assert framed is not None
    link.gatt.mute = True
    link.run(44.0)
    assert link.availability(since) == [False]
    asked = [t for t, register, _ in link.gatt.orders if t >= since]
    gaps = [b - a for a, b in pairwise(asked)]
    assert len(asked) >= 3
    assert gaps == sorted(gaps), "each time it waits longer"
    assert not link.anew
    link.run(2.0)
    # The text of the module proves nothing.
    assert link.anew == [pytest.approx(framed + 45)]
    link.gatt.mute = False
    link.run(10.0)
    assert link.availability(since) == [False, True]


def test_a_stream_that_stops_is_started_anew() -> None:
    link = settled(link_to())
    since, framed = link.now, link.master.framed
    assert framed is not None
    link.gatt.stop()
    link.run(7.0)
    ((asked, register, _),) = [o for o in link.gatt.orders if o[0] >= since]
    assert register == 0x96
    assert asked == pytest.approx(framed + 5)
    assert link.updates("live", since)
    assert link.availability(since) == []


def test_a_machine_costs_nothing_while_nothing_is_due() -> None:
    link = settled(link_to())
    turns = link.turns
    link.run(60.0)
    # Two notifications for each of two frames a second, and little besides.
    assert link.turns - turns < 60 * 8


def test_a_connection_that_ends_leaves_nothing_under_way() -> None:
    link = settled(link_to())
    link.close()
    step = link.master.advance(link.now)
    assert step.send == b""
    assert step.wake == pytest.approx(link.station.gone_at())
    assert not link.master.asking
    link.run(40.0)
    assert link.availability()[-1] is False
    assert link.master.advance(link.now).wake == float("inf")
    link.open()
    link.run(5.0)
    assert link.availability()[-1] is True


def test_a_pack_that_nobody_knows_appears_once() -> None:
    link = link_to(known=False)
    link.run_until(lambda e: isinstance(e, Appeared), 5.0)
    assert link.station.features is not None
    link.run(30.0)
    # It is stored with every pack that was added over Bluetooth.
    assert [e for _, e in link.of_type(Appeared)] == [Appeared(0)]
    assert settled(link_to()).of_type(Appeared) == []


def test_lost_notifications_show_no_wrong_value() -> None:
    link = link_to(still=False, lose=range(7, 4000, 13))
    link.run(600.0)
    pack = link.gatt.pack
    assert link.master.framer.discarded > 1000
    assert len(link.updates("live")) > 100
    assert link.values["serial_number"] == pack.serial
    assert link.availability() == [True]


def test_older_boards_tell_fewer_values_and_say_which() -> None:
    older = settled(link_to(Generation.CELLS_24)).station.features
    oldest = settled(link_to(Generation.FLOATS)).station.features
    assert older is not None
    assert oldest is not None

    def has(features: Any, key: str) -> bool:
        return bool(features.has(BY_KEY[key]))

    for key in ("current", "state_of_charge", "cell_ovp", "balancer", "total_voltage"):
        assert has(older, key), key
    for key in ("charge_status", "bms_clock", "temperature_sensor_4", "heater"):
        assert not has(older, key), key
    for key in ("cell_voltage_1", "total_voltage", "balancer", "serial_number"):
        assert has(oldest, key), key
    for key in ("current", "state_of_charge", "charging_switch", "cell_ovp"):
        assert not has(oldest, key), key
    assert older.layout is Layout.JK02_24S
    assert oldest.layout is Layout.JK04
    assert older.merged(oldest).layout is Layout.JK04


def test_the_oldest_board_stays_what_it_is_whatever_a_frame_looks_like() -> None:
    link = settled(link_to(Generation.FLOATS))
    pack = link.gatt.pack
    before = dict(link.values)
    # While cells are counted anew the mask does not fit its voltages.
    pack.set("cell_presence", 0x7FFF)
    pack.set("cell_voltage_16", 0)
    link.gatt.generation = Generation.CELLS_32
    link.run(10.0)
    assert link.station.layout is Layout.JK04
    assert link.values["total_voltage"] == before["total_voltage"]
    assert link.station.state.rejected[Implausible.LAYOUT] > 0


def test_the_recorded_stream_is_followed() -> None:
    stream = next(c for c in ble_streams() if c.chunks)
    master = BleMaster([ADDRESS], 0.0, interval=0.0)
    master.connected(0.0)
    events: list[Any] = []
    for number, packet in enumerate(stream.notifications):
        events += master.advance(0.05 * number, packet).events
    assert Availability(ADDRESS, True) in events
    station = master.stations[ADDRESS]
    assert station.layout is Layout.JK02_32S
    assert station.state.get(BALANCER) is not None
    assert station.state.values["cell_voltage_1"] == pytest.approx(1.479, abs=0.003)
    assert not master.framer.noisy


def test_a_machine_has_nothing_to_say_before_it_is_connected() -> None:
    master = BleMaster([ADDRESS], 0.0)
    step = master.advance(0.0)
    assert (step.send, step.wake, step.events) == (b"", float("inf"), ())


def test_logs_and_orders_of_others_are_no_answers() -> None:
    link = settled(link_to())
    log = bytearray(link.gatt.pack.frame(SimBlock.DEVICE))
    log[4] = 5
    log[-1] = sum(log[:-1]) % 256
    before = dict(link.values)
    link.master.advance(link.now, bytes(log))
    link.master.advance(link.now, READY)
    link.master.advance(
        link.now, bytes.fromhex("AA5590EB9700000000000000000000000000" + "0011")
    )
    assert link.values == before


def test_the_rest_of_a_frame_that_does_not_come_is_given_up() -> None:
    link = settled(link_to())
    link.gatt.mute = True
    live = link.gatt.pack.frame(SimBlock.LIVE)
    link.master.advance(link.now, live[:200])
    lost = link.master.framer.discarded
    link.run(3.0)
    assert link.master.framer.discarded == lost + 200
