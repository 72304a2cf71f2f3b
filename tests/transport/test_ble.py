"""One connection over bleak: what opens it, what ends it, what errors mean."""

import asyncio
from typing import Any, Final

from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
import bleak_retry_connector
import pytest

from custom_components.jkbms.transport import ble
from custom_components.jkbms.transport.ble import BlePort
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.radio import async_meet
from simulator import Pack, trios
from simulator.ble import GattPack, Kind, characteristics
from simulator.ble.module import Characteristic
from tests.radio import ADDRESS, AIR, Client, Radio

pytestmark = pytest.mark.simulated_time
ORDER: Final = bytes.fromhex("AA5590EB9700000000000000000000000000" + "0011")


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> Radio:
    """A pack in the air, with bleak's own client before it."""
    radio = Radio(GattPack(Pack(trios()[0], 0, still=True)))

    async def connect(
        client_class: Any, device: BLEDevice, name: str, **options: Any
    ) -> Any:
        assert options["ble_device_callback"]() is device
        client = client_class(
            device,
            disconnected_callback=options["disconnected_callback"],
            backend=Client,
        )
        await client.connect()
        return client

    monkeypatch.setitem(AIR, ADDRESS, radio)
    monkeypatch.setattr(bleak_retry_connector, "establish_connection", connect)
    return radio


class Ear:
    """Who opens a line, and what it was told."""

    def __init__(self) -> None:
        """Start with nothing told."""
        self.heard: list[bytes] = []
        self.ends: list[Exception | None] = []
        device = BLEDevice(ADDRESS, "pack", {})
        self.port = BlePort("pack", lambda: device, lambda: LinkFault.OUT_OF_RANGE)

    async def open(self) -> ble.BleLine:
        return await self.port.open(self.heard.append, self.ends.append)

    async def fault(self) -> LinkFault:
        with pytest.raises(LinkError) as told:
            await self.open()
        return told.value.fault


async def test_what_is_heard_is_handed_over_until_it_is_closed(radio: Radio) -> None:
    ear = Ear()
    line = await ear.open()
    line.write(ORDER)
    await asyncio.sleep(1)
    assert b"".join(ear.heard).startswith(b"\x55\xaa\xeb\x90\x03")
    notify = radio.notify
    await line.close()
    assert not radio.connected
    assert notify is not None
    told = len(ear.heard)
    notify(bytearray(b"late"))
    line.end(None)
    assert len(ear.heard) == told
    assert ear.ends == [], "who closes it knows"


