"""What Home Assistant remembers of the alarms of a pack, over restarts too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self, override

from homeassistant.helpers.restore_state import ExtraStoredData

from .protocol.recall import mapping, moment, whole_in

_MOST: Final = 1_000_000_000
"""Times that an alarm can have become active."""


@dataclass(slots=True)
class Activity(ExtraStoredData):
    """Since when an alarm is active, and how often it has become so."""

    active: bool | None = None
    """Whether it was when it was last told."""
    since: datetime | None = None
    """When it was first seen active; None while it is not."""
    count: int = 0

    def note(self, active: bool, now: datetime) -> None:
        """Take note of whether it is active."""
        if active and not self.active:
            self.since = now
            self.count += 1
        elif not active:
            self.since = None
        self.active = active

    @override
    def as_dict(self) -> dict[str, Any]:
        """Return plain data to store."""
        since = None if self.since is None else self.since.isoformat()
        return {"active": self.active, "since": since, "count": self.count}

    @classmethod
    def load(cls, stored: object) -> Self:
        """Return what `as_dict` has stored; what makes no sense is left out."""
        data = mapping(stored)
        active = data.get("active")
        return cls(
            active=active if isinstance(active, bool) else None,
            since=moment(data.get("since")),
            count=whole_in(data.get("count"), 0, _MOST) or 0,
        )


@dataclass(slots=True)
class AlarmLog:
    """Which alarms were active when they were last told."""

    known: dict[str, bool] = field(default_factory=dict)

    def load(self, stored: object) -> None:
        """Go on from what was stored; what makes no sense is left out."""
        self.known |= {
            key: active
            for key, active in mapping(stored).items()
            if isinstance(key, str) and isinstance(active, bool)
        }

    def transitions(
        self, told: Mapping[str, bool | None]
    ) -> Iterator[tuple[str, bool]]:
        """Yield each alarm that has started or been cleared, and take note of it.

        What is told for the first time is no transition, and what is not told is none.
        """
        for key, active in told.items():
            if active is None or self.known.get(key) is active:
                continue
            is_new = key not in self.known
            self.known[key] = active
            if not is_new:
                yield key, active
