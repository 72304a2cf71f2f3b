"""The actions of the integration."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import (
    Event,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
import probatio

from .const import DOMAIN
from .errors import failure, refusal
from .migration import async_setup_migration
from .mode import Mode, mode_of
from .recorder import MOST_SECONDS, Recording
from .settings_actions import async_setup_settings_actions

if TYPE_CHECKING:
    from .control import ControlCoordinator
    from .coordinator import BusCoordinator, JkBmsConfigEntry

RECORD_BUS: Final = "record_bus"
_CONFIG_ENTRY_ID: Final = "config_entry_id"
_DURATION: Final = "duration"
_CONTROL_LINE: Final = "control_line"
_SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(_CONFIG_ENTRY_ID): cv.string,
        probatio.Optional(_DURATION, default=120): probatio.All(
            probatio.Coerce(float), probatio.Range(min=1, max=MOST_SECONDS)
        ),
        probatio.Optional(_CONTROL_LINE): cv.string,
    }
)


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Offer the actions."""
    hass.services.async_register(
        DOMAIN,
        RECORD_BUS,
        _record_bus,
        schema=_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    async_setup_settings_actions(hass)
    async_setup_migration(hass)


def _line_of(call: ServiceCall) -> BusCoordinator | ControlCoordinator:
    """Return the line that is meant; raises ServiceValidationError."""
    entry_id = call.data[_CONFIG_ENTRY_ID]
    entry: JkBmsConfigEntry | None = call.hass.config_entries.async_get_entry(entry_id)
    if entry is None or entry.domain != DOMAIN or mode_of(entry) is Mode.BANK:
        raise refusal("recording_entry", entry_id=entry_id)
    if entry.state is not ConfigEntryState.LOADED:
        raise refusal("recording_not_loaded", bus=entry.title)
    name = call.data.get(_CONTROL_LINE)
    if not name:
        return entry.runtime_data
    for line_id, control in entry.runtime_data.controls.items():
        if name in (line_id, entry.subentries[line_id].title):
            return control
    raise refusal("recording_line", bus=entry.title, line=name)


async def _record_bus(call: ServiceCall) -> ServiceResponse:
    """Record a line and return where the file is; raises translated errors."""
    hass = call.hass
    line = _line_of(call)
    if line.recording is not None:
        raise refusal("recording", line=line.name)
    assert line.config_entry is not None
    kind = "control" if call.data.get(_CONTROL_LINE) else mode_of(line.config_entry)
    recording = line.recording = Recording(hass, line.tape, kind)

    @callback
    def stop(_: Event[Any]) -> None:
        recording.stop()

    # A recording must not hold up the end of Home Assistant.
    forget = hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop)
    try:
        return asdict(await recording.run(call.data[_DURATION]))
    except OSError as error:
        detail = error.strerror or str(error)
        raise failure("recording_file", detail=detail) from error
    finally:
        forget()
        line.recording = None
