"""Orders, byte by byte (ble.md 2, 7)."""

from typing import Any

import pytest

from custom_components.jkbms.protocol.ble.frames import Order, asks
from custom_components.jkbms.protocol.ble.registers import (
    check_sendable,
    offers,
    order_of,
    takes,
)
from custom_components.jkbms.protocol.datum import Block, Field, Firmware
from custom_components.jkbms.protocol.errors import NotWritableError
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.fields import BY_KEY, writable
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.writing import Change
from tests.captures import ble_streams

RECORDED = {
    "AA5590EB2A0401000000183A498A9F9960DF3176": ("port_switch", True),
    "AA5590EB2A040000000079D565322E1BE745FCFE": ("port_switch", False),
    "AA5590EB27040000000017314E35AF4227213DE6": ("heater", False),
    "AA5590EB2504050000003C35B5C48CDD6C1132AA": ("precharge_time", 5),
    "AA5590EB37010322B867F2779A4869510A4C0859": ("heating_start_temperature", 3),
    "AA5590EB380107AFE7A60171728860581AFCFB2B": ("heating_stop_temperature", 7),
}
"""What phones sent, and what it was for."""
CONSTRUCTED = {
    "AA5590EB1D0401000000000000000000000000" + "9C": ("charging_switch", True),
    "AA5590EB1D0400000000000000000000000000" + "9B": ("charging_switch", False),
    "AA5590EB1E0401000000000000000000000000" + "9D": ("discharging_switch", True),
    "AA5590EB1F0401000000000000000000000000" + "9E": ("balancer", True),
    "AA5590EB0404420E0000000000000000000000" + "D2": ("cell_ovp", 3.65),
    "AA5590EB2004C0450400000000000000000000" + "A7": (
        "total_battery_capacity_setting",
        280,
    ),
    "AA5590EB180438FFFFFF000000000000000000" + "CB": ("charge_utp", -20.0),
    "AA5590EB0C04A0860100000000000000000000" + "B1": ("max_charge_current", 100),
    "AA5590EBA60206000000000000000000000000" + "28": ("can_protocol", "jk_500k"),
}

SWITCHES = {
    "charging_switch": (0x1D, 4),
    "discharging_switch": (0x1E, 4),
    "balancer": (0x1F, 4),
}
ORDERS = {
    **SWITCHES,
    "smart_sleep_voltage": (0x01, 4),
    "cell_uvp": (0x02, 4),
    "cell_uvpr": (0x03, 4),
    "cell_ovp": (0x04, 4),
    "cell_ovpr": (0x05, 4),
    "balance_trigger_voltage": (0x06, 4),
    "soc_100_voltage": (0x07, 4),
    "soc_0_voltage": (0x08, 4),
    "cell_request_charge_voltage": (0x09, 4),
    "cell_request_float_voltage": (0x0A, 4),
    "power_off_voltage": (0x0B, 4),
    "max_charge_current": (0x0C, 4),
    "charge_ocp_delay": (0x0D, 4),
    "charge_ocp_release": (0x0E, 4),
    "max_discharge_current": (0x0F, 4),
    "discharge_ocp_delay": (0x10, 4),
    "discharge_ocp_release": (0x11, 4),
    "short_circuit_release": (0x12, 4),
    "max_balance_current": (0x13, 4),
    "charge_otp": (0x14, 4),
    "charge_otp_recovery": (0x15, 4),
    "discharge_otp": (0x16, 4),
    "discharge_otp_recovery": (0x17, 4),
    "charge_utp": (0x18, 4),
    "charge_utp_recovery": (0x19, 4),
    "mos_otp": (0x1A, 4),
    "mos_otp_recovery": (0x1B, 4),
    "cell_count": (0x1C, 4),
    "total_battery_capacity_setting": (0x20, 4),
    "short_circuit_delay": (0x21, 4),
    "balance_starting_voltage": (0x22, 4),
    "precharge_time": (0x25, 4),
    "heater": (0x27, 4),
    "disable_temperature_sensors": (0x28, 4),
    "port_switch": (0x2A, 4),
    "display_always_on": (0x2B, 4),
    "smart_sleep": (0x2D, 4),
    "disable_pcl_module": (0x2E, 4),
    "timed_stored_data": (0x2F, 4),
    "charging_float_mode": (0x30, 4),
    "heating_start_temperature": (0x37, 1),
    "heating_stop_temperature": (0x38, 1),
    "smart_sleep_time": (0x39, 1),
    "discharge_utp": (0x3A, 1),
    "discharge_utp_recovery": (0x3B, 1),
    "uart1_protocol": (0xA5, 2),
    "can_protocol": (0xA6, 2),
    "lcd_buzzer_trigger": (0xA9, 2),
    "dry_1_trigger": (0xAA, 2),
    "dry_2_trigger": (0xAB, 2),
    "cell_request_charge_time": (0xB3, 1),
    "cell_request_float_time": (0xB4, 1),
}
"""Number and bytes of the value (ble.md 6.1, 6.2)."""
OTHERS = {(0x96, 0), (0x97, 0), (0x6B, 4), (0x6C, 4)}
"""The two questions, the emergency mode and the clock."""


def features(**more: Any) -> Features:
    return Features(cells=(1,), probes=(), heater=True, **more)


