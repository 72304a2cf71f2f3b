"""What is remembered of the packs of a bus over restarts: in one file, for each of them.

Entities may be disabled, so their states are no place for it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
import logging
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.storage import Store

from .const import DOMAIN
from .pack import Pack

_LOGGER = logging.getLogger(__name__)
_VERSION: Final = 1
_SAVED_EVERY: Final = timedelta(minutes=15)
"""As often as Home Assistant stores the states that it restores."""
_SOON: Final = 5.0


def _store(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Store[dict[str, Any]]:
    return Store(hass, _VERSION, f"{DOMAIN}.packs.{entry.entry_id}")


class Memory:
    """Keeps what the packs of an entry know, and gives it back to them."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], packs: Mapping[str, Pack]
    ) -> None:
        """Prepare; nothing is read or written yet."""
        self._hass = hass
        self._entry = entry
        self._packs = packs
        self._store = _store(hass, entry)
        self._last: dict[str, Any] = {}
        self._waits = False
        """Whether something is to be stored in a moment."""

    async def async_recall(self) -> None:
        """Let the packs go on from what was stored, and store what they know from now on."""
        stored = await self._stored()
        for subentry_id, pack in self._packs.items():
            pack.load(stored.get(subentry_id))
        self._last = self._known()
        unload = self._entry.async_on_unload
        unload(self._save)
        unload(async_track_time_interval(self._hass, self._save, _SAVED_EVERY))
        unload(self._hass.bus.async_listen(EVENT_HOMEASSISTANT_FINAL_WRITE, self._save))

    @callback
    def save_soon(self) -> None:
        """Store what the packs know in a moment: it must not be lost in a crash."""
        self._waits = True
        self._store.async_delay_save(self._taken, _SOON)

    def _taken(self) -> dict[str, Any]:
        self._waits = False
        self._last = self._known()
        return self._last

    def _known(self) -> dict[str, Any]:
        return {
            subentry_id: pack.dump()
            for subentry_id, pack in self._packs.items()
            if subentry_id in self._entry.subentries
        }

    async def _save(self, _: datetime | Event | None = None) -> None:
        # What waits must not be stored once the entry was removed.
        if self._waits or self._known() != self._last:
            await self._store.async_save(self._taken())

    async def _stored(self) -> Mapping[str, Any]:
        """Return what was stored by pack; a file that cannot be used is no reason to fail.

        The store sets a file aside that is no JSON, and trusts in the shape of one that is.
        """
        try:
            stored = await self._store.async_load()
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
                self._entry.title,
                error,
            )
            return {}
        return stored if isinstance(stored, Mapping) else {}


async def async_forget(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Remove what was stored of the packs of an entry."""
    await _store(hass, entry).async_remove()
