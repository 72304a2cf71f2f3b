"""A bus in a Home Assistant that records."""

from collections.abc import AsyncIterator
import logging
from typing import Any

from homeassistant.components.recorder.core import Recorder
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.coordinator import BusCoordinator

from ..bus import set_up


@pytest.fixture
def recorder_config() -> dict[str, Any]:
    """What to record: all that is looked at, and not every event on its own."""
    return {
        "commit_interval": 1,
        "exclude": {
            "domains": ["button", "event", "binary_sensor", "switch"],
            "entity_globs": ["*_set"],
            "event_types": [
                "component_loaded",
                "device_registry_updated",
                "entity_registry_updated",
                "service_registered",
            ],
        },
    }


@pytest.fixture(autouse=True)
def load_custom_integrations(
    recorder_mock: Recorder,
    enable_custom_integrations: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Let Home Assistant record, and load integrations from `custom_components`."""
    # The harness writes down every statement and every task: most of the time that a
    # test takes.
    for name in ("sqlalchemy.engine", "homeassistant.components.recorder"):
        caplog.set_level(logging.WARNING, name)


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
