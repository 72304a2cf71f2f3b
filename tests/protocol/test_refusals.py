"""What is never believed for long is told; what is wrong now and then is not."""

from typing import Any, Final

from custom_components.jkbms.protocol.can.dialect import Dialect
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.plausibility import Implausible
from custom_components.jkbms.protocol.refusals import Refusals
from custom_components.jkbms.protocol.state import BmsState

from .can import bus as can
from .helpers import frame_of, pack
from .ttl.bus import bus_of as ttl_bus_of

SOC: Final = Implausible.STATE_OF_CHARGE
LASTING: Final = {Block.LIVE: SOC}


def hear(state: BmsState, now: float, block: Block = Block.LIVE, **raw: Any) -> None:
    state.take_frame(frame_of(pack(**raw), block), block, now)


def test_five_minutes_of_nothing_to_be_believed_are_told() -> None:
    state = BmsState()
    for now in range(0, 300, 20):
        hear(state, now, soc=150)
        assert state.refused(now) == {}
    hear(state, 300.0, soc=150)
    assert state.refused(300.0) == LASTING
    # It stays while it may still come, and no longer.
    assert state.refused(480.0) == LASTING
    assert state.refused(480.1) == {}
    # A clock that went back proves nothing.
    assert state.refused(299.0) == {}


def test_what_is_believed_ends_it() -> None:
    state = BmsState()
    for now in (0.0, 150.0, 300.0):
        hear(state, now, soc=150)
    hear(state, 310.0)
    assert state.refused(310.0) == {}
    # It has to last as long again.
    for now in (320.0, 470.0, 619.0):
        hear(state, now, soc=150)
        assert state.refused(now) == {}
    hear(state, 620.0, soc=150)
    assert state.refused(620.0) == LASTING


def test_one_now_and_then_is_not_told() -> None:
    state = BmsState()
    for now in range(0, 3600, 200):
        hear(state, now, soc=150)
        assert state.refused(now) == {}
    state = BmsState()
    for now in range(0, 3600, 20):
        hear(state, now, soc=50 if now % 100 else 150)
        assert state.refused(now) == {}


def test_each_block_is_told_of_alone() -> None:
    state = BmsState()
    for now in range(0, 301, 60):
        hear(state, now)
        hear(state, now, Block.SETTINGS, cell_ovp=9000)
        hear(state, now, Block.DEVICE, model=bytes(15))
    assert state.refused(300.0) == {
        Block.SETTINGS: Implausible.SETTINGS,
        Block.DEVICE: Implausible.MODEL,
    }


def test_the_last_reason_is_told() -> None:
    refusals = Refusals()
    refusals.note(Block.LIVE, SOC, 0.0, None)
    refusals.note(Block.LIVE, Implausible.LAYOUT, 180.0, None)
    refusals.note(Block.LIVE, Implausible.CURRENT, 300.0, None)
    assert refusals.lasting({}, 300.0) == {Block.LIVE: Implausible.CURRENT}


def test_can_and_the_older_protocol_tell_it_too() -> None:
    one = can.Pack()
    bus = can.Bus(one, addresses=(0,))
    bus.run(10.0)
    one.amperes = 2100.0
    bus.run(400.0)
    station = bus.listener.stations[0]
    assert station.dialect is Dialect.NATIVE_V2
    assert station.state.refused(bus.now) == {Block.LIVE: Implausible.CURRENT}
    assert station.state.rejected == {Implausible.CURRENT: 1}
    older = ttl_bus_of(1)
    older.run(10.0)
    older.line.bank[1].set("soc", 150)
    older.run(400.0)
    assert older.master.stations[1].state.refused(older.now) == LASTING
