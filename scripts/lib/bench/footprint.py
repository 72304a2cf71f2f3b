"""What 16 packs take of a Home Assistant, in a process of its own; told as JSON.

Python tells what it has allocated, which takes memory itself, or Linux what it has given.
"""

import argparse
import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
import gc
from importlib import import_module
import json
from pathlib import Path
import sys
from time import thread_time
import tracemalloc
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_DEVICE, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component

from custom_components.jkbms import PLATFORMS
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.descriptions import (
    BINARY_SENSORS,
    BUTTONS,
    EVENTS,
    NUMBERS,
    SELECTS,
    SENSORS,
    SWITCHES,
    PackDescription,
)
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
import simulator
from simulator import Bank

from .home import PACKS, bank, bus, home, until
from .stock import Wanted, add_stock

_DESCRIPTIONS: Final[dict[Platform, tuple[PackDescription, ...]]] = {
    Platform.BINARY_SENSOR: BINARY_SENSORS,
    Platform.BUTTON: BUTTONS,
    Platform.EVENT: EVENTS,
    Platform.NUMBER: NUMBERS,
    Platform.SELECT: SELECTS,
    Platform.SENSOR: SENSORS,
    Platform.SWITCH: SWITCHES,
}
_SETTLED: Final = 100
"""Frames of each pack after which all that is remembered of the last few is there."""

_BELIEVED: Final = 0.9
"""Share of the frames at least: simulated packs now and then do what is doubted."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What entities have taken."""

    enabled: int
    registered: int
    before: int
    """Bytes of Home Assistant without them."""
    memory: int
    """Bytes more with them."""
    cpu: float
    """Seconds of the CPU."""


def _memory() -> int:
    """Return the bytes allocated by Python, or those that this process alone has."""
    gc.collect()
    if tracemalloc.is_tracing():
        return tracemalloc.get_traced_memory()[0]
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "RssAnon":
            return int(rest.split()[0]) * 1024
    raise RuntimeError("the system does not tell what memory is taken")


async def _measured(every: bool, frames: int) -> dict[str, Any]:
    wire = ("--tcp", "127.0.0.1:0", "--speed", "fast", "--still")
    async with home() as hass, bank(*wire) as port:
        # What is loaded once is no matter of entities.
        for platform in PLATFORMS:
            await async_setup_component(hass, platform, {})
            import_module(f"custom_components.{DOMAIN}.{platform}")
        await async_setup_component(hass, DOMAIN, {})
        data = {CONF_DEVICE: f"socket://127.0.0.1:{port}"}
        taken = _Taking()
        async with bus(hass, data) as coordinator:
            taken.note_cpu()
            if every:
                coordinator = await _enable(hass, coordinator)
            own = taken.by(hass, DOMAIN)
            stock = await _stock(hass, coordinator)
            left = _left_over(coordinator, frames)
            await hass.async_block_till_done()
    return {"own": asdict(own), "stock": asdict(stock), "left": left}


class _Taking:
    """Memory and time that are being taken."""

    def __init__(self) -> None:
        self._before = _memory()
        self._begin = thread_time()
        self._cpu = 0.0

    def note_cpu(self) -> None:
        self._cpu = thread_time() - self._begin

    def by(self, hass: HomeAssistant, platform: str) -> Footprint:
        disabled = [entry.disabled for entry in _entries(hass, platform)]
        return Footprint(
            enabled=disabled.count(False),
            registered=len(disabled),
            before=self._before,
            memory=_memory() - self._before,
            cpu=self._cpu,
        )


def _entries(hass: HomeAssistant, platform: str) -> Iterator[er.RegistryEntry]:
    for entry in er.async_get(hass).entities.values():
        if entry.platform == platform:
            yield entry


async def _enable(hass: HomeAssistant, coordinator: BusCoordinator) -> BusCoordinator:
    """Enable every entity of the bus, which Home Assistant then sets up anew."""
    registry = er.async_get(hass)
    for entry in list(_entries(hass, DOMAIN)):
        registry.async_update_entity(entry.entity_id, disabled_by=None)
    config_entry = coordinator.config_entry
    # It does so by itself, in half a minute.
    await until(
        lambda: (
            config_entry.state is ConfigEntryState.LOADED
            and config_entry.runtime_data is not coordinator
        )
    )
    packs = config_entry.runtime_data.packs.values()
    await until(lambda: all(pack.available and pack.known for pack in packs))
    await hass.async_block_till_done()
    return config_entry.runtime_data


async def _stock(hass: HomeAssistant, coordinator: BusCoordinator) -> Footprint:
    """Add the same entities in the usual pattern: the least that Home Assistant takes."""
    wanted = list(_wanted(hass, coordinator))
    values = {one.place: _value(coordinator, one) for one in wanted}
    taken = _Taking()
    await add_stock(hass, wanted, values)
    await hass.async_block_till_done()
    taken.note_cpu()
    return taken.by(hass, "stock")


def _value(coordinator: BusCoordinator, wanted: Wanted) -> Any:
    value = coordinator.packs[wanted.pack].get(wanted.description.datum)
    # The clock of a BMS has no time zone, which a sensor has to have.
    return None if isinstance(value, datetime) else value


def _wanted(hass: HomeAssistant, coordinator: BusCoordinator) -> Iterator[Wanted]:
    described = {
        (platform.value, f"{pack}_{description.key}"): (platform, pack, description)
        for platform, descriptions in _DESCRIPTIONS.items()
        for pack in coordinator.packs
        for description in descriptions
    }
    for entry in _entries(hass, DOMAIN):
        # What tells of the bus has no such description.
        if found := described.get((entry.domain, entry.unique_id)):
            yield Wanted(*found, not entry.disabled)


# -- over time ------------------------------------------------------------------------


def _left_over(coordinator: BusCoordinator, frames: int) -> int:
    """Return how many more blocks of memory Python has in use after so many frames."""
    packs = {pack.address: pack for pack in coordinator.packs.values()}
    speakers = Bank.default(range(PACKS), seed=1)
    begin = coordinator.hass.loop.time()

    def read(seconds: range) -> int:
        believed = 0
        for second in seconds:
            for speaker in speakers:
                speaker.advance(float(second))
                frame = Frame(speaker.frame(simulator.Block.LIVE))
                pack = packs[speaker.address]
                update = pack.station.state.take_frame(
                    frame, Block.LIVE, begin + second
                )
                if update is not None:
                    believed += 1
                    pack.updated(update)
                    coordinator.told(pack, update)
        gc.collect()
        return believed

    end = _SETTLED + frames // PACKS
    read(range(1, _SETTLED))
    before = sys.getallocatedblocks()
    believed = read(range(_SETTLED, end))
    if believed < _BELIEVED * (end - _SETTLED) * PACKS:
        raise ValueError(f"no more than {believed} frames were believed")
    return sys.getallocatedblocks() - before


def main() -> None:
    """Measure what the arguments describe."""
    options = argparse.ArgumentParser()
    options.add_argument("--traced", action="store_true")
    options.add_argument("--every", action="store_true")
    options.add_argument("--frames", type=int, default=0)
    chosen = options.parse_args()
    if chosen.traced:
        tracemalloc.start()
    print(json.dumps(asyncio.run(_measured(chosen.every, chosen.frames))))


if __name__ == "__main__":
    main()
