"""Whether a bus is asked or only listened to."""

from enum import StrEnum
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE, CONF_MODE


class Mode(StrEnum):
    """What Home Assistant is on a bus."""

    MASTER = "master"
    """It asks; nobody else may."""
    LISTENER = "listener"
    """It hears what another master asks; it sends nothing, ever."""


def mode_of(entry: ConfigEntry[Any]) -> Mode:
    """Return the mode of a bus; the entry of one that asks need not say so."""
    return Mode(entry.data.get(CONF_MODE, Mode.MASTER))


def bus_data(device: str, mode: Mode) -> dict[str, Any]:
    """Return the data of the entry of a bus."""
    if mode is Mode.MASTER:
        return {CONF_DEVICE: device}
    return {CONF_DEVICE: device, CONF_MODE: mode}
