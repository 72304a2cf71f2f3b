"""Blocks read register by register: the same values as in frames, whatever the limits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import (
    BLOCK_OF_TYPE,
    Block,
    Field,
    Firmware,
    Role,
)
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS_OF
from custom_components.jkbms.protocol.frames import FRAME_SIZE, Frame, ReadRequest, sum8
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.line import Answered, Missing, Refused, Unanswered
from custom_components.jkbms.protocol.masking import masked_frame
from custom_components.jkbms.protocol.modbus_map import (
    BlockRead,
    Reach,
    frame_order,
    holds,
)
from custom_components.jkbms.protocol.state import BmsState
from tests.modbus_peer import RegisterMap, registers

from ..captures import frames, golden_frames
from .helpers import frame_of, pack

CAPTURED: Final = {
    c.id: (c.data[:300], c.layout == "JK02_24S", c.firmware)
    for c in frames()
    if c.data[4] in BLOCK_OF_TYPE and c.layout != "JK04"
}
GOLDEN: Final = {
    g.id: (g.data, False, None) for g in golden_frames() if g.type in BLOCK_OF_TYPE
}
ALL: Final = CAPTURED | GOLDEN
JK04: Final = {c.id: c.data[:300] for c in frames() if c.layout == "JK04"}
SECRETS: Final = [f for f in FIELDS_OF[Block.DEVICE] if f.role is Role.SECRET]


@dataclass
class Run:
    """A block read from a register map until something came of it."""

    came: Answered | Refused | Unanswered
    asked: list[ReadRequest] = field(default_factory=list)

    @property
    def frame(self) -> Frame:
        assert isinstance(self.came, Answered)
        assert self.came.frame is not None
        return self.came.frame


def run(served: RegisterMap, block: Block, reach: Reach | None = None) -> Run:
    """Read a block to its end, or until it is refused."""
    read = BlockRead(1, block, Reach() if reach is None else reach)
    asked = []
    while True:
        request = read.request
        asked.append(request)
        assert len(asked) < 200, "the read does not end"
        data = served.read(request.register, request.words)
        came = read.take(
            Refused(request, 2) if data is None else Answered(request, 0.02, data=data)
        )
        if came is not None:
            return Run(came, asked)


def map_of(name: str, *, most: int = 123, end: int = 294) -> tuple[RegisterMap, Block]:
    frame, old, _ = ALL[name]
    kind = frame[4]
    return (
        RegisterMap({kind: registers(frame, old=old)}, most=most, end=end),
        BLOCK_OF_TYPE[kind],
    )


def decoded(frame: bytes, firmware: str | None) -> dict[str, Value]:
    layout = recognise(frame)
    assert layout is not None
    return decode_block(
        frame,
        BLOCK_OF_TYPE[frame[4]],
        layout,
        firmware=Firmware.parse(firmware),
        offset=FRAME_HEAD,
    )


@pytest.mark.parametrize("name", ALL)
def test_each_value_of_a_captured_frame_is_the_same_by_registers(name: str) -> None:
    frame, _, firmware = ALL[name]
    served, block = map_of(name)
    found = run(served, block)
    assert recognise(found.frame.data) is recognise(frame)
    assert decoded(found.frame.data, firmware) == decoded(frame, firmware)
    assert len(found.frame.data) == FRAME_SIZE
    assert sum8(found.frame.data) == found.frame.data[-1]
    assert served.refused == []


@pytest.mark.parametrize("name", ALL)
def test_bytes_that_are_not_decoded_are_kept_too(name: str) -> None:
    """Footers tell layouts apart and masks are echoed when their neighbour is written."""
    frame, old, _ = ALL[name]
    if old:
        return
    served, block = map_of(name)
    ours = run(served, block).frame.data
    hidden = {
        FRAME_HEAD + f.offset + n
        for f in SECRETS
        for n in range(f.codec.size)
        if block is Block.DEVICE
    }
    loose = {
        place
        for place in range(FRAME_HEAD, 299)
        if ours[place] != frame[place] and place not in hidden
    }
    assert loose == set()


@pytest.mark.parametrize("name", JK04)
def test_the_oldest_boards_are_not_taken_for_another(name: str) -> None:
    data = JK04[name]
    block = BLOCK_OF_TYPE[data[4]]
    found = run(RegisterMap({data[4]: registers(data)}), block)
    if block is not Block.DEVICE:
        assert recognise(found.frame.data) not in (Layout.JK02_32S, Layout.JK02_24S)
        assert BmsState().take_frame(found.frame, block, 0.0) is None


def test_a_frame_that_is_no_block_of_jk_is_not_believed() -> None:
    found = run(RegisterMap({2: bytes(294)}), Block.LIVE)
    assert recognise(found.frame.data) is None


@pytest.mark.parametrize("block", Block)
def test_two_requests_are_enough_and_no_secret_is_among_them(block: Block) -> None:
    served = RegisterMap({block.frame_type: bytes(294)})
    asked = run(served, block).asked
    assert len(asked) == (3 if block is Block.DEVICE else 2)
    for request in asked:
        assert request.words <= 120
        assert request.register % 2 == 0
        assert block.base <= request.register
        assert request.register + 2 * request.words <= block.base + 294
    read = {byte for r in asked for byte in range(r.register, r.register + 2 * r.words)}
    secret = {
        byte
        for f in SECRETS
        if block is Block.DEVICE
        for byte in range(f.address, f.address + f.codec.size)
    }
    assert read == set(range(block.base, block.base + 294)) - secret


LIMITS: Final[list[tuple[str, dict[str, int]]]] = [
    (f"{most}-{end}", {"most": most, "end": end})
    for most, end in (
        (123, 294),
        (123, 292),
        (123, 288),
        (120, 290),
        (64, 292),
        (40, 294),
        (40, 284),
        (16, 286),
        (7, 292),
        (2, 294),
        (3, 284),
    )
]


@pytest.mark.parametrize(
    "limits", [one for _, one in LIMITS], ids=[n for n, _ in LIMITS]
)
@pytest.mark.parametrize("kind", [0, 3])
@pytest.mark.parametrize("block", Block)
def test_shorter_limits_are_learnt_from_refusals_and_kept(
    block: Block, kind: int, limits: dict[str, int]
) -> None:
    of = pack(kind)
    frame = frame_of(of, block).data
    served = RegisterMap({block.frame_type: registers(frame)}, **limits)
    reach = Reach()
    first = run(served, block, reach)
    assert served.refused or limits == {"most": 123, "end": 294}
    assert len(served.refused) <= 12
    served.refused.clear()
    second = run(served, block, reach)
    assert served.refused == []
    assert second.frame == first.frame
    whole = decoded(frame, "15.41")
    ours = decoded(second.frame.data, "15.41")
    assert ours.keys() == whole.keys()
    lost = set()
    for key, value in ours.items():
        if value != whole[key]:
            assert value is None
            assert _end_of(key) > limits["end"]
            lost.add(key)
    assert len(lost) < 12


def _end_of(key: str) -> int:
    one = BY_KEY[key]
    return one.offset + one.codec.size


def test_the_halves_of_a_number_are_never_read_apart() -> None:
    for block in Block:
        inside = {
            f.offset + 2 for f in FIELDS_OF[block] if f.codec.code in ("I", "i", "f")
        }
        assert inside
        for most in range(2, 124):
            served = RegisterMap({block.frame_type: bytes(294)}, most=most)
            reach = Reach()
            run(served, block, reach)
            served.reads.clear()
            run(served, block, reach)
            assert not {r - block.base for r, _ in served.reads} & inside


def test_a_bms_that_refuses_all_registers_is_asked_for_two_from_then_on() -> None:
    """One firmware serves triggers only (rs485.md 2.3)."""
    served = RegisterMap({})
    reach = Reach()
    first = run(served, Block.LIVE, reach)
    assert isinstance(first.came, Refused)
    assert [r.words for r in first.asked] == [120, 60, 30, 15, 7, 3, 2]
    again = run(served, Block.LIVE, reach)
    assert isinstance(again.came, Refused)
    assert [r.words for r in again.asked] == [2]
    # A gateway that was mended, or another pack: from the beginning.
    reach.forget()
    served.blocks[0x1200] = bytearray(registers(frame_of(pack(), Block.LIVE).data))
    assert len(run(served, Block.LIVE, reach).asked) == 2


@pytest.mark.parametrize(
    ("block", "end"),
    [
        *((Block.LIVE, end) for end in (0xC2, 0xC4, 0xD0, 0xD2, 0xD4, 244)),
        (Block.SETTINGS, 0x11A),
        *((Block.DEVICE, end) for end in (0xB4, 0xC0, 244)),
    ],
)
def test_a_block_that_ends_early_is_unknown_from_there_on(
    block: Block, end: int
) -> None:
    frame = frame_of(pack(), block).data
    served = RegisterMap({block.frame_type: registers(frame)}, end=end)
    ours = decoded(run(served, block).frame.data, "15.41")
    whole = decoded(frame, "15.41")
    for key, value in ours.items():
        assert value == (whole[key] if _end_of(key) <= end else None)
    assert {key for key in ours if ours[key] is None and whole[key] is not None}


@pytest.mark.parametrize("end", [0xC2, 0xF4, 0x114, 0x124])
def test_whatever_changes_in_a_block_that_ends_early_is_seen(end: int) -> None:
    frame = frame_of(pack(), Block.LIVE).data[: FRAME_HEAD + end]
    believed = 0
    for at in range(FRAME_HEAD, len(frame)):
        state = BmsState()
        assert state.take_frame(Frame(frame), Block.LIVE, 0.0)
        changed = bytearray(frame)
        changed[at] ^= 1
        told = decode_block(bytes(changed), Block.LIVE, offset=FRAME_HEAD)
        for now in (0.5, 1.0, 1.5):
            if state.take_frame(Frame(bytes(changed)), Block.LIVE, now):
                believed += 1
                assert {key: state.values[key] for key in told} == told
    assert believed > end / 2


def test_a_block_that_ends_early_from_now_on_is_followed_too() -> None:
    state, frame = BmsState(), frame_of(pack(), Block.LIVE)
    short = Frame(frame.data[: FRAME_HEAD + 0xC2])
    for now, told in enumerate((frame, short, short, frame, frame)):
        taken = state.take_frame(told, Block.LIVE, float(now))
        if taken:
            whole = decoded(told.data, None)
            assert {key: state.values[key] for key in whole} == whole
    assert state.frames[Block.LIVE] == frame.data


def test_settings_of_which_the_layout_cannot_be_told_are_refused() -> None:
    frame = frame_of(pack(), Block.SETTINGS).data
    served = RegisterMap({1: registers(frame)}, end=0x118)
    assert isinstance(run(served, Block.SETTINGS).came, Refused)


def test_a_bms_that_would_tear_numbers_apart_is_not_read() -> None:
    served = RegisterMap({2: bytes(294)}, most=1)
    assert isinstance(run(served, Block.LIVE).came, Refused)


@pytest.mark.parametrize(
    ("block", "least"),
    [
        # Behind both MOSFETs, behind what tells the layout, behind two protocol numbers.
        (Block.LIVE, 0xC2),
        (Block.SETTINGS, 0x11A),
        (Block.DEVICE, 0xB4),
    ],
)
def test_a_block_that_ends_before_what_matters_is_refused(
    block: Block, least: int
) -> None:
    of = registers(frame_of(pack(), block).data)
    for end in range(0, least, 2):
        served = RegisterMap({block.frame_type: of}, end=end)
        reach = Reach()
        for _ in range(2):
            assert isinstance(run(served, block, reach).came, Refused)
    served = RegisterMap({block.frame_type: of}, end=least)
    frame = run(served, block).frame
    assert len(frame.data) == FRAME_HEAD + least
    assert BmsState().take_frame(frame, block, 0.0) is not None


@pytest.mark.parametrize(
    "came",
    [
        lambda request: Refused(request, 1),
        lambda request: Refused(request, 11),
        lambda request: Unanswered(request, Missing.SILENT),
    ],
)
def test_what_says_nothing_of_limits_ends_the_read(
    came: Callable[[ReadRequest], Refused | Unanswered],
) -> None:
    reach = Reach()
    read = BlockRead(1, Block.LIVE, reach)
    event = came(read.request)
    assert read.take(event) == event
    assert BlockRead(1, Block.LIVE, reach).request.words == 120


def test_the_order_of_bytes_is_turned_there_and_back() -> None:
    data = frame_of(pack(), Block.LIVE).data[FRAME_HEAD:-1] + b"\0"
    turned = frame_order(Block.LIVE, data, Layout.JK02_32S)
    assert turned != data
    assert frame_order(Block.LIVE, turned, Layout.JK02_32S) == data


def test_a_setting_past_the_end_of_what_can_be_read_is_not_held() -> None:
    frame = frame_of(pack(), Block.SETTINGS)
    last: Field[object] = BY_KEY["discharge_utp"]
    assert holds(frame, (last,))
    assert not holds(Frame(frame.data[: FRAME_HEAD + 0x122]), (last,))
    assert holds(Frame(frame.data[: FRAME_HEAD + 0x124]), (last,))
    assert not holds(None, (last,))
    # All of them are wanted.
    first: Field[object] = BY_KEY["cell_uvp"]
    assert holds(Frame(frame.data[: FRAME_HEAD + 0x122]), (first,))
    assert not holds(Frame(frame.data[: FRAME_HEAD + 0x122]), (first, last))


def test_a_frame_without_its_end_is_shown_with_zeros_there() -> None:
    frame = frame_of(pack(), Block.LIVE).data
    shown = masked_frame(frame[:250])
    assert len(shown) == FRAME_SIZE
    assert shown[:250] == frame[:250]
    assert not any(shown[250:299])
    assert sum8(shown) == shown[-1]
