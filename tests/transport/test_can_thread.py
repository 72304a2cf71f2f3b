"""The reader thread against backends that misbehave: drivers that hang, spin, fail or flood."""

import asyncio
from collections.abc import AsyncIterator
import errno
import logging
import os
import threading
import time
from typing import Any, Final

import can
import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.transport import can_thread
from custom_components.jkbms.transport.can_faults import ending_error, opening_error
from custom_components.jkbms.transport.can_intake import _EARLY, _SPINS, WAIT, ReadAhead
from custom_components.jkbms.transport.can_link import CanLink
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from custom_components.jkbms.transport.can_probe import async_listen_can
from custom_components.jkbms.transport.link import LinkError, LinkFault
from simulator.can import frame_of

from .can_peers import CanEars, ScriptedBus, fast_bus, numbered, port_of, readers, serve
from .peers import until

CAN0: Final = CanPort(adapter=CanAdapter.SOCKETCAN, channel="can0")
ERROR: Final = can.Message(arbitration_id=0x88, is_error_frame=True, dlc=8)


def patient(_: ScriptedBus, timeout: float | None) -> None:
    """Wait as a bus does on which nothing happens."""
    time.sleep(timeout or 0)


@pytest.fixture(autouse=True)
async def scripted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[type[ScriptedBus]]:
    """A backend in place of socketcan's and gs_usb's, which follows the test."""
    ScriptedBus.on_open = ScriptedBus.on_shutdown = None
    ScriptedBus.on_recv = patient
    ScriptedBus.sent, ScriptedBus.made = [], []
    for name in can.interfaces.BACKENDS:
        place = (ScriptedBus.__module__, ScriptedBus.__name__)
        monkeypatch.setitem(can.interfaces.BACKENDS, name, place)
    yield ScriptedBus
    await until(lambda: readers() == [])


class Feed:
    """What waits in a bus: messages, then patience."""

    def __init__(self, *messages: can.Message, every: float = 0.0) -> None:
        """Give them out, the last one again and again if there is a pause between."""
        self._messages = list(messages)
        self._every = every

    def __call__(self, _: ScriptedBus, timeout: float | None) -> can.Message | None:
        if len(self._messages) > 1 or (self._messages and not self._every):
            return self._messages.pop(0)
        if self._messages and timeout:
            time.sleep(self._every)
            return self._messages[0]
        time.sleep(timeout or 0)
        return None


async def ends(ears: CanEars, port: CanPort = CAN0) -> LinkError:
    """What ends a bus."""
    link = await ears.open(port)
    await until(lambda: ears.lost)
    await link.close()
    (error,) = ears.lost
    assert isinstance(error, LinkError)
    return error


async def test_what_is_no_data_frame_is_dropped_and_counted(
    scripted: type[ScriptedBus],
) -> None:
    good = can.Message(arbitration_id=0x2F4, data=[1, 2], is_extended_id=False)
    scripted.on_recv = Feed(
        can.Message(arbitration_id=0x2F4, is_remote_frame=True, dlc=8),
        can.Message(arbitration_id=0x2F4, is_fd=True, data=bytes(12)),
        can.Message(arbitration_id=0x305, is_rx=False, data=bytes(8)),
        can.Message(arbitration_id=0x2F4, dlc=8, data=bytes(3)),
        ERROR,
        good,
    )
    ears = CanEars()
    async with ears.listening(CAN0) as link:
        await ears.heard(1)
        assert ears.messages == [CanMessage(0x2F4, b"\x01\x02", False)]
        counts = link.counts
        assert (counts.ignored, counts.damaged) == (3, 1)
        assert (counts.errors, counts.frames) == (1, 1)


async def test_nothing_of_the_library_runs_on_the_event_loop(
    scripted: type[ScriptedBus],
) -> None:
    places: list[threading.Thread] = []

    def note(*_: Any) -> None:
        places.append(threading.current_thread())
        time.sleep(0.001)

    scripted.on_open = scripted.on_shutdown = note
    scripted.on_recv = note
    async with CanEars().listening(CAN0):
        pass
    assert threading.main_thread() not in places
    assert len(set(places)) == 1


