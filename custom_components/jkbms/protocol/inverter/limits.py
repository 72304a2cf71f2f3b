"""What a bank lets an inverter do at a moment: voltage, currents, and why no more (inverter.md 3, 4)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from math import fsum
from typing import Final

from ..bank_member import Flow
from .sight import PackSight

FRESH_FOR: Final = 10.0
"""Seconds after which what a pack has told is too old."""
_LEAST_TAPER: Final = 0.05
"""V; a taper of cells is at least as wide."""
_LEAST_DEGREES: Final = 5.0
"""K; and one of temperatures."""
_LEAST_DISCHARGE: Final = 0.1
"""V; near empty a cell falls faster than it rises near full."""
_MOST_SPREAD: Final = 0.05
"""Share of the voltage by which packs that are on may differ: what a cable loses is less."""
_CELL_VOLTS: Final = (1.0, 5.0)
_MEAN_OFF: Final = 0.05
"""V; how far the mean of a pack's cells may be outside of its extremes."""
_MOST_CURRENT: Final = 1.5
"""Times its setting; a BMS lets so much more pass for a while."""
_OFFSET: Final = 10.0
"""A; what sensors may be wrong, whatever the setting."""


class Reason(StrEnum):
    """Why a limit is not what the packs are set to; the reasons of a trip come last."""

    NONE = auto()
    FLOAT = auto()
    CELL_VOLTAGE = auto()
    COLD = auto()
    HOT = auto()
    MOS_HOT = auto()
    EMPTY = auto()
    SHARING = auto()
    """The pack with the least for its capacity decides: the others would overload it."""
    MOS_OFF = auto()
    PACK_MISSING = auto()
    OWN_LIMIT = auto()
    """What the owner has set for the inverter."""
    NOT_TOLD = auto()
    """A pack does not tell what the limit follows from."""
    NO_PACKS = auto()
    TOO_FEW_PACKS = auto()
    STALE = auto()
    PROTECTION = auto()
    IMPLAUSIBLE = auto()


TRIPS: Final = (
    Reason.NO_PACKS,
    Reason.TOO_FEW_PACKS,
    Reason.STALE,
    Reason.NOT_TOLD,
    Reason.PROTECTION,
    Reason.IMPLAUSIBLE,
)
"""What makes every current limit zero (inverter.md 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the owner of a bank has decided."""

    min_packs: int | None = None
    """How many packs have to tell, also where there are fewer; None: all of them."""
    charge_voltage: float | None = None
    """V; the most, None: as the packs are set."""
    charge_current: float | None = None
    discharge_current: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A limit, and what decides it."""

    value: float | None
    """V or A; None: unknown."""
    reason: Reason = Reason.NONE
    pack: str | None = None
    """Whose values decide it, where it is one pack."""
    full: float = 0.0
    """What it would be if nothing reduced it."""

    @property
    def reduced(self) -> bool:
        """Whether it is less than the packs are set to."""
        return self.reason is not Reason.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be done with a bank."""

    voltage: Advice
    charge: Advice
    discharge: Advice
    packs: tuple[PackSight, ...] = ()
    """Those that tell, and lately enough."""
    absent: int = 0
    """How many others there are."""
    trip: Reason | None = None
    """Why nothing is allowed; None where something may be."""
    detail: str = ""
    """What it is about: packs, alarms."""

    def within(self, now: float) -> float:
        """Return until when it holds if nobody tells anything new."""
        heard = [pack.member.heard for pack in self.packs]
        return min((h for h in heard if h is not None), default=now) + FRESH_FOR


def judge(packs: Iterable[PackSight], rules: Rules, now: float) -> Verdict:
    """Return what the packs of a bank allow now."""
    every = tuple(packs)
    fresh = tuple(p for p in every if p.member.online and p.age(now) <= FRESH_FOR)
    absent = len(every) - len(fresh)
    found = _trip(every, fresh, rules)
    if found is not None:
        trip, detail = found
        nothing = Advice(value=0.0, reason=trip)
        voltage = _voltage(fresh, rules)
        return Verdict(
            voltage=Advice(value=voltage.value, reason=trip),
            charge=nothing,
            discharge=nothing,
            packs=fresh,
            absent=absent,
            trip=trip,
            detail=detail,
        )
    return Verdict(
        voltage=_voltage(fresh, rules),
        charge=_current(fresh, Flow.CHARGE, rules.charge_current, absent),
        discharge=_current(fresh, Flow.DISCHARGE, rules.discharge_current, absent),
        packs=fresh,
        absent=absent,
    )


# -- why nothing is allowed -----------------------------------------------------------


def _trip(
    every: tuple[PackSight, ...], fresh: tuple[PackSight, ...], rules: Rules
) -> tuple[Reason, str] | None:
    if not every:
        return Reason.NO_PACKS, ""
    alarmed = [p for p in fresh if p.protections]
    if alarmed:
        return Reason.PROTECTION, _named(
            f"{p.name}: {', '.join(_words(p.protections))}" for p in alarmed
        )
    wanted = len(every) if rules.min_packs is None else rules.min_packs
    if len(fresh) < max(1, wanted):
        old = [p for p in every if p.member.online and p not in fresh]
        missing = [p.name for p in every if p not in fresh]
        return (Reason.STALE if old else Reason.TOO_FEW_PACKS), _named(missing)
    untold = [pack.name for pack in fresh if not _tells(pack)]
    if untold:
        return Reason.NOT_TOLD, _named(untold)
    wrong = next(_implausible(fresh), None)
    return None if wrong is None else (Reason.IMPLAUSIBLE, wrong)


