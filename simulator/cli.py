"""The command line of the simulator."""

import argparse
import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields
import json
from pathlib import Path
import signal
from typing import Any

from .bank import Bank
from .can import CAN_KINDS, BusEndpoint, cli as can
from .faults import KINDS, Fault, parse_fault
from .line import Line, LineOptions, SlaveLine, Speed
from .master import SLOT, MasterLine
from .modbus_tcp import Manners, ModbusTcpGateway
from .physics import DAY
from .replay import CHUNK, ReplayLine, load_capture
from .seeds import Trio, trios
from .server import Endpoint, PtyServer, TcpServer
from .ttl import TtlLine

_MOST_PACKS = 16


def _packs(text: str) -> Sequence[int]:
    """Addresses: `1,2,5` names them, `4` is 1 to 4, `16` takes the DIP switch's 0 as well.

    A range says that a number was given.
    """
    try:
        numbers = [int(part) for part in text.split(",") if part]
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= number <= 247 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a number of packs nor a list of addresses"
        )
    if "," in text:
        return numbers
    count = numbers[0]
    if not 1 <= count <= _MOST_PACKS:
        raise argparse.ArgumentTypeError(
            f"a bus takes 1 to {_MOST_PACKS} packs, not {count}"
        )
    return range(_MOST_PACKS) if count == _MOST_PACKS else range(1, count + 1)


def _tcp(text: str) -> tuple[str, int]:
    host, separator, port = text.rpartition(":")
    if not host or not separator or not port.isdecimal() or int(port) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return seconds


def _chunk(text: str) -> list[int]:
    sizes = text.split(",")
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is no size of chunks in bytes")
    return [int(size) for size in sizes]


def _kind(text: str) -> Trio:
    for trio in trios():
        if trio.id == text:
            return trio
    raise argparse.ArgumentTypeError(f"there is no kind {text!r} of packs")


