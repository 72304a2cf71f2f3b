"""A frame that is unlike the one before has to be said twice."""

from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.doubt import BELIEVED_AFTER
from custom_components.jkbms.protocol.fields import CURRENT, STATE_OF_CHARGE
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.state import BmsState, Update
from tests.captures import frames

from .bus import bus_of
from .helpers import frame_of, pack

_CAPTURES = {capture.id: capture.data[:300] for capture in frames()}


def take(state: BmsState, block: Block, now: float, **raw: Any) -> Update | None:
    return state.take_frame(frame_of(pack(**raw), block), block, now)


def believed(**raw: Any) -> BmsState:
    """Return the state of a BMS of which each block was read at 0 s."""
    state = BmsState()
    for block in Block:
        assert take(state, block, 0.0, **raw)
    return state


UNLIKE = [
    (Block.LIVE, {"alarms": 1 << 4}),
    (Block.LIVE, {"charge_mos": 0}),
    (Block.LIVE, {"current": 30_000}),
    (Block.LIVE, {"soc": 12}),
    (Block.LIVE, {"mos_temperature": 700}),
    (Block.LIVE, {"temperature_1": -2000}),
    (Block.LIVE, {"remaining_capacity": 20_000}),
    (Block.LIVE, {"full_capacity": 1_000}),
    (Block.LIVE, {"run_time": 60_000_000}),
    (Block.LIVE, {"rtc": 1}),
    (Block.LIVE, {"rtc": 0}),
    (Block.LIVE, {"charge_ocp_left": 60}),
    (Block.LIVE, {"log_count": 60_000}),
    (Block.SETTINGS, {"cell_ovp": 3_700}),
    (Block.SETTINGS, {"function_word": 0x0001}),
    (Block.DEVICE, {"software_version": b"19.27\0\0\0"}),
]


@pytest.mark.parametrize(("block", "raw"), UNLIKE, ids=lambda x: str(x))
def test_what_is_unlike_before_counts_when_it_is_said_again(
    block: Block, raw: dict[str, Any]
) -> None:
    state = believed()
    before = dict(state.values)
    assert take(state, block, 5.0, **raw) is None
    assert state.values == before
    assert state.waits_for(frame_of(pack(), block))
    assert state.rejected == {Implausible.UNCONFIRMED: 1}
    update = take(state, block, 5.2, **raw)
    assert update is not None
    assert update.changed
    assert not state.waits_for(frame_of(pack(), block))


@pytest.mark.parametrize(("block", "raw"), UNLIKE, ids=lambda x: str(x))
def test_what_was_said_once_is_never_shown(block: Block, raw: dict[str, Any]) -> None:
    state = believed()
    before = dict(state.values)
    assert take(state, block, 5.0, **raw) is None
    update = take(state, block, 5.2)
    assert update == Update(block, frozenset())
    assert state.values == before


def test_small_steps_need_no_second_frame() -> None:
    state = believed()
    current = int(1000 * (state.get(CURRENT) or 0))
    update = take(state, Block.LIVE, 5.0, current=current + 20_000, soc=56)
    assert update is not None
    assert state.get(STATE_OF_CHARGE) == 56


def test_a_countdown_needs_no_second_frame_to_go_down() -> None:
    state = believed(charge_ocp_left=60)
    assert take(state, Block.LIVE, 5.0, charge_ocp_left=20)
    assert take(state, Block.LIVE, 10.0, charge_ocp_left=40) is None


def test_a_countdown_that_older_boards_do_not_tell_is_no_doubt() -> None:
    state = BmsState()
    frame = Frame(_CAPTURES["syssi-24s-v10-cell"])
    for now in (0.0, 5.0):
        assert state.take_frame(frame, Block.LIVE, now)


def test_the_first_frame_of_a_block_is_believed() -> None:
    assert take(BmsState(), Block.LIVE, 0.0, alarms=1 << 4)


def test_counters_may_have_gone_far_in_a_long_silence() -> None:
    state = believed(run_time=1000, cycled_capacity=1_000, remaining_capacity=100_000)
    update = take(
        state,
        Block.LIVE,
        3600.0,
        run_time=4600,
        cycled_capacity=50_000,
        remaining_capacity=150_000,
    )
    assert update is not None


def test_a_bms_that_is_never_the_same_is_believed_and_known_for_it() -> None:
    state = believed()
    accepted = [
        take(state, Block.LIVE, 5.0 * n, discharge_current_correction=900 + n)
        is not None
        for n in range(1, 10)
    ]
    assert accepted[: BELIEVED_AFTER - 1] == [False] * (BELIEVED_AFTER - 1)
    assert all(accepted[BELIEVED_AFTER - 1 :])


def test_a_change_at_the_pack_is_shown_at_once_because_it_is_asked_again() -> None:
    bus = bus_of(1, live=5)
    bus.run(61)
    state = bus.master.stations[1].state
    bus.line.bank[1].set("alarms", 1 << 4)
    asked = len(bus.sent)
    while state.values["alarm_bitmask"] == 0:
        bus.run(0.1)
    assert state.values["problem"] is True
    assert state.rejected == {Implausible.UNCONFIRMED: 1}
    assert len(bus.sent) - asked <= 4
    station = bus.master.stations[1]
    assert station.counts.implausible == 0
    assert station.misses == 0


@pytest.mark.parametrize(
    ("capture", "block", "share"),
    [
        ("venus-bat3-settings", Block.SETTINGS, 0.0),
        ("venus-bat3-about", Block.DEVICE, 0.0),
        ("venus-bat3-status", Block.LIVE, 0.1),
    ],
)
def test_damage_that_the_sum_misses_is_seldom_believed(
    capture: str, block: Block, share: float
) -> None:
    """Of frames with 2 to 6 damaged bytes and a sum that fits by chance.

    Without doubt about two thirds were believed. What is left in live data are
    steps as small as real ones, and raw values that nobody is shown.
    """
    random = Random(7)
    good = _CAPTURES[capture]
    passed = 0
    for _ in range(400):
        state = BmsState()
        assert state.take_frame(Frame(good), block, 0.0)
        before = dict(state.values)
        damaged = bytearray(good)
        for _ in range(random.randint(2, 6)):
            damaged[random.randrange(6, 299)] = random.randrange(256)
        damaged[299] = sum8(bytes(damaged))
        state.take_frame(Frame(bytes(damaged)), block, 5.0)
        shown = {k for k in before if k not in ("device_runtime", "power_on_count")}
        passed += any(state.values[key] != before[key] for key in shown)
    assert passed <= share * 400
