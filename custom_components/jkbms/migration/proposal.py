"""Which old entities seem to be which of ours, by their names: only ever proposed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
import re
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..pack_targets import Target
from .history import async_recorded_ids
from .names import Match, Predecessor, match

_NUMBER: Final = re.compile(r"(\d+)(?:_master)?$")
_PLATFORMS: Final = ("sensor", "binary_sensor", "number", "select", "switch")


@dataclass(slots=True, kw_only=True)
class Source:
    """The old entities of one device, and the pack that they seem to be of."""

    predecessor: str
    prefix: str
    pack: str | None = None
    device_id: str | None = None
    entities: dict[str, str] = field(default_factory=dict)
    """Ours by old ids."""
    left: list[str] = field(default_factory=list)
    """Old ids without a counterpart, or whose pack is not known."""


async def async_propose(
    hass: HomeAssistant, packs: list[Target], prefix: str | None
) -> list[Source]:
    """Return which entities could take over which old ids, device by device.

    With one pack and a prefix these belong together; else the number in a prefix is the
    address of the pack, and a single device belongs to a single pack.
    """
    groups = _groups(hass, await async_recorded_ids(hass))
    if prefix is not None:
        groups = {key: one for key, one in groups.items() if key[1] == prefix}
    sources = []
    for (_, found), matches in sorted(groups.items(), key=lambda one: one[0][1]):
        pack = _pack(packs, found, alone=len(groups) == 1)
        sources.append(_source(hass, found, matches, pack))
    return sources


type _Matches = list[tuple[str, Match]]


def _groups(
    hass: HomeAssistant, recorded: Iterable[str]
) -> dict[tuple[str, str], _Matches]:
    """Return old entities by predecessor and prefix; of several that fit the best one."""
    groups: dict[tuple[str, str], _Matches] = defaultdict(list)
    predecessors: dict[str, Predecessor] = {}
    for entity_id, entry in _candidates(hass, recorded):
        for one in match(entity_id, entry):
            predecessors[one.predecessor.name] = one.predecessor
            groups[one.predecessor.name, one.prefix].append((entity_id, one))
    best: dict[str, str] = {}
    for (name, prefix), matches in groups.items():
        rival = groups.get((best.get(prefix, ""), prefix), [])
        if len(matches) >= predecessors[name].fewest and len(matches) > len(rival):
            best[prefix] = name
    return {(name, prefix): groups[name, prefix] for prefix, name in best.items()}


def _candidates(
    hass: HomeAssistant, recorded: Iterable[str]
) -> Iterator[tuple[str, er.RegistryEntry | None]]:
    entities = er.async_get(hass).entities
    for entity_id, entry in entities.items():
        if entry.platform != DOMAIN and entry.domain in _PLATFORMS:
            yield entity_id, entry
    for entity_id in recorded:
        if entity_id not in entities and entity_id.partition(".")[0] in _PLATFORMS:
            yield entity_id, None


def _pack(packs: list[Target], prefix: str, *, alone: bool) -> Target | None:
    if alone and len(packs) == 1:
        return packs[0]
    number = _NUMBER.search(prefix)
    address = 0 if number is None and prefix.endswith("master") else None
    if number is not None:
        address = int(number[1])
    fitting = [one for one in packs if one.pack.address == address]
    return fitting[0] if len(fitting) == 1 else None


def _source(
    hass: HomeAssistant, prefix: str, matches: _Matches, pack: Target | None
) -> Source:
    source = Source(predecessor=matches[0][1].predecessor.name, prefix=prefix)
    if pack is not None:
        source.pack, source.device_id = pack.pack.name, pack.device_id
    ours = {} if pack is None else _entities(hass, pack)
    for entity_id, one in sorted(matches, key=lambda found: found[0]):
        domain = entity_id.partition(".")[0]
        new = ours.get((domain, one.key)) or ours.get((domain, f"{one.key}_set"))
        if new is None or new in source.entities.values():
            source.left.append(entity_id)
        else:
            source.entities[entity_id] = new
    return source


def _entities(hass: HomeAssistant, pack: Target) -> dict[tuple[str, Any], str]:
    """Return the entities of a pack by platform and key."""
    prefix = f"{pack.pack.subentry_id}_"
    return {
        (entry.domain, entry.unique_id.removeprefix(prefix)): entry.entity_id
        for entry in er.async_get(hass).entities.values()
        if entry.platform == DOMAIN and entry.unique_id.startswith(prefix)
    }
