"""Energy of a bank over time: through outages and restarts, and in the Energy dashboard."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from homeassistant.components.energy.data import async_get_manager
from homeassistant.components.energy.validate import async_validate
from homeassistant.components.recorder.statistics import get_start_time
from homeassistant.components.sensor import SensorExtraStoredData
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.jkbms.protocol.energy import (
    ENERGY_CHARGED,
    ENERGY_DISCHARGED,
    Followed,
)
from simulator import Pack

from .banks import bank_number, bank_state, looked_at, watts, whole_bank
from .bus import until
from .common import wait_until

SIMULATED: Final = pytest.mark.simulated_time
CHARGED: Final = "sensor.battery_bank_energy_charged"
DISCHARGED: Final = "sensor.battery_bank_energy_discharged"
HALF_STEP: Final = 0.005
"""kWh by which a state may be rounded."""

pytestmark = pytest.mark.usefixtures("socket_enabled")


def total(packs: dict[int, Pack]) -> float:
    """The power of all packs."""
    return sum(map(watts, packs.values()))


@SIMULATED
async def test_energy_is_right_and_goes_on_after_a_restart(hass: HomeAssistant) -> None:
    loop = asyncio.get_running_loop()
    async with whole_bank(hass) as (both, entry):
        for address, pack in both.packs.items():
            # One gives to the others what is no energy of the bank.
            pack.set("current", -10_000 if address == 3 else 30_000)
        await asyncio.sleep(12)

        def counted(datum: Followed = ENERGY_CHARGED) -> float:
            energy: float = entry.runtime_data.state.account.total(datum)
            return energy

        begin, before = loop.time(), counted()
        await asyncio.sleep(900)
        truth = total(both.packs) * (loop.time() - begin) / 3.6e6
        assert counted() - before == pytest.approx(truth, rel=0.005)
        assert bank_number(hass, entry, "energy_charged") == pytest.approx(
            counted(), abs=HALF_STEP
        )

        kept = counted()
        assert await hass.config_entries.async_unload(entry.entry_id)
        await asyncio.sleep(600)
        async with looked_at(hass, entry):
            shown = bank_number(hass, entry, "energy_charged")
            assert shown == pytest.approx(kept, abs=HALF_STEP)
            for pack in both.packs.values():
                pack.set("current", -20_000)
            await asyncio.sleep(12)
            begin, before = loop.time(), counted(ENERGY_DISCHARGED)
            kept = counted()
            await asyncio.sleep(600)
            truth = -total(both.packs) * (loop.time() - begin) / 3.6e6
            assert counted(ENERGY_DISCHARGED) - before == pytest.approx(truth, rel=0.01)
            assert counted() == kept


@SIMULATED
async def test_nothing_is_counted_while_a_bus_is_away(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, entry):
        for pack in both.packs.values():
            pack.set("current", 50_000)
        await asyncio.sleep(30)
        changed = async_capture_events(hass, "state_changed")
        account = entry.runtime_data.state.account
        await both.left.stop()
        await asyncio.sleep(5)
        before = account.total(ENERGY_CHARGED)
        await asyncio.sleep(900)
        assert account.total(ENERGY_CHARGED) == before
        await both.left.start()
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 4)
        await asyncio.sleep(6)
        # Ten seconds of four packs, and not what was before.
        assert account.total(ENERGY_CHARGED) - before < total(both.packs) * 20 / 3.6e6
        await asyncio.sleep(300)
        assert account.total(ENERGY_CHARGED) > before
        states = [
            float(e.data["new_state"].state)
            for e in changed
            if e.data["entity_id"] == CHARGED
            and e.data["new_state"].state != STATE_UNAVAILABLE
        ]
        assert all(b >= a for a, b in pairwise(states))
        assert len(states) > 10


@SIMULATED
@pytest.mark.parametrize(
    ("stored", "shown"), [(1234.5678, 1234.57), (-3.0, 0.0), ("many", 0.0), (None, 0.0)]
)
async def test_what_was_stored_goes_on_and_what_makes_no_sense_does_not(
    hass: HomeAssistant, stored: Any, shown: float
) -> None:
    extra = SensorExtraStoredData(stored, "kWh").as_dict()
    mock_restore_cache_with_extra_data(
        hass, [(State(CHARGED, STATE_UNAVAILABLE), extra)]
    )
    async with whole_bank(hass) as (_, entry):
        assert bank_number(hass, entry, "energy_charged") == shown
        assert bank_number(hass, entry, "energy_discharged") == 0.0


@SIMULATED
async def test_an_energy_that_is_renamed_goes_on(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, entry):
        for pack in both.packs.values():
            pack.set("current", 100_000)
        await asyncio.sleep(120)
        before = bank_number(hass, entry, "energy_charged")
        assert before is not None
        assert before > 0.3
        er.async_get(hass).async_update_entity(CHARGED, new_entity_id="sensor.into")
        await hass.async_block_till_done()
        state = hass.states.get("sensor.into")
        assert state is not None
        assert before <= float(state.state) < before + 0.05


@SIMULATED
@pytest.mark.usefixtures("everything_enabled")
async def test_the_time_left_is_that_of_all_packs(hass: HomeAssistant) -> None:
    async with whole_bank(hass, poll_interval=20) as (both, entry):
        for pack in both.packs.values():
            pack.set("remaining_capacity", 100_000)
            pack.set("current", -25_000)
        await asyncio.sleep(1800)
        assert bank_number(hass, entry, "time_to_empty") == pytest.approx(4, abs=0.1)
        assert bank_state(hass, entry, "time_to_full").state == "unknown"
        both.packs[1].present = False
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 3)
        assert bank_state(hass, entry, "time_to_empty").state == "unknown"


class TestEnergyDashboard:
    """What Home Assistant's own checks say of the sensors."""

    @pytest.fixture(autouse=True)
    def load_custom_integrations(
        self, recorder_mock: Any, enable_custom_integrations: None
    ) -> None:
        """Let Home Assistant record, which has to be settled before it starts."""

    async def test_it_takes_a_bank_as_a_battery(self, hass: HomeAssistant) -> None:
        assert await async_setup_component(hass, "energy", {})
        async with whole_bank(hass, poll_interval=1) as (both, entry):
            for pack in both.packs.values():
                pack.set("current", 400_000)
            # 86 kW are 10 Wh in half a second.
            await until(lambda: (bank_number(hass, entry, "energy_charged") or 0) > 0)
            await until(
                lambda: (
                    bank_number(hass, entry, "power")
                    == pytest.approx(total(both.packs))
                )
            )
            manager = await async_get_manager(hass)
            await manager.async_update(
                {
                    "energy_sources": [
                        {
                            "type": "battery",
                            "stat_energy_from": DISCHARGED,
                            "stat_energy_to": CHARGED,
                            # The dashboard counts discharging as positive.
                            "power_config": {
                                "stat_rate_inverted": "sensor.battery_bank_power"
                            },
                            "stat_soc": "sensor.battery_bank_state_of_charge",
                            "capacity": 57.3,
                            "name": "Bank",
                        }
                    ],
                    "device_consumption": [],
                }
            )
            await hass.async_block_till_done()
            await async_wait_recording_done(hass)
            do_adhoc_statistics(hass, start=get_start_time() + timedelta(minutes=5))
            await async_wait_recording_done(hass)
            validation = (await async_validate(hass)).as_dict()
            assert validation["energy_sources"] == [[]]
            assert manager.data is not None
            (source,) = manager.data["energy_sources"]
            assert source["type"] == "battery"
            inverted = hass.states.get(source["stat_rate"])
            assert inverted is not None
            assert float(inverted.state) == pytest.approx(-total(both.packs), rel=1e-3)
