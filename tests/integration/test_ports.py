"""Addresses of lines: one spelling each, and a name that a person knows."""

import os
from pathlib import Path
from unittest.mock import patch

from homeassistant.components.usb.models import SerialDevice, USBDevice
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest

from custom_components.jkbms.ports import (
    async_name,
    async_resolve,
    async_same_port,
    normalise,
)

BY_ID = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"


@pytest.mark.parametrize(
    ("typed", "device"),
    [
        ("192.168.1.50:8899", "socket://192.168.1.50:8899"),
        ("  EW11.local:8899 ", "socket://ew11.local:8899"),
        ("tcp://10.0.0.5:502/", "socket://10.0.0.5:502"),
        ("socket://gateway:4196", "socket://gateway:4196"),
        ("[fd00::7]:4196", "socket://[fd00::7]:4196"),
        ("RFC2217://Pi:4000", "rfc2217://pi:4000"),
        ("modbus-tcp://EW11.local", "modbus-tcp://ew11.local:502"),
        ("Modbus-TCP://10.0.0.5:1502/", "modbus-tcp://10.0.0.5:1502"),
        ("modbus-tcp://", None),
        (
            "esphome-hass://esphome/01ABC?port_name=Bus",
            "esphome-hass://esphome/01ABC?port_name=Bus",
        ),
        (" /dev/ttyUSB0 ", "/dev/ttyUSB0"),
        (BY_ID, BY_ID),
        ("ttyUSB0", None),
        ("gateway", None),
        ("gateway:http", None),
        ("-gateway:80", None),
        ("", None),
    ],
)
def test_an_address_has_one_spelling(typed: str, device: str | None) -> None:
    assert normalise(typed) == device


async def test_a_port_that_may_change_its_number_is_stored_by_what_stays(
    hass: HomeAssistant,
) -> None:
    with patch(
        "custom_components.jkbms.ports.usb.get_serial_by_id", return_value=BY_ID
    ) as by_id:
        assert await async_resolve(hass, "/dev/ttyUSB0") == BY_ID
    by_id.assert_called_once_with("/dev/ttyUSB0")
    assert await async_resolve(hass, "gateway:80") == "socket://gateway:80"
    assert await async_resolve(hass, "gateway") is None


async def test_a_pseudo_terminal_stays_what_it_is(hass: HomeAssistant) -> None:
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        assert await async_resolve(hass, path) == path
    finally:
        os.close(master)
        os.close(slave)


async def test_two_names_of_one_port_are_known_as_the_same(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    alias = tmp_path / "bus"
    alias.symlink_to("/dev/null")
    assert await async_same_port(hass, "socket://a:1", "socket://a:1")
    assert await async_same_port(hass, str(alias), "/dev/null")
    assert not await async_same_port(hass, str(alias), "/dev/zero")
    assert not await async_same_port(hass, "socket://a:1", "socket://a:2")
    assert await async_same_port(hass, "socket://a:1", "modbus-tcp://a:1")
    assert not await async_same_port(hass, "socket://a:1", "modbus-tcp://a:2")
    assert not await async_same_port(hass, "/dev/null", "socket://a:2")


async def test_a_line_is_called_by_its_adapter_or_by_host_and_port(
    hass: HomeAssistant,
) -> None:
    assert await async_setup_component(hass, "usb", {})
    proxy = "esphome-hass://esphome/01ABC?port_name=Bus"
    ports = [
        USBDevice(
            device=BY_ID,
            resolved_device="/dev/ttyUSB0",
            vid="1A86",
            pid="7523",
            serial_number=None,
            manufacturer=None,
            description="USB Serial",
        ),
        SerialDevice(
            device=proxy, serial_number=None, manufacturer=None, description="Garage"
        ),
        SerialDevice(
            device="/dev/ttyAMA0",
            serial_number=None,
            manufacturer=None,
            description=None,
        ),
    ]
    with patch(
        "custom_components.jkbms.ports.usb.async_scan_serial_ports", return_value=ports
    ):
        names = {
            device: await async_name(hass, device)
            for device in (
                "socket://gateway:80",
                "rfc2217://pi:4000",
                BY_ID,
                "/dev/ttyUSB0",
                "/dev/ttyAMA0",
                "/dev/serial/by-id/usb-gone",
                proxy,
            )
        }
    assert list(names.values()) == [
        "gateway:80",
        "pi:4000",
        "USB Serial",
        "USB Serial",
        "/dev/ttyAMA0",
        "usb-gone",
        "Garage",
    ]
    assert await async_name(hass, "/dev/pts/99") == "/dev/pts/99"
