"""Which packs an action is for, by their devices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr

from .bank_members import bus_entries
from .const import DOMAIN
from .errors import refusal

if TYPE_CHECKING:
    from .coordinator import BusCoordinator
    from .pack import Pack


@dataclass(frozen=True, slots=True)
class Target:
    """A pack that an action is for."""

    device_id: str
    bus: BusCoordinator
    pack: Pack


def all_targets(hass: HomeAssistant) -> Iterator[Target]:
    """Yield the packs of all buses that are running."""
    registry = dr.async_get(hass)
    for entry in bus_entries(hass):
        if entry.state is not ConfigEntryState.LOADED:
            continue
        bus: BusCoordinator = entry.runtime_data
        for pack in bus.packs.values():
            device = registry.async_get_device_by_identifier(
                (DOMAIN, pack.subentry_id), entry.entry_id
            )
            if device is not None:
                yield Target(device.id, bus, pack)


def targets(hass: HomeAssistant, device_ids: Iterable[str]) -> list[Target]:
    """Return the packs behind devices; raises ServiceValidationError where one is none."""
    known = {target.device_id: target for target in all_targets(hass)}
    return [_target(hass, known, device_id) for device_id in dict.fromkeys(device_ids)]


def _target(hass: HomeAssistant, known: dict[str, Target], device_id: str) -> Target:
    if device_id in known:
        return known[device_id]
    device = dr.async_get(hass).async_get(device_id)
    name = device_id if device is None else device.name_by_user or device.name
    entries = () if device is None else device.config_entries
    stopped = any(
        entry is not None
        and entry.domain == DOMAIN
        and entry.state is not ConfigEntryState.LOADED
        for entry in map(hass.config_entries.async_get_entry, entries)
    )
    raise refusal("pack_not_running" if stopped else "no_pack", device=str(name))
