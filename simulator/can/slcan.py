"""An slcan adapter as Lawicel describes it and CANable copies it: text lines that end with CR."""

from typing import Final

from ..faults import Fault
from .bus import Bus, Tap
from .faults import damaged
from .frame import EXTENDED_MOST, STANDARD_MOST, Frame

_OK: Final = b"\r"
_BELL: Final = b"\a"
_LONGEST: Final = 64
"""Bytes of a command after which the adapter gives up waiting for its end."""

_RATES: Final = {
    "0": 10_000,
    "1": 20_000,
    "2": 50_000,
    "3": 100_000,
    "4": 125_000,
    "5": 250_000,
    "6": 500_000,
    "7": 800_000,
    "8": 1_000_000,
}
"""What S0 to S8 choose."""

_CLOCK: Final = 8_000_000
"""Hz of the controller whose timing registers the command `s` sets."""

_VERSION: Final = b"V1013"
_SERIAL: Final = b"NJK01"
_MINUTE: Final = 60_000

_TX_FULL: Final = 1 << 1
_WARNING: Final = 1 << 2
_PASSIVE: Final = 1 << 5
_BUS_ERROR: Final = 1 << 7

_SHORT_ID: Final = 3
_LONG_ID: Final = 8
_MOST_BYTES: Final = 8


def encode(frame: Frame, stamp: int | None = None) -> bytes:
    """A frame as the adapter writes it, with the milliseconds of a minute if wanted."""
    if frame.extended:
        head = f"{'R' if frame.remote else 'T'}{frame.id:08X}"
    else:
        head = f"{'r' if frame.remote else 't'}{frame.id:03X}"
    tail = "" if stamp is None else f"{stamp:04X}"
    return f"{head}{frame.code}{frame.data.hex().upper()}{tail}\r".encode()


def decode(command: str) -> Frame | None:
    """The frame that a client wants to send; None if that is none."""
    kind, rest = command[0], command[1:]
    extended, remote = kind in "TR", kind in "rR"
    digits = _LONG_ID if extended else _SHORT_ID
    number, code, data = rest[:digits], rest[digits : digits + 1], rest[digits + 1 :]
    if not _is_hex(number, digits) or not code.isdecimal():
        return None
    length, can_id = int(code), int(number, 16)
    if length > _MOST_BYTES or can_id > (EXTENDED_MOST if extended else STANDARD_MOST):
        return None
    if not _is_hex(data, 0 if remote else 2 * length):
        return None
    if remote:
        return Frame(id=can_id, extended=extended, remote=True, length=length)
    return Frame(id=can_id, extended=extended, data=bytes.fromhex(data))


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(
        letter in "0123456789ABCDEFabcdef" for letter in text
    )


class SlcanAdapter:
    """One adapter: it keeps its state when its client leaves, and loses it with its power."""

    def __init__(self, bus: Bus) -> None:
        """Connect an adapter, closed and without a bit rate."""
        self.bus = bus
        self.tap = Tap(bus)
        self.refused = 0
        """Commands that were answered with BEL."""
        self._rate: int | None = None
        self._stamps = False
        self._command = bytearray()
        self._out = bytearray()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong on the bus behind it."""
        return self.bus.faults

    def power_up(self) -> None:
        """Forget everything, as an adapter that was plugged in again."""
        self.tap.close()
        self._rate = None
        self._stamps = False
        self._command.clear()
        self._out.clear()

    def connected(self, now: float) -> None:
        """The adapter does not notice who opens its port."""

    def receive(self, data: bytes, now: float) -> None:
        """Take the bytes of a client and obey the commands that are complete."""
        self.bus.advance(now)
        for byte in data:
            if byte != _OK[0]:
                self._command.append(byte)
                continue
            command = bytes(self._command)
            self._command.clear()
            reply = _BELL
            if len(command) <= _LONGEST and command.isascii():
                reply = self._obey(command.decode(), now)
            self.refused += reply == _BELL
            self._out += reply
        # Of a command without end only so much is kept as shows that it is too long.
        del self._command[_LONGEST + 1 :]

    def due(self) -> float | None:
        """At once with an answer to give, else when the bus has something."""
        return 0.0 if self._out else self.bus.due()

    def collect(self, now: float) -> list[bytes]:
        """Answers, and the frames heard."""
        self.bus.advance(now)
        for time, frame in self.tap.drain():
            stamp = round(time * 1000) % _MINUTE if self._stamps else None
            self._out += encode(frame, stamp)
        if not self._out:
            return []
        said = damaged(self.faults, bytes(self._out))
        self._out.clear()
        return [said]

    def _obey(self, command: str, now: float) -> bytes:
        if not command:
            return _OK
        match command[0], command[1:], self.tap.is_open:
            case "S", code, False if code in _RATES:
                self._rate = _RATES[code]
                return _OK
            case "s", code, False if _is_hex(code, 4):
                self._rate = _rate_of(*bytes.fromhex(code))
                return _OK
            case "O" | "L" as mode, "", False if self._rate is not None:
                self.tap.open(now, bitrate=self._rate, listen_only=mode == "L")
                return _OK
            case "C", "", True:
                self.tap.close()
                return _OK
            case "Z", "0" | "1" as wanted, False:
                self._stamps = wanted == "1"
                return _OK
            case "V", "", _:
                return _VERSION + _OK
            case "N", "", _:
                return _SERIAL + _OK
            case "F", "", True:
                return f"F{self._flags():02X}\r".encode()
            case "t" | "T" | "r" | "R", _, True if not self.tap.listen_only:
                return self._send(command, now)
        return _BELL

    def _send(self, command: str, now: float) -> bytes:
        frame = decode(command)
        if frame is None or not self.tap.send(frame, now):
            return _BELL
        return b"Z\r" if frame.extended else b"z\r"

    def _flags(self) -> int:
        """The status, and with it the end of what it remembers."""
        tap = self.tap
        flags = (
            tap.overflowed * _TX_FULL
            | tap.warned * _WARNING
            | tap.passive * _PASSIVE
            | (tap.unread_errors > 0) * _BUS_ERROR
        )
        tap.overflowed = False
        tap.unread_errors = 0
        return flags


def _rate_of(first: int, second: int) -> int:
    """The bit rate of an SJA1000's two timing registers."""
    prescaler = (first & 0x3F) + 1
    quanta = 1 + (second & 0xF) + 1 + (second >> 4 & 7) + 1
    return _CLOCK // (prescaler * quanta)
