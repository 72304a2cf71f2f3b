"""The address of a line: from what a person types or picks to one spelling, and to a name."""

import os
from pathlib import Path
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from homeassistant.components import usb
from homeassistant.core import HomeAssistant

from .transport.link import MODBUS_SCHEME, is_modbus

_GATEWAYS: Final = {
    "socket": "socket",
    "tcp": "socket",
    "rfc2217": "rfc2217",
    MODBUS_SCHEME: MODBUS_SCHEME,
}
"""Schemes of a host and a port, and the one spelling of each."""
_MODBUS_PORT: Final = 502
_PROXY: Final = "esphome-hass"
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?")


def normalise(text: str) -> str | None:
    """Return the one spelling of a line's address; None where it is none."""
    text = text.strip()
    if not text.isprintable():
        return None
    if text.startswith("/"):
        return text
    try:
        parts = urlsplit(text if "://" in text else f"socket://{text}")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme == _PROXY:
        return text
    host = _host(parts)
    if port is None and parts.scheme == MODBUS_SCHEME:
        port = _MODBUS_PORT
    if parts.scheme not in _GATEWAYS or host is None or not port:
        return None
    if parts.path.strip("/") or parts.username is not None:
        return None
    return f"{_GATEWAYS[parts.scheme]}://{host}:{port}"


def shown(device: str) -> str:
    """Return an address as a person types it: a transparent gateway is host and port."""
    return device.removeprefix("socket://")


async def async_resolve(hass: HomeAssistant, text: str) -> str | None:
    """Normalise an address, and name a serial port by what stays when it is replugged."""
    device = normalise(text)
    if device is None or not device.startswith("/"):
        return device
    return await hass.async_add_executor_job(usb.get_serial_by_id, device)


async def async_same_port(hass: HomeAssistant, one: str, other: str) -> bool:
    """Tell whether two addresses lead to one port, under whichever names."""
    if _transparent(one) == _transparent(other):
        return True
    if not (one.startswith("/") and other.startswith("/")):
        return False
    return await hass.async_add_executor_job(_same_file, one, other)


def other_mode(device: str) -> str | None:
    """Return the same gateway as it is reached in its other mode; None where it has none."""
    parts = urlsplit(device)
    if is_modbus(device):
        return urlunsplit(parts._replace(scheme="socket"))
    if parts.scheme == "socket":
        return urlunsplit(parts._replace(scheme=MODBUS_SCHEME))
    return None


def _transparent(device: str) -> str:
    """Return one name for a port of a gateway, whatever its mode."""
    return (other_mode(device) if is_modbus(device) else None) or device


async def async_name(hass: HomeAssistant, device: str) -> str:
    """Return what a person calls the line: its adapter, or host and port."""
    if not device.startswith("/"):
        parts = urlsplit(device)
        if parts.scheme in _GATEWAYS:
            return parts.netloc
    for port in await usb.async_scan_serial_ports(hass):
        if device in (port.device, port.resolved_device) and port.description:
            return port.description
    return Path(device).name if device.startswith("/dev/serial/") else device


def _host(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    if ":" in host:
        return f"[{host}]"
    return host if _HOST.fullmatch(host) else None


def _same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
