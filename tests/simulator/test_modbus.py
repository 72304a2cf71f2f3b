"""Requests and answers, byte for byte as the vendor, the captures and rs485.md 9 have them."""

from typing import Final

import pytest

from simulator import Bank, Block, Pack, SlaveLine, Speed, Writing, trios
from simulator.checks import crc_fits, sum8, with_crc
from simulator.seeds import compact_log
from tests.captures import Capture, golden_frames, modbus_exchanges

from . import DEVICE, LIVE, SETTINGS, ack, ask, read, refusal, trigger, write

GOLDEN = {frame.id: frame.data for frame in golden_frames()}

SERGYMB = next(trio for trio in trios() if trio.id == "sergymb-15.41-8s")

WRITES = [
    item
    for item in modbus_exchanges()
    if item.expected.get("function") == 0x10
    and item.answer
    and item.id.startswith("modbus-vendor")
]


@pytest.fixture
def bank() -> Bank:
    """All addresses a DIP switch can set, without movement."""
    return Bank.default(range(16), still=True)


@pytest.fixture
def line(bank: Bank) -> SlaveLine:
    """The bank on a line without wire time."""
    return SlaveLine(bank, speed=Speed.FAST)


def example(text: str) -> bytes:
    """The bytes of an example in rs485.md 9."""
    return bytes.fromhex(text)


@pytest.mark.parametrize("capture", WRITES, ids=lambda capture: capture.id)
def test_the_vendors_write_samples_are_acknowledged(
    line: SlaveLine, capture: Capture
) -> None:
    answer = ask(line, capture.data)
    register = int.from_bytes(capture.data[2:4])
    if register == 0x1078:
        # The vendor printed the ACK of a live-data trigger here (rs485.md 2.9).
        assert answer == example("01 10 10 78 00 02 C5 11")
    else:
        assert answer == capture.answer
    [entry] = line.bank[1].journal
    assert (entry.register, entry.data) == (register, capture.data[7:-2])


@pytest.mark.parametrize("address", range(16))
@pytest.mark.parametrize("register", [DEVICE, SETTINGS, LIVE])
def test_a_trigger_brings_the_frame_and_its_ack(
    line: SlaveLine, address: int, register: int
) -> None:
    answer = ask(line, trigger(address, register))
    block = {DEVICE: Block.DEVICE, SETTINGS: Block.SETTINGS, LIVE: Block.LIVE}[register]
    assert answer == line.bank[address].frame(block) + ack(address, register)


@pytest.mark.parametrize(
    ("request_hex", "golden", "ack_hex"),
    [
        (
            "01 10 16 20 00 01 02 00 00 D6 F1",
            "sergymb_frame_02_operational",
            "01 10 16 20 00 01 04 4B",
        ),
        (
            "01 10 16 1E 00 01 02 00 00 D2 2F",
            "sergymb_frame_01_config",
            "01 10 16 1E 00 01 65 87",
        ),
    ],
)
def test_examples_1_and_2_are_exchanged_byte_for_byte(
    request_hex: str, golden: str, ack_hex: str
) -> None:
    bank = Bank([Pack(SERGYMB, 1, still=True)])
    line = SlaveLine(bank, speed=Speed.FAST)
    assert ask(line, example(request_hex)) == GOLDEN[golden] + example(ack_hex)


def test_example_3_differs_from_the_masked_capture_only_in_identity() -> None:
    bank = Bank([Pack(SERGYMB, 1, still=True)])
    captured = GOLDEN["sergymb_frame_03_device_info"]
    for name, offset, size in (
        ("device_name", 46, 16),
        ("pin", 62, 16),
        ("serial_number", 86, 16),
        ("settings_password", 118, 16),
    ):
        bank[1].set(name, captured[offset : offset + size])
    answer = ask(
        SlaveLine(bank, speed=Speed.FAST), example("01 10 16 1C 00 01 02 00 00 D3 CD")
    )
    assert answer == captured + example("01 10 16 1C 00 01 C4 47")


def test_example_8_is_the_first_pack_at_address_3() -> None:
    bank = Bank.default([3], still=True)
    line = SlaveLine(bank, speed=Speed.FAST)
    answer = ask(line, example("03 10 16 20 00 01 02 00 00 CF 91"))
    assert answer == GOLDEN["mrmanuel_addr3_t02"] + example("03 10 16 20 00 01 05 A9")
    answer = ask(line, trigger(3, SETTINGS), 1.0)
    assert answer == GOLDEN["mrmanuel_addr3_t01"] + example("03 10 16 1E 00 01 64 65")
    assert ask(line, trigger(3, DEVICE), 2.0)[300:] == example(
        "03 10 16 1C 00 01 C5 A5"
    )


