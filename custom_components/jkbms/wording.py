"""Settings and their values as a person writes them."""

from typing import Any, Final

from .descriptions import MEANING
from .protocol.datum import Field

_DIGITS: Final = 6


def show(value: object) -> str:
    """Return a value as a person writes it."""
    match value:
        case None:
            return "?"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.{_DIGITS}g}"
        case _:
            return str(value)


def show_of(field: Field[Any], value: object) -> str:
    """Return the value of a setting with its unit, in the steps it is set in."""
    if isinstance(value, bool) or not isinstance(value, float | int):
        return show(value)
    unit = MEANING[field.quantity].unit
    text = show(float(value))
    if field.limits is not None and field.limits.step < 1:
        decimals = len(f"{field.limits.step:g}".partition(".")[2])
        text = f"{value:.{max(2, decimals)}f}" if decimals > 1 else f"{value:.1f}"
    return text if unit is None else f"{text} {unit}"
