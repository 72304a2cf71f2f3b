"""How often a BMS is asked again for what it does not tell."""

from custom_components.jkbms.protocol.asked_station import AskedStation
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.pacing import SERIAL, Patience


def test_five_times_at_once_and_then_ever_less() -> None:
    station = AskedStation(1, gone_after=30.0, due={}, patience=Patience(SERIAL))
    waits = [station.put_off(Block.SETTINGS) for _ in range(13)]
    assert waits == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60]
    # Each block has a count of its own.
    assert station.put_off(Block.DEVICE) == 0
    station.in_vain.clear()
    assert station.put_off(Block.SETTINGS) == 0
