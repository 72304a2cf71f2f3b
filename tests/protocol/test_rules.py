"""Whether settings fit together, and the order in which several are changed."""

from random import Random
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import Block, Field, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY, writable
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.learnt import LearntLimits, Refused
from custom_components.jkbms.protocol.order import ADVICE, ORDERS, Order
from custom_components.jkbms.protocol.rules import (
    BrokenRuleError,
    Relation,
    Rule,
    Violation,
    advise,
    check,
    model_limit,
    plan,
)
from custom_components.jkbms.protocol.writing import Change, Wish, as_stored
from simulator import Pack, trios
from simulator.rules import rated_balance_current, rated_current

from ..captures import frames, golden_frames
from .helpers import frame_of
from .test_order import VALUES

PRESETS: Final = {
    # rs485.md 7: LiFePO4, Li-ion and LTO as the one-key presets of firmware 15.30 set them.
    "lfp": "3.500 2.580 2.620 3.650 3.580 0.010 3.590 2.600 3.600 3.500 2.500",
    "li_ion": "4.150 2.820 2.850 4.200 4.170 0.010 4.180 2.840 4.190 4.100 2.800",
    "lto": "2.500 1.800 1.850 2.700 2.640 0.010 2.650 1.840 2.680 2.550 1.700",
}
PRESET_KEYS: Final = (
    "smart_sleep_voltage",
    "cell_uvp",
    "cell_uvpr",
    "cell_ovp",
    "cell_ovpr",
    "balance_trigger_voltage",
    "soc_100_voltage",
    "soc_0_voltage",
    "cell_request_charge_voltage",
    "cell_request_float_voltage",
    "power_off_voltage",
)
MODEL: Final = "JK_PB2A16S20P"


def preset(name: str) -> dict[Field[Any], Wish]:
    volts = map(float, PRESETS[name].split())
    return {BY_KEY[key]: value for key, value in zip(PRESET_KEYS, volts, strict=True)}


def wishes(**values: Wish) -> dict[Field[Any], Wish]:
    return {BY_KEY[key]: value for key, value in values.items()}


def changes(wanted: dict[Field[Any], Wish]) -> list[Change]:
    return [Change(1, field, value) for field, value in wanted.items()]


def only(violations: tuple[Violation, ...]) -> Violation:
    (violation,) = violations
    return violation


# -- what is judged -----------------------------------------------------------------


def test_what_would_be_broken_is_told_with_the_other_setting() -> None:
    told = only(check(wishes(cell_ovpr=3.6), {**VALUES, "cell_ovp": 3.55}))
    assert told == Violation(
        rule=Rule.ORDER,
        field=BY_KEY["cell_ovpr"],
        value=3.6,
        relation=Relation.BELOW,
        limit=3.55,
        other=BY_KEY["cell_ovp"],
    )
    told = only(
        check(
            wishes(cell_ovp=3.5),
            {**VALUES, "soc_100_voltage": 3.4, "cell_request_charge_voltage": 3.45},
        )
    )
    assert (told.field.key, told.relation, told.limit) == (
        "cell_ovp",
        Relation.ABOVE,
        3.5,
    )
    told = only(check(wishes(power_off_voltage=2.61), VALUES))
    assert told.relation is Relation.AT_MOST
    told = only(
        check(wishes(cell_ovp=3.52), {**VALUES, "cell_request_charge_voltage": 3.53})
    )
    assert (told.relation, told.limit) == (Relation.AT_LEAST, 3.53)


def test_several_settings_are_judged_by_what_they_become() -> None:
    """Not one of them could be changed alone."""
    moved = wishes(cell_ovp=3.7, cell_ovpr=3.65, cell_request_charge_voltage=3.62)
    assert check(moved, VALUES) == ()
    assert check(wishes(cell_ovpr=3.65), VALUES)
    assert check(wishes(cell_request_charge_voltage=3.62), VALUES)
    worse = wishes(cell_ovp=3.7, cell_ovpr=3.75)
    told = only(check(worse, VALUES))
    # Where both are changed it is told of the lower one.
    assert (told.field.key, told.value, told.limit) == ("cell_ovpr", 3.75, 3.7)


@pytest.mark.parametrize("name", PRESETS)
def test_the_vendors_presets_break_no_rule(name: str) -> None:
    for before in PRESETS:
        current = {field.key: value for field, value in preset(before).items()}
        assert check(preset(name), current) == ()
        assert check(preset(name), {}) == ()


