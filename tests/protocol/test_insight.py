"""What days of readings tell of a pack: hand-made days, and simulated ones."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.energy import with_followed
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.protocol.insight import INSIGHTS, OVER_TIME, Insight
from custom_components.jkbms.protocol.state import BmsState
from simulator import Pack, trios

from .helpers import frame_of, pack
from .insight_days import BERLIN, HOUR, NOON, Watcher, charge, full, top, values

# -- at rest --------------------------------------------------------------------------


def test_cells_are_compared_after_ten_minutes_of_rest_and_not_before() -> None:
    watcher = Watcher()
    watcher.hold(values(current=-40.0, delta_cell_voltage=0.03), 60)
    watcher.read(values())
    watcher.hold(values(), 590)
    assert watcher.get("rested_cell_spread") is None
    watcher.hold(values(), 10)
    assert watcher.get("rested_cell_spread") == 0.004
    measured = watcher.now.astimezone(UTC)
    assert watcher.detail("rested_cell_spread") == {
        "measured": measured,
        "state_of_charge": 50,
    }
    watcher.hold(values(delta_cell_voltage=0.003), 595)
    assert watcher.get("rested_cell_spread") == 0.004
    watcher.hold(values(delta_cell_voltage=0.003), 5)
    assert watcher.get("rested_cell_spread") == 0.003


@pytest.mark.parametrize(
    ("amperes", "rests"), [(0.56, True), (-0.56, True), (0.6, False), (-0.6, False)]
)
def test_rest_is_a_500th_of_the_capacity_either_way(
    amperes: float, rests: bool
) -> None:
    watcher = Watcher()
    watcher.hold(values(current=amperes), 700)
    assert (watcher.get("rested_cell_spread") is not None) is rests


def test_a_load_in_between_begins_the_rest_anew() -> None:
    watcher = Watcher()
    watcher.hold(values(), 500)
    watcher.read(values(current=-3.0))
    watcher.hold(values(), 595)
    assert watcher.get("rested_cell_spread") is None
    watcher.hold(values(), 10)
    assert watcher.get("rested_cell_spread") == 0.004


def test_nobody_knows_whether_a_pack_rested_in_a_gap() -> None:
    watcher = Watcher()
    watcher.hold(values(), 500)
    watcher.read(values(), 300.0)
    watcher.hold(values(), 595)
    assert watcher.get("rested_cell_spread") is None


def test_cells_are_not_compared_while_the_balancer_runs() -> None:
    watcher = Watcher()
    watcher.hold(values(balancing=True, delta_cell_voltage=0.13), 1200)
    assert watcher.get("rested_cell_spread") is None
    watcher.read(values())
    assert watcher.get("rested_cell_spread") == 0.004


def test_without_cells_there_is_nothing_to_compare() -> None:
    watcher = Watcher()
    watcher.hold(values(delta_cell_voltage=None), 700)
    assert watcher.get("rested_cell_spread") is None


# -- near full ------------------------------------------------------------------------


def test_the_difference_near_full_is_measured_at_once_and_then_every_minute() -> None:
    watcher = Watcher()
    watcher.read(values(current=50.0, average_cell_voltage=3.449))
    assert watcher.get("top_cell_spread") is None
    watcher.read(top(average_cell_voltage=3.45))
    assert watcher.get("top_cell_spread") == 0.05
    for n in range(1, 60):
        watcher.read(top(delta_cell_voltage=0.05 + n / 1000))
    assert watcher.get("top_cell_spread") == 0.098
    assert sum("top_cell_spread" in keys for keys in watcher.writes) == 5


def test_what_was_measured_near_full_stays_while_the_pack_is_used() -> None:
    watcher = Watcher()
    watcher.read(top())
    measured = watcher.now.astimezone(UTC)
    watcher.hold(values(current=-30.0, delta_cell_voltage=0.01), 1000)
    assert watcher.get("top_cell_spread") == 0.05
    assert watcher.detail("top_cell_spread")["measured"] == measured


def test_a_pack_that_is_discharged_from_full_is_not_near_full() -> None:
    watcher = Watcher()
    watcher.read(top(current=-10.0))
    assert watcher.get("top_cell_spread") is None
    watcher.read(top(current=-0.5))
    assert watcher.get("top_cell_spread") == 0.05


@pytest.mark.parametrize(
    ("ovp", "below", "above"),
    [(3.65, 3.44, 3.45), (4.2, 4.04, 4.05), (2.7, 2.54, 2.55)],
)
def test_near_full_depends_on_the_chemistry(
    ovp: float, below: float, above: float
) -> None:
    watcher = Watcher()
    watcher.read(top(cell_ovp=ovp, average_cell_voltage=below))
    assert watcher.get("top_cell_spread") is None
    watcher.read(top(cell_ovp=ovp, average_cell_voltage=above))
    assert watcher.get("top_cell_spread") == 0.05


def test_nothing_is_near_full_as_long_as_the_chemistry_is_unknown() -> None:
    watcher = Watcher()
    unknown = top()
    del unknown["cell_ovp"]
    watcher.hold(unknown, 30)
    assert watcher.get("top_cell_spread") is None
    watcher.read(top())
    assert watcher.get("top_cell_spread") == 0.05


def test_the_chemistry_stays_known_while_no_charger_is_asked_for_anything() -> None:
    on_can = top(requested_charge_voltage=57.6, cell_presence=0xFFFF)
    del on_can["cell_ovp"]
    watcher = Watcher()
    watcher.read(on_can)
    watcher.hold(on_can | {"requested_charge_voltage": 0.0}, 200)
    measured = watcher.detail("top_cell_spread")["measured"]
    assert watcher.now - measured < timedelta(minutes=1)


# -- the leading cell -----------------------------------------------------------------


def test_the_cell_that_got_highest_leads_a_charge() -> None:
    watcher = Watcher()
    charge(watcher, 3, 7)
    watcher.read(top(max_voltage_cell=9, max_cell_voltage=3.48))
    assert watcher.get("runaway_cell") == 7
    assert watcher.detail("runaway_cell") == {"led": 1, "charges": 1}


def test_the_cell_that_led_most_of_ten_charges_leads_and_of_several_the_latest() -> (
    None
):
    watcher = Watcher()
    for cell, shown in ((3, 3), (7, 7), (3, 3), (5, 3), (7, 7)):
        charge(watcher, cell)
        assert watcher.get("runaway_cell") == shown
    for _ in range(9):
        charge(watcher, 11)
    assert watcher.get("runaway_cell") == 11
    assert watcher.detail("runaway_cell") == {"led": 9, "charges": 10}


def test_a_charge_goes_on_until_the_state_of_charge_has_fallen_by_five_percent() -> (
    None
):
    watcher = Watcher()
    charge(watcher, 3)
    watcher.read(top(state_of_charge=100))
    watcher.read(values(state_of_charge=96))
    watcher.read(top(max_voltage_cell=5, max_cell_voltage=3.4))
    assert watcher.detail("runaway_cell")["charges"] == 1
    watcher.read(values(state_of_charge=95))
    watcher.read(top(max_voltage_cell=5, max_cell_voltage=3.4))
    assert watcher.detail("runaway_cell")["charges"] == 2


def test_a_charge_that_ends_lower_than_the_one_before_is_one_charge() -> None:
    watcher = Watcher()
    charge(watcher, 3)
    watcher.read(top(state_of_charge=100))
    watcher.read(values(state_of_charge=50))
    for soc, volts in ((93, 3.5), (94, 3.51), (95, 3.52)):
        watcher.read(top(state_of_charge=soc, max_cell_voltage=volts))
    assert watcher.detail("runaway_cell") == {"led": 1, "charges": 2}


def test_without_a_number_no_cell_leads() -> None:
    watcher = Watcher()
    watcher.read(top(max_voltage_cell=None))
    watcher.read(top(state_of_charge=None))
    watcher.read(top(max_cell_voltage=None))
    assert watcher.get("runaway_cell") is None


# -- balancing ------------------------------------------------------------------------


def test_the_time_in_which_the_balancer_ran_is_counted_in_minutes() -> None:
    watcher = Watcher()
    watcher.read(values())
    assert watcher.get("balancing_minutes_today") == 0
    watcher.hold(values(balancing=True), 600)
    watcher.hold(values(), 600)
    # Half of the first interval and half of the one behind the last.
    assert watcher.get("balancing_minutes_today") == 10
    assert sum("balancing_minutes_today" in keys for keys in watcher.writes) == 11


def test_a_gap_is_no_balancing() -> None:
    watcher = Watcher()
    watcher.hold(values(balancing=True), 65)
    assert watcher.get("balancing_minutes_today") == 1
    watcher.read(values(balancing=True), 3 * HOUR)
    assert watcher.get("balancing_minutes_today") == 1


def test_a_pack_that_does_not_tell_has_no_balancing_time() -> None:
    watcher = Watcher()
    watcher.hold(values(balancing=None), 60)
    assert watcher.get("balancing_minutes_today") is None


def test_what_is_not_told_in_between_is_not_counted() -> None:
    watcher = Watcher()
    for told in (True, None, True, None, True) * 50:
        watcher.read(values(balancing=told))
    # Only the interval from one round to the next has both ends.
    assert watcher.get("balancing_minutes_today") == 49 * 5 // 60


def test_a_day_begins_at_local_midnight() -> None:
    watcher = Watcher(now=datetime(2026, 7, 1, 23, 50, tzinfo=BERLIN))
    watcher.hold(values(balancing=True), 595)
    assert watcher.get("balancing_minutes_today") == 9
    watcher.hold(values(balancing=True), 5)
    assert watcher.now.date() == date(2026, 7, 2)
    assert watcher.get("balancing_minutes_today") == 0
    watcher.hold(values(balancing=True), 60)
    assert watcher.get("balancing_minutes_today") == 1


def test_what_spans_midnight_counts_for_the_new_day_only_as_far_as_it_is_of_it() -> (
    None
):
    watcher = Watcher(now=datetime(2026, 7, 1, 23, 59, 35, tzinfo=BERLIN))
    watcher.read(values(balancing=True))
    watcher.read(values(balancing=True), 30.0)
    watcher.hold(values(balancing=True), 45)
    assert watcher.now.time().isoformat() == "00:00:55"
    assert watcher.get("balancing_minutes_today") == 0
    watcher.read(values(balancing=True))
    assert watcher.get("balancing_minutes_today") == 1


def test_what_spans_midnight_by_hours_counts_from_midnight_on() -> None:
    watcher = Watcher(now=datetime(2026, 7, 1, 10, 0, 59, tzinfo=BERLIN))
    for _ in range(10):
        watcher.read(values(balancing=True), 1.5 * HOUR)
    assert watcher.now.time().isoformat() == "01:00:59"
    assert watcher.get("balancing_minutes_today") == 60


def test_a_restart_keeps_the_minutes_of_today_and_not_those_of_yesterday() -> None:
    watcher = Watcher()
    watcher.hold(values(balancing=True), 305)
    assert watcher.get("balancing_minutes_today") == 5
    watcher.restart()
    watcher.read(values(balancing=True), 20)
    assert watcher.get("balancing_minutes_today") == 5
    watcher.restart()
    watcher.read(values(balancing=True), 86_400)
    assert watcher.get("balancing_minutes_today") == 0


# -- a day of a simulated pack ---------------------------------------------------------


def test_a_simulated_day_is_told_as_it_was() -> None:
    of = Pack(trios()[0], 1, seed=3)
    of.set("cell_voltage_5", of.number_of("cell_voltage_5") + 60)
    # Charged to the end, and balanced there.
    of.set("remaining_capacity", 290_000)
    of.set("balance_start_voltage", 3_400)
    of.move(seed=3)
    state, watcher = BmsState(), Watcher(now=NOON.replace(hour=9))
    for block in (Block.SETTINGS, Block.DEVICE):
        assert state.take_frame(frame_of(of, block), block, 0.0)
    ran = drawn = 0.0
    seen = refused = filled = 0
    for second in range(5, 14 * 3600, 5):
        of.advance(float(second))
        if second == 4 * 3600:
            of.set("remaining_capacity", of.number_of("full_capacity"))
            of.set("soc", 100)
            of.move(seed=4)
        # What is unlike the frame before has to be said twice.
        if state.take_frame(frame_of(of, Block.LIVE), Block.LIVE, float(second)):
            refused = 0
            watcher.read(dict(state.values), second - seen)
            seen = second
        else:
            refused += 1
            assert refused < 3
        ran += 5 * (of.number_of("balancer_state") != 0)
        if watcher.get("last_full") is not None:
            drawn += max(0, -of.number_of("current")) / 1000 * 5 / HOUR
        if of.number_of("remaining_capacity") == of.number_of("full_capacity"):
            filled, drawn = second, 0.0
    assert filled > 5 * 3600
    assert ran > 600
    assert watcher.get("balancing_minutes_today") == pytest.approx(ran / 60, abs=1)
    assert drawn > 20
    assert watcher.get("ah_since_full") == pytest.approx(drawn, abs=1)
    assert watcher.get("days_since_full") == (seen - filled) * 10 // 86_400 / 10
    # While it was full nothing flowed.
    assert watcher.get("rested_cell_spread") is not None


# -- showing --------------------------------------------------------------------------


def test_a_pack_in_which_nothing_changes_has_nothing_to_show_anew() -> None:
    watcher = Watcher()
    watcher.hold(values(current=-20.0), 120)
    watcher.writes.clear()
    watcher.hold(values(current=-20.0), 500)
    assert not any(watcher.writes)


def test_a_reading_that_is_not_newer_or_tells_no_current_counts_for_nothing() -> None:
    insight = Insight()
    insight.read(values(balancing=True), 10.0, NOON)
    before = insight.dump()
    assert insight.read(values(balancing=True), 10.0, NOON) == set()
    assert insight.read(values(balancing=True), 9.0, NOON) == set()
    assert insight.read(values(current=None), 20.0, NOON) == set()
    assert insight.dump() == before


def test_without_a_capacity_only_the_balancer_is_told() -> None:
    watcher = Watcher()
    watcher.hold(full(full_charge_capacity=None, balancing=True), 700)
    assert watcher.insight.values == {"balancing_minutes_today": 11}


SCENES: Final = st.lists(
    st.tuples(
        st.sampled_from([5.0, 5.0, 5.0, 20.0, 31.0, 4000.0]),
        st.floats(-300, 300),
        st.booleans() | st.none(),
        st.integers(0, 100),
        st.floats(3.0, 3.6),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(SCENES)
def test_counters_never_fall_within_a_day_and_never_count_more_than_was_read(
    scenes: list[tuple[float, float, bool | None, int, float, bool]],
) -> None:
    watcher = Watcher(now=datetime(2026, 7, 1, 22, tzinfo=BERLIN))
    read = 0.0
    minutes, drawn, today, last = 0, 0, watcher.now.date(), None
    for seconds, amperes, runs, soc, average, restarts in scenes:
        if restarts:
            watcher.restart()
        watcher.read(
            values(
                current=amperes,
                balancing=runs,
                state_of_charge=soc,
                average_cell_voltage=average,
            ),
            seconds,
        )
        if watcher.now.date() != today:
            today, read, minutes = watcher.now.date(), 0.0, 0
        read += seconds if seconds <= 30 and not restarts else 0
        now_minutes = watcher.get("balancing_minutes_today") or 0
        if runs is not None:
            assert minutes <= now_minutes <= read / 60
            minutes = now_minutes
        if watcher.get("last_full") != last:
            last, drawn = watcher.get("last_full"), 0
        elif watcher.get("days_since_full") != 0:
            assert (watcher.get("ah_since_full") or 0) >= drawn
            drawn = watcher.get("ah_since_full") or 0


# -- what is told ---------------------------------------------------------------------


def can_features(*keys: str) -> Features:
    """Return the features of who tells these values on CAN."""
    return Features.of({}, (), None, heater=False, keys=keys)


FLOW: Final = ("current", "full_charge_capacity")


@pytest.mark.parametrize(
    ("told", "follows"),
    [
        (("current", "state_of_charge", "delta_cell_voltage", "balancing"), {"bal"}),
        ((*FLOW, "delta_cell_voltage"), {"rested"}),
        ((*FLOW, "state_of_charge", "capacity_remaining"), set()),
        (
            (
                *FLOW,
                "state_of_charge",
                "capacity_remaining",
                "average_cell_voltage",
                "requested_charge_voltage",
            ),
            {"last", "days", "ah"},
        ),
        (
            (
                *FLOW,
                "delta_cell_voltage",
                "average_cell_voltage",
                "requested_charge_voltage",
            ),
            {"rested", "top"},
        ),
        (
            (
                *FLOW,
                "state_of_charge",
                "delta_cell_voltage",
                "average_cell_voltage",
                "max_cell_voltage",
                "max_voltage_cell",
                "requested_charge_voltage",
            ),
            {"rested", "top", "runaway"},
        ),
    ],
)
def test_on_can_only_what_can_follow_is_there(
    told: tuple[str, ...], follows: set[str]
) -> None:
    features = with_followed(can_features(*told), INSIGHTS)
    keys = {datum.key for datum in INSIGHTS if features.has(datum)}
    assert {
        key for key in keys if any(key.startswith(start) for start in follows)
    } == keys
    assert len(keys) == len(follows)


def test_the_blocks_of_rs485_have_all_of_it() -> None:
    features = Features.of({}, (1,), None, heater=False)
    assert all(features.has(datum) for datum in OVER_TIME)
    state = BmsState()
    for block in Block:
        assert state.take_frame(frame_of(pack(1), block), block, 0.0)
    for datum in INSIGHTS:
        # On CAN the charger's voltage stands for the setting.
        assert datum.needs - {"requested_charge_voltage"} <= state.values.keys()


def test_nothing_of_it_is_enabled_from_the_start() -> None:
    assert not any(datum.enabled for datum in INSIGHTS)
