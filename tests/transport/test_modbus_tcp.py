"""A gateway that converts Modbus TCP: pymodbus before pymodbus' own server, and before worse ones."""

import asyncio
import logging
import struct
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
import pytest

from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import (
    Ack,
    ExceptionReply,
    Frame,
    ReadReply,
    ReadRequest,
    WriteRequest,
)
from custom_components.jkbms.protocol.line import Answered, Refused, Traffic
from custom_components.jkbms.protocol.masking import Masker, Piece
from custom_components.jkbms.protocol.modbus_map import BlockRead, Reach
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.survey import Finding
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.transport.link import LinkError, LinkFault
from custom_components.jkbms.transport.modbus_tcp import ModbusTcpLine
from custom_components.jkbms.transport.probe import async_scan
from custom_components.jkbms.transport.session import LinkState
from simulator import (
    PASSWORD,
    PIN,
    Bank,
    Manners,
    SlaveLine,
    Speed,
    serve_modbus_tcp,
    serve_tcp,
)
from tests.captures import frames
from tests.modbus_peer import RegisterMap, pymodbus_server, registers

from .modbus import free_port, opened
from .peers import Ears, four_packs, soon, until
from .rig import running

pytestmark = pytest.mark.simulated_time

CAPTURED: Final = [
    c for c in frames() if c.data[4] in BLOCK_OF_TYPE and c.layout != "JK04"
]
PACKS: Final = (1, 2, 3, 4)


def maps_of(bank: Bank) -> dict[int, RegisterMap]:
    """The register maps of simulated packs that keep their values."""
    return {
        pack.address: RegisterMap(
            {kind: registers(pack.frame(kind)) for kind in (1, 2, 3)}  # type: ignore[arg-type]  # an IntEnum
        )
        for pack in bank
    }


# -- values ---------------------------------------------------------------------------


async def test_every_capture_says_the_same_through_pymodbus_as_by_its_frame() -> None:
    """Each captured block is one unit of a server that is not ours."""
    for start in range(0, len(CAPTURED), 15):
        some = CAPTURED[start : start + 15]
        maps = {
            unit: RegisterMap(
                {c.data[4]: registers(c.data[:300], old=c.layout == "JK02_24S")}
            )
            for unit, c in enumerate(some, start=1)
        }
        async with pymodbus_server(maps) as url:
            ears = Ears()
            line = await opened(url, ears)
            for unit, capture in enumerate(some, start=1):
                block = BLOCK_OF_TYPE[capture.data[4]]
                frame = await _read(line, ears, unit, block)
                ours, theirs = BmsState(), BmsState()
                for state, one in ((ours, frame), (theirs, Frame(capture.data[:300]))):
                    state.assume(capture.firmware)
                    assert state.take_frame(one, block, 1.0) is not None, capture.id
                assert ours.values == theirs.values, capture.id
                assert ours.layout == theirs.layout
            await line.close()
            assert ears.lost == []


async def _read(line: ModbusTcpLine, ears: Ears, unit: int, block: Block) -> Frame:
    """Read one block as the master does."""

    read = BlockRead(unit, block, Reach())
    while True:
        ears.data = b""
        request = read.request
        line.write(request.encode())
        await until(lambda: ears.data)
        data = ears.data
        assert data[0] == unit
        came = read.take(
            Refused(request, data[2])
            if data[1] & 0x80
            else Answered(request, 0.0, data=data[3:-2])
        )
        if came is not None:
            assert isinstance(came, Answered)
            assert came.frame is not None
            return came.frame


