"""Hours of buses with faults of every kind: a short form of scripts/soak."""

import asyncio
from collections.abc import Callable
import gc
from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol import stream
from custom_components.jkbms.protocol.can.station import CanStation
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.station import Station
from custom_components.jkbms.transport.session import Session
from scripts.lib.simulated_loop import SimulatedLoop
from scripts.lib.soak.__main__ import failures, soak, table
from scripts.lib.soak.buses import PACKS, RIGS, MasterRig
from scripts.lib.soak.rig import DAY
from scripts.lib.soak.truth import Truth
from scripts.lib.soak.weather import MAKERS, OUTAGES, Weather
import simulator
from simulator import Bank
from simulator.faults import KINDS

_HOURS = 1 / 24
_LONG = {"master": 3 * _HOURS, "listener": 2 * _HOURS, "can": 2 * _HOURS}


@pytest.mark.parametrize("name", RIGS)
def test_hours_with_all_faults_leave_nothing_wrong_lost_or_grown(name: str) -> None:
    report = soak(name, days=_LONG[name], seed=6)
    assert list(failures(report)) == []
    assert report["packs"] == PACKS[name]
    assert report["calms"] >= 2
    assert len(report["faults"]) >= 3
    assert report["reconnects"] > 0
    assert report["compared"] > 400
    assert not [line for line in table([report]) if line.startswith("FAILED")]


def test_an_hour_of_packs_that_are_asked_every_five_seconds() -> None:
    report = soak("master", days=_HOURS, seed=6, packs=8, interval=5.0)
    assert list(failures(report)) == []
    assert report["calms"] >= 2
    assert report["compared"] > 2000


def test_every_fault_of_the_simulator_is_part_of_the_weather() -> None:
    # A pack that warns is no fault: its alarms are compared like everything it says.
    assert MAKERS.keys() | {*OUTAGES, "alarm"} == KINDS.keys()
    bank = Bank.default(range(16), still=True)
    for kind, maker in MAKERS.items():
        assert maker(Random(1), bank.addresses).kind == kind


def test_the_weather_leaves_the_bank_as_it_was() -> None:
    bank = Bank.default(range(16), still=True)
    packs = list(bank)
    weather = Weather(seed=1, kinds=("duplicate", "readdress", "writes"))
    weather.attach(bank, Random(1))
    worst = 0
    now = 0.0
    while worst < 3:
        now += 600
        weather.turn(now)
        worst = max(worst, len(weather.active))
        weather.emit(now)
    weather.clear_up(now)
    assert list(bank) == packs
    assert bank.addresses == [*range(16)]
    assert len({pack.writing for pack in bank}) == 1


def failing(name: str, seed: int = 5, days: float = 2 * _HOURS) -> str:
    return "; ".join(failures(soak(name, days=days, seed=seed)))


def test_a_state_that_believes_anything_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BmsState, "_believes", lambda *_, **__: True)
    monkeypatch.setattr(stream, "sum8", lambda frame: frame[-1])
    assert "wrong" in failing("listener", seed=3, days=_HOURS)


@pytest.mark.parametrize(
    ("key", "off", "told"),
    [
        ("power_tube_temperature", 0.1, "close"),
        ("power_tube_temperature", 0.2, "wrong"),
        ("cell_voltage_3", 0.002, "close"),
        ("cell_voltage_3", -0.004, "wrong"),
        ("max_cell_voltage", -0.002, "close"),
        ("min_cell_voltage", 0.004, "wrong"),
        ("total_runtime", 1, "close"),
        ("total_runtime", 2, "wrong"),
        ("current", 0.001, "wrong"),
        ("mos_temperature_mirror", 9.0, "raw"),
    ],
)
def test_a_value_may_be_off_by_what_a_pack_tells_in_two_ways(
    key: str, off: float, told: str
) -> None:
    pack = Bank.default(range(1), still=True).packs[0]
    frame = pack.frame(simulator.Block.LIVE)
    state, truth = BmsState(), Truth(allowed=10.0)
    assert state.take_frame(Frame(frame), Block.LIVE, 0.0) is not None
    truth.note(0.0, 0, frame, Block.LIVE)
    assert truth.check(state, 0, Block.LIVE, 1.0) is None
    # As after two bytes that make up for each other in the sum.
    state.frames[Block.LIVE] = frame[:200] + bytes([frame[200] ^ 1]) + frame[201:]
    value = state.values[key]
    assert isinstance(value, int | float)
    state.values[key] = value + off
    wrong = truth.check(state, 0, Block.LIVE, 2.0)
    assert (wrong is not None) is (told == "wrong")
    assert (truth.close, truth.wrong_raw) == (told == "close", told == "raw")


def test_wrong_values_from_can_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    publish = CanStation._publish  # noqa: SLF001  # the last step before a value is shown

    def off_by_one(self: CanStation, values: dict[str, Any], now: float) -> Any:
        return publish(self, values | {"state_of_charge": 101}, now)

    monkeypatch.setattr(CanStation, "_publish", off_by_one)
    assert "wrong" in failing("can", days=0.3 * _HOURS)


def test_a_pack_that_does_not_come_back_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Station, "gone_at", lambda _: 0.0)
    assert "lost" in failing("master", days=_HOURS)


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        (lambda kept: kept.append([object() for _ in range(5000)]), "blocks"),
        (lambda kept: kept.append(asyncio.ensure_future(asyncio.sleep(DAY))), "tasks"),
    ],
)
def test_what_grows_is_noticed(
    leak: Callable[[list[Any]], None], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []
    received = Session._received  # noqa: SLF001  # called for everything that is heard

    def leaking(self: Session[Any], data: Any) -> None:
        if not len(kept) % 2 or len(kept) < 60:
            leak(kept)
        received(self, data)

    monkeypatch.setattr(Session, "_received", leaking)
    assert f"{told} more" in failing("master", days=0.1 * _HOURS)
    kept.clear()
    gc.collect()


def test_an_exception_in_a_callback_is_noticed() -> None:
    async def run() -> dict[str, Any]:
        rig = MasterRig(packs=2, seed=1)
        asyncio.get_running_loop().call_later(60, lambda: 1 / 0)
        return await rig.run(0.1 * _HOURS)

    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(grace=0.0)) as runner:
        report = runner.run(run())
    assert any("ZeroDivisionError" in failure for failure in failures(report))
