"""Who has changed which setting: an event of Home Assistant's bus for every change."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .const import DOMAIN
from .descriptions import MEANING
from .protocol.codecs import Value
from .protocol.datum import Field

if TYPE_CHECKING:
    from .coordinator import BusCoordinator
    from .pack import Pack

EVENT_SETTING_CHANGED: Final = f"{DOMAIN}_setting_changed"
ELSEWHERE: Final = "elsewhere"
"""The application, a display or the BMS itself."""
HERE: Final = "home_assistant"
PUT_BACK: Final = "rolled_back"
"""How a change ended that was made, and put back because another one failed."""


@callback
def tell_change(
    hass: HomeAssistant,
    bus: BusCoordinator,
    pack: Pack,
    field: Field[Any],
    *,
    old: Value,
    new: Value,
    wanted: Value = None,
    outcome: str | None = None,
    context: Context | None = None,
) -> None:
    """Tell of a setting that was changed, or should have been.

    `outcome` says how a change of ours ended; one made elsewhere has none.
    """
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, pack.subentry_id), bus.config_entry.entry_id
    )
    data: dict[str, Any] = {
        "device_id": None if device is None else device.id,
        "entity_id": _twin(hass, pack, field),
        "pack": pack.name,
        "setting": field.key,
        "name": field.full_name,
        "old": old,
        "new": new,
        "unit": MEANING[field.quantity].unit,
        "origin": ELSEWHERE if outcome is None else HERE,
    }
    if outcome is not None:
        data |= {"wanted": wanted, "outcome": outcome}
    hass.bus.async_fire(EVENT_SETTING_CHANGED, data, context=context)


def _twin(hass: HomeAssistant, pack: Pack, field: Field[Any]) -> str | None:
    """Return the entity that shows a setting, so that its logbook tells of it."""
    platform = "binary_sensor" if MEANING[field.quantity].is_binary else "sensor"
    return er.async_get(hass).async_get_entity_id(
        platform, DOMAIN, f"{pack.subentry_id}_{field.key}_set"
    )
