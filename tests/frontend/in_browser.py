"""The dashboard in a real browser: added as a user does, opened view by view, looked at.

For the end-to-end tests, which have a Home Assistant, packs and a browser that is logged in.
"""

from collections.abc import AsyncIterator
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
_PAUSE: Final = 500


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


async def paths(page: Page) -> list[str]:
    """Return the views that the dashboard has for the packs that there are."""
    packs = [pack["device_id"] for pack in (await page.evaluate(_DESCRIBED))["packs"]]
    found = [f"{kind}-{pack}" for pack in packs for kind in ("pack", "settings")]
    return found if len(packs) == 1 else ["overview", "settings", *found]


async def faults(page: Page, home: str, dashboard: str) -> AsyncIterator[str]:
    """Open every view of a dashboard and yield what is wrong with it."""
    await page.goto(f"{home}/{dashboard}")
    await settled(page)
    for path in await paths(page):
        await page.goto(f"{home}/{dashboard}/{path}")
        found = await settled(page)
        if not found["cards"]:
            yield f"{path}: no cards"
        for fault in found["faults"]:
            yield f"{path}: {fault}"


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
