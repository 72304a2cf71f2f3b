"""A session on a line of `4E 57`: values, a switch, an outage, on a gateway and an adapter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from custom_components.jkbms.protocol.commands import StartEmergency
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.station import Availability, Event
from custom_components.jkbms.protocol.ttl.machine import TtlMaster
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from custom_components.jkbms.transport.link import line_at, timing_of
from custom_components.jkbms.transport.session import LinkState, LinkStatus, Session
from simulator import Bank, serve_pty, serve_tcp
from simulator.ttl import TtlLine

from .peers import until

pytestmark = pytest.mark.simulated_time


class Rig:
    """A session with a machine of `4E 57`."""

    def __init__(self, url: str) -> None:
        """Bind the line; `running` opens it."""
        self.loop = asyncio.get_running_loop()
        self.events: list[Event] = []
        self.statuses: list[LinkStatus] = []
        self.machine = TtlMaster((0,), timing_of(url), self.loop.time(), interval=1.0)
        self.session = Session(
            line_at(url), self.machine, self.events.extend, self.statuses.append
        )

    def available(self) -> bool:
        return self.machine.stations[0].available

    async def write(self, key: str, value: bool) -> Outcome:
        return (await self.session.write(Change(0, BY_KEY[key], value))).outcome


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Rig]:
    rig = Rig(url)
    task = asyncio.create_task(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_a_pack_is_read_and_switched(kind: str) -> None:
    line = TtlLine(Bank.default([0], still=True))
    async with (
        serve_tcp(line) if kind == "tcp" else serve_pty(line) as server,
        running(server.url) as rig,
    ):
        await until(rig.available)
        values = rig.machine.stations[0].state.values
        assert (
            values["total_voltage"]
            == line.bank[0].number_of("pack_voltage") // 10 / 100
        )
        assert await rig.write("charging_switch", False) is Outcome.PROVEN
        assert line.bank[0].get("charge_switch") == 0
        assert await rig.write("smart_sleep", True) is Outcome.UNSUPPORTED
        emergency = await rig.session.write(StartEmergency(0))
        assert emergency.outcome is Outcome.UNSUPPORTED
        assert not line.bank.dangerous


async def test_an_outage_ends_and_a_change_in_it_says_so() -> None:
    line = TtlLine(Bank.default([0], still=True))
    async with serve_tcp(line) as server, running(server.url) as rig:
        await until(rig.available)
        await server.stop()
        await until(lambda: rig.session.status.state is LinkState.DOWN)
        assert await rig.write("charging_switch", False) is Outcome.UNREACHABLE
        await asyncio.sleep(60)
        assert not rig.available()
        await server.start()
        await until(rig.available)
        told = [e.available for e in rig.events if isinstance(e, Availability)]
        assert told == [True, False, True]


async def test_a_change_where_another_one_asks_is_not_tried() -> None:
    line = TtlLine(Bank.default([0], still=True))
    async with serve_tcp(line) as server, running(server.url) as rig:
        await until(rig.available)
        rig.machine.yielded = True
        assert await rig.write("charging_switch", False) is Outcome.UNREACHABLE
