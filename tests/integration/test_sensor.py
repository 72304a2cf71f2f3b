"""What the sensors say, against what the packs on the line have in their memory."""

from collections.abc import Callable
from typing import Final

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Bank, Pack

from .bus import entity_id, state_of, until

type Read = Callable[[Pack], object]


def raw(name: str, divisor: int = 1) -> Read:
    """Read a number of a pack's memory by the simulator's own table."""
    return lambda pack: pack.number_of(name) / divisor


MEASURED: Final[dict[str, tuple[str | None, Read]]] = {
    "total_voltage": ("V", raw("pack_voltage", 1000)),
}


async def test_probe(hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry) -> None:
    for s in sorted(hass.states.async_all(), key=lambda s: s.entity_id):
        print(s.entity_id, s.state, s.attributes.get("unit_of_measurement"), s.attributes["friendly_name"])
