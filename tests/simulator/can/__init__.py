"""Tests of the packs on a CAN bus: the captures, the vendor's examples and python-can are the judges."""

from itertools import islice

from simulator import Bank, Pack
from simulator.can import Bus, Frame, Tap, frame_of


def pack(address: int = 0, **values: float) -> Pack:
    """A pack that stands still, with raw values of its register table."""
    made = Bank.default([address], still=True)[address]
    for name, value in values.items():
        made.set(name, value)
    return made


def passed(bus: Bus, until: float) -> list[tuple[float, int, bool, bytes]]:
    """Everything that passes up to a time."""
    return list(bus.messages(until))


def first(bus: Bus, count: int) -> list[tuple[float, int, bool, bytes]]:
    """The first frames."""
    return list(islice(bus.messages(), count))


def opened(bus: Bus, now: float = 0.0, *, sees_errors: bool = False) -> Tap:
    """A controller that listens."""
    tap = Tap(bus, sees_errors=sees_errors)
    tap.open(now)
    return tap


def heard(tap: Tap) -> list[Frame]:
    """The frames that have arrived since the last call."""
    return [frame for _, frame in tap.drain()]


KEEP_ALIVE = frame_of(0x305, bytes(8))
REQUEST = frame_of(0x301, bytes.fromhex("0B16212C37424D58"))
