"""The pictures of docs/images; `scripts/e2e --pictures` takes them."""

import asyncio
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
_SCREEN: Final = ViewportSize(width=1280, height=860)
_MOST: Final = 150_000
"""Bytes of a picture, for those who read on a phone."""


@pytest_asyncio.fixture(loop_scope="session")
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


async def test_pictures_of_the_way_from_the_port_to_the_device(
    house: House, person: Visitor, gateway: Line
) -> None:
    await person.resize(_SCREEN)
    wizard = Wizard(person, "Pictures")
    await wizard.add()
    await wizard.choose("RS485")
    await wizard.type_port(f"{_GATEWAY}:{_PORT}")
    await person.page.keyboard.press("Tab")
    await _take(wizard.surface, "flow_port")
    await wizard.submit()
    await wizard.watch("Nothing is sent.")
    await _take(wizard.surface, "flow_listen")
    await wizard.reach("Nobody talks on this line")
    await person.page.mouse.move(0, 0)
    await _take(wizard.surface, "flow_ask")
    await wizard.choose("Ask the packs")
    await wizard.reach("Packs found")
    await wizard.pick("Everyday settings")
    await _take(wizard.surface, "flow_confirm")
    await wizard.submit()
    await wizard.finish()
    await house.until_not("sensor.jk_bms_1_energy_charged", "0.0", "unknown")
    await person.open(f"/config/devices/device/{(await house.devices())['JK BMS 1']}")
    await person.settle()
    await _take(person.page.locator("partial-panel-resolver"), "device")
    await person.open(OURS)
    await _take(person.page.locator("partial-panel-resolver"), "integration")
    await person.page.get_by_role("button", name="Configure").first.click()
    await wizard.reach("Options of the bus")
    await _take(wizard.surface, "options")


async def _take(what: Locator, name: str) -> None:
    file = _IMAGES / f"{name}.png"
    file.parent.mkdir(exist_ok=True)
    await what.screenshot(path=file)
    assert file.stat().st_size < _MOST, file
