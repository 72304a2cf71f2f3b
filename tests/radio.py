"""Simulated packs in the air: a Bluetooth proxy of Home Assistant sees and connects them.

The proxy is a scanner as ESPHome's is one, registered through Home Assistant's own API;
connections go through `habluetooth` and `bleak-retry-connector` down to a bleak backend
whose far end is the simulator.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time
from typing import Any, Final, override

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from habluetooth import BaseHaRemoteScanner, HaBluetoothConnector
from homeassistant.components.bluetooth import async_register_scanner
from homeassistant.core import HomeAssistant

from simulator.ble import GattPack, Kind, characteristics

ADDRESS: Final = "C8:47:8C:E4:54:B1"
NAME: Final = "JK_PB2A16S20P"
SERVICE: Final = "0000ffe0-0000-1000-8000-00805f9b34fb"
MANUFACTURER: Final = 0x0B65
_PROXY: Final = "AA:BB:CC:DD:EE:01"


class Radio:
    """A pack in the air, and what its radio does."""

    def __init__(
        self, gatt: GattPack, address: str = ADDRESS, kind: Kind = Kind.NEW
    ) -> None:
        """Put a pack into the air."""
        self.gatt = gatt
        self.address = address
        self.kind = kind
        self.name = NAME
        self.lets_in = True
        """Whether it takes connections; one to a phone keeps others out."""
        self.demands_pairing = False
        self.foreign = False
        """Whether it is another device with the same kind of module."""
        self.attempts = 0
        self.hangs = False
        """Whether attempts to connect never come to an end."""
        self.client: Client | None = None
        self.notify: Callable[[bytearray], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Whether somebody holds its one connection."""
        return self.client is not None

    async def connect(self, client: Client) -> None:
        """Let a client in, or not."""
        self.attempts += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if not self.lets_in or self.connected:
            raise TimeoutError
        self.client = client
        self.gatt.connect(asyncio.get_running_loop().time())

    def listen(self, notify: Callable[[bytearray], None]) -> None:
        """Hand notifications over from now on."""
        if self.demands_pairing:
            raise BleakError(
                "[org.bluez.Error.Failed] ATT error: Insufficient Authentication"
            )
        self.notify = notify
        self._flow()

    def write(self, data: bytes) -> None:
        """Take an order."""
        self.gatt.write(data, asyncio.get_running_loop().time())
        self._flow()

    def drop(self) -> None:
        """Lose the connection, as when somebody walks away."""
        client = self.client
        self.leave()
        if client is not None:
            client.lost()

    def leave(self) -> None:
        """Take note that the client has gone."""
        self.client = self.notify = None
        if self._timer is not None:
            self._timer.cancel()
        if self.gatt.connected:
            self.gatt.disconnect()

    def _flow(self) -> None:
        """Send what is due, and come back for the next."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        for packet in self.gatt.collect(loop.time()):
            if self.notify is not None:
                self.notify(bytearray(packet))
        due = self.gatt.due()
        self._timer = None if due is None else loop.call_at(due, self._flow)


AIR: Final[dict[str, Radio]] = {}
"""Who is in the air, by address."""


class Client(BaseBleakClient):
    """The near end of a connection, as bleak wants it."""

    def __init__(self, address_or_ble_device: Any, **kwargs: Any) -> None:
        """Prepare a connection."""
        super().__init__(address_or_ble_device, **kwargs)
        self._radio = AIR[self.address]

    @property
    @override
    def mtu_size(self) -> int:
        return self._radio.gatt.mtu

    @property
    @override
    def is_connected(self) -> bool:
        return self._radio.client is self

    @override
    async def connect(self, pair: bool, **kwargs: Any) -> None:
        await self._radio.connect(self)
        self.services = _services(self._radio)

    @override
    async def disconnect(self) -> None:
        if self.is_connected:
            self._radio.leave()

    def lost(self) -> None:
        """Tell that the connection has ended."""
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    @override
    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: Callable[[bytearray], None],
        **kwargs: Any,
    ) -> None:
        assert "notify" in characteristic.properties
        self._radio.listen(callback)

    @override
    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: Any, response: bool
    ) -> None:
        wanted = "write" if response else "write-without-response"
        assert wanted in characteristic.properties
        if not self.is_connected:
            raise BleakError("Not connected")
        self._radio.write(bytes(data))

    async def clear_cache(self) -> bool:
        """Forget the services, as backends can that remember them."""
        return True

    @override
    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    @override
    async def unpair(self) -> None:
        raise NotImplementedError

    @override
    async def read_gatt_char(self, *args: Any, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    @override
    async def read_gatt_descriptor(self, *args: Any, **kwargs: Any) -> bytearray:
        raise NotImplementedError

    @override
    async def write_gatt_descriptor(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    @override
    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        raise NotImplementedError


def _services(radio: Radio) -> BleakGATTServiceCollection:
    found = BleakGATTServiceCollection()
    service = BleakGATTService(None, 1, SERVICE)
    found.add_service(service)
    if radio.foreign:
        return found
    for one in characteristics(radio.kind):
        properties: Any = list(one.properties)
        found.add_characteristic(
            BleakGATTCharacteristic(
                None, one.handle, one.uuid, properties, lambda: 20, service
            )
        )
    return found


class Proxy(BaseHaRemoteScanner):
    """A proxy in the same room."""

    def __init__(self, slots: int) -> None:
        """Put it up; it holds some connections."""
        self.slots = slots
        connector = HaBluetoothConnector(Client, _PROXY, lambda: self.slots > 0)
        super().__init__(_PROXY, "proxy", connector, True)

    def see(self, radio: Radio, signal: int = -67) -> None:
        """Hear an advertisement."""
        self._async_on_advertisement(
            radio.address,
            signal,
            radio.name,
            [SERVICE],
            {},
            {MANUFACTURER: b"\x88\xa0" + bytes.fromhex(radio.address.replace(":", ""))},
            None,
            {},
            time.monotonic(),
        )


@contextmanager
def proxy_for(hass: HomeAssistant, *radios: Radio, slots: int = 3) -> Iterator[Proxy]:
    """Put up a proxy that sees these packs; take it down at the end."""
    AIR.update({radio.address: radio for radio in radios})
    proxy = Proxy(slots)
    stop = proxy.async_setup()
    remove = async_register_scanner(hass, proxy)
    try:
        for radio in radios:
            proxy.see(radio)
        yield proxy
    finally:
        remove()
        stop()
        for radio in radios:
            radio.leave()
            del AIR[radio.address]
