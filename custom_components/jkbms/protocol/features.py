"""What a BMS has, learnt from its blocks: cells, probes, a heater, its firmware."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from .datum import Datum, Firmware, Hardware
from .fields import FIELDS

_PROBES: Final = tuple(
    field.key for field in FIELDS if field.hardware is Hardware.PROBE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What decides which values a BMS can have; kept when it cannot be asked."""

    cells: tuple[int, ...]
    """The numbers of the cells that are connected, counted from 1."""
    probes: tuple[str, ...]
    """The keys of the probes that are fitted."""
    heater: bool
    firmware: Firmware | None
    keys: tuple[str, ...] | None = None
    """What its frames can tell, sorted; None where that is all that its blocks hold."""

    @classmethod
    def of(
        cls,
        values: Mapping[str, object],
        cells: tuple[int, ...],
        firmware: Firmware | None,
        *,
        heater: bool,
        keys: Iterable[str] | None = None,
    ) -> Self:
        """Return the features that the values of all blocks tell of."""
        return cls(
            cells=cells,
            probes=tuple(key for key in _PROBES if values.get(key) is not None),
            heater=heater,
            firmware=firmware,
            keys=None if keys is None else tuple(sorted(keys)),
        )

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """Return what `dump` has stored, now or before there were keys."""
        keys = data.get("keys")
        return cls(
            cells=tuple(data["cells"]),
            probes=tuple(data["probes"]),
            heater=data["heater"],
            firmware=Firmware.parse(data["firmware"]),
            keys=None if keys is None else tuple(keys),
        )

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        limited = {} if self.keys is None else {"keys": list(self.keys)}
        return {
            "cells": list(self.cells),
            "probes": list(self.probes),
            "heater": self.heater,
            "firmware": None if self.firmware is None else str(self.firmware),
            **limited,
        }

    def has(self, datum: Datum[Any]) -> bool:
        """Tell whether the BMS can have this value at all."""
        if not datum.applies_to(self.firmware):
            return False
        if self.keys is not None and datum.key not in self.keys:
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

    def merged(self, other: Features) -> Features:
        """Return the newer features with the cells and probes known before.

        A probe that fails reads as absent; its entity becomes unknown, it does not go.
        """
        return Features(
            cells=tuple(sorted({*self.cells, *other.cells})),
            probes=tuple(k for k in _PROBES if k in self.probes or k in other.probes),
            heater=self.heater or other.heater,
            firmware=other.firmware or self.firmware,
            keys=_together(self.keys, other.keys),
        )


def _together(
    older: tuple[str, ...] | None, newer: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Return the keys of both, but only where the newer features are limited to keys."""
    if older is None or newer is None:
        return newer
    return tuple(sorted({*older, *newer}))
