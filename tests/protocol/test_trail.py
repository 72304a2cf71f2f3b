"""A frame that goes on from the last one: seen at once, and decided as the long way."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
import struct
from typing import Any, Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol import state as state_module
from custom_components.jkbms.protocol.attribution import Attributed, Attributor
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Field, Firmware
from custom_components.jkbms.protocol.derived import derive
from custom_components.jkbms.protocol.fields import BY_KEY, LIVE
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.state import BmsState
from simulator import Pack, trios

from ..captures import bus_streams, frames
from .helpers import SIMULATED, frame_of, framed, pack, with_raw
from .reference import LongWay, decoded, derived, known

_FIRMWARE: Final = (None, *map(Firmware.parse, ("11.20", "14.05", "15.41", "19.10")))
_RANGES: Final = {
    "B": (0, 0xFF),
    "H": (0, 0xFFFF),
    "I": (0, 0xFFFF_FFFF),
    "h": (-0x8000, 0x7FFF),
    "i": (-0x8000_0000, 0x7FFF_FFFF),
}
_STEPS: Final = (
    1, 2, 4, 5, 9, 10, 11, 20, 49, 50, 51, 99, 100, 101, 199, 200, 201, 499, 500, 999, 1000,
    1001, 2499, 2500, 2501, 3000, 3001, 24_999, 25_000, 25_001, 2_000_000,
)  # fmt: skip
"""Around each limit there is, and beyond."""
_PLACED: Final = (0, 1, 100, 101, 1500, 1501, 5000, 5001, 0xFFFF, -600, -601, -2000)


@dataclass(frozen=True, slots=True)
class _Edit:
    """A raw value that a pack tells other than it is."""

    key: str
    step: int = 0
    placed: int | None = None

    def applied(self, frame: bytes) -> bytes:
        """Return the frame with it."""
        field = BY_KEY[self.key]
        at, code = FRAME_HEAD + field.offset, field.codec.code
        if code in _RANGES:
            (raw,) = struct.unpack_from(f"<{code}", frame, at)
            lowest, highest = _RANGES[code]
            wanted = raw + self.step if self.placed is None else self.placed
            return with_raw(frame, {self.key: max(lowest, min(highest, wanted))})
        # Words, and the one number that may be none: another byte will do.
        edited = bytearray(frame)
        edited[at + field.codec.size - 1] ^= self.step & 0x7F
        edited[-1] = sum8(bytes(edited))
        return bytes(edited)


_KEYS: Final = st.sampled_from([field.key for field in LIVE])
_MOVES: Final = st.sampled_from([sign * step for step in _STEPS for sign in (1, -1)])
_EDITS: Final = st.lists(
    st.builds(_Edit, _KEYS, _MOVES)
    | st.builds(_Edit, _KEYS, st.just(1), st.sampled_from(_PLACED)),
    max_size=3,
)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a pack says some seconds after it said something."""

    elapsed: float
    block: Block
    edits: list[_Edit]
    lasting: bool
    """Whether it goes on saying so."""
    noisy: bool


_SAID: Final = st.builds(
    _Said,
    st.sampled_from((0.0, 1.0, 1.0, 1.0, 2.5, 9.0, 10.0, 31.0, 400.0)),
    st.sampled_from((*[Block.LIVE] * 6, Block.SETTINGS, Block.DEVICE)),
    _EDITS | st.just([]),
    st.booleans(),
    st.sampled_from((False, False, False, True)),
)


def _frames(kind: int, said: list[_Said]) -> Iterator[tuple[Frame, _Said, float]]:
    simulated = Pack(trios()[kind], 1, seed=kind)
    now = 0.0
    lasting: list[_Edit] = []
    for one in said:
        now += one.elapsed
        simulated.advance(now)
        frame = simulated.frame(SIMULATED[one.block])
        if one.block is Block.LIVE:
            for edit in (*lasting, *one.edits):
                frame = edit.applied(frame)
            if one.lasting:
                lasting = one.edits
        yield Frame(frame), one, now


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 6), st.lists(_SAID, min_size=2, max_size=25))
def test_a_state_knows_the_same_as_one_that_takes_the_long_way(
    kind: int, said: list[_Said]
) -> None:
    state, long_way = BmsState(), LongWay()
    for frame, one, now in _frames(kind, said):
        update, other = (
            each.take_frame(frame, one.block, now, noisy=one.noisy)
            for each in (state, long_way)
        )
        assert (update and set(update.changed)) == (other and set(other.changed))
        assert known(state) == known(long_way)


