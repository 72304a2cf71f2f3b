"""Live data, block 0x1200 (rs485.md 2.6)."""

from typing import Any, Final

from ..codecs import (
    CELL_MILLIVOLT,
    CLOCK,
    F32,
    FLAG8,
    I16_MILLI,
    I32_MILLI,
    PROBE,
    U8,
    U16,
    U16_HUNDREDTH,
    U16_MILLI,
    U32,
    U32_MILLI,
    U32_TENTH,
    enum8,
    hexadecimal,
)
from ..datum import Block, Field, Firmware, Hardware, Quantity
from .rows import CHARGE_PHASES, EXTRA_PROBES, MAX_CELLS, Options, live, live_info, raw

CELL_VOLTAGES: Final = tuple(
    live(
        f"cell_voltage_{n}",
        "Cell {number} voltage",
        0x1200 + 2 * (n - 1),
        CELL_MILLIVOLT,
        Quantity.CELL_VOLTAGE,
        hardware=Hardware.CELL,
        index=n,
    )
    for n in range(1, MAX_CELLS + 1)
)
CELL_RESISTANCES: Final = tuple(
    live_info(
        f"cell_resistance_{n}",
        "Cell {number} lead resistance",
        0x124A + 2 * (n - 1),
        U16,
        Quantity.RESISTANCE,
        hardware=Hardware.CELL,
        index=n,
    )
    for n in range(1, MAX_CELLS + 1)
)
CELL_PRESENCE: Final = raw(Block.LIVE, "cell_presence", 0x1240, U32)
BMS_AVERAGE: Final = raw(Block.LIVE, "bms_average_cell_voltage", 0x1244, U16_MILLI)
BMS_POWER: Final = raw(Block.LIVE, "bms_power", 0x1294, U32_MILLI)
MOS_TEMPERATURE: Final = live(
    "power_tube_temperature", "MOS temperature", 0x128A, PROBE, Quantity.TEMPERATURE
)
WIRE_ALARMS: Final = raw(Block.LIVE, "wire_alarm_bitmask", 0x128C, U32)
TOTAL_VOLTAGE: Final = live(
    "total_voltage", "Battery voltage", 0x1290, U32_MILLI, Quantity.PACK_VOLTAGE
)
CURRENT: Final = live("current", "Battery current", 0x1298, I32_MILLI, Quantity.CURRENT)
ALARM_BITMASK: Final = raw(Block.LIVE, "alarm_bitmask", 0x12A0, U32)
BALANCING_STATE: Final = raw(Block.LIVE, "balancing_state", 0x12A6, U8)
STATE_OF_CHARGE: Final = live(
    "state_of_charge", "State of charge", 0x12A7, U8, Quantity.STATE_OF_CHARGE
)
CAPACITY_REMAINING: Final = live(
    "capacity_remaining", "Remaining capacity", 0x12A8, I32_MILLI, Quantity.CHARGE
)
FULL_CHARGE_CAPACITY: Final = live(
    "full_charge_capacity",
    "Full charge capacity (learnt)",
    0x12AC,
    U32_MILLI,
    Quantity.CHARGE,
)
CHARGING_CYCLES: Final = live(
    "charging_cycles", "Cycle count", 0x12B0, U32, Quantity.COUNTER
)
CYCLE_CAPACITY: Final = live(
    "total_charging_cycle_capacity",
    "Total cycle capacity",
    0x12B4,
    U32_MILLI,
    Quantity.CHARGE_THROUGHPUT,
)
STATE_OF_HEALTH: Final = live(
    "state_of_health", "State of health", 0x12B8, U8, Quantity.PERCENTAGE
)
TOTAL_RUNTIME: Final = live(
    "total_runtime", "Total runtime", 0x12BC, U32, Quantity.RUN_TIME
)
CHARGE_MOS: Final = live("charging", "Charge MOS", 0x12C0, FLAG8, Quantity.FLAG)
DISCHARGE_MOS: Final = live(
    "discharging", "Discharge MOS", 0x12C1, FLAG8, Quantity.FLAG
)
SENSOR_PRESENCE: Final = raw(Block.LIVE, "sensor_presence", 0x12D0, U8)
EMERGENCY_TIME_LEFT: Final = live(
    "emergency_time_left",
    "Emergency switch time left",
    0x12D4,
    U16,
    Quantity.SECONDS,
    enabled=False,
)
HEATING: Final = live(
    "heating", "Heater", 0x12D1, FLAG8, Quantity.HEAT, hardware=Hardware.HEATER
)
HEATING_CURRENT: Final = live(
    "heating_current",
    "Heater current",
    0x12E6,
    I16_MILLI,
    Quantity.CURRENT,
    hardware=Hardware.HEATER,
)
CHARGER_PLUGGED: Final = live(
    "charger_plugged", "Charger plugged", 0x12EF, FLAG8, Quantity.PLUG, enabled=False
)
BMS_CLOCK: Final = live_info(
    "bms_clock", "BMS clock", 0x1300, CLOCK, Quantity.TIMESTAMP
)
BATTERY_TYPE: Final = live_info(
    "battery_type",
    "Cell chemistry",
    0x130D,
    enum8("lfp", "li_ion", "lto"),
    Quantity.CHOICE,
)
CHARGE_STATUS: Final = live(
    "charge_status",
    "Charge phase",
    0x1312,
    enum8("bulk", "absorption", "float"),
    Quantity.CHOICE,
    since=CHARGE_PHASES,
)


