"""The values of a bank: how each follows from one look at its packs (bank.md 2)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from .bank import Bank, sum_of
from .bank_member import Flow, Member, Spot
from .codecs import Value
from .datum import Datum, Quantity, Role

_LONGEST_TEXT: Final = 255
"""Characters that a state of Home Assistant holds."""
_NONE_ACTIVE: Final = "OK"

type Details = Mapping[str, Value | list[str]]


def _rounded(
    of: Callable[[Member], float | None], digits: int
) -> Callable[[Bank], float | None]:
    def compute(bank: Bank) -> float | None:
        total = bank.total(of)
        return None if total is None else round(total, digits)

    return compute


def _voltage(bank: Bank) -> float | None:
    """Return the mean of the packs that are on; of all where none is."""
    on = [
        m
        for m in bank.online
        if m.charge_mos is not False or m.discharge_mos is not False
    ]
    packs = on or bank.online
    total = sum_of(pack.volts for pack in packs)
    return None if total is None else round(total / len(packs), 3)


def _state_of_charge(bank: Bank) -> float | None:
    capacity = bank.total(attrgetter("capacity"))
    charge = bank.total(
        lambda m: (
            None
            if m.state_of_charge is None or m.capacity is None
            else m.state_of_charge * m.capacity
        )
    )
    if capacity is None or charge is None:
        return None
    return round(charge / capacity, 1)


def _spread(bank: Bank) -> float | None:
    lowest, highest = bank.lowest(_volts), bank.highest(_volts)
    if lowest is None or highest is None:
        return None
    return round(highest[0].value - lowest[0].value, 3)


def _delta(bank: Bank) -> float | None:
    lowest = bank.lowest(attrgetter("lowest_cell"))
    highest = bank.highest(attrgetter("highest_cell"))
    if lowest is None or highest is None:
        return None
    return round(highest[0].value - lowest[0].value, 3)


def _volts(member: Member) -> Spot | None:
    return None if member.volts is None else Spot(member.volts)


def _charge(member: Member) -> Spot | None:
    charge = member.state_of_charge
    return None if charge is None else Spot(charge)


def _count(of: Callable[[Member], bool | None]) -> Callable[[Bank], int | None]:
    def compute(bank: Bank) -> int | None:
        told = [of(member) for member in bank.online]
        return None if not told or None in told else told.count(True)

    return compute


def _limit(
    flow: Flow, of: Callable[[Member], float | None]
) -> Callable[[Bank], float | None]:
    """Return what adds up what is set in the packs that are on in a direction."""

    def compute(bank: Bank) -> float | None:
        on = [member for member in bank.online if member.mos(flow) is not False]
        if not bank.online or any(member.mos(flow) is None for member in on):
            return None
        total = sum_of(map(of, on)) if on else 0.0
        return None if total is None else round(total, 1)

    return compute


def _sharing_error(bank: Bank) -> float | None:
    return None if bank.sharing is None else round(bank.sharing[0], 1)


def _sharing_details(bank: Bank) -> Details:
    return {} if bank.sharing is None else {"pack": bank.sharing[1].name}


def _problem(bank: Bank) -> bool | None:
    told = [member.problem for member in bank.online]
    if True in told:
        return True
    return None if not told or None in told else False


def _active_alarms(bank: Bank) -> str | None:
    told = {member: member.errors for member in bank.online}
    active = [
        f"{member.name}: {errors}"
        for member, errors in told.items()
        if errors not in (None, _NONE_ACTIVE)
    ]
    if active:
        return _fitting(active)
    return None if not told or None in told.values() else _NONE_ACTIVE


def _fitting(texts: list[str]) -> str:
    """Return the texts as one that a state holds."""
    whole = "; ".join(texts)
    return whole if len(whole) <= _LONGEST_TEXT else f"{whole[: _LONGEST_TEXT - 1]}…"


@dataclass(frozen=True, slots=True)
class _Extreme:
    """An extreme of all packs: its value, and where it is."""

    find: Callable[[Bank], tuple[Spot, Member] | None]
    kind: str
    """What a place in a pack is called among the attributes; empty: it is of a pack."""

    def value(self, bank: Bank) -> float | None:
        found = self.find(bank)
        return None if found is None else found[0].value

    def details(self, bank: Bank) -> Details:
        if (found := self.find(bank)) is None:
            return {}
        place = {self.kind: found[0].place} if self.kind else {}
        return {"pack": found[1].name, **place}

    def text(self, bank: Bank) -> str | None:
        if (found := self.find(bank)) is None:
            return None
        spot, member = found
        if spot.place is None:
            return member.name[:_LONGEST_TEXT]
        place = f" cell {spot.place}" if self.kind == _CELL else f" {spot.place}"
        return member.name[: _LONGEST_TEXT - len(place)] + place


_CELL: Final = "cell"
_PACK: Final = ""
_PROBE: Final = "sensor"
_LOWEST_CELL: Final = _Extreme(lambda b: b.lowest(attrgetter("lowest_cell")), _CELL)
_HIGHEST_CELL: Final = _Extreme(lambda b: b.highest(attrgetter("highest_cell")), _CELL)
_EMPTIEST: Final = _Extreme(lambda b: b.lowest(_charge), _PACK)
_FULLEST: Final = _Extreme(lambda b: b.highest(_charge), _PACK)
_COLDEST: Final = _Extreme(lambda b: b.lowest(attrgetter("coldest")), _PROBE)
_WARMEST: Final = _Extreme(lambda b: b.highest(attrgetter("warmest")), _PROBE)


# -- rows -----------------------------------------------------------------------------


def _no_details(bank: Bank) -> Details:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BankDatum[T](Datum[T]):
    """A value computed from what the packs of a bank tell at a moment."""

    compute: Callable[[Bank], T | None]
    details: Callable[[Bank], Details] = _no_details
    always: bool = False
    """Whether it is told even while too few packs answer."""


def _row[T](
    key: str,
    name: str,
    quantity: Quantity,
    compute: Callable[[Bank], T | None],
    details: Callable[[Bank], Details] = _no_details,
    *,
    enabled: bool = False,
    always: bool = False,
    role: Role = Role.MEASUREMENT,
) -> BankDatum[T]:
    return BankDatum(
        key=key,
        name=name,
        quantity=quantity,
        compute=compute,
        details=details,
        enabled=enabled,
        always=always,
        role=role,
    )


_Q = Quantity
PACKS_ONLINE: Final = _row(
    "packs_online",
    "Packs online",
    _Q.NUMBER,
    lambda bank: len(bank.online),
    lambda bank: {
        "needed": bank.needed,
        "missing": [member.name for member in bank.members if not member.online],
    },
    enabled=True,
    always=True,
)
PACKS_TOTAL: Final = _row(
    "packs_total", "Packs", _Q.NUMBER, lambda bank: len(bank.members), always=True
)
BANK_POWER: Final = _row(
    "power", "Power", _Q.POWER, _rounded(attrgetter("watts"), 3), enabled=True
)
BANK_CURRENT: Final = _row(
    "current", "Current", _Q.CURRENT, _rounded(attrgetter("amperes"), 3), enabled=True
)
BANK_STATE_OF_CHARGE: Final = _row(
    "state_of_charge",
    "State of charge",
    _Q.STATE_OF_CHARGE,
    _state_of_charge,
    enabled=True,
)
BANK_REMAINING: Final = _row(
    "remaining_capacity",
    "Remaining capacity",
    _Q.CHARGE,
    _rounded(attrgetter("remaining"), 3),
)
BANK_CAPACITY: Final = _row(
    "total_capacity",
    "Total capacity",
    _Q.CHARGE,
    _rounded(attrgetter("capacity"), 3),
)
BANK_ENERGY: Final = _row(
    "remaining_energy",
    "Remaining energy",
    _Q.ENERGY_STORED,
    _rounded(attrgetter("energy"), 2),
    enabled=True,
)
BANK_PROBLEM: Final = _row("problem", "Problem", _Q.PROBLEM, _problem, enabled=True)


def _extreme_rows() -> Iterator[BankDatum[Any]]:
    """Yield the value and the place of each extreme; those of cells are on."""
    for key, name, place, quantity, extreme in (
        (
            "min_cell_voltage",
            "Lowest cell voltage",
            "Lowest cell",
            _Q.CELL_VOLTAGE,
            _LOWEST_CELL,
        ),
        (
            "max_cell_voltage",
            "Highest cell voltage",
            "Highest cell",
            _Q.CELL_VOLTAGE,
            _HIGHEST_CELL,
        ),
        (
            "min_temperature",
            "Lowest temperature",
            "Coldest sensor",
            _Q.TEMPERATURE,
            _COLDEST,
        ),
        (
            "max_temperature",
            "Highest temperature",
            "Warmest sensor",
            _Q.TEMPERATURE,
            _WARMEST,
        ),
    ):
        enabled = extreme.kind == _CELL
        yield _row(key, name, quantity, extreme.value, extreme.details, enabled=enabled)
        yield _row(f"{key}_place", place, _Q.TEXT, extreme.text, enabled=enabled)


COMPUTED: Final[tuple[BankDatum[Any], ...]] = (
    BANK_POWER,
    BANK_CURRENT,
    _row("voltage", "Voltage", _Q.PACK_VOLTAGE, _voltage),
    BANK_STATE_OF_CHARGE,
    _row(
        "lowest_state_of_charge",
        "Lowest state of charge of a pack",
        _Q.PERCENTAGE,
        _EMPTIEST.value,
        _EMPTIEST.details,
    ),
    _row(
        "highest_state_of_charge",
        "Highest state of charge of a pack",
        _Q.PERCENTAGE,
        _FULLEST.value,
        _FULLEST.details,
    ),
    BANK_REMAINING,
    BANK_CAPACITY,
    BANK_ENERGY,
    *_extreme_rows(),
    _row("delta_cell_voltage", "Cell voltage difference", _Q.CELL_VOLTAGE, _delta),
    _row("pack_voltage_spread", "Pack voltage difference", _Q.PACK_VOLTAGE, _spread),
    PACKS_TOTAL,
    PACKS_ONLINE,
    _row(
        "packs_charging",
        "Packs charging",
        _Q.NUMBER,
        _count(lambda member: member.carries(Flow.CHARGE)),
    ),
    _row(
        "packs_discharging",
        "Packs discharging",
        _Q.NUMBER,
        _count(lambda member: member.carries(Flow.DISCHARGE)),
    ),
    _row(
        "balancing_packs",
        "Packs balancing",
        _Q.NUMBER,
        _count(attrgetter("balancing")),
    ),
    _row(
        "current_sharing_error",
        "Current sharing error",
        _Q.PERCENTAGE,
        _sharing_error,
        _sharing_details,
    ),
    _row(
        "charge_current_limit",
        "Charge current limit",
        _Q.CURRENT,
        _limit(Flow.CHARGE, attrgetter("max_charge")),
    ),
    _row(
        "discharge_current_limit",
        "Discharge current limit",
        _Q.CURRENT,
        _limit(Flow.DISCHARGE, attrgetter("max_discharge")),
    ),
    BANK_PROBLEM,
    _row(
        "active_alarms",
        "Active alarms",
        _Q.TEXT,
        _active_alarms,
        role=Role.DIAGNOSTIC,
    ),
)
"""What follows from one look at all packs."""
