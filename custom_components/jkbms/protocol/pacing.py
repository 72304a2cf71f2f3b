"""How long to leave a line quiet and how long to wait, learnt from each BMS.

A request that comes too soon after an answer is not heard at all (rs485.md 1.5): the
quiet time begins safe, shrinks while nothing is lost, and does not go again where this
BMS has lost requests twice. Now and then it does all the same: a bad hour of the line
loses requests, too. What a BMS really needs costs it two more each time, ever less often.
"""

from dataclasses import dataclass
from typing import Final

_QUIET_START: Final = 0.100
_QUIET_MAX: Final = 0.400
_QUIET_MIN: Final = 0.050
_QUIET_STEP: Final = 0.010
_LOWER_AFTER: Final = 8
"""Answers in a row before the quiet time shrinks a step."""
_REMEMBERED: Final = 1000
"""Exchanges for which one loss counts as a hint; noise alone is rarer."""
_DOUBTED_AFTER: Final = 300
_DOUBTED_AT_MOST: Final = 300 * 2**8
"""Answers in a row after which it is tried anew whether a BMS needs so long."""
_TIMEOUT_MIN: Final = 0.120
_TIMEOUT_MAX: Final = 3.0
"""Enough for a gateway that takes 2 s for an answer."""
_TIMEOUT_FACTOR: Final = 3.0
_TIMEOUT_MARGIN: Final = 0.020
_LATENCY_DECAY: Final = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a kind of link needs before anything is learnt, in seconds."""

    answer: float
    """Until the first byte of an answer."""
    gap: float
    """Silence inside an answer after which the rest is lost (rs485.md 3.2)."""
    least: float = 0.0
    """For which an answer is awaited, however fast the last ones came."""
    registers: bool = False
    """Whether it carries Modbus alone: blocks are read by FC03, address 0 is everybody."""


SERIAL: Final = Timing(answer=0.5, gap=0.1)
NETWORK: Final = Timing(answer=1.0, gap=1.0)
MODBUS_TCP: Final = Timing(answer=2.5, gap=0.1, least=1.0, registers=True)
"""Its gateway waits for a BMS itself, some of them for 2 s, and takes nothing else meanwhile."""
BLUETOOTH: Final = Timing(answer=3.0, gap=2.0, least=2.0)
"""A proxy may hold notifications back for a second, and more while it scans."""


class Pace:
    """The quiet time before a request to one BMS."""

    def __init__(self) -> None:
        """Start at the value that every known adapter gets along with."""
        self.quiet = _QUIET_START
        self._floor = _QUIET_MIN
        self._answered = 0
        self._suspect: float | None = None
        self._since_loss = 0
        self._doubted_after = _DOUBTED_AFTER

    @property
    def settled(self) -> bool:
        """Whether the quiet time has reached the lowest that it will go."""
        return self.quiet <= self._floor

    def answered(self) -> None:
        """Take note of an answer."""
        self._since_loss += 1
        self._answered += 1
        if self._answered >= _LOWER_AFTER:
            self._answered = 0
            self.quiet = max(self._floor, self.quiet - _QUIET_STEP)
        if self._since_loss == self._doubted_after:
            self._doubt_the_floor()

    def _doubt_the_floor(self) -> None:
        if self._floor > _QUIET_MIN:
            self._floor = _QUIET_MIN
            self._suspect = None
            self._since_loss = 0
            self._doubted_after = min(2 * self._doubted_after, _DOUBTED_AT_MOST)
        else:
            self._doubted_after = _DOUBTED_AFTER

    def unheard(self) -> None:
        """Take note of a request that a living BMS did not answer."""
        hinted = self._suspect is not None and self._since_loss < _REMEMBERED
        if hinted and self._suspect is not None and self.quiet <= self._suspect + 1e-6:
            self._floor = min(_QUIET_MAX, self.quiet + _QUIET_STEP)
        self._suspect = self.quiet
        self._since_loss = 0
        self._answered = 0
        self.quiet = min(_QUIET_MAX, max(2 * self.quiet, self._floor))

    def forgive(self) -> None:
        """Forget the last losses: it is not there, so the quiet time was not to blame."""
        self.quiet = max(_QUIET_START, self._floor)
        self._suspect = None
        self._answered = 0


class Patience:
    """How long to wait for the first byte of an answer."""

    def __init__(self, timing: Timing) -> None:
        """Start with what the kind of link asks for."""
        self._initial = timing.answer
        self._least = timing.least
        self._worst: float | None = None

    @property
    def timeout(self) -> float:
        """Seconds from the request to its first byte before it counts as lost."""
        if self._worst is None:
            return self._initial
        wanted = self._worst * _TIMEOUT_FACTOR + _TIMEOUT_MARGIN
        return min(_TIMEOUT_MAX, max(_TIMEOUT_MIN, self._least, wanted))

    @property
    def worst(self) -> float | None:
        """The slowest answer of late in seconds, None before the first."""
        return self._worst

    def took(self, latency: float) -> None:
        """Take note of how long an answer took, in time or too late."""
        decayed = (self._worst or 0.0) * _LATENCY_DECAY
        self._worst = max(decayed, latency)
