"""What goes wrong on real lines, on purpose and repeatably.

Each fault is written `KIND[:PARAMETER=VALUE...]`, as in `noise:rate=0.01`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from random import Random
from typing import ClassVar, Final, get_args

from .bank import Bank
from .checks import with_crc
from .pack import Image, Outcome, Pack, Writing
from .registers import Block

_MAGIC: Final = b"\x55\xaa\xeb\x90"
_FRAME: Final = 300


@dataclass(slots=True)
class Reply:
    """An answer on its way from a pack to the wire; without data it is never sent."""

    address: int
    data: bytes
    delay: float = 0.0
    block: Block | None = None
    """What it tells of, or a part of it; None for anything else."""


@dataclass(kw_only=True)
class Fault:
    """A fault that does nothing: each kind overrides the moments at which it acts."""

    kind: ClassVar[str] = ""

    address: int | None = None
    """The only pack it concerns, or None for all."""

    random: Random = field(
        init=False, repr=False, compare=False, default_factory=lambda: Random(0)
    )

    def attach(self, bank: Bank, random: Random) -> None:
        """Join a line with its bank, and a source of chance of its own."""
        self.random = random

    def echo(self, data: bytes) -> bytes:
        """What the adapter hears of its own bytes."""
        return b""

    def hears(self, pack: Pack, now: float) -> bool:
        """Whether a pack hears a request."""
        return True

    def shape(self, reply: Reply) -> None:
        """Change a reply before it is sent."""
        if reply.data and self.address in (None, reply.address):
            self._shape(reply)

    def _shape(self, reply: Reply) -> None:
        reply.data = self._damage(reply.data)

    def damage(self, address: int, data: bytes) -> bytes:
        """What arrives of bytes that a pack sends, where only single bytes can suffer."""
        return self._damage(data) if self.address in (None, address) else data

    def _damage(self, data: bytes) -> bytes:
        return data

    def due(self) -> float | None:
        """When it wants to talk by itself."""
        return None

    def emit(self, now: float) -> list[tuple[float, bytes]]:
        """What it puts on the wire by itself, and when."""
        return []

    def _pack(self, bank: Bank) -> Pack:
        """The pack it concerns, the first one if none is named; raises ValueError with a sentence."""
        address = bank.addresses[0] if self.address is None else self.address
        if address not in bank.addresses:
            raise ValueError(f"{self.kind}: no pack has address {address}")
        return bank[address]

    def _chance(self, rate: float) -> bool:
        return self.random.random() < rate

    def _bytes(self, most: int) -> bytes:
        return self.random.randbytes(self.random.randint(0, most))


@dataclass(kw_only=True)
class Noise(Fault):
    """Random bytes inside replies, around them, and by themselves."""

    kind: ClassVar = "noise"
    rate: float = 0.002
    """Chance of a random byte before each byte of a reply."""
    around: int = 4
    """At most so many random bytes before and after each reply."""
    every: float = 0.0
    """Seconds between bursts on the idle line; 0 for none."""
    burst: int = 20
    """Bytes of such a burst."""
    _next: float | None = field(init=False, repr=False, compare=False, default=None)

    def _damage(self, data: bytes) -> bytes:
        noisy = bytearray(self._bytes(self.around))
        for byte in data:
            if self._chance(self.rate):
                noisy += self.random.randbytes(1)
            noisy.append(byte)
        return bytes(noisy + self._bytes(self.around))

    def due(self) -> float | None:
        """The next burst; at once, to learn what time it is, before the first."""
        if not self.every:
            return None
        return 0.0 if self._next is None else self._next

    def emit(self, now: float) -> list[tuple[float, bytes]]:
        """The bursts that were due."""
        if not self.every:
            return []
        if self._next is None:
            self._next = now + self.every
        bursts = []
        while self._next <= now:
            bursts.append((self._next, self.random.randbytes(self.burst)))
            self._next += self.every
        return bursts


@dataclass(kw_only=True)
class Flip(Fault):
    """Single bits turned over."""

    kind: ClassVar = "flip"
    rate: float = 0.001
    """Chance per byte."""

    def _damage(self, data: bytes) -> bytes:
        return bytes(
            byte ^ 1 << self.random.randrange(8) if self._chance(self.rate) else byte
            for byte in data
        )


@dataclass(kw_only=True)
class Drop(Fault):
    """Single bytes lost."""

    kind: ClassVar = "drop"
    rate: float = 0.001
    """Chance per byte."""

    def _damage(self, data: bytes) -> bytes:
        return bytes(byte for byte in data if not self._chance(self.rate))


@dataclass(kw_only=True)
class Torn(Fault):
    """Replies of which only the beginning or only the end arrives."""

    kind: ClassVar = "torn"
    rate: float = 0.1
    """Chance per reply."""

    def _damage(self, data: bytes) -> bytes:
        if len(data) > 1 and self._chance(self.rate):
            cut = self.random.randrange(1, len(data))
            return self.random.choice((data[:cut], data[cut:]))
        return data


@dataclass(kw_only=True)
class Late(Fault):
    """Replies that come when nobody waits for them any more."""

    kind: ClassVar = "late"
    rate: float = 0.1
    """Chance per reply."""
    delay: float = 0.6
    """Seconds added to the turn-around."""

    def _shape(self, reply: Reply) -> None:
        if self._chance(self.rate):
            reply.delay += self.delay


@dataclass(kw_only=True)
class Silent(Fault):
    """Requests that are heard and never answered."""

    kind: ClassVar = "silent"
    rate: float = 0.1
    """Chance per reply."""

    def _shape(self, reply: Reply) -> None:
        if self._chance(self.rate):
            reply.data = b""


@dataclass(kw_only=True)
class Withhold(Fault):
    """A block that is never told, in whatever way it is asked for."""

    kind: ClassVar = "withhold"
    block: Block = Block.SETTINGS

    def _shape(self, reply: Reply) -> None:
        if reply.block is self.block:
            reply.data = b""


@dataclass(kw_only=True)
class Repeat(Fault):
    """Replies whose last 8 bytes, the ACK, come twice."""

    kind: ClassVar = "repeat"
    rate: float = 0.1
    """Chance per reply."""

    def _shape(self, reply: Reply) -> None:
        if self._chance(self.rate):
            reply.data += reply.data[-8:]


@dataclass(kw_only=True)
class Stranger(Fault):
    """Replies that are signed with the address of another pack."""

    kind: ClassVar = "stranger"
    rate: float = 0.1
    """Chance per reply."""

    def _shape(self, reply: Reply) -> None:
        if self._chance(self.rate):
            data = reply.data
            frame = data[:_FRAME] if data.startswith(_MAGIC) else b""
            if message := data[len(frame) : -2]:
                reply.data = frame + with_crc(bytes([message[0] ^ 1]) + message[1:])


@dataclass(kw_only=True)
class Padding(Fault):
    """NUL bytes before and after the last 8 bytes of a reply, the ACK (rs485.md 3.2)."""

    kind: ClassVar = "padding"
    before: int = 1
    after: int = 1

    def _shape(self, reply: Reply) -> None:
        body, ack = reply.data[:-8], reply.data[-8:]
        reply.data = body + bytes(self.before) + ack + bytes(self.after)


@dataclass(kw_only=True)
class Echo(Fault):
    """An adapter that hears itself."""

    kind: ClassVar = "echo"
    most: int = 255
    """At most so many bytes of what was sent at once."""

    def echo(self, data: bytes) -> bytes:
        """The first of the bytes sent."""
        return data[: self.most]


@dataclass(kw_only=True)
class Duplicate(Fault):
    """A second pack with the same address: both answer at once."""

    kind: ClassVar = "duplicate"

    def attach(self, bank: Bank, random: Random) -> None:
        """Put the second pack on the bus."""
        super().attach(bank, random)
        twin = self._pack(bank)
        other = bank.packs[(bank.packs.index(twin) + 1) % len(bank)]
        bank.packs.append(
            Pack(other.trio, twin.address, number=100 + twin.number, still=True)
        )


@dataclass(kw_only=True)
class Readdress(Fault):
    """A pack whose DIP switch is turned while it runs."""

    kind: ClassVar = "readdress"
    to: int = 15
    """The new address; 0 makes a master of it."""
    after: float = 10.0
    """Seconds since the line was first used."""
    _turned: Pack | None = field(init=False, repr=False, compare=False, default=None)
    _time: float | None = field(init=False, repr=False, compare=False, default=None)

    def attach(self, bank: Bank, random: Random) -> None:
        """Choose the pack by the address it has now."""
        super().attach(bank, random)
        self._turned = self._pack(bank)

    def due(self) -> float | None:
        """When it happens; at once, to learn what time it is, before that is known."""
        if self._turned is None:
            return None
        return 0.0 if self._time is None else self._time

    def emit(self, now: float) -> list[tuple[float, bytes]]:
        """Turn the switch when it is time; the wire carries nothing of it."""
        if self._time is None:
            self._time = now + self.after
        if self._turned is not None and now >= self._time:
            self._turned.readdress(self.to)
            self._turned = None
        return []


@dataclass(kw_only=True)
class Timed(Fault):
    """A fault with a beginning and an end, in seconds since the line was first used."""

    after: float = 10.0
    length: float = 30.0
    every: float = 0.0
    """Seconds from one beginning to the next; 0 for once."""
    _origin: float | None = field(init=False, repr=False, compare=False, default=None)

    def active(self, now: float) -> bool:
        """Whether it holds at a time; the first call says when the line came into use."""
        if self._origin is None:
            self._origin = now
        since = now - self._origin - self.after
        if self.every and since > 0:
            since %= self.every
        return 0 <= since < self.length


@dataclass(kw_only=True)
class Vanish(Timed):
    """A pack that leaves the bus and comes back."""

    kind: ClassVar = "vanish"

    def hears(self, pack: Pack, now: float) -> bool:
        """Not while it is gone."""
        return not (self.active(now) and self.address in (None, pack.address))


@dataclass(kw_only=True)
class Alarm(Timed):
    """A pack that warns for a while."""

    kind: ClassVar = "alarm"
    bit: int = 0
    """Its place in the alarm word."""

    def hears(self, pack: Pack, now: float) -> bool:
        """Always; the alarm word is right by the time it answers."""
        if self.address in (None, pack.address):
            mask = 1 << self.bit
            alarms = pack.number_of("alarms") & ~mask
            pack.set("alarms", alarms | mask if self.active(now) else alarms)
        return True


@dataclass(kw_only=True)
class PowerCut(Fault):
    """A pack that loses its power right after it has acknowledged a write."""

    kind: ClassVar = "powercut"
    length: float = 5.0
    """Seconds until it is back."""
    forgets: int = 1
    """1 where the write was not in its memory yet, 0 where it was."""
    times: int = 1
    """How often it happens."""
    _images: dict[int, tuple[int, Image]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
    _dark: dict[int, float] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def hears(self, pack: Pack, now: float) -> bool:
        """Not while it is dark; the write before is found out when it is asked again."""
        if self.address not in (None, pack.address):
            return True
        stored = [entry for entry in pack.journal if entry.outcome is Outcome.STORED]
        known, image = self._images.get(id(pack), (0, pack.image()))
        if len(stored) > known and self.times > 0:
            self.times -= 1
            self._dark[id(pack)] = stored[-1].time + self.length
            if self.forgets:
                pack.restore(image)
        self._images[id(pack)] = (len(stored), pack.image())
        return now >= self._dark.get(id(pack), 0.0)


@dataclass(kw_only=True)
class Writes(Fault):
    """Packs that acknowledge writes and ignore or clamp them, or refuse all."""

    kind: ClassVar = "writes"
    mode: Writing = Writing.IGNORE

    def attach(self, bank: Bank, random: Random) -> None:
        """Change the manners of the packs."""
        super().attach(bank, random)
        for pack in bank:
            if self.address in (None, pack.address):
                pack.writing = self.mode


@dataclass(kw_only=True)
class Outage(Timed):
    """A fault of the gateway or adapter: the server acts on it, not the line."""


@dataclass(kw_only=True)
class Close(Outage):
    """A gateway that drops its clients and refuses new ones, or an adapter that is unplugged."""

    kind: ClassVar = "close"


@dataclass(kw_only=True)
class Mute(Outage):
    """A gateway that stays connected and passes nothing on."""

    kind: ClassVar = "mute"


KINDS: Final[dict[str, type[Fault]]] = {
    kind.kind: kind
    for kind in (
        Noise,
        Flip,
        Drop,
        Torn,
        Late,
        Silent,
        Withhold,
        Repeat,
        Stranger,
        Padding,
        Echo,
        Duplicate,
        Readdress,
        Vanish,
        Alarm,
        PowerCut,
        Writes,
        Close,
        Mute,
    )
}


def _block(text: str) -> Block:
    found = {block.name.lower(): block for block in Block}
    if text not in found:
        raise ValueError(text)
    return found[text]


_PARSERS: Final[dict[type, Callable[[str], object]]] = {
    int: int,
    float: float,
    Writing: Writing,
    Block: _block,
}


def _parameters(kind: type[Fault]) -> Iterator[tuple[str, Callable[[str], object]]]:
    for entry in fields(kind):
        if entry.init:
            types = [entry.type, *get_args(entry.type)]
            yield entry.name, next(_PARSERS[of] for of in _PARSERS if of in types)


def parse_fault(text: str) -> Fault:
    """A fault from its command line form; raises ValueError with a sentence that says what is wrong."""
    name, *pairs = text.split(":")
    kind = KINDS.get(name)
    if kind is None:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(KINDS)}")
    known = dict(_parameters(kind))
    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if key not in known or not separator:
            raise ValueError(
                f"{name} takes {', '.join(f'{key}=VALUE' for key in known)}, not {pair!r}"
            )
        try:
            values[key] = known[key](value)
        except ValueError:
            raise ValueError(f"{value!r} is no value for {key} of {name}") from None
    return kind(**values)  # type: ignore[arg-type]  # the values were converted by the fields' own types
