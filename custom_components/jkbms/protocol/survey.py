"""What is on a line: told by listening, before the first byte is sent (architecture.md 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from .attribution import MASTER, Attributed, Attributor
from .frames import MAGIC, Ack, Discarded, Frame, ReadRequest, WriteRequest
from .stream import Framer

LISTEN_FOR: Final = 8.0
"""Seconds; one cycle of a master takes up to 7.2 s (rs485.md 4.2)."""
_STRAY: Final = 16
"""So few bytes are what adapters emit when they are opened."""
_KEPT: Final = 4096
_LEGACY_MAGIC: Final = b"\x4e\x57"
_CUT: Final = 2
"""Torn frames that make it a habit of the adapter."""


class Finding(StrEnum):
    """What a line turned out to be."""

    SILENCE = auto()
    """Nothing was heard."""
    PACKS = auto()
    """BMS answered."""
    FOREIGN_MASTER = auto()
    """Somebody else already asks."""
    NOISE = auto()
    """Bytes, and none of them makes sense: baud rate, or A and B swapped."""
    LEGACY_PROTOCOL = auto()
    """The `4E 57` protocol of setting 000."""
    CUT_FRAMES = auto()
    """Frames begin and are cut short: the adapter or the gateway loses bytes."""
    MODBUS_TCP = auto()
    """A gateway that translates Modbus TCP and loses everything else."""


@dataclass(frozen=True, slots=True)
class Overheard:
    """A pack heard on a line that another master asks."""

    address: int
    frames: int


class Survey:
    """Listens; never sends."""

    def __init__(self) -> None:
        """Start having heard nothing."""
        self._framer = Framer()
        self._attributor = Attributor()
        self._frames: dict[int, int] = {}
        self._asked: set[int] = set()
        self._discarded = bytearray()
        self._items = 0

    def hear(self, data: bytes) -> None:
        """Take in bytes of the line."""
        self._discarded += data
        del self._discarded[:-_KEPT]
        self._note(self._attributor.feed(self._framer.feed(data)))

    def finish(self) -> Finding:
        """Return what the line is, as far as listening tells."""
        self._note(self._attributor.feed(self._framer.flush()))
        self._note(self._attributor.flush())
        if self._asked or self._frames or self._items:
            return Finding.FOREIGN_MASTER
        return diagnose(bytes(self._discarded))

    @property
    def packs(self) -> tuple[Overheard, ...]:
        """The packs heard, by address."""
        return tuple(Overheard(a, n) for a, n in sorted(self._frames.items()))

    def _note(self, heard: Iterable[object]) -> None:
        for item in heard:
            match item:
                case Attributed(address=int(address), acknowledged=True):
                    self._frames[address] = self._frames.get(address, 0) + 1
                case Attributed() | Frame():
                    self._items += 1
                case WriteRequest() | ReadRequest():
                    self._asked.add(item.address)
                case Ack(address=address) if address == MASTER:
                    self._asked.add(address)
                case Discarded():
                    pass
                case _:
                    self._items += 1


def diagnose(data: bytes) -> Finding:
    """Name the likely cause for bytes among which there was no frame."""
    if len(data) <= _STRAY:
        return Finding.SILENCE
    if data.count(MAGIC) >= _CUT:
        return Finding.CUT_FRAMES
    if _legacy(data):
        return Finding.LEGACY_PROTOCOL
    return Finding.NOISE


def _legacy(data: bytes) -> bool:
    """Tell whether a `4E 57` frame with a plausible length is there (ttl4e57.md)."""
    at = data.find(_LEGACY_MAGIC)
    while at >= 0:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if 18 <= length <= 400:
            return True
        at = data.find(_LEGACY_MAGIC, at + 1)
    return False
