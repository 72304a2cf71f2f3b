"""One write from its first read to its proof (rs485.md 2.9).

The register is read afresh, so that its neighbours are kept and the old value is
known; written; and read back. Only what was read back counts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Any, Final, override

from .budget import WriteBudget
from .codecs import Value
from .datum import Block, Field, Firmware
from .frames import ExceptionCode, Frame, WriteRequest
from .layout import FRAME_HEAD, Layout, decode_block
from .order import ORDERS
from .violation import Violation, passed
from .writing import Change

_READ_BACK_AFTER: Final = 0.4
"""Seconds from the ACK until the value shows (rs485.md 2.9)."""
_LOOK_AGAIN_AFTER: Final = 0.8
_READS: Final = 3
_WRITES: Final = 2


class Outcome(StrEnum):
    """How a change ended."""

    PROVEN = auto()
    """Read back as wanted."""
    UNREACHABLE = auto()
    """The BMS did not answer; nothing was written."""
    UNSUPPORTED = auto()
    """This firmware does not have the setting; nothing was written."""
    REFUSED_REGISTER = auto()
    REFUSED_VALUE = auto()
    REFUSED = auto()
    """Refused with another exception."""
    IGNORED = auto()
    """Acknowledged, but the old value is still there."""
    CLAMPED = auto()
    """Acknowledged, but another value is there."""
    UNANSWERED = auto()
    """Not acknowledged, and the old value is still there."""
    UNPROVEN = auto()
    """Written, but could not be read back."""
    BROKEN_RULE = auto()
    """It would not fit the other settings as they are now; nothing was written."""
    TOO_OFTEN = auto()
    """The register was written too often lately; nothing was written."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """How a change ended, with the values before and after as they were read."""

    outcome: Outcome
    before: Value = None
    found: Value = None
    code: int | None = None
    """The Modbus exception, where there was one."""
    again_at: float | None = None
    """When a write that came too often is possible."""
    violations: tuple[Violation, ...] = ()
    """The rules that would have been broken."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Read a block."""

    block: Block


@dataclass(frozen=True, slots=True)
class Write[R = WriteRequest]:
    """Send the write."""

    request: R


@dataclass(frozen=True, slots=True)
class Done:
    """There is nothing left to do."""


type Action[R = WriteRequest] = Ask | Write[R] | Done

_REFUSALS: Final = {
    int(ExceptionCode.ILLEGAL_REGISTER): Outcome.REFUSED_REGISTER,
    int(ExceptionCode.ILLEGAL_VALUE): Outcome.REFUSED_VALUE,
}


type Takes = Callable[[Change, Layout | None, Firmware | None], bool]
"""Tells whether a change can be sent to a BMS of this layout and firmware."""


def can_have(change: Change, layout: Layout | None, firmware: Firmware | None) -> bool:
    """Tell whether the BMS has the register under this meaning, beyond doubt."""
    field = change.field
    if layout is not Layout.JK02_32S or not field.applies_to(firmware):
        return False
    return firmware is not None or not field.ambiguous


class _Phase(StrEnum):
    READ = auto()
    WRITE = auto()
    VERIFY = auto()


