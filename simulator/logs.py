"""The detail log of a pack: what the trigger 0x1622 sends as type 06 frames (rs485.md 3.3)."""

from enum import IntEnum
from itertools import batched
import struct
from typing import TYPE_CHECKING, Final

from .checks import sum8

if TYPE_CHECKING:
    from .pack import Pack

_PER_FRAME: Final = 12
_RECORD: Final = struct.Struct("<IBBBBHHHhHHbbbB")


class Event(IntEnum):
    """The event codes that the simulator itself produces (rs485.md 3.3)."""

    BOOT = 1
    RS485_CHARGE_OFF = 52
    RS485_CHARGE_ON = 53
    RS485_DISCHARGE_OFF = 54
    RS485_DISCHARGE_ON = 55


class EventLog:
    """Records of 24 bytes, oldest first."""

    def __init__(self) -> None:
        """Start without records."""
        self.records: list[bytes] = []

    def add(self, event: Event, pack: Pack) -> None:
        """Record an event with the state the pack is in."""
        number = pack.number_of
        highest, lowest = number("highest_cell"), number("lowest_cell")
        states = number("charge_mos") | number("discharge_mos") << 1
        self.records.append(
            _RECORD.pack(
                number("rtc"),
                event,
                states,
                highest,
                lowest,
                number(f"cell_voltage_{highest + 1}"),
                number(f"cell_voltage_{lowest + 1}"),
                number("pack_voltage") // 10,
                number("current") // 100,
                number("remaining_capacity") // 100,
                number("full_capacity") // 100,
                max(number("temperature_1"), number("temperature_2")) // 10,
                min(number("temperature_1"), number("temperature_2")) // 10,
                number("mos_temperature") // 10,
                0,
            )
        )

    def frames(self) -> bytes:
        """All records as type 06 frames, at least one frame."""
        out = bytearray()
        batches = [*batched(self.records, _PER_FRAME, strict=False)] or [()]
        for index, records in enumerate(batches):
            head = struct.pack("<HB", index * _PER_FRAME, len(records))
            frame = b"\x55\xaa\xeb\x90\x06\x00" + head + b"".join(records)
            frame = frame.ljust(299, b"\0")
            out += frame + bytes([sum8(frame)])
        return bytes(out)
