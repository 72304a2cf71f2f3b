"""The datasheet as a whole: nothing overlaps, nothing is lost, keys never change."""

from itertools import combinations
from pathlib import Path
import struct
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import (
    BIG,
    LITTLE,
    Bit,
    Clock,
    Codec,
    Date,
    Enumerated,
    Flag,
    Hexadecimal,
    Scaled,
    Text,
)
from custom_components.jkbms.protocol.datum import Block, Field, Role
from custom_components.jkbms.protocol.derived import DERIVED
from custom_components.jkbms.protocol.fields import (
    BY_KEY,
    CELL_VOLTAGES,
    FIELDS,
    FIELDS_OF,
    TTL,
    settings,
    writable,
)
from custom_components.jkbms.protocol.layout import FRAME_HEAD, Layout, decode_block

KEYS: Final = Path(__file__).with_name("keys.txt")
BLOCK_SIZE: Final = 293


def span(field: Field[Any]) -> range:
    return range(field.address, field.address + field.codec.size)


def may_share(one: Field[Any], other: Field[Any]) -> bool:
    """Tell whether two rows at one place are meant: bits of a word, or a change of meaning."""
    if isinstance(one.codec, Bit) and isinstance(other.codec, Bit):
        return one.codec.bit != other.codec.bit and one.address == other.address
    apart = one.until is not None and one.until == other.since
    return one.ambiguous and other.ambiguous and (apart or other.until == one.since)


def test_no_two_rows_claim_the_same_byte_without_saying_so() -> None:
    overlapping = [
        (one.key, other.key)
        for one, other in combinations(FIELDS, 2)
        if set(span(one)) & set(span(other)) and not may_share(one, other)
    ]
    assert overlapping == []


def test_no_row_passes_the_end_of_its_block() -> None:
    for field in FIELDS:
        assert 0 <= field.offset <= BLOCK_SIZE - field.codec.size, field.key
        assert field in FIELDS_OF[field.block]


def test_only_reserved_bytes_of_a_block_have_no_row() -> None:
    """What is left is what rs485.md calls reserved, or the documents leave empty."""
    unclaimed = {
        block: sorted(
            set(range(BLOCK_SIZE))
            - {at - block.base for f in FIELDS_OF[block] for at in span(f)}
        )
        for block in Block
    }
    assert unclaimed == {
        Block.SETTINGS: [292],
        Block.LIVE: [*range(276, 281)],
        Block.DEVICE: [
            *range(200, 212),
            *range(217, 228),
            *range(278, 281),
        ],
    }


def test_keys_are_unique() -> None:
    keys = [datum.key for datum in (*FIELDS, *DERIVED)]
    assert len(keys) == len(set(keys))
    assert {field.key: field for field in FIELDS} == BY_KEY


def test_no_key_was_ever_renamed_or_removed() -> None:
    """A key is part of the unique id of an entity: add new ones to keys.txt, remove none."""
    frozen = KEYS.read_text(encoding="utf-8").split()
    ours = sorted(
        datum.key
        for datum in (*FIELDS, *DERIVED, *TTL)
        if datum.role is not Role.SECRET
    )
    assert sorted(set(frozen) - set(ours)) == []
    assert sorted(set(ours) - set(frozen)) == []
    assert frozen == sorted(frozen)


def test_a_row_has_a_name_without_a_number() -> None:
    for field in FIELDS:
        assert field.name
        assert ("{number}" in field.name) == (field.index is not None)
        assert not field.template[-1].isdigit() or field.index is None


def test_the_alike_share_a_template() -> None:
    assert {field.template for field in CELL_VOLTAGES} == {"cell_voltage"}
    assert BY_KEY["dry_1_value"].template == "dry_1_value"
    assert BY_KEY["temperature_sensor_1"].template == "temperature_sensor_1"


