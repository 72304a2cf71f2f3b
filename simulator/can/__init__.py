"""The same packs on a CAN bus: by themselves as JK does it, or as one battery to an inverter.

A bus and a server::

    bus = CanBus(Bank.default(range(4), seed=1, still=True))
    async with serve_slcan_tcp(bus) as server:
        ...connect to server.url, then look at bus.heard, bus.counts and bus.counters

`serve_slcan_pty(bus, link=path)` is the USB adapter, `serve_socketcand(bus)` the daemon
and `serve_can_tcp(bus)` the gateway with records of 13 bytes; several may serve one
bus.  They stop, start, fall silent and drop clients as the servers of RS485 do.

`CanBus(parallel_bank(range(4)), Dialect.PYLON)` speaks to an inverter; with
`inverter=True` there is one, which a silent listener needs where the dialect waits to
be asked.  `bus.send(frame, now)` puts any frame on the bus.

Without asyncio and without waiting, half an hour of traffic::

    for time, can_id, extended, data in CanBus(bank).messages(1800.0):
        ...

`ReplayBus(parse_candump(text))` plays a recording.  The faults are in `faults.py`.
"""

from .bus import Bus, BusCounters, Node, Tap
from .can_bus import CanBus, default_bitrate, parallel_bank
from .candump import ReplayBus, parse_candump
from .faults import CAN_KINDS, parse_can_fault
from .frame import Frame, frame_of
from .inverter import Dialect
from .native import frames_of
from .server import (
    BusEndpoint,
    SessionServer,
    SlcanPtyServer,
    SlcanTcpServer,
    serve_can_tcp,
    serve_slcan_pty,
    serve_slcan_tcp,
    serve_socketcand,
)
from .signals import Version
from .slcan import SlcanAdapter

__all__ = [
    "CAN_KINDS",
    "Bus",
    "BusCounters",
    "BusEndpoint",
    "CanBus",
    "Dialect",
    "Frame",
    "Node",
    "ReplayBus",
    "SessionServer",
    "SlcanAdapter",
    "SlcanPtyServer",
    "SlcanTcpServer",
    "Tap",
    "Version",
    "default_bitrate",
    "frame_of",
    "frames_of",
    "parallel_bank",
    "parse_can_fault",
    "parse_candump",
    "serve_can_tcp",
    "serve_slcan_pty",
    "serve_slcan_tcp",
    "serve_socketcand",
]
