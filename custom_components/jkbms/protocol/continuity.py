"""Whether live values go on where a BMS has left off.

A run time, a cycle capacity and a learnt capacity tell one BMS from another better
than its address does, which two may share.
"""

from typing import TYPE_CHECKING, Final

from .codecs import NUMBER
from .datum import Block
from .derived import Values
from .fields import (
    CELL_PRESENCE,
    CHARGING_CYCLES,
    CYCLE_CAPACITY,
    DEVICE_ADDRESS,
    FULL_CHARGE_CAPACITY,
    TOTAL_RUNTIME,
)
from .frames import Frame

if TYPE_CHECKING:
    from .state import BmsState

_CLOCK_TOLERANCE: Final = 0.02
_CLOCK_SLACK: Final = 5.0
"""Seconds; a run time is told in whole ones, and the line delivers late."""
_PAUSE_SLACK: Final = 60.0
"""Seconds by which a run time may outrun a clock that missed some of the bus."""
_CAPACITY_SLACK: Final = 0.1
"""Ah; throughput is counted in steps."""
_MAX_CURRENT: Final = 600.0


def keeps_time(ran: float, elapsed: float) -> bool:
    """Tell whether a clock of a BMS went on like that of the listener, in seconds."""
    return abs(ran - elapsed) <= _CLOCK_SLACK + _CLOCK_TOLERANCE * elapsed


def goes_on(old: Values, new: Values, elapsed: float) -> bool:
    """Tell whether values of some seconds later are those of the same BMS.

    Its run time went on like the clock and nothing else has jumped.
    """
    ran = _ran(old, new, elapsed)
    return ran is not None and keeps_time(ran, elapsed)


def continues(state: BmsState, frame: Frame, block: Block, now: float) -> bool:
    """Tell whether a frame goes on where a BMS has left off, cycle by cycle.

    Settings have to name the address they are taken for, which the attribution has
    seen to.
    """
    if block is not Block.LIVE:
        return block is Block.SETTINGS and DEVICE_ADDRESS.key in state.values
    heard, new = state.seen.get(block), state.plausible(frame, block)
    return (
        heard is not None
        and new is not None
        and goes_on(state.values, new, now - heard)
    )


def resumes(state: BmsState, frame: Frame, now: float) -> bool:
    """Tell whether live values go on where a BMS has left off, after a pause.

    To get another address a BMS is switched off and on: its run time stands meanwhile.
    """
    heard, new = state.seen.get(Block.LIVE), state.plausible(frame, Block.LIVE)
    if heard is None or new is None:
        return False
    elapsed = now - heard
    ran = _ran(state.values, new, elapsed)
    return ran is not None and 0 <= ran <= elapsed + _PAUSE_SLACK


def _ran(old: Values, new: Values, elapsed: float) -> float | None:
    """Return the seconds that the run time went on; None where it is not the same BMS.

    The same BMS has the same cells and learnt capacity, and its throughput is no more
    than the current can have moved.
    """
    moved = _difference(old, new, CYCLE_CAPACITY.key)
    same = (
        moved is not None
        and 0 <= moved <= _CAPACITY_SLACK + elapsed * _MAX_CURRENT / 3600
        and _difference(old, new, CHARGING_CYCLES.key) in (0, 1)
        and _difference(old, new, FULL_CHARGE_CAPACITY.key) == 0
        and _difference(old, new, CELL_PRESENCE.key) == 0
    )
    return _difference(old, new, TOTAL_RUNTIME.key) if same else None


def _difference(old: Values, new: Values, key: str) -> float | None:
    before, after = old.get(key), new.get(key)
    if not isinstance(before, NUMBER) or not isinstance(after, NUMBER):
        return None
    return after - before
