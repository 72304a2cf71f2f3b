"""What travels on a Bluetooth connection besides the frames of RS485 (ble.md 2)."""

from dataclasses import dataclass
from typing import Final

from ..datum import Block

ORDER_MAGIC: Final = b"\xaa\x55\x90\xeb"
ORDER_SIZE: Final = 20
_VALUE_AT: Final = 6
MAX_VALUE: Final = ORDER_SIZE - _VALUE_AT - 1
IDLE: Final = b"AT\r\n"
"""What newer modules say about five times a second; it tells nothing (ble.md 2)."""
REPEATED: Final = 0xA5
"""Counter of the device info that newer boards send along with the settings (ble.md 2)."""
_READY: Final = 0xC8
ASKS: Final = {Block.DEVICE: 0x97, Block.SETTINGS: 0x96}
"""The orders that bring a frame; behind the settings the live values begin to flow."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is sent to a pack, or the pack's word for having taken it."""

    register: int
    value: bytes = b""

    @property
    def ready(self) -> bool:
        """Whether a pack says so, and none is asked."""
        return self.register == _READY

    @property
    def accepted(self) -> bool:
        """Whether it says yes; no other word of it was ever recorded (ble.md 2)."""
        return self.value == b"\x01"

    def encode(self) -> bytes:
        """Return the 20 bytes; unused ones are 0."""
        if len(self.value) > MAX_VALUE:
            raise ValueError(f"an order holds {MAX_VALUE} bytes")
        head = ORDER_MAGIC + bytes((self.register, len(self.value))) + self.value
        body = head.ljust(ORDER_SIZE - 1, b"\0")
        return body + bytes((sum(body) & 0xFF,))

    @classmethod
    def parse(cls, data: bytes) -> Order | None:
        """Read 20 bytes; None where they are no order, or damaged.

        The phone app fills what is unused with random bytes (ble.md 2).
        """
        size = data[5]
        if size > MAX_VALUE or sum(data[:-1]) & 0xFF != data[-1]:
            return None
        return cls(data[4], data[_VALUE_AT : _VALUE_AT + size])


def asks(block: Block) -> Order:
    """Return what brings a block; live values come behind the settings by themselves."""
    return Order(ASKS.get(block, ASKS[Block.SETTINGS]))
