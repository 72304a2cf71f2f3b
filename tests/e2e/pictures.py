"""The pictures of docs/images; `scripts/e2e --pictures` takes them."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from playwright.async_api import Locator, ViewportSize
import pytest_asyncio

from scripts.lib.processes import ROOT

from .browser import Visitor
from .house import House, Line
from .wizard import OURS, Wizard

_IMAGES: Final = ROOT / "docs" / "images"
_GATEWAY: Final = "192.168.1.50"
_PORT: Final = 8899
_SCREEN: Final = ViewportSize(width=1280, height=1060)
_LOW: Final = ViewportSize(width=1280, height=860)
"""For pages that go on below."""
_QUALITY: Final = 80
_MOST: Final = 50_000
"""Bytes of a picture, for those who read on a phone."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(folder: Path) -> AsyncIterator[Line]:
    """Four packs behind a gateway as the texts name it; the network is our own."""
    command = ("ip", "address", "add", f"{_GATEWAY}/32", "dev", "lo")
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    packs = ("--packs", "4", "--alike", "venus-15.41-16s", "--day", "900")
    line = Line(folder / "simulator.log", "--tcp", f"{_GATEWAY}:{_PORT}", *packs)
    await line.plug_in()
    yield line
    await line.unplug()


async def test_pictures_of_the_way_from_the_connection_to_the_device(
    house: House, person: Visitor, gateway: Line
) -> None:
    await person.page.set_viewport_size(_SCREEN)
    wizard = Wizard(person, "Pictures")
    await wizard.add()
    await wizard.reach("How are the packs connected?")
    await _take(person, wizard.surface, "setup-connection")
    await wizard.choose("RS485")
    await wizard.type_port(f"{_GATEWAY}:{_PORT}")
    await wizard.dialog.get_by_text("Choose where").click()
    await _take(person, wizard.surface, "setup-port")
    await wizard.submit()
    await wizard.reach("Nobody talks on this line")
    await wizard.choose("Ask the packs")
    await wizard.reach("Packs found")
    await _take(person, wizard.surface, "setup-packs")
    await wizard.submit()
    await wizard.finish()
    await house.until_not("sensor.jk_bms_1_energy_charged", "0.0", "unknown")
    await person.resize(_LOW)
    page = person.page.locator("partial-panel-resolver")
    await person.open(f"/config/devices/device/{(await house.devices())['JK BMS 1']}")
    await _take(person, page, "device")
    await person.open(OURS)
    await _take(person, page, "integration")


async def _take(person: Visitor, what: Locator, name: str) -> None:
    """Take a picture as the browser makes them small."""
    await person.settle()
    await person.page.mouse.move(0, 0)
    box = await what.bounding_box()
    assert box is not None
    browser = await person.page.context.new_cdp_session(person.page)
    taken = await browser.send(
        "Page.captureScreenshot",
        {"format": "webp", "quality": _QUALITY, "clip": {**box, "scale": 1}},
    )
    file = _IMAGES / f"{name}.webp"
    file.write_bytes(b64decode(taken["data"]))
    assert file.stat().st_size < _MOST, file