class ProvenJob[F = Frame, R = WriteRequest](ABC):
    """A write under way; its owner asks for a step and reports what came of it.

    F is what a read brings, R what is sent to write.
    """

    def __init__(self, address: int, field: Field[Any], *, known: bool) -> None:
        """Begin with reading the block of a field; one not `known` is read twice.

        The first frame of a block is believed unrepeated: enough to be shown, not to
        write what shares the register.
        """
        self.address = address
        self.fields: tuple[Field[Any], ...] = (field,)
        """What has to be read to know how it ends."""
        self.not_before = 0.0
        """When the next step may be taken at the earliest."""
        self.result: WriteResult | None = None
        self._block = field.block
        self._phase = _Phase.READ
        self._known = known
        self._old: Value = None
        self._writes = 0
        self._acknowledged = False
        self._refusal: int | None = None
        self._failed_reads = 0
        self._looked_again = False

    @property
    def ended(self) -> bool:
        """Whether there is a result."""
        return self.result is not None

    def step(self) -> Action[R]:
        """Return what to do next."""
        if self.result is not None:
            return Done()
        if self._phase is _Phase.WRITE:
            self._writes += 1
            return Write(self._request())
        return Ask(self._block)

    def answered(self, frame: F | None, now: float) -> None:
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
                self._phase = _Phase.WRITE
                self._read(frame, now)
            case _:
                self._compare(frame, now)

    def refused(self, code: int) -> None:
        """Take note of an exception.

        The BMS says no to a register or a value. What else is said may be a gateway's,
        to this request or to the one before: whether it was written its value tells.
        """
        if self._phase is not _Phase.WRITE:
            self._read_failed()
        elif (outcome := _REFUSALS.get(code)) is not None:
            self._end(outcome, self._old, code)
        else:
            self._refusal = code
            self._verify(self.not_before)

    def unanswered(self, now: float) -> None:
        """Take note that nothing came; whether a write was heard its value tells."""
        if self._phase is _Phase.WRITE:
            self._verify(now + _READ_BACK_AFTER)
        else:
            self._read_failed()

    def abandon(self) -> WriteResult:
        """End because the bus is lost, and tell how far it came."""
        return self.result or self._end(self._unread, None)

    # -- what is written ----------------------------------------------------------

    @abstractmethod
    def _request(self) -> R:
        """Return the write."""

    @abstractmethod
    def _read(self, frame: F, now: float) -> None:
        """Take note of what there is before; end where that is what is wanted."""

    @abstractmethod
    def _look(self, frame: F, now: float) -> tuple[Value, bool, bool]:
        """Return what is there, whether it is as wanted, and whether as it was."""

    # -- the proof ----------------------------------------------------------------

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

    def _compare(self, frame: F, now: float) -> None:
        found, wanted, unchanged = self._look(frame, now)
        said_something = self._acknowledged or self._refusal is not None
        if wanted:
            self._end(Outcome.PROVEN, found)
        elif not unchanged:
            self._end(Outcome.CLAMPED, found)
        elif said_something and not self._looked_again:
            self._looked_again = True
            self._verify(now + _LOOK_AGAIN_AFTER)
        elif self._acknowledged:
            self._end(Outcome.IGNORED, found)
        elif self._refusal is not None:
            self._end(Outcome.REFUSED, found, self._refusal)
        elif self._writes < _WRITES:
            self._phase = _Phase.WRITE
        else:
            self._end(Outcome.UNANSWERED, found)

    def _end(
        self,
        outcome: Outcome,
        found: Value,
        code: int | None = None,
    ) -> WriteResult:
        self.result = WriteResult(outcome, self._old, found, code)
        return self.result


class WriteJob(ProvenJob):
    """The change of one setting."""

    def __init__(
        self,
        change: Change,
        layout: Layout | None,
        firmware: Firmware | None,
        *,
        known: bool = True,
        budget: WriteBudget | None = None,
        takes: Takes = can_have,
    ) -> None:
        """Begin; a setting that this BMS cannot have ends at once.

        Without a budget it may be written however often it was. What can be written at
        all depends on the wire, too.
        """
        super().__init__(change.address, change.field, known=known)
        self.change = change
        self._budget = budget
        self._layout = layout or Layout.JK02_32S
        self._firmware = firmware
        self._current = b""
        self._target: Value = None
        if not takes(change, layout, firmware):
            self.result = WriteResult(Outcome.UNSUPPORTED)

    @override
    def _request(self) -> WriteRequest:
        return self.change.request(self._current)

    @override
    def _read(self, frame: Frame, now: float) -> None:
        change, field = self.change, self.change.field
        self._current = current = change.current_data(frame.data[FRAME_HEAD:])
        self._old = change.found(current)
        wanted = change.register_data(current)
        self._target = change.found(wanted)
        if current == wanted:
            self._end(Outcome.PROVEN, self._old)
            return
        # Others, or a change before this one, may have moved what it has to fit.
        values = decode_block(
            frame.data,
            field.block,
            self._layout,
            firmware=self._firmware,
            offset=FRAME_HEAD,
        )
        if broken := tuple(passed(ORDERS, {field: change.value}, values)):
            self.result = replace(
                self._end(Outcome.BROKEN_RULE, self._old), violations=broken
            )
        elif self._budget is not None:
            again = self._budget.possible_at(change.address, field.register, now)
            if again > now:
                self.result = replace(
                    self._end(Outcome.TOO_OFTEN, self._old), again_at=again
                )

    @override
    def _look(self, frame: Frame, now: float) -> tuple[Value, bool, bool]:
        # The neighbours in the register may be changed by others meanwhile; a second
        # write shall not undo that.
        self._current = self.change.current_data(frame.data[FRAME_HEAD:])
        found = self.change.found(self._current)
        return found, found == self._target, found == self._old
