"""Takes what waits in a bus of python-can, and notices a bus that is dead.

A backend may spin where its adapter is gone, and say nothing; its own Notifier does so
with a whole core.
"""

from collections import deque
from collections.abc import Iterable
import errno
import os
import re
import select
import socket
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, override

if TYPE_CHECKING:
    import can

WAIT: Final = 0.2
"""Seconds for which nothing need come; as late is noticed that the bus is to be closed."""
_READ: Final = 65_536
_PIECE: Final = re.compile(rb"[^\r\a]+|[\r\a]")
_ENDS: Final = (b"\r", b"\a")
_SLCAN_FRAME: Final = re.compile(
    rb"(?:[tr][0-9A-Fa-f]{3}|[TR][0-9A-Fa-f]{8})([0-8])([0-9A-Fa-f]*)"
)
_SLCAN_STAMP: Final = 4
"""Digits of the time that an adapter may put behind a frame."""
_SLCAN_ANSWER: Final = re.compile(rb"[zZ]?|[VvNF][0-9A-Za-z]*")
_SLCAN_DAMAGED: Final = b"t0008"
"""A frame that lacks its data: it is counted as damaged, and nothing else."""
_SLCAN_LONGEST: Final = 64
_JUDGED: Final = 0.03
"""Seconds of a wait from which it tells whether a bus waits at all."""
_MOST: Final = 1000
"""Frames taken in one go; a bus at 500 kbit/s carries some 4000 a second."""
_FRUITLESS: Final = 256
"""Reads in a row that were due and gave no frame, by which a bus counts as dead."""
_EARLY: Final = 20
"""Waits in a row that ended early and gave no frame, by which a bus counts as dead."""
_SPINS: Final = 3
"""Waits in a row that were spent computing, by which a bus counts as dead."""
_SPIN_SHARE: Final = 0.2


class Intake(Protocol):
    """Takes the frames that wait in a bus."""

    def take(self, wait: float = WAIT) -> list[can.Message]:
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
        self._pieces.extend(self._cut(data))

    def _cut(self, data: bytes) -> Iterable[bytes]:
        return _PIECE.findall(data)

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


class SlcanReadAhead(ReadAhead):
    """The port of an slcan adapter, whole lines at a time.

    An adapter whose buffer runs over loses bytes. python-can fails at what is left of such
    a line, or takes two halves for one frame; here it is counted and left out.
    """

    def __init__(self, port: Any) -> None:
        """Stand in for a pyserial port."""
        super().__init__(port)
        self._rest = b""

    @override
    def _cut(self, data: bytes) -> Iterable[bytes]:
        pieces = _PIECE.findall(self._rest + data)
        self._rest = b""
        if pieces[-1] not in _ENDS:
            self._rest = pieces.pop()
            if len(self._rest) > _SLCAN_LONGEST:
                self._rest = b""
                pieces += [_SLCAN_DAMAGED, b"\r"]
        for piece in pieces:
            yield piece if piece in _ENDS or _is_sound(piece) else _SLCAN_DAMAGED


def _is_sound(line: bytes) -> bool:
    """Tell whether a line is an answer, or a frame with as many bytes as it says."""
    frame = _SLCAN_FRAME.fullmatch(line)
    if frame is None:
        return _SLCAN_ANSWER.fullmatch(line) is not None
    digits = 0 if line[:1] in b"rR" else 2 * int(frame[1])
    return len(frame[2]) in (digits, digits + _SLCAN_STAMP)


class PolledIntake:
    """Takes the frames of a bus that has a file descriptor."""

    def __init__(self, bus: can.BusABC, fd: int, ahead: ReadAhead | None) -> None:
        """Watch the descriptor."""
        self._bus = bus
        self._ahead = ahead
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._fruitless = 0

    def take(self, wait: float = WAIT) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""
        messages: list[can.Message] = []
        if not self._poll.poll(wait * 1000):
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

    def take(self, wait: float = WAIT) -> list[can.Message]:
        """Wait a moment for a first frame and return all that are there."""
        if self._connection is not None:
            if not self._poll.poll(wait * 1000):
                return []
            if not self._connection.recv(1, socket.MSG_PEEK):
                # python-can would read nothing, again and again, with a whole core.
                raise OSError(errno.EPIPE, "closed by the other side")
        begin, worked = time.monotonic(), time.thread_time()
        message = self._bus.recv(wait if self._connection is None else 0)
        if message is None:
            if wait >= _JUDGED:
                waited, busy = time.monotonic() - begin, time.thread_time() - worked
                self._doubt(wait, waited, busy)
            return []
        self._early = self._spins = 0
        messages = []
        while message is not None:
            messages.append(message)
            if len(messages) >= _MOST:
                break
            message = self._bus.recv(0)
        return messages

    def _doubt(self, wait: float, waited: float, worked: float) -> None:
        """Raise OSError where not a silent bus but a dead one gave nothing."""
        self._early = self._early + 1 if waited < wait / 2 else 0
        self._spins = self._spins + 1 if worked > wait * _SPIN_SHARE else 0
        if self._early >= _EARLY or self._spins >= _SPINS:
            raise OSError(errno.EIO, "it does not wait, and there is no frame")
