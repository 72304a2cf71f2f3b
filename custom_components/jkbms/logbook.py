"""Changes of settings in the logbook."""

from collections.abc import Callable
from typing import Any

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.core import Event, HomeAssistant, callback

from .audit import ELSEWHERE, EVENT_SETTING_CHANGED
from .const import DOMAIN
from .protocol.settings_record import SETTINGS
from .protocol.write_job import Outcome
from .wording import show, word_of


@callback
def async_describe_events(
    hass: HomeAssistant,
    async_describe_event: Callable[
        [str, str, Callable[[Event[Any]], dict[str, Any]]], None
    ],
) -> None:
    """Say how changes of settings read in the logbook."""

    @callback
    def describe(event: Event[Any]) -> dict[str, Any]:
        data = event.data
        entry = {
            LOGBOOK_ENTRY_NAME: data["pack"],
            LOGBOOK_ENTRY_MESSAGE: _message(hass, data),
        }
        if data["entity_id"] is not None:
            entry[LOGBOOK_ENTRY_ENTITY_ID] = data["entity_id"]
        return entry

    async_describe_event(DOMAIN, EVENT_SETTING_CHANGED, describe)


def _message(hass: HomeAssistant, data: dict[str, Any]) -> str:
    field = SETTINGS.get(data.get("setting", ""))

    def shown(value: object) -> str:
        if field is not None and isinstance(value, str):
            return word_of(hass, field, value)
        return f"{show(value)} {data['unit']}" if data["unit"] else show(value)

    name, old, new = data["name"], shown(data["old"]), shown(data["new"])
    if data["origin"] == ELSEWHERE:
        return f"{name} was changed from {old} to {new}, not by Home Assistant"
    wanted = shown(data["wanted"])
    match data["outcome"]:
        case Outcome.PROVEN:
            return f"{name} was changed from {old} to {new}"
        case Outcome.UNPROVEN:
            return f"{name} was to become {wanted}, which could not be proven"
        case _:
            return f"{name} was not changed to {wanted}: it is {new}"
