"""The bus between the packs when one of them is its master (rs485.md 4).

The pack at address 0 talks by itself, one thing per slot: its own live data, its
own settings, then one request after the other. Every message starts a slot, so a
slave that answers takes two, an absent address one and the master's own data two:
three slaves at 220 ms make the measured 4.40 s, one slave at 400 ms the 7.2 s.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Unpack, override

from .bank import Bank
from .checks import sum8, with_crc
from .faults import Reply
from .line import Counters, LineOptions, SlaveLine
from .pack import Pack
from .registers import Block
from .wire import Sending

SLOT: Final = 0.220
"""Seconds from one message of the master to its next on firmware 15 (rs485.md 4.2)."""

SLOT_SLOW: Final = 0.400
"""The same on firmware 15.30; 19.31 with 6.7 s for one slave takes 0.372 s (rs485.md 4.2)."""

_SLAVES: Final = range(1, 16)
_MASTER: Final = 0
_REGISTERS: Final = {Block.LIVE: 0x1620, Block.SETTINGS: 0x161E}

_INSTANT: Final = 1e-4
"""Seconds a request takes on a line without wire time, so that its answer comes after it."""

_LOOK: Final = 1.0
"""Seconds between looks whether a pack has become master."""


@cache
def _request(address: int, register: int) -> bytes:
    return with_crc(bytes([address, 0x10]) + register.to_bytes(2) + b"\0\1\2\0\0")


@cache
def _ack(address: int, register: int) -> bytes:
    return with_crc(bytes([address, 0x10]) + register.to_bytes(2) + b"\0\1")


@dataclass(eq=False, slots=True)
class _Master:
    """A pack at address 0 and where it is in its cycle."""

    pack: Pack
    next: float
    """When its next slot begins."""
    settings_for_all: bool
    turns: Iterator[tuple[int, Block]] = field(init=False)
    ack: bytes = b""
    """What ends the answer to its last request."""
    replies: list[Sending] = field(default_factory=list)
    answered: bool = False

    def __post_init__(self) -> None:
        self.turns = self._cycle()

    def _cycle(self) -> Iterator[tuple[int, Block]]:
        while True:
            yield _MASTER, Block.LIVE
            yield _MASTER, Block.SETTINGS
            for address in _SLAVES:
                yield address, Block.LIVE
                if self.settings_for_all or self.answered:
                    yield address, Block.SETTINGS

    def turn(self, now: float, slot: float) -> tuple[int, Block]:
        """What to say in the slot that begins now, after what was heard in the last one."""
        self.answered = any(
            sending.end <= now and not sending.damaged and self.ack in sending.data
            for sending in self.replies
        )
        self.replies = []
        self.next = now + slot
        return next(self.turns)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Poll:
    """A request of the master on its way to the slaves."""

    master: _Master
    request: bytes
    start: float
    end: float
    sending: Sending


class MasterLine(SlaveLine):
    """The RS485-2 bus of a bank: the pack at address 0 is its master, all others answer whoever asks.

    Without such a pack the bus is silent until asked. A pack that gets the address
    becomes master, one that loses it a slave. At address 0 nobody answers.
    """

    def __init__(
        self,
        bank: Bank,
        *,
        slot: float = SLOT,
        settings_for_all: bool = False,
        **options: Unpack[LineOptions],
    ) -> None:
        """Connect packs; some firmware asks absent addresses for settings too.

        In slots under 75 ms the slaves are still deaf when the next request comes,
        unless the line is fast or `deaf` is less.
        """
        super().__init__(bank, **options)
        self.slot = slot
        self.settings_for_all = settings_for_all
        self.polls = Counters()
        """What happened to the master's own messages; `counters` are those of the clients."""
        self.broadcasts = 0
        """How often the master has sent data of its own."""
        self._masters: list[_Master] = []
        self._under_way: deque[_Poll] = deque()
        self._talked_until = float("-inf")
        self._look: float | None = None

    @override
    def connected(self, now: float) -> None:
        """The bus does not care who listens, but runs from now on at the latest."""
        self._advance(now)

    @override
    def receive(self, data: bytes, now: float) -> None:
        """Take bytes that a client puts on the wire, which the slaves hear like those of the master."""
        self._advance(now)
        super().receive(data, now)

    @override
    def due(self) -> float:
        """When something happens next; at once, to learn what time it is, before the first call."""
        event = self._event()
        other = super().due()
        return event if other is None else min(event, other)

    @override
    def collect(self, now: float) -> list[bytes]:
        """What the adapter has heard up to `now`."""
        self._advance(now)
        return super().collect(now)

    def _event(self) -> float:
        if self._look is None:
            return 0.0
        time = min([self._look, *(master.next for master in self._masters)])
        return min(time, self._under_way[0].end) if self._under_way else time

    def _advance(self, now: float) -> None:
        """Let the master talk up to a time."""
        if self._look is None:
            self._look = now
        while (time := self._event()) <= now:
            if self._under_way and self._under_way[0].end <= time:
                self._deliver(self._under_way.popleft())
            elif self._look <= time:
                self._look = time + _LOOK
                self._find(time)
            else:
                self._talk(min(self._masters, key=lambda master: master.next), time)

    def _find(self, now: float) -> None:
        """See which packs have become master: the first one begins at once, further ones anywhere."""
        known = {id(master.pack) for master in self._masters}
        for pack in self.bank:
            if pack.address == _MASTER and pack.present and id(pack) not in known:
                wait = self._random.uniform(0, self.slot) if self._masters else 0.0
                self._masters.append(_Master(pack, now + wait, self.settings_for_all))

    def _talk(self, master: _Master, now: float) -> None:
        """Use the slot that begins now."""
        if master.pack.address != _MASTER or not master.pack.present:
            self._masters.remove(master)
            return
        address, block = master.turn(now, self.slot)
        if not self._on_bus(master.pack, now):
            return
        if address == _MASTER:
            self._broadcast(master.pack, block, now)
        else:
            self._ask(master, address, _REGISTERS[block], now)

    def _broadcast(self, pack: Pack, block: Block, now: float) -> None:
        """Send the master's own data, which nobody has asked for."""
        pack.advance(now)
        # Byte 5 of the master's own frames is 0 whatever its answers carry (rs485.md 3.2).
        frame = bytearray(pack.frame(block)[:-1])
        frame[5] = 0
        frame.append(sum8(frame))
        reply = Reply(
            address=_MASTER,
            data=bytes(frame) + _ack(_MASTER, _REGISTERS[block]),
            block=block,
        )
        for fault in self.faults:
            fault.shape(reply)
        if not reply.data:
            self.polls.withheld += 1
            return
        sending, collided = self._wire.send(reply.data, now + reply.delay)
        self.polls.collisions += collided
        self.broadcasts += 1
        self._replies.append((sending.start, sending.end))
        self._talked_until = sending.end

    def _ask(self, master: _Master, address: int, register: int, now: float) -> None:
        """Send a request of the master; the slaves hear it when it is through."""
        request = heard = _request(address, register)
        for fault in self.faults:
            heard = fault.damage(_MASTER, heard)
        if not heard:
            self.polls.withheld += 1
            return
        sending, collided = self._wire.send(heard, now)
        end = now + max(len(request) * self._wire.byte_time, _INSTANT)
        self._talked_until = end
        if collided or self._joined(self._heard_until, now):
            self.polls.collisions += 1
            return
        master.ack = _ack(address, register)
        self._under_way.append(
            _Poll(master=master, request=request, start=now, end=end, sending=sending)
        )

    def _deliver(self, poll: _Poll) -> None:
        """Let the slaves hear a request of the master that nobody has talked into."""
        if poll.sending.damaged:
            self.polls.collisions += 1
            return
        poll.master.replies = self._hear(poll.request, poll.start, poll.end, self.polls)

    def _joined(self, end: float, start: float) -> bool:
        """Whether a message begins too soon after another for a pack to tell them apart."""
        return bool(self._wire.byte_time) and start < end + self.gap

    @override
    def _meets(self, start: float, end: float) -> bool:
        hit = self._wire.disturb(start, end)
        # What the master says while the client talks has to be on the wire to be damaged.
        self._advance(end)
        hit |= self._wire.disturb(start, end)
        return hit or self._joined(self._talked_until, start)

    @override
    def _addressed(self, request: bytes) -> list[Pack]:
        """No master answers on this bus (rs485.md 4.3)."""
        return [] if request[0] == _MASTER else super()._addressed(request)
