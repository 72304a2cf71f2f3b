"""What the flows of a bus share: who is met on a line, and pausing the entry that holds it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant

from .const import CONF_SERIAL_NUMBER
from .plain_text import plain
from .protocol.state import BmsState
from .subentries import bms_subentries

UNKNOWN: Final = "–"


def describe(address: int, state: BmsState) -> str:
    """Return a table row: address, model, serial number, firmware, cells."""
    identity = state.identity
    columns = (
        address,
        plain(identity.model or UNKNOWN),
        plain(identity.serial_number or UNKNOWN),
        plain(identity.software_version or UNKNOWN),
        len(state.cell_numbers) or UNKNOWN,
    )
    return f"| {' | '.join(map(str, columns))} |"


def is_met(entry: ConfigEntry, found: Mapping[int, BmsState]) -> bool:
    """Tell whether one of the entry's packs is among those found; true if it has none."""
    serials = {state.identity.serial_number for state in found.values()}
    known = [subentry.data for subentry in bms_subentries(entry)]
    return not known or any(
        data.get(CONF_SERIAL_NUMBER) in serials
        if data.get(CONF_SERIAL_NUMBER)
        else data[CONF_ADDRESS] in found
        for data in known
    )


def moves(entry: ConfigEntry, found: Mapping[int, BmsState]) -> dict[str, int]:
    """Return the new address of each subentry that has to move.

    A BMS is known by its serial number. One that was not found leaves its address to
    the one that was found there, and takes an address that has become free.
    """
    heard: dict[str | None, set[int]] = {}
    for address, state in found.items():
        heard.setdefault(state.identity.serial_number, set()).add(address)
    old = {s.subentry_id: s.data[CONF_ADDRESS] for s in bms_subentries(entry)}
    new: dict[str, int] = {}
    for subentry in bms_subentries(entry):
        serial = subentry.data.get(CONF_SERIAL_NUMBER)
        places = heard.get(serial) if serial else None
        if places and old[subentry.subentry_id] not in places:
            new[subentry.subentry_id] = min(places)
    free = sorted({old[one] for one in new} - set(new.values()))
    displaced = [one for one in old if one not in new and old[one] in set(new.values())]
    return new | dict(zip(displaced, free, strict=False))


def addresses_after(entry: ConfigEntry, found: Mapping[int, BmsState]) -> set[int]:
    """Return where the packs of an entry are once those found have moved."""
    moved = moves(entry, found)
    return {
        moved.get(subentry.subentry_id, subentry.data[CONF_ADDRESS])
        for subentry in bms_subentries(entry)
    }


@asynccontextmanager
async def paused(hass: HomeAssistant, entry: ConfigEntry | None) -> AsyncIterator[None]:
    """Take an entry off its port, and put it back whatever happens.

    It never stays away while a form waits: a browser that is closed tells nobody.
    """
    if entry is None:
        yield
        return
    # Cancelling an unload half-way would leave an entry that cannot be loaded again.
    stopping = hass.async_create_task(_async_stop(hass, entry))
    try:
        await asyncio.shield(stopping)
        yield
    finally:
        hass.async_create_task(_async_restart(hass, entry))


async def _async_stop(hass: HomeAssistant, entry: ConfigEntry) -> None:
    async with entry.setup_lock:
        pass
    if entry.state.recoverable:
        await hass.config_entries.async_unload(entry.entry_id)


async def _async_restart(hass: HomeAssistant, entry: ConfigEntry) -> None:
    async with entry.setup_lock:
        pass
    known = hass.config_entries.async_get_entry(entry.entry_id)
    if known is not None and entry.state.recoverable:
        await hass.config_entries.async_reload(entry.entry_id)
