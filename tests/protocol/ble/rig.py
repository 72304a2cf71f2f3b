"""A machine and a simulated Bluetooth module in simulated time."""

from dataclasses import dataclass, field
from typing import Any, override

from custom_components.jkbms.protocol.ble.machine import BleMaster
from custom_components.jkbms.protocol.ble.station import ADDRESS, BleStation
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.jobs import Wish
from custom_components.jkbms.protocol.settings_job import Transaction
from custom_components.jkbms.protocol.station import (
    Availability,
    Event,
    Settled,
    Updated,
    Written,
)
from custom_components.jkbms.protocol.writing import Change
from simulator import Pack, trios
from simulator.ble import GattPack, Generation, make_older

from ..happening import Happening, Turns


@dataclass
class Link(Happening):
    """A machine and a simulated module in simulated time."""

    master: BleMaster
    gatt: GattPack
    now: float = 100.0
    events: list[tuple[float, Event]] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    anew: list[float] = field(default_factory=list)
    """When the machine wanted another connection."""
    turns: int = 0

    def open(self) -> None:
        """Make a connection."""
        self.gatt.connect(self.now)
        self.master.connected(self.now)

    def close(self) -> None:
        """Lose the connection."""
        self.gatt.disconnect()
        self._note(self.master.disconnected(self.now))

    @override
    def run(self, seconds: float) -> list[tuple[float, Event]]:
        """Let time pass; return the events of that time."""
        start = len(self.events)
        end = self.now + seconds
        turns = Turns()
        packets: list[bytes] = []
        while True:
            turns.take(self.now)
            self.turns += 1
            data = packets.pop(0) if packets else b""
            step = self.master.advance(self.now, data)
            self._note(step.events)
            if step.anew:
                self.anew.append(self.now)
                self.close()
                self.open()
            if step.send:
                self.gatt.write(step.send, self.now)
            if packets:
                continue
            due = self.gatt.due()
            wake = min(step.wake, *([] if due is None else [due]), end)
            if wake >= end:
                self.now = max(self.now, end)
                return self.events[start:]
            self.now = max(self.now, wake)
            packets = self.gatt.collect(self.now)
            self.heard += packets

    def updates(self, label: str, since: float = 0.0) -> list[float]:
        """Return when a block was read."""
        told = self.of_type(Updated, since)
        return [t for t, e in told if e.update.block.label == label]

    def availability(self, since: float = 0.0) -> list[bool]:
        """Return whether it came or went, in order."""
        return [e.available for _, e in self.of_type(Availability, since)]

    def orders(self, since: float = 0.0) -> list[int]:
        """Return what was sent, by register."""
        return [register for time, register, _ in self.gatt.orders if time >= since]

    def make(self, wish: Wish, limit: float = 60.0) -> Written | Settled:
        """Have something done and return how it ended."""
        self.master.submit(wish)
        kind = Settled if isinstance(wish, Transaction) else Written
        _, event = self.run_until(lambda e: isinstance(e, kind), limit)
        assert isinstance(event, Written | Settled)
        return event

    def write(self, key: str, value: Any) -> Written:
        """Change a setting and return how it ended."""
        event = self.make(Change(ADDRESS, BY_KEY[key], value))
        assert isinstance(event, Written)
        return event

    @property
    def station(self) -> BleStation:
        """What is known of the pack."""
        return self.master.stations[ADDRESS]

    @property
    def values(self) -> dict[str, Any]:
        """The values of the pack."""
        return self.station.state.values

    def _note(self, events: tuple[Event, ...]) -> None:
        self.events += [(self.now, event) for event in events]


def link_to(
    generation: Generation = Generation.CELLS_32,
    *,
    kind: int = 0,
    still: bool = True,
    known: bool = True,
    interval: float = 2.0,
    **module: Any,
) -> Link:
    """Return a machine that is connected to a pack."""
    pack = make_older(Pack(trios()[kind], 0, still=still), generation)
    gatt = GattPack(pack, generation=generation, **module)
    addresses = [ADDRESS] if known else []
    link = Link(BleMaster(addresses, 100.0, interval=interval), gatt)
    link.open()
    return link


def settled(link: Link) -> Link:
    """Let everything be read once."""
    link.run(5.0)
    assert link.station.features is not None
    return link
