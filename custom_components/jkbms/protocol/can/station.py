"""A BMS, or a bank, as its messages make it known; collected, then looked at as a whole."""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, override

from ..alarms import ALARMS, WORD
from ..codecs import Value
from ..datum import Block
from ..derived import derive, listed
from ..doubt import BELIEVED_AFTER
from ..features import Features
from ..fields import ALARM_BITMASK
from ..plausibility import Implausible
from ..state import Update
from ..station import Station
from .conditions import Condition, word
from .dialect import Dialect
from .frame import FULL_SET, Decoded, Frame
from .slot import Slot

GONE_AFTER: Final = 30.0
_CLASHES: Final = 3
_CLASHES_WITHIN: Final = 10.0
_TRUST_AFTER: Final = 3.0
"""Seconds; two packs at one address show it every second."""
_PAUSE: Final = FULL_SET / 2
"""Seconds; a bank that is silent until its inverter asks again makes none (can.md 2.3).
No message counts as stopped so soon."""
_NEVER: Final = float("-inf")
HEARD: Final = frozenset({Block.LIVE})
"""Nobody can ask for settings or device info on CAN (can.md 1.3)."""

type Values = dict[str, Value]


class Pending(Enum):
    """Why there is no update yet."""

    INCOMPLETE = auto()
    UNCONFIRMED = auto()
    CLASHING = auto()
    IMPLAUSIBLE = auto()