def test_example_9_reads_no_alarm(line: SlaveLine) -> None:
    assert ask(line, example("01 03 12 A0 00 02 C1 51")) == example(
        "01 03 04 00 00 00 00 FA 33"
    )


def test_example_10_reads_cells_big_endian(line: SlaveLine) -> None:
    for cell, voltage in enumerate((3341, 3342, 3341), start=1):
        line.bank[1].set(f"cell_voltage_{cell}", voltage)
    answer = ask(line, example("01 03 12 00 00 0A C0 B5"))
    assert answer[:9] == example("01 03 14 0D 0D 0D 0E 0D 0D")
    assert len(answer) == 25
    assert crc_fits(answer)
    assert line.bank[1].frame(Block.LIVE)[6:12] == example("0D 0D 0E 0D 0D 0D")


def test_example_11_reads_the_tail_of_the_live_block(line: SlaveLine) -> None:
    pack = line.bank[1]
    for name, value in {
        "ticks": 8_547_104,
        "pvd_time": 0,
        "temperature_3": 231,
        "temperature_4": 216,
        "temperature_5": 218,
        "charge_current_correction": 968,
        "rtc": 0x0C14A6FC,
        "log_count": 36,
        "sleep_countdown": 86_400,
        "pcl": 0,
        "battery_type": 0,
    }.items():
        pack.set(name, value)
    answer = ask(line, read(1, 0x12F0, 16))
    words = example(
        "0082 6B20 0000 0000 00E7 00D8 00DA 03C8 0C14 A6FC 0000 0024 0001 5180 0000"
    )
    assert answer[3:-4] == words


def test_example_12_reads_settings_of_address_0(line: SlaveLine) -> None:
    for name, value in {
        "smart_sleep_voltage": 3500,
        "cell_uvp": 2580,
        "cell_uvpr": 2620,
        "cell_ovp": 3650,
    }.items():
        line.bank[0].set(name, value)
    answer = ask(line, read(0, 0x1000, 64))
    assert answer[:19] == example(
        "00 03 80 00 00 0D AC 00 00 0A 14 00 00 0A 3C 00 00 0E 42"
    )


