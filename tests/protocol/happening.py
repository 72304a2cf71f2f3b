"""What happens in simulated time, and waiting for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from custom_components.jkbms.protocol.station import Event

_MOST_TURNS: Final = 100


class Turns:
    """Fails where a machine wants to be called again and again without time passing."""

    def __init__(self) -> None:
        """Start with none."""
        self._now = float("-inf")
        self._turns = 0

    def take(self, now: float) -> None:
        """Count one turn at a time."""
        self._turns = self._turns + 1 if now == self._now else 1
        self._now = now
        assert self._turns < _MOST_TURNS, "the machine does not let time pass"


class Happening(ABC):
    """Something that runs in simulated time and keeps what was told meanwhile."""

    now: float
    events: list[tuple[float, Event]]

    @abstractmethod
    def run(self, seconds: float) -> list[tuple[float, Event]]:
        """Let time pass; return the events of that time."""

    def run_until(
        self, happened: Callable[[Event], bool], limit: float = 60.0
    ) -> tuple[float, Event]:
        """Let time pass until an event; fail when it does not come."""
        end = self.now + limit
        while self.now < end:
            for time, event in self.run(0.05):
                if happened(event):
                    return time, event
        raise AssertionError("it did not happen")

    def of_type[T](self, kind: type[T], since: float = 0.0) -> list[tuple[float, T]]:
        """Return the events of one type."""
        return [(t, e) for t, e in self.events if isinstance(e, kind) and t >= since]
