"""What the entities of predecessors are called, and which of ours tell the same.

One row is the end of an old entity id or unique id and the key of ours; `{n}` is a number.
A key means the read-only twin where a sensor shows a setting, and `None` that nothing here
is the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
import re
from typing import Final

from homeassistant.helpers import entity_registry as er
from homeassistant.util import slugify

SIGNED: Final = frozenset({"current", "power", "bank_current", "bank_power"})
"""Translation keys of what is positive while charging, of a pack as of a bank."""
_DOUBLED: Final = re.compile(r"(bms_(?:\d+|master))_bms(?:_(?:\d+|master))?")
"""Some ids have the name of the device twice, `bms_1_bms_1_alarm_list`."""
_PROTECTIONS: Final = {
    "{}_protection": "{}",
    "{}_protection_recovery": "{}_recovery",
}


@dataclass(frozen=True, slots=True)
class Match:
    """What an old entity is."""

    predecessor: Predecessor
    prefix: str
    """What its id begins with: the device it belongs to."""
    key: str | None
    """Our key, None where nothing here is the same."""


@dataclass(frozen=True, kw_only=True)
class Predecessor:
    """Something that people have used before, and how it names its entities."""

    name: str
    platform: str
    """The integration whose entities they are in Home Assistant."""
    names: Mapping[str, str | None]
    unsigned: frozenset[str] = frozenset()
    """Keys of which it does not tell the direction."""
    fewest: int = 3
    """Entities that have to fit before a device is taken for one of it."""

    @cached_property
    def _rows(self) -> tuple[tuple[re.Pattern[str], str | None], ...]:
        rows = [
            (
                re.compile(
                    r"(?P<prefix>.+?)_"
                    + re.escape(end).replace(r"\{n\}", r"0?(?P<n>\d{1,2})")
                ),
                key,
            )
            for end, key in self.names.items()
        ]
        # "max_charge_current" also ends with "current".
        return tuple(sorted(rows, key=lambda row: -len(row[0].pattern)))

    def find(self, text: str) -> tuple[str, str | None] | None:
        """Return the device and our key for the end of an entity id or a unique id."""
        for pattern, key in self._rows:
            if (found := pattern.fullmatch(text)) is None:
                continue
            number = found.groupdict().get("n")
            return found["prefix"], key and key.replace("{n}", number or "")
        return None


def _protections(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield limits and their recoveries, which are named alike."""
    for old, key in names.items():
        for theirs, ours in _PROTECTIONS.items():
            yield theirs.format(old), ours.format(key)


