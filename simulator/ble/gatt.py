"""A pack as its Bluetooth module shows it: orders in, notifications out, time as an argument."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..pack import Outcome, Pack
from ..registers import Block
from .frames import Generation, frame_of

_ORDER: Final = b"\xaa\x55\x90\xeb"
_ORDER_SIZE: Final = 20
IDLE: Final = b"AT\r\n"
READY: Final = bytes.fromhex("AA5590EBC8010100000000000000000000000044")
_FRAME_AFTER: Final = 0.03
_READY_AFTER: Final = 0.12
"""Seconds from an order to the frame, and to the pack's word for being ready."""
_STREAM_EVERY: Final = 0.5
_IDLE_EVERY: Final = 0.2
_TOO_FAST: Final = 0.8
"""Seconds between two changes below which the second is not taken (ble.md 2)."""
_REPEATED: Final = 0xA5
_ATT: Final = 3
"""Bytes of a packet that are no content."""


class Glue(StrEnum):
    """How the word of being ready is sent (ble.md 2)."""

    APART = "apart"
    """As a notification of its own: 10.x, 11.x."""
    GLUED = "glued"
    """Directly behind the frame: 7.x, 8.x."""
    GLUED_IDLE = "glued_idle"
    """Behind the frame, with the module's text behind it: 14.x and later."""


@dataclass(frozen=True, slots=True)
class _Register:
    """What an order changes: a register of RS485, or one bit of it."""

    address: int
    width: int
    length: int
    """Bytes of the value in the order, and in the register."""
    bit: int | None = None


def _registers() -> Iterator[tuple[int, _Register]]:
    for number in range(0x01, 0x21):
        yield number, _Register(0x1000 + 4 * (number - 1), 4, 4)
    yield 0x21, _Register(0x1080, 4, 4)
    yield 0x22, _Register(0x1084, 4, 4)
    yield 0x25, _Register(0x110C, 4, 4)
    for bit in range(16):
        yield 0x27 + bit, _Register(0x1114, 2, 4, bit)
    # Two values of one byte share a register of RS485.
    yield 0x37, _Register(0x1116, 2, 1, -1)
    yield 0x38, _Register(0x1117, 2, 1, -1)
    yield 0x39, _Register(0x1118, 2, 1, -1)
    yield 0x3A, _Register(0x1122, 2, 1, -1)
    yield 0x3B, _Register(0x1123, 2, 1, -1)
    yield 0xA5, _Register(0x14B2, 2, 2, -1)
    yield 0xA6, _Register(0x14B3, 2, 2, -1)
    yield 0xA9, _Register(0x14E4, 2, 2, -1)
    yield 0xAA, _Register(0x14E5, 2, 2, -1)
    yield 0xAB, _Register(0x14E6, 2, 2, -1)
    yield 0xB3, _Register(0x1504, 2, 1, -1)
    yield 0xB4, _Register(0x1505, 2, 1, -1)


_CELLS_32: Final = dict(_registers())
_CELLS_24: Final = {number: _CELLS_32[number] for number in (0x1D, 0x1E, 0x1F)}
_WRITABLE: Final = {
    Generation.CELLS_32: _CELLS_32,
    Generation.CELLS_24: _CELLS_24,
    Generation.FLOATS: dict[int, _Register](),
}


