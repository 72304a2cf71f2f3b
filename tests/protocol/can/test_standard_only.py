"""An adapter that passes 11-bit messages only: banks are heard, packs are not believed."""

from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.can.survey import CanFinding, CanSurvey
from simulator import Bank
from simulator.can import CanBus, Dialect, parallel_bank


def standard(bus: CanBus, seconds: float) -> list[tuple[float, CanMessage]]:
    """What such an adapter hears of a bus."""
    return [
        (time, CanMessage(code, bytes(data), extended))
        for time, code, extended, data in bus.messages(seconds)
        if not extended
    ]


def test_a_pack_of_version_2_is_not_taken_for_one_of_version_1() -> None:
    """Its current would have the other sign."""
    listener = CanListener((), hears_extended=False)
    heard = standard(CanBus(Bank.default((1,), still=True)), 10.0)
    for time, message in heard:
        listener.advance(time, (message,))
    assert not listener.stations
    assert listener.foreign == len(heard)


def test_a_bank_is_heard_all_the_same() -> None:
    bus = CanBus(parallel_bank((1, 2)), Dialect.PYLON, inverter=True)
    listener = CanListener((), hears_extended=False)
    for time, message in standard(bus, 10.0):
        listener.advance(time, (message,))
    assert listener.stations.keys() == {BANK_ADDRESS}


def test_the_survey_of_such_a_bus_finds_no_packs() -> None:
    survey = CanSurvey(hears_extended=False)
    messages = standard(CanBus(Bank.default((1,), still=True)), 6.0)
    survey.hear(message for _, message in messages)
    assert survey.finish() is CanFinding.FOREIGN
