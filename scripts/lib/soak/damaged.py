"""Feed hours of a damaged line to the listener, and compare what it publishes with what was sent."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
import gc
import math
from random import Random
import sys
import tracemalloc
from typing import Any, Final

from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Role
from custom_components.jkbms.protocol.derived import derive
from custom_components.jkbms.protocol.fields import FIELDS_OF
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Appeared, Event, Moved, Updated
from scripts.lib.lively import LivelyPack
import simulator
from simulator import Bank, MasterLine, Speed

_BLOCKS: Final = {
    Block.LIVE: simulator.Block.LIVE,
    Block.SETTINGS: simulator.Block.SETTINGS,
}
_HOUR: Final = 3600.0
_MOST_EXAMPLES: Final = 50
_LONGEST_READ: Final = 400
_RAW: Final = frozenset(
    field.key
    for fields in FIELDS_OF.values()
    for field in fields
    if field.role is Role.RAW
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """Chances of a byte, each on its own."""

    replaced: float = 0.0
    dropped: float = 0.0
    inserted: float = 0.0


class Damager:
    """Damages bytes as a bad line does, repeatably."""

    def __init__(self, damage: Damage, random: Random) -> None:
        """Begin anywhere between two damaged bytes."""
        self._damage = damage
        self._random = random
        self._chance = damage.replaced + damage.dropped + damage.inserted
        self._left = self._gap()

    def _gap(self) -> int:
        """Bytes until the next one that is damaged."""
        if not self._chance:
            return sys.maxsize
        return int(math.log(1 - self._random.random()) / math.log(1 - self._chance))

    def __call__(self, data: bytes) -> bytes:
        """What arrives of some bytes."""
        if self._left >= len(data):
            self._left -= len(data)
            return data
        arrived = bytearray()
        start, at = 0, self._left
        while at < len(data):
            arrived += data[start:at]
            arrived += self._damaged(data[at])
            start = at + 1
            at = start + self._gap()
        self._left = at - len(data)
        return bytes(arrived + data[start:])

    def _damaged(self, byte: int) -> bytes:
        kind = self._random.random() * self._chance
        if kind < self._damage.replaced:
            return bytes([(byte + self._random.randrange(1, 256)) & 0xFF])
        if kind < self._damage.replaced + self._damage.dropped:
            return b""
        return bytes([self._random.randrange(256), byte])


@dataclass(kw_only=True)
class Tally:
    """What was sent, what came through, and what of it was wrong."""

    sent: Counter[str] = field(default_factory=Counter)
    intact: Counter[str] = field(default_factory=Counter)
    """Frames that arrived with their ACK as they were sent."""
    accepted: Counter[str] = field(default_factory=Counter)
    intact_published: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    """Blocks with a wrong value that people are shown: key, sent, published."""
    wrong_raw: int = 0
    """Blocks in which only values were wrong that nobody is shown."""
    invented: list[str] = field(default_factory=list)
    waits: Counter[int] = field(default_factory=Counter)
    """How many intact frames of a block were held back before one was published."""
    clashes: int = 0
    """How often two packs seemed to share an address; here they never do."""


class Endurance:
    """A simulated bus with its own master, a bad line, and a listener."""

    def __init__(
        self, *, packs: int, damage: Damage, seed: int, slot: float = simulator.SLOT
    ) -> None:
        """Connect packs from address 0 on, which is the master."""
        random = Random(f"{seed}/endure")
        self.packs = {n: LivelyPack(n, seed=seed) for n in range(packs)}
        self._line = MasterLine(
            Bank(self.packs.values()), speed=Speed.FAST, seed=seed, slot=slot
        )
        self._damager = Damager(damage, random)
        self._random = random
        self._waiting: Counter[tuple[int, Block]] = Counter()
        self._clashing: set[int] = set()
        self.listener = Listener((), SERIAL)
        self.tally = Tally()
        self.now = 0.0
        """Simulated seconds."""
        self._wake = 0.0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            due = self._line.due()
            self.now = max(self.now, min(self._wake, end if due is None else due))
            data = b"".join(self._line.collect(self.now))
            arrived = self._damager(data)
            intact = set(self._sent(data, arrived))
            published = set()
            for chunk in self._reads(arrived):
                step = self.listener.advance(self.now, chunk)
                self._wake = step.wake
                published |= set(self._judge(step.events))
            for address, block in intact:
                if (address, block) in published:
                    self.tally.intact_published[block.label] += 1
                else:
                    self._waiting[address, block] += 1

    def _reads(self, data: bytes) -> Iterator[bytes]:
        """Yield the data as a port hands it on; nothing too, which tells of silence."""
        at = 0
        while at < len(data):
            size = self._random.randint(1, _LONGEST_READ)
            yield data[at : at + size]
            at += size
        if not data:
            yield b""

    def _sent(self, data: bytes, arrived: bytes) -> Iterator[tuple[int, Block]]:
        """Count the frames that were sent; yield those that arrived as they were."""
        at = 0
        while (at := data.find(b"\x55\xaa\xeb\x90", at)) >= 0:
            answer = data[at : at + 308]
            block = BLOCK_OF_TYPE[answer[4]]
            self.tally.sent[block.label] += 1
            if answer in arrived:
                self.tally.intact[block.label] += 1
                yield answer[300], block
            at += len(answer)

    def _judge(self, events: tuple[Event, ...]) -> Iterator[tuple[int, Block]]:
        """Compare what is published with what was sent; yield what was published."""
        for event in events:
            match event:
                case Updated(address, update):
                    self._compare(address, update.block)
                    yield address, update.block
                case Appeared(address) if address not in self.packs:
                    self.tally.invented.append(f"{address} at {self.now:.0f} s")
                case Moved(old, new):
                    self.tally.invented.append(f"{old} as {new} at {self.now:.0f} s")
                case _:
                    pass

    def report(self) -> dict[str, Any]:
        """Return the figures."""
        tally, stations = self.tally, self.listener.stations
        rejected: Counter[str] = Counter()
        for station in stations.values():
            rejected.update(station.state.rejected)
        intact = sum(tally.intact.values())
        return {
            "sent": dict(tally.sent),
            "intact": dict(tally.intact),
            "accepted": dict(tally.accepted),
            "intact_published": dict(tally.intact_published),
            "share_of_intact": round(sum(tally.intact_published.values()) / intact, 4)
            if intact
            else None,
            "waited": dict(sorted(tally.waits.items())),
            "wrong": tally.wrong,
            "wrong_raw_only": tally.wrong_raw,
            "invented": tally.invented,
            "clashes": tally.clashes,
            "missing": sorted(self.packs.keys() - stations.keys()),
            "rejected": dict(rejected),
            "unattributed": self.listener.unattributed,
            "discarded": self.listener.discarded,
        }

    def _compare(self, address: int, block: Block) -> None:
        tally = self.tally
        tally.accepted[block.label] += 1
        state = self.listener.stations[address].state
        if state.clashing and address not in self._clashing:
            tally.clashes += 1
        (self._clashing.add if state.clashing else self._clashing.discard)(address)
        pack = self.packs.get(address)
        frame = pack.said.get(_BLOCKS[block], b"") if pack else b""
        told = true_values(frame, block) if frame else {}
        wrong = [
            [key, told.get(key), state.values.get(key)]
            for key in told
            if told[key] != state.values.get(key)
        ]
        shown = [entry for entry in wrong if entry[0] not in _RAW]
        if shown or not told:
            if len(tally.wrong) < _MOST_EXAMPLES:
                tally.wrong.append(
                    {"time": round(self.now), "address": address}
                    | {"block": block.label, "wrong": shown}
                )
        elif wrong:
            tally.wrong_raw += 1
        held = self._waiting.pop((address, block), 0)
        tally.waits[held] += 1


def true_values(frame: bytes, block: Block) -> dict[str, Any]:
    """Return what a frame says, decoded as for a BMS whose firmware nobody has told."""
    layout = recognise(frame) or Layout.JK02_32S
    values = decode_block(frame, block, layout, offset=FRAME_HEAD)
    return values | derive(values) if block is Block.LIVE else values


def damaged(
    *, days: float, packs: int, damage: Damage, seed: int, memory: bool = True
) -> dict[str, Any]:
    """Run, and return the report; memory is measured from the end of the first hour."""
    hours = 24 * days
    run = Endurance(packs=packs, damage=damage, seed=seed)
    first = min(1.0, hours / 2)
    if memory:
        tracemalloc.start()
    run.run(first * _HOUR)
    before = _traced() if memory else 0
    run.run((hours - first) * _HOUR)
    after, peak = (_traced(), tracemalloc.get_traced_memory()[1]) if memory else (0, 0)
    if memory:
        tracemalloc.stop()
    report = run.report()
    return {
        "days": days,
        "packs": packs,
        "compared": sum(report["accepted"].values()),
        "wrong": len(report["wrong"]),
        "wrong_examples": report.pop("wrong"),
        "lost_count": len(report["missing"]),
        "errors": [],
        **report,
        "memory_after_first_hour": before,
        "memory_growth": after - before,
        "memory_peak": peak,
    }


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
