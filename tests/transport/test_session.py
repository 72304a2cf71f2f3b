"""A session on a line that works: values, changes, an end without remains."""

import asyncio
import logging
from pathlib import Path
from typing import Final

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import CELL_VOLTAGES, SERIAL_NUMBER
from custom_components.jkbms.protocol.station import Availability, ForeignMaster
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.session import LinkState, LinkStatus
from simulator import Bank, SlaveLine, Speed, Writing, parse_fault, serve_pty, serve_tcp

from ..simulator import ack
from .peers import Ears, RecordingLine, four_packs, soon, until
from .rfc2217 import Rfc2217Server
from .rig import Rig, running

pytestmark = pytest.mark.simulated_time

CONNECTED: Final = LinkStatus(LinkState.CONNECTED)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_every_block_of_every_pack_is_read_at_once(kind: str) -> None:
    line = four_packs(Speed.WIRE)
    async with (
        serve_tcp(line) if kind == "tcp" else serve_pty(line) as server,
        running(server.url) as rig,
    ):
        assert await rig.heard(1, 2, 3, 4) < 2
        await rig.all_read()
        for address, station in rig.master.stations.items():
            pack = line.bank[address]
            assert station.available
            assert station.state.get(SERIAL_NUMBER) == pack.serial
            first = station.state.get(CELL_VOLTAGES[0])
            assert first == pack.number_of("cell_voltage_1") / 1000
        assert rig.statuses == [CONNECTED]
        assert rig.session.status == CONNECTED
        assert rig.session.reconnects == 0


async def test_values_come_at_the_pace_that_was_asked_for() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url, live=2) as rig:
        await rig.heard(1, 2, 3, 4)
        await asyncio.sleep(60)
        assert rig.master.stations[1].cycle == pytest.approx(2.0, abs=0.3)


async def test_a_server_after_rfc_2217_carries_a_bus() -> None:
    async with (
        Rfc2217Server(four_packs()) as server,
        running(server.url) as rig,
    ):
        await rig.heard(1, 2, 3, 4)


async def test_a_slow_rhythm_is_no_silence() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url, live=60) as rig:
        await rig.heard(1, 2, 3, 4)
        await asyncio.sleep(600)
        assert rig.statuses == [CONNECTED]
        assert [event for event in rig.availability if not event.available] == []


async def test_a_change_is_made_and_proven() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        before = line.bank[1].number_of("cell_ovp") / 1000
        result = await rig.write(1, "cell_ovp", 3.61)
        assert result == WriteResult(Outcome.PROVEN, before, 3.61)
        assert line.bank[1].number_of("cell_ovp") == 3610
        assert line.bank.dangerous == []


@pytest.mark.parametrize(
    ("writing", "outcome"),
    [
        (Writing.IGNORE, Outcome.IGNORED),
        (Writing.CLAMP, Outcome.CLAMPED),
        (Writing.REFUSE_REGISTER, Outcome.REFUSED_REGISTER),
        (Writing.REFUSE_VALUE, Outcome.REFUSED_VALUE),
    ],
)
async def test_what_a_pack_does_with_a_change_is_told(
    writing: Writing, outcome: Outcome
) -> None:
    line = four_packs()
    line.bank[2].writing = writing
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        await rig.all_read()
        before = rig.master.stations[2].state.values["max_charge_current"]
        # More than this model takes.
        result = await rig.write(2, "max_charge_current", 500)
        assert result.outcome is outcome
        assert result.before == before
        assert (result.found == before) is (outcome is not Outcome.CLAMPED)


async def test_changes_of_several_packs_and_of_one_are_all_made() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        results = await asyncio.gather(
            rig.write(1, "cell_ovp", 3.6),
            rig.write(1, "cell_uvp", 2.6),
            rig.write(2, "cell_ovp", 3.62),
            rig.write(3, "balancer", False),
        )
        assert {result.outcome for result in results} == {Outcome.PROVEN}


async def test_a_change_of_a_pack_that_is_gone_reaches_nobody() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        line.bank[3].present = False
        result = await rig.write(3, "cell_ovp", 3.6)
        assert result == WriteResult(Outcome.UNREACHABLE)


async def test_a_change_that_nobody_waits_for_any_more_is_made_all_the_same() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        writing = asyncio.create_task(rig.write(1, "cell_ovp", 3.6))
        await asyncio.sleep(0)
        writing.cancel()
        await rig.wait(lambda: line.bank[1].number_of("cell_ovp") == 3600)
        await asyncio.sleep(5)
        assert (await rig.write(1, "cell_uvp", 2.6)).outcome is Outcome.PROVEN


async def test_a_change_is_refused_where_another_master_asks() -> None:
    line = RecordingLine(says=ack(0, 0x1620))
    async with serve_tcp(line) as server, running(server.url, [1]) as rig:
        await rig.wait(lambda: rig.master.yielded)
        assert await rig.write(1, "cell_ovp", 3.6) == WriteResult(Outcome.UNREACHABLE)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_where_another_master_asks_not_one_more_byte_is_sent(kind: str) -> None:
    line = RecordingLine(says=ack(0, 0x1620))
    async with (
        serve_tcp(line) if kind == "tcp" else serve_pty(line) as server,
        running(server.url) as rig,
    ):
        await rig.wait(lambda: rig.master.yielded)
        await asyncio.sleep(0.1)
        sent = line.heard
        await asyncio.sleep(120)
        assert line.heard == sent
        assert len(sent) <= 11
        assert [e for e in rig.events if isinstance(e, ForeignMaster)]
        # Listening to another master's silence is no fault of the line.
        assert rig.statuses == [CONNECTED]


