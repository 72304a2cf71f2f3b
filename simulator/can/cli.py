"""The part of the command line that is about CAN."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..bank import Bank
from ..faults import Fault
from ..replay import CHUNK
from .bus import BITRATES, Bus
from .can_bus import CanBus, parallel_bank
from .candump import ReplayBus, parse_candump
from .faults import CAN_KINDS, parse_can_fault
from .inverter import Dialect
from .server import (
    BusEndpoint,
    serve_can_tcp,
    serve_slcan_pty,
    serve_slcan_tcp,
    serve_socketcand,
)

_TCP: Final[dict[str, tuple[Callable[[Bus, str, int], BusEndpoint], str]]] = {
    "slcan_tcp": (serve_slcan_tcp, "a CAN adapter with slcan behind a port"),
    "socketcand": (serve_socketcand, "a CAN bus served by socketcand"),
    "can_tcp": (serve_can_tcp, "a CAN gateway with records of 13 bytes"),
}
"""Each wire behind a port: its option, what serves it, and its help."""

_TUNING: Final = (
    "can_dialect",
    "can_bitrate",
    "can_inverter",
    "can_unasked",
    "can_patience",
)
_OF_RS485: Final = (
    "slot",
    "settings_for_all",
    "control_tcp",
    "control_pty",
)


def add_wires(
    wire: argparse._MutuallyExclusiveGroup, tcp: Callable[[str], tuple[str, int]]
) -> None:
    """Add what a CAN bus can be served by; the type reads HOST:PORT."""
    wire.add_argument(
        "--slcan-pty",
        nargs="?",
        const="",
        metavar="LINK",
        help="a CAN adapter with slcan, with a symbolic link to it if named",
    )
    for option, (_, text) in _TCP.items():
        wire.add_argument(
            f"--{option.replace('_', '-')}", type=tcp, metavar="HOST:PORT", help=text
        )


def add_options(
    options: argparse.ArgumentParser, seconds: Callable[[str], float]
) -> None:
    """Add what there is to choose about a CAN bus; the type reads a time."""
    group = options.add_argument_group("CAN")
    group.add_argument(
        "--can-dialect",
        choices=[*Dialect],
        help="native unless told: each pack for itself, or the bank to an inverter",
    )
    group.add_argument(
        "--can-bitrate",
        type=int,
        choices=BITRATES,
        help="of the bus; by default 250000 for packs by themselves, 500000 to inverters",
    )
    group.add_argument(
        "--can-inverter",
        action="store_true",
        help="an inverter is on the bus and keeps the bank alive, or asks it",
    )
    group.add_argument(
        "--can-unasked",
        type=seconds,
        metavar="SECONDS",
        help="a bank that waits to be asked speaks by itself so often",
    )
    group.add_argument(
        "--can-patience",
        type=seconds,
        metavar="SECONDS",
        help="a bank falls silent after so long without a keep-alive frame",
    )


def parse_any_fault(text: str, parse: Callable[[str], Fault]) -> Fault:
    """A fault that happens on a CAN bus or, as the given parser reads it, elsewhere."""
    own = text.partition(":")[0] in CAN_KINDS
    return parse_can_fault(text) if own else parse(text)


def is_asked_for(options: argparse.Namespace) -> bool:
    """Whether the options name a CAN wire; raises ValueError for CAN options without one."""
    if options.slcan_pty is not None:
        return True
    if any(getattr(options, option) is not None for option in _TCP):
        return True
    for name in _TUNING:
        if getattr(options, name):
            raise ValueError(
                f"--{name.replace('_', '-')} is about CAN: name a CAN wire too"
            )
    return False


def endpoint(options: argparse.Namespace, bank: Bank | None) -> BusEndpoint:
    """What the options ask for, not yet started; with these packs, if any are given."""
    for name in _OF_RS485:
        if getattr(options, name) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} is for an RS485 line")
    if options.chunk != [CHUNK]:
        raise ValueError("--chunk is for an RS485 line")
    if options.role != "slaves":
        raise ValueError("on CAN no pack is asked, so none is the master")
    bus = _bus(options, bank)
    if options.slcan_pty is not None:
        return serve_slcan_pty(
            bus, Path(options.slcan_pty) if options.slcan_pty else None
        )
    option = next(name for name in _TCP if getattr(options, name) is not None)
    return _TCP[option][0](bus, *getattr(options, option))


def _bus(options: argparse.Namespace, bank: Bank | None) -> Bus:
    if options.replay is not None:
        return ReplayBus(
            parse_candump(options.replay.decode("utf-8", "replace")),
            bitrate=options.can_bitrate or BITRATES[0],
            speed=options.speed,
            seed=options.seed,
            faults=options.fault,
        )
    dialect = Dialect(options.can_dialect or Dialect.NATIVE)
    make = Bank.default if dialect.native else parallel_bank
    return CanBus(
        bank or make(options.packs, seed=options.seed, still=options.still),
        dialect,
        bitrate=options.can_bitrate,
        speed=options.speed,
        seed=options.seed,
        faults=options.fault,
        inverter=options.can_inverter,
        patience=options.can_patience,
        unasked=options.can_unasked,
    )


def announcement(served: BusEndpoint) -> dict[str, Any]:
    """What the first line of output says besides where to connect and who is there."""
    said: dict[str, Any] = {"wire": served.wire, "bitrate": served.bus.bitrate}
    if isinstance(served.bus, CanBus):
        said["dialect"] = served.bus.dialect
    return said


def bank_of(served: BusEndpoint) -> Bank | None:
    """The packs behind an endpoint, if it has any."""
    return served.bus.bank if isinstance(served.bus, CanBus) else None