# The add-on's own list of entities, and its topics in lower case
_NODE_RED: Final[dict[str, str | None]] = {
    "tension_totale_volt": "total_voltage",
    "courant_total": "current",
    "puissance_totale": "power",
    "soc_pourcentage": "state_of_charge",
    "soh_pourcentage": "state_of_health",
    "capacite_restante_ah": "capacity_remaining",
    "capacite_batterie_ah": "full_charge_capacity",
    "nombre_cycle": "charging_cycles",
    "cycle_capacite_ah": "total_charging_cycle_capacity",
    "total_runtime": "total_runtime",
    "total_runtime_formatted": None,
    "mos_temp": "power_tube_temperature",
    "sonde_1_temp": "temperature_sensor_1",
    "sonde_2_temp": "temperature_sensor_2",
    "sonde_3_temp": "temperature_sensor_4",
    "sonde_4_temp": "temperature_sensor_5",
    "cell_{n}_volt": "cell_voltage_{n}",
    "cell_{n}_ohm": "cell_resistance_{n}",
    "cell_voltage_average": "average_cell_voltage",
    "cell_voltage_delta": "delta_cell_voltage",
    "cell_voltage_max_value": "max_cell_voltage",
    "cell_voltage_min_value": "min_cell_voltage",
    "cell_voltage_max_number": "max_voltage_cell",
    "cell_voltage_min_number": "min_voltage_cell",
    "balance_courant": "balancing_current",
    "balance_action": "balancing",
    "switch_charge": "charging",
    "switch_decharge": "discharging",
    "switch_balance": "balancer",
    "heating": "heating",
    "heating_current": "heating_current",
    "charge_status": "charge_status",
    "charge_status_text": None,
    "charge_status_time": "charge_status_time",
    "charge_status_time_formatted": None,
    "alarm_active": "problem",
    "alarm_list": "errors",
    "alarm_status": None,
    "visual_status": None,
    "smart_sleep_voltage": "smart_sleep_voltage",
    "cell_voltage_undervoltage_protection": "cell_uvp",
    "cell_voltage_undervoltage_recovery": "cell_uvpr",
    "cell_voltage_overvoltage_protection": "cell_ovp",
    "cell_voltage_overvoltage_recovery": "cell_ovpr",
    "cell_soc100_voltage": "soc_100_voltage",
    "cell_soc0_voltage": "soc_0_voltage",
    "cell_request_charge_voltage": "cell_request_charge_voltage",
    "cell_request_float_voltage": "cell_request_float_voltage",
    "power_off_voltage": "power_off_voltage",
    "max_charge_current": "max_charge_current",
    "max_discharge_current": "max_discharge_current",
    "charge_overcurrent_protection_delay": "charge_ocp_delay",
    "charge_overcurrent_protection_recovery_time": "charge_ocp_release",
    "discharge_overcurrent_protection_delay": "discharge_ocp_delay",
    "discharge_overcurrent_protection_recovery_time": "discharge_ocp_release",
    "short_circuit_protection_delay": "short_circuit_delay",
    "short_circuit_protection_recovery_time": "short_circuit_release",
    **dict(
        _protections(
            {
                "charge_overtemperature": "charge_otp",
                "discharge_overtemperature": "discharge_otp",
                "charge_undertemperature": "charge_utp",
                "power_tube_overtemperature": "mos_otp",
            }
        )
    ),
    "balance_trigger_voltage": "balance_trigger_voltage",
    "balance_starting_voltage": "balance_starting_voltage",
    "max_balance_current": "max_balance_current",
    "total_battery_capacity_ah": "total_battery_capacity_setting",
    "cell_count": "cell_count",
    "connexion_wire_resistance_{n}": "connection_resistance_{n}",
    "device_address": "device_address",
    "charging_switch": "charging_switch",
    "discharging_switch": "discharging_switch",
    "balance_switch": "balancer",
    "smart_sleep_switch": "smart_sleep",
    "disable_pcl_module_switch": "disable_pcl_module",
    "timed_stored_data_switch": "timed_stored_data",
    "charging_floating_mode": "charging_float_mode",
    "display_always_on_switch": "display_always_on",
    "uptime": "total_runtime",
    "power_count": "power_on_count",
    "serialnb": "bluetooth_name",
    "manufacturing_date": "manufacturing_date",
}

_SNIFFER: Final[dict[str, str | None]] = {
    "battery_voltage": "total_voltage",
    "battery_current": "current",
    "battery_power": "power",
    "battery_power_charging": "charging_power",
    "battery_power_discharging": "discharging_power",
    "battery_capacity_state_of_charge": "state_of_charge",
    "battery_soh_valuation": "state_of_health",
    "battery_capacity_remaining": "capacity_remaining",
    "battery_capacity_total_charging_cycle": "total_charging_cycle_capacity",
    "charging_cycles": "charging_cycles",
    "battery_total_runtime": "total_runtime",
    "cell_voltage_{n}": "cell_voltage_{n}",
    "cell_resistance_{n}": "cell_resistance_{n}",
    "cell_voltage_min": "min_cell_voltage",
    "cell_voltage_max": "max_cell_voltage",
    "cell_voltage_min_cell_number": "min_voltage_cell",
    "cell_voltage_max_cell_number": "max_voltage_cell",
    "cell_delta_voltage": "delta_cell_voltage",
    "cell_average_voltage": "average_cell_voltage",
    "cell_resistance_max": "max_cell_resistance",
    "cell_resistance_max_cell_number": "max_resistance_cell",
    "cell_resistance_min": None,
    "cell_resistance_min_cell_number": None,
    "temperature_powertube": "power_tube_temperature",
    "temperature_sensor_1": "temperature_sensor_1",
    "temperature_sensor_2": "temperature_sensor_2",
    # A copy of the MOSFET's.
    "temperature_sensor_3": None,
    "temperature_sensor_4": "temperature_sensor_4",
    "temperature_sensor_5": "temperature_sensor_5",
    "balancing_current": "balancing_current",
    "balancing_direction": "balancing_direction",
    "emergency_time_countdown": "emergency_time_left",
    "smart_sleep_time": "smart_sleep_time",
    "powertube_temperature_protection": "mos_otp",
    "powertube_temperature_protection_recovery": "mos_otp_recovery",
    "discharging_overcurrent_protection_release_time": "discharge_overcurrent_release",
    "discharging_short_circuit_protection_release_time": "discharge_short_release",
    "charging_overcurrent_protection_release_time": "charge_overcurrent_release",
    "charging_short_circuit_protection_release_time": "charge_short_release",
    "cell_undervoltage_protection_release_time": "undervoltage_release",
    "cell_overvoltage_protection_release_time": "overvoltage_release",
    "status_balancing": "balancing",
    "status_precharging": "precharging",
    "status_charging": "charging",
    "status_discharging": "discharging",
    "status_online": "online",
    "status_heating": "heating",
    "alarm_wireres": "alarm_wire_resistance",
    "alarm_mosotp": "alarm_mos_overtemperature",
    "alarm_cellquantity": "alarm_cell_count",
    "alarm_cursensorerr": "alarm_current_sensor",
    "alarm_cellovp": "alarm_cell_overvoltage",
    "alarm_batovp": "alarm_battery_overvoltage",
    "alarm_chocp": "alarm_charge_overcurrent",
    "alarm_chscp": "alarm_charge_short_circuit",
    "alarm_chotp": "alarm_charge_overtemperature",
    "alarm_chutp": "alarm_charge_undertemperature",
    "alarm_cpuauxcommuerr": "alarm_internal_communication",
    "alarm_celluvp": "alarm_cell_undervoltage",
    "alarm_batuvp": "alarm_battery_undervoltage",
    "alarm_dchocp": "alarm_discharge_overcurrent",
    "alarm_dchscp": "alarm_discharge_short_circuit",
    "alarm_dchotp": "alarm_discharge_overtemperature",
    "alarm_chargemos": "alarm_charge_mos",
    "alarm_dischargemos": "alarm_discharge_mos",
    "alarm_gpsdisconneted": "alarm_gps_disconnected",
    "alarm_modifypwdintime": "alarm_change_password",
    "alarm_dischargeonfailed": "alarm_discharge_on_failed",
    "alarm_batteryovertemp": "alarm_battery_overtemperature",
    "alarm_temperaturesensoranomaly": "alarm_temperature_sensor",
    "alarm_plcmoduleanomaly": "alarm_parallel_module",
}

