"""What its owner is told once, in the language of the installation."""

from typing import Final

from homeassistant.components import persistent_notification
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN

_MOVED: Final = "pack_moved"


@callback
def notify_moved(
    hass: HomeAssistant,
    entry: ConfigEntry,
    subentry_id: str,
    pack: str,
    old: int,
    new: int,
) -> None:
    """Say that a pack was followed to another address."""
    placeholders = {
        "pack": pack,
        "bus": entry.title,
        "old": str(old),
        "new": str(new),
    }
    texts = async_get_cached_translations(hass, hass.config.language, "common", DOMAIN)

    def text(key: str) -> str:
        return texts[f"component.{DOMAIN}.common.{key}"].format(**placeholders)

    persistent_notification.async_create(
        hass,
        text(f"{_MOVED}_message"),
        title=text(f"{_MOVED}_title"),
        notification_id=f"{DOMAIN}_moved_{subentry_id}",
    )
