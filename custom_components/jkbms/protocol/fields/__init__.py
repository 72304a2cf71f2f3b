"""The datasheet of a JK BMS: every value of its three blocks, declared once.

A row serves the trigger frame, the FC03 block and the FC16 write alike: frame offset
is register byte offset + 6, little endian there and big endian here (rs485.md 2.4).
"""

from collections.abc import Iterator
from typing import Any, Final

from ..datum import Block, Field, Role
from .can import CAN
from .device import (
    BLUETOOTH_NAME,
    CAN_PROTOCOL,
    CAN_PROTOCOL_MASK,
    DEVICE,
    HARDWARE_OPTIONS,
    HARDWARE_VERSION,
    MODEL,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
    UART1_PROTOCOL,
    UART1_PROTOCOL_MASK,
)
from .live import (
    ALARM_BITMASK,
    BALANCING_STATE,
    BMS_CLOCK,
    CAPACITY_REMAINING,
    CELL_PRESENCE,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    CHARGE_MOS,
    CHARGE_STATUS,
    CHARGER_PLUGGED,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    DISCHARGE_MOS,
    EMERGENCY_TIME_LEFT,
    FULL_CHARGE_CAPACITY,
    HEATING,
    HEATING_CURRENT,
    LIVE,
    MOS_TEMPERATURE,
    PROBES,
    SENSOR_PRESENCE,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
    WIRE_ALARMS,
)
from .rows import MAX_ADDRESS, V11, V19
from .settings import (
    BALANCER,
    CAPACITY_SETTING,
    CELL_COUNT,
    CHARGING_SWITCH,
    DEVICE_ADDRESS,
    DISCHARGING_SWITCH,
    HEATER,
    SETTINGS,
)
from .ttl import TTL

FIELDS: Final[tuple[Field[Any], ...]] = (*LIVE, *SETTINGS, *DEVICE)
FIELDS_OF: Final = {
    Block.LIVE: LIVE,
    Block.SETTINGS: SETTINGS,
    Block.DEVICE: DEVICE,
}
BY_KEY: Final = {field.key: field for field in FIELDS}


def settings() -> Iterator[Field[Any]]:
    """Yield every setting, of the settings block and of the device block."""
    return (field for field in FIELDS if field.role is Role.SETTING)


def writable() -> Iterator[Field[Any]]:
    """Yield the settings that may be written; nothing else ever is."""
    return (field for field in FIELDS if field.writable)


__all__ = [
    "ALARM_BITMASK",
    "BALANCER",
    "BALANCING_STATE",
    "BLUETOOTH_NAME",
    "BMS_CLOCK",
    "BY_KEY",
    "CAN",
    "CAN_PROTOCOL",
    "CAN_PROTOCOL_MASK",
    "CAPACITY_REMAINING",
    "CAPACITY_SETTING",
    "CELL_COUNT",
    "CELL_PRESENCE",
    "CELL_RESISTANCES",
    "CELL_VOLTAGES",
    "CHARGER_PLUGGED",
    "CHARGE_MOS",
    "CHARGE_STATUS",
    "CHARGING_CYCLES",
    "CHARGING_SWITCH",
    "CURRENT",
    "CYCLE_CAPACITY",
    "DEVICE",
    "DEVICE_ADDRESS",
    "DISCHARGE_MOS",
    "DISCHARGING_SWITCH",
    "EMERGENCY_TIME_LEFT",
    "FIELDS",
    "FIELDS_OF",
    "FULL_CHARGE_CAPACITY",
    "HARDWARE_OPTIONS",
    "HARDWARE_VERSION",
    "HEATER",
    "HEATING",
    "HEATING_CURRENT",
    "LIVE",
    "MAX_ADDRESS",
    "MODEL",
    "MOS_TEMPERATURE",
    "PROBES",
    "SENSOR_PRESENCE",
    "SERIAL_NUMBER",
    "SETTINGS",
    "SOFTWARE_VERSION",
    "STATE_OF_CHARGE",
    "STATE_OF_HEALTH",
    "TOTAL_RUNTIME",
    "TOTAL_VOLTAGE",
    "TTL",
    "UART1_PROTOCOL",
    "UART1_PROTOCOL_MASK",
    "V11",
    "V19",
    "WIRE_ALARMS",
    "settings",
    "writable",
]
