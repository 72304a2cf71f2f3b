"""The entities of a bank."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.sensor import (
    RestoreSensor,
    SensorEntity,
    SensorExtraStoredData,
)
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .bank_coordinator import BankConfigEntry, BankCoordinator
from .bank_descriptions import (
    BANK_BINARY_SENSORS,
    BANK_SENSORS,
    BankBinarySensorDescription,
    BankDescription,
    BankSensorDescription,
)
from .const import DOMAIN
from .energy import kilowatt_hours
from .protocol.bank_state import Told
from .protocol.energy import COUNTED, Followed


class BankEntity(CoordinatorEntity[BankCoordinator]):
    """An entity that tells one value of a bank."""

    _attr_has_entity_name = True
    entity_description: BankDescription

    def __init__(
        self, coordinator: BankCoordinator, description: BankDescription
    ) -> None:
        """Tell a value; the state is written when it is another one."""
        super().__init__(coordinator)
        self.entity_description = description
        entry_id = coordinator.config_entry.entry_id
        self._attr_unique_id = f"{entry_id}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, entry_id)})
        self._shown: tuple[bool, Told] | None = None

    @property
    @override
    def suggested_object_id(self) -> str | None:
        """The end of the entity id, the same in every language."""
        return self.entity_description.key

    @property
    @override
    def available(self) -> bool:
        """Whether enough packs answer; how many do is always told."""
        return self.coordinator.data.knows(self.entity_description.datum)

    @property
    def told(self) -> Told:
        """What there is to tell."""
        return self.coordinator.data.told[self.entity_description.key]

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Which packs it is about."""
        return self.told.details

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state where it has changed."""
        shown = (self.available, self.told)
        if shown != self._shown:
            self._shown = shown
            self.async_write_ha_state()


class BankSensor(BankEntity, SensorEntity):
    """A value of a bank."""

    entity_description: BankSensorDescription

    @property
    @override
    def native_value(self) -> StateType:
        """The value in its native unit."""
        value: StateType = self.told.value
        return value


class BankBinarySensor(BankEntity, BinarySensorEntity):
    """A state of a bank."""

    entity_description: BankBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        value: bool | None = self.told.value
        return value


class BankEnergy(BankSensor, RestoreSensor):
    """Energy that went into or out of a bank since it was first looked at."""

    _resumed = False

    def __init__(
        self, coordinator: BankCoordinator, description: BankSensorDescription
    ) -> None:
        """Count for a bank; what was counted before is known once it is added."""
        super().__init__(coordinator, description)
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
            self.coordinator.resume(self._datum, kilowatt_hours(stored))

    @property
    @override
    def extra_restore_state_data(self) -> SensorExtraStoredData:
        """What to go on from: a state is rounded, and none while too few packs answer."""
        return SensorExtraStoredData(
            self.coordinator.state.account.total(self._datum),
            self.native_unit_of_measurement,
        )


def add_bank_sensors(
    entry: BankConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of a bank."""
    async_add_entities(
        (BankEnergy if description.datum in COUNTED else BankSensor)(
            entry.runtime_data, description
        )
        for description in BANK_SENSORS
    )


def add_bank_binary_sensors(
    entry: BankConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of a bank."""
    async_add_entities(
        BankBinarySensor(entry.runtime_data, description)
        for description in BANK_BINARY_SENSORS
    )
