"""A JK pack that talks by itself on CAN, as in protocols 0 and 6 (can.md 1).

The periods are those measured, not those documented (can.md 1.2).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from ..faults import Fault
from ..pack import Outcome, Pack
from ..registers import Block
from . import signals
from .bus import Node
from .frame import Frame, frame_of
from .signals import MOST_CELLS, Version

STANDARD_ADDRESSES: Final = range(12)
"""Addresses whose standard ids still fit into 11 bits (can.md 1.1)."""

ADDRESSES: Final = range(16)

CONTROL: Final = 0x18F0F428
"""The id of the only documented write (can.md 1.3)."""

_TICK: Final = 0.1
"""Seconds, the measure of all measured periods."""

_DRIFT: Final = 100e-6
_REFRESH: Final = 1.0
"""Seconds between two measurements of a pack."""

_NO_PROBE: Final = -2000


class Name(StrEnum):
    """The frames of a pack, by the vendor's names."""

    BATT_ST1 = "BATT_ST1"
    CELL_VOLT = "CELL_VOLT"
    CELL_TEMP = "CELL_TEMP"
    ALM_INFO = "ALM_INFO"
    BATT_ST2 = "BATT_ST2"
    ALL_TEMP = "ALL_TEMP"
    BMSERR_INFO = "BMSERR_INFO"
    BMS_INFO = "BMS_INFO"
    SW_STA = "BmsSwSta"
    CELLVOL = "CELLVOL"
    CHG_INFO = "BMSChg_INFO"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """An id without address, every how many ticks it is sent, and at which of them."""

    id: int
    every: int
    phase: int = 0

    @property
    def extended(self) -> bool:
        """Whether the id has 29 bits."""
        return self.id > 0x7FF

    @property
    def period(self) -> float:
        """Seconds from one such frame to the next."""
        return self.every * _TICK


KINDS: Final = {
    Name.BATT_ST1: Kind(id=0x02F4, every=1),
    Name.CELL_VOLT: Kind(id=0x04F4, every=1),
    Name.CELL_TEMP: Kind(id=0x05F4, every=10, phase=1),
    Name.ALM_INFO: Kind(id=0x07F4, every=1),
    Name.BATT_ST2: Kind(id=0x18F128F4, every=2, phase=1),
    Name.ALL_TEMP: Kind(id=0x18F228F4, every=10, phase=4),
    Name.BMSERR_INFO: Kind(id=0x18F328F4, every=1),
    Name.BMS_INFO: Kind(id=0x18F428F4, every=10, phase=6),
    Name.SW_STA: Kind(id=0x18F528F4, every=5, phase=2),
    Name.CELLVOL: Kind(id=0x18E028F4, every=15, phase=8),
    Name.CHG_INFO: Kind(id=0x1806E5F4, every=5),
}
"""What a pack sends; the alarm frames only while there is an alarm."""

_CYCLE: Final = 30
_TURNS: Final = tuple(
    tuple(name for name, kind in KINDS.items() if tick % kind.every == kind.phase)
    for tick in range(_CYCLE)
)
"""What is sent at each tick; after 30 it begins again."""


def contents(pack: Pack, version: Version = Version.V2) -> dict[Name, list[bytes]]:
    """What a pack has to say now, frame by frame; only the cells take more than one."""
    number = pack.number_of
    alarms, current = number("alarms"), number("current")
    levels = signals.levels_of(alarms, version)
    hours = number("remaining_capacity") / -current if current < 0 else 0
    said = {
        Name.BATT_ST1: [
            signals.batt_st1(
                version,
                millivolts=number("pack_voltage"),
                milliamperes=current,
                soc=number("soc"),
                hours=round(hours),
            )
        ],
        Name.CELL_VOLT: [
            signals.cell_volt(_cell(pack, "highest"), _cell(pack, "lowest"))
        ],
        Name.CELL_TEMP: [_extremes(pack)],
        Name.ALM_INFO: [signals.alm_info(levels)] if levels else [],
    }
    return said if version is Version.V1 else said | _extended(pack, alarms)


def _extended(pack: Pack, alarms: int) -> dict[Name, list[bytes]]:
    number = pack.number_of
    faults = signals.bmserr_info(alarms)
    cells = min(pack.cell_count, MOST_CELLS)
    heating, charging = bool(number("heater")), bool(number("charge_mos"))
    return {
        Name.BATT_ST2: [
            signals.batt_st2(
                remaining=number("remaining_capacity"),
                full=number("full_capacity"),
                cycled=number("cycled_capacity"),
                cycles=number("cycles"),
            )
        ],
        Name.ALL_TEMP: [signals.all_temp(probes(pack))],
        Name.BMSERR_INFO: [faults] if any(faults) else [],
        Name.BMS_INFO: [
            signals.bms_info(
                seconds=number("run_time"),
                heating=number("heater_current"),
                soh=number("soh"),
            )
        ],
        Name.SW_STA: [
            signals.switches(
                charge=charging,
                discharge=bool(number("discharge_mos")),
                balancing=bool(number("balancer_state")),
                heating=heating,
                plugged=bool(number("charger_plugged")),
                acc=bool(number("acc")),
            )
        ],
        Name.CELLVOL: signals.cellvol(
            number(f"cell_voltage_{cell + 1}") for cell in range(cells)
        ),
        Name.CHG_INFO: [
            signals.chg_info(
                millivolts=number("rcv") * pack.cell_count,
                milliamperes=number("charge_current_limit"),
                off=not charging,
                heat=heating,
            )
        ],
    }


