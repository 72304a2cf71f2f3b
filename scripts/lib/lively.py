"""Simulated packs that hardly rest: load steps, alarms, switches, restarts, clocks that are set.

What two samples of a real BMS differ by is kept: its own average, extremes and total are
taken at another moment than its cells, and now and then its power too (rs485.md 8).
"""

from collections.abc import Iterator
import math
from random import Random
from typing import Final, override

from simulator import Block, Pack, trios
from simulator.physics import resting_voltage

_NOISE: Final = 0.6
"""Standard deviation in mV of what a BMS measures of a cell, from one sample to the next."""
_RESISTANCE: Final = 170.0
"""mV by which a cell's voltage falls at 1 C."""
_STALE: Final = 0.02
"""Share of frames whose power belongs to the current before."""
_PROBES: Final = ("temperature_1", "temperature_2", "temperature_4", "temperature_5")
_HOUR: Final = 3600.0
_TREND: Final = 0.8
"""Share of the load steps that follow the day: the packs fill, or they empty."""
_STEP_EVERY: Final = 45.0
_EVENTS: Final = {
    "alarm": 0.7 * _HOUR,
    "switch": 1.5 * _HOUR,
    "balance": 0.5 * _HOUR,
    "wire": 0.3 * _HOUR,
    "setting": 3 * _HOUR,
    "clock": 8 * _HOUR,
    "capacity": 12 * _HOUR,
    "restart": 6 * _HOUR,
}
"""Mean seconds between the events of each kind."""


