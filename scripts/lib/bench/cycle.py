"""How fast a master goes round its packs, in simulated time at the speed of the wire."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import thread_time
from typing import Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import trigger
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.station import Updated
from simulator import Bank, SlaveLine
from simulator.line import DEAF, TURNAROUND
from simulator.wire import BYTE_TIME

from .measure import FULL, Effort
from .report import Figure, Goal

_SIZES: Final = (1, 4, 16)
_LEARNING: Final = 120.0
"""Simulated seconds in which the master finds out how short its quiet times may be."""
_MEASURED: Final = 300.0
_SLOT: Final = 0.100
"""Seconds from start to start that every known adapter gets along with."""
_AT_ONCE: Final = Plan(live=0.001)
_ANSWER: Final = 310
"""Bytes of a frame with its ACK and the two that a BMS adds."""
_WIRE: Final = (len(trigger(1, Block.LIVE).encode()) + _ANSWER) * BYTE_TIME
"""Seconds that the bytes of a transaction need (performance.md 4)."""


def run(effort: Effort) -> Iterator[Figure]:
    """Measure buses of several sizes."""
    seconds = _MEASURED if effort is FULL else _MEASURED / 10
    for size in _SIZES:
        yield from _figures(size, seconds)


@dataclass(slots=True)
class _Tally:
    """What has happened since the master has learnt."""

    live: Counter[int] = field(default_factory=Counter)
    requests: int = 0
    cpu: float = 0.0
    """Seconds in the master, without the simulated packs."""


def _figures(size: int, seconds: float) -> Iterator[Figure]:
    tally = _go_round(size, seconds)
    cycle = size * seconds / sum(tally.live.values())
    slot = seconds / tally.requests
    share = 100 * tally.requests * (_WIRE + TURNAROUND) / seconds
    name = f"{size} {'pack' if size == 1 else 'packs'}"
    yield Figure(
        name=f"{name} floor: wire and the packs' thinking",
        value=size * (_WIRE + TURNAROUND),
        unit="s",
    )
    yield Figure(
        name=f"{name}: live values of all",
        value=cycle,
        unit="s",
        ratio=cycle / (size * (_WIRE + TURNAROUND)),
        floor="wire and turn-around",
        goals=(Goal(round(1.02 * size * _SLOT, 3), "value"),),
    )
    yield Figure(
        name=f"{name}: from request to request",
        value=1000 * slot,
        unit="ms",
        ratio=slot / (_WIRE + TURNAROUND + DEAF),
        floor="what the packs hear",
        goals=(Goal(1.1),),
    )
    yield Figure(
        name=f"{name}: line in use",
        value=share,
        unit="%",
        goals=(Goal(37.0, "value", least=True),),
    )
    yield Figure(
        name=f"{name}: CPU of the master, per transaction",
        value=1e6 * tally.cpu / tally.requests,
        unit="µs",
    )


def _go_round(size: int, seconds: float) -> _Tally:
    line = SlaveLine(Bank.default(range(size), seed=1), seed=1)
    master = Master(line.bank.addresses, _AT_ONCE, SERIAL, 0.0)
    master.connected(0.0)
    learning, tally = _Tally(), _Tally()
    now, data = 0.0, b""
    while now < _LEARNING + seconds:
        heard = learning if now < _LEARNING else tally
        begin = thread_time()
        step = master.advance(now, data)
        heard.cpu += thread_time() - begin
        for event in step.events:
            if isinstance(event, Updated) and event.update.block is Block.LIVE:
                heard.live[event.address] += 1
        if step.send:
            heard.requests += 1
            line.receive(step.send, now)
        due = line.due()
        now = max(now, step.wake if due is None else min(due, step.wake))
        data = b"".join(line.collect(now))
    if len(tally.live) != size or line.counters.unheard:
        raise RuntimeError(
            f"{size} packs: {len(tally.live)} answered, {line.counters.unheard} requests unheard"
        )
    return tally
