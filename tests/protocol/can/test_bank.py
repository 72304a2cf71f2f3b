"""A bank that speaks to an inverter, in each dialect."""

from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.dialect import Dialect
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.station import Appeared, Availability, Updated

from ...captures import can_messages
from .bus import Answers, Bus, Cycle, Pack, msg

PYLON: Final = {
    0x351: "40027C016C07C601",
    0x355: "6300640000000000",
    0x356: "521600002B010000",
    0x35C: "C000000000000000",
    0x35E: "4A4B2D424D530000",
    0x370: "1E001D00F50DF30D",
    0x371: "0400030001000400",
    0x359: "0000000001504E00",
}
"""A JK that speaks Pylontech (can.md 2.1)."""
SMA: Final = {
    0x351: "40027C016C07C601",
    0x355: "630064008E260000",
    0x356: "521600002B010000",
    0x35A: "A8A80200A8A80202",
    0x35E: "534D412020202020",
    0x35F: "0100010028000000",
}
VICTRON: Final = {
    **SMA,
    0x35E: "4A4B2D424D530000",
    0x35F: "694C0F2627000000",
    0x360: "0000000000000000",
    0x370: "4A4B2D424D530000",
    0x371: "0000000000000000",
    0x372: "0100000000000000",
    0x373: "F30DF40D2F013001",
    0x374: "30303A3A30320000",
    0x375: "30303A3A30310000",
    0x376: "30303A3A30330000",
    0x377: "30303A3A30340000",
    0x378: "0000000008000000",
    0x379: "2800000000000000",
    0x380: "3132333435363738",
    0x381: "3132333435363738",
}
GROWATT: Final = {
    0x311: "0240017C01900002",
    0x312: "0000000001000010",
    0x313: "164B007B013D5664",
    0x314: "01AE01F400040003",
    0x319: "C00DF20DEE010700",
    0x320: "4A4B0F2600000000",
    0x321: "0000000000000000",
    0x322: "0000000000000000",
    0x323: "0000000000000000",
}


def cycle(said: dict[int, str], **changed: str) -> Cycle:
    """Return a sender of these messages; `x351="..."` changes one, "" leaves it out."""
    changes = {int(code[1:], 16): data for code, data in changed.items()}
    return Cycle(
        [msg(code, data) for code, data in (said | changes).items() if data != ""]
    )


def values(sender: Cycle, *, seconds: float = 10.0) -> dict[str, Any]:
    """Return what a bank says in the end."""
    bus = Bus(sender, addresses=(BANK_ADDRESS,))
    bus.run(seconds)
    return bus.values(BANK_ADDRESS)


def known(told: dict[str, Any]) -> set[str]:
    return {key for key, value in told.items() if value is not None}


@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        (PYLON, Dialect.PYLON),
        (SMA, Dialect.SMA),
        (VICTRON, Dialect.VICTRON),
        (GROWATT, Dialect.GROWATT),
    ],
)
def test_a_bank_appears_in_its_dialect(said: dict[int, str], dialect: Dialect) -> None:
    bus = Bus(cycle(said), Cycle([msg(0x305, bytes(8))], every=20))
    bus.run(10.0)
    assert [type(e) for _, e in bus.events] == [
        Appeared,
        Updated,
        Availability,
        Updated,
    ][: len(bus.events)]
    station = bus.listener.stations[BANK_ADDRESS]
    assert station.dialect is bus.listener.dialect is dialect
    assert station.features is not None
    assert {"total_voltage", "power", "errors"} <= {*(station.features.keys or ())}
    assert bus.listener.foreign == 0


def test_the_values_of_pylontech() -> None:
    told = values(cycle(PYLON, x356="521638FF2B010000"))
    assert told["total_voltage"] == 57.14
    assert told["current"] == -20.0
    assert told["power"] == pytest.approx(-1142.8)
    assert told["charge_voltage_limit"] == 57.6
    assert told["state_of_charge"] == 99
    assert (told["max_temperature"], told["min_temperature"]) == (30, 29)
    assert told["average_temperature"] == 29.9
    assert told["max_cell_voltage"] == 3.573
    assert (told["max_voltage_cell"], told["min_voltage_cell"]) == (1, 4)
    assert told["modules_total"] == 1
    assert told["battery_maker"] == "JK-BMS"
    assert told["charge_enabled"] is True
    assert (told["errors"], told["warnings"], told["problem"]) == ("OK", "OK", False)
    assert "fine_state_of_charge" not in known(told)


