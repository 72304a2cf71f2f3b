"""Who answers on a line of `4E 57`: terminal 0 first, the others if several answer there."""

from typing import Final

from ..pacing import Timing
from ..scan import ScanStep
from ..state import BmsState
from .machine import TtlMaster

_INTERVAL: Final = 0.5
"""Seconds; who has answered is not asked again, who has not at once."""
_ALONE: Final = 0
_OTHERS: Final = range(1, 16)
_MISSES: Final = {_ALONE: 4, **dict.fromkeys(_OTHERS, 2)}
"""Requests without an answer; before the fourth a pack is woken."""


class TtlScan:
    """Asks terminals; driven like the scan of RS485, by `advance`.

    A pack answers to terminal 0, whatever its own number is (ttl4e57.md 3). Where that
    brings bytes and no answer, several may have spoken at once.
    """

    def __init__(self, timing: Timing, now: float) -> None:
        """Start with terminal 0."""
        self.found: dict[int, BmsState] = {}
        self._timing = timing
        self._heard = False
        self._machine = self._ask((_ALONE,), now)
        self._total = 1
        self._shown = 0.0

    def _ask(self, terminals: tuple[int, ...], now: float) -> TtlMaster:
        machine = TtlMaster(terminals, self._timing, now, interval=_INTERVAL)
        machine.connected(now)
        return machine

    def advance(self, now: float, data: bytes = b"") -> ScanStep:
        """Take in what was heard and return what to do."""
        step = self._machine.advance(now, data)
        self._heard = self._heard or bool(data)
        for address, station in tuple(self._machine.stations.items()):
            if station.available:
                self.found[address] = station.state
            if station.available or station.misses >= _MISSES[address]:
                self._machine.remove(address)
        if not self._machine.stations:
            if self._heard and not self.found and self._total == 1:
                self._total = len(_OTHERS)
                self._machine = self._ask(tuple(_OTHERS), now)
                return ScanStep(b"", now, False, self._progress)
            return ScanStep(b"", now, True, 1.0)
        return ScanStep(step.send, step.wake, False, self._progress)

    @property
    def _progress(self) -> float:
        """Never falls, though others may have to be asked."""
        left = sum(
            1 - station.misses / _MISSES[address]
            for address, station in self._machine.stations.items()
        )
        self._shown = max(self._shown, 1 - left / self._total)
        return min(self._shown, 0.99)
