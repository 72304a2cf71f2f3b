"""Settings and their values as a person writes them."""

from typing import Any, Final

from homeassistant.components.switch.const import DOMAIN as SWITCH_DOMAIN
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN
from .descriptions import MEANING
from .protocol.datum import Datum, Field

_DIGITS: Final = 6
_MOST: Final = 1e15
"""What nobody means as a number."""
_LONGEST: Final = 80
_NAMED_AT: Final = (
    ("number", ""),
    ("select", ""),
    ("switch", ""),
    ("sensor", ""),
    ("sensor", "_set"),
    ("binary_sensor", "_set"),
    # Alarms
    ("binary_sensor", ""),
)
"""Which entity a value has its name from, first its control; with the suffix of the key."""


@callback
def name_of(
    hass: HomeAssistant, datum: Datum[Any], *, number: str | None = None
) -> str:
    """Return the name of a value in the language of Home Assistant, as its entity has it.

    Entities are named in that language for all users; what has none there, and English,
    is taken from the table. `number` stands for the number of one of several alike.
    """
    index = number or datum.index
    language = hass.config.language
    if not language.startswith("en"):
        texts = async_get_cached_translations(hass, language, "entity", DOMAIN)
        for platform, suffix in _NAMED_AT:
            key = f"{platform}.{datum.template}{suffix}"
            name = texts.get(f"component.{DOMAIN}.entity.{key}.name")
            if name is not None:
                return name.format(number=index)
    return datum.name.format(number=index)


@callback
def state_name(hass: HomeAssistant, sensor: str, state: str) -> str:
    """Return what a sensor of words says, in the language of Home Assistant."""
    texts = async_get_cached_translations(hass, hass.config.language, "entity", DOMAIN)
    return texts.get(f"component.{DOMAIN}.entity.sensor.{sensor}.state.{state}", state)


@callback
def action_name(hass: HomeAssistant, action: str) -> str:
    """Return the name of an action in the language of Home Assistant."""
    texts = async_get_cached_translations(
        hass, hass.config.language, "services", DOMAIN
    )
    return texts.get(f"component.{DOMAIN}.services.{action}.name", action)


def show(value: object) -> str:
    """Return a value as a person writes it."""
    match value:
        case None:
            return "?"
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:.{_DIGITS}g}"
        case int() if abs(value) > _MOST:
            return "∞"
        case _:
            text = str(value)[:_LONGEST]
            return text if text.isprintable() else ascii(text)


@callback
def word_of(hass: HomeAssistant, field: Field[Any], option: str) -> str:
    """Return what an option is called in the language of Home Assistant, as its entity has it.

    What is on or off is called as Home Assistant calls it; what is no option is said as it is.
    """
    language = hass.config.language
    if not field.options:
        texts = async_get_cached_translations(
            hass, language, "entity_component", SWITCH_DOMAIN
        )
        key = f"component.{SWITCH_DOMAIN}.entity_component._.state.{option}"
        return texts.get(key, option)
    texts = async_get_cached_translations(hass, language, "entity", DOMAIN)
    keys = (
        f"component.{DOMAIN}.entity.{platform}.{field.template}{suffix}.state.{option}"
        for platform, suffix in _NAMED_AT
    )
    return next((texts[key] for key in keys if key in texts), option)


@callback
def show_of(hass: HomeAssistant, field: Field[Any], value: object) -> str:
    """Return the value of a setting as its entity shows it: with its unit, in the steps it is set in."""
    if isinstance(value, bool | str):
        return word_of(hass, field, show(value))
    if not isinstance(value, float | int):
        return show(value)
    if abs(value) > _MOST:
        return show(value)
    unit = MEANING[field.quantity].unit
    text = show(float(value))
    if field.limits is not None and field.limits.step < 1:
        decimals = len(f"{field.limits.step:g}".partition(".")[2])
        text = f"{value:.{max(2, decimals)}f}" if decimals > 1 else f"{value:.1f}"
    return text if unit is None else f"{text} {unit}"
