"""A bank of packs in a test, and an inverter's ear."""

from dataclasses import dataclass, field
from typing import Any, Final

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS, Language
from custom_components.jkbms.protocol.inverter.limits import Rules
from custom_components.jkbms.protocol.inverter.sight import Guard, PackSight
from custom_components.jkbms.protocol.inverter.teller import LISTEN_FOR, Phase, Teller

from ..banks import member

GUARD: Final = Guard(
    cell_ovp=3.65,
    cell_ovpr=3.45,
    cell_uvp=2.8,
    cell_uvpr=3.0,
    cell_request_charge_voltage=3.45,
    cell_request_float_voltage=3.35,
    charge_otp=55.0,
    charge_otp_recovery=50.0,
    charge_utp=0.0,
    charge_utp_recovery=5.0,
    discharge_otp=60.0,
    discharge_otp_recovery=55.0,
    discharge_utp=-20.0,
    discharge_utp_recovery=-10.0,
    mos_otp=90.0,
    mos_otp_recovery=80.0,
)


def sight(number: int = 1, **told: Any) -> PackSight:
    """Return a pack of 16 cells that tells everything, but for what is said otherwise."""
    known: dict[str, Any] = {
        "guard": GUARD,
        "cells": 16,
        "health": 98.0,
        "cycles": 12,
        "mos_temperature": 30.0,
    }
    own = {key: told.pop(key) for key in tuple(told) if key in PackSight.__slots__}
    told.setdefault("volts", 53.0)
    return PackSight(member=member(number, **told), **known | own)


def limits_of(data: bytes, big: bool = False) -> tuple[float, float, float]:
    """Return voltage and currents of a message of limits, read by hand."""
    order = "big" if big else "little"
    words = [int.from_bytes(data[n : n + 2], order) for n in (0, 2, 4)]  # type: ignore[arg-type]  # one of the two
    return words[0] / 10, words[1] / 10, words[2] / 10


@dataclass
class Ear:
    """Drives a teller as its thread does, and keeps what is said."""

    language: Language = Language.PYLONTECH_1_3
    rules: Rules = field(default_factory=Rules)
    now: float = 1000.0
    step: float = 0.02
    said: list[tuple[float, CanMessage]] = field(default_factory=list)
    fresh: bool = True
    """Whether the packs are heard anew each second."""

    def __post_init__(self) -> None:
        """Open the bus."""
        self.teller = Teller(self.language, self.rules)
        self.packs: list[dict[str, Any]] = [{"number": n} for n in (1, 2)]
        self.heard = self.now
        self.teller.begin(self.now)
        self.give()

    def give(self) -> None:
        """Hand the packs over as they are."""
        self.given = self.now
        if self.fresh:
            self.heard = self.now
        self.teller.give(sight(**{"heard": self.heard, **pack}) for pack in self.packs)

    def run(self, seconds: float) -> list[tuple[float, CanMessage]]:
        """Let time pass; return what is said meanwhile."""
        before = len(self.said)
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = round(min(self.now + self.step, end), 6)
            if self.now - self.given >= 1:
                self.give()
            self.said += [(self.now, m) for m in self.teller.advance(self.now)]
        return self.said[before:]

    def up(self) -> None:
        """Wait until everything that is allowed is told."""
        self.run(LISTEN_FOR + 65)

    def phase(self) -> Phase:
        """What the inverter hears now."""
        return self.teller.status.phase

    @property
    def limits(self) -> tuple[float, float, float]:
        """The limits that were said last."""
        code = SCRIPTS[self.language].frames[0].id
        data = next(m.data for _, m in reversed(self.said) if m.id == code)
        return limits_of(data, self.language is Language.GROWATT)