def _words(keys: Iterable[str]) -> Iterator[str]:
    return (key.removeprefix("alarm_") for key in keys)


def _named(names: Iterable[str]) -> str:
    return "; ".join(names)


def _tells(pack: PackSight) -> bool:
    """Tell whether a pack says what everything else is judged by."""
    member = pack.member
    told = (member.volts, member.amperes, member.state_of_charge)
    return None not in told and bool(pack.cells)


def _implausible(packs: tuple[PackSight, ...]) -> Iterator[str]:
    """Yield what cannot be true of packs that are one battery."""
    for pack in packs:
        member, cells = pack.member, pack.cells or 0
        volts, amperes = member.volts or 0.0, member.amperes or 0.0
        charge = member.state_of_charge or 0.0
        if not 0 <= charge <= 100:
            yield f"{pack.name}: state of charge {charge}"
        if not _CELL_VOLTS[0] <= volts / cells <= _CELL_VOLTS[1]:
            yield f"{pack.name}: {volts} V of {cells} cells"
        low, high = member.lowest_cell, member.highest_cell
        if low is not None and high is not None:
            mean = volts / cells
            if not low.value - _MEAN_OFF <= mean <= high.value + _MEAN_OFF:
                yield f"{pack.name}: {volts} V are not the sum of its cells"
        flow = Flow.CHARGE if amperes > 0 else Flow.DISCHARGE
        setting = pack.setting(flow)
        if setting is not None and abs(amperes) > setting * _MOST_CURRENT + _OFFSET:
            yield f"{pack.name}: {amperes} A"
    if len({pack.cells for pack in packs}) > 1:
        yield "not all packs have as many cells"
    joined = [
        p.member.volts
        for p in packs
        if p.member.volts is not None and p.member.charge_mos and p.member.discharge_mos
    ]
    if joined and max(joined) - min(joined) > _MOST_SPREAD * max(joined):
        yield f"{min(joined)} V and {max(joined)} V side by side"


# -- voltage --------------------------------------------------------------------------


def _voltage(packs: tuple[PackSight, ...], rules: Rules) -> Advice:
    """Return the least that a pack asks for."""
    asked = [(_asked(pack), pack) for pack in packs]
    known = [(told, pack) for told, pack in asked if told is not None]
    if not known or len(known) < len(asked):
        silent = next((pack.name for told, pack in asked if told is None), None)
        return Advice(value=None, reason=Reason.NOT_TOLD, pack=silent)
    (value, reason, _), pack = min(known, key=lambda each: each[0][0])
    advice = Advice(
        value=value,
        reason=reason,
        pack=None if reason is Reason.NONE else pack.name,
        full=min(full for (_, _, full), _ in known),
    )
    return _capped(advice, rules.charge_voltage)


def _asked(pack: PackSight) -> tuple[float, Reason, float] | None:
    """Return the charge voltage of a pack, why it is that, and with which it is full, V.

    Where a cell is above its target the pack is too high by that much: less than it has
    now lets the cell come down.
    """
    guard, member, cells = pack.guard, pack.member, pack.cells
    charged, most = guard.full_cell, guard.cell_ovp
    if not charged or most is None or not cells or member.highest_cell is None:
        return None
    full, target = charged * cells, min(charged, most)
    reason = Reason.NONE
    held = guard.cell_request_float_voltage
    if pack.floats and held is not None and held < target:
        target, reason = held, Reason.FLOAT
    value = target * cells
    excess = member.highest_cell.value - min(charged, most)
    if excess > 0 and member.volts is not None:
        lowest = cells * min(target, target if held is None else held)
        lowered = max(lowest, member.volts - excess)
        if lowered < value:
            return lowered, Reason.CELL_VOLTAGE, full
    return value, reason, full


def _capped(advice: Advice, most: float | None) -> Advice:
    if most is None or advice.value is None or most >= advice.value:
        return advice
    return Advice(value=most, reason=Reason.OWN_LIMIT, full=advice.full)


# -- currents -------------------------------------------------------------------------


def taper(value: float, zero: float, full: float) -> float:
    """Return the share of the current at a value: none at `zero`, all from `full` on."""
    return min(1.0, max(0.0, (value - zero) / (full - zero)))


type _Factor = tuple[float, Reason]


