"""Actions, and changes that belong together, on a line that works and on one that does not."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final

import pytest

from custom_components.jkbms.protocol.commands import SetClock, StartEmergency
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.settings_job import SettingsReport, Transaction
from custom_components.jkbms.protocol.station import Settled
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change, Wish
from simulator import Bank, TcpServer, Writing, serve_tcp

from ..simulator import ack
from .peers import RecordingLine, four_packs
from .rig import Rig, running

pytestmark = pytest.mark.simulated_time

NOON: Final = datetime(2026, 7, 1, 12, 0, 0)
EPOCH: Final = datetime(2020, 1, 1)
UNREACHED: Final = [(Outcome.UNREACHABLE, None)] * 2


def both(ovp: float = 3.6, uvp: float = 2.6) -> Transaction:
    """Changes of two settings of one pack."""
    wishes: dict[str, Wish] = {"cell_ovp": ovp, "cell_uvp": uvp}
    return Transaction(tuple(Change(1, BY_KEY[k], v) for k, v in wishes.items()))


def ends(report: SettingsReport) -> list[tuple[Outcome | None, bool | None]]:
    """How each change ended, and whether it was put back."""
    return [(result.outcome, result.rolled_back) for result in report.results]


def kept(bank: Bank) -> tuple[int, int]:
    """What the pack is set to."""
    return bank[1].number_of("cell_ovp"), bank[1].number_of("cell_uvp")


async def test_a_clock_is_set_and_proven() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        result = await rig.session.write(SetClock(1, NOON, rig.loop.time()))
        assert result.outcome is Outcome.PROVEN
        gone = line.bank[1].number_of("rtc") - (NOON - EPOCH).total_seconds()
        assert 0 <= gone <= 2
        assert line.bank.dangerous == []


async def test_an_emergency_start_and_a_change_do_not_disturb_each_other() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        started, changed = await asyncio.gather(
            rig.session.write(StartEmergency(1)), rig.write(1, "cell_ovp", 3.6)
        )
        assert started == WriteResult(Outcome.PROVEN, 0, 1800)
        assert (changed.outcome, changed.found) == (Outcome.PROVEN, 3.6)


async def test_an_action_that_is_ignored_is_told() -> None:
    line = four_packs()
    line.bank[1].writing = Writing.IGNORE
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        result = await rig.session.write(SetClock(1, NOON, rig.loop.time()))
        assert result.outcome is Outcome.IGNORED


async def test_changes_that_belong_together_are_made_and_proven() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        other, report = await asyncio.gather(
            rig.write(1, "balancer", False), rig.session.settle(both())
        )
        assert other.outcome is Outcome.PROVEN
        assert report.proven
        assert [result.found for result in report.results] == [3.6, 2.6]
        assert kept(line.bank) == (3600, 2600)


async def test_changes_that_break_a_rule_are_not_begun() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        report = await rig.session.settle(both(ovp=2.0, uvp=3.0))
        assert report.violations
        assert ends(report) == [(None, None)] * 2
        assert line.bank[1].journal == []


async def write_begun(line_bank: Bank) -> None:
    """Wait until the first of the changes has reached the pack."""
    async with asyncio.timeout(10):
        while not line_bank[1].journal:
            await asyncio.sleep(0.001)


async def test_who_is_cancelled_while_waiting_has_all_put_back() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        before = kept(line.bank)
        settling = asyncio.create_task(rig.session.settle(both()))
        await write_begun(line.bank)
        assert kept(line.bank) != before
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
        await rig.wait(lambda: any(isinstance(e, Settled) for e in rig.events))
        assert kept(line.bank) == before
        assert len(line.bank[1].journal) == 2
        [settled] = [e for e in rig.events if isinstance(e, Settled)]
        assert sorted(map(str, ends(settled.report))) == sorted(
            map(str, [(Outcome.PROVEN, True), (None, None)])
        )
        # And the line is free for others.
        assert (await rig.session.settle(both(3.61, 2.61))).proven


async def test_who_is_cancelled_before_anything_was_written_writes_nothing() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        settling = asyncio.create_task(rig.session.settle(both()))
        await asyncio.sleep(0)
        settling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await settling
        await rig.wait(lambda: any(isinstance(e, Settled) for e in rig.events))
        assert line.bank[1].journal == []
        assert (await rig.session.settle(both())).proven


async def test_an_outage_in_between_tells_what_is_not_known_any_more() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        settling = asyncio.create_task(rig.session.settle(both()))
        await write_begun(line.bank)
        server.drop_clients()
        report = await settling
        assert not report.proven
        assert len(report.left_changed) == 1
        assert {result.outcome for result in report.results} == {
            Outcome.UNPROVEN,
            None,
        }


async def down(rig: Rig, server: TcpServer) -> None:
    """Have the line go."""
    await rig.heard(1)
    await server.stop()
    await rig.wait(lambda: rig.faults)


async def test_where_the_line_is_down_nothing_is_reached() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await down(rig, server)
        assert ends(await rig.session.settle(both())) == UNREACHED
        clock = SetClock(1, NOON, rig.loop.time())
        assert await rig.session.write(clock) == WriteResult(Outcome.UNREACHABLE)


async def test_where_another_master_asks_nothing_is_begun() -> None:
    line = RecordingLine(says=ack(0, 0x1620))
    async with serve_tcp(line) as server, running(server.url, [1]) as rig:
        await rig.wait(lambda: rig.master.yielded)
        heard = line.heard
        assert ends(await rig.session.settle(both())) == UNREACHED
        assert line.heard == heard


async def test_the_end_of_a_session_ends_the_waiting_and_leaves_no_timer() -> None:
    line = four_packs()
    async with serve_tcp(line) as server:
        rig = Rig(server.url, [1], 5)
        running_on = asyncio.create_task(rig.session.run())
        await rig.all_read()
        told = asyncio.create_task(rig.session.settle(both()))
        cancelled = asyncio.create_task(rig.session.settle(both(3.61, 2.61)))
        await asyncio.sleep(0)
        running_on.cancel()
        with suppress(asyncio.CancelledError):
            await running_on
        # What is told and what is cancelled at once must not start the machine again.
        cancelled.cancel()
        assert ends(await told) == UNREACHED
        with suppress(asyncio.CancelledError):
            await cancelled
        events = len(rig.events)
        await asyncio.sleep(60)
        assert len(rig.events) == events
        assert line.bank[1].journal == []