@pytest.mark.parametrize("field", LIVE, ids=lambda field: field.key)
def test_each_step_of_each_value_is_decided_as_the_long_way(field: Field[Any]) -> None:
    first = pack().frame(SIMULATED[Block.LIVE])
    for step in (sign * step for step in _STEPS for sign in (1, -1)):
        second = Frame(_Edit(field.key, step).applied(first))
        told = []
        for state in (BmsState(), LongWay()):
            assert state.take_frame(Frame(first), Block.LIVE, 0.0)
            update = state.take_frame(second, Block.LIVE, 1.0)
            told.append((update and set(update.changed), known(state)))
        assert told[0] == told[1], step


_NEAR_FIVE_VOLTS: Final = {
    **{f"cell_voltage_{n}": 4995 for n in range(1, 17)},
    "pack_voltage": 16 * 4995,
    "average_cell_voltage": 4995,
}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"soc": 100}, {"soc": 101}),
        ({"soh": 100}, {"soh": 101}),
        ({"mos_temperature": 1499}, {"mos_temperature": 1510}),
        ({"mos_temperature": -599}, {"mos_temperature": -612}),
        ({"mos_temperature": -1990}, {"mos_temperature": -2000}),
        ({"temperature_1": -1990}, {"temperature_1": -2000}),
        ({"temperature_1": -2000}, {"temperature_1": -1990}),
        ({"current": 1_999_990}, {"current": 2_000_010}),
        ({"current": -1_999_990}, {"current": -2_000_010}),
        (_NEAR_FIVE_VOLTS, _NEAR_FIVE_VOLTS | {"cell_voltage_1": 5001}),
        ({"rtc": 5}, {"rtc": 0}),
        ({"rtc": 0}, {"rtc": 5}),
        ({}, {"cell_voltage_20": 30}),
        ({"cell_presence": 0x1FFFB}, {"cell_presence": 0xFFFF}),
    ],
    ids=str,
)
def test_what_is_just_beyond_a_limit_is_decided_as_the_long_way(
    first: dict[str, int], second: dict[str, int]
) -> None:
    told = []
    for state in (BmsState(), LongWay()):
        updates = [
            state.take_frame(frame_of(pack(**raw), Block.LIVE), Block.LIVE, now)
            for raw, now in ((first, 0.0), (second, 1.0), (first, 2.0))
        ]
        changed = [update and set(update.changed) for update in updates]
        told.append((changed, known(state)))
    assert told[0] == told[1]


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("capture", bus_streams(), ids=lambda capture: capture.id)
def test_captured_lines_are_taken_as_the_long_way(capture: Any, noisy: bool) -> None:
    states: dict[int, tuple[BmsState, BmsState]] = defaultdict(
        lambda: (BmsState(), LongWay())
    )
    for now, heard in enumerate(Attributor().feed(framed(capture.data))):
        if not isinstance(heard, Attributed) or heard.address is None:
            continue
        block = BLOCK_OF_TYPE.get(heard.frame.type)
        if block is None:
            continue
        updates = [
            state.take_frame(heard.frame, block, float(now), noisy=noisy)
            for state in states[heard.address]
        ]
        changed = [update and set(update.changed) for update in updates]
        assert changed[0] == changed[1]
        assert known(states[heard.address][0]) == known(states[heard.address][1])


@pytest.fixture
def only_at_once(monkeypatch: pytest.MonkeyPatch) -> BmsState:
    """A state that has believed each block, and can decode none from now on."""
    state = BmsState()
    # Once more with the firmware known, which the last of them tells.
    for block in (*Block, *Block):
        assert state.take_frame(frame_of(pack(), block), block, 0.0)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded anew")

    monkeypatch.setattr(state_module, "decode_block", refused)
    return state


def _seen_at_once(state: BmsState, now: float = 1.0, **raw: Any) -> set[str]:
    update = state.take_frame(frame_of(pack(**raw), Block.LIVE), Block.LIVE, now)
    assert update is not None
    return set(update.changed)


def test_what_says_the_same_is_not_decoded(only_at_once: BmsState) -> None:
    for block in Block:
        update = only_at_once.take_frame(frame_of(pack(), block), block, 1.0)
        assert update is not None
        assert update.block is block
        assert not update.changed
        assert only_at_once.seen[block] == 1.0


def test_only_what_goes_a_little_way_is_decoded(only_at_once: BmsState) -> None:
    volts = pack().number_of("cell_voltage_5")
    assert volts is not None
    changed = _seen_at_once(only_at_once, cell_voltage_5=volts + 30)
    assert {"cell_voltage_5", "max_cell_voltage", "max_voltage_cell"} <= changed
    assert only_at_once.values["max_voltage_cell"] == 5
    assert only_at_once.values["max_cell_voltage"] == (volts + 30) / 1000


