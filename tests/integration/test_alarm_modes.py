"""Alarms on a bus that is only listened to, with a control line, and on CAN."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import ConfigSubentry, ConfigSubentryDataWithId
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS, SUBENTRY_CONTROL_LINE
from custom_components.jkbms.mode import can_data
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS as BANK
from custom_components.jkbms.protocol.features import Features
from custom_components.jkbms.subentries import control_line_data
from simulator import Bank, SlaveLine, Speed, serve_tcp
from simulator.can import CanBus, Dialect, parallel_bank, serve_can_tcp

from ..transport.can_peers import port_of
from .bus import entity_id, state_of, subentry_id, title
from .common import wait_until
from .house import House, controlled
from .listening import Recorded, listening, load, unload
from .test_alarms import said, told

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

OVERVOLTAGE: Final = 1 << 4
CHARGE_OVERTEMPERATURE: Final = 1 << 8


@pytest.fixture
def bank() -> Bank:
    """The master and two slaves."""
    return Bank.default(range(3), still=True)


def alarm(hass: HomeAssistant, key: str, address: int = 1) -> State:
    """The state of an alarm."""
    return state_of(hass, "binary_sensor", address, f"alarm_{key}")


def reason(hass: HomeAssistant, direction: str, address: int = 1) -> str:
    """Why a direction of the current is off."""
    return state_of(hass, "sensor", address, f"{direction}_block_reason").state


async def test_packs_that_are_listened_to_warn_as_those_that_are_asked(
    hass: HomeAssistant, bank: Bank
) -> None:
    async with serve_tcp(Recorded(bank)) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2), 0, 1, 2)
        events = [told(hass, 0), told(hass, 1)]
        assert alarm(hass, "cell_overvoltage").state == STATE_OFF
        bank[1].set("alarms", OVERVOLTAGE)
        bank[1].set("charge_mos", 0)
        await wait_until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
        assert alarm(hass, "cell_overvoltage", 0).state == STATE_OFF
        assert reason(hass, "charging") == "overvoltage"
        assert reason(hass, "charging", 0) == "none"
        # The master has read the settings too.
        bank[1].set("charge_switch", 0)
        await wait_until(lambda: reason(hass, "charging") == "switched_off")
        bank[1].set("alarms", 0)
        await wait_until(lambda: alarm(hass, "cell_overvoltage").state == STATE_OFF)
        assert [said(one) for one in events] == [
            [],
            [("cell_overvoltage", "started"), ("cell_overvoltage", "cleared")],
        ]
        await unload(hass, entry)


async def test_two_lines_that_tell_of_an_alarm_make_one_event(
    hass: HomeAssistant, house: House
) -> None:
    house = await controlled(hass, house)
    address = 1
    events = told(hass, address)
    house.bank[address].set("alarms", OVERVOLTAGE)
    house.bank[address].set("charge_mos", 0)
    await wait_until(lambda: alarm(hass, "cell_overvoltage", address).state == STATE_ON)
    await wait_until(lambda: reason(hass, "charging", address) == "overvoltage")
    house.bank[address].set("alarms", 0)
    await wait_until(
        lambda: alarm(hass, "cell_overvoltage", address).state == STATE_OFF
    )
    await wait_until(lambda: reason(hass, "charging", address) == "unknown_reason")
    assert said(events) == [
        ("cell_overvoltage", "started"),
        ("cell_overvoltage", "cleared"),
    ]


# -- CAN ------------------------------------------------------------------------------


@asynccontextmanager
async def on_can(
    hass: HomeAssistant,
    bus: CanBus,
    *addresses: int,
    control: str | None = None,
    **remembered: Any,
) -> AsyncIterator[MockConfigEntry]:
    """The entry of a CAN bus, set up, everybody on it heard."""
    async with serve_can_tcp(bus) as server:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="CAN",
            data=can_data(port_of("can-tcp", server.url)),
            subentries_data=[
                ConfigSubentryDataWithId(
                    subentry_id=subentry_id(address),
                    subentry_type=SUBENTRY_BMS,
                    title=title(address),
                    unique_id=None,
                    data={"address": address, **remembered},
                )
                for address in addresses
            ],
        )
        entry.add_to_hass(hass)
        if control is not None:
            packs_there = {address: subentry_id(address) for address in addresses}
            hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType(control_line_data(control, packs_there)),
                    subentry_type=SUBENTRY_CONTROL_LINE,
                    title="Control",
                    unique_id=None,
                ),
            )
        assert await hass.config_entries.async_setup(entry.entry_id)
        packs = entry.runtime_data.packs.values()
        await wait_until(lambda: all(p.available and p.features for p in packs))
        await hass.async_block_till_done()
        try:
            yield entry
        finally:
            await unload(hass, entry)


def alarms_of(hass: HomeAssistant, address: int) -> dict[str, str]:
    """All alarms that a pack tells of."""
    prefix = f"binary_sensor.{title(address).lower().replace(' ', '_')}_alarm_"
    return {
        state.entity_id.removeprefix(prefix): state.state
        for state in hass.states.async_all("binary_sensor")
        if state.entity_id.startswith(prefix)
    }


async def test_a_pack_on_can_warns_of_what_its_messages_tell(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default([1], seed=1, still=True)
    async with on_can(hass, CanBus(bank), 1):
        told_of = alarms_of(hass, 1)
        assert set(told_of.values()) == {STATE_OFF}
        # The faults of the lowest 18 bits, and the levels of version 2.
        assert len(told_of) == 18 + 4
        assert told_of.keys() >= {
            "wire_resistance",
            "discharge_mos",
            "battery_overtemperature",
            "low_temperature",
            "cell_difference",
            "low_soc",
        }
        assert entity_id(hass, "binary_sensor", 1, "alarm_change_password") is None
        events = told(hass)
        assert reason(hass, "charging") == "none"

        bank[1].set("alarms", OVERVOLTAGE | 1 << 9)
        bank[1].set("charge_mos", 0)
        await wait_until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
        attributes = alarm(hass, "cell_overvoltage").attributes
        assert (attributes["severity"], attributes["count"]) == ("protection", 1)
        assert attributes["level"] == "serious"
        assert reason(hass, "charging") == "overvoltage"
        assert reason(hass, "discharging") == "none"
        assert state_of(hass, "binary_sensor", 1, "problem").state == STATE_ON
        kinds = state_of(hass, "event", 1, "alarm_event").attributes["event_types"]
        assert set(kinds) == {f"alarm_{key}" for key in told_of}

        bank[1].set("alarms", 0)
        bank[1].set("charge_mos", 1)
        await wait_until(lambda: STATE_ON not in alarms_of(hass, 1).values())
        assert "level" not in alarm(hass, "cell_overvoltage").attributes
        assert reason(hass, "charging") == "none"
        assert sorted(said(events)) == sorted(
            (key, what)
            for key in (
                "cell_overvoltage",
                "charge_undertemperature",
                "low_temperature",
            )
            for what in ("started", "cleared")
        )


async def test_a_pack_of_the_first_version_tells_levels_only(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default([1], seed=1, still=True)
    async with on_can(hass, CanBus(bank, Dialect.NATIVE_V1), 1):
        assert set(alarms_of(hass, 1).values()) == {STATE_OFF}
        assert len(alarms_of(hass, 1)) == 15
        assert entity_id(hass, "binary_sensor", 1, "alarm_charge_mos") is None
        # It does not tell of its MOSFETs: nothing can be said of why they are off.
        assert entity_id(hass, "sensor", 1, "charging_block_reason") is None


@pytest.mark.parametrize(
    ("dialect", "count", "alarms", "expected"),
    [
        (Dialect.PYLON, 8, 1 << 5, "battery_overvoltage"),
        (Dialect.VICTRON, 13, 1 << 5, "battery_overvoltage"),
        (Dialect.GROWATT, 14, 1 << 4, "cell_overvoltage"),
    ],
)
async def test_a_bank_warns_of_what_it_tells_its_inverter(
    hass: HomeAssistant, dialect: Dialect, count: int, alarms: int, expected: str
) -> None:
    bank = parallel_bank(range(2), seed=1, still=True)
    bus = CanBus(bank, dialect, inverter=True)
    async with on_can(hass, bus, BANK):
        assert set(alarms_of(hass, BANK).values()) == {STATE_OFF}
        assert len(alarms_of(hass, BANK)) == count
        events: list[dict[str, Any]] = told(hass, BANK)
        bank[1].set("alarms", alarms)
        await wait_until(lambda: alarm(hass, expected, BANK).state == STATE_ON)
        assert (expected, "started") in said(events)
        assert state_of(hass, "binary_sensor", BANK, "problem").state == STATE_ON


async def test_a_pack_on_can_that_is_silent_for_long_has_no_new_alarm(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default([1], seed=1, still=True)
    bank[1].set("alarms", OVERVOLTAGE)
    async with on_can(hass, CanBus(bank), 1):
        assert alarm(hass, "cell_overvoltage").state == STATE_ON
        since = alarm(hass, "cell_overvoltage").attributes["since"]
        events = told(hass)
        bank[1].present = False
        await wait_until(
            lambda: alarm(hass, "cell_overvoltage").state == STATE_UNAVAILABLE
        )
        bank[1].present = True
        await wait_until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
        assert alarm(hass, "cell_overvoltage").attributes["since"] == since
        assert said(events) == []


async def test_what_a_pack_tells_besides_what_is_remembered_of_it_is_an_event_too(
    hass: HomeAssistant,
) -> None:
    keys = ("alarm_charge_mos", "problem")
    features = Features.of({}, (), None, heater=False, keys=keys).dump()
    bank = Bank.default([1], seed=1, still=True)
    bus = CanBus(bank, Dialect.NATIVE_V1)
    # It is set up without the pack, which wakes later.
    bank[1].present = False
    hass.loop.call_later(20, setattr, bank[1], "present", True)
    async with on_can(hass, bus, 1, features=features):
        # That of the second version, which it does not speak any more.
        assert alarm(hass, "charge_mos").state == STATE_UNKNOWN
        assert alarm(hass, "charge_mos").attributes["count"] == 0
        events = told(hass)
        bank[1].set("alarms", OVERVOLTAGE)
        await wait_until(lambda: events)
        assert said(events) == [("cell_overvoltage", "started")]
        assert set(events[0]["event_types"]) == {
            "alarm_charge_mos",
            "alarm_cell_overvoltage",
        }


async def test_what_a_control_line_tells_of_alarms_is_not_mixed_with_can(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default([1], seed=1, still=True)
    async with (
        serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as server,
        on_can(hass, CanBus(bank), 1, control=server.url) as entry,
    ):
        (pack,) = entry.runtime_data.packs.values()
        await wait_until(lambda: pack.control.available)
        await wait_until(lambda: entity_id(hass, "number", 1, "cell_ovp"))
        events = told(hass)
        # CAN has one level for all that is too hot, and that of another alarm.
        bank[1].set("alarms", CHARGE_OVERTEMPERATURE)
        await wait_until(
            lambda: alarm(hass, "charge_overtemperature").state == STATE_ON
        )
        await asyncio.sleep(60)
        assert pack.station.state.values["alarm_battery_overtemperature"] is True
        assert alarm(hass, "battery_overtemperature").state == STATE_OFF
        assert said(events) == [("charge_overtemperature", "started")]
        assert state_of(hass, "sensor", 1, "errors").state == (
            "Charge over-temperature protection"
        )
        # Without the control line CAN is believed again.
        await server.stop()
        await wait_until(
            lambda: alarm(hass, "battery_overtemperature").state == STATE_ON
        )
