"""What the values of a BMS are in Home Assistant: platform, class, unit, category."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.components.binary_sensor import BinarySensorEntityDescription
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.button import ButtonEntityDescription
from homeassistant.components.event import EventEntityDescription
from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.components.select import SelectEntityDescription
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.components.switch import SwitchEntityDescription
from homeassistant.const import (
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfRatio,
    UnitOfTemperature,
    UnitOfTime,
)
from homeassistant.helpers.entity import EntityDescription

from .protocol.blocking import BLOCKS, Block
from .protocol.datum import Datum, Field, Firmware, Quantity, Role
from .protocol.derived import ALARM_STATES, DERIVED, PROBLEM
from .protocol.features import Features
from .protocol.fields import CAN, FIELDS, TTL, V11
from .protocol.fields.can import CAN_ALARMS
from .protocol.fields.ttl import TTL_ALARMS
from .protocol.insight import OVER_TIME

_AMPERE_HOUR: Final = "Ah"
_MILLIOHM: Final = "mΩ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a quantity is to Home Assistant."""

    sensor: SensorDeviceClass | None = None
    number: NumberDeviceClass | None = None
    binary: BinarySensorDeviceClass | None = None
    is_binary: bool = False
    unit: str | None = None
    shown_in: str | None = None
    """The unit a person would rather read."""
    state_class: SensorStateClass | None = None
    precision: int | None = None


_MEASUREMENT: Final = SensorStateClass.MEASUREMENT
_RISING: Final = SensorStateClass.TOTAL_INCREASING


def _voltage(precision: int) -> Meaning:
    return Meaning(
        sensor=SensorDeviceClass.VOLTAGE,
        number=NumberDeviceClass.VOLTAGE,
        unit=UnitOfElectricPotential.VOLT,
        state_class=_MEASUREMENT,
        precision=precision,
    )


def _duration(unit: UnitOfTime, precision: int = 0) -> Meaning:
    return Meaning(
        sensor=SensorDeviceClass.DURATION,
        number=NumberDeviceClass.DURATION,
        unit=unit,
        state_class=_MEASUREMENT,
        precision=precision,
    )


def _flag(device_class: BinarySensorDeviceClass | None = None) -> Meaning:
    return Meaning(binary=device_class, is_binary=True)


