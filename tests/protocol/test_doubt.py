"""A frame that is unlike the one before has to be said twice."""

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.attribution import Attributed, Attributor
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block
from custom_components.jkbms.protocol.doubt import BELIEVED_AFTER, power_fits
from custom_components.jkbms.protocol.fields import CURRENT, STATE_OF_CHARGE
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.state import BmsState, Update
from tests.captures import Capture, bus_streams, frames

from .bus import bus_of
from .helpers import frame_of, framed, pack

_CAPTURES = {capture.id: capture.data[:300] for capture in frames()}


def take(
    state: BmsState, block: Block, now: float, *, noisy: bool = False, **raw: Any
) -> Update | None:
    return state.take_frame(frame_of(pack(**raw), block), block, now, noisy=noisy)


def believed(**raw: Any) -> BmsState:
    """Return the state of a BMS of which each block was read at 0 s.

    From here on a frame is first held against the raw values of the one before.
    """
    state = BmsState()
    for block in (*Block, Block.LIVE):
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


@pytest.mark.parametrize("start", [0.0, 1e6])
def test_a_counter_has_as_long_as_passed_since_the_frame_before(start: float) -> None:
    """However long this machine has been running."""
    state = BmsState()
    counts: dict[str, Any] = {"remaining_capacity": 100_000, "cycled_capacity": 1_000}
    assert take(state, Block.LIVE, start, run_time=1000, **counts)
    assert take(state, Block.LIVE, start + 1, run_time=1001, **counts)
    jump: dict[str, Any] = {
        "run_time": 1002,
        "remaining_capacity": 150_000,
        "cycled_capacity": 51_000,
    }
    assert take(state, Block.LIVE, start + 2, **jump) is None
    assert take(state, Block.LIVE, start + 3, run_time=1003, **counts)


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


def test_a_load_that_is_switched_is_shown_at_once() -> None:
    """Voltage times current is the power that is told: damage cannot do that."""
    state = believed()
    volts = pack().number_of("pack_voltage")
    power = volts * 90_000 // 1000
    assert take(state, Block.LIVE, 5.0, current=-90_000, power=power + 900) is None
    assert take(state, Block.LIVE, 5.2)
    assert take(state, Block.LIVE, 10.0, current=-90_000, power=power)
    assert state.get(CURRENT) == -90
    assert not power_fits({})


def test_a_balancer_that_turns_around_delays_nothing() -> None:
    state = believed(balancer_state=1, balance_current=2_000)
    turned: dict[str, Any] = {"balancer_state": 2, "balance_current": -2_000}
    assert take(state, Block.LIVE, 5.0, **turned)
    assert (
        take(state, Block.LIVE, 10.0, balancer_state=2, balance_current=2_000) is None
    )


def test_what_changes_as_it_likes_delays_nothing() -> None:
    state = believed()
    places = (276, 230, 172)
    for now, place in enumerate(places, 1):
        frame = bytearray(frame_of(pack(), Block.LIVE).data)
        frame[place] ^= 3
        frame[299] = sum8(bytes(frame))
        assert state.take_frame(Frame(bytes(frame)), Block.LIVE, now)