@dataclass(slots=True)
class CanStation(Station):
    """One who sends; `look` turns what was collected into values."""

    needs: frozenset[Block] = HEARD
    slots: dict[int, Slot[CanStation]] = field(default_factory=dict)
    """By the id that the message has at address 0."""
    clashing: bool = False
    """Whether two seem to speak at this address."""
    due: float = float("inf")
    """When to look at it next."""
    publish_at: float = _NEVER
    pause: float = 0.0
    """Seconds between two updates."""
    _since: float = _NEVER
    """When it began to speak without a pause."""
    _quiet: bool = True
    _published: bool = False
    complete: bool = False
    """Whether everything periodic could be heard since it began."""
    _looked: float = _NEVER
    _unconfirmed: float | None = None
    """When the update was due that waits for something to be said again."""
    _reason: Implausible | None = None
    _believed: float = _NEVER
    _times_fallen: int = 0
    _clashes: deque[float] = field(default_factory=lambda: deque(maxlen=_CLASHES))
    _told: set[str] = field(default_factory=set)
    _delivered: set[str] = field(default_factory=set)

    # -- what a pack and a bank do each in their own way ------------------------------

    @property
    @abstractmethod
    def dialect(self) -> Dialect | None:
        """The language it speaks; None while that cannot be told."""

    @property
    def v1(self) -> bool:
        """Whether it speaks the first version of JK's own protocol."""
        return False

    def verified(self) -> AbstractSet[int]:
        """Return the messages that each other prove: at first, once is enough of them."""
        return frozenset()

    @abstractmethod
    def ready(self, fresh: set[int], *, waited: bool) -> bool:
        """Tell whether these messages are all, or after a whole cycle enough."""

    @abstractmethod
    def enough(self, ids: AbstractSet[int]) -> bool:
        """Tell whether these messages make a BMS."""

    @abstractmethod
    def assemble(self) -> Values:
        """Return the values that follow from what is believed."""

    @abstractmethod
    def judge(self, values: Values) -> Implausible | None:
        """Return why the values cannot be true as a whole, None where they can."""

    @property
    def cells(self) -> int:
        """How many cells it tells of."""
        return len(self.state.cell_numbers)

    # -- hearing ----------------------------------------------------------------------

    def slot(self, frame: Frame) -> Slot[CanStation]:
        """Return the place of a message that was not heard before."""
        slot: Slot[CanStation] = Slot(frame, self, frame.extended)
        self.slots[frame.id] = slot
        return slot

    def contradicted(self, now: float) -> None:
        """Take note that two seem to speak in turns."""
        self._clashes.append(now)

    def begin(self) -> None:
        """Forget what was collected: the link is another, or it was silent for long."""
        self.slots.clear()
        self._clashes.clear()
        self.clashing = self._published = False
        self._quiet = True
        self._unconfirmed = None
        self.publish_at = self._looked = _NEVER

    @property
    def has_news(self) -> bool:
        """Whether anything came since the last look."""
        return bool(self.slots) and (self.heard or _NEVER) > self._looked

    def silent(self, now: float) -> bool:
        """Tell whether it has not spoken for so long that it has to begin anew."""
        if not self.slots or self.heard is None:
            return True
        return now - self.heard >= self.gone_after

    def tick(self, now: float) -> float:
        """Take note of how it speaks; return when a silence becomes a pause, if it does."""
        before = _NEVER if self.heard is None else self.heard
        fresh = [slot.heard for slot in self.slots.values() if slot.heard > before]
        if fresh:
            if self._quiet:
                self._since = min(fresh)
            self.heard = max(fresh)
        pause_at = before + _PAUSE
        self._quiet = not fresh and (self._quiet or now >= pause_at)
        times = self._clashes
        self.clashing = (
            len(times) == _CLASHES
            and times[-1] - times[0] <= _CLASHES_WITHIN
            and now - times[-1] < _CLASHES_WITHIN
        )
        return float("inf") if fresh or self._quiet else pause_at

    @override
    def gone_at(self) -> float:
        """Return when it counts as away: silent, or not to be believed, for so long."""
        heard = _NEVER if self.heard is None else self.heard
        return min(heard, self._believed + self.pause) + self.gone_after

    @property
    @override
    def features(self) -> Features | None:
        """What it tells of; None until everything periodic could be heard."""
        if not self.complete:
            return None
        state = self.state
        return Features.of(
            state.values,
            state.cell_numbers,
            state.firmware,
            heater=state.has_heater,
            keys=self._delivered,
        )

    # -- looking ----------------------------------------------------------------------

    def look(self, now: float) -> Update | Pending:
        """Return what has changed since the last update, or why that waits."""
        self._looked = now
        if self._clashes and now - self._clashes[-1] < _TRUST_AFTER:
            return Pending.CLASHING
        waited = now - self._since >= FULL_SET
        fresh = {n for n, slot in self.slots.items() if slot.heard >= self._since}
        if not self.ready(fresh, waited=waited):
            return Pending.INCOMPLETE
        self._settle()
        if self._must_wait(now):
            return Pending.UNCONFIRMED
        believed = {n for n in fresh if self.slots[n].said is not None}
        if not self._published and not self.enough(believed):
            return Pending.UNCONFIRMED
        values = self.assemble()
        if self._disbelieved(values, now):
            return Pending.IMPLAUSIBLE
        self.complete = self.complete or waited
        return self._publish(values, now)

    def _settle(self) -> None:
        verified = frozenset() if self._published else self.verified()
        latest = max(slot.heard for slot in self.slots.values())
        for slot in self.slots.values():
            if latest - slot.heard > slot.frame.gone_after:
                slot.forget()
            slot.settle(v1=self.v1, cautious=slot.frame.id not in verified)

    def _must_wait(self, now: float) -> bool:
        """Tell whether an update waits for what has to be said again; not for long."""
        if not any(slot.waiting for slot in self.slots.values()):
            self._unconfirmed = None
            return False
        if self._unconfirmed is None:
            self._unconfirmed = now
        return now - self._unconfirmed < FULL_SET

    def _disbelieved(self, values: Values, now: float) -> bool:
        reason = self.judge(values)
        if reason is Implausible.COUNTER_FELL:
            self._times_fallen += 1
            if self._times_fallen >= BELIEVED_AFTER:
                reason = None
        if reason is None:
            self._times_fallen = 0
        else:
            if reason is not self._reason:
                self.state.rejected[reason] += 1
                self.counts.implausible += 1
            self.state.note_refusal(Block.LIVE, reason, now)
        self._reason = reason
        return reason is not None

    def _publish(self, values: Values, now: float) -> Update:
        state = self.state
        all_values: Values = dict.fromkeys(self._told) | values
        known = state.values
        changed = {
            key
            for key, value in all_values.items()
            if key not in known or known[key] != value
        }
        known |= all_values
        state.seen[Block.LIVE] = self._believed = now
        self._told |= values.keys()
        self._delivered |= {k for k, value in values.items() if value is not None}
        self._published = True
        self._unconfirmed = None
        self.counts.ok += 1
        return Update(Block.LIVE, frozenset(changed))

    def collected(self) -> Iterable[Decoded]:
        """Return what is believed, message by message."""
        return (slot.said for slot in self.slots.values() if slot.said is not None)


_NOT_TOLD: Final = frozenset(
    (
        "balancing_direction",
        "max_cell_resistance",
        "max_resistance_cell",
        "notice",
        "wire_alarm_cells",
        *(alarm.key for alarm in WORD),
    )
)
"""What would follow from values that CAN does not have."""


def derived(values: Values) -> Values:
    """Return what follows from the values, by the same rules as on RS485."""
    return {k: value for k, value in derive(values).items() if k not in _NOT_TOLD}


def told_alarms(conditions: Iterable[Condition], keys: Iterable[str]) -> Values:
    """Return what there is to say of the conditions, as of the alarm word of RS485.

    The keys are those of all conditions that could be told.
    """
    active = list(conditions)
    return {
        **dict.fromkeys(keys, False),
        **{condition.key: True for condition in active},
        ALARM_BITMASK.key: word(active),
        "problem": any(condition.grave for condition in active),
        "errors": in_order(active),
    }


def in_order(conditions: Iterable[Condition]) -> str:
    """Name each condition once, those of the alarm word first, as it has them."""
    names = {(len(ALARMS) if c.bit is None else c.bit, c.name) for c in conditions}
    return listed([name for _, name in sorted(names)])
