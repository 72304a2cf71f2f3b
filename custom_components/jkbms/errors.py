"""Errors of the integration, told in the words of its translations."""

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN


def refusal(key: str, **words: str) -> ServiceValidationError:
    """Return why something is not even tried."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=words
    )


def failure(key: str, **words: str) -> HomeAssistantError:
    """Return why something did not succeed."""
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=words
    )


@callback
def sentence(hass: HomeAssistant, error: HomeAssistantError) -> str:
    """Return what an error says in the language of Home Assistant; str() is always English."""
    texts = async_get_cached_translations(
        hass, hass.config.language, "exceptions", DOMAIN
    )
    text = texts.get(f"component.{DOMAIN}.exceptions.{error.translation_key}.message")
    if text is None:
        return str(error)
    return text.format(**(error.translation_placeholders or {}))
