"""One change from its first read to its proof (rs485.md 2.9).

The register is read afresh, so that its neighbours are kept and the old value is
known; written; and read back. Only what was read back counts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .codecs import Value
from .datum import Block, Firmware
from .frames import ExceptionCode, Frame, WriteRequest
from .layout import FRAME_HEAD, Layout
from .writing import Change

_READ_BACK_AFTER: Final = 0.4
"""Seconds from the ACK until the value shows (rs485.md 2.9)."""
_LOOK_AGAIN_AFTER: Final = 0.8
_READS: Final = 3
_WRITES: Final = 2


class Outcome(StrEnum):
    """How a change ended."""

    PROVEN = "proven"
    """Read back as wanted."""
    UNREACHABLE = "unreachable"
    """The BMS did not answer; nothing was written."""
    UNSUPPORTED = "unsupported"
    """This firmware does not have the setting; nothing was written."""
    REFUSED_REGISTER = "refused_register"
    REFUSED_VALUE = "refused_value"
    REFUSED = "refused"
    """Refused with another exception."""
    IGNORED = "ignored"
    """Acknowledged, but the old value is still there."""
    CLAMPED = "clamped"
    """Acknowledged, but another value is there."""
    UNANSWERED = "unanswered"
    """Not acknowledged, and the old value is still there."""
    UNPROVEN = "unproven"
    """Written, but could not be read back."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """How a change ended, with the values before and after as they were read."""

    outcome: Outcome
    before: Value = None
    found: Value = None
    code: int | None = None
    """The Modbus exception, where there was one."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Read a block."""

    block: Block


@dataclass(frozen=True, slots=True)
class Write:
    """Send the write."""

    request: WriteRequest


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do."""


type Action = Ask | Write | Done

_REFUSALS: Final = {
    int(ExceptionCode.ILLEGAL_REGISTER): Outcome.REFUSED_REGISTER,
    int(ExceptionCode.ILLEGAL_VALUE): Outcome.REFUSED_VALUE,
}


class _Phase(StrEnum):
    READ = "read"
    WRITE = "write"
    VERIFY = "verify"


class WriteJob:
    """A change under way; its owner asks for a step and reports what came of it."""

    def __init__(
        self,
        change: Change,
        layout: Layout | None,
        firmware: Firmware | None,
        *,
        known: bool = True,
    ) -> None:
        """Begin; a setting that this BMS cannot have ends at once.

        The first frame of a block is believed unrepeated: enough to be shown, not to
        write what shares the register. A block that is not `known` is read twice.
        """
        self.change = change
        self.not_before = 0.0
        """When the next step may be taken at the earliest."""
        self.result: WriteResult | None = None
        self._phase = _Phase.READ
        self._known = known
        self._before = b""
        self._wanted = b""
        self._writes = 0
        self._acknowledged = False
        self._failed_reads = 0
        self._looked_again = False
        if not _can_have(change, layout, firmware):
            self.result = WriteResult(Outcome.UNSUPPORTED)

    def step(self) -> Action:
        """Return what to do next."""
        if self.result is not None:
            return Done()
        if self._phase is _Phase.WRITE:
            self._writes += 1
            return Write(self.change.request(self._before))
        return Ask(self.change.field.block)

    def answered(self, frame: Frame | None, now: float) -> None:
        """Take note of an ACK, or of the frame that was asked for.

        No frame where one was asked for means that it could not be believed.
        """
        match self._phase:
            case _Phase.WRITE:
                self._acknowledged = True
                self._verify(now + _READ_BACK_AFTER)
            case _ if frame is None:
                self._read_failed()
            case _Phase.READ if not self._known:
                self._known = True
            case _Phase.READ:
                self._read(self.change.current_data(frame.data[FRAME_HEAD:]))
            case _:
                self._compare(self.change.current_data(frame.data[FRAME_HEAD:]), now)

    def refused(self, code: int) -> None:
        """Take note of an exception."""
        if self._phase is not _Phase.WRITE:
            self._read_failed()
            return
        self._end(_REFUSALS.get(code, Outcome.REFUSED), self._before, code)

    def unanswered(self, now: float) -> None:
        """Take note that nothing came; whether a write was heard its value tells."""
        if self._phase is _Phase.WRITE:
            self._verify(now + _READ_BACK_AFTER)
        else:
            self._read_failed()

    def abandon(self) -> WriteResult:
        """End because the bus is lost, and tell how far it came."""
        return self.result or self._end(self._unread, None)

    @property
    def _unread(self) -> Outcome:
        return Outcome.UNPROVEN if self._writes else Outcome.UNREACHABLE

    def _verify(self, not_before: float) -> None:
        self._phase = _Phase.VERIFY
        self._failed_reads = 0
        self.not_before = not_before

    def _read_failed(self) -> None:
        self._failed_reads += 1
        if self._failed_reads >= _READS:
            self._end(self._unread, None)

    def _read(self, current: bytes) -> None:
        self._before = current
        self._wanted = self.change.register_data(current)
        self._phase = _Phase.WRITE
        if current == self._wanted:
            self._end(Outcome.PROVEN, current)

    def _compare(self, current: bytes, now: float) -> None:
        # The neighbours in the register may be changed by others meanwhile.
        found = self.change.found(current)
        if found == self.change.found(self._wanted):
            self._end(Outcome.PROVEN, current)
        elif found != self.change.found(self._before):
            self._end(Outcome.CLAMPED, current)
        elif not self._acknowledged:
            if self._writes >= _WRITES:
                self._end(Outcome.UNANSWERED, current)
            self._phase = _Phase.WRITE
        elif self._looked_again:
            self._end(Outcome.IGNORED, current)
        else:
            self._looked_again = True
            self._verify(now + _LOOK_AGAIN_AFTER)

    def _end(
        self, outcome: Outcome, found: bytes | None, code: int | None = None
    ) -> WriteResult:
        before = self.change.found(self._before) if self._before else None
        value = None if found is None else self.change.found(found)
        self.result = WriteResult(outcome, before, value, code)
        return self.result


def _can_have(change: Change, layout: Layout | None, firmware: Firmware | None) -> bool:
    """Tell whether the BMS has the register under this meaning, beyond doubt."""
    field = change.field
    if layout is not Layout.JK02_32S or not field.applies_to(firmware):
        return False
    return firmware is not None or not field.ambiguous
