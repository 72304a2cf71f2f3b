"""Where rows of the datasheet lie in the frames of the oldest boards (ble.md 5.3, 5.5)."""

from dataclasses import dataclass
from typing import Any, Final

from ..codecs import FLAG8, U8, U32, Codec, Single
from .live import (
    BALANCING_STATE,
    BMS_AVERAGE,
    CELL_PRESENCE,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    TOTAL_RUNTIME,
)
from .settings import BALANCER, CELL_COUNT

CELLS: Final = 24


@dataclass(frozen=True, slots=True)
class Place:
    """A byte offset in the block, and how the value is written there."""

    offset: int
    codec: Codec[Any]


_VOLTS: Final = Single("f")
_AMPERES: Final = Single("f", digits=3)
_OHMS: Final = Single("f", factor=1000.0, digits=1)
"""Our unit is the milliohm."""

JK04: Final[dict[str, Place]] = {
    **{cell.key: Place(4 * n, _VOLTS) for n, cell in enumerate(CELL_VOLTAGES[:CELLS])},
    **{
        cell.key: Place(96 + 4 * n, _OHMS)
        for n, cell in enumerate(CELL_RESISTANCES[:CELLS])
    },
    BMS_AVERAGE.key: Place(196, _VOLTS),
    "bms_delta_cell_voltage": Place(200, _VOLTS),
    CELL_PRESENCE.key: Place(208, U32),
    "bms_max_voltage_cell_index": Place(212, U8),
    "bms_min_voltage_cell_index": Place(213, U8),
    BALANCING_STATE.key: Place(214, U8),
    "balancing_current": Place(216, _AMPERES),
    TOTAL_RUNTIME.key: Place(280, U32),
    CELL_COUNT.key: Place(28, U8),
    "power_off_voltage": Place(32, _VOLTS),
    "balance_starting_voltage": Place(92, _VOLTS),
    "balance_trigger_voltage": Place(100, _VOLTS),
    "max_balance_current": Place(104, _AMPERES),
    BALANCER.key: Place(108, FLAG8),
}
"""By key; the device info is as on boards with 24 cells."""
