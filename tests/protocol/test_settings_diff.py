"""In which settings packs differ, and which differences matter."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.datum import Field
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


SHARED: Final = frozenset(
    {
        "cell_ovp",
        "cell_ovpr",
        "cell_uvp",
        "cell_uvpr",
        "power_off_voltage",
        "charge_ocp_delay",
        "charge_ocp_release",
        "discharge_ocp_delay",
        "discharge_ocp_release",
        "short_circuit_delay",
        "short_circuit_release",
        "charge_otp",
        "charge_otp_recovery",
        "charge_utp",
        "charge_utp_recovery",
        "discharge_otp",
        "discharge_otp_recovery",
        "discharge_utp",
        "discharge_utp_recovery",
        "mos_otp",
        "mos_otp_recovery",
        "battery_overtemp_alarm",
        "battery_overtemp_alarm_recovery",
        "heating_start_temperature",
        "heating_stop_temperature",
        "cell_count",
        "precharge_time",
        "disable_pcl_module",
    }
)
"""What protects; packs of unlike size rightly have other capacities and currents."""


@pytest.mark.parametrize("field", COMPARED, ids=lambda field: field.key)
def test_only_protection_that_packs_share_matters(field: Field[Any]) -> None:
    assert Difference(field, 1.0, 2.0).matters is (field.key in SHARED)


def test_all_that_packs_share_is_compared() -> None:
    assert {field.key for field in COMPARED} >= SHARED | {
        "total_battery_capacity_setting",
        "max_charge_current",
        "max_discharge_current",
    }


def test_wires_are_nobody_elses() -> None:
    assert "connection_resistance_1" not in {field.key for field in COMPARED}
