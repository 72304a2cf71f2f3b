"""Adapters that python-can drives, in real time: forms, bit rates, and what may be wrong."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
import pytest

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol.can.survey import CanFinding
from custom_components.jkbms.transport.can_probe import CanHeard
from custom_components.jkbms.transport.link import LinkError, LinkFault
from simulator import Bank
from simulator.can import CanBus, serve_slcan_pty, serve_slcan_tcp, serve_socketcand

from .bus import until
from .dialog import Dialog

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture(autouse=True)
def short_looks() -> Iterator[None]:
    """Listen no longer than a pack needs to prove itself."""
    with patch("custom_components.jkbms.can_flow.LISTEN_FOR", 4.0):
        yield


async def form(hass: HomeAssistant, step: str, **fields: Any) -> Dialog:
    """Fill in the form of one kind of adapter."""
    dialog = await Dialog.add(hass, "can")
    await dialog.choose(step)
    assert dialog.step == step
    return await dialog.submit(**fields)


async def create(hass: HomeAssistant, dialog: Dialog) -> dict[str, Any]:
    """Confirm what was heard, and return what is stored of the adapter."""
    assert dialog.step == "can_confirm", dialog.shown
    await dialog.submit()
    assert dialog.step == "created"
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await until(lambda: len(hass.states.async_all("sensor")) > 20)
    await hass.async_block_till_done()
    assert await hass.config_entries.async_unload(entry.entry_id)
    return dict(entry.data["can"])


async def test_the_bit_rate_of_a_serial_adapter_is_found_out(
    hass: HomeAssistant,
) -> None:
    bus = CanBus(Bank.default((1,), still=True), bitrate=250_000)
    async with serve_slcan_pty(bus) as adapter:
        dialog = await form(
            hass,
            "can_serial",
            device=adapter.url,
            adapter="slcan",
            bitrate="find_out",
        )
        assert dialog.placeholders["bitrate"] == "250 kbit/s"
        stored = await create(hass, dialog)
        assert stored == {
            "adapter": "slcan",
            "channel": adapter.url,
            "bitrate": 250_000,
        }


async def test_adapters_in_the_network_are_heard(hass: HomeAssistant) -> None:
    bus = CanBus(Bank.default((1,), still=True), bitrate=500_000)
    network = {"host": "127.0.0.1", "bitrate": "500000", "channel": "can0"}
    async with serve_slcan_tcp(bus, "127.0.0.1") as slcan:
        dialog = await form(
            hass, "can_network", port=slcan.port, adapter="slcan", **network
        )
        stored = await create(hass, dialog)
        assert stored["channel"] == f"socket://127.0.0.1:{slcan.port}"
        (entry,) = hass.config_entries.async_entries(DOMAIN)
        await hass.config_entries.async_remove(entry.entry_id)
    async with serve_socketcand(bus) as daemon:
        dialog = await form(
            hass, "can_network", port=daemon.port, adapter="socketcand", **network
        )
        stored = await create(hass, dialog)
        # Its bit rate is set where the daemon runs.
        assert stored == {
            "adapter": "socketcand",
            "channel": "can0",
            "host": "127.0.0.1",
            "port": daemon.port,
        }


async def test_what_is_no_adapter_is_told_in_its_form(hass: HomeAssistant) -> None:
    dialog = await form(hass, "can_interface", channel="no-such-can")
    assert dialog.step == "can_interface"
    assert dialog.errors["base"] in ("missing_driver", "no_such_interface")
    dialog = await form(
        hass, "can_other", adapter="gs_usb", channel="first", bitrate="500000"
    )
    assert dialog.errors == {"base": "invalid_address"}
    await dialog.submit(adapter="gs_usb", channel="0", bitrate="500000")
    assert dialog.errors == {"base": "missing_driver"}
    dialog = await form(
        hass,
        "can_serial",
        device="/dev/serial/by-id/usb-unplugged",
        adapter="slcan",
        bitrate="250000",
    )
    assert dialog.step == "can_serial"
    assert dialog.errors == {"base": "no_such_port"}
    # It is as it was filled in.
    schema = dialog.shown["data_schema"].schema
    suggested = {str(k): (k.description or {}).get("suggested_value") for k in schema}
    assert suggested == {
        "device": "/dev/serial/by-id/usb-unplugged",
        "adapter": "slcan",
        "bitrate": "250000",
    }


NO_ADAPTER = "custom_components.jkbms.can_flow.async_listen_can"
"""No adapter here tells of errors: what the transport says of them is given."""


@pytest.mark.parametrize(
    "told",
    [
        {"side_effect": LinkError(LinkFault.BUS_ERRORS, "nothing but errors")},
        {"return_value": CanHeard(CanFinding.SILENCE, None, (), (), None, 7)},
    ],
)
async def test_a_bus_that_cannot_be_read_is_told_from_one_that_is_silent(
    hass: HomeAssistant, told: dict[str, Any]
) -> None:
    with patch(NO_ADAPTER, **told):
        dialog = await form(hass, "can_interface", channel="can0")
        assert dialog.step == "can_errors"


async def test_an_adapter_that_fails_as_nobody_knows_leaves_its_words_in_the_log(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = LinkError(LinkFault.FAILED, "the driver says something")
    with patch(NO_ADAPTER, side_effect=wrong):
        dialog = await form(hass, "can_interface", channel="can0")
    assert dialog.step == "can_interface"
    assert dialog.errors == {"base": "failed"}
    assert "the driver says something" in caplog.text
