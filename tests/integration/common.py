"""What the tests of a bus's life share: waiting on its clock, its log, its port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import logging
from typing import Any, Final

from homeassistant.components import persistent_notification
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.pack import Pack
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.transport.link import Link

from .bus import state_of, subentry_id, title

_LOOK: Final = 0.25

type Fix = Callable[[ir.IssueEntry, bool | str], Awaitable[dict[str, Any]]]
"""Walks through the flow behind an issue; false stops at its form."""


async def wait_until(condition: Callable[[], Any], patience: float = 60.0) -> float:
    """Wait until something is so and return how long it took, on the loop's clock."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(_LOOK)
    return loop.time() - begin


def bus_entry(url: str, *addresses: int, **options: Any) -> MockConfigEntry:
    """The entry of a bus, nothing learnt."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Bus",
        data={"device": url},
        options=options,
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


@asynccontextmanager
async def holding(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BusCoordinator]:
    """The entry set up and every pack read; unloaded at the end."""
    if entry.entry_id not in {e.entry_id for e in hass.config_entries.async_entries()}:
        entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await all_read(hass, entry)
    try:
        yield entry.runtime_data
    finally:
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


async def all_read(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Wait until every block of every pack was read."""

    def complete() -> bool:
        return entry.state is ConfigEntryState.LOADED and all(
            len(one.station.state.seen) == len(Block)
            for one in entry.runtime_data.packs.values()
        )

    await wait_until(complete)
    await hass.async_block_till_done()


async def loaded_anew(
    hass: HomeAssistant, entry: MockConfigEntry, before: BusCoordinator
) -> BusCoordinator:
    """Wait for a reload that nobody asked for and return the new coordinator."""

    def complete() -> bool:
        return (
            entry.state is ConfigEntryState.LOADED and entry.runtime_data is not before
        )

    await wait_until(complete)
    await all_read(hass, entry)
    after: BusCoordinator = entry.runtime_data
    return after


def pack_of(entry: MockConfigEntry, address: int) -> Pack:
    """The pack whose subentry was made for this address."""
    pack: Pack = entry.runtime_data.packs[subentry_id(address)]
    return pack


def voltage(hass: HomeAssistant, address: int) -> float | None:
    """The voltage of a pack by its entity, None while it is unavailable."""
    state = state_of(hass, "sensor", address, "total_voltage").state
    return None if state == STATE_UNAVAILABLE else float(state)


def device_of(
    hass: HomeAssistant, entry: MockConfigEntry, identifier: str
) -> dr.DeviceEntry | None:
    """The device of a bus, by its entry's id, or of a pack, by its subentry's."""
    return dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, identifier), entry.entry_id
    )


def said(caplog: pytest.LogCaptureFixture, *words: str) -> list[str]:
    """What the log of the integration says with all of these words, if not for debugging."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("custom_components.jkbms")
        and record.levelno >= logging.INFO
        and all(word in record.getMessage() for word in words)
    ]


def issue(hass: HomeAssistant, kind: str, of: str) -> ir.IssueEntry | None:
    """A repair issue of a bus or of a pack."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"{kind}_{of}")


def notices(hass: HomeAssistant) -> list[persistent_notification.Notification]:
    """The notifications that are shown from now on."""
    told: list[persistent_notification.Notification] = []
    persistent_notification.async_register_callback(
        hass, lambda _, notes: told.extend(notes.values())
    )
    return told


async def is_free(url: str) -> bool:
    """Whether a port can be opened for oneself alone."""
    link = await Link.open(url, lambda _: None, lambda _: None)
    await link.close()
    return True
