"""Packs that are read by their frames, a teller, and an inverter: hours of it in moments."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from custom_components.jkbms.protocol.bank_member import Member
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame as PackFrame
from custom_components.jkbms.protocol.inverter.languages import Language
from custom_components.jkbms.protocol.inverter.limits import Rules
from custom_components.jkbms.protocol.inverter.sight import PackSight
from custom_components.jkbms.protocol.inverter.teller import Teller
from custom_components.jkbms.protocol.state import BmsState
from simulator import Block as WireBlock, Pack, Speed
from simulator.can import Bus, Frame, frame_of, parallel_bank
from simulator.can.bus import Node, Tap
from simulator.inverter import LANGUAGES, InverterHost

POLL: Final = 5.0
"""Seconds between two readings of a pack."""
REACTS_WITHIN: Final = 17.0
"""Seconds from a change in a pack to the inverter obeying, whatever was changed: values
are 10 s old at most, one reading of 5 s may be doubted, and a second each is taken to
hand them over and to tell them."""
GIVES_UP_WITHIN: Final = 10.0
"""Seconds of silence after which the inverter stops."""
_PACKS: Final = (1, 2, 3)
_BLOCKS: Final = {
    Block.SETTINGS: WireBlock.SETTINGS,
    Block.LIVE: WireBlock.LIVE,
    Block.DEVICE: WireBlock.DEVICE,
}


class _Ear(Node):
    """What the adapter hears of the inverter."""

    def __init__(self) -> None:
        self.hears = frozenset({0x301, 0x305, 0x351})
        self.heard: list[CanMessage] = []

    def hear(self, frame: Frame, now: float) -> None:
        """Keep it."""
        self.heard.append(CanMessage(frame.id, frame.data, False))


@dataclass
class Plant:
    """Everything from the cells to the inverter."""

    language: Language
    seed: int
    now: float = 1000.0
    step: float = 0.02
    feeding: bool = True
    """Whether the event loop hands over what was read."""
    speaking: bool = True
    """Whether the process is alive."""
    most: deque[tuple[float, tuple[float, float]]] = field(default_factory=deque)
    """What the packs allowed, lately."""
    silent_since: float = -1e9
    """When the process was started again that had died."""

    def __post_init__(self) -> None:
        """Build it."""
        self.random = Random(self.seed)
        self.bank = parallel_bank(_PACKS, seed=self.seed)
        self.states = {pack.address: BmsState() for pack in self.bank}
        self.read: dict[int, float] = {}
        self.host = InverterHost(LANGUAGES[self.language], timeout=GIVES_UP_WITHIN)
        self.ear = _Ear()
        self.bus = Bus([self.host, self.ear], bitrate=500_000, speed=Speed.FAST)
        self.tap = Tap(self.bus)
        self.bus.advance(self.now)
        self.tap.open(self.now)
        for pack in self.bank:
            self.mend(pack)
        self.polled = self.handed = self.checked = -1e9
        self.start()

    def start(self) -> None:
        """Start the process, or reload the entry."""
        self.teller = Teller(self.language, Rules())
        self.teller.begin(self.now)
        self.speaking = True

    def mend(self, pack: Pack) -> None:
        """Let a pack be well and on."""
        pack.present = True
        for name, raw in (("alarms", 0), ("charge_mos", 1), ("discharge_mos", 1)):
            pack.set(name, raw)

    def run(self, seconds: float) -> None:
        """Let time pass, and watch the inverter at every moment."""
        end = self.now + seconds
        while self.now < end:
            self.now = round(self.now + self.step, 6)
            if self.now - self.polled >= POLL:
                self.poll()
            if self.now - self.handed >= 1.0:
                self.hand_over()
            if self.speaking:
                if self.ear.heard:
                    self.teller.hear(self.ear.heard, self.now)
                for message in self.teller.advance(self.now):
                    self.send(message)
            self.ear.heard.clear()
            self.bus.advance(self.now)
            if self.now - self.checked >= 0.1:
                self.checked = self.now
                self.watch()

    def send(self, message: CanMessage) -> None:
        """Put a message on the bus."""
        self.bus.send(frame_of(message.id, message.data), self.now, sender=self.tap)

    def poll(self) -> None:
        """Read each pack that is there; what is doubted is read again at once."""
        self.polled = self.now
        for pack in self.bank:
            pack.advance(self.now)
            if not pack.present:
                continue
            for block, on_wire in _BLOCKS.items():
                frame = PackFrame(pack.frame(on_wire))
                state = self.states[pack.address]
                for _ in range(2):
                    if state.take_frame(frame, block, self.now) is not None:
                        break
            self.read[pack.address] = self.states[pack.address].seen[Block.LIVE]

    def hand_over(self) -> None:
        """Tell what was read, as the bank does each second."""
        self.handed = self.now
        if not self.feeding or not self.speaking:
            return
        self.teller.give(self.sight(pack) for pack in self.bank)

    def sight(self, pack: Pack) -> PackSight:
        """What is known of a pack; it counts as away after half a minute."""
        name, heard = f"Pack {pack.address}", self.read.get(pack.address)
        if heard is None or self.now - heard > 30:
            return PackSight(member=Member(pack_id=name, name=name))
        get = self.states[pack.address].get
        member = Member.read(name, name, get, heard=heard, energy=None)
        return PackSight.read(member, get)

    # -- what the packs themselves say, read from their memory --------------------------

    def watch(self) -> None:
        """Compare what the inverter may do with what the packs allow."""
        self.most.append((self.now, self.allowed()))
        grace = REACTS_WITHIN
        if not self.speaking or self.now - self.silent_since < GIVES_UP_WITHIN:
            grace += GIVES_UP_WITHIN
        while self.most[0][0] < self.now - REACTS_WITHIN - GIVES_UP_WITHIN:
            self.most.popleft()
        held = self.host.held(self.now)
        if held is None:
            return
        lately = [most for at, most in self.most if at >= self.now - grace]
        for what, did, most in (
            ("charge", held.charge, max(most[0] for most in lately)),
            ("discharge", held.discharge, max(most[1] for most in lately)),
        ):
            assert did <= most + 0.05, f"{self.now}: {what} {did} A, {most} A allowed"
        volts = min(p.number_of("rcv") * p.cell_count for p in self.bank) / 1000
        assert held.voltage <= volts + 0.001

    def kill(self) -> None:
        """Let the process die where it is."""
        self.speaking = False

    def revive(self) -> None:
        """Start it again."""
        self.silent_since = self.now
        self.start()

    def allowed(self) -> tuple[float, float]:
        """What the packs allow by their own memory: nothing where one is not well."""
        packs = list(self.bank)
        if any(not p.present or p.number_of("alarms") & _GRAVE for p in packs):
            return 0.0, 0.0
        return (
            _sum(packs, "charge_mos", "charge_current_limit", _charge_share),
            _sum(packs, "discharge_mos", "discharge_current_limit", _discharge_share),
        )


_GRAVE: Final = 1 << 4 | 1 << 11 | 1 << 13 | 1 << 8


def _sum(
    packs: list[Pack], mos: str, limit: str, share: Callable[[Pack], float]
) -> float:
    """The most by the settings of the packs that are on, as far as their cells let them."""
    on = [pack for pack in packs if pack.number_of(mos)]
    if not on:
        return 0.0
    each = min(share(pack) for pack in on)
    return float(sum(pack.number_of(limit) for pack in on) / 1000 * min(1.0, each))


def _cells(pack: Pack) -> list[int]:
    return [pack.number_of(f"cell_voltage_{n}") for n in range(1, pack.cell_count + 1)]


def _charge_share(pack: Pack) -> float:
    """A pack whose cell is at its protection lets nothing in."""
    room = pack.number_of("cell_ovp") - max(_cells(pack))
    return max(0.0, min(1.0, room / 50))


def _discharge_share(pack: Pack) -> float:
    room = min(_cells(pack)) - pack.number_of("cell_uvp")
    return max(0.0, min(1.0, room / 50))
