"""One pack that speaks JK's own protocol, in its first or its second version."""

from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Final, override

from ..alarms import LEVELS
from ..codecs import NUMBER
from ..datum import Block, Datum
from ..derived import number
from ..fields import (
    ALARM_BITMASK,
    CELL_PRESENCE,
    CELL_VOLTAGES,
    CURRENT,
    MOS_TEMPERATURE,
    PROBES,
    STATE_OF_CHARGE,
    TOTAL_VOLTAGE,
)
from ..fields.can import (
    AVERAGE_TEMPERATURE,
    BMS_VOLTAGE,
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
)
from ..plausibility import Implausible, implausible
from . import native
from .dialect import Dialect
from .frame import FULL_SET, Decoded
from .station import CanStation, Values, derived, told_alarms

_PERIODIC: Final = {
    frame.id
    for frame in (
        native.STATUS,
        native.CELL_EXTREMES,
        native.TEMPERATURE_EXTREMES,
        native.CAPACITY,
        native.TEMPERATURES,
        native.INFORMATION,
        native.SWITCHES,
    )
}
_STANDARD: Final = {frame.id for frame in native.FRAMES if not frame.extended}
_NEEDED_V1: Final = {
    native.STATUS.id,
    native.CELL_EXTREMES.id,
    native.TEMPERATURE_EXTREMES.id,
}
_NEEDED_V2: Final = {native.STATUS.id, native.CELLS[0].id}
_SEVERAL: Final = 4
"""Different messages of one address that make it a pack, and not an accident."""
_KINDS: Final = 3
"""Different extended messages that make it version 2."""
_CELL_FRAMES: Final = {frame.id for frame in native.CELLS}
_VERIFIED: Final = _CELL_FRAMES | {native.STATUS.id}
_EXTREMES: Final = (
    "max_cell_voltage",
    "max_voltage_cell",
    "min_cell_voltage",
    "min_voltage_cell",
    "delta_cell_voltage",
)
_TOLERANCE: Final = 0.5
_SHARE: Final = 0.02
_MOST_CELLS: Final = 32
_CELL_NUMBERS: Final = frozenset(range(1, _MOST_CELLS + 1))
_MAX_CELL: Final = 5.0
_MAX_CURRENT: Final = 2000.0
_FULL: Final = 100
_MAX_TEMPERATURE: Final = 150
_ORDERED: Final = (MIN_TEMPERATURE, AVERAGE_TEMPERATURE, MAX_TEMPERATURE)
_TEMPERATURES: Final = (
    MOS_TEMPERATURE,
    *PROBES,
    *_ORDERED,
)