async def test_an_order_under_way_ends_with_the_line(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []

    async def hang(*_: Any) -> None:
        started.append(True)
        await asyncio.sleep(3600)

    monkeypatch.setattr(Client, "write_gatt_char", hang)
    ear = Ear()
    line = await ear.open()
    line.write(ORDER)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    before = len(asyncio.all_tasks())
    await line.close()
    await asyncio.sleep(0)
    assert started == [True]
    assert len(asyncio.all_tasks()) == before - 1


async def test_a_lost_connection_is_told_once(radio: Radio) -> None:
    ear = Ear()
    line = await ear.open()
    radio.drop()
    line.write(ORDER)
    await asyncio.sleep(1)
    assert ear.ends == [None]
    await line.close()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("Not connected", LinkFault.LOST),
        ("[org.bluez.Error.Failed] ATT error: 0x05", LinkFault.UNPAIRED),
        ("Bluetooth GATT Error address=C8:47 handle=5 error=5", LinkFault.UNPAIRED),
        ("Bluetooth GATT Error address=C8:47 handle=5 error=133", LinkFault.LOST),
        ("Bluetooth GATT Error address=C8:47 handle=5 error=8", LinkFault.LOST),
        ("GATT Protocol Error: Insufficient Encryption", LinkFault.UNPAIRED),
        ("org.bluez.Error.NotAuthorized", LinkFault.UNPAIRED),
        ("Insufficient authentication (5)", LinkFault.UNPAIRED),
    ],
)
async def test_an_order_that_fails_says_what_it_means(
    radio: Radio, monkeypatch: pytest.MonkeyPatch, words: str, fault: LinkFault
) -> None:
    async def fail(*_: Any) -> None:
        raise BleakError(words)

    monkeypatch.setattr(Client, "write_gatt_char", fail)
    ear = Ear()
    line = await ear.open()
    line.write(ORDER)
    await asyncio.sleep(0.1)
    (error,) = ear.ends
    assert isinstance(error, LinkError)
    assert error.fault is fault
    await line.close()


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (
            bleak_retry_connector.BleakOutOfConnectionSlotsError("full"),
            LinkFault.NO_SLOT,
        ),
        (bleak_retry_connector.BleakNotFoundError("gone"), LinkFault.IN_USE),
        (bleak_retry_connector.BleakAbortedError("cut"), LinkFault.IN_USE),
        (TimeoutError(), LinkFault.IN_USE),
        (BleakError("Insufficient Authentication"), LinkFault.UNPAIRED),
    ],
)
async def test_a_connection_that_does_not_come_about_says_why(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fault: LinkFault
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(bleak_retry_connector, "establish_connection", fail)
    assert await Ear().fault() is fault


async def test_a_connection_that_ends_before_it_is_used_is_none(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Radio, "listen", lambda self, _: self.drop())
    ear = Ear()
    assert await ear.fault() is LinkFault.LOST
    assert ear.ends == []


async def test_one_that_wants_to_be_paired_says_so_when_it_is_listened_to(
    radio: Radio,
) -> None:
    radio.demands_pairing = True
    assert await Ear().fault() is LinkFault.UNPAIRED
    assert not radio.connected


async def test_one_that_is_not_seen_is_not_tried() -> None:
    ear = Ear()
    ear.port = BlePort("pack", lambda: None, lambda: LinkFault.NO_ADAPTER)
    assert await ear.fault() is LinkFault.NO_ADAPTER


async def test_a_module_that_only_takes_answered_writes_is_written_so(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    (written, notifying) = characteristics(Kind.NEW)
    plain = Characteristic(
        uuid=written.uuid, handle=written.handle, properties=("write",)
    )
    monkeypatch.setattr("tests.radio.characteristics", lambda _: (plain, notifying))
    ear = Ear()
    line = await ear.open()
    line.write(ORDER)
    await asyncio.sleep(1)
    assert ear.heard
    await line.close()


async def test_another_device_with_such_a_module_is_no_bms(
    radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.radio.characteristics", lambda _: ())
    ear = Ear()
    assert await ear.fault() is LinkFault.NO_BMS
    radio.foreign = True
    assert await ear.fault() is LinkFault.NO_BMS
    assert not radio.connected


async def test_an_attempt_ends_when_somebody_else_shall_have_it(radio: Radio) -> None:
    radio.hangs = True
    ear = Ear()
    opening = asyncio.ensure_future(ear.open())
    await asyncio.sleep(1)
    ear.port.release()
    with pytest.raises(LinkError) as told:
        await opening
    assert told.value.fault is LinkFault.RELEASED


async def test_it_is_left_and_taken_back(radio: Radio) -> None:
    ear = Ear()
    ear.port.release()
    assert ear.port.released
    opening = asyncio.ensure_future(ear.open())
    await asyncio.sleep(100)
    assert not opening.done()
    ear.port.take_back()
    line = await opening
    ear.port.release()
    (error,) = ear.ends
    assert isinstance(error, LinkError)
    assert error.fault is LinkFault.RELEASED
    await line.close()
    ear.port.release()
    assert len(ear.ends) == 1


async def test_a_look_brings_who_it_is_and_lets_it_go(radio: Radio) -> None:
    state = await async_meet(Ear().port)
    assert state.identity.serial_number == radio.gatt.pack.serial
    assert not radio.connected


async def test_a_look_at_one_that_says_nothing_ends(radio: Radio) -> None:
    radio.gatt.mute = True
    with pytest.raises(LinkError) as told:
        await async_meet(Ear().port)
    assert told.value.fault is LinkFault.SILENT
    assert not radio.connected
