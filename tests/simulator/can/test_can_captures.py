"""Packs with the values of the recorded frames send their bytes."""

from collections.abc import Mapping
import json
from typing import Any

import pytest

from simulator import Bank
from simulator.can import CanBus, Dialect, Version, frames_of, signals
from simulator.can.native import Name
from simulator.can.signals import Alarm
from tests.captures import FOLDER

from . import pack, passed

USED: Mapping[int, tuple[int, ...]] = {
    0x2F4: (0, 1, 2, 3, 4),
    0x4F4: (0, 1, 2, 3, 4, 5),
    0x5F4: (0, 1, 2, 3, 4),
    0x7F4: (0, 1, 2, 3),
    # The bytes of the cycle count are printed in both orders.
    0x18F128F4: (0, 1, 2, 3, 4, 5),
    0x18F328F4: (0, 1, 2),
    0x18F428F4: (0, 1, 2, 3, 4, 5, 6),
}
"""The bytes that mean something; the documents print the others as X."""


def recorded(name: str) -> dict[int, bytes]:
    """The frames of a recording by their ids."""
    entries: list[dict[str, Any]] = json.loads(
        (FOLDER / "can.json").read_text(encoding="utf-8")
    )
    [entry] = [entry for entry in entries if entry["id"] == name]
    return {int(can_id, 16): bytes.fromhex(data) for can_id, data in entry["hex"]}


def used(can_id: int, data: bytes) -> bytes:
    """The bytes of a frame that mean something."""
    return bytes(data[place] for place in USED.get(can_id, range(len(data))))


def agrees(can_id: int, sent: bytes, captured: bytes) -> bool:
    """Whether a frame has the bytes that were recorded, of which there may be fewer."""
    return used(can_id, captured) == used(can_id, sent)[: len(captured)]


CELLS = {
    "highest_cell": 4,
    "cell_voltage_5": 2700,
    "lowest_cell": 7,
    "cell_voltage_8": 2450,
}

NATIVE: list[tuple[str, Version, int, dict[str, int], set[int]]] = [
    (
        "can-jeanluc-set",
        Version.V2,
        0,
        {
            "pack_voltage": 53_100,
            "current": 1_800,
            "soc": 81,
            "highest_cell": 5,
            "cell_voltage_6": 3327,
            "lowest_cell": 0,
            "cell_voltage_1": 3324,
            "temperature_1": 220,
            "temperature_2": 220,
            "remaining_capacity": 227_300,
            "full_capacity": 280_000,
            "cycled_capacity": 3_287_500,
            "cycles": 35,
        },
        # No pack is known to send the last one by itself (can.md 1.4).
        {0x01F21400},
    ),
    ("can-jeanluc-1806e5f4", Version.V2, 0, {"rcv": 3600}, set()),
    (
        "can-vendor1-02f4",
        Version.V1,
        0,
        {"pack_voltage": 27_500, "current": -56_700, "soc": 51},
        set(),
    ),
    ("can-vendor1-04f4", Version.V1, 0, CELLS, set()),
    (
        "can-vendor2-std",
        Version.V2,
        0,
        {"pack_voltage": 27_500, "current": 56_700, "soc": 51, **CELLS},
        # Six probes and levels that no pack here has: they are coded below.
        {0x5F4, 0x7F4},
    ),
    (
        "can-vendor2-18f128f4",
        Version.V2,
        0,
        {
            "remaining_capacity": 30_000,
            "full_capacity": 40_000,
            "cycled_capacity": 100_000,
        },
        set(),
    ),
    (
        "can-vendor2-18f328f4",
        Version.V2,
        0,
        {"alarms": 1 << 1 | 1 << 12 | 1 << 13 | 1 << 16},
        set(),
    ),
    (
        "can-vendor2-18f428f4",
        Version.V2,
        0,
        {"run_time": 200, "heater_current": 2600, "soh": 100},
        set(),
    ),
    (
        "can-vendor2-cells",
        Version.V2,
        0,
        {
            f"cell_voltage_{cell}": voltage
            for cell, voltage in enumerate(
                (3757, 3755, 3747, 3750, 3756, 3756, 3748, 3751), start=1
            )
        },
        set(),
    ),
    ("can-addr3-cell-frame", Version.V2, 3, {"cell_voltage_1": 3757}, set()),
]


@pytest.mark.parametrize(
    ("name", "version", "address", "values", "left_out"),
    NATIVE,
    ids=[row[0] for row in NATIVE],
)
def test_a_pack_with_the_recorded_values_sends_the_recorded_bytes(
    name: str,
    version: Version,
    address: int,
    values: dict[str, int],
    left_out: set[int],
) -> None:
    made = pack(address, **values)
    sent = {
        frame.id: frame.data
        for frames in frames_of(made, version).values()
        for frame in frames
    }
    captured = recorded(name)
    compared = {*captured} - left_out
    assert compared
    wrong = [
        can_id
        for can_id in compared
        if not agrees(can_id, sent[can_id], captured[can_id])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        (
            "can-vendor1-07f4",
            {
                Alarm.CELL_OVER_VOLTAGE: 3,
                Alarm.PACK_UNDER_VOLTAGE: 1,
                Alarm.SOC_LOW: 2,
            },
        ),
        (
            "can-vendor1-case73-bad",
            {Alarm.CELL_OVER_VOLTAGE: 3, Alarm.CELL_UNDER_VOLTAGE: 3},
        ),
        ("can-vendor2-std", {Alarm.CELL_OVER_VOLTAGE: 3, Alarm.SOC_LOW: 2}),
    ],
)
def test_recorded_alarm_levels_have_their_bytes(
    name: str, levels: dict[Alarm, int]
) -> None:
    assert agrees(0x7F4, signals.alm_info(levels), recorded(name)[0x7F4])


def test_recorded_temperatures_have_their_bytes() -> None:
    coded = signals.cell_temp((220, 6), (-30, 1), 130)
    assert agrees(0x5F4, coded, recorded("can-vendor2-std")[0x5F4])


@pytest.mark.parametrize(
    ("name", "current"), [("pylon-armin-1", 0), ("pylon-armin-2", 200)]
)
def test_a_bank_with_the_recorded_values_tells_an_inverter_the_recorded_bytes(
    name: str, current: int
) -> None:
    made = pack(
        0,
        rcv=3450,
        charge_current_limit=50_000,
        discharge_current_limit=80_000,
        cell_uvp=3000,
        remaining_capacity=168_000,
        full_capacity=280_000,
        pack_voltage=52_280,
        current=current,
        **dict.fromkeys((f"temperature_{place}" for place in (1, 2, 4, 5)), 220),
    )
    messages = passed(CanBus(Bank([made]), Dialect.PYLON), 1.0)
    sent = {can_id: data for _, can_id, _, data in messages}
    captured = recorded(name)
    # A converter made them: it has another name, and what the inverter says is among them.
    compared = {*captured} - {0x35E, 0x305}
    assert len(compared) == 5
    assert {can_id: sent[can_id][: len(captured[can_id])] for can_id in compared} == {
        can_id: captured[can_id] for can_id in compared
    }


def test_every_native_recording_is_compared() -> None:
    entries = json.loads((FOLDER / "can.json").read_text(encoding="utf-8"))
    ids = {entry["id"] for entry in entries if entry["kind"] == "can_jk"}
    assert ids - {row[0] for row in NATIVE} == {
        "can-vendor1-07f4",
        "can-vendor1-case73-bad",
    }
    assert Name.BATT_ST1 in frames_of(pack())
