"""Setting up a bus: what a person is shown, on real lines with real packs and real trouble."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
import fcntl
import os
from pathlib import Path
import socket
import termios
import tty
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.ports import shown
from custom_components.jkbms.transport.link import LinkFault
from simulator import (
    Bank,
    ReplayLine,
    SlaveLine,
    Speed,
    TcpServer,
    load_capture,
    serve_pty,
    serve_tcp,
)

from .dialog import TEXTS, Dialog

pytestmark = pytest.mark.usefixtures("socket_enabled", "quick_looks")


@pytest.fixture(autouse=True)
async def unload_what_was_created(hass: HomeAssistant) -> AsyncIterator[None]:
    """Give the ports back."""
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


async def _add(hass: HomeAssistant, device: str) -> Dialog:
    dialog = await Dialog.add(hass)
    return await dialog.submit(device=device)


async def _finish(dialog: Dialog, **values: Any) -> Dialog:
    """Go from the first form or menu that offers it to the new entry."""
    if dialog.step != "confirm_scan":
        await dialog.choose("listen")
    assert dialog.step == "confirm_scan"
    await dialog.choose("scan")
    assert dialog.step == "confirm", dialog.shown
    await dialog.submit(packs=["1"], write_tier="off", **values)
    assert dialog.step == "created"
    return dialog


async def test_a_gateway_is_listened_to_then_asked_and_its_packs_become_subentries(
    hass: HomeAssistant, gateway: TcpServer, line: SlaveLine
) -> None:
    dialog = await Dialog.add(hass)
    assert dialog.step == "rs485"
    assert dialog.errors == {}
    await dialog.submit(device=f"127.0.0.1:{gateway.port}")
    assert dialog.actions == ["listen"]
    assert dialog.step == "confirm_scan"
    assert dialog.shown["menu_options"] == ("scan", "listen", "follow", "port")
    assert line.counters.heard == 0
    assert dialog.placeholders["port"] == shown(gateway.url)

    await dialog.choose("scan")
    assert dialog.actions == ["listen", "scan"]
    assert dialog.step == "confirm"
    assert dialog.placeholders["count"] == "4"
    assert dialog.placeholders["found"].splitlines() == [
        "| 1 | JK_PB2A16S20P | 90000000001 | 15.41 | 16 |",
        "| 2 | JK_PB2A16S15P | 90000000002 | 15.38 | 16 |",
        "| 3 | JK-PB2A16S20P | 900000B00000003 | 19.27 | 16 |",
        "| 4 | JK_PB2A16S20P | 90000000004 | 15.41 | 8 |",
    ]
    schema = dialog.shown["data_schema"]
    assert schema({}) == {"packs": ["1", "2", "3", "4"], "write_tier": "off"}

    await dialog.submit(packs=["4", "1", "3"], write_tier="everyday")
    assert dialog.step == "created"
    await hass.async_block_till_done()
    entry = hass.config_entries.async_entries(DOMAIN)[0]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.title == f"127.0.0.1:{gateway.port}"
    assert (entry.version, entry.minor_version) == (1, 1)
    assert entry.unique_id is None
    assert entry.data == {"device": gateway.url}
    assert entry.options == {"poll_interval": 5, "write_tier": "everyday"}
    subentries = list(entry.subentries.values())
    assert {s.subentry_type for s in subentries} == {"bms"}
    assert [s.title for s in subentries] == ["JK BMS 1", "JK BMS 3", "JK BMS 4"]
    assert [s.data["address"] for s in subentries] == [1, 3, 4]
    assert subentries[2].data == {
        "address": 4,
        "serial_number": "90000000004",
        "model": "JK_PB2A16S20P",
        "hardware_version": "15A",
        "software_version": "15.41",
        "features": subentries[2].data["features"],
    }
    assert subentries[2].data["features"]["cells"] == list(range(1, 9))


async def test_a_serial_port_is_set_up_and_named_by_its_path(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_pty(line) as adapter:
        dialog = await _add(hass, adapter.url)
        await _finish(dialog)
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        assert entry.data == {"device": adapter.url}
        assert entry.title == adapter.url
        await hass.config_entries.async_unload(entry.entry_id)


async def test_the_packs_of_other_entries_are_shown_but_not_preselected(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    MockConfigEntry(
        domain=DOMAIN,
        data={"device": "/dev/serial/by-id/usb-other"},
        subentries_data=[
            {
                "subentry_id": "known",
                "subentry_type": "bms",
                "title": "JK BMS 2",
                "unique_id": None,
                "data": {"address": 2, "serial_number": "90000000002"},
            },
            {
                "subentry_id": "unread",
                "subentry_type": "bms",
                "title": "JK BMS 3",
                "unique_id": None,
                "data": {"address": 3, "serial_number": None},
            },
        ],
    ).add_to_hass(hass)
    dialog = await _add(hass, gateway.url)
    await dialog.choose("scan")
    assert dialog.placeholders["count"] == "4"
    assert dialog.shown["data_schema"]({})["packs"] == ["1", "3", "4"]


async def test_at_least_one_pack_has_to_be_chosen(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    dialog = await _add(hass, gateway.url)
    await dialog.choose("scan")
    await dialog.submit(packs=[], write_tier="everyday")
    assert dialog.step == "confirm"
    assert dialog.errors == {"packs": "no_packs"}
    await dialog.submit(packs=["2"], write_tier="off")
    assert dialog.step == "created"


async def test_packs_that_their_owner_named_keep_their_names(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    for address, name in ((1, "Garage"), (2, "Attic"), (3, "Attic")):
        bank[address].set("device_name", name.encode())
    dialog = await _add(hass, gateway.url)
    await dialog.choose("scan")
    await dialog.submit(packs=["1", "2", "3", "4"], write_tier="off")
    entry = hass.config_entries.async_entries(DOMAIN)[0]
    assert [s.title for s in entry.subentries.values()] == [
        "Garage",
        "Attic 2",
        "Attic 3",
        "JK BMS 4",
    ]


async def test_a_pack_whose_device_info_cannot_be_read_is_shown_with_gaps(
    hass: HomeAssistant,
) -> None:
    class NoDeviceInfo(SlaveLine):
        def receive(self, data: bytes, now: float) -> None:
            if b"\x16\x1c" not in data:
                super().receive(data, now)

    bank = Bank.default(range(1, 2), still=True)
    async with serve_tcp(NoDeviceInfo(bank, speed=Speed.FAST)) as server:
        dialog = await _add(hass, server.url)
        await dialog.choose("scan")
        assert dialog.placeholders["found"] == "| 1 | – | – | – | 16 |"
        dialog.close()


async def test_the_progress_bar_moves_from_begin_to_end(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    shown: list[float] = []
    hass.bus.async_listen(
        "data_entry_flow_progress_update",
        lambda event: shown.append(event.data["progress"]),
    )
    dialog = await _add(hass, gateway.url)
    assert shown == sorted(set(shown))
    assert shown[0] == 0
    assert len(shown) >= 8
    assert shown[-1] > 0.85
    shown.clear()
    await dialog.choose("scan")
    assert shown == sorted(set(shown))
    assert shown[0] < 0.1
    # The rest is for the older protocol, where nobody has answered in this one.
    assert shown[-1] > 0.75
    dialog.close()


async def test_a_page_that_is_loaded_anew_during_a_scan_shows_the_same_scan(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    dialog = await _add(hass, gateway.url)
    await dialog.look_again()
    assert dialog.step == "confirm_scan"
    await dialog.start("scan")
    await dialog.look_again()
    assert dialog.step == "scan"
    assert gateway.clients <= 1
    await hass.async_block_till_done()
    await dialog.look_again()
    assert dialog.step == "confirm"
    await dialog.look_again()
    assert dialog.step == "confirm"
    dialog.close()


async def test_a_dialog_that_is_closed_during_a_scan_gives_the_port_back(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with serve_pty(line) as adapter:
        dialog = await _add(hass, adapter.url)
        await dialog.start("scan")
        await asyncio.sleep(0.1)
        dialog.close()
        await hass.async_block_till_done()
        # A second flow gets the port.
        await _finish(await _add(hass, adapter.url))
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        await hass.config_entries.async_unload(entry.entry_id)


# What an address may look like, and which one is refused.


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ttyUSB0",
        "192.168.1.50",
        "192.168.1.50:99999",
        "192.168.1.50:0",
        "192.168.1.50:8899/serial",
        "user@192.168.1.50:8899",
        "host name:8899",
        "http://192.168.1.50:80",
        "socket://[::1",
        "socket://[zz::1]:8899",
    ],
)
async def test_what_is_no_address_is_refused_and_the_flow_goes_on(
    hass: HomeAssistant, gateway: TcpServer, typed: str
) -> None:
    dialog = await _add(hass, typed)
    assert dialog.step == "rs485"
    assert dialog.errors == {"device": "invalid_address"}
    await dialog.look_again()
    assert dialog.errors == {"device": "invalid_address"}
    await dialog.submit(device=gateway.url)
    assert dialog.step == "confirm_scan"
    dialog.close()


async def test_a_port_of_another_entry_is_refused(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    MockConfigEntry(domain=DOMAIN, data={"device": gateway.url}).add_to_hass(hass)
    for typed in (
        gateway.url,
        f"127.0.0.1:{gateway.port}",
        f" TCP://127.0.0.1:{gateway.port}/ ",
    ):
        dialog = await _add(hass, typed)
        assert dialog.step == "abort:already_configured"


async def test_a_port_of_another_entry_is_refused_under_another_name_too(
    hass: HomeAssistant, tmp_path: Path, line: SlaveLine
) -> None:
    alias = tmp_path / "usb-adapter"
    async with serve_pty(line, link=alias) as adapter:
        MockConfigEntry(
            domain=DOMAIN, data={"device": "socket://gateway:1"}
        ).add_to_hass(hass)
        MockConfigEntry(domain=DOMAIN, data={"device": adapter.url}).add_to_hass(hass)
        dialog = await _add(hass, os.path.realpath(alias))
        assert dialog.step == "abort:already_configured"
        # Another port is another bus.
        async with serve_pty(line) as other:
            dialog = await _add(hass, other.url)
            assert dialog.step == "confirm_scan"
            dialog.close()


async def test_a_port_that_another_flow_took_meanwhile_is_refused_at_the_end(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    slow = await _add(hass, gateway.url)
    await slow.choose("scan")
    await _finish(await _add(hass, gateway.url))
    await slow.submit(packs=["1"], write_tier="off")
    assert slow.step == "abort:already_configured"


# A line that cannot be opened.


def test_every_fault_of_a_line_has_its_own_text() -> None:
    # Only the switch of an entry that is set up leaves a pack to somebody else.
    faults = set(LinkFault) - {LinkFault.RELEASED}
    texts = [TEXTS["config"]["error"][fault] for fault in faults]
    assert len(set(texts)) == len(faults)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _no_permission() -> Iterator[str]:
    """A port that this process may not open, whoever runs it."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    Path(path).chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield path
    finally:
        if root:
            os.seteuid(0)
        os.close(slave)
        os.close(master)


