"""A real Home Assistant with every kind of bus, all simulated; scripts/demo is its command.

usage: .venv-demo/bin/python -m scripts.lib.demo [--check | --fresh]
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
from pathlib import Path
import signal
import sys
from typing import Final

import aiohttp
from homeassistant.const import RESTART_EXIT_CODE, __version__ as release

from .demo_check import GOOD, check_all, check_stop, complete
from .demo_plan import BUSES, PASSWORD, USER
from .demo_stage import Stage, remember, stage
from .ha_api import HomeAssistant
from .ha_dashboard import add_dashboard, open_first
from .ha_home import home_assistant
from .processes import ROOT, Child, DemoError, Ended, Progress, guarded

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READY: Final = """
Home Assistant shows {packs} simulated packs: four that are asked on RS485 and whose settings may be
changed, three whose bus is listened to, one on CAN, and the battery bank of all of them.

    address   {url}
    user      {user}
    password  {password}

The integration is at {url}/config/integrations/integration/jkbms
The log is in {log}
Ctrl-C stops everything; the next start goes on with it, scripts/demo --fresh begins anew."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keep a second demo off a folder that is in use."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                "This runs already in another window. Stop it there first."
            ) from None
        yield


async def stay(*children: Child) -> bool:
    """Wait until Home Assistant wants to be started again."""
    try:
        await guarded(asyncio.Event().wait(), *children)
    except Ended as end:
        if end.child.process.returncode != RESTART_EXIT_CODE:
            raise
    return True


async def prepare(stage: Stage, home: HomeAssistant, progress: Progress) -> None:
    """Come in, set up what is not set up yet, wait for the values."""
    progress.start(f"Starting Home Assistant {release}")
    await stage.enter(home)
    if stage.new:
        progress.start("Setting up three buses and the bank of their packs")
        await stage.set_up(home)
        await add_dashboard(home)
        await open_first(home)
    progress.start("Waiting for every value")
    await complete(home, stage.buses)


async def demonstrate(folder: Path, progress: Progress, *, fresh: bool) -> None:
    """Run the demo until it is stopped."""
    progress.start("Starting the simulated packs")
    async with stage(folder, release, still=False, fresh=fresh) as ours:
        async with home_assistant(sys.executable, ours.config, ours.log) as child:
            async with aiohttp.ClientSession() as session:
                home = HomeAssistant(session, ours.url)
                work = prepare(ours, home, progress)
                await guarded(work, *ours.children, child)
            progress.done()
            remember(ours, release)
            print(
                _READY.format(
                    packs=sum(len(bus.addresses) for bus in BUSES),
                    url=ours.url,
                    user=USER,
                    password=PASSWORD,
                    log=ours.log.relative_to(ROOT),
                ),
                flush=True,
            )
            again = await stay(*ours.children, child)
        while again:
            print("Home Assistant starts again, as it was told to.", flush=True)
            async with home_assistant(sys.executable, ours.config, ours.log) as child:
                again = await stay(*ours.children, child)


async def check(folder: Path, progress: Progress) -> None:
    """Run the demo as long as it takes to compare it with the captures."""
    progress.start("Starting the simulated packs")
    async with stage(folder, release, still=True, fresh=True) as ours:
        async with home_assistant(sys.executable, ours.config, ours.log) as child:
            async with aiohttp.ClientSession() as session:
                home = HomeAssistant(session, ours.url)

                async def examine() -> list[str]:
                    await prepare(ours, home, progress)
                    progress.start("Comparing with the captures, changing a setting")
                    return await check_all(home, ours.buses, ours.log)

                wrong = await guarded(examine(), *ours.children, child)
            progress.start("Stopping Home Assistant")
        wrong += check_stop(ours.log)
    progress.done()
    if wrong:
        raise DemoError(
            "\n".join(["Not as it should be:", *(f"  - {fault}" for fault in wrong)])
        )
    print(GOOD, flush=True)


async def run(*, checking: bool, fresh: bool) -> None:
    """Run the demo; a signal ends it in order."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        # Once: a second Ctrl-C must not interrupt the stopping of what runs.
        for one in _SIGNALS:
            loop.add_signal_handler(one, lambda: None)
        task.cancel(number.name)

    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number)
    progress = Progress()
    folder = ROOT / ".demo" / ("check" if checking else "home")
    try:
        with only_one(folder):
            for log in folder.glob("*.log"):
                log.unlink()
            if checking:
                await check(folder, progress)
            else:
                await demonstrate(folder, progress, fresh=fresh)
    finally:
        progress.broken()


def main() -> None:
    """Run the demo; exit with 1 when it is not as it should be."""
    try:
        asyncio.run(
            run(checking="--check" in sys.argv[1:], fresh="--fresh" in sys.argv[1:])
        )
    except DemoError as error:
        sys.exit(f"scripts/demo: {error}")
    except asyncio.CancelledError as cancelled:
        print("Stopped.", flush=True)
        number = signal.Signals[str(cancelled)]
        sys.exit(0 if number is signal.SIGINT else 128 + number)


if __name__ == "__main__":
    main()
