"""What is known of one BMS: the last believed values of its blocks."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass, field as dataclass_field, replace
from typing import Final, cast

from .codecs import Value
from .continuity import goes_on
from .datum import ALL_BLOCKS, BLOCK_OF_TYPE, Block, Datum, Firmware
from .derived import derive, present_cells
from .doubt import BELIEVED_AFTER, doubts
from .features import Features
from .fields import (
    HARDWARE_OPTIONS,
    HARDWARE_VERSION,
    HEATER,
    HEATING,
    HEATING_CURRENT,
    MODEL,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
)
from .frames import Frame
from .layout import FRAME_HEAD, Layout, decode_block, recognise
from .plausibility import Implausible, implausible
from .refusals import Refusals
from .scrutiny import suspicions, unread
from .trail import Repetition, Trail, trail_of


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a BMS says it is (device info block)."""

    model: str | None
    serial_number: str | None
    hardware_version: str | None
    software_version: str | None


@dataclass(frozen=True, slots=True)
class Update:
    """What a frame has changed."""

    block: Block
    changed: AbstractSet[str]
    """Keys whose value is another one now."""


ON_WIRES: Final = frozenset({Layout.JK02_32S, Layout.JK02_24S})
"""What a board with RS485 can send; JK04 has Bluetooth alone (ble.md 4)."""
_CLASH_SHOWN: Final = 3
"""How often another series has to go on between the believed one to be another BMS."""
_FORGOTTEN_AFTER: Final = 30.0
"""Seconds in which a refused series has to go on; several cycles of 7 s."""
_CLASH_OVER: Final = 180.0
"""Seconds without the other series after which it is over."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a frame said, and when."""

    values: dict[str, Value]
    data: bytes
    layout: Layout | None
    time: float


@dataclass(frozen=True, slots=True)
class _Held:
    """What waits to be said again."""

    said: _Said
    fallen: int
    """How often a counter was less than what is believed, each time the same series."""


@dataclass(frozen=True, slots=True)
class _Other:
    """Live values that were refused, and are not those of the believed BMS later on."""

    values: Mapping[str, Value]
    time: float
    met: int = 0
    """How often both series went on by turns."""
    between: bool = False
    """Whether the believed series went on since."""


