"""A house of the journey: a Home Assistant that can be restarted, and lines that can be unplugged."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
import re
import shutil
import subprocess
import time
from typing import Any, Final

import aiohttp

from scripts.lib.ha_api import HomeAssistant
from scripts.lib.ha_home import COMPONENT, DOMAIN, free_port, home_assistant, make_home
from scripts.lib.ha_log import complaints, is_ours
from scripts.lib.processes import ROOT, Child, DemoError
from scripts.lib.simulated import Simulated, simulated

from .browser import PATIENCE

USER: Final = "test"
_POLL: Final = 0.25
_LEFT: Final = re.compile(
    r"\[homeassistant\] Error doing job: Task exception was never retrieved"
    r".*Cannot write to closing transport$",
    re.DOTALL,
)
"""Home Assistant's own words when a page is left while it answers it."""


def install(folder: Path) -> None:
    """Put the integration where HACS puts it: the files of a release, nothing that lies about beside them."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(command, cwd=COMPONENT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(COMPONENT / name, place)


class Line:
    """A simulated line; where it is reached stays the same when it is plugged in again."""

    def __init__(self, log: Path, *options: str) -> None:
        """Describe it to the simulator; {place} stands for where it is reached."""
        self._log = log
        self._options = options
        self._running = AsyncExitStack()
        self.bus: Simulated | None = None

    async def plug_in(self) -> Simulated:
        """Let packs be there."""
        bus = simulated(*self._options, log=self._log)
        self.bus = await self._running.enter_async_context(bus)
        return self.bus

    async def unplug(self) -> None:
        """Take everything away."""
        await self._running.aclose()
        self.bus = None


class House:
    """Home Assistant and what it complains of."""

    def __init__(self, folder: Path, release: str) -> None:
        """Describe one of a release that is not started yet."""
        self.folder = folder
        self.release = release
        self.log = folder / "home-assistant.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.home: HomeAssistant
        self._config = folder / "config"
        self._running = AsyncExitStack()
        self._child: Child
        self._read = 0
        self._expected: list[re.Pattern[str]] = []

    async def build(self) -> None:
        """Start a fresh one and become its owner."""
        make_home(
            self._config,
            port=self.port,
            release=self.release,
            name="Home",
            install=install,
        )
        await self._start()
        await self.home.onboard("Test", USER, USER)
        await self.home.runs()
        self.token = await self.home.command(
            "auth/long_lived_access_token", client_name="e2e", lifespan=1
        )

    async def restart(self) -> None:
        """Restart it as its own menu does."""
        await self.home.post("/api/services/homeassistant/restart", {})
        async with asyncio.timeout(PATIENCE):
            await self._child.process.wait()
        self.check_stop()
        await self._running.aclose()
        await self._start()
        await self.home.log_in(USER, USER)
        await self.home.runs()

    async def stop(self) -> None:
        """End it."""
        await self._running.aclose()

    async def _start(self) -> None:
        default = ROOT / ".venv-demo"
        own = ROOT / f".venv-demo-{self.release}"
        python = (own if own.is_dir() else default) / "bin" / "python"
        running = home_assistant(python, self._config, self.log)
        self._child = await self._running.enter_async_context(running)
        session = await self._running.enter_async_context(aiohttp.ClientSession())
        self.home = HomeAssistant(session, self.url)
        await self.home.answers()

    # -- what it says -----------------------------------------------------------------

    @contextmanager
    def expecting(self, *complaints: str) -> Iterator[None]:
        """Let it complain of something, and of nothing else; it has to."""
        self._expected = [re.compile(complaint) for complaint in complaints]
        yield
        said = list(self._new())
        assert all(any(e.search(s) for s in said) for e in self._expected), said
        assert [s for s in said if not any(e.search(s) for e in self._expected)] == []
        self._expected = []

    def check(self) -> None:
        """Fail if it has complained."""
        assert list(self._new()) == []

    def check_stop(self) -> None:
        """Fail if the integration has complained up to the stop.

        Home Assistant's own marketplace complains when it is stopped before it has found a network.
        """
        assert [said for said in self._new() if is_ours(said)] == []

    def _new(self) -> Iterator[str]:
        text = self.log.read_text()
        new, self._read = text[self._read :], len(text)
        return (said for said in complaints(new) if not _LEFT.search(said))

    # -- what it knows ----------------------------------------------------------------

    async def entities(self) -> dict[str, str]:
        """Return the entity id of each unique id."""
        return {
            entity["unique_id"]: entity["entity_id"]
            for entity in await self.home.command("config/entity_registry/list")
            if entity["platform"] == DOMAIN
        }

    async def devices(self) -> dict[str, str]:
        """Return the id of each device of ours by its name."""
        entries = {entry["entry_id"] for entry in await self.entries()}
        return {
            device["name_by_user"] or device["name"]: device["id"]
            for device in await self.home.command("config/device_registry/list")
            if entries & {*device["config_entries"]}
        }

    async def entries(self) -> list[dict[str, Any]]:
        """Return the entries of the integration."""
        found: list[dict[str, Any]] = await self.home.command(
            "config_entries/get", domain=DOMAIN
        )
        return found

    async def state(self, entity: str) -> str:
        """Return what is shown of an entity."""
        return str((await self.home.get(f"/api/states/{entity}"))["state"])

    async def until(self, entity: str, *wanted: str) -> None:
        """Return when an entity shows one of these states."""
        await _until(
            lambda: self.state(entity),
            lambda state: state in wanted,
            f"{entity} to be {' or '.join(wanted)}",
        )

    async def until_not(self, entity: str, *unwanted: str) -> None:
        """Return when an entity shows something else."""
        await _until(
            lambda: self.state(entity),
            lambda state: state not in unwanted,
            f"{entity} not to be {' or '.join(unwanted)}",
        )

    async def until_issues(self, *wanted: str) -> None:
        """Return when just these issues of ours are in Repairs."""
        await _until(
            self.issues, lambda found: found == [*wanted], f"the repairs {wanted}", 120
        )

    async def until_gone(self, device: str) -> None:
        """Return when a device is there no more."""
        await _until(
            self.devices, lambda found: device not in found, f"{device} to be gone"
        )

    async def issues(self) -> list[str]:
        """Return what of ours is in Repairs."""
        found = await self.home.command("repairs/list_issues")
        return [i["translation_key"] for i in found["issues"] if i["domain"] == DOMAIN]


async def _until[T](
    look: Callable[[], Awaitable[T]],
    is_so: Callable[[T], bool],
    what: str,
    patience: float = PATIENCE,
) -> None:
    end = time.monotonic() + patience
    while not is_so(found := await look()):
        if time.monotonic() > end:
            raise DemoError(f"Waited in vain for {what}; there is {found}.")
        await asyncio.sleep(_POLL)
