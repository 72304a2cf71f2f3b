"""The dashboard that builds itself: its module for the browser, and what that asks for."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.decorators import websocket_command
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
import probatio

from .bank_coordinator import is_bank
from .bank_members import packs_of
from .const import DOMAIN
from .descriptions import NUMBERS, SELECTS, SWITCHES
from .pack import Pack
from .protocol.derived import POWER
from .protocol.energy import chemistry
from .protocol.fields import BY_KEY, FIELDS
from .soundness import sound_entries
from .subentries import bms_subentries

_FOLDER: Final = Path(__file__).parent / "frontend"
_ENTRY_POINT: Final = "jkbms.js"

_OFFERED: Final = {d.key for d in (*NUMBERS, *SWITCHES, *SELECTS)}
SETTINGS: Final = {f.key: f.tier for f in FIELDS if f.key in _OFFERED}
"""The settings that have a control, in the order of the datasheet, and their tiers."""

_CELL_UVP: Final = BY_KEY["cell_uvp"]
_CELL_OVP: Final = BY_KEY["cell_ovp"]
_CELL_VOLTS: Final = {"lfp": (2.5, 3.65), "li_ion": (2.8, 4.25), "lto": (1.8, 2.8)}
"""Volts between which a cell is used, for packs that do not tell their protections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A device with what can be shown of it."""

    device_id: str
    name: str
    entities: Mapping[str, str]
    """Entity ids by key: enabled, and not hidden by the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedPack(Described):
    """A pack."""

    cell_range: tuple[float, float] | None
    """Volts from empty to full, None as long as nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedBank(Described):
    """A bank."""

    packs: list[str]
    """The device ids of its packs, of which some may be disabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that a dashboard is made of."""

    packs: list[DescribedPack] = field(default_factory=list)
    banks: list[DescribedBank] = field(default_factory=list)
    buses: list[Described] = field(default_factory=list)
    settings: list[tuple[str, str]]
    """Key and tier of each, in the order of the datasheet."""


async def async_setup_dashboard(hass: HomeAssistant) -> None:
    """Let browsers load the dashboard strategy, where there is a frontend."""
    async_register_command(hass, _websocket_describe)
    if "frontend" not in hass.config.components:
        return
    version = await hass.async_add_executor_job(_fingerprint)
    # Modules import each other relatively, so the version is part of the path: a new
    # release is loaded as a whole, and browsers may keep what they have for good.
    url = f"/{DOMAIN}_static/{version}"
    await hass.http.async_register_static_paths(
        [StaticPathConfig(url, str(_FOLDER), cache_headers=True)]
    )
    add_extra_js_url(hass, f"{url}/{_ENTRY_POINT}")


def _fingerprint() -> str:
    """Return what changes with any of the modules."""
    digest = sha256()
    for path in sorted(_FOLDER.glob("*.js")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@websocket_command({probatio.Required("type"): f"{DOMAIN}/dashboard"})
@callback
def _websocket_describe(
    hass: HomeAssistant,
    connection: ActiveConnection,
    message: dict[str, Any],
) -> None:
    """Answer with what a dashboard is made of, to anyone who is logged in."""
    connection.send_result(message["id"], asdict(describe(hass)))


@callback
def describe(hass: HomeAssistant) -> Description:
    """Return the devices that are in use, with what can be shown of them.

    Entities are known by their unique ids: entity ids and names are the user's.
    """
    description = Description(
        settings=[(key, str(tier)) for key, tier in SETTINGS.items()]
    )
    for entry in sound_entries(hass):
        packs = _running(entry)
        for owner, device in _devices(hass, entry):
            common: dict[str, Any] = {
                "device_id": device.id,
                "name": device.name_by_user or device.name or "",
                "entities": _entities(hass, device, owner),
            }
            if is_bank(entry):
                members = _members(hass, entry)
                description.banks.append(DescribedBank(**common, packs=members))
            elif owner == entry.entry_id:
                description.buses.append(Described(**common))
            else:
                cells = _cell_range(packs.get(owner))
                description.packs.append(DescribedPack(**common, cell_range=cells))
    return description


def _running(entry: ConfigEntry[Any]) -> Mapping[str, Pack]:
    """Return the packs of a bus by subentry id; none unless it is set up."""
    if is_bank(entry) or entry.state is not ConfigEntryState.LOADED:
        return {}
    packs: Mapping[str, Pack] = entry.runtime_data.packs
    return packs


def _devices(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> Iterator[tuple[str, dr.DeviceEntry]]:
    """Yield the devices of an entry that are in use, each with the id it belongs to.

    Packs are in the order of their addresses.
    """
    devices = dr.async_get(hass)
    packs = (subentry.subentry_id for subentry in bms_subentries(entry))
    for owner in chain([entry.entry_id], packs):
        device = devices.async_get_device_by_identifier(
            (DOMAIN, owner), config_entry_id=entry.entry_id
        )
        if device is not None and device.disabled_by is None:
            yield owner, device


def _entities(
    hass: HomeAssistant, device: dr.DeviceEntry, owner: str
) -> dict[str, str]:
    entries = er.async_entries_for_device(er.async_get(hass), device.id)
    return {
        entity.unique_id.removeprefix(f"{owner}_"): entity.entity_id
        for entity in entries
        if entity.platform == DOMAIN and entity.hidden_by is None
    }


def _members(hass: HomeAssistant, bank: ConfigEntry[Any]) -> list[str]:
    devices = dr.async_get(hass)
    found = (
        devices.async_get_device_by_identifier(
            (DOMAIN, pack.subentry.subentry_id), config_entry_id=pack.bus.entry_id
        )
        for pack in packs_of(hass, bank.options)
    )
    return [device.id for device in found if device is not None]


def _cell_range(pack: Pack | None) -> tuple[float, float] | None:
    """Return between which voltages the BMS lets its cells be."""
    if pack is None:
        return None
    low, high = pack.get(_CELL_UVP), pack.get(_CELL_OVP)
    if low is not None and high is not None and low < high:
        return low, high
    state = pack.source(POWER)
    cells = None if state is None else chemistry(state.values)
    return None if cells is None else _CELL_VOLTS[cells]
