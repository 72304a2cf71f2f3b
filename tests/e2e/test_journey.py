"""From the installation to the removal, in the order in which a person does it."""

from pathlib import Path
import re
from typing import Final

from playwright.async_api import Locator, ViewportSize
import pytest

from tests.frontend import in_browser

from .browser import DESKTOP, PHONE, Visitor
from .house import House, Line
from .wizard import INTEGRATIONS, OURS, Wizard

_NAMES: Final = (Path(__file__).parent / "names.js").read_text()
_DEVICE: Final = "/config/devices/device/"
_WHOLE: Final = 3600
"""Pixels; the page of a pack is as high."""
_BALANCE_TRIGGER: Final = 0x1014
_BALANCE: Final = 0x1078
"""Registers of a pack (rs485.md 2.5)."""
_SCREENS: Final = (
    ("desktop, light", ViewportSize(width=1600, height=2400), False),
    ("desktop, dark", ViewportSize(width=1600, height=2400), True),
    ("phone, dark", ViewportSize(width=390, height=_WHOLE), True),
    ("phone, light", ViewportSize(width=390, height=_WHOLE), False),
)
"""They show the views whole."""
_PICTURED: Final = {
    "Overview",
    "Settings",
    "JK BMS 1",
    "Settings of JK BMS 1",
    "JK BMS 5",
    "Settings of JK BMS 5",
    "JK BMS 7",
}
"""Views of which there is a picture: of packs, one on each kind of bus."""


async def test_packs_that_are_asked_are_set_up(
    house: House, person: Visitor, asked: Line
) -> None:
    bus = await asked.plug_in()
    wizard = Wizard(person, "Asked")
    await wizard.add()
    await wizard.reach("How are the packs connected?")
    await wizard.choose("RS485")
    await wizard.reach("Connect the RS485 line")
    await wizard.type_port(bus.url)
    await wizard.show("Port typed")
    await wizard.submit()
    await wizard.watch("Nothing is sent.")
    await wizard.reach("Nobody talks on this line")
    await wizard.choose("Ask the packs")
    await wizard.watch("No setting is changed.")
    await wizard.reach("Packs found")
    await wizard.pick("Everyday and protection settings")
    await wizard.submit()
    await wizard.reach("Open the protection settings")
    await wizard.agree()
    await wizard.submit()
    await wizard.finish()
    assert {"JK BMS 1", "JK BMS 2", "JK BMS 3"} < (await house.devices()).keys()


async def test_a_bus_with_a_master_is_listened_to(
    house: House, person: Visitor, heard: Line
) -> None:
    bus = await heard.plug_in()
    wizard = Wizard(person, "Listened to")
    await wizard.add(another=True)
    await wizard.choose("RS485")
    await wizard.type_port(bus.url.removeprefix("socket://"))
    await wizard.submit()
    await wizard.reach("Somebody else already asks on this line")
    await wizard.choose("Only listen")
    await wizard.reach("Only listen")
    await wizard.submit()
    await wizard.finish()
    assert {"JK BMS 0", "JK BMS 5"} < (await house.devices()).keys()


async def test_a_pack_on_can_is_heard(
    house: House, person: Visitor, on_can: Line
) -> None:
    bus = await on_can.plug_in()
    wizard = Wizard(person, "CAN")
    await wizard.add(another=True)
    await wizard.choose("CAN")
    await wizard.reach("What is the CAN adapter?")
    await wizard.choose("An adapter that is a serial port")
    await wizard.type_port(bus.url)
    await wizard.reach("Serial CAN adapter")
    await wizard.submit()
    await wizard.watch("Listening on")
    await wizard.reach("Packs heard")
    await wizard.submit()
    await wizard.finish()
    assert "JK BMS 7" in await house.devices()


async def test_the_bank_is_offered_and_taken(house: House, person: Visitor) -> None:
    await person.open(INTEGRATIONS)
    offer = person.page.locator("ha-config-flow-card").filter(has_text="Battery bank")
    await offer.wait_for()
    await person.show("Bank – Discovered")
    await offer.get_by_role("button", name="Add").click()
    wizard = Wizard(person, "Bank")
    await wizard.reach("Battery bank")
    await wizard.submit()
    await wizard.finish()
    assert "Battery bank" in await house.devices()
    await person.open(OURS)
    await person.show("All entries", height=2200)


