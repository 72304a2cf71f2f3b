"""A bus in a Home Assistant that records."""

from collections.abc import AsyncIterator
import logging

from homeassistant.components.recorder.core import Recorder
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.coordinator import BusCoordinator

from ..bus import set_up


@pytest.fixture(autouse=True)
def load_custom_integrations(
    recorder_mock: Recorder,
    enable_custom_integrations: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Let Home Assistant record, and load integrations from `custom_components`."""
    # The harness writes down every statement: half of the time that a test takes.
    caplog.set_level(logging.WARNING, "sqlalchemy.engine")


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
async def bus(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BusCoordinator]:
    """The bus, running."""
    await set_up(hass, entry)
    yield entry.runtime_data
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