class LivelyPack(Pack):
    """A pack that moves as fast as real ones can, and remembers what it has said."""

    def __init__(self, address: int, *, seed: int) -> None:
        """Start from a captured pack."""
        kinds = trios()
        super().__init__(kinds[address % len(kinds)], address, still=True)
        self.said: dict[Block, bytes] = {}
        """The last frame of each block as it was put on the wire."""
        self._random = Random(f"{seed}/{address}/lively")
        self._time: float | None = None
        number = self.number_of
        self._full = float(number("full_capacity")) or 280_000.0
        self.set("full_capacity", round(self._full))
        self._remaining = 0.55 * self._full
        self._cycled = float(number("cycled_capacity"))
        self._current = 0.0
        self._filling = bool(address % 2)
        self._next_step = 0.0
        spread = [self._random.gauss(0, 4) for _ in range(self.cell_count)]
        self._offsets = spread
        self._ohms = [self._random.uniform(0.94, 1.06) for _ in spread]
        self._warmth = dict.fromkeys((*_PROBES, "mos_temperature"), 250.0)
        self._probes = [name for name in _PROBES if number(name) > -2000]
        self._events = {kind: self._wait(kind) for kind in _EVENTS}
        self._ends: list[tuple[float, str, int]] = []
        """When a value goes back, and to what."""
        self._seconds = {name: float(number(name)) for name in ("run_time", "rtc")}
        self._uptime = number("ticks") / 10

    def _wait(self, kind: str) -> float:
        return self._random.expovariate(1 / _EVENTS[kind])

    @override
    def advance(self, now: float) -> None:
        """Let the pack reach a time."""
        if self._time is None:
            self._time = now
        elapsed, self._time = now - self._time, now
        before = self._current
        self._change_load(now)
        charge = before * elapsed / _HOUR
        self._remaining = min(max(self._remaining + charge, 0.0), self._full)
        self._cycled += max(-charge, 0.0)
        for name in self._seconds:
            self._seconds[name] += elapsed
        self._uptime += elapsed
        self._warm(elapsed)
        for event in self._due(now):
            self._happen(event, now)
        self._render(before)

    @override
    def frame(self, block: Block) -> bytes:
        """The frame of a block, which is remembered."""
        frame = super().frame(block)
        self.said[block] = frame
        return frame

    def _change_load(self, now: float) -> None:
        if now < self._next_step:
            return
        self._next_step = now + self._random.expovariate(1 / _STEP_EVERY)
        level = self._random.choice((0.0, 0.05, 0.1, 0.2, 0.35)) * self._full
        soc = self._remaining / self._full
        if not 0.2 < soc < 0.95:
            self._filling = soc < 0.5
        charges = self._filling is (self._random.random() < _TREND)
        self._current = level * self._random.uniform(0.8, 1.2) * (1 if charges else -1)

    def _warm(self, elapsed: float) -> None:
        load = (self._current / self._full) ** 2
        for name, value in self._warmth.items():
            gain, lag = (2500, 600) if name == "mos_temperature" else (900, 1800)
            target = 250 + gain * load
            self._warmth[name] = value + (target - value) * (
                1 - math.exp(-elapsed / lag)
            )

    def _due(self, now: float) -> Iterator[str]:
        for end in [end for end in self._ends if end[0] <= now]:
            self._ends.remove(end)
            self.set(end[1], end[2])
        for kind, time in self._events.items():
            if time <= now:
                self._events[kind] = now + self._wait(kind)
                yield kind

    def _happen(self, kind: str, now: float) -> None:
        random, number = self._random, self.number_of
        until = now + random.uniform(20, 900)
        match kind:
            case "alarm":
                self._for_a_while("alarms", 1 << random.randrange(22), until)
                self.set("log_count", number("log_count") + 1)
                self._for_a_while("output_alarms", 1, until)
            case "switch":
                name = random.choice(("charge", "discharge"))
                self._for_a_while(f"{name}_mos", 0, until)
                self._for_a_while(f"{name}_switch", 0, until)
            case "balance":
                state = random.randint(1, 2)
                self._for_a_while("balancer_state", state, until)
                self._for_a_while("balance_current", (1900, -1900)[state - 1], until)
            case "wire":
                name = f"wire_resistance_{random.randint(1, self.cell_count)}"
                self.set(name, max(1, number(name) + random.choice((-1, 1))))
            case "setting":
                self.set("cell_ovp", random.randrange(3500, 3660, 10))
                self.set("nominal_capacity", random.randrange(100, 320) * 1000)
            case "clock":
                self._seconds["rtc"] += random.uniform(-7200, 7200)
            case "capacity":
                self._full *= random.uniform(0.97, 1.03)
                self._remaining = min(self._remaining, self._full)
            case _:
                self._uptime = 0.0

    def _for_a_while(self, name: str, value: int, until: float) -> None:
        if any(end[1] == name for end in self._ends):
            return
        self._ends.append((until, name, self.number_of(name)))
        self.set(name, value)

    def _sample(self) -> list[int]:
        resting = resting_voltage(100 * self._remaining / self._full)
        fall = _RESISTANCE * self._current / self._full
        return [
            round(resting + offset + fall * ohms + self._random.gauss(0, _NOISE))
            for offset, ohms in zip(self._offsets, self._ohms, strict=True)
        ]

    def _render(self, before: float) -> None:
        store = self.set
        cells, other = self._sample(), self._sample()
        for cell, voltage in enumerate(cells):
            store(f"cell_voltage_{cell + 1}", voltage)
        total, current = sum(other), round(self._current)
        stale = self._random.random() < _STALE
        store("average_cell_voltage", round(total / len(other)))
        store("cell_voltage_difference", max(other) - min(other))
        store("highest_cell", other.index(max(other)))
        store("lowest_cell", other.index(min(other)))
        store("pack_voltage", total)
        store("pack_voltage_coarse", total // 10)
        store("current", current)
        store("power", int(abs(total * (before if stale else current))) // 1000)
        store("charge_sense_voltage", max(0, current // 400))
        store("discharge_sense_voltage", max(0, -current // 400))
        store("full_capacity", round(self._full))
        store("remaining_capacity", round(self._remaining))
        store("soc", round(100 * self._remaining / self._full))
        store("cycled_capacity", int(self._cycled))
        store("cycles", max(self.number_of("cycles"), int(self._cycled / self._full)))
        for name in self._probes:
            store(name, round(self._warmth[name]))
        store("mos_temperature", round(self._warmth["mos_temperature"]))
        store("temperature_3", self.number_of("mos_temperature"))
        for name, seconds in self._seconds.items():
            store(name, int(seconds))
        store("ticks", int(10 * self._uptime))
