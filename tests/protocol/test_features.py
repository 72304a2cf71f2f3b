"""What a BMS has: kept, loaded, merged, and limited to what its frames can tell."""

import pytest

from custom_components.jkbms.protocol.datum import Firmware
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import (
    CELL_VOLTAGES,
    CURRENT,
    STATE_OF_CHARGE,
    TOTAL_VOLTAGE,
)


def features(keys: tuple[str, ...] | None = None, cells: int = 4) -> Features:
    return Features(
        cells=tuple(range(1, cells + 1)),
        probes=("temperature_sensor_1",),
        heater=False,
        firmware=Firmware(15, 41),
        keys=keys,
    )


def test_without_keys_a_bms_has_all_that_its_hardware_allows() -> None:
    assert features().has(CURRENT)
    assert features().has(CELL_VOLTAGES[3])
    assert not features().has(CELL_VOLTAGES[4])


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


def test_what_was_stored_before_there_were_keys_is_loaded() -> None:
    stored = features().dump()
    assert "keys" not in stored
    assert Features.load(stored).keys is None


def test_keys_are_sorted_so_that_equal_features_are_equal() -> None:
    made = Features.of({}, (), None, heater=False, keys={"power", "current", "errors"})
    assert made.keys == ("current", "errors", "power")
    assert Features.of({}, (), None, heater=False).keys is None


def test_merged_features_keep_keys_and_take_new_ones() -> None:
    older, newer = features(("current",)), features(("state_of_charge",), cells=8)
    merged = older.merged(newer)
    assert merged.keys == ("current", "state_of_charge")
    assert merged.has(STATE_OF_CHARGE)
    assert len(merged.cells) == 8


@pytest.mark.parametrize(
    ("older", "newer", "merged"),
    [(None, ("a",), ("a",)), (("a",), None, None), (None, None, None)],
)
def test_a_change_of_the_wire_takes_the_limits_of_the_new_one(
    older: tuple[str, ...] | None,
    newer: tuple[str, ...] | None,
    merged: tuple[str, ...] | None,
) -> None:
    assert features(older).merged(features(newer)).keys == merged
