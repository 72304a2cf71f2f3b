"""An event loop whose clock skips the waiting: hours take moments, sockets stay real.

When nothing is ready and no thread works, the clock jumps to the next timer.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
import selectors
from typing import Any, Final, override

GRACE: Final = 0.004
"""Real seconds for bytes that are on their way through the kernel."""
_STEP: Final = 0.5
_STEPS: Final = 4
"""What has not arrived after so many steps was not on its way: the clock jumps on."""


class _SkippingSelector(selectors.DefaultSelector):
    """Waits no longer than bytes need, and moves the clock instead."""

    loop: SimulatedLoop
    _steps = 0

    @override
    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.turns += 1
        if timeout is None or timeout <= 0 or self.loop.threads:
            return super().select(timeout)
        if ready := super().select(min(timeout, self.loop.grace)):
            self._steps = 0
            return ready
        self._steps += 1
        step = timeout if self._steps > _STEPS else min(timeout, _STEP)
        if step == timeout or not self.loop.grace:
            step = timeout
            self._steps = 0
        self.loop.skip(step)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop on a clock of its own."""

    def __init__(self, grace: float = GRACE) -> None:
        """Start at a time that nobody takes for zero; without sockets no grace is needed."""
        self.now = 1000.0
        self.grace = grace
        self.threads = 0
        """Jobs of executors under way: while they work, time passes as it does."""
        self.turns = 0
        """How often the loop has looked for work."""
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
