"""The two check sums of the line, computed by the simulator's own means."""

from typing import Final


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC: Final = tuple(_crc_of(byte) for byte in range(256))


def crc16(data: bytes | bytearray) -> bytes:
    """CRC-16/MODBUS in wire order, low byte first (rs485.md 2.1)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def with_crc(data: bytes) -> bytes:
    """The message with its CRC behind it."""
    return data + crc16(data)


def crc_fits(message: bytes | bytearray) -> bool:
    """Whether the last two bytes are the CRC of those before them."""
    return len(message) > 2 and crc16(message[:-2]) == message[-2:]


def sum8(data: bytes | bytearray) -> int:
    """The check byte of a 300-byte frame (rs485.md 3.2)."""
    return sum(data) & 0xFF
