"""In which settings packs differ, and which differences matter."""

from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.settings_diff import (
    COMPARED,
    Difference,
    differences,
)


def test_equal_packs_do_not_differ() -> None:
    settings = {"cell_ovp": 3.65, "balancer": True, "total_voltage": 53.0}
    assert list(differences(settings, {**settings, "total_voltage": 54.0})) == []


def test_each_setting_that_is_not_the_same_is_told_with_both_values() -> None:
    found = list(
        differences(
            {"cell_ovp": 3.65, "balancer": True}, {"cell_ovp": 3.6, "balancer": False}
        )
    )
    assert Difference(BY_KEY["cell_ovp"], 3.65, 3.6) in found
    assert Difference(BY_KEY["balancer"], True, False) in found
    assert len(found) == 2


def test_what_is_not_known_of_both_is_no_difference() -> None:
    assert list(differences({"cell_ovp": 3.65}, {"cell_ovp": None})) == []
    assert list(differences({}, {"cell_ovp": 3.65})) == []


def test_only_protection_that_packs_share_matters() -> None:
    matters = {field.key for field in COMPARED if Difference(field, 1.0, 2.0).matters}
    assert {"cell_ovp", "cell_uvp", "charge_otp", "short_circuit_delay"} <= matters
    # Packs of unlike size work side by side; and a name of a buzzer protects nothing.
    assert not matters & {
        "total_battery_capacity_setting",
        "max_charge_current",
        "balancer",
        "lcd_buzzer_trigger",
    }


def test_wires_are_nobody_elses() -> None:
    assert "connection_resistance_1" not in {field.key for field in COMPARED}