MEANING: Final[dict[Quantity, Meaning]] = {
    Quantity.PACK_VOLTAGE: _voltage(2),
    Quantity.CELL_VOLTAGE: _voltage(3),
    Quantity.CURRENT: Meaning(
        sensor=SensorDeviceClass.CURRENT,
        number=NumberDeviceClass.CURRENT,
        unit=UnitOfElectricCurrent.AMPERE,
        state_class=_MEASUREMENT,
        precision=2,
    ),
    Quantity.POWER: Meaning(
        sensor=SensorDeviceClass.POWER,
        number=NumberDeviceClass.POWER,
        unit=UnitOfPower.WATT,
        state_class=_MEASUREMENT,
        precision=0,
    ),
    Quantity.ENERGY: Meaning(
        sensor=SensorDeviceClass.ENERGY,
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=_RISING,
        precision=2,
    ),
    Quantity.ENERGY_STORED: Meaning(
        sensor=SensorDeviceClass.ENERGY_STORAGE,
        unit=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=_MEASUREMENT,
        precision=2,
    ),
    Quantity.TEMPERATURE: Meaning(
        sensor=SensorDeviceClass.TEMPERATURE,
        number=NumberDeviceClass.TEMPERATURE,
        unit=UnitOfTemperature.CELSIUS,
        state_class=_MEASUREMENT,
        precision=1,
    ),
    # The one battery class of a pack: Home Assistant takes it for the device's battery.
    Quantity.STATE_OF_CHARGE: Meaning(
        sensor=SensorDeviceClass.BATTERY,
        unit=UnitOfRatio.PERCENTAGE,
        state_class=_MEASUREMENT,
        precision=0,
    ),
    Quantity.PERCENTAGE: Meaning(
        unit=UnitOfRatio.PERCENTAGE, state_class=_MEASUREMENT, precision=0
    ),
    Quantity.CHARGE: Meaning(unit=_AMPERE_HOUR, state_class=_MEASUREMENT, precision=1),
    Quantity.CHARGE_THROUGHPUT: Meaning(
        unit=_AMPERE_HOUR, state_class=_RISING, precision=0
    ),
    Quantity.RESISTANCE: Meaning(unit=_MILLIOHM, state_class=_MEASUREMENT),
    Quantity.SECONDS: _duration(UnitOfTime.SECONDS),
    Quantity.MINUTES: Meaning(
        sensor=SensorDeviceClass.DURATION,
        unit=UnitOfTime.MINUTES,
        state_class=_RISING,
        precision=0,
    ),
    Quantity.DAYS: _duration(UnitOfTime.DAYS, 1),
    Quantity.HOURS: _duration(UnitOfTime.HOURS, 1),
    Quantity.MICROSECONDS: _duration(UnitOfTime.MICROSECONDS),
    Quantity.RUN_TIME: Meaning(
        sensor=SensorDeviceClass.DURATION,
        unit=UnitOfTime.SECONDS,
        shown_in=UnitOfTime.DAYS,
        state_class=_RISING,
        precision=1,
    ),
    Quantity.TIME_LEFT: Meaning(
        sensor=SensorDeviceClass.DURATION,
        unit=UnitOfTime.SECONDS,
        shown_in=UnitOfTime.HOURS,
        state_class=_MEASUREMENT,
        precision=1,
    ),
    Quantity.COUNTER: Meaning(state_class=_RISING),
    Quantity.COUNT: Meaning(state_class=_MEASUREMENT),
    Quantity.NUMBER: Meaning(),
    Quantity.TIMESTAMP: Meaning(sensor=SensorDeviceClass.TIMESTAMP),
    Quantity.DATE: Meaning(sensor=SensorDeviceClass.DATE),
    Quantity.CHOICE: Meaning(sensor=SensorDeviceClass.ENUM),
    Quantity.TEXT: Meaning(),
    Quantity.FLAG: _flag(),
    Quantity.ACTIVITY: _flag(BinarySensorDeviceClass.RUNNING),
    Quantity.HEAT: _flag(BinarySensorDeviceClass.HEAT),
    Quantity.PLUG: _flag(BinarySensorDeviceClass.PLUG),
    Quantity.PROBLEM: _flag(BinarySensorDeviceClass.PROBLEM),
    Quantity.CONNECTIVITY: _flag(BinarySensorDeviceClass.CONNECTIVITY),
}

ONLINE: Final[Datum[bool]] = Datum(
    key="online",
    name="Communication",
    quantity=Quantity.CONNECTIVITY,
    role=Role.DIAGNOSTIC,
)
"""Whether the BMS answers; known to Home Assistant, not to the BMS."""
CLOCK_DRIFT: Final[Datum[float]] = Datum(
    key="bms_clock_drift",
    name="BMS clock drift",
    quantity=Quantity.SECONDS,
    role=Role.DIAGNOSTIC,
    enabled=False,
)
"""How far the BMS's clock is ahead of Home Assistant's."""

SETTINGS_DIFFER: Final[Datum[int]] = Datum(
    key="settings_differ",
    name="Settings unlike the first pack",
    quantity=Quantity.COUNT,
    role=Role.DIAGNOSTIC,
    enabled=False,
)
"""How many settings of a pack are not those of the first pack of its bus."""

ALARM_DATA: Final[tuple[Datum[bool], ...]] = (
    *ALARM_STATES,
    *CAN_ALARMS,
    *TTL_ALARMS,
)
"""Whether each alarm is active: those of the alarm word first, by bit."""
_DATA: Final[tuple[Datum[Any], ...]] = (
    *FIELDS,
    *DERIVED,
    *OVER_TIME,
    *CAN,
    *TTL,
    *BLOCKS,
    ONLINE,
    CLOCK_DRIFT,
    SETTINGS_DIFFER,
)
_SHOWN: Final = (Role.MEASUREMENT, Role.DIAGNOSTIC)


