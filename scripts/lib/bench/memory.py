"""What the entities of 16 packs take of Home Assistant: memory, and time to set them up."""

from collections.abc import Iterator
import json
from statistics import median
import subprocess
import sys
from typing import Any, Final

from .measure import FULL, Effort, Samples
from .report import Figure, Goal, timed

_PROCESSES: Final = 3
"""In which set-up is timed: what is set up once leaves traces for the next time."""
_FRAMES: Final = 10_000
_LEFT_OVER: Final = 300
"""Blocks that are no growth: numbers that have become longer, tables with more room, what is counted
for the first time. Four times as many frames leave twice as many (performance.md 6)."""
_KB: Final = 1000.0
_MB: Final = 1_000_000.0

type Said = dict[str, Any]


def run(effort: Effort) -> Iterator[Figure]:
    """Measure in processes of their own, one after the other."""
    full = effort is FULL
    frames = _FRAMES if full else _FRAMES // 20
    first = _process("--frames", str(frames))
    usual = [first, *(_process() for _ in range(_PROCESSES - 1 if full else 0))]
    own = first["own"]
    yield Figure(name="entities, all", value=own["registered"], unit="")
    yield Figure(
        name="entities that are enabled unless told", value=own["enabled"], unit=""
    )
    yield from _set_up(usual)
    yield from _given("enabled unless told", usual)
    yield from _given("all enabled", [_process("--every")])
    yield from _allocated(_process("--every", "--traced"))
    yield Figure(
        name=f"blocks of memory left over from {frames} frames",
        value=first["left"],
        unit="",
        goals=(Goal(_LEFT_OVER, "value"),),
    )


def _process(*arguments: str) -> Said:
    command = [sys.executable, "-m", "scripts.lib.bench.footprint", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    said: Said = json.loads(done.stdout)
    return said


def _set_up(said: list[Said]) -> Iterator[Figure]:
    floor = "set-up floor: an entity with the least that Home Assistant wants"
    own = "set-up: an entity, with its share of opening the bus and reading the packs"
    taken = {
        name: Samples(tuple(one[who]["cpu"] / one[who]["registered"] for one in said))
        for name, who in ((floor, "stock"), (own, "own"))
    }
    yield timed(floor, taken, "ms")
    yield timed(own, taken, "ms", Goal(1.25), floor=floor)


def _given(which: str, said: list[Said]) -> Iterator[Figure]:
    """Return what Linux has given to the process."""
    for name, part in (("before", "before"), ("more with 16 packs", "memory")):
        yield Figure(
            name=f"{which}: Home Assistant {name}",
            value=median(one["own"][part] for one in said) / _MB,
            unit="MB",
        )


def _allocated(said: Said) -> Iterator[Figure]:
    """Return what Python has allocated for each entity."""
    stock, own = (
        said[who]["memory"] / said[who]["enabled"] / _KB for who in ("stock", "own")
    )
    floor = "memory floor: an entity with the least that Home Assistant wants"
    yield Figure(name=floor, value=stock, unit="kB")
    yield Figure(
        name="memory: an entity, with its share of the bus and the packs",
        value=own,
        unit="kB",
        ratio=own / stock,
        floor=floor,
        goals=(Goal(11.0, "value"),),
    )
