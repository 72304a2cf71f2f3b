"""Why a change was not made, in words; the one place where that is translated."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .errors import failure, refusal
from .protocol.codecs import Value
from .protocol.datum import Field, Tier
from .protocol.rules import check
from .protocol.violation import Relation, Rule, Violation
from .protocol.write_job import Outcome, WriteResult
from .protocol.writing import Wish
from .tiers import WriteTier, allowed_by
from .wording import name_of, show, show_of, word_of

if TYPE_CHECKING:
    from .coordinator import BusCoordinator
    from .pack import Pack

_ORDER_KEYS: Final = {
    Relation.BELOW: "has_to_be_below",
    Relation.AT_MOST: "has_to_be_at_most",
    Relation.ABOVE: "has_to_be_above",
    Relation.AT_LEAST: "has_to_be_at_least",
}
_SWITCHED: Final = ("on", "off")
"""What a setting without options can be."""


def refusals(
    bus: BusCoordinator,
    pack: Pack,
    wishes: Mapping[Field[Any], Wish],
    *,
    confirmed: bool = False,
) -> Iterator[ServiceValidationError]:
    """Yield why changes shall not even be tried; nothing is sent then.

    What can do great harm has to be `confirmed`.
    """
    for field, value in wishes.items():
        words = {
            "pack": pack.name,
            "setting": name_of(bus.hass, field),
            "value": show_of(bus.hass, field, value),
        }
        if not bus.sets(pack):
            yield refusal("listening", **words)
        elif (key := _not_allowed(bus, field, confirmed=confirmed)) is not None:
            yield refusal(key, **words)
        elif (writer := bus.writer(pack)) is not None and writer.master.yielded:
            yield refusal("foreign_master", **words)
        else:
            continue
        return
    model = pack.model
    learnt = pack.record.limits(pack.software_version)
    for violation in check(wishes, pack.settings(), model, learnt):
        yield in_words(bus.hass, pack, violation)


def _not_allowed(
    bus: BusCoordinator, field: Field[Any], *, confirmed: bool
) -> str | None:
    """Return why the owner of a bus does not want a setting to be changed."""
    allowed = allowed_by(bus.config_entry.options)
    if allowed is WriteTier.OFF:
        return "writing_not_allowed"
    if field.tier is Tier.DANGER:
        safe = confirmed and allowed is WriteTier.PROTECTION
        return None if safe else "danger_not_confirmed"
    return None if bus.allows(field) else "tier_not_allowed"


def in_words(
    hass: HomeAssistant, pack: Pack, violation: Violation
) -> ServiceValidationError:
    """Return the error that says which rule a change would break."""
    field, limits = violation.field, violation.field.limits
    words = {
        "pack": pack.name,
        "setting": name_of(hass, field),
        "value": show_of(hass, field, violation.value),
        "model": pack.model or "?",
    }
    limit = violation.limit
    match violation.rule:
        case Rule.ORDER if violation.other is not None:
            other = violation.other
            return refusal(
                _ORDER_KEYS[violation.relation],
                **words,
                other=name_of(hass, other),
                limit=show_of(hass, other, limit),
            )
        case Rule.MODEL:
            return refusal(
                "too_much_for_model", **words, limit=show_of(hass, field, limit)
            )
        case Rule.LEARNT:
            return refusal("refused_before", **words, limit=show_of(hass, field, limit))
        case _ if limits is None or field.options:
            options = limit if isinstance(limit, tuple) else ()
            key = "not_offered" if violation.rule is Rule.NOT_ENABLED else "no_option"
            # Who writes an action types the key.
            offered = (
                f"{word_of(hass, field, one)} ({one})" for one in options or _SWITCHED
            )
            return refusal(key, **words, options=", ".join(offered))
        case _:
            return refusal(
                "out_of_range",
                **words,
                minimum=show_of(hass, field, limits.minimum),
                maximum=show_of(hass, field, limits.maximum),
            )


def not_put_back(
    hass: HomeAssistant, pack: Pack, field: Field[Any], found: Value
) -> HomeAssistantError:
    """Return the error that says that a setting was left changed."""
    return failure(
        "not_put_back",
        pack=pack.name,
        setting=name_of(hass, field),
        found=show_of(hass, field, found),
    )


def not_changed(
    hass: HomeAssistant,
    pack: Pack,
    field: Field[Any],
    value: Wish,
    result: WriteResult,
    *,
    name: str | None = None,
) -> HomeAssistantError | None:
    """Return what is wrong with how a change ended; None where it is proven.

    An action that a field proves has a name of its own.
    """
    if result.outcome is Outcome.PROVEN:
        return None
    if result.outcome is Outcome.BROKEN_RULE and result.violations:
        return in_words(hass, pack, result.violations[0])
    now = hass.loop.time()
    again = 0.0 if result.again_at is None else max(0.0, result.again_at - now)
    return failure(
        f"write_{result.outcome}",
        pack=pack.name,
        setting=name or name_of(hass, field),
        value=show_of(hass, field, value),
        before=show_of(hass, field, result.before),
        found=show_of(hass, field, result.found),
        code=show(result.code),
        minutes=f"{again / 60 + 0.5:.0f}",
    )
