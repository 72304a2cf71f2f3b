"""What can be asked of a pack beside its settings."""

from typing import override

from homeassistant.components.button import ButtonEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import BusCoordinator, JkBmsConfigEntry
from .descriptions import BUTTONS, SYNC_CLOCK, PackButtonDescription
from .entity import PackEntity, async_add_pack_entities
from .pack import Pack
from .pack_actions import asked_at, may_set_clock

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons of all packs that can be asked."""
    await async_add_pack_entities(entry, async_add_entities, BUTTONS, _create)


def _create(
    coordinator: BusCoordinator,
    pack: Pack,
    description: PackButtonDescription,
    enabled: bool,
) -> PackButton:
    kind = PackClockSetter if description is SYNC_CLOCK else PackRefresher
    return kind(coordinator, pack, description, enabled)


class PackButton(PackEntity, ButtonEntity):
    """Something to ask of a pack."""

    entity_description: PackButtonDescription

    @property
    @override
    def available(self) -> bool:
        """Whether the pack can be asked now."""
        return super().available and asked_at(self.coordinator, self.pack) is not None

    @override
    def read(self) -> None:
        """Return nothing: a button shows no value of the BMS."""


class PackRefresher(PackButton):
    """Reads the settings and the device information of a pack now."""

    @override
    async def async_press(self) -> None:
        """Ask for them; what has changed shows as soon as it is told."""
        await self.coordinator.async_refresh_settings(self.pack.subentry_id)


class PackClockSetter(PackButton):
    """Sets the clock of a pack to the local time of Home Assistant."""

    @property
    @override
    def available(self) -> bool:
        """Whether the clock can be set now."""
        return may_set_clock(self.coordinator) and super().available

    @override
    async def async_press(self) -> None:
        """Set it, and return when the BMS says so itself."""
        await self.coordinator.async_sync_clock(self.pack.subentry_id, self._context)
