"""A person before a browser: opens pages, clicks, waits, looks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
import json
import os
from pathlib import Path
import shutil
import time
from typing import Any, Final

from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Route,
    ViewportSize,
    async_playwright,
)

from scripts.lib.processes import DemoError

from .report import Report

DESKTOP: Final = ViewportSize(width=1600, height=1000)
PHONE: Final = ViewportSize(width=390, height=844)
PATIENCE: Final = 60.0
"""Seconds for what a person waits for; a scan takes nine."""

_FOLDER: Final = Path(__file__).parent
_LOOK: Final = (_FOLDER / "look.js").read_text()
_SETTLED: Final = (_FOLDER / "settled.js").read_text()
_GO_ON: Final = """path => {
    history.pushState(null, "", path);
    window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""
_POLL: Final = 0.15
_QUIET_POLLS: Final = 3
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    # Nothing but this machine can be reached: the page needs no more.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_BLANK: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48">'
    '<rect width="48" height="48" rx="8" fill="#ccc"/></svg>'
)


def chromium() -> str:
    """Return where Chromium is; raises DemoError with what to do where it is missing."""
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise DemoError(
            "No Chromium was found. Install it (on Debian: apt install chromium), or name it in CHROMIUM."
        )
    return found


class Visitor:
    """One who is logged in; what is wrong on any page is kept in `faults`."""

    def __init__(self, page: Page, url: str, report: Report) -> None:
        """Sit down before a page."""
        self.page = page
        self.faults: list[str] = []
        self._url = url
        self._report = report
        page.on("console", self._hear)
        page.on("pageerror", self._fail)

    async def open(self, path: str) -> None:
        """Open a page of Home Assistant."""
        await self.page.goto(f"{self._url}{path}", wait_until="domcontentloaded")
        await self.settle()

    async def go_on(self, path: str) -> None:
        """Go to another page without loading all anew, as a click within Home Assistant does."""
        await self.page.evaluate(_GO_ON, path)
        await self.settle()

    async def leave(self) -> None:
        """Close the page: one that stays open complains while Home Assistant is away."""
        await self.page.goto("about:blank")

    async def settle(self) -> None:
        """Return when nothing loads any more."""
        end = time.monotonic() + PATIENCE
        quiet = 0
        while quiet < _QUIET_POLLS:
            waits_for = await self.page.evaluate(_SETTLED)
            quiet = 0 if waits_for else quiet + 1
            if time.monotonic() > end:
                raise DemoError(f"The page still waits for {waits_for}.")
            await asyncio.sleep(_POLL)

    async def show(
        self,
        caption: str,
        *,
        settled: bool = True,
        height: int | None = None,
        shortens: bool = False,
        also: Iterable[str] = (),
    ) -> None:
        """Take a picture and look for what is wrong on the page; progress never settles.

        A page that is higher than the screen is shown whole on a screen of its height. It
        `shortens` names where there is no room for them. What is `also` wrong is told with it.
        """
        size = self.page.viewport_size
        assert size is not None
        if height is not None:
            await self.page.set_viewport_size({**size, "height": height})
        if settled:
            await self.settle()
        faults = [*also, *await self.page.evaluate(_LOOK, {"shortens": shortens})]
        name = "".join(c if c.isalnum() else "_" for c in caption.lower())
        file = self._report.next_file(name)
        await self.page.screenshot(path=file)
        await self.page.set_viewport_size(size)
        self._report.add(file, caption, faults)
        self.faults += [f"{caption}: {fault}" for fault in faults]

    async def resize(self, size: ViewportSize, *, dark: bool = False) -> None:
        """Take another screen."""
        await self.page.set_viewport_size(size)
        await self.page.emulate_media(color_scheme="dark" if dark else "light")
        await self.settle()

    def dialog(self, title: str) -> Locator:
        """The dialog with a title."""
        return self.page.locator("dialog[open]").filter(has_text=title).last

    def _fail(self, error: Error) -> None:
        # So says a page of Home Assistant that is left while it waits for an answer.
        if error.message != "disconnected":
            self.faults.append(f"in the page: {error}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"in the console: {message.text}")


async def _brand(route: Route) -> None:
    """Pass on our pictures; those of others are on a server far away."""
    if "/jkbms/" in route.request.url:
        await route.continue_()
    else:
        await route.fulfill(content_type="image/svg+xml", body=_BLANK)


def _tokens(token: str, url: str) -> str:
    """Return what the frontend remembers of a log-in."""
    lifetime = 86_400
    tokens: dict[str, Any] = {
        "access_token": token,
        "token_type": "Bearer",
        "refresh_token": "",
        "expires_in": lifetime,
        "expires": int(1000 * (time.time() + lifetime)),
        "hassUrl": url,
        "clientId": f"{url}/",
    }
    return json.dumps(tokens)


@asynccontextmanager
async def visitor(url: str, token: str, report: Report) -> AsyncIterator[Visitor]:
    """Open a browser and come in."""
    async with async_playwright() as playwright:
        browser: Browser = await playwright.chromium.launch(
            executable_path=chromium(), args=_FLAGS
        )
        context = await browser.new_context(
            viewport=DESKTOP, locale="en-US", reduced_motion="reduce"
        )
        context.set_default_timeout(1000 * PATIENCE)
        await context.route("**/api/brands/**", _brand)
        remembered = json.dumps(_tokens(token, url))
        await context.add_init_script(
            f'if (location.protocol === "http:") localStorage.hassTokens = {remembered};'
        )
        try:
            yield Visitor(await context.new_page(), url, report)
        finally:
            await browser.close()