@pytest.mark.parametrize("device", ["JK BMS 1", "JK BMS 5", "JK BMS 7", "Battery bank"])
async def test_the_page_of_a_device_is_in_order(
    house: House, person: Visitor, device: str
) -> None:
    devices = await house.devices()
    await person.open(_DEVICE + devices[device])
    await person.show(device, height=_WHOLE)
    for card, names in await person.page.evaluate(_NAMES):
        assert all(names), f"{card}: {names}"
        assert names == sorted(names, key=_natural), card


def _natural(name: str) -> list[str]:
    """Return what puts cell 2 before cell 10."""
    return [part.zfill(4) for part in re.split(r"(\d+)", name.casefold())]


async def test_the_page_of_a_pack_is_in_order_on_a_phone_in_the_dark(
    house: House, person: Visitor
) -> None:
    await person.resize(PHONE, dark=True)
    await person.open(_DEVICE + (await house.devices())["JK BMS 1"])
    await person.show("JK BMS 1 on a phone", height=_WHOLE, shortens=True)
    await person.resize(DESKTOP)


@pytest.mark.timeout(600)
async def test_the_dashboard_builds_itself_on_every_screen(
    house: House, person: Visitor
) -> None:
    page = person.page
    dashboard = await in_browser.add_dashboard(page, house.url)
    # Home Assistant goes there by itself: two at once would end one of them.
    await person.settle()
    await person.open(f"/{dashboard}")
    views = await in_browser.views(page)
    assert len(views) == 2 + 2 * 6
    for path, view in views.items():
        await person.go_on(f"/{dashboard}/{path}")
        pictured = view in _PICTURED
        for screen, size, dark in _SCREENS if pictured else _SCREENS[::2]:
            await person.resize(size, dark=dark)
            caption = f"Dashboard – {view}, {screen}"
            faults = await in_browser.faults(page)
            if pictured:
                await person.show(caption, also=faults)
            else:
                person.faults += [f"{caption}: {fault}" for fault in faults]
    await person.resize(DESKTOP)


async def test_the_options_say_what_can_be_chosen(person: Visitor) -> None:
    for device, title in (
        ("JK BMS 1", "Options of the bus"),
        ("JK BMS 5", "Options of the bus"),
        ("Battery bank", "Battery bank"),
    ):
        wizard = await _configure(person, device)
        await wizard.reach(title)
        await wizard.submit()
        await wizard.finish()
    wizard = await _configure(person, "JK BMS 7")
    await wizard.reach("Options of the bus")
    await wizard.choose("Speak to an inverter")
    await wizard.dialog.get_by_text("Highest charge voltage").first.wait_for()
    await wizard.show("Speak to an inverter")


@pytest.mark.timeout(300)
async def test_unplugged_lines_are_told_and_mended_by_plugging_in(
    house: House, person: Visitor, asked: Line, heard: Line
) -> None:
    devices = await house.devices()
    assert await house.issues() == []
    with house.expecting("the line is down"):
        await asked.unplug()
        await heard.unplug()
        for address in (1, 2, 3, 0, 5):
            await house.until(f"sensor.jk_bms_{address}_total_voltage", "unavailable")
    await person.open(_DEVICE + devices["JK BMS 1"])
    await person.show("Unplugged", height=_WHOLE, shortens=True)
    await house.until_issues("gateway_in_use")
    await person.open("/config/repairs")
    await person.show("Repairs")
    await person.page.get_by_text("does not let Home Assistant in").first.click()
    await person.page.get_by_text("Stop the other program").wait_for()
    await person.show("The repair")
    await asked.plug_in()
    await heard.plug_in()
    for address in (1, 2, 3, 0, 5):
        await house.until_not(f"sensor.jk_bms_{address}_total_voltage", "unavailable")
    await house.until_issues()
    await person.open("/config/repairs")
    await person.show("Nothing to repair")