@pytest.mark.parametrize(
    ("name", "request_hex", "stored", "answer_hex"),
    [
        (
            "charge_switch",
            "01 10 10 70 00 02 04 00 00 00 00 39 4B",
            0,
            "01 10 10 70 00 02 44 D3",
        ),
        (
            "charge_switch",
            "01 10 10 70 00 02 04 00 00 00 01 F8 8B",
            1,
            "01 10 10 70 00 02 44 D3",
        ),
        (
            "discharge_switch",
            "01 10 10 74 00 02 04 00 00 00 00 38 B8",
            0,
            "01 10 10 74 00 02 05 12",
        ),
        (
            "discharge_switch",
            "01 10 10 74 00 02 04 00 00 00 01 F9 78",
            1,
            "01 10 10 74 00 02 05 12",
        ),
        (
            "balancer_switch",
            "01 10 10 78 00 02 04 00 00 00 00 38 ED",
            0,
            "01 10 10 78 00 02 C5 11",
        ),
        (
            "balancer_switch",
            "01 10 10 78 00 02 04 00 00 00 01 F9 2D",
            1,
            "01 10 10 78 00 02 C5 11",
        ),
        (
            "balancer_switch",
            "04 10 10 78 00 02 04 00 00 00 01 E8 E1",
            1,
            "04 10 10 78 00 02 C5 44",
        ),
        (
            "cell_uvp",
            "01 10 10 04 00 02 04 00 00 0B 0E B9 68",
            2830,
            "01 10 10 04 00 02 04 C9",
        ),
        (
            "cell_ovp",
            "01 10 10 0C 00 02 04 00 00 10 CC 33 AF",
            4300,
            "01 10 10 0C 00 02 85 0B",
        ),
        (
            "charge_current_limit",
            "01 10 10 2C 00 02 04 00 00 75 30 1A A6",
            30_000,
            "01 10 10 2C 00 02 84 C1",
        ),
        (
            "discharge_current_limit",
            "01 10 10 38 00 02 04 00 02 46 08 AE BB",
            149_000,
            "01 10 10 38 00 02 C4 C5",
        ),
        (
            "charge_utp",
            "01 10 10 5C 00 02 04 FF FF FF 06 FA D0",
            -250,
            "01 10 10 5C 00 02 85 1A",
        ),
        (
            "nominal_capacity",
            "01 10 10 7C 00 02 04 00 00 C3 50 69 D2",
            50_000,
            "01 10 10 7C 00 02 84 D0",
        ),
        (
            "cell_count",
            "01 10 10 6C 00 02 04 00 00 00 0F 78 16",
            15,
            "01 10 10 6C 00 02 85 15",
        ),
        (
            "scp_delay",
            "01 10 10 80 00 02 04 00 00 00 8C 37 AA",
            140,
            "01 10 10 80 00 02 44 E0",
        ),
        (
            "connection_resistance_1",
            "01 10 10 88 00 02 04 00 00 00 64 36 42",
            100,
            "01 10 10 88 00 02 C5 22",
        ),
        (
            "function_word",
            "01 10 11 14 00 01 02 30 51 71 B9",
            0x3051,
            "01 10 11 14 00 01 44 F1",
        ),
        (
            "function_word",
            "01 10 11 14 00 01 02 32 51 70 D9",
            0x3251,
            "01 10 11 14 00 01 44 F1",
        ),
        (
            "function_word",
            "01 10 11 14 00 01 02 32 50 B1 19",
            0x3250,
            "01 10 11 14 00 01 44 F1",
        ),
        (
            "function_word",
            "01 10 11 14 00 01 02 32 41 71 15",
            0x3241,
            "01 10 11 14 00 01 44 F1",
        ),
    ],
)
def test_examples_13_to_18_are_stored_and_acknowledged(
    name: str, request_hex: str, stored: int, answer_hex: str
) -> None:
    # The first kind of pack, PB2A16S20P, at every address: its ratings take all samples.
    bank = Bank.default([1, 4], still=True)
    line = SlaveLine(bank, speed=Speed.FAST)
    request = example(request_hex)
    answer = ask(line, request)
    assert crc_fits(answer)
    assert answer[:6] == request[:6]
    assert answer == example(answer_hex)
    pack = bank[request[0]]
    assert pack.get(name) == stored
    # Visible at once in the frame and over FC03.
    block = Block.of(int.from_bytes(request[2:4]))
    assert block is Block.SETTINGS
    size = request[6]
    frame = ask(line, trigger(request[0], SETTINGS), 1.0)
    offset = int.from_bytes(request[2:4]) - 0x1000 + 6
    assert frame[offset : offset + size] == request[7:-2][::-1]
    words = ask(line, read(request[0], int.from_bytes(request[2:4]), size // 2), 2.0)
    assert words[3:-2] == request[7:-2]


def test_example_19_a_protocol_that_is_not_enabled_is_refused(line: SlaveLine) -> None:
    line.bank[1].set("can_mask", b"\xfb\x0f\0\0")
    request = example("01 10 14 B2 00 01 02 01 02 69 D2")
    assert ask(line, request) == example("01 90 03 0C 01")
    line.bank[1].set("can_mask", b"\xff\x0f\0\0")
    assert ask(line, request, 1.0) == ack(1, 0x14B2)
    assert line.bank[1].frame(Block.DEVICE)[184:186] == b"\x01\x02"


def test_example_19_a_uart_protocol_that_is_not_enabled_is_refused(
    line: SlaveLine,
) -> None:
    line.bank[1].set("uart1_mask", b"\xfd\x67\0\0")
    assert ask(line, write(1, 0x14B2, b"\x01\x02")) == refusal(1, 0x10, 3)


def test_example_19_the_second_uart_is_not_for_writing(line: SlaveLine) -> None:
    assert ask(line, example("01 10 14 D4 00 01 02 02 FF A1 65")) == example(
        "01 90 02 CD C1"
    )


def test_example_19_the_mask_byte_must_be_echoed(line: SlaveLine) -> None:
    pack = line.bank[1]
    mask = pack.number_of("field_mask_0")
    assert ask(line, example("01 10 11 18 00 01 02 00 16 25 47")) == refusal(1, 0x10, 3)
    assert ask(line, write(1, 0x1118, bytes([48, mask ^ 1])), 1.0) == refusal(
        1, 0x10, 3
    )
    assert ask(line, write(1, 0x1118, bytes([48, mask])), 2.0) == ack(1, 0x1118)
    assert pack.get("smart_sleep_hours") == 48
    assert pack.get("field_mask_0") == mask


def test_example_19_an_rcv_time_of_0_is_refused(line: SlaveLine) -> None:
    answer = ask(line, example("02 10 15 04 00 01 02 00 01 36 25"))
    assert answer == example("02 90 03 FC 01")
    assert ask(line, write(2, 0x1504, b"\x05\x00"), 1.0) == ack(2, 0x1504)


def test_example_20_brings_a_captured_log(line: SlaveLine) -> None:
    answer = ask(line, example("01 10 16 24 00 01 02 00 00 D7 75"))
    assert answer == GOLDEN["t05_log"] + example("01 10 16 24 00 01 45 8A")
    assert answer[:300] == compact_log().data


def test_the_detail_log_grows_with_what_was_switched(line: SlaveLine) -> None:
    request = trigger(1, 0x1622)
    assert request[-2:] == example("D7 13")
    empty = ask(line, request)
    assert len(empty) == 308
    assert empty[:9] == example("55 AA EB 90 06 00 00 00 00")
    assert empty[300:] == example("01 10 16 22 00 01 A5 8B")
    for turn in range(13):
        ask(line, write(1, 0x1070, bytes([0, 0, 0, turn % 2])), 1.0 + turn)
    full = ask(line, request, 20.0)
    assert len(full) == 608
    for start, index, count in ((0, 0, 12), (300, 12, 1)):
        frame = full[start : start + 300]
        assert frame[:9] == b"\x55\xaa\xeb\x90\x06\x00" + index.to_bytes(
            2, "little"
        ) + bytes([count])
        assert frame[299] == sum8(frame[:299])
    assert [full[9 + 24 * place + 4] for place in range(3)] == [52, 53, 52]
    assert int.from_bytes(full[9:13], "little") == line.bank[1].get("rtc")


def test_switches_move_the_mosfets_of_the_live_frame(line: SlaveLine) -> None:
    ask(line, write(1, 0x1070, bytes(4)))
    assert ask(line, trigger(1), 1.0)[198:200] == b"\x00\x01"
    ask(line, write(1, 0x1074, bytes(4)), 2.0)
    assert ask(line, trigger(1), 3.0)[198:200] == b"\x00\x00"
    ask(line, write(1, 0x1070, bytes([0, 0, 0, 1])), 4.0)
    assert ask(line, trigger(1), 5.0)[198:200] == b"\x01\x00"


def test_a_write_to_the_device_block_shows_in_its_frame(line: SlaveLine) -> None:
    assert ask(line, write(1, 0x1500, (600).to_bytes(4))) == ack(1, 0x1500, 2)
    assert ask(line, trigger(1, DEVICE), 1.0)[262:266] == (600).to_bytes(4, "little")


def test_captured_reads_are_answered_as_captured(line: SlaveLine) -> None:
    exchanges = {item.id: item for item in modbus_exchanges()}
    pack = line.bank[1]
    for name, value in {
        "cell_count": 12,
        "charge_switch": 1,
        "discharge_switch": 0,
        "pack_voltage": 49_193,
        "power": 0,
        "current": 0,
    }.items():
        pack.set(name, value)
    for number in (1, 2):
        answer = exchanges[f"modbus-air179-{number}-rsp"]
        assert answer.request is not None
        assert ask(line, answer.request, float(number)) == answer.data
    assert pack.asked == {0x106C: 1, 0x1290: 1}


@pytest.mark.parametrize(
    ("register", "quantity"),
    [
        (0x1200, 120),
        (0x12F0, 18),
        (0x1000, 123),
        (0x10F0, 21),
        (0x1400, 120),
        (0x14F0, 17),
    ],
)
def test_blocks_can_be_read_up_to_their_end(
    line: SlaveLine, register: int, quantity: int
) -> None:
    answer = ask(line, read(1, register, quantity))
    assert answer[:3] == bytes([1, 3, 2 * quantity])
    assert len(answer) == 5 + 2 * quantity
    assert crc_fits(answer)


@pytest.mark.parametrize(
    ("register", "quantity"),
    [
        (0x1200, 0),
        (0x1200, 124),
        (0x1200, 128),
        (0x1201, 2),
        (0x1278, 120),
        (0x12A8, 72),
        (0x12F0, 32),
        (0x1310, 80),
        (0x10B0, 64),
        (0x10F0, 80),
        (0x14E0, 48),
        (0x1150, 1),
        (0x1600, 1),
        (0x0000, 1),
        (0xFFFF, 1),
    ],
)
def test_reads_beyond_the_limits_are_exception_2(
    line: SlaveLine, register: int, quantity: int
) -> None:
    assert ask(line, read(1, register, quantity)) == refusal(1, 3, 2)


def test_all_ways_of_reading_see_the_same_bytes(line: SlaveLine) -> None:
    whole = ask(line, read(1, 0x1400, 32))[3:-2]
    part = ask(line, read(1, 0x1420, 16), 1.0)[3:-2]
    assert whole[32:64] == part


def test_function_6_is_exception_2(line: SlaveLine) -> None:
    request = with_crc(example("01 06 10 70 00 01"))
    assert ask(line, request) == refusal(1, 6, 2)


def test_an_unknown_function_is_exception_1(line: SlaveLine) -> None:
    request = with_crc(example("01 04 12 00 00 01"))
    assert ask(line, request) == refusal(1, 4, 1)


def test_a_write_with_a_wrong_quantity_is_exception_2(line: SlaveLine) -> None:
    request = with_crc(example("01 10 10 70 00 01 04 00 00 00 01"))
    assert ask(line, request) == refusal(1, 0x10, 2)
    assert line.bank[1].get("charge_switch") == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        write(1, 0x1000, bytes(8)),
        write(1, 0x1000, bytes(2)),
        write(1, 0x1002, bytes(2)),
        write(1, 0x1110, (500_000).to_bytes(4)),
        write(1, 0x111A, bytes(2)),
        write(1, 0x1122, bytes(2)),
        write(1, 0x1290, bytes(4)),
        write(1, 0x1450, bytes(16)),
        write(1, 0x1506, bytes(2)),
        write(1, 0x2000, bytes(2)),
    ],
    ids=lambda request: request[2:4].hex(),
)
def test_writes_beside_the_documented_registers_are_exception_2(
    line: SlaveLine, request_bytes: bytes
) -> None:
    assert ask(line, request_bytes) == refusal(1, 0x10, 2)
    assert line.bank[1].journal[0].outcome == "refused"
    assert not line.bank.dangerous


