"""A line that goes and comes back: how soon there are values again, and at what cost."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from custom_components.jkbms.protocol.frames import ReadRequest
from custom_components.jkbms.protocol.station import Availability
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.transport.link import Link, LinkFault
from custom_components.jkbms.transport.session import LinkState, LinkStatus
from scripts.lib.simulated_loop import SimulatedLoop
from simulator import Bank, SlaveLine, TcpServer, serve_pty, serve_tcp

from .peers import RecordingLine, Swallower, four_packs, until
from .rfc2217 import Rfc2217Server
from .rig import Rig, running

pytestmark = pytest.mark.simulated_time

CONNECTED: Final = LinkStatus(LinkState.CONNECTED)
ALL: Final = (1, 2, 3, 4)


class Attempts:
    """When a line was opened or tried to be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch the door of the session."""
        self._loop = asyncio.get_running_loop()
        self._open = Link.open
        self.times: list[float] = []
        monkeypatch.setattr(Link, "open", self._opened)

    async def _opened(self, *args: object) -> object:
        self.times.append(self._loop.time())
        return await self._open(*args)  # type: ignore[arg-type]  # passed on as it came

    @property
    def pauses(self) -> list[float]:
        """The time between two attempts."""
        return [b - a for a, b in pairwise(self.times)]


@pytest.fixture
async def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """When the session under test opened its line."""
    return Attempts(monkeypatch)


@pytest.mark.parametrize("length", [0, 5, 60, 75])
async def test_a_gateway_that_was_away_for_a_minute_gives_values_within_10_s(
    length: float,
) -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.all_read()
        rig.events.clear()
        await server.stop()
        await asyncio.sleep(length)
        assert not rig.seen()
        await server.start()
        assert await rig.heard(*ALL) < 10
        assert rig.states[0] is rig.states[-1] is LinkState.CONNECTED
        assert rig.faults[0] is LinkFault.LOST
        assert set(rig.faults[1:]) <= {LinkFault.REFUSED}
        assert rig.statuses.count(CONNECTED) == 2


@pytest.mark.parametrize("length", [30, 600])
async def test_an_adapter_that_is_plugged_in_again_gives_values_within_10_s(
    length: float, tmp_path: Path
) -> None:
    link = tmp_path / "usb-adapter"
    async with serve_pty(four_packs(), link) as server, running(server.url) as rig:
        await rig.all_read()
        rig.events.clear()
        await server.stop()
        await asyncio.sleep(length)
        assert not rig.seen()
        await server.start()
        assert await rig.heard(*ALL) < 10
        assert rig.faults == [LinkFault.LOST, LinkFault.NO_SUCH_PORT]
        assert rig.statuses.count(CONNECTED) == 2


async def test_packs_become_unavailable_with_their_line_and_return_with_it() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.all_read()
        rig.events.clear()
        await server.stop()
        begin = rig.loop.time()
        await rig.wait(lambda: len(rig.availability) == 4)
        assert 24 < rig.loop.time() - begin <= 31
        assert {(e.address, e.available) for e in rig.availability} == {
            (address, False) for address in ALL
        }
        rig.events.clear()
        await server.start()
        await rig.wait(lambda: len(rig.availability) == 4)
        assert {(e.address, e.available) for e in rig.availability} == {
            (address, True) for address in ALL
        }


async def test_a_short_outage_makes_no_pack_unavailable() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.all_read()
        rig.events.clear()
        server.drop_clients()
        await rig.heard(*ALL)
        assert rig.availability == []


async def test_the_wait_grows_to_an_eighth_of_the_outage_and_to_a_minute(
    attempts: Attempts,
) -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        await server.stop()
        lost = rig.loop.time()
        await asyncio.sleep(3600)
        tries = [time for time in attempts.times if time > lost]
        for before, after in pairwise(tries):
            wanted = min(60.0, max(1.0, (before - lost) / 8))
            assert after - before == pytest.approx(wanted, abs=0.2)
        assert tries[0] - lost == pytest.approx(1.0, abs=0.1)
        assert len(tries) < 100
        assert rig.session.reconnects == len(tries)
        assert rig.faults == [LinkFault.LOST, LinkFault.REFUSED]


async def test_a_missing_port_is_looked_for_every_5_s(
    attempts: Attempts, tmp_path: Path
) -> None:
    async with running(str(tmp_path / "missing")) as rig:
        await asyncio.sleep(300)
        assert attempts.pauses[0] == pytest.approx(1.0, abs=0.1)
        assert attempts.pauses[-1] == pytest.approx(5.0, abs=0.1)
        assert max(attempts.pauses) < 5.2
        assert rig.states == [LinkState.DOWN]


async def test_a_gateway_that_hangs_up_at_once_is_not_back_each_time(
    attempts: Attempts,
) -> None:
    async with Swallower(hang_up=True) as gateway, running(gateway.url) as rig:
        await asyncio.sleep(1200)
        # It was open once, before it was known what it is worth.
        assert rig.states == [LinkState.CONNECTED, LinkState.DOWN]
        assert rig.faults == [LinkFault.LOST]
        assert attempts.pauses[-1] > 50


async def silence(server: TcpServer, rig: Rig) -> float:
    """Wait until a line that was silenced counts as such, and return how long it took."""
    await rig.all_read()
    begin = rig.loop.time()
    server.go_silent()
    await rig.wait(lambda: LinkFault.SILENT in rig.faults)
    return rig.loop.time() - begin


async def test_a_gateway_that_is_connected_but_silent_is_opened_anew() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        assert 30 <= await silence(server, rig) <= 36
        first = rig.session.reconnects
        await asyncio.sleep(300)
        # Opened anew each time, and told once.
        assert 8 <= rig.session.reconnects - first <= 10
        assert rig.states == [LinkState.CONNECTED, LinkState.DOWN]
        assert server.clients == 1
        rig.events.clear()
        server.speak()
        assert await rig.heard(*ALL) < 10
        assert rig.states == [
            LinkState.CONNECTED,
            LinkState.DOWN,
            LinkState.CONNECTED,
        ]


async def test_packs_that_slept_for_long_are_heard_as_soon_as_they_wake() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        for pack in line.bank:
            pack.present = False
        await asyncio.sleep(1200)
        assert rig.session.status.fault is LinkFault.SILENT
        rig.events.clear()
        for pack in line.bank:
            pack.present = True
        assert await rig.heard(*ALL) < 12


async def test_silence_that_turns_into_refusal_is_told_apart() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await silence(server, rig)
        await server.stop()
        await rig.wait(lambda: LinkFault.REFUSED in rig.faults, 120)
        assert rig.faults == [LinkFault.SILENT, LinkFault.REFUSED]


async def test_a_line_that_was_never_heard_is_silent_after_half_a_minute() -> None:
    line = RecordingLine()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await asyncio.sleep(29)
        assert rig.statuses == [CONNECTED]
        await asyncio.sleep(3)
        assert rig.faults == [LinkFault.SILENT]


async def test_a_line_ends_for_one_reason_at_a_time() -> None:
    async with serve_tcp(RecordingLine()) as server, running(server.url) as rig:
        await rig.wait(lambda: rig.statuses)
        loop = rig.loop
        assert isinstance(loop, SimulatedLoop)
        loop.skip(31)
        rig.session.advance()
        rig.session.advance()
        await rig.wait(lambda: len(rig.statuses) > 1)
        assert rig.faults == [LinkFault.SILENT]


async def test_nothing_is_sent_and_nothing_is_busy_while_the_line_is_down(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        await server.stop()
        await asyncio.sleep(60)
        advanced = 0
        advance = rig.master.advance

        def count(now: float, data: bytes = b"") -> object:
            nonlocal advanced
            advanced += 1
            return advance(now, data)

        monkeypatch.setattr(rig.master, "advance", count)
        before = len(attempts.times)
        await asyncio.sleep(600)
        tries = len(attempts.times) - before
        assert tries <= 30
        assert advanced <= tries + 4


async def test_a_change_while_the_line_is_down_reaches_nobody() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        await server.stop()
        await rig.wait(lambda: rig.faults)
        result = await rig.write(1, "cell_ovp", 3.6)
        assert result.outcome is Outcome.UNREACHABLE


async def test_a_change_cut_before_it_was_written_reached_nobody() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        server.go_silent()
        writing = asyncio.create_task(rig.write(1, "cell_ovp", 3.6))
        await asyncio.sleep(0)
        server.drop_clients()
        assert (await writing).outcome is Outcome.UNREACHABLE
        assert line.bank[1].journal == []


async def test_a_change_cut_after_it_was_written_is_unproven() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        writing = asyncio.create_task(rig.write(1, "cell_ovp", 3.6))
        await until(lambda: line.bank[1].journal, look=0.001)
        server.drop_clients()
        assert (await writing).outcome is Outcome.UNPROVEN
        # After the outage it can be made, or is found made.
        await rig.heard(*ALL)
        assert (await rig.write(1, "cell_ovp", 3.6)).outcome is Outcome.PROVEN


async def test_a_server_after_rfc_2217_that_hangs_up_is_opened_again() -> None:
    async with Rfc2217Server(four_packs()) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        server.drop_clients()
        rig.events.clear()
        assert await rig.heard(*ALL) < 10
        assert rig.faults == [LinkFault.LOST]


async def test_an_outage_while_another_master_asks_ends_in_listening() -> None:
    other = ReadRequest(2, 0x1290, 2).encode()
    line = RecordingLine(says=other)
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.wait(lambda: rig.master.yielded)
        heard = line.heard
        await server.stop()
        await rig.wait(lambda: rig.faults)
        await server.start()
        await rig.wait(lambda: rig.statuses[-1] == CONNECTED)
        await asyncio.sleep(60)
        assert line.heard == heard


async def test_an_echo_that_outlives_the_connection_is_no_other_master() -> None:
    """A gateway hands to the next client what the last one did not fetch."""

    class Backlog(SlaveLine):
        """A line whose last request is heard again by whoever connects next."""

        last = b""

        def receive(self, data: bytes, now: float) -> None:
            self.last = data
            super().receive(data, now)

    line = Backlog(Bank.default(still=True))
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(*ALL)
        echo = line.last
        server.drop_clients()
        await rig.wait(lambda: rig.faults)
        await rig.wait(lambda: server.clients)
        rig.session.advance(echo)
        await rig.heard(*ALL)
        assert not rig.master.yielded


async def test_availability_is_told_in_pairs() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url, [1]) as rig:
        await rig.all_read()
        for _ in range(2):
            await server.stop()
            await asyncio.sleep(40)
            await server.start()
            await rig.wait(lambda: rig.master.stations[1].available)
        assert rig.availability == [
            Availability(1, up) for up in (True, False, True, False, True)
        ]