@dataclass(frozen=True, kw_only=True)
class PackDescription(EntityDescription):
    """An entity of a pack."""

    datum: Datum[Any]
    twin: bool = False
    """Shows a setting that a number or a switch may change."""
    control: bool = False
    """Changes a setting."""

    def fits(self, features: Features) -> bool:
        """Tell whether a pack like this has the entity at all."""
        if isinstance(self.datum, Block):
            return any(features.has(output) for output in self.datum.outputs)
        return features.has(self.datum)

    @property
    def label(self) -> str:
        """The English name; `{number}` stands for the number of the cell."""
        if not self.twin:
            return self.datum.name
        return f"{self.datum.name.removesuffix(' (setting)')} as set"

    @property
    def object_id(self) -> str:
        """The part of the entity id after the pack, the same in every language."""
        return self.key

    def enabled(self, features: Features) -> bool:
        """Tell whether the entity starts out enabled in a pack like this."""
        if self.twin and isinstance(self.datum, Field):
            wanted = self.datum.twin_enabled
            return features.uses(self.datum) if wanted is None else wanted
        return features.uses(self.datum)


@dataclass(frozen=True, kw_only=True)
class PackSensorDescription(PackDescription, SensorEntityDescription):
    """A sensor of a pack."""


@dataclass(frozen=True, kw_only=True)
class PackBinarySensorDescription(PackDescription, BinarySensorEntityDescription):
    """A binary sensor of a pack."""


@dataclass(frozen=True, kw_only=True)
class PackEventDescription(PackDescription, EventEntityDescription):
    """What happens to a pack."""

    @property
    def label(self) -> str:
        """The English name."""
        return "Alarm"


@dataclass(frozen=True, kw_only=True)
class PackNumberDescription(PackDescription, NumberEntityDescription):
    """A setting of a pack that is a number."""

    datum: Field[float]
    control: bool = True


_OBJECT_IDS: Final = {
    "charging_switch": "charging",
    "discharging_switch": "discharging",
}
"""Names under which cards look for the switches of a pack."""


@dataclass(frozen=True, kw_only=True)
class PackSwitchDescription(PackDescription, SwitchEntityDescription):
    """A setting of a pack that is on or off."""

    datum: Field[bool]
    control: bool = True

    @property
    def object_id(self) -> str:
        """The part of the entity id after the pack, the same in every language."""
        return _OBJECT_IDS.get(self.key, self.key)


@dataclass(frozen=True, kw_only=True)
class PackSelectDescription(PackDescription, SelectEntityDescription):
    """A setting of a pack that is a choice."""

    datum: Field[str]
    control: bool = True


@dataclass(frozen=True, kw_only=True)
class PackButtonDescription(PackDescription, ButtonEntityDescription):
    """Something to ask of a pack; it stands for no value of it."""

    datum: Datum[bool] = ONLINE
    control: bool = True
    title: str
    """The English name."""
    since: Firmware | None = None

    @property
    def label(self) -> str:
        """The English name."""
        return self.title

    def fits(self, features: Features) -> bool:
        """Tell whether a pack can do it; firmware that is not known has what all have."""
        firmware = features.firmware
        return self.since is None or (firmware is not None and firmware >= self.since)


def _placeholders(datum: Datum[Any]) -> dict[str, str] | None:
    return None if datum.index is None else {"number": str(datum.index)}


def _read_only_category(datum: Datum[Any]) -> EntityCategory | None:
    return None if datum.role is Role.MEASUREMENT else EntityCategory.DIAGNOSTIC


def _suffix(datum: Datum[Any]) -> str:
    return "_set" if datum.role is Role.SETTING else ""


