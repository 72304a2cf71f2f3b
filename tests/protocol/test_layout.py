"""Where rows lie on older and newer boards, and what registers hold."""

from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS_OF
from custom_components.jkbms.protocol.frames import build_frame
from custom_components.jkbms.protocol.layout import (
    Layout,
    blanked,
    decode_block,
    decode_registers,
    place,
    recognise,
)

PIN: Final = b"83726154\0\0\0\0\0\0\0\0"


def test_the_older_layout_holds_no_two_rows_at_one_place() -> None:
    for block in Block:
        taken: set[int] = set()
        for field in FIELDS_OF[block]:
            where = place(field, Layout.JK02_24S)
            if where is None or field.ambiguous:
                continue
            offset, code = where
            size = 2 if code == "H" else field.codec.size
            span = set(range(offset, offset + size))
            assert not span & taken, field.key
            assert max(span) < 293
            taken |= span


@pytest.mark.parametrize(
    ("key", "frame_offset"),
    [
        # ble.md 5.1, column 24S.
        ("cell_voltage_24", 52),
        ("cell_presence", 54),
        ("bms_average_cell_voltage", 58),
        ("cell_resistance_1", 64),
        ("cell_resistance_24", 110),
        ("wire_alarm_bitmask", 114),
        ("total_voltage", 118),
        ("current", 126),
        ("temperature_sensor_1", 130),
        ("temperature_sensor_2", 132),
        ("power_tube_temperature", 134),
        ("alarm_bitmask", 136),
        ("balancing_current", 138),
        ("state_of_charge", 141),
        ("total_runtime", 162),
        ("charging", 166),
        ("heating", 183),
        ("uptime", 214),
        ("cell_uvp", 10),
        ("balance_starting_voltage", 138),
        ("connection_resistance_1", 158),
        ("model", 6),
        ("serial_number", 86),
    ],
)
def test_a_row_of_an_older_board_is_where_the_table_says(
    key: str, frame_offset: int
) -> None:
    where = place(BY_KEY[key], Layout.JK02_24S)
    assert where is not None
    assert where[0] + 6 == frame_offset


@pytest.mark.parametrize(
    "key",
    [
        "cell_voltage_25",
        "cell_resistance_25",
        "connection_resistance_25",
        "temperature_sensor_4",
        "heating_current",
        "charge_status",
        "device_address",
        "heater",
        "user_data_2",
        "uart1_protocol",
    ],
)
def test_an_older_board_does_not_have_every_row(key: str) -> None:
    assert place(BY_KEY[key], Layout.JK02_24S) is None


def test_the_oldest_boards_have_no_row() -> None:
    for block in Block:
        assert all(place(f, Layout.JK04) is None for f in FIELDS_OF[block])


def test_a_log_has_no_layout() -> None:
    assert recognise(build_frame(5, bytes(293))) is None


def test_registers_say_only_what_lies_wholly_in_them() -> None:
    assert decode_registers(0x1000, bytes(3)) == {}
    assert list(decode_registers(0x1001, bytes(7))) == ["cell_uvp"]
    assert decode_registers(0x0F00, bytes(16)) == {}
    assert decode_registers(0x1600, bytes(2)) == {}


def test_registers_of_changed_meaning_need_the_firmware() -> None:
    data = bytes.fromhex("3C32")
    unknown = decode_registers(0x1116, data)
    assert set(unknown.values()) == {None}
    new = decode_registers(0x1116, data, firmware=Firmware(15, 41))
    assert (new["heating_start_temperature"], new["battery_overtemp_alarm"]) == (
        60,
        None,
    )
    old = decode_registers(0x1116, data, firmware=Firmware(14, 20))
    assert (old["heating_start_temperature"], old["battery_overtemp_alarm"]) == (
        None,
        60,
    )


def test_secrets_are_blanked_however_they_are_cut() -> None:
    block = bytearray(b"\xaa" * 293)
    block[0x38:0x48] = block[0x70:0x80] = b"\xee" * 16
    for register in range(0x1400, 0x1500):
        for size in (1, 2, 12, 16, 32, 80, 200):
            start = register - 0x1400
            data = bytes(block[start : start + size])
            assert blanked(register, data) == data.replace(b"\xee", b"\0")
            assert "ee" not in str(list(decode_registers(register, data).values()))


def test_secrets_are_in_no_decoded_value() -> None:
    block = bytearray(293)
    block[0x38:0x48] = block[0x70:0x80] = PIN
    values = decode_block(bytes(block), Block.DEVICE)
    assert PIN[:8].decode() not in str(values)
    assert PIN[:8].hex() not in str(values)
