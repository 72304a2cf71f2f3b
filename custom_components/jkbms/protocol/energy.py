"""What follows from live values over time: energy in and out, energy and time left.

Power and voltage are taken from believed readings only, each with the time at which it
was heard. Across a gap nothing is known, so nothing is counted there.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import dataclass, replace
from math import exp
from typing import Any, Final

from .codecs import Value
from .datum import Datum, Quantity
from .derived import POWER, number
from .features import Features
from .fields import (
    BY_KEY,
    CAPACITY_REMAINING,
    CAPACITY_SETTING,
    CELL_PRESENCE,
    CURRENT,
    FULL_CHARGE_CAPACITY,
)
from .fields.can import CHARGE_VOLTAGE_REQUEST
from .fields.live import BATTERY_TYPE

type Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed(Datum[Any]):
    """A value that takes more than one frame to know."""

    needs: frozenset[str]
    """What has to be told on CAN for it; the blocks of RS485 have all of it."""
    or_needs: frozenset[str] | None = None
    """What does as well, where the protocol is `4E 57`."""

    def follows(self, told: AbstractSet[str]) -> bool:
        """Tell whether what is told is enough."""
        if self.needs <= told:
            return True
        return self.or_needs is not None and self.or_needs <= told


def _followed(
    key: str,
    name: str,
    quantity: Quantity,
    needs: frozenset[str],
    or_needs: frozenset[str] | None = None,
    *,
    enabled: bool = True,
) -> Followed:
    return Followed(
        key=key,
        name=name,
        quantity=quantity,
        needs=needs,
        or_needs=or_needs,
        enabled=enabled,
    )


_FLOW: Final = frozenset({POWER.key})
_CHARGE: Final = frozenset(
    {CURRENT.key, CAPACITY_REMAINING.key, FULL_CHARGE_CAPACITY.key}
)
_CHARGE_OF_SETTING: Final = frozenset(
    {CURRENT.key, CAPACITY_REMAINING.key, CAPACITY_SETTING.key}
)
_STORE: Final = frozenset(
    {CAPACITY_REMAINING.key, "average_cell_voltage", CHARGE_VOLTAGE_REQUEST.key}
)
_STORE_OF_SETTING: Final = frozenset(
    {CAPACITY_REMAINING.key, "average_cell_voltage", BY_KEY["cell_ovp"].key}
)
ENERGY_CHARGED: Final = _followed(
    "energy_charged", "Energy charged", Quantity.ENERGY, _FLOW
)
ENERGY_DISCHARGED: Final = _followed(
    "energy_discharged", "Energy discharged", Quantity.ENERGY, _FLOW
)
REMAINING_ENERGY: Final = _followed(
    "remaining_energy",
    "Remaining energy",
    Quantity.ENERGY_STORED,
    _STORE,
    _STORE_OF_SETTING,
)
TIME_TO_EMPTY: Final = _followed(
    "time_to_empty",
    "Time to empty",
    Quantity.TIME_LEFT,
    _CHARGE,
    _CHARGE_OF_SETTING,
    enabled=False,
)
TIME_TO_FULL: Final = _followed(
    "time_to_full",
    "Time to full",
    Quantity.TIME_LEFT,
    _CHARGE,
    _CHARGE_OF_SETTING,
    enabled=False,
)
COUNTED: Final = (ENERGY_CHARGED, ENERGY_DISCHARGED)
"""What is counted, and has to be told what was counted before a restart."""
FOLLOWED: Final = (*COUNTED, REMAINING_ENERGY, TIME_TO_EMPTY, TIME_TO_FULL)


def with_followed(features: Features, data: Iterable[Followed] = FOLLOWED) -> Features:
    """Return the features with what of these data follows from what is told on CAN."""
    if features.has_blocks:
        return features
    told = {*features.keys}
    follows = {datum.key for datum in data if datum.follows(told)}
    return replace(features, keys=tuple(sorted(told | follows)))


# -- energy in and out ----------------------------------------------------------------

_JOULES: Final = 3_600_000.0
"""Of a kilowatt hour."""
_GAP: Final = 30.0
"""Seconds between two readings that are never too long; the patience of a master."""
_GAP_CYCLES: Final = 3
_REMEMBERED: Final = 5
"""Intervals of which one is usual: a single long one must not make the next look short."""


class Integrator:
    """Counts energy, charged and discharged apart, in kWh since it began.

    Between two readings the power is taken to go in a straight line. Where that crosses
    zero, what is before is of one direction and what is after of the other.
    """

    def __init__(self, cycle: float = 0.0) -> None:
        """Start to count; `cycle` is how many seconds are expected between readings."""
        self.charged = 0.0
        self.discharged = 0.0
        self._last: tuple[float, float] | None = None
        self._intervals = deque((cycle,), maxlen=_REMEMBERED)

    @property
    def patience(self) -> float:
        """Seconds after which the next reading ends a gap."""
        usual = sorted(self._intervals)[(len(self._intervals) - 1) // 2]
        return max(_GAP, _GAP_CYCLES * usual)

    def read(self, time: float, watts: float) -> float | None:
        """Count up to a reading; return the seconds counted, None after a gap.

        Power is positive while charging. A reading that is not newer counts nothing.
        """
        last = self._last
        if last is None:
            self._last = time, watts
            return None
        before, old = last
        elapsed = time - before
        if elapsed <= 0:
            return 0.0
        self._last = time, watts
        known = elapsed <= _GAP or elapsed <= self.patience
        self._intervals.append(elapsed)
        if not known:
            return None
        if old * watts < 0:
            crossing = elapsed * old / (old - watts)
            self._count(old / 2 * crossing)
            self._count(watts / 2 * (elapsed - crossing))
        else:
            self._count((old + watts) / 2 * elapsed)
        return elapsed

    def _count(self, joules: float) -> None:
        if joules > 0:
            self.charged += joules / _JOULES
        else:
            self.discharged -= joules / _JOULES


# -- energy left ----------------------------------------------------------------------

_NOMINAL: Final = {"lfp": 3.2, "li_ion": 3.7, "lto": 2.3}
"""Volts of a cell by which its maker turns ampere hours into watt hours."""
_CHARGED_AT: Final = {"lto": (2.4, 3.0), "lfp": (3.3, 3.85), "li_ion": (3.95, 4.6)}
"""Volts between which a full cell is, and no other chemistry's."""
_CELL_OVP: Final = BY_KEY["cell_ovp"]