async def test_a_whole_bank_is_read_from_pymodbus_server_and_written_to() -> None:
    bank = Bank.default(still=True)
    maps = maps_of(bank)
    async with pymodbus_server(maps) as url, running(url, PACKS, live=0.5) as rig:
        await rig.all_read()
        assert all(s.available for s in rig.master.stations.values())
        assert rig.statuses[0].state is LinkState.CONNECTED
        for pack in bank:
            direct = BmsState()
            for block in (Block.DEVICE, Block.SETTINGS, Block.LIVE):
                direct.take_frame(
                    Frame(pack.frame(block.frame_type)),  # type: ignore[arg-type]  # an IntEnum
                    block,
                    1.0,
                )
            assert rig.master.stations[pack.address].state.values == direct.values
        result = await rig.write(2, "balance_starting_voltage", 3.41)
        assert result.outcome is Outcome.PROVEN
        [(address, words)] = maps[2].writes
        assert (address, words) == (
            BY_KEY["balance_starting_voltage"].register,
            (0, 3410),
        )
        assert maps[1].writes == []


async def test_the_same_packs_say_the_same_through_both_modes_of_a_gateway() -> None:
    line = four_packs()
    async with serve_tcp(line) as one, serve_modbus_tcp(line) as other:
        found = []
        for url in (one.url, other.url):
            async with running(url, PACKS, live=0.5) as rig:
                await rig.all_read()
                stations = rig.master.stations.values()
                found.append([s.state.values for s in stations])
        assert found[0] == found[1]


async def test_no_pin_and_no_password_crosses_the_network() -> None:
    line = four_packs()
    async with serve_modbus_tcp(line) as gateway, running(gateway.url, PACKS) as rig:
        await rig.all_read()
        secret = {*range(0x1438, 0x1448), *range(0x1470, 0x1480)}
        reads = [
            struct.unpack(">HH", message[1:])
            for _, message in gateway.requests
            if message[0] == 3
        ]
        asked = {
            byte for register, n in reads for byte in range(register, register + 2 * n)
        }
        assert not asked & secret
        for station in rig.master.stations.values():
            for data in station.state.frames.values():
                assert PIN.encode() not in data
                assert PASSWORD.encode() not in data


async def test_what_is_recorded_shows_no_serial_number() -> None:
    line = four_packs()
    serial = line.bank[1].serial.encode()
    ears = Ears()
    async with serve_modbus_tcp(line) as gateway:
        link = await opened(gateway.url, ears)
        request = ReadRequest(1, 0x1448, 20)
        link.write(request.encode())
        await until(lambda: ears.data)
        await link.close()
    assert serial in ears.data
    masker = Masker()
    messages = [
        *masker.feed(Piece(1.0, True, request.encode())),
        *masker.feed(Piece(1.1, False, ears.data)),
        *masker.flush(),
    ]
    assert len(messages) == 2
    assert not any(serial in message.data for message in messages)


# -- answers as bytes -----------------------------------------------------------------


async def test_each_kind_of_answer_comes_as_it_is_on_the_wire() -> None:
    line = four_packs()
    async with serve_modbus_tcp(line) as gateway:
        ears = Ears()
        link = await opened(gateway.url, ears)
        for request, answer in (
            (ReadRequest(1, 0x12A0, 2), ReadReply(1, bytes(4)).encode()),
            (
                WriteRequest(1, 0x1084, (3400).to_bytes(4)),
                Ack(1, 0x1084, 2).encode(),
            ),
            (ReadRequest(1, 0x1200, 124), ExceptionReply(1, 3, 2).encode()),
            (WriteRequest(1, 0x1200, bytes(4)), ExceptionReply(1, 16, 2).encode()),
            (ReadRequest(9, 0x1200, 2), ExceptionReply(9, 3, 11).encode()),
        ):
            ears.data = b""
            link.write(request.encode())
            await until(lambda: ears.data)
            assert ears.data == answer
        await link.close()


async def test_address_0_is_everybody_and_is_never_asked() -> None:
    line = SlaveLine(Bank.default((0, 1), still=True), speed=Speed.FAST)
    async with serve_modbus_tcp(line) as gateway:
        ears = Ears()
        link = await opened(gateway.url, ears)
        link.write(ReadRequest(0, 0x1200, 2).encode())
        link.write(WriteRequest(0, 0x1070, bytes(4)).encode())
        link.write(ReadRequest(1, 0x12A0, 2).encode())
        await until(lambda: ears.data)
        assert [unit for unit, _ in gateway.requests] == [1]
        await link.close()


