"""Sensors of what shows over days how well a pack is, and what is remembered for them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
import logging
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import Store
from homeassistant.helpers.typing import StateType

from .const import DOMAIN
from .descriptions import PackSensorDescription
from .entity import PackEntity
from .pack import Pack

_LOGGER = logging.getLogger(__name__)
_VERSION: Final = 1
_SAVED_EVERY: Final = timedelta(minutes=15)
"""As often as Home Assistant stores the states that it restores."""


class PackInsight(PackEntity, SensorEntity):
    """A value of a pack that takes days to know."""

    entity_description: PackSensorDescription
    _said: Mapping[str, Any] | None = None

    @override
    def read(self) -> StateType | datetime:
        """Return what the readings up to now amount to."""
        known: StateType | datetime = self.pack.insight.values.get(
            self.entity_description.key
        )
        return known

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """The value in its native unit."""
        value: StateType | datetime = self.reading
        return value

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """What there is to say of the value."""
        return self.pack.insight.details.get(self.entity_description.key)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state where anything shown has changed."""
        if self._said != (said := self.extra_state_attributes):
            self._said, self._shown = said, None
        super()._handle_coordinator_update()


# -- what is remembered ---------------------------------------------------------------


def _store(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    # Entities may be disabled, so their states are no place for it.
    return Store(hass, _VERSION, f"{DOMAIN}.insight.{entry.entry_id}")


async def async_remember(
    hass: HomeAssistant, entry: ConfigEntry[Any], packs: Mapping[str, Pack]
) -> None:
    """Let the packs go on from what was stored, and store what they know from now on."""
    store = _store(hass, entry)
    stored = await _stored(store, entry)
    for subentry_id, pack in packs.items():
        pack.insight.load(stored.get(subentry_id))

    def known() -> dict[str, Any]:
        return {
            subentry_id: pack.insight.dump()
            for subentry_id, pack in packs.items()
            if subentry_id in entry.subentries
        }

    last = known()

    async def save(_: datetime | Event | None = None) -> None:
        nonlocal last
        if (now := known()) != last:
            last = now
            await store.async_save(now)

    entry.async_on_unload(save)
    entry.async_on_unload(async_track_time_interval(hass, save, _SAVED_EVERY))
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, save))


async def _stored(
    store: Store[dict[str, Any]], entry: ConfigEntry[Any]
) -> Mapping[str, Any]:
    """Return what was stored by pack; a file that cannot be used is no reason to fail.

    The store sets a file aside that is no JSON, and trusts in the shape of one that is.
    """
    try:
        stored = await store.async_load()
    except (
        AttributeError,
        HomeAssistantError,
        KeyError,
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:
        _LOGGER.warning(
            "%s: what was remembered of its packs cannot be used: %r",
            entry.title,
            error,
        )
        return {}
    return stored if isinstance(stored, Mapping) else {}


async def async_forget(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Remove what was stored of the packs of an entry."""
    await _store(hass, entry).async_remove()