def any_value(field: Field[Any]) -> Any:
    return field.limits.minimum if field.limits else (field.options or [True])[0]


@pytest.mark.parametrize(("order", "said"), RECORDED.items())
def test_a_recorded_order_is_read_and_would_be_sent(
    order: str, said: tuple[str, Any]
) -> None:
    key, value = said
    recorded = Order.parse(bytes.fromhex(order))
    assert recorded is not None
    assert order_of(BY_KEY[key], value, Layout.JK02_32S) == recorded
    check_sendable(recorded)


@pytest.mark.parametrize(("order", "said"), CONSTRUCTED.items())
def test_an_order_has_its_bytes(order: str, said: tuple[str, Any]) -> None:
    key, value = said
    made = order_of(BY_KEY[key], value, Layout.JK02_32S)
    assert made is not None
    assert made.encode().hex().upper() == order


def test_the_two_questions_are_those_of_the_app() -> None:
    assert asks(Block.DEVICE).encode().hex() == "aa5590eb97" + "00" * 14 + "11"
    assert asks(Block.SETTINGS).encode().hex() == "aa5590eb96" + "00" * 14 + "10"
    stream = next(c for c in ble_streams() if c.chunks)
    told = [Order.parse(order) for order in stream.orders]
    assert told[:2] == [asks(Block.DEVICE), asks(Block.SETTINGS)]
    assert set(told) == set(told[:2])


def test_recorded_calibrations_are_read_and_never_sent() -> None:
    for capture in ble_streams():
        if capture.chunks:
            continue
        order = Order.parse(capture.data)
        assert order is not None
        expected = capture.expected
        assert order.register == expected["register"]
        assert int.from_bytes(order.value, "little") == expected["value"]
        with pytest.raises(NotWritableError):
            check_sendable(order)


def test_only_settings_questions_clock_and_emergency_can_leave() -> None:
    sendable = set()
    for register in range(256):
        for size in range(14):
            try:
                check_sendable(Order(register, bytes(size)))
            except NotWritableError:
                continue
            sendable.add((register, size))
    assert sendable == OTHERS | set(ORDERS.values())
    # Shutdown, restart, calibration, presets, factory reset, log, user data (ble.md 6.3).
    never = {0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6A, 0x9D, 0x9F, 0xA1}
    assert not never & {register for register, _ in sendable}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout.JK02_32S, ORDERS),
        (Layout.JK02_24S, SWITCHES),
        (Layout.JK04, {}),
        (None, {}),
    ],
)
def test_a_setting_has_its_number_and_its_length(
    layout: Layout | None, expected: dict[str, tuple[int, int]]
) -> None:
    orders = {f.key: order_of(f, any_value(f), layout) for f in writable()}
    told = {k: (o.register, len(o.value)) for k, o in orders.items() if o is not None}
    assert told == expected


def test_every_setting_that_has_an_order_fits_into_it() -> None:
    for field in writable():
        limits = field.limits
        values: list[Any] = (
            [limits.minimum, limits.maximum]
            if limits
            else list(field.options) or [False, True]
        )
        orders = [order_of(field, value, Layout.JK02_32S) for value in values]
        for order in orders:
            if order is not None:
                check_sendable(order)
                assert Order.parse(order.encode()) == order


def test_no_two_settings_have_one_order() -> None:
    told: dict[int, str] = {}
    for field in writable():
        if order := order_of(field, any_value(field), Layout.JK02_32S):
            assert order.register not in told, (field.key, told[order.register])
            told[order.register] = field.key


@pytest.mark.parametrize(
    ("layout", "keys"),
    [
        (Layout.JK02_24S, {"charging_switch", "discharging_switch", "balancer"}),
        (Layout.JK04, set()),
        (None, set()),
    ],
)
def test_older_boards_take_what_is_beyond_doubt(
    layout: Layout | None, keys: set[str]
) -> None:
    firmware = Firmware(10, 7)
    taken = set()
    for field in writable():
        if takes(Change(0, field, any_value(field)), layout, firmware):
            taken.add(field.key)
    assert taken == keys
    older = features(firmware=firmware, keys=("balancer",), has_blocks=False)
    assert not offers(BY_KEY["balancer"], older)


def test_what_is_offered_is_what_is_taken() -> None:
    new = features(firmware=Firmware(15, 41))
    assert offers(BY_KEY["cell_ovp"], new)
    assert offers(BY_KEY["heating_start_temperature"], new)
    assert not offers(BY_KEY["heating_start_temperature"], features(firmware=None))
    assert not offers(BY_KEY["discharge_utp"], new), "from 19 on"
    assert not offers(BY_KEY["data_stored_period"], new), "no order is known"
    older = features(
        firmware=Firmware(10, 7),
        keys=("balancer",),
        has_blocks=False,
        layout=Layout.JK02_24S,
    )
    assert offers(BY_KEY["balancer"], older)
    assert not offers(BY_KEY["cell_ovp"], older)
    assert Features.load(older.dump()) == older


def test_an_order_holds_thirteen_bytes() -> None:
    assert Order.parse(Order(0x9F, bytes(13)).encode()) == Order(0x9F, bytes(13))
    with pytest.raises(ValueError, match="13"):
        Order(0x9F, bytes(14)).encode()
