"""How Home Assistant sees the integration before it is set up."""

from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration
from homeassistant.util.package import is_installed

COMPONENT: Final = Path(__file__).parents[2] / "custom_components" / "jkbms"


async def test_home_assistant_finds_the_integration_of_this_repository(
    hass: HomeAssistant,
) -> None:
    integration = await async_get_integration(hass, "jkbms")
    assert integration.file_path == COMPONENT
    assert not integration.is_built_in
    assert integration.config_flow
    assert integration.has_branding


async def test_what_it_and_its_dependencies_require_is_installed_here(
    hass: HomeAssistant,
) -> None:
    integration = await async_get_integration(hass, "jkbms")
    dependencies = await integration.resolve_dependencies()
    assert dependencies is not None
    assert "usb" in dependencies
    needed = set(integration.requirements)
    for domain in dependencies:
        needed.update((await async_get_integration(hass, domain)).requirements)
    assert [
        requirement for requirement in sorted(needed) if not is_installed(requirement)
    ] == []
