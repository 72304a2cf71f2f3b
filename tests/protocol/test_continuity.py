"""Whether live values are those of the same BMS some seconds later, at each of the limits."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.continuity import (
    continues,
    goes_on,
    keeps_time,
    resumes,
)
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.state import BmsState

from .helpers import frame_of, pack

HEARD: Final = 1000.0
BEFORE: Final[dict[str, Any]] = {
    "total_runtime": 5000,
    "total_charging_cycle_capacity": 1000.0,
    "charging_cycles": 10,
    "full_charge_capacity": 280.0,
    "cell_presence": 0xFFFF,
}


def known() -> BmsState:
    """Return what is known of a pack that was heard once."""
    state = BmsState()
    assert state.take_frame(later(0), Block.LIVE, HEARD)
    return state


def later(ran: int) -> Frame:
    """Return the live values of the pack when it has run on for some seconds."""
    run_time = pack().number_of("run_time")
    return frame_of(pack(run_time=run_time + ran), Block.LIVE)


@pytest.mark.parametrize(
    ("ran", "elapsed", "kept"),
    [
        (5, 0.0, True),
        (5.5, 0.0, False),
        (107, 100.0, True),
        (107.5, 100.0, False),
        (93, 100.0, True),
        (92.5, 100.0, False),
    ],
)
def test_a_clock_may_be_off_by_five_seconds_and_two_percent(
    ran: float, elapsed: float, kept: bool
) -> None:
    assert keeps_time(ran, elapsed) is kept


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        # No pack moves more than 600 A.
        ({"total_charging_cycle_capacity": 1600.0}, True),
        ({"total_charging_cycle_capacity": 1600.2}, False),
        ({"total_charging_cycle_capacity": 999.9}, False),
        ({"charging_cycles": 11}, True),
        ({"charging_cycles": 12}, False),
        ({"charging_cycles": 9}, False),
        ({"full_charge_capacity": 280.1}, False),
        ({"cell_presence": 0x7FFF}, False),
        ({"total_runtime": 8678}, False),
        ({"total_runtime": None}, False),
    ],
)
def test_the_same_pack_has_not_jumped_within_an_hour(
    changed: dict[str, Any], same: bool
) -> None:
    now = {**BEFORE, "total_runtime": 8600, **changed}
    assert goes_on(BEFORE, now, 3600.0) is same


@pytest.mark.parametrize(("ran", "same"), [(20, True), (26, False), (14, False)])
def test_what_continues_went_on_since_it_was_heard(ran: int, same: bool) -> None:
    assert continues(known(), later(ran), Block.LIVE, HEARD + 20) is same


@pytest.mark.parametrize(
    ("ran", "same"), [(-1, False), (0, True), (300, True), (360, True), (361, False)]
)
def test_what_was_off_for_some_minutes_may_have_run_for_none_of_them(
    ran: int, same: bool
) -> None:
    assert resumes(known(), later(ran), HEARD + 300) is same
