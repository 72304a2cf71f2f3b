"""Who speaks on a CAN bus does so at its own times, whatever the event loop is busy with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import socket
import threading
import time
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.inverter import limits, teller as machine
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS, Language
from custom_components.jkbms.protocol.inverter.limits import Reason, Rules
from custom_components.jkbms.protocol.inverter.teller import Phase, Teller
from custom_components.jkbms.transport.can_intake import WaitingIntake
from custom_components.jkbms.transport.can_link import CanLine, CanLink
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from custom_components.jkbms.transport.can_record import RecordFramer
from custom_components.jkbms.transport.link import LinkError, LinkFault

from ..protocol.inverter.bank import limits_of, sight
from .can_peers import KINDS, CanEars, fast_bus, port_of, readers, say, serve
from .peers import until

_FRAMES: Final = SCRIPTS[Language.DEYE].frames


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the times of the machine be moments."""
    monkeypatch.setattr(machine, "LISTEN_FOR", 0.2)
    monkeypatch.setattr(machine, "SILENT_AFTER", 0.4)
    monkeypatch.setattr(limits, "FRESH_FOR", 0.5)


class Ear:
    """A gateway in a thread of its own: it hears also while the event loop is stuck."""

    def __init__(self, *, echoes: bool = False) -> None:
        """Wait for one connection; some gateways send back what they are given."""
        self._echoes = echoes
        self.heard: list[tuple[float, CanMessage]] = []
        self.closed = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = CanPort(
            adapter=CanAdapter.CAN_TCP,
            host="127.0.0.1",
            port=self._server.getsockname()[1],
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        connection, _ = self._server.accept()
        framer = RecordFramer()
        # What was sent back may be unread when the other side closes.
        with connection, suppress(ConnectionError):
            while data := connection.recv(4096):
                now = time.monotonic()
                self.heard += [(now, message) for message in framer.feed(data)]
                if self._echoes:
                    connection.sendall(data)
        self.closed.set()

    def close(self) -> None:
        """Wait for the end of the connection."""
        self._server.close()
        self._thread.join(5)

    def limits(self, since: float = 0.0) -> list[tuple[float, float, float]]:
        """The limits that were heard since a time."""
        return [
            limits_of(m.data) for at, m in self.heard if m.id == 0x351 and at >= since
        ]


@asynccontextmanager
async def told(
    port: CanPort, teller: Teller, ears: CanEars | None = None
) -> AsyncIterator[CanLink]:
    """A bus on which a teller speaks."""
    ears = ears or CanEars()
    link = await CanLink.open(port, ears.receive, ears.lose, speaker=teller)
    try:
        yield link
    finally:
        await link.close()


def packs(now: float) -> Any:
    """Two packs that are well."""
    return [sight(n, heard=now) for n in (1, 2)]


async def feed(teller: Teller) -> None:
    """Hand over packs, often."""
    while True:
        teller.give(packs(asyncio.get_running_loop().time()))
        await asyncio.sleep(0.1)


@asynccontextmanager
async def fed(teller: Teller) -> AsyncIterator[None]:
    """Packs that go on telling."""
    task = asyncio.create_task(feed(teller))
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.parametrize("kind", KINDS)
async def test_every_adapter_sends_the_cycle_in_its_order(kind: str) -> None:
    bus, teller = fast_bus(), Teller(Language.DEYE, Rules())
    async with serve(kind, bus) as server, fed(teller):
        async with told(port_of(kind, server.url), teller):
            await until(lambda: len(bus.heard) >= 10)
        ids = [frame.id for _, frame in bus.heard]
        wanted = [frame.id for frame in _FRAMES]
        assert ids[:8] == wanted
        assert ids[8:10] == wanted[:2]
        # The last words, before the adapter is given back.
        await until(lambda: [f.id for _, f in bus.heard][-8:] == wanted)
        (last,) = [f.data for _, f in list(bus.heard)[-8:] if f.id == 0x351]
        assert limits_of(last)[1:] == (0.0, 0.0)
    assert readers() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_another_battery_on_the_bus_is_heard_in_time(kind: str) -> None:
    bus, teller, ears = fast_bus(), Teller(Language.DEYE, Rules()), CanEars()
    async with (
        serve(kind, bus) as server,
        fed(teller),
        told(port_of(kind, server.url), teller, ears),
    ):
        await asyncio.sleep(0.1)
        say(bus, CanMessage(0x351, bytes(8), False))
        await until(lambda: teller.status.phase is Phase.STOPPED)
        await asyncio.sleep(0.3)
        # Whoever listens hears it as well.
        assert ears.messages == [CanMessage(0x351, bytes(8), False)]
    assert not bus.heard


async def test_a_stuck_event_loop_leads_to_zero_limits_and_then_to_silence() -> None:
    ear, teller = Ear(), Teller(Language.DEYE, Rules())
    async with told(ear.port, teller):
        async with fed(teller):
            await until(lambda: any(charge for _, charge, _ in ear.limits()))
        stuck = time.monotonic()
        time.sleep(1.6)  # noqa: ASYNC251  # the loop has to be stuck
        heard = [at for at, _ in ear.heard]
        assert teller.status.phase is Phase.SILENT
        assert teller.status.trip is Reason.STALE
    lively = [at for at, m in ear.heard if m.id == 0x351 and any(limits_of(m.data)[1:])]
    assert max(lively) - stuck < 0.7
    assert 0.4 < max(heard) - stuck < 1.2
    ear.close()


async def test_a_stop_from_elsewhere_is_told_before_the_bus_is_closed() -> None:
    ear, teller = Ear(), Teller(Language.DEYE, Rules())
    async with told(ear.port, teller), fed(teller):
        await until(lambda: any(charge for _, charge, _ in ear.limits()))
        teller.end()
        await until(lambda: teller.status.phase is Phase.ENDED)
        await until(lambda: len(ear.heard) == teller.status.messages)
        assert ear.limits()[-1][1:] == (0.0, 0.0)
        count = len(ear.heard)
        await asyncio.sleep(0.3)
        assert len(ear.heard) == count
    ear.close()


async def test_what_comes_from_the_other_side_is_passed_on() -> None:
    bus, teller, ears = fast_bus(), Teller(Language.DEYE, Rules()), CanEars()
    async with (
        serve("can-tcp", bus) as server,
        told(port_of("can-tcp", server.url), teller, ears) as link,
    ):
        await asyncio.sleep(0.1)
        say(bus, CanMessage(0x305, bytes(8), False))
        await ears.heard(1)
        assert [code for code, _ in teller.status.inverter] == [0x305]
        link.send(CanMessage(0x123, b"\x01", False))
        await until(lambda: bus.counts[0x123] == 1)


async def test_what_a_gateway_sends_back_is_passed_on_to_nobody() -> None:
    ear, teller, ears = Ear(echoes=True), Teller(Language.DEYE, Rules()), CanEars()
    async with told(ear.port, teller, ears) as link, fed(teller):
        await until(lambda: link.counts.frames >= 10)
        assert teller.status.phase is Phase.TELLING
    ear.close()
    assert ears.messages == []


async def test_a_gateway_that_closes_ends_the_bus() -> None:
    bus, teller, ears = fast_bus(), Teller(Language.DEYE, Rules()), CanEars()
    async with (
        serve("can-tcp", bus) as server,
        told(port_of("can-tcp", server.url), teller, ears),
    ):
        await server.stop()
        await until(lambda: ears.lost)
    (error,) = ears.lost
    assert isinstance(error, LinkError)
    assert error.fault is LinkFault.LOST


async def test_a_gateway_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
    port = CanPort(adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=number)
    ears = CanEars()
    with pytest.raises(LinkError) as raised:
        await CanLink.open(
            port, ears.receive, ears.lose, speaker=Teller(Language.DEYE, Rules())
        )
    assert raised.value.fault is LinkFault.REFUSED


class Nobody:
    """A bus of python-can that returns at once and has heard nothing."""

    def recv(self, timeout: float | None = None) -> None:
        """Nothing."""


def test_a_moment_is_too_short_to_tell_a_dead_bus() -> None:
    bus: Any = Nobody()
    intake = WaitingIntake(bus, None)
    for _ in range(100):
        assert intake.take(0.01) == []
    with pytest.raises(OSError, match="does not wait"):
        all(intake.take(0.1) == [] for _ in range(100))


@dataclass
class Scripted:
    """A speaker that does what a test wants."""

    wanted: Callable[[], list[CanMessage]]
    heard: list[CanMessage] = field(default_factory=list)
    begun: int = 0

    def begin(self, now: float) -> None:
        """Count."""
        self.begun += 1

    def hear(self, messages: Iterable[CanMessage], now: float) -> list[CanMessage]:
        """Keep; take 0x351 for its own."""
        heard = list(messages)
        self.heard += heard
        return [message for message in heard if message.id != 0x351]

    def due(self, now: float) -> float:
        """Often."""
        return now + 0.02

    def advance(self, now: float) -> list[CanMessage]:
        """Say what is wanted."""
        return self.wanted()

    def farewell(self, now: float) -> list[CanMessage]:
        """Nothing."""
        return []


async def test_a_speaker_that_fails_ends_the_bus_and_nothing_else() -> None:
    def fail() -> list[CanMessage]:
        raise ZeroDivisionError("a bug")

    bus, ears = fast_bus(), CanEars()
    async with serve("can-tcp", bus) as server:
        port = port_of("can-tcp", server.url)
        speaker = Scripted(fail)
        link = await CanLink.open(port, ears.receive, ears.lose, speaker=speaker)
        await until(lambda: ears.lost)
        await link.close()
    (error,) = ears.lost
    assert isinstance(error, LinkError)


async def test_what_a_gateway_sends_back_is_not_heard_as_another_battery() -> None:
    bus, ears, speaker = fast_bus(), CanEars(), Scripted(list)
    async with serve("can-tcp", bus) as server:
        port = port_of("can-tcp", server.url)
        link = await CanLink.open(port, ears.receive, ears.lose, speaker=speaker)
        await asyncio.sleep(0.1)
        for code in (0x351, 0x355):
            say(bus, CanMessage(code, bytes(8), False))
        await ears.heard(1)
        await link.close()
    assert [message.id for message in speaker.heard] == [0x351, 0x355]
    assert [message.id for message in ears.messages] == [0x355]


async def test_a_line_that_is_opened_again_has_its_speaker_begin_again() -> None:
    bus, ears, speaker = fast_bus(), CanEars(), Scripted(list)
    async with serve("can-tcp", bus) as server:
        line = CanLine(port_of("can-tcp", server.url), speaker)
        for count in (1, 2):
            link = await line.open(ears.receive, ears.lose)
            await until(lambda wanted=count: speaker.begun == wanted)  # type: ignore[misc]  # bound at once
            await link.close()
