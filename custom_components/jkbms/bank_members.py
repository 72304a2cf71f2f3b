"""Which packs are set up in this installation, and which of them a bank is made of."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_INTEGRATION_DISCOVERY,
    ConfigEntry,
    ConfigSubentry,
)
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import discovery_flow

from .const import BANK_UNIQUE_ID, CONF_PACKS, CONF_SERIAL_NUMBER, DOMAIN
from .mode import Mode, mode_of
from .protocol.can.machine import BANK_ADDRESS
from .soundness import sound_entries
from .subentries import bms_subentries

FEWEST_PACKS: Final = 2
"""Packs that are worth being looked at together."""


@dataclass(frozen=True, slots=True)
class KnownPack:
    """A pack that is set up on a bus."""

    bus: ConfigEntry[Any]
    subentry: ConfigSubentry

    @property
    def is_whole_bank(self) -> bool:
        """Whether it is all packs of a bus, as they speak to an inverter."""
        return bool(self.subentry.data[CONF_ADDRESS] == BANK_ADDRESS)


@callback
def bus_entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries that are a bus, set up or not."""
    return [e for e in sound_entries(hass) if mode_of(e) is not Mode.BANK]


@callback
def bank_entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries that are a bank."""
    return [entry for entry in sound_entries(hass) if mode_of(entry) is Mode.BANK]


@callback
def known_packs(hass: HomeAssistant) -> Iterator[KnownPack]:
    """Yield every pack of every bus."""
    for entry in bus_entries(hass):
        for subentry in bms_subentries(entry):
            yield KnownPack(entry, subentry)


@callback
def all_packs(hass: HomeAssistant) -> list[KnownPack]:
    """Return all packs, each once; what a disabled bus has is not in use.

    The bank that speaks to an inverter is no pack: it is those packs once more.
    """
    return _each_once(
        pack
        for pack in known_packs(hass)
        if not (pack.bus.disabled_by or pack.is_whole_bank)
    )


@callback
def packs_of(hass: HomeAssistant, options: Mapping[str, Any]) -> list[KnownPack]:
    """Return the packs of a bank by its options: those chosen, else all."""
    chosen: list[str] | None = options.get(CONF_PACKS)
    if chosen is None:
        return all_packs(hass)
    wanted = (p for p in known_packs(hass) if p.subentry.subentry_id in chosen)
    return _each_once(wanted)


def _each_once(packs: Iterable[KnownPack]) -> list[KnownPack]:
    """Return the packs without those that are there twice, known by their serial numbers.

    One that is set up on a wire and on Bluetooth is taken from the wire.
    """
    met: set[str] = set()
    once = []
    for pack in sorted(packs, key=lambda pack: mode_of(pack.bus) is Mode.BLE):
        serial: str | None = pack.subentry.data.get(CONF_SERIAL_NUMBER)
        if serial is not None:
            if serial in met:
                continue
            met.add(serial)
        once.append(pack)
    return once


def names_of(packs: Iterable[KnownPack]) -> dict[str, str]:
    """Return a name for each pack by its subentry id, no two alike on two buses."""
    packs = list(packs)
    often = Counter(pack.subentry.title for pack in packs)
    return {
        pack.subentry.subentry_id: pack.subentry.title
        if often[pack.subentry.title] == 1
        else f"{pack.subentry.title} ({pack.bus.title})"
        for pack in packs
    }


@callback
def offer_bank(hass: HomeAssistant) -> None:
    """Offer a bank as soon as there are two packs, unless there is one, or none is wanted."""
    ignored = hass.config_entries.async_entry_for_domain_unique_id(
        DOMAIN, BANK_UNIQUE_ID
    )
    if ignored or bank_entries(hass) or len(all_packs(hass)) < FEWEST_PACKS:
        return
    discovery_flow.async_create_flow(
        hass, DOMAIN, {"source": SOURCE_INTEGRATION_DISCOVERY}, {}
    )
