"""What was stored is taken up to its limits, and nothing that only looks like it."""

import pytest

from custom_components.jkbms.protocol.recall import items, number_in, whole_in


@pytest.mark.parametrize("value", [0, 0.0, 100, 100.0, 7])
def test_a_number_up_to_its_limits_is_taken(value: float) -> None:
    assert number_in(value, 0, 100) == value
    assert isinstance(number_in(value, 0, 100), float)


@pytest.mark.parametrize(
    "value", [-0.001, 100.001, True, "5", None, float("nan"), float("inf"), 10**400]
)
def test_what_is_no_number_in_the_range_is_not(value: object) -> None:
    assert number_in(value, 0, 100) is None
    assert whole_in(value, 0, 100) is None


def test_a_whole_number_up_to_its_limits_is_taken() -> None:
    assert [whole_in(n, 1, 3) for n in (0, 1, 2, 3, 4)] == [None, 1, 2, 3, None]
    assert whole_in(2.0, 1, 3) is None


def test_a_list_has_the_length_that_was_stored() -> None:
    assert items([1, 2]) == items([1, 2], 2) == [1, 2]
    assert items([1, 2], 3) == items((1, 2)) == items("12") == []
