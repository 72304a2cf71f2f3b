"""What goes wrong on a CAN bus and in what leads to it, besides what can happen to any line.

Each fault is written as those of RS485 are, `KIND[:PARAMETER=VALUE...]`.  `close` is an
adapter that is unplugged, a gateway that restarts or a daemon that dies, and comes back;
`mute` one that hangs; `vanish` without an address a bus gone silent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import ClassVar, Final

from ..bank import Bank
from ..faults import KINDS as LINE_KINDS, Fault, parse_fault
from .bus import Bus, Node
from .frame import ERROR, EXTENDED_MOST, STANDARD_MOST, Frame

_SHARED: Final = (
    "close",
    "mute",
    "vanish",
    "duplicate",
    "readdress",
    "drop",
    "flip",
    "torn",
)
_OF_BYTES: Final = ("drop", "flip", "torn")
_OF_PACKS: Final = ("vanish", "duplicate", "readdress")


@dataclass(kw_only=True)
class CanFault(Fault, ABC):
    """A fault of a bus: each acts on its own."""

    @abstractmethod
    def join(self, bus: Bus) -> None:
        """Change a bus, or connect a node to it."""


@dataclass(kw_only=True)
class Flood(CanFault):
    """A bus full of other traffic, some of it under our ids with random content."""

    kind: ClassVar = "flood"
    rate: float = 1000.0
    """Frames per second."""
    hits: float = 0.05
    """Share of the frames that have an id of ours."""
    extended: float = 0.5
    """Share of the others that have 29 bits."""

    def join(self, bus: Bus) -> None:
        """Talk all the time."""
        ids = bus.ids
        known = frozenset(ids)
        bus.join(_Pulse(self.kind, self.rate, lambda: self._frame(ids, known)))

    def _frame(
        self, ids: Sequence[tuple[int, bool]], known: frozenset[tuple[int, bool]]
    ) -> Frame:
        data = self.random.randbytes(8)
        if ids and self._chance(self.hits):
            can_id, extended = self.random.choice(ids)
            return Frame(id=can_id, extended=extended, data=data)
        extended = self._chance(self.extended)
        while True:
            most = EXTENDED_MOST if extended else STANDARD_MOST
            can_id = self.random.randint(0, most)
            if (can_id, extended) not in known:
                length = self.random.randint(0, 8)
                return Frame(id=can_id, extended=extended, data=data[:length])


@dataclass(kw_only=True)
class Errors(CanFault):
    """Error frames, as bad wiring makes them."""

    kind: ClassVar = "errors"
    rate: float = 10.0
    """Error frames per second."""

    def join(self, bus: Bus) -> None:
        """Disturb."""
        bus.join(_Pulse(self.kind, self.rate, lambda: ERROR))


@dataclass(kw_only=True)
class Alone(CanFault):
    """No other node acknowledges: without an adapter that does, a frame is repeated without end."""

    kind: ClassVar = "alone"

    def join(self, bus: Bus) -> None:
        """Take the other nodes away."""
        bus.acknowledged = False


class _Pulse(Node):
    """A node that talks at a rate."""

    def __init__(self, kind: str, rate: float, frame: Callable[[], Frame]) -> None:
        if not rate > 0:
            raise ValueError(f"{kind}: a rate is more than 0")
        self._period = 1 / rate
        self._frame = frame
        self._next: float | None = None

    def begin(self, now: float) -> None:
        self._next = now + self._period

    def due(self) -> float | None:
        return self._next

    def emit(self, now: float) -> Iterable[Frame]:
        self._next = now + self._period
        return (self._frame(),)


class _Timed(Node):
    """Lets a fault act that has a time of its own and nothing to say."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def due(self) -> float | None:
        return self._fault.due()

    def emit(self, now: float) -> Iterable[Frame]:
        self._fault.emit(now)
        return ()


_OWN: Final[dict[str, type[CanFault]]] = {
    kind.kind: kind for kind in (Flood, Errors, Alone)
}

CAN_KINDS: Final[dict[str, type[Fault]]] = {
    **{name: LINE_KINDS[name] for name in _SHARED},
    **_OWN,
}
"""Every fault that a CAN bus can have."""


def damaged(faults: Iterable[Fault], data: bytes) -> bytes:
    """What arrives of the bytes that an adapter sends."""
    for fault in faults:
        data = fault.damage(_NOBODY, data)
    return data


_NOBODY: Final = -1
"""The bytes of an adapter belong to no pack."""


def suffer(bus: Bus, seed: int, bank: Bank | None = None) -> None:
    """Let the faults of a bus change it and its packs; raises ValueError with a sentence where they cannot."""
    for index, fault in enumerate(bus.faults):
        if fault.kind not in CAN_KINDS:
            raise ValueError(f"{fault.kind} does not happen on a CAN bus")
        if fault.kind in _OF_BYTES and fault.address is not None:
            raise ValueError(f"{fault.kind}: the bytes of a CAN adapter are no pack's")
        if fault.kind in _OF_PACKS and bank is None:
            raise ValueError(f"{fault.kind}: a recording has no packs")
        fault.attach(bank or Bank(()), Random(f"{seed}/{index}/{fault.kind}"))


def join(bus: Bus) -> None:
    """Connect the faults that are nodes, once the packs are."""
    for fault in bus.faults:
        if isinstance(fault, CanFault):
            fault.join(bus)
        elif fault.due() is not None:
            bus.join(_Timed(fault))


def parse_can_fault(text: str) -> Fault:
    """A fault from its command line form; raises ValueError with a sentence that says what is wrong."""
    name, *pairs = text.split(":")
    kind = _OWN.get(name)
    if kind is None:
        if name in _SHARED:
            return parse_fault(text)
        raise ValueError(
            f"no fault of a CAN bus is called {name!r}; there are {', '.join(CAN_KINDS)}"
        )
    known = [entry.name for entry in fields(kind) if entry.init and entry.type is float]
    values = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in known:
            raise ValueError(
                f"{name} takes {', '.join(f'{key}=VALUE' for key in known) or 'nothing'}, not {pair!r}"
            )
        try:
            values[key] = float(value)
        except ValueError:
            raise ValueError(f"{value!r} is no value for {key} of {name}") from None
    return kind(**values)  # type: ignore[arg-type]  # only fields that are numbers were taken
