"""Where rows lie on older and newer boards, and what registers hold."""

from typing import Final

import pytest

from custom_components.jkbms.protocol.codecs import Single
from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS_OF
from custom_components.jkbms.protocol.fields.jk04 import JK04
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


@pytest.mark.parametrize(
    ("key", "frame_offset", "code"),
    [
        # ble.md 5.4, 5.5.
        ("cell_voltage_1", 6, "f"),
        ("cell_voltage_24", 98, "f"),
        ("cell_resistance_1", 102, "f"),
        ("bms_average_cell_voltage", 202, "f"),
        ("cell_presence", 214, "I"),
        ("bms_delta_cell_voltage", 206, "f"),
        ("bms_max_voltage_cell_index", 218, "B"),
        ("bms_min_voltage_cell_index", 219, "B"),
        ("balancing_state", 220, "B"),
        ("balancing_current", 222, "f"),
        ("total_runtime", 286, "I"),
        ("cell_count", 34, "B"),
        ("power_off_voltage", 38, "f"),
        ("balance_starting_voltage", 98, "f"),
        ("balance_trigger_voltage", 106, "f"),
        ("max_balance_current", 110, "f"),
        ("balancer", 114, "B"),
        ("serial_number", 86, "16s"),
    ],
)
def test_a_row_of_the_oldest_boards_is_where_the_table_says(
    key: str, frame_offset: int, code: str
) -> None:
    where = place(BY_KEY[key], Layout.JK04)
    assert where == (frame_offset - 6, code)


def test_all_that_the_oldest_boards_tell_is_known_by_its_key() -> None:
    assert JK04.keys() <= BY_KEY.keys()
    assert all(place(BY_KEY[key], Layout.JK04) for key in JK04)


@pytest.mark.parametrize(
    "key",
    ["current", "state_of_charge", "total_voltage", "cell_voltage_25", "cell_ovp"],
)
def test_the_oldest_boards_do_not_have_most_rows(key: str) -> None:
    assert place(BY_KEY[key], Layout.JK04) is None


def test_a_recorded_frame_of_the_oldest_board_says_what_its_board_did() -> None:
    # A B2A16S of 3.3.0 that balances (ble.md 5.4).
    frame = bytes.fromhex(
        "55AAEB900206298B5D409E0A5740BE225740B6655940BBE35740B9A45840"
        "D43E5A4016AE59407EF2564035C6594055DE5940D67D594055DE5940B665"
        "594035C65940940E5A400000000000000000000000000000000000000000"
        "000000000000000000000000E815053EA4B1103E9A921F3E832C1F3E4B3E"
        "E13D6EE3D83D3A5EC43D59FCC53D3E34E23D411A1A3E5A8A0C3E85470F3E"
        "1E360E3E4B9FE73D9D4AEE3D752DE63D0000000000000000000000000000"
        "00000000000000000000000000000000000000000000974D59406015D33D"
        "00000000FFFF000000080201004003C000000000000000D8B2294B400000"
        "00000000000000000000000000000000000000000101CC00000000000000"
        "0000000000000000000000000000000098FA0700000000000030224000DC"
    )
    assert len(frame) == 300
    assert sum(frame[:-1]) % 256 == frame[-1]
    assert recognise(frame) is Layout.JK04
    values = decode_block(frame, Block.LIVE, Layout.JK04, offset=6)
    assert values["cell_voltage_1"] == 3.4616
    assert values["cell_voltage_9"] == 3.3586
    assert values["cell_voltage_17"] is None
    assert values["cell_resistance_2"] == 141.3
    assert values["balancing_state"] == 2
    assert values["balancing_current"] == -2.051
    assert values["total_runtime"] == 522_904
    assert values["total_voltage"] == pytest.approx(16 * 3.3954, abs=0.01)


def test_a_number_that_is_none_is_unknown() -> None:
    block = bytearray(293)
    block[208] = 0b11
    block[0:8] = bytes.fromhex("0000C07F0000807F")
    values = decode_block(bytes(block), Block.LIVE, Layout.JK04)
    assert values["cell_voltage_1"] is None
    assert values["cell_voltage_2"] is None
    assert Single("f").decode(b"") is None


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
