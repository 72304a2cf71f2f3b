"""Several settings of a pack as an action takes them: judged, planned, made, reported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field as dataclass_field
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import Context, HomeAssistant

from .errors import sentence
from .protocol.datum import Field, Tier
from .protocol.rules import plan
from .protocol.settings_diff import COMPARED
from .protocol.settings_job import FieldResult
from .protocol.settings_record import SETTINGS
from .protocol.write_job import Outcome, WriteResult
from .protocol.writing import Change, Wish, as_stored
from .wording import name_of
from .write_errors import in_words, not_changed, not_put_back, refusals

if TYPE_CHECKING:
    from .pack_targets import Target

type Wishes = Mapping[Field[Any], Wish]

_COMPARED: Final = frozenset(COMPARED)
_PLANNED: Final = "planned"
_NOT_TRIED: Final = "not_tried"


@dataclass(slots=True)
class Result:
    """What became of the settings of one pack, or what would."""

    device_id: str
    pack: str
    dry_run: bool
    changes: list[dict[str, Any]] = dataclass_field(default_factory=list)
    skipped: dict[str, str] = dataclass_field(default_factory=dict)
    """Settings that were left as they are, and why."""
    problems: list[str] = dataclass_field(default_factory=list)
    """Why nothing was changed, or not all of it, in words."""


def settings_of(target: Target) -> dict[str, Any]:
    """Return the settings of a pack that are known, in the order of the datasheet."""
    known = target.pack.settings()
    return {key: known[key] for key in SETTINGS if known.get(key) is not None}


def common_settings(
    target: Target, settings: Mapping[str, Any], only: Iterable[str], result: Result
) -> dict[Field[Any], Wish]:
    """Return what of another pack's settings a pack can take over.

    What it cannot is noted in the result.
    """
    chosen, known = set(only), target.pack.settings()
    wishes: dict[Field[Any], Wish] = {}
    for key, value in settings.items():
        field = SETTINGS.get(key)
        if chosen and key not in chosen:
            continue
        if field is None:
            result.skipped[key] = "unknown"
        elif field not in _COMPARED or field.tier is Tier.DANGER:
            result.skipped[key] = "not_copied"
        elif known.get(key) is None:
            result.skipped[key] = "not_on_this_pack"
        elif not target.bus.allows(field):
            result.skipped[key] = "tier_not_allowed"
        else:
            wishes[field] = value
    result.skipped |= dict.fromkeys(chosen - settings.keys(), "unknown")
    return wishes


async def async_apply(
    hass: HomeAssistant,
    target: Target,
    wishes: Wishes,
    result: Result,
    context: Context,
    *,
    confirmed: bool = False,
) -> None:
    """Change the settings of a pack, all or none; a dry run only says what it would do."""
    pack, known = target.pack, target.pack.settings()
    new = {f: w for f, w in wishes.items() if known.get(f.key) != as_stored_or(f, w)}
    result.problems += [
        sentence(hass, refusal)
        for refusal in refusals(target.bus, pack, new, confirmed=confirmed)
    ]
    if result.problems or not new:
        return
    if result.dry_run:
        changes = [Change(pack.address, field, wish) for field, wish in new.items()]
        result.changes += [
            _entry(
                hass, change.field, known.get(change.field.key), change.value, _PLANNED
            )
            for change in plan(changes, known)
        ]
        return
    report = await target.bus.changes.async_set_all(pack, new, context)
    for one in report.results:
        _note(hass, result, target, one)
    result.problems += [
        sentence(hass, in_words(hass, pack, broken)) for broken in report.violations
    ]


def as_stored_or(field: Field[Any], wish: Wish) -> Wish | None:
    """Return a wish as the BMS would tell it; None where it could never have it."""
    try:
        stored = as_stored(field, wish)
    except ValueError, TypeError, OverflowError:
        return None
    return stored if isinstance(stored, bool | float | int | str) else None


def _note(
    hass: HomeAssistant, result: Result, target: Target, one: FieldResult
) -> None:
    field, outcome = one.change.field, one.outcome
    entry = _entry(hass, field, one.before, one.wanted, outcome or _NOT_TRIED)
    entry["found"] = one.found
    if one.rolled_back is not None:
        entry["rolled_back"] = one.rolled_back
    result.changes.append(entry)
    if one.rolled_back is False:
        left = not_put_back(hass, target.pack, field, one.found)
        result.problems.append(sentence(hass, left))
    if outcome in (None, Outcome.BROKEN_RULE):
        return
    ended = WriteResult(outcome, one.before, one.found, one.code, one.again_at)
    error = not_changed(hass, target.pack, field, one.wanted, ended)
    if error is not None:
        result.problems.append(sentence(hass, error))


def _entry(
    hass: HomeAssistant, field: Field[Any], old: Any, new: Wish, outcome: str
) -> dict[str, Any]:
    return {
        "setting": field.key,
        "name": name_of(hass, field),
        "from": old,
        "to": new,
        "result": str(outcome),
    }
