"""Changes of settings: judged before, proven after, told of, and never in a loop."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import Context, HomeAssistant, callback

from .audit import PUT_BACK, tell_change
from .issues import (
    clear_settings_drift,
    clear_write_loop,
    raise_settings_drift,
    raise_write_loop,
)
from .protocol.ble.machine import BleMaster
from .protocol.datum import Field
from .protocol.master import Master
from .protocol.settings_diff import Difference, differences
from .protocol.settings_job import FieldResult, SettingsReport, Transaction, unreachable
from .protocol.settings_record import SETTINGS
from .protocol.state import Update
from .protocol.write_job import Outcome, WriteResult
from .protocol.writing import Change, Wish
from .transport.session import Session
from .wording import name_of, show
from .write_errors import not_changed, refusals

if TYPE_CHECKING:
    from .control import Writer
    from .coordinator import BusCoordinator
    from .pack import Pack

DIFFER: Final = "settings_differ"
"""The key of how many settings a pack has unlike the first of its bus."""

type Wishes = Mapping[Field[Any], Wish]


class Changes:
    """Changes settings of the packs of a bus, and notices who else does."""

    def __init__(
        self, hass: HomeAssistant, bus: BusCoordinator, save: Callable[[], None]
    ) -> None:
        """Take care of a bus; `save` stores soon what the packs are known to be set to."""
        self._hass = hass
        self._bus = bus
        self._save = save
        self._busy: Counter[tuple[str, str]] = Counter()
        """Settings that are being changed here, by pack and key."""
        self._loops: set[str] = set()
        """Packs with a setting that was written too often."""
        self.differing: dict[str, tuple[Difference, ...]] = {}
        """What each pack has unlike the first of its bus that tells its settings."""

    # -- changing ---------------------------------------------------------------------

    async def async_set(
        self,
        pack: Pack,
        field: Field[Any],
        value: Wish,
        context: Context | None = None,
    ) -> None:
        """Change one setting and return when it is proven.

        Raises translated errors that say what the BMS, or nobody, did.
        """
        for refusal in refusals(self._bus, pack, {field: value}):
            raise refusal
        result = await self._see_through(self._write(pack, field, value, context))
        error = not_changed(self._hass, pack, field, value, result)
        if error is not None:
            raise error

    async def async_set_all(
        self, pack: Pack, wishes: Wishes, context: Context | None = None
    ) -> SettingsReport:
        """Change settings that belong together, all of them or none.

        They have been judged: what `refusals` yields is not asked for here.
        """
        writer = self._bus.writer(pack)
        address = pack.address if writer is None else writer.station.address
        transaction = Transaction(
            tuple(Change(address, field, value) for field, value in wishes.items()),
            pack.model,
            pack.record.limits(pack.software_version),
        )
        if writer is None:
            return unreachable(transaction)
        try:
            return await self._see_through(
                self._make(pack, writer, transaction, context)
            )
        except asyncio.CancelledError:
            if isinstance(writer.master, Master | BleMaster):
                writer.master.cancel(transaction)
                writer.session.advance()
            raise

    async def _see_through[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work that goes on when nobody waits for it any more.

        A script that is restarted does not take back what is on the wire: how it ended
        has to be known, and who made it.
        """
        task = self._bus.config_entry.async_create_task(self._hass, work)
        return await asyncio.shield(task)

    async def _write(
        self, pack: Pack, field: Field[Any], value: Wish, context: Context | None
    ) -> WriteResult:
        writer = self._bus.writer(pack)
        if writer is None:
            # What answers there is another BMS, or the control line has lost it.
            result = WriteResult(Outcome.UNREACHABLE)
        else:
            change = Change(writer.station.address, field, value)
            with self._changing(pack, (change,)):
                result = await writer.session.write(change)
        self._settle(pack, field, value, result, context)
        return result

    async def _make(
        self,
        pack: Pack,
        writer: Writer,
        transaction: Transaction,
        context: Context | None,
    ) -> SettingsReport:
        with self._changing(pack, transaction.changes):
            if isinstance(writer.master, Master | BleMaster):
                report = await writer.session.settle(transaction)
            else:
                report = await _one_by_one(writer.session, transaction)
        for one in report.results:
            if one.outcome is not None:
                result = WriteResult(
                    one.outcome, one.before, one.found, one.code, one.again_at
                )
                put_back = bool(one.rolled_back)
                field = one.change.field
                self._settle(
                    pack, field, one.wanted, result, context, put_back=put_back
                )
        return report

    @contextmanager
    def _changing(self, pack: Pack, changes: Iterable[Change]) -> Iterator[None]:
        """What is read of a setting meanwhile was not changed elsewhere."""
        keys = [(pack.subentry_id, change.field.key) for change in changes]
        self._busy.update(keys)
        try:
            yield
        finally:
            self._busy -= Counter(keys)

    def _settle(
        self,
        pack: Pack,
        field: Field[Any],
        value: Wish,
        result: WriteResult,
        context: Context | None,
        *,
        put_back: bool = False,
    ) -> None:
        """Take note of how a change has ended, and tell of it."""
        record = pack.record
        if result.found is not None:
            record.settled(field, result.found)
        if result.outcome is not Outcome.UNREACHABLE:
            change = Change(pack.address, field, value)
            record.learn(change, result, pack.software_version)
        self._save()
        self._bus.watch.written(pack, result.outcome)
        self._watch_loops(pack, field, result.outcome)
        so_already = result.outcome is Outcome.PROVEN and result.before == result.found
        if so_already and not put_back:
            # Nothing was written.
            return
        tell_change(
            self._hass,
            self._bus,
            pack,
            field,
            old=result.before,
            new=result.found,
            wanted=value,
            outcome=PUT_BACK if put_back else result.outcome,
            context=context,
        )

    @callback
    def commanded(
        self,
        pack: Pack,
        field: Field[Any],
        wanted: str,
        result: WriteResult,
        context: Context | None,
    ) -> None:
        """Tell of an action that a value of the pack proves."""
        tell_change(
            self._hass,
            self._bus,
            pack,
            field,
            old=show(result.before),
            new=show(result.found),
            wanted=wanted,
            outcome=result.outcome,
            context=context,
        )

    def _watch_loops(self, pack: Pack, field: Field[Any], outcome: Outcome) -> None:
        if outcome is Outcome.TOO_OFTEN:
            self._loops.add(pack.subentry_id)
            name = name_of(self._hass, field)
            raise_write_loop(self._hass, self._bus.config_entry, pack, name)
        elif outcome is Outcome.PROVEN and pack.subentry_id in self._loops:
            self._loops.discard(pack.subentry_id)
            clear_write_loop(self._hass, pack.subentry_id)

    # -- noticing ---------------------------------------------------------------------

    @callback
    def read(self, pack: Pack, update: Update) -> None:
        """Take note of settings that were read of a pack, on whichever line."""
        if pack.mistaken or SETTINGS.keys().isdisjoint(update.changed):
            return
        changed = update.changed & SETTINGS.keys()
        busy = {key for of, key in self._busy if of == pack.subentry_id}
        for one in pack.record.read(pack.settings(), changed, busy):
            tell_change(
                self._hass, self._bus, pack, one.field, old=one.before, new=one.now
            )
        self._save()
        self._compare()

    def _compare(self) -> None:
        """Hold the packs against the first of them, and tell what has changed in that."""
        packs = sorted(self._bus.packs.values(), key=lambda pack: pack.address)
        told = [
            (pack, settings)
            for pack in packs
            if not (
                pack.mistaken or SETTINGS.keys().isdisjoint(settings := pack.settings())
            )
        ]
        if not told:
            return
        first, reference = told[0]
        for pack, settings in told:
            found = tuple(differences(reference, settings))
            if self.differing.get(pack.subentry_id) == found:
                continue
            self.differing[pack.subentry_id] = found
            matters = [one for one in found if one.matters]
            if matters:
                raise_settings_drift(
                    self._hass, self._bus.config_entry, pack, first, matters
                )
            else:
                clear_settings_drift(self._hass, pack.subentry_id)
            self._bus.wake(pack, {DIFFER})


async def _one_by_one(
    session: Session[Any], transaction: Transaction
) -> SettingsReport:
    """Make changes in the older protocol, whose switches do not depend on each other.

    When one fails, those before it are put back, in reverse order and proven too.
    """
    results: list[FieldResult] = []
    for change in transaction.changes:
        ended = await session.write(change)
        results.append(
            FieldResult(
                change=change,
                outcome=ended.outcome,
                before=ended.before,
                found=ended.found,
                again_at=ended.again_at,
            )
        )
        if ended.outcome is not Outcome.PROVEN:
            break
    else:
        return SettingsReport(results=tuple(results))
    for place, done in reversed(tuple(enumerate(results[:-1]))):
        if isinstance(done.before, bool) and done.before != done.found:
            back = await session.write(replace(done.change, value=done.before))
            proven = back.outcome is Outcome.PROVEN
            found = back.found if back.found is not None else done.found
            results[place] = replace(done, found=found, rolled_back=proven)
    rest = transaction.changes[len(results) :]
    results += [FieldResult(change=change) for change in rest]
    return SettingsReport(results=tuple(results))