# Its names are Chinese: an entity id is what Home Assistant makes of them.
_LISTENER: Final[dict[str, tuple[str, str]]] = {
    "total_voltage": ("电池总电压", "total_voltage"),
    "current": ("电池电流", "current"),
    "power_watts": ("电池功率", "power"),
    "soc_percent": ("剩余电量", "state_of_charge"),
    "remaining_capacity_ah": ("剩余容量", "capacity_remaining"),
    "actual_capacity_ah": ("电池实际容量", "full_charge_capacity"),
    "cycle_count": ("循环次数", "charging_cycles"),
    "total_cycle_capacity": ("循环总容量", "total_charging_cycle_capacity"),
    "avg_voltage": ("平均电压", "average_cell_voltage"),
    "max_diff_voltage": ("最大压差", "delta_cell_voltage"),
    "max_cell_index": ("最大單體", "max_voltage_cell"),
    "min_cell_index": ("最小單體", "min_voltage_cell"),
    "power_board_temp": ("功率板温度", "power_tube_temperature"),
    "temp_sensor_1": ("电池温度1", "temperature_sensor_1"),
    "temp_sensor_2": ("电池温度2", "temperature_sensor_2"),
    "temp_sensor_4": ("电池温度4", "temperature_sensor_4"),
    "temp_sensor_5": ("电池温度5", "temperature_sensor_5"),
    "balance_current": ("均衡电流", "balancing_current"),
    "runtime_seconds": ("运行时间", "total_runtime"),
    "charge_status": ("充电状态", "charging"),
    "discharge_status": ("放电状态", "discharging"),
    "charge_switch": ("充电开关", "charging_switch"),
    "discharge_switch": ("放电开关", "discharging_switch"),
    "balance_switch": ("均衡开关", "balancer"),
    "sleep_voltage": ("进入休眠电压", "smart_sleep_voltage"),
    "cell_uvp": ("单体欠压保护", "cell_uvp"),
    "cell_uvp_recovery": ("单体欠压保护恢复", "cell_uvpr"),
    "cell_ovp": ("单体过充保护", "cell_ovp"),
    "cell_ovp_recovery": ("单体过充保护恢复电", "cell_ovpr"),
    "balance_trigger_diff": ("触发均衡压差", "balance_trigger_voltage"),
    "soc_100_voltage": ("SOC-100%电压", "soc_100_voltage"),
    "soc_0_voltage": ("SOC-0%电压", "soc_0_voltage"),
    "rec_charge_voltage": ("推荐充电电压", "cell_request_charge_voltage"),
    "float_charge_voltage": ("浮充电压", "cell_request_float_voltage"),
    "auto_shutdown_voltage": ("自动关机电压", "power_off_voltage"),
    "cont_charge_current": ("持续充电电流", "max_charge_current"),
    "cont_discharge_current": ("持续放电电流", "max_discharge_current"),
    "charge_ocp_delay": ("充电过流保护延迟", "charge_ocp_delay"),
    "charge_ocp_release": ("充电过流保护解除", "charge_ocp_release"),
    "discharge_ocp_delay": ("放电过流保护延迟", "discharge_ocp_delay"),
    "discharge_ocp_release": ("放电过流保护解除", "discharge_ocp_release"),
    "sc_release": ("短路保护解除", "short_circuit_release"),
    "sc_delay": ("短路保护延迟", "short_circuit_delay"),
    "max_balance_current": ("最大均衡电流", "max_balance_current"),
    "charge_otp": ("充电过温保护", "charge_otp"),
    "charge_otp_recovery": ("充电过温恢复", "charge_otp_recovery"),
    "discharge_otp": ("放电过温保护", "discharge_otp"),
    "discharge_otp_recovery": ("放电过温恢复", "discharge_otp_recovery"),
    "charge_utp": ("充电低温保护", "charge_utp"),
    "charge_utp_recovery": ("充电低温恢复", "charge_utp_recovery"),
    "mos_otp": ("MOS过温保护", "mos_otp"),
    "mos_otp_recovery": ("MOS过温保护恢复", "mos_otp_recovery"),
    "cell_count": ("单体数量", "cell_count"),
    "balance_start_voltage": ("均衡起始电压", "balance_starting_voltage"),
    "sleep_time_seconds": ("进入休眠时间", "sleep_countdown"),
    "emergency_switch_time": ("应急开关时间", "emergency_time_left"),
    "smart_sleep_time": ("智能休眠时间", "smart_sleep_time"),
}


