"""What every entity of a pack shares."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import batched
from typing import Any, Final, override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .coordinator import BusCoordinator, JkBmsConfigEntry, Watch
from .descriptions import (
    PackDescription,
    PackNumberDescription,
    PackSelectDescription,
    PackSwitchDescription,
)
from .pack import Pack
from .protocol.features import Features

_BATCH: Final = 32
"""Entities added at once: 16 packs have 2000 of them, and each takes about 0.6 ms."""


class PackEntity(CoordinatorEntity[BusCoordinator]):
    """An entity that shows, or also sets, one value of one BMS."""

    _attr_has_entity_name = True
    entity_description: PackDescription

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackDescription,
        enabled: bool,
    ) -> None:
        """Show a value of a pack; it is asked for again when it has changed."""
        super().__init__(coordinator, Watch(pack.subentry_id, (description.datum.key,)))
        self.entity_description = description
        self.pack = pack
        self._attr_unique_id = f"{pack.subentry_id}_{description.key}"
        self._attr_device_info = pack.device_link
        self._attr_entity_registry_enabled_default = enabled
        self._shown: tuple[bool, Any] | None = None

    @property
    @override
    def suggested_object_id(self) -> str | None:
        """The end of the entity id: cards and shared dashboards need it in English.

        Home Assistant would take the translated name.
        """
        return self.entity_description.object_id

    @property
    @override
    def available(self) -> bool:
        """Whether this BMS answers; the others on the bus do not matter."""
        return self.pack.available

    def read(self) -> Any:
        """Return what the BMS says now, None where it does not."""
        return self.pack.get(self.entity_description.datum)

    @property
    def reading(self) -> Any:
        """What the BMS said when it last said anything else.

        Home Assistant asks for it several times while it writes one state.
        """
        return self.read() if self._shown is None else self._shown[1]

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state where it has changed."""
        shown = (self.available, self.read())
        if shown != self._shown:
            self._shown = shown
            self.async_write_ha_state()


class PackControl(PackEntity):
    """An entity that may change a setting, as soon as its owner allows it."""

    entity_description: (
        PackNumberDescription | PackSelectDescription | PackSwitchDescription
    )

    @property
    @override
    def available(self) -> bool:
        """Whether the setting can be changed now; its read-only twin shows it always."""
        allowed = self.coordinator.allows(self.entity_description.datum)
        if not (allowed and super().available):
            return False
        writer = self.coordinator.writer(self.pack)
        return writer is not None and writer.station.available


async def async_add_pack_entities[DescriptionT: PackDescription](
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Iterable[DescriptionT],
    create: Callable[[BusCoordinator, Pack, DescriptionT, bool], Entity],
) -> None:
    """Create what each pack has, now or as soon as it is known, and never twice."""
    coordinator = entry.runtime_data

    def is_offered(pack: Pack, description: DescriptionT) -> bool:
        if description.control:
            return coordinator.sets(pack)
        return coordinator.delivers(pack, description.datum)

    def is_had(description: DescriptionT, features: Features) -> bool:
        if description.control and not coordinator.takes(description.datum, features):
            return False
        return description.fits(features)

    async def add_new(pack: Pack, missing: list[DescriptionT]) -> None:
        features = pack.features
        if features is None:
            return
        new = [d for d in missing if is_had(d, features)]
        had = {description.key for description in new}
        missing[:] = [d for d in missing if d.key not in had]
        for batch in batched(new, _BATCH, strict=False):
            async_add_entities(
                [create(coordinator, pack, d, d.enabled(features)) for d in batch],
                config_subentry_id=pack.subentry_id,
            )
            await asyncio.sleep(0)

    @callback
    def add_later(pack: Pack, missing: list[DescriptionT]) -> None:
        entry.async_create_task(coordinator.hass, add_new(pack, missing))

    for pack in coordinator.packs.values():
        missing = [d for d in descriptions if is_offered(pack, d)]
        entry.async_on_unload(pack.async_on_features(partial(add_later, pack, missing)))
        await add_new(pack, missing)