@pytest.mark.parametrize("field", settings(), ids=lambda f: f.key)
def test_a_setting_says_how_dangerous_it_is_and_what_it_may_be(
    field: Field[Any],
) -> None:
    assert field.tier is not None
    if not field.writable:
        return
    if field.limits is None:
        assert isinstance(field.codec, Flag | Bit | Enumerated)
        assert bool(field.options) is isinstance(field.codec, Enumerated)
        assert len(set(field.options)) == len(field.options)
        return
    low, high = (
        field.codec.encode(limit)
        for limit in (field.limits.minimum, field.limits.maximum)
    )
    for raw in (low, high):
        # The limits fit the wire type; struct raises otherwise.
        struct.pack(f">{field.codec.code}", raw)
    assert field.limits.minimum < field.limits.maximum
    assert 0 < field.limits.step < field.limits.maximum - field.limits.minimum


def test_only_settings_are_written() -> None:
    assert {field.key for field in writable()} <= {field.key for field in settings()}
    assert {field.role for field in writable()} == {Role.SETTING}


def test_each_state_has_the_number_of_the_document() -> None:
    """UART and CAN: rs485.md 1.4, triggers: ble.md 6.3."""
    told = {
        field.key: " ".join(field.codec.options)
        for field in FIELDS
        if isinstance(field.codec, Enumerated)
    }
    triggers = (
        "none low_soc battery_overvoltage battery_undervoltage cell_overvoltage "
        "cell_undervoltage charge_overcurrent discharge_overcurrent "
        "battery_overtemperature mos_overtemperature system_alarm "
        "battery_low_temperature remote_control high_soc mos_fault"
    )
    assert told == {
        "battery_type": "lfp li_ion lto",
        "charge_status": "bulk absorption float",
        "uart1_protocol": (
            "remote_module jk_modbus niu china_tower_1 pace pylontech growatt "
            "voltronic china_tower_2 srne jk_display custom_1 custom_2 "
            "jk_modbus_9600 pylontech_9600 jk_storage lin"
        ),
        "can_protocol": (
            "jk_250k deye pylontech growatt victron megarevo jk_500k invt goodwe "
            "sma must luxpower custom_1 custom_2"
        ),
        "lcd_buzzer_trigger": triggers,
        "dry_1_trigger": triggers,
        "dry_2_trigger": triggers,
    }


def test_settings_are_the_rows_of_that_role() -> None:
    keys = {field.key for field in settings()}
    assert {field.key for field in writable()} <= keys
    assert keys == {f.key for f in FIELDS if f.role is Role.SETTING}
    assert {"cell_ovp", "can_protocol"} <= keys
    assert "soc" not in keys


def test_secrets_are_never_decoded() -> None:
    secrets = [field for field in FIELDS if field.role is Role.SECRET]
    assert {(field.address, field.codec.size) for field in secrets} == {
        (0x1438, 16),
        (0x1470, 16),
    }
    for layout in (Layout.JK02_32S, Layout.JK02_24S):
        block = bytearray(BLOCK_SIZE)
        for field in secrets:
            block[field.offset : field.offset + 16] = b"SECRETSECRETSECR"
        values = decode_block(bytes(block), Block.DEVICE, layout)
        assert not any("SECR" in str(value) for value in values.values())
        assert not any(b"SECR".hex() in str(value) for value in values.values())
        assert not {field.key for field in secrets} & values.keys()


def test_what_tells_whose_pack_it_is_is_private() -> None:
    """Diagnostics leave it out, and frames that are shown have nothing in its place."""
    assert {datum.key for datum in (*FIELDS, *DERIVED, *TTL) if datum.private} == {
        "bluetooth_name",
        "serial_number",
        "user_data",
        "user_data_2",
        "ttl_manufacturer_id",
    }


# -- codecs -------------------------------------------------------------------------

CODECS: Final = {field.codec: field.key for field in FIELDS}


