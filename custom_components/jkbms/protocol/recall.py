"""What was stored may be old, cut off or changed by hand: each piece is judged by itself."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from math import isfinite


def number_in(value: object, low: float, high: float) -> float | None:
    """Return a number within a range, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # In this order: a number in a file may be too big to be a float.
    return float(value) if low <= value <= high and isfinite(value) else None


def whole_in(value: object, low: int, high: int) -> int | None:
    """Return a whole number within a range, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def moment(value: object) -> datetime | None:
    """Return a time in UTC, None where it is none or does not say of which zone."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        if time is None or time.tzinfo is None:
            return None
        return time.astimezone(UTC)
    except ValueError, OverflowError:
        return None


def day(value: object) -> date | None:
    """Return a day, None where it is none."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def mapping(value: object) -> Mapping[object, object]:
    """Return a mapping, an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}


def items(value: object, length: int | None = None) -> list[object]:
    """Return a list, an empty one where it is none or has another length."""
    if not isinstance(value, list) or length not in (None, len(value)):
        return []
    return value