def test_the_values_of_victron_and_sma() -> None:
    told = values(cycle(VICTRON))
    assert (told["max_temperature"], told["min_temperature"]) == (31, 30)
    assert told["fine_state_of_charge"] == 98.7
    assert told["min_cell_voltage_place"] == "00::02"
    assert told["installed_capacity"] == 40
    assert told["software_version"] == "15.38"
    assert told["force_charge"] is False
    assert "serial_number" not in told
    told = values(cycle(SMA))
    assert told["battery_maker"] == "SMA"
    assert "software_version" not in told


@pytest.mark.parametrize(
    ("state", "raw", "current"),
    [
        ("02", "007B", 12.3),
        ("03", "007B", -12.3),
        ("03", "FF85", -12.3),
        ("02", "FF85", 12.3),
        ("01", "007B", None),
        ("01", "0000", 0.0),
    ],
)
def test_the_state_of_a_growatt_bank_gives_the_current_its_sign(
    state: str, raw: str, current: float | None
) -> None:
    told = values(
        cycle(GROWATT, x311=f"0240017C019000{state}", x313=f"164B{raw}013D5664")
    )
    assert told["current"] == current
    assert told["capacity_remaining"] == 43.0
    assert told["software_version"] == "15.38"
    assert "growatt_state" not in told


@pytest.mark.parametrize("without", [(), (0x320, 0x321, 0x322, 0x323)])
@pytest.mark.parametrize("every", [0.5, 0.8, 1.0, 1.2])
def test_a_growatt_bank_that_is_asked_now_and_then_is_known(
    every: float, without: tuple[int, ...]
) -> None:
    """Between two answers it says nothing; some do not send all that a JK does."""
    said = [msg(code, data) for code, data in GROWATT.items() if code not in without]
    bus = Bus(Answers(said, every), addresses=(BANK_ADDRESS,))
    bus.run(10.0)
    station = bus.listener.stations[BANK_ADDRESS]
    assert station.available
    assert station.features is not None
    assert station.state.values["total_voltage"] == 57.07


def test_the_capacity_of_another_maker_is_left_open() -> None:
    told = values(cycle(GROWATT, x320="47570F2600000000"))
    assert not {"capacity_remaining", "full_charge_capacity"} & known(told)
    assert told["battery_maker"] == "GW"


def test_cells_of_growatt_are_cells() -> None:
    told = values(cycle(GROWATT, x315="0DF20DF10DF00DEF", x316="0DEE0DEE0DEE0000"))
    assert told["cell_voltage_7"] == 3.566
    assert told["cell_presence"] == 0b1111111
    assert told["average_cell_voltage"] == 3.567


@pytest.mark.parametrize(
    ("maker", "average", "extremes", "expected"),
    [
        ("4A4B2D424D53", "2B01", "1E001D00", (30, 29)),
        ("5345504C4F53", "2B01", "2E012701", (30.2, 29.5)),
        # A maker who sends whole degrees all the same, and one who does not say.
        ("5345504C4F53", "2B01", "1E001D00", (30, 29)),
        ("", "2B01", "2E012701", (30.2, 29.5)),
        # Near 0 °C both fit.
        ("4A4B2D424D53", "1E00", "04000200", (4, 2)),
        ("5345504C4F53", "1E00", "28001400", (4.0, 2.0)),
        # Neither fits.
        ("4A4B2D424D53", "2B01", "B80BB80B", (None, None)),
    ],
)
def test_the_extremes_of_temperature_get_their_unit(
    maker: str,
    average: str,
    extremes: str,
    expected: tuple[float | None, float | None],
) -> None:
    sender = cycle(
        PYLON, x35E=maker, x356=f"52160000{average}0000", x370=f"{extremes}F50DF30D"
    )
    told = values(sender)
    assert (told["max_temperature"], told["min_temperature"]) == expected


def test_alarms_and_warnings_of_a_bank() -> None:
    told = values(cycle(PYLON, x359="0608020801504E00"))
    assert told["errors"] == (
        "Battery over-voltage protection, Battery under-voltage protection, System fault"
    )
    assert told["warnings"] == (
        "Battery over-voltage protection, Internal communication fault"
    )
    assert told["alarm_bitmask"] == 1 << 5 | 1 << 12
    assert told["problem"] is True


