"""What only the protocol `4E 57` tells (ttl4e57.md 4)."""

from typing import Any, Final

from ..alarms import ON_TTL
from ..datum import Datum, Quantity, Role


def _setting[T](key: str, name: str, quantity: Quantity) -> Datum[T]:
    return Datum(
        key=key, name=name, quantity=quantity, role=Role.SETTING, enabled=False
    )


def _raw[T](key: str, *, private: bool = False) -> Datum[T]:
    return Datum(
        key=key,
        name=key,
        quantity=Quantity.NUMBER,
        role=Role.RAW,
        private=private,
    )


BATTERY_OVP: Final[Datum[float]] = _setting(
    "battery_ovp", "Battery OVP", Quantity.PACK_VOLTAGE
)
"""The firmware computes it: cells times their own limit."""
BATTERY_UVP: Final[Datum[float]] = _setting(
    "battery_uvp", "Battery UVP", Quantity.PACK_VOLTAGE
)
CELL_OVP_DELAY: Final[Datum[float]] = _setting(
    "cell_ovp_delay", "Cell OVP delay", Quantity.SECONDS
)
CELL_UVP_DELAY: Final[Datum[float]] = _setting(
    "cell_uvp_delay", "Cell UVP delay", Quantity.SECONDS
)
CELL_DIFFERENCE_PROTECTION: Final[Datum[float]] = _setting(
    "cell_difference_protection",
    "Cell voltage difference protection",
    Quantity.CELL_VOLTAGE,
)
BOX_OTP: Final[Datum[float]] = _setting(
    "box_otp", "Battery box OTP", Quantity.TEMPERATURE
)
BOX_OTP_RECOVERY: Final[Datum[float]] = _setting(
    "box_otp_recovery", "Battery box OTP recovery", Quantity.TEMPERATURE
)
TEMPERATURE_DIFFERENCE_PROTECTION: Final[Datum[float]] = _setting(
    "temperature_difference_protection",
    "Temperature difference protection",
    Quantity.TEMPERATURE,
)
SLEEP_WAIT_TIME: Final[Datum[float]] = _setting(
    "sleep_wait_time", "Time until sleep (setting)", Quantity.SECONDS
)
LOW_SOC_THRESHOLD: Final[Datum[float]] = _setting(
    "low_soc_threshold", "Low SoC alarm", Quantity.PERCENTAGE
)
ACTUAL_CAPACITY: Final[Datum[float]] = _setting(
    "actual_battery_capacity", "Actual capacity", Quantity.CHARGE
)
MANUFACTURING_MONTH: Final[Datum[str]] = Datum(
    key="manufacturing_month",
    name="Manufacturing month",
    quantity=Quantity.TEXT,
    role=Role.DIAGNOSTIC,
    enabled=False,
)
"""Year and month, as 2023-07; there is no day."""
PROBE_COUNT: Final[Datum[float]] = _raw("ttl_probe_count")
CELLS_COUNTED: Final[Datum[float]] = _raw("ttl_cell_count")
ALARM_WORD: Final[Datum[float]] = _raw("ttl_alarm_word")
STATUS_WORD: Final[Datum[float]] = _raw("ttl_status_word")
CURRENT_CALIBRATION: Final[Datum[float]] = _raw("ttl_current_calibration")
CALIBRATING: Final[Datum[bool]] = _raw("ttl_calibrating")
MANUFACTURER_ID: Final[Datum[str]] = _raw("ttl_manufacturer_id", private=True)
PROTOCOL_VERSION: Final[Datum[float]] = _raw("ttl_protocol_version")
TTL_ALARMS: Final[tuple[Datum[bool], ...]] = tuple(
    Datum(
        key=alarm.key,
        name=alarm.name,
        quantity=Quantity.PROBLEM,
        role=Role.DIAGNOSTIC,
    )
    for alarm in ON_TTL
)
"""Whether an alarm is active that neither the alarm word nor CAN knows."""

TTL: Final[tuple[Datum[Any], ...]] = (
    BATTERY_OVP,
    BATTERY_UVP,
    CELL_OVP_DELAY,
    CELL_UVP_DELAY,
    CELL_DIFFERENCE_PROTECTION,
    BOX_OTP,
    BOX_OTP_RECOVERY,
    TEMPERATURE_DIFFERENCE_PROTECTION,
    SLEEP_WAIT_TIME,
    LOW_SOC_THRESHOLD,
    ACTUAL_CAPACITY,
    MANUFACTURING_MONTH,
    PROBE_COUNT,
    CELLS_COUNTED,
    ALARM_WORD,
    STATUS_WORD,
    CURRENT_CALIBRATION,
    CALIBRATING,
    MANUFACTURER_ID,
    PROTOCOL_VERSION,
    *TTL_ALARMS,
)