def captured() -> list[tuple[str, dict[str, Value]]]:
    sources = (
        *((c.id, c.data, c.firmware) for c in frames()),
        *((g.id, g.data, None) for g in golden_frames()),
    )
    told = []
    for name, data, firmware in sources:
        layout = recognise(data)
        if data[4] != Block.SETTINGS.frame_type or layout in (None, Layout.JK04):
            continue
        known = Firmware.parse(firmware)
        told.append(
            (
                name,
                decode_block(
                    data, Block.SETTINGS, layout, firmware=known, offset=FRAME_HEAD
                ),
            )
        )
    return told


@pytest.mark.parametrize(
    "values", [v for _, v in captured()], ids=[n for n, _ in captured()]
)
def test_what_a_captured_pack_is_set_to_could_be_set(values: dict[str, Value]) -> None:
    wanted = {
        field: value
        for field in writable()
        if isinstance(value := values.get(field.key), float | int)
        and not isinstance(value, bool)
        and field.limits is not None
        and field.limits.minimum <= value <= field.limits.maximum
        and field.block is Block.SETTINGS
        # Twice 0 was never set.
        and not (
            value == 0
            and field.key.startswith(("discharge_utp", "heating", "battery_ov"))
        )
    }
    assert check(wanted, values) == ()
    assert check(wanted, {}) == ()


def test_a_value_between_two_steps_is_judged_as_it_will_be_stored() -> None:
    current = {**VALUES, "cell_ovp": 3.55, "cell_request_charge_voltage": 3.5}
    assert only(check(wishes(cell_ovpr=3.5496), current)).limit == 3.55
    assert check(wishes(cell_ovpr=3.5494), current) == ()


def test_what_is_out_of_order_may_be_mended_in_steps_and_not_made_worse() -> None:
    current = {**VALUES, "cell_uvp": 2.8, "cell_uvpr": 2.5, "soc_0_voltage": 2.9}
    assert check(wishes(cell_uvpr=2.6), current) == ()
    assert check(wishes(cell_uvp=2.7, cell_uvpr=2.5), current) == ()
    assert check(wishes(cell_uvpr=2.4), current)


@pytest.mark.parametrize("key", ["charge_utp", "discharge_utp"])
def test_a_pair_of_zeros_is_not_set_by_anybody(key: str) -> None:
    recovery = f"{key}_recovery"
    zeros = {**VALUES, key: 0, recovery: 0}
    assert check(wishes(**{key: 0}), {**VALUES, key: -5, recovery: 0})
    assert check(wishes(**{key: 0, recovery: 0}), {**VALUES, key: -5, recovery: 3})
    # It was never set there: each may be set as it should be.
    assert check(wishes(**{key: -20, recovery: -15}), zeros) == ()
    assert check(wishes(cell_ovp=3.65), zeros) == ()


def test_settings_that_are_not_known_stand_in_nobodys_way() -> None:
    assert check(wishes(cell_ovpr=4.0, cell_uvp=3.9), {}) == ()


# -- advice -------------------------------------------------------------------------


def test_advice_is_given_on_what_many_packs_do_not_keep_to() -> None:
    told = only(advise(wishes(cell_request_charge_voltage=3.58), VALUES))
    assert (told.rule, told.relation) == (Rule.ORDER, Relation.AT_MOST)
    assert (told.other, told.limit) == (BY_KEY["cell_ovpr"], 3.5)
    assert check(wishes(cell_request_charge_voltage=3.55), VALUES) == ()
    assert advise(wishes(cell_request_charge_voltage=3.5), VALUES) == ()
    # It is so already, and gets no worse.
    assert advise(wishes(cell_request_charge_voltage=3.55), VALUES) == ()
    assert advise(wishes(cell_ovp=3.65), VALUES) == ()


def test_no_advice_is_a_rule() -> None:
    assert not {(o.lower, o.upper) for o in ADVICE} & {
        (o.lower, o.upper) for o in ORDERS
    }


