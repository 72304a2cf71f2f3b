"""What a BMS hands out in plain text, its PIN and its password, is nowhere to be found."""

from collections.abc import AsyncIterator, Iterator
import logging
from typing import Final

from homeassistant.components.logger.helpers import get_integration_loggers
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.protocol.datum import Block
from simulator import PASSWORD, PIN, Bank, SlaveLine, Writing, serve_pty

from .bus import until
from .dialog import Dialog

SPELLINGS: Final = {
    spelling
    for secret in (PIN, PASSWORD)
    for spelling in (
        secret,
        secret.encode().hex(),
        secret.encode().hex(" "),
        secret.encode().hex(" ").upper(),
        str(list(secret.encode()))[1:-1],
    )
}
"""How a secret may look in a text: itself, in hexadecimal, as a list of bytes."""


@pytest.fixture(autouse=True)
async def unload_what_was_created(hass: HomeAssistant) -> AsyncIterator[None]:
    """Give the port back."""
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@pytest.fixture(autouse=True)
async def debug_logging(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    """Log what "Enable debug logging" makes Home Assistant log.

    `serialx` would log every byte of the line: it must not be among the loggers that
    the manifest names.
    """
    caplog.set_level(logging.INFO)
    for name in await get_integration_loggers(hass, DOMAIN):
        caplog.set_level(logging.DEBUG, logger=name)
    assert logging.getLogger(f"custom_components.{DOMAIN}").isEnabledFor(logging.DEBUG)


def everything_that_is_kept(hass: HomeAssistant) -> Iterator[str]:
    """Yield what can be looked at or lands in a file of the configuration."""
    for state in hass.states.async_all():
        yield repr(state.as_dict())
    for entity in er.async_get(hass).entities.values():
        yield repr(entity)
    for device in dr.async_get(hass).devices:
        yield repr(device)
    for issue in ir.async_get(hass).issues.values():
        yield repr(issue)
    for entry in hass.config_entries.async_entries(DOMAIN):
        yield repr(entry.as_dict())


async def set_number(hass: HomeAssistant, entity_id: str | None, value: float) -> None:
    """Change a setting."""
    await hass.services.async_call(
        "number",
        "set_value",
        {ATTR_ENTITY_ID: entity_id, "value": value},
        blocking=True,
    )


@pytest.mark.usefixtures("socket_enabled", "quick_looks", "everything_enabled")
async def test_pin_and_password_are_in_no_log_state_dialog_or_report(
    hass: HomeAssistant,
    bank: Bank,
    line: SlaveLine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []
    async with serve_pty(line) as adapter:
        dialog = await Dialog.add(hass)
        await dialog.submit(device=adapter.url)
        await dialog.choose("scan")
        seen.append(repr(dialog.shown))
        await dialog.submit(packs=["1", "2", "3", "4"], write_tier="protection")
        seen.append(repr(dialog.shown))
        await dialog.submit(understood=True)
        seen.append(repr(dialog.shown))
        (entry,) = hass.config_entries.async_entries(DOMAIN)
        packs = entry.runtime_data.packs.values()
        await until(
            lambda: all(len(pack.station.state.seen) == len(Block) for pack in packs)
        )
        await hass.async_block_till_done()

        # They were sent, so that there is something to keep.
        for pack in packs:
            assert PIN.encode() in pack.station.state.frames[Block.DEVICE]
            assert PASSWORD.encode() in pack.station.state.frames[Block.DEVICE]

        # Device info is also what a change of a setting in its block reads and shows.
        (owner,) = (pack for pack in packs if pack.address == 1)
        number = er.async_get(hass).async_get_entity_id(
            "number", DOMAIN, f"{owner.subentry_id}_data_stored_period"
        )
        await set_number(hass, number, 1800)
        bank[1].writing = Writing.IGNORE
        with pytest.raises(HomeAssistantError) as ignored:
            await set_number(hass, number, 900)
        seen.append(f"{ignored.value} {ignored.value.translation_placeholders}")
        seen.append(repr(await async_get_config_entry_diagnostics(hass, entry)))
        seen += everything_that_is_kept(hass)
        assert await hass.config_entries.async_unload(entry.entry_id)

    assert len(seen) > 1000
    text = "\n".join((caplog.text, *seen))
    assert [spelling for spelling in SPELLINGS if spelling in text] == []
