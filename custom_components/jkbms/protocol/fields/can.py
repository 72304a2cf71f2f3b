"""What only CAN tells, of a pack (can.md 1.3) and of a bank (can.md 2.2)."""

from typing import Any, Final

from ..alarms import LEVELS, ON_CAN
from ..datum import Datum, Quantity, Role


def _shown[T](
    key: str, name: str, quantity: Quantity, *, enabled: bool = True
) -> Datum[T]:
    return Datum(key=key, name=name, quantity=quantity, enabled=enabled)


def _info[T](
    key: str,
    name: str,
    quantity: Quantity,
    *,
    enabled: bool = False,
    options: tuple[str, ...] = (),
) -> Datum[T]:
    return Datum(
        key=key,
        name=name,
        quantity=quantity,
        role=Role.DIAGNOSTIC,
        enabled=enabled,
        options=options,
    )


# -- a pack ---------------------------------------------------------------------------

BMS_VOLTAGE: Final[Datum[float]] = _info(
    "bms_total_voltage", "Battery voltage in steps of 0.1 V", Quantity.PACK_VOLTAGE
)
"""What the BMS itself gives; the sum of the cells is finer."""
DISCHARGE_TIME: Final[Datum[float]] = _info(
    "discharge_time", "Discharge time", Quantity.HOURS
)
MAX_TEMPERATURE: Final[Datum[float]] = _shown(
    "max_temperature", "Highest temperature", Quantity.TEMPERATURE
)
MIN_TEMPERATURE: Final[Datum[float]] = _shown(
    "min_temperature", "Lowest temperature", Quantity.TEMPERATURE
)
AVERAGE_TEMPERATURE: Final[Datum[float]] = _shown(
    "average_temperature", "Average temperature", Quantity.TEMPERATURE
)
ACC: Final[Datum[bool]] = _shown("acc_on", "ACC", Quantity.FLAG, enabled=False)
CHARGE_VOLTAGE_REQUEST: Final[Datum[float]] = _shown(
    "requested_charge_voltage", "Requested charge voltage", Quantity.PACK_VOLTAGE
)
CHARGE_CURRENT_REQUEST: Final[Datum[float]] = _shown(
    "requested_charge_current", "Requested charge current", Quantity.CURRENT
)
CHARGER_REQUEST: Final[Datum[bool]] = _shown(
    "charger_requested", "Charger requested", Quantity.FLAG, enabled=False
)
HEATING_REQUEST: Final[Datum[bool]] = _shown(
    "heating_requested", "Heating requested", Quantity.FLAG, enabled=False
)
CYCLE_CAPACITY_COUNTER: Final[Datum[float]] = Datum(
    key="cycle_capacity_counter",
    name="cycle_capacity_counter",
    quantity=Quantity.CHARGE,
    role=Role.RAW,
)
"""Begins anew after 6553.5 Ah (can.md 1.3)."""
ALARM_LEVELS: Final[tuple[Datum[str], ...]] = tuple(
    _info(
        f"alarm_level_{key}",
        f"{name} alarm level",
        Quantity.CHOICE,
        options=LEVELS,
    )
    for key, name in (
        ("cell_overvoltage", "Cell over-voltage"),
        ("cell_undervoltage", "Cell under-voltage"),
        ("battery_overvoltage", "Battery over-voltage"),
        ("battery_undervoltage", "Battery under-voltage"),
        ("cell_difference", "Cell voltage difference"),
        ("discharge_overcurrent", "Discharge over-current"),
        ("charge_overcurrent", "Charge over-current"),
        ("high_temperature", "High temperature"),
        ("low_temperature", "Low temperature"),
        ("temperature_difference", "Temperature difference"),
        ("low_soc", "Low state of charge"),
        ("low_insulation", "Low insulation"),
        ("hv_interlock", "High-voltage interlock"),
        ("external_communication", "External communication"),
        ("internal_communication", "Internal communication"),
    )
)
"""In the order of the bits of the alarm frame, two of them each."""
LEVEL_OF: Final = {
    "alarm_battery_overtemperature"
    if level.key == "alarm_level_high_temperature"
    else level.key.replace("_level_", "_"): level
    for level in ALARM_LEVELS
}
"""The level of an alarm, by the key of the alarm."""
CAN_ALARMS: Final[tuple[Datum[bool], ...]] = tuple(
    _info(alarm.key, alarm.name, Quantity.PROBLEM, enabled=True) for alarm in ON_CAN
)
"""Whether an alarm is active that the alarm word does not know."""

# -- a bank ---------------------------------------------------------------------------

