"""What an inverter expects of a battery, language by language (can.md 2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """The messages of a language in their order, and their pace."""

    ids: tuple[int, ...]
    spacing: float
    """Seconds from one message to the next."""
    order: Literal["little", "big"] = "little"
    asked: bool = False
    """Whether the inverter has to ask for each cycle."""
    limits: int = 0x351
    charge: int = 0x355
    measured: int = 0x356
    requests: int | None = None

    @property
    def cycle(self) -> float:
        """Seconds of all messages."""
        return self.spacing * len(self.ids)


_PYLON: Final = (0x351, 0x355, 0x356, 0x35C, 0x35E, 0x359)
_JK: Final = (0x351, 0x355, 0x356, 0x35C, 0x35E, 0x370, 0x371, 0x359)
_SMA: Final = (0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F)

LANGUAGES: Final[Mapping[str, Expected]] = {
    "pylontech_1_2": Expected(ids=_PYLON, spacing=0.1, requests=0x35C),
    "pylontech_1_3": Expected(ids=_JK, spacing=0.1, requests=0x35C),
    "deye": Expected(ids=_JK, spacing=0.1, requests=0x35C),
    "sma": Expected(ids=_SMA, spacing=0.166),
    "victron": Expected(
        ids=(*_SMA, 0x360, *range(0x370, 0x378), 0x379, 0x380, 0x381, 0x382),
        spacing=0.04,
    ),
    "luxpower": Expected(ids=_PYLON, spacing=0.1, requests=0x35C),
    "growatt": Expected(
        ids=(0x311, 0x312, 0x313, 0x314, 0x319, 0x320, 0x321, 0x322, 0x323),
        spacing=0.02,
        order="big",
        asked=True,
        limits=0x311,
        charge=0x313,
        measured=0x313,
        requests=0x319,
    ),
}