def test_alarms_that_are_not_told_are_unknown() -> None:
    told = values(cycle(GROWATT, x312=""))
    assert told["errors"] is told["problem"] is told["warnings"] is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"x355": "6500640000000000"}, Implausible.STATE_OF_CHARGE),
        ({"x355": "6300650000000000"}, Implausible.STATE_OF_CHARGE),
        ({"x356": "3B0200002B010000"}, Implausible.PACK_VOLTAGE),
        ({"x356": "52F600002B010000"}, Implausible.PACK_VOLTAGE),
        ({"x351": "00007C016C07C601"}, Implausible.PACK_VOLTAGE),
        ({"x351": "40107C016C07C601"}, Implausible.PACK_VOLTAGE),
        ({"x351": "4002FFFF6C07C601"}, Implausible.CURRENT),
        ({"x356": "5216000010270000"}, Implausible.TEMPERATURE),
        ({"x370": "1E001D00F30DF50D"}, Implausible.CELL_VOLTAGE),
        ({"x370": "1E001D00F53DF30D"}, Implausible.CELL_VOLTAGE),
    ],
)
def test_what_cannot_be_true_makes_no_bank(
    changed: dict[str, str], reason: Implausible
) -> None:
    bus = Bus(cycle(PYLON, **changed))
    bus.run(10.0)
    assert bus.events == []
    assert bus.listener.implausible == 1
    assert bus.listener.dialect is None
    named = Bus(cycle(PYLON, **changed), addresses=(BANK_ADDRESS,))
    named.run(10.0)
    assert named.listener.stations[BANK_ADDRESS].state.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("changed", "believed"),
    [
        # 100 %.
        ({"x355": "6400640000000000"}, True),
        # 57.6 V is the limit: half of it, and a quarter more, can be.
        ({"x356": "400B00002B010000"}, True),
        ({"x356": "3F0B00002B010000"}, False),
        ({"x356": "201C00002B010000"}, True),
        ({"x356": "211C00002B010000"}, False),
        # 150.0 V and 150.1 V.
        ({"x351": "DC057C016C07C601", "x356": "983A00002B010000"}, True),
        ({"x351": "DD057C016C07C601", "x356": "983A00002B010000"}, False),
        # No current is allowed, either way.
        ({"x351": "4002000000000000"}, True),
        ({"x351": "40020000FFFF0000"}, False),
        # -60 °C and 150 °C.
        ({"x356": "52160000A8FD0000"}, True),
        ({"x356": "521600009EFD0000"}, False),
        ({"x356": "52160000DC050000"}, True),
        ({"x356": "52160000E6050000"}, False),
        # Cells that are all alike; 5.000 V and 5.001 V.
        ({"x370": "1E001D00F50DF50D"}, True),
        ({"x370": "1E001D0088138813"}, True),
        ({"x370": "1E001D0089138813"}, False),
    ],
)
def test_a_bank_is_believed_as_far_as_it_can_be(
    changed: dict[str, str], believed: bool
) -> None:
    bus = Bus(cycle(PYLON, **changed), addresses=(BANK_ADDRESS,))
    bus.run(5.0)
    assert bus.listener.stations[BANK_ADDRESS].available is believed


def test_a_bank_at_rest_may_say_0_volts() -> None:
    """The four packs of a public example (can.md 2.2)."""
    told = values(
        cycle(
            {
                0x359: "0000000004000022",
                0x351: "2802E803E803F701",
                0x355: "1A006400",
                0x356: "00000000FA00",
                0x35C: "C0",
                0x35E: "456E65726779",
            }
        )
    )
    assert told["total_voltage"] == 0.0
    assert told["charge_voltage_limit"] == 55.2
    assert told["discharge_cutoff_voltage"] == 50.3
    assert told["modules_total"] == 4
    assert told["battery_maker"] == "Energy"
    assert told["average_temperature"] == 25.0


@pytest.mark.parametrize("name", ["pylon-armin-1", "pylon-armin-2"])
def test_the_messages_of_a_converter_make_a_bank(name: str) -> None:
    (capture,) = (c for c in can_messages() if c.id == name)
    bus = Bus(Cycle([CanMessage(*each) for each in capture.messages]))
    bus.run(10.0)
    told = bus.values(BANK_ADDRESS)
    assert told["total_voltage"] == 52.28
    assert told["state_of_charge"] == 60
    assert told["battery_maker"] == "PYLON"
    assert told["charge_voltage_limit"] == 55.2
    assert bus.listener.of_inverter > 0


def test_a_bank_without_what_names_its_dialect_is_none() -> None:
    bus = Bus(cycle(PYLON, x359=""))
    bus.run(10.0)
    assert bus.events == []


