"""What a BMS has written down: its two logs, as the frames of both (rs485.md 3.3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
import struct
from typing import Final

from .codecs import BMS_EPOCH

COMPACT: Final = 0x05
_EVENT: Final = struct.Struct("<IB")
_EVENTS_AT: Final = 11
_EVENTS: Final = 50
_RECORD: Final = struct.Struct("<I4B3Hh2H3bB")
_RECORDS_AT: Final = 9
_RECORDS: Final = 12


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of the compact log."""

    runtime: int
    """Seconds the BMS had been running for."""
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One event of the detailed log with the state of the pack at that moment.

    The unit of the heater's current is disputed; it is left out (rs485.md 10).
    """

    time: datetime
    code: int
    charging: bool
    discharging: bool
    balancing: bool
    heating: bool
    max_voltage_cell: int
    min_voltage_cell: int
    max_cell_voltage: float
    min_cell_voltage: float
    total_voltage: float
    current: float
    capacity_remaining: float
    full_charge_capacity: float
    max_temperature: int
    min_temperature: int
    power_tube_temperature: int


def log_count(frame: bytes) -> int:
    """Return how many events a compact log has counted, overwritten ones too."""
    return int.from_bytes(frame[6:10], "little")


def log_events(frame: bytes) -> tuple[LogEvent, ...]:
    """Return the events of a compact log in the order of its ring buffer."""
    kept = min(log_count(frame), _EVENTS)
    return tuple(
        LogEvent(*_EVENT.unpack_from(frame, _EVENTS_AT + _EVENT.size * slot))
        for slot in range(kept)
    )


def log_records(frame: bytes) -> tuple[LogRecord, ...]:
    """Return the records of one frame of the detailed log."""
    kept = min(frame[8], _RECORDS)
    return tuple(
        _record(_RECORD.unpack_from(frame, _RECORDS_AT + _RECORD.size * slot))
        for slot in range(kept)
    )


def _record(raw: tuple[int, ...]) -> LogRecord:
    return LogRecord(
        time=BMS_EPOCH + timedelta(seconds=raw[0]),
        code=raw[1],
        charging=bool(raw[2] & 1),
        discharging=bool(raw[2] & 2),
        balancing=bool(raw[2] & 4),
        heating=bool(raw[2] & 8),
        max_voltage_cell=raw[3] + 1,
        min_voltage_cell=raw[4] + 1,
        max_cell_voltage=raw[5] / 1000,
        min_cell_voltage=raw[6] / 1000,
        total_voltage=raw[7] / 100,
        current=raw[8] / 10,
        capacity_remaining=raw[9] / 10,
        full_charge_capacity=raw[10] / 10,
        max_temperature=raw[11],
        min_temperature=raw[12],
        power_tube_temperature=raw[13],
    )
