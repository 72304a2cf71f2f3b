"""What an entry is: a bus asked, only listened to, or CAN; or a bank of several buses."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_DEVICE, CONF_MODE

from .const import CONF_ACKNOWLEDGE, CONF_CAN, CONF_INVERTER
from .transport.can_port import CanAdapter, CanPort, Channel


class Mode(StrEnum):
    """What Home Assistant is on a bus; or that the entry is no bus."""

    MASTER = "master"
    """It asks; nobody else may."""
    LISTENER = "listener"
    """It hears what another master asks; it sends nothing, ever."""
    TTL = "ttl"
    """It asks in the older protocol `4E 57`."""
    BLE = "ble"
    """It asks the one pack of a Bluetooth connection."""
    CAN = "can"
    """It hears what packs, or a bank, say on CAN by themselves."""
    BANK = "bank"
    """Packs of other entries, looked at together."""


_RADIO: Final = "ble://"
"""How the address of a pack on Bluetooth begins where the port of a line would be."""
ASKING: Final = (Mode.MASTER, Mode.TTL)
"""Modes in which Home Assistant asks, and nobody else may."""


def mode_of(entry: ConfigEntry[Any]) -> Mode:
    """Return what an entry is; that of a bus that is asked need not say so."""
    return Mode(entry.data.get(CONF_MODE, Mode.MASTER))


def bus_data(device: str, mode: Mode) -> dict[str, Any]:
    """Return the data of the entry of a bus."""
    if mode is Mode.MASTER:
        return {CONF_DEVICE: device}
    return {CONF_DEVICE: device, CONF_MODE: mode}


def can_data(port: CanPort) -> dict[str, Any]:
    """Return the data of the entry of a CAN bus."""
    return {CONF_DEVICE: port.name, CONF_MODE: Mode.CAN, CONF_CAN: port.dump()}


def ble_data(address: str) -> dict[str, Any]:
    """Return the data of the entry of a pack on Bluetooth."""
    return bus_data(f"{_RADIO}{address}", Mode.BLE)


def ble_address(entry: ConfigEntry[Any]) -> str:
    """Return the Bluetooth address of the pack of an entry."""
    device: str = entry.data[CONF_DEVICE]
    return device.removeprefix(_RADIO)


def bank_data() -> dict[str, Any]:
    """Return the data of the entry of a bank."""
    return {CONF_MODE: Mode.BANK}


def can_port(entry: ConfigEntry[Any]) -> CanPort:
    """Return the adapter of a CAN bus, as its owner wants it to take part."""
    port = CanPort.load(entry.data[CONF_CAN])
    # Who tells an inverter is the battery: it must not answer like one.
    acknowledges = CONF_INVERTER not in entry.options
    acknowledges = acknowledges and entry.options.get(CONF_ACKNOWLEDGE, False)
    return replace(port, acknowledge=acknowledges)


def device_of(data: Mapping[str, Any]) -> str:
    """Return the port that an entry or a control line holds."""
    device: str = data[CONF_DEVICE]
    if CONF_CAN not in data:
        return device
    port = CanPort.load(data[CONF_CAN])
    if port.adapter is CanAdapter.CAN_TCP:
        # The same gateway may be named as a serial line.
        return f"socket://{port.host}:{port.port}"
    return str(port.channel) if port.traits.channel is Channel.DEVICE else device