SMALL: list[dict[str, Any]] = [
    {"cell_voltage_3": 4},
    {"cell_voltage_3": 3, "cell_voltage_7": -3},
    {"wire_resistance_5": 1},
    {"pack_voltage": 20},
    {"pack_voltage_coarse": 2},
    {"average_cell_voltage": 3},
    {"cell_voltage_difference": 7},
    {"lowest_cell": 40},
    {"power": 2_000},
    {"current": 2_000},
    {"remaining_capacity": 60_000 // 256},
    {"cycled_capacity": 300},
    {"soc": 2},
    {"cycles": 1},
    {"mos_temperature": 4},
    {"temperature_1": 7},
    {"temperature_5": -7},
    {"run_time": 9},
    {"ticks": 20},
    {"rtc": 3},
    {"balance_current": 60},
    {"balancer_state": 1},
    {"heater_current": 60},
    {"charge_sense_voltage": 30},
    {"log_count": 1},
    {"sleep_countdown": -40},
    {"phase_time": 9},
    {"charge_pwm": 5},
    {"discharge_mos": 2},
]


def moved(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the raw values of a resting pack after these steps."""
    still = pack()
    return {name: still.number_of(name) + step for name, step in raw.items()}


@pytest.mark.parametrize("raw", SMALL, ids=str)
def test_a_small_step_is_said_twice_on_a_line_that_damages_bytes(
    raw: dict[str, int],
) -> None:
    """Each is one or two damaged bytes that any single value may well have."""
    state = believed()
    before = dict(state.values)
    after = moved(raw)
    assert take(state, Block.LIVE, 1.0, noisy=True, **after) is None
    assert state.values == before
    assert state.waits_for(frame_of(pack(), Block.LIVE))
    assert take(believed(), Block.LIVE, 1.0, **after), "a good line delays nothing"
    if "power" not in raw and "current" not in raw and raw.keys().isdisjoint(_TORN):
        assert take(state, Block.LIVE, 2.0, noisy=True, **after)


_TORN = {"pack_voltage", "pack_voltage_coarse", "lowest_cell", "soc", "balancer_state"}
"""What does not fit to itself is not better when it is said twice."""


@pytest.mark.parametrize("place", [5, 40, 120, 284])
def test_bytes_that_nobody_reads_tell_of_damage(place: int) -> None:
    """The counter, the places of cells that are not there, what is reserved."""
    state = believed()
    frame = bytearray(frame_of(pack(), Block.LIVE).data)
    frame[place] ^= 0x40
    frame[299] = sum8(bytes(frame))
    assert state.take_frame(Frame(bytes(frame)), Block.LIVE, 1.0, noisy=True) is None
    assert state.take_frame(Frame(bytes(frame)), Block.LIVE, 2.0, noisy=True)


def test_a_change_that_fits_to_itself_is_shown_at_once() -> None:
    state = believed()
    assert take(state, Block.LIVE, 1.0, noisy=True)
    for now, (told, amperes) in enumerate([(1, 1900), (2, -1900), (0, 0)], 2):
        update = take(
            state,
            Block.LIVE,
            float(now),
            noisy=True,
            balancer_state=told,
            balance_current=amperes,
        )
        assert update is not None
    volts = pack().number_of("pack_voltage")
    load: dict[str, Any] = {
        "current": -9_000,
        "power": volts * 9,
        "discharge_sense_voltage": 40,
    }
    assert take(state, Block.LIVE, 6.0, noisy=True, **load)
    assert state.get(CURRENT) == -9


def test_a_countdown_goes_on_at_its_pace() -> None:
    state = believed(charge_ocp_left=60)
    assert take(state, Block.LIVE, 3.0, noisy=True, charge_ocp_left=57)
    assert take(state, Block.LIVE, 4.0, noisy=True, charge_ocp_left=20) is None
    assert take(state, Block.LIVE, 5.0, noisy=True, charge_ocp_left=55)


def test_a_count_that_nothing_else_tells_is_said_twice() -> None:
    state = believed()
    before = state.values["power_on_count"]
    assert take(state, Block.DEVICE, 1.0, noisy=True, power_on_count=77) is None
    assert state.values["power_on_count"] == before
    assert take(state, Block.DEVICE, 2.0, noisy=True)
    assert take(state, Block.DEVICE, 3.0, power_on_count=77)
    assert take(state, Block.SETTINGS, 4.0, noisy=True)


def test_a_bms_that_has_learnt_no_capacity_is_not_doubted_for_it() -> None:
    state = believed(full_capacity=0)
    assert take(state, Block.LIVE, 1.0, noisy=True, full_capacity=0)


def test_cells_that_come_and_go_are_not_compared() -> None:
    lost: dict[str, Any] = {"cell_presence": 0x7FFF, "alarms": 1 << 2}
    state = believed()
    assert take(state, Block.LIVE, 1.0, noisy=True, **lost) is None
    assert take(state, Block.LIVE, 2.0, noisy=True, **lost)
    assert state.values["cell_voltage_16"] is None


def test_a_rule_that_a_bms_never_keeps_is_forgotten() -> None:
    """Its power belongs to another moment than its current, always."""
    state = believed()
    accepted = []
    for n in range(1, 9):
        raw: dict[str, Any] = {"current": 1_000 * n, "power": 3_000}
        accepted.append(take(state, Block.LIVE, 5.0 * n, noisy=True, **raw) is not None)
    assert accepted == [n >= BELIEVED_AFTER for n in range(1, 9)]


@pytest.mark.parametrize("block", list(Block))
def test_the_first_frame_is_said_twice_on_a_line_that_damages_bytes(
    block: Block,
) -> None:
    state = BmsState()
    assert take(state, block, 0.0, noisy=True) is None
    assert state.values == {}
    assert state.waits_for(frame_of(pack(), block))
    assert take(state, block, 5.0, noisy=True)


def test_a_first_frame_that_is_not_confirmed_is_never_shown() -> None:
    state = BmsState()
    assert take(state, Block.LIVE, 0.0, noisy=True, soh=60) is None
    assert take(state, Block.LIVE, 5.0, noisy=True) is None
    assert take(state, Block.LIVE, 10.0, noisy=True)
    assert state.values["state_of_health"] == 100
    # What waited when the line became good is asked for the same.
    late = BmsState()
    assert take(late, Block.LIVE, 0.0, noisy=True, soh=60) is None
    assert take(late, Block.LIVE, 5.0) is None
    assert take(late, Block.LIVE, 10.0)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("stream", bus_streams(), ids=lambda stream: stream.id)
def test_real_packs_are_hardly_ever_doubted(stream: Capture, noisy: bool) -> None:
    """Beyond first frames and switched switches nothing of a real bus is held back.

    Bus 103005 switches in every frame of pack 7; the reserved byte of phinix-bus-full
    changes in every other one.
    """
    states: dict[int, BmsState] = defaultdict(BmsState)
    doubted = heard = 0
    now = 0.0
    for item in Attributor().feed(framed(stream.data)):
        if not isinstance(item, Attributed) or item.address is None:
            continue
        block, state = BLOCK_OF_TYPE[item.frame.type], states[item.address]
        if block is Block.LIVE:
            now = int.from_bytes(item.frame.data[246:250], "little") / 10
        heard += 1
        first = block not in state.seen
        if state.take_frame(item.frame, block, now, noisy=noisy) is None and not first:
            doubted += 1
    switched = {"mpp-bus-102915": 2, "mpp-bus-103005": 4, "mpp-bus-103114": 1}
    allowed = switched.get(stream.id, 0) + (noisy and heard > 40) * 2
    assert doubted <= allowed


@pytest.mark.parametrize("capture", frames(), ids=lambda capture: capture.id)
def test_what_each_real_bms_says_twice_is_believed(capture: Capture) -> None:
    """Whatever generation: two frames alike are enough on the worst line."""
    block = BLOCK_OF_TYPE.get(capture.data[4])
    state = BmsState()
    frame = Frame(capture.data[:300])
    if block is None or state.plausible(frame, block) is None:
        assert block is None or state.take_frame(frame, block, 0.0) is None
        return
    taken = [
        state.take_frame(frame, block, now, noisy=True) is not None
        for now in (0.0, 1.0, 2.0, 3.0, 4.0)
    ]
    assert any(taken[: BELIEVED_AFTER + 1])
    assert taken[-1]


@pytest.mark.parametrize(
    ("capture", "block", "share"),
    [
        ("venus-bat3-settings", Block.SETTINGS, 0.0),
        ("venus-bat3-about", Block.DEVICE, 0.0),
        ("venus-bat3-status", Block.LIVE, 0.1),
        ("venus-bat3-status", None, 0.0),
    ],
)
def test_damage_that_the_sum_misses_is_seldom_believed(
    capture: str, block: Block | None, share: float
) -> None:
    """Of frames with 2 to 6 damaged bytes and a sum that fits by chance.

    Without doubt about two thirds were believed. What is left in live data are
    steps as small as real ones, and raw values that nobody is shown; on a line that
    is known to damage bytes (no block) not even those.
    """
    noisy, block = block is None, block or Block.LIVE
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
        state.take_frame(Frame(bytes(damaged)), block, 5.0, noisy=noisy)
        shown = {k for k in before if k not in ("device_runtime", "power_on_count")}
        passed += any(state.values[key] != before[key] for key in shown)
    assert passed <= share * 400


@pytest.mark.parametrize(
    "capture",
    [one for one in frames() if one.data[4] == 2 and one.checksum_ok],
    ids=lambda one: one.id,
)
def test_boards_of_all_kinds_are_looked_at_closely_on_a_noisy_line(
    capture: Capture,
) -> None:
    # The oldest boards tell no state of charge, and others lack probes.
    state = BmsState(layouts=frozenset(Layout))
    for now in (0.0, 1.0, 2.0):
        state.take_frame(Frame(capture.data[:300]), Block.LIVE, now, noisy=True)
    changed = bytearray(capture.data[:300])
    changed[6] ^= 1
    changed[-1] = sum8(bytes(changed))
    for now in (3.0, 4.0, 5.0):
        update = state.take_frame(Frame(bytes(changed)), Block.LIVE, now, noisy=True)
    assert state.frames[Block.LIVE] == bytes(changed)
    assert update is not None