def _cell_count(values: Values) -> int:
    return int(number(values, CELL_PRESENCE) or 0).bit_count()


def chemistry(values: Values) -> str | None:
    """Return which cells a pack has; None as long as that cannot be told.

    The protection against over-voltage tells it, on CAN the voltage that is asked of the
    charger: with a wrong one the pack could not be used. The chemistry that the BMS gives
    is asked only where these leave a choice: nothing depends on it, and it is 0, which is
    LFP, in a BMS that was never told.
    """
    volts = number(values, _CELL_OVP)
    if volts is None:
        request, cells = number(values, CHARGE_VOLTAGE_REQUEST), _cell_count(values)
        if not request or not cells:
            return None
        volts = request / cells
    for name, (low, high) in _CHARGED_AT.items():
        if low <= volts <= high:
            return name
    told = values.get(BATTERY_TYPE.key)
    return told if isinstance(told, str) else None


def remaining_energy(values: Values, volts: float | None) -> float | None:
    """Return the kWh left: remaining ampere hours by the nominal volts of all cells."""
    ampere_hours, cells = number(values, CAPACITY_REMAINING), _cell_count(values)
    if ampere_hours is None or volts is None or not cells:
        return None
    return max(0.0, ampere_hours) * volts * cells / 1000


# -- time left ------------------------------------------------------------------------

_SMOOTHED_OVER: Final = 300.0
"""Time constant in seconds."""
REST: Final = 1 / 500
"""Share of the capacity per hour below which a pack rests: it would take weeks."""
_STEPS: Final = ((2 * 3600, 60), (12 * 3600, 300), (48 * 3600, 900))
_COARSEST: Final = 3600


def times_left(values: Values, amperes: float) -> tuple[float | None, float | None]:
    """Return the seconds to empty and to full at a current; None where it does not go.

    Empty is what the BMS takes for 0 %. That charging slows down near full is left out.
    """
    remaining = number(values, CAPACITY_REMAINING)
    full = number(values, FULL_CHARGE_CAPACITY)
    if full is None:
        # `4E 57` tells none that is learnt: the state of charge is of what was set.
        full = number(values, CAPACITY_SETTING)
    if remaining is None or full is None or abs(amperes) <= full * REST:
        return None, None
    if amperes < 0:
        return 3600 * max(0.0, remaining) / -amperes, None
    return None, 3600 * max(0.0, full - remaining) / amperes


