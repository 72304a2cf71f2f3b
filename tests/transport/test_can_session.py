"""A session on a CAN bus: values, outages and what they cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
import time

import pytest

from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.station import Availability, Event
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change
from custom_components.jkbms.transport import can_thread, session as session_module
from custom_components.jkbms.transport.can_link import CanLine
from custom_components.jkbms.transport.can_port import CanPort
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.session import (
    LinkState,
    LinkStatus,
    Session,
    _pause,
)
from simulator import Bank
from simulator.can import CanBus

from .can_peers import (
    KINDS,
    PeerProcess,
    device_port,
    port_of,
    readers,
    serve,
    tcp_port,
)
from .peers import soon, until, without_spinning

CONNECTED = LinkStatus(LinkState.CONNECTED)


class CanRig:
    """A session with a listener, and everything that both have told."""

    def __init__(self, port: CanPort) -> None:
        """Bind the line; `running` opens it."""
        self.events: list[Event] = []
        self.statuses: list[LinkStatus] = []
        self.line = CanLine(port)
        self.listener = CanListener(range(4))
        self.session = Session[list[CanMessage]](
            self.line.open, self.listener, self.events.extend, self.statuses.append
        )

    @property
    def faults(self) -> list[LinkFault]:
        """The faults of the line, in order."""
        return [status.fault for status in self.statuses if status.fault]

    @property
    def available(self) -> set[int]:
        """Who is there."""
        stations = self.listener.stations.values()
        return {one.address for one in stations if one.available}

    async def all_there(self, patience: float = 15.0) -> None:
        """Wait for every pack."""
        await until(lambda: self.available == {0, 1, 2, 3}, patience)


@asynccontextmanager
async def running(port: CanPort) -> AsyncIterator[CanRig]:
    """A session that holds its line until the end of the test."""
    rig = CanRig(port)
    task = asyncio.create_task(rig.session.run())
    try:
        yield rig
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert rig.statuses[-1].state is LinkState.CLOSED
        assert readers() == []


def four_packs() -> CanBus:
    """Four packs that keep their values."""
    return CanBus(Bank.default(range(4), still=True), bitrate=500_000)


@pytest.fixture
def tenfold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the back-off run ten times as fast, so that an outage of 6 s stands for a minute."""
    for name in ("_RETRY_MIN", "_RETRY_MAX", "_RETRY_MAX_MISSING", "_STEADY_AFTER"):
        monkeypatch.setattr(session_module, name, getattr(session_module, name) / 10)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_pack_is_there_after_a_moment(kind: str) -> None:
    async with (
        serve(kind, four_packs()) as server,
        running(port_of(kind, server.url)) as rig,
    ):
        await soon(rig.session.opened())
        await rig.all_there()
        assert rig.statuses == [CONNECTED]
        assert {e for e in rig.events if isinstance(e, Availability)} == {
            Availability(address, True) for address in range(4)
        }
        assert rig.session.reconnects == 0


async def test_a_change_cannot_be_made_over_can() -> None:
    async with (
        serve("can-tcp", four_packs()) as server,
        running(port_of("can-tcp", server.url)) as rig,
    ):
        await soon(rig.session.opened())
        result = await rig.session.write(Change(1, BY_KEY["cell_ovp"], 3.6))
        assert result == WriteResult(Outcome.UNREACHABLE)


async def test_a_first_attempt_that_fails_says_why(tmp_path: Path) -> None:
    async with running(device_port(tmp_path / "missing")) as rig:
        with pytest.raises(LinkError) as caught:
            await soon(rig.session.opened())
        assert caught.value.fault is LinkFault.NO_SUCH_PORT


@pytest.mark.usefixtures("tenfold")
async def test_an_adapter_that_is_plugged_in_again_is_back_in_time(
    tmp_path: Path,
) -> None:
    link = tmp_path / "usb-adapter"
    async with (
        serve("slcan-pty", four_packs(), link) as server,
        running(device_port(link)) as rig,
    ):
        await rig.all_there()
        with without_spinning():
            await server.stop()
            await asyncio.sleep(6)
        assert 3 < rig.session.reconnects < 40
        assert rig.faults == [LinkFault.LOST, LinkFault.NO_SUCH_PORT]
        begin = time.monotonic()
        await server.start()
        await until(lambda: rig.statuses[-1] == CONNECTED)
        assert time.monotonic() - begin < 1
        assert rig.statuses.count(CONNECTED) == 2


@pytest.mark.usefixtures("tenfold")
@pytest.mark.parametrize("kind", KINDS[1:])
async def test_a_daemon_that_is_killed_and_started_again_is_back_in_time(
    kind: str,
) -> None:
    daemon = PeerProcess(kind)
    await soon(daemon.start())
    try:
        async with running(tcp_port(kind, "127.0.0.1", daemon.port)) as rig:
            await rig.all_there()
            with without_spinning():
                await daemon.kill()
                await asyncio.sleep(3)
            assert 3 < rig.session.reconnects < 30
            assert rig.faults == [LinkFault.LOST, LinkFault.REFUSED]
            await soon(daemon.start())
            begin = time.monotonic()
            await until(lambda: rig.statuses[-1] == CONNECTED)
            assert time.monotonic() - begin < 1
            await rig.all_there()
            assert rig.statuses.count(CONNECTED) == 2
    finally:
        await daemon.kill()


@pytest.mark.usefixtures("tenfold")
async def test_a_wrong_bit_rate_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(can_thread, "_ERRORS_FOR", 0.3)
    async with (
        serve("socketcand", four_packs(), bitrate=250_000) as server,
        running(port_of("socketcand", server.url)) as rig,
    ):
        await until(lambda: rig.faults)
        await asyncio.sleep(3)
        assert rig.faults == [LinkFault.BUS_ERRORS]
        assert rig.statuses[-1].state is LinkState.DOWN
        assert rig.session.reconnects > 1
        assert rig.line.counts.errors > 100


def test_to_look_for_an_interface_is_cheap() -> None:
    for fault in (LinkFault.NO_SUCH_INTERFACE, LinkFault.INTERFACE_DOWN):
        assert _pause(fault, 3600) == _pause(LinkFault.NO_SUCH_PORT, 3600) < 10
    assert _pause(LinkFault.BUS_ERRORS, 3600) == 60
