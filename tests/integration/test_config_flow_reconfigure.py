"""Moving a bus to another port: packs keep their subentries, whatever happens on the way."""

import asyncio
from typing import Any

from homeassistant.config_entries import (
    ConfigEntryDisabler,
    ConfigEntryState,
    ConfigSubentryDataWithId,
)
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.bus_flow import is_met, moves
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.ports import shown
from custom_components.jkbms.protocol.state import BmsState
from simulator import (
    Bank,
    ReplayLine,
    SlaveLine,
    Speed,
    TcpServer,
    load_capture,
    serve_tcp,
)

from .bus import subentry_id, until
from .dialog import Dialog

pytestmark = pytest.mark.usefixtures("socket_enabled", "quick_looks")


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """Two packs are enough to be confused."""
    return (1, 2)


@pytest.fixture
def bank() -> Bank:
    """Two packs."""
    return Bank.default(range(1, 3), still=True)


def _addresses(entry: MockConfigEntry) -> dict[str, int]:
    return {s.subentry_id: s.data["address"] for s in entry.subentries.values()}


def _state(entry: MockConfigEntry) -> ConfigEntryState:
    return entry.state


def _serials(entry: MockConfigEntry) -> list[str]:
    return [s.data["serial_number"] for s in entry.subentries.values()]