def in_steps(seconds: float | None, shown: float | None) -> float | None:
    """Return what to show: minutes, coarser when far off; what is shown while it is near."""
    if seconds is None:
        return None
    step = _COARSEST
    for end, finer in _STEPS:
        if seconds < end:
            step = finer
            break
    if shown is not None and abs(seconds - shown) < step:
        return shown
    return float(step * round(seconds / step))


# -- all of it ------------------------------------------------------------------------

_DIGITS: Final = 2
"""Of a kWh: a step of 10 Wh is a few seconds at full power, and minutes at rest."""
_NEVER: Final = float("-inf")
_TELL_WHAT_IS_LEFT: Final = tuple(
    datum.key
    for datum in (
        CURRENT,
        CAPACITY_REMAINING,
        FULL_CHARGE_CAPACITY,
        CAPACITY_SETTING,
        CELL_PRESENCE,
        _CELL_OVP,
        BATTERY_TYPE,
        CHARGE_VOLTAGE_REQUEST,
    )
)


class EnergyAccount:
    """What is known of the energy of a pack, or of several as one."""

    def __init__(self, cycle: float = 0.0) -> None:
        """Start with nothing; `cycle` is how many seconds are expected between readings."""
        self.values: dict[str, float | None] = {}
        """What there is to show, by key."""
        self._counted = Integrator(cycle)
        self._before = dict.fromkeys((datum.key for datum in COUNTED), 0.0)
        self._time = _NEVER
        self._amperes = 0.0
        self._left: tuple[Value, ...] = ()
        """What the shown values of what is left follow from."""
        self._cell_volts: float | None = None
        self.stored: float | None = None
        """The kWh left, not rounded."""

    def total(self, datum: Followed) -> float:
        """Return the kWh counted, not rounded."""
        now = self._counted
        counted = now.charged if datum is ENERGY_CHARGED else now.discharged
        return self._before[datum.key] + counted

    def resume(self, datum: Followed, kilowatt_hours: float) -> None:
        """Go on from what was counted before a restart."""
        self._before[datum.key] += kilowatt_hours
        self.values[datum.key] = round(self.total(datum), _DIGITS)

    def read(self, values: Values, time: float) -> set[str]:
        """Take a reading into account; return the keys of what there is to show anew.

        One that is older counts for nothing, so several lines may tell of one pack.
        """
        return self.tell(values) if self.count(values, time) else set()

    def count(self, values: Values, time: float) -> bool:
        """Count up to a reading; tell whether it counts."""
        watts = number(values, POWER)
        if time < self._time or watts is None:
            return False
        self._time = time
        elapsed = self._counted.read(time, watts)
        self._smooth(number(values, CURRENT) or 0.0, elapsed)
        return True

    def tell(self, values: Values) -> set[str]:
        """Return the keys of what there is to show anew since it was last told."""
        new: dict[str, float | None] = {
            datum.key: round(self.total(datum), _DIGITS) for datum in COUNTED
        }
        left = (self._amperes, *map(values.get, _TELL_WHAT_IS_LEFT))
        # Most readings of a pack at rest say what the one before said.
        if left != self._left:
            self._left = left
            new |= self._what_is_left(values)
        old = self.values
        changed = {key for key, value in new.items() if old.get(key, _NEVER) != value}
        old.update(new)
        return changed

    def _smooth(self, amperes: float, elapsed: float | None) -> None:
        """Follow the current; what was before a gap says nothing of what is behind it."""
        if elapsed is None:
            self._amperes = amperes
        elif amperes != self._amperes:
            weight = 1 - exp(-elapsed / _SMOOTHED_OVER)
            self._amperes += weight * (amperes - self._amperes)

    def _what_is_left(self, values: Values) -> dict[str, float | None]:
        to_empty, to_full = times_left(values, self._amperes)
        if (cells := chemistry(values)) is not None:
            # A charger that is not asked for any voltage does not change the cells.
            self._cell_volts = _NOMINAL[cells]
        energy = self.stored = remaining_energy(values, self._cell_volts)
        shown = self.values.get
        return {
            REMAINING_ENERGY.key: None if energy is None else round(energy, _DIGITS),
            TIME_TO_EMPTY.key: in_steps(to_empty, shown(TIME_TO_EMPTY.key)),
            TIME_TO_FULL.key: in_steps(to_full, shown(TIME_TO_FULL.key)),
        }
