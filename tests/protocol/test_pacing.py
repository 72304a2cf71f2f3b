"""How long to keep quiet and how long to wait."""

import pytest

from custom_components.jkbms.protocol.pacing import (
    BLUETOOTH,
    MODBUS_TCP,
    NETWORK,
    SERIAL,
    Pace,
    Patience,
    Timing,
)


def answered(pace: Pace, times: int) -> None:
    for _ in range(times):
        pace.answered()


def test_the_quiet_time_begins_at_100_ms_and_shrinks_to_50() -> None:
    pace = Pace()
    assert pace.quiet == pytest.approx(0.1)
    assert not pace.settled
    quiet = []
    for _ in range(6):
        answered(pace, 8)
        quiet.append(round(pace.quiet, 3))
    assert quiet == [0.09, 0.08, 0.07, 0.06, 0.05, 0.05]
    assert pace.settled


def test_silence_of_a_living_bms_doubles_the_quiet_time_up_to_400_ms() -> None:
    pace = Pace()
    quiet = []
    for _ in range(4):
        pace.unheard()
        quiet.append(round(pace.quiet, 3))
    assert quiet == [0.2, 0.4, 0.4, 0.4]


def lost_by(pace: Pace, *, needs: float, times: int) -> int:
    """Ask a pack that hears nothing sooner; return how many requests that costs."""
    lost = 0
    for _ in range(times):
        if pace.quiet < needs:
            pace.unheard()
            lost += 1
        else:
            pace.answered()
    return lost


def test_the_quiet_time_does_not_go_again_where_requests_were_lost_twice() -> None:
    pace = Pace()
    assert lost_by(pace, needs=0.075, times=300) == 2
    assert pace.quiet == pytest.approx(0.08)
    assert pace.settled


def test_what_a_pack_needs_is_tried_again_ever_less() -> None:
    pace = Pace()
    # A day of a pack that is asked every 5 s, and a year.
    assert 2 <= lost_by(pace, needs=0.075, times=17_000) <= 14
    assert lost_by(pace, needs=0.075, times=1_000_000) <= 60
    assert pace.quiet < 0.09


@pytest.mark.parametrize("hours", [1, 50])
def test_bad_hours_are_forgotten(hours: int) -> None:
    """A gateway that loses requests for a while says nothing of what a pack needs."""
    pace = Pace()
    for _ in range(hours):
        for _ in range(60):
            pace.unheard()
            answered(pace, 10)
        assert pace.quiet > 0.3
        answered(pace, 299 - 10)
        assert pace.quiet > 0.3
        answered(pace, 1 + 8 * 35)
        assert pace.quiet == pytest.approx(0.05)
        answered(pace, 1000)


def test_a_single_loss_in_a_thousand_is_noise_and_forgotten() -> None:
    pace = Pace()
    answered(pace, 40)
    pace.unheard()
    answered(pace, 1000)
    pace.unheard()
    answered(pace, 80)
    assert pace.quiet == pytest.approx(0.05)


def test_a_pack_that_came_back_begins_anew_but_not_below_what_it_needs() -> None:
    pace = Pace()
    for _ in range(2):
        pace.unheard()
    pace.forgive()
    assert pace.quiet == pytest.approx(0.1)
    for _ in range(3):
        pace.unheard()
    assert pace.quiet == pytest.approx(0.4)
    pace.unheard()
    pace.forgive()
    answered(pace, 299)
    assert pace.settled
    assert pace.quiet == pytest.approx(0.4)


def test_a_loss_at_a_longer_quiet_time_than_before_is_no_hint() -> None:
    pace = Pace()
    answered(pace, 40)
    pace.unheard()
    pace.unheard()
    answered(pace, 200)
    assert pace.quiet == pytest.approx(0.05)


def test_a_loss_starts_the_count_of_answers_anew() -> None:
    pace = Pace()
    answered(pace, 7)
    pace.unheard()
    quiet = pace.quiet
    answered(pace, 7)
    assert pace.quiet == quiet
    answered(pace, 1)
    assert pace.quiet < quiet


@pytest.mark.parametrize(
    ("timing", "first", "later", "gap"),
    [
        (SERIAL, 0.5, 0.12, 0.1),
        (NETWORK, 1.0, 0.12, 1.0),
        (MODBUS_TCP, 2.5, 1.0, 0.1),
        (BLUETOOTH, 3.0, 2.0, 2.0),
    ],
    ids=["serial", "network", "modbus_tcp", "bluetooth"],
)
def test_the_kind_of_link_tells_how_long_to_wait(
    timing: Timing, first: float, later: float, gap: float
) -> None:
    """Within an answer: rs485.md 3.2, ble.md 3; for one: rs485.md 1.5, modbus_tcp.md 3."""
    patience = Patience(timing)
    assert patience.worst is None
    assert patience.timeout == first
    patience.took(0.015)
    assert patience.timeout == later
    assert timing.gap == gap
    assert timing.registers is (timing is MODBUS_TCP)


def test_patience_follows_the_slowest_answer_of_late() -> None:
    patience = Patience(SERIAL)
    patience.took(0.015)
    assert patience.timeout == pytest.approx(0.12)
    patience.took(0.2)
    assert patience.timeout == pytest.approx(0.62)
    for _ in range(600):
        patience.took(0.015)
    assert patience.timeout == pytest.approx(0.12)


def test_patience_has_an_end() -> None:
    patience = Patience(NETWORK)
    patience.took(30.0)
    assert patience.timeout == pytest.approx(3.0)