@dataclass(slots=True)
class PackStation(CanStation):
    """A pack; the number of its cells is the last that ever had a voltage."""

    _v2: bool = False
    _v1: bool = False
    cell_count: int = 0

    @property
    @override
    def dialect(self) -> Dialect | None:
        if self._v2:
            return Dialect.NATIVE_V2
        return Dialect.NATIVE_V1 if self._v1 else None

    @property
    @override
    def v1(self) -> bool:
        return self._v1

    @override
    def begin(self) -> None:
        CanStation.begin(self)
        self.cell_count = 0
        self._v1 = False

    @override
    def ready(self, fresh: set[int], *, waited: bool) -> bool:
        self._recognise(waited=waited)
        if not self.enough(fresh):
            return False
        # Version 1 is told by what does not come: a whole cycle went by.
        # After a pause the sum may be that of cells from before it.
        periodic = _PERIODIC | (self.slots.keys() & _CELL_FRAMES)
        return waited or (fresh >= periodic and self._sum_fits())

    @override
    def enough(self, ids: AbstractSet[int]) -> bool:
        if self.v1:
            return ids >= _NEEDED_V1
        needed = _NEEDED_V2
        if self.address > native.MAX_STANDARD_ADDRESS:
            needed = needed - _STANDARD
        return self._v2 and ids >= needed and len(ids) >= _SEVERAL

    @override
    def verified(self) -> AbstractSet[int]:
        return _VERIFIED if self._sum_fits() else frozenset()

    def _recognise(self, *, waited: bool) -> None:
        """Tell the version: only the second sends extended frames (can.md 1.2).

        It sends several kinds within a cycle; one may be somebody else's.
        """
        latest = max(slot.heard for slot in self.slots.values())
        extended = sum(
            slot.extended and latest - slot.heard <= FULL_SET
            for slot in self.slots.values()
        )
        v2 = self._v2 or extended >= _KINDS
        if v2 and self.v1:
            for slot in self.slots.values():
                slot.read_anew()
            self._published = False
        self._v2 = v2
        self._v1 = not v2 and (self._v1 or (waited and not extended))

    def _sum_fits(self) -> bool:
        """Tell whether the cells heard so far make up the voltage of the pack."""
        decoded = {
            n: slot.latest(slot.data).values
            for n, slot in self.slots.items()
            if slot.data is not None and (n in _CELL_FRAMES or n == native.STATUS.id)
        }
        total = number(decoded.pop(native.STATUS.id, {}), BMS_VOLTAGE)
        volts = [
            volt
            for values in decoded.values()
            for volt in values.values()
            if isinstance(volt, float)
        ]
        return total is not None and _close(sum(volts), total)

    @override
    def collected(self) -> Iterable[Decoded]:
        """Return what is believed; what version 1 does not send is somebody else's."""
        return (
            slot.said
            for slot in self.slots.values()
            if slot.said is not None and not (self.v1 and slot.extended)
        )

    @override
    def assemble(self) -> Values:
        values: Values = {}
        for key in self._level_keys:
            values[key] = LEVELS[0]
        for said in self.collected():
            values |= said.values
        extremes = {key: values.pop(key, None) for key in _EXTREMES}
        self._add_cells(values)
        alarms = told_alarms(
            (a for said in self.collected() for a in said.alarms), self._alarm_keys
        )
        values[ALARM_BITMASK.key] = alarms[ALARM_BITMASK.key]
        values = derived(values) | values | alarms
        if values["max_cell_voltage"] is None:
            # Version 1 has no frames of cells; those of version 2 may be missing.
            values |= extremes
        return values

    @property
    def _level_keys(self) -> tuple[str, ...]:
        if self.address > native.MAX_STANDARD_ADDRESS:
            return ()
        return native.LEVEL_KEYS_V1 if self.v1 else native.LEVEL_KEYS_V2

    @property
    def _alarm_keys(self) -> AbstractSet[str]:
        if self.v1:
            return native.ALARM_KEYS_V1
        if self.address > native.MAX_STANDARD_ADDRESS:
            return native.FAULT_KEYS
        return native.ALARM_KEYS_V2

    def _add_cells(self, values: Values) -> None:
        """Complete the cells, and the voltage of the pack that follows from them."""
        volts = [number(values, cell) for cell in CELL_VOLTAGES]
        self.cell_count = max(
            self.cell_count, *(n for n, volt in enumerate(volts, 1) if volt), 0
        )
        present = volts[: self.cell_count]
        total = number(values, BMS_VOLTAGE)
        if present:
            values[CELL_PRESENCE.key] = (1 << self.cell_count) - 1
            if None not in present:
                whole = sum(volt or 0.0 for volt in present)
                if total is None or _close(whole, total):
                    total = round(whole, 3)
        values[TOTAL_VOLTAGE.key] = total

    @override
    def judge(self, values: Values) -> Implausible | None:
        if self.v1:
            return _judge_v1(values) or _judge_temperatures(values)
        cells = CELL_VOLTAGES[: self.cell_count]
        # The pack's own voltage against the sum of the cells; a cell that is missed
        # counts as 0, as on RS485.
        told = {
            cell.key: 0.0 if values.get(cell.key) is None else values[cell.key]
            for cell in cells
        }
        volts = number(values, BMS_VOLTAGE)
        total = values[TOTAL_VOLTAGE.key] if volts is None else volts
        checked = {**values, **told, TOTAL_VOLTAGE.key: total}
        reason = implausible(Block.LIVE, checked, self.state.values)
        return reason or _judge_temperatures(values)


def _close(whole: float, total: float) -> bool:
    return abs(whole - total) <= max(_TOLERANCE, _SHARE * total)


def _judge_temperatures(values: Values) -> Implausible | None:
    if any(degrees > _MAX_TEMPERATURE for degrees in _known(values, _TEMPERATURES)):
        return Implausible.TEMPERATURE
    ordered = _known(values, _ORDERED)
    return None if ordered == sorted(ordered) else Implausible.TEMPERATURE


def _known(values: Values, data: tuple[Datum[Any], ...]) -> list[float]:
    return [each for datum in data if (each := number(values, datum)) is not None]


def _judge_v1(values: Values) -> Implausible | None:
    """Judge without cells: some number of them has to make up the pack's voltage."""
    if any(soc > _FULL for soc in _known(values, (STATE_OF_CHARGE,))):
        return Implausible.STATE_OF_CHARGE
    if any(abs(amperes) > _MAX_CURRENT for amperes in _known(values, (CURRENT,))):
        return Implausible.CURRENT
    extremes = [v for k in _EXTREMES if isinstance(v := values[k], NUMBER)]
    if not extremes:
        return None
    highest, highest_cell, lowest, lowest_cell, _ = extremes
    if not lowest <= highest <= _MAX_CELL or not highest:
        return Implausible.CELL_VOLTAGE
    if not {highest_cell, lowest_cell} <= _CELL_NUMBERS:
        return Implausible.CELL_VOLTAGE
    volts = number(values, BMS_VOLTAGE)
    if volts is None:
        return None
    fewest = max(1, ceil((volts - _TOLERANCE) / highest))
    most = min(_MOST_CELLS, floor((volts + _TOLERANCE) / (lowest or 0.001)))
    return None if fewest <= most else Implausible.PACK_VOLTAGE
