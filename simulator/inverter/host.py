"""An inverter that takes over limits, checks how they come, and gives up when they stop."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..can.bus import Node
from ..can.frame import Frame, frame_of
from .languages import Expected

KEEP_ALIVE: Final = 0x305
QUESTION: Final = 0x301
QUESTION_DATA: Final = bytes.fromhex("0B16212C37424D58")

_SAYS_EVERY: Final = 1.0
_LENGTH: Final = 8
_LEAST: Final = 0.015
"""Seconds that have to lie between two messages: a JK leaves 20 ms at least."""
_EARLY: Final = 0.6
"""Share of a cycle that has to lie between two messages of limits that do not fall."""
_LATE: Final = 0.02
"""Seconds by which a message may come late."""
_PAUSE: Final = 2.0
"""Seconds of silence after which a cycle is a new beginning."""
_VOLTS: Final = (40.0, 63.0)
"""Charge voltages that a 48 V inverter takes (can.md 2.2)."""
_MOST_AMPERES: Final = 1200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What an inverter may do."""

    voltage: float
    charge: float
    discharge: float
    since: float


class InverterHost(Node):
    """Obeys a battery for as long as it speaks; what it finds wrong it complains of."""

    def __init__(self, expected: Expected, *, timeout: float = 10.0) -> None:
        """Wait for a battery; without limits for so many seconds nothing is done."""
        self.hears = frozenset(expected.ids)
        self.complaints: list[str] = []
        self.cycles = 0
        self.timeouts = 0
        self._expected = expected
        self._timeout = timeout
        self._held: Held | None = None
        self._next: float | None = None
        self._last: tuple[float, int] | None = None
        """When which message came last, as its place in the cycle."""
        self._limits_at: float | None = None
        self._away_until = float("-inf")
        self._rejoins = False
        """Whether it may come into the middle of a cycle."""

    # A node of the bus

    def begin(self, now: float) -> None:
        """Begin to say that it is there."""
        self._next = now + _SAYS_EVERY / 2

    def due(self) -> float | None:
        """Once per second."""
        return self._next

    def emit(self, now: float) -> Iterable[Frame]:
        """That it is there, or its question."""
        self._next = now + _SAYS_EVERY
        if now < self._away_until:
            return ()
        if self._expected.asked:
            return (frame_of(QUESTION, QUESTION_DATA),)
        return (frame_of(KEEP_ALIVE, bytes(_LENGTH)),)

    def hear(self, frame: Frame, now: float) -> None:
        """Check a message, and take over what is in it."""
        if now < self._away_until:
            return
        self._check_order(frame, now)
        if len(frame.data) != _LENGTH:
            self._complain(now, f"{frame.id:03X} has {len(frame.data)} bytes")
            return
        if frame.id == self._expected.limits:
            self._take_limits(frame.data, now)
        if frame.id == self._expected.charge:
            self._check_charge(frame.data, now)
        if frame.id == self._expected.requests:
            self._check_requests(frame.data[0], now)

    # What a test looks at

    def held(self, now: float) -> Held | None:
        """What it does now; nothing where the battery has been silent for too long."""
        if self._held is not None and now - self._held.since > self._timeout:
            self._held = None
            self.timeouts += 1
        return self._held

    def drop(self, until: float) -> None:
        """Be deaf and mute for a while, as one whose cable is out."""
        self._away_until = until
        self._last = self._limits_at = None
        self._rejoins = True

    # What it checks

    def _check_order(self, frame: Frame, now: float) -> None:
        expected = self._expected
        place = expected.ids.index(frame.id)
        last, self._last = self._last, (now, place)
        if last is None or now - last[0] > _PAUSE:
            rejoins, self._rejoins = self._rejoins, False
            if place and not rejoins:
                self._complain(now, f"{frame.id:03X} begins a cycle")
            return
        gap, wanted = now - last[0], (last[1] + 1) % len(expected.ids)
        if place == 0:
            # A cycle may begin anew when something has to be told at once.
            self.cycles += wanted == 0
            return
        if place != wanted:
            self._complain(now, f"{frame.id:03X}, not {expected.ids[wanted]:03X}")
        if gap < _LEAST:
            self._complain(now, f"{frame.id:03X} came {gap:.3f} s after another")
        if gap > expected.spacing + _LATE:
            self._complain(now, f"{frame.id:03X} came late: {gap:.3f} s")

    def _take_limits(self, data: bytes, now: float) -> None:
        volts, charge, discharge = (
            int.from_bytes(data[n : n + 2], self._expected.order) / 10
            for n in (0, 2, 4)
        )
        if not _VOLTS[0] <= volts <= _VOLTS[1]:
            self._complain(now, f"charge voltage {volts} V")
        if max(charge, discharge) > _MOST_AMPERES:
            self._complain(now, f"{charge} A and {discharge} A")
        before, self._limits_at = self._limits_at, now
        steady = before is not None and now - before < _PAUSE
        if steady and before is not None and not self._expected.asked:
            period = now - before
            if period > self._expected.cycle + _LATE:
                self._complain(now, f"limits came late: {period:.3f} s")
            fell = self._held is not None and (
                volts < self._held.voltage
                or charge < self._held.charge
                or discharge < self._held.discharge
            )
            if period < self._expected.cycle * _EARLY and not fell:
                self._complain(now, f"limits came again after {period:.3f} s")
        self._held = Held(voltage=volts, charge=charge, discharge=discharge, since=now)

    def _check_charge(self, data: bytes, now: float) -> None:
        if self._expected.asked:
            charge = data[6]
        else:
            charge = int.from_bytes(data[:2], self._expected.order)
        if charge > 100:
            self._complain(now, f"state of charge {charge} %")

    def _check_requests(self, flags: int, now: float) -> None:
        held = self._held
        if held is None:
            return
        if held.charge > 0 and not flags & 0x80:
            self._complain(now, f"{held.charge} A, and charging is forbidden")
        if held.discharge > 0 and not flags & 0x40:
            self._complain(now, f"{held.discharge} A, and discharging is forbidden")

    def _complain(self, now: float, what: str) -> None:
        self.complaints.append(f"{now:.2f}: {what}")