def test_a_message_too_short_for_its_dialect_is_dropped() -> None:
    bus = Bus(cycle(PYLON, x370="1E001D00"), addresses=(BANK_ADDRESS,))
    bus.run(10.0)
    station = bus.listener.stations[BANK_ADDRESS]
    assert station.available
    assert station.counts.damaged == 1
    assert "max_temperature" not in station.state.values
    assert bus.listener.malformed > 5


def test_a_message_too_short_is_dropped_when_the_dialect_is_known_already() -> None:
    bus = Bus(cycle(GROWATT, x319=""), addresses=(BANK_ADDRESS,))
    bus.run(6.0)
    bus.hear(msg(0x319, "C00D"))
    bus.run(6.0)
    assert bus.listener.malformed == 1
    assert bus.listener.stations[BANK_ADDRESS].available
    assert "charge_enabled" not in known(bus.values(BANK_ADDRESS))
    bus.senders.append(cycle({0x319: GROWATT[0x319]}))
    bus.run(6.0)
    assert bus.values(BANK_ADDRESS)["charge_enabled"] is True


def test_what_is_added_to_a_dialect_later_is_read_as_its_own() -> None:
    bus = Bus(cycle(PYLON, x370=""), addresses=(BANK_ADDRESS,))
    bus.run(6.0)
    bus.senders.append(cycle({0x370: PYLON[0x370]}))
    bus.run(6.0)
    assert bus.values(BANK_ADDRESS)["max_cell_voltage"] == 3.573


def test_one_message_by_accident_is_no_other_dialect_for_long() -> None:
    bus = Bus(cycle(SMA), addresses=(BANK_ADDRESS,))
    bus.run(6.0)
    bus.hear(msg(0x373, "F30DF40D2F013001"))
    bus.run(12.0)
    station = bus.listener.stations[BANK_ADDRESS]
    assert station.dialect is Dialect.SMA
    assert station.available
    assert "software_version" not in known(bus.values(BANK_ADDRESS))


def test_a_name_is_believed_once_it_was_said_twice() -> None:
    """Somebody else may use the id, and no earlier name tells that it is wrong."""
    bus = Bus(cycle(PYLON, x35E=""), addresses=(BANK_ADDRESS,))
    bus.run(6.0)
    bus.hear(msg(0x35E, PYLON[0x35E]))
    for _ in range(16):
        bus.run(0.5)
        assert "battery_maker" not in known(bus.values(BANK_ADDRESS))
    bus.senders.append(cycle({0x35E: PYLON[0x35E]}))
    bus.run(6.0)
    assert bus.values(BANK_ADDRESS)["battery_maker"] == "JK-BMS"


def test_a_bank_that_is_switched_off_goes_and_comes_in_another_dialect() -> None:
    bus = Bus(cycle(PYLON), addresses=(BANK_ADDRESS,))
    bus.run(6.0)
    bus.senders.clear()
    bus.run(40.0)
    assert not bus.listener.stations[BANK_ADDRESS].available
    bus.senders.append(cycle(VICTRON))
    bus.run(6.0)
    station = bus.listener.stations[BANK_ADDRESS]
    assert station.available
    assert station.dialect is Dialect.VICTRON
    assert bus.values(BANK_ADDRESS)["modules_total"] is None


def test_a_bank_is_told_anew_at_once_when_its_link_is_back() -> None:
    """However long the pause between two updates is: nobody knows what was missed."""
    bus = Bus(cycle(PYLON), addresses=(BANK_ADDRESS,), interval=60.0)
    bus.run(10.0)
    bus.listener.disconnected(bus.now)
    bus.listener.connected(bus.now)
    bus.senders = [cycle(PYLON, x355="4000640000000000")]
    bus.run(5.0)
    assert bus.values(BANK_ADDRESS)["state_of_charge"] == 64


def test_packs_and_a_bank_on_one_bus_are_both_heard() -> None:
    bus = Bus(Pack(), cycle(PYLON))
    bus.run(10.0)
    assert {*bus.listener.stations} == {0, BANK_ADDRESS}
    assert bus.listener.dialect is Dialect.NATIVE_V2


def test_a_voltage_that_moves_is_followed() -> None:
    random = Random(2)
    bus = Bus(addresses=(BANK_ADDRESS,))
    raw = 5714
    for _ in range(60):
        raw += random.randrange(-30, 31)
        data = raw.to_bytes(2, "little").hex() + "00002B010000"
        bus.senders = [cycle(PYLON, x356=data)]
        bus.run(0.8)
    bus.run(3.0)
    assert bus.values(BANK_ADDRESS)["total_voltage"] == raw / 100
