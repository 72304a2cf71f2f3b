"""What a BMS has refused before: the limits of its model, as far as they showed.

Exception 3 says that a value is not allowed, not which one would be (rs485.md 2.9).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field as dataclass_field, replace
from math import isfinite
from typing import Any, Final, Self

from .datum import Field
from .fields import BY_KEY, writable
from .order import ADVICE, ORDERS
from .write_job import Outcome, WriteResult
from .writing import Change, Wish

_RELATED: Final = frozenset(
    field.key for order in (*ORDERS, *ADVICE) for field in (order.lower, order.upper)
)
"""May have been refused because of another setting: that says nothing for later."""
_LEARNS: Final = frozenset(
    field.key
    for field in writable()
    if field.limits is not None and field.key not in _RELATED
)


@dataclass(frozen=True, slots=True)
class Refused:
    """Between which values, both refused, a setting has to stay; None: not known."""

    low: float | None = None
    high: float | None = None

    def allows(self, value: float) -> bool:
        """Tell whether nothing like it has been refused."""
        return (self.low is None or value > self.low) and (
            self.high is None or value < self.high
        )

    def without(self, value: float, before: float) -> Refused:
        """Return what is left after another value was refused in place of this one."""
        low, high = self.low, self.high
        if value > before:
            high = value if high is None else min(value, high)
            low = low if low is None or low < high else None
        else:
            low = value if low is None else max(value, low)
            high = high if high is None or high > low else None
        return Refused(low, high)


@dataclass(frozen=True, slots=True)
class LearntLimits:
    """The values that one BMS has refused; another firmware may allow others."""

    software_version: str | None = None
    by_key: Mapping[str, Refused] = dataclass_field(default_factory=dict)

    def of(self, field: Field[Any]) -> Refused:
        """Return what was refused of a setting."""
        return self.by_key.get(field.key, _NOTHING)

    def learn(self, change: Change, result: WriteResult) -> LearntLimits:
        """Return what is known after a change: narrower, wider or the same."""
        key, value, before = change.field.key, change.value, result.before
        if key not in _LEARNS or isinstance(value, str):
            return self
        known = self.of(change.field)
        match result.outcome:
            case Outcome.REFUSED_VALUE if isinstance(before, int | float):
                known = known.without(value, before)
            case Outcome.PROVEN if not known.allows(value):
                known = _NOTHING
            case _:
                return self
        return replace(self, by_key={**self.by_key, key: known})

    def allows(self, field: Field[Any], value: Wish, now: object) -> bool:
        """Tell whether it may be tried; what the BMS has now was not refused."""
        refused = self.of(field)
        if isinstance(value, str) or not isinstance(now, int | float):
            return True
        return refused.allows(value) or not refused.allows(now)

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        return {
            "software_version": self.software_version,
            "refused": {
                key: [refused.low, refused.high]
                for key, refused in sorted(self.by_key.items())
                if refused != _NOTHING
            },
        }

    @classmethod
    def load(cls, data: object, software_version: str | None) -> Self:
        """Return what `dump` has stored of this firmware; what is none is left out."""
        if not isinstance(data, Mapping):
            return cls(software_version)
        of_version, stored = data.get("software_version"), data.get("refused")
        if of_version != software_version or not isinstance(stored, Mapping):
            return cls(software_version)
        pairs = ((key, _pair(key, pair)) for key, pair in stored.items())
        return cls(software_version, {key: pair for key, pair in pairs if pair})


_NOTHING: Final = Refused()


def _pair(key: object, pair: object) -> Refused | None:
    """Return two bounds that leave something of the range of a setting."""
    if not isinstance(key, str) or key not in _LEARNS:
        return None
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    if not all(bound is None or _is_number(bound) for bound in pair):
        return None
    low, high = pair
    limits = BY_KEY[key].limits
    assert limits is not None
    below = limits.minimum if low is None else low
    above = limits.maximum if high is None else high
    if not limits.minimum <= below < above <= limits.maximum:
        return None
    return Refused(low, high)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
    )
