"""What is said of settings that would not fit together (rs485.md 7.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any

from .codecs import Value
from .datum import Field
from .order import Order
from .writing import Wish, as_stored

type Values = Mapping[str, Value]
type Wishes = Mapping[Field[Any], Wish]


class Rule(StrEnum):
    """Why a value is not written."""

    RANGE = auto()
    """JK's own application does not offer it (rs485.md 7)."""
    MODEL = auto()
    """More than the model is made for, as its name says."""
    LEARNT = auto()
    """This BMS has refused the like before."""
    ORDER = auto()
    """It would pass a setting that it belongs with (rs485.md 7.1)."""
    NOT_ENABLED = auto()
    """This BMS does not offer the protocol on this port (rs485.md 2.7)."""


class Relation(StrEnum):
    """What the value would have to be to the limit."""

    BELOW = auto()
    AT_MOST = auto()
    ABOVE = auto()
    AT_LEAST = auto()
    ONE_OF = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One rule that a value would break: `field` has to be `relation` `limit`."""

    rule: Rule
    field: Field[Any]
    value: Wish
    relation: Relation
    limit: Value | tuple[str, ...]
    """The value of the other setting, the bound, or the options that there are."""
    other: Field[Any] | None = None
    """The other setting, where it is one."""


def passed(
    orders: tuple[Order, ...], changes: Wishes, current: Values
) -> Iterator[Violation]:
    """Yield each order that changes would break; `current` is what there is now.

    What is out of order already may stay so, but not get worse.
    """
    wanted = {
        **current,
        **{field.key: as_stored(field, value) for field, value in changes.items()},
    }
    for order in orders:
        lower, upper = order.lower, order.upper
        if lower not in changes and upper not in changes:
            continue
        before, after = order.excess(current), order.excess(wanted)
        if after is None and wanted.get(lower.key) == wanted.get(upper.key) == 0:
            # Twice 0 °C is a pair that was never set, unless somebody sets it now.
            after = 0.0
        if after is None or not order.is_broken_by(after):
            continue
        if before is not None and order.is_broken_by(before) and after <= before:
            continue
        yield _passing(order, changes, wanted)


def _passing(order: Order, changes: Wishes, wanted: Values) -> Violation:
    """Tell it of the setting that is changed, of the lower one where both are."""
    if order.lower in changes:
        field, other = order.lower, order.upper
        relation = Relation.AT_MOST if order.may_meet else Relation.BELOW
    else:
        field, other = order.upper, order.lower
        relation = Relation.AT_LEAST if order.may_meet else Relation.ABOVE
    return Violation(
        rule=Rule.ORDER,
        field=field,
        value=changes[field],
        relation=relation,
        limit=wanted[other.key],
        other=other,
    )
