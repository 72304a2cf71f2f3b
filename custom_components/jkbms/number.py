"""The settings of a pack that are numbers."""

from typing import override

from homeassistant.components.number import NumberEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import JkBmsConfigEntry
from .descriptions import NUMBERS, PackNumberDescription
from .entity import PackControl, async_add_pack_entities

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the numbers of all packs that can be asked."""
    await async_add_pack_entities(entry, async_add_entities, NUMBERS, PackNumber)


class PackNumber(PackControl, NumberEntity):
    """A setting that is a number."""

    entity_description: PackNumberDescription

    @property
    @override
    def native_value(self) -> float | None:
        """What the BMS is set to, also where no range of ours would allow it."""
        value: float | None = self.reading
        return value

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Set it, and return when the BMS says so itself."""
        await self.coordinator.async_write(
            self.pack.subentry_id, self.entity_description.datum, value, self._context
        )
