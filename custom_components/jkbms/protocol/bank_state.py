"""A bank over time: its energy, and packs that are left out for a while (bank.md 3, 4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field as dataclass_field
from operator import attrgetter
from typing import Any, Final

from .bank import Bank, needed_of
from .bank_member import Flow, Member
from .bank_rows import COMPUTED, BankDatum, Details
from .codecs import Value
from .datum import Datum, Quantity
from .derived import POWER
from .energy import COUNTED, TIME_TO_EMPTY, TIME_TO_FULL, EnergyAccount
from .fields import CAPACITY_REMAINING, CURRENT, FULL_CHARGE_CAPACITY

NOT_PARTICIPATING: Final[Datum[bool]] = Datum(
    key="pack_not_participating",
    name="Pack not participating",
    quantity=Quantity.PROBLEM,
)
"""Whether a pack has been off for a while in a direction in which others carry current."""
OVER_TIME: Final[tuple[Datum[Any], ...]] = (
    NOT_PARTICIPATING,
    *COUNTED,
    TIME_TO_EMPTY,
    TIME_TO_FULL,
)
"""What takes more than one look."""
BANK_DATA: Final[tuple[Datum[Any], ...]] = (*COMPUTED, *OVER_TIME)
"""Every value of a bank."""

_LEFT_OUT_AFTER: Final = 60.0
"""Seconds; a BMS takes its time to close a MOSFET again."""
_NEVER: Final = float("-inf")
_LEFT_OUT_OF: Final = {Flow.CHARGE: "not_charging", Flow.DISCHARGE: "not_discharging"}
_TIMES: Final = (TIME_TO_EMPTY, TIME_TO_FULL)


@dataclass(frozen=True, slots=True)
class Told:
    """A value of a bank, with what belongs to it."""

    value: Any
    details: Details = dataclass_field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BankView:
    """What there is to tell of a bank."""

    enough: bool
    """Whether enough packs answer."""
    told: Mapping[str, Told]
    """By key."""
    always: frozenset[str] = frozenset()
    """Keys of what is told even while too few packs answer."""

    def knows(self, datum: Datum[Any]) -> bool:
        """Tell whether a value is worth telling: how many packs there are always is."""
        if self.enough or datum.key in self.always:
            return True
        return isinstance(datum, BankDatum) and datum.always


class BankState:
    """What is known of a bank."""

    def __init__(self, needed: int | None = None) -> None:
        """Start with nothing; without a number more than half of the packs are needed."""
        self.account = EnergyAccount()
        self._needed = needed
        self._counted = _NEVER
        """When the last reading that counts was complete."""
        self._since: dict[tuple[str, Flow], float] = {}
        """Since when a pack is left out of a direction."""

    def needed(self, total: int) -> int:
        """Return how many of so many packs have to answer."""
        return needed_of(total, self._needed)

    def look(self, members: Iterable[Member], now: float) -> BankView:
        """Take into account what the packs tell now."""
        bank = Bank(members, self._needed)
        self._count(bank)
        left = self.account.values if bank.complete else {}
        told = {row.key: Told(row.compute(bank), row.details(bank)) for row in COMPUTED}
        told |= {
            datum.key: Told(self.account.values.get(datum.key)) for datum in COUNTED
        }
        told |= {datum.key: Told(left.get(datum.key)) for datum in _TIMES}
        told[NOT_PARTICIPATING.key] = self._left_out(bank, now)
        return BankView(bank.enough, told)

    def _count(self, bank: Bank) -> None:
        """Count up to the time up to which all packs are known, once all were read anew.

        A pack that does not answer makes a gap: nobody knows what it does meanwhile.
        """
        heard = [member.heard for member in bank.members if member.heard is not None]
        if not bank.complete or len(heard) < len(bank.members):
            return
        if min(heard) <= self._counted:
            return
        watts = bank.total(attrgetter("watts"))
        if watts is None:
            return
        self._counted = max(heard)
        values: dict[str, Value] = {
            POWER.key: watts,
            CURRENT.key: bank.amperes,
            CAPACITY_REMAINING.key: bank.total(attrgetter("remaining")),
            FULL_CHARGE_CAPACITY.key: bank.total(attrgetter("capacity")),
        }
        self.account.read(values, min(heard))

    def _left_out(self, bank: Bank, now: float) -> Told:
        since: dict[tuple[str, Flow], float] = {}
        details: dict[str, Value | list[str]] = {}
        for flow, name in _LEFT_OUT_OF.items():
            out = [m for m in bank.online if _is_left_out(m, flow, bank)]
            for member in out:
                place = member.pack_id, flow
                since[place] = self._since.get(place, now)
            details[name] = [
                member.name
                for member in out
                if now - since[member.pack_id, flow] >= _LEFT_OUT_AFTER
            ]
        self._since = since
        if any(details.values()):
            return Told(True, details)
        unknown = any(
            None in (member.amperes, member.charge_mos, member.discharge_mos)
            for member in bank.online
        )
        return Told(None if unknown or not bank.online else False, details)


def _is_left_out(member: Member, flow: Flow, bank: Bank) -> bool:
    return member.mos(flow) is False and any(
        other.carries(flow) for other in bank.online if other is not member
    )
