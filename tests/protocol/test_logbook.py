"""The two logs of a BMS (rs485.md 3.3)."""

from datetime import datetime

import pytest

from custom_components.jkbms.protocol.frames import LOG_TRIGGERS, Ack, Frame
from custom_components.jkbms.protocol.logbook import (
    COMPACT,
    LogEvent,
    log_count,
    log_events,
    log_records,
)
from simulator import SlaveLine
from simulator.logs import Event

from .helpers import bank_of, framed, pack


def test_a_detailed_log_tells_the_state_at_each_event() -> None:
    of = pack(
        rtc=86_400,
        highest_cell=2,
        lowest_cell=4,
        cell_voltage_3=3412,
        cell_voltage_5=3301,
        pack_voltage=53_210,
        current=-12_300,
        remaining_capacity=100_500,
        full_capacity=314_000,
        temperature_1=251,
        temperature_2=-32,
        mos_temperature=305,
        charge_mos=1,
        discharge_mos=0,
    )
    of.log.add(Event.RS485_DISCHARGE_OFF, of)
    of.log.add(Event.BOOT, of)
    first, second = log_records(of.log.frames()[:300])
    assert first.time == datetime(2020, 1, 2)
    assert first.code == 54
    assert (first.charging, first.discharging) == (True, False)
    assert (first.balancing, first.heating) == (False, False)
    assert (first.max_voltage_cell, first.max_cell_voltage) == (3, 3.412)
    assert (first.min_voltage_cell, first.min_cell_voltage) == (5, 3.301)
    assert (first.total_voltage, first.current) == (53.21, -12.3)
    assert (first.capacity_remaining, first.full_charge_capacity) == (100.5, 314.0)
    assert (first.max_temperature, first.min_temperature) == (25, -4)
    assert first.power_tube_temperature == 30
    assert second.code == 1


@pytest.mark.parametrize("bit", range(8))
def test_each_flag_of_a_record_has_its_bit(bit: int) -> None:
    """Highest cell 5, lowest cell 7."""
    record = bytes(4) + bytes((1, 1 << bit, 4, 6)) + bytes(24)
    (told,) = log_records(bytes(8) + b"\1" + record + bytes(291 - len(record)))
    flags = (told.charging, told.discharging, told.balancing, told.heating)
    assert flags == tuple(bit == n for n in range(4))
    assert (told.max_voltage_cell, told.min_voltage_cell) == (5, 7)


def test_the_logs_have_the_types_of_the_document() -> None:
    """Compact 5, detailed 6 (rs485.md 3.3)."""
    assert COMPACT == 5
    assert LOG_TRIGGERS == {0x1622: 6, 0x1624: 5}


def test_a_detailed_log_comes_in_many_frames_and_one_ack() -> None:
    line = SlaveLine(bank_of(1))
    for _ in range(30):
        line.bank[1].log.add(Event.BOOT, line.bank[1])
    line.receive(bytes.fromhex("01101622000102 0000 D713"), 1.0)
    data = b""
    while (due := line.due()) is not None:
        data += b"".join(line.collect(due))
    *frames, ack = framed(data)
    assert [len(log_records(f.data)) for f in frames if isinstance(f, Frame)] == [
        12,
        12,
        6,
    ]
    assert ack == Ack(1, 0x1622, 1)


def test_a_count_beyond_the_frame_reads_no_further() -> None:
    frame = bytes(6) + b"\xff\xff\xff\xff" + bytes(290)
    assert log_count(frame) == 0xFFFF_FFFF
    assert log_events(frame) == (LogEvent(0, 0),) * 50
    assert len(log_records(bytes(8) + b"\xff" + bytes(291))) == 12
