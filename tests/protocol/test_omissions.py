"""What never comes from a BMS that answers is told; what is late now and then is not."""

import pytest

from custom_components.jkbms.protocol.asked_station import AskedStation
from custom_components.jkbms.protocol.ble.machine import BleMaster
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.omissions import Omissions
from custom_components.jkbms.protocol.pacing import SERIAL, Patience
from custom_components.jkbms.protocol.station import Station

from .ttl.bus import bus_of as ttl_bus_of


def asked() -> AskedStation:
    """A station that has said who it is."""
    station = AskedStation(1, gone_after=30.0, due={}, patience=Patience(SERIAL))
    station.unverified = False
    tell(station, 0.0, Block.DEVICE)
    return station


def tell(station: Station, now: float, *blocks: Block) -> None:
    station.heard = now
    station.state.seen |= dict.fromkeys(blocks, now)


@pytest.mark.parametrize("block", [Block.LIVE, Block.SETTINGS])
def test_five_minutes_without_a_block_are_told(block: Block) -> None:
    omissions, station = Omissions(), asked()
    others = {Block.LIVE, Block.SETTINGS} - {block}
    for now in range(100, 400, 10):
        tell(station, now, *others)
        assert omissions.lasting(station, now) == set()
    tell(station, 400.0, *others)
    assert omissions.lasting(station, 400.0) == {block}
    # It stays until it is told, and has to last as long again.
    assert omissions.lasting(station, 410.0) == {block}
    tell(station, 411.0, block)
    assert omissions.lasting(station, 411.0) == set()
    del station.state.seen[block]
    for now in range(420, 720, 10):
        tell(station, now, *others)
        assert omissions.lasting(station, now) == set()
    assert omissions.lasting(station, 720) == {block}


@pytest.mark.parametrize("ever", [False, True])
def test_who_does_not_say_who_it_is_has_that_to_say_first(ever: bool) -> None:
    omissions, station = Omissions(), asked()
    if ever:
        station.unverified = True
    else:
        station.state.seen.clear()
    for now in range(1000, 1300, 10):
        tell(station, now)
        assert omissions.lasting(station, now) == set()
    assert omissions.lasting(station, 1300) == {Block.DEVICE}


def test_who_says_again_and_again_who_it_is_leaves_out_something_else() -> None:
    """Without live values it counts as silent in between, and has to say it anew."""
    omissions, station = Omissions(), asked()
    station.unverified = True
    for now in range(1000, 1300, 100):
        tell(station, now, Block.DEVICE, Block.SETTINGS)
        assert omissions.lasting(station, now) == set()
    assert omissions.lasting(station, 1300) == {Block.LIVE}


@pytest.mark.parametrize(
    ("block", "cycle", "lasts"),
    [
        (Block.LIVE, 5.0, 150),
        (Block.SETTINGS, 5.0, 900),
        # 16 packs behind a gateway that takes 2 s for each of three answers.
        (Block.SETTINGS, 102.0, 2040),
    ],
)
def test_what_was_told_stays_true_for_a_while(
    block: Block, cycle: float, lasts: int
) -> None:
    omissions, station = Omissions(), asked()
    station.cycle = cycle
    tell(station, 0.0, block)
    others = {Block.LIVE, Block.SETTINGS} - {block}
    for now in range(0, lasts + 310, 10):
        tell(station, now, *others)
        assert omissions.lasting(station, now) == set()
    assert omissions.lasting(station, lasts + 310) == {block}


def test_who_does_not_answer_leaves_nothing_out() -> None:
    omissions, station = Omissions(), asked()
    station.heard = None
    for now in (0.0, 500.0, 990.0):
        assert omissions.lasting(station, now) == set()
    station.heard = 1000.0
    for now in (1000.0, 1150.0, 1150.1, 1300.0, 2000.0):
        assert omissions.lasting(station, now) == set()
    station.heard = 2000.0
    for now in (2000.0, 2150.0):
        assert omissions.lasting(station, now) == set()
    station.heard = 2160.0
    assert omissions.lasting(station, 2300.0) == {Block.LIVE, Block.SETTINGS}


def test_who_is_not_asked_leaves_nothing_out() -> None:
    omissions, station = Omissions(), asked()
    for now in (1000.0, 1290.0):
        station.heard = now
        assert omissions.lasting(station, now) == set()
    assert omissions.lasting(None, 1290.0) == set()
    station.heard = 1300.0
    assert omissions.lasting(station, 1300.0) == set()
    assert omissions.lasting(station, 1400.0) == set()


def test_a_pack_on_bluetooth_is_looked_at_too() -> None:
    omissions = Omissions()
    (station,) = BleMaster((0,), 1000.0).stations.values()
    tell(station, 1000.0, Block.DEVICE)
    for now in (1000.0, 1290.0, 1300.0):
        tell(station, now, Block.LIVE)
        lasting = omissions.lasting(station, now)
        assert lasting == ({Block.SETTINGS} if now == 1300.0 else set())


def test_the_older_protocol_tells_all_at_once() -> None:
    bus = ttl_bus_of(1)
    bus.run(30)
    omissions = Omissions()
    (station,) = bus.master.stations.values()
    for now in range(100, 1000, 100):
        tell(station, now)
        assert omissions.lasting(station, now) == set()
