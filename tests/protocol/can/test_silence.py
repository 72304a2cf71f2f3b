"""What stops and who falls silent: a message, a pack, the bus, the link."""

import pytest

from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.fields import MOS_TEMPERATURE
from custom_components.jkbms.protocol.station import Appeared, Availability, Updated

from .bus import TICK, Bus, Pack, msg
from .test_machine import came, running, updates, went


def test_a_message_that_stops_makes_its_values_unknown_while_others_go_on() -> None:
    bus, pack = running()
    pack.mute = {0x18F228F4, 0x2F4}
    bus.run(12.0)
    values = bus.values()
    assert values[MOS_TEMPERATURE.key] is None
    assert values["current"] is values["power"] is values["state_of_charge"] is None
    assert values["total_voltage"] == 52.92
    assert bus.listener.stations[0].available
    pack.mute = set()
    bus.run(6.0)
    assert bus.values()[MOS_TEMPERATURE.key] == 30
    assert bus.values()["current"] == 0.0


@pytest.mark.parametrize(
    ("code", "key", "seconds"),
    [
        (0x18E028F4, "cell_voltage_1", 7.5),
        (0x18F228F4, MOS_TEMPERATURE.key, 5.0),
        (0x18F528F4, "charging", 3.0),
        (0x2F4, "current", 3.0),
    ],
)
def test_a_message_has_stopped_after_five_periods_and_not_before_three_seconds(
    code: int, key: str, seconds: float
) -> None:
    pack = Pack()
    bus = Bus(pack, addresses=(0,), interval=0.1)
    bus.run(6.0)
    slot = bus.listener.stations[0].slots[code]
    while slot.heard != bus.now:
        bus.run(TICK)
    pack.mute = {code}
    bus.run(seconds - TICK)
    assert bus.values()[key] is not None
    # Seen with the next message of another kind.
    bus.run(0.2)
    assert bus.values()[key] is None


def test_cells_that_stop_leave_the_voltage_in_tenths() -> None:
    bus, pack = running()
    pack.mute = {
        code for code, _, _ in pack.contents() if 0x18E0 <= code >> 16 < 0x18F0
    }
    bus.run(16.0)
    values = bus.values()
    assert values["total_voltage"] == 52.9
    assert values["cell_voltage_1"] is None
    assert values["average_cell_voltage"] is None
    assert (values["min_cell_voltage"], values["max_cell_voltage"]) == (3.3, 3.315)


def test_a_short_message_that_stops_in_version_1_is_unknown() -> None:
    bus, pack = running(Pack(v1=True))
    pack.mute = {0x4F4, 0x2F4}
    bus.run(16.0)
    values = bus.values()
    assert values["total_voltage"] is values["min_cell_voltage"] is None
    assert values["max_temperature"] == 30
    pack.mute = {0x2F4}
    bus.run(6.0)
    assert bus.values()["min_cell_voltage"] == 3.3


def test_a_silent_pack_goes_after_30_seconds_and_the_others_stay() -> None:
    pack, other = Pack(), Pack(address=1)
    bus = Bus(pack, other, addresses=(0, 1))
    bus.run(6.0)
    bus.senders.remove(pack)
    assert 28.0 <= bus.until(went, 40.0) <= 30.1
    assert not bus.listener.stations[0].available
    assert bus.listener.stations[1].available
    assert bus.values()["total_voltage"] == 52.92
    bus.senders.append(pack)
    pack.soc = 60
    assert bus.until(came) <= 4.0
    assert bus.values()["state_of_charge"] == 60


def test_a_whole_bus_that_falls_silent_ends_in_sleep() -> None:
    bus, _ = running()
    bus.senders.clear()
    events = bus.run(40.0)
    assert [e for e in events if not isinstance(e, Updated)] == [Availability(0, False)]
    assert bus.listener.advance(bus.now).wake == float("inf")


def test_who_spoke_a_little_and_is_no_pack_is_forgotten() -> None:
    bus = Bus()
    bus.hear(msg(0x2F4, "1302b20f51000000"))
    assert bus.listener.advance(bus.now).wake < float("inf")
    bus.run(40.0)
    assert bus.events == []
    assert bus.listener.advance(bus.now).wake == float("inf")


@pytest.mark.parametrize(("seconds", "forgotten"), [(29.9, False), (30.0, True)])
def test_who_spoke_a_little_is_forgotten_after_30_seconds(
    seconds: float, forgotten: bool
) -> None:
    listener = CanListener(())
    listener.advance(0.0, [msg(0x2F4, "1302b20f51000000")])
    assert (listener.advance(seconds).wake == float("inf")) is forgotten


def test_a_short_silence_makes_nothing_unknown() -> None:
    bus, pack = running()
    sender = bus.senders.pop()
    bus.run(12.0)
    bus.senders.append(sender)
    pack.amperes = 4.0
    changed = [e.update.changed for e in updates(bus.run(8.0))]
    assert changed[0] == {"current", "power", "charging_power", "total_runtime"}
    assert None not in (bus.values()["cell_voltage_1"], bus.values()["max_temperature"])


@pytest.mark.parametrize("seconds", [1.0, 2.0, 4.0, 6.0, 12.0])
def test_after_a_pause_nothing_is_told_before_everything_was_said_again(
    seconds: float,
) -> None:
    for phase in (0, 5, 10, 18):
        bus, pack = running()
        bus.run(phase * TICK)
        bus.senders.clear()
        bus.run(seconds)
        bus.senders.append(pack)
        told = [e.update.changed for e in updates(bus.run(6.0))]
        assert set().union(*told) == {"total_runtime"}


def test_a_pack_that_is_not_believed_any_more_goes() -> None:
    bus, pack = running()
    pack.volts = 400
    assert 28.0 <= bus.until(went, 60.0) <= 35.0
    assert bus.values()["total_voltage"] == 52.92
    pack.volts = None
    assert bus.until(came) <= 3.0


def test_two_packs_at_one_address_are_told_until_10_seconds_after_the_last_sign() -> (
    None
):
    station = CanListener(()).add(0)
    for sign in (100.0, 104.0, 109.0):
        station.contradicted(sign)
    told = {}
    for now in (109.0, 118.9, 119.0):
        station.tick(now)
        told[now] = station.clashing
    assert told == {109.0: True, 118.9: True, 119.0: False}


def test_a_link_that_was_lost_begins_anew_and_keeps_what_is_known() -> None:
    bus, pack = running()
    events = bus.listener.disconnected(bus.now)
    assert events == ()
    bus.senders.clear()
    bus.run(5.0)
    bus.listener.connected(bus.now)
    bus.senders.append(pack)
    bus.run(6.0)
    assert bus.listener.stations[0].available
    assert bus.values()["state_of_charge"] == 81
    bus.listener.disconnected(bus.now)
    bus.senders.clear()
    assert bus.until(went, 40.0) <= 30.1


def test_an_address_is_added_while_its_pack_speaks() -> None:
    bus = Bus(Pack(address=1))
    bus.run(1.0)
    station = bus.listener.add(1)
    bus.run(5.0)
    assert station.available
    assert not any(isinstance(event, Appeared) for _, event in bus.events)
    silent = bus.listener.add(4)
    assert (silent.available, silent.features, silent.dialect) == (False, None, None)
