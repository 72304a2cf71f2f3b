"""The languages in which an inverter is told: messages, their order, their pace (can.md 2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..can.conditions import Condition
from ..can.dialect import Dialect
from ..can.inverter import DEYE, FRAMES, LUXPOWER, PYLON_12, PYLON_13, by_id
from ..can.signals import BankFrame


class Language(StrEnum):
    """What an inverter is set to understand."""

    PYLONTECH_1_2 = "pylontech_1_2"
    PYLONTECH_1_3 = "pylontech_1_3"
    """As GoodWe's version 1.5."""
    DEYE = "deye"
    SMA = "sma"
    VICTRON = "victron"
    LUXPOWER = "luxpower"
    GROWATT = "growatt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The messages of a language."""

    frames: tuple[BankFrame, ...]
    """In their order; the first one holds the limits."""
    spacing: float
    """Seconds from one message to the next, as of a JK."""
    maker: str
    dialect: Dialect
    """What it is to whoever listens."""
    asked: bool = False
    """Whether the inverter has to ask for each cycle."""
    whole_degrees: bool = False
    """Whether 0x370 has whole degrees, as of a JK."""
    least_cutoff: float = 0.0
    """V; the lowest discharge cut-off that the inverter takes."""

    @property
    def cycle(self) -> float:
        """Seconds that all messages take."""
        return self.spacing * len(self.frames)

    def known(self, *, warns: bool) -> frozenset[Condition]:
        """Return the conditions that it has words for."""
        return frozenset(
            condition
            for frame in self.frames
            for condition in frame.layout.conditions(warns=warns)
        )


LENGTH: Final = 8
"""Bytes of each message; a JK fills them up with zeros (can.md 2.1)."""

_PYLON: Final = (0x351, 0x355, 0x356, 0x35C, 0x35E, 0x359)
_WITH_EXTREMES: Final = (0x351, 0x355, 0x356, 0x35C, 0x35E, 0x370, 0x371, 0x359)
_SMA: Final = (0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F)
_VICTRON: Final = (
    *_SMA,
    *(0x360, 0x370, 0x371, 0x372, 0x373, 0x374, 0x375, 0x376, 0x377),
    *(0x379, 0x380, 0x381, 0x382),
)
"""As a JK, but for the energies in 0x378, whose unit is not known (can.md 2.2)."""
_GROWATT: Final = (*(0x311, 0x312, 0x313, 0x314, 0x319, 0x320, 0x321, 0x322, 0x323),)


def _script(
    dialect: Dialect,
    ids: tuple[int, ...],
    spacing: float,
    maker: str,
    own: tuple[BankFrame, ...] = (),
    *,
    asked: bool = False,
    whole_degrees: bool = False,
    least_cutoff: float = 0.0,
) -> Script:
    frames = FRAMES[dialect] | by_id(own)
    return Script(
        frames=tuple(frames[code] for code in ids),
        spacing=spacing,
        maker=maker,
        dialect=dialect,
        asked=asked,
        whole_degrees=whole_degrees,
        least_cutoff=least_cutoff,
    )


SCRIPTS: Final[Mapping[Language, Script]] = {
    Language.PYLONTECH_1_2: _script(Dialect.PYLON, _PYLON, 0.1, "PYLON", PYLON_12),
    Language.PYLONTECH_1_3: _script(
        Dialect.PYLON, _WITH_EXTREMES, 0.1, "Energy", PYLON_13
    ),
    Language.DEYE: _script(
        Dialect.PYLON, _WITH_EXTREMES, 0.1, "JK-BMS", DEYE, whole_degrees=True
    ),
    # It refuses a cut-off below 41 V (can.md 2.2).
    Language.SMA: _script(Dialect.SMA, _SMA, 0.166, "SMA", least_cutoff=41.0),
    Language.VICTRON: _script(Dialect.VICTRON, _VICTRON, 0.04, "JK-BMS"),
    Language.LUXPOWER: _script(Dialect.PYLON, _PYLON, 0.1, "JK-BMS", LUXPOWER),
    Language.GROWATT: _script(Dialect.GROWATT, _GROWATT, 0.02, "JK", asked=True),
}
