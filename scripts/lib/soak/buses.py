"""The three buses: asked, listened to, and CAN."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final, override

from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import NETWORK
from custom_components.jkbms.protocol.state import Update
from custom_components.jkbms.protocol.write_job import Outcome
from custom_components.jkbms.protocol.writing import Change
from custom_components.jkbms.transport.can_record import RecordFramer
from custom_components.jkbms.transport.session import Session
from scripts.lib.lively import LivelyPack
import simulator
from simulator import Bank, Speed
from simulator.can import CanBus
from simulator.can.faults import Alone, Errors, Flood
from simulator.can.sessions import RecordSession
from simulator.faults import Fault
from simulator.line import LineOptions

from .rig import DAY, HOUR, MemoryLine, Rig
from .truth import CanTruth, ToldMaster, ToldSlaves, Truth, Wrong
from .weather import MAKERS, OUTAGES, Weather

type _Receive = Callable[[Any], None]
type _Lost = Callable[[Exception | None], None]

_ON_WIRE: Final = tuple(MAKERS)
INTERVAL: Final = 60.0
"""Seconds between two live blocks of a pack that is asked, unless told."""
_WRITE_EVERY: Final = 2 * HOUR
_ASK_EVERY: Final = HOUR / 3
"""Seconds from one `update_entity` to the next."""
_SETTING: Final = BY_KEY["balance_trigger_voltage"]
_REGISTER: Final = "balance_trigger"
_SESSION: Final = 600.0
"""Seconds of each hour in which a bus talks that talks all the time."""
_CAN_SESSION: Final = 150.0


def _wire(seed: int, weather: Weather) -> LineOptions:
    """Answers come whole; those of two packs do not begin in the same microsecond."""
    return {
        "speed": Speed.WIRE,
        "jitter": 0.003,
        "chunk": 512,
        "seed": seed,
        "faults": [weather],
    }


def _bank(packs: int, seed: int) -> Bank:
    return Bank([LivelyPack(address, seed=seed) for address in range(packs)])


class MasterRig(Rig):
    """16 packs that are asked, and now and then set."""

    name = "master"

    def __init__(self, *, packs: int, seed: int, interval: float = INTERVAL) -> None:
        """Connect packs to a line, to be asked every `interval` seconds."""
        weather = Weather(seed=seed, kinds=(*_ON_WIRE, *OUTAGES))
        super().__init__(weather, _bank(packs, seed))
        self._line = ToldSlaves(self.bank, **_wire(seed, weather))
        # An answer may be three seconds late, and registers are read one after the other.
        self._line.truth = self._truth = Truth(30.0)
        self._random = Random(f"{seed}/writes")
        self._machine = Master(
            range(packs), Plan(live=interval), NETWORK, self._loop.time()
        )
        self.session = Session(self._open, self._machine, self.take, self.status)
        self._written: Counter[str] = Counter()
        self._unproven: list[str] = []
        self._all_written = 0

    @property
    @override
    def stations(self) -> dict[int, Any]:
        return self._machine.stations

    async def _open(self, receive: _Receive, lost: _Lost) -> MemoryLine:
        self.refuse()
        line = self._line
        return MemoryLine(
            line.collect, line.due, receive, lost, self.weather, line.receive
        )

    @override
    def check(self, address: int, update: Update) -> Wrong | None:
        state = self._machine.stations[address].state
        return self._truth.check(state, address, update.block, self.now)

    @override
    async def live(self, days: float) -> None:
        asking = asyncio.ensure_future(self._ask_in_between())
        end = self.now + days * DAY
        while self.now < end:
            await asyncio.sleep(min(_WRITE_EVERY, end - self.now))
            if self.now < end:
                await self._write()
        asking.cancel()

    async def _ask_in_between(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * _ASK_EVERY)
            self._machine.ask_now(self.now)
            self.session.advance()

    async def _write(self) -> None:
        """Change a setting; what is called proven has to be in the pack."""
        self._audit()
        address = self._random.randrange(len(self._machine.stations))
        value = self._random.randrange(5, 20) / 1000
        result = await self.session.write(Change(address, _SETTING, value))
        self._written[result.outcome] += 1
        if result.outcome is Outcome.PROVEN:
            found = {
                pack.number_of(_REGISTER)
                for pack in self.bank
                if pack.address == address
            }
            if round(value * 1000) not in found:
                told = f"{address} at {self.now:.0f} s: {value} and not {found}"
                self._unproven.append(told)

    def _audit(self) -> None:
        """Look at what the packs have noted, and let them forget it."""
        for pack in self.bank:
            self._all_written += len(pack.journal)
            self._unproven += [f"dangerous: {one}" for one in pack.dangerous]
            pack.journal.clear()

    @override
    def details(self) -> dict[str, Any]:
        self._audit()
        return {
            "interval": self._machine.plan.live,
            "compared": self._truth.compared,
            "wrong_raw_only": self._truth.wrong_raw,
            "close": self._truth.close,
            "writes": dict(self._written),
            "written": self._all_written,
            "writes_wrong": self._unproven,
        }


class ListenerRig(Rig):
    """16 packs whose master talks for a part of each hour."""

    name = "listener"

    def __init__(self, *, packs: int, seed: int) -> None:
        """Connect packs to a line."""
        weather = Weather(
            seed=seed,
            kinds=(*_ON_WIRE, *OUTAGES),
            storm=(60.0, _SESSION - 340.0),
            calm=0.0,
        )
        super().__init__(weather, _bank(packs, seed))
        self._seed = seed
        self._truth = Truth(10.0)
        self._line: ToldMaster | None = None
        self._machine = Listener((), NETWORK)
        self.session = Session(self._open, self._machine, self.take, self.status)

    @property
    @override
    def stations(self) -> dict[int, Any]:
        return self._machine.stations

    async def _open(self, receive: _Receive, lost: _Lost) -> MemoryLine:
        self.refuse()

        def collect(now: float) -> list[bytes]:
            return [] if self._line is None else self._line.collect(now)

        def due() -> float | None:
            return None if self._line is None else self._line.due()

        return MemoryLine(collect, due, receive, lost, self.weather)

    @override
    def check(self, address: int, update: Update) -> Wrong | None:
        state = self._machine.stations[address].state
        return self._truth.check(state, address, update.block, self.now)

    @override
    async def live(self, days: float) -> None:
        end = self.now + days * DAY
        while self.now < end:
            begin = self.now
            line = ToldMaster(self.bank, **_wire(self._seed, self.weather))
            line.truth = self._truth
            self._line = line
            self.weather.calm = 0.0
            self.weather.worsen(self.now)
            await asyncio.sleep(_SESSION - 330.0)
            # What is left of the session is calm, so that all have to be there at its end.
            self.weather.calm = HOUR
            self.weather.clear_up(self.now)
            await asyncio.sleep(330.0)
            self._line = None
            await asyncio.sleep(max(0.0, begin + HOUR - self.now))

    @override
    def details(self) -> dict[str, Any]:
        return {
            "seconds_of_each_hour": _SESSION,
            "compared": self._truth.compared,
            "wrong_raw_only": self._truth.wrong_raw,
            "close": self._truth.close,
            "discarded": self._machine.discarded,
            "unattributed": self._machine.unattributed,
        }


_CAN_FAULTS: Final[dict[str, Callable[[Random, list[int]], Fault]]] = {
    "flood": lambda random, _: Flood(
        rate=random.uniform(10, 400), hits=random.choice((0.0, 0.01))
    ),
    "errors": lambda random, _: Errors(rate=random.uniform(1, 50)),
    "alone": lambda random, _: Alone(),
    **{name: MAKERS[name] for name in ("vanish", "duplicate", "readdress")},
}
_SAME: Final = 10.0
"""Seconds after which what a pack still says is noted again."""
_PAUSE: Final = 0.05
"""Seconds from one fetch of what has gathered to the next."""


class CanRig(Rig):
    """Packs that talk by themselves on CAN for a part of each hour, through a gateway."""

    name = "can"
    settled = _CAN_SESSION - 31.0

    def __init__(self, *, packs: int, seed: int) -> None:
        """Connect packs to a bus."""
        weather = Weather(seed=seed, kinds=OUTAGES, storm=(5.0, 60.0), calm=0.0)
        super().__init__(weather, _bank(packs, seed))
        self._seed = seed
        self._random = Random(f"{seed}/can")
        self.weather.attach(self.bank, self._random)
        self._truth = CanTruth(45.0)
        self._noted: dict[int, tuple[bytes, float]] = {}
        """What was noted last of each pack, and when."""
        self._talk: RecordSession | None = None
        self._framer = RecordFramer()
        self._messages = 0
        self._machine = CanListener(range(packs))
        self.session = Session(self._open, self._machine, self.take, self.status)

    @property
    @override
    def stations(self) -> dict[int, Any]:
        return self._machine.stations

    async def _open(self, receive: _Receive, lost: _Lost) -> MemoryLine:
        self.refuse()
        self._framer = RecordFramer()
        return MemoryLine(self._collect, self._due, receive, lost, self.weather)

    def _due(self) -> float | None:
        return None if self._talk is None else self.now + _PAUSE

    def _collect(self, now: float) -> list[Any]:
        if self._talk is None:
            return []
        self._talk.tap.bus.advance(now)
        for pack in self.bank:
            said = pack.frame(simulator.Block.LIVE)
            before, noted = self._noted.get(id(pack), (b"", 0.0))
            # A twin says the same for ever: that is true for as long as it says it.
            if said is not before or now >= noted + _SAME:
                self._noted[id(pack)] = said, now
                self._truth.note(now, pack.address, pack)
        messages = self._framer.feed(self._talk.collect(now))
        self._messages += len(messages)
        return [messages] if messages else []

    @override
    def check(self, address: int, update: Update) -> Wrong | None:
        values = self._machine.stations[address].state.values
        return self._truth.check(values, address, self.now)

    @override
    async def live(self, days: float) -> None:
        end = self.now + days * DAY
        while self.now < end:
            begin = self.now
            packs, places = list(self.bank.packs), self.addresses
            self.weather.worsen(self.now)
            await self._say(self._faults())
            self.bank.packs[:] = packs
            for pack, address in zip(packs, places, strict=True):
                if pack.address != address:
                    pack.readdress(address)
            self.weather.calm = HOUR
            self.weather.clear_up(self.now)
            await self._say(())
            self.weather.calm = 0.0
            await asyncio.sleep(max(0.0, begin + HOUR - self.now))

    def _faults(self) -> list[Fault]:
        random = self._random
        chosen = random.sample(list(_CAN_FAULTS), random.choice((0, 1, 1, 2)))
        self.weather.met.update(chosen)
        return [_CAN_FAULTS[kind](random, self.addresses) for kind in chosen]

    async def _say(self, faults: Iterable[Fault]) -> None:
        """Let the packs talk for a while."""
        bus = CanBus(self.bank, seed=self._random.randrange(1 << 30), faults=faults)
        self._talk = RecordSession(bus, now=self.now, bitrate=bus.bitrate)
        await asyncio.sleep(_CAN_SESSION)
        self._talk = None

    @override
    def details(self) -> dict[str, Any]:
        return {
            "seconds_of_each_hour": 2 * _CAN_SESSION,
            "messages": self._messages,
            "compared": self._truth.compared,
            "foreign": self._machine.foreign,
            "malformed": self._machine.malformed,
            "implausible": self._machine.implausible,
        }


RIGS: Final = {rig.name: rig for rig in (MasterRig, ListenerRig, CanRig)}
PACKS: Final = {"master": 16, "listener": 16, "can": 4}
