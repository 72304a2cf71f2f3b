"""Opens python-can's buses and takes what waits in them; for one thread of each bus.

python-can is imported when the first bus is opened. Nothing here may run on an event
loop: importing, opening, reading, sending and shutting down all block.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
import errno
import fcntl
import importlib
import logging
import os
from pathlib import Path
import re
import select
import socket
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from .can_port import CanAdapter, CanPort, Channel
from .link import LinkError, LinkFault, fault_of, keep_alive

if TYPE_CHECKING:
    import can

WAIT: Final = 0.2
"""Seconds for which nothing need come; as late is noticed that the bus is to be closed."""
_READ: Final = 65_536
_PIECE: Final = re.compile(rb"[^\r\a]+|[\r\a]")
_MOST: Final = 1000
"""Frames taken in one go; a bus at 500 kbit/s carries some 4000 a second."""
_FRUITLESS: Final = 256
"""Reads in a row that were due and gave no frame, by which a bus counts as dead."""
_EARLY: Final = 20
"""Waits in a row that ended early and gave no frame, by which a bus counts as dead."""
_SPINS: Final = 3
"""Waits in a row that were spent computing, by which a bus counts as dead."""
_SPIN_SHARE: Final = 0.2
_TRIES: Final = 10
_EARLY_FRAME: Final = "'< ok >< "
_LOGGERS: Final = ("can", "seeedbus")


class Intake(Protocol):
    """Takes the frames that wait in a bus."""

    def take(self) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""


class ReadAhead:
    """A serial port that was read in one go.

    python-can takes its text protocols byte by byte, with two system calls for each: a
    tenth of a core where 16 packs talk. Here it gets all up to an end of line as one
    "byte", which it joins just the same, and the end of line as another.
    """

    def __init__(self, port: Any) -> None:
        """Stand in for a pyserial port."""
        self._port = port
        self._fd: int = port.fileno()
        self._pieces: deque[bytes] = deque()
        self.timeout: float | None = 0.0
        """Of no effect: nothing is waited for here."""

    def fetch(self) -> None:
        """Take over what has arrived; raises OSError where the port has ended."""
        try:
            data = os.read(self._fd, _READ)
        except BlockingIOError:
            return
        if not data:
            raise OSError(errno.EIO, "closed by the other side")
        self._pieces.extend(_PIECE.findall(data))

    @property
    def in_waiting(self) -> int:
        """How often there is something to read."""
        return len(self._pieces)

    def read(self, _: int = 1) -> bytes:
        """Return what comes next."""
        return self._pieces.popleft() if self._pieces else b""

    def write(self, data: bytes) -> int | None:
        """Send bytes."""
        written: int | None = self._port.write(data)
        return written

    def flush(self) -> None:
        """Wait until they are sent."""
        self._port.flush()

    @property
    def write_timeout(self) -> float | None:
        """Seconds that sending may take."""
        timeout: float | None = self._port.write_timeout
        return timeout

    @write_timeout.setter
    def write_timeout(self, timeout: float | None) -> None:
        self._port.write_timeout = timeout

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def close(self) -> None:
        """Close the port."""
        self._port.close()


class PolledIntake:
    """Takes the frames of a bus that has a file descriptor."""

    def __init__(self, bus: can.BusABC, fd: int, ahead: ReadAhead | None) -> None:
        """Watch the descriptor."""
        self._bus = bus
        self._ahead = ahead
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._fruitless = 0

    def take(self) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""
        messages: list[can.Message] = []
        if not self._poll.poll(WAIT * 1000):
            self._fruitless = 0
            return messages
        if self._ahead is not None:
            self._ahead.fetch()
        while True:
            message = self._bus.recv(0)
            if message is not None:
                messages.append(message)
                self._fruitless = 0
            else:
                self._fruitless += 1
                if self._fruitless > _FRUITLESS:
                    raise OSError(errno.EIO, "it reads and reads and there is no frame")
            if not self._more(message is not None, len(messages)):
                return messages

    def _more(self, found: bool, taken: int) -> bool:
        if self._ahead is not None:
            # A frame may be followed by others that python-can has cut already.
            return found or self._ahead.in_waiting > 0
        return taken < _MOST and bool(self._poll.poll(0))


class WaitingIntake:
    """Takes the frames of a bus that hides what it waits for."""

    def __init__(self, bus: can.BusABC, connection: socket.socket | None) -> None:
        """Wait in the bus itself."""
        self._bus = bus
        self._connection = connection
        self._poll = select.poll()
        if connection is not None:
            self._poll.register(connection, select.POLLIN)
        self._early = 0
        self._spins = 0

    def take(self) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""
        if self._connection is not None:
            if not self._poll.poll(WAIT * 1000):
                return []
            if _is_over(self._connection):
                # python-can would read nothing, again and again, with a whole core.
                raise OSError(errno.EPIPE, "closed by the other side")
        begin, worked = time.monotonic(), time.thread_time()
        message = self._bus.recv(WAIT if self._connection is None else 0)
        if message is None:
            self._doubt(time.monotonic() - begin, time.thread_time() - worked)
            return []
        self._early = self._spins = 0
        messages = []
        while message is not None:
            messages.append(message)
            if len(messages) >= _MOST:
                break
            message = self._bus.recv(0)
        return messages

    def _doubt(self, waited: float, worked: float) -> None:
        """Raise OSError where not a silent bus but a dead one gave nothing."""
        self._early = self._early + 1 if waited < WAIT / 2 else 0
        self._spins = self._spins + 1 if worked > WAIT * _SPIN_SHARE else 0
        if self._early >= _EARLY or self._spins >= _SPINS:
            raise OSError(errno.EIO, "it does not wait, and there is no frame")


def _is_over(connection: socket.socket) -> bool:
    with suppress(BlockingIOError):
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return False


@contextmanager
def opened(port: CanPort) -> Iterator[tuple[can.BusABC, Intake]]:
    """Open a bus and give it back; raises whatever its backend does.

    The first look is part of opening: an interface that is down shows only then.
    """
    can = _python_can()
    if port.traits.channel is Channel.DEVICE and not port.over_network:
        _claim(Path(str(port.channel)))
    bus = _open(port, can)
    try:
        ahead = None
        if port.adapter in (CanAdapter.SLCAN, CanAdapter.ROBOTELL):
            ahead = bus.serialPortOrig = ReadAhead(bus.serialPortOrig)
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


_BY_ERRNO: Final = {
    errno.ENODEV: LinkFault.NO_SUCH_INTERFACE,
    errno.ENXIO: LinkFault.NO_SUCH_INTERFACE,
    errno.ENETDOWN: LinkFault.INTERFACE_DOWN,
    errno.EAFNOSUPPORT: LinkFault.MISSING_DRIVER,
    errno.EPROTONOSUPPORT: LinkFault.MISSING_DRIVER,
}


def opening_error(error: Exception, port: CanPort) -> LinkError:
    """Name the fault behind an error of opening a bus, without its trace.

    A trace holds the half-open bus, and with it the port.
    """
    if isinstance(error, LinkError):
        return LinkError(error.fault, str(error))
    return LinkError(_opening_fault(error, port), _text(error))


def ending_error(error: Exception) -> LinkError:
    """Name what has ended a bus, without its trace."""
    if isinstance(error, LinkError):
        return LinkError(error.fault, str(error))
    down = errno.ENETDOWN in _numbers(error)
    return LinkError(LinkFault.INTERFACE_DOWN if down else LinkFault.LOST, _text(error))


def _opening_fault(error: Exception, port: CanPort) -> LinkFault:
    if port.traits.channel is Channel.INTERFACE:
        for number in _numbers(error):
            if number in _BY_ERRNO:
                return _BY_ERRNO[number]
        if "< error" in str(error):
            # socketcand's answer where it has no such interface, or may not use it.
            return LinkFault.NO_SUCH_INTERFACE
    for cause in _chain(error):
        match cause:
            # A vendor's library that is not there leaves names undefined.
            case ImportError() | NotImplementedError() | NameError():
                return LinkFault.MISSING_DRIVER
            case OSError() if "library not found" in str(cause):
                return LinkFault.MISSING_DRIVER
            case Exception() if (found := fault_of(cause)) is not LinkFault.FAILED:
                return found
    return LinkFault.FAILED


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _numbers(error: Exception) -> list[int]:
    """Return the errno of an error and of what is behind it."""
    found = [
        getattr(one, "errno", None) or getattr(one, "error_code", None)
        for one in _chain(error)
    ]
    return [number for number in found if isinstance(number, int)]


def _text(error: Exception) -> str:
    # python-can puts whole traces in its messages.
    lines = str(error).splitlines()
    return lines[0] if lines else repr(error)
