"""Sensors of a pack's energy over time; what was counted is not lost in a restart."""

from typing import Final, override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorEntity,
    SensorExtraStoredData,
)
from homeassistant.helpers.restore_state import ExtraStoredData

from .coordinator import BusCoordinator
from .descriptions import PackSensorDescription
from .entity import PackEntity
from .pack import Pack
from .protocol.energy import COUNTED, Followed
from .protocol.recall import mapping, number_in

_MOST: Final = 1e7
"""kWh that go through a pack, or a bank, in its life at most."""


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
            stored = await self.async_get_last_extra_data()
            self.pack.energy.resume(self._datum, kilowatt_hours(stored))

    @property
    @override
    def extra_restore_state_data(self) -> SensorExtraStoredData:
        """What to go on from: a state is rounded, and none while nobody answers."""
        return SensorExtraStoredData(
            self.pack.energy.total(self._datum), self.native_unit_of_measurement
        )


def kilowatt_hours(stored: ExtraStoredData | None) -> float:
    """Return what is stored, 0 where that is nothing or makes no sense."""
    data = mapping(None if stored is None else stored.as_dict())
    return number_in(data.get("native_value"), 0.0, _MOST) or 0.0


def followed_sensor(
    coordinator: BusCoordinator,
    pack: Pack,
    description: PackSensorDescription,
    enabled: bool,
) -> PackFollowed:
    """Return the sensor of a value over time."""
    kind = PackEnergy if description.datum in COUNTED else PackFollowed
    return kind(coordinator, pack, description, enabled)
