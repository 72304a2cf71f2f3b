"""A bank that talks to an inverter, and the inverter itself (can.md 2.1, 2.3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
import struct
from typing import Final

from ..bank import Bank
from ..faults import Fault
from .bank_view import BankView
from .bus import Node
from .dialects import PYLON, SMA, VICTRON, Coder
from .frame import Frame, frame_of
from .growatt import GROWATT, REQUEST, REQUEST_DATA

KEEP_ALIVE: Final = 0x305

PROBE: Final = 30.0
"""Seconds after which a bank that nobody keeps alive tries again (can.md 2.3)."""

_ASK: Final = 1.0
_MEASURED: Final = 0x356
_NAMED: Final = 0x307
_VIC: Final = bytes.fromhex("1234567856494300")


class Dialect(StrEnum):
    """What a bank's CAN port has been told to speak."""

    NATIVE = "native"
    NATIVE_V1 = "native-v1"
    PYLON = "pylon"
    VICTRON = "victron"
    SMA = "sma"
    GROWATT = "growatt"

    @property
    def native(self) -> bool:
        """Whether every pack speaks for itself."""
        return self in (Dialect.NATIVE, Dialect.NATIVE_V1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """The frames of a dialect in their order, and the seconds from one to the next."""

    frames: Mapping[int, Coder]
    spacing: float
    asked: bool = False
    """Whether the inverter has to ask for each cycle."""

    @property
    def period(self) -> float:
        """Seconds of a whole cycle."""
        return self.spacing * len(self.frames)


SCRIPTS: Final[Mapping[Dialect, Script]] = {
    Dialect.PYLON: Script(frames=PYLON, spacing=0.1),
    Dialect.VICTRON: Script(frames=VICTRON, spacing=0.04),
    Dialect.SMA: Script(frames=SMA, spacing=0.166),
    Dialect.GROWATT: Script(frames=GROWATT, spacing=0.02, asked=True),
}


class InverterBank(Node):
    """A bank whose first pack speaks for all of them."""

    def __init__(
        self,
        bank: Bank,
        script: Script,
        *,
        faults: Sequence[Fault] = (),
        patience: float | None = None,
        unasked: float | None = None,
    ) -> None:
        """Let a bank speak.

        With patience it falls silent after so many seconds without a keep-alive frame
        and tries a cycle now and then.  A bank that waits to be asked also begins a
        cycle by itself every so many seconds, if told to.
        """
        self.hears = frozenset({REQUEST if script.asked else KEEP_ALIVE})
        self._bank = bank
        self._script = script
        self._faults = faults
        self._patience = patience
        self._unasked = unasked
        self._ids = [*script.frames]
        self._view: BankView | None = None
        self._next: float | None = None
        self._place = 0
        self._alive = 0.0

    def begin(self, now: float) -> None:
        """Speak at once, unless it takes a question."""
        self._alive = now
        if not self._script.asked or self._unasked is not None:
            self._next = now

    def due(self) -> float | None:
        """The next frame of the cycle, or the next cycle."""
        return self._next

    def emit(self, now: float) -> Iterable[Frame]:
        """One frame; all of a cycle tell of one moment."""
        if self._place == 0:
            self._view = self._look(now)
        can_id = self._ids[self._place]
        self._place += 1
        self._next = now + self._script.spacing
        if self._place == len(self._ids):
            self._place = 0
            self._next = self._pause(now)
        if self._view is None:
            return ()
        return (frame_of(can_id, self._script.frames[can_id](self._view)),)

    def _pause(self, end: float) -> float | None:
        """When the next cycle begins after the last frame of one."""
        if self._script.asked:
            if self._unasked is None:
                return None
            return end + max(self._unasked - self._script.period, 0.0)
        following = end + self._script.spacing
        if self._patience is not None and following > self._alive + self._patience:
            return end + PROBE
        return following

    def _look(self, now: float) -> BankView | None:
        """The packs that are there, at this moment; nothing if none is."""
        there = [
            pack
            for pack in self._bank
            if pack.present and all(fault.hears(pack, now) for fault in self._faults)
        ]
        for pack in there:
            pack.advance(now)
        if not there:
            return None
        return BankView.of(there, absent=len(self._bank) - len(there))

    def hear(self, frame: Frame, now: float) -> None:
        """Go on for an inverter that is there, or answer one that asks."""
        resting = self._place == 0
        if self._script.asked:
            if resting:
                self._next = now + self._script.spacing
            return
        patience = self._patience
        silent = patience is not None and now > self._alive + patience
        self._alive = now
        if silent and resting:
            self._next = now + self._script.spacing


class Inverter(Node):
    """The inverter at the other end: it asks, or says every second that it is there."""

    hears = frozenset({_MEASURED})

    def __init__(self, dialect: Dialect) -> None:
        """Be an inverter of a family."""
        self._dialect = dialect
        self._next: float | None = None
        self._measured = bytes(6)

    def begin(self, now: float) -> None:
        """Wait a moment before the first word."""
        self._next = now + _ASK / 2

    def due(self) -> float | None:
        """Once per second."""
        return self._next

    def emit(self, now: float) -> Iterable[Frame]:
        """What an inverter of this family sends."""
        self._next = now + _ASK
        match self._dialect:
            case Dialect.GROWATT:
                return (frame_of(REQUEST, REQUEST_DATA),)
            case Dialect.VICTRON:
                return (frame_of(KEEP_ALIVE, bytes(8)), frame_of(_NAMED, _VIC))
            case Dialect.SMA:
                return (frame_of(KEEP_ALIVE, self._view()),)
        return (frame_of(KEEP_ALIVE, bytes(8)),)

    def _view(self) -> bytes:
        """SMA's own idea of the battery: 0.1 V, 0.1 A, 0.1 degrees, no state of charge."""
        voltage, current, temperature = struct.unpack_from("<hhh", self._measured)
        return struct.pack("<Hhhh", voltage // 10, current, temperature, 0)

    def hear(self, frame: Frame, now: float) -> None:
        """Take over what the battery measures."""
        if len(frame.data) >= len(self._measured):
            self._measured = frame.data
