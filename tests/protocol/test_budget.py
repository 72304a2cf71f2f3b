"""How often a register may be written, in time that is told."""

import pytest

from custom_components.jkbms.protocol.budget import WriteBudget


def test_a_few_writes_at_once_and_then_as_many_as_an_hour_has() -> None:
    budget, now = WriteBudget(), 1000.0
    for _ in range(10):
        assert budget.possible_at(1, 0x1070, now) == now
        budget.spend(1, 0x1070, now)
    assert budget.possible_at(1, 0x1070, now) == pytest.approx(now + 120)
    assert budget.possible_at(1, 0x1070, now + 60) == pytest.approx(now + 120)
    assert budget.possible_at(1, 0x1070, now + 120) == now + 120
    made = 0
    for second in range(0, 7200, 5):
        if budget.possible_at(1, 0x1070, now + second) == now + second:
            budget.spend(1, 0x1070, now + second)
            made += 1
    assert made in (59, 60)


def test_every_register_of_every_bms_has_its_own() -> None:
    budget = WriteBudget(per_hour=1, burst=1)
    budget.spend(1, 0x1070, 0.0)
    assert budget.possible_at(1, 0x1070, 0.0) == 3600
    assert budget.possible_at(1, 0x1074, 0.0) == 0
    assert budget.possible_at(2, 0x1070, 0.0) == 0


def test_rest_saves_up_no_more_than_a_burst() -> None:
    budget = WriteBudget(per_hour=60, burst=2)
    budget.spend(1, 0x1070, 0.0)
    for _ in range(2):
        assert budget.possible_at(1, 0x1070, 1e6) == 1e6
        budget.spend(1, 0x1070, 1e6)
    assert budget.possible_at(1, 0x1070, 1e6) == 1e6 + 60


def test_what_could_not_wait_makes_no_debt() -> None:
    budget = WriteBudget(per_hour=60, burst=1)
    for _ in range(50):
        budget.spend(1, 0x1070, 0.0)
    assert budget.possible_at(1, 0x1070, 0.0) == 60
