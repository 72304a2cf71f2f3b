"""The physics of one pack: current over a day, charge, cell voltages and temperatures.

Simple on purpose, but consistent: the pack voltage is the sum of the cells, the
remaining capacity is the integral of the current, and nothing jumps.
"""

from bisect import bisect_right
import math
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .pack import Pack

_STEP: Final = 5.0
"""Longest step of integration in seconds."""

_MORNING: Final = 9.0
"""Hour of the day at which a simulation begins."""

DAY: Final = 86_400.0
_HOUR: Final = 3600.0

_OCV: Final = (
    (0.0, 2800.0),
    (5.0, 3050.0),
    (10.0, 3180.0),
    (20.0, 3240.0),
    (40.0, 3285.0),
    (60.0, 3300.0),
    (70.0, 3325.0),
    (90.0, 3340.0),
    (97.0, 3370.0),
    (100.0, 3440.0),
)
"""Resting voltage of an LFP cell in mV over state of charge in percent."""

_DROP: Final = 170.0
"""Voltage drop of a cell in mV at a current of 1 C."""

_ABSENT: Final = -2000
"""Raw temperature of a probe that is not connected."""

_PROBES: Final = tuple(f"temperature_{number}" for number in range(1, 6))


def resting_voltage(soc: float) -> float:
    """Voltage of a cell at rest in mV."""
    upper = min(max(bisect_right(_OCV, (soc, math.inf)), 1), len(_OCV) - 1)
    (left, low), (right, high) = _OCV[upper - 1], _OCV[upper]
    return low + (high - low) * (soc - left) / (right - left)


def _hour(time: float, day: float) -> float:
    return (_MORNING + 24 * time / day) % 24


class Profile:
    """Sun by day, a household around the clock and some unrest, as a fraction of the capacity."""

    def __init__(self, random: Random, day: float = DAY) -> None:
        """Choose this profile's phases; a day of it takes so many seconds."""
        self._day = day
        self._phases = [random.uniform(0, math.tau) for _ in range(3)]
        self._scale = random.uniform(0.95, 1.05)

    def __call__(self, time: float) -> float:
        """The charging current in C at a time in seconds since the simulation began."""
        hour = _hour(time, self._day)
        sun = (
            0.30 * max(0.0, math.sin(math.pi * (hour - 7) / 11))
            if 7 < hour < 18
            else 0.0
        )
        load = (
            0.06
            + 0.10 * math.exp(-(((hour - 19.5) / 2) ** 2))
            + 0.04 * math.exp(-((hour - 7.5) ** 2))
        )
        unrest = sum(
            0.012 * math.sin(time / period + phase)
            for period, phase in zip((13, 47, 181), self._phases, strict=True)
        )
        return self._scale * (sun - load + unrest)


