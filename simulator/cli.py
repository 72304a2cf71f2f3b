"""The command line of the simulator."""

import argparse
import asyncio
from collections.abc import Iterable, Sequence
import json
from pathlib import Path
import signal
from typing import Any

from .bank import Bank
from .faults import KINDS, Fault, parse_fault
from .line import Line, SlaveLine, Speed
from .replay import ReplayLine, load_capture
from .server import Endpoint, PtyServer, TcpServer

_MOST_PACKS = 16


def _packs(text: str) -> Sequence[int]:
    """Addresses: `1,2,5` names them, `4` is 1 to 4, `16` takes the DIP switch's 0 as well."""
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


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
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
        description="A bank of JK packs that answers on a simulated RS485 line.",
    )
    add = options.add_argument
    add(
        "--packs",
        type=_packs,
        default="4",
        metavar="N|A,B,…",
        help="how many, or their addresses",
    )
    add(
        "--role",
        choices=["slaves"],
        default="slaves",
        help="who speaks: packs that answer",
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
    add(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="KIND[:PARAMETER=VALUE…]",
        help=f"repeatable; kinds: {', '.join(KINDS)}",
    )
    add("--seed", type=int, default=0, metavar="N", help="makes chance repeatable")
    add(
        "--speed",
        choices=[*Speed],
        type=Speed,
        default=Speed.WIRE,
        help="the wire's own, or none",
    )
    add("--still", action="store_true", help="values stay as captured")
    add(
        "--replay",
        type=_replay,
        metavar="CAPTURE",
        help="play a file, or a capture of the tests, instead",
    )
    return options


def _line(options: argparse.Namespace) -> Line:
    if options.replay is not None:
        return ReplayLine(options.replay, speed=options.speed)
    bank = Bank.default(options.packs, seed=options.seed, still=options.still)
    return SlaveLine(bank, speed=options.speed, seed=options.seed, faults=options.fault)


def endpoint(options: argparse.Namespace) -> Endpoint:
    """What the options ask for, not yet started."""
    line = _line(options)
    if options.pty is not None:
        return PtyServer(line, Path(options.pty) if options.pty else None)
    host, port = options.tcp
    return TcpServer(line, host, port)


def announcement(served: Endpoint) -> dict[str, Any]:
    """The first line of output: where to connect, and who is there."""
    said: dict[str, Any] = {"url": served.url}
    if isinstance(served.line, SlaveLine):
        said["packs"] = [
            {"address": pack.address, "serial": pack.serial, "model": pack.model}
            for pack in served.line.bank
        ]
    return said


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with endpoint(options) as served:
        print(json.dumps(announcement(served)), flush=True)
        await stopped.wait()


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the simulator."""
    options = parser().parse_args(None if arguments is None else list(arguments))
    try:
        asyncio.run(run(options))
    except (OSError, ValueError) as error:
        raise SystemExit(f"simulate: {error}") from None