async def test_a_scan_asks_addresses_1_to_15_and_reads_who_is_there() -> None:
    line = SlaveLine(Bank.default((0, 3, 15), still=True), speed=Speed.FAST)
    async with serve_modbus_tcp(line, manners=Manners(timeout=0.02)) as gateway:
        scanned = await soon(async_scan(gateway.url, lambda _: None))
        assert scanned.finding is Finding.PACKS
        assert list(scanned.found) == [3, 15]
        assert all(s.seen.keys() == set(Block) for s in scanned.found.values())
        assert {unit for unit, _ in gateway.requests} == set(range(1, 16))


# -- outages --------------------------------------------------------------------------


async def test_a_lost_gateway_is_found_again_and_pymodbus_says_nothing(
    pymodbus_says: list[logging.LogRecord],
) -> None:
    line = four_packs()
    async with (
        serve_modbus_tcp(line) as gateway,
        running(gateway.url, PACKS, 0.5) as rig,
    ):
        await rig.heard(*PACKS)
        await gateway.stop()
        await rig.wait(lambda: rig.states[-1] is LinkState.DOWN)
        await asyncio.sleep(1.5)
        assert rig.faults == [LinkFault.LOST, LinkFault.REFUSED]
        await gateway.start()
        await rig.heard(*PACKS)
        assert rig.states[-1] is LinkState.CONNECTED
    assert pymodbus_says == []


async def test_absent_packs_make_no_storm_in_the_log(
    pymodbus_says: list[logging.LogRecord],
) -> None:
    line = four_packs()
    manners = Manners(silent=True, timeout=0.05, lose=0.02, swap=0.02)
    async with (
        serve_modbus_tcp(line, manners=manners, seed=3) as gateway,
        running(gateway.url, (*PACKS, 9), live=0.2) as rig,
    ):
        await rig.heard(*PACKS)
        await rig.wait(lambda: rig.master.line.traffic[Traffic.SILENT] >= 3)
    assert pymodbus_says == []


async def test_what_pymodbus_says_of_others_stays_in_the_log(
    pymodbus_says: list[logging.LogRecord],
) -> None:
    """Another integration may use it too, and its owner may need to read of it."""
    async with serve_modbus_tcp(four_packs()) as gateway:
        heard = asyncio.Event()
        told: list[LinkError | Exception | None] = []

        async def other() -> None:
            client = AsyncModbusTcpClient(
                "127.0.0.1", port=free_port(), reconnect_delay=0
            )
            assert not await client.connect()

        tasks = []

        def receive(_: bytes) -> None:
            # What an answer sets off is not part of the line any more.
            tasks.append(asyncio.create_task(other()))
            heard.set()

        link = await ModbusTcpLine.open(gateway.url, receive, told.append)
        link.write(ReadRequest(1, 0x12A0, 2).encode())
        await soon(heard.wait())
        await tasks[0]
        await link.close()
    assert len(pymodbus_says) == 1


async def test_a_slow_gateway_is_waited_for() -> None:
    line = four_packs()
    async with (
        serve_modbus_tcp(line, manners=Manners(delay=2.0)) as gateway,
        running(gateway.url, (1,), live=1.0) as rig,
    ):
        await rig.heard(1, patience=60)
        await rig.wait(lambda: rig.master.stations[1].available)
        counts = rig.master.stations[1].counts
        assert counts.timeouts == 0


async def test_a_second_client_at_the_gateway_disturbs_nobody() -> None:
    line = four_packs()
    async with (
        serve_modbus_tcp(line) as gateway,
        running(gateway.url, PACKS, 0.5) as one,
        running(gateway.url, PACKS, 0.5) as other,
    ):
        for rig in (one, other):
            await rig.all_read()
            stations = rig.master.stations.values()
            assert all(s.available for s in stations)
            assert sum(s.counts.implausible + s.counts.damaged for s in stations) == 0