def _current(
    packs: tuple[PackSight, ...], flow: Flow, own: float | None, absent: int
) -> Advice:
    """Return the current of a direction that overloads no pack.

    Packs side by side share it by their capacity, whatever each would like to have.
    """
    on = [pack for pack in packs if pack.member.mos(flow)]
    full = fsum(pack.setting(flow) or 0.0 for pack in packs)
    if not on:
        untold = next((p.name for p in packs if p.member.mos(flow) is None), None)
        reason = Reason.MOS_OFF if untold is None else Reason.NOT_TOLD
        return Advice(value=0.0, reason=reason, pack=untold, full=full)
    shares = _shares(on)
    weakest, pack, least, reason = _weakest(on, flow, shares)
    settings = [one.setting(flow) for one in on]
    known = [setting for setting in settings if setting is not None]
    if reason is Reason.NONE:
        even = fsum(known) if len(known) == len(on) else 0.0
        if least < even:
            reason = Reason.SHARING
        elif len(on) < len(packs):
            reason, pack = Reason.MOS_OFF, next(p for p in packs if p not in on)
        elif absent:
            reason = Reason.PACK_MISSING
    named = reason not in (Reason.NONE, Reason.PACK_MISSING)
    advice = Advice(
        value=weakest, reason=reason, pack=pack.name if named else None, full=full
    )
    return _capped(advice, own)


def _shares(packs: list[PackSight]) -> list[float]:
    """Return which part of the current goes to each pack."""
    capacities = [pack.member.capacity for pack in packs]
    known = [capacity for capacity in capacities if capacity]
    if len(known) < len(packs):
        return [1 / len(packs)] * len(packs)
    total = fsum(known)
    return [capacity / total for capacity in known]


def _weakest(
    packs: list[PackSight], flow: Flow, shares: list[float]
) -> tuple[float, PackSight, float, Reason]:
    """Return the current at which the first pack has all it may, that pack, and why.

    The third is what it would be by the settings alone.
    """
    factors = _charge_factors if flow is Flow.CHARGE else _discharge_factors
    found = []
    for pack, share in zip(packs, shares, strict=True):
        factor, reason = min(factors(pack), key=lambda each: each[0])
        setting = pack.setting(flow)
        if setting is None:
            factor, reason, setting = 0.0, Reason.NOT_TOLD, 0.0
        if factor >= 1.0:
            reason = Reason.NONE
        found.append((setting * factor / share, pack, setting / share, reason))
    least = min(plain for _, _, plain, _ in found)
    value, pack, _, reason = min(found, key=lambda each: each[0])
    return value, pack, least, reason


def _charge_factors(pack: PackSight) -> Iterator[_Factor]:
    guard, member = pack.guard, pack.member
    if guard.cell_ovp is None or guard.full_cell is None or member.highest_cell is None:
        yield 0.0, Reason.NOT_TOLD
    else:
        full = min(guard.full_cell, guard.cell_ovp - _LEAST_TAPER)
        share = taper(member.highest_cell.value, guard.cell_ovp, full)
        yield share, Reason.CELL_VOLTAGE
    yield from _temperatures(
        pack,
        (guard.charge_utp, guard.charge_utp_recovery),
        (guard.charge_otp, guard.charge_otp_recovery),
        needs_cold=True,
    )


def _discharge_factors(pack: PackSight) -> Iterator[_Factor]:
    guard, member = pack.guard, pack.member
    if guard.cell_uvp is None or member.lowest_cell is None:
        yield 0.0, Reason.NOT_TOLD
    else:
        least = guard.cell_uvp + _LEAST_DISCHARGE
        full = max(least, guard.cell_uvpr or least)
        share = taper(member.lowest_cell.value, guard.cell_uvp, full)
        yield share, Reason.CELL_VOLTAGE
    if (member.state_of_charge or 0.0) <= 0:
        yield 0.0, Reason.EMPTY
    yield from _temperatures(
        pack,
        (guard.discharge_utp, guard.discharge_utp_recovery),
        (guard.discharge_otp, guard.discharge_otp_recovery),
        # Firmware before 19 guards no discharge in the cold.
        needs_cold=False,
    )


type _Edge = tuple[float | None, float | None]
"""A protection and its recovery."""


def _temperatures(
    pack: PackSight, cold: _Edge, hot: _Edge, *, needs_cold: bool
) -> Iterator[_Factor]:
    member, guard = pack.member, pack.guard
    if cold[0] is not None or needs_cold:
        coldest = None if member.coldest is None else member.coldest.value
        yield _edge(coldest, cold, max, _LEAST_DEGREES, Reason.COLD)
    warmest = None if member.warmest is None else member.warmest.value
    yield _edge(warmest, hot, min, -_LEAST_DEGREES, Reason.HOT)
    if pack.mos_temperature is not None and guard.mos_otp is not None:
        mos = (guard.mos_otp, guard.mos_otp_recovery)
        yield _edge(pack.mos_temperature, mos, min, -_LEAST_DEGREES, Reason.MOS_HOT)


def _edge(
    value: float | None,
    edge: _Edge,
    pick: Callable[[float, float], float],
    width: float,
    reason: Reason,
) -> _Factor:
    """Return the share near a protection: none there, all from its recovery on."""
    protection, recovery = edge
    if value is None or protection is None:
        return 0.0, Reason.NOT_TOLD
    full = protection + width
    if recovery is not None:
        full = pick(full, recovery)
    return taper(value, protection, full), reason