class Physics:
    """Moves a pack's live data from the captured state onwards."""

    def __init__(self, pack: Pack, *, seed: int, day: float = DAY) -> None:
        """Take the captured frame as the state at the start."""
        self._pack = pack
        self._day = day
        self._profile = Profile(Random(f"{seed}/{pack.number}"), day)
        number = pack.number_of
        self._origin: float | None = None
        self._time = 0.0
        self._seconds = 0
        self._tenths = 0
        self._full = number("full_capacity")
        self._remaining = float(number("remaining_capacity"))
        self._cycled = float(number("cycled_capacity"))
        self._start_current = float(number("current"))
        self._current = self._start_current
        cells = [number(f"cell_voltage_{cell + 1}") for cell in range(pack.cell_count)]
        mean = sum(cells) / len(cells)
        self._offsets = [cell - mean for cell in cells]
        self._common = mean - self._model_voltage()
        self._probes = {
            name: float(number(name))
            for name in ("mos_temperature", *_PROBES)
            if number(name) not in (_ABSENT, 0)
        }
        self._base = {
            name: value - self._rise(name) - self._ambient()
            for name, value in self._probes.items()
        }
        # T3 repeats the MOS temperature on most boards (rs485.md 2.6).
        self._mirror = number("temperature_3") == number("mos_temperature")

    def advance(self, now: float) -> None:
        """Move on to a time; the first call says when the simulation began."""
        if self._origin is None:
            self._origin = now
        target = now - self._origin
        if target <= self._time:
            return
        while self._time < target:
            self._step(min(_STEP, target - self._time))
        self.render()

    def _step(self, seconds: float) -> None:
        self._time += seconds
        before = self._current
        self._current = self._wanted()
        charge = (before + self._current) / 2 * seconds / _HOUR
        self._remaining = min(max(self._remaining + charge, 0.0), float(self._full))
        self._cycled += max(-charge, 0.0)
        self._common *= math.exp(-seconds / _HOUR)
        lag = 1 - math.exp(-seconds / 1800)
        for name, value in self._probes.items():
            target = self._base[name] + self._ambient() + self._rise(name)
            self._probes[name] = value + (target - value) * lag
        if self._balancing():
            top = self._offsets.index(max(self._offsets))
            self._offsets[top] -= 0.002 * seconds

    @property
    def _soc(self) -> float:
        return 100 * self._remaining / self._full

    def _wanted(self) -> float:
        """The current in mA that profile, limits, switches and state of charge allow."""
        number = self._pack.number_of
        fresh = math.exp(-self._time / 60)
        wanted = (
            self._profile(self._time) * self._full * (1 - fresh)
            + self._start_current * fresh
        )
        if wanted > 0:
            taper = min(1.0, (100 - self._soc) / 5)
            wanted = min(wanted, float(number("charge_current_limit"))) * taper
            return wanted if number("charge_mos") else 0.0
        wanted = max(wanted, -float(number("discharge_current_limit")))
        return wanted if number("discharge_mos") and self._soc > 5 else 0.0

    def _model_voltage(self) -> float:
        return resting_voltage(self._soc) + _DROP * self._current / self._full

    def _ambient(self) -> float:
        return 30 * math.sin(math.tau * (_hour(self._time, self._day) - _MORNING) / 24)

    def _rise(self, name: str) -> float:
        """Warming by the current, in tenths of a degree: the power board's is the larger."""
        load = self._current / self._full / 0.3
        return (120 if name == "mos_temperature" else 40) * load * load

    def _balancing(self) -> bool:
        number = self._pack.number_of
        return bool(
            number("balancer_switch")
            and number("cell_voltage_difference") > number("balance_trigger")
            and number(f"cell_voltage_{number('highest_cell') + 1}")
            > number("balance_start_voltage")
        )

    def render(self) -> None:
        """Put what follows from the state into the pack's live data."""
        pack, store = self._pack, self._pack.set
        mean = self._model_voltage() + self._common
        cells = [round(mean + offset) for offset in self._offsets]
        for cell, voltage in enumerate(cells):
            store(f"cell_voltage_{cell + 1}", voltage)
        total, current = sum(cells), round(self._current)
        store("average_cell_voltage", round(total / len(cells)))
        store("cell_voltage_difference", max(cells) - min(cells))
        store("highest_cell", cells.index(max(cells)))
        store("lowest_cell", cells.index(min(cells)))
        store("pack_voltage", total)
        store("pack_voltage_coarse", round(total / 10))
        store("current", current)
        store("power", abs(total * current) // 1000)
        store("remaining_capacity", round(self._remaining))
        store("soc", round(self._soc))
        store("cycled_capacity", int(self._cycled))
        store("cycles", int(self._cycled / self._full))
        for name, value in self._probes.items():
            store(name, round(value))
        if self._mirror:
            store("temperature_3", pack.number_of("mos_temperature"))
        balancing = self._balancing()
        limit = pack.number_of("balance_current_limit") if balancing else 0
        # It takes from the highest cell and gives to the lowest by turns.
        giving = int(self._time / 10) % 2 == 0
        store("balancer_state", (1 if giving else 2) if balancing else 0)
        store("balance_current", limit if giving else -limit)
        self._tick()

    def _tick(self) -> None:
        """Advance the counters by whole units, so that a clock that was set stays set."""
        pack = self._pack
        seconds, tenths = (
            int(self._time) - self._seconds,
            int(self._time * 10) - self._tenths,
        )
        self._seconds += seconds
        self._tenths += tenths
        for name in ("run_time", "rtc", "total_run_time"):
            pack.set(name, pack.number_of(name) + seconds & 0xFFFFFFFF)
        pack.set("ticks", pack.number_of("ticks") + tenths & 0xFFFFFFFF)
