"""What the last believed frame said, as raw values, and what may follow it without doubt.

From one frame to the next most values stay the same, and the others go a little way. To
see that on raw values takes a fifth of the time of decoding and judging a whole block
(performance.md 2). Nothing is decided here but that `layout`, `plausibility` and `doubt`
would all agree; where that cannot be seen, they are asked.
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import compress
from math import ceil, inf
from operator import ne, sub
import struct
from typing import Any, Final

from .codecs import CLOCK, LITTLE, Clock, Scaled, Value
from .datum import Block, Field, Firmware
from .derived import COMPARED, compared, derive_from
from .doubt import FREE, STEADY, Margin, margin
from .fields import (
    CELL_PRESENCE,
    CELL_VOLTAGES,
    CHARGING_CYCLES,
    CURRENT,
    CYCLE_CAPACITY,
    LIVE,
    MOS_TEMPERATURE,
    STATE_OF_CHARGE,
    STATE_OF_HEALTH,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
)
from .fields.live import BMS_AVERAGE
from .frames import FRAME_SIZE
from .layout import FRAME_HEAD, Layout, is_gapless, plan_of, presence
from .plan import unpacker

type _Values = dict[str, Value]
type _Raw = tuple[Any, ...]
type _Step = tuple[str, int, float, float, float, float]
"""Key, divisor, by how much the raw value may fall and rise, its least and its most."""

_OF_CLOCK: Final = -1
"""In the place of a divisor; 0 is what takes a closer look each time."""
_TYPE: Final = 4
_END: Final = FRAME_SIZE - 1
_CELLS_END: Final = FRAME_HEAD + 64
_RULES_KEPT: Final = 64
_LIVE_KEYS: Final = frozenset(field.key for field in LIVE) - {CELL_PRESENCE.key}
_COMPARED_KEYS: Final = tuple(datum.key for datum in COMPARED)
# As strict as `plausibility` and `layout` at least. Cells in V, the rest as raw values.
_MOST_CELL: Final = 5.0
_MOST_APART: Final = 499
_MOST_FROM_AVERAGE: Final = 20
_BOUNDS: Final[dict[Field[Any], tuple[float, float]]] = {
    CURRENT: (-2_000_000, 2_000_000),
    MOS_TEMPERATURE: (-609, 1509),
    STATE_OF_CHARGE: (0, 100),
    STATE_OF_HEALTH: (0, 100),
}
_RISING: Final = frozenset({CHARGING_CYCLES, CYCLE_CAPACITY, TOTAL_RUNTIME})


class Repetition:
    """A block of settings or device info, which says the same for days."""

    def __init__(self, data: bytes, layout: Layout | None, version: str | None) -> None:
        """Take a believed frame, and the software version that it was decoded for."""
        self.layout: Final = layout
        self.version: Final = version
        self._said: Final = data

    def follows(self, data: bytes, _: float) -> bool:
        """Tell whether a frame says the same, whatever number it has."""
        said = self._said
        return data[FRAME_HEAD:_END] == said[FRAME_HEAD:_END] and (
            data[_TYPE] == said[_TYPE]
        )

    def write(self, values: _Values) -> None:
        """Put what was told last into these values: nothing."""

    def accept(self, values: _Values) -> AbstractSet[str]:
        """Go on from there; return the keys of what is another value now: none."""
        return frozenset()


class Trail:
    """A live block of a board for 32 cells, of which the first ones are there."""

    layout: Final = Layout.JK02_32S

    def __init__(self, data: bytes, version: str | None, rules: _Rules) -> None:
        """Take a believed frame, and the software version that it was decoded for."""
        self.version: Final = version
        self._rules: Final = rules
        self._still: Final = int.from_bytes(data) & rules.still
        self._volts: _Raw = rules.unpack_volts(data, FRAME_HEAD)
        self._raw: _Raw = rules.unpack(data, FRAME_HEAD)
        self._compared = compared(rules.numbers, [volt / 1000 for volt in self._volts])
        self._seen = self._volts, self._raw, self._compared
        self._news: _Values = {}
        self._moved: tuple[str, ...] = ()
        """The keys among the news that are no voltages of cells."""

    @property
    def goes_on(self) -> bool:
        """Whether a frame that says the same could follow."""
        fits = self._rules.fit(self._volts, self._raw)
        return fits and self._near(self._volts, self._compared)

    def follows(self, data: bytes, elapsed: float) -> bool:
        """Tell whether a frame of some seconds later goes on without doubt."""
        rules = self._rules
        whole = len(data) == FRAME_SIZE
        if not whole or int.from_bytes(data) & rules.still != self._still:
            return False
        raw, before = rules.unpack(data, FRAME_HEAD), self._raw
        volts = rules.unpack_volts(data, FRAME_HEAD)
        if not rules.fit(volts, raw):
            return False
        news: _Values = {}
        steps = rules.steps
        for at in compress(rules.places, map(ne, raw, before, strict=True)):
            key, divisor, fall, rise, least, most = steps[at]
            now = raw[at]
            if divisor and fall <= now - before[at] <= rise and least <= now <= most:
                if divisor == _OF_CLOCK:
                    news[key] = CLOCK.decode(now)
                else:
                    news[key] = now if divisor == 1 else now / divisor
            elif not rules.takes(at, now, before[at], elapsed, news):
                return False
        told, moved = self._compared, tuple(news)
        if volts != self._volts:
            scaled = [volt / 1000 for volt in volts]
            told = compared(rules.numbers, scaled)
            if not self._near(volts, told):
                return False
            cells = zip(rules.keys, scaled, strict=True)
            news.update(compress(cells, map(ne, volts, self._volts, strict=True)))
            all_told = zip(_COMPARED_KEYS, told, strict=True)
            news.update(compress(all_told, map(ne, told, self._compared, strict=True)))
        self._seen = volts, raw, told
        self._news, self._moved = news, moved
        return True

    def _near(self, volts: _Raw, told: tuple[float, ...]) -> bool:
        """Tell whether the cells are where cells can be, and none has gone far."""
        _, _, lowest, highest, _, _ = told
        _, _, lowest_before, highest_before, _, _ = self._compared
        if lowest <= 0 or highest > _MOST_CELL:
            return False
        apart = max(highest, highest_before) - min(lowest, lowest_before)
        if 1000 * apart < self._rules.cell_step:
            return True
        moved = max(map(abs, map(sub, volts, self._volts, strict=True)))
        return bool(moved <= self._rules.cell_step)

    def write(self, values: _Values) -> None:
        """Put what was told last into these values."""
        values.update(self._news)

    def accept(self, values: _Values) -> AbstractSet[str]:
        """Go on from there; return the keys of what is another value now."""
        self._volts, self._raw, self._compared = self._seen
        news = self._news
        values.update(news)
        for key, value in derive_from(values, self._moved).items():
            if values[key] != value:
                news[key] = values[key] = value
        return news.keys()


class _Rules:
    """How the raw values of packs with so many cells may change."""

    def __init__(
        self, fields: list[Field[Any]], cells: int, free: frozenset[str]
    ) -> None:
        """Take the fields, all but the voltages, and the keys that change as they like."""
        margins = {f: FREE if f.key in free else margin(f.key) for f in fields}
        moving = [field for field in fields if margins[field] != STEADY]
        self.keys: Final = tuple(field.key for field in CELL_VOLTAGES[:cells])
        self.numbers: Final = range(1, cells + 1)
        self.cell_step: Final = _below(margin(CELL_VOLTAGES[0].key).rise, 1000)
        self.unpack_volts: Final = struct.Struct(f"{LITTLE}{cells}H").unpack_from
        self.unpack: Final = unpacker(
            [(field.offset, field.codec.code) for field in moving], LITTLE
        ).unpack_from
        self.places: Final = range(len(moving))
        self.still: Final = _mask(cells, [f for f in fields if f not in moving])
        """The bits of a frame that stay as they are."""
        self.steps: Final = [_step(field, margins[field]) for field in moving]
        self._moving: Final = [(field, margins[field]) for field in moving]
        self._average: Final = moving.index(BMS_AVERAGE)
        self._total: Final = moving.index(TOTAL_VOLTAGE)

    def fit(self, volts: _Raw, raw: _Raw) -> bool:
        """Tell whether the cells have the average and the sum that the pack tells."""
        count, whole = len(volts), sum(volts)
        return bool(
            abs(whole - count * raw[self._average]) <= count * _MOST_FROM_AVERAGE
            and abs(whole - raw[self._total]) <= _MOST_APART
        )

    def takes(
        self, at: int, now: Any, before: Any, elapsed: float, news: _Values
    ) -> bool:
        """Take over what is no number or went further than at once, if it may."""
        field, margin = self._moving[at]
        value, old = field.codec.decode(now), field.codec.decode(before)
        if value == old:
            return True
        if field in _RISING or field in _BOUNDS:
            return False
        if margin != FREE and not margin.holds(value, old, elapsed):
            return False
        news[field.key] = value
        return True


def _mask(cells: int, fields: list[Field[Any]]) -> int:
    """Return the bits of a frame that hold these fields, or voltages of absent cells."""
    mask = bytearray(FRAME_SIZE)
    mask[_TYPE] = 0xFF
    spans = [range(FRAME_HEAD + 2 * cells, _CELLS_END)]
    for field in fields:
        start = FRAME_HEAD + field.offset
        spans.append(range(start, start + field.codec.size))
    for byte in (byte for span in spans for byte in span):
        mask[byte] = 0xFF
    return int.from_bytes(mask)


def _below(most: float, scale: int) -> float:
    """Return how far a raw value may move to be on this side of a limit for sure."""
    return most if most == inf else ceil(most * scale) - 1


def _step(field: Field[Any], margin: Margin) -> _Step:
    codec = field.codec
    match codec:
        case Scaled(divisor=divisor, unknown=unknown):
            pass
        case Clock():
            divisor, unknown = _OF_CLOCK, 0
        case _:
            return field.key, 0, 0, 0, 0, 0
    scale = abs(divisor)
    fall, rise = _below(margin.fall, scale), _below(margin.rise, scale)
    least, most = _BOUNDS.get(field, (-inf, inf))
    if unknown is not None:
        # What is as far from it as that was known before, too.
        least = max(least, unknown + 1 + (0 if margin == FREE else rise))
    return field.key, divisor, 0 if field in _RISING else -fall, rise, least, most


@lru_cache(maxsize=_RULES_KEPT)
def _rules(cells: int, firmware: Firmware | None, free: frozenset[str]) -> _Rules:
    plan = plan_of(Block.LIVE, Layout.JK02_32S, firmware, cells=cells)
    others = plan.fields.keys() - {*CELL_VOLTAGES}
    return _Rules(sorted(others, key=lambda field: field.offset), cells, free)


def trail_of(
    data: bytes, layout: Layout | None, version: str | None, unsteady: AbstractSet[str]
) -> Trail | None:
    """Return what goes on from a believed live frame; None where each is looked at anew.

    What is `unsteady` changes as it likes.
    """
    # What was read by registers may end early: its bits are in other places then.
    if layout is not Layout.JK02_32S or len(data) != FRAME_SIZE:
        return None
    mask = presence(data, layout)
    cells = mask.bit_length()
    absent = data[FRAME_HEAD + 2 * cells : _CELLS_END]
    if not is_gapless(mask) or any(absent):
        return None
    free = _LIVE_KEYS.intersection(unsteady)
    trail = Trail(data, version, _rules(cells, Firmware.parse(version), free))
    return trail if trail.goes_on else None
