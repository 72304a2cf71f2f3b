"""Which settings the owner of a bus allows to be changed, by the harm that they can do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from homeassistant.core import HomeAssistant

from .const import CONF_WRITE_TIER
from .protocol.datum import Tier
from .protocol.fields import FIELDS
from .wording import name_of


class WriteTier(StrEnum):
    """How far the owner of a bus goes."""

    OFF = "off"
    EVERYDAY = "everyday"
    PROTECTION = "protection"


_OPENED: Final[dict[WriteTier, frozenset[Tier]]] = {
    WriteTier.OFF: frozenset(),
    WriteTier.EVERYDAY: frozenset({Tier.EVERYDAY}),
    WriteTier.PROTECTION: frozenset({Tier.EVERYDAY, Tier.PROTECTION}),
}


def allows(allowed: WriteTier, tier: Tier) -> bool:
    """Tell whether settings of a tier may be changed; what is a danger never by a choice for all."""
    return tier in _OPENED[allowed]


def allowed_by(options: Mapping[str, Any]) -> WriteTier:
    """Return what the owner of a bus allows by its options; nothing until it is chosen."""
    return WriteTier(options.get(CONF_WRITE_TIER, WriteTier.OFF))


def names_of(hass: HomeAssistant, tier: Tier) -> list[str]:
    """Return the names of the settings of a tier that can be changed, one of all alike."""
    fields = (f for f in FIELDS if f.writable and f.tier is tier)
    return list(dict.fromkeys(name_of(hass, field, number="n") for field in fields))
