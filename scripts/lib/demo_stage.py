"""What the demo plays on: simulated buses, a Home Assistant with their entries, and what a second start reuses."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import socket
from typing import Final, Self
from urllib.parse import urlsplit

from .demo_plan import BANK, BUSES, PASSWORD, USER, PlannedBus
from .ha_api import HomeAssistant
from .ha_flow import accept_offer, add_entry
from .ha_home import free_port, make_home, set_port
from .processes import Child
from .simulated import Bus, Simulated, simulated

_FORM: Final = 1
"""Raised when homes of an earlier demo would no longer do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """What a home is bound to."""

    release: str
    """The Home Assistant that wrote it."""
    wires: Mapping[str, str]
    """The address and port of each simulated bus, by the title of its entry."""

    @classmethod
    def load(cls, folder: Path, release: str) -> Self | None:
        """Return what a demo can go on with; None where it has to begin anew."""
        try:
            known = json.loads((folder / "demo.json").read_text())
        except OSError, ValueError:
            return None
        if known["form"] != _FORM or known["release"] != release:
            return None
        wires = known["wires"]
        if not all(_is_free(wire) for wire in wires.values()):
            return None
        return cls(release=release, wires=wires)

    def save(self, folder: Path) -> None:
        """Remember it for the next start."""
        known = {"form": _FORM, "release": self.release, "wires": self.wires}
        (folder / "demo.json").write_text(json.dumps(known))


def _is_free(wire: str) -> bool:
    host, _, port = wire.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Simulated buses that run, and the place of the Home Assistant that belongs to them."""

    folder: Path
    port: int
    buses: Mapping[str, Bus]
    """By the title of the entry."""
    children: Sequence[Child] = ()
    """The processes that have to stay."""
    new: bool
    """Whether nothing is set up yet."""

    @property
    def config(self) -> Path:
        """The configuration of Home Assistant."""
        return self.folder / "config"

    @property
    def log(self) -> Path:
        """What Home Assistant says."""
        return self.folder / "home-assistant.log"

    @property
    def url(self) -> str:
        """Where Home Assistant is reached."""
        return f"http://127.0.0.1:{self.port}"

    async def enter(self, home: HomeAssistant) -> None:
        """Wait until it is started, and come in."""
        await home.answers()
        if self.new:
            await home.onboard("Demo", USER, PASSWORD)
        else:
            await home.log_in(USER, PASSWORD)
        await home.runs()

    async def set_up(self, home: HomeAssistant) -> None:
        """Walk through the config flow for every bus at once, then take the bank that is offered."""
        async with asyncio.TaskGroup() as walks:
            for planned in BUSES:
                walks.create_task(self._add(home, planned))
        await accept_offer(home, BANK)

    async def _add(self, home: HomeAssistant, planned: PlannedBus) -> None:
        entry = await add_entry(home, planned.walk(self.buses[planned.title].url))
        await home.command("config_entries/update", entry_id=entry, title=planned.title)


@asynccontextmanager
async def stage(
    folder: Path, release: str, *, still: bool, fresh: bool
) -> AsyncIterator[Stage]:
    """Run the simulated buses, with the home of the last time if it can be had."""
    known = None if fresh else Remembered.load(folder, release)
    if known is None:
        (folder / "demo.json").unlink(missing_ok=True)
    async with AsyncExitStack() as running:
        buses: dict[str, Simulated] = {}
        for planned in BUSES:
            wire = "127.0.0.1:0" if known is None else known.wires[planned.title]
            options = planned.options(wire, still=still)
            bus = simulated(*options, log=folder / "simulator.log")
            buses[planned.title] = await running.enter_async_context(bus)
        port = free_port()
        if known is None:
            make_home(folder / "config", port=port, release=release, name="JK BMS demo")
        else:
            set_port(folder / "config", port)
        yield Stage(
            folder=folder,
            port=port,
            buses=buses,
            children=[bus.child for bus in buses.values()],
            new=known is None,
        )


def remember(stage: Stage, release: str) -> None:
    """Let the next start go on with what is set up now."""
    wires = {title: urlsplit(bus.url).netloc for title, bus in stage.buses.items()}
    Remembered(release=release, wires=wires).save(stage.folder)
