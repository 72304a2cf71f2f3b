"""How exactly an inverter is told, while Home Assistant is busy with 16 packs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
import json
from statistics import quantiles
import sys
from typing import Any, Final

from homeassistant.const import CONF_DEVICE, EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback

from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.pack import Pack
from custom_components.jkbms.protocol.bank_member import Member
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS, Language
from custom_components.jkbms.protocol.inverter.limits import Rules, judge
from custom_components.jkbms.protocol.inverter.sight import PackSight
from custom_components.jkbms.protocol.inverter.teller import LISTEN_FOR, Teller
from custom_components.jkbms.protocol.state import Update
from custom_components.jkbms.transport.can_link import CanLink
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort

from .home import bank, bus, home
from .measure import Effort
from .report import Figure, Goal

_LANGUAGE: Final = Language.VICTRON
"""The quickest that speaks by itself: a message every 40 ms."""
_GOAL: Final = 20.0
"""ms; how far the pause between two messages may be off, but for one in a hundred."""
_EVERY: Final = 1.0
"""Seconds in which a line brings what all packs tell."""
_CASES: Final = (
    ("nothing changes", None, (Goal(_GOAL, "value"),)),
    ("all packs change once a second", _EVERY, (Goal(_GOAL, "value"),)),
    # No line brings so much: it tells how much room there is.
    ("all packs change three times a second", _EVERY / 3, ()),
)
"""What changes meanwhile, and in how many seconds; None is never."""


def run(effort: Effort) -> Iterator[Figure]:
    """Measure at rest, and with everything changing all the time."""
    yield from asyncio.run(_measured(effort))


async def _measured(effort: Effort) -> list[Figure]:
    wire = ("--tcp", "127.0.0.1:0", "--speed", "fast", "--still")
    async with home() as hass, bank(*wire) as port:
        data = {CONF_DEVICE: f"socket://127.0.0.1:{port}"}
        async with bus(hass, data) as coordinator:
            # What is told of is well, whatever becomes of the values meanwhile.
            well = _well(coordinator)
            churn = _Churn(hass, coordinator)
            figures = [
                Figure(name="entities that change at once", value=churn.tell(), unit="")
            ]
            for name, every, goals in _CASES:
                off = await _told(coordinator, well, churn, every, effort)
                figures += _figures(name, off, goals)
    return figures


def _figures(name: str, off: list[float], goals: tuple[Goal, ...]) -> Iterator[Figure]:
    hundredths = quantiles(off, n=100, method="inclusive")
    begin = f"{name}: pauses off by"
    yield Figure(name=f"{begin}, half of them", value=hundredths[49], unit="ms")
    yield Figure(
        name=f"{begin}, 99 of 100", value=hundredths[98], unit="ms", goals=goals
    )
    yield Figure(name=f"{begin}, the worst", value=max(off), unit="ms")


# -- what keeps Home Assistant busy ---------------------------------------------------


class _Churn:
    """Changes every live value of every pack to and fro."""

    def __init__(self, hass: HomeAssistant, coordinator: BusCoordinator) -> None:
        self._hass = hass
        self._coordinator = coordinator
        self._step = 1

    def tell(self) -> int:
        """Change everything at once; return how many states have changed."""
        changed: set[str] = set()

        @callback
        def note(event: Event[Any]) -> None:
            changed.add(event.data["entity_id"])

        stop = self._hass.bus.async_listen(EVENT_STATE_CHANGED, note)
        for pack in self._coordinator.packs.values():
            self._change(pack)
        stop()
        return len(changed)

    def _change(self, pack: Pack) -> None:
        values = pack.station.state.values
        keys = set()
        for key, value in values.items():
            if isinstance(value, bool):
                values[key] = not value
            elif isinstance(value, int | float):
                values[key] = value + self._step
            else:
                continue
            keys.add(key)
        pack.updated(Update(Block.LIVE, frozenset(keys)))
        self._coordinator.wake(pack, keys)

    async def go_on(self, every: float | None) -> None:
        """Change everything again and again; None is never."""
        while every is not None:
            packs = self._coordinator.packs.values()
            for pack in packs:
                self._change(pack)
                # As a line brings them: one answer, a pause, the next one.
                await asyncio.sleep(every / len(packs))
            self._step = -self._step


# -- what is told ---------------------------------------------------------------------


@dataclass
class _Ear:
    port: int
    process: asyncio.subprocess.Process

    async def heard(self) -> list[tuple[int, float]]:
        """Wait for the end of the connection; return id and time of each frame."""
        assert self.process.stdout is not None
        said: list[tuple[int, float]] = json.loads(await self.process.stdout.read())
        return said


@asynccontextmanager
async def _ear() -> AsyncIterator[_Ear]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.lib.bench.send_ear",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port: int = json.loads(await process.stdout.readline())["port"]
        yield _Ear(port, process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _told(
    coordinator: BusCoordinator,
    well: PackSight,
    churn: _Churn,
    every: float | None,
    effort: Effort,
) -> list[float]:
    """Return by how many ms each pause between two messages is off."""
    spacing = SCRIPTS[_LANGUAGE].spacing
    teller = Teller(_LANGUAGE, Rules())
    async with _ear() as ear:
        port = CanPort(adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=ear.port)
        link = await CanLink.open(port, lambda _: None, lambda _: None, speaker=teller)
        busy = asyncio.create_task(churn.go_on(every))
        feed = asyncio.create_task(_feed(teller, coordinator, well))
        await asyncio.sleep(LISTEN_FOR + effort.seconds)
        busy.cancel()
        feed.cancel()
        # What is said at the end comes without pauses.
        messages = teller.status.messages
        await link.close()
        heard = (await ear.heard())[:messages]
    if messages < effort.seconds / spacing / 2:
        raise RuntimeError(f"only {messages} messages were sent")
    times = [time for _, time in heard]
    return [1000 * abs(b - a - spacing) for a, b in pairwise(times)]


async def _feed(teller: Teller, coordinator: BusCoordinator, well: PackSight) -> None:
    """Read all packs and hand 16 over each second, as a bank does."""
    while True:
        now = asyncio.get_running_loop().time()
        seen = [_seen(pack, now) for pack in coordinator.packs.values()]
        teller.give(
            replace(well, member=replace(well.member, name=each.name, heard=now))
            for each in seen
        )
        await asyncio.sleep(_EVERY)


def _seen(pack: Pack, now: float) -> PackSight:
    member = Member.read(pack.subentry_id, pack.name, pack.get, heard=now, energy=None)
    return PackSight.read(member, pack.get)


def _well(coordinator: BusCoordinator) -> PackSight:
    """Return a pack of which an inverter may be told."""
    seen = (_seen(pack, 0.0) for pack in coordinator.packs.values())
    return next(pack for pack in seen if judge((pack,), Rules(), 0.0).trip is None)
