"""Against the simulator's packs, whose messages were written down by another hand."""

from collections.abc import Iterable
from typing import Final

import pytest

from custom_components.jkbms.protocol.can.dialect import Dialect as Spoken
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, CanListener
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.station import Availability, Event, Updated
from simulator import Bank, Pack
from simulator.can import CanBus, Dialect, parallel_bank, parse_can_fault

ADDRESSES: Final = (0, 3, 7, 11)


def raw(pack: Pack, name: str) -> float:
    """Return a register of a simulated pack."""
    value = pack.get(name)
    assert not isinstance(value, bytes)
    return value


def listen(
    bus: CanBus, seconds: float, addresses: Iterable[int] = ()
) -> tuple[CanListener, list[Event]]:
    """Hear a simulated bus, each message when it comes."""
    listener = CanListener(addresses)
    listener.connected(0.0)
    events: list[Event] = []
    for time, code, extended, data in bus.messages(seconds):
        events += listener.advance(time, (CanMessage(code, data, extended),)).events
    return listener, events


@pytest.mark.parametrize(
    ("dialect", "spoken"),
    [
        (Dialect.NATIVE, Spoken.NATIVE_V2),
        (Dialect.NATIVE_V1, Spoken.NATIVE_V1),
    ],
)
def test_simulated_packs_say_what_they_are(dialect: Dialect, spoken: Spoken) -> None:
    bank = Bank.default(ADDRESSES, seed=1, still=True)
    listener, _ = listen(CanBus(bank, dialect), 12.0)
    assert sorted(listener.stations) == [*ADDRESSES]
    assert listener.dialect is spoken
    assert listener.foreign == listener.malformed == listener.implausible == 0
    for pack in bank:
        values = listener.stations[pack.address].state.values
        assert values["state_of_charge"] == pack.get("soc")
        assert values["total_voltage"] == pytest.approx(
            raw(pack, "pack_voltage") / 1000, abs=0.06
        )
        assert values["current"] == pytest.approx(
            raw(pack, "current") / 1000, abs=0.051
        )


@pytest.mark.parametrize(
    "dialect", [Dialect.PYLON, Dialect.VICTRON, Dialect.SMA, Dialect.GROWATT]
)
def test_a_simulated_bank_says_what_its_packs_are(dialect: Dialect) -> None:
    bank = parallel_bank(range(4), seed=1, still=True)
    listener, _ = listen(CanBus(bank, dialect, inverter=True), 12.0)
    assert listener.dialect is Spoken(dialect.value)
    assert listener.foreign == listener.malformed == listener.implausible == 0
    values = listener.stations[BANK_ADDRESS].state.values
    amperes = sum(raw(pack, "current") for pack in bank) / 1000
    volts = sum(raw(pack, "pack_voltage") for pack in bank) / 4000
    assert values["current"] == pytest.approx(amperes, abs=0.051)
    assert values["total_voltage"] == pytest.approx(volts, abs=0.02)
    assert values["charge_current_limit"] is not None
    assert values["errors"] == "OK"


def test_a_flood_of_other_traffic_moves_nothing() -> None:
    faults = [parse_can_fault("flood:rate=1000:hits=0.01")]
    calm, _ = listen(CanBus(Bank.default([0], seed=1, still=True)), 40.0)
    bus = CanBus(Bank.default([0], seed=1, still=True), faults=faults)
    listener, events = listen(bus, 40.0)
    assert [*listener.stations] == [0]
    assert [e for e in events if isinstance(e, Availability)] == [Availability(0, True)]
    assert listener.foreign > 10_000
    moved = {"total_runtime", "total_voltage", "power"}
    assert {
        key: value
        for key, value in listener.stations[0].state.values.items()
        if value != calm.stations[0].state.values.get(key) and key not in moved
    } == {}


@pytest.mark.parametrize("still", [False, True])
def test_three_packs_at_an_address_are_told_and_not_mixed(still: bool) -> None:
    bank = Bank.default([0, 1, 2], seed=1, still=still)
    for pack in bank:
        pack.readdress(0)
    bus = CanBus(bank, seed=1)
    listener, events = listen(bus, 60.0, (0,))
    assert listener.clashing == (0,)
    assert not listener.stations[0].available
    assert [e for e in events if isinstance(e, Updated)] == []


def test_a_second_pack_at_an_address_is_told() -> None:
    bus = CanBus(
        Bank.default([0, 1], seed=1), faults=[parse_can_fault("duplicate:address=0")]
    )
    listener, _ = listen(bus, 20.0, (0, 1))
    assert listener.clashing == (0,)
    assert not listener.stations[0].available
    assert listener.stations[1].available
