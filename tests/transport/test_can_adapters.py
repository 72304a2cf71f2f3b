"""python-can's other adapters at a serial port, and drivers that are not installed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
import os
import struct
import tty

import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from custom_components.jkbms.transport.link import LinkError, LinkFault

from .can_peers import CanEars, numbered, readers
from .peers import until, without_spinning


def serial_frame(message: CanMessage) -> bytes:
    """A frame as python-can's own serial format has it."""
    number = message.id | (0x80000000 if message.extended else 0)
    head = struct.pack("<BIBI", 0xAA, 0, len(message.data), number)
    return head + message.data + b"\xbb"


def seeed_frame(message: CanMessage) -> bytes:
    """A frame as the USB-CAN analyzer sends it."""
    kind = 0xC0 | message.extended << 5 | len(message.data)
    number = struct.pack("<I" if message.extended else "<H", message.id)
    return bytes([0xAA, kind]) + number + message.data + b"\x55"


def robotell_frame(message: CanMessage) -> bytes:
    """A frame as the Robotell adapter sends it, with what needs it escaped."""
    body = struct.pack(
        "<I8sBBBB", message.id, message.data, len(message.data), 0, message.extended, 0
    )
    body += bytes([sum(body) & 0xFF])
    escaped = b"".join(
        bytes([0xA5, byte]) if byte in (0xA5, 0xAA, 0x55) else bytes([byte])
        for byte in body
    )
    return b"\xaa\xaa" + escaped + b"\x55\x55"


ADAPTERS = {
    CanAdapter.SERIAL: (serial_frame, None),
    CanAdapter.SEEEDSTUDIO: (seeed_frame, 500_000),
    CanAdapter.ROBOTELL: (robotell_frame, 500_000),
}


class Device:
    """The other end of a PTY: it confirms what it is told by saying it again."""

    def __init__(self, *, confirms: bool) -> None:
        """Plug it in."""
        self.fd, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave
        self.heard = b""
        self.confirms = confirms
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        with suppress(OSError):
            data = os.read(self.fd, 4096)
            self.heard += data
            if self.confirms:
                os.write(self.fd, data)

    def unplug(self) -> None:
        """Pull it out."""
        if self.fd >= 0:
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self._slave)
            os.close(self.fd)
            self.fd = -1


@asynccontextmanager
async def plugged(adapter: CanAdapter) -> AsyncIterator[tuple[Device, CanPort]]:
    """An adapter, and the way through it."""
    device = Device(confirms=adapter is CanAdapter.ROBOTELL)
    try:
        yield (
            device,
            CanPort(adapter=adapter, channel=device.path, bitrate=ADAPTERS[adapter][1]),
        )
    finally:
        device.unplug()
        assert readers() == []


def encoder(adapter: CanAdapter) -> Callable[[CanMessage], bytes]:
    """How an adapter writes a frame."""
    return ADAPTERS[adapter][0]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_frames_of_a_serial_adapter_are_read_whole(adapter: CanAdapter) -> None:
    ears, encode = CanEars(), encoder(adapter)
    sent = [numbered(number) for number in range(300)]
    async with plugged(adapter) as (device, port), ears.listening(port) as link:
        device.confirms = False
        for begin in range(0, 300, 10):
            data = b"".join(map(encode, sent[begin : begin + 10]))
            # In two halves, cut anywhere.
            os.write(device.fd, data[: begin + 1])
            await asyncio.sleep(0.005)
            os.write(device.fd, data[begin + 1 :])
        await ears.heard(300)
        assert ears.messages == sent
        told = len(device.heard)
        link.send(numbered(7))
        await until(lambda: len(device.heard) > told)
    assert ears.lost == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_serial_adapter_that_is_pulled_out_ends(adapter: CanAdapter) -> None:
    ears = CanEars()
    async with plugged(adapter) as (device, port):
        link = await ears.open(port)
        with without_spinning():
            device.unplug()
            await until(lambda: ears.lost)
            await asyncio.sleep(1)
        await link.close()
    (error,) = ears.lost
    assert isinstance(error, LinkError)
    assert error.fault is LinkFault.LOST


async def test_bytes_that_are_no_frames_end_the_bus() -> None:
    """As where the port is that of another device."""
    ears = CanEars()
    async with plugged(CanAdapter.SERIAL) as (device, _):
        port = CanPort(adapter=CanAdapter.SLCAN, channel=device.path, bitrate=500_000)
        link = await ears.open(port)
        for _ in range(400):
            with suppress(OSError):
                os.write(device.fd, b"hello\r")
            await asyncio.sleep(0.002)
        await until(lambda: ears.lost)
        await link.close()
    assert ears.messages == []


@pytest.mark.parametrize(
    ("adapter", "channel"),
    [
        (CanAdapter.GS_USB, "0"),
        (CanAdapter.CANALYSTII, "0"),
        (CanAdapter.PCAN, "PCAN_USBBUS1"),
        (CanAdapter.KVASER, "0"),
    ],
)
async def test_a_driver_that_is_not_installed_is_named(
    adapter: CanAdapter, channel: str
) -> None:
    with pytest.raises(LinkError) as caught:
        await CanEars().open(CanPort(adapter=adapter, channel=channel, bitrate=500_000))
    assert caught.value.fault is LinkFault.MISSING_DRIVER


async def test_an_interface_that_is_not_there_is_named() -> None:
    port = CanPort(adapter=CanAdapter.SOCKETCAN, channel="jkbms_none")
    with pytest.raises(LinkError) as caught:
        await CanEars().open(port)
    # The latter where the kernel knows no CAN at all.
    assert caught.value.fault in (
        LinkFault.NO_SUCH_INTERFACE,
        LinkFault.MISSING_DRIVER,
    )