@dataclass(slots=True)
class BmsState:
    """The values of one BMS by key, and when each block was last believed."""

    values: dict[str, Value] = dataclass_field(default_factory=dict)
    seen: dict[Block, float] = dataclass_field(default_factory=dict)
    frames: dict[Block, bytes] = dataclass_field(default_factory=dict)
    layout: Layout | None = None
    layouts: frozenset[Layout] = ON_WIRES
    """What its frames can be."""
    told: set[str] | None = None
    """The keys that it tells, where values do not come in blocks; None where they do."""
    rejected: Counter[Implausible] = dataclass_field(default_factory=Counter)
    refusals: Refusals = dataclass_field(default_factory=Refusals)
    clashing: bool = False
    """Whether two BMS speak with this address by turns; the first one is believed."""
    _held: dict[Block, _Held] = dataclass_field(default_factory=dict)
    """What was doubted and waits to be said again."""
    _open: dict[Block, Counter[str]] = dataclass_field(
        default_factory=lambda: defaultdict(Counter)
    )
    """How often each doubt has kept a block from being believed since it last was."""
    _unsteady: set[str] = dataclass_field(default_factory=set)
    """Doubts that do not apply: this BMS is like that in frame after frame."""
    _other: _Other | None = None
    _trails: dict[Block, Trail | Repetition | None] = dataclass_field(
        default_factory=dict
    )
    """What the next frame of a block may follow without a closer look."""

    def get[T](self, datum: Datum[T]) -> T | None:
        """Return a value; None where the BMS has none or was not heard."""
        return cast("T | None", self.values.get(datum.key))

    @property
    def firmware(self) -> Firmware | None:
        """The software version, once the device info was read."""
        return Firmware.parse(self.get(SOFTWARE_VERSION))

    @property
    def identity(self) -> Identity:
        """Model, serial number and versions, None each until read."""
        return Identity(
            self.get(MODEL),
            self.get(SERIAL_NUMBER),
            self.get(HARDWARE_VERSION),
            self.get(SOFTWARE_VERSION),
        )

    @property
    def cell_numbers(self) -> tuple[int, ...]:
        """The cells that the pack has."""
        return present_cells(self.values)

    @property
    def has_heater(self) -> bool:
        """Whether anything tells of a heater: its current, its switch, an option."""
        return bool(
            self.get(HEATING)
            or self.get(HEATER)
            or self.get(HEATING_CURRENT)
            or "H" in (self.get(HARDWARE_OPTIONS) or "")
        )

    @property
    def features(self) -> Features | None:
        """What the BMS has; None until each of its blocks was read."""
        return self.features_from(ALL_BLOCKS)

    def features_from(self, blocks: frozenset[Block]) -> Features | None:
        """Return what these blocks tell that the BMS has; None until each was read."""
        if not self.seen.keys() >= blocks:
            return None
        return Features.of(
            self.values,
            self.cell_numbers,
            self.firmware,
            heater=self.has_heater,
            keys=self.told,
            layout=None if self.told is None else self.layout,
        )

    def assume(self, software_version: str | None) -> None:
        """Decode as for this firmware until the device info tells another."""
        if software_version is not None:
            self.values.setdefault(SOFTWARE_VERSION.key, software_version)

    def plausible(self, frame: Frame, block: Block) -> dict[str, Value] | None:
        """Return what a frame says; None where it cannot be true after what is known."""
        layout = self._layout_of(frame, block)
        if layout is None:
            return None
        values = self._decode(frame.data, block, layout)
        return values if implausible(block, values, self.values) is None else None

    def take_frame(
        self, frame: Frame, block: Block, now: float, *, noisy: bool = False
    ) -> Update | None:
        """Take over a frame of this BMS; None where it cannot be believed.

        On a noisy line more is asked of it: the sum proves little there.
        """
        update = self._follow(frame.data, block, now, noisy=noisy)
        if update is not None:
            return update
        layout = self._layout_of(frame, block)
        if layout is None:
            self.refuse(block, Implausible.LAYOUT, now)
            return None
        values = self._decode(frame.data, block, layout)
        reason = implausible(block, values, self.values)
        if reason in (None, Implausible.COUNTER_FELL):
            said = _Said(values, frame.data, layout, now)
            if self._believes(block, said, fell=reason is not None, noisy=noisy):
                return self._learn(block, said)
            reason = reason or Implausible.UNCONFIRMED
            if block is Block.LIVE:
                self._note_other(said)
        self.refuse(block, reason, now)
        return None

    def refuse(self, block: Block, reason: Implausible, now: float) -> None:
        """Take note that what was said of a block is not believed."""
        self.rejected[reason] += 1
        self.note_refusal(block, reason, now)

    def note_refusal(self, block: Block, reason: Implausible, now: float) -> None:
        """Take note of it where it was counted before."""
        self.refusals.note(block, reason, now, self.seen.get(block))

    def refused(self, now: float) -> dict[Block, Implausible]:
        """Return why which blocks have not been believed for long, although they come."""
        return self.refusals.lasting(self.seen, now)

    def _layout_of(self, frame: Frame, block: Block) -> Layout | None:
        """Return how a frame is to be read; None where it cannot be one of this BMS."""
        layout = recognise(frame.data)
        if layout not in self.layouts:
            return None
        oldest = self.layout is Layout.JK04
        if block is Block.DEVICE or self.layout is None:
            return layout
        # No board changes its number format: such a frame was told wrongly.
        return layout if oldest is (layout is Layout.JK04) else None

    def _follow(
        self, data: bytes, block: Block, now: float, *, noisy: bool
    ) -> Update | None:
        """Take over a frame that goes on without doubt from the one believed before.

        None where that cannot be seen at once. Then the same is decided the long way.
        """
        trail = self._trails.get(block)
        values, elapsed = self.values, now - self.seen.get(block, now)
        if (
            trail is None
            or elapsed < 0
            or self._other is not None
            or trail.version != values.get(SOFTWARE_VERSION.key)
        ):
            return None
        if not trail.follows(data, elapsed) or (
            noisy and self._suspect(trail, block, data, elapsed)
        ):
            return None
        self._held.pop(block, None)
        self._open.pop(block, None)
        self.seen[block] = now
        self._settle(block, trail.layout)
        self.frames[block] = data
        return Update(block, trail.accept(values))

    def _suspect(
        self, trail: Trail | Repetition, block: Block, data: bytes, elapsed: float
    ) -> bool:
        """Tell whether what is new needs a closer look on a noisy line."""
        said = self.values.copy()
        trail.write(said)
        unlike = suspicions(block, said, self.values, elapsed)
        if block is Block.LIVE:
            unlike |= unread(data, self.frames[block], said)
        return not unlike <= self._unsteady

    def _decode(self, data: bytes, block: Block, layout: Layout) -> dict[str, Value]:
        return decode_block(
            data, block, layout, firmware=self.firmware, offset=FRAME_HEAD
        )

    def _learn(self, block: Block, said: _Said) -> Update:
        """Take over what is believed."""
        values = said.values
        self._open.pop(block, None)
        if block is Block.LIVE:
            self._note_own(said)
            values |= derive(values)
        known = self.firmware
        changed = _changes(self.values, values)
        self.values |= values
        self.seen[block] = said.time
        self._settle(block, said.layout)
        self.frames[block] = said.data
        self._trails[block] = self._trail_of(block, said)
        if block is Block.DEVICE and self.firmware != known:
            changed |= self._decode_again()
        return Update(block, frozenset(changed))

    def waits(self, block: Block) -> bool:
        """Tell whether what a block said last has to be said again."""
        return block in self._held

    def _settle(self, block: Block, layout: Layout | None) -> None:
        """Take note of how a believed frame is read."""
        # The device info of the older boards is alike, and tells not which it is.
        if block is not Block.DEVICE or layout is Layout.JK02_32S:
            self.layout = layout

    def _trail_of(self, block: Block, said: _Said) -> Trail | Repetition | None:
        version = self.get(SOFTWARE_VERSION)
        if block is Block.LIVE:
            return trail_of(said.data, said.layout, version, self._unsteady)
        return Repetition(said.data, said.layout, version)

    def waits_for(self, frame: Frame) -> bool:
        """Tell whether what the frame says was held back until it is said again."""
        block = BLOCK_OF_TYPE.get(frame.type)
        held = None if block is None else self._held.get(block)
        return held is not None and not held.fallen

    def _believes(self, block: Block, said: _Said, *, fell: bool, noisy: bool) -> bool:
        """Tell whether a block is believed; else hold it back until it is said again.

        What is unlike the believed frame must not be unlike the held one too. A doubt
        that keeps frame after frame from being believed is none with this BMS.
        """
        held = self._held.pop(block, None)
        doubts_left: set[str] = set()
        again: set[str] = set()
        if block in self.seen:
            doubts_left = self._doubts(block, said, self._believed(block), noisy)
            if not doubts_left and not fell:
                return True
        elif not noisy and held is None:
            return True
        if held is not None:
            again = self._doubts(block, said, held.said, noisy)
        if fell or block not in self.seen:
            doubts_left = again
        elif held is not None:
            doubts_left &= again
        opened = self._open[block]
        opened.update(doubts_left)
        usual = {key for key in doubts_left if opened[key] >= BELIEVED_AFTER}
        self._unsteady |= usual
        doubts_left -= usual
        fallen = int(fell)
        if held is not None and not doubts_left:
            fallen += held.fallen
            enough = not fell or fallen >= BELIEVED_AFTER
            if enough and not self._disputed(block, said):
                return True
        self._held[block] = _Held(said, fallen)
        return False

    def _believed(self, block: Block) -> _Said:
        return _Said(self.values, self.frames[block], self.layout, self.seen[block])

    def _doubts(self, block: Block, new: _Said, old: _Said, noisy: bool) -> set[str]:
        elapsed = new.time - old.time
        unlike = doubts(block, new.values, old.values, elapsed)
        if noisy:
            unlike |= suspicions(block, new.values, old.values, elapsed)
            if block is Block.LIVE and new.layout is Layout.JK02_32S:
                unlike |= unread(new.data, old.data, new.values)
        return unlike - self._unsteady

    def _note_own(self, said: _Said) -> None:
        """Take note that the believed series went on, or another one is believed now."""
        other = self._other
        if other is None:
            return
        over = said.time - other.time > _CLASH_OVER
        if over or goes_on(other.values, said.values, said.time - other.time):
            self._other, self.clashing = None, False
        else:
            self._other = replace(other, between=True)

    def _note_other(self, said: _Said) -> None:
        """Take note of live values that were refused: two BMS may share the address."""
        heard = self.seen.get(Block.LIVE)
        values = said.values
        if heard is None or goes_on(self.values, values, said.time - heard):
            return
        other = self._other
        if other is None or not goes_on(other.values, values, said.time - other.time):
            # What was damaged once must not stand in the way of the other series.
            if other is None or said.time - other.time > _FORGOTTEN_AFTER:
                self._other = _Other(values, said.time)
            return
        met = other.met + other.between
        self._other = _Other(values, said.time, met)
        self.clashing = self.clashing or met >= _CLASH_SHOWN

    def _disputed(self, block: Block, said: _Said) -> bool:
        """Tell whether what is said may be said by another BMS with this address."""
        if block is not Block.LIVE or self._other is None or not self._other.met:
            return self.clashing and block in self.seen
        elapsed = said.time - self.seen[block]
        return elapsed <= _CLASH_OVER and not goes_on(self.values, said.values, elapsed)

    def _decode_again(self) -> set[str]:
        """Decode what was read before the firmware was known (0x1116)."""
        changed: set[str] = set()
        for block, data in self.frames.items():
            if block is Block.DEVICE or self.layout is None:
                continue
            values = self._decode(data, block, self.layout)
            changed |= _changes(self.values, values)
            self.values |= values
        return changed


def _changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> set[str]:
    return {key for key, value in new.items() if key not in old or old[key] != value}
