"""When an alarm of a pack starts and when it is cleared, with what was measured then."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, override

from homeassistant.components.event import EventEntity, EventExtraStoredData
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.start import async_at_started

from .alarm_log import AlarmLog
from .coordinator import BusCoordinator, JkBmsConfigEntry, Watch
from .descriptions import ALARM_DATA, EVENTS, PackEventDescription
from .entity import PackEntity, async_add_pack_entities
from .pack import Pack
from .protocol.alarms import BY_KEY, severity_at
from .protocol.derived import DERIVED
from .protocol.fields import (
    CURRENT,
    MOS_TEMPERATURE,
    PROBES,
    STATE_OF_CHARGE,
    TOTAL_VOLTAGE,
)
from .protocol.fields.can import LEVEL_OF, MAX_TEMPERATURE, MIN_TEMPERATURE
from .protocol.recall import mapping

PARALLEL_UPDATES = 0

_CLEARED: Final = "cleared"
_STARTED: Final = "started"
_EXTREMES: Final = (
    "min_cell_voltage",
    "min_voltage_cell",
    "max_cell_voltage",
    "max_voltage_cell",
)
_SNAPSHOT: Final = (
    TOTAL_VOLTAGE,
    CURRENT,
    STATE_OF_CHARGE,
    *(datum for key in _EXTREMES for datum in DERIVED if datum.key == key),
    MOS_TEMPERATURE,
    *PROBES,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
)


@dataclass
class _Stored(EventExtraStoredData):
    """The last event, and what has to be known to tell the next."""

    known_alarms: dict[str, bool] = field(default_factory=dict)
    severities: dict[str, str] = field(default_factory=dict)

    @override
    def as_dict(self) -> dict[str, Any]:
        """Return plain data to store."""
        return asdict(self)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entities of all packs."""
    await async_add_pack_entities(entry, async_add_entities, EVENTS, PackAlarmEvent)


class PackAlarmEvent(PackEntity, EventEntity):
    """The last alarm of a pack that started or was cleared."""

    entity_description: PackEventDescription
    _resumed = False

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackEventDescription,
        enabled: bool,
    ) -> None:
        """Follow all alarms of a pack."""
        super().__init__(coordinator, pack, description, enabled)
        keys = frozenset(datum.key for datum in ALARM_DATA)
        self.coordinator_context = Watch(pack.subentry_id, keys)
        features = pack.features
        self._attr_event_types = [
            datum.key for datum in ALARM_DATA if features is None or features.has(datum)
        ]
        self._log = AlarmLog()
        self._severities: dict[str, str] = {}
        """How bad each active alarm was when it started: on CAN that is told by levels."""
        self._started = False

    @override
    async def async_added_to_hass(self) -> None:
        """Go on where the last run ended."""
        await super().async_added_to_hass()
        # Home Assistant adds an entity anew when its id is changed: that is no restart.
        if not self._resumed:
            self._resumed = True
            if (stored := await self.async_get_last_extra_data()) is not None:
                data = mapping(stored.as_dict())
                self._log.load(data.get("known_alarms"))
                self._severities |= {
                    key: severity
                    for key, severity in mapping(data.get("severities")).items()
                    if isinstance(key, str) and isinstance(severity, str)
                }
        # Before that there may be no automation yet that waits for an event.
        self.async_on_remove(async_at_started(self.hass, self._begin))

    @callback
    def _begin(self, hass: HomeAssistant) -> None:
        self._started = True
        # What follows on "unavailable" is no event to Home Assistant's own trigger, so
        # the state of the last run has to be written first.
        self.async_on_remove(hass.loop.call_soon(self._look).cancel)

    @override
    def read(self) -> None:
        """Return nothing: what is shown is what has happened."""

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write that the pack is back before what has happened meanwhile."""
        super()._handle_coordinator_update()
        self._look()

    def _look(self) -> None:
        """Tell of each alarm that is another than when it was last told."""
        if not (self._started and self.available):
            return
        told = {datum.key: self.pack.get(datum) for datum in ALARM_DATA}
        for key, active in self._log.transitions(told):
            if key not in self.event_types:
                self._attr_event_types = [*self.event_types, key]
            self._trigger_event(key, self._snapshot(key, active))
            self.async_write_ha_state()

    def _snapshot(self, key: str, active: bool) -> dict[str, Any]:
        alarm = BY_KEY[key]
        if active:
            level = self.pack.get(LEVEL_OF[key]) if key in LEVEL_OF else None
            self._severities[key] = severity_at(alarm, level)
            severity = self._severities[key]
        else:
            severity = self._severities.pop(key, alarm.severity)
        values = {datum.key: self.pack.get(datum) for datum in _SNAPSHOT}
        return {
            "alarm": alarm.name,
            "state": _STARTED if active else _CLEARED,
            "severity": severity,
            **{key: value for key, value in values.items() if value is not None},
        }

    @property
    @override
    def extra_restore_state_data(self) -> EventExtraStoredData:
        """The last event, and which alarms were active."""
        event = super().extra_restore_state_data
        return _Stored(
            event.last_event_type,
            event.last_event_attributes,
            self._log.known,
            self._severities,
        )
