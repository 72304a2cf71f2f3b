"""What one client of a TCP server says and hears: socketcand's text, or records of 13 bytes."""

from abc import ABC, abstractmethod
import struct
from typing import Final

from .bus import Bus, Tap
from .frame import EXTENDED_MOST, STANDARD_MOST, Frame

_LONGEST: Final = 256
"""Bytes of an element after which socketcand cannot read it any more."""

_MOST_BYTES: Final = 8
_LONG_ID: Final = 8

_RECORD: Final = struct.Struct(">BI8s")
_EXTENDED: Final = 0x80
_REMOTE: Final = 0x40
_RESERVED: Final = 0x30
_LENGTH: Final = 0x0F


class Session(ABC):
    """One connection, without any I/O."""

    def __init__(self, tap: Tap) -> None:
        """Begin a connection."""
        self.tap = tap
        self.over = False
        """Whether the server ends it, once what is left is sent."""
        self.damaged = 0
        """Pieces that could not be understood."""
        self._heard = bytearray()
        self._out = bytearray()

    @abstractmethod
    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the client."""

    @abstractmethod
    def collect(self, now: float) -> bytes:
        """Bytes for the client; the bus has been advanced."""

    def end(self) -> None:
        """The connection is gone."""
        self.tap.detach()

    def _take(self) -> bytes:
        out = bytes(self._out)
        self._out.clear()
        return out


class SocketcandSession(Session):
    """socketcand's modes NO_BUS, BCM and RAW; in the last one frames are passed on."""

    def __init__(
        self, bus: Bus, *, channel: str, bitrate: int, epoch: float, settle: float
    ) -> None:
        """Greet a client.

        The epoch turns the bus's time into that of the clock.  A daemon takes a moment
        to open its raw socket: frames of that time are not heard.
        """
        super().__init__(Tap(bus, sees_errors=True))
        self._channel = channel
        self._bitrate = bitrate
        self._epoch = epoch
        self._settle = settle
        self._bus_open = False
        self._deaf_until: float | None = None
        self._out += b"< hi >"

    def receive(self, data: bytes, now: float) -> None:
        """Take text, and obey the elements that are complete."""
        self._heard += data
        while not self.over:
            start = self._heard.find(b"<")
            if start < 0:
                self._heard.clear()
                return
            end = self._heard.find(b">", start)
            if end < 0:
                if len(self._heard) > _LONGEST:
                    self.damaged += 1
                    self._heard.clear()
                return
            element = bytes(self._heard[start + 1 : end])
            del self._heard[: end + 1]
            self._obey(element.decode("ascii", "replace").split(), now)

    def collect(self, now: float) -> bytes:
        """Answers, and frames in raw mode."""
        for time, frame in self.tap.drain():
            if self._deaf_until is None or time < self._deaf_until or frame.remote:
                # The daemon does not pass remote frames on.
                continue
            moment = time + self._epoch
            if frame.error:
                self._out += f"< error {frame.id:03X} {moment:.6f} >".encode()
                continue
            digits = _LONG_ID if frame.extended else 3
            said = f"< frame {frame.id:0{digits}X} {moment:.6f} {frame.data.hex().upper()} >"
            self._out += said.encode()
        return self._take()

    def _obey(self, words: list[str], now: float) -> None:
        match words:
            case ["open", channel] if not self._bus_open:
                if channel != self._channel:
                    self._out += b"< error could not open bus >"
                    self.over = True
                    return
                self._bus_open = True
                self.tap.open(now, bitrate=self._bitrate)
                self._out += b"< ok >"
            case ["rawmode"] if self._bus_open:
                self._deaf_until = now + self._settle
                self._out += b"< ok >"
            case ["bcmmode"] if self._bus_open:
                self._deaf_until = None
                self._out += b"< ok >"
            case ["echo"] if self._bus_open:
                self._out += b"< echo >"
            case ["send", number, length, *data] if self._bus_open:
                frame = _sent(number, length, data)
                if frame is None:
                    self.damaged += 1
                else:
                    self.tap.send(frame, now)
            case _:
                self._out += b"< error unknown command >"


def _sent(number: str, length: str, data: list[str]) -> Frame | None:
    """The frame of a send command; None if that is none."""
    extended = len(number) == _LONG_ID
    try:
        can_id, count = int(number, 16), int(length)
        content = bytes(int(byte, 16) for byte in data)
    except ValueError:
        return None
    most = EXTENDED_MOST if extended else STANDARD_MOST
    if not 0 <= can_id <= most or count != len(content) or count > _MOST_BYTES:
        return None
    return Frame(id=can_id, extended=extended, data=content)


class RecordSession(Session):
    """Records of 13 bytes, as CAN-Ethernet gateways in transparent mode have them (can.md 3.3)."""

    def __init__(self, bus: Bus, *, now: float, bitrate: int) -> None:
        """Pass on whatever is on the bus."""
        super().__init__(Tap(bus))
        self.tap.open(now, bitrate=bitrate)

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes and send the records among them; a byte that begins none is skipped."""
        self._heard += data
        while len(self._heard) >= _RECORD.size:
            frame = decode_record(bytes(self._heard[: _RECORD.size]))
            if frame is None:
                self.damaged += 1
                del self._heard[0]
                continue
            del self._heard[: _RECORD.size]
            self.tap.send(frame, now)

    def collect(self, now: float) -> bytes:
        """The frames heard, one record each."""
        for _, frame in self.tap.drain():
            self._out += encode_record(frame)
        return self._take()


def encode_record(frame: Frame) -> bytes:
    """A frame as a record."""
    head = frame.extended * _EXTENDED | frame.remote * _REMOTE | frame.code
    return _RECORD.pack(head, frame.id, frame.data)


def decode_record(record: bytes) -> Frame | None:
    """The frame of a record; None if it cannot be one."""
    head, can_id, data = _RECORD.unpack(record)
    extended, remote, length = (
        bool(head & _EXTENDED),
        bool(head & _REMOTE),
        head & _LENGTH,
    )
    most = EXTENDED_MOST if extended else STANDARD_MOST
    if head & _RESERVED or length > _MOST_BYTES or can_id > most:
        return None
    if remote:
        return Frame(id=can_id, extended=extended, remote=True, length=length)
    return Frame(id=can_id, extended=extended, data=data[:length])
