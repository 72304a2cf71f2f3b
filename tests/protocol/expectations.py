"""How the field names of the captures say what our keys say."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.derived import cells, present_cells

type Values = Mapping[str, Value]
type Read = Callable[[Values], Any]

SETTINGS: Final = {
    "smart_sleep_voltage_v": "smart_sleep_voltage",
    "cell_uvp_v": "cell_uvp",
    "cell_uvpr_v": "cell_uvpr",
    "cell_ovp_v": "cell_ovp",
    "cell_ovpr_v": "cell_ovpr",
    "balance_trigger_v": "balance_trigger_voltage",
    "soc100_v": "soc_100_voltage",
    "soc0_v": "soc_0_voltage",
    "request_charge_v": "cell_request_charge_voltage",
    "request_float_v": "cell_request_float_voltage",
    "power_off_v": "power_off_voltage",
    "max_charge_current_a": "max_charge_current",
    "charge_ocp_delay_s": "charge_ocp_delay",
    "charge_ocpr_time_s": "charge_ocp_release",
    "max_discharge_current_a": "max_discharge_current",
    "discharge_ocp_delay_s": "discharge_ocp_delay",
    "discharge_ocpr_time_s": "discharge_ocp_release",
    "scpr_time_s": "short_circuit_release",
    "max_balance_current_a": "max_balance_current",
    "charge_otp_c": "charge_otp",
    "charge_otpr_c": "charge_otp_recovery",
    "discharge_otp_c": "discharge_otp",
    "discharge_otpr_c": "discharge_otp_recovery",
    "charge_utp_c": "charge_utp",
    "charge_utpr_c": "charge_utp_recovery",
    "mos_otp_c": "mos_otp",
    "mos_otpr_c": "mos_otp_recovery",
    "cell_count": "cell_count",
    "charge_switch": "charging_switch",
    "discharge_switch": "discharging_switch",
    "balance_switch": "balancer",
    "capacity_nominal_ah": "total_battery_capacity_setting",
    "scp_delay_us": "short_circuit_delay",
    "balance_start_v": "balance_starting_voltage",
    "heating_start_c": "heating_start_temperature",
    "heating_stop_c": "heating_stop_temperature",
}

DIRECT: Final = {
    "total_voltage_v": "total_voltage",
    "current_a": "current",
    "soc_pct": "state_of_charge",
    "soh_pct": "state_of_health",
    "capacity_remaining_ah": "capacity_remaining",
    "capacity_nominal_ah": "full_charge_capacity",
    "cycles": "charging_cycles",
    "cycle_capacity_ah": "total_charging_cycle_capacity",
    "balance_current_a": "balancing_current",
    "balancing": "balancing",
    "charge_mos": "charging",
    "discharge_mos": "discharging",
    "heating": "heating",
    "alarm_bitmask": "alarm_bitmask",
    "charge_phase_elapsed_s": "charge_status_time",
    "cell_min_v": "min_cell_voltage",
    "cell_min_no": "min_voltage_cell",
    "cell_max_v": "max_cell_voltage",
    "cell_max_no": "max_voltage_cell",
    "cell_delta_v_computed": "delta_cell_voltage",
    # The frame's own fields: sampled at another moment than the cells (README.md).
    "cell_delta_v": "bms_delta_cell_voltage",
    "cell_avg_v": "bms_average_cell_voltage",
    "runtime_s": "total_runtime",
    "detail_log_entry_count": "event_log_entries",
    "vendor_id": "model",
    "hw_version": "hardware_version",
    "sw_version": "software_version",
    "uptime_s": "device_runtime",
    "power_on_count": "power_on_count",
    "user_data": "user_data",
}

TEMPERATURES_32S: Final = {
    "144": "power_tube_temperature",
    "162": "temperature_sensor_1",
    "164": "temperature_sensor_2",
    "254": "mos_temperature_mirror",
    "256": "temperature_sensor_4",
    "258": "temperature_sensor_5",
}
TEMPERATURES_24S: Final = {
    "130": "temperature_sensor_1",
    "132": "temperature_sensor_2",
    "134": "power_tube_temperature",
}


def _days_hours(seconds: float) -> str:
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return f"{days}D{h}H{m}M{s}S"


COMPUTED: Final[dict[str, Read]] = {
    "power_w_signed": lambda v: v["power"],
    "capacity_nominal_ah_floor": lambda v: int(_number(v, "full_charge_capacity")),
    "cell_voltages_v": lambda v: list(cells(v).values()),
    "cell_voltages_mv": lambda v: [round(1000 * c) for c in cells(v).values()],
    "cell_count": lambda v: len(present_cells(v)),
    "charge_phase": lambda v: str(v["charge_status"]).upper(),
    "battery_type_id": lambda v: ("lfp", "li_ion", "lto").index(str(v["battery_type"])),
    "runtime_text": lambda v: _days_hours(_number(v, "total_runtime")),
    "cell_resistances_ohm": lambda v: [
        _number(v, f"cell_resistance_{cell}") / 1000 for cell in present_cells(v)
    ],
    "mfg_date": lambda v: f"{v['manufacturing_date']:%y%m%d}",
}

OUTSIDE: Final = {
    "sender": "named by the ACK, see the attribution tests",
    "device_address": "named by the ACK, or by the settings' own address",
    "frame_bytes": "the size of the frame",
    "log_count": "the log frame has a test of its own",
    "entries": "the log frame has a test of its own",
}
"""What a source states about something else than the values of the frame."""


def _number(values: Values, key: str) -> float:
    value = values[key]
    assert isinstance(value, int | float)
    return value


def read_expected(name: str, values: Values) -> Any:
    """Return our value for a field name of the captures."""
    if name in DIRECT:
        return values[DIRECT[name]]
    return COMPUTED[name](values)