async def test_a_number_and_a_switch_reach_the_pack(
    house: House, person: Visitor, asked: Line
) -> None:
    assert asked.bus is not None
    assert await asked.bus.read(1, _BALANCE_TRIGGER) == 5
    assert await asked.bus.read(1, _BALANCE) == 1
    await person.open(_DEVICE + (await house.devices())["JK BMS 1"])
    rows = person.page.locator("hui-number-entity-row")
    number = rows.filter(has_text="Balance trigger voltage").locator("input")
    await number.fill("0.012")
    await number.press("Enter")
    rows = person.page.locator("hui-toggle-entity-row")
    await (
        rows.filter(has_text=re.compile(r"^\s*Balance\s*$"))
        .locator("ha-switch")
        .click()
    )
    await house.until("number.jk_bms_1_balance_trigger_voltage", "0.012")
    await house.until("switch.jk_bms_1_balancer", "off")
    await person.show("Changed", height=_WHOLE)
    assert await asked.bus.read(1, _BALANCE_TRIGGER) == 12
    assert await asked.bus.read(1, _BALANCE) == 0


async def test_an_entry_is_reloaded(house: House, person: Visitor) -> None:
    await person.open(OURS)
    await _choose(person, "JK BMS 1", "Reload")
    await person.page.get_by_text("reloaded").first.wait_for()
    await house.until_not("sensor.jk_bms_1_total_voltage", "unavailable", "unknown")
    await person.show("Reloaded", height=2200)


async def test_a_restart_keeps_entities_and_energy(
    house: House, person: Visitor
) -> None:
    counters = [f"sensor.jk_bms_{address}_energy_charged" for address in (1, 2, 3)]
    await house.until_not(counters[0], "0.0", "unavailable", "unknown")
    before, entities = (
        [float(await house.state(c)) for c in counters],
        await house.entities(),
    )
    await person.leave()
    await house.restart()
    for counter, energy in zip(counters, before, strict=True):
        await house.until_not(counter, "unavailable", "unknown")
        assert float(await house.state(counter)) >= energy
    assert await house.entities() == entities
    assert await house.state("number.jk_bms_1_balance_trigger_voltage") == "0.012"
    assert await house.state("switch.jk_bms_1_balancer") == "off"
    await person.open(_DEVICE + (await house.devices())["JK BMS 1"])
    await person.show("After the restart", height=_WHOLE)


async def test_an_entry_is_removed_with_all_that_it_made(
    house: House, person: Visitor
) -> None:
    for title, device in (
        ("is asked", "JK BMS 1"),
        ("is listened to", "JK BMS 5"),
        ("is on CAN", "JK BMS 7"),
        ("is the bank", "Battery bank"),
    ):
        await person.open(OURS)
        await _choose(person, device, "Delete")
        confirm = person.page.locator("dialog-box")
        delete = confirm.get_by_role("button", name="Delete")
        await delete.wait_for()
        await person.show(f"Remove what {title}")
        await delete.click()
        await house.until_gone(device)
    assert await house.devices() == {}
    assert await house.entities() == {}
    assert await house.entries() == []
    await person.open(INTEGRATIONS)
    await person.show("Removed")


async def _configure(person: Visitor, device: str) -> Wizard:
    """Open the options of an entry."""
    await person.open(OURS)
    entry = _entry(person, device)
    await entry.get_by_role("button", name="Configure").first.click()
    return Wizard(person, f"Options of {device}")


def _entry(person: Visitor, pack: str) -> Locator:
    """The entry of a pack on the page of the integration."""
    return person.page.locator("ha-config-entry-row").filter(has_text=pack)


async def _choose(person: Visitor, pack: str, action: str) -> None:
    """Choose from the menu of an entry."""
    entry = _entry(person, pack)
    await entry.locator("ha-icon-button[slot=trigger]").first.click()
    item = entry.locator("ha-dropdown-item, ha-md-menu-item").filter(has_text=action)
    await item.first.click()
