"""The examples of rs485.md 9 and the table of rs485.md 3.1, byte for byte."""

from datetime import date, datetime
from typing import Final

import pytest

from custom_components.jkbms.protocol.codecs import BIG, Value
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Firmware
from custom_components.jkbms.protocol.derived import derive
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import (
    Ack,
    ExceptionReply,
    ReadReply,
    ReadRequest,
    WriteRequest,
    crc16,
    sum8,
    trigger,
)
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    decode_block,
    decode_registers,
)
from custom_components.jkbms.protocol.logbook import LogEvent, log_count, log_events
from custom_components.jkbms.protocol.stream import Framer
from custom_components.jkbms.protocol.writing import Change

from ..captures import frames, golden_frames
from .helpers import crc_bytes, framed

GOLDEN: Final = {golden.id: golden.data for golden in golden_frames()}
FW_15_41: Final = Firmware(15, 41)

# rs485.md 3.1: address, then request and ACK of the triggers 161C, 161E and 1620.
CRC_TABLE: Final = """
00 DE 5D C5 96 DF BF 64 56 DB 61 05 9A
01 D3 CD C4 47 D2 2F 65 87 D6 F1 04 4B
02 C7 3D C4 74 C6 DF 65 B4 C2 01 04 78
03 CA AD C5 A5 CB 4F 64 65 CF 91 05 A9
04 EC 9D C4 12 ED 7F 65 D2 E9 A1 04 1E
05 E1 0D C5 C3 E0 EF 64 03 E4 31 05 CF
06 F5 FD C5 F0 F4 1F 64 30 F0 C1 05 FC
07 F8 6D C4 21 F9 8F 65 E1 FD 51 04 2D
08 B9 9D C4 DE B8 7F 65 1E BC A1 04 D2
09 B4 0D C5 0F B5 EF 64 CF B1 31 05 03
0A A0 FD C5 3C A1 1F 64 FC A5 C1 05 30
0B AD 6D C4 ED AC 8F 65 2D A8 51 04 E1
0C 8B 5D C5 5A 8A BF 64 9A 8E 61 05 56
0D 86 CD C4 8B 87 2F 65 4B 83 F1 04 87
0E 92 3D C4 B8 93 DF 65 78 97 01 04 B4
0F 9F AD C5 69 9E 4F 64 A9 9A 91 05 65
"""
BLOCKS: Final = (Block.DEVICE, Block.SETTINGS, Block.LIVE)


def values_of(name: str, firmware: Firmware | None = None) -> dict[str, Value]:
    frame = GOLDEN[name]
    block = BLOCK_OF_TYPE[frame[4]]
    values = decode_block(frame, block, firmware=firmware, offset=FRAME_HEAD)
    return values | derive(values) if block is Block.LIVE else values


def subset(values: dict[str, Value], expected: dict[str, Value]) -> dict[str, Value]:
    return {key: values[key] for key in expected}


@pytest.mark.parametrize("row", CRC_TABLE.strip().splitlines(), ids=lambda r: r[:2])
def test_the_sums_of_all_triggers_are_those_of_the_table(row: str) -> None:
    address, *sums = bytes.fromhex(row)
    for block, place in zip(BLOCKS, range(0, 12, 4), strict=True):
        head = bytes((address, 0x10, *block.trigger.to_bytes(2), 0, 1))
        asked, answered = (
            bytes(sums[place : place + 2]),
            bytes(sums[place + 2 : place + 4]),
        )
        request = trigger(address, block)
        assert request.encode() == head + b"\x02\0\0" + asked
        ack = Ack(address, block.trigger, 1)
        assert ack.encode() == head + answered
        assert request.acknowledged_by(ack)
        assert framed(request.encode() + ack.encode()) == [request, ack]


