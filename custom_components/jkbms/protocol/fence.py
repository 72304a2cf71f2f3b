"""The last gate before the line: the writes that may leave it, by register and length.

What is built wrongly, here or by a caller, ends here. In the block of actions the read
triggers, the clock and the emergency start are all: whatever else is written there
restarts, resets, erases or bricks a pack (rs485.md 2.8).
"""

from typing import Final

from .datum import Block
from .errors import NotWritableError
from .fields import MAX_ADDRESS, writable
from .frames import WriteRequest

CLOCK: Final = 0x1612
"""Seconds since 2020 in local time, 32 bits."""
EMERGENCY: Final = 0x1610
"""The value says nothing; JK's own program writes 0."""
_SETTINGS: Final = {field.register: 2 * field.words for field in writable()}
_NOTHING: Final = b"\0\0"
_WITHOUT_VALUE: Final = frozenset({EMERGENCY, *(block.trigger for block in Block)})


def check_sendable(request: WriteRequest) -> None:
    """Raise NotWritableError where a write is none that may leave the line."""
    if 0 <= request.address <= MAX_ADDRESS:
        if request.register in _WITHOUT_VALUE:
            if request.data == _NOTHING:
                return
        elif len(request.data) == (
            4 if request.register == CLOCK else _SETTINGS.get(request.register)
        ):
            return
    raise NotWritableError(f"register {request.register:#06x}")
