"""Packs that exchange their addresses keep who they are."""

from collections.abc import Iterable

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import CELL_COUNT
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.listener import Listener
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import (
    Appeared,
    Event,
    Moved,
    Station,
    Updated,
)
from simulator import Bank, MasterLine, Pack, Speed, parse_fault, trios

from .helpers import answer_of, frame_of
from .listening import Heard

CYCLE: float = 4.4
"""Seconds."""


class Bus:
    """Packs that say their live data and settings in each cycle, and a listener."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        """Let the packs be known."""
        self.packs = list(packs)
        self.listener = Listener((), SERIAL)
        self.now = 0.0
        self.events: list[Event] = []
        self.running = {id(pack): 0.0 for pack in self.packs}
        self.names: dict[int, int] = {}
        self.cycles(3)
        self.names = {id(self.station(p).state): p.number for p in self.packs}
        self.events.clear()

    def station(self, pack: Pack) -> Station:
        """Return what is known at the address of a pack."""
        return self.listener.stations[pack.address]

    def cycles(self, count: int, blocks: str = "ls") -> None:
        """Let all that are present speak."""
        for _ in range(count):
            for pack in sorted(self.packs, key=lambda p: p.address):
                if pack.present:
                    self.say(pack, blocks)
            self.now += CYCLE
            for pack in self.packs:
                if pack.present:
                    pack.set("run_time", int(pack.number_of("run_time") + CYCLE))

    def say(self, pack: Pack, blocks: str = "ls") -> list[Event]:
        """Let a pack speak."""
        said: list[Event] = []
        for letter, block in (("l", Block.LIVE), ("s", Block.SETTINGS)):
            if letter in blocks:
                data = trigger(pack.address, block).encode() + answer_of(pack, block)
                self.now += 0.05
                said += self.listener.advance(self.now, data).events
        self.events += said
        return said

    def turn_switches(self, addresses: Iterable[int], off: float) -> None:
        """Switch all off, give them other addresses and switch them on."""
        for pack, address in zip(self.packs, addresses, strict=True):
            pack.readdress(address)
        self.listener.advance(self.now + 1)
        self.now += off

    @property
    def found(self) -> dict[int, int]:
        """Who is known at which address: numbers by address."""
        return {
            address: self.names[id(station.state)]
            for address, station in self.listener.stations.items()
        }

    @property
    def moves(self) -> list[Moved]:
        return [event for event in self.events if isinstance(event, Moved)]


def bank(count: int, kinds: int = 7) -> list[Pack]:
    """Return packs at 1 and up; those of one kind have lived another life each."""
    packs = []
    for number in range(1, count + 1):
        made = Pack(trios()[number % kinds], number, still=True)
        made.set("run_time", made.number_of("run_time") + 50_000 * number)
        made.set(
            "cycled_capacity", made.number_of("cycled_capacity") + 900_000 * number
        )
        packs.append(made)
    return packs


def followed(bus: Bus, moves: Iterable[Moved]) -> dict[int, int]:
    """Return who is where according to what was told alone."""
    where = {pack.number: pack.number for pack in bus.packs}
    for move in moves:
        (who,) = (n for n, a in where.items() if a == move.old)
        for other, address in where.items():
            if address == move.new:
                where[other] = move.old
        where[who] = move.new
    return {address: number for number, address in where.items()}


@pytest.mark.parametrize("off", [5.0, 60.0, 400.0])
def test_two_packs_that_exchange_addresses_stay_who_they_are(off: float) -> None:
    bus = Bus(bank(3))
    bus.turn_switches((2, 1, 3), off)
    bus.cycles(1)
    assert bus.moves == []
    bus.cycles(1)
    assert bus.moves == [Moved(2, 1)]
    assert bus.found == {1: 2, 2: 1, 3: 3}
    bus.cycles(4)
    assert bus.moves == [Moved(2, 1)]
    assert not any(isinstance(event, Appeared) for event in bus.events)
    for pack in bus.packs:
        station = bus.station(pack)
        assert station.address == pack.address
        assert station.heard == pytest.approx(bus.now, abs=CYCLE + 1)
        assert station.state.get(CELL_COUNT) == pack.get("cell_count")
        assert station.counts.implausible == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(2, 5), kinds=st.sampled_from([1, 3, 7]))
def test_any_permutation_is_followed(
    data: st.DataObject, count: int, kinds: int
) -> None:
    bus = Bus(bank(count, kinds))
    addresses = data.draw(st.permutations(range(1, count + 1)))
    off = data.draw(st.sampled_from([3.0, 20.0, 90.0, 240.0]))
    bus.turn_switches(addresses, off)
    bus.cycles(5)
    expected = {pack.address: pack.number for pack in bus.packs}
    assert bus.found == expected
    assert followed(bus, bus.moves) == expected
    if sorted(addresses) == addresses:
        assert bus.moves == []


@settings(max_examples=40, deadline=None)
@given(data=st.data(), count=st.integers(2, 5))
def test_packs_that_move_on_to_new_addresses_are_followed_too(
    data: st.DataObject, count: int
) -> None:
    bus = Bus(bank(count))
    addresses = data.draw(st.permutations(range(1, 2 * count + 1)))[:count]
    bus.turn_switches(addresses, 30.0)
    bus.cycles(8)
    found = bus.found
    for pack in bus.packs:
        assert found[pack.address] == pack.number
    assert not any(isinstance(event, Appeared) for event in bus.events)


def test_what_is_heard_of_a_stranger_is_not_shown_while_it_is_unproven() -> None:
    bus = Bus(bank(2))
    before = {a: dict(s.state.values) for a, s in bus.listener.stations.items()}
    bus.turn_switches((2, 1), 30.0)
    refused = bus.listener.unattributed
    events = [event for pack in bus.packs for event in bus.say(pack)]
    assert [event for event in events if isinstance(event, Updated)] == []
    assert bus.listener.unattributed == refused + 4
    for address, station in bus.listener.stations.items():
        assert station.state.values == before[address]
    assert bus.say(bus.packs[1], "s") == []
    asked = trigger(1, Block.SETTINGS).encode()
    frame = frame_of(bus.packs[1], Block.SETTINGS).data
    assert bus.listener.advance(bus.now + 1, asked + frame).events == ()
    assert bus.listener.advance(bus.now + 2).events == ()


def test_once_it_is_proven_both_addresses_are_believed_at_once() -> None:
    bus = Bus(bank(2))
    first, second = bus.packs
    bus.turn_switches((2, 1), 30.0)
    bus.cycles(1)
    assert Moved(2, 1) in bus.say(second, "l")
    # Nothing is left to prove but that the address in the settings is another one.
    assert bus.say(first, "s") == []
    assert [type(event) for event in bus.say(first, "s")] == [Updated]


def test_an_address_that_was_left_carries_no_suspicion() -> None:
    bus = Bus(bank(2))
    first, second = bus.packs
    bus.turn_switches((2, 5), 30.0)
    bus.say(first, "l")
    bus.say(second, "l")
    assert bus.say(second, "l")[0] == Moved(2, 5)
    bus.say(first, "l")
    assert bus.say(first, "l")[0] == Moved(1, 2)
    assert bus.say(first, "s") == []
    assert [type(event) for event in bus.say(first, "s")] == [Updated]


def test_a_displaced_pack_is_found_where_it_is_heard() -> None:
    bus = Bus(bank(2))
    first, second = bus.packs
    second.present = False
    bus.turn_switches((2, 9), 30.0)
    bus.cycles(3)
    # The pack that was at 2 takes the address that was left, until it is heard.
    assert bus.found == {1: 2, 2: 1}
    assert bus.moves == [Moved(1, 2)]
    second.present = True
    bus.cycles(3)
    assert bus.found == {2: 1, 9: 2}
    assert bus.moves == [Moved(1, 2), Moved(1, 9)]
    assert first.address == 2


def test_a_replaced_pack_is_believed_by_and_by() -> None:
    bus = Bus(bank(2))
    stranger = Pack(trios()[5], 1, number=8, still=True)
    bus.packs[0].present = False
    bus.now += 120
    bus.packs.append(stranger)
    bus.cycles(8)
    assert bus.moves == []
    runtime = bus.listener.stations[1].state.values["total_runtime"]
    assert runtime == pytest.approx(stranger.number_of("run_time"), abs=5)


def test_a_pack_that_speaks_at_two_addresses_has_not_moved() -> None:
    """Whatever it is that repeats it: it is heard where it was."""
    bus = Bus(bank(2))
    first, second = bus.packs
    second.present = False
    for _ in range(6):
        bus.cycles(1)
        first.address = 2
        bus.say(first, "l")
        first.address = 1
    assert bus.moves == []
    assert bus.found == {1: 1, 2: 2}
    # Refuted, it counts as the word of the pack at that address: only the first was open.
    assert bus.listener.unattributed == 1


def test_a_suspicion_of_one_is_no_proof_of_another() -> None:
    bus = Bus(bank(3))
    first, second, third = bus.packs
    bus.now += 30
    for speaker in (second, third):
        home, speaker.address = speaker.address, 1
        bus.say(speaker, "l")
        speaker.address = home
    assert bus.moves == []
    bus.cycles(2)
    assert bus.found == {1: 1, 2: 2, 3: 3}
    assert bus.moves == []
    assert first.address == 1


def test_two_that_could_both_be_it_are_not_guessed() -> None:
    bus = Bus(bank(3))
    twin, other = bus.listener.stations[2], bus.listener.stations[3]
    other.state.values.update(twin.state.values)
    other.state.seen.update(twin.state.seen)
    second = bus.packs[1]
    second.address = 1
    for _ in range(3):
        bus.say(second, "l")
    assert bus.moves == []


@pytest.mark.parametrize(
    "fault",
    ["flip:rate=0.005", "drop:rate=0.002", "noise:rate=0.02", "torn:rate=0.3"],
)
def test_noise_exchanges_nobody(fault: str) -> None:
    line = MasterLine(
        Bank.default(range(6), seed=2),
        speed=Speed.FAST,
        faults=[parse_fault(fault)],
        seed=4,
    )
    bus = Heard(line)
    bus.run(3600)
    assert bus.of_type(Moved) == []


def test_a_simulated_bank_is_followed_through_an_exchange_on_a_damaged_line() -> None:
    bank_ = Bank.default(range(5), seed=2)
    line = MasterLine(
        bank_, speed=Speed.FAST, faults=[parse_fault("flip:rate=0.0002")], seed=4
    )
    bus = Heard(line)
    bus.run(60)
    states = {a: s.state for a, s in bus.listener.stations.items()}
    packs = [bank_[address] for address in (1, 2, 3, 4)]
    for pack in packs:
        pack.present = False
    bus.run(150)
    for pack, address in zip(packs, (2, 3, 1, 4), strict=True):
        pack.readdress(address)
        pack.present = True
    bus.run(60)
    found = {a: s.state for a, s in bus.listener.stations.items()}
    assert found == {
        0: states[0],
        2: states[1],
        3: states[2],
        1: states[3],
        4: states[4],
    }
    assert all(s.available for s in bus.listener.stations.values())
