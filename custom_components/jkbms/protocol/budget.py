"""How often a register may be written: the memory behind it wears with every write."""

from dataclasses import dataclass
from typing import Final

_HOUR: Final = 3600.0


@dataclass(slots=True)
class _Account:
    left: float
    since: float


class WriteBudget:
    """What may still be written, per register of each BMS; time is told, in seconds.

    A few writes can follow each other at once; then each takes its share of the hour.
    """

    def __init__(self, *, per_hour: float = 30, burst: int = 10) -> None:
        """Start with the full burst for every register."""
        self._interval = _HOUR / per_hour
        self._burst = burst
        self._accounts: dict[tuple[int, int], _Account] = {}

    def possible_at(self, address: int, register: int, now: float) -> float:
        """Return when the register may be written again: now, or a later time."""
        missing = 1 - self._left(address, register, now)
        return now if missing <= 0 else now + missing * self._interval

    def spend(self, address: int, register: int, now: float) -> None:
        """Take note of a write, also of one that could not wait."""
        left = self._left(address, register, now)
        self._accounts[address, register] = _Account(max(0.0, left - 1), now)

    def _left(self, address: int, register: int, now: float) -> float:
        account = self._accounts.get((address, register))
        if account is None:
            return float(self._burst)
        earned = (now - account.since) / self._interval
        return min(float(self._burst), account.left + earned)
