"""An event loop whose clock skips the waiting: hours take moments, sockets stay real.

A test marked `simulated_time` runs on it. When nothing is ready and no thread works,
the clock jumps to the next timer. What another test would wait for is only computed
here, so the patience and the back-off of the code under test are tested as they are.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
import selectors
from typing import Any, Final, override

import pytest

MARKER: Final = "simulated_time"
_GRACE: Final = 0.003
"""Real seconds for bytes that are on their way through the kernel."""
_LONGEST_JUMP: Final = 0.5
"""Simulated seconds at most between two looks at the sockets."""


class _SkippingSelector(selectors.DefaultSelector):
    """Waits no longer than bytes need, and moves the clock instead."""

    loop: SimulatedLoop

    @override
    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.loop.threads:
            return super().select(timeout)
        if ready := super().select(min(timeout, _GRACE)):
            return ready
        self.loop.skip(min(timeout, _LONGEST_JUMP))
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own."""

    def __init__(self) -> None:
        """Start at a time that nobody takes for zero."""
        self.now = 1000.0
        self.threads = 0
        """Jobs of executors under way: while they work, time passes as it does."""
        selector = _SkippingSelector()
        selector.loop = self
        super().__init__(selector)

    @property
    def time(self) -> Callable[[], float]:
        """The clock; Home Assistant's attempt to replace it is ignored."""
        return self._time

    @time.setter
    def time(self, clock: Callable[[], float]) -> None:
        pass

    def _time(self) -> float:
        return self.now

    def skip(self, seconds: float) -> None:
        """Move the clock on."""
        self.now += seconds

    @override
    def run_in_executor[*Ts, T](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self.threads -= 1


def loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]] | None:
    """Return the loop of a test that asks for simulated time."""
    if item.get_closest_marker(MARKER) is None:
        return None
    return {"simulated": SimulatedLoop}
