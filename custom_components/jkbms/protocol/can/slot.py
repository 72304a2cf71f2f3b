"""The last message of each kind from one BMS, and what of it is believed.

Damage hardly gets past the checks of CAN itself, but somebody else may use the same
id. So what jumps has to be said twice, as on RS485; the next message is never far.
"""

from dataclasses import dataclass
from typing import Final

from ..codecs import NUMBER
from ..fields import (
    CAPACITY_REMAINING,
    CELL_VOLTAGES,
    CHARGE_MOS,
    CHARGER_PLUGGED,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    DISCHARGE_MOS,
    FULL_CHARGE_CAPACITY,
    HEATING,
    MOS_TEMPERATURE,
    PROBES,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)
from ..fields.can import (
    ACC,
    AVERAGE_TEMPERATURE,
    BMS_VOLTAGE,
    CHARGE_CURRENT_LIMIT,
    CHARGE_CURRENT_REQUEST,
    CHARGE_ENABLED,
    CHARGE_VOLTAGE_LIMIT,
    CHARGE_VOLTAGE_REQUEST,
    DISCHARGE_CURRENT_LIMIT,
    DISCHARGE_CUTOFF_VOLTAGE,
    DISCHARGE_ENABLED,
    FORCE_CHARGE,
    INSTALLED_CAPACITY,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    MODULES_TOTAL,
)
from .frame import Decoded, Frame

_NEVER: Final = float("-inf")
_MAX_CURRENT: Final = 600.0
"""A; the highest charge current that can be set (rs485.md 7)."""
_AMPERE_HOURS: Final = (1.0, _MAX_CURRENT / 3600)
_SECONDS: Final = (10.0, 1.0)
_STEPS: Final[dict[str, tuple[float, float]]] = {
    **{cell.key: (0.2, 0.0) for cell in CELL_VOLTAGES},
    "min_cell_voltage": (0.2, 0.0),
    "max_cell_voltage": (0.2, 0.0),
    TOTAL_VOLTAGE.key: (3.0, 0.0),
    BMS_VOLTAGE.key: (3.0, 0.0),
    STATE_OF_CHARGE.key: (2.0, 0.0),
    STATE_OF_HEALTH.key: (0.0, 0.0),
    CHARGING_CYCLES.key: (1.0, 0.0),
    CAPACITY_REMAINING.key: _AMPERE_HOURS,
    CYCLE_CAPACITY.key: _AMPERE_HOURS,
    FULL_CHARGE_CAPACITY.key: (0.0, 0.0),
    TOTAL_RUNTIME.key: _SECONDS,
    **{
        datum.key: (5.0, 0.0)
        for datum in (
            MOS_TEMPERATURE,
            *PROBES,
            MAX_TEMPERATURE,
            MIN_TEMPERATURE,
            AVERAGE_TEMPERATURE,
        )
    },
    **{
        datum.key: (0.0, 0.0)
        for datum in (
            CHARGE_MOS,
            DISCHARGE_MOS,
            HEATING,
            CHARGER_PLUGGED,
            ACC,
            CHARGE_VOLTAGE_REQUEST,
            CHARGE_CURRENT_REQUEST,
            CHARGE_VOLTAGE_LIMIT,
            CHARGE_CURRENT_LIMIT,
            DISCHARGE_CURRENT_LIMIT,
            DISCHARGE_CUTOFF_VOLTAGE,
            CHARGE_ENABLED,
            DISCHARGE_ENABLED,
            FORCE_CHARGE,
            INSTALLED_CAPACITY,
            MODULES_TOTAL,
        )
    },
}
"""How far a value may go by itself, and per second that went by, in its unit.

A current may go anywhere in a moment; voltage and state of charge come with it.
"""
_BELIEVED_AFTER: Final = 10
"""Doubted messages in a row after which the last is believed: this BMS is like that.

One that never said anything to be believed is not believed at all.
"""
_OTHERS: Final = 15
"""Packs besides the one that has spoken last: there are 16 addresses."""
_ALTERNATING: Final = 2
"""So many returns in a row to what was said before the last message are no accident."""