def sensor_description(datum: Datum[Any]) -> PackSensorDescription:
    """Describe the sensor that shows a value, or what a setting is set to."""
    meaning = MEANING[datum.quantity]
    twin = datum.role is Role.SETTING
    return PackSensorDescription(
        key=datum.key + _suffix(datum),
        translation_key=datum.template + _suffix(datum),
        translation_placeholders=_placeholders(datum),
        datum=datum,
        twin=twin,
        device_class=meaning.sensor,
        native_unit_of_measurement=meaning.unit,
        suggested_unit_of_measurement=meaning.shown_in,
        suggested_display_precision=meaning.precision,
        # A setting stands still for years: no statistics of it.
        state_class=None if twin else meaning.state_class,
        options=list(datum.options) or None,
        entity_category=_read_only_category(datum),
    )


def binary_sensor_description(datum: Datum[Any]) -> PackBinarySensorDescription:
    """Describe the binary sensor that shows a flag, or what a switch is set to."""
    return PackBinarySensorDescription(
        key=datum.key + _suffix(datum),
        translation_key=datum.template + _suffix(datum),
        translation_placeholders=_placeholders(datum),
        datum=datum,
        twin=datum.role is Role.SETTING,
        device_class=MEANING[datum.quantity].binary,
        entity_category=_read_only_category(datum),
    )


def number_description(field: Field[Any]) -> PackNumberDescription:
    """Describe the control of a setting within limits; without them ValueError."""
    if field.limits is None:
        raise ValueError(f"{field.key} has no limits")
    meaning = MEANING[field.quantity]
    return PackNumberDescription(
        key=field.key,
        translation_key=field.template,
        translation_placeholders=_placeholders(field),
        datum=field,
        device_class=meaning.number,
        native_unit_of_measurement=meaning.unit,
        native_min_value=field.limits.minimum,
        native_max_value=field.limits.maximum,
        native_step=field.limits.step,
        mode=NumberMode.BOX,
        entity_category=EntityCategory.CONFIG,
    )


def switch_description(field: Field[Any]) -> PackSwitchDescription:
    """Describe the control of a setting that is on or off."""
    return PackSwitchDescription(
        key=field.key,
        translation_key=field.template,
        translation_placeholders=_placeholders(field),
        datum=field,
        entity_category=EntityCategory.CONFIG,
    )


def select_description(field: Field[Any]) -> PackSelectDescription:
    """Describe the control of a setting that is a choice."""
    return PackSelectDescription(
        key=field.key,
        translation_key=field.template,
        translation_placeholders=_placeholders(field),
        datum=field,
        options=list(field.options),
        entity_category=EntityCategory.CONFIG,
    )


def _controls() -> Iterator[Field[Any]]:
    return (f for f in FIELDS if f.role is Role.SETTING and f.offered)


def _read_only(*, binary: bool) -> Iterator[Datum[Any]]:
    return (
        datum
        for datum in _DATA
        if (datum.role in _SHOWN or datum.role is Role.SETTING)
        and MEANING[datum.quantity].is_binary is binary
    )


SENSORS: Final = tuple(map(sensor_description, _read_only(binary=False)))
BINARY_SENSORS: Final = tuple(map(binary_sensor_description, _read_only(binary=True)))
EVENTS: Final = (
    # Who tells of problems at all tells of alarms.
    PackEventDescription(
        key="alarm_event", translation_key="alarm_event", datum=PROBLEM
    ),
)
NUMBERS: Final = tuple(
    number_description(field) for field in _controls() if field.limits is not None
)
SWITCHES: Final = tuple(
    switch_description(field)
    for field in _controls()
    if field.quantity is Quantity.FLAG
)
SELECTS: Final = tuple(
    select_description(field) for field in _controls() if field.options
)
REFRESH_SETTINGS: Final = PackButtonDescription(
    key="refresh_settings",
    translation_key="refresh_settings",
    title="Refresh settings",
    entity_category=EntityCategory.DIAGNOSTIC,
)
SYNC_CLOCK: Final = PackButtonDescription(
    key="sync_clock",
    translation_key="sync_clock",
    title="Set clock",
    # Older firmware has other actions at its register (rs485.md 2.8).
    since=V11,
    entity_category=EntityCategory.CONFIG,
)
BUTTONS: Final = (REFRESH_SETTINGS, SYNC_CLOCK)
