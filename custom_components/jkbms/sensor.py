"""What a pack measures and what it is set to."""

from datetime import date, datetime, timedelta
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .bank_coordinator import BankConfigEntry, is_bank
from .bank_entity import add_bank_sensors
from .bus_entity import add_traffic_sensors
from .coordinator import BusCoordinator, JkBmsConfigEntry, Watch
from .descriptions import CLOCK_DRIFT, SENSORS, SETTINGS_DIFFER, PackSensorDescription
from .energy import PackFollowed, followed_sensor
from .entity import PackEntity, async_add_pack_entities
from .insight import PackInsight
from .pack import Pack
from .protocol.blocking import Block as CurrentBlock, Reason
from .protocol.datum import Block
from .protocol.energy import Followed
from .protocol.fields import BMS_CLOCK
from .protocol.insight import INSIGHTS
from .protocol.settings_diff import Difference

PARALLEL_UPDATES = 0

_DRIFT_STEP: Final = 2.0
"""Seconds; the BMS counts whole ones, and an answer takes a part of one."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: JkBmsConfigEntry | BankConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of all packs and of the bus, or those of a bank."""
    if is_bank(entry):
        add_bank_sensors(entry, async_add_entities)
        return
    add_traffic_sensors(entry, async_add_entities)
    await async_add_pack_entities(entry, async_add_entities, SENSORS, _create)


def _create(
    coordinator: BusCoordinator,
    pack: Pack,
    description: PackSensorDescription,
    enabled: bool,
) -> PackSensor | PackFollowed | PackInsight:
    if description.datum in INSIGHTS:
        return PackInsight(coordinator, pack, description, enabled)
    if isinstance(description.datum, Followed):
        return followed_sensor(coordinator, pack, description, enabled)
    kind: type[PackSensor] = PackSensor
    if description.datum is BMS_CLOCK:
        kind = PackClock
    elif description.datum is CLOCK_DRIFT:
        kind = PackClockDrift
    elif description.datum is SETTINGS_DIFFER:
        kind = PackSettingsDiffer
    elif isinstance(description.datum, CurrentBlock):
        kind = PackBlockReason
    return kind(coordinator, pack, description, enabled)


class PackSensor(PackEntity, SensorEntity):
    """A value of a pack."""

    entity_description: PackSensorDescription

    @property
    @override
    def native_value(self) -> StateType | date | datetime:
        """The value in its native unit."""
        shown: StateType | date | datetime
        shown = self.read() if self._shown is None else self._shown[1]
        return shown


def as_local(clock: datetime, now: datetime) -> datetime:
    """Return the reading of a clock that is set to the local time of its owner.

    In the hour that comes twice, when summer time ends, the time nearer to now is meant.
    """
    local = clock.replace(tzinfo=dt_util.get_default_time_zone())
    return min(
        (local, local.replace(fold=1)),
        key=lambda reading: abs(reading.astimezone(dt_util.UTC) - now),
    )


class PackClock(PackSensor):
    """The clock of a BMS."""

    @override
    def read(self) -> datetime | None:
        """Return the time that the BMS had when it was last read."""
        clock = self.pack.get(BMS_CLOCK)
        return None if clock is None else as_local(clock, dt_util.utcnow())


class PackClockDrift(PackSensor):
    """How far the clock of a BMS is ahead."""

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackSensorDescription,
        enabled: bool,
    ) -> None:
        """Follow the clock of a pack."""
        super().__init__(coordinator, pack, description, enabled)
        self.coordinator_context = Watch(pack.subentry_id, (BMS_CLOCK.key,))
        self._drift: float | None = None

    @override
    def read(self) -> float | None:
        """Return seconds, steady while the two clocks go alike."""
        drift = self._measured()
        if (
            drift is None
            or self._drift is None
            or abs(drift - self._drift) >= _DRIFT_STEP
        ):
            self._drift = drift
        return self._drift

    def _measured(self) -> float | None:
        state = self.pack.source(BMS_CLOCK)
        clock = None if state is None else state.get(BMS_CLOCK)
        if state is None or clock is None:
            return None
        age = timedelta(seconds=self.hass.loop.time() - state.seen[Block.LIVE])
        then = dt_util.utcnow() - age
        return round((as_local(clock, then) - then).total_seconds())


class PackSettingsDiffer(PackSensor):
    """How many settings of a pack are not those of the first pack of its bus."""

    @override
    def read(self) -> tuple[Difference, ...] | None:
        """Return in what they differ; None as long as no settings were read."""
        return self.coordinator.changes.differing.get(self.pack.subentry_id)

    @property
    @override
    def native_value(self) -> int | None:
        """How many they are."""
        found: tuple[Difference, ...] | None = self.reading
        return None if found is None else len(found)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        """Which they are: what the pack has, and what the first one has."""
        found: tuple[Difference, ...] = self.reading or ()
        return {
            "differences": {one.field.key: [one.value, one.reference] for one in found}
        }


class PackBlockReason(PackSensor):
    """Why a pack is not charged, or not discharged."""

    def __init__(
        self,
        coordinator: BusCoordinator,
        pack: Pack,
        description: PackSensorDescription,
        enabled: bool,
    ) -> None:
        """Follow all that the reason follows from, on whichever line it is told."""
        super().__init__(coordinator, pack, description, enabled)
        assert isinstance(description.datum, CurrentBlock)
        self._block = description.datum
        keys = frozenset(datum.key for datum in self._block.told_by)
        self.coordinator_context = Watch(pack.subentry_id, keys)

    @override
    def read(self) -> Reason | None:
        """Return the most telling reason."""
        return self._block.reason(self.pack.get)
