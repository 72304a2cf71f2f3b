"""What there is to tell of a bus, and of how well each pack is heard on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homeassistant.components.binary_sensor import BinarySensorEntityDescription
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
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
    UnitOfInformation,
    UnitOfRatio,
    UnitOfTime,
)
from homeassistant.helpers.entity import EntityDescription

from .bank_descriptions import REASON_TEXTS
from .inverter_telling import NO_LINE, OTHER_BATTERY, RISING
from .protocol.inverter.limits import TRIPS, Reason
from .protocol.inverter.teller import Phase
from .transport.health import Health, Kind

_ALL: Final = frozenset(Kind)
_RADIO: Final = frozenset({Kind.BLUETOOTH})
_CAN: Final = frozenset({Kind.CAN})
_LINE: Final = frozenset({Kind.ASKING, Kind.LISTENING})
_WIRE: Final = _LINE | _RADIO
_MASTER: Final = frozenset({Kind.ASKING})
_ASKING: Final = _MASTER | _RADIO
_LISTENING: Final = frozenset({Kind.LISTENING})
_RISING: Final = SensorStateClass.TOTAL_INCREASING
_MEASUREMENT: Final = SensorStateClass.MEASUREMENT

HEALTH_TEXTS: Final[Mapping[str, str]] = {
    Health.OK: "OK",
    Health.STARTING: "Starting",
    Health.MISSING: "A pack does not answer: check its cable, its address and that it is awake",
    Health.ASLEEP: "Asleep: packs sleep until they are charged or their button is pressed",
    Health.SILENT: "Silent: wake the packs; on a wire, check cable and socket",
    Health.GARBLED: "Not understood: check 115200 baud, A and B, and the protocol number",
    Health.DAMAGED: "Many damaged frames: check GND, resistors and the adapter",
    Health.FOREIGN_MASTER: "Another master speaks: see Repairs",
    Health.REFUSED: "Refused: stop the other program that uses the gateway",
    Health.UNREACHABLE: "Unreachable: check power, network and address of the gateway",
    Health.CLOSED: "Closed by the other side: check the gateway's timeout",
    Health.NO_PORT: "No port: plug the adapter in",
    Health.NO_PERMISSION: "No permission: let Home Assistant use the port",
    Health.BUSY: "In use: stop the other program that uses the port",
    Health.INTERFACE_DOWN: "CAN interface down: bring it up on the host",
    Health.BUS_ERRORS: "CAN errors: check the bit rate, H and L",
    Health.OUT_OF_RANGE: "Not seen: switch the pack on, close the phone app, bring the adapter closer",
    Health.IN_USE: "Does not let us in: close the phone app, bring the adapter closer",
    Health.NO_SLOT: "No free connection: add a Bluetooth proxy",
    Health.NO_ADAPTER: "No Bluetooth: set it up in Home Assistant",
    Health.UNPAIRED: "To be paired: see Repairs",
    Health.NO_BMS: "No BMS: another device answers",
    Health.RELEASED: "Released: turn the switch Connection on when the phone app is done",
    Health.FAILED: "Failed: see the log",
}
"""What each state of a bus is called, with what to do."""
MODE_TEXTS: Final[Mapping[str, str]] = {
    "asking": "Asking",
    "listening": "Listening",
    "can": "CAN",
    "bluetooth": "Bluetooth",
    "conflict": "Giving way to another master",
}


@dataclass(frozen=True, kw_only=True)
class TrafficDescription(EntityDescription):
    """An entity that tells of a bus or of the traffic of a pack."""

    label: str
    """The English name."""
    kinds: frozenset[Kind] = _ALL
    """On which kinds of bus there is something to tell."""
    of_pack: bool = False
    of_inverter: bool = False
    """Whether it is there only where an inverter is told of a bank."""
    texts: Mapping[str, str] | None = None
    """The English names of what it may say."""


@dataclass(frozen=True, kw_only=True)
class TrafficSensorDescription(TrafficDescription, SensorEntityDescription):
    """A sensor that tells of the traffic."""

    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC
    entity_registry_enabled_default: bool = False


@dataclass(frozen=True, kw_only=True)
class InverterSensorDescription(TrafficSensorDescription):
    """A sensor that tells what an inverter is told."""

    entity_category: EntityCategory | None = None
    entity_registry_enabled_default: bool = True
    kinds: frozenset[Kind] = _CAN
    of_inverter: bool = True


@dataclass(frozen=True, kw_only=True)
class TrafficBinarySensorDescription(TrafficDescription, BinarySensorEntityDescription):
    """A binary sensor that tells of the traffic."""

    entity_category: EntityCategory | None = EntityCategory.DIAGNOSTIC


@dataclass(frozen=True, kw_only=True)
class TrafficSwitchDescription(TrafficDescription, SwitchEntityDescription):
    """A switch of the bus itself."""

    entity_category: EntityCategory | None = EntityCategory.CONFIG


def _counter(
    key: str, label: str, kinds: frozenset[Kind] = _WIRE
) -> TrafficSensorDescription:
    return TrafficSensorDescription(
        key=key,
        translation_key=key,
        label=label,
        kinds=kinds,
        of_pack=True,
        state_class=_RISING,
    )


HEALTH: Final = TrafficSensorDescription(
    key="health",
    translation_key="bus_health",
    label="Health",
    texts=HEALTH_TEXTS,
    options=list(HEALTH_TEXTS),
    device_class=SensorDeviceClass.ENUM,
    entity_registry_enabled_default=True,
)
MODE: Final = TrafficSensorDescription(
    key="mode",
    translation_key="bus_mode",
    label="Mode",
    texts=MODE_TEXTS,
    options=list(MODE_TEXTS),
    device_class=SensorDeviceClass.ENUM,
    entity_registry_enabled_default=True,
)
TRAFFIC_SENSORS: Final = (
    HEALTH,
    MODE,
    TrafficSensorDescription(
        key="cycle_time",
        translation_key="bus_cycle_time",
        label="Cycle time",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        state_class=_MEASUREMENT,
        suggested_display_precision=1,
        kinds=_WIRE,
    ),
    TrafficSensorDescription(
        key="packs_found",
        translation_key="bus_packs_found",
        label="Packs found",
        state_class=_MEASUREMENT,
    ),
    TrafficSensorDescription(
        key="bus_load",
        translation_key="bus_load",
        label="Bus load",
        native_unit_of_measurement=UnitOfRatio.PERCENTAGE,
        state_class=_MEASUREMENT,
        suggested_display_precision=1,
        kinds=_LINE,
    ),
    TrafficSensorDescription(
        key="reconnects",
        translation_key="bus_reconnects",
        label="Reconnects",
        state_class=_RISING,
    ),
    TrafficSensorDescription(
        key="last_reconnect",
        translation_key="bus_last_reconnect",
        label="Last reconnect",
        device_class=SensorDeviceClass.TIMESTAMP,
    ),
    TrafficSensorDescription(
        key="bytes_discarded",
        translation_key="bus_bytes_discarded",
        label="Discarded bytes",
        device_class=SensorDeviceClass.DATA_SIZE,
        native_unit_of_measurement=UnitOfInformation.BYTES,
        state_class=_RISING,
        suggested_display_precision=0,
        kinds=_WIRE,
    ),
    TrafficSensorDescription(
        key="frames_unattributed",
        translation_key="bus_frames_unattributed",
        label="Frames of nobody known",
        state_class=_RISING,
        kinds=_LISTENING,
    ),
    _counter("frames_ok", "Good frames"),
    _counter("frames_bad", "Damaged answers", _ASKING),
    _counter("frames_implausible", "Implausible frames"),
    _counter("timeouts", "Time-outs", _ASKING),
    TrafficSensorDescription(
        key="last_good_frame",
        translation_key="last_good_frame",
        label="Last good frame",
        device_class=SensorDeviceClass.TIMESTAMP,
        of_pack=True,
    ),
    TrafficSensorDescription(
        key="response_time",
        translation_key="response_time",
        label="Response time",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        state_class=_MEASUREMENT,
        suggested_display_precision=0,
        kinds=_ASKING,
        of_pack=True,
    ),
)
INVERTER_TEXTS: Final[Mapping[str, str]] = {
    Phase.LISTENING: "Listening who else speaks",
    Phase.WAITING: "Waiting for the bank",
    Phase.TELLING: "Telling",
    Phase.ZERO: "Nothing allowed",
    Phase.SILENT: "Silent",
    Phase.STOPPED: "Stopped: another battery speaks",
    Phase.ENDED: "Ended",
    NO_LINE: "No line to the bus",
}
"""What an inverter hears, state by state."""
INVERTER_REASON_TEXTS: Final[Mapping[str, str]] = {
    Reason.NONE: "None",
    RISING: "Limits are rising",
    OTHER_BATTERY: "Another battery speaks on this bus",
    NO_LINE: "No line to the bus",
    **{trip: REASON_TEXTS[trip] for trip in TRIPS},
}


def _words_of_inverter(
    key: str, label: str, texts: Mapping[str, str]
) -> InverterSensorDescription:
    return InverterSensorDescription(
        key=key,
        translation_key=key,
        label=label,
        texts=texts,
        options=list(texts),
        device_class=SensorDeviceClass.ENUM,
    )


def _limit_of_inverter(
    key: str, label: str, device_class: SensorDeviceClass, unit: str
) -> InverterSensorDescription:
    return InverterSensorDescription(
        key=key,
        translation_key=key,
        label=label,
        device_class=device_class,
        native_unit_of_measurement=unit,
        state_class=_MEASUREMENT,
        suggested_display_precision=1,
    )


_VOLTAGE: Final = (SensorDeviceClass.VOLTAGE, UnitOfElectricPotential.VOLT)
_CURRENT: Final = (SensorDeviceClass.CURRENT, UnitOfElectricCurrent.AMPERE)
INVERTER_SENSORS: Final = (
    _words_of_inverter("inverter_state", "Inverter transmission", INVERTER_TEXTS),
    _words_of_inverter("inverter_reason", "Transmission reason", INVERTER_REASON_TEXTS),
    _limit_of_inverter("inverter_charge_voltage", "Charge voltage told", *_VOLTAGE),
    _limit_of_inverter("inverter_charge_current", "Charge current told", *_CURRENT),
    _limit_of_inverter(
        "inverter_discharge_current", "Discharge current told", *_CURRENT
    ),
    InverterSensorDescription(
        key="inverter_last_heard",
        translation_key="inverter_last_heard",
        label="Inverter last heard",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_registry_enabled_default=False,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
)
INVERTER_LINK: Final = TrafficBinarySensorDescription(
    key="inverter_link",
    translation_key="inverter_link",
    label="Inverter",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
    of_inverter=True,
    kinds=_CAN,
)
CONNECTION: Final = TrafficBinarySensorDescription(
    key="connection",
    translation_key="bus_connection",
    label="Connection",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
)
FOREIGN_MASTER: Final = TrafficBinarySensorDescription(
    key="foreign_master",
    translation_key="bus_foreign_master",
    label="Another master",
    device_class=BinarySensorDeviceClass.PROBLEM,
    kinds=_MASTER,
    entity_registry_enabled_default=False,
)
TRAFFIC_BINARY_SENSORS: Final = (CONNECTION, FOREIGN_MASTER, INVERTER_LINK)
CONNECTED: Final = TrafficSwitchDescription(
    key="connection",
    translation_key="bus_connected",
    label="Connection",
    kinds=_RADIO,
)
TRAFFIC_SWITCHES: Final = (CONNECTED,)
TRAFFIC: Final[Mapping[str, tuple[TrafficDescription, ...]]] = {
    "binary_sensor": TRAFFIC_BINARY_SENSORS,
    "sensor": (*TRAFFIC_SENSORS, *INVERTER_SENSORS),
    "switch": TRAFFIC_SWITCHES,
}
"""All of them by platform."""
