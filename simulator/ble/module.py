"""What the two kinds of Bluetooth modules offer (ble.md 1)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERVICE: Final = "0000ffe0-0000-1000-8000-00805f9b34fb"
FFE1: Final = "0000ffe1-0000-1000-8000-00805f9b34fb"
FFE2: Final = "0000ffe2-0000-1000-8000-00805f9b34fb"


class Kind(StrEnum):
    """A kind of module."""

    OLD = "old"
    """FFE1 that is written and notifies, beside FFE2."""
    NEW = "new"
    """FFE1 twice: one is written, the other notifies."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Characteristic:
    """A characteristic of the service FFE0."""

    uuid: str
    handle: int
    properties: tuple[str, ...]


_CHARACTERISTICS: Final = {
    Kind.OLD: (
        Characteristic(
            uuid=FFE2, handle=0x10, properties=("write-without-response", "write")
        ),
        Characteristic(
            uuid=FFE1,
            handle=0x12,
            properties=("write-without-response", "write", "notify"),
        ),
    ),
    Kind.NEW: (
        Characteristic(
            uuid=FFE1, handle=0x03, properties=("write-without-response", "write")
        ),
        Characteristic(uuid=FFE1, handle=0x05, properties=("read", "notify")),
    ),
}


def characteristics(kind: Kind) -> tuple[Characteristic, ...]:
    """What a module offers."""
    return _CHARACTERISTICS[kind]
