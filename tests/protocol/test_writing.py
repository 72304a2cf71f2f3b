"""A change of one setting: what is sent, and that nothing else ever can be."""

from dataclasses import FrozenInstanceError, replace
from itertools import product
import struct
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import I8, U8, U32, Bit, Codec
from custom_components.jkbms.protocol.datum import Block, Field, Quantity, Role
from custom_components.jkbms.protocol.errors import (
    InvalidValueError,
    JkBmsError,
    NotWritableError,
)
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS, writable
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.writing import Change, Wish, as_stored

from .helpers import frame_of, pack

WRITABLE: Final = tuple(writable())

# The registers of rs485.md 2.5 and 2.7 that a user may change, and their length in bytes.
# Left out on purpose: the address, and the values of the alarm outputs.
VENDOR: Final = {
    **dict.fromkeys(range(0x1000, 0x1108, 4), 4),
    0x110C: 4,
    0x1114: 2,
    0x1116: 2,
    0x1118: 2,
    0x1122: 2,
    0x14B2: 2,
    0x14E4: 2,
    0x14E6: 2,
    0x1500: 4,
    0x1504: 2,
}


def values_for(field: Field[Any]) -> list[Wish]:
    if field.options:
        return list(field.options)
    if field.limits is None:
        return [False, True]
    return [field.limits.minimum, field.limits.maximum]


def contents(field: Field[Any]) -> list[bytes]:
    size = 2 * field.words
    return [bytes(size), b"\xff" * size, bytes(range(0x31, 0x31 + size))]


def key_change(key: str, value: Wish) -> Change:
    return Change(1, BY_KEY[key], value)


# -- the fence ----------------------------------------------------------------------


def test_what_can_be_written_is_the_vendors_table_and_nothing_else() -> None:
    reachable = {
        (request.register, len(request.data))
        for field in WRITABLE
        for value in values_for(field)
        for current in contents(field)
        for address in (0, 15)
        for request in (Change(address, field, value).request(current),)
    }
    assert reachable == set(VENDOR.items())
    assert not {register for register, _ in reachable if register >= 0x1600}


def test_no_other_register_can_be_smuggled_in() -> None:
    """Every register of the address space, under a name of ours; near ours in every size."""
    word, bit = BY_KEY["cell_count"], BY_KEY["heater"]
    for register in range(0x10000):
        forged = [replace(word, address=register)]
        if 0x0F00 <= register < 0x1800:
            forged += [replace(forged[0], codec=U8), replace(bit, address=register)]
        for field in forged:
            with pytest.raises(NotWritableError):
                Change(1, field, True if field.limits is None else 16)


def test_an_action_is_never_a_setting() -> None:
    codecs: tuple[Codec[Any], ...] = (U32, U8, I8, Bit("H", 0))
    for register, codec in product(range(0x1600, 0x1630), codecs):
        forged = Field(
            key="emergency",
            name="Emergency",
            quantity=Quantity.FLAG,
            role=Role.SETTING,
            block=Block.SETTINGS,
            address=register,
            codec=codec,
            writable=True,
        )
        with pytest.raises(NotWritableError, match="emergency"):
            Change(1, forged, True)


def test_rows_that_are_not_writable_stay_so_when_they_are_copied() -> None:
    for field in FIELDS:
        if field.writable:
            continue
        for forged in (field, replace(field, writable=True)):
            with pytest.raises(NotWritableError):
                Change(1, forged, True)


def test_a_row_or_a_change_cannot_be_altered_afterwards() -> None:
    field, change = BY_KEY["cell_ovp"], key_change("cell_ovp", 3.6)
    with pytest.raises(FrozenInstanceError):
        field.address = 0x1618  # type: ignore[misc]  # the point of the test
    with pytest.raises(FrozenInstanceError):
        change.value = 9.9  # type: ignore[misc]  # the point of the test


def test_the_only_other_writes_are_the_three_read_triggers() -> None:
    sent = {trigger(1, block).register for block in Block}
    assert sent == {0x161C, 0x161E, 0x1620}
    assert {trigger(1, block).data for block in Block} == {b"\0\0"}


# -- limits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", [f for f in WRITABLE if f.limits], ids=lambda f: f.key
)
def test_a_value_outside_the_limits_is_not_sent(field: Field[Any]) -> None:
    limits = field.limits
    assert limits is not None
    for value in (
        limits.minimum - limits.step,
        limits.maximum + limits.step,
        float("inf"),
        float("-inf"),
        float("nan"),
    ):
        with pytest.raises(InvalidValueError, match=field.key):
            Change(1, field, value)
    for value in (limits.minimum, limits.maximum):
        assert Change(1, field, value).value == value


