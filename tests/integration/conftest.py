"""What every test inside Home Assistant needs."""

import pytest


@pytest.fixture(autouse=True)
def load_custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load integrations from `custom_components`."""
