"""What is known of one BMS: the last believed values of its blocks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field as dataclass_field
from typing import cast

from .codecs import Value
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
    changed: frozenset[str]
    """Keys whose value is another one now."""


@dataclass(frozen=True, slots=True)
class _Held:
    values: dict[str, Value]
    time: float
    count: int


@dataclass(slots=True)
class BmsState:
    """The values of one BMS by key, and when each block was last believed."""

    values: dict[str, Value] = dataclass_field(default_factory=dict)
    seen: dict[Block, float] = dataclass_field(default_factory=dict)
    frames: dict[Block, bytes] = dataclass_field(default_factory=dict)
    layout: Layout | None = None
    rejected: Counter[Implausible] = dataclass_field(default_factory=Counter)
    _falls: int = 0
    _held: dict[Block, _Held] = dataclass_field(default_factory=dict)
    """What was doubted and waits to be said again."""
    _unsteady: set[str] = dataclass_field(default_factory=set)
    """Keys of values that this BMS changes from frame to frame."""

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
            self.values, self.cell_numbers, self.firmware, heater=self.has_heater
        )

    def assume(self, software_version: str | None) -> None:
        """Decode as for this firmware until the device info tells another."""
        if software_version is not None:
            self.values.setdefault(SOFTWARE_VERSION.key, software_version)

    def take_frame(self, frame: Frame, block: Block, now: float) -> Update | None:
        """Take over a frame of this BMS; None where it cannot be believed."""
        layout = recognise(frame.data)
        if layout is None or layout is Layout.JK04:
            self.rejected[Implausible.LAYOUT] += 1
            return None
        values = decode_block(
            frame.data, block, layout, firmware=self.firmware, offset=FRAME_HEAD
        )
        update = self._take(block, values, now)
        if update is not None:
            self.layout = layout
            self.frames[block] = frame.data
        return update

    def _take(
        self, block: Block, values: dict[str, Value], now: float
    ) -> Update | None:
        reason = implausible(block, values, self.values)
        if reason is Implausible.COUNTER_FELL and self._falls + 1 >= BELIEVED_AFTER:
            reason = None
        elif reason is Implausible.COUNTER_FELL:
            self._falls += 1
        elif reason is None and self._has_to_repeat(block, values, now):
            reason = Implausible.UNCONFIRMED
        if reason is not None:
            self.rejected[reason] += 1
            return None
        if block is Block.LIVE:
            self._falls = 0
            values |= derive(values)
        known = self.firmware
        changed = _changes(self.values, values)
        self.values |= values
        self.seen[block] = now
        if block is Block.DEVICE and self.firmware != known:
            changed |= self._decode_again()
        return Update(block, frozenset(changed))

    def waits_for(self, frame: Frame) -> bool:
        """Tell whether what the frame says was held back until it is said again."""
        return BLOCK_OF_TYPE.get(frame.type) in self._held

    def _has_to_repeat(
        self, block: Block, values: dict[str, Value], now: float
    ) -> bool:
        """Hold back what is doubted until it is said again, or often enough."""
        held = self._held.pop(block, None)
        if block not in self.seen:
            return False
        unlike = doubts(block, values, self.values, now - self.seen[block])
        if unlike <= self._unsteady:
            return False
        count = 1
        if held is not None:
            again = doubts(block, values, held.values, now - held.time)
            if again <= self._unsteady:
                return False
            count += held.count
            if count >= BELIEVED_AFTER:
                self._unsteady |= again
                return False
        self._held[block] = _Held(values, now, count)
        return True

    def _decode_again(self) -> set[str]:
        """Decode what was read before the firmware was known (0x1116)."""
        changed: set[str] = set()
        for block, data in self.frames.items():
            if block is Block.DEVICE or self.layout is None:
                continue
            values = decode_block(
                data, block, self.layout, firmware=self.firmware, offset=FRAME_HEAD
            )
            changed |= _changes(self.values, values)
            self.values |= values
        return changed


def _changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> set[str]:
    return {key for key, value in new.items() if key not in old or old[key] != value}
