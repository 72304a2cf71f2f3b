"""What a BMS has: kept, loaded, merged, and limited to what its frames can tell."""

from dataclasses import replace

import pytest

from custom_components.jkbms.protocol.datum import Firmware
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import (
    CELL_VOLTAGES,
    CURRENT,
    STATE_OF_CHARGE,
    TOTAL_VOLTAGE,
)
from custom_components.jkbms.protocol.fields.can import CHARGE_VOLTAGE_LIMIT


def features(keys: tuple[str, ...] | None = None, cells: int = 4) -> Features:
    return Features(
        cells=tuple(range(1, cells + 1)),
        probes=("temperature_sensor_1",),
        heater=False,
        firmware=Firmware(15, 41),
        keys=keys or (),
        has_blocks=keys is None,
    )


def test_without_keys_a_bms_has_all_that_its_hardware_allows() -> None:
    assert features().has(CURRENT)
    assert features().has(CELL_VOLTAGES[3])
    assert not features().has(CELL_VOLTAGES[4])
    assert not features().has(CHARGE_VOLTAGE_LIMIT)


def test_with_keys_it_has_nothing_else() -> None:
    limited = features(("cell_voltage_1", "cell_voltage_5", "current"))
    assert limited.has(CURRENT)
    assert not limited.has(TOTAL_VOLTAGE)
    assert limited.has(CELL_VOLTAGES[0])
    assert not limited.has(CELL_VOLTAGES[1])
    # A key alone is no hardware.
    assert not limited.has(CELL_VOLTAGES[4])


@pytest.mark.parametrize("keys", [None, (), ("current", "total_voltage")])
def test_what_is_stored_is_loaded_again(keys: tuple[str, ...] | None) -> None:
    assert Features.load(features(keys).dump()) == features(keys)


def test_what_is_stored_of_rs485_has_no_more_than_it_needs() -> None:
    stored = features().dump()
    assert stored.keys() == {"cells", "probes", "heater", "firmware"}
    assert Features.load(stored).has_blocks


def test_keys_are_sorted_so_that_equal_features_are_equal() -> None:
    made = Features.of({}, (), None, heater=False, keys={"power", "current", "errors"})
    assert made.keys == ("current", "errors", "power")
    assert not made.has_blocks
    assert Features.of({}, (), None, heater=False).has_blocks


def test_merged_features_keep_keys_and_take_new_ones() -> None:
    older, newer = features(("current",)), features(("state_of_charge",), cells=8)
    merged = older.merged(newer)
    assert merged.keys == ("current", "state_of_charge")
    assert merged.has(STATE_OF_CHARGE)
    assert len(merged.cells) == 8


def test_a_pack_on_two_wires_has_what_either_tells() -> None:
    can, wire = features(("charge_voltage_limit", "current")), features()
    for merged in (can.merged(wire), wire.merged(can)):
        assert merged.has(CHARGE_VOLTAGE_LIMIT)
        assert merged.has(STATE_OF_CHARGE)
        assert Features.load(merged.dump()) == merged


@pytest.mark.parametrize(
    ("changed", "may_grow"),
    [
        (set(), False),
        ({"current", "total_voltage"}, False),
        ({"temperature_sensor_1"}, False),
        ({"temperature_sensor_2"}, True),
        ({"cell_presence"}, True),
        ({"heating_current"}, True),
    ],
)
def test_only_some_values_can_tell_of_more_than_is_known(
    changed: set[str], may_grow: bool
) -> None:
    assert features().may_grow(changed) is may_grow


def test_a_heater_that_is_known_tells_nothing_new() -> None:
    heated = replace(features(), heater=True)
    assert not heated.may_grow({"heating_current", "heating"})
    assert heated.may_grow({"heating", "temperature_sensor_4"})


def test_what_can_tells_for_the_first_time_is_new() -> None:
    assert not features(("current",)).may_grow({"current"})
    assert features(("current",)).may_grow({"current", "power"})


def test_features_that_are_damaged_are_none() -> None:
    for damaged in ({"cells": ["x"]}, {"probes": [1]}, {"layout": "jk99"}):
        with pytest.raises(ValueError, match=r"."):
            Features.load(damaged)
    assert Features.load({"cells": 5, "firmware": 5}).cells == ()
