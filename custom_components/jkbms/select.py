"""The settings of a pack that are a choice."""

from typing import override

from homeassistant.components.select import SelectEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import JkBmsConfigEntry
from .descriptions import SELECTS, PackSelectDescription
from .entity import PackControl, async_add_pack_entities

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the choices of all packs that can be asked."""
    await async_add_pack_entities(entry, async_add_entities, SELECTS, PackSelect)


class PackSelect(PackControl, SelectEntity):
    """A setting that is a choice."""

    entity_description: PackSelectDescription

    @property
    @override
    def current_option(self) -> str | None:
        """What the BMS is set to; None where it is nothing that is known."""
        option: str | None = self.reading
        return option

    @override
    async def async_select_option(self, option: str) -> None:
        """Set it, and return when the BMS says so itself."""
        await self.coordinator.async_write(
            self.pack.subentry_id, self.entity_description.datum, option, self._context
        )
