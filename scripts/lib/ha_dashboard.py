"""The dashboard that the integration builds."""

from typing import Final

from .ha_api import HomeAssistant

PATH: Final = "jk-bms"
TITLE: Final = "JK BMS"


async def add_dashboard(home: HomeAssistant) -> None:
    """Add a dashboard of the integration's type, as its owner does under Dashboards."""
    await home.command(
        "lovelace/dashboards/create",
        url_path=PATH,
        title=TITLE,
        icon="mdi:home-battery",
        mode="storage",
    )
    config = {"strategy": {"type": "custom:jkbms"}}
    await home.command("lovelace/config/save", url_path=PATH, config=config)


async def open_first(home: HomeAssistant) -> None:
    """Make it what everybody sees who logs in."""
    await home.command(
        "frontend/set_system_data", key="core", value={"default_panel": PATH}
    )