class GattPack:
    """One pack, one module, and at most one client."""

    def __init__(
        self,
        pack: Pack,
        *,
        generation: Generation = Generation.CELLS_32,
        mtu: int = 247,
        glue: Glue = Glue.APART,
        idle: bool = False,
        joined: bool = False,
        repeats: bool = False,
        lose: Iterable[int] = (),
    ) -> None:
        """Switch the module on.

        `joined` lets frames that are sent together share notifications, `repeats` sends
        the device information along with the settings as newer boards do.
        """
        self.pack = pack
        self.generation = generation
        self.mtu = mtu
        self.glue = glue
        self.idle = idle
        self.joined = joined
        self.repeats = repeats
        self.lose = set(lose)
        """Numbers of notifications that get lost, counted from 0."""
        self.mute = False
        """Whether it takes orders and answers nothing; the module's text goes on."""
        self.ignores: set[int] = set()
        """Orders that it says yes to without doing anything."""
        self.unheard = 0
        """How many of the next changes it neither takes nor answers."""
        self.connected = False
        self.connections = 0
        self.orders: list[tuple[float, int, bytes]] = []
        """Every order with its time, register and value."""
        self.notifications: list[bytes] = []
        """Everything sent since the last connection was made, packet by packet."""
        self._counter = 0
        self._waiting: deque[tuple[float, tuple[bytes, ...]]] = deque()
        self._stream_at: float | None = None
        self._idle_at = 0.0
        self._changed = float("-inf")

    def connect(self, now: float) -> None:
        """Let the one client in."""
        assert not self.connected, "a pack takes one client"
        self.connected = True
        self.connections += 1
        self.notifications.clear()
        self._waiting.clear()
        self._stream_at = None
        self._idle_at = now + _IDLE_EVERY

    def stop(self) -> None:
        """Cease to stream until asked again."""
        self._stream_at = None

    @property
    def _flows(self) -> bool:
        return self._stream_at is not None and not self.mute

    def disconnect(self) -> None:
        """See the client off."""
        self.connected = False

    def write(self, order: bytes, now: float) -> None:
        """Take an order of 20 bytes; what is none is ignored."""
        if len(order) != _ORDER_SIZE or not order.startswith(_ORDER):
            return
        if sum(order[:-1]) % 256 != order[-1] or order[5] > 13:
            return
        register, value = order[4], order[6 : 6 + order[5]]
        self.orders.append((now, register, value))
        if self.mute:
            return
        self.pack.advance(now)
        match register:
            case 0x97:
                self._answer([self._frame(Block.DEVICE)], now)
            case 0x96:
                frames = [self._frame(Block.SETTINGS)]
                if self.repeats:
                    frames.append(self._frame(Block.DEVICE, _REPEATED))
                self._answer(frames, now)
                self._stream_at = now + _READY_AFTER + _STREAM_EVERY
            case _:
                self._change(register, value, now)

    def due(self) -> float | None:
        """When something is to be sent next; None while nothing is."""
        if not self.connected:
            return None
        times = [self._waiting[0][0]] if self._waiting else []
        if self._flows and self._stream_at is not None:
            times.append(self._stream_at)
        if self.idle:
            times.append(self._idle_at)
        return min(times, default=None)

    def collect(self, now: float) -> list[bytes]:
        """The notifications that are sent by then."""
        sent: list[bytes] = []
        while (due := self.due()) is not None and due <= now:
            if self._waiting and self._waiting[0][0] <= due:
                for part in self._waiting.popleft()[1]:
                    sent += self._packets(part)
            elif self._flows and self._stream_at is not None and self._stream_at <= due:
                self._stream_at = due + _STREAM_EVERY
                self.pack.advance(due)
                frame = self._frame(Block.LIVE)
                sent += self._packets(IDLE + frame if self.idle else frame)
            else:
                self._idle_at += _IDLE_EVERY
                sent.append(IDLE)
        first = len(self.notifications)
        self.notifications += sent
        return [
            packet
            for number, packet in enumerate(sent, first)
            if number not in self.lose
        ]

    def _frame(self, block: Block, counter: int | None = None) -> bytes:
        self._counter = (self._counter + 1) % 256
        return frame_of(
            self.pack,
            block,
            self.generation,
            self._counter if counter is None else counter,
        )

    def _packets(self, data: bytes) -> list[bytes]:
        size = self.mtu - _ATT
        return [data[at : at + size] for at in range(0, len(data), size)]

    def _answer(self, frames: list[bytes], now: float) -> None:
        ready = READY + IDLE if self.glue is Glue.GLUED_IDLE else READY
        if self.glue is not Glue.APART:
            frames = [*frames[:-1], frames[-1] + ready]
        if self.joined:
            frames = [b"".join(frames)]
        self._waiting.append((now + _FRAME_AFTER, tuple(frames)))
        if self.glue is Glue.APART:
            self._waiting.append((now + _READY_AFTER, (READY,)))

    def _change(self, number: int, value: bytes, now: float) -> None:
        """Take a change; what comes too soon after another is neither taken nor answered."""
        if now - self._changed < _TOO_FAST:
            return
        self._changed = now
        if self.unheard:
            self.unheard -= 1
            return
        if number not in self.ignores:
            self._apply(number, value, now)
        self._waiting.append((now + _READY_AFTER, (READY,)))

    def _apply(self, number: int, value: bytes, now: float) -> None:
        register = _WRITABLE[self.generation].get(number)
        whole = self.generation is Generation.CELLS_32
        if whole and number == 0x6C and len(value) == 4:
            self.pack.act(0x1612, value[::-1], now)
        elif whole and number == 0x6B and len(value) == 4:
            self.pack.act(0x1610, b"\0\0", now)
        elif register is None or len(value) != register.length:
            # Another meaning, or a button that resets, restarts or loads limits.
            self.pack.note(number, value, now, Outcome.IGNORED)
        elif register.bit is None:
            self.pack.write(register.address, value[::-1], now)
        elif register.bit < 0:
            self._write_byte(register.address, value[0], now)
        else:
            word = self.pack.number_of("function_word")
            mask = 1 << register.bit
            word = word | mask if any(value) else word & ~mask
            self.pack.write(register.address, word.to_bytes(2), now)

    def _write_byte(self, address: int, value: int, now: float) -> None:
        pair = address & ~1
        held = self.pack.read(pair, 2)
        assert isinstance(held, bytes)
        both = bytearray(held)
        both[address & 1] = value
        self.pack.write(pair, bytes(both), now)
