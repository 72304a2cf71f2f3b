"""What a pack is doing, whether it answers, and which switches are on."""

from typing import override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import JkBmsConfigEntry
from .descriptions import (
    BINARY_SENSORS,
    ONLINE,
    PackBinarySensorDescription,
    binary_sensor_description,
)
from .entity import PackEntity, async_add_pack_entities

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of all packs."""
    coordinator = entry.runtime_data
    online = binary_sensor_description(ONLINE)
    for pack in coordinator.packs.values():
        # Of a pack that was never heard, this is all there is to say.
        async_add_entities(
            [PackOnline(coordinator, pack, online, ONLINE.enabled)],
            config_subentry_id=pack.subentry_id,
        )
    await async_add_pack_entities(
        entry,
        async_add_entities,
        [
            description
            for description in BINARY_SENSORS
            if description.key != online.key
        ],
        PackBinarySensor,
    )


class PackBinarySensor(PackEntity, BinarySensorEntity):
    """A state of a pack."""

    entity_description: PackBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        value: bool | None = self.reading
        return value


class PackOnline(PackBinarySensor):
    """Whether a pack answers."""

    @property
    @override
    def available(self) -> bool:
        """Always: silence is an answer here."""
        return True

    @property
    @override
    def reading(self) -> bool:
        """Whether the pack has answered lately."""
        return self.pack.available
