"""A real Home Assistant that asks four simulated packs; scripts/demo is its command.

usage: .venv-demo/bin/python -m scripts.lib.demo [--check]
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
import fcntl
import json
from pathlib import Path
import signal
import sys
from typing import Final

import aiohttp
from homeassistant.const import RESTART_EXIT_CODE, __version__ as release

from .demo_api import HomeAssistant
from .demo_check import (
    GOOD,
    Bank,
    check_log,
    check_pack,
    check_values,
    check_write,
    complete,
)
from .demo_home import PASSWORD, USER, add_bus, free_port, make_home
from .demo_process import ROOT, Child, DemoError, Ended, Progress, guarded, running

_PACKS: Final = 4
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READY: Final = """
Home Assistant asks {packs} simulated packs. Their settings may be changed.

    address   http://127.0.0.1:{port}
    user      {user}
    password  {password}

The integration is at http://127.0.0.1:{port}/config/integrations/integration/jkbms
The log is in {log}
Ctrl-C stops everything."""


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


@asynccontextmanager
async def simulated_packs(log: Path, *, still: bool) -> AsyncIterator[Bank]:
    """Run the simulator in a process of its own."""
    command = [sys.executable, "-m", "simulator", "--packs", str(_PACKS)]
    if still:
        command.append("--still")
    async with running("The simulator", *command, log=log, speaks=True) as child:
        assert child.process.stdout is not None
        line = await child.process.stdout.readline()
        if not line:
            await child.process.wait()
            raise Ended(child)
        said = json.loads(line)
        packs = {pack["serial"]: pack["address"] for pack in said["packs"]}
        yield Bank(child, said["url"], packs)


def home_assistant(config: Path, log: Path) -> AbstractAsyncContextManager[Child]:
    """Run Home Assistant as it was installed: it fetches nothing at its start."""
    # -P: the repository's own folder custom_components would come before the one in the configuration.
    command = (sys.executable, "-P", "-m", "homeassistant", "-c", str(config))
    return running(
        "Home Assistant",
        *command,
        "--skip-pip",
        "--log-no-color",
        log=log,
        folder=config,
    )


async def set_up(home: HomeAssistant, bank: Bank, progress: Progress) -> str:
    """Onboard, add the bus, wait for the values; return the id of the entry."""
    progress.start(f"Starting Home Assistant {release}")
    await home.answers()
    await home.onboard("Demo", USER, PASSWORD)
    await home.runs()
    progress.start("Opening the config flow")
    entry = await add_bus(home, bank.url, progress.start)
    progress.start("Waiting for every value")
    await complete(home, entry, bank)
    return entry


async def stay(*children: Child) -> bool:
    """Wait until Home Assistant wants to be started again."""
    try:
        await guarded(asyncio.Event().wait(), *children)
    except Ended as end:
        if end.child.process.returncode != RESTART_EXIT_CODE:
            raise
    return True


async def demonstrate(folder: Path, progress: Progress) -> None:
    """Run the demo until it is stopped."""
    config, log = folder / "config", folder / "home-assistant.log"
    progress.start(f"Starting {_PACKS} simulated packs")
    async with simulated_packs(folder / "simulator.log", still=False) as bank:
        port = free_port()
        make_home(config, port)
        async with home_assistant(config, log) as child:
            async with aiohttp.ClientSession() as session:
                home = HomeAssistant(session, f"http://127.0.0.1:{port}")
                await guarded(set_up(home, bank, progress), bank.child, child)
            progress.done()
            print(
                _READY.format(
                    packs=_PACKS,
                    port=port,
                    user=USER,
                    password=PASSWORD,
                    log=log.relative_to(ROOT),
                ),
                flush=True,
            )
            again = await stay(bank.child, child)
        while again:
            print("Home Assistant starts again, as it was told to.", flush=True)
            async with home_assistant(config, log) as child:
                again = await stay(bank.child, child)


async def check(folder: Path, progress: Progress) -> None:
    """Run the demo as long as it takes to compare it with the captures."""
    config, log = folder / "config", folder / "home-assistant.log"
    progress.start(f"Starting {_PACKS} simulated packs")
    async with simulated_packs(folder / "simulator.log", still=True) as bank:
        port = free_port()
        make_home(config, port)
        async with home_assistant(config, log) as child:
            async with aiohttp.ClientSession() as session:
                home = HomeAssistant(session, f"http://127.0.0.1:{port}")

                async def examine() -> list[str]:
                    entry = await set_up(home, bank, progress)
                    progress.start("Comparing with the captures")
                    wrong = await check_values(home, entry, bank)
                    progress.start("Changing a setting")
                    return wrong + await check_write(home, entry, bank)

                wrong = await guarded(examine(), bank.child, child)
            progress.start("Stopping Home Assistant")
        wrong += check_log(log)
        wrong += await check_pack(bank)
    progress.done()
    if wrong:
        raise DemoError(
            "\n".join(["Not as it should be:", *(f"  - {fault}" for fault in wrong)])
        )
    print(GOOD, flush=True)


async def run(*, checking: bool) -> None:
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
            await (check if checking else demonstrate)(folder, progress)
    finally:
        progress.broken()


def main() -> None:
    """Run the demo; exit with 1 when it is not as it should be."""
    try:
        asyncio.run(run(checking="--check" in sys.argv[1:]))
    except DemoError as error:
        sys.exit(f"scripts/demo: {error}")
    except asyncio.CancelledError as cancelled:
        print("Stopped.", flush=True)
        number = signal.Signals[str(cancelled)]
        sys.exit(0 if number is signal.SIGINT else 128 + number)


if __name__ == "__main__":
    main()