def _probe(number: int, address: int, since: Firmware | None = None) -> Field[float]:
    options: Options = {"hardware": Hardware.PROBE}
    if since is not None:
        options["since"] = since
    return live(
        f"temperature_sensor_{number}",
        f"Battery temperature T{number}",
        address,
        PROBE,
        Quantity.TEMPERATURE,
        **options,
    )


PROBES: Final = (
    _probe(1, 0x129C),
    _probe(2, 0x129E),
    _probe(4, 0x12FA, EXTRA_PROBES),
    _probe(5, 0x12FC, EXTRA_PROBES),
)
"""T1, T2, T4 and T5; what is called T3 is the MOS temperature (rs485.md 2.6)."""


def _release(key: str, name: str, address: int) -> Field[float]:
    return live(
        key,
        f"{name} protection release time",
        address,
        U16,
        Quantity.SECONDS,
        enabled=False,
    )


LIVE: Final[tuple[Field[Any], ...]] = (
    *CELL_VOLTAGES,
    CELL_PRESENCE,
    BMS_AVERAGE,
    raw(Block.LIVE, "bms_delta_cell_voltage", 0x1246, U16_MILLI),
    raw(Block.LIVE, "bms_max_voltage_cell_index", 0x1248, U8),
    raw(Block.LIVE, "bms_min_voltage_cell_index", 0x1249, U8),
    *CELL_RESISTANCES,
    MOS_TEMPERATURE,
    WIRE_ALARMS,
    TOTAL_VOLTAGE,
    BMS_POWER,
    CURRENT,
    *PROBES[:2],
    ALARM_BITMASK,
    live("balancing_current", "Balancing current", 0x12A4, I16_MILLI, Quantity.CURRENT),
    BALANCING_STATE,
    STATE_OF_CHARGE,
    CAPACITY_REMAINING,
    FULL_CHARGE_CAPACITY,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    STATE_OF_HEALTH,
    live("precharging", "Pre-charge", 0x12B9, FLAG8, Quantity.FLAG, enabled=False),
    raw(Block.LIVE, "user_alarm", 0x12BA, U16),
    TOTAL_RUNTIME,
    CHARGE_MOS,
    DISCHARGE_MOS,
    raw(Block.LIVE, "user_alarm_2", 0x12C2, U16),
    _release("discharge_overcurrent_release", "Discharge over-current", 0x12C4),
    _release("discharge_short_release", "Discharge short-circuit", 0x12C6),
    _release("charge_overcurrent_release", "Charge over-current", 0x12C8),
    _release("charge_short_release", "Charge short-circuit", 0x12CA),
    _release("undervoltage_release", "Under-voltage", 0x12CC),
    _release("overvoltage_release", "Over-voltage", 0x12CE),
    SENSOR_PRESENCE,
    HEATING,
    raw(Block.LIVE, "reserved_12d2", 0x12D2, hexadecimal(2)),
    EMERGENCY_TIME_LEFT,
    raw(Block.LIVE, "discharge_current_correction", 0x12D6, U16),
    raw(Block.LIVE, "charge_sense_voltage", 0x12D8, U16_MILLI),
    raw(Block.LIVE, "discharge_sense_voltage", 0x12DA, U16_MILLI),
    raw(Block.LIVE, "voltage_correction", 0x12DC, F32),
    raw(Block.LIVE, "charge_pwm", 0x12E0, U16),
    raw(Block.LIVE, "discharge_pwm", 0x12E2, U16),
    raw(Block.LIVE, "coarse_voltage", 0x12E4, U16_HUNDREDTH),
    HEATING_CURRENT,
    raw(Block.LIVE, "relay", 0x12E8, U8),
    raw(Block.LIVE, "acc", 0x12E9, U8),
    raw(Block.LIVE, "special_charger_plugged", 0x12EA, U8),
    raw(Block.LIVE, "startup_flag", 0x12EB, U8),
    raw(Block.LIVE, "voltage_c_minus", 0x12EC, U8),
    raw(Block.LIVE, "mcu_id", 0x12ED, U8),
    raw(Block.LIVE, "reserved_12ee", 0x12EE, U8),
    CHARGER_PLUGGED,
    raw(Block.LIVE, "uptime", 0x12F0, U32_TENTH),
    raw(Block.LIVE, "brownout_time", 0x12F4, U32_TENTH),
    raw(Block.LIVE, "mos_temperature_mirror", 0x12F8, PROBE),
    *PROBES[2:],
    raw(Block.LIVE, "charge_current_correction", 0x12FE, U16),
    BMS_CLOCK,
    live_info("event_log_entries", "Log entries in BMS", 0x1304, U32, Quantity.COUNTER),
    live(
        "sleep_countdown",
        "Time until sleep",
        0x1308,
        U32,
        Quantity.SECONDS,
        enabled=False,
    ),
    live(
        "pcl_module",
        "Parallel current limiting",
        0x130C,
        FLAG8,
        Quantity.FLAG,
        enabled=False,
    ),
    BATTERY_TYPE,
    raw(Block.LIVE, "reserved_130e", 0x130E, hexadecimal(2)),
    live(
        "charge_status_time",
        "Time in charge phase",
        0x1310,
        U16,
        Quantity.SECONDS,
        enabled=False,
        since=CHARGE_PHASES,
    ),
    CHARGE_STATUS,
    raw(Block.LIVE, "contact_flags", 0x1313, U8),
    raw(Block.LIVE, "live_field_mask", 0x1319, hexadecimal(12)),
)
