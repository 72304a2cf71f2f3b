"""The dashboard in a real browser: added as a user does, opened view by view, looked at.

For the end-to-end tests, which have a Home Assistant, packs and a browser that is logged in.
"""

from pathlib import Path
from typing import Any, Final, Protocol

EXAMINE: Final = Path(__file__).with_name("examine.js").read_text(encoding="utf-8")
_DESCRIBED: Final = """() => document.querySelector("home-assistant").hass
    .callWS({type: "jkbms/dashboard"})"""
_MADE: Final = """() => document.querySelector("home-assistant").hass
    .callWS({type: "lovelace/config", url_path: "jk-bms"})
    .then(({strategy}) => strategy?.type === "custom:jkbms", () => false)"""
_CALM: Final = 3
"""Looks in a row at which a view has as many cards and loads nothing."""
_PATIENCE: Final = 60
_PAUSE: Final = 250


class Locator(Protocol):
    """What is used of Playwright's locator."""

    async def click(self) -> None:
        """Wait until it can be clicked, and click it."""


class Page(Protocol):
    """What is used of Playwright's page."""

    async def goto(self, url: str) -> Any:
        """Open an address."""

    async def evaluate(self, expression: str) -> Any:
        """Return what a function returns in the page."""

    async def wait_for_timeout(self, timeout: float) -> None:
        """Wait for some milliseconds."""

    def get_by_role(self, role: Any, *, name: str, exact: bool = False) -> Locator:
        """Find by what it is to a user."""

    def get_by_text(self, text: str) -> Locator:
        """Find by what it says."""


async def add_dashboard(page: Page, home: str) -> str:
    """Add the dashboard through the dialog, in English; return its path."""
    await page.goto(f"{home}/config/lovelace/dashboards")
    await page.get_by_role("button", name="Add dashboard").click()
    await page.get_by_text("Battery packs of JK BMS").click()
    await page.get_by_role("button", name="Create", exact=True).click()
    for _ in range(_PATIENCE * 1000 // _PAUSE):
        if await page.evaluate(_MADE):
            return "jk-bms"
        await page.wait_for_timeout(_PAUSE)
    raise AssertionError("no dashboard was added")


async def views(page: Page) -> dict[str, str]:
    """Return the paths of the views that the dashboard has for the packs that there are, with a name for each."""
    packs = {
        pack["device_id"]: pack["name"]
        for pack in (await page.evaluate(_DESCRIBED))["packs"]
    }
    found = {
        f"{kind}-{device}": name if kind == "pack" else f"Settings of {name}"
        for device, name in packs.items()
        for kind in ("pack", "settings")
    }
    if len(packs) == 1:
        return found
    return {"overview": "Overview", "settings": "Settings", **found}


async def faults(page: Page) -> list[str]:
    """Return what is wrong with the view that is open, once it is complete."""
    found = await settled(page)
    return found["faults"] if found["cards"] else ["no cards"]


async def settled(page: Page) -> dict[str, Any]:
    """Return what is seen once a view is complete; AssertionError when it never is."""
    calm, cards = 0, -1
    for _ in range(_PATIENCE * 1000 // _PAUSE):
        found: dict[str, Any] = await page.evaluate(EXAMINE)
        same = not found["loading"] and found["cards"] == cards
        calm, cards = (calm + 1 if same else 0), found["cards"]
        if calm == _CALM:
            return found
        await page.wait_for_timeout(_PAUSE)
    raise AssertionError(f"it is still loading: {found}")
