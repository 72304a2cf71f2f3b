"""What a report about a bus tells, and what it keeps to itself."""

import json
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.jkbms.diagnostics import masked_line
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.masking import masked_frame
from custom_components.jkbms.protocol.state import BmsState
from simulator import PASSWORD, PIN, Bank, Block as PackBlock

from .bus import subentry_id

NAME: Final = "GARAGE-OF-JOHN"
NOTE: Final = "CALL-555-0199"
HIDDEN: Final = slice(46, 150)
"""Names, serial number, PIN and passwords in the frame of the device info (rs485.md 5.3)."""


@pytest.fixture
def bank(bank: Bank) -> Bank:
    """Packs whose owner has left his name in them."""
    for pack in bank:
        pack.set("device_name", NAME.encode())
        pack.set("user_data", NOTE.encode())
        pack.set("user_data_2", NOTE.encode())
    return bank


async def test_a_report_tells_all_about_the_bus_and_nothing_about_its_owner(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    bank: Bank,
    loaded: MockConfigEntry,
) -> None:
    report: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    text = json.dumps(report)

    secrets = [PIN, PASSWORD, NAME, NOTE, "127.0.0.1", *(pack.serial for pack in bank)]
    for secret in secrets:
        assert secret not in text
        assert secret.encode().hex() not in text

    assert report["entry"]["data"]["device"] == f"socket://{REDACTED}"
    assert report["link"]["state"] == "connected"
    assert report["link"]["fault"] is None
    assert report["traffic"]["answers"] >= 12
    assert report["plan"] == {
        "live": 5.0,
        "settings": 60.0,
        "device": 3600.0,
        "return_after": None,
    }
    assert [subentry["data"]["address"] for subentry in report["subentries"]] == [
        1,
        2,
        3,
        4,
    ]
    assert {s["data"]["serial_number"] for s in report["subentries"]} == {REDACTED}
    for told, pack in zip(report["packs"], bank, strict=True):
        assert told["subentry_id"] == subentry_id(pack.address)
        assert told["address"] == pack.address
        assert told["available"] is True
        assert told["layout"] == "jk02_32s"
        assert told["firmware"] == pack.text("software_version")
        assert len(told["features"]["cells"]) == pack.cell_count
        assert told["counts"]["ok"] >= 3
        assert told["pacing"]["quiet"] > 0
        assert set(told["seconds_since_read"]) == {"live", "settings", "device"}
        values = told["values"]
        assert values["total_voltage"] == pack.number_of("pack_voltage") / 1000
        assert values["cell_ovp"] == pack.number_of("cell_ovp") / 1000
        assert values["model"] == pack.model
        assert values["errors"] == "OK"
        assert {
            values[key]
            for key in ("serial_number", "bluetooth_name", "user_data", "user_data_2")
        } == {REDACTED}
        assert [key for key in values if key.startswith("secret")] == []


async def test_the_frames_of_a_report_are_those_of_the_pack_but_for_the_secrets(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    bank: Bank,
    loaded: MockConfigEntry,
) -> None:
    report: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    for told, pack in zip(report["packs"], bank, strict=True):
        frames = {name: bytes.fromhex(text) for name, text in told["frames"].items()}
        assert frames["live"] == pack.frame(PackBlock.LIVE)
        assert frames["settings"] == pack.frame(PackBlock.SETTINGS)
        device, original = frames["device"], pack.frame(PackBlock.DEVICE)
        assert not any(device[HIDDEN])
        assert device[: HIDDEN.start] == original[: HIDDEN.start]
        assert device[HIDDEN.stop : -1] == original[HIDDEN.stop : -1]

        # Whoever gets the report can read it with the same decoder.
        state = BmsState()
        for block in (Block.DEVICE, Block.LIVE, Block.SETTINGS):
            assert state.take_frame(Frame(frames[block.label]), block, 0.0)
        assert state.identity.model == pack.model
        assert state.identity.serial_number is None


async def test_a_report_can_be_made_of_a_bus_that_is_not_loaded(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
) -> None:
    assert await hass.config_entries.async_unload(loaded.entry_id)
    report: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert set(report) == {"entry", "subentries"}
    assert report["entry"]["state"] == "not_loaded"
    assert "900000" not in json.dumps(report)
    assert "127.0.0.1" not in json.dumps(report)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("socket://user:pass@10.0.0.7:8899", f"socket://{REDACTED}"),
        ("rfc2217://gateway.lan:2217", f"rfc2217://{REDACTED}"),
        ("esphome-hass://esphome/01ABC?port_name=UART", f"esphome-hass://{REDACTED}"),
        (
            "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0",
            f"/dev/serial/by-id/{REDACTED}",
        ),
        ("/dev/ttyUSB0", "/dev/ttyUSB0"),
    ],
)
def test_a_line_is_told_by_its_kind(url: str, shown: str) -> None:
    assert masked_line(url) == shown


def test_the_sum_of_a_masked_frame_does_not_tell_of_the_secrets(bank: Bank) -> None:
    first = masked_frame(bank[1].frame(PackBlock.DEVICE))
    bank[1].set("pin", b"00000001")
    bank[1].set("settings_password", b"another")
    assert masked_frame(bank[1].frame(PackBlock.DEVICE)) == first


def test_no_byte_of_a_masked_frame_that_is_private_is_left(bank: Bank) -> None:
    everything: Any = bytearray(bank[1].frame(PackBlock.DEVICE))
    everything[HIDDEN] = b"\xee" * 104
    assert "ee" not in masked_frame(bytes(everything)).hex()[92:300]
