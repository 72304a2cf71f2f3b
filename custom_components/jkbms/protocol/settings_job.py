"""Several settings of one BMS, changed together or not at all.

The settings are read afresh and judged as they would be afterwards; then they are
written one by one, each proven before the next, in an order in which no two pass each
other. When one fails, those before it are put back, in reverse order and proven too.
"""

from dataclasses import dataclass, field as dataclass_field, replace
from typing import Any, Final

from .budget import WriteBudget
from .codecs import Value
from .datum import Block, Field, Firmware
from .errors import InvalidValueError
from .frames import Frame
from .layout import FRAME_HEAD, Layout, decode_block
from .learnt import LearntLimits
from .order import are_related
from .rules import Violation, check, plan
from .write_job import (
    Action,
    Ask,
    Done,
    Outcome,
    Takes,
    WriteJob,
    WriteResult,
    can_have,
)
from .writing import Change, Wish, as_stored, is_within

_READS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """Changes of different settings of one BMS that belong together."""

    changes: tuple[Change, ...]
    model: str | None = None
    learnt: LearntLimits = dataclass_field(default_factory=LearntLimits)

    def __post_init__(self) -> None:
        """Refuse what is of more than one BMS, or contradicts itself."""
        fields = {change.field for change in self.changes}
        addresses = {change.address for change in self.changes}
        if len(addresses) != 1 or len(fields) != len(self.changes):
            raise InvalidValueError("changes of different settings of one BMS")

    @property
    def address(self) -> int:
        """Whose settings they are."""
        return self.changes[0].address


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldResult:
    """What became of one of several changes."""

    change: Change
    outcome: Outcome | None = None
    """How writing it ended; None where it was not tried."""
    before: Value = None
    found: Value = None
    """What the BMS was left at, as it was read last; None where nobody knows."""
    code: int | None = None
    """The Modbus exception, where there was one."""
    again_at: float | None = None
    """When a write that came too often is possible."""
    rolled_back: bool | None = None
    """Whether it was put back and proven; None where it had not been changed."""

    @property
    def wanted(self) -> Wish:
        """The value that was asked for."""
        return self.change.value


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsReport:
    """How a transaction ended, with one result for each change, as they were given."""

    results: tuple[FieldResult, ...]
    violations: tuple[Violation, ...] = ()
    """The rules that would have been broken: by all before anything was written, or by
    one setting later on because somebody else changed another."""

    @property
    def proven(self) -> bool:
        """Whether every setting was read back as wanted."""
        return all(
            result.outcome is Outcome.PROVEN and result.rolled_back is None
            for result in self.results
        )

    @property
    def left_changed(self) -> tuple[FieldResult, ...]:
        """The settings that are not as they were before, or may not be."""
        return tuple(result for result in self.results if _is_changed(result))


def _is_changed(result: FieldResult) -> bool:
    if result.outcome in _UNTOUCHED or result.rolled_back:
        return False
    return result.found is None or result.found != result.before


def unreachable(transaction: Transaction) -> SettingsReport:
    """Return how it ended where nobody could be asked: nothing was written."""
    return SettingsReport(
        results=tuple(
            FieldResult(change=change, outcome=Outcome.UNREACHABLE)
            for change in transaction.changes
        )
    )


_UNTOUCHED: Final = frozenset(
    {
        None,
        Outcome.UNREACHABLE,
        Outcome.UNSUPPORTED,
        Outcome.BROKEN_RULE,
        Outcome.TOO_OFTEN,
    }
)


