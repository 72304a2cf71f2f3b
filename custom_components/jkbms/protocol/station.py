"""One BMS of a bus, as the one who asks or listens knows it; and what may happen there."""

from collections.abc import Iterator
from dataclasses import dataclass, field as dataclass_field
from typing import Final

from .commands import Command
from .datum import ALL_BLOCKS, Block
from .features import Features
from .settings_job import SettingsReport, Transaction
from .state import BmsState, Update
from .write_job import WriteResult
from .writing import Change

_GONE_CYCLES: Final = 3
"""A BMS is away when silent for this many of its cycles (architecture.md 5)."""


@dataclass(slots=True)
class Counts:
    """What became of the frames of one BMS, and of the requests to it."""

    ok: int = 0
    damaged: int = 0
    implausible: int = 0
    timeouts: int = 0
    refused: int = 0


@dataclass(slots=True)
class Station:
    """One BMS of a bus."""

    address: int
    gone_after: float
    """Seconds of silence that are never enough to count as away."""
    cycle: float = 0.0
    """Seconds between its last two live blocks, but what is planned where that is more."""
    state: BmsState = dataclass_field(default_factory=BmsState)
    counts: Counts = dataclass_field(default_factory=Counts)
    heard: float | None = None
    """When it last answered."""
    available: bool = False
    needs: frozenset[Block] = ALL_BLOCKS
    """The blocks that are to be expected of it."""
    clashing: bool = False
    """Whether another BMS speaks with its address, as was told last."""

    @property
    def features(self) -> Features | None:
        """What the BMS has; None until each block that it needs was read."""
        return self.state.features_from(self.needs)

    def gone_at(self) -> float:
        """Return when it counts as away if no live values that can be believed come."""
        read = self.state.seen.get(Block.LIVE, float("-inf"))
        return read + max(_GONE_CYCLES * self.cycle, self.gone_after)

    def note_cycle(
        self, before: float | None, now: float, *, planned: float = 0.0
    ) -> None:
        """Take note of how long after those of `before` live values have come.

        Nobody is asked again any sooner than `planned`, however soon it was this time.
        """
        if before is not None and self.available:
            self.cycle = max(planned, now - before)

    def tell_clash(self, clashing: bool) -> Iterator[Clash]:
        """Yield the news of whether another BMS speaks with its address."""
        if clashing is not self.clashing:
            self.clashing = clashing
            yield Clash(self.address, clashing)


@dataclass(frozen=True, slots=True)
class Updated:
    """A block of a BMS was read."""

    address: int
    update: Update


@dataclass(frozen=True, slots=True)
class Availability:
    """A BMS has come or gone."""

    address: int
    available: bool


@dataclass(frozen=True, slots=True)
class Appeared:
    """A BMS was heard at an address where none was known."""

    address: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The BMS at `old` is at `new`: its DIP switch was changed.

    One that was known at `new` is at `old` now, at least until it is heard elsewhere.
    """

    old: int
    new: int


@dataclass(frozen=True, slots=True)
class ForeignMaster:
    """Another master speaks on this bus; this one has fallen silent."""

    address: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The other master has gone; this one asks again."""


@dataclass(frozen=True, slots=True)
class Clash:
    """Two BMS have begun, or have ceased, to speak with one address."""

    address: int
    clashing: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A change, or an action, has ended."""

    change: Change | Command
    result: WriteResult


@dataclass(frozen=True, slots=True)
class Settled:
    """Changes that belong together have ended."""

    transaction: Transaction
    report: SettingsReport


type Event = (
    Updated
    | Availability
    | Appeared
    | Moved
    | ForeignMaster
    | Resumed
    | Clash
    | Written
    | Settled
)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: bytes to send, when to come back, what has happened."""

    send: bytes
    wake: float
    events: tuple[Event, ...]
    anew: bool = False
    """Whether the line is open and dead: it has to be opened anew."""
