"""Whether settings fit together, and in which order several can be changed.

What is judged is the whole that a change would lead to, so that several settings can
pass values that none of them could pass alone.
"""

from collections.abc import Iterable, Iterator
from functools import cache
import re
from typing import Any, Final

from .codecs import Value
from .datum import Field, Tier
from .errors import JkBmsError
from .fields import (
    BY_KEY,
    CAN_PROTOCOL,
    CAN_PROTOCOL_MASK,
    UART1_PROTOCOL,
    UART1_PROTOCOL_MASK,
)
from .learnt import LearntLimits
from .order import ADVICE, ORDERS
from .violation import Relation, Rule, Values, Violation, Wishes, passed
from .writing import Change, Wish, is_within

__all__ = [
    "BrokenRuleError",
    "Relation",
    "Rule",
    "Violation",
    "advise",
    "check",
    "model_limit",
    "plan",
]


class BrokenRuleError(JkBmsError):
    """The settings would not fit together; nothing was sent."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        """Keep which rules would be broken."""
        super().__init__(", ".join(f"{v.field.key}={v.value}" for v in violations))
        self.violations = violations


_RATING: Final = re.compile(r"B(?P<balance>\d)A\d+S-?(?P<tens>\d+)P")
"""The rating in a model's name: PB2A16S20P balances with 2 A and carries 200 A."""
_RATED: Final = {
    "max_charge_current": ("tens", 10),
    "max_discharge_current": ("tens", 10),
    "max_balance_current": ("balance", 1),
}
_MASKS: Final = {UART1_PROTOCOL: UART1_PROTOCOL_MASK, CAN_PROTOCOL: CAN_PROTOCOL_MASK}


def model_limit(field: Field[Any], model: str | None) -> float | None:
    """Return the most that a model is made for, None where its name does not say.

    A 200 A model has refused 200.001 A, one with 2 A for balancing 2.001 A
    (rs485.md 2.9).
    """
    rating = _RATED.get(field.key)
    named = _RATING.search(model or "")
    if rating is None or named is None:
        return None
    group, amperes = rating
    # A model without a digit for it, as in B0A, says nothing.
    return float(int(named[group]) * amperes) or None


def check(
    changes: Wishes,
    current: Values,
    model: str | None = None,
    learnt: LearntLimits = LearntLimits(),
) -> tuple[Violation, ...]:
    """Return every rule that the settings would break after all of the changes.

    What the BMS has now is `current`, by key. A setting that is not known stands in
    nobody's way. What is out of order already may stay so, but not get worse.
    """
    found: list[Violation] = []
    for field, value in changes.items():
        found += _alone(field, value, current, model, learnt)
    if found:
        return tuple(found)
    return tuple(passed(ORDERS, changes, current))


def advise(changes: Wishes, current: Values) -> tuple[Violation, ...]:
    """Return what is not recommended about a change that `check` lets pass."""
    return tuple(passed(ADVICE, changes, current))


def plan(changes: Iterable[Change], current: Values) -> tuple[Change, ...]:
    """Return changes of one BMS in an order that breaks no rule in between.

    What goes down goes first, the lower one of two before the upper; then what goes up,
    the upper one first: then no two pass each other on the way. What is switched off is
    so before, what is switched on after the numbers; what may cut the line is last.
    Raises BrokenRuleError where the result would break a rule.
    """
    ordered = sorted(changes, key=lambda change: _place(change, current))
    wanted: dict[Field[Any], Wish] = {}
    for change in ordered:
        wanted[change.field] = change.value
        if broken := tuple(passed(ORDERS, wanted, current)):
            raise BrokenRuleError(broken)
    return tuple(ordered)


def _alone(
    field: Field[Any],
    value: Wish,
    current: Values,
    model: str | None,
    learnt: LearntLimits,
) -> Iterator[Violation]:
    """Yield what is wrong with a value whatever the other settings are."""
    limits = field.limits
    if not is_within(field, value):
        if limits is None or isinstance(value, str):
            yield _violation(Rule.RANGE, field, value, Relation.ONE_OF, field.options)
        elif value < limits.minimum:
            yield _violation(
                Rule.RANGE, field, value, Relation.AT_LEAST, limits.minimum
            )
        else:
            yield _violation(Rule.RANGE, field, value, Relation.AT_MOST, limits.maximum)
        return
    if isinstance(value, str):
        enabled = _enabled(field, current)
        if enabled is not None and value not in enabled:
            yield _violation(Rule.NOT_ENABLED, field, value, Relation.ONE_OF, enabled)
        return
    most = model_limit(field, model)
    if most is not None and value > most:
        yield _violation(Rule.MODEL, field, value, Relation.AT_MOST, most)
    elif not learnt.allows(field, value, current.get(field.key)):
        refused = learnt.of(field)
        if refused.high is not None and value >= refused.high:
            yield _violation(Rule.LEARNT, field, value, Relation.BELOW, refused.high)
        else:
            yield _violation(Rule.LEARNT, field, value, Relation.ABOVE, refused.low)


def _violation(
    rule: Rule,
    field: Field[Any],
    value: Wish,
    relation: Relation,
    limit: Value | tuple[str, ...],
) -> Violation:
    return Violation(
        rule=rule, field=field, value=value, relation=relation, limit=limit
    )


def _enabled(field: Field[Any], current: Values) -> tuple[str, ...] | None:
    """Return the protocols that may be chosen: bit n of byte n / 8 (rs485.md 2.7)."""
    mask = _MASKS.get(field)
    told = None if mask is None else current.get(mask.key)
    if not isinstance(told, str):
        return None
    bits = int.from_bytes(bytes.fromhex(told), "little")
    return tuple(name for n, name in enumerate(field.options) if bits >> n & 1)


class _Turn:
    """When a change is made, relative to the others."""

    OFF, DOWN, UP, UNSET, CHOICE, ON, DANGER = range(7)


def _place(change: Change, current: Values) -> tuple[int, int, str]:
    """Return where a change comes among others."""
    field, value, now = change.field, change.value, current.get(change.field.key)
    height = _heights().get(field.key, 0)
    turn = _Turn.UP
    if field.tier is Tier.DANGER:
        turn = _Turn.DANGER
    elif isinstance(value, bool):
        turn = _Turn.ON if value else _Turn.OFF
    elif isinstance(value, str):
        turn = _Turn.CHOICE
    elif not isinstance(now, int | float) or not is_within(field, now):
        # No order holds for what was never set: it is set among all others as they will be.
        turn = _Turn.UNSET
    elif value <= now:
        turn = _Turn.DOWN
    return turn, height if turn is _Turn.DOWN else -height, field.key


@cache
def _heights() -> dict[str, int]:
    """Return how many settings lie one above the other below each one."""
    heights: dict[str, int] = {}

    def height(field: Field[Any]) -> int:
        if field.key not in heights:
            below = (order.lower for order in ORDERS if order.upper is field)
            heights[field.key] = max((height(lower) + 1 for lower in below), default=0)
        return heights[field.key]

    for field in BY_KEY.values():
        height(field)
    return heights
