"""What a BMS has, learnt from its blocks: cells, probes, a heater, its firmware."""

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Self

from .datum import Datum, Firmware, Hardware
from .fields import (
    CAN,
    CELL_PRESENCE,
    FIELDS,
    HARDWARE_OPTIONS,
    HEATER,
    HEATING,
    HEATING_CURRENT,
    TTL,
)
from .layout import Layout
from .recall import items

_PROBES: Final = tuple(
    field.key for field in FIELDS if field.hardware is Hardware.PROBE
)
_ELSEWHERE: Final = {datum.key for datum in (*CAN, *TTL)}
"""What no block has: only CAN tells it, or the protocol `4E 57`."""
_OF_HEATER: Final = frozenset(
    field.key for field in (HEATER, HEATING, HEATING_CURRENT, HARDWARE_OPTIONS)
)
_TELLING: Final = _OF_HEATER | {CELL_PRESENCE.key, *_PROBES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What decides which values a BMS can have; kept when it cannot be asked."""

    cells: tuple[int, ...]
    """The numbers of the cells that are connected, counted from 1."""
    probes: tuple[str, ...]
    """The keys of the probes that are fitted."""
    heater: bool
    firmware: Firmware | None
    keys: tuple[str, ...] = ()
    """What it tells on CAN, by the protocol `4E 57` or in an older layout, sorted."""
    has_blocks: bool = True
    """Whether its blocks can be read as on RS485."""
    layout: Layout | None = None
    """The generation of its frames, where it is one with fewer values."""

    @classmethod
    def of(
        cls,
        values: Mapping[str, object],
        cells: tuple[int, ...],
        firmware: Firmware | None,
        *,
        heater: bool,
        keys: Iterable[str] | None = None,
        layout: Layout | None = None,
    ) -> Self:
        """Return the features that the values tell of: all blocks, or keys elsewhere."""
        return cls(
            cells=cells,
            probes=tuple(key for key in _PROBES if values.get(key) is not None),
            heater=heater,
            firmware=firmware,
            keys=() if keys is None else tuple(sorted(keys)),
            has_blocks=keys is None,
            layout=layout,
        )

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """Return what `dump` has stored; raises ValueError where that is damaged."""
        keys, layout, firmware = (
            data.get(key) for key in ("keys", "layout", "firmware")
        )
        return cls(
            cells=tuple(_all(items(data.get("cells")), int)),
            probes=tuple(_all(items(data.get("probes")), str)),
            heater=data.get("heater") is True,
            firmware=Firmware.parse(firmware) if isinstance(firmware, str) else None,
            keys=tuple(_all(items(keys), str)),
            has_blocks=data.get("has_blocks", keys is None) is True,
            layout=None if layout is None else Layout(layout),
        )

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        on_can = {"keys": list(self.keys), "has_blocks": self.has_blocks}
        return {
            "cells": list(self.cells),
            "probes": list(self.probes),
            "heater": self.heater,
            "firmware": None if self.firmware is None else str(self.firmware),
            **(on_can if self.keys or not self.has_blocks else {}),
            **({} if self.layout is None else {"layout": str(self.layout)}),
        }

    def has(self, datum: Datum[Any]) -> bool:
        """Tell whether the BMS can have this value at all."""
        in_blocks = self.has_blocks and datum.key not in _ELSEWHERE
        # What was told needs no guess by firmware: `4E 57` has settings that the blocks
        # have since version 19 only.
        if datum.key not in self.keys and not (
            in_blocks and datum.applies_to(self.firmware)
        ):
            return False
        match datum.hardware:
            case Hardware.CELL:
                return datum.index in self.cells
            case Hardware.PROBE:
                return datum.key in self.probes
            case _:
                return True

    def uses(self, datum: Datum[Any]) -> bool:
        """Tell whether the value is worth showing unless somebody objects."""
        return datum.enabled and (datum.hardware is not Hardware.HEATER or self.heater)

    def may_grow(self, changed: AbstractSet[str]) -> bool:
        """Tell whether more than this may be learnt from values that have changed."""
        if self.keys and not changed <= {*self.keys}:
            return True
        telling = _TELLING & changed
        if not telling:
            return False
        if self.heater:
            telling -= _OF_HEATER
        return bool(telling.difference(self.probes))

    def merged(self, other: Features) -> Features:
        """Return the newer features with the cells and probes known before.

        A probe that fails reads as absent; its entity becomes unknown, it does not go.
        """
        return Features(
            cells=tuple(sorted({*self.cells, *other.cells})),
            probes=tuple(k for k in _PROBES if k in self.probes or k in other.probes),
            heater=self.heater or other.heater,
            firmware=other.firmware or self.firmware,
            keys=tuple(sorted({*self.keys, *other.keys})),
            has_blocks=self.has_blocks or other.has_blocks,
            layout=other.layout or self.layout,
        )


def _all[T](values: Iterable[object], kind: type[T]) -> Iterator[T]:
    """Yield values of one kind; raises ValueError where another is among them."""
    for value in values:
        if not isinstance(value, kind):
            raise ValueError(f"{value!r} is no {kind.__name__}")  # noqa: TRY004  # what is stored may be damaged: a wrong value of the file, no mistake of who calls
        yield value
