"""The coordinator of a bus: whom it wakes, what it says, whom it finds."""

import asyncio
from collections import Counter
from collections.abc import Callable

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.coordinator import BusCoordinator, Watch
from custom_components.jkbms.protocol.derived import DERIVED
from custom_components.jkbms.protocol.fields import FIELDS
from simulator import Bank, TcpServer

from .bus import state_of, subentry_id
from .common import bus_entry, holding, pack_of, said, voltage, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


class Sleepers:
    """Listeners that wait for one key each, and how often each was woken."""

    def __init__(self, coordinator: BusCoordinator, *addresses: int) -> None:
        """Let one wait for every key of these packs."""
        self.woken: Counter[tuple[int, str]] = Counter()
        self._removes = [
            coordinator.async_add_listener(
                self._sleeper(address, datum.key),
                Watch(subentry_id(address), frozenset({datum.key})),
            )
            for address in addresses
            for datum in (*FIELDS, *DERIVED)
        ]
        self.count = len(self._removes)

    def _sleeper(self, address: int, key: str) -> Callable[[], None]:
        def woken() -> None:
            self.woken[address, key] += 1

        return woken

    def remove(self) -> None:
        """Let nobody wait any more."""
        for remove in self._removes:
            remove()


async def test_only_who_waits_for_a_changed_value_is_woken(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        sleepers = Sleepers(coordinator, 1, 2)
        await asyncio.sleep(30)
        # These packs keep their values: they were read six times and nobody woke.
        assert pack_of(entry, 1).station.counts.ok > 6
        assert sleepers.woken == {}

        bank[1].set("soc", bank[1].number_of("soc") - 1)
        await wait_until(lambda: sleepers.woken)
        assert sleepers.woken == {(1, "state_of_charge"): 1}

        sleepers.woken.clear()
        bank[2].set("current", bank[2].number_of("current") - 5000)
        await wait_until(lambda: sleepers.woken)
        woken = {key for address, key in sleepers.woken if address == 2}
        assert (
            {"current", "power"}
            <= woken
            <= {
                "current",
                "power",
                "charging_power",
                "discharging_power",
                "battery_charging",
            }
        )
        assert {address for address, _ in sleepers.woken} == {2}
        sleepers.remove()


async def test_who_waits_for_several_values_is_woken_once_for_all(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        woken = 0

        def wake() -> None:
            nonlocal woken
            woken += 1

        remove = coordinator.async_add_listener(
            wake, Watch(subentry_id(1), frozenset({"state_of_charge", "current"}))
        )
        bank[1].set("soc", bank[1].number_of("soc") - 1)
        bank[1].set("current", bank[1].number_of("current") - 5000)
        await asyncio.sleep(6)
        assert woken == 1
        remove()
        bank[1].set("soc", bank[1].number_of("soc") - 1)
        await asyncio.sleep(6)
        assert woken == 1


async def test_a_pack_that_goes_or_returns_wakes_all_its_listeners_once(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        sleepers = Sleepers(coordinator, 1, 2)
        bank[1].present = False
        await wait_until(lambda: sleepers.woken)
        assert len(sleepers.woken) == sleepers.count / 2
        assert set(sleepers.woken.values()) == {1}
        assert {address for address, _ in sleepers.woken} == {1}
        sleepers.woken.clear()
        bank[1].present = True
        await wait_until(lambda: sleepers.woken)
        assert len(sleepers.woken) == sleepers.count / 2
        assert set(sleepers.woken.values()) == {1}
        sleepers.remove()


async def test_who_waits_for_the_bus_is_told_of_the_bus(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        told: list[bool] = []
        remove = coordinator.async_add_listener(
            lambda: told.append(coordinator.last_update_success)
        )
        await asyncio.sleep(20)
        assert told == []
        await gateway.stop()
        await wait_until(lambda: told)
        await asyncio.sleep(60)
        await gateway.start()
        await wait_until(lambda: len(told) > 1)
        await asyncio.sleep(20)
        assert told == [False, True]
        remove()


async def test_a_pack_that_vanishes_and_returns_is_told_once_each(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with holding(hass, entry):
        others = [a for a in bank.addresses if a != 2]
        caplog.clear()
        bank[2].present = False
        took = await wait_until(lambda: voltage(hass, 2) is None)
        assert 24 <= took <= 31
        assert state_of(hass, "binary_sensor", 2, "online").state == STATE_OFF
        await asyncio.sleep(120)
        assert said(caplog) == ["Gateway: Pack 2 does not answer any more"]
        assert all(voltage(hass, address) for address in others)
        bank[2].present = True
        # Two cycles.
        assert await wait_until(lambda: voltage(hass, 2)) <= 10.5
        assert state_of(hass, "binary_sensor", 2, "online").state == STATE_ON
        await asyncio.sleep(60)
        assert said(caplog) == [
            "Gateway: Pack 2 does not answer any more",
            "Gateway: Pack 2 answers again",
        ]


async def test_a_slow_rhythm_makes_no_pack_unavailable(
    hass: HomeAssistant, gateway: TcpServer, caplog: pytest.LogCaptureFixture
) -> None:
    entry = bus_entry(gateway.url, 1, 2, poll_interval=60)
    async with holding(hass, entry):
        for _ in range(20):
            await asyncio.sleep(10)
            assert voltage(hass, 1)
            assert voltage(hass, 2)
        assert said(caplog) == []


async def test_an_address_can_be_asked_who_is_there(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    loop = asyncio.get_running_loop()
    entry = bus_entry(gateway.url, 1, 2)
    async with holding(hass, entry) as coordinator:
        found, nobody, both = await asyncio.gather(
            coordinator.async_identify(3),
            coordinator.async_identify(9),
            coordinator.async_identify(4),
        )
        assert found is not None
        assert found.identity.serial_number == bank[3].serial
        assert found.features is not None
        assert nobody is None
        assert both is not None
        assert both.identity.serial_number == bank[4].serial
        # They were asked once, not from now on.
        assert sorted(coordinator.master.stations) == [1, 2]
        asked = dict(bank[3].asked)
        await asyncio.sleep(20)
        assert bank[3].asked == asked
        begin = loop.time()
        assert await coordinator.async_identify(10) is None
        assert loop.time() - begin <= 4.1


async def test_a_pack_that_is_known_is_not_asked_again_who_it_is(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    bank[2].present = False
    entry = bus_entry(gateway.url, 1, 2)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    coordinator = entry.runtime_data
    known = await coordinator.async_identify(1)
    assert known is coordinator.master.stations[1].state
    # It is asked all the time, and has never answered.
    assert await coordinator.async_identify(2) is None


async def test_who_asks_while_the_line_is_down_finds_nobody(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        await gateway.stop()
        assert await coordinator.async_identify(9) is None
        await gateway.start()
        await wait_until(lambda: coordinator.last_update_success)


async def test_live_values_can_be_asked_for_between_two_readings(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    entry = bus_entry(gateway.url, 1, 2, poll_interval=60)
    async with holding(hass, entry):
        bank[1].set("soc", bank[1].number_of("soc") - 1)
        await asyncio.sleep(2)
        sensor = state_of(hass, "sensor", 1, "state_of_charge")
        assert int(sensor.state) == bank[1].number_of("soc") + 1
        await hass.services.async_call(
            "homeassistant",
            "update_entity",
            {"entity_id": [sensor.entity_id]},
            blocking=True,
        )
        await asyncio.sleep(2)
        sensor = state_of(hass, "sensor", 1, "state_of_charge")
        assert int(sensor.state) == bank[1].number_of("soc")


async def test_asking_for_values_leaves_a_pack_that_is_away_alone(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as coordinator:
        bank[2].present = False
        await wait_until(lambda: voltage(hass, 2) is None)
        due = dict(coordinator.master.stations[2].due)
        await coordinator.async_request_refresh()
        assert coordinator.master.stations[2].due == due
