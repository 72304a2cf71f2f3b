"""The dialogs of a control line: which pack is which, and what may go wrong."""

from typing import Any

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.jkbms.ports import shown
from custom_components.jkbms.repairs import async_create_fix_flow
from simulator import Bank, MasterLine, Pack, SlaveLine, Speed, serve_tcp, trios

from .bus import subentry_id
from .common import Fix, issue, wait_until
from .dialog import Dialog
from .house import (
    House,
    connect,
    controlled,
    is_controlled,
    is_heard_again,
    set_voltage,
)
from .listening import is_heard

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


@pytest.fixture
def bank() -> Bank:
    """The master and two slaves."""
    return Bank.default(range(3), still=True)


@pytest.fixture
def twins() -> Bank:
    """A master, and two packs whose counters and settings are the same."""
    trio = trios()[0]
    return Bank([Pack(trio, address, still=True) for address in range(3)])


class TestTwins:
    """Packs that nothing but their serial numbers tell apart."""

    @pytest.fixture
    def bank(self, twins: Bank) -> Bank:
        """All alike."""
        return twins

    async def test_their_owner_is_asked(
        self, hass: HomeAssistant, house: House
    ) -> None:
        dialog = await connect(hass, house)
        for address in (0, 1):
            assert dialog.step == "which_pack"
            assert dialog.placeholders["address"] == str(address)
            assert dialog.placeholders["serial"] == house.bank[address].serial
            await dialog.submit(pack=subentry_id(address))
        assert dialog.step == "which_pack"
        options = dialog.shown["data_schema"].schema["pack"].config["options"]
        assert [option["value"] for option in options] == ["pack2", "none"]
        await dialog.submit(pack="none")
        assert dialog.step == "confirm"
        assert dialog.placeholders["found"].splitlines()[2].endswith("| – |")
        await dialog.submit()
        # The last one is left, so it needs no answer.
        await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
        assert house.control.data["packs"]["2"] == "pack2"

    async def test_they_are_told_apart_by_serial_numbers_that_were_entered(
        self, hass: HomeAssistant, house: House
    ) -> None:
        for address in (1, 2):
            dialog = await Dialog.reconfigure_bms(
                hass, house.entry, subentry_id(address)
            )
            assert dialog.step == "tell"
            if address == 2:
                await dialog.submit(address="2", serial_number=house.bank[1].serial)
                assert dialog.errors == {"serial_number": "already_added"}
                await dialog.submit(address="2", serial_number="not one")
                assert dialog.errors == {"serial_number": "not_a_serial_number"}
            serial = house.bank[address].serial
            await dialog.submit(address=str(address), serial_number=f" {serial} ")
            assert dialog.step == "abort:reconfigure_successful"
            await hass.async_block_till_done()
        await wait_until(lambda: is_heard(house.entry, 0, 1, 2))
        await controlled(hass, house)

    async def test_a_repair_asks_where_the_dialog_did_not(
        self, hass: HomeAssistant, house: House, fix: Fix
    ) -> None:
        dialog = await connect(hass, house)
        for _ in range(3):
            await dialog.submit(pack="none")
        assert dialog.step == "confirm"
        await dialog.submit()
        line = house.control.subentry_id
        await wait_until(lambda: issue(hass, "control_choice", f"{line}_1"))
        await wait_until(lambda: is_controlled(house.entry))
        found = issue(hass, "control_choice", f"{line}_1")
        assert found is not None
        assert found.translation_placeholders == {
            "bus": "Bus",
            "address": "1",
            "heard": house.bank[1].serial,
            "packs": "Pack 0, Pack 1, Pack 2",
        }
        await fix(found, "pack1")
        await wait_until(lambda: is_controlled(house.entry, 1))
        await wait_until(lambda: issue(hass, "control_choice", f"{line}_2"))
        assert issue(hass, "control_choice", f"{line}_1") is None
        other = issue(hass, "control_choice", f"{line}_2")
        assert other is not None
        await fix(other, "pack2")
        await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))


