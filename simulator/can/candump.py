"""Recorded traffic, as `candump -L` and `candump -t a` write it, and its replay."""

from collections.abc import Iterable
import re
from typing import Final

from ..faults import Fault
from ..line import Speed
from .bus import BITRATES, Bus, Node
from .faults import join, suffer
from .frame import BUS_ERROR, EXTENDED_MOST, STANDARD_MOST, Frame

_LOG: Final = re.compile(
    r"\((?P<time>\d+\.\d+)\)\s+\S+\s+(?P<id>[0-9A-Fa-f]{3,8})#"
    r"(?P<data>(?:[0-9A-Fa-f]{2}){0,8}|[Rr][0-8]?)(?:\s+[RT])?"
)
_TABLE: Final = re.compile(
    r"(?:\((?P<time>\d+\.\d+)\)\s+)?\S+\s+(?:[RT]X\s.*?)?(?P<id>[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})\s+"
    r"\[(?P<length>[0-8])\](?P<data>(?:\s+[0-9A-Fa-f]{2}){0,8}|\s+remote request)(?:\s+'.*')?"
)
_ERROR_FLAG: Final = 0x20000000
_SHORT: Final = 3

_UNTIMED: Final = 0.01
"""Seconds from one frame to the next in a recording without times."""


def parse_candump(text: str) -> list[tuple[float, Frame]]:
    """Frames and their times in seconds from the first; raises ValueError with a sentence for a line that is none."""
    found: list[tuple[float, Frame]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LOG.fullmatch(line) or _TABLE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number} is no candump line: {line[:60]!r}")
        time = match["time"]
        found.append(
            (
                float(time) if time is not None else len(found) * _UNTIMED,
                _frame(match["id"], match["data"].strip()),
            )
        )
    if not found:
        raise ValueError("the recording holds no frame")
    first = found[0][0]
    return [(time - first, frame) for time, frame in found]


def _frame(digits: str, data: str) -> Frame:
    can_id = int(digits, 16)
    extended = len(digits) > _SHORT
    if can_id & _ERROR_FLAG:
        return Frame(id=BUS_ERROR, error=True)
    can_id &= EXTENDED_MOST if extended else STANDARD_MOST
    if data[:1] in ("R", "r"):
        length = int(data[1:] or 0) if data[1:].isdigit() else 0
        return Frame(id=can_id, extended=extended, remote=True, length=length)
    return Frame(id=can_id, extended=extended, data=bytes.fromhex(data))


class _Player(Node):
    """Sends recorded frames from their first one on once somebody listens."""

    def __init__(
        self, frames: Iterable[tuple[float, Frame]], *, repeat: bool, timed: bool
    ) -> None:
        self._frames = [(time if timed else 0.0, frame) for time, frame in frames]
        last = self._frames[-1][0]
        # The pause between the end and the beginning is one like the others.
        self._period = last + last / max(len(self._frames) - 1, 1)
        self._repeat = repeat and self._period > 0
        self._start: float | None = None
        self._place = 0

    def listened(self, now: float) -> None:
        if self._start is None:
            self._start = now

    def due(self) -> float | None:
        if self._start is None or self._place == len(self._frames):
            return None
        return self._start + self._frames[self._place][0]

    def emit(self, now: float) -> Iterable[Frame]:
        frame = self._frames[self._place][1]
        self._place += 1
        if self._repeat and self._place == len(self._frames):
            assert self._start is not None
            self._start, self._place = self._start + self._period, 0
        return (frame,)


class ReplayBus(Bus):
    """A bus on which a recording is played, over and over where that takes time."""

    def __init__(
        self,
        frames: Iterable[tuple[float, Frame]],
        *,
        bitrate: int = BITRATES[0],
        speed: Speed = Speed.WIRE,
        repeat: bool = True,
        seed: int = 0,
        faults: Iterable[Fault] = (),
    ) -> None:
        """Play frames at their times, or all at once without wire speed.

        They were on a wire already, so on this one they take no time and keep their order.
        """
        player = _Player(frames, repeat=repeat, timed=speed is Speed.WIRE)
        super().__init__(
            [player],
            bitrate=bitrate,
            speed=Speed.FAST,
            faults=tuple(faults),
            arbitrates=False,
        )
        suffer(self, seed)
        join(self)
