"""Settings that belong together: no change turns a protection around."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.datum import Block, Field, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.order import ADVICE, ORDERS, Order
from custom_components.jkbms.protocol.violation import (
    Relation,
    Values,
    Violation,
    passed,
)

from ..captures import frames, golden_frames

CAPTURED: Final = [
    (name, data, layout, firmware)
    for name, data, firmware in (
        *((c.id, c.data, c.firmware) for c in frames()),
        *((g.id, g.data, None) for g in golden_frames()),
    )
    if data[4] == Block.SETTINGS.frame_type
    and (layout := recognise(data)) not in (None, Layout.JK04)
]
VALUES: Final[dict[str, float]] = {
    "power_off_voltage": 2.5,
    "cell_uvp": 2.6,
    "cell_uvpr": 2.7,
    "cell_ovpr": 3.5,
    "cell_ovp": 3.6,
    "soc_0_voltage": 2.65,
    "soc_100_voltage": 3.45,
    "cell_request_float_voltage": 3.35,
    "cell_request_charge_voltage": 3.55,
    "balance_starting_voltage": 3.3,
    "heating_start_temperature": 0,
    "heating_stop_temperature": 10,
    "charge_otp_recovery": 50.0,
    "charge_otp": 55.0,
    "discharge_otp_recovery": 50.0,
    "discharge_otp": 55.0,
    "mos_otp_recovery": 70.0,
    "mos_otp": 80.0,
    "charge_utp": -5.0,
    "charge_utp_recovery": 0.0,
    "discharge_utp": -20.0,
    "discharge_utp_recovery": -15.0,
    "battery_overtemp_alarm_recovery": 50,
    "battery_overtemp_alarm": 60,
}
"""Settings of a pack that is well, each within its limits."""


def order_id(order: Order) -> str:
    return f"{order.lower.key}-{order.upper.key}"


def broken_order(field: Field[Any], value: float, values: Values) -> Violation | None:
    """The first order that a change would break."""
    return next(passed(ORDERS, {field: value}, values), None)


def refuses(field: Field[Any], value: float, **values: float | None) -> bool:
    return broken_order(field, value, {**VALUES, **values}) is not None


def kept(order: Order, firmware: Firmware | None) -> bool:
    """Whether both settings are what their names say on this firmware."""
    rows = (order.lower, order.upper)
    return firmware is not None or all(
        row.since is None and row.until is None for row in rows
    )


@pytest.mark.parametrize(
    ("data", "layout", "firmware"),
    [case[1:] for case in CAPTURED],
    ids=[case[0] for case in CAPTURED],
)
def test_every_captured_pack_keeps_the_order(
    data: bytes, layout: Layout, firmware: str | None
) -> None:
    known = Firmware.parse(firmware)
    values = decode_block(
        data, Block.SETTINGS, layout, firmware=known, offset=FRAME_HEAD
    )
    excess = {
        order_id(order): (order, value)
        for order in ORDERS
        if kept(order, known) and (value := order.excess(values)) is not None
    }
    assert "cell_uvp-cell_uvpr" in excess
    assert [
        name for name, (order, value) in excess.items() if order.is_broken_by(value)
    ] == []


@pytest.mark.parametrize("order", ORDERS, ids=order_id)
def test_neither_of_two_settings_passes_the_other(order: Order) -> None:
    lower, upper = VALUES[order.lower.key], VALUES[order.upper.key]
    step = 0.001 if upper < 5 and lower > 0 else 0.1
    assert broken_order(order.lower, upper + step, VALUES) is not None
    assert broken_order(order.upper, lower - step, VALUES) is not None
    assert order.is_broken_by(0.0) is not order.may_meet
    assert not order.is_broken_by(-step)


def test_the_order_that_is_broken_is_named() -> None:
    broken = broken_order(BY_KEY["cell_ovpr"], 3.6, VALUES)
    assert broken is not None
    assert broken.other is not None
    assert (broken.field.key, broken.other.key) == ("cell_ovpr", "cell_ovp")
    assert broken.relation is Relation.BELOW


def test_what_may_meet_may_also_come_out_of_a_conversion() -> None:
    charge = BY_KEY["cell_request_charge_voltage"]
    assert not refuses(charge, 3.6)
    assert not refuses(charge, 3.6 + 1e-9)
    assert refuses(charge, 3.601)


@pytest.mark.parametrize(
    ("lower", "upper", "broken_by"),
    [
        ("cell_uvpr", "soc_0_voltage", 11),
        ("cell_request_charge_voltage", "cell_ovpr", 11),
        ("balance_starting_voltage", "cell_request_charge_voltage", 0),
    ],
)
def test_what_is_advice_only_many_packs_do_not_keep_to(
    lower: str, upper: str, broken_by: int
) -> None:
    (order,) = (o for o in ADVICE if (o.lower.key, o.upper.key) == (lower, upper))
    told = {
        (values[lower], values[upper])
        for _, data, layout, firmware in CAPTURED
        for values in [
            decode_block(
                data,
                Block.SETTINGS,
                layout,
                firmware=Firmware.parse(firmware),
                offset=FRAME_HEAD,
            )
        ]
        if (excess := order.excess(values)) is not None and order.is_broken_by(excess)
    }
    # Alike are counted once.
    assert len(told) >= min(broken_by, 5)
    assert bool(told) is bool(broken_by)


def test_the_vendors_preset_can_be_set_step_by_step() -> None:
    """RCV lies above the recovery of the over-voltage protection there (rs485.md 7.1)."""
    assert not refuses(BY_KEY["cell_request_charge_voltage"], 3.6, cell_ovpr=3.58)
    assert not refuses(BY_KEY["soc_0_voltage"], 2.6, cell_uvpr=2.62)


def test_what_is_out_of_order_can_be_mended_in_steps_and_not_made_worse() -> None:
    recovery = BY_KEY["cell_uvpr"]
    assert not refuses(recovery, 2.6, cell_uvp=2.8, cell_uvpr=2.5)
    assert not refuses(recovery, 2.5, cell_uvp=2.8, cell_uvpr=2.5)
    assert refuses(recovery, 2.4, cell_uvp=2.8, cell_uvpr=2.5)
    assert not refuses(recovery, 2.9, cell_uvp=2.8, cell_uvpr=2.5)


def test_what_is_out_of_order_may_be_moved_as_a_whole() -> None:
    """As far apart as before is not worse: in binary, 3.1 is further above 2.8 than 2.8 above 2.5."""
    lower, upper = BY_KEY["cell_uvp"], BY_KEY["cell_uvpr"]
    (order,) = (o for o in ORDERS if (o.lower, o.upper) == (lower, upper))
    broken: Values = {**VALUES, "cell_uvp": 2.8, "cell_uvpr": 2.5}
    for moved in range(1, 1000):
        volts = (2800 + moved) / 1000, (2500 + moved) / 1000
        wishes = dict(zip((lower, upper), volts, strict=True))
        assert list(passed((order,), wishes, broken)) == []


@pytest.mark.parametrize("other", [None, 0.0])
def test_a_setting_that_is_not_there_stands_in_nobodys_way(other: float | None) -> None:
    assert not refuses(BY_KEY["soc_0_voltage"], 3.0, soc_100_voltage=other)


def test_a_pair_of_zeros_was_never_set() -> None:
    recovery = BY_KEY["discharge_utp_recovery"]
    values = {"discharge_utp": 0, "discharge_utp_recovery": 0}
    (order,) = (order for order in ORDERS if order.upper is recovery)
    assert order.excess(values) is None
    assert not refuses(BY_KEY["discharge_utp"], -20, **values)


def test_a_value_that_was_never_set_may_not_be_set_beyond_its_fellow() -> None:
    assert refuses(BY_KEY["soc_0_voltage"], 3.5, soc_0_voltage=0.0)


def test_other_settings_have_no_fellows() -> None:
    assert broken_order(BY_KEY["balance_trigger_voltage"], 1.0, VALUES) is None
    assert broken_order(BY_KEY["charging_switch"], False, VALUES) is None


@pytest.mark.parametrize("order", ORDERS, ids=order_id)
def test_two_settings_may_meet_where_that_is_no_contradiction(order: Order) -> None:
    protection = {
        ("power_off_voltage", "cell_uvp"),
        ("cell_uvp", "soc_0_voltage"),
        ("soc_0_voltage", "balance_starting_voltage"),
        ("soc_0_voltage", "cell_request_float_voltage"),
        ("soc_100_voltage", "cell_request_charge_voltage"),
        ("soc_100_voltage", "cell_ovp"),
        ("cell_request_float_voltage", "cell_request_charge_voltage"),
        ("cell_request_charge_voltage", "cell_ovp"),
    }
    assert order.may_meet is ((order.lower.key, order.upper.key) in protection)
