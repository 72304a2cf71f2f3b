"""What Home Assistant must show: values as the publishers of the captures state them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from .demo_plan import ASKED, CAN, HEARD

type State = float | str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """What a capture in tests/captures holds, and who says so."""

    title: str
    """Of the entry."""
    address: int | None
    """None for the bank."""
    capture: str
    source: str
    values: Mapping[str, State]
    cells: int | None = None


_ASKED: Final = (
    Stated(
        title=ASKED.title,
        address=1,
        capture="venus-bat3-status",
        source="mr-manuel/venus-os_dbus-serialbattery, tests/bms/test_jkbms_pb.py and its decoder",
        values={
            "total_voltage": 52.695,
            "state_of_charge": 55,
            "capacity_remaining": 155.219,
            "charging_cycles": 62,
        },
        cells=16,
    ),
    Stated(
        title=ASKED.title,
        address=1,
        capture="venus-bat3-settings",
        source="mr-manuel/venus-os_dbus-serialbattery, bms-docs/JKBMS-PB.md",
        values={
            "cell_request_charge_voltage": 3.45,
            "cell_request_float_voltage": 3.35,
            "max_charge_current": 60,
            "max_discharge_current": 100,
            "balance_starting_voltage": 3.44,
            "total_battery_capacity_setting_set": 280,
            "balancer": "on",
        },
    ),
    Stated(
        title=ASKED.title,
        address=2,
        capture="syssi-v15-cell-charging",
        source="syssi/esphome-jk-bms, tests/components/jk_bms_ble/jk_bms_ble_jk02_32s_v15_test.cpp",
        values={
            "total_voltage": 53.224,
            "current": 31.881,
            "cell_voltage_1": 3.333,
            "min_cell_voltage": 3.32,
            "min_voltage_cell": 13,
            "max_cell_voltage": 3.337,
            "max_voltage_cell": 16,
            "delta_cell_voltage": 0.017,
            "power_tube_temperature": 12.9,
            "temperature_sensor_1": 13.4,
            "state_of_charge": 25,
            "capacity_remaining": 49.286,
            "charge_status": "bulk",
            "charging": "on",
        },
        cells=16,
    ),
    Stated(
        title=ASKED.title,
        address=3,
        capture="syssi-v19-cell-neg",
        source="syssi/esphome-jk-bms, tests/components/jk_bms_ble/jk_bms_ble_jk02_32s_v19_test.cpp",
        values={
            "total_voltage": 54.028,
            "current": -0.727,
            "state_of_charge": 100,
            "charging_cycles": 5,
            "min_voltage_cell": 10,
            "max_voltage_cell": 1,
            "temperature_sensor_2": 12.7,
        },
        cells=16,
    ),
    Stated(
        title=ASKED.title,
        address=3,
        capture="syssi-v19-settings",
        source="syssi/esphome-jk-bms, esp32-ble-v19-example-faker.yaml",
        values={"max_charge_current": 80, "balance_starting_voltage": 3.45},
    ),
    Stated(
        title=ASKED.title,
        address=4,
        capture="sergymb_frame_02_operational",
        source="SergYmb/jkbms2mqtt, src/jkbms/tests/fixtures/frame_02_operational.hex and its decoder",
        values={
            "total_voltage": 27.765,
            "current": -0.386,
            "state_of_charge": 99,
            "charging_cycles": 85,
            "cell_voltage_1": 3.47,
        },
        cells=8,
    ),
)

_HEARD: Final = tuple(
    replace(stated, title=HEARD.title, address=address)
    for stated, address in zip(
        # A listener has no controls; settings come under other keys there.
        (stated for stated in _ASKED if stated.cells == 16),
        HEARD.addresses,
        strict=True,
    )
)
"""The same kinds of packs in the same order, overheard."""

_ON_CAN: Final = Stated(
    title=CAN.title,
    address=CAN.addresses[0],
    capture="venus-bat3-status",
    source=_ASKED[0].source,
    values={
        "total_voltage": 52.695,
        "state_of_charge": 55,
        "capacity_remaining": 155.2,
        "charging_cycles": 62,
    },
    cells=16,
)
"""The first kind once more, as exactly as CAN tells it."""

_BANK: Final = Stated(
    title="Battery bank",
    address=None,
    capture="all of these",
    source="their publishers; the sums are ours",
    values={
        "packs_online": 8,
        "current": 61.922,
        "power": 3304.395,
        "min_cell_voltage": 3.293,
        "max_cell_voltage": 3.472,
        "max_cell_voltage_place": "JK BMS 4 cell 2",
    },
)

STATED: Final = (*_ASKED, *_HEARD, _ON_CAN, _BANK)
