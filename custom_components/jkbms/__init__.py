"""JK BMS: battery packs of JK (Jikong) on a wire."""

from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry, DeviceEntryType
from homeassistant.helpers.typing import ConfigType

from .bank_coordinator import BankConfigEntry, BankCoordinator, is_bank
from .bank_members import offer_bank
from .bluetooth_use import async_port
from .const import DOMAIN, MANUFACTURER
from .coordinator import BusCoordinator, JkBmsConfigEntry
from .dashboard import async_setup_dashboard
from .issues import clear_issues
from .memory import async_forget
from .mode import Mode, mode_of
from .services import async_setup_services
from .soundness import flaw_in
from .subentries import bms_subentries, control_lines, packs_on

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)
PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
]
_MODELS = {Mode.CAN: "CAN bus", Mode.TTL: "4E 57 line", Mode.BLE: "Bluetooth"}
BANK_PLATFORMS = [Platform.BINARY_SENSOR, Platform.SENSOR]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of an entry makes a reload necessary when it changes.

    What is learnt about a pack is stored in its subentry while it runs; that alone
    must not stop the bus.
    """

    data: dict[str, Any]
    options: dict[str, Any]
    packs: tuple[tuple[str, int, str], ...]
    controls: tuple[tuple[str, str, dict[int, str]], ...]

    @classmethod
    def of(cls, entry: ConfigEntry[Any]) -> _Shape:
        return cls(
            dict(entry.data),
            dict(entry.options),
            tuple(
                (subentry.subentry_id, subentry.data[CONF_ADDRESS], subentry.title)
                for subentry in bms_subentries(entry)
            ),
            tuple(
                (line.subentry_id, line.data[CONF_DEVICE], packs_on(line))
                for line in control_lines(entry)
            ),
        )


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the actions and the dashboard, whether a bus is set up or not."""
    async_setup_services(hass)
    await async_setup_dashboard(hass)
    return True


async def async_setup_entry(
    hass: HomeAssistant, entry: JkBmsConfigEntry | BankConfigEntry
) -> bool:
    """Open the bus and set up what is on it; or look at the packs of a bank.

    Raises ConfigEntryError where what is stored of it is damaged.
    """
    if flaw := flaw_in(entry):
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="damaged_entry",
            translation_placeholders={"flaw": flaw},
        )
    if is_bank(entry):
        return await _async_setup_bank(hass, entry)
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, entry.entry_id)},
        name=entry.title,
        manufacturer=MANUFACTURER,
        model=_MODELS.get(mode_of(entry), "RS485 bus"),
    )
    _follow_changes(hass, entry)
    coordinator = BusCoordinator(hass, entry, await async_port(hass, entry))
    await coordinator.memory.async_recall()
    await coordinator.async_start()
    entry.runtime_data = coordinator
    for pack in coordinator.packs.values():
        pack.register_device()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    offer_bank(hass)
    return True


async def _async_setup_bank(hass: HomeAssistant, entry: BankConfigEntry) -> bool:
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, entry.entry_id)},
        name=entry.title,
        model="Battery bank",
        entry_type=DeviceEntryType.SERVICE,
    )
    _follow_changes(hass, entry)
    coordinator = BankCoordinator(hass, entry)
    coordinator.start()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, BANK_PLATFORMS)
    return True


def _follow_changes(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Reload when the entry gets another shape, also while it is being set up."""
    shape = _Shape.of(entry)
    reloading = False

    async def reload_when_reshaped(
        hass: HomeAssistant, entry: ConfigEntry[Any]
    ) -> None:
        nonlocal reloading
        if reloading or _Shape.of(entry) == shape:
            return
        reloading = True
        hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(entry.add_update_listener(reload_when_reshaped))


async def async_unload_entry(
    hass: HomeAssistant, entry: JkBmsConfigEntry | BankConfigEntry
) -> bool:
    """Give the entities up; the line is closed by what set-up registered."""
    platforms = BANK_PLATFORMS if is_bank(entry) else PLATFORMS
    return await hass.config_entries.async_unload_platforms(entry, platforms)


async def async_remove_entry(
    hass: HomeAssistant, entry: JkBmsConfigEntry | BankConfigEntry
) -> None:
    """Take back the issues of a bus that is no more."""
    clear_issues(hass, entry)
    await async_forget(hass, entry)


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: JkBmsConfigEntry | BankConfigEntry, device: DeviceEntry
) -> bool:
    """Let a device go only when its pack is no longer configured."""
    owned = {entry.entry_id, *entry.subentries}
    return not any(
        domain == DOMAIN and identifier in owned
        for domain, identifier in device.identifiers
    )