@contextmanager
def _held() -> Iterator[str]:
    """A port that another program holds for itself."""
    master, slave = os.openpty()
    tty.setraw(slave)
    fcntl.flock(slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.ioctl(slave, termios.TIOCEXCL)
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


@contextmanager
def _missing() -> Iterator[str]:
    yield "/dev/serial/by-id/usb-unplugged"


@contextmanager
def _directory() -> Iterator[str]:
    yield "/dev"


@contextmanager
def _refusing() -> Iterator[str]:
    yield f"127.0.0.1:{_free_port()}"


@contextmanager
def _unknown_proxy() -> Iterator[str]:
    """A port of an ESPHome device while ESPHome is not set up."""
    yield "esphome-hass://esphome/0123456789?port_name=rs485"


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        (_missing, "no_such_port"),
        (_no_permission, "no_permission"),
        (_held, "busy"),
        (_directory, "invalid_address"),
        (_refusing, "refused"),
        (_unknown_proxy, "failed"),
    ],
)
async def test_a_line_that_cannot_be_opened_is_explained_and_the_flow_goes_on(
    hass: HomeAssistant,
    gateway: TcpServer,
    trouble: Callable[[], Any],
    fault: str,
) -> None:
    dialog = await Dialog.add(hass)
    with trouble() as device:
        await dialog.submit(device=device)
    assert dialog.step == "rs485"
    assert dialog.errors == {"base": fault}
    assert dialog.placeholders["port"].endswith(device)
    await dialog.submit(device=gateway.url)
    assert dialog.errors == {}
    await _finish(dialog)


