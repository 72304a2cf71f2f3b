"""One house for the whole journey; after each step nothing may have gone wrong, seen or unseen."""

from collections.abc import AsyncIterator, Callable, Generator
import os
from pathlib import Path
import shutil
import signal

import pytest
import pytest_asyncio

from scripts.lib.processes import ROOT

from .browser import Visitor, visitor
from .house import House, Line
from .report import Report

# The shell keeps a Ctrl-C from what it runs in the background, and passes it on by itself.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the run leaves its pictures and logs."""
    release = os.environ["E2E_RELEASE"]
    folder = ROOT / ".e2e" / release
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(folder: Path) -> AsyncIterator[House]:
    """A Home Assistant with the integration installed and nothing set up."""
    house = House(folder, folder.name)
    try:
        await house.build()
        yield house
    finally:
        await house.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def person(house: House, folder: Path) -> AsyncIterator[Visitor]:
    """Its owner, before a browser."""
    report = Report(folder, f"JK BMS on Home Assistant {house.release}")
    async with visitor(house.url, house.token, report) as person:
        yield person


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def asked(folder: Path) -> AsyncIterator[Line]:
    """Three packs behind a USB adapter, and their second sockets."""
    packs = ("--packs", "1,2,3", "--alike", "venus-15.41-16s", "--day", "300")
    wires = ("--pty", str(folder / "ttyJK"), "--control-tcp", "127.0.0.1:0")
    line = Line(folder / "simulator.log", *wires, *packs)
    yield line
    await line.unplug()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def heard(
    folder: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[Line]:
    """Two packs of which one is the master, behind a gateway."""
    packs = ("--role", "master", "--packs", "0,5", "--alike", "syssi-15.38-16s")
    wire = ("--tcp", f"127.0.0.1:{unused_tcp_port_factory()}")
    line = Line(folder / "simulator.log", *wire, *packs)
    yield line
    await line.unplug()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def on_can(folder: Path) -> AsyncIterator[Line]:
    """A pack on CAN, behind an slcan adapter."""
    packs = ("--packs", "7,", "--alike", "venus-15.41-16s")
    line = Line(folder / "simulator.log", "--slcan-pty", str(folder / "ttyCAN"), *packs)
    yield line
    await line.unplug()


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a step has failed."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_goes_wrong(
    request: pytest.FixtureRequest, house: House, person: Visitor
) -> AsyncIterator[None]:
    """After each step, look at what the browser and Home Assistant have said."""
    yield
    if request.node.stash[_FAILED]:
        await person.show(f"Failed: {request.node.name}", settled=False)
        return
    faults, person.faults[:] = list(person.faults), []
    assert faults == []
    house.check()