async def test_a_driver_that_hangs_while_opening_is_given_up(
    scripted: type[ScriptedBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_thread, "_OPEN_TIMEOUT", 0.2)
    free, ears = threading.Event(), CanEars()
    scripted.on_open = lambda _: free.wait()
    scripted.on_recv = Feed(can.Message(arbitration_id=1, data=b"\1"))
    for _ in range(3):
        with pytest.raises(LinkError) as caught:
            await ears.open(CAN0)
        assert caught.value.fault is LinkFault.TIMEOUT
    # The later attempts did not follow the first into the driver.
    assert len(scripted.made) == 1
    assert len(readers()) == 1
    monkeypatch.setattr(can_thread, "_OPEN_TIMEOUT", 5)
    free.set()
    scripted.on_open = None
    link = await ears.open(CAN0)
    assert len(scripted.made) == 2
    await link.close()
    # What the first one heard in the end is nobody's.
    assert len(ears.messages) <= 1


async def test_a_driver_that_hangs_while_closing_is_left_behind(
    scripted: type[ScriptedBus],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(can_thread, "_CLOSE_TIMEOUT", 0.1)
    free = threading.Event()
    scripted.on_shutdown = lambda _: free.wait()
    link = await CanEars().open(CAN0)
    begin = time.monotonic()
    await link.close()
    assert time.monotonic() - begin < 1
    assert "does not close" in caplog.text
    opening = asyncio.create_task(CanEars().open(CAN0))
    await asyncio.sleep(0.3)
    assert len(scripted.made) == 1
    free.set()
    link = await opening
    monkeypatch.setattr(can_thread, "_CLOSE_TIMEOUT", 5)
    await link.close()


async def test_a_driver_that_fails_while_closing_is_closed(
    scripted: type[ScriptedBus],
) -> None:
    def fail(_: ScriptedBus) -> None:
        raise can.CanOperationError("no")

    scripted.on_shutdown = fail
    ears = CanEars()
    link = await ears.open(CAN0)
    await link.close()
    assert ears.lost == []


async def test_any_exception_ends_the_bus(scripted: type[ScriptedBus]) -> None:
    def fail(*_: Any) -> None:
        if scripted.sent:
            raise IndexError("first line\nand a whole trace")
        time.sleep(0.01)

    scripted.on_recv = fail
    ears = CanEars()
    link = await ears.open(CAN0)
    link.send(numbered(0))
    await until(lambda: ears.lost)
    (error,) = ears.lost
    assert isinstance(error, LinkError)
    assert error.fault is LinkFault.LOST
    assert str(error) == "first line"
    await link.close()


async def test_a_bus_that_gives_nothing_at_once_again_and_again_is_dead(
    scripted: type[ScriptedBus],
) -> None:
    """As a backend with a receive function of its own may do."""
    asked: list[object] = []
    scripted.recv = lambda *_: asked.append(_)  # type: ignore[method-assign]  # what older backends do
    try:
        error = await ends(CanEars())
        assert error.fault is LinkFault.LOST
        assert len(asked) == _EARLY
    finally:
        del scripted.recv


async def test_a_bus_that_computes_instead_of_waiting_is_dead(
    scripted: type[ScriptedBus],
) -> None:
    """As gs_usb does after it was pulled out."""
    waits: list[object] = []

    def compute(_: ScriptedBus, timeout: float | None) -> None:
        # A wait begins with all of its time; what is left of it is asked for next.
        if timeout == WAIT:
            waits.append(timeout)

    scripted.on_recv = compute
    error = await ends(CanEars())
    assert error.fault is LinkFault.LOST
    # Beside others it may not get to compute for a share of each wait.
    assert _SPINS <= len(waits) < 4 * _SPINS


async def test_a_silent_bus_is_not_dead(scripted: type[ScriptedBus]) -> None:
    ears = CanEars()
    async with ears.listening(CAN0):
        await asyncio.sleep(1.5)
    assert ears.lost == []


async def test_nothing_but_errors_ends_the_bus(
    scripted: type[ScriptedBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_thread, "_ERRORS_FOR", 0.3)
    scripted.on_recv = Feed(ERROR, every=0.01)
    error = await ends(CanEars())
    assert error.fault is LinkFault.BUS_ERRORS


async def test_errors_among_frames_do_not_end_it(
    scripted: type[ScriptedBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(can_thread, "_ERRORS_FOR", 0.3)
    good = can.Message(arbitration_id=0x2F4, data=[1])
    turn = iter(range(1_000_000))

    def mixed(_: ScriptedBus, timeout: float | None) -> can.Message:
        time.sleep(0.002)
        return ERROR if next(turn) % 30 else good

    scripted.on_recv = mixed
    ears = CanEars()
    async with ears.listening(CAN0) as link:
        await until(lambda: link.counts.errors > 300)
    assert ears.lost == []


@pytest.mark.parametrize("adapter", [CanAdapter.SOCKETCAN, CanAdapter.GS_USB])
async def test_an_adapter_that_has_left_the_bus_is_opened_anew(
    adapter: CanAdapter, scripted: type[ScriptedBus]
) -> None:
    off = can.Message(arbitration_id=0x40, is_error_frame=True, dlc=8)
    scripted.on_recv = Feed(off, every=0.01)
    port = CAN0
    if adapter is CanAdapter.GS_USB:
        port = CanPort(adapter=adapter, channel="0", bitrate=250_000)
    error = await ends(CanEars(), port)
    assert error.fault is LinkFault.BUS_ERRORS


async def test_an_interface_that_is_down_shows_on_the_first_look(
    scripted: type[ScriptedBus],
) -> None:
    def down(*_: Any) -> None:
        raise can.CanOperationError("Failed to receive: down", errno.ENETDOWN)

    scripted.on_recv = down
    with pytest.raises(LinkError) as caught:
        await CanEars().open(CAN0)
    assert caught.value.fault is LinkFault.INTERFACE_DOWN
    assert caught.value.__cause__ is None


async def test_an_interface_that_goes_down_later_is_told_as_such(
    scripted: type[ScriptedBus],
) -> None:
    def goes_down(bus: ScriptedBus, timeout: float | None) -> None:
        if scripted.sent:
            raise can.CanOperationError("Failed to receive: down", errno.ENETDOWN)
        time.sleep(0.01)

    scripted.on_recv = goes_down
    ears = CanEars()
    link = await ears.open(CAN0)
    link.send(numbered(0))
    await until(lambda: ears.lost)
    assert isinstance(ears.lost[0], LinkError)
    assert ears.lost[0].fault is LinkFault.INTERFACE_DOWN
    await link.close()


@pytest.mark.parametrize(
    ("port", "arguments"),
    [
        (CAN0, {"channel": "can0"}),
        (
            CanPort(adapter=CanAdapter.GS_USB, channel="1", bitrate=250_000),
            {"channel": 1, "index": 1, "bitrate": 250_000},
        ),
        (
            CanPort(adapter=CanAdapter.CANALYSTII, channel="0", bitrate=500_000),
            {"channel": 0, "bitrate": 500_000},
        ),
        (
            CanPort(
                adapter=CanAdapter.KVASER,
                channel="0",
                bitrate=500_000,
                listen_only=True,
            ),
            {"channel": 0, "bitrate": 500_000, "driver_mode": False},
        ),
        (
            CanPort(adapter=CanAdapter.PCAN, channel="PCAN_USBBUS1", bitrate=500_000),
            {
                "channel": "PCAN_USBBUS1",
                "bitrate": 500_000,
                "state": can.BusState.ACTIVE,
            },
        ),
    ],
    ids=lambda value: getattr(value, "adapter", ""),
)
async def test_each_driver_is_told_what_it_needs(
    port: CanPort, arguments: dict[str, Any], scripted: type[ScriptedBus]
) -> None:
    async with CanEars().listening(port):
        assert scripted.made == [arguments]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OSError(errno.ENODEV, "none"), LinkFault.NO_SUCH_INTERFACE),
        (OSError(errno.EAFNOSUPPORT, "none"), LinkFault.MISSING_DRIVER),
        (OSError(errno.EPERM, "none"), LinkFault.NO_PERMISSION),
        (ImportError("none"), LinkFault.MISSING_DRIVER),
        (can.CanInterfaceNotImplementedError("none"), LinkFault.MISSING_DRIVER),
        (NameError("canOpen"), LinkFault.MISSING_DRIVER),
        (OSError("pcanbasic library not found."), LinkFault.MISSING_DRIVER),
        (ValueError("none"), LinkFault.INVALID_ADDRESS),
        (can.CanError("Expected '< ok >' got: ''"), LinkFault.FAILED),
        (LinkError(LinkFault.BUS_ERRORS, "off"), LinkFault.BUS_ERRORS),
        (RuntimeError(), LinkFault.FAILED),
    ],
)
def test_an_error_of_opening_is_named(error: Exception, fault: LinkFault) -> None:
    named = opening_error(error, CAN0)
    assert named.fault is fault
    assert str(named)
    assert ending_error(error).fault in (LinkFault.LOST, fault)


def test_a_device_that_is_gone_is_no_interface() -> None:
    port = CanPort(adapter=CanAdapter.GS_USB, channel="0", bitrate=500_000)
    named = opening_error(OSError(errno.ENODEV, "none"), port)
    assert named.fault is LinkFault.NO_SUCH_PORT


def test_a_reader_ends_with_its_event_loop(scripted: type[ScriptedBus]) -> None:
    scripted.on_recv = Feed(can.Message(arbitration_id=1, data=b"\1"), every=0.01)
    ears = CanEars()

    async def open_and_forget() -> CanLink:
        return await CanLink.open(CAN0, ears.receive, ears.lose)

    asyncio.run(open_and_forget())
    deadline = time.monotonic() + 5
    while readers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert readers() == []


async def test_a_daemon_whose_frames_arrive_in_pieces_floods_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    ears, bus = CanEars(), fast_bus()
    caplog.set_level(logging.WARNING)
    async with (
        serve("socketcand", bus) as server,
        ears.listening(port_of("socketcand", server.url)),
    ):
        text = b"< frame 2F4 1.5 0102 >"
        for byte in text * 5:
            for transport in server.sessions:
                transport.write(bytes([byte]))
            await asyncio.sleep(0.003)
        now = asyncio.get_running_loop().time()
        bus.send(frame_of(0x2F4, b"\x01\x02"), now)
        await ears.heard(6)
    assert set(ears.messages) == {CanMessage(0x2F4, b"\x01\x02", False)}
    assert [r for r in caplog.records if r.name.startswith("can")] == []


async def test_who_wants_the_librarys_log_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    logger = logging.getLogger("can")
    before = logger.level
    try:
        logger.setLevel(logging.DEBUG)
        async with serve("socketcand", fast_bus()) as server:
            link = await CanEars().open(port_of("socketcand", server.url))
            await link.close()
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize("descriptor", [-1, None])
async def test_a_backend_that_hides_what_it_waits_for_is_read_all_the_same(
    descriptor: int | None,
    scripted: type[ScriptedBus],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if descriptor is not None:
        monkeypatch.setattr(scripted, "fileno", lambda _: descriptor)
    scripted.on_recv = Feed(can.Message(arbitration_id=0x2F4, data=[1]))
    ears = CanEars()
    async with ears.listening(CAN0):
        await ears.heard(1)


async def test_a_daemon_is_read_also_where_the_library_hides_its_socket(
    scripted: type[ScriptedBus],
) -> None:
    scripted.on_recv = Feed(can.Message(arbitration_id=0x2F4, data=[1]))
    ears = CanEars()
    async with serve("socketcand", fast_bus()) as server:
        port = port_of("socketcand", server.url)
        async with ears.listening(port):
            await ears.heard(1)
        assert scripted.made == [
            {"channel": "can0", "host": port.host, "port": port.port}
        ]


async def test_an_adapter_that_cannot_only_listen_tries_both_bit_rates(
    scripted: type[ScriptedBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.transport.can_probe._TRY_FOR", 0.3)
    port = CanPort(adapter=CanAdapter.GS_USB, channel="0")
    heard = await async_listen_can(port, lambda _: None, 0.3)
    assert heard.bitrate is None
    assert [one["bitrate"] for one in scripted.made] == [500_000, 250_000]


def test_bytes_that_another_has_taken_are_no_end() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", buffering=0) as port:
        ahead = ReadAhead(port)
        ahead.fetch()
        assert ahead.read() == b""
        os.write(writing, b"t2F40\r")
        ahead.fetch()
        assert [ahead.read(), ahead.read(), ahead.read()] == [b"t2F40", b"\r", b""]
        os.close(writing)
        with pytest.raises(OSError, match="closed by the other side"):
            ahead.fetch()


async def test_a_daemons_answer_with_a_frame_behind_it_is_asked_for_again(
    scripted: type[ScriptedBus],
) -> None:
    enough = 3

    def early(_: ScriptedBus) -> None:
        if len(scripted.made) < enough:
            raise can.CanError("Expected '< ok >' got: '< ok >< frame 2F4 1.0 01 >'")

    scripted.on_open = early
    async with serve("socketcand", fast_bus()) as server:
        async with CanEars().listening(port_of("socketcand", server.url)):
            assert len(scripted.made) == 3
        enough = 1000
        with pytest.raises(LinkError):
            await CanEars().open(port_of("socketcand", server.url))


async def test_an_interface_is_read_when_its_descriptor_says_so(
    scripted: type[ScriptedBus], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    try:
        monkeypatch.setattr(scripted, "fileno", lambda _: reading)
        waits: list[float | None] = []

        def one_for_each_byte(_: ScriptedBus, timeout: float | None) -> can.Message:
            waits.append(timeout)
            return can.Message(arbitration_id=0x2F4, data=os.read(reading, 1))

        scripted.on_recv = one_for_each_byte
        ears = CanEars()
        async with ears.listening(CAN0):
            os.write(writing, b"abc")
            await ears.heard(3)
            await asyncio.sleep(0.5)
        assert b"".join(message.data for message in ears.messages) == b"abc"
        # It is never asked where it would have to wait.
        assert waits == [0, 0, 0]
    finally:
        os.close(reading)
        os.close(writing)
