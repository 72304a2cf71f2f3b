"""A bus that another master asks, and the entry that listens to it."""

from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from simulator import Bank, MasterLine, SlaveLine, Speed

from .bus import subentry_id, title
from .common import wait_until


class _Recording(SlaveLine):
    """A line that keeps every byte that a client puts on it."""

    sent = b""

    def receive(self, data: bytes, now: float) -> None:
        self.sent += data
        super().receive(data, now)


class Silent(_Recording):
    """A bus on which nobody asks."""

    def __init__(self) -> None:
        """Serve nobody."""
        super().__init__(Bank([]), speed=Speed.FAST)


class Recorded(_Recording, MasterLine):
    """The bus of a master."""

    def __init__(self, bank: Bank, **options: Any) -> None:
        """Serve a bank without the time of the wire."""
        super().__init__(bank, speed=Speed.FAST, chunk=400, **options)


def listening(url: str, *addresses: int) -> MockConfigEntry:
    """The entry of a bus that is only listened to."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Bus",
        data={"device": url, "mode": "listener"},
        options={"poll_interval": 5, "write_tier": "protection"},
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id=subentry_id(address),
                subentry_type=SUBENTRY_BMS,
                title=title(address),
                unique_id=None,
                data={"address": address},
            )
            for address in addresses
        ],
    )


def addresses_of(entry: MockConfigEntry) -> dict[int, str]:
    """The packs of an entry: titles by address."""
    packs = [s for s in entry.subentries.values() if s.subentry_type == SUBENTRY_BMS]
    return {s.data["address"]: s.title for s in packs}


def is_heard(entry: MockConfigEntry, *addresses: int) -> bool:
    """Whether these packs, and no others, are configured and known."""
    return (
        entry.state is ConfigEntryState.LOADED
        and set(addresses_of(entry)) == set(addresses)
        and all(
            pack.available and pack.station.features is not None
            for pack in entry.runtime_data.packs.values()
        )
    )


async def load(
    hass: HomeAssistant, entry: MockConfigEntry, *addresses: int
) -> MockConfigEntry:
    """Set a bus up and wait until all packs on it are heard."""
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: is_heard(entry, *addresses))
    await hass.async_block_till_done()
    return entry


async def unload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Give the port back."""
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def registry(hass: HomeAssistant) -> dict[str, str]:
    """Entity ids by unique id."""
    entities = er.async_get(hass).entities.values()
    return {e.unique_id: e.entity_id for e in entities if e.platform == DOMAIN}
