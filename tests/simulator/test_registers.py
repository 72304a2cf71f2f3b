"""The vendor's map as the simulator reads it."""

from itertools import pairwise
import struct

import pytest

from simulator import Bank, Block, Pack, Refusal, Writing
from simulator.registers import BLOCK_LENGTH, ITEMS, MODBUS_ORDER, REGISTERS, Item, Kind
from simulator.rules import limits_of, rated_balance_current, rated_current

from . import write as request

# Every register that a user may write (rs485.md 7): start address and bytes.
DOCUMENTED = {
    **dict.fromkeys(range(4096, 4368, 4), 4),
    0x1114: 2,
    0x1116: 2,
    0x1118: 2,
    0x1122: 2,
    0x14B2: 2,
    0x14E4: 2,
    0x14E6: 2,
    **dict.fromkeys(range(5352, 5380, 4), 4),
    0x1504: 2,
}


@pytest.fixture
def pack() -> Pack:
    """A pack of firmware 19, which knows the most registers."""
    return Bank.default(range(1, 4), still=True)[3]


def test_values_do_not_overlap_and_stay_in_their_block() -> None:
    for block in Block:
        items = sorted(
            (item for item in ITEMS.values() if item.block is block),
            key=lambda item: item.offset,
        )
        assert items[-1].offset + items[-1].size <= BLOCK_LENGTH
        for left, right in pairwise(items):
            assert left.offset + left.size <= right.offset, (left.name, right.name)


def test_wide_values_begin_at_even_addresses() -> None:
    assert all(
        item.address % 2 == 0
        for item in ITEMS.values()
        if item.kind not in {Kind.U8, Kind.I8, Kind.RAW}
    )


def test_exactly_the_documented_registers_can_be_written() -> None:
    writable = {
        address: register.length
        for address, register in REGISTERS.items()
        if register.writable
    }
    assert writable == DOCUMENTED


def test_the_order_over_modbus_only_turns_numbers_around() -> None:
    for block in Block:
        assert sorted(MODBUS_ORDER[block]) == [*range(BLOCK_LENGTH)]
    live = MODBUS_ORDER[Block.LIVE]
    assert live[0x90:0x94] == (0x93, 0x92, 0x91, 0x90)  # pack voltage
    assert live[0x48:0x4A] == (0x48, 0x49)  # indexes of highest and lowest cell
    device = MODBUS_ORDER[Block.DEVICE]
    assert device[:16] == tuple(range(16))


def test_a_block_knows_its_addresses() -> None:
    assert [block.base for block in Block] == [0x1000, 0x1200, 0x1400]
    assert Block.of(0x1125) is Block.SETTINGS
    assert Block.of(0x1126) is None
    assert Block.of(0x1600) is None


@pytest.mark.parametrize(
    ("model", "current", "balance"),
    [
        ("JK_PB2A16S20P", 200_000, 2000),
        ("JK-PB2A16S20P", 200_000, 2000),
        ("JK_PB1A16S15P", 150_000, 1000),
        ("JK_PB1A16S10P", 100_000, 1000),
        ("JK_PB2A16S-20P", 200_000, 2000),
        ("somebody's", None, None),
    ],
)
def test_the_model_name_says_what_its_hardware_carries(
    model: str, current: int | None, balance: int | None
) -> None:
    assert rated_current(model) == current
    assert rated_balance_current(model) == balance


def test_limits_are_the_lower_of_the_map_and_the_model() -> None:
    assert limits_of(ITEMS["charge_current_limit"], "JK_PB2A16S20P") == (1000, 200_000)
    assert limits_of(ITEMS["charge_current_limit"], "unknown") == (1000, 600_000)
    assert limits_of(ITEMS["cell_ovp"], "JK_PB2A16S20P") == (1200, 4400)
    assert limits_of(ITEMS["buzzer_trigger"], "JK_PB2A16S20P") == (None, None)


def payload_with(pack: Pack, entry: Item, value: int) -> bytes | None:
    """The register's payload with one value changed, or None if no bytes can say it."""
    payload = b""
    for part in REGISTERS[entry.address & ~1].items:
        number = value if part is entry else pack.number_of(part.name)
        try:
            payload += struct.pack(f">{part.kind}", number)
        except struct.error:
            return None
    return payload


