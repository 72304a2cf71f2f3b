"""CAN messages without what is private in them."""

import re
from typing import Final

from .inverter import BY_ID
from .machine import BANK_ADDRESS, owner_of
from .message import CanMessage

_SERIAL_NUMBER: Final = frozenset({0x380, 0x381})
_MAKER: Final = 0x35E
"""Names the brand; by it the units of a bank are told (can.md 2.1)."""
_TEXT: Final = re.compile(rb"[\x20-\x7e]{3}")


def masked(message: CanMessage) -> CanMessage:
    """Return a message without its data where that may be a serial number or a name.

    Packs tell neither on CAN; banks may, and others that share the bus (can.md 2).
    """
    found = owner_of(message)
    if found is not None and found[1] != BANK_ADDRESS:
        return message
    secret = message.id in _SERIAL_NUMBER
    named = message.id != _MAKER or message.id not in BY_ID or message.extended
    if secret or (named and _TEXT.search(message.data)):
        return message._replace(data=bytes(len(message.data)))
    return message
