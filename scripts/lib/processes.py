"""Processes that are started and ended in order, and the lines that tell how far all has come."""

import asyncio
from asyncio import FIRST_COMPLETED
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import time
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_PATIENCE: Final = 20.0
"""Seconds to stop in; Home Assistant needs about one."""


class DemoError(Exception):
    """What went wrong, in words for the one who ran the command."""


class Progress:
    """Says what is being done, with a dot for every second that it takes."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._dots: asyncio.Task[None] | None = None
        self._since = 0.0

    def start(self, what: str) -> None:
        """Say what begins; what was going on before is done."""
        self.done()
        print(f"{what} ..", end="", flush=True)
        self._since = time.monotonic()
        self._dots = asyncio.get_running_loop().create_task(self._tick())

    def done(self) -> None:
        """Say that it is done, and how long it took."""
        if self.stop():
            print(f" {time.monotonic() - self._since:.1f} s", flush=True)

    def broken(self) -> None:
        """End the line of what was not finished."""
        if self.stop():
            print(flush=True)

    def stop(self) -> bool:
        """Stop the dots; tell whether there were any."""
        if self._dots is None:
            return False
        self._dots.cancel()
        self._dots = None
        return True

    async def _tick(self) -> None:
        while True:
            print(".", end="", flush=True)
            await asyncio.sleep(1)


def environment() -> Mapping[str, str]:
    """Return the environment without what would change another Python."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"
    }


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started here."""

    name: str
    process: Process
    log: Path

    async def stop(self) -> None:
        """End it: asked first, then forced."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


class Ended(DemoError):
    """A process that should have stayed has ended."""

    def __init__(self, child: Child) -> None:
        """Say which, and what it said last."""
        super().__init__(
            f"{child.name} ended by itself (exit code {child.process.returncode}).\n"
            f"{last_words(child.log)}The log is {child.log.relative_to(ROOT)}"
        )
        self.child = child


@asynccontextmanager
async def running(
    name: str, *command: str, log: Path, folder: Path = ROOT, speaks: bool = False
) -> AsyncIterator[Child]:
    """Run a command that is stopped at the end, whatever the end is.

    What it says goes to the log; where it `speaks`, its standard output is the caller's.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE if speaks else output,
            stderr=output,
            cwd=folder,
            env=environment(),
            # A Ctrl-C is for the command alone, which then stops them in order.
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        await child.stop()


async def guarded[T](work: Coroutine[Any, Any, T], *children: Child) -> T:
    """Return what the work returns; raises Ended when one of the processes ends before it."""
    task = asyncio.ensure_future(work)
    ends = {asyncio.ensure_future(child.process.wait()): child for child in children}
    try:
        await asyncio.wait({task, *ends}, return_when=FIRST_COMPLETED)
        for end, child in ends.items():
            if end.done():
                raise Ended(child)
        return await task
    finally:
        for future in (task, *ends):
            future.cancel()
        await asyncio.gather(task, *ends, return_exceptions=True)


def last_words(log: Path, lines: int = 8) -> str:
    """Return the end of a log, indented."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "".join(f"    {line}\n" for line in text.splitlines()[-lines:])
