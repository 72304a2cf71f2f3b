"""Settings that must not pass each other: a protection and where it ends (rs485.md 7.1).

Only what every captured pack keeps to is asked for. The vendor's own presets release
the over-voltage protection below the requested charge voltage, and the under-voltage
protection above the voltage of 0 %, so that is allowed: advice at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .codecs import Value
from .datum import Field
from .derived import number
from .fields import BY_KEY

type Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Order:
    """Two settings of which one stays below the other."""

    lower: Field[Any]
    upper: Field[Any]
    may_meet: bool = False

    def excess(self, values: Values) -> float | None:
        """Return by how much the lower one is above; None where either is not set.

        Older firmware holds 0 where it knows no setting, and 0 °C twice is no pair.
        """
        lower, upper = (_when_set(values, field) for field in (self.lower, self.upper))
        if lower is None or upper is None or lower == upper == 0:
            return None
        # In binary, pairs as far apart as each other differ in their last digits.
        return round(lower - upper, 6)

    def is_broken_by(self, excess: float) -> bool:
        """Tell whether the two have passed each other."""
        return excess > 0 or (excess == 0 and not self.may_meet)


def _when_set(values: Values, field: Field[Any]) -> float | None:
    """Return a setting, None where it is none that could have been made."""
    value, limits = number(values, field), field.limits
    if value is None or limits is None:
        return None
    return value if limits.minimum <= value <= limits.maximum else None


def _orders(*rows: tuple[str, str, bool]) -> tuple[Order, ...]:
    return tuple(
        Order(BY_KEY[lower], BY_KEY[upper], may_meet) for lower, upper, may_meet in rows
    )


ORDERS: Final = _orders(
    ("power_off_voltage", "cell_uvp", True),
    ("cell_uvp", "cell_uvpr", False),
    ("cell_uvp", "soc_0_voltage", True),
    ("cell_uvpr", "cell_ovpr", False),
    ("cell_ovpr", "cell_ovp", False),
    ("soc_0_voltage", "soc_100_voltage", False),
    ("soc_0_voltage", "balance_starting_voltage", True),
    ("soc_0_voltage", "cell_request_float_voltage", True),
    ("soc_100_voltage", "cell_request_charge_voltage", True),
    ("soc_100_voltage", "cell_ovp", True),
    ("cell_request_float_voltage", "cell_request_charge_voltage", True),
    ("cell_request_charge_voltage", "cell_ovp", True),
    ("charge_otp_recovery", "charge_otp", False),
    ("discharge_otp_recovery", "discharge_otp", False),
    ("mos_otp_recovery", "mos_otp", False),
    ("charge_utp", "charge_utp_recovery", False),
    ("discharge_utp", "discharge_utp_recovery", False),
    ("battery_overtemp_alarm_recovery", "battery_overtemp_alarm", False),
    ("heating_start_temperature", "heating_stop_temperature", False),
)
ADVICE: Final = _orders(
    ("cell_uvpr", "soc_0_voltage", True),
    ("cell_request_charge_voltage", "cell_ovpr", True),
    ("balance_starting_voltage", "cell_request_charge_voltage", True),
)
"""What is recommended, and not kept by many packs that work (rs485.md 7.1)."""


def are_related(one: Field[Any], other: Field[Any]) -> bool:
    """Tell whether one of two settings has to stay below the other."""
    return any({order.lower, order.upper} == {one, other} for order in ORDERS)
