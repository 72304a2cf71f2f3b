"""In which settings packs differ that work side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .codecs import Value
from .datum import Field, Tier
from .fields import writable

type Values = Mapping[str, Value]

COMPARED: Final = tuple(field for field in writable() if not field.by_action)
"""Settings that packs of one bank have in common; wires differ from pack to pack."""
_OF_SIZE: Final = frozenset(
    {
        "total_battery_capacity_setting",
        "max_charge_current",
        "max_discharge_current",
    }
)
"""What a bank of unlike packs rightly has unlike."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that one pack has unlike another."""

    field: Field[Any]
    reference: Value
    value: Value

    @property
    def matters(self) -> bool:
        """Whether packs in parallel should not differ in it: one protects before the other."""
        return self.field.tier is Tier.PROTECTION and self.field.key not in _OF_SIZE


def differences(reference: Values, other: Values) -> Iterator[Difference]:
    """Yield the settings that are known of both and not the same."""
    for field in COMPARED:
        ours, theirs = reference.get(field.key), other.get(field.key)
        if ours is not None and theirs is not None and ours != theirs:
            yield Difference(field, ours, theirs)
