"""A look at a CAN bus: what is there, at which bit rate, and without disturbing anybody."""

import asyncio
from typing import Any

import pytest

from custom_components.jkbms.protocol.can.dialect import Dialect as Spoken
from custom_components.jkbms.protocol.can.survey import CanFinding
from custom_components.jkbms.transport import can_probe
from custom_components.jkbms.transport.can_port import CanPort
from custom_components.jkbms.transport.can_probe import CanHeard, async_listen_can
from custom_components.jkbms.transport.link import LinkError, LinkFault
from simulator import Bank
from simulator.can import Bus, CanBus, Dialect, frame_of, parallel_bank

from .can_peers import KINDS, device_port, port_of, readers, serve
from .peers import soon, until


async def listen(
    port: CanPort, seconds: float = 3.5, shares: list[float] | None = None
) -> CanHeard:
    """What is heard in a shorter time than it usually takes."""
    told: list[float] = []
    heard = await async_listen_can(port, told.append, seconds)
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] <= 1
    assert readers() == []
    if shares is not None:
        shares += told
    return heard


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a bit rate less time than usual."""
    monkeypatch.setattr(can_probe, "_TRY_FOR", 0.6)


def of_packs(**options: Any) -> CanBus:
    """Three packs that speak JK's own protocol."""
    return CanBus(Bank.default((0, 2, 5), still=True), **options)


@pytest.mark.parametrize("kind", KINDS)
async def test_packs_are_heard_and_named(kind: str) -> None:
    bus = of_packs(bitrate=500_000)
    shares: list[float] = []
    async with serve(kind, bus) as server:
        heard = await listen(port_of(kind, server.url), shares=shares)
    assert heard.finding is CanFinding.PACKS
    assert heard.dialect is Spoken.NATIVE_V2
    assert [pack.address for pack in heard.packs] == [0, 2, 5]
    assert heard.error_frames == 0
    assert not heard.only_errors
    assert len(shares) >= 5
    assert not bus.heard


async def test_a_bank_is_told_from_packs() -> None:
    bus = CanBus(parallel_bank(range(3), still=True), Dialect.PYLON)
    async with serve("can-tcp", bus) as server:
        heard = await listen(port_of("can-tcp", server.url))
    assert heard.finding is CanFinding.BANK
    assert heard.dialect is Spoken.PYLON
    assert heard.packs == ()


async def test_strangers_are_told_from_packs() -> None:
    bus = Bus(bitrate=500_000)
    async with serve("can-tcp", bus) as server:
        listening = asyncio.create_task(listen(port_of("can-tcp", server.url), 1))
        for _ in range(10):
            await asyncio.sleep(0.05)
            now = asyncio.get_running_loop().time()
            bus.send(frame_of(0x123, b"\x01\x02"), now)
        heard = await listening
    assert heard.finding is CanFinding.FOREIGN


@pytest.mark.parametrize("kind", KINDS)
async def test_silence_is_told_as_such(kind: str) -> None:
    async with serve(kind, Bus(bitrate=500_000)) as server:
        heard = await listen(port_of(kind, server.url), 0.5)
    assert heard.finding is CanFinding.SILENCE
    assert not heard.only_errors


async def test_a_bus_at_another_bit_rate_is_nothing_but_errors() -> None:
    async with serve("socketcand", of_packs(), bitrate=500_000) as server:
        heard = await listen(port_of("socketcand", server.url), 1)
        assert heard.finding is CanFinding.SILENCE
        assert heard.only_errors
        # Longer than the link takes to give up.
        heard = await listen(port_of("socketcand", server.url), 5)
        assert heard.only_errors


@pytest.mark.parametrize("rate", [500_000, 250_000])
async def test_the_bit_rate_is_found_without_taking_part(rate: int) -> None:
    """Somebody else acknowledges: an adapter at a wrong rate would disturb him."""
    bus = of_packs(bitrate=rate)
    loud: list[int] = []
    async with serve("slcan-pty", bus) as server:
        opened = server.adapter.tap.open

        def watch(now: float, *, bitrate: int, listen_only: bool) -> None:
            if not listen_only:
                loud.append(bitrate)
            opened(now, bitrate=bitrate, listen_only=listen_only)

        server.adapter.tap.open = watch
        heard = await listen(device_port(server.url, bitrate=None))
    assert heard.bitrate == rate
    assert heard.finding is CanFinding.PACKS
    assert loud == []
    assert not bus.heard


@pytest.mark.parametrize("rate", [500_000, 250_000])
async def test_the_bit_rate_of_a_bms_that_is_alone_is_found_too(rate: int) -> None:
    bus = of_packs(bitrate=rate)
    bus.acknowledged = False
    async with serve("slcan-pty", bus) as server:
        heard = await listen(device_port(server.url, bitrate=None))
    assert heard.bitrate == rate
    assert heard.finding is CanFinding.PACKS
    assert not heard.unacknowledged


async def test_who_only_listens_is_told_that_nobody_acknowledges() -> None:
    bus = of_packs()
    bus.acknowledged = False
    async with serve("slcan-pty", bus) as server:
        port = device_port(server.url, bitrate=None, listen_only=True)
        heard = await listen(port, 0.5)
    assert heard.finding is CanFinding.FOREIGN
    assert heard.bitrate == 250_000
    assert heard.unacknowledged


async def test_silence_at_every_bit_rate_finds_none() -> None:
    shares: list[float] = []
    async with serve("slcan-pty", Bus()) as server:
        port = device_port(server.url, bitrate=None)
        heard = await listen(port, 0.6, shares)
    assert heard == CanHeard(CanFinding.SILENCE, None, (), (), None, 0)
    assert len(set(shares)) >= 4


async def test_a_bus_that_cannot_be_opened_says_why() -> None:
    with pytest.raises(LinkError) as caught:
        await listen(device_port("/dev/missing", bitrate=None))
    assert caught.value.fault is LinkFault.NO_SUCH_PORT


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bus_that_is_lost_on_the_way_is_told(kind: str) -> None:
    async with serve(kind, Bus(bitrate=500_000)) as server:
        listening = asyncio.create_task(listen(port_of(kind, server.url)))
        await asyncio.sleep(0.6)
        await server.stop()
        with pytest.raises(LinkError) as caught:
            await soon(listening)
    assert caught.value.fault is LinkFault.LOST


async def test_a_look_that_is_given_up_leaves_the_port() -> None:
    async with serve("slcan-pty", Bus(bitrate=500_000)) as server:
        port = device_port(server.url)
        looking = asyncio.create_task(listen(port))
        await asyncio.sleep(0.5)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        await until(lambda: readers() == [])
        await listen(port, 0.2)
