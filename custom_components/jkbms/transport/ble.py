"""One Bluetooth connection to one pack, through whatever adapter or proxy reaches it.

Besides the integration's own `ble` module nothing imports this one: a system without
Bluetooth has to run everything else.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
import re
from typing import Final

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
import bleak_retry_connector

from .link import LinkError, LinkFault
from .radio import Ended, Heard

SERVICE: Final = "0000ffe0-0000-1000-8000-00805f9b34fb"
_COMMAND: Final = "0000ffe1-0000-1000-8000-00805f9b34fb"
"""Newer modules have it twice; older ones another one besides (ble.md 1)."""
_UNANSWERED: Final = "write-without-response"
_CLOSE_TIMEOUT: Final = 10.0
_ATTEMPTS: Final = 2
"""Tries within one attempt; the pauses between attempts grow in the session."""
_UNPAIRED: Final = re.compile(
    r"insufficient (?:authentication|encryption|authorization)|not ?(?:paired|authori[sz]ed)"
    r"|\berror(?:[ =:]+0x0*|[ =:]+)(?:5|f|15)\b",
    re.IGNORECASE,
)
"""How the systems say that a connection has to be paired first; 8 may be a time-out."""


type _Client = bleak_retry_connector.BleakClientWithServiceCache


class BleLine:
    """A connection, from its first attempt to its end; afterwards it tells nothing."""

    def __init__(self, heard: Heard, ended: Ended) -> None:
        """Begin with nothing connected."""
        self._heard = heard
        self._ended = ended
        self._open = False
        self._client: _Client | None = None
        self._command: BleakGATTCharacteristic | None = None
        self._writes: set[asyncio.Task[None]] = set()

    async def connect(
        self, device: BLEDevice, name: str, find: Callable[[], BLEDevice | None]
    ) -> None:
        """Connect and listen; raises LinkError."""
        try:
            client = await bleak_retry_connector.establish_connection(
                bleak_retry_connector.BleakClientWithServiceCache,
                device,
                name,
                disconnected_callback=lambda _: self.end(None),
                max_attempts=_ATTEMPTS,
                ble_device_callback=lambda: find() or device,
            )
        except bleak_retry_connector.BleakOutOfConnectionSlotsError as error:
            raise LinkError(LinkFault.NO_SLOT, str(error)) from error
        except (BleakError, OSError) as error:
            raise _link_error(error, LinkFault.IN_USE) from error
        try:
            await self._listen(client)
        except BaseException as error:
            await _disconnect(client)
            if isinstance(error, BleakError | OSError):
                raise _link_error(error, LinkFault.LOST) from error
            raise
        self._client = client
        self._open = True

    def write(self, data: bytes) -> None:
        """Send an order."""
        task = asyncio.get_running_loop().create_task(self._send(data))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    def end(self, error: LinkError | None) -> None:
        """Let the connection count as ended."""
        if self._open:
            self._open = False
            self._ended(error)

    async def close(self) -> None:
        """Let the pack go, so that others can see it."""
        self._open = False
        for task in tuple(self._writes):
            task.cancel()
        assert self._client is not None
        await _disconnect(self._client)

    async def _listen(self, client: _Client) -> None:
        """Have what is notified handed over."""
        try:
            self._command, notifying = _characteristics(client)
        except LinkError:
            # What is remembered of its services may be of other firmware.
            await client.clear_cache()
            raise
        await client.start_notify(notifying, lambda _, data: self._take(bytes(data)))
        if not client.is_connected:
            raise LinkError(LinkFault.LOST, "closed by the other side")

    def _take(self, data: bytes) -> None:
        if self._open:
            self._heard(data)

    async def _send(self, data: bytes) -> None:
        assert self._client is not None
        assert self._command is not None
        answered = _UNANSWERED not in self._command.properties
        try:
            await self._client.write_gatt_char(self._command, data, response=answered)
        except (BleakError, OSError) as error:
            self.end(_link_error(error, LinkFault.LOST))


class BlePort:
    """How one pack is reached, and whether it may be reached just now."""

    def __init__(
        self,
        name: str,
        find: Callable[[], BLEDevice | None],
        missing: Callable[[], LinkFault],
    ) -> None:
        """Take what finds the pack in what is seen, and what tells why it is not there."""
        self._name = name
        self._find = find
        self._missing = missing
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._attempt: asyncio.Timeout | None = None
        self._line: BleLine | None = None

    @property
    def released(self) -> bool:
        """Whether somebody else may have the pack."""
        return not self._allowed.is_set()

    def release(self) -> None:
        """Leave the pack to somebody else until it is taken back."""
        self._allowed.clear()
        if self._attempt is not None:
            self._attempt.reschedule(asyncio.get_running_loop().time())
        if self._line is not None:
            self._line.end(_released())

    def take_back(self) -> None:
        """Connect again, within a second or as soon as the pack can be seen."""
        self._allowed.set()

    async def open(self, heard: Heard, ended: Ended) -> BleLine:
        """Connect and listen; raises LinkError. Waits as long as it is released."""
        await self._allowed.wait()
        device = self._find()
        if device is None:
            raise LinkError(self._missing(), "not seen")
        line = BleLine(heard, ended)
        try:
            async with asyncio.timeout(None) as self._attempt:
                await line.connect(device, self._name, self._find)
        except TimeoutError:
            raise _released() from None
        finally:
            self._attempt = None
        self._line = line
        return line


def _characteristics(
    client: _Client,
) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    """Return the one to write and the one that notifies, by what they can do (ble.md 1)."""
    service = client.services.get_service(SERVICE)
    offered = sorted(
        () if service is None else service.characteristics,
        key=lambda one: (one.uuid != _COMMAND, one.handle),
    )
    notifying = [one for one in offered if "notify" in one.properties]
    written = [one for one in offered if {_UNANSWERED, "write"} & {*one.properties}]
    if not (notifying and written):
        raise LinkError(LinkFault.NO_BMS, "none of the services of a JK BMS")
    return written[0], notifying[0]


async def _disconnect(client: _Client) -> None:
    with suppress(BleakError, OSError, EOFError):
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await client.disconnect()


def _link_error(error: Exception, fault: LinkFault) -> LinkError:
    """Return what an error of the radio means for the owner of the pack."""
    if _UNPAIRED.search(str(error)):
        fault = LinkFault.UNPAIRED
    return LinkError(fault, str(error) or type(error).__name__)


def _released() -> LinkError:
    return LinkError(LinkFault.RELEASED, "left to somebody else")
