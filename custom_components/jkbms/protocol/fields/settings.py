"""Settings, block 0x1000 (rs485.md 2.5), within the limits of rs485.md 7."""

from typing import Any, Final, Unpack

from ..codecs import FLAG32, I8, I32_TENTH, U8, U32, U32_MILLI, bit16, hexadecimal
from ..datum import Block, Field, Hardware, Quantity, Tier
from .rows import (
    DANGER,
    EVERYDAY,
    HEATING_TEMPERATURES,
    MAX_CELLS,
    PROTECTION,
    SWITCH_WORD,
    V11,
    V19,
    Options,
    number,
    raw,
    readonly,
    switch,
)

_CELL: Final = (1.2, 4.4, 0.001)
_OVER_TEMPERATURE: Final = (30.0, 80.0, 0.1)
_UNDER_TEMPERATURE: Final = (-45.0, 20.0, 0.1)
_MOS: Final = (50.0, 110.0, 0.1)
_DELAY: Final = (2.0, 600.0, 1.0)
_BYTE_TEMPERATURE: Final = (-40.0, 100.0, 1.0)

CELL_COUNT: Final = number(
    "cell_count",
    "Cell count (setting)",
    0x106C,
    U32,
    Quantity.NUMBER,
    (2, 32, 1),
    PROTECTION,
)
CHARGING_SWITCH: Final = switch(
    "charging_switch", "Charge", 0x1070, FLAG32, EVERYDAY, enabled=True
)
DISCHARGING_SWITCH: Final = switch(
    "discharging_switch", "Discharge", 0x1074, FLAG32, EVERYDAY, enabled=True
)
BALANCER: Final = switch("balancer", "Balance", 0x1078, FLAG32, EVERYDAY, enabled=True)
CAPACITY_SETTING: Final = number(
    "total_battery_capacity_setting",
    "Battery capacity (setting)",
    0x107C,
    U32_MILLI,
    Quantity.CHARGE,
    (2, 20000, 1),
    PROTECTION,
    twin_enabled=True,
)
DEVICE_ADDRESS: Final = readonly(
    "device_address", "Device address", 0x1108, U32, Quantity.NUMBER
)
HEATER: Final = switch(
    "heater",
    "Heating",
    SWITCH_WORD,
    bit16(0),
    EVERYDAY,
    enabled=True,
    hardware=Hardware.HEATER,
)
CONNECTION_RESISTANCES: Final = tuple(
    number(
        f"connection_resistance_{n}",
        "Cell {number} connection wire resistance",
        0x1088 + 4 * (n - 1),
        U32_MILLI,
        Quantity.RESISTANCE,
        (0, 2000, 0.001),
        PROTECTION,
        by_action=True,
        hardware=Hardware.CELL,
        index=n,
    )
    for n in range(1, MAX_CELLS + 1)
)


def _cell(
    key: str, name: str, address: int, tier: Tier, **options: Unpack[Options]
) -> Field[float]:
    return number(
        key, name, address, U32_MILLI, Quantity.CELL_VOLTAGE, _CELL, tier, **options
    )


def _delay(key: str, name: str, address: int) -> Field[float]:
    return number(key, name, address, U32, Quantity.SECONDS, _DELAY, PROTECTION)


def _temperature(
    key: str, name: str, address: int, limits: tuple[float, float, float]
) -> Field[float]:
    return number(
        key, name, address, I32_TENTH, Quantity.TEMPERATURE, limits, PROTECTION
    )


