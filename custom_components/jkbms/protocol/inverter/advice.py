"""What a bank recommends to whoever charges it, told or not (inverter.md 3, 4)."""

from typing import Any, Final

from ..bank_state import Told
from ..can.signals import at_most
from ..datum import Datum, Quantity
from .limits import Advice, Reason, Verdict

CHARGE_VOLTAGE: Final[Datum[float]] = Datum(
    key="recommended_charge_voltage",
    name="Recommended charge voltage",
    quantity=Quantity.PACK_VOLTAGE,
)
CHARGE_CURRENT: Final[Datum[float]] = Datum(
    key="recommended_charge_current",
    name="Recommended charge current",
    quantity=Quantity.CURRENT,
)
DISCHARGE_CURRENT: Final[Datum[float]] = Datum(
    key="recommended_discharge_current",
    name="Recommended discharge current",
    quantity=Quantity.CURRENT,
)
_LIMITS: Final = (CHARGE_VOLTAGE, CHARGE_CURRENT, DISCHARGE_CURRENT)
REASONS: Final[tuple[Datum[str], ...]] = tuple(
    Datum(
        key=f"{limit.key}_reason",
        # Beside a reason there is room for a short name only.
        name=f"{limit.name.removeprefix('Recommended ').capitalize()} reason",
        quantity=Quantity.CHOICE,
        options=tuple(Reason),
    )
    for limit in _LIMITS
)
ADVICE: Final[tuple[Datum[Any], ...]] = (*_LIMITS, *REASONS)
KEYS: Final = frozenset(datum.key for datum in ADVICE)


def advise(verdict: Verdict) -> dict[str, Told]:
    """Return the recommendations with their reasons, by key."""
    told: dict[str, Told] = {}
    decided = (verdict.voltage, verdict.charge, verdict.discharge)
    for limit, reason, advice in zip(_LIMITS, REASONS, decided, strict=True):
        told[limit.key] = Told(_rounded(advice.value), {"reason": advice.reason})
        told[reason.key] = Told(advice.reason, _details(advice, verdict))
    return told


def _details(advice: Advice, verdict: Verdict) -> dict[str, Any]:
    return {
        "pack": advice.pack,
        "without_reduction": _rounded(advice.full) if advice.full else None,
        "detail": verdict.detail,
    }


def _rounded(value: float | None) -> float | None:
    """Return a limit in the steps in which an inverter is told, never more than it is."""
    return None if value is None else at_most(value * 10) / 10
