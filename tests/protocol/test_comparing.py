"""How far apart the cells were, as it was stored."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.comparing import Spread

NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("charge", [0.0, 100.0, None])
@pytest.mark.parametrize("volts", [0.0, 10.0])
def test_what_was_stored_is_known_again(volts: float, charge: float | None) -> None:
    spread = Spread(volts, NOON, charge)
    assert Spread.load(spread.dump()) == spread


@pytest.mark.parametrize("charge", [-1, 100.5, "80", True])
def test_a_charge_that_cannot_be_is_left_out(charge: Any) -> None:
    assert Spread.load([0.01, NOON.isoformat(), charge]) == Spread(0.01, NOON, None)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        [0.01, NOON.isoformat()],
        [-0.01, NOON.isoformat(), 50],
        [10.01, NOON.isoformat(), 50],
        [0.01, "2026-11-21T12:00:00", 50],
        [0.01, None, 50],
    ],
)
def test_what_makes_no_sense_is_none(stored: object) -> None:
    assert Spread.load(stored) is None


def test_a_difference_is_kept_to_the_millivolt() -> None:
    spread = Spread.of({"delta_cell_voltage": 0.0126}, NOON)
    assert spread == Spread(0.013, NOON, None)