def test_a_pack_whose_cells_are_far_apart_is_no_exception(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = {f"cell_voltage_{n}": 3200 for n in range(1, 16)} | {
        "cell_voltage_16": 3600,
        "pack_voltage": 51_600,
        "average_cell_voltage": 3225,
    }
    state = BmsState()
    assert state.take_frame(frame_of(pack(**raw), Block.LIVE), Block.LIVE, 0.0)
    monkeypatch.setattr(state_module, "decode_block", None)
    assert "cell_voltage_16" in _seen_at_once(state, **raw | {"cell_voltage_16": 3601})


def test_a_cell_that_reads_nothing_any_more_is_looked_at_closely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rest = sum(pack().number_of(f"cell_voltage_{n}") for n in range(1, 16))
    raw = {"average_cell_voltage": (rest + 100) // 16}
    low = raw | {"cell_voltage_16": 100, "pack_voltage": rest + 100}
    gone = raw | {"cell_voltage_16": 0, "pack_voltage": rest}
    state = BmsState()
    assert state.take_frame(frame_of(pack(**low), Block.LIVE), Block.LIVE, 0.0)
    monkeypatch.setattr(state_module, "decode_block", None)
    assert _seen_at_once(state, **low) == set()
    with pytest.raises(TypeError):
        _seen_at_once(state, **gone)


@pytest.mark.parametrize(
    "raw",
    [
        {"charge_mos": 0},
        {"soc": 90},
        {"run_time": 0},
        {"cell_voltage_3": 0},
        {"cell_voltage_3": 2000},
        {"cell_voltage_17": 3300},
        {"pack_voltage": 51_000},
        {"temperature_1": -2000},
    ],
    ids=lambda raw: next(iter(raw)),
)
def test_what_goes_far_is_looked_at_closely(
    only_at_once: BmsState, raw: dict[str, int]
) -> None:
    with pytest.raises(AssertionError, match="decoded anew"):
        _seen_at_once(only_at_once, **raw)


def test_another_setting_is_looked_at_closely(only_at_once: BmsState) -> None:
    frame = frame_of(pack(cell_ovp=3_700), Block.SETTINGS)
    with pytest.raises(AssertionError, match="decoded anew"):
        only_at_once.take_frame(frame, Block.SETTINGS, 1.0)


def test_what_is_another_value_each_time_is_soon_seen_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no doubt any more: then nothing is decoded for it."""
    state = BmsState()
    for now, raw in enumerate((0, 1, 2, 7)):
        frame = frame_of(pack(battery_type=raw), Block.LIVE)
        state.take_frame(frame, Block.LIVE, float(now))
    monkeypatch.setattr(state_module, "decode_block", None)
    assert _seen_at_once(state, 5.0, battery_type=0) == {"battery_type"}
    assert _seen_at_once(state, 6.0, battery_type=7) == {"battery_type"}
    assert state.values["battery_type"] is None
    assert _seen_at_once(state, 7.0, battery_type=9) == set()


def test_time_that_goes_backwards_is_looked_at_closely(only_at_once: BmsState) -> None:
    with pytest.raises(AssertionError, match="decoded anew"):
        _seen_at_once(only_at_once, -1.0)


def test_another_firmware_is_looked_at_closely(only_at_once: BmsState) -> None:
    only_at_once.values["software_version"] = "19.99"
    with pytest.raises(AssertionError, match="decoded anew"):
        _seen_at_once(only_at_once)


# -- the long way itself --------------------------------------------------------------


@pytest.mark.parametrize("firmware", _FIRMWARE, ids=str)
def test_blocks_are_decoded_as_row_by_row(firmware: Firmware | None) -> None:
    for capture in frames():
        frame = capture.data[:300]
        layout = recognise(frame) if len(frame) == 300 else None
        if layout is None or layout is Layout.JK04:
            continue
        block = BLOCK_OF_TYPE[frame[4]]
        values = decode_block(
            frame, block, layout, firmware=firmware, offset=FRAME_HEAD
        )
        wanted = decoded(frame, block, layout, firmware)
        assert values == values | wanted
        assert all(values[key] is None for key in values.keys() - wanted.keys())
        if block is Block.LIVE and layout is Layout.JK02_32S:
            assert derive(values) == derived(values)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 6), _EDITS, st.sampled_from(_FIRMWARE))
def test_any_live_block_is_decoded_as_row_by_row(
    kind: int, edits: list[_Edit], firmware: Firmware | None
) -> None:
    frame = frame_of(pack(kind), Block.LIVE).data
    for edit in edits:
        frame = edit.applied(frame)
    layout = Layout.JK02_32S
    values = decode_block(
        frame, Block.LIVE, layout, firmware=firmware, offset=FRAME_HEAD
    )
    wanted = decoded(frame, Block.LIVE, layout, firmware)
    assert repr(values) == repr({key: wanted[key] for key in values})
    assert derive(values) == derived(values)