CHARGE_VOLTAGE_LIMIT: Final[Datum[float]] = _shown(
    "charge_voltage_limit", "Charge voltage limit", Quantity.PACK_VOLTAGE
)
CHARGE_CURRENT_LIMIT: Final[Datum[float]] = _shown(
    "charge_current_limit", "Charge current limit", Quantity.CURRENT
)
DISCHARGE_CURRENT_LIMIT: Final[Datum[float]] = _shown(
    "discharge_current_limit", "Discharge current limit", Quantity.CURRENT
)
DISCHARGE_CUTOFF_VOLTAGE: Final[Datum[float]] = _shown(
    "discharge_cutoff_voltage", "Discharge cut-off voltage", Quantity.PACK_VOLTAGE
)
CHARGE_ENABLED: Final[Datum[bool]] = _shown(
    "charge_enabled", "Charging allowed", Quantity.FLAG
)
DISCHARGE_ENABLED: Final[Datum[bool]] = _shown(
    "discharge_enabled", "Discharging allowed", Quantity.FLAG
)
FORCE_CHARGE: Final[Datum[bool]] = _shown(
    "force_charge", "Forced charge requested", Quantity.FLAG
)
FULL_CHARGE_REQUEST: Final[Datum[bool]] = _shown(
    "full_charge_requested", "Full charge requested", Quantity.FLAG, enabled=False
)
FINE_STATE_OF_CHARGE: Final[Datum[float]] = _shown(
    "fine_state_of_charge",
    "State of charge in steps of 0.01 %",
    Quantity.PERCENTAGE,
    enabled=False,
)
MODULES_TOTAL: Final[Datum[float]] = _info(
    "modules_total", "Packs", Quantity.NUMBER, enabled=True
)
MODULES_ONLINE: Final[Datum[float]] = _info(
    "modules_online", "Packs online", Quantity.NUMBER, enabled=True
)
MODULES_OFFLINE: Final[Datum[float]] = _info(
    "modules_offline", "Packs offline", Quantity.NUMBER, enabled=True
)
MODULES_BLOCKING_CHARGE: Final[Datum[float]] = _info(
    "modules_blocking_charge", "Packs that block charging", Quantity.NUMBER
)
MODULES_BLOCKING_DISCHARGE: Final[Datum[float]] = _info(
    "modules_blocking_discharge", "Packs that block discharging", Quantity.NUMBER
)
MAX_TEMPERATURE_SENSOR: Final[Datum[float]] = _info(
    "max_temperature_sensor", "Highest temperature sensor number", Quantity.NUMBER
)
MIN_TEMPERATURE_SENSOR: Final[Datum[float]] = _info(
    "min_temperature_sensor", "Lowest temperature sensor number", Quantity.NUMBER
)
MIN_VOLTAGE_PLACE: Final[Datum[str]] = _info(
    "min_cell_voltage_place", "Lowest cell", Quantity.TEXT
)
MAX_VOLTAGE_PLACE: Final[Datum[str]] = _info(
    "max_cell_voltage_place", "Highest cell", Quantity.TEXT
)
MIN_TEMPERATURE_PLACE: Final[Datum[str]] = _info(
    "min_temperature_place", "Coldest sensor", Quantity.TEXT
)
MAX_TEMPERATURE_PLACE: Final[Datum[str]] = _info(
    "max_temperature_place", "Warmest sensor", Quantity.TEXT
)
INSTALLED_CAPACITY: Final[Datum[float]] = _shown(
    "installed_capacity", "Installed capacity", Quantity.CHARGE
)
BATTERY_MAKER: Final[Datum[str]] = _info(
    "battery_maker", "Manufacturer", Quantity.TEXT, enabled=True
)
WARNINGS: Final[Datum[str]] = _info(
    "warnings", "Active warnings", Quantity.TEXT, enabled=True
)
"""What may become an alarm; alarms themselves are in `errors`, as of a pack."""

CAN: Final[tuple[Datum[Any], ...]] = (
    BMS_VOLTAGE,
    DISCHARGE_TIME,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    AVERAGE_TEMPERATURE,
    ACC,
    CHARGE_VOLTAGE_REQUEST,
    CHARGE_CURRENT_REQUEST,
    CHARGER_REQUEST,
    HEATING_REQUEST,
    CYCLE_CAPACITY_COUNTER,
    *ALARM_LEVELS,
    *CAN_ALARMS,
    CHARGE_VOLTAGE_LIMIT,
    CHARGE_CURRENT_LIMIT,
    DISCHARGE_CURRENT_LIMIT,
    DISCHARGE_CUTOFF_VOLTAGE,
    CHARGE_ENABLED,
    DISCHARGE_ENABLED,
    FORCE_CHARGE,
    FULL_CHARGE_REQUEST,
    FINE_STATE_OF_CHARGE,
    MODULES_TOTAL,
    MODULES_ONLINE,
    MODULES_OFFLINE,
    MODULES_BLOCKING_CHARGE,
    MODULES_BLOCKING_DISCHARGE,
    MAX_TEMPERATURE_SENSOR,
    MIN_TEMPERATURE_SENSOR,
    MIN_VOLTAGE_PLACE,
    MAX_VOLTAGE_PLACE,
    MIN_TEMPERATURE_PLACE,
    MAX_TEMPERATURE_PLACE,
    INSTALLED_CAPACITY,
    BATTERY_MAKER,
    WARNINGS,
)
