"""The entities that tell of a bus, and of how well each pack is heard on it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.sensor import SensorEntity
from homeassistant.components.switch import SwitchEntity
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .bus_descriptions import (
    CONNECTION,
    HEALTH,
    INVERTER_SENSORS,
    MODE,
    TRAFFIC_BINARY_SENSORS,
    TRAFFIC_SENSORS,
    TRAFFIC_SWITCHES,
    TrafficBinarySensorDescription,
    TrafficDescription,
    TrafficSensorDescription,
    TrafficSwitchDescription,
)
from .const import DOMAIN
from .coordinator import BusCoordinator, JkBmsConfigEntry
from .pack import Pack
from .protocol.master import Master
from .protocol.ttl.machine import TtlMaster
from .transport.health import Kind


class TrafficEntity(Entity):
    """An entity that is there as long as its bus is set up: silence is an answer here."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    entity_description: TrafficDescription

    def __init__(
        self, bus: BusCoordinator, description: TrafficDescription, pack: Pack | None
    ) -> None:
        """Tell of a bus, or of one pack on it."""
        self.entity_description = description
        self.bus = bus
        self.pack = pack
        if pack is None:
            owner = bus.config_entry.entry_id
            self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, owner)})
        else:
            owner = pack.subentry_id
            self._attr_device_info = pack.device_link
        self._attr_unique_id = f"{owner}_{description.key}"
        self._shown: Any = None

    @property
    @override
    def suggested_object_id(self) -> str | None:
        """The end of the entity id, the same in every language."""
        return self.entity_description.key

    @property
    def reading(self) -> Any:
        """What was counted last, a minute ago at most."""
        key = self.entity_description.key
        if self.pack is None:
            return self.bus.watch.counts.get(key)
        return self.bus.watch.pack_counts.get(self.pack.subentry_id, {}).get(key)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the bus."""
        self.async_on_remove(self.bus.watch.async_listen(self._look))
        # When the line goes, and when it is back.
        self.async_on_remove(self.bus.async_add_listener(self._look))
        self._shown = self._showing()

    def _showing(self) -> Any:
        return self.reading, self.extra_state_attributes

    @callback
    def _look(self) -> None:
        """Write the state where it has changed."""
        if (shown := self._showing()) != self._shown:
            self._shown = shown
            self.async_write_ha_state()


class TrafficSensor(TrafficEntity, SensorEntity):
    """A counter, or a time."""

    entity_description: TrafficSensorDescription

    @property
    @override
    def native_value(self) -> Any:
        """The value in its native unit."""
        return self.reading


class _InverterEntity(TrafficEntity):
    """An entity that tells how it stands with an inverter."""

    @property
    @override
    def reading(self) -> Any:
        """What is so now."""
        assert self.bus.inverter is not None
        return self.bus.inverter.readings.get(self.entity_description.key)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """What belongs to it."""
        assert self.bus.inverter is not None
        return self.bus.inverter.details.get(self.entity_description.key, {})

    @override
    async def async_added_to_hass(self) -> None:
        """Follow what is told."""
        assert self.bus.inverter is not None
        await super().async_added_to_hass()
        self.async_on_remove(self.bus.inverter.async_listen(self._look))


class InverterSensor(_InverterEntity, TrafficSensor):
    """What an inverter is told, and why."""


class BusHealthSensor(TrafficSensor):
    """How it stands with the bus."""

    @property
    @override
    def reading(self) -> str:
        """The state of the bus."""
        return self.bus.watch.health

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """What Repairs tells of."""
        return {"troubles": sorted(self.bus.watch.troubles)}


class BusModeSensor(TrafficSensor):
    """What Home Assistant does on the bus."""

    @property
    @override
    def reading(self) -> str:
        """What the entry says, unless another master came."""
        if (
            isinstance(self.bus.machine, Master | TtlMaster)
            and self.bus.machine.yielded
        ):
            return "conflict"
        return self.bus.watch.kind


class InverterBinarySensor(_InverterEntity, BinarySensorEntity):
    """Whether an inverter is heard."""

    entity_description: TrafficBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is so; unknown while it was never heard."""
        value: bool | None = self.reading
        return value


