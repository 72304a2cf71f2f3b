"""The two actions of a BMS that may be started; there is no way to start another one.

Beside them lie those that restart, reset, erase or brick a pack, so neither register
nor data can be chosen here (rs485.md 2.8).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
import struct
from typing import Any, Final, override

from .codecs import BMS_EPOCH, Value
from .datum import Block, Field, Firmware
from .errors import InvalidValueError
from .fence import CLOCK, EMERGENCY
from .fields import BMS_CLOCK, EMERGENCY_TIME_LEFT, MAX_ADDRESS, V11
from .frames import Frame, WriteRequest
from .layout import FRAME_HEAD, Layout, decode_block
from .write_job import Outcome, ProvenJob, WriteResult

_TOLERANCE: Final = timedelta(seconds=3)
"""Whole seconds on both sides, and the time of a request and an answer."""
_RANGE: Final = timedelta(seconds=0xFFFF_FFFF)


@dataclass(frozen=True, slots=True)
class SetClock:
    """Set the clock of a BMS, which knows no time zone: it keeps the local time."""

    address: int
    local: datetime
    """The local time, naive."""
    at: float
    """When it is that time; time goes on until it is sent."""

    def __post_init__(self) -> None:
        """Refuse what no clock of a BMS can show; raises InvalidValueError."""
        _check_address(self.address)
        if self.local.tzinfo is not None:
            raise InvalidValueError("the clock of a BMS has no time zone")
        if (
            not timedelta(days=1)
            <= self.local - BMS_EPOCH
            <= _RANGE - timedelta(days=1)
        ):
            raise InvalidValueError(f"clock {self.local}")

    def time(self, now: float) -> datetime:
        """Return what the clock should show."""
        return self.local + timedelta(seconds=now - self.at)

    def request(self, now: float) -> WriteRequest:
        """Return the write."""
        seconds = round((self.time(now) - BMS_EPOCH).total_seconds())
        return WriteRequest(self.address, CLOCK, struct.pack(">I", seconds))


@dataclass(frozen=True, slots=True)
class StartEmergency:
    """Let a BMS discharge for a while although a cell is too low."""

    address: int

    def __post_init__(self) -> None:
        """Refuse an address that no BMS can have; raises InvalidValueError."""
        _check_address(self.address)

    def request(self) -> WriteRequest:
        """Return the write."""
        return WriteRequest(self.address, EMERGENCY, b"\0\0")


type Command = SetClock | StartEmergency


def _check_address(address: int) -> None:
    if not 0 <= address <= MAX_ADDRESS:
        raise InvalidValueError(f"address {address}")


class _CommandJob(ProvenJob):
    """A command, proven by a value of the live block."""

    def __init__(
        self,
        address: int,
        field: Field[Any],
        layout: Layout | None,
        firmware: Firmware | None,
    ) -> None:
        """Begin; other firmware has other actions at these registers (rs485.md 2.8)."""
        super().__init__(address, field, known=True)
        self._firmware = firmware
        if layout is not Layout.JK02_32S or firmware is None or firmware < V11:
            self.result = WriteResult(Outcome.UNSUPPORTED)

    def _values(self, frame: Frame) -> dict[str, Value]:
        return decode_block(
            frame.data, Block.LIVE, firmware=self._firmware, offset=FRAME_HEAD
        )


class ClockJob(_CommandJob):
    """Setting a clock, proven when it goes on from the time that was set."""

    def __init__(
        self, command: SetClock, layout: Layout | None, firmware: Firmware | None
    ) -> None:
        """Begin with reading the clock."""
        super().__init__(command.address, BMS_CLOCK, layout, firmware)
        self.command = command
        self._read_at = 0.0
        self._seen_at = 0.0

    @override
    def _request(self) -> WriteRequest:
        return self.command.request(self._seen_at)

    @override
    def _read(self, frame: Frame, now: float) -> None:
        self._read_at = now
        self._old, right, _ = self._look(frame, now)
        if right:
            self._end(Outcome.PROVEN, self._old)

    @override
    def _look(self, frame: Frame, now: float) -> tuple[Value, bool, bool]:
        self._seen_at = now
        clock = self._values(frame)[BMS_CLOCK.key]
        if not isinstance(clock, datetime):
            return None, False, self._old is None
        right = abs(clock - self.command.time(now)) <= _TOLERANCE
        went_on = False
        if isinstance(self._old, datetime):
            gone = timedelta(seconds=now - self._read_at)
            went_on = clock - self._old <= gone + _TOLERANCE and clock >= self._old
        return clock, right, went_on


class EmergencyJob(_CommandJob):
    """Starting the emergency mode, proven when its time runs."""

    def __init__(
        self, command: StartEmergency, layout: Layout | None, firmware: Firmware | None
    ) -> None:
        """Begin with reading whether it is on already."""
        super().__init__(command.address, EMERGENCY_TIME_LEFT, layout, firmware)
        self.command = command

    @override
    def _request(self) -> WriteRequest:
        return self.command.request()

    @override
    def _read(self, frame: Frame, now: float) -> None:
        self._old, on, _ = self._look(frame, now)
        if on:
            self._end(Outcome.PROVEN, self._old)

    @override
    def _look(self, frame: Frame, now: float) -> tuple[Value, bool, bool]:
        left = self._values(frame)[EMERGENCY_TIME_LEFT.key]
        return left, bool(left), not left
