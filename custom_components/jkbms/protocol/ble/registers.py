"""Which order changes which setting, and what an order may be at all (ble.md 6).

The two layouts of whole numbers use the same numbers for different settings, and the
oldest for others again: nothing is written before the layout is known.
"""

from typing import Any, Final

from ..codecs import Bit
from ..commands import ClockJob
from ..datum import Field, Firmware
from ..errors import NotWritableError
from ..features import Features
from ..fields import (
    BALANCER,
    CAN_PROTOCOL,
    CAPACITY_SETTING,
    CELL_COUNT,
    CHARGING_SWITCH,
    DISCHARGING_SWITCH,
    HEATER,
    UART1_PROTOCOL,
)
from ..frames import WriteRequest
from ..jobs import Job
from ..layout import Layout
from ..settings_job import SettingsJob
from ..write_job import WriteJob
from ..writing import Change, Wish
from .frames import ASKS, Order

type Register = tuple[int, int]
"""Number, and length of the value in bytes."""

_SWITCHES: Final[dict[str, Register]] = {
    CHARGING_SWITCH.key: (0x1D, 4),
    DISCHARGING_SWITCH.key: (0x1E, 4),
    BALANCER.key: (0x1F, 4),
}
"""The same in both layouts; nothing else is written on boards with 24 cells."""
_IN_A_ROW: Final = (
    "smart_sleep_voltage",
    "cell_uvp",
    "cell_uvpr",
    "cell_ovp",
    "cell_ovpr",
    "balance_trigger_voltage",
    "soc_100_voltage",
    "soc_0_voltage",
    "cell_request_charge_voltage",
    "cell_request_float_voltage",
    "power_off_voltage",
    "max_charge_current",
    "charge_ocp_delay",
    "charge_ocp_release",
    "max_discharge_current",
    "discharge_ocp_delay",
    "discharge_ocp_release",
    "short_circuit_release",
    "max_balance_current",
    "charge_otp",
    "charge_otp_recovery",
    "discharge_otp",
    "discharge_otp_recovery",
    "charge_utp",
    "charge_utp_recovery",
    "mos_otp",
    "mos_otp_recovery",
    CELL_COUNT.key,
)
"""Numbers 01 to 1C."""
_32S: Final[dict[str, Register]] = {
    **{key: (number, 4) for number, key in enumerate(_IN_A_ROW, 1)},
    **_SWITCHES,
    CAPACITY_SETTING.key: (0x20, 4),
    "short_circuit_delay": (0x21, 4),
    "balance_starting_voltage": (0x22, 4),
    "precharge_time": (0x25, 4),
    HEATER.key: (0x27, 4),
    "disable_temperature_sensors": (0x28, 4),
    "port_switch": (0x2A, 4),
    "display_always_on": (0x2B, 4),
    "smart_sleep": (0x2D, 4),
    "disable_pcl_module": (0x2E, 4),
    "timed_stored_data": (0x2F, 4),
    "charging_float_mode": (0x30, 4),
    "heating_start_temperature": (0x37, 1),
    "heating_stop_temperature": (0x38, 1),
    "smart_sleep_time": (0x39, 1),
    "discharge_utp": (0x3A, 1),
    "discharge_utp_recovery": (0x3B, 1),
    UART1_PROTOCOL.key: (0xA5, 2),
    CAN_PROTOCOL.key: (0xA6, 2),
    "lcd_buzzer_trigger": (0xA9, 2),
    "dry_1_trigger": (0xAA, 2),
    "dry_2_trigger": (0xAB, 2),
    "cell_request_charge_time": (0xB3, 1),
    "cell_request_float_time": (0xB4, 1),
}
_OF: Final[dict[Layout | None, dict[str, Register]]] = {
    Layout.JK02_32S: _32S,
    Layout.JK02_24S: _SWITCHES,
}
_CLOCK: Final = 0x6C
"""With the oldest boards it is the balancer (ble.md 6.1)."""
_EMERGENCY: Final = 0x6B
_SENDABLE: Final = {
    *_32S.values(),
    *((number, 0) for number in ASKS.values()),
    (_CLOCK, 4),
    (_EMERGENCY, 4),
}


def takes(change: Change, layout: Layout | None, firmware: Firmware | None) -> bool:
    """Tell whether a change can be sent to a BMS, beyond doubt of what it means there."""
    return _has(change.field, layout, firmware)


def offers(field: Field[Any], features: Features) -> bool:
    """Tell whether a BMS with these features lets a setting be changed over Bluetooth."""
    layout = Layout.JK02_32S if features.has_blocks else features.layout
    return _has(field, layout, features.firmware)


def _has(field: Field[Any], layout: Layout | None, firmware: Firmware | None) -> bool:
    if field.key not in _OF.get(layout, {}) or not field.applies_to(firmware):
        return False
    return firmware is not None or not field.ambiguous


def order_of(field: Field[Any], value: Wish, layout: Layout | None) -> Order | None:
    """Return what sets a setting; None where this layout has no order for it."""
    register = _OF.get(layout, {}).get(field.key)
    if register is None:
        return None
    number, size = register
    raw = value if isinstance(field.codec, Bit) else field.codec.encode(value)
    return Order(number, int(raw).to_bytes(size, "little", signed=int(raw) < 0))


def order_for(job: Job, request: WriteRequest, layout: Layout | None) -> Order | None:
    """Return what does over Bluetooth what a request does on RS485."""
    match job:
        case WriteJob() | SettingsJob():
            change = job.change
            assert change is not None
            return order_of(change.field, change.value, layout)
        case _ if layout is not Layout.JK02_32S:
            return None
        case ClockJob():
            return Order(_CLOCK, request.data[::-1])
        case _:
            return Order(_EMERGENCY, b"\x01\0\0\0")


def check_sendable(order: Order) -> None:
    """Raise NotWritableError where an order is none that may leave; the last gate.

    Beside the settings lie those that shut a BMS down, reset it or load the limits of
    another chemistry (ble.md 6.3).
    """
    if (order.register, len(order.value)) not in _SENDABLE:
        raise NotWritableError(f"order {order.register:#04x}")
