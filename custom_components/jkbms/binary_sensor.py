"""What a pack is doing, whether it answers, which switches are on, what it warns of."""

from typing import Any, Final, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import RestoreEntity
from homeassistant.util import dt as dt_util

from .alarm_log import Activity
from .bank_coordinator import BankConfigEntry, is_bank
from .bank_entity import add_bank_binary_sensors
from .bus_entity import add_traffic_binary_sensors
from .coordinator import BusCoordinator, JkBmsConfigEntry, Watch
from .descriptions import (
    BINARY_SENSORS,
    ONLINE,
    PackBinarySensorDescription,
    binary_sensor_description,
)
from .entity import PackEntity, async_add_pack_entities
from .pack import Pack
from .protocol.alarms import BY_KEY, LEVELS, severity_at
from .protocol.fields import PROBES, SENSOR_PRESENCE
from .protocol.fields.can import LEVEL_OF

PARALLEL_UPDATES = 0

_PROBE_ALARM: Final = "alarm_temperature_sensor"
_PRESENCE_BITS: Final = {
    int(probe.key.removeprefix("temperature_sensor_")): probe for probe in PROBES
}
"""Which bit of the presence mask is which probe: bit 1 is T1 (rs485.md 2.6)."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry | BankConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of all packs and of the bus, or those of a bank."""
    if is_bank(entry):
        add_bank_binary_sensors(entry, async_add_entities)
        return
    add_traffic_binary_sensors(entry, async_add_entities)
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
        _create,
    )


def _create(
    coordinator: BusCoordinator,
    pack: Pack,
    description: PackBinarySensorDescription,
    enabled: bool,
) -> PackBinarySensor:
    is_alarm = description.key in BY_KEY
    kind = PackAlarm if is_alarm else PackBinarySensor
    return kind(coordinator, pack, description, enabled)


class PackBinarySensor(PackEntity, BinarySensorEntity):
    """A state of a pack."""

    entity_description: PackBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so."""
        value: bool | None = self.reading
        return value


class PackAlarm(PackBinarySensor, RestoreEntity):
    """Whether an alarm is active, since when, and how often it has become so."""

    _resumed = False

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackBinarySensorDescription,
        enabled: bool,
    ) -> None:
        """Follow an alarm and what details of it are told."""
        super().__init__(coordinator, pack, description, enabled)
        key = description.key
        self._level = LEVEL_OF.get(key)
        keys = {key}
        if self._level is not None:
            keys.add(self._level.key)
        if key == _PROBE_ALARM:
            keys.add(SENSOR_PRESENCE.key)
        self.coordinator_context = Watch(pack.subentry_id, frozenset(keys))
        self._activity = Activity()
        self._details: dict[str, Any] = {}

    @override
    async def async_added_to_hass(self) -> None:
        """Go on where the last run ended."""
        await super().async_added_to_hass()
        # Home Assistant adds an entity anew when its id is changed: that is no restart.
        if not self._resumed:
            self._resumed = True
            if (stored := await self.async_get_last_extra_data()) is not None:
                self._activity = Activity.load(stored.as_dict())
        self._look()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state where anything shown has changed."""
        details = self._details
        self._look()
        if self._details != details:
            self._shown = None
        super()._handle_coordinator_update()

    def _look(self) -> None:
        """Take note of what is told; a pack that is away tells nothing."""
        if not self.available:
            return
        if (active := self.read()) is not None:
            self._activity.note(active, dt_util.utcnow())
        self._details = self._told_details()

    def _told_details(self) -> dict[str, Any]:
        key = self.entity_description.key
        level = None if self._level is None else self.pack.get(self._level)
        details: dict[str, Any] = {"severity": severity_at(BY_KEY[key], level)}
        if level not in (None, LEVELS[0]):
            details["level"] = level
        if key == _PROBE_ALARM:
            details["missing_sensors"] = self._missing_sensors()
        return details

    def _missing_sensors(self) -> list[str]:
        """Name the probes of this pack that the BMS does not find."""
        mask, features = self.pack.get(SENSOR_PRESENCE), self.pack.features
        fitted = () if mask is None or features is None else features.probes
        return [
            f"T{bit}"
            for bit, probe in _PRESENCE_BITS.items()
            if probe.key in fitted and not int(mask or 0) >> bit & 1
        ]

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """What changes only when the alarm does."""
        return {
            **self._details,
            "since": self._activity.since,
            "count": self._activity.count,
        }

    @property
    @override
    def extra_restore_state_data(self) -> Activity:
        """What has to be known to go on counting."""
        return self._activity


class PackOnline(PackBinarySensor):
    """Whether a pack answers."""

    @property
    @override
    def available(self) -> bool:
        """Always: silence is an answer here."""
        return True

    @override
    def read(self) -> bool:
        """Return whether the pack has answered lately."""
        return self.pack.available