@pytest.mark.parametrize(
    "entry",
    [item for item in ITEMS.values() if item.minimum is not None],
    ids=lambda item: item.name,
)
def test_every_limit_is_enforced_on_both_sides(pack: Pack, entry: Item) -> None:
    minimum, maximum = limits_of(entry, pack.model)
    assert minimum is not None
    assert maximum is not None
    pack.set("uart1_mask", b"\xff" * 4)
    pack.set("can_mask", b"\xff" * 4)
    for value, refusal in (
        (minimum, None),
        (maximum, None),
        (minimum - 1, Refusal.VALUE),
        (maximum + 1, Refusal.VALUE),
    ):
        payload = payload_with(pack, entry, value)
        if payload is not None:
            assert pack.write(entry.address & ~1, payload, 0.0) is refusal
            if refusal is None:
                assert pack.get(entry.name) == value


def test_nothing_but_the_documented_registers_takes_a_write(pack: Pack) -> None:
    before = {block: pack.frame(block) for block in Block}
    taken = set()
    for address in range(0x10000):
        for length in (2, 4, 6, 8):
            if 0x1600 <= address < 0x1700:
                continue
            if pack.write(address, bytes(length), 0.0) is not Refusal.REGISTER:
                taken.add((address, length))
    assert taken == set(DOCUMENTED.items())
    assert pack.frame(Block.LIVE)[6:198] == before[Block.LIVE][6:198]


@pytest.mark.parametrize(
    ("number", "address", "payload"),
    [(1, 0x1122, b"\xf6\xfb"), (2, 0x1122, b"\xf6\xfb")],
)
def test_the_low_temperature_pair_of_v19_is_unknown_before(
    number: int, address: int, payload: bytes
) -> None:
    bank = Bank.default(range(1, 4), still=True)
    assert bank[number].write(address, payload, 0.0) is Refusal.REGISTER
    assert bank[3].write(address, payload, 0.0) is None


def test_the_charge_voltage_requests_are_unknown_before_14_17(pack: Pack) -> None:
    pack.set("software_version", b"14.16\0\0\0")
    assert pack.firmware == (14, 16)
    assert pack.write(0x1020, (3450).to_bytes(4), 0.0) is Refusal.REGISTER
    assert pack.write(0x1024, (3350).to_bytes(4), 0.0) is Refusal.REGISTER
    pack.set("software_version", b"14.17\0\0\0")
    assert pack.write(0x1020, (3450).to_bytes(4), 0.0) is None
    assert pack.get("rcv") == 3450


def test_a_firmware_with_a_letter_is_understood(pack: Pack) -> None:
    pack.set("software_version", b"11.288H\0")
    assert pack.firmware == (11, 288)


@pytest.mark.parametrize(
    ("mode", "asked", "refusal", "kept", "outcome"),
    [
        (Writing.NORMAL, 100_000, None, 100_000, "stored"),
        (Writing.NORMAL, 200_001, Refusal.VALUE, 80_000, "refused"),
        (Writing.IGNORE, 100_000, None, 80_000, "ignored"),
        (Writing.CLAMP, 100_000, None, 100_000, "stored"),
        (Writing.CLAMP, 250_000, None, 200_000, "clamped"),
        (Writing.CLAMP, 10, None, 1000, "clamped"),
        (Writing.REFUSE_REGISTER, 100_000, Refusal.REGISTER, 80_000, "refused"),
        (Writing.REFUSE_VALUE, 100_000, Refusal.VALUE, 80_000, "refused"),
    ],
)
def test_a_pack_treats_writes_as_it_was_told_to(
    pack: Pack,
    mode: Writing,
    asked: int,
    refusal: Refusal | None,
    kept: int,
    outcome: str,
) -> None:
    pack.writing = mode
    assert pack.write(0x102C, asked.to_bytes(4), 12.5) is refusal
    assert pack.get("charge_current_limit") == kept
    [entry] = pack.journal
    assert (entry.time, entry.register, entry.data) == (12.5, 0x102C, asked.to_bytes(4))
    assert (entry.outcome, entry.exception, entry.dangerous) == (
        outcome,
        refusal,
        False,
    )


def test_a_value_without_limits_is_never_clamped(pack: Pack) -> None:
    pack.writing = Writing.CLAMP
    assert pack.write(0x14E8, (-5).to_bytes(4, signed=True), 0.0) is None
    assert pack.get("buzzer_trigger") == -5


def test_the_helper_writes_as_the_vendor_does() -> None:
    assert (
        request(1, 0x1004, (2830).to_bytes(4)).hex()
        == "01101004000204" + "00000b0e" + "b968"
    )
