"""Whether Home Assistant shows what the captures hold, and complains of nothing."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
import re
import time
from typing import Final

from .demo_plan import ASKED, BUSES
from .demo_values import STATED, State, Stated
from .ha_api import HomeAssistant
from .ha_home import DOMAIN
from .ha_log import complaints, is_ours
from .processes import DemoError
from .simulated import Bus

_COMPLETE: Final = 60.0
"""Seconds until every entity has a value; two are enough here."""
_UNKNOWN: Final = {None, "unknown", "unavailable"}
_MOMENTARY: Final = ("button.", "event.")
"""What shows only when it was last pressed, or last happened."""
_NOT_TOLD: Final = frozenset({"recommended_charge_voltage"})
"""What follows from the settings of all packs of a bank: one on CAN does not tell its own."""

CHANGED: Final = "balance_trigger_voltage"
_CHANGED_TO: Final = 0.01
_CHANGED_AT: Final = (1, 0x1014, 10)
"""Address, register and raw value of the change; the capture holds 5 mV (rs485.md 2.5)."""

GOOD: Final = (
    f"Good: {sum(len(stated.values) for stated in STATED)} values of {sum(len(bus.addresses) for bus in BUSES)} packs and their bank"
    " are those of the captures, a setting was changed and proven, and the log is clean."
)

type Place = tuple[str, int | None]
"""The title of an entry and the address of a pack; None for what belongs to the whole bus, or to the bank."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The enabled entities by place and key, and their states."""

    entities: Mapping[tuple[Place, str], str]
    states: Mapping[str, str]

    def state(self, place: Place, key: str) -> str | None:
        """Return what is shown; None where there is no such entity."""
        entity = self.entities.get((place, key))
        return None if entity is None else self.states.get(entity)

    def missing(self) -> list[str]:
        """Return the entities that have no value yet."""
        return sorted(
            entity
            for (_, key), entity in self.entities.items()
            if self.states.get(entity) in _UNKNOWN
            and not (
                (key in _NOT_TOLD or entity.startswith(_MOMENTARY))
                and self.states.get(entity) == "unknown"
            )
        )


async def look(home: HomeAssistant, buses: Mapping[str, Bus]) -> Shown:
    """Read all entities of the integration; packs are known by serial number, or by the number in their name."""
    titles = {
        entry["entry_id"]: entry["title"]
        for entry in await home.command("config_entries/get", domain=DOMAIN)
    }
    serials = {s: a for bus in buses.values() for s, a in bus.packs.items()}
    addresses = {
        device["id"]: serials.get(device["serial_number"], _number(device["name"]))
        for device in await home.command("config/device_registry/list")
    }
    entities = {}
    for entity in await home.command("config/entity_registry/list"):
        if entity["platform"] != DOMAIN or entity["disabled_by"] is not None:
            continue
        entry, pack = entity["config_entry_id"], entity["config_subentry_id"]
        address = None if pack is None else addresses[entity["device_id"]]
        key = entity["unique_id"].removeprefix(f"{pack or entry}_")
        entities[(titles[entry], address), key] = entity["entity_id"]
    states = {
        state["entity_id"]: state["state"] for state in await home.get("/api/states")
    }
    return Shown(entities, states)


def _number(name: str) -> int | None:
    found = re.search(r"\d+$", name)
    return int(found[0]) if found else None


async def complete(home: HomeAssistant, buses: Mapping[str, Bus]) -> None:
    """Return when every entity of every pack has a value."""
    wanted = {(p.title, address) for p in BUSES for address in p.addresses}
    end = time.monotonic() + _COMPLETE
    while True:
        shown = await look(home, buses)
        absent = wanted - {place for place, _ in shown.entities}
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


async def check_all(
    home: HomeAssistant, buses: Mapping[str, Bus], log: Path
) -> list[str]:
    """Return what is not as it should be while Home Assistant runs."""
    shown = await look(home, buses)
    wrong = [fault for stated in STATED for fault in _differences(stated, shown)]
    wrong += await _check_write(home, shown)
    wrong += await _check_pack(buses[ASKED.title])
    return wrong + [f"in the log: {record}" for record in complaints(log.read_text())]


def check_stop(log: Path) -> list[str]:
    """Return the integration's complaints, now that Home Assistant is stopped.

    Its own marketplace complains when it is stopped before it has found a network.
    """
    return [f"at the stop: {c}" for c in complaints(log.read_text()) if is_ours(c)]


def _differences(stated: Stated, shown: Shown) -> Iterator[str]:
    place = (stated.title, stated.address)
    what = "the bank" if stated.address is None else f"pack {stated.address}"
    said = f"{what} of {stated.title!r} ({stated.capture}, stated by {stated.source})"
    for key, value in stated.values.items():
        state = shown.state(place, key)
        if state is None:
            yield f"{said}: {key} has no entity"
        elif not same(state, value):
            yield f"{said}: {key} is {state} instead of {value}"
    cells = sum(
        there == place and re.fullmatch(r"cell_voltage_\d+", key) is not None
        for there, key in shown.entities
    )
    if stated.cells not in (None, cells):
        yield f"{said}: {cells} cells are shown instead of {stated.cells}"


def same(state: str, value: State) -> bool:
    """Tell whether a state is a value, as exactly as the BMS gives it."""
    if isinstance(value, str):
        return state == value
    try:
        return abs(float(state) - value) < 1e-6
    except ValueError:
        return False


async def _check_write(home: HomeAssistant, shown: Shown) -> list[str]:
    """Change a setting through its entity; return what was wrong with that."""
    address = _CHANGED_AT[0]
    entity = shown.entities.get(((ASKED.title, address), CHANGED))
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


async def _check_pack(bus: Bus) -> list[str]:
    """Ask the pack itself for the changed setting, with nobody of ours in between."""
    address, register, raw = _CHANGED_AT
    if await bus.read(address, register) == raw:
        return []
    return [f"pack {address} itself has not taken the change"]
