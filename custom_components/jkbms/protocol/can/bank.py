"""All packs together, as a BMS presents them to an inverter (can.md 2)."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, override

from ..codecs import Value
from ..datum import Datum
from ..derived import number
from ..fields import (
    ALARM_BITMASK,
    CAPACITY_REMAINING,
    CELL_PRESENCE,
    CELL_VOLTAGES,
    CURRENT,
    FULL_CHARGE_CAPACITY,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_VOLTAGE,
)
from ..fields.can import (
    AVERAGE_TEMPERATURE,
    BATTERY_MAKER,
    CHARGE_CURRENT_LIMIT,
    CHARGE_VOLTAGE_LIMIT,
    DISCHARGE_CURRENT_LIMIT,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    WARNINGS,
)
from ..plausibility import Implausible
from . import growatt, inverter
from .dialect import Dialect, of_bank
from .frame import FULL_SET, Frame
from .slot import Slot
from .station import CanStation, Values, derived, in_order, told_alarms

_NEEDED: Final = {
    Dialect.PYLON: {inverter.LIMITS, inverter.CHARGE, inverter.MEASURED, 0x359},
    Dialect.SMA: {inverter.LIMITS, inverter.CHARGE, inverter.MEASURED, 0x35A},
    Dialect.VICTRON: {inverter.LIMITS, inverter.CHARGE, inverter.MEASURED, 0x35A},
    Dialect.GROWATT: {growatt.LIMITS, growatt.MEASURED},
}
_ALL: Final = {
    Dialect.PYLON: set(inverter.FRAMES[Dialect.PYLON]),
    Dialect.VICTRON: set(inverter.FRAMES[Dialect.VICTRON]) - {0x382},
    Dialect.GROWATT: set(inverter.FRAMES[Dialect.GROWATT]) - {*range(0x315, 0x319)},
}
"""What a JK sends; the others may be complete with less (can.md 2.1)."""
_NEVER_SENT: Final = -1
_ALARMS: Final = (0x359, 0x35A, 0x312)
_FULL: Final = 100
_MAX_VOLTS: Final = 150.0
"""More than 32 cells in series can have."""
_MAX_CELL: Final = 5.0
_TEMPERATURES: Final = range(-60, 151)
_DEGREES: Final = (AVERAGE_TEMPERATURE, MIN_TEMPERATURE, MAX_TEMPERATURE)
_CELL_EXTREMES: Final = ("min_cell_voltage", "max_cell_voltage")
_NEAR: Final = 10.0
"""K; how far the middle of the cells may be from the temperature of the bank."""


@dataclass(slots=True)
class BankStation(CanStation):
    """A bank; which message an id is depends on the dialect."""

    _dialect: Dialect | None = None

    @property
    @override
    def dialect(self) -> Dialect | None:
        return self._dialect

    @override
    def begin(self) -> None:
        CanStation.begin(self)
        self._dialect = None

    @override
    def slot(self, frame: Frame) -> Slot[CanStation]:
        if self._dialect is not None:
            frame = inverter.FRAMES[self._dialect].get(frame.id, frame)
        return CanStation.slot(self, frame)

    @override
    def ready(self, fresh: set[int], *, waited: bool) -> bool:
        latest = max(slot.heard for slot in self.slots.values())
        # What was heard once may have been somebody else's.
        dialect = of_bank(
            {n for n in fresh if latest - self.slots[n].heard <= FULL_SET}
        )
        if dialect is None or not fresh >= _NEEDED[dialect]:
            return False
        if not waited and not fresh >= _ALL.get(dialect, {_NEVER_SENT}):
            return False
        if dialect is not self._dialect:
            self._speak(dialect)
        return True

    @override
    def enough(self, ids: AbstractSet[int]) -> bool:
        return self._dialect is not None and ids >= _NEEDED[self._dialect]

    def _speak(self, dialect: Dialect) -> None:
        self._dialect = dialect
        frames = inverter.FRAMES[dialect]
        for code, slot in self.slots.items():
            slot.frame = frames.get(code, slot.frame)
            slot.read_anew()
            if slot.data is not None and not slot.frame.fits(len(slot.data)):
                self.counts.damaged += 1
                slot.forget()

    @override
    def assemble(self) -> Values:
        values: Values = {}
        for said in self.collected():
            values |= said.values
        values = in_units(self._dialect, values)
        present = [cell for cell in CELL_VOLTAGES if values.get(cell.key) is not None]
        if present:
            values[CELL_PRESENCE.key] = sum(1 << (c.index or 1) - 1 for c in present)
        return derived(values) | values | self._alarms()

    def _alarms(self) -> Values:
        heard = [
            slot.said
            for code in _ALARMS
            if (slot := self.slots.get(code)) and slot.said is not None
        ]
        assert self._dialect is not None
        keys = inverter.ALARM_KEYS[self._dialect]
        if not heard:
            untold = (ALARM_BITMASK.key, "problem", "errors", WARNINGS.key)
            return dict.fromkeys((*untold, *keys))
        return {
            **told_alarms((a for said in heard for a in said.alarms), keys),
            WARNINGS.key: in_order(w for said in heard for w in said.warnings),
        }

    @override
    def judge(self, values: Values) -> Implausible | None:
        shares = _known(values, STATE_OF_CHARGE, STATE_OF_HEALTH)
        if any(share > _FULL for share in shares):
            return Implausible.STATE_OF_CHARGE
        if not _voltage_fits(values):
            return Implausible.PACK_VOLTAGE
        limits = _known(values, CHARGE_CURRENT_LIMIT, DISCHARGE_CURRENT_LIMIT)
        if any(limit < 0 for limit in limits):
            return Implausible.CURRENT
        degrees = _known(values, *_DEGREES)
        if any(int(each) not in _TEMPERATURES for each in degrees):
            return Implausible.TEMPERATURE
        lowest, highest = (values.get(key) for key in _CELL_EXTREMES)
        if isinstance(lowest, float) and isinstance(highest, float):
            if not lowest <= highest <= _MAX_CELL:
                return Implausible.CELL_VOLTAGE
        return None


def in_units(dialect: Dialect | None, values: Values) -> Values:
    """Return the values of several messages, with what one leaves open told by others."""
    values = dict(values)
    state = values.pop(growatt.STATUS_KEY, None)
    if dialect is Dialect.PYLON:
        _scale_extremes(values)
    if dialect is Dialect.GROWATT:
        values[CURRENT.key] = _signed(number(values, CURRENT), state)
        if values.get(BATTERY_MAKER.key) != growatt.JK:
            # Who sends 0.1 Ah and who 0.01 Ah is known of JK alone.
            for capacity in (CAPACITY_REMAINING, FULL_CHARGE_CAPACITY):
                values.pop(capacity.key, None)
    return values


def _known(values: Values, *data: Datum[Any]) -> list[float]:
    return [each for datum in data if (each := number(values, datum)) is not None]


def _voltage_fits(values: Values) -> bool:
    """Tell whether voltage and limit belong to one battery; 0 V is a bank that rests.

    Some makers send tenths of a volt where JK sends hundredths: that is no voltage.
    """
    limit = number(values, CHARGE_VOLTAGE_LIMIT)
    volts = number(values, TOTAL_VOLTAGE)
    if limit is not None and not 0 < limit <= _MAX_VOLTS:
        return False
    if volts is None or limit is None or volts == 0:
        return True
    return limit / 2 <= volts <= limit * 1.25


def _signed(amperes: float | None, state: Value) -> float | None:
    """Return the current with the sign that the state of the bank gives it."""
    match state:
        case _ if not amperes:
            return amperes
        case growatt.CHARGING:
            return abs(amperes)
        case growatt.DISCHARGING:
            return -abs(amperes)
        case _:
            return None


def _scale_extremes(values: Values) -> None:
    """Give the extremes of temperature their unit: JK sends whole degrees, others tenths.

    What decides is the temperature of the whole bank; near 0 °C both fit, and the name.
    """
    extremes = _known(values, MIN_TEMPERATURE, MAX_TEMPERATURE)
    average = number(values, AVERAGE_TEMPERATURE)
    if not extremes:
        return
    middle = sum(extremes) / len(extremes)
    fitting = [
        divisor
        for divisor in (1, 10)
        if average is None or abs(middle / divisor - average) <= _NEAR
    ]
    named = 1 if _is_jk(values.get(BATTERY_MAKER.key)) else 10
    divisor = named if named in fitting else next(iter(fitting), None)
    for datum in (MIN_TEMPERATURE, MAX_TEMPERATURE):
        raw = number(values, datum)
        values[datum.key] = raw / divisor if raw is not None and divisor else None


def _is_jk(maker: Value) -> bool:
    return isinstance(maker, str) and maker.startswith(growatt.JK)
