"""Packs that have exchanged their addresses: each keeps its identity.

Live values at the address of one pack that go on where another has left off are that
other's: run time, throughput and learnt capacity tell packs apart better than a DIP
switch does. It has to be said twice, and the other must not be heard meanwhile.
"""

from dataclasses import dataclass
from typing import Final

from .continuity import resumes
from .datum import Block
from .frames import Frame
from .station import Station

_PROVEN_AFTER: Final = 2
"""Live frames with their ACK that prove who speaks at an address."""


@dataclass(slots=True)
class _Suspicion:
    """Who seems to speak at the address of another pack."""

    who: Station
    heard: int = 0
    refuted: bool = False
    """Whether that pack was heard at its own address since."""


class Exchanges:
    """Tells which of the known packs speaks at an address."""

    def __init__(self, stations: dict[int, Station]) -> None:
        """Judge these packs, which may come and go."""
        self._stations = stations
        self._open: dict[int, _Suspicion] = {}

    def is_open(self, address: int) -> bool:
        """Whether it is unproven who speaks at an address."""
        suspicion = self._open.get(address)
        return suspicion is not None and not suspicion.refuted

    def forget(self, address: int) -> None:
        """Begin anew with an address that is another pack's."""
        self._open.pop(address, None)

    def speaker(self, station: Station, frame: Frame, now: float) -> Station | None:
        """Return who says live values at a pack's address; None while it is unproven.

        A pack that is proven to be at this address exchanges it with the one known here.
        """
        if Block.LIVE not in station.state.seen or resumes(station.state, frame, now):
            self._heard_at_home(station)
            return station
        others = [s for s in self._stations.values() if s is not station]
        same = [other for other in others if resumes(other.state, frame, now)]
        if len(same) != 1:
            return station
        (who,) = same
        suspicion = self._open.get(station.address)
        if suspicion is None or suspicion.who is not who:
            suspicion = self._open[station.address] = _Suspicion(who)
        if suspicion.refuted:
            return station
        suspicion.heard += 1
        if suspicion.heard < _PROVEN_AFTER:
            return None
        self._exchange(station, who)
        return who

    def _heard_at_home(self, station: Station) -> None:
        """Take note that a pack speaks at its own address: it is at no other."""
        self.forget(station.address)
        for suspicion in self._open.values():
            if suspicion.who is station:
                suspicion.refuted = True

    def _exchange(self, one: Station, other: Station) -> None:
        one.address, other.address = other.address, one.address
        for station in (one, other):
            self._stations[station.address] = station
        self.forget(other.address)
        displaced = self._open.get(one.address)
        if displaced is not None and displaced.who is one:
            self.forget(one.address)
