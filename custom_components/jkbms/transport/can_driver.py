"""Opens python-can's buses and gives them back; for one thread of each bus.

python-can is imported when the first bus is opened. Nothing here may run on an event
loop: importing, opening, reading, sending and shutting down all block.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import fcntl
import importlib
import logging
import os
from pathlib import Path
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

from .can_intake import Intake, PolledIntake, ReadAhead, SlcanReadAhead, WaitingIntake
from .can_port import CanAdapter, CanPort, Channel
from .can_record_bus import RecordSocket
from .link import keep_alive

if TYPE_CHECKING:
    import can

_TRIES: Final = 10
_EARLY_FRAME: Final = "'< ok >< "
_READ_AHEAD: Final = {
    CanAdapter.SLCAN: SlcanReadAhead,
    CanAdapter.ROBOTELL: ReadAhead,
}
_LOGGERS: Final = ("can", "seeedbus")


class Sender(Protocol):
    """What of a bus a thread sends by."""

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send a frame; raises whatever the backend does."""


@contextmanager
def opened(port: CanPort) -> Iterator[tuple[Sender, Intake]]:
    """Open a bus and give it back; raises whatever its backend does.

    The first look is part of opening: an interface that is down shows only then.
    """
    can = _python_can()
    if port.adapter is CanAdapter.CAN_TCP:
        gateway = RecordSocket.connect(port, can.Message)
        try:
            yield gateway, gateway
        finally:
            gateway.shutdown()
        return
    if port.traits.channel is Channel.DEVICE and not port.over_network:
        _claim(Path(str(port.channel)))
    bus = _open(port, can)
    try:
        ahead = None
        if (reader := _READ_AHEAD.get(port.adapter)) is not None:
            ahead = bus.serialPortOrig = reader(bus.serialPortOrig)
        yield bus, _intake(bus, port, ahead)
    finally:
        # slcan says goodbye before it closes its port, and fails where that is gone.
        with suppress(Exception):
            bus.shutdown()
        _release(bus)


def _open(port: CanPort, can: Any) -> Any:
    module, name = can.interfaces.BACKENDS[port.adapter.value]
    backend = getattr(importlib.import_module(module), name)
    tries = _TRIES
    while True:
        # In two steps: what fails half-way has its port open already.
        bus = backend.__new__(backend)
        try:
            bus.__init__(**_arguments(port, can))
        except Exception as error:
            _release(bus)
            # On a busy bus the first frame may come together with socketcand's last
            # answer, which python-can then takes for another answer.
            tries -= 1
            if not tries or _EARLY_FRAME not in str(error):
                raise
        else:
            return bus


def _files(bus: can.BusABC) -> list[Any]:
    return [
        value
        for value in vars(bus).values()
        if hasattr(value, "fileno") and hasattr(value, "close")
    ]


def _release(bus: can.BusABC) -> None:
    """Close what a backend has left open."""
    for file in _files(bus):
        with suppress(Exception):
            file.close()


def _python_can() -> Any:
    can = importlib.import_module("can")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            # A warning for each frame that arrives in two halves, a trace for each
            # end; what matters is raised, and told once.
            logger.setLevel(logging.CRITICAL)
    return can


def _arguments(port: CanPort, can: Any) -> dict[str, Any]:
    """Return how python-can names what the port says."""
    match port.adapter:
        case CanAdapter.SLCAN:
            return {
                "channel": port.channel,
                "bitrate": port.bitrate,
                "listen_only": port.listen_only,
                "sleep_after_open": 0,
            }
        case CanAdapter.SOCKETCAND:
            return {"channel": port.channel, "host": port.host, "port": port.port}
        case CanAdapter.GS_USB:
            number = int(port.channel or 0)
            return {"channel": number, "index": number, "bitrate": port.bitrate}
        case CanAdapter.SEEEDSTUDIO:
            mode = "silent" if port.listen_only else "normal"
            return {
                "channel": port.channel,
                "bitrate": port.bitrate,
                "operation_mode": mode,
            }
        case CanAdapter.PCAN:
            state = can.BusState.PASSIVE if port.listen_only else can.BusState.ACTIVE
            return {"channel": port.channel, "bitrate": port.bitrate, "state": state}
        case CanAdapter.KVASER:
            return {
                "channel": int(port.channel or 0),
                "bitrate": port.bitrate,
                "driver_mode": not port.listen_only,
            }
        case CanAdapter.CANALYSTII:
            return {"channel": int(port.channel or 0), "bitrate": port.bitrate}
        case CanAdapter.ROBOTELL:
            return {"channel": port.channel, "bitrate": port.bitrate}
        case _:
            return {"channel": port.channel}


def _claim(device: Path) -> None:
    """Raise OSError where another program, or a serial line here, has the port.

    python-can would open it all the same and write into their bus.
    """
    fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if not os.isatty(fd):
            raise OSError(errno.ENOTTY, f"{device} is no serial port")
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(fd)


def _intake(bus: can.BusABC, port: CanPort, ahead: ReadAhead | None) -> Intake:
    if port.adapter is CanAdapter.SOCKETCAND:
        # It keeps its socket to itself and asks for no keep-alive.
        connection = next(iter(_files(bus)), None)
        if connection is not None:
            keep_alive(connection)
        return WaitingIntake(bus, connection)
    try:
        fd = bus.fileno()
    except NotImplementedError:
        return WaitingIntake(bus, None)
    if fd < 0:
        return WaitingIntake(bus, None)
    if port.over_network:
        with socket.socket(fileno=os.dup(fd)) as connection:
            keep_alive(connection)
    elif port.traits.channel is Channel.DEVICE:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return PolledIntake(bus, fd, ahead)