# -- one setting alone --------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "relation", "limit"),
    [
        ("cell_ovp", 4.401, Relation.AT_MOST, 4.4),
        ("cell_ovp", 1.0, Relation.AT_LEAST, 1.2),
        ("cell_ovp", float("nan"), Relation.AT_MOST, 4.4),
        ("charge_utp", -45.1, Relation.AT_LEAST, -45.0),
        ("balancer", 1, Relation.ONE_OF, ()),
        ("cell_ovp", "3.6", Relation.ONE_OF, ()),
    ],
)
def test_a_value_outside_the_range_is_told_with_the_range(
    key: str, value: Wish, relation: Relation, limit: object
) -> None:
    told = only(check(wishes(**{key: value}), VALUES))
    assert (told.rule, told.relation, told.limit) == (Rule.RANGE, relation, limit)


def test_a_choice_that_there_is_not_is_told_with_those_that_there_are() -> None:
    told = only(check(wishes(dry_1_trigger="moon"), {}))
    assert told.rule is Rule.RANGE
    assert told.limit == BY_KEY["dry_1_trigger"].options


@pytest.mark.parametrize(
    ("model", "amperes", "balance"),
    [
        ("JK_PB2A16S20P", 200, 2),
        ("JK-PB2A16S20P", 200, 2),
        ("JK_PB1A16S10P", 100, 1),
        ("JK_PB2A16S15P", 150, 2),
        ("JK_B2A8S20P", 200, 2),
        ("JK_BD6A24S-15P", None, None),
        ("JK_B0A16S15P", 150, None),
        ("my battery", None, None),
        (None, None, None),
    ],
)
def test_the_name_of_a_model_says_what_it_carries(
    model: str | None, amperes: int | None, balance: int | None
) -> None:
    for key in ("max_charge_current", "max_discharge_current"):
        assert model_limit(BY_KEY[key], model) == amperes
    assert model_limit(BY_KEY["max_balance_current"], model) == balance
    assert model_limit(BY_KEY["cell_ovp"], model) is None


def test_more_than_a_model_carries_is_refused_before_the_bms_does() -> None:
    """A 200 A model has refused 200.001 A (rs485.md 2.9)."""
    assert check(wishes(max_charge_current=200), {}, MODEL) == ()
    told = only(check(wishes(max_charge_current=200.1), {}, MODEL))
    assert (told.rule, told.relation, told.limit) == (Rule.MODEL, Relation.AT_MOST, 200)
    assert check(wishes(max_charge_current=200.1), {}) == ()


@pytest.mark.parametrize("kind", range(7))
def test_the_captured_packs_keep_to_their_models_limit(kind: int) -> None:
    pack = Pack(trios()[kind], 1, still=True)
    for key, rated in (
        ("max_charge_current", rated_current),
        ("max_balance_current", rated_balance_current),
    ):
        field = BY_KEY[key]
        most = model_limit(field, pack.model)
        assert most is not None
        assert most * 1000 == rated(pack.model)
        now = decode_block(
            frame_of(pack, Block.SETTINGS).data, Block.SETTINGS, offset=FRAME_HEAD
        )[key]
        assert isinstance(now, float)
        assert now <= most


def test_what_the_bms_has_refused_before_is_not_tried_again() -> None:
    learnt = LearntLimits("15.41", {"charge_ocp_delay": Refused(low=3, high=100)})
    now = {"charge_ocp_delay": 10}
    for value, relation, limit in ((100, Relation.BELOW, 100), (3, Relation.ABOVE, 3)):
        told = only(check(wishes(charge_ocp_delay=value), now, learnt=learnt))
        assert (told.rule, told.relation, told.limit) == (Rule.LEARNT, relation, limit)
    assert check(wishes(charge_ocp_delay=99), now, learnt=learnt) == ()
    # The BMS has what it is said to refuse: it did not.
    assert (
        check(wishes(charge_ocp_delay=300), {"charge_ocp_delay": 200}, learnt=learnt)
        == ()
    )
    assert check(wishes(charge_ocp_delay=300), {}, learnt=learnt) == ()


def test_a_protocol_that_a_port_does_not_have_is_not_chosen() -> None:
    """FF 67: 0 to 10, 13 and 14 (rs485.md 2.7)."""
    current = {"uart1_protocol_mask": "ff670000", "can_protocol_mask": "ff0f0000"}
    assert check(wishes(uart1_protocol="jk_modbus"), current) == ()
    assert check(wishes(can_protocol="luxpower"), current) == ()
    for key, value in (("uart1_protocol", "custom_1"), ("can_protocol", "custom_1")):
        told = only(check(wishes(**{key: value}), current))
        assert (told.rule, told.relation) == (Rule.NOT_ENABLED, Relation.ONE_OF)
        assert isinstance(told.limit, tuple)
        assert value not in told.limit
        assert told.limit[0] == BY_KEY[key].options[0]
        assert check(wishes(**{key: value}), {}) == ()