async def test_a_fault_without_words_of_its_own_is_in_the_log(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    with _unknown_proxy() as device:
        dialog = await _add(hass, device)
    assert dialog.errors == {"base": "failed"}
    assert "The log has the details" in TEXTS["config"]["error"]["failed"]
    assert f"{device} cannot be opened: " in caplog.text


async def test_a_gateway_that_hangs_up_is_explained_and_the_flow_goes_on(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialog = await _add(hass, f"127.0.0.1:{port}")
    assert dialog.step == "rs485"
    assert dialog.errors == {"base": "lost"}
    server.close()
    await server.wait_closed()
    await dialog.submit(device=gateway.url)
    await _finish(dialog)


async def test_a_gateway_that_dies_between_listening_and_asking_is_explained(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    dialog = await _add(hass, gateway.url)
    await gateway.stop()
    await dialog.choose("scan")
    assert dialog.step == "rs485"
    assert dialog.errors == {"base": "refused"}
    await gateway.start()
    await dialog.submit(device=gateway.url)
    await _finish(dialog)


# A line that opens, and on which something is wrong.


async def test_silence_is_explained_and_asking_again_finds_packs_that_woke_up(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    for pack in bank:
        pack.present = False
    dialog = await _add(hass, gateway.url)
    await dialog.choose("scan")
    assert dialog.step == "silence"
    assert dialog.shown["menu_options"] == ("scan", "as_modbus", "follow", "port")
    await dialog.choose("port")
    assert dialog.step == "rs485"
    assert dialog.errors == {}
    await dialog.submit(device=gateway.url)
    await dialog.choose("scan")
    assert dialog.step == "silence"
    bank[1].present = True
    await dialog.choose("scan")
    assert dialog.step == "confirm"
    await dialog.submit(packs=["1"], write_tier="off")
    assert dialog.step == "created"


@pytest.mark.parametrize(
    ("capture", "step"),
    [
        ("phinix-readme-cycle", "foreign_master"),
        ("mpp-bus-084342", "foreign_master"),
        ("ttl-syssi-14s", "legacy_protocol"),
        ("noise", "noise"),
        ("cut", "cut_frames"),
    ],
)
async def test_a_line_that_is_in_trouble_is_explained_and_the_flow_goes_on(
    hass: HomeAssistant, line: SlaveLine, capture: str, step: str
) -> None:
    data = {
        # What a line at another baud rate looks like.
        "noise": bytes(i * 37 % 251 for i in range(600)),
        # What an adapter that loses bytes makes of four answers.
        "cut": 4 * load_capture("venus-bat3-about")[:287],
    }.get(capture) or load_capture(capture)
    async with serve_tcp(ReplayLine(data)) as trouble:
        dialog = await _add(hass, trouble.url)
        assert dialog.step == step
        assert "listen" in dialog.shown["menu_options"]
        assert dialog.placeholders["port"] == shown(trouble.url)
        await dialog.choose("listen")
        assert dialog.step == step
    # The cause is removed; the same address serves packs now.
    async with serve_tcp(line, port=trouble.port):
        await _finish(dialog)
        entry = hass.config_entries.async_entries(DOMAIN)[0]
        await hass.config_entries.async_unload(entry.entry_id)


async def test_the_packs_heard_beside_another_master_are_listed(
    hass: HomeAssistant,
) -> None:
    async with serve_tcp(ReplayLine(load_capture("phinix-readme-cycle"))) as trouble:
        dialog = await _add(hass, trouble.url)
        assert dialog.step == "foreign_master"
        assert dialog.placeholders["heard"] == "0, 1"
        assert dialog.shown["menu_options"] == ("follow", "listen", "port", "overrule")
        await dialog.choose("port")
        assert dialog.step == "rs485"
        dialog.close()


async def test_a_line_in_trouble_may_be_asked_anyway(hass: HomeAssistant) -> None:
    data = load_capture("ttl-syssi-14s")
    async with serve_tcp(ReplayLine(data)) as trouble:
        dialog = await _add(hass, trouble.url)
        await dialog.choose("scan")
        # Who is asked in the older protocol answers in it.
        assert dialog.step == "older_protocol"
        dialog.close()


async def test_a_master_that_speaks_up_during_the_scan_stops_it(
    hass: HomeAssistant,
) -> None:
    replay = ReplayLine(load_capture("phinix-readme-cycle"))
    async with serve_tcp(replay) as trouble:
        trouble.go_silent()
        dialog = await _add(hass, trouble.url)
        assert dialog.step == "confirm_scan"
        trouble.speak()
        await dialog.choose("scan")
        assert dialog.step == "foreign_master"
        assert dialog.placeholders["heard"] == "–"
        dialog.close()


@asynccontextmanager
async def _modbus_tcp_gateway() -> AsyncIterator[int]:
    """A gateway that translates: it understands MBAP and drops everything else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            if len(data) >= 8 and data[2:4] == bytes(2):
                unit, function = data[6:8]
                # No pack behind it: exception 0x0B, the target failed to respond.
                writer.write(
                    data[:2] + bytes([0, 0, 0, 3, unit, function | 0x80, 0x0B])
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


async def test_a_gateway_that_translates_modbus_tcp_is_told_from_a_silent_one(
    hass: HomeAssistant, line: SlaveLine
) -> None:
    async with _modbus_tcp_gateway() as port:
        dialog = await _add(hass, f"127.0.0.1:{port}")
        await dialog.choose("scan")
        assert dialog.step == "modbus_tcp"
        assert dialog.shown["menu_options"] == ("scan", "port")
    async with serve_tcp(line, port=port):
        await dialog.choose("scan")
        assert dialog.step == "confirm"
        dialog.close()
