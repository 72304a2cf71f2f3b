"""JK's own messages, of one pack each: the table and what they say (can.md 1.2, 1.3)."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from math import ceil, floor
import struct
from typing import Final

from ..alarms import BY_KEY, LEVELS, PROBLEMS, severity_at
from ..codecs import Value
from ..fields import (
    CAPACITY_REMAINING,
    CELL_VOLTAGES,
    CHARGE_MOS,
    CHARGER_PLUGGED,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    DISCHARGE_MOS,
    FULL_CHARGE_CAPACITY,
    HEATING,
    HEATING_CURRENT,
    MOS_TEMPERATURE,
    PROBES,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_RUNTIME,
)
from ..fields.can import (
    ACC,
    ALARM_LEVELS,
    AVERAGE_TEMPERATURE,
    BMS_VOLTAGE,
    CHARGE_CURRENT_REQUEST,
    CHARGE_VOLTAGE_REQUEST,
    CHARGER_REQUEST,
    CYCLE_CAPACITY_COUNTER,
    DISCHARGE_TIME,
    HEATING_REQUEST,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
)
from .conditions import CELL_DIFFERENCE, LOW_TEMPERATURE, Condition, alarm, of_bits
from .frame import MAX_LENGTH, Decoded, Frame

MAX_ADDRESS: Final = 15
MAX_STANDARD_ADDRESS: Final = 11
"""0x7F4 + 12 is no 11-bit id any more (can.md 1.1)."""
_CELLS_PER_FRAME: Final = 4
_CELL_FRAMES: Final = 7
_CELLS: Final = 25
"""The last frame has room for more, and says nothing of them (can.md 1.3)."""
_CELL_KEYS: Final = tuple(cell.key for cell in CELL_VOLTAGES[:_CELLS])
_WORDS_KEPT: Final = 64
"""Alarms and switches stay as they are for hours."""
_SOC_STEP: Final = 2
_THROUGHPUT_STEP: Final = 50
"""0.1 Ah; at 600 A a BMS needs 30 s for it."""
_RUNTIME_STEP: Final = 40
"""Seconds; who pauses for longer has to begin anew."""
_CAPACITY_WRAP: Final = 6553.6
_CAPACITY_DRIFT: Final = 0.03
"""The learnt capacity varies; in each of 45 captures throughput / capacity was within
the count of cycles and the next one (rs485.md 2.6)."""
_ZERO_CELSIUS: Final = 50
_NO_SENSOR: Final = (0x00, 0xFF)

# -- standard frames, all versions ----------------------------------------------------

_STATUS: Final = struct.Struct("<HHB")


def _status(data: bytes) -> Decoded:
    volts, amperes, soc = _STATUS.unpack_from(data)
    return Decoded(
        {
            BMS_VOLTAGE.key: volts / 10,
            CURRENT.key: (amperes - 4000) / 10,
            STATE_OF_CHARGE.key: soc,
        }
    )


def _status_v1(data: bytes) -> Decoded:
    volts, amperes, soc = _STATUS.unpack_from(data)
    values: dict[str, Value] = {
        BMS_VOLTAGE.key: volts / 10,
        # Discharge is positive here.
        CURRENT.key: (4000 - amperes) / 10,
        STATE_OF_CHARGE.key: soc,
    }
    if len(data) >= MAX_LENGTH:
        values[DISCHARGE_TIME.key] = int.from_bytes(data[6:8], "little")
    return Decoded(values)


def _same_soc(old: bytes, new: bytes) -> bool:
    return abs(new[4] - old[4]) <= _SOC_STEP


_EXTREMES: Final = struct.Struct("<HBHB")


def _cell_extremes(data: bytes) -> Decoded:
    highest, highest_cell, lowest, lowest_cell = _EXTREMES.unpack_from(data)
    return Decoded(
        {
            "max_cell_voltage": highest / 1000,
            "max_voltage_cell": highest_cell,
            "min_cell_voltage": lowest / 1000,
            "min_voltage_cell": lowest_cell,
            "delta_cell_voltage": (highest - lowest) / 1000,
        }
    )


def _celsius(raw: int) -> int | None:
    return None if raw in _NO_SENSOR else raw - _ZERO_CELSIUS


def _temperature_extremes(data: bytes) -> Decoded:
    return Decoded(
        {
            MAX_TEMPERATURE.key: _celsius(data[0]),
            MIN_TEMPERATURE.key: _celsius(data[2]),
            AVERAGE_TEMPERATURE.key: _celsius(data[4]),
        }
    )


_CONDITIONS: Final = (
    alarm("cell_overvoltage"),
    alarm("cell_undervoltage"),
    alarm("battery_overvoltage"),
    alarm("battery_undervoltage"),
    CELL_DIFFERENCE,
    alarm("discharge_overcurrent"),
    alarm("charge_overcurrent"),
    alarm("battery_overtemperature"),
    LOW_TEMPERATURE,
    alarm("temperature_difference"),
    alarm("low_soc"),
    alarm("low_insulation"),
    alarm("hv_interlock"),
    alarm("external_communication"),
    alarm("internal_communication"),
)
_RESERVED_IN_V2: Final = (2, 3, 9, 11, 12, 13)
LEVEL_KEYS_V1: Final = tuple(level.key for level in ALARM_LEVELS)
LEVEL_KEYS_V2: Final = tuple(
    key for n, key in enumerate(LEVEL_KEYS_V1) if n not in _RESERVED_IN_V2
)


def _at_level(condition: Condition, level: int) -> Condition:
    """Return the condition as grave as its level makes it."""
    severity = severity_at(BY_KEY[condition.key], LEVELS[level])
    return replace(condition, grave=severity in PROBLEMS)


def _alarm_levels(data: bytes, which: tuple[int, ...]) -> Decoded:
    return _levels(int.from_bytes(data[:4], "little"), which)


@lru_cache(_WORDS_KEPT)
def _levels(word: int, which: tuple[int, ...]) -> Decoded:
    levels = {n: word >> 2 * n & 3 for n in which}
    return Decoded(
        {ALARM_LEVELS[n].key: LEVELS[level] for n, level in levels.items()},
        tuple(_at_level(_CONDITIONS[n], level) for n, level in levels.items() if level),
    )


_IN_V1: Final = tuple(range(len(_CONDITIONS)))
_IN_V2: Final = tuple(n for n in _IN_V1 if n not in _RESERVED_IN_V2)

# -- extended frames, version 2 -------------------------------------------------------

_CAPACITY: Final = struct.Struct("<HHHH")


def whole_throughput(counter: float, capacity: float, cycles: int) -> float | None:
    """Return the ampere hours of all cycles, of which a counter shows the last 6553.5.

    The count of cycles tells how often it began anew, as long as it leaves no choice.
    """
    lowest = cycles * capacity * (1 - _CAPACITY_DRIFT)
    highest = (cycles + 1) * capacity * (1 + _CAPACITY_DRIFT)
    fewest = max(0, ceil((lowest - counter) / _CAPACITY_WRAP))
    most = floor((highest - counter) / _CAPACITY_WRAP)
    return round(counter + fewest * _CAPACITY_WRAP, 1) if fewest == most else None


def _capacity(data: bytes) -> Decoded:
    remaining, full, counter, cycles = _CAPACITY.unpack_from(data)
    return Decoded(
        {
            CAPACITY_REMAINING.key: remaining / 10,
            FULL_CHARGE_CAPACITY.key: full / 10,
            CYCLE_CAPACITY_COUNTER.key: counter / 10,
            CYCLE_CAPACITY.key: whole_throughput(counter / 10, full / 10, cycles),
            CHARGING_CYCLES.key: cycles,
        }
    )


def _same_cycles(old: bytes, new: bytes) -> bool:
    _, full_then, throughput_then, cycles_then = _CAPACITY.unpack_from(old)
    _, full, throughput, cycles = _CAPACITY.unpack_from(new)
    return (
        full == full_then
        and cycles - cycles_then in (0, 1)
        and (throughput - throughput_then) % 0x10000 <= _THROUGHPUT_STEP
    )


_T1, _T2, _T4, _T5 = PROBES
_TEMPERATURES: Final = (_T1, _T2, MOS_TEMPERATURE, _T4, _T5)


def _temperatures(data: bytes) -> Decoded:
    # The mask before them names one probe where five are fitted (can.md 1.3).
    return Decoded(
        {
            field.key: _celsius(raw)
            for field, raw in zip(_TEMPERATURES, data[1:6], strict=True)
        }
    )


_FAULTS: Final = of_bits(18)
ALARM_KEYS_V1: Final = frozenset(condition.key for condition in _CONDITIONS)
FAULT_KEYS: Final = frozenset(fault.key for fault in _FAULTS)
ALARM_KEYS_V2: Final = FAULT_KEYS | {_CONDITIONS[n].key for n in _IN_V2}
"""What a pack warns of, whether it does so now or not."""


def _faults(data: bytes) -> Decoded:
    return _of_word(int.from_bytes(data[:3], "little"))


@lru_cache(_WORDS_KEPT)
def _of_word(word: int) -> Decoded:
    return Decoded(
        alarms=tuple(fault for n, fault in enumerate(_FAULTS) if word >> n & 1)
    )


_INFORMATION: Final = struct.Struct("<IHB")


def _information(data: bytes) -> Decoded:
    seconds, heating, health = _INFORMATION.unpack_from(data)
    return Decoded(
        {
            TOTAL_RUNTIME.key: seconds,
            HEATING_CURRENT.key: heating / 1000,
            STATE_OF_HEALTH.key: health,
        }
    )


def _same_runtime(old: bytes, new: bytes) -> bool:
    seconds = int.from_bytes(new[:4], "little") - int.from_bytes(old[:4], "little")
    return 0 <= seconds <= _RUNTIME_STEP


_SWITCHES: Final = (
    CHARGE_MOS.key,
    DISCHARGE_MOS.key,
    "balancing",
    HEATING.key,
    CHARGER_PLUGGED.key,
    ACC.key,
)


def _switches(data: bytes) -> Decoded:
    return _of_switches(data[0])


@lru_cache(_WORDS_KEPT)
def _of_switches(bits: int) -> Decoded:
    return Decoded({key: bool(bits >> n & 1) for n, key in enumerate(_SWITCHES)})


_VOLTAGES: Final = tuple(
    struct.Struct(f"<{count}H").unpack_from for count in range(_CELLS_PER_FRAME + 1)
)


def _cell_voltages(data: bytes, keys: tuple[str, ...]) -> Decoded:
    """Return up to four cells; a voltage of 0 is no cell."""
    volts = _VOLTAGES[min(len(data) // 2, len(keys))](data)
    return Decoded(
        {
            key: raw / 1000 if raw else None
            for key, raw in zip(keys, volts, strict=False)
        }
    )


_CHARGE: Final = struct.Struct(">HHBB")


def _charge_request(data: bytes) -> Decoded:
    volts, amperes, off, heat = _CHARGE.unpack_from(data)
    return Decoded(
        {
            CHARGE_VOLTAGE_REQUEST.key: volts / 10,
            CHARGE_CURRENT_REQUEST.key: amperes / 10,
            CHARGER_REQUEST.key: _two(off, when_0=True),
            HEATING_REQUEST.key: _two(heat, when_0=False),
        }
    )


def _two(raw: int, *, when_0: bool) -> bool | None:
    return {0: when_0, 1: not when_0}.get(raw)


# -- the table ------------------------------------------------------------------------


def _extended(
    name: str,
    code: int,
    length: int,
    period: float,
    decode: Callable[[bytes], Decoded],
    follows: Callable[[bytes, bytes], bool] | None = None,
) -> Frame:
    return Frame(
        name=name,
        id=code,
        extended=True,
        length=length,
        period=period,
        decode=decode,
        follows=follows,
    )


STATUS: Final = Frame(
    name="BATT_ST1",
    id=0x2F4,
    length=5,
    period=0.1,
    decode=_status,
    decode_v1=_status_v1,
    follows=_same_soc,
)
CELL_EXTREMES: Final = Frame(
    name="CELL_VOLT", id=0x4F4, length=6, period=0.1, decode=_cell_extremes
)
TEMPERATURE_EXTREMES: Final = Frame(
    name="CELL_TEMP", id=0x5F4, length=5, period=1.0, decode=_temperature_extremes
)
ALARMS: Final = Frame(
    name="ALM_INFO",
    id=0x7F4,
    length=4,
    period=0.1,
    decode=partial(_alarm_levels, which=_IN_V2),
    decode_v1=partial(_alarm_levels, which=_IN_V1),
)
CAPACITY: Final = _extended(
    "BATT_ST2", 0x18F128F4, 8, 0.2, _capacity, follows=_same_cycles
)
TEMPERATURES: Final = _extended("ALL_TEMP", 0x18F228F4, 6, 1.0, _temperatures)
FAULTS: Final = _extended("BMSERR_INFO", 0x18F328F4, 3, 0.1, _faults)
INFORMATION: Final = _extended(
    "BMS_INFO", 0x18F428F4, 7, 1.0, _information, follows=_same_runtime
)
SWITCHES: Final = _extended("BmsSwSta", 0x18F528F4, 1, 0.5, _switches)
CHARGE_REQUEST: Final = _extended("BMSChg_INFO", 0x1806E5F4, 6, 0.5, _charge_request)
CELLS: Final = tuple(
    _extended(
        f"CELLVOL_{k}",
        0x18E028F4 + (k << 16),
        2,
        1.5,
        partial(
            _cell_voltages,
            keys=_CELL_KEYS[_CELLS_PER_FRAME * k : _CELLS_PER_FRAME * (k + 1)],
        ),
    )
    for k in range(_CELL_FRAMES)
)
FRAMES: Final = (
    STATUS,
    CELL_EXTREMES,
    TEMPERATURE_EXTREMES,
    ALARMS,
    CAPACITY,
    TEMPERATURES,
    FAULTS,
    INFORMATION,
    SWITCHES,
    CHARGE_REQUEST,
    *CELLS,
)
BY_ID: Final = {
    frame.id + address: (frame, address)
    for frame in FRAMES
    for address in range((MAX_ADDRESS if frame.extended else MAX_STANDARD_ADDRESS) + 1)
}
"""Whose message an id is. From address 12 on it carries into the byte above: the low
byte is 0x00 to 0x03, as the documented sum of id and address says."""
