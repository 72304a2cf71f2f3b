"""The settings of a pack that are on or off."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bus_entity import add_traffic_switches
from .coordinator import JkBmsConfigEntry
from .descriptions import SWITCHES, PackSwitchDescription
from .entity import PackControl, async_add_pack_entities

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches of all packs that can be asked, and of their bus."""
    add_traffic_switches(entry, async_add_entities)
    await async_add_pack_entities(entry, async_add_entities, SWITCHES, PackSwitch)


class PackSwitch(PackControl, SwitchEntity):
    """A setting that is on or off."""

    entity_description: PackSwitchDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """What the BMS is set to."""
        value: bool | None = self.reading
        return value

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Switch it on, and return when the BMS says so itself."""
        await self._async_write(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Switch it off, and return when the BMS says so itself."""
        await self._async_write(False)

    async def _async_write(self, value: bool) -> None:
        await self.coordinator.async_write(
            self.pack.subentry_id, self.entity_description.datum, value, self._context
        )