async def test_a_line_without_packs_is_left_in_peace() -> None:
    line = RecordingLine()
    async with serve_tcp(line) as server, running(server.url, []) as rig:
        await asyncio.sleep(120)
        assert line.heard == b""
        assert rig.statuses == [CONNECTED]


async def test_the_first_attempt_is_waited_for() -> None:
    async with serve_tcp(four_packs()) as server, running(server.url) as rig:
        await soon(rig.session.opened())
        await soon(rig.session.opened())


async def test_a_first_attempt_that_fails_says_why(tmp_path: Path) -> None:
    async with running(str(tmp_path / "missing")) as rig:
        with pytest.raises(LinkError) as caught:
            await soon(rig.session.opened())
        assert caught.value.fault is LinkFault.NO_SUCH_PORT
        await rig.wait(lambda: rig.statuses)
        assert rig.states == [LinkState.DOWN]


async def test_who_waits_for_a_session_that_is_ended_is_told() -> None:
    async with serve_tcp(four_packs()) as server:
        rig = Rig(server.url, [1], 5)
        task = asyncio.create_task(rig.session.run())
        waiting = asyncio.create_task(rig.session.opened())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(LinkError):
            await soon(waiting)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await rig.write(1, "cell_ovp", 3.6) == WriteResult(Outcome.UNREACHABLE)


@pytest.mark.parametrize("kind", ["tcp", "pty"])
async def test_the_end_leaves_no_task_no_timer_and_no_lock(kind: str) -> None:
    line = four_packs()
    async with serve_tcp(line) if kind == "tcp" else serve_pty(line) as server:
        before = asyncio.all_tasks()
        async with running(server.url) as rig:
            await rig.heard(1, 2, 3, 4)
            writing = asyncio.create_task(rig.write(1, "cell_ovp", 3.6))
            await asyncio.sleep(0)
        assert (await writing).outcome is Outcome.UNREACHABLE
        assert asyncio.all_tasks() == before
        events = len(rig.events)
        ears = Ears()
        link = await ears.open(server.url)
        await asyncio.sleep(60)
        assert ears.data == b""
        await link.close()
        assert len(rig.events) == events
        assert rig.statuses == [CONNECTED, LinkStatus(LinkState.CLOSED)]


async def test_noise_and_echo_do_not_disturb_a_session() -> None:
    line = SlaveLine(
        Bank.default(still=True),
        speed=Speed.FAST,
        faults=[parse_fault("echo"), parse_fault("padding:before=3:after=5")],
    )
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        await asyncio.sleep(120)
        assert rig.statuses == [CONNECTED]
        assert not rig.master.yielded
        assert [event for event in rig.availability if not event.available] == []


async def test_one_pack_that_goes_is_told_once_and_one_that_returns_too() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.all_read()
        rig.events.clear()
        line.bank[2].present = False
        begin = rig.loop.time()
        await rig.wait(lambda: rig.availability)
        assert 25 < rig.loop.time() - begin <= 31
        await asyncio.sleep(60)
        assert rig.availability == [Availability(2, False)]
        line.bank[2].present = True
        begin = rig.loop.time()
        await rig.wait(lambda: len(rig.availability) == 2)
        assert rig.loop.time() - begin <= 10
        assert rig.availability[1] == Availability(2, True)
        assert rig.statuses == [CONNECTED]


@pytest.mark.filterwarnings("error")
async def test_the_event_loop_is_not_held_up(caplog: pytest.LogCaptureFixture) -> None:
    """What blocks the loop does so in every round; a busy machine does not."""
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.05
    caplog.set_level(logging.WARNING, "asyncio")
    rounds = []
    async with serve_tcp(four_packs()) as server:
        for _ in range(3):
            caplog.clear()
            async with running(server.url, live=1) as rig:
                await rig.heard(1, 2, 3, 4)
                assert (await rig.write(1, "cell_ovp", 3.6)).outcome is Outcome.PROVEN
                assert (await rig.write(1, "cell_ovp", 3.65)).outcome is Outcome.PROVEN
                await asyncio.sleep(20)
            rounds.append([record.message for record in caplog.records])
    assert [] in rounds


async def test_events_of_a_session_say_which_block_has_changed() -> None:
    line = four_packs()
    async with serve_tcp(line) as server, running(server.url) as rig:
        await rig.heard(1, 2, 3, 4)
        await asyncio.sleep(2)
        rig.events.clear()
        await rig.heard(1)
        line.bank[1].set("soc", 42)
        await until(
            lambda: rig.master.stations[1].state.values["state_of_charge"] == 42
        )
        assert rig.seen(Block.LIVE)