def probes(pack: Pack) -> list[float | None]:
    """The five temperatures in tenths of a degree; the third is the power board's (can.md 1.3)."""
    names = ("temperature_1", "temperature_2", "mos_temperature")
    values = [
        pack.number_of(name) for name in (*names, "temperature_4", "temperature_5")
    ]
    return [None if value == _NO_PROBE else value for value in values]


def _cell(pack: Pack, which: str) -> tuple[int, int]:
    number = pack.number_of(f"{which}_cell") + 1
    return pack.number_of(f"cell_voltage_{number}"), number


def _extremes(pack: Pack) -> bytes:
    """CELL_TEMP of the two probes that all boards have.

    Places are counted from 0.  With all five probes at one temperature the captures
    name 1 as the warmest and 0 as the coldest, so the others have no part in it.
    """
    found = [
        (value, place)
        for place, value in enumerate(probes(pack)[:2])
        if value is not None
    ]
    if not found:
        return signals.cell_temp((None, 0), (None, 0), None)
    average = sum(value for value, _ in found) / len(found)
    return signals.cell_temp(max(found), min(found), average)


def frames_of(pack: Pack, version: Version = Version.V2) -> dict[Name, list[Frame]]:
    """What a pack sends now under the ids of its address; none where the id does not exist."""
    frames: dict[Name, list[Frame]] = {}
    for name, said in contents(pack, version).items():
        kind = KINDS[name]
        usable = ADDRESSES if kind.extended else STANDARD_ADDRESSES
        frames[name] = [
            frame_of(
                kind.id + place * 0x10000 + pack.address, data, extended=kind.extended
            )
            for place, data in enumerate(said)
            if pack.address in usable
        ]
    return frames


class NativePack(Node):
    """A pack's own clock, and what it sends at each tick."""

    hears = frozenset({CONTROL})

    def __init__(
        self,
        pack: Pack,
        *,
        version: Version = Version.V2,
        faults: Sequence[Fault] = (),
        random: Random,
    ) -> None:
        """Let a pack talk; chance decides when it begins, and how wrong its clock is."""
        self.pack = pack
        self.version = version
        self._faults = faults
        self._period = _TICK * (1 + random.uniform(-_DRIFT, _DRIFT))
        self._offset = random.uniform(0, _TICK)
        self._first = random.randrange(_CYCLE)
        self._origin = 0.0
        self._tick = 0
        self._refreshed: float | None = None
        self._source: tuple[bytes, bytes, int] | None = None
        self._frames: dict[Name, list[Frame]] = {}

    def begin(self, now: float) -> None:
        """Start the clock."""
        self._origin = now + self._offset

    def due(self) -> float:
        """The next tick."""
        return self._origin + self._tick * self._period

    def emit(self, now: float) -> Iterable[Frame]:
        """What this tick brings, unless the pack is gone."""
        turn = (self._first + self._tick) % _CYCLE
        self._tick += 1
        pack = self.pack
        if not (pack.present and all(fault.hears(pack, now) for fault in self._faults)):
            return ()
        if self._refreshed is None or now >= self._refreshed + _REFRESH:
            self._refreshed = now
            pack.advance(now)
        frames = self._current()
        return [frame for name in _TURNS[turn] for frame in frames.get(name, ())]

    def _current(self) -> dict[Name, list[Frame]]:
        """Everything it has to say, coded again only if the pack has changed."""
        live, settings = self.pack.frame(Block.LIVE), self.pack.frame(Block.SETTINGS)
        known = self._source
        if known is None or not (
            known[0] is live and known[1] is settings and known[2] == self.pack.address
        ):
            self._source = (live, settings, self.pack.address)
            self._frames = frames_of(self.pack, self.version)
        return self._frames

    def hear(self, frame: Frame, now: float) -> None:
        """Obey the control frame, which only the pack at address 0 does, and enter it into the journal."""
        if self.pack.address or self.version is Version.V1 or len(frame.data) < 4:
            return
        for bit, name in enumerate(("charge", "discharge", "balancer")):
            if frame.data[0] >> bit & 1:
                value = frame.data[1 + bit] & 1
                self.pack.set(f"{name}_switch", value)
                if name != "balancer":
                    self.pack.set(f"{name}_mos", value)
        self.pack.note(frame.id, frame.data, now, Outcome.ACTION)
