"""CAN: one message, and the full rate of 16 packs inside Home Assistant."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
import struct
from typing import Final

from custom_components.jkbms.protocol.can.machine import CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from simulator import Bank
from simulator.can import CanBus

from .can_dbc import naming
from .can_load import Load, loads
from .home import PACKS
from .measure import Case, Effort, race
from .report import Figure, Goal, timed

_SECONDS: Final = 30.0
_LATER: Final = 20.0
"""Seconds after which most messages say something else."""
_BATCH: Final = 0.05
"""Seconds of which the transport hands over the messages together."""
_SETTLED: Final = 100.0
_EXTENDED: Final = 0x8000_0000
_FRAME: Final = struct.Struct("<IB3x8s")
"""Linux' `struct can_frame`."""
_FOREIGN: Final = (0x0A5, 0x123, 0x7DF, 0x18DAF110, 0x0CF00400, 0x1CEBFF00)

type Batches = list[tuple[float, list[CanMessage]]]


def run(effort: Effort) -> Iterator[Figure]:
    """Measure the listener by itself, then with everything around it."""
    yield from _messages(effort)
    yield from naming([message for _, batch in _traffic() for message in batch], effort)
    for load in asyncio.run(loads(effort)):
        yield from _load(load)


# -- one message ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """What all packs say within the longest period, and what they say later."""

    before: list[CanMessage]
    after: list[CanMessage]


def _messages(effort: Effort) -> Iterator[Figure]:
    said = _said()
    traffic = _traffic()
    count = sum(len(batch) for _, batch in traffic)
    unpacked = "floor: a can_frame unpacked by its id"
    compared = "floor: a can_frame compared with the one before"
    unchanged, changed = "listener: unchanged message", "listener: changed message"
    foreign, whole = "listener: foreign message", "listener: message of a real bus"
    strangers = [
        CanMessage(code, bytes(8), code > 0x7FF) for code in _FOREIGN for _ in range(50)
    ]
    results = race(
        [
            Case(unpacked, _unpack(said.before), len(said.before)),
            Case(compared, _compare(said.before), len(said.before)),
            Case(unchanged, _take(said.before), len(said.before)),
            Case(changed, _alternate(said), len(said.before) + len(said.after)),
            Case(foreign, _take(strangers), len(strangers)),
            Case(whole, _listen(traffic), count),
        ],
        effort,
    )
    yield timed(unpacked, results, "µs")
    yield timed(compared, results, "µs", floor=unpacked)
    yield timed(unchanged, results, "µs", Goal(1.5), floor=compared)
    yield timed(changed, results, "µs", Goal(2.0), floor=unpacked)
    yield timed(foreign, results, "µs", floor=unpacked)
    yield timed(whole, results, "µs", floor=unpacked)
    rate = count / _SECONDS
    yield Figure(name=f"{PACKS} packs: messages a second", value=rate, unit="1/s")
    yield Figure(
        name=f"{PACKS} packs: the listener by itself, of one core",
        value=100 * rate * results[whole].median,
        unit="%",
    )


def _bus() -> CanBus:
    return CanBus(Bank.default(range(PACKS), seed=1), seed=1)


def _said() -> _Said:
    first: dict[int, CanMessage] = {}
    last: dict[int, CanMessage] = {}
    for time, code, extended, data in _bus().messages(_LATER):
        message = CanMessage(code, data, extended)
        if time < _LATER / 2:
            first[code] = message
        last[code] = message
    changed = [code for code in first if first[code] != last[code]]
    return _Said([first[code] for code in changed], [last[code] for code in changed])


def _traffic() -> Batches:
    batches: Batches = []
    end = 0.0
    for time, code, extended, data in _bus().messages(_SECONDS):
        while time >= end:
            end += _BATCH
            batches.append((end, []))
        batches[-1][1].append(CanMessage(code, data, extended))
    return batches


def _raw(messages: list[CanMessage]) -> list[bytes]:
    return [
        _FRAME.pack(m.id | m.extended * _EXTENDED, len(m.data), m.data)
        for m in messages
    ]


def _unpack(messages: list[CanMessage]) -> Callable[[], None]:
    """The least that can be done with a message that says something new."""
    frames = _raw(messages)
    unpack = _FRAME.unpack_from
    content = struct.Struct("<4H").unpack_from
    by_id = {unpack(frame)[0]: content for frame in frames}

    def run_all() -> None:
        for frame in frames:
            code, _, data = unpack(frame)
            by_id[code](data)

    return run_all


def _compare(messages: list[CanMessage]) -> Callable[[], None]:
    """The least that can be done with one that does not."""
    frames = _raw(messages)
    known = {frame[:4]: frame for frame in frames}

    def run_all() -> None:
        for frame in frames:
            if known[frame[:4]] != frame:
                raise ValueError("a frame is another one")

    return run_all


def _listening(messages: list[CanMessage]) -> CanListener:
    """Return a listener that has published what these messages say."""
    listener = CanListener(range(PACKS))
    for tick in range(int(_SETTLED / _BATCH)):
        listener.advance(tick * _BATCH, messages)
    return listener


def _take(messages: list[CanMessage]) -> Callable[[], None]:
    listener = _listening(messages)
    # At this moment nothing is due: only the messages count.
    wake = listener.advance(_SETTLED).wake
    now = min(_SETTLED, wake - 0.001)

    def run_all() -> None:
        listener.advance(now, messages)

    return run_all


def _alternate(said: _Said) -> Callable[[], None]:
    listener = _listening(said.before)

    def run_all() -> None:
        listener.advance(0.0, said.after)
        listener.advance(0.0, said.before)

    return run_all


def _listen(traffic: Batches) -> Callable[[], None]:
    def run_all() -> None:
        listener = CanListener(range(PACKS))
        for now, batch in traffic:
            listener.advance(now, batch)
        heard = sum(station.available for station in listener.stations.values())
        if heard != PACKS:
            raise ValueError(f"only {heard} of {PACKS} packs were heard")

    return run_all


# -- inside Home Assistant ------------------------------------------------------------


def _load(load: Load) -> Iterator[Figure]:
    name = f"{load.name}, {load.entities} entities"
    yield Figure(name=f"{name}: messages a second", value=load.rate, unit="1/s")
    yield Figure(name=f"{name}: states written a second", value=load.states, unit="1/s")
    yield Figure(name=f"{name}: Home Assistant idle", value=load.idle, unit="%")
    bare, own = load.bare - load.idle, load.busy - load.idle
    floor = f"{name} floor: read and dropped, of one core"
    yield Figure(name=floor, value=bare, unit="%")
    yield Figure(
        name=f"{name}: read, decoded and shown, of one core",
        value=own,
        unit="%",
        ratio=own / bare,
        floor=floor,
        goals=(Goal(2.0, "value"),),
    )
    yield Figure(
        name=f"{name}: of that on the event loop", value=load.loop - load.idle, unit="%"
    )
