"""A change of one setting, from the wish to the bytes; nothing else is ever written.

The registers that may be written are those of the writable rows of the datasheet. The
block of actions, 0x1600 to 0x162C, has no row there: a slip of one bit beside the read
triggers would restore, erase or brick a pack (rs485.md 2.8).
"""

from dataclasses import dataclass
import struct
from typing import Any, Final

from .codecs import BIG, Bit, Value
from .datum import Field
from .errors import InvalidValueError, NotWritableError
from .fields import BY_KEY, MAX_ADDRESS
from .frames import WriteRequest

_ROUNDING: Final = 1e-6


type Wish = float | bool | str
"""What a setting can be set to: a number, on or off, or one of its options."""


def is_within(field: Field[Any], value: Wish) -> bool:
    """Tell whether a setting can have the value at all."""
    limits = field.limits
    if limits is None:
        return value in field.options if field.options else isinstance(value, bool)
    if isinstance(value, bool | str):
        return False
    return limits.minimum - _ROUNDING <= value <= limits.maximum + _ROUNDING


def as_stored(field: Field[Any], value: Wish) -> Value:
    """Return the value as the BMS would tell it, in the steps of the wire."""
    codec = field.codec
    if isinstance(codec, Bit):
        return value
    stored: Value = codec.decode(codec.encode(value))
    return stored


@dataclass(frozen=True, slots=True)
class Change:
    """One setting of one BMS and the value it shall have."""

    address: int
    field: Field[Any]
    value: Wish

    def __post_init__(self) -> None:
        """Refuse what may not be written; raises NotWritable- or InvalidValueError."""
        if BY_KEY.get(self.field.key) is not self.field or not self.field.writable:
            raise NotWritableError(self.field.key)
        if not 0 <= self.address <= MAX_ADDRESS:
            raise InvalidValueError(f"address {self.address}")
        if not is_within(self.field, self.value):
            raise InvalidValueError(f"{self.field.key}={self.value}")

    def register_data(self, current: bytes) -> bytes:
        """Return what the register shall hold, given what it holds now.

        `current` is the big-endian content of the register; the bits and bytes beside
        the setting are kept, the unknown ones too.
        """
        codec = self.field.codec
        if isinstance(codec, Bit):
            (word,) = struct.unpack(">H", current)
            mask = 1 << codec.bit
            return struct.pack(">H", word | mask if self.value else word & ~mask)
        data = struct.pack(BIG + codec.code, codec.encode(self.value))
        if len(data) > 1:
            return data
        low = self.field.address & 1
        return current[:1] + data if low else data + current[1:]

    def request(self, current: bytes) -> WriteRequest:
        """Return the FC16 write of the one register, or register pair."""
        return WriteRequest(
            self.address, self.field.register, self.register_data(current)
        )

    def current_data(self, block_data: bytes) -> bytes:
        """Cut the register out of a frame's block, as its big-endian content."""
        field = self.field
        start = field.register - field.block.base
        size = 2 * field.words
        data = block_data[start : start + size]
        # Bytes keep their order on both paths, numbers do not (rs485.md 2.4).
        return data if field.codec.size == 1 else data[::-1]

    def found(self, current: bytes) -> Value:
        """Return the setting that the content of the register stands for."""
        codec = self.field.codec
        if codec.size == 1:
            current = current[self.field.address & 1 :][:1]
        (raw,) = struct.unpack(BIG + codec.code, current)
        return codec.decode(raw)