class TrafficBinarySensor(TrafficEntity, BinarySensorEntity):
    """Whether the line is open, or another master speaks."""

    entity_description: TrafficBinarySensorDescription

    @property
    @override
    def reading(self) -> bool:
        """Whether it is so."""
        if self.entity_description is CONNECTION:
            return self.bus.last_update_success
        return (
            isinstance(self.bus.machine, Master | TtlMaster)
            and self.bus.machine.yielded
        )

    @property
    @override
    def is_on(self) -> bool:
        """Whether it is so."""
        return self.reading


class ConnectionSwitch(TrafficEntity, SwitchEntity):
    """Whether Home Assistant holds the one connection that a pack allows."""

    entity_description: TrafficSwitchDescription

    @property
    @override
    def reading(self) -> bool:
        """Whether it is wanted."""
        return self.bus.port is not None and not self.bus.port.released

    @property
    @override
    def is_on(self) -> bool:
        """Whether it is wanted."""
        return self.reading

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Connect."""
        self.bus.async_connect(True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Disconnect, so that the phone app can connect."""
        self.bus.async_connect(False)


def _delivers(bus: BusCoordinator, pack: Pack | None, kinds: frozenset[Kind]) -> bool:
    """Tell whether there is something to tell; a control line is asked."""
    controlled = pack is not None and pack.control is not None
    return bus.watch.kind in kinds or (controlled and Kind.ASKING in kinds)


def _add[DescriptionT: TrafficDescription](
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    descriptions: Iterable[DescriptionT],
    create: Callable[[BusCoordinator, DescriptionT, Pack | None], Entity],
) -> None:
    bus = entry.runtime_data
    table = tuple(descriptions)
    async_add_entities(
        create(bus, description, None)
        for description in table
        if not description.of_pack
        and (bus.inverter is not None or not description.of_inverter)
        and _delivers(bus, None, description.kinds)
    )
    told: set[str] = set()

    @callback
    def add_known() -> None:
        """Add those of packs that are known, each once."""
        for pack in bus.packs.values():
            if pack.features is None or pack.subentry_id in told:
                continue
            told.add(pack.subentry_id)
            async_add_entities(
                [
                    create(bus, description, pack)
                    for description in table
                    if description.of_pack and _delivers(bus, pack, description.kinds)
                ],
                config_subentry_id=pack.subentry_id,
            )

    add_known()
    for pack in bus.packs.values():
        entry.async_on_unload(pack.async_on_features(add_known))


def _sensor(
    bus: BusCoordinator, description: TrafficSensorDescription, pack: Pack | None
) -> TrafficSensor:
    kind: type[TrafficSensor] = TrafficSensor
    if description.of_inverter:
        kind = InverterSensor
    elif description is HEALTH:
        kind = BusHealthSensor
    elif description is MODE:
        kind = BusModeSensor
    return kind(bus, description, pack)


def _binary_sensor(
    bus: BusCoordinator,
    description: TrafficBinarySensorDescription,
    pack: Pack | None,
) -> InverterBinarySensor | TrafficBinarySensor:
    kind = InverterBinarySensor if description.of_inverter else TrafficBinarySensor
    return kind(bus, description, pack)


def add_traffic_sensors(
    entry: JkBmsConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors of a bus, and those of the traffic of its packs."""
    table = (*TRAFFIC_SENSORS, *INVERTER_SENSORS)
    _add(entry, async_add_entities, table, _sensor)


def add_traffic_binary_sensors(
    entry: JkBmsConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the binary sensors of a bus."""
    _add(entry, async_add_entities, TRAFFIC_BINARY_SENSORS, _binary_sensor)


def _switch(
    bus: BusCoordinator, description: TrafficSwitchDescription, pack: Pack | None
) -> ConnectionSwitch:
    return ConnectionSwitch(bus, description, pack)


def add_traffic_switches(
    entry: JkBmsConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the switches of a bus."""
    _add(entry, async_add_entities, TRAFFIC_SWITCHES, _switch)
