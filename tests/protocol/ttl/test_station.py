"""What is believed of an answer whose sum is right, and what has to be said twice."""

from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.derived import cells
from custom_components.jkbms.protocol.pacing import SERIAL, Patience
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.ttl.decode import decode
from custom_components.jkbms.protocol.ttl.frames import is_whole
from custom_components.jkbms.protocol.ttl.station import TtlStation

from .answers import E1, E3, changed, content, decoded, message, values


def station() -> TtlStation:
    return TtlStation(0, gone_after=30.0, cycle=1.0, due=0.0, patience=Patience(SERIAL))


def known(of: bytes | None = None) -> TtlStation:
    """Return a station that has believed an answer."""
    it = station()
    assert it.take(values(content() if of is None else of), 0.0) is not None
    return it


def test_the_first_answer_of_a_good_line_is_believed() -> None:
    it = known()
    assert it.state.values["average_cell_voltage"] == pytest.approx(3.268, abs=0.001)
    assert it.state.identity.model == "JK_B2A20S20P"
    assert it.state.identity.software_version == "11.26"
    assert str(it.state.firmware) == "11.26"


def test_on_a_noisy_line_the_first_has_to_be_said_twice() -> None:
    it = station()
    assert it.take(values(content()), 0.0, noisy=True) is None
    assert it.waits
    assert it.take(values(content()), 0.1, noisy=True) is not None
    assert it.state.rejected == {Implausible.UNCONFIRMED: 1}


def test_two_first_answers_that_contradict_each_other_are_none() -> None:
    it = station()
    assert it.take(values(content()), 0.0, noisy=True) is None
    other = values(changed(content(), {0x85: "20"}))
    assert it.take(other, 0.1, noisy=True) is None
    assert it.take(other, 0.2, noisy=True) is not None
    assert it.state.values["state_of_charge"] == 0x20


@pytest.mark.parametrize(
    ("changes", "key", "new"),
    [
        ({0x85: "28"}, "state_of_charge", 40),
        ({0x80: "0050"}, "power_tube_temperature", 80),
        ({0x84: "1F40"}, "current", -80.0),
        ({0x90: "0E10"}, "cell_ovp", 3.6),
        ({0xAB: "00"}, "charging_switch", False),
        ({0x8B: "0400"}, "alarm_cell_overvoltage", True),
        ({0x87: "0064"}, "charging_cycles", 100),
        ({0xAA: "00000118"}, "total_battery_capacity_setting", 280),
        ({0xB6: "00010000"}, "total_runtime", 0x10000 * 60),
    ],
)
def test_what_is_unlike_before_is_believed_when_it_is_said_again(
    changes: dict[int, str], key: str, new: Any
) -> None:
    it = known()
    before = it.state.values[key]
    said = values(changed(content(), changes))
    assert it.take(said, 1.0) is None
    assert it.waits
    assert it.state.values[key] == before
    update = it.take(said, 1.1)
    assert update is not None
    assert key in update.changed
    assert it.state.values[key] == new


def test_what_was_damaged_once_is_never_shown() -> None:
    it = known()
    assert it.take(values(changed(content(), {0x85: "28"})), 1.0) is None
    update = it.take(values(content()), 1.1)
    assert update is not None
    assert update.changed == frozenset()
    assert not it.waits


def test_small_changes_need_not_be_said_twice() -> None:
    it = known()
    said = values(changed(content(), {0x85: "3B", 0x84: "0190", 0x8C: "0007"}))
    assert it.take(said, 1.0) is not None
    assert it.state.values["balancing"] is True


def test_a_bms_that_is_never_the_same_is_believed_after_a_while() -> None:
    it = known()
    believed = []
    for turn in range(12):
        said = values(changed(content(), {0xAD: f"{turn:04x}"}))
        believed.append(it.take(said, 1.0 + turn) is not None)
    assert not any(believed[:2])
    assert all(believed[3:])


