"""Sensors of a pack's energy over time; what was counted is not lost in a restart."""

from math import isfinite
from typing import override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorEntity,
    SensorExtraStoredData,
)

from .coordinator import BusCoordinator
from .descriptions import PackSensorDescription
from .entity import PackEntity
from .pack import Pack
from .protocol.energy import COUNTED, Followed


class PackFollowed(PackEntity, SensorEntity):
    """A value of a pack that takes more than one frame to know."""

    entity_description: PackSensorDescription

    @override
    def read(self) -> float | None:
        """Return what the frames up to now amount to."""
        return self.pack.energy.values.get(self.entity_description.key)

    @property
    @override
    def native_value(self) -> float | None:
        """The value in its native unit."""
        value: float | None = self.reading
        return value


class PackEnergy(PackFollowed, RestoreSensor):
    """Energy that went into or out of a pack since it was first seen."""

    _resumed = False

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackSensorDescription,
        enabled: bool,
    ) -> None:
        """Count for a pack; what was counted before is known once it is added."""
        super().__init__(coordinator, pack, description, enabled)
        assert isinstance(description.datum, Followed)
        self._datum = description.datum

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from what was counted before."""
        await super().async_added_to_hass()
        # Home Assistant adds an entity anew when its id is changed: that is no restart.
        if not self._resumed:
            self._resumed = True
            stored = await self.async_get_last_sensor_data()
            self.pack.energy.resume(self._datum, kilowatt_hours(stored))

    @property
    @override
    def extra_restore_state_data(self) -> SensorExtraStoredData:
        """What to go on from: a state is rounded, and none while nobody answers."""
        return SensorExtraStoredData(
            self.pack.energy.total(self._datum), self.native_unit_of_measurement
        )


def kilowatt_hours(stored: SensorExtraStoredData | None) -> float:
    """Return what is stored, 0 where that is nothing or makes no sense."""
    value = None if stored is None else stored.native_value
    if not isinstance(value, int | float) or not isfinite(value):
        return 0.0
    return max(0.0, float(value))


def followed_sensor(
    coordinator: BusCoordinator,
    pack: Pack,
    description: PackSensorDescription,
    enabled: bool,
) -> PackFollowed:
    """Return the sensor of a value over time."""
    kind = PackEnergy if description.datum in COUNTED else PackFollowed
    return kind(coordinator, pack, description, enabled)