async def test_a_bus_moves_to_another_gateway(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    before = _addresses(loaded)
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as moved:
        dialog = await Dialog.reconfigure(hass, loaded)
        assert dialog.step == "reconfigure"
        assert dialog.placeholders["port"] == shown(gateway.url)
        await dialog.submit(device=f"127.0.0.1:{moved.port}")
        assert dialog.step == "confirm_scan"
        assert "use_anyway" not in dialog.shown["menu_options"]
        # While the question waits for its answer, the bus is asked as before.
        await hass.async_block_till_done()
        assert loaded.state is ConfigEntryState.LOADED
        assert gateway.clients == 1
        await dialog.choose("scan")
        assert dialog.step == "abort:reconfigure_successful"
        await hass.async_block_till_done()
        assert loaded.state is ConfigEntryState.LOADED
        assert loaded.data == {"device": moved.url}
        assert (gateway.clients, moved.clients) == (0, 1)
        assert _addresses(loaded) == before
        await hass.config_entries.async_unload(loaded.entry_id)


async def test_the_same_port_is_checked_without_asking_and_packs_are_followed(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    """Two packs whose DIP switches were swapped, and the bus read nothing since."""
    swapped = Bank.default(range(1, 3), still=True)
    swapped[1].set("serial_number", bank[2].serial.encode())
    swapped[2].set("serial_number", bank[1].serial.encode())
    gateway.line = SlaveLine(swapped, speed=Speed.FAST)
    dialog = await Dialog.reconfigure(hass, loaded)
    await (await dialog.submit(device=gateway.url)).choose("listen")
    assert dialog.actions == ["check"]
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    assert loaded.state is ConfigEntryState.LOADED
    assert _addresses(loaded) == {subentry_id(1): 2, subentry_id(2): 1}
    assert _serials(loaded) == ["90000000001", "90000000002"]
    assert gateway.clients == 1


async def test_an_entry_keeps_the_name_its_owner_gave_and_loses_the_name_of_its_port(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer, loaded: MockConfigEntry
) -> None:
    async with serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as moved:
        dialog = await Dialog.reconfigure(hass, loaded)
        await (await dialog.submit(device=moved.url)).choose("scan")
        assert loaded.title == "Gateway"
        await hass.async_block_till_done()
        hass.config_entries.async_update_entry(loaded, title=f"127.0.0.1:{moved.port}")
        dialog = await Dialog.reconfigure(hass, loaded)
        await (await dialog.submit(device=gateway.url)).choose("scan")
        assert loaded.title == f"127.0.0.1:{gateway.port}"
        await hass.async_block_till_done()


async def test_the_port_of_another_entry_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    MockConfigEntry(domain=DOMAIN, data={"device": "socket://other:1"}).add_to_hass(
        hass
    )
    dialog = await Dialog.reconfigure(hass, loaded)
    await dialog.submit(device="other:1")
    assert dialog.step == "abort:already_configured"
    assert loaded.state is ConfigEntryState.LOADED


async def test_a_port_that_cannot_be_opened_changes_nothing_and_the_flow_goes_on(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    dialog = await Dialog.reconfigure(hass, loaded)
    await dialog.submit(device="nonsense")
    assert dialog.errors == {"device": "invalid_address"}
    await dialog.submit(device="/dev/serial/by-id/usb-unplugged")
    assert dialog.step == "reconfigure"
    assert dialog.errors == {"base": "no_such_port"}
    await hass.async_block_till_done()
    assert loaded.state is ConfigEntryState.LOADED
    assert loaded.data == {"device": gateway.url}
    await (await dialog.submit(device=gateway.url)).choose("listen")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()


async def test_a_foreign_master_on_the_new_port_can_be_overruled_after_a_warning(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    async with serve_tcp(ReplayLine(load_capture("phinix-readme-cycle"))) as other:
        dialog = await Dialog.reconfigure(hass, loaded)
        await dialog.submit(device=other.url)
        assert dialog.step == "foreign_master"
        options = ("follow", "listen", "port", "overrule")
        assert dialog.shown["menu_options"] == options
        await dialog.choose("overrule")
        options = ("scan", "follow", "port", "use_anyway")
        assert dialog.shown["menu_options"] == options
        await dialog.choose("scan")
        # It speaks on: asking stops.
        assert dialog.step == "foreign_master"
        await dialog.choose("port")
        assert dialog.step == "reconfigure"
        await (await dialog.submit(device=gateway.url)).choose("listen")
        assert dialog.step == "abort:reconfigure_successful"
        await hass.async_block_till_done()


async def test_a_foreign_master_on_the_old_port_is_named_before_anything_is_sent(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    gateway.line = replay = ReplayLine(load_capture("phinix-readme-cycle"))
    dialog = await Dialog.reconfigure(hass, loaded)
    await (await dialog.submit(device=gateway.url)).choose("listen")
    assert dialog.step == "foreign_master"
    assert replay is gateway.line
    dialog.close()
    await hass.async_block_till_done()


async def test_a_bus_that_is_asked_can_be_told_only_to_listen_on_its_own_line(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    """Nobody else asks there yet: looking first would find silence, and ask."""
    asked = bank[1].asked.copy()
    dialog = await Dialog.reconfigure(hass, loaded)
    await dialog.submit(device=gateway.url)
    assert dialog.step == "known_line"
    assert dialog.shown["menu_options"] == ("listen", "follow", "port")
    await dialog.choose("follow")
    assert dialog.step == "follow"
    await dialog.submit()
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    assert loaded.data == {"device": gateway.url, "mode": "listener"}
    assert loaded.state is ConfigEntryState.LOADED
    assert bank[1].asked == asked
    await hass.config_entries.async_unload(loaded.entry_id)


async def test_a_silent_port_may_be_taken_anyway(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    async with serve_tcp(SlaveLine(Bank([]), speed=Speed.FAST)) as silent:
        dialog = await Dialog.reconfigure(hass, loaded)
        await dialog.submit(device=silent.url)
        await dialog.choose("scan")
        assert dialog.step == "silence"
        assert dialog.shown["menu_options"] == (
            "scan",
            "as_modbus",
            "follow",
            "port",
            "use_anyway",
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("custom_components.jkbms.coordinator._FIRST_VALUES", 0.1)
            await dialog.choose("use_anyway")
            assert dialog.step == "abort:reconfigure_successful"
            await hass.async_block_till_done()
        assert loaded.state is ConfigEntryState.LOADED
        assert loaded.data == {"device": silent.url}
        assert silent.clients == 1
        await hass.config_entries.async_unload(loaded.entry_id)


async def test_packs_of_another_bus_are_told_from_the_own_ones(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    strangers = Bank.default(range(1, 3), still=True)
    for pack in strangers:
        pack.set("serial_number", b"8888%07d" % pack.address)
    async with serve_tcp(SlaveLine(strangers, speed=Speed.FAST)) as other:
        dialog = await Dialog.reconfigure(hass, loaded)
        await dialog.submit(device=other.url)
        await dialog.choose("scan")
        assert dialog.step == "strangers"
        assert "88880000001" in dialog.placeholders["found"]
        await hass.async_block_till_done()
        assert loaded.data == {"device": gateway.url}
        await dialog.choose("use_anyway")
        assert dialog.step == "abort:reconfigure_successful"
        await hass.async_block_till_done()
        assert loaded.data == {"device": other.url}
        await hass.config_entries.async_unload(loaded.entry_id)


async def test_a_dialog_that_is_closed_while_the_port_is_checked_leaves_the_bus_running(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    dialog = await Dialog.reconfigure(hass, loaded)
    flows = hass.config_entries.flow
    await flows.async_configure(dialog.flow_id, {"device": gateway.url})
    choice = {"next_step_id": "listen"}
    shown = await flows.async_configure(dialog.flow_id, choice)
    assert shown["step_id"] == "listen"
    await until(lambda: loaded.state is ConfigEntryState.NOT_LOADED)
    dialog.close()
    await until(lambda: loaded.state is ConfigEntryState.LOADED)
    assert gateway.clients == 1
    await hass.async_block_till_done()


async def test_a_dialog_that_is_closed_at_once_leaves_the_bus_running(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    """The unload that has begun is not cut off half-way."""
    dialog = await Dialog.reconfigure(hass, loaded)
    flows = hass.config_entries.flow
    await flows.async_configure(dialog.flow_id, {"device": gateway.url})
    await flows.async_configure(dialog.flow_id, {"next_step_id": "listen"})
    await until(lambda: loaded.state is not ConfigEntryState.LOADED)
    dialog.close()
    await until(lambda: loaded.state is ConfigEntryState.LOADED)
    assert gateway.clients == 1
    await hass.async_block_till_done()


async def test_an_entry_that_is_removed_meanwhile_stays_removed(
    hass: HomeAssistant, entry: MockConfigEntry, gateway: TcpServer
) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    dialog = await Dialog.reconfigure(hass, entry)
    flows = hass.config_entries.flow
    await flows.async_configure(dialog.flow_id, {"device": gateway.url})
    await flows.async_configure(dialog.flow_id, {"next_step_id": "listen"})
    await asyncio.sleep(0.1)
    await hass.config_entries.async_remove(entry.entry_id)
    dialog.close()
    await until(lambda: gateway.clients == 0)
    await hass.async_block_till_done()
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert gateway.clients == 0


async def test_an_entry_that_waits_for_its_port_is_set_up_on_the_new_one(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry, gateway: TcpServer
) -> None:
    hass.config_entries.async_update_entry(
        entry, data={"device": "/dev/serial/by-id/usb-gone"}
    )
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert _state(entry) is ConfigEntryState.SETUP_RETRY
    dialog = await Dialog.reconfigure(hass, entry)
    await dialog.submit(device=gateway.url)
    assert dialog.step == "confirm_scan"
    await hass.async_block_till_done()
    assert _state(entry) is ConfigEntryState.SETUP_RETRY
    await dialog.choose("scan")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    assert _state(entry) is ConfigEntryState.LOADED
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_disabled_entry_gets_its_port_and_stays_disabled(
    hass: HomeAssistant, entry: MockConfigEntry, gateway: TcpServer
) -> None:
    await hass.config_entries.async_set_disabled_by(
        entry.entry_id, ConfigEntryDisabler.USER
    )
    dialog = await Dialog.reconfigure(hass, entry)
    await (await dialog.submit(device=gateway.url)).choose("listen")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert gateway.clients == 0


async def test_an_entry_that_could_not_be_unloaded_is_left_alone(
    hass: HomeAssistant, entry: MockConfigEntry, gateway: TcpServer
) -> None:
    entry.mock_state(hass, ConfigEntryState.FAILED_UNLOAD)
    dialog = await Dialog.reconfigure(hass, entry)
    await (await dialog.submit(device=gateway.url)).choose("listen")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.FAILED_UNLOAD
    entry.mock_state(hass, ConfigEntryState.NOT_LOADED)


# Who is who on a line.


def _known(**packs: tuple[int, str | None]) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        data={"device": "socket://gateway:1"},
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id=name,
                subentry_type="bms",
                title=name,
                unique_id=None,
                data={"address": address, "serial_number": serial},
            )
            for name, (address, serial) in packs.items()
        ],
    )


def _heard(**packs: str | None) -> dict[int, BmsState]:
    """States by address; the names of the arguments are a letter and the address."""
    found = {}
    for name, serial in packs.items():
        values: dict[str, Any] = {} if serial is None else {"serial_number": serial}
        found[int(name[1:])] = BmsState(values=values)
    return found


@pytest.mark.parametrize(
    ("known", "heard", "moved"),
    [
        # Everybody where they were, one away.
        ({"a": (1, "A"), "b": (2, "B")}, {"n1": "A"}, {}),
        # A new address, nobody in the way.
        ({"a": (1, "A"), "b": (2, "B")}, {"n5": "A", "n2": "B"}, {"a": 5}),
        # Swapped, and a ring of three.
        ({"a": (1, "A"), "b": (2, "B")}, {"n1": "B", "n2": "A"}, {"a": 2, "b": 1}),
        (
            {"a": (1, "A"), "b": (2, "B"), "c": (3, "C")},
            {"n1": "C", "n2": "A", "n3": "B"},
            {"a": 2, "b": 3, "c": 1},
        ),
        # One that was not heard leaves its place to the one that was.
        ({"a": (1, "A"), "b": (2, "B")}, {"n2": "A"}, {"a": 2, "b": 1}),
        # So does one that was never read.
        ({"a": (1, "A"), "b": (2, None)}, {"n2": "A"}, {"a": 2, "b": 1}),
        # Two boards with one number: the one at the known address is the known one.
        ({"a": (3, "A")}, {"n1": "A", "n3": "A"}, {}),
        ({"a": (3, "A")}, {"n5": "A", "n4": "A"}, {"a": 4}),
        # Who did not say his number is nobody.
        ({"a": (1, "A")}, {"n2": None}, {}),
    ],
)
def test_packs_are_followed_by_their_serial_numbers(
    known: dict[str, tuple[int, str | None]],
    heard: dict[str, str | None],
    moved: dict[str, int],
) -> None:
    assert moves(_known(**known), _heard(**heard)) == moved


@pytest.mark.parametrize(
    ("known", "heard", "met"),
    [
        ({}, {"n1": "A"}, True),
        ({"a": (1, "A"), "b": (2, "B")}, {"n7": "B"}, True),
        ({"a": (1, "A")}, {"n1": "B"}, False),
        ({"a": (1, "A")}, {"n1": None}, False),
        ({"a": (1, None)}, {"n1": "B"}, True),
        ({"a": (1, None)}, {"n2": "B"}, False),
    ],
)
def test_a_bus_is_recognised_by_one_pack_that_is_known(
    known: dict[str, tuple[int, str | None]],
    heard: dict[str, str | None],
    met: bool,
) -> None:
    assert is_met(_known(**known), _heard(**heard)) is met
