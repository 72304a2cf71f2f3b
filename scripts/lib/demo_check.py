"""What Home Assistant must show: values as the publishers of the captures state them."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
import re
import time
from typing import Final
from urllib.parse import urlsplit

from simulator.checks import crc16

from .demo_api import HomeAssistant
from .demo_home import DOMAIN
from .demo_process import Child, DemoError

type State = float | str

_COMPLETE: Final = 60.0
"""Seconds until every entity has a value; two are enough here."""
_UNKNOWN: Final = {None, "unknown", "unavailable"}
_MOMENTARY: Final = ("button.", "event.")
"""What shows only when it was last pressed, or last happened."""


@dataclass(frozen=True, slots=True)
class Bank:
    """The simulated packs: where they are reached, and the address of each serial number."""

    child: Child
    url: str
    packs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stated:
    """What a capture in tests/captures holds, and who says so."""

    address: int
    capture: str
    source: str
    values: Mapping[str, State]
    cells: int | None = None


STATED: Final = (
    Stated(
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
        address=3,
        capture="syssi-v19-settings",
        source="syssi/esphome-jk-bms, esp32-ble-v19-example-faker.yaml",
        values={"max_charge_current": 80, "balance_starting_voltage": 3.45},
    ),
    Stated(
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

CHANGED: Final = "balance_trigger_voltage"
_CHANGED_TO: Final = 0.01
_CHANGED_AT: Final = (1, 0x1014, 10)
"""Address, register and raw value of the change; the capture holds 5 mV (rs485.md 2.5)."""

GOOD: Final = (
    f"Good: {sum(len(stated.values) for stated in STATED)} values of {len({stated.address for stated in STATED})} packs are those of the captures,"
    " a setting was changed and proven, and the log is clean."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """The enabled entities of a bus by pack and key, and their states."""

    entities: Mapping[tuple[int, str], str]
    states: Mapping[str, str]

    def state(self, address: int, key: str) -> str | None:
        """Return what is shown; None where there is no such entity."""
        entity = self.entities.get((address, key))
        return None if entity is None else self.states.get(entity)

    def missing(self) -> list[str]:
        """Return the entities that have no value yet."""
        return sorted(
            entity
            for entity in self.entities.values()
            if self.states.get(entity) in _UNKNOWN
            and not (
                entity.startswith(_MOMENTARY) and self.states.get(entity) == "unknown"
            )
        )


async def look(home: HomeAssistant, entry: str, bank: Bank) -> Shown:
    """Read the entities of the packs, found by the serial numbers of their devices."""
    devices = {
        device["id"]: bank.packs[device["serial_number"]]
        for device in await home.command("config/device_registry/list")
        if device["serial_number"] in bank.packs
    }
    entities = {}
    for entity in await home.command("config/entity_registry/list"):
        address = devices.get(entity["device_id"])
        if entity["config_entry_id"] != entry or address is None:
            continue
        if entity["disabled_by"] is None:
            key = entity["unique_id"].removeprefix(f"{entity['config_subentry_id']}_")
            entities[address, key] = entity["entity_id"]
    states = {
        state["entity_id"]: state["state"] for state in await home.get("/api/states")
    }
    return Shown(entities, states)


async def complete(home: HomeAssistant, entry: str, bank: Bank) -> None:
    """Return when every entity of every pack has a value."""
    end = time.monotonic() + _COMPLETE
    while True:
        shown = await look(home, entry, bank)
        absent = set(bank.packs.values()) - {address for address, _ in shown.entities}
        missing = shown.missing()
        if not absent and not missing:
            return
        if time.monotonic() > end:
            raise DemoError(
                f"After {_COMPLETE:g} seconds there is still no device of the packs {sorted(absent)}."
                if absent
                else f"After {_COMPLETE:g} seconds there is still no value of {', '.join(missing)}."
            )
        await asyncio.sleep(0.3)


async def check_values(home: HomeAssistant, entry: str, bank: Bank) -> list[str]:
    """Return where Home Assistant shows something else than the captures hold."""
    shown = await look(home, entry, bank)
    return [fault for stated in STATED for fault in _differences(stated, shown)]


def _differences(stated: Stated, shown: Shown) -> Iterable[str]:
    pack = f"pack {stated.address} ({stated.capture}, stated by {stated.source})"
    for key, value in stated.values.items():
        state = shown.state(stated.address, key)
        if state is None:
            yield f"{pack}: {key} has no entity"
        elif not same(state, value):
            yield f"{pack}: {key} is {state} instead of {value}"
    cells = sum(
        address == stated.address and re.fullmatch(r"cell_voltage_\d+", key) is not None
        for address, key in shown.entities
    )
    if stated.cells not in (None, cells):
        yield f"{pack}: {cells} cells are shown instead of {stated.cells}"


def same(state: str, value: State) -> bool:
    """Tell whether a state is a value, as exactly as the BMS gives it."""
    if isinstance(value, str):
        return state == value
    try:
        return abs(float(state) - value) < 1e-6
    except ValueError:
        return False


async def check_write(home: HomeAssistant, entry: str, bank: Bank) -> list[str]:
    """Change a setting through its entity; return what was wrong with that."""
    address = _CHANGED_AT[0]
    shown = await look(home, entry, bank)
    entity = shown.entities.get((address, CHANGED))
    if entity is None:
        return [f"pack {address}: {CHANGED} has no entity to change it with"]
    if same(shown.states[entity], _CHANGED_TO):
        return [f"{entity} is {_CHANGED_TO} before it was changed"]
    await home.post(
        "/api/services/number/set_value", {"entity_id": entity, "value": _CHANGED_TO}
    )
    state = (await home.get(f"/api/states/{entity}"))["state"]
    if same(state, _CHANGED_TO):
        return []
    return [f"{entity} was set to {_CHANGED_TO} and shows {state}"]


async def check_pack(bank: Bank) -> list[str]:
    """Ask the pack itself for the changed setting, with nobody of ours in between."""
    address, register, raw = _CHANGED_AT
    request = bytes([address, 3, *register.to_bytes(2), 0, 2])
    wanted = bytes([address, 3, 4, *raw.to_bytes(4)])
    parts = urlsplit(bank.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request + crc16(request))
        async with asyncio.timeout(5):
            answer = await reader.readexactly(len(wanted) + 2)
    except TimeoutError, asyncio.IncompleteReadError:
        return [f"pack {address} did not say what it has stored"]
    finally:
        writer.close()
    if answer == wanted + crc16(wanted):
        return []
    return [f"pack {address} answered {answer.hex(' ')} for the changed setting"]


def check_log(log: Path) -> list[str]:
    """Return the complaints of a run that are about the integration."""
    return [f"in the log: {record}" for record in complaints(log.read_text())]


def complaints(text: str) -> Iterable[str]:
    """Yield the warnings and errors of a log that name the integration or its library.

    Every record starts with a time; a traceback is part of its record.
    """
    for record in re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:)", text, flags=re.MULTILINE):
        level = re.match(r"\S+ \S+ (WARNING|ERROR|CRITICAL|FATAL) ", record)
        ours = DOMAIN in record or "serialx" in record
        if (level or "Traceback" in record) and ours and not _EXPECTED.search(record):
            yield record.strip()


_EXPECTED: Final = re.compile(
    r"We found a custom integration \w+ which has not been tested"
)
"""Home Assistant says so of every custom integration."""