def _listener() -> Iterator[tuple[str, str | None]]:
    yield "cell_{n}_voltage", "cell_voltage_{n}"
    for number in range(1, 17):
        yield slugify(f"{number:02}單體電壓"), f"cell_voltage_{number}"
    for end, (name, key) in _LISTENER.items():
        yield end, key
        yield slugify(name), key


PREDECESSORS: Final = (
    Predecessor(
        name="jean-luc1203/jkbms-rs485-addon (Node-RED, MQTT)",
        platform="mqtt",
        names=_NODE_RED,
        unsigned=frozenset({"power"}),
    ),
    Predecessor(
        name="txubelaxu/esphome-jk-bms (ESPHome, RS485)",
        platform="esphome",
        names=_SNIFFER,
    ),
    Predecessor(
        name="loveflee/jikong-rs485-pb2a16s30p-bms-addon (Python, MQTT)",
        platform="mqtt",
        names=dict(_listener()),
        unsigned=frozenset({"power"}),
    ),
    Predecessor(
        name="patman15/BMS_BLE-HA (Bluetooth)",
        platform="bms_ble",
        names={
            "voltage": "total_voltage",
            "battery": "state_of_charge",
            "battery_level": "state_of_charge",
            "current": "current",
            "power": "power",
            "stored_energy": "remaining_energy",
            "cycle_capacity": "remaining_energy",
            "cycles": "charging_cycles",
            "delta_voltage": "delta_cell_voltage",
            "delta_cell_voltage": "delta_cell_voltage",
            "maximal_cell_voltage": "max_cell_voltage",
            "max_cell_voltage": "max_cell_voltage",
            "minimal_cell_voltage": "min_cell_voltage",
            "min_cell_voltage": "min_cell_voltage",
            "runtime": "time_to_empty",
            "problem": "problem",
            "balancer": "balancing",
            "charge_mosfet": "charging",
            "chrg_mosfet": "charging",
            "discharge_mosfet": "discharging",
            "dischrg_mosfet": "discharging",
            "heater": "heating",
            # The mean of all probes, whether current flows, and the radio.
            "temperature": None,
            "charging": None,
            "battery_charging": None,
            "link_quality": None,
            "signal_strength": None,
            "rssi": None,
        },
    ),
)


def match(entity_id: str, entry: er.RegistryEntry | None) -> Iterator[Match]:
    """Yield what an entity may be by its names; one that is only recorded may be of any.

    A name that was given by hand is no obstacle where the unique id is known.
    """
    texts = [entity_id.partition(".")[2]]
    if entry is not None:
        texts.append(slugify(entry.unique_id))
    for predecessor in PREDECESSORS:
        if entry is not None and entry.platform != predecessor.platform:
            continue
        for text in texts:
            if (found := predecessor.find(text)) is not None:
                prefix, key = found
                yield Match(predecessor, _DOUBLED.sub(r"\1", prefix), key)
                break