async def test_the_bus_itself_is_no_control_line(
    hass: HomeAssistant, house: House
) -> None:
    dialog = await Dialog.add_control_line(hass, house.entry)
    await dialog.submit(device=house.bus.url)
    assert dialog.step == "abort:already_configured"
    async with serve_tcp(MasterLine(house.bank, speed=Speed.FAST)) as second:
        dialog = await Dialog.add_control_line(hass, house.entry)
        await dialog.submit(device=second.url)
        assert dialog.step == "foreign_master"
        assert dialog.shown["menu_options"] == ("listen", "port")
        await dialog.choose("port")
        assert dialog.step == "user"
        dialog.close()
        await hass.async_block_till_done()


async def test_the_port_of_a_control_line_is_taken_for_others(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    dialog = await Dialog.add(hass)
    await dialog.submit(device=house.sockets.url)
    assert dialog.step == "abort:already_configured"


async def test_strangers_on_a_control_line_are_named(
    hass: HomeAssistant, house: House
) -> None:
    strangers = Bank.default(range(4, 6), still=True)
    for pack in strangers:
        pack.set("soc", 5)
        pack.set("run_time", 5)
    house.sockets.line = SlaveLine(strangers, speed=Speed.FAST)
    dialog = await connect(hass, house)
    assert dialog.step == "strangers"
    assert strangers[4].serial in dialog.placeholders["found"]
    await dialog.choose("confirm")
    assert dialog.step == "confirm"
    await dialog.submit()
    assert dialog.step == "created"
    await wait_until(lambda: is_heard_again(house.entry))
    assert house.control.data["packs"] == {}


async def test_the_control_line_moves_to_another_port(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    line = house.control.subentry_id
    async with serve_tcp(SlaveLine(house.bank, speed=Speed.FAST)) as moved:
        dialog = await Dialog.reconfigure_control_line(hass, house.entry, line)
        assert dialog.step == "reconfigure"
        assert dialog.placeholders["port"] == shown(house.sockets.url)
        await dialog.submit(device=moved.url)
        await dialog.choose("scan")
        assert dialog.step == "confirm"
        await dialog.submit()
        assert dialog.step == "abort:reconfigure_successful"
        await wait_until(lambda: moved.clients == 1)
        await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
        assert house.sockets.clients == 0
        assert house.control.subentry_id == line
        # And back, looked at on its own port: the bus pauses meanwhile.
        dialog = await Dialog.reconfigure_control_line(hass, house.entry, line)
        await dialog.submit(device=moved.url)
        await (await dialog.choose("scan")).submit()
        await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
        await hass.async_block_till_done()
        assert await hass.config_entries.async_unload(house.entry.entry_id)


async def test_the_options_of_both_lines_are_offered(
    hass: HomeAssistant, house: House
) -> None:
    dialog = await Dialog.options(hass, house.entry)
    assert dialog.step == "listening"
    dialog.close()
    await controlled(hass, house)
    assert set_voltage(hass, 1) != STATE_UNAVAILABLE
    dialog = await Dialog.options(hass, house.entry)
    assert dialog.step == "controlled"
    await dialog.submit(
        poll_interval=2,
        write_tier="off",
        return_to_master=False,
        ask_device_info=False,
    )
    assert dialog.step == "created"
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
    await hass.async_block_till_done()
    assert set_voltage(hass, 1) == STATE_UNAVAILABLE

    dialog = await Dialog.options(hass, house.entry)
    await dialog.submit(write_tier="protection", ask_device_info=False)
    assert dialog.step == "confirm_protection"
    await dialog.submit(understood=True)
    assert dialog.step == "created"
    assert house.entry.options["write_tier"] == "protection"
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
    await hass.async_block_till_done()
    assert set_voltage(hass, 1) != STATE_UNAVAILABLE


async def test_a_control_line_needs_a_bus_that_runs(
    hass: HomeAssistant, house: House
) -> None:
    assert await hass.config_entries.async_unload(house.entry.entry_id)
    dialog = await Dialog.add_control_line(hass, house.entry)
    assert dialog.step == "abort:not_loaded"


async def test_a_question_about_a_line_that_was_removed_ends(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    flow = await async_create_fix_flow(
        hass,
        "control_choice_gone_1",
        {
            "kind": "control_choice",
            "entry_id": house.entry.entry_id,
            "line_id": "gone",
            "address": 1,
            "serial_number": "90000000001",
            "packs": "pack1,pack2",
        },
    )
    flow.hass = hass
    flow.flow_id = "one"
    flow.handler = "jkbms"
    steps: Any = flow
    result = await steps.async_step_init()
    assert result["type"] is FlowResultType.CREATE_ENTRY
