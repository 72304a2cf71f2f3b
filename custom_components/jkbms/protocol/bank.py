"""Several packs as one: what they measure together, and which of them stands out (bank.md 2).

What one of the packs that answer does not tell is not known of the bank either: nothing
that is missing counts as zero, and an extreme is one only if all were looked at.
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from math import fsum
from operator import attrgetter
from typing import Any, Final

from .bank_member import Flow, Member, Spot

_SHARING_FROM: Final = 1 / 50
"""Share of the capacity per hour below which the packs' own offsets make up the shares."""


class Bank:
    """The packs of a bank at a moment, in an order that is always the same."""

    def __init__(self, members: Iterable[Member], needed: int | None = None) -> None:
        """Put packs together; without a number of them more than half are needed."""
        self.members = tuple(sorted(members, key=attrgetter("name", "pack_id")))
        self.online = tuple(member for member in self.members if member.online)
        self.needed = needed_of(len(self.members), needed)
        """How many packs have to answer for the others to be worth telling of."""

    @property
    def enough(self) -> bool:
        """Whether enough packs answer."""
        return len(self.online) >= self.needed

    @property
    def complete(self) -> bool:
        """Whether all of them answer."""
        return 0 < len(self.online) == len(self.members)

    def total(self, of: Callable[[Member], float | None]) -> float | None:
        """Return a sum over the packs that answer; None where one does not tell."""
        return sum_of(map(of, self.online))

    @cached_property
    def amperes(self) -> float | None:
        """What all packs carry together, + = charging."""
        return self.total(attrgetter("amperes"))

    @cached_property
    def sharing(self) -> tuple[float, Member] | None:
        """Which pack is farthest from its fair share of the current, and how far, %."""
        if not self.amperes:
            return None
        flow = Flow.CHARGE if self.amperes > 0 else Flow.DISCHARGE
        packs = [m for m in self.online if m.mos(flow) is not False]
        capacity = sum_of(pack.capacity for pack in packs)
        current = sum_of(pack.amperes for pack in packs)
        # One shares with nobody.
        if len(packs) < 2 or capacity is None or current is None:
            return None
        if abs(current) < capacity * _SHARING_FROM:
            return None
        return max(
            ((_deviation(pack, current / capacity), pack) for pack in packs),
            key=lambda found: found[0],
        )

    def lowest(self, of: Callable[[Member], Spot | None]) -> tuple[Spot, Member] | None:
        """Return the lowest of a kind of value and whose it is."""
        return self._extreme(of, min)

    def highest(
        self, of: Callable[[Member], Spot | None]
    ) -> tuple[Spot, Member] | None:
        """Return the highest of a kind of value and whose it is."""
        return self._extreme(of, max)

    def _extreme(
        self, of: Callable[[Member], Spot | None], pick: Callable[..., Any]
    ) -> tuple[Spot, Member] | None:
        found = [(of(member), member) for member in self.online]
        spots = [(spot, member) for spot, member in found if spot is not None]
        if not spots or len(spots) < len(found):
            return None
        best: tuple[Spot, Member] = pick(spots, key=lambda each: each[0].value)
        return best


def needed_of(total: int, wanted: int | None) -> int:
    """Return how many of so many packs have to answer: more than half, unless told."""
    return max(1, total // 2 + 1 if wanted is None else min(wanted, total))


def sum_of(values: Iterable[float | None]) -> float | None:
    """Return the sum, None where one is unknown or there is none.

    It must not depend on the order, in the last digit either.
    """
    told = list(values)
    known = [value for value in told if value is not None]
    return fsum(known) if known and len(known) == len(told) else None


def _deviation(pack: Member, per_ampere_hour: float) -> float:
    fair = per_ampere_hour * (pack.capacity or 0.0)
    return 100 * abs(((pack.amperes or 0.0) - fair) / fair)