OTHER_ACTIONS: Final = [
    *range(0x1600, 0x1610, 2),
    *range(0x1612, 0x161C, 2),
    *range(0x1626, 0x162E, 2),
]
"""All but the emergency start; the clock is one with two bytes of data."""


@pytest.mark.parametrize("register", OTHER_ACTIONS)
def test_every_other_action_is_acknowledged_and_noted_as_dangerous(
    line: SlaveLine, register: int
) -> None:
    answer = ask(line, trigger(1, register))
    if register in {0x160A, 0x160C, 0x160E}:
        assert answer == line.bank[1].frame(Block.SETTINGS) + ack(1, register)
    else:
        assert answer == ack(1, register)
    [(address, entry)] = line.bank.dangerous
    assert (address, entry.register, entry.data, entry.outcome) == (
        1,
        register,
        b"\0\0",
        "action",
    )


@pytest.mark.parametrize("register", [0x1601, 0x161D, 0x162E, 0x16FF])
def test_unknown_actions_are_refused_and_noted_as_dangerous(
    line: SlaveLine, register: int
) -> None:
    assert ask(line, trigger(1, register)) == refusal(1, 0x10, 2)
    [(_, entry)] = line.bank.dangerous
    assert entry.outcome == "refused"


def test_the_clock_can_be_set(line: SlaveLine) -> None:
    assert ask(line, write(1, 0x1612, (199_000_000).to_bytes(4))) == ack(1, 0x1612, 2)
    assert line.bank[1].get("rtc") == 199_000_000
    assert line.bank.dangerous == []


