"""What the packs have said, and whether what is believed of them is among it."""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, override

from custom_components.jkbms.protocol.codecs import NUMBER, Value
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Role
from custom_components.jkbms.protocol.derived import derive
from custom_components.jkbms.protocol.fields import FIELDS_OF
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.state import BmsState
import simulator
from simulator import MasterLine, Pack, SlaveLine

_MAGIC: Final = b"\x55\xaa\xeb\x90"
_FRAME: Final = 300
_BLOCK: Final = {
    simulator.Block.LIVE: Block.LIVE,
    simulator.Block.SETTINGS: Block.SETTINGS,
    simulator.Block.DEVICE: Block.DEVICE,
}
_RAW: Final = frozenset(
    field.key
    for fields in FIELDS_OF.values()
    for field in fields
    if field.role is Role.RAW
)


@dataclass(frozen=True, slots=True)
class _Said:
    time: float
    frame: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """A block with values that no pack has said at its address within the time allowed."""

    time: float
    address: int
    block: str
    values: tuple[tuple[str, Value, Value], ...]
    """Key, what was said last, what is believed."""


@dataclass
class Truth:
    """What was said of late, by address and block."""

    allowed: float
    """Seconds for which what was said may be what is believed."""
    compared: int = 0
    wrong_raw: int = 0
    """Blocks in which only values were wrong that nobody is shown."""
    close: int = 0
    """Blocks in which no value was further off than what a pack tells twice may differ."""
    _said: dict[tuple[int, Block], deque[_Said]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def note(self, now: float, address: int, frame: bytes, block: Block) -> None:
        """Take note of a frame that a pack has put on the wire."""
        said = self._said[address, block]
        said.append(_Said(now, frame))
        while said[0].time < now - self.allowed:
            said.popleft()

    def check(
        self, state: BmsState, address: int, block: Block, now: float
    ) -> Wrong | None:
        """Return what of a block is believed and was not said, if anything."""
        self.compared += 1
        said = self._said[address, block]
        while said and said[0].time < now - self.allowed:
            said.popleft()
        believed = _content(state.frames[block])
        if any(_content(one.frame) == believed for one in said):
            # The same bytes are the same values: see `decodes` for the way from one to the other.
            return self._decoded(state, address, block, now)
        told = [_decoded(one.frame, block, state) for one in said]
        wrong = _unsaid(state.values, told)
        shown = [key for key in wrong if key not in _RAW]
        if told and not shown:
            self.wrong_raw += bool(wrong)
            return None
        if told and all(_is_close(key, state.values[key], told) for key in shown):
            self.close += 1
            return None
        last = told[-1] if told else {}
        return Wrong(
            time=now,
            address=address,
            block=block.label,
            values=tuple((key, last.get(key), state.values.get(key)) for key in shown),
        )

    def _decoded(
        self, state: BmsState, address: int, block: Block, now: float
    ) -> Wrong | None:
        """Compare the values of the state with those of the frame that it holds."""
        told = _decoded(state.frames[block], block, state)
        if state.values.items() >= told.items():
            return None
        wrong = _unsaid(state.values, [told])
        return Wrong(
            time=now,
            address=address,
            block=block.label,
            values=tuple((key, told[key], state.values.get(key)) for key in wrong),
        )


def _content(frame: bytes) -> bytes:
    """Return what a frame says: its counter and its sum are another matter."""
    return frame[4:5] + frame[6 : _FRAME - 1]


def _decoded(frame: bytes, block: Block, state: BmsState) -> dict[str, Value]:
    layout = recognise(frame) or Layout.JK02_32S
    values = decode_block(
        frame, block, layout, firmware=state.firmware, offset=FRAME_HEAD
    )
    return values | derive(values) if block is Block.LIVE else values


def _unsaid(values: Mapping[str, Value], told: list[dict[str, Value]]) -> list[str]:
    """Return the keys whose value is in nothing that was said.

    A block that was read register by register holds values of several moments, and none
    where it could not be read.
    """
    keys = told[-1] if told else {}
    return [
        key
        for key in keys
        if values.get(key) is not None
        and all(one.get(key) != values[key] for one in told)
    ]


_CLOSE: Final = {
    "power_tube_temperature": 0.15,
    **{f"temperature_sensor_{n}": 0.25 for n in (1, 2, 4, 5)},
    **{f"cell_voltage_{n}": 0.0026 for n in range(1, 33)},
    # Each of these is a cell, too.
    "min_cell_voltage": 0.0026,
    "max_cell_voltage": 0.0026,
    "total_voltage": 0.012,
    "average_cell_voltage": 0.0026,
    "delta_cell_voltage": 0.0052,
    # Whole seconds, and the line delivers late.
    "total_runtime": 1.1,
}
"""How far off a value may be that nothing in its frame speaks against.

The sum lets pass what two damaged bytes make up for, one time in 16 where a bit of each is
turned. What a pack tells twice it tells so much apart of itself, in every capture.
"""


def _is_close(key: str, value: Value, told: list[dict[str, Value]]) -> bool:
    most = _CLOSE.get(key)
    return most is not None and any(
        isinstance(one := said.get(key), NUMBER)
        and isinstance(value, NUMBER)
        and abs(one - value) <= most
        for said in told
    )


class ToldSlaves(SlaveLine):
    """A line that tells the truth what its packs have said."""

    truth: Truth

    @override
    def _said(self, pack: Pack, request: bytes, now: float) -> bytes:
        data = super()._said(pack, request, now)
        for frame, block in _frames(pack, data):
            self.truth.note(now, pack.address, frame, block)
        return data


class ToldMaster(MasterLine):
    """The same where a pack is master."""

    truth: Truth

    @override
    def _said(self, pack: Pack, request: bytes, now: float) -> bytes:
        data = super()._said(pack, request, now)
        for frame, block in _frames(pack, data):
            self.truth.note(now, pack.address, frame, block)
        return data

    @override
    def _broadcast(self, pack: Pack, block: simulator.Block, now: float) -> None:
        super()._broadcast(pack, block, now)
        self.truth.note(now, pack.address, pack.frame(block), _BLOCK[block])


def _frames(pack: Pack, data: bytes) -> Iterator[tuple[bytes, Block]]:
    """Yield what an answer says: a frame, or registers of any block."""
    if data.startswith(_MAGIC):
        yield data[:_FRAME], BLOCK_OF_TYPE[data[4]]
    elif data[1:2] == b"\x03":
        for block, own in _BLOCK.items():
            yield pack.frame(block), own


@dataclass
class CanTruth:
    """What was true of packs that say it by CAN, in numbers of the simulator.

    Nothing of the decoder is used: each value is held against what the pack's registers
    have been, in the resolution of its message.
    """

    allowed: float
    compared: int = 0
    _was: dict[int, deque[tuple[float, dict[str, float]]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def note(self, now: float, address: int, pack: Pack) -> None:
        """Take note of what is true of a pack now."""
        number = pack.number_of
        cells = {
            f"cell_voltage_{cell}": number(f"cell_voltage_{cell}") / 1000
            for cell in range(1, pack.cell_count + 1)
        }
        was = self._was[address]
        was.append(
            (
                now,
                {
                    "total_voltage": number("pack_voltage") / 1000,
                    "current": number("current") / 1000,
                    "state_of_charge": number("soc"),
                    **cells,
                },
            )
        )
        while was[0][0] < now - self.allowed:
            was.popleft()

    def check(
        self, values: Mapping[str, Value], address: int, now: float
    ) -> Wrong | None:
        """Return what is believed and was not true, if anything."""
        self.compared += 1
        was = [true for time, true in self._was[address] if time >= now - self.allowed]
        wrong: list[tuple[str, Value, Value]] = []
        for key in was[-1] if was else ():
            value: Any = values.get(key)
            step = _STEP.get(key, 0.0006)
            # Another pack that had the address may have fewer cells.
            known = [one[key] for one in was if key in one]
            if value is None or any(abs(one - value) <= step for one in known):
                continue
            late = [
                one[key]
                for time, one in self._was[address]
                if time >= now - _TORN and key in one
            ]
            if key == "total_voltage" and min(late) <= value <= max(late):
                # The sum of cells that are told one after the other.
                continue
            wrong.append((key, was[-1][key], value))
        if was and not wrong:
            return None
        return Wrong(time=now, address=address, block="can", values=tuple(wrong))


_TORN: Final = 4.0
"""Seconds; the messages of all cells take 1.5 s, and a look is up to 2 s later (can.md 1.3)."""
_STEP: Final = {"total_voltage": 0.06, "current": 0.06, "state_of_charge": 0.5}
"""Half of what a message tells apart (can.md 1.3), and what floats are off."""