def test_a_counter_that_fell_has_to_fall_three_times() -> None:
    it = known(content(E3))
    said = values(changed(content(E3), {0x87: "0001"}))
    assert [it.take(said, 1.0 + n / 10) is not None for n in range(3)] == [
        False,
        False,
        True,
    ]
    assert it.state.values["charging_cycles"] == 1
    assert it.state.rejected == {Implausible.COUNTER_FELL: 2}


def test_a_line_that_was_away_begins_anew() -> None:
    it = known()
    assert it.take(values(changed(content(), {0x85: "28"})), 1.0) is None
    it.misses = 9
    assert not it.alive
    it.begin()
    assert not it.waits
    assert it.alive


def test_a_value_that_is_not_told_any_more_is_unknown() -> None:
    it = known()
    said = values(changed(content(), {0x82: ""}))
    for now in (1.0, 1.1):
        it.take(said, now)
    assert it.state.values["temperature_sensor_2"] is None


def test_an_answer_without_the_capacity_tells_none_that_is_left() -> None:
    it = known(changed(content(), {0xAA: ""}))
    assert it.state.values["capacity_remaining"] is None
    features = it.features
    assert features is not None
    assert "capacity_remaining" not in features.keys


def test_an_answer_that_says_nearly_nothing_is_not_believed() -> None:
    it = station()
    assert it.take(values(content()[:50]), 0.0) is None
    assert it.state.rejected == {Implausible.PACK_VOLTAGE: 1}


def test_on_a_noisy_line_cells_and_voltage_have_to_fit_as_before() -> None:
    it = known()
    cell = bytearray(content())
    cell[4] ^= 0x10  # 16 mV.
    assert it.take(values(bytes(cell)), 1.0, noisy=True) is None
    assert it.take(values(content()), 1.1, noisy=True) is not None
    assert it.take(values(changed(content(), {0x83: "1474"})), 2.0, noisy=True) is None
    assert it.take(values(content()), 2.1, noisy=True) is not None
    assert it.take(values(changed(content(), {0x84: "0200"})), 3.0, noisy=True) is None
    assert it.take(values(content()), 3.1, noisy=True) is not None
    lost = changed(content(), {0x83: "1325"})
    fewer = bytes([0x79, 45]) + lost[2:47] + lost[50:]
    assert it.take(values(fewer), 4.0, noisy=True) is None
    assert it.take(values(changed(content(), {0x84: ""})), 5.0, noisy=True) is None
    assert it.state.rejected == {Implausible.UNCONFIRMED: 5}


def even_damage(frame: bytes, random: Random) -> bytes:
    """Return a frame with two bits turned so that the sum does not notice."""
    while True:
        hurt = bytearray(frame)
        one, other = random.sample(range(11, len(frame) - 9), 2)
        bit = 1 << random.randrange(8)
        if (hurt[one] ^ hurt[other]) & bit:
            hurt[one] ^= bit
            hurt[other] ^= bit
            assert is_whole(bytes(hurt))
            return bytes(hurt)


LOOSE = {"current": 2.0, "total_voltage": 0.03, "total_runtime": 60.0}
"""How far a value may be wrong on a noisy line, when nothing else tells."""


def test_damage_that_the_sum_misses_shows_no_wrong_value() -> None:
    random = Random(7)
    truth = decoded(content(E1)).values
    it = known()
    now, shown, passed = 0.0, 0, 0
    for _ in range(3000):
        now += 1.0
        said = decode(message(even_damage(E1, random)).content)
        if said is not None and it.take(said.values, now, noisy=True) is not None:
            passed += 1
            volts, right = cells(it.state.values), cells(truth)
            assert volts.keys() == right.keys()
            assert all(abs(v - right[n]) < 0.0065 for n, v in volts.items())
            for key, value in truth.items():
                if key.startswith("cell_voltage") or key == "ttl_status_word":
                    continue
                found = it.state.values[key]
                if key in LOOSE:
                    assert abs(found - value) <= LOOSE[key], key  # type: ignore[operator] # Numbers, by their keys.
                elif key not in ("charging", "discharging", "balancing"):
                    assert found == value, key
        now += 0.1
        shown += it.take(values(content()), now, noisy=True) is not None
    assert shown > 2900
    assert passed < 300
