"""A bank as one battery, as inverters see it: sums, means and extremes over its packs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..pack import Pack
from .native import probes

_BOARD = 2
"""Place of the power board's temperature, which is none of the cells'."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Extreme:
    """A highest or lowest value and where it was found: the pack from 0 on, the cell or probe from 1 on."""

    value: float
    pack: int
    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BankView:
    """What the packs that are there have in common: mV, mA, mAh, tenths of a degree."""

    packs: Sequence[Pack]
    absent: int
    voltage: float
    current: int
    remaining: int
    full: int
    nominal: int
    soh: float
    highest_cell: Extreme
    lowest_cell: Extreme
    warmest: Extreme
    coldest: Extreme
    temperature: float
    charge_voltage: int
    charge_current: int
    discharge_current: int
    cut_off: int
    alarms: int
    blocking_charge: int
    blocking_discharge: int

    @property
    def soc(self) -> float:
        """State of charge in percent."""
        return 100 * self.remaining / self.full

    @classmethod
    def of(cls, packs: Sequence[Pack], *, absent: int = 0) -> Self:
        """Look at packs, of which there is at least one; those that are absent are only counted."""
        cells = [
            Extreme(
                value=pack.number_of(f"cell_voltage_{cell}"), pack=place, place=cell
            )
            for place, pack in enumerate(packs)
            for cell in range(1, pack.cell_count + 1)
        ]
        temperatures = [
            Extreme(value=value, pack=place, place=probe + 1)
            for place, pack in enumerate(packs)
            for probe, value in enumerate(probes(pack))
            if value is not None and probe != _BOARD
        ] or [Extreme(value=0, pack=0, place=0)]
        alarms = 0
        for pack in packs:
            alarms |= pack.number_of("alarms")
        charging = [pack for pack in packs if pack.number_of("charge_mos")]
        discharging = [pack for pack in packs if pack.number_of("discharge_mos")]
        return cls(
            packs=packs,
            absent=absent,
            voltage=_mean(packs, "pack_voltage"),
            current=_sum(packs, "current"),
            remaining=_sum(packs, "remaining_capacity"),
            full=_sum(packs, "full_capacity"),
            nominal=_sum(packs, "nominal_capacity"),
            soh=_mean(packs, "soh"),
            highest_cell=max(cells, key=_value),
            lowest_cell=min(cells, key=_value),
            warmest=max(temperatures, key=_value),
            coldest=min(temperatures, key=_value),
            temperature=sum(map(_value, temperatures)) / len(temperatures),
            charge_voltage=min(_per_cell(pack, "rcv") for pack in packs),
            charge_current=_sum(charging, "charge_current_limit"),
            discharge_current=_sum(discharging, "discharge_current_limit"),
            cut_off=max(_per_cell(pack, "cell_uvp") for pack in packs),
            alarms=alarms,
            blocking_charge=len(packs) - len(charging),
            blocking_discharge=len(packs) - len(discharging),
        )

    def any(self, bits: Sequence[int]) -> bool:
        """Whether one of these bits is set in a pack's alarm word."""
        return any(self.alarms >> bit & 1 for bit in bits)


def _value(extreme: Extreme) -> float:
    return extreme.value


def _sum(packs: Sequence[Pack], name: str) -> int:
    return sum(pack.number_of(name) for pack in packs)


def _mean(packs: Sequence[Pack], name: str) -> float:
    return _sum(packs, name) / len(packs)


def _per_cell(pack: Pack, name: str) -> int:
    """A setting per cell as voltage of the pack."""
    return pack.number_of(name) * pack.cell_count
