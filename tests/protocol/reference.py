"""The same decisions the long way: each row through its codec, each rule as it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
import struct
from typing import Any, override

from custom_components.jkbms.protocol.alarms import NOTICE_MASK, PROBLEM_MASK, WORD
from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import Block, Firmware, Role
from custom_components.jkbms.protocol.fields import (
    CELL_RESISTANCES,
    CELL_VOLTAGES,
    FIELDS_OF,
)
from custom_components.jkbms.protocol.layout import FRAME_HEAD, Layout, place
from custom_components.jkbms.protocol.state import BmsState, Update

type Values = dict[str, Value]


def decoded(
    frame: bytes, block: Block, layout: Layout, firmware: Firmware | None = None
) -> Values:
    """Return the values of a block, one by one."""
    values: Values = {}
    for field in FIELDS_OF[block]:
        where = place(field, layout)
        if field.role is Role.SECRET or where is None:
            continue
        start, code = where
        (raw,) = struct.unpack_from(f"<{code}", frame, FRAME_HEAD + start)
        sure = firmware is not None or not field.ambiguous
        known = sure and field.applies_to(firmware)
        values[field.key] = field.codec.decode(raw) if known else None
    if block is Block.LIVE:
        mask = _whole(values, "cell_presence")
        for cell in range(len(CELL_VOLTAGES)):
            if not mask >> cell & 1:
                values[CELL_VOLTAGES[cell].key] = None
                values[CELL_RESISTANCES[cell].key] = None
    return values


def _whole(values: Mapping[str, Value], key: str) -> int:
    value = values[key]
    assert isinstance(value, int)
    return value


def derived(values: Values) -> Values:
    """Return what follows from a live block, one by one."""
    mask, word = _whole(values, "cell_presence"), _whole(values, "alarm_bitmask")
    present = [cell for cell in range(1, 33) if mask >> cell - 1 & 1]
    volts: dict[int, Any] = {n: values[f"cell_voltage_{n}"] for n in present}
    volts = {n: v for n, v in volts.items() if v is not None}
    ohms: dict[int, Any] = {n: values[f"cell_resistance_{n}"] for n in present}
    state = _whole(values, "balancing_state")
    total: Any = values["total_voltage"]
    amperes: Any = values["current"]
    power = round(total * amperes, 3)
    wires = _whole(values, "wire_alarm_bitmask")
    named = [a.name for n, a in enumerate(WORD) if (word & ~NOTICE_MASK) >> n & 1]
    more = [f"{len(named) - 5} more"] if len(named) > 5 else []
    lowest = min(volts.values(), default=None)
    highest = max(volts.values(), default=None)
    return {
        "power": power,
        "charging_power": max(0.0, power),
        "discharging_power": max(0.0, -power),
        "average_cell_voltage": (
            round(sum(volts.values()) / len(volts), 3) if volts else None
        ),
        "delta_cell_voltage": (None if lowest is None else round(highest - lowest, 3)),
        "min_cell_voltage": lowest,
        "max_cell_voltage": highest,
        "min_voltage_cell": next((n for n, v in volts.items() if v == lowest), None),
        "max_voltage_cell": next((n for n, v in volts.items() if v == highest), None),
        "max_cell_resistance": max(ohms.values(), default=None),
        "max_resistance_cell": max(ohms, key=lambda n: (ohms[n], -n), default=None),
        "balancing": state != 0,
        "balancing_direction": ("off", "charging", "discharging", None)[min(state, 3)],
        "problem": bool(word & PROBLEM_MASK),
        "notice": bool(word & NOTICE_MASK),
        "errors": ", ".join(named[:5] + more) or "OK",
        "wire_alarm_cells": (
            ", ".join(str(n + 1) for n in range(32) if wires >> n & 1) or "OK"
        ),
        **{alarm.key: bool(word >> n & 1) for n, alarm in enumerate(WORD)},
    }


@dataclass(slots=True)
class LongWay(BmsState):
    """A state that looks at each frame as if none had come before."""

    @override
    def _follow(
        self, data: bytes, block: Block, now: float, *, noisy: bool
    ) -> Update | None:
        return None


def known(state: BmsState) -> dict[str, Any]:
    """Return all that a state knows and waits for, to be compared."""
    return {
        field.name: _comparable(getattr(state, field.name))
        for field in fields(BmsState)
        if field.name != "_trails"
    }


def _comparable(thing: Any) -> Any:
    """Return a text in which all that is not a number is the same."""
    if isinstance(thing, Mapping):
        return {repr(k): _comparable(v) for k, v in thing.items()}
    return sorted(thing) if isinstance(thing, set) else repr(thing)