def unlike(new: Decoded, old: Decoded, elapsed: float) -> bool:
    """Tell whether a message says what the one some seconds before makes doubtful."""
    if new.alarms != old.alarms or new.warnings != old.warnings:
        return True
    for key, value in new.values.items():
        allowed = _STEPS.get(key)
        before = old.values.get(key)
        if allowed is None or value == before:
            continue
        if not isinstance(value, NUMBER) or not isinstance(before, NUMBER):
            return True
        if abs(value - before) > allowed[0] + allowed[1] * elapsed:
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Held:
    said: Decoded
    time: float
    count: int


_NOTHING: Final = Decoded()


@dataclass(slots=True, eq=False)
class Slot[Owner]:
    """The last message of one kind."""

    frame: Frame
    owner: Owner
    extended: bool
    data: bytes | None = None
    heard: float = _NEVER
    said: Decoded | None = None
    """What is believed of it; None where nothing is, or nothing was said lately."""
    _settled: bytes | None = None
    """What was looked at and believed."""
    _believed: float = _NEVER
    _held: _Held | None = None
    _read: tuple[bytes, bool, Decoded] | None = None
    """What was decoded last, for which version, and what it says."""
    _others: tuple[bytes, ...] = ()
    """What seems to be the last word of others, each with more of its own to follow."""
    _returns: int = 0

    def take(self, data: bytes, now: float) -> bool:
        """Keep a message; tell whether several seem to take turns in sending it.

        Packs at one address do, each going on where itself has left off: two, or all of
        them where nobody has turned a DIP switch. An accident is nobody's continuation.
        """
        last, self.data = self.data, data
        self.heard = now
        follows = self.frame.follows
        if follows is None or last is None or follows(last, data):
            return False
        others = [other for other in self._others if not follows(other, data)]
        back = len(others) < len(self._others)
        self._returns = self._returns + 1 if back else 0
        self._others = (*others, last)[-_OTHERS:]
        return self._returns >= _ALTERNATING

    @property
    def waiting(self) -> bool:
        """Whether something has to be said once more."""
        return self._held is not None

    def latest(self, data: bytes, *, v1: bool = False) -> Decoded:
        """Return what the last message says; it is asked for several times."""
        if self._read is None or self._read[:2] != (data, v1):
            self._read = data, v1, self.frame.decoded(data, v1=v1)
        return self._read[2]

    def settle(self, *, v1: bool, cautious: bool) -> None:
        """Believe the last message, or hold it back until it is said again.

        Who is not `cautious` believes everything.
        """
        if self.data is None:
            return
        if self.data == self._settled and self._held is None:
            self._believed = self.heard
            return
        if self._held is not None and self._held.time == self.heard:
            return
        said = self.latest(self.data, v1=v1)
        held, self._held = self._held, None
        if cautious and self._doubts(said, held):
            count = 1 if held is None else held.count + 1
            if self.said is None or count < _BELIEVED_AFTER:
                self._held = _Held(said, self.heard, count)
                return
        self.said = said
        self._settled = self.data
        self._believed = self.heard

    def _doubts(self, said: Decoded, held: _Held | None) -> bool:
        known = self.said or _NOTHING
        if not unlike(said, known, self.heard - self._believed):
            # A message that can only say something new has to do so twice, too.
            return self.said is None and held is None
        return held is None or unlike(said, held.said, self.heard - held.time)

    def forget(self) -> None:
        """Know nothing of it any more, until it is said again."""
        self.data = self._settled = None
        self._others = ()
        self._returns = 0
        self.said = self._held = None

    def read_anew(self) -> None:
        """Look at the last message again, as if for the first time."""
        self._settled = None
        self.said = self._held = None
