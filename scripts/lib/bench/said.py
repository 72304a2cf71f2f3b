"""What packs say in a row: as they do, with as much changed as wanted, or to be doubted."""

from collections.abc import Iterable, Iterator
import struct
from typing import Any, Final

from custom_components.jkbms.protocol.datum import Block, Field
from custom_components.jkbms.protocol.fields import (
    BY_KEY,
    CELL_RESISTANCES,
    CELL_VOLTAGES,
)
from custom_components.jkbms.protocol.frames import sum8
from custom_components.jkbms.protocol.layout import FRAME_HEAD
import simulator
from simulator import Pack, trios

COUNT: Final = 400
"""So many seconds of one pack; each run begins with a state that knows nothing."""
_CELLS: Final = 16
_SIMULATED: Final = {
    Block.LIVE: simulator.Block.LIVE,
    Block.SETTINGS: simulator.Block.SETTINGS,
}
_CLOCKS: Final = {"total_runtime": 1, "uptime": 10, "bms_clock": 1}
"""What one second adds to the raw value."""
_OFTEN: Final = (
    *(field.key for field in CELL_VOLTAGES[:_CELLS]),
    *_CLOCKS,
    "bms_average_cell_voltage",
    "bms_power",
    "current",
    "capacity_remaining",
    "power_tube_temperature",
    "mos_temperature_mirror",
    "temperature_sensor_1",
    "temperature_sensor_2",
)
"""A fifth of all."""
_SELDOM: Final = (
    *(field.key for field in CELL_RESISTANCES[:_CELLS]),
    "total_voltage",
    "total_charging_cycle_capacity",
    "state_of_charge",
    "balancing_current",
    "balancing_state",
    "heating_current",
    "bms_delta_cell_voltage",
    "bms_max_voltage_cell_index",
    "bms_min_voltage_cell_index",
    "charge_sense_voltage",
    "discharge_sense_voltage",
    "charge_pwm",
    "discharge_pwm",
    "coarse_voltage",
    "brownout_time",
    "temperature_sensor_4",
    "temperature_sensor_5",
    "event_log_entries",
)
_STEADY: Final = (
    "charging",
    "discharging",
    "heating",
    "precharging",
    "charger_plugged",
    "pcl_module",
    "relay",
    "acc",
    "mcu_id",
    "user_alarm",
)
_RISING: Final = frozenset({"total_charging_cycle_capacity", "event_log_entries"})


def told(block: Block) -> list[bytes]:
    """Return what a pack of the simulator says, second by second."""
    pack = Pack(trios()[0], 1, seed=1)
    frames = []
    for second in range(COUNT):
        pack.advance(float(second))
        frames.append(pack.frame(_SIMULATED[block]))
    return frames


def a_fifth() -> list[bytes]:
    """Return live frames in which a fifth of all values is another one each time."""
    return list(_changing([_OFTEN] * COUNT))


def all_that_may() -> list[bytes]:
    """Return live frames in which all is another one that changes without a doubt."""
    return list(_changing([(*_OFTEN, *_SELDOM)] * COUNT))


def twice() -> list[bytes]:
    """Return live frames of which each second one says again what is doubted."""
    clocks = tuple(_CLOCKS)
    doubted = [(*clocks, _STEADY[n % len(_STEADY)]) for n in range(COUNT // 2)]
    return list(_changing(keys for said in doubted for keys in (said, clocks)))


def _changing(changes: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
    """Yield frames with these values changed, one after the other."""
    frame = bytearray(Pack(trios()[0], 1, still=True).frame(simulator.Block.LIVE))
    for second, keys in enumerate(changes):
        for key in keys:
            _change(frame, BY_KEY[key], second)
        frame[-1] = sum8(bytes(frame))
        yield bytes(frame)


def _change(frame: bytearray, field: Field[Any], second: int) -> None:
    code, at = f"<{field.codec.code}", FRAME_HEAD + field.offset
    (raw,) = struct.unpack_from(code, frame, at)
    falls = second % 2 and field.key not in _RISING
    if field.key in _STEADY:
        raw ^= 1
    else:
        raw += _CLOCKS.get(field.key) or (-1 if falls else 1)
    struct.pack_into(code, frame, at, raw)
