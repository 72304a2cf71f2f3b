"""Packs on Bluetooth: who is seen, and how one of them is reached.

Imported only where Home Assistant has Bluetooth, and only for what needs it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bleak.backends.device import BLEDevice
from homeassistant.components.bluetooth import (
    BluetoothServiceInfoBleak,
    async_ble_device_from_address,
    async_discovered_service_info,
    async_scanner_count,
)
from homeassistant.core import HomeAssistant

from .transport.ble import SERVICE, BlePort
from .transport.link import LinkFault

MANUFACTURERS: Final = frozenset({0x0B65, 0x4B4A})
"""What packs say to be of; as in the manifest (ble.md 1)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pack that is seen."""

    address: str
    name: str
    signal: int
    """dBm."""


def port_to(hass: HomeAssistant, address: str) -> BlePort:
    """Return how a pack is reached through the adapters and proxies of Home Assistant."""

    def find() -> BLEDevice | None:
        return async_ble_device_from_address(hass, address, connectable=True)

    def missing() -> LinkFault:
        if async_scanner_count(hass, connectable=True):
            return LinkFault.OUT_OF_RANGE
        return LinkFault.NO_ADAPTER

    return BlePort(address, find, missing)


def packs_seen(hass: HomeAssistant) -> Iterator[Seen]:
    """Yield the packs that can be connected, the strongest first."""
    found = async_discovered_service_info(hass, connectable=True)
    packs = [seen_in(info) for info in found if _is_pack(info)]
    return iter(sorted(packs, key=lambda pack: -pack.signal))


def seen_in(info: BluetoothServiceInfoBleak) -> Seen:
    """Return what an advertisement tells of a pack."""
    return Seen(info.address, info.name, info.rssi)


def _is_pack(info: BluetoothServiceInfoBleak) -> bool:
    known = not MANUFACTURERS.isdisjoint(info.manufacturer_data)
    return known and SERVICE in info.service_uuids