@pytest.mark.parametrize(
    ("register", "asked", "answered"),
    [(0x1622, "D713", "A58B"), (0x1624, "D775", "458A")],
)
def test_the_sums_of_the_log_triggers_are_those_of_the_table(
    register: int, asked: str, answered: str
) -> None:
    request = WriteRequest(1, register, b"\0\0")
    assert request.encode()[-2:].hex().upper() == asked
    assert Ack(1, register, 1).encode()[-2:].hex().upper() == answered
    assert request.block is None


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 300, bytes(range(256))])
def test_the_crc_is_that_of_modbus(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == crc_bytes(data)


@pytest.mark.parametrize("byte", [0x00, 0x5A, 0xFF])
def test_the_sum_of_a_frame_is_exact_for_every_content(byte: int) -> None:
    frame = bytes((byte,)) * 300
    assert sum8(frame) == 299 * byte % 256


def test_example_1_live_data_of_eight_cells() -> None:
    values = values_of("sergymb_frame_02_operational", FW_15_41)
    expected: dict[str, Value] = {
        **dict(
            zip(
                (f"cell_voltage_{n}" for n in range(1, 10)),
                (3.470, 3.472, 3.471, 3.471, 3.470, 3.470, 3.470, 3.470, None),
                strict=True,
            )
        ),
        **{f"cell_resistance_{n}": 69 if n % 2 else 65 for n in range(1, 9)},
        "cell_presence": 0xFF,
        "bms_average_cell_voltage": 3.471,
        "bms_delta_cell_voltage": 0.002,
        "bms_max_voltage_cell_index": 1,
        "bms_min_voltage_cell_index": 0,
        "power_tube_temperature": 26.7,
        "total_voltage": 27.765,
        "bms_power": 10.717,
        "current": -0.386,
        "power": -10.717,
        "discharging_power": 10.717,
        "charging_power": 0.0,
        "temperature_sensor_1": 25.5,
        "temperature_sensor_2": 25.3,
        "temperature_sensor_4": 25.5,
        "temperature_sensor_5": 25.3,
        "mos_temperature_mirror": 26.7,
        "alarm_bitmask": 0,
        "errors": "OK",
        "state_of_charge": 99,
        "capacity_remaining": 310.847,
        "full_charge_capacity": 314.0,
        "charging_cycles": 85,
        "total_charging_cycle_capacity": 26758.990,
        "state_of_health": 100,
        "total_runtime": 45895238,
        "charging": True,
        "discharging": True,
        "sensor_presence": 0xFF,
        "discharge_current_correction": 965,
        "discharge_sense_voltage": 0.001,
        "coarse_voltage": 27.76,
        "uptime": 5579474.6,
        "charge_current_correction": 954,
        "bms_clock": datetime(2026, 6, 13, 22, 30, 59),
        "event_log_entries": 802,
        "sleep_countdown": 86400,
        "battery_type": "lfp",
        "charge_status": "bulk",
    }
    assert subset(values, expected) == expected
    assert values["voltage_correction"] == pytest.approx(2.99463, abs=1e-5)
    assert GOLDEN["sergymb_frame_02_operational"][-1] == 0x6E


def test_example_2_settings() -> None:
    values = values_of("sergymb_frame_01_config", FW_15_41)
    expected: dict[str, Value] = {
        "smart_sleep_voltage": 3.400,
        "cell_uvp": 2.630,
        "cell_uvpr": 2.670,
        "cell_ovp": 3.650,
        "cell_ovpr": 3.498,
        "balance_trigger_voltage": 0.005,
        "soc_100_voltage": 3.499,
        "soc_0_voltage": 2.650,
        "cell_request_charge_voltage": 3.500,
        "cell_request_float_voltage": 3.350,
        "power_off_voltage": 2.550,
        "max_charge_current": 100.0,
        "charge_ocp_delay": 3,
        "charge_ocp_release": 60,
        "max_discharge_current": 100.0,
        "discharge_ocp_delay": 300,
        "discharge_ocp_release": 60,
        "short_circuit_release": 5,
        "max_balance_current": 2.0,
        "charge_otp": 50.0,
        "charge_otp_recovery": 45.0,
        "discharge_otp": 50.0,
        "discharge_otp_recovery": 45.0,
        "charge_utp": 10.0,
        "charge_utp_recovery": 15.0,
        "mos_otp": 80.0,
        "mos_otp_recovery": 70.0,
        "cell_count": 8,
        "charging_switch": True,
        "discharging_switch": True,
        "balancer": True,
        "total_battery_capacity_setting": 314.0,
        "short_circuit_delay": 1000,
        "balance_starting_voltage": 3.380,
        "device_address": 1,
        "current_range": 1500.0,
        "charging_float_mode": True,
        "discharge_ocp_2": True,
        "discharge_ocp_3": True,
        "heater": False,
        "display_always_on": False,
        "smart_sleep": False,
        "timed_stored_data": False,
        "heating_start_temperature": 0,
        "heating_stop_temperature": 10,
        "battery_overtemp_alarm": None,
        "smart_sleep_time": 24,
    }
    assert subset(values, expected) == expected


def test_example_3_device_info() -> None:
    values = values_of("sergymb_frame_03_device_info")
    expected: dict[str, Value] = {
        "model": "JK_PB2A16S20P",
        "hardware_version": "15A",
        "software_version": "15.41",
        "device_runtime": 0,
        "power_on_count": 39,
        "manufacturing_date": date(2024, 12, 17),
        "serial_number": "99999999999",
        "user_data": "JK-BMS",
        "uart1_protocol": "pylontech_9600",
        "can_protocol": "jk_250k",
        "uart1_protocol_mask": "ff670000",
        "can_protocol_mask": "ff0f0000",
        "uart2_protocol": 1,
        "lcd_buzzer_trigger": "mos_overtemperature",
        "lcd_buzzer_value": 100,
        "lcd_buzzer_release": 95,
        "dry_1_trigger": "battery_overtemperature",
        "dry_1_value": 60,
        "dry_1_release": 50,
        "dry_2_trigger": "none",
        "uart_library_version": 1,
        "data_stored_period": 3600,
        "cell_request_charge_time": 1.0,
        "cell_request_float_time": 24.0,
        "can_library_version": 1,
        "emergency_duration": 30,
    }
    assert subset(values, expected) == expected
    assert Firmware.parse("15.41") == FW_15_41


def test_example_4_live_data_of_a_master() -> None:
    values = values_of("phinix_master_t02")
    expected: dict[str, Value] = {
        "cell_presence": 0xFFFF,
        "min_cell_voltage": 3.271,
        "max_cell_voltage": 3.272,
        "total_voltage": 52.340,
        "current": 0.0,
        "temperature_sensor_1": 16.9,
        "temperature_sensor_2": 17.3,
        "power_tube_temperature": 18.9,
        "alarm_bitmask": 0x00080000,
        "problem": False,
        "notice": True,
        "errors": "OK",
        "state_of_charge": 65,
        "capacity_remaining": 202.859,
        "full_charge_capacity": 314.0,
        "charging_cycles": 0,
        "total_charging_cycle_capacity": 0.507,
        "total_runtime": 262090,
        "temperature_sensor_4": 17.4,
        "temperature_sensor_5": 16.9,
        "bms_clock": datetime(2024, 11, 6, 16, 29, 37),
        "charge_status_time": 26531,
    }
    assert subset(values, expected) == expected


def test_example_7_live_data_of_version_19() -> None:
    values = values_of("jeanluc61_v19_t02")
    expected: dict[str, Value] = {
        "total_voltage": 52.417,
        "current": 10.933,
        "bms_power": 580.049,
        "temperature_sensor_1": 18.7,
        "temperature_sensor_2": 16.5,
        "temperature_sensor_4": 15.4,
        "temperature_sensor_5": 15.3,
        "power_tube_temperature": 18.3,
        "mos_temperature_mirror": 18.3,
        "state_of_charge": 20,
        "capacity_remaining": 63.056,
        "full_charge_capacity": 314.0,
        "charging_cycles": 6,
        "discharge_current_correction": 2,
        "charge_current_correction": 10000,
        "bms_clock": datetime(2025, 12, 28, 14, 2, 46),
    }
    # The example's power is not voltage times current: it was sampled apart.
    expected.pop("bms_power")
    assert subset(values, expected) == expected
    assert GOLDEN["jeanluc61_v19_t02"][-1] == 0x71


def test_example_8_address_3() -> None:
    live, settings = values_of("mrmanuel_addr3_t02"), values_of("mrmanuel_addr3_t01")
    expected: dict[str, Value] = {
        "total_voltage": 52.695,
        "state_of_charge": 55,
        "capacity_remaining": 155.219,
        "full_charge_capacity": 280.0,
        "charging_cycles": 62,
        "total_runtime": 48570884,
    }
    assert subset(live, expected) == expected
    assert settings["device_address"] == 3
    # 0x3300: bits 8, 9, 12, 13.
    assert [settings[key] for key in ("timed_stored_data", "charging_float_mode")] == [
        True
    ] * 2
    assert [settings[key] for key in ("heater", "smart_sleep")] == [False] * 2


def read_exchange(request: str, reply: str) -> ReadReply:
    framer = Framer()
    (asked,) = framer.feed(bytes.fromhex(request))
    (answered,) = framer.feed(bytes.fromhex(reply))
    assert isinstance(asked, ReadRequest)
    assert isinstance(answered, ReadReply)
    assert asked.encode() == bytes.fromhex(request)
    assert answered.encode() == bytes.fromhex(reply)
    return answered


def test_example_9_alarms_over_a_register_read() -> None:
    reply = read_exchange("01 03 12 A0 00 02 C1 51", "01 03 04 00 00 00 00 FA 33")
    assert decode_registers(0x12A0, reply.data) == {"alarm_bitmask": 0}


def test_example_10_cells_over_a_register_read_are_big_endian() -> None:
    assert ReadRequest(1, 0x1200, 10).encode().hex() == "01031200000ac0b5"
    data = bytes.fromhex("0D0D 0D0E 0D0D")
    assert list(decode_registers(0x1200, data).values()) == [3.341, 3.342, 3.341]


def test_example_11_the_end_of_the_live_block() -> None:
    data = bytes.fromhex(
        "0082 6B20 0000 0000 00E7 00D8 00DA 03C8 0C14 A6FC 0000 0024 0001 5180 0000 0300"
    )
    values = decode_registers(0x12F0, data)
    expected: dict[str, Value] = {
        "uptime": 854710.4,
        "brownout_time": 0.0,
        "mos_temperature_mirror": 23.1,
        "temperature_sensor_4": 21.6,
        "temperature_sensor_5": 21.8,
        "charge_current_correction": 968,
        "event_log_entries": 36,
        "sleep_countdown": 86400,
        "pcl_module": False,
        "battery_type": "lfp",
        "reserved_130e": "0300",
    }
    assert subset(values, expected) == expected
    clock = values["bms_clock"]
    assert isinstance(clock, datetime)
    assert (clock - datetime(2020, 1, 1)).total_seconds() == 0x0C14A6FC


def test_example_12_settings_of_address_0_over_a_register_read() -> None:
    data = bytes.fromhex("00000DAC 00000A14 00000A3C 00000E42")
    assert list(decode_registers(0x1000, data).values()) == [3.5, 2.58, 2.62, 3.65]


@pytest.mark.parametrize(
    "name", [n for n, d in GOLDEN.items() if d[4] in BLOCK_OF_TYPE]
)
def test_a_block_reads_the_same_over_registers_as_in_a_frame(name: str) -> None:
    """The frame is turned into what FC03 returns: each number the other way round."""
    frame = GOLDEN[name]
    block = BLOCK_OF_TYPE[frame[4]]
    little = frame[FRAME_HEAD:-1]
    turned = bytearray(little)
    for field in BY_KEY.values():
        code = field.codec.code
        if field.block is block and not code.endswith("s"):
            span = slice(field.offset, field.offset + field.codec.size)
            turned[span] = little[span][::-1]
    expected = decode_block(little, block)
    # A NaN would not equal itself; there is none.
    assert decode_block(bytes(turned), block, order=BIG) == expected
    by_register = decode_registers(block.base, bytes(turned))
    absent = {key for key in by_register if expected[key] is None}
    assert {k: v for k, v in by_register.items() if k not in absent} == {
        k: v for k, v in expected.items() if k not in absent
    }


WRITES: Final = [
    # rs485.md 9, examples 13 to 17: key, value, what the register holds, request, ACK.
    (1, "charging_switch", False, "01 10 10 70 00 02 04 00 00 00 00 39 4B", "01 10 10 70 00 02 44 D3"),
    (1, "charging_switch", True, "01 10 10 70 00 02 04 00 00 00 01 F8 8B", "01 10 10 70 00 02 44 D3"),
    (1, "discharging_switch", False, "01 10 10 74 00 02 04 00 00 00 00 38 B8", "01 10 10 74 00 02 05 12"),
    (1, "discharging_switch", True, "01 10 10 74 00 02 04 00 00 00 01 F9 78", "01 10 10 74 00 02 05 12"),
    (1, "balancer", False, "01 10 10 78 00 02 04 00 00 00 00 38 ED", "01 10 10 78 00 02 C5 11"),
    (1, "balancer", True, "01 10 10 78 00 02 04 00 00 00 01 F9 2D", "01 10 10 78 00 02 C5 11"),
    (4, "balancer", True, "04 10 10 78 00 02 04 00 00 00 01 E8 E1", "04 10 10 78 00 02 C5 44"),
    (1, "cell_uvp", 2.83, "01 10 10 04 00 02 04 00 00 0B 0E B9 68", "01 10 10 04 00 02 04 C9"),
    (1, "cell_ovp", 4.30, "01 10 10 0C 00 02 04 00 00 10 CC 33 AF", "01 10 10 0C 00 02 85 0B"),
    (1, "max_charge_current", 30, "01 10 10 2C 00 02 04 00 00 75 30 1A A6", "01 10 10 2C 00 02 84 C1"),
    (1, "max_discharge_current", 149, "01 10 10 38 00 02 04 00 02 46 08 AE BB", "01 10 10 38 00 02 C4 C5"),
    (1, "charge_utp", -25, "01 10 10 5C 00 02 04 FF FF FF 06 FA D0", "01 10 10 5C 00 02 85 1A"),
    (1, "total_battery_capacity_setting", 50, "01 10 10 7C 00 02 04 00 00 C3 50 69 D2", None),
    (1, "cell_count", 15, "01 10 10 6C 00 02 04 00 00 00 0F 78 16", None),
    (1, "short_circuit_delay", 140, "01 10 10 80 00 02 04 00 00 00 8C 37 AA", None),
]  # fmt: skip


@pytest.mark.parametrize(("address", "key", "value", "request_hex", "ack"), WRITES)
def test_examples_13_to_17_a_setting_is_written_as_the_vendor_does(
    address: int, key: str, value: float | bool, request_hex: str, ack: str | None
) -> None:
    request = Change(address, BY_KEY[key], value).request(bytes(4))
    assert request.encode() == bytes.fromhex(request_hex)
    assert framed(request.encode()) == [request]
    assert decode_registers(request.register, request.data) == {key: value}
    if ack is not None:
        (item,) = framed(bytes.fromhex(ack))
        assert isinstance(item, Ack)
        assert request.acknowledged_by(item)


def test_example_17_a_wire_resistance_reads_in_microohm() -> None:
    (request,) = framed(bytes.fromhex("01 10 10 88 00 02 04 00 00 00 64 36 42"))
    assert isinstance(request, WriteRequest)
    field = BY_KEY["connection_resistance_1"]
    assert decode_registers(0x1088, request.data) == {field.key: 0.1}
    assert Change(1, field, 0.1).request(bytes(4)) == request
    # Too easily changed by mistake for a control.
    assert field.writable
    assert not field.offered


@pytest.mark.parametrize(
    ("key", "value", "current", "request_hex"),
    [
        ("charging_float_mode", False, "3251", "01 10 11 14 00 01 02 30 51 71 B9"),
        ("charging_float_mode", True, "3051", "01 10 11 14 00 01 02 32 51 70 D9"),
        ("heater", False, "3251", "01 10 11 14 00 01 02 32 50 B1 19"),
        ("display_always_on", False, "3251", "01 10 11 14 00 01 02 32 41 71 15"),
    ],
)
def test_example_18_one_switch_of_the_word_keeps_the_others(
    key: str, value: bool, current: str, request_hex: str
) -> None:
    request = Change(1, BY_KEY[key], value).request(bytes.fromhex(current))
    assert request.encode() == bytes.fromhex(request_hex)
    (ack,) = framed(bytes.fromhex("01 10 11 14 00 01 44 F1"))
    assert isinstance(ack, Ack)
    assert request.acknowledged_by(ack)
    assert decode_registers(0x1114, request.data)[key] is value


@pytest.mark.parametrize(
    ("exchange", "function", "code"),
    [
        ("01 10 14 B2 00 01 02 01 02 69 D2 | 01 90 03 0C 01", 0x10, 3),
        ("01 10 14 D4 00 01 02 02 FF A1 65 | 01 90 02 CD C1", 0x10, 2),
        ("02 10 15 04 00 01 02 00 01 36 25 | 02 90 03 FC 01", 0x10, 3),
        ("01 83 02 C0 F1", 0x03, 2),
    ],
)
def test_example_19_exceptions(exchange: str, function: int, code: int) -> None:
    data = bytes.fromhex(exchange.replace("|", ""))
    *requests, refusal = framed(data)
    assert isinstance(refusal, ExceptionReply)
    assert (refusal.function, refusal.code) == (function, code)
    encoded = b""
    for request in requests:
        assert isinstance(request, WriteRequest)
        encoded += request.encode()
    assert encoded + refusal.encode() == data


def test_example_20_compact_log() -> None:
    frame = GOLDEN["t05_log"]
    items = framed(frame + bytes.fromhex("01 10 16 24 00 01 45 8A"))
    assert [type(item).__name__ for item in items] == ["Frame", "Ack"]
    assert log_count(frame) == 309
    assert log_events(frame)[:3] == (
        LogEvent(21072874, 59),
        LogEvent(0x015BD878, 3),
        LogEvent(0x015BD892, 4),
    )
    assert len(log_events(frame)) == 50


def test_example_22_device_info_of_version_19() -> None:
    (capture,) = (c for c in frames() if c.id == "syssi-v19-dev")
    values = decode_block(capture.data, Block.DEVICE, offset=FRAME_HEAD)
    expected: dict[str, Value] = {
        "model": "JK-PB2A16S20P",
        "max_cells": 16,
        "hardware_version": "19A",
        "software_version": "19.27",
        "hardware_options": "CEHMPRT",
        "uart2_protocol": 0x15,
        "cell_request_charge_time": 0.5,
        "cell_request_float_time": 5.0,
        "emergency_duration": 30,
        "uart3_protocol": 15,
        "uart3_protocol_mask": "03a40000000000",
        "protocol_version": 2,
    }
    assert subset(values, expected) == expected