def raws(codec: Codec[Any]) -> list[Any]:
    """Return the extremes of a wire type and what lies between."""
    match codec.code:
        case "f":
            return [0.0, 2.5, -1.0]
        case code if code.endswith("s"):
            return [bytes(codec.size)]
    bits = 8 * codec.size
    low = -(1 << bits - 1) if codec.code.islower() else 0
    high = low + (1 << bits) - 1
    return [low, 0, 1, high // 3, high - 1, high]


def test_a_codec_returns_what_it_was_given() -> None:
    for codec, raw in [(each, raw) for each in CODECS for raw in raws(each)]:
        for order in (LITTLE, BIG):
            data = struct.pack(order + codec.code, raw)
            assert len(data) == codec.size
            assert struct.unpack(order + codec.code, data) == (raw,)
        value: Any = codec.decode(raw)
        match codec:
            case Scaled(unknown=unknown) if raw == unknown:
                assert value is None
            case Scaled(code="f"):
                assert value == raw
            case Scaled():
                assert codec.encode(value) == raw
            case Flag():
                assert codec.encode(value) == bool(raw)
            case Enumerated() if value is not None:
                assert codec.encode(value) == raw
            case Bit():
                assert value == bool(raw >> codec.bit & 1)
            case Enumerated():
                assert raw >= len(codec.options) or raw < 0


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"JK_PB2A16S20P\0\0", "JK_PB2A16S20P"),
        (b"99999999999\x00000", "99999999999"),
        (b"51020BO49000422\0", "51020BO49000422"),
        (b"  padded  ", "padded"),
        (b"\0" * 8, None),
        (b"\xff" * 8, None),
        ("café".encode(), None),
        (b"tab\there", None),
    ],
)
def test_a_text_is_cut_at_its_end_and_readable(
    raw: bytes, expected: str | None
) -> None:
    assert Text(f"{len(raw)}s").decode(raw) == expected


@pytest.mark.parametrize("raw", [b"991332\0\0", b"\0" * 8, b"abc", b"\xff" * 8])
def test_a_date_that_is_none_is_unknown(raw: bytes) -> None:
    assert Date("8s").decode(raw) is None


def test_a_clock_that_was_never_set_is_unknown() -> None:
    assert Clock("I").decode(0) is None
    assert str(Clock("I").decode(0xFFFF_FFFF)) == "2156-02-07 06:28:15"


def test_a_value_of_the_wrong_wire_type_is_unknown() -> None:
    assert Scaled("I").decode(b"abcd") is None
    for codec in (Text("4s"), Hexadecimal("4s"), Date("8s")):
        assert codec.decode(5) is None


def test_what_is_never_written_has_no_encoder() -> None:
    with pytest.raises(TypeError, match="Hexadecimal"):
        Hexadecimal("4s").encode("00")
    with pytest.raises(NotImplementedError):
        Codec[int]("B").decode(1)


def test_absent_cells_and_probes_are_unknown_and_never_a_number() -> None:
    block = bytearray(BLOCK_SIZE)
    struct.pack_into("<3H", block, 0, 3300, 0xFFFF, 3301)
    struct.pack_into("<I", block, 0x40, 0b111)
    struct.pack_into("<3H", block, 0x4A, 60, 61, 62)
    for offset in (0x8A, 0x9C, 0x9E, 0xF8, 0xFA, 0xFC):
        struct.pack_into("<h", block, offset, -2000)
    values = decode_block(bytes(block), Block.LIVE)
    assert [values[f"cell_voltage_{n}"] for n in range(1, 5)] == [
        3.3,
        None,
        3.301,
        None,
    ]
    assert [values[f"cell_resistance_{n}"] for n in range(1, 5)] == [60, 61, 62, None]
    assert {values[f"cell_voltage_{n}"] for n in range(4, 33)} == {None}
    assert {values[key] for key in values if "temperature" in key} == {None}


def test_what_is_counted_in_ones_is_a_whole_number_and_all_else_is_none() -> None:
    """A state shows the difference: 7 cycles are not 7.0."""
    for layout in (Layout.JK02_32S, Layout.JK02_24S):
        for block in Block:
            values = decode_block(b"\x01" * BLOCK_SIZE, block, layout)
            kinds = {
                field.key: type(values[field.key])
                for field in FIELDS_OF[block]
                if isinstance(field.codec, Scaled) and values.get(field.key) is not None
            }
            assert kinds == {
                field.key: int
                if field.codec.divisor == 1 and field.codec.code != "f"
                else float
                for field in FIELDS_OF[block]
                if field.key in kinds and isinstance(field.codec, Scaled)
            }


def test_the_place_of_a_block_in_the_data_is_given() -> None:
    block = bytes(range(256)) + bytes(BLOCK_SIZE - 256)
    frame = bytes(FRAME_HEAD) + block
    assert decode_block(frame, Block.SETTINGS, offset=FRAME_HEAD) == decode_block(
        block, Block.SETTINGS
    )