# -- the order ----------------------------------------------------------------------


def keys(planned: tuple[Change, ...]) -> list[str]:
    return [change.field.key for change in planned]


def test_what_goes_up_begins_at_the_top_and_what_goes_down_at_the_bottom() -> None:
    up = wishes(cell_ovpr=3.65, cell_ovp=3.7, cell_request_charge_voltage=3.68)
    down = wishes(cell_ovp=3.55, cell_ovpr=3.4, cell_request_charge_voltage=3.5)
    assert keys(plan(changes(up), VALUES)) == [
        "cell_ovp",
        "cell_request_charge_voltage",
        "cell_ovpr",
    ]
    assert keys(plan(changes(down), VALUES)) == [
        "cell_ovpr",
        "cell_request_charge_voltage",
        "cell_ovp",
    ]


def test_switches_frame_the_numbers_and_what_may_cut_the_line_is_last() -> None:
    wanted = wishes(
        uart1_protocol="jk_modbus",
        charging_switch=True,
        dry_1_trigger="none",
        cell_ovp=3.65,
        discharging_switch=False,
    )
    assert keys(plan(changes(wanted), VALUES)) == [
        "discharging_switch",
        "cell_ovp",
        "dry_1_trigger",
        "charging_switch",
        "uart1_protocol",
    ]


def test_settings_that_would_not_fit_together_have_no_order() -> None:
    with pytest.raises(BrokenRuleError, match=r"cell_ovpr=3\.65") as caught:
        plan(changes(wishes(cell_ovpr=3.65, cell_ovp=3.64)), VALUES)
    assert only(caught.value.violations).other is BY_KEY["cell_ovp"]


def random_value(random: Random, field: Field[Any]) -> float:
    limits = field.limits
    assert limits is not None
    value = as_stored(field, round(random.uniform(limits.minimum, limits.maximum), 1))
    assert isinstance(value, float | int)
    return value


def random_settings(random: Random, *, holes: bool) -> dict[str, Value]:
    """Return settings of a pack; with holes some are not set, not known or out of order."""
    values: dict[str, Value] = {
        field.key: random_value(random, field)
        for order in ORDERS
        for field in (order.lower, order.upper)
    }
    while not holes and (broken := broken_orders(values)):
        order = random.choice(broken)
        low, high = order.lower.key, order.upper.key
        values[low], values[high] = values[high], values[low]
        if values[low] == values[high]:
            values[low] = random_value(random, order.lower)
    if holes:
        for key in random.sample(sorted(values), random.randint(0, 8)):
            values[key] = random.choice((0, None, 9000.0))
    return values


def broken_orders(values: dict[str, Value]) -> list[Order]:
    return [
        order
        for order in ORDERS
        if (excess := order.excess(values)) is not None and order.is_broken_by(excess)
    ]


@pytest.mark.parametrize("holes", [False, True])
def test_whatever_may_be_changed_together_can_be_changed_in_some_order(
    holes: bool,
) -> None:
    """And every state in between breaks no rule that was not broken before."""
    random = Random(7 + holes)
    planned_at_all = 0
    for _ in range(1500):
        current = random_settings(random, holes=holes)
        target = random_settings(random, holes=False)
        chosen = random.sample(sorted(target), random.randint(1, len(target)))
        wanted: dict[Field[Any], Wish] = {}
        for key in chosen:
            value = target[key]
            assert isinstance(value, float | int)
            wanted[BY_KEY[key]] = value
        if check(wanted, current):
            continue
        planned_at_all += 1
        state = dict(current)
        for change in plan(changes(wanted), current):
            assert isinstance(change.value, float | int)
            state[change.field.key] = change.value
            for order in ORDERS:
                before, now = order.excess(current), order.excess(state)
                if now is None or not order.is_broken_by(now):
                    continue
                assert before is not None
                assert order.is_broken_by(before)
                assert now <= before
        assert state == {**current, **{f.key: v for f, v in wanted.items()}}
    assert planned_at_all > 100
