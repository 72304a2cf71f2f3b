"""A session at work: what it told, and how to wait for it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.station import Availability, Event, Updated
from custom_components.jkbms.protocol.write_job import WriteResult
from custom_components.jkbms.protocol.writing import Change
from custom_components.jkbms.transport.link import LinkFault, line_at, timing_of
from custom_components.jkbms.transport.session import LinkState, LinkStatus, Session

from .peers import until

_LOOK: Final = 0.1


class Rig:
    """A session with a master, and everything that both have told."""

    def __init__(self, url: str, addresses: Iterable[int], live: float) -> None:
        """Bind the line; `running` opens it."""
        self.loop = asyncio.get_running_loop()
        self.events: list[Event] = []
        self.statuses: list[LinkStatus] = []
        self.master = Master(
            addresses, Plan(live=live), timing_of(url), self.loop.time()
        )
        self.session = Session(
            line_at(url), self.master, self.events.extend, self.statuses.append
        )

    @property
    def states(self) -> list[LinkState]:
        """The states of the line, in order."""
        return [status.state for status in self.statuses]

    @property
    def faults(self) -> list[LinkFault | None]:
        """The faults of the line, in order."""
        return [status.fault for status in self.statuses if status.fault]

    @property
    def availability(self) -> list[Availability]:
        """Who has come and gone."""
        return [event for event in self.events if isinstance(event, Availability)]

    def seen(self, block: Block = Block.LIVE) -> set[int]:
        """The addresses whose block was read since the last look."""
        found = {
            event.address
            for event in self.events
            if isinstance(event, Updated) and event.update.block is block
        }
        self.events.clear()
        return found

    async def heard(self, *addresses: int, patience: float = 30.0) -> float:
        """Wait for live values of all of them and return how long it took."""
        begin = self.loop.time()
        left = set(addresses)

        def complete() -> bool:
            left.difference_update(self.seen())
            return not left

        await until(complete, patience, _LOOK)
        return self.loop.time() - begin

    async def all_read(self) -> None:
        """Wait until every block of every pack has been read."""
        stations = self.master.stations.values()
        await self.wait(
            lambda: all(len(one.state.seen) == len(Block) for one in stations)
        )

    async def write(self, address: int, key: str, value: float | bool) -> WriteResult:
        """Change a setting."""
        return await self.session.write(Change(address, BY_KEY[key], value))

    async def wait(self, condition: Callable[[], Any], patience: float = 60.0) -> None:
        """Wait until something is so."""
        await until(condition, patience, _LOOK)


@asynccontextmanager
async def running(
    url: str, addresses: Iterable[int] = (1, 2, 3, 4), live: float = 5.0
) -> AsyncIterator[Rig]:
    """A session that holds its line until the end of the test."""
    rig = Rig(url, addresses, live)
    task = asyncio.create_task(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert rig.states[-1] is LinkState.CLOSED