def _fault(text: str) -> Fault:
    try:
        return can.parse_any_fault(text, parse_fault)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _manners(text: str) -> Manners:
    try:
        return Manners.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _replay(text: str) -> bytes:
    try:
        return load_capture(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parser() -> argparse.ArgumentParser:
    """The options of `scripts/simulate`."""
    options = argparse.ArgumentParser(
        prog="simulate",
        description="A bank of JK packs that answers, or talks by itself, on a simulated RS485 line or CAN bus.",
    )
    add = options.add_argument
    add(
        "--packs",
        type=_packs,
        default="4",
        metavar="N|A,B,…",
        help="how many, or their addresses; a master is one of them, at address 0",
    )
    add(
        "--role",
        choices=["slaves", "master", "ttl"],
        default="slaves",
        help="who speaks: packs that answer, the pack at address 0 by itself too, or packs that answer in the older "
        "protocol 4E 57; a single one of these is terminal 0",
    )
    add(
        "--slot",
        type=_seconds,
        metavar="SECONDS",
        help=f"from one message of the master to its next, {SLOT} unless told, 0.4 for slow firmware; "
        "also paces a capture, which has no times",
    )
    add(
        "--settings-for-all",
        action="store_true",
        help="a master that asks absent addresses for settings too",
    )
    control = options.add_mutually_exclusive_group()
    control.add_argument(
        "--control-tcp",
        type=_tcp,
        metavar="HOST:PORT",
        help="a second line, RS485-1, where all packs answer",
    )
    control.add_argument(
        "--control-pty", nargs="?", const="", metavar="LINK", help="the same as adapter"
    )
    wire = options.add_mutually_exclusive_group()
    wire.add_argument(
        "--tcp",
        type=_tcp,
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="a gateway; port 0 is any",
    )
    wire.add_argument(
        "--pty",
        nargs="?",
        const="",
        metavar="LINK",
        help="a USB adapter, with a symbolic link to it if named",
    )
    wire.add_argument(
        "--modbus-tcp",
        type=_tcp,
        metavar="HOST:PORT",
        help="a gateway that converts Modbus TCP, and loses everything else",
    )
    can.add_wires(wire, _tcp)
    add(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND[:PARAMETER=VALUE…]",
        help=f"repeatable; kinds: {', '.join(KINDS)}; on CAN: {', '.join(CAN_KINDS)}",
    )
    add(
        "--gateway",
        type=_manners,
        metavar="NAME=VALUE[,…]",
        help="how that gateway behaves: "
        + ", ".join(field.name for field in fields(Manners)),
    )
    add("--seed", type=int, default=0, metavar="N", help="makes chance repeatable")
    add(
        "--speed",
        choices=[*Speed],
        type=Speed,
        default=Speed.WIRE,
        help="the wire's own, or none",
    )
    values = options.add_mutually_exclusive_group()
    values.add_argument("--still", action="store_true", help="values stay as captured")
    values.add_argument(
        "--alike",
        type=_kind,
        metavar="KIND",
        help="packs of one kind with nearly the same charge, as they are in parallel; kinds: "
        + ", ".join(trio.id for trio in trios()),
    )
    add(
        "--day",
        type=_seconds,
        metavar="SECONDS",
        help="how long a day of sun and household takes such packs; their own time runs as ever",
    )
    add(
        "--replay",
        type=_replay,
        metavar="CAPTURE",
        help="play a file, or a capture of the tests, instead; a recording, diagnostics of Home Assistant and on CAN a candump log keep their times",
    )
    add(
        "--chunk",
        type=_chunk,
        default=[CHUNK],
        metavar="N[,N…]",
        help="bytes that arrive at once; several sizes take turns in a capture",
    )
    can.add_options(options, _seconds)
    return options


def _bank(options: argparse.Namespace, addresses: Iterable[int]) -> Bank | None:
    """The packs in parallel that the options ask for."""
    if options.alike is None:
        if options.day is not None:
            raise ValueError("--day is for packs in parallel: add --alike")
        return None
    return Bank.alike(
        addresses, options.alike, seed=options.seed, day=options.day or DAY
    )


def _line(options: argparse.Namespace) -> Line:
    if options.replay is not None:
        return ReplayLine(
            options.replay,
            speed=options.speed,
            chunk=options.chunk,
            slot=options.slot,
        )
    packs = options.packs
    counted = isinstance(packs, range)
    if counted and (
        options.role == "master" or (options.role == "ttl" and len(packs) == 1)
    ):
        packs = range(len(packs))
    bank = _bank(options, packs) or Bank.default(
        packs, seed=options.seed, still=options.still
    )
    if len(options.chunk) > 1:
        raise ValueError("only a capture takes several sizes of chunks")
    shared = LineOptions(
        speed=options.speed,
        seed=options.seed,
        faults=options.fault,
        chunk=options.chunk[0],
    )
    if options.role == "slaves":
        return SlaveLine(bank, **shared)
    if options.role == "ttl":
        return TtlLine(bank, **shared)
    if 0 not in packs:
        raise ValueError("a master is the pack at address 0: name it among the packs")
    return MasterLine(
        bank,
        slot=options.slot or SLOT,
        settings_for_all=options.settings_for_all,
        **shared,
    )


def _endpoint(line: Line, tcp: tuple[str, int], pty: str | None) -> Endpoint:
    if pty is not None:
        return PtyServer(line, Path(pty) if pty else None)
    host, port = tcp
    return TcpServer(line, host, port)


def endpoint(options: argparse.Namespace) -> Endpoint:
    """What the options ask for, not yet started."""
    if can.is_asked_for(options):
        return can.endpoint(options, _bank(options, options.packs))
    if wrong := [fault.kind for fault in options.fault if fault.kind not in KINDS]:
        raise ValueError(f"{wrong[0]} happens on a CAN bus only")
    if options.modbus_tcp is not None:
        if options.replay is not None or options.role != "slaves":
            raise ValueError("a gateway that converts asks packs: it overhears nothing")
        host, port = options.modbus_tcp
        return ModbusTcpGateway(
            _line(options), host, port, manners=options.gateway, seed=options.seed
        )
    if options.gateway is not None:
        raise ValueError("only a gateway that converts has manners: add --modbus-tcp")
    return _endpoint(_line(options), options.tcp, options.pty)


def control(options: argparse.Namespace, line: Line) -> Endpoint | None:
    """A second line to the packs of the first, if the options ask for one; its faults stay on the first."""
    if options.control_tcp is None and options.control_pty is None:
        return None
    if options.replay is not None:
        raise ValueError("a capture has no packs that a second line could reach")
    if options.role == "ttl":
        raise ValueError("a line of 4E 57 has no second one")
    assert isinstance(line, SlaveLine)
    second = SlaveLine(line.bank, speed=options.speed, seed=options.seed)
    return _endpoint(second, options.control_tcp, options.control_pty)


def announcement(served: Endpoint, second: Endpoint | None = None) -> dict[str, Any]:
    """The first line of output: where to connect, and who is there."""
    said: dict[str, Any] = {"url": served.url}
    if second is not None:
        said["control"] = second.url
    bank = served.line.bank if isinstance(served.line, SlaveLine) else None
    if isinstance(served, BusEndpoint):
        said |= can.announcement(served)
        bank = can.bank_of(served)
    if bank is not None:
        said["packs"] = [
            {"address": pack.address, "serial": pack.serial, "model": pack.model}
            for pack in bank
        ]
    return said


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    first = endpoint(options)
    second = control(options, first.line)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        if second is not None:
            await stack.enter_async_context(second)
        print(json.dumps(announcement(first, second)), flush=True)
        await stopped.wait()


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the simulator."""
    options = parser().parse_args(None if arguments is None else list(arguments))
    try:
        asyncio.run(run(options))
    except (OSError, ValueError) as error:
        raise SystemExit(f"simulate: {error}") from None
