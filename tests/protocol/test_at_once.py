"""How far each live value may go to be seen at once, and that nothing untrue is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol import state as state_module
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import LIVE
from custom_components.jkbms.protocol.frames import Frame, sum8
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.state import BmsState

from .helpers import frame_of, pack, with_raw
from .reference import LongWay, known

type _Raws = dict[str, int | bytes]

_KIND: Final = 2
"""A pack of 16 cells whose firmware, 19.27, tells every value there is."""
_CELLS: Final = 16
_EVEN: Final[_Raws] = {
    **{f"cell_voltage_{n}": 3300 for n in range(1, _CELLS + 1)},
    "total_voltage": 52_800,
    "bms_average_cell_voltage": 3300,
}
_FOUR_CELLS: Final[_Raws] = {
    **{f"cell_voltage_{n}": 3300 if n <= 4 else 0 for n in range(1, _CELLS + 1)},
    **{f"cell_resistance_{n}": 0 for n in range(5, _CELLS + 1)},
    "cell_presence": 0xF,
    "total_voltage": 13_200,
    "bms_average_cell_voltage": 3300,
}
_NO_FOOTER: Final[_Raws] = {"live_field_mask": bytes(12)}
_RELEASES: Final = (
    "discharge_overcurrent_release",
    "discharge_short_release",
    "charge_overcurrent_release",
    "charge_short_release",
    "undervoltage_release",
    "overvoltage_release",
)
_COUNTDOWNS: Final = (*_RELEASES, "emergency_time_left", "sleep_countdown")
_PROBES: Final = tuple(f"temperature_sensor_{n}" for n in (1, 2, 4, 5))
_MOVES: Final[dict[str, tuple[int, int, int]]] = {
    **{f"cell_voltage_{n}": (3300, 3101, 3499) for n in (1, 5, 16)},
    **{f"cell_resistance_{n}": (200, 100, 300) for n in (1, 5, 16)},
    "total_voltage": (52_800, 52_301, 53_299),
    "current": (10_000, -14_999, 34_999),
    "balancing_current": (0, -2500, 2500),
    "heating_current": (0, -2500, 2500),
    "state_of_charge": (50, 49, 51),
    "event_log_entries": (50, 45, 55),
    "power_tube_temperature": (250, 201, 299),
    **dict.fromkeys(_PROBES, (250, 200, 300)),
    # 1 Ah, and what flows at 600 A in a second.
    "capacity_remaining": (100_000, 98_834, 101_166),
    # What only rises, and so far that nothing else may have to be asked.
    "charging_cycles": (100, 100, 100),
    "total_charging_cycle_capacity": (500_000, 500_000, 500_999),
    "total_runtime": (1_000_000, 1_000_000, 1_000_009),
    # 10 s, and the second that went by.
    "bms_clock": (190_000_000, 189_999_989, 190_000_011),
    "uptime": (1_000_000, 999_890, 1_000_110),
    "charge_status_time": (4995, 4984, 5006),
}
"""Raw value, and the least and the most that are seen at once a second later."""
_FREE: Final = {
    "bms_average_cell_voltage": (3280, 3320),
    "bms_delta_cell_voltage": (0, 0xFFFF),
    "bms_max_voltage_cell_index": (1, 0xFF),
    "bms_min_voltage_cell_index": (0, 0xFF),
    "bms_power": (0, 0xFFFF_FFFF),
    "balancing_state": (1, 0xFF),
    "brownout_time": (1, 0xFFFF_FFFF),
    "charge_pwm": (1, 0xFFFF),
    "charge_sense_voltage": (1, 0xFFFF),
    "coarse_voltage": (0, 0xFFFF),
    "discharge_pwm": (1, 0xFFFF),
    "discharge_sense_voltage": (0, 0xFFFF),
    "mos_temperature_mirror": (-2000, 0x7FFF),
    "reserved_130e": (b"\0\1", b"\xff\xff"),
}
"""What may be anything from one frame to the next, and some of it."""
_DEVICE: Final = frame_of(pack(_KIND), Block.DEVICE)
_FIRST: Final = with_raw(
    frame_of(pack(_KIND), Block.LIVE).data,
    _EVEN
    | {f"cell_resistance_{n}": 200 for n in range(1, _CELLS + 1)}
    | {key: first for key, (first, _, _) in _MOVES.items()}
    | dict.fromkeys(_COUNTDOWNS, 30),
)


@contextmanager
def _nothing_decoded() -> Iterator[None]:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded anew")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_module, "decode_block", refused)
        yield


class _Both:
    """A state, and one that takes the long way: they always know the same."""

    def __init__(self, *said: Mapping[str, int | bytes]) -> None:
        """Believe the device info, and frames that differ from the first in these."""
        self.now = 0.0
        self.states = BmsState(), LongWay()
        for state in self.states:
            assert state.take_frame(_DEVICE, Block.DEVICE, self.now)
        for raw in said:
            self.hear(with_raw(_FIRST, raw))

    @property
    def values(self) -> Mapping[str, Any]:
        """What is known."""
        return self.states[0].values

    def hear(self, data: bytes, *, at_once: bool = False) -> set[str] | None:
        """Let a second pass and a frame come; return what has changed."""
        self.now += 1.0
        state, long_way = self.states
        if at_once:
            with _nothing_decoded():
                update = state.take_frame(Frame(data), Block.LIVE, self.now)
        else:
            update = state.take_frame(Frame(data), Block.LIVE, self.now)
        other = long_way.take_frame(Frame(data), Block.LIVE, self.now)
        changed = None if update is None else set(update.changed)
        assert changed == (None if other is None else set(other.changed))
        assert known(state) == known(long_way)
        return changed

    def at_once(self, raw: Mapping[str, int | bytes]) -> set[str] | None:
        """Hear a frame that differs from the first in this, and is not decoded."""
        return self.hear(with_raw(_FIRST, raw), at_once=True)

    def closely(self, raw: Mapping[str, int | bytes]) -> set[str] | None:
        """Hear a frame that differs from the first in this, and is decoded."""
        data = with_raw(_FIRST, raw)
        state = self.states[0]
        with _nothing_decoded(), pytest.raises(AssertionError, match="decoded anew"):
            state.take_frame(Frame(data), Block.LIVE, self.now + 1.0)
        return self.hear(data)


# -- each value -----------------------------------------------------------------------


@pytest.mark.parametrize(("key", "bounds"), _MOVES.items(), ids=_MOVES)
def test_a_value_that_goes_as_far_as_it_may_is_seen_at_once(
    key: str, bounds: tuple[int, int, int]
) -> None:
    first, least, most = bounds
    for raw in {least, first - (least < first), first, first + (most > first), most}:
        changed = _Both({}).at_once({key: raw})
        assert changed is not None
        assert (key in changed) is (raw != first)


@pytest.mark.parametrize(("key", "bounds"), _MOVES.items(), ids=_MOVES)
def test_a_value_that_goes_further_is_looked_at_closely(
    key: str, bounds: tuple[int, int, int]
) -> None:
    _, least, most = bounds
    for raw in (least - 1, most + 1):
        _Both({}).closely({key: raw})


@pytest.mark.parametrize("key", _COUNTDOWNS)
def test_a_countdown_that_falls_is_seen_at_once_and_no_other(key: str) -> None:
    for raw in (29, 1, 0):
        changed = _Both({}).at_once({key: raw})
        assert changed is not None
        assert key in changed
    _Both({}).closely({key: 31})


@pytest.mark.parametrize(("key", "said"), _FREE.items(), ids=_FREE)
def test_what_changes_as_it_likes_is_seen_at_once(
    key: str, said: tuple[Any, Any]
) -> None:
    both = _Both({})
    for raw in (*said, *said):
        changed = both.at_once({key: raw})
        assert changed is not None
        assert key in changed


_STEADY: Final = sorted(
    row.key
    for row in LIVE
    if row.key not in {*_MOVES, *_COUNTDOWNS, *_FREE}
    and row.template not in ("cell_voltage", "cell_resistance")
)


@pytest.mark.parametrize("key", _STEADY)
def test_whatever_else_changes_is_looked_at_closely(key: str) -> None:
    row = next(row for row in LIVE if row.key == key)
    for bit in range(8):
        data = bytearray(_FIRST)
        data[6 + row.offset] ^= 1 << bit
        data[-1] = sum8(bytes(data))
        both = _Both({})
        with _nothing_decoded(), pytest.raises(AssertionError, match="decoded anew"):
            both.states[0].take_frame(Frame(bytes(data)), Block.LIVE, 2.0)
        both.hear(bytes(data))


def test_each_step_is_counted_from_the_one_before() -> None:
    both = _Both({})
    for step in range(1, 6):
        raw = {"state_of_charge": 50 + step, "cell_voltage_5": 3300 + 60 * step}
        changed = both.at_once(raw)
        assert changed is not None
        assert changed >= {"state_of_charge", "cell_voltage_5", "max_cell_voltage"}
        assert both.values["max_cell_voltage"] == (3300 + 60 * step) / 1000
    both.closely({"state_of_charge": 60, "cell_voltage_5": 3600})


# -- what cannot be true --------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "beyond", "reason"),
    [
        ({"state_of_charge": 99}, 100, 101, Implausible.STATE_OF_CHARGE),
        ({"current": 1_999_990}, 2_000_000, 2_000_001, Implausible.CURRENT),
        ({"current": -1_999_990}, -2_000_000, -2_000_001, Implausible.CURRENT),
        ({"power_tube_temperature": 1500}, 1509, 1510, Implausible.TEMPERATURE),
        ({"power_tube_temperature": -600}, -609, -610, Implausible.TEMPERATURE),
        (
            {"total_voltage": 13_200, **_FOUR_CELLS},
            13_699,
            13_701,
            Implausible.PACK_VOLTAGE,
        ),
        (
            {"total_voltage": 13_200, **_FOUR_CELLS},
            12_701,
            12_699,
            Implausible.PACK_VOLTAGE,
        ),
        (
            {"bms_average_cell_voltage": 3300, **_NO_FOOTER},
            3320,
            3321,
            Implausible.LAYOUT,
        ),
        (
            {"bms_average_cell_voltage": 3300, **_NO_FOOTER},
            3280,
            3279,
            Implausible.LAYOUT,
        ),
        (
            {f"cell_voltage_{n}": 4990 for n in range(1, _CELLS + 1)}
            | {"total_voltage": 79_840, "bms_average_cell_voltage": 4990},
            5000,
            5001,
            Implausible.CELL_VOLTAGE,
        ),
    ],
)
def test_what_is_just_true_is_seen_at_once_and_what_is_not_never(
    first: _Raws, last: int, beyond: int, reason: Implausible
) -> None:
    key = next(iter(first))
    both = _Both(first)
    changed = both.at_once({**first, key: last})
    assert changed is not None
    assert key in changed
    both = _Both(first)
    assert both.hear(with_raw(_FIRST, {**first, key: beyond})) is None
    assert both.states[0].rejected == {reason: 1}


def test_an_empty_pack_is_seen_at_once() -> None:
    assert _Both({"state_of_charge": 1}).at_once({"state_of_charge": 0}) is not None


def _unsteady(key: str, *said: int | bytes, also: _Raws | None = None) -> _Both:
    """Return what has learnt that a value is another one each time."""
    first, *more = ({key: raw, **(also or {})} for raw in said)
    both = _Both(first)
    changed = [both.hear(with_raw(_FIRST, raw)) for raw in more]
    assert changed == [None, None, {key}]
    return both


def test_an_unsteady_health_is_still_no_more_than_all() -> None:
    both = _unsteady("state_of_health", 100, 90, 80, 70)
    for raw in (0, 100):
        assert both.at_once({"state_of_health": raw}) is not None
    assert both.closely({"state_of_health": 101}) is None
    assert both.states[0].rejected[Implausible.STATE_OF_CHARGE] == 1


@pytest.mark.parametrize("key", ["temperature_sensor_1", "power_tube_temperature"])
def test_an_unsteady_probe_may_come_and_go(key: str) -> None:
    both = _unsteady(key, 200, 400, 600, 800)
    for raw in (300, -2000, -1999, -2000, 1400, -590):
        both.hear(with_raw(_FIRST, {key: raw}))
        assert both.values[key] == (None if raw == -2000 else both.values[key])


@pytest.mark.parametrize("first", [-2000, -1999, -1951, -1950, -1949])
@pytest.mark.parametrize("second", [-2001, -2000, -1999, -1951, -1950, -1949])
@pytest.mark.parametrize("key", ["temperature_sensor_1", "mos_temperature_mirror"])
def test_a_probe_next_to_none_is_decided_as_the_long_way(
    key: str, first: int, second: int
) -> None:
    both = _Both({key: first})
    both.hear(with_raw(_FIRST, {key: second}))


# -- frames that are not followed -----------------------------------------------------


def test_an_absent_cell_with_a_voltage_is_looked_at_closely() -> None:
    """Then the end of the frame alone tells how it is read, and it may change."""
    stray: _Raws = {"cell_voltage_20": 30}
    _Both(stray).closely(stray)
    ends = (bytes((n,)) * 12 for n in range(1, 5))
    both = _unsteady("live_field_mask", *ends, also=stray)
    assert both.hear(with_raw(_FIRST, stray | _NO_FOOTER)) is None
    assert both.states[0].rejected[Implausible.LAYOUT] == 1


@pytest.mark.parametrize("cell", [17, 32])
def test_a_voltage_of_a_cell_that_is_not_there_is_looked_at_closely(cell: int) -> None:
    stray = {f"cell_voltage_{cell}": 1}
    _Both({}).closely(stray)
    both = _Both(_NO_FOOTER)
    assert both.hear(with_raw(_FIRST, {**_NO_FOOTER, **stray})) is None
    assert both.states[0].rejected == {Implausible.LAYOUT: 1}


def test_a_cell_that_the_mask_leaves_out_tells_nothing() -> None:
    # Without the alarm that a cell is missed its sum could not be true.
    gap: _Raws = {"cell_presence": 0xFFFB, "alarm_bitmask": 0b100}
    both = _Both(gap)
    assert both.closely(gap | {"cell_voltage_3": 3301}) == set()
    assert both.values["cell_voltage_3"] is None


@pytest.mark.parametrize("kind", [0, 1, 3, 4])
def test_a_frame_of_another_type_is_looked_at_closely(kind: int) -> None:
    data = bytearray(_FIRST)
    data[4] = kind
    data[-1] = sum8(bytes(data))
    both = _Both({})
    with _nothing_decoded():
        if kind in (1, 3):
            with pytest.raises(AssertionError, match="decoded anew"):
                both.states[0].take_frame(Frame(bytes(data)), Block.LIVE, 2.0)
        else:
            assert both.hear(bytes(data)) is None


@pytest.mark.parametrize("size", [270, 299])
def test_a_frame_that_ends_early_is_looked_at_closely(size: int) -> None:
    both = _Both({})
    both.hear(_FIRST[:size])
    both.hear(_FIRST[:size])
    both.hear(_FIRST)
    both.hear(_FIRST[:size])


def test_cells_that_are_far_apart_may_go_as_far_as_others() -> None:
    apart = _EVEN | {
        "cell_voltage_16": 3700,
        "total_voltage": 53_200,
        "bms_average_cell_voltage": 3320,
    }
    for raw in (3501, 3899):
        changed = _Both(apart).at_once(apart | {"cell_voltage_16": raw})
        assert changed is not None
        assert "cell_voltage_16" in changed
    for raw in (3300, 3499, 3901):
        _Both(apart).closely(apart | {"cell_voltage_16": raw})
