"""What went wrong with a change, in words; the one place where errors are translated."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .const import DOMAIN
from .protocol.datum import Field
from .protocol.order import broken_order
from .protocol.write_job import Outcome, WriteResult
from .protocol.writing import Wish, is_within

if TYPE_CHECKING:
    from .control import Writer
    from .coordinator import BusCoordinator
    from .pack import Pack

_UNITS_OF_STEP: Final = 6


def check_writable(
    coordinator: BusCoordinator,
    pack: Pack,
    writer: Writer | None,
    field: Field[Any],
    value: Wish,
) -> None:
    """Refuse what shall not even be tried; raises ServiceValidationError."""
    placeholders = {"pack": pack.name, "setting": field.name, "value": show(value)}
    if not coordinator.sets(pack):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="listening",
            translation_placeholders=placeholders,
        )
    if not coordinator.may_write:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="writing_not_allowed",
            translation_placeholders=placeholders,
        )
    if writer is not None and writer.master.yielded:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="foreign_master",
            translation_placeholders=placeholders,
        )
    limits = field.limits
    if limits is not None and not is_within(field, value):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="out_of_range",
            translation_placeholders={
                **placeholders,
                "minimum": show(limits.minimum),
                "maximum": show(limits.maximum),
            },
        )
    if isinstance(value, str):
        return
    settings = pack.settings()
    order = broken_order(field, value, settings)
    if order is not None:
        too_high = order.lower is field
        other = order.upper if too_high else order.lower
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="too_high" if too_high else "too_low",
            translation_placeholders={
                **placeholders,
                "other": other.name,
                "limit": show(settings.get(other.key)),
            },
        )


def raise_for_result(
    pack: Pack, field: Field[Any], value: Wish, result: WriteResult
) -> None:
    """Return when the change is proven; else raises HomeAssistantError."""
    if result.outcome is Outcome.PROVEN:
        return
    raise HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=f"write_{result.outcome}",
        translation_placeholders={
            "pack": pack.name,
            "setting": field.name,
            "value": show(value),
            "before": show(result.before),
            "found": show(result.found),
            "code": show(result.code),
        },
    )


def show(value: object) -> str:
    """Return a value as a person writes it."""
    match value:
        case None:
            return "?"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.{_UNITS_OF_STEP}g}"
        case _:
            return str(value)
