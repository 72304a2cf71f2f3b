"""Entities in the usual pattern: one coordinator, and each of them writes its state."""

from collections.abc import Iterable
from dataclasses import dataclass
import logging
from typing import Any, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.sensor import SensorEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
)
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockEntityPlatform,
)

from custom_components.jkbms.descriptions import PackDescription

_LOGGER = logging.getLogger(__name__)
_DOMAIN = "stock"

type Place = tuple[str, str]
"""Pack and key of a value."""
type Values = dict[Place, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entity that is to be there."""

    platform: Platform
    pack: str
    description: PackDescription
    enabled: bool = True

    @property
    def place(self) -> Place:
        """Where its value is."""
        return self.pack, self.description.datum.key


class StockEntity(CoordinatorEntity[DataUpdateCoordinator[Values]]):
    """An entity of a pack, with the least that Home Assistant wants of it."""

    def __init__(
        self, coordinator: DataUpdateCoordinator[Values], wanted: Wanted
    ) -> None:
        """Show a value of the coordinator's data."""
        super().__init__(coordinator)
        self.entity_description = wanted.description
        self.place = wanted.place
        """What it shows."""
        self._attr_name = wanted.description.label
        self._attr_unique_id = f"{wanted.pack}_{wanted.description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(_DOMAIN, wanted.pack)}, name=wanted.pack
        )
        self._attr_entity_registry_enabled_default = wanted.enabled


class _StockSensor(StockEntity, SensorEntity):
    """A value of a pack."""

    @property
    @override
    def native_value(self) -> Any:
        return self.coordinator.data[self.place]


class _StockBinarySensor(StockEntity, BinarySensorEntity):
    """A state of a pack."""

    @property
    @override
    def is_on(self) -> bool:
        return bool(self.coordinator.data[self.place])


class _StockControl(StockEntity):
    """A setting of a pack."""

    @property
    @override
    def state(self) -> str:
        return str(self.coordinator.data[self.place])


_KINDS = {
    Platform.SENSOR: _StockSensor,
    Platform.BINARY_SENSOR: _StockBinarySensor,
}


async def add_stock(
    hass: HomeAssistant, wanted: Iterable[Wanted], values: Values
) -> tuple[DataUpdateCoordinator[Values], list[StockEntity]]:
    """Add entities that show these values; return what wakes them, and them."""
    entry = MockConfigEntry(domain=_DOMAIN)
    entry.add_to_hass(hass)
    coordinator = DataUpdateCoordinator[Values](
        hass, _LOGGER, config_entry=entry, name=_DOMAIN
    )
    coordinator.data = values
    by_platform: dict[Platform, list[StockEntity]] = {}
    for one in wanted:
        entity = _KINDS.get(one.platform, _StockControl)(coordinator, one)
        by_platform.setdefault(one.platform, []).append(entity)
    for domain, entities in by_platform.items():
        platform = MockEntityPlatform(hass, domain=domain, platform_name=_DOMAIN)
        platform.config_entry = entry
        await platform.async_add_entities(entities)
    return coordinator, [one for added in by_platform.values() for one in added]
