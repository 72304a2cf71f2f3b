"""One BMS on a line of `4E 57`: what it says is believed as a whole, or not at all."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field as dataclass_field
from typing import Final

from ..can.station import derived
from ..codecs import Value
from ..datum import ALL_BLOCKS, Block
from ..derived import cells, number
from ..doubt import BELIEVED_AFTER, doubts
from ..fields import (
    CAPACITY_REMAINING,
    CAPACITY_SETTING,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    HARDWARE_VERSION,
    LIVE,
    MODEL,
    MOS_TEMPERATURE,
    PROBES,
    STATE_OF_CHARGE,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)
from ..fields.ttl import STATUS_WORD
from ..pacing import Patience
from ..plausibility import Implausible, implausible
from ..state import Update
from ..station import Station
from .table import ITEMS

_BOOTING: Final = 20.0
"""Seconds in which a pack that boots may say 0; 16 were measured (ttl4e57.md 1)."""
_CLOCK_SLACK: Final = 75.0
"""Seconds; the run time is told in whole minutes, and the line delivers late."""
_SILENT_AFTER: Final = 3
"""Requests in a row without an answer before a BMS counts as asleep, or not there."""
_NOT_YET_KNOWN: Final = (STATE_OF_CHARGE, CHARGING_CYCLES, CYCLE_CAPACITY)
_BY_STEPS: Final = {field.key for field in LIVE} - {
    # It goes with the state of charge, and in steps of 1 % of the capacity.
    CAPACITY_REMAINING.key,
    TOTAL_RUNTIME.key,
}
_TOLD: Final = {item.datum.key for item in ITEMS.values() if item.datum is not None} | {
    MODEL.key,
    HARDWARE_VERSION.key,
}
_STEADY: Final = _TOLD - _BY_STEPS - {TOTAL_RUNTIME.key, STATUS_WORD.key}
"""What stays the same for hours. MOS and balancing come and go by themselves."""
_COARSE: Final = (
    *(datum.key for datum in _NOT_YET_KNOWN),
    MOS_TEMPERATURE.key,
    *(probe.key for probe in PROBES[:2]),
)
"""What is told in whole units and stays the same for minutes."""
_CURRENT_STEP: Final = 2.0
_CELL_STEP: Final = 0.0061
"""V that a cell may go away from the mean of all."""
_SUM_STEP: Final = 0.0301
"""V; voltage of the pack and sum of the cells went 10 mV apart in the recordings."""

type Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class _Held:
    """What waits to be said again."""

    values: Values
    time: float
    fallen: int
    """How often a counter was less than what is believed."""


@dataclass(slots=True, kw_only=True)
class TtlStation(Station):
    """A pack that is asked."""

    needs: frozenset[Block] = ALL_BLOCKS
    """One answer holds what is in all the blocks of other packs."""
    due: float
    """When to ask it next."""
    patience: Patience
    misses: int = 0
    """Requests in a row without an answer that can be believed."""
    woken: float = float("-inf")
    """When it was sent what wakes a BMS, last."""
    unknown: Counter[int] = dataclass_field(default_factory=Counter)
    """Ids that nobody knows, and how often an answer had them."""
    _zero_since: float | None = None
    """Since when it says what a pack does that has just booted."""
    _held: _Held | None = None
    _opened: Counter[str] = dataclass_field(default_factory=Counter)
    """How often each doubt has kept an answer from being believed since one last was."""
    _unsteady: set[str] = dataclass_field(default_factory=set)
    """Doubts that do not apply: this BMS is like that in answer after answer."""

    @property
    def alive(self) -> bool:
        """Whether it answers, as far as the last requests tell."""
        return self.misses < _SILENT_AFTER

    @property
    def waits(self) -> bool:
        """Whether what it said last has to be said again."""
        return self._held is not None

    def begin(self) -> None:
        """Forget what was under way: the line is another, or was away."""
        self.misses = 0
        self._held = None
        self._zero_since = None

    def take(self, said: Values, now: float, *, noisy: bool = False) -> Update | None:
        """Take over what an answer says; None where it cannot be believed.

        On a noisy line the first has to be said twice.
        """
        values = self._completed(said, now)
        reason = implausible(Block.LIVE, values, self.state.values)
        if reason not in (None, Implausible.COUNTER_FELL):
            self.state.refuse(Block.LIVE, reason, now)
            return None
        fell = reason is not None
        if not self._believes(values, now, fell=fell, noisy=noisy):
            self.state.refuse(Block.LIVE, reason or Implausible.UNCONFIRMED, now)
            return None
        return self._learn(values, now)

    def _completed(self, said: Values, now: float) -> dict[str, Value]:
        """Return the values without what is not known yet, and with what follows."""
        values = dict(said)
        soc, cycles = (number(values, each) for each in _NOT_YET_KNOWN[:2])
        if soc == 0 and cycles == 0:
            self._zero_since = now if self._zero_since is None else self._zero_since
            if now - self._zero_since < _BOOTING:
                for datum in _NOT_YET_KNOWN:
                    values[datum.key] = values.get(datum.key) or None
        else:
            self._zero_since = None
        soc, capacity = (number(values, d) for d in (STATE_OF_CHARGE, CAPACITY_SETTING))
        values[CAPACITY_REMAINING.key] = (
            None if soc is None or capacity is None else soc * capacity / 100
        )
        return values

    def _believes(self, values: Values, now: float, *, fell: bool, noisy: bool) -> bool:
        """Tell whether an answer is believed; else hold it back until it is said again."""
        held, self._held = self._held, None
        seen = self.state.seen.get(Block.LIVE)
        left: set[str] = set()
        if seen is not None:
            left = self._doubts(values, self.state.values, now - seen, noisy)
            if not left and not fell:
                return True
        elif held is None and not noisy:
            return True
        if held is not None:
            again = self._doubts(values, held.values, now - held.time, noisy)
            left = again if fell or seen is None else left & again
        self._opened.update(left)
        usual = {key for key in left if self._opened[key] >= BELIEVED_AFTER}
        self._unsteady |= usual
        fallen = int(fell)
        if held is not None and not left - usual:
            fallen += held.fallen
            if not fell or fallen >= BELIEVED_AFTER:
                return True
        self._held = _Held(values, now, fallen)
        return False

    def _doubts(
        self, new: Values, old: Values, elapsed: float, noisy: bool
    ) -> set[str]:
        """Return the keys of what is unlike: the sum misses damage that evens out."""
        unlike = doubts(Block.LIVE, new, old, elapsed) & _BY_STEPS
        unlike |= {key for key in _STEADY if new.get(key) != old.get(key)}
        ran, before = number(new, TOTAL_RUNTIME), number(old, TOTAL_RUNTIME)
        if (
            ran is not None
            and before is not None
            and ran - before > elapsed + _CLOCK_SLACK
        ):
            unlike.add(TOTAL_RUNTIME.key)
        if noisy:
            unlike |= _suspicions(new, old)
        return unlike - self._unsteady

    def _learn(self, values: dict[str, Value], now: float) -> Update:
        """Take over what is believed."""
        self._opened.clear()
        values = derived(values) | values
        known = self.state.values
        told = self.state.told = self.state.told or set()
        new = {**dict.fromkeys(told - values.keys()), **values}
        changed = {k for k, v in new.items() if k not in known or known[k] != v}
        known |= new
        self.state.seen |= dict.fromkeys(ALL_BLOCKS, now)
        told |= {key for key, value in values.items() if value is not None}
        # A pack that boots will tell them in a moment.
        told |= {datum.key for datum in _NOT_YET_KNOWN if datum.key in values}
        if CAPACITY_SETTING.key in values and STATE_OF_CHARGE.key in values:
            told.add(CAPACITY_REMAINING.key)
        return Update(Block.LIVE, frozenset(changed))


def _suspicions(new: Values, old: Values) -> set[str]:
    """Return what has changed more than goes without saying twice on a noisy line."""
    unlike = {key for key in _COARSE if new.get(key) != old.get(key)}
    before, after = number(old, CURRENT), number(new, CURRENT)
    if before is not None and after is not None and abs(after - before) > _CURRENT_STEP:
        unlike.add(CURRENT.key)
    volts, volts_before = cells(new), cells(old)
    total, total_before = number(new, TOTAL_VOLTAGE), number(old, TOTAL_VOLTAGE)
    if volts.keys() != volts_before.keys() or total is None or total_before is None:
        return unlike | {TOTAL_VOLTAGE.key}
    moved = sum(volts.values()) - sum(volts_before.values())
    if abs(total - total_before - moved) > _SUM_STEP:
        unlike.add(TOTAL_VOLTAGE.key)
    mean = moved / len(volts)
    if any(abs(v - volts_before[n] - mean) > _CELL_STEP for n, v in volts.items()):
        unlike.add("cells")
    return unlike