@pytest.mark.parametrize("value", [1, 0, 0.0, 2])
def test_a_switch_is_on_or_off(value: float) -> None:
    with pytest.raises(InvalidValueError, match="balancer"):
        key_change("balancer", value)


@pytest.mark.parametrize("value", [True, False, "3.6"])
def test_a_number_is_neither_a_switch_nor_a_text(value: Wish) -> None:
    with pytest.raises(InvalidValueError, match="cell_ovp"):
        key_change("cell_ovp", value)


@pytest.mark.parametrize("value", ["", "JK_MODBUS", "nothing", 1, True])
def test_a_choice_is_one_of_its_options(value: Wish) -> None:
    with pytest.raises(InvalidValueError, match="uart1_protocol"):
        key_change("uart1_protocol", value)


@pytest.mark.parametrize("address", [-1, 16, 255])
def test_an_address_beyond_the_dip_switch_is_not_written(address: int) -> None:
    with pytest.raises(InvalidValueError, match="address"):
        Change(address, BY_KEY["balancer"], True)


def test_what_is_refused_here_has_one_base() -> None:
    assert issubclass(InvalidValueError, JkBmsError)
    assert issubclass(NotWritableError, JkBmsError)


# -- neighbours ---------------------------------------------------------------------


def test_a_bit_leaves_the_fifteen_others_as_they_were() -> None:
    for field in WRITABLE:
        if not isinstance(field.codec, Bit):
            continue
        kept = ~(1 << field.codec.bit)
        for word in (0x0000, 0xFFFF, 0xA5A5, 0x3251):
            for value in (False, True):
                change = Change(1, field, value)
                data = change.register_data(struct.pack(">H", word))
                (after,) = struct.unpack(">H", data)
                assert after & kept == word & kept
                assert change.found(data) is value


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("cell_request_charge_time", 1.5, "32F0", "0FF0"),
        ("cell_request_float_time", 1.5, "32F0", "320F"),
        ("uart1_protocol", "jk_modbus", "0E04", "0104"),
        ("can_protocol", "pylontech", "0104", "0102"),
        ("lcd_buzzer_trigger", "system_alarm", "0908", "0A08"),
        ("dry_1_trigger", "none", "0908", "0900"),
        ("dry_2_trigger", "low_soc", "0001", "0101"),
        ("smart_sleep_time", 48, "18FE", "30FE"),
        ("heating_start_temperature", -10, "000A", "F60A"),
        ("heating_stop_temperature", -1, "000A", "00FF"),
        ("discharge_utp", -20, "0000", "EC00"),
        ("discharge_utp_recovery", 5, "EC00", "EC05"),
    ],
)
def test_a_byte_leaves_the_other_of_its_pair(
    key: str, value: Wish, before: str, after: str
) -> None:
    change = key_change(key, value)
    data = change.register_data(bytes.fromhex(before))
    assert data == bytes.fromhex(after)
    assert change.found(data) == value


@pytest.mark.parametrize(
    ("key", "value", "data"),
    [
        ("charge_utp", -25.0, "FFFFFF06"),
        ("charge_utp", -0.1, "FFFFFFFF"),
        ("charge_utp", 0.0, "00000000"),
        ("charge_utp", 20.0, "000000C8"),
        ("cell_ovp", 3.6499999, "00000E42"),
        ("max_discharge_current", 1200, "00124F80"),
        ("total_battery_capacity_setting", 314, "0004CA90"),
    ],
)
def test_a_value_is_written_as_the_nearest_raw_one(
    key: str, value: float, data: str
) -> None:
    change = key_change(key, value)
    assert change.register_data(bytes(4)) == bytes.fromhex(data)
    assert change.found(bytes.fromhex(data)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("field", WRITABLE, ids=lambda f: f.key)
def test_what_is_stored_of_a_wish_is_what_is_found_once_it_was_written(
    field: Field[Any],
) -> None:
    for wish, current in product(values_for(field), contents(field)):
        change = Change(1, field, wish)
        assert as_stored(field, wish) == change.found(change.register_data(current))


@pytest.mark.parametrize("field", WRITABLE, ids=lambda f: f.key)
def test_the_register_is_cut_out_of_the_frame_as_it_would_be_written(
    field: Field[Any],
) -> None:
    """What a simulated pack holds after the write is what the write said."""
    of = pack(2)
    block = frame_of(of, field.block).data[6:]
    for value in values_for(field):
        change = Change(of.address, field, value)
        request = change.request(change.current_data(block))
        if of.write(request.register, request.data, 0.0) is not None:
            continue
        after = frame_of(of, field.block).data[6:]
        assert change.current_data(after) == request.data
        found = change.found(request.data)
        assert found == (value if isinstance(value, str) else pytest.approx(value))
    assert of.dangerous == []