SETTINGS: Final[tuple[Field[Any], ...]] = (
    _cell("smart_sleep_voltage", "Smart sleep voltage", 0x1000, EVERYDAY),
    _cell("cell_uvp", "Cell UVP", 0x1004, PROTECTION),
    _cell("cell_uvpr", "Cell UVP recovery", 0x1008, PROTECTION),
    _cell("cell_ovp", "Cell OVP", 0x100C, PROTECTION),
    _cell("cell_ovpr", "Cell OVP recovery", 0x1010, PROTECTION),
    number(
        "balance_trigger_voltage",
        "Balance trigger voltage",
        0x1014,
        U32_MILLI,
        Quantity.CELL_VOLTAGE,
        (0.003, 1.0, 0.001),
        EVERYDAY,
        enabled=True,
    ),
    _cell("soc_100_voltage", "SoC 100 % voltage", 0x1018, EVERYDAY),
    _cell("soc_0_voltage", "SoC 0 % voltage", 0x101C, EVERYDAY),
    _cell(
        "cell_request_charge_voltage",
        "Cell RCV",
        0x1020,
        EVERYDAY,
        enabled=True,
        since=V11,
    ),
    _cell(
        "cell_request_float_voltage",
        "Cell RFV",
        0x1024,
        EVERYDAY,
        enabled=True,
        since=V11,
    ),
    _cell("power_off_voltage", "Power off voltage", 0x1028, PROTECTION),
    number(
        "max_charge_current",
        "Continued charge current",
        0x102C,
        U32_MILLI,
        Quantity.CURRENT,
        (1, 600, 0.1),
        PROTECTION,
        enabled=True,
    ),
    _delay("charge_ocp_delay", "Charge OCP delay", 0x1030),
    _delay("charge_ocp_release", "Charge OCP release time", 0x1034),
    number(
        "max_discharge_current",
        "Continued discharge current",
        0x1038,
        U32_MILLI,
        Quantity.CURRENT,
        (1, 1200, 0.1),
        PROTECTION,
        enabled=True,
    ),
    _delay("discharge_ocp_delay", "Discharge OCP delay", 0x103C),
    _delay("discharge_ocp_release", "Discharge OCP release time", 0x1040),
    _delay("short_circuit_release", "SCP release time", 0x1044),
    number(
        "max_balance_current",
        "Max balance current",
        0x1048,
        U32_MILLI,
        Quantity.CURRENT,
        (0.3, 15, 0.1),
        EVERYDAY,
    ),
    _temperature("charge_otp", "Charge OTP", 0x104C, _OVER_TEMPERATURE),
    _temperature(
        "charge_otp_recovery", "Charge OTP recovery", 0x1050, _OVER_TEMPERATURE
    ),
    _temperature("discharge_otp", "Discharge OTP", 0x1054, _OVER_TEMPERATURE),
    _temperature(
        "discharge_otp_recovery", "Discharge OTP recovery", 0x1058, _OVER_TEMPERATURE
    ),
    _temperature("charge_utp", "Charge UTP", 0x105C, _UNDER_TEMPERATURE),
    _temperature(
        "charge_utp_recovery", "Charge UTP recovery", 0x1060, _UNDER_TEMPERATURE
    ),
    _temperature("mos_otp", "MOS OTP", 0x1064, _MOS),
    _temperature("mos_otp_recovery", "MOS OTP recovery", 0x1068, _MOS),
    CELL_COUNT,
    CHARGING_SWITCH,
    DISCHARGING_SWITCH,
    BALANCER,
    CAPACITY_SETTING,
    number(
        "short_circuit_delay",
        "SCP delay",
        0x1080,
        U32,
        Quantity.MICROSECONDS,
        (0, 1_000_000, 1),
        PROTECTION,
    ),
    number(
        "balance_starting_voltage",
        "Start balance voltage",
        0x1084,
        U32_MILLI,
        Quantity.CELL_VOLTAGE,
        (1.2, 4.25, 0.01),
        EVERYDAY,
        enabled=True,
    ),
    *CONNECTION_RESISTANCES,
    DEVICE_ADDRESS,
    number(
        "precharge_time",
        "Discharge precharge time",
        0x110C,
        U32,
        Quantity.SECONDS,
        (0, 300, 1),
        PROTECTION,
    ),
    raw(Block.SETTINGS, "current_range", 0x1110, U32_MILLI),
    HEATER,
    switch(
        "disable_temperature_sensors",
        "Disable temperature sensors",
        SWITCH_WORD,
        bit16(1),
        DANGER,
        by_action=True,
    ),
    switch("gps_heartbeat", "GPS heartbeat", SWITCH_WORD, bit16(2), DANGER),
    switch("port_switch", "Port switch", SWITCH_WORD, bit16(3), DANGER, by_action=True),
    switch("display_always_on", "Display always on", SWITCH_WORD, bit16(4), EVERYDAY),
    switch("special_charger", "Special charger", SWITCH_WORD, bit16(5), DANGER),
    switch("smart_sleep", "Smart sleep", SWITCH_WORD, bit16(6), EVERYDAY),
    switch(
        "disable_pcl_module",
        "Disable PCL module",
        SWITCH_WORD,
        bit16(7),
        PROTECTION,
        since=V11,
    ),
    switch(
        "timed_stored_data",
        "Timed stored data",
        SWITCH_WORD,
        bit16(8),
        EVERYDAY,
        since=V11,
    ),
    switch(
        "charging_float_mode",
        "Charging float mode",
        SWITCH_WORD,
        bit16(9),
        EVERYDAY,
        enabled=True,
        since=V11,
    ),
    raw(Block.SETTINGS, "button_emergency", SWITCH_WORD, bit16(10)),
    raw(Block.SETTINGS, "dry_contact_intermittent", SWITCH_WORD, bit16(11)),
    raw(Block.SETTINGS, "discharge_ocp_2", SWITCH_WORD, bit16(12)),
    raw(Block.SETTINGS, "discharge_ocp_3", SWITCH_WORD, bit16(13)),
    raw(Block.SETTINGS, "gps_lock_charging", SWITCH_WORD, bit16(14)),
    raw(Block.SETTINGS, "gps_lock_discharging", SWITCH_WORD, bit16(15)),
    number(
        "heating_start_temperature",
        "Heating start temperature",
        0x1116,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        since=HEATING_TEMPERATURES,
        ambiguous=True,
    ),
    number(
        "heating_stop_temperature",
        "Heating stop temperature",
        0x1117,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        since=HEATING_TEMPERATURES,
        ambiguous=True,
    ),
    number(
        "battery_overtemp_alarm",
        "Battery OT alarm",
        0x1116,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        until=HEATING_TEMPERATURES,
        ambiguous=True,
    ),
    number(
        "battery_overtemp_alarm_recovery",
        "Battery OT alarm recovery",
        0x1117,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        until=HEATING_TEMPERATURES,
        ambiguous=True,
    ),
    number(
        "smart_sleep_time",
        "Smart sleep time",
        0x1118,
        U8,
        Quantity.HOURS,
        (1, 100, 1),
        EVERYDAY,
    ),
    raw(Block.SETTINGS, "settings_field_mask", 0x1119, hexadecimal(9)),
    number(
        "discharge_utp",
        "Discharge UTP",
        0x1122,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        since=V19,
    ),
    number(
        "discharge_utp_recovery",
        "Discharge UTP recovery",
        0x1123,
        I8,
        Quantity.TEMPERATURE,
        _BYTE_TEMPERATURE,
        PROTECTION,
        since=V19,
    ),
)