def test_an_emergency_start_shows_its_time(line: SlaveLine) -> None:
    ask(line, trigger(1, 0x1610))
    assert line.bank[1].get("emergency_left") == 1800
    assert line.bank.dangerous == []


def test_a_pack_that_ignores_writes_ignores_actions_too(line: SlaveLine) -> None:
    line.bank[1].writing = Writing.IGNORE
    clock = line.bank[1].get("rtc")
    assert ask(line, write(1, 0x1612, (199_000_000).to_bytes(4))) == ack(1, 0x1612, 2)
    assert ask(line, trigger(1, 0x1610)) == ack(1, 0x1610)
    assert (line.bank[1].get("rtc"), line.bank[1].get("emergency_left")) == (clock, 0)


def test_a_new_settings_password_is_taken_and_noted_as_dangerous(
    line: SlaveLine,
) -> None:
    assert ask(line, write(1, 0x1470, b"123456789012")) == ack(1, 0x1470, 6)
    assert line.bank[1].text("settings_password").startswith("123456789012")
    assert line.bank.dangerous


def test_triggers_are_counted_and_leave_no_trace_in_the_journal(
    line: SlaveLine,
) -> None:
    for turn in range(3):
        ask(line, trigger(1), float(turn))
    ask(line, trigger(1, SETTINGS), 5.0)
    pack = line.bank[1]
    assert pack.asked == {LIVE: 3, SETTINGS: 1}
    assert not pack.journal