class SettingsJob:
    """A transaction under way; its owner asks for a step and reports what came of it."""

    def __init__(
        self,
        transaction: Transaction,
        layout: Layout | None,
        firmware: Firmware | None,
        *,
        known: frozenset[Block] = frozenset(),
        budget: WriteBudget | None = None,
        takes: Takes = can_have,
    ) -> None:
        """Begin; when the BMS cannot have one of the settings, none is written.

        A block that is not `known` is read twice, as for a single change.
        """
        self.transaction = transaction
        self.address = transaction.address
        self.report: SettingsReport | None = None
        self._layout = layout
        self._firmware = firmware
        self._budget = budget
        self._takes = takes
        self._results: dict[Field[Any], FieldResult] = {
            change.field: FieldResult(change=change) for change in transaction.changes
        }
        blocks = dict.fromkeys(change.field.block for change in transaction.changes)
        self._to_read = [b for b in blocks for _ in range(1 if b in known else 2)]
        self._failed_reads = 0
        self._values: dict[str, Value] = {}
        self._to_write: list[Change] = []
        self._written: list[Field[Any]] = []
        self._to_restore: list[Change] = []
        self._stuck: set[Field[Any]] = set()
        """Settings that could not be put back."""
        self._violations: tuple[Violation, ...] = ()
        self._rolling_back = False
        self._cancelled = False
        self._step: WriteJob | None = None
        absent = [c for c in transaction.changes if not takes(c, layout, firmware)]
        for change in absent:
            self._note(change, outcome=Outcome.UNSUPPORTED)
        if absent:
            self._finish()

    @property
    def change(self) -> Change | None:
        """The one of the changes that is under way."""
        return None if self._step is None else self._step.change

    @property
    def fields(self) -> tuple[Field[Any], ...]:
        """What it has to read to know how it ends."""
        return tuple(self._results)

    @property
    def ended(self) -> bool:
        """Whether there is a report."""
        return self.report is not None

    @property
    def not_before(self) -> float:
        """When the next step may be taken at the earliest."""
        return 0.0 if self._step is None else self._step.not_before

    def step(self) -> Action:
        """Return what to do next."""
        if self.report is not None:
            return Done()
        if self._step is None:
            return Ask(self._to_read[0])
        return self._step.step()

    def answered(self, frame: Frame | None, now: float) -> None:
        """Take note of an ACK, or of the frame that was asked for."""
        if self._step is not None:
            self._step.answered(frame, now)
            self._advance()
        elif self.ended:
            # Cancelled while it was asked for.
            return
        elif frame is None:
            self._read_failed()
        else:
            self._read(frame, now)

    def refused(self, code: int) -> None:
        """Take note of an exception."""
        if self._step is None:
            self._read_failed()
            return
        self._step.refused(code)
        self._advance()

    def unanswered(self, now: float) -> None:
        """Take note that nothing came."""
        if self._step is None:
            self._read_failed()
            return
        self._step.unanswered(now)
        self._advance()

    def cancel(self) -> None:
        """Write nothing further: what is under way is finished, then all is put back."""
        self._cancelled = True
        if self._step is None and self.report is None:
            self._finish()

    def abandon(self) -> SettingsReport:
        """End because the bus is lost, and tell what each setting was left at."""
        if self.report is not None:
            return self.report
        if self._step is None:
            self._unread()
        else:
            change, result = self._step.change, self._step.abandon()
            if self._rolling_back:
                self._take_restored(change, result)
            else:
                self._take_written(change, result)
                self._roll_back()
        return self._finish()

    # -- before -------------------------------------------------------------------

    def _read(self, frame: Frame, now: float) -> None:
        block = self._to_read.pop(0)
        self._failed_reads = 0
        self._values |= decode_block(
            frame.data,
            block,
            self._layout or Layout.JK02_32S,
            firmware=self._firmware,
            offset=FRAME_HEAD,
        )
        if self._to_read:
            return
        transaction = self.transaction
        for change in transaction.changes:
            now_at = self._values.get(change.field.key)
            self._note(change, before=now_at, found=now_at)
        wishes = {change.field: change.value for change in transaction.changes}
        violations = check(wishes, self._values, transaction.model, transaction.learnt)
        if violations:
            self._violations = violations
            self._finish()
        elif not self._may_write(now):
            self._finish()
        else:
            self._to_write = list(plan(transaction.changes, self._values))
            self._begin_next()

    def _may_write(self, now: float) -> bool:
        """Tell whether every register may be written; half of it would be no use."""
        allowed = True
        for change in self.transaction.changes:
            field = change.field
            same = self._values.get(field.key) == as_stored(field, change.value)
            if same or self._budget is None:
                continue
            again = self._budget.possible_at(self.address, field.register, now)
            if again > now:
                self._note(change, outcome=Outcome.TOO_OFTEN, again_at=again)
                allowed = False
        return allowed

    def _read_failed(self) -> None:
        self._failed_reads += 1
        if self._failed_reads >= _READS and not self.ended:
            self._unread()
            self._finish()

    def _unread(self) -> None:
        for change in self.transaction.changes:
            self._note(change, outcome=Outcome.UNREACHABLE)

    # -- one after the other ------------------------------------------------------

    def _advance(self) -> None:
        """Go on to the next setting when the one under way has ended."""
        step = self._step
        if step is None or step.result is None:
            return
        if self._rolling_back:
            self._take_restored(step.change, step.result)
        else:
            self._take_written(step.change, step.result)
            if self._cancelled or step.result.outcome is not Outcome.PROVEN:
                self._roll_back()
        self._begin_next()

    def _begin_next(self) -> None:
        """Begin with the next one; putting back is never too often."""
        waiting = self._to_restore if self._rolling_back else self._to_write
        while waiting:
            change = waiting.pop(0)
            if not any(are_related(change.field, stuck) for stuck in self._stuck):
                self._step = WriteJob(
                    change, self._layout, self._firmware, takes=self._takes
                )
                return
            # Put back alone it might pass the one that could not be.
            self._stuck.add(change.field)
        self._finish()

    def _take_written(self, change: Change, result: WriteResult) -> None:
        self._violations += result.violations
        self._note(change, outcome=result.outcome, code=result.code)
        if result.outcome not in _UNTOUCHED:
            self._note(change, before=result.before, found=result.found)
            self._written.append(change.field)

    def _take_restored(self, change: Change, result: WriteResult) -> None:
        restored = result.outcome is Outcome.PROVEN
        if not restored:
            self._stuck.add(change.field)
        if result.outcome not in _UNTOUCHED:
            self._note(change, found=result.found)
        self._note(change, rolled_back=restored)

    def _roll_back(self) -> None:
        """Put back what was changed, the last one first.

        A value that lies outside the range of its setting is not written, though it
        was there before.
        """
        self._rolling_back = True
        self._to_write.clear()
        for field in reversed(self._written):
            result = self._results[field]
            if not _is_changed(result):
                continue
            self._note(result.change, rolled_back=False)
            if (before := _wish(field, result.before)) is None:
                self._stuck.add(field)
            else:
                self._to_restore.append(replace(result.change, value=before))

    def _finish(self) -> SettingsReport:
        self._step = None
        self.report = SettingsReport(
            results=tuple(self._results.values()), violations=self._violations
        )
        return self.report

    def _note(self, change: Change, **what: Any) -> None:
        self._results[change.field] = replace(self._results[change.field], **what)


def _wish(field: Field[Any], value: Value) -> Wish | None:
    """Return what was read as something to set; None where it cannot be set."""
    if isinstance(value, float | int | str) and is_within(field, value):
        return value
    return None
