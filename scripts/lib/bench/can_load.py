"""What 16 packs at the full rate of a CAN bus cost Home Assistant, in real time."""

import asyncio
from dataclasses import dataclass, replace
from time import perf_counter, process_time, thread_time
from typing import Any, Final
from unittest.mock import patch

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback

from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.mode import can_data
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.station import Step
from custom_components.jkbms.transport.can_port import BITRATES, CanAdapter, CanPort

from .can_bare import reading
from .home import PACKS, bank, bus, home
from .measure import Effort

_HOST: Final = "127.0.0.1"
_LEAST: Final = 28.0
"""Messages a second and pack, of 34 that a pack sends (can.md 1.2); those at addresses
12 to 15 lack some of them. Fewer would be no full bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was measured; shares are percent of one core."""

    name: str = ""
    entities: int
    rate: float
    states: float
    idle: float = 0.0
    busy: float
    loop: float
    """What of the busy share is spent on the event loop."""
    bare: float = 0.0
    """What it takes to read the bus and do nothing with it."""


async def loads(effort: Effort) -> list[Load]:
    """Measure a gateway of records, and an adapter that python-can reads in its thread."""
    async with home() as hass:
        await hass.async_block_till_done()
        idle, _ = await _shares(effort.seconds / 2)
        measured = []
        for name, option in (("can_tcp", "--can-tcp"), ("slcan", "--slcan-tcp")):
            async with bank(option, f"{_HOST}:0") as number:
                port = _ports(number)[name]
                async with reading(port):
                    bare, _ = await _shares(effort.seconds / 2)
                async with bus(hass, can_data(port)) as coordinator:
                    load = await _measure(hass, coordinator, effort)
            measured.append(replace(load, name=name, idle=idle, bare=bare))
        return measured


def _ports(number: int) -> dict[str, CanPort]:
    return {
        "can_tcp": CanPort(adapter=CanAdapter.CAN_TCP, host=_HOST, port=number),
        "slcan": CanPort(
            adapter=CanAdapter.SLCAN,
            channel=f"socket://{_HOST}:{number}",
            bitrate=BITRATES[1],
        ),
    }


async def _measure(
    hass: HomeAssistant, coordinator: BusCoordinator, effort: Effort
) -> Load:
    heard = written = 0
    advance = coordinator.machine.advance

    def counted(now: float, data: Any = ()) -> Step:
        nonlocal heard
        messages: list[CanMessage] = data
        heard += len(messages)
        return advance(now, data)

    @callback
    def count(_: Event[Any]) -> None:
        nonlocal written
        written += 1

    entities = len(hass.states.async_all())
    # What is enabled late, and what set-up left to be done, is not part of it.
    await asyncio.sleep(effort.seconds / 4)
    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, count)
    with patch.object(coordinator.machine, "advance", counted):
        begin = perf_counter()
        busy, loop = await _shares(effort.seconds)
        seconds = perf_counter() - begin
    stop()
    if heard < _LEAST * PACKS * seconds:
        raise RuntimeError(f"only {heard} messages came in {seconds:.0f} s")
    return Load(
        entities=entities,
        rate=heard / seconds,
        states=written / seconds,
        busy=busy,
        loop=loop,
    )


async def _shares(seconds: float) -> tuple[float, float]:
    """Return the CPU time of all threads, and of this one, as percent of the time."""
    begin, cpu, own = perf_counter(), process_time(), thread_time()
    await asyncio.sleep(seconds)
    passed = perf_counter() - begin
    return 100 * (process_time() - cpu) / passed, 100 * (thread_time() - own) / passed
