"""Whether there is Bluetooth, and what knows it: nothing of it is imported before."""

from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.importlib import async_import_module

from .const import DOMAIN
from .mode import Mode, ble_address, mode_of
from .transport.link import LinkFault
from .transport.radio import RadioPort

_BLUETOOTH: Final = "bluetooth"


def has_bluetooth(hass: HomeAssistant) -> bool:
    """Tell whether Home Assistant has Bluetooth, of whichever kind."""
    return _BLUETOOTH in hass.config.components


async def async_bluetooth(hass: HomeAssistant) -> Any:
    """Return the module `ble`; there has to be Bluetooth."""
    return await async_import_module(hass, f"{__package__}.ble")


async def async_port(hass: HomeAssistant, entry: ConfigEntry[Any]) -> RadioPort | None:
    """Return how the pack of an entry is reached over Bluetooth; None for other entries.

    Raises ConfigEntryNotReady where Home Assistant has no Bluetooth.
    """
    if mode_of(entry) is not Mode.BLE:
        return None
    if not has_bluetooth(hass):
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=f"link_{LinkFault.NO_ADAPTER}",
            translation_placeholders={"url": entry.data[CONF_DEVICE], "detail": ""},
        )
    port: RadioPort = (await async_bluetooth(hass)).port_to(hass, ble_address(entry))
    return port
