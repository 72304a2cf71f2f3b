"""Faults that come and go by chance, as on a real line over weeks; with calm in between."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import ClassVar, Final, override

from simulator import Bank, Block, Pack, Writing
from simulator.faults import (
    Drop,
    Duplicate,
    Echo,
    Fault,
    Flip,
    Late,
    Noise,
    Padding,
    PowerCut,
    Readdress,
    Repeat,
    Reply,
    Silent,
    Stranger,
    Torn,
    Vanish,
    Withhold,
    Writes,
)

type Maker = Callable[[Random, list[int]], Fault]

_NEVER: Final = float("inf")


def _rate(random: Random) -> float:
    """A chance per byte, from one in 10 000 to one in 50."""
    return float(10 ** random.uniform(-4, -1.7))


MAKERS: Final[dict[str, Maker]] = {
    "noise": lambda random, _: Noise(
        rate=_rate(random),
        around=random.randint(0, 12),
        every=random.choice((0.0, random.uniform(0.5, 30))),
        burst=random.randint(1, 300),
    ),
    "flip": lambda random, _: Flip(rate=_rate(random)),
    "drop": lambda random, _: Drop(rate=_rate(random)),
    "torn": lambda random, _: Torn(rate=random.uniform(0.02, 0.6)),
    "late": lambda random, _: Late(
        rate=random.uniform(0.05, 0.6), delay=random.uniform(0.05, 3)
    ),
    "silent": lambda random, _: Silent(rate=random.uniform(0.05, 0.9)),
    "withhold": lambda random, places: Withhold(
        address=random.choice(places), block=random.choice(list(Block))
    ),
    "repeat": lambda random, _: Repeat(rate=random.uniform(0.1, 1)),
    "stranger": lambda random, _: Stranger(rate=random.uniform(0.002, 0.02)),
    "padding": lambda random, _: Padding(
        before=random.randint(0, 3), after=random.randint(0, 3)
    ),
    "echo": lambda random, _: Echo(most=random.choice((1, 7, 8, 11, 255))),
    "duplicate": lambda random, places: Duplicate(address=random.choice(places)),
    "readdress": lambda random, places: Readdress(
        address=random.choice(places), to=random.randrange(16), after=0.0
    ),
    "vanish": lambda random, places: Vanish(
        address=random.choice([None, *places]),
        after=0.0,
        length=random.uniform(5, 900),
        every=random.choice((0.0, 1000.0)),
    ),
    "powercut": lambda random, _: PowerCut(
        length=random.uniform(1, 60), forgets=random.randrange(2), times=2
    ),
    "writes": lambda random, _: Writes(mode=random.choice(list(Writing))),
}
OUTAGES: Final = ("close", "mute")
"""They happen to the way to the line, not on it."""


@dataclass(kw_only=True)
class Weather(Fault):
    """Stands in for other faults, of which at each time some are there."""

    kind: ClassVar = "weather"

    seed: int
    kinds: tuple[str, ...]
    storm: tuple[float, float] = (60.0, 1500.0)
    """Seconds that faults last, at least and at most."""
    calm: float = 420.0
    """Seconds without any that follow."""
    outage: str = ""
    """Which one there is now."""
    met: Counter[str] = field(default_factory=Counter)
    """How often each kind was there."""
    active: list[Fault] = field(default_factory=list)
    calm_since: float = 0.0
    """When the last fault ended; infinite while there is one."""
    _bank: Bank | None = None
    _undo: list[Callable[[], None]] = field(default_factory=list)
    _change: float | None = None

    @override
    def attach(self, bank: Bank, random: Random) -> None:
        """Join a line; its chance is the weather's own, and goes on on the next line."""
        if self._bank is None:
            self.random = Random(f"{self.seed}/weather")
        self._bank = bank

    def turn(self, now: float) -> None:
        """Let faults come, or go, where it is time."""
        if self._change is None:
            self._change = now + self.calm
        if now < self._change:
            return
        if self.calm_since == _NEVER:
            self._clear_up()
            self.calm_since = now
            self._change = now + self.calm
        else:
            self._brew(now)
            self.calm_since = _NEVER
            self._change = now + self.random.uniform(*self.storm)

    def worsen(self, now: float) -> None:
        """End a calm at the next turn."""
        self._change = now

    def clear_up(self, now: float) -> None:
        """End all faults, and begin a calm."""
        self._clear_up()
        self.calm_since = now
        self._change = now + self.calm

    def _brew(self, now: float) -> None:
        assert self._bank is not None
        bank, random = self._bank, self.random
        many = min(len(self.kinds), random.choice((1, 1, 2, 3)))
        for kind in random.sample(self.kinds, many):
            self.met[kind] += 1
            if kind in OUTAGES:
                self.outage = kind
                continue
            before = list(bank.packs), [(pack, pack.address) for pack in bank]
            fault = MAKERS[kind](random, bank.addresses)
            fault.attach(bank, Random(f"{random.random()}"))
            self._undo.append(partial(self._restore, bank, *before))
            self.active.append(fault)

    def _restore(
        self, bank: Bank, packs: list[Pack], addresses: list[tuple[Pack, int]]
    ) -> None:
        for twin in (pack for pack in bank.packs if pack not in packs):
            # A twin of the master would go on talking.
            twin.present = False
        bank.packs[:] = packs
        for pack, address in addresses:
            pack.writing = Writing.NORMAL
            if pack.address != address:
                pack.readdress(address)

    def _clear_up(self) -> None:
        while self._undo:
            self._undo.pop()()
        self.active.clear()
        self.outage = ""

    @override
    def echo(self, data: bytes) -> bytes:
        """What the adapter hears of its own bytes."""
        return b"".join(fault.echo(data) for fault in self.active)

    @override
    def hears(self, pack: Pack, now: float) -> bool:
        """Whether a pack hears a request."""
        return all(fault.hears(pack, now) for fault in self.active)

    @override
    def shape(self, reply: Reply) -> None:
        """Change a reply before it is sent."""
        for fault in self.active:
            fault.shape(reply)

    @override
    def damage(self, address: int, data: bytes) -> bytes:
        """What arrives of bytes that a pack sends."""
        for fault in self.active:
            data = fault.damage(address, data)
        return data

    @override
    def due(self) -> float | None:
        """When a fault wants to talk by itself."""
        times = [fault.due() for fault in self.active]
        return min((time for time in times if time is not None), default=None)

    @override
    def emit(self, now: float) -> list[tuple[float, bytes]]:
        """What faults put on the wire by themselves."""
        return [said for fault in self.active for said in fault.emit(now)]
