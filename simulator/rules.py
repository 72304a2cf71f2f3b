"""What a BMS says to a write, before it stores anything (rs485.md 2.9)."""

from collections.abc import Callable
from enum import IntEnum
import re
import struct
from typing import Final

from .registers import REGISTERS, Item, Register, Version

type Current = Callable[[str], int | float | bytes]
"""Looks up the raw value that a name has now."""


class Refusal(IntEnum):
    """A Modbus exception code (rs485.md 2.1)."""

    FUNCTION = 1
    REGISTER = 2
    VALUE = 3


def register_for(address: int, length: int, firmware: Version) -> Register | None:
    """The writable register that starts exactly there, has that length, and is known to the firmware."""
    register = REGISTERS.get(address)
    if register is None or not register.writable or register.length != length:
        return None
    return register if register.items[0].since <= firmware else None


def values_of(register: Register, payload: bytes) -> dict[Item, int]:
    """The raw values in a write's big endian payload."""
    layout = ">" + "".join(item.kind for item in register.items)
    return dict(zip(register.items, struct.unpack(layout, payload), strict=True))


def limits_of(item: Item, model: str) -> tuple[int | None, int | None]:
    """The raw limits of a value, narrowed to what this model's hardware carries."""
    maximum = item.maximum
    rating = _RATINGS.get(item.name)
    if rating is not None and maximum is not None:
        maximum = min(maximum, rating(model) or maximum)
    return item.minimum, maximum


def refusal_of(values: dict[Item, int], model: str, current: Current) -> Refusal | None:
    """Why these values are not taken, or None."""
    for item, value in values.items():
        if not item.writable:
            # The second half of a packed pair has to come back as it was read.
            if value != current(item.name):
                return Refusal.VALUE
            continue
        minimum, maximum = limits_of(item, model)
        if minimum is not None and value < minimum:
            return Refusal.VALUE
        if maximum is not None and value > maximum:
            return Refusal.VALUE
        mask = _ENABLE_MASKS.get(item.name)
        if mask is not None and not _enabled(value, current(mask)):
            return Refusal.VALUE
    return None


def _enabled(protocol: int, mask: float | bytes) -> bool:
    """Bit n of byte n/8 of an enable mask (rs485.md 2.7)."""
    assert isinstance(mask, bytes)
    return bool(mask[protocol // 8] >> protocol % 8 & 1)


_ENABLE_MASKS: Final = {"uart1_protocol": "uart1_mask", "can_protocol": "can_mask"}


def rated_current(model: str) -> int | None:
    """The model's rated current in mA: 200 A for PB2A16S20P, None for a name that does not say."""
    match = re.search(r"S-?(\d+)P", model)
    return int(match[1]) * 10_000 if match else None


def rated_balance_current(model: str) -> int | None:
    """The model's balance current in mA: 2 A for PB2A16S20P, None for a name that does not say."""
    match = re.search(r"B(\d)A\d+S", model)
    return int(match[1]) * 1000 if match else None


_RATINGS: Final = {
    "charge_current_limit": rated_current,
    "discharge_current_limit": rated_current,
    "balance_current_limit": rated_balance_current,
}
