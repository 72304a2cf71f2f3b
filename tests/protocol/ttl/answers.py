"""Answers for the tests: recorded ones, and the same with some values changed."""

from collections.abc import Mapping
from typing import Any, Final

from custom_components.jkbms.protocol.ttl.decode import Decoded, decode
from custom_components.jkbms.protocol.ttl.frames import Message
from custom_components.jkbms.protocol.ttl.stream import Framer
from custom_components.jkbms.protocol.ttl.table import ITEMS
from tests.captures import ttl_answers

RECORDED: Final = {capture.id: capture.data for capture in ttl_answers()}
E1: Final = RECORDED["ttl-armin-16s-idle"]
E2: Final = RECORDED["ttl-syssi-14s"]
E3: Final = RECORDED["ttl-mpp-14s"]
E5: Final = RECORDED["ttl-b2a24s-13s"]


def message(frame: bytes) -> Message:
    """Return the one message that a frame is."""
    framer = Framer()
    (found,) = framer.feed(frame)
    assert framer.discarded == 0
    return found


def content(frame: bytes = E1) -> bytes:
    """Return what a recorded answer says."""
    return message(frame).content


def places(of: bytes) -> dict[int, int]:
    """Return where each id stands in a content, counted by the table itself."""
    at = 2 + of[1]
    found = {0x79: 0}
    while at < len(of):
        found[of[at]] = at
        at += 1 + ITEMS[of[at]].codec.size
    return found


def changed(of: bytes, values: Mapping[int, str]) -> bytes:
    """Return a content with other values, by id and in hexadecimal; "" takes an id out."""
    result = bytearray(of)
    for code, text in values.items():
        at = places(bytes(result))[code]
        end = at + 1 + ITEMS[code].codec.size
        value = bytes.fromhex(text)
        assert not value or len(value) == end - at - 1
        result[at:end] = bytes([code]) + value if value else b""
    return bytes(result)


def decoded(of: bytes) -> Decoded:
    """Return what a content says; it has to be one."""
    found = decode(of)
    assert found is not None
    return found


def values(of: bytes) -> dict[str, Any]:
    """Return the values of a content."""
    return decoded(of).values


def answer(of: bytes, terminal: int = 0, command: int = 6) -> bytes:
    """Return the frame around a content."""
    return Message(terminal, command, 0, 1, of).encode()
