"""Energy over time: against the simulator, through restarts, in the Energy dashboard."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlsplit

from homeassistant.components.energy.data import async_get_manager
from homeassistant.components.energy.validate import async_validate
from homeassistant.components.recorder.statistics import get_start_time
from homeassistant.components.sensor import SensorExtraStoredData
from homeassistant.config_entries import ConfigSubentryDataWithId
from homeassistant.const import EVENT_STATE_REPORTED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er, restore_state
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    mock_restore_cache_with_extra_data,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS
from custom_components.jkbms.coordinator import BusCoordinator, Watch
from custom_components.jkbms.mode import can_data
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.energy import (
    COUNTED,
    ENERGY_CHARGED,
    ENERGY_DISCHARGED,
    EnergyAccount,
    Followed,
)
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from simulator import Bank, Pack, TcpServer, trios
from simulator.can import CanBus, Dialect, parallel_bank, serve_can_tcp

from .bus import entity_id, set_up, state_of, subentry_id, title, until
from .common import holding, pack_of, wait_until
from .house import House, controlled

SIMULATED: Final = pytest.mark.simulated_time
CHARGED: Final = "sensor.pack_1_energy_charged"
DISCHARGED: Final = "sensor.pack_1_energy_discharged"
HALF_STEP: Final = 0.005
"""kWh by which a state may be rounded."""


def kilowatt_hours(hass: HomeAssistant, key: str, address: int = 1) -> float:
    """The state of an energy."""
    return float(state_of(hass, "sensor", address, key).state)


def watts(pack: Pack) -> float:
    """The power in the memory of a pack."""
    return pack.number_of("pack_voltage") * pack.number_of("current") / 1e6


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


class Readings:
    """When a pack was read, run by run, and what was counted meanwhile."""

    def __init__(self) -> None:
        """Start with no run."""
        self.runs: list[list[float]] = []
        self.counted: dict[Followed, float] = dict.fromkeys(COUNTED, 0.0)

    @contextmanager
    def of(self, coordinator: BusCoordinator) -> Iterator[EnergyAccount]:
        """Take note of the readings of a run."""
        pack = coordinator.packs[subentry_id(1)]
        seen = pack.station.state.seen
        run = [seen[Block.LIVE]]
        self.runs.append(run)
        # It is another one in every reading, as power need not be.
        remove = coordinator.async_add_listener(
            lambda: run.append(seen[Block.LIVE]),
            Watch(pack.subentry_id, frozenset({"total_runtime"})),
        )
        before = {datum: pack.energy.total(datum) for datum in COUNTED}
        yield pack.energy
        remove()
        for datum in COUNTED:
            self.counted[datum] += pack.energy.total(datum) - before[datum]

    def truth(self, twin: Pack) -> tuple[float, float]:
        """Return the kWh charged and discharged between readings, gaps left out."""
        charged = discharged = 0.0
        for run in self.runs:
            for begin, end in pairwise(run):
                twin.advance(begin)
                if end - begin > 30:
                    continue
                now, before = begin, watts(twin)
                while now < end:
                    now, last = min(now + 1, end), now
                    twin.advance(now)
                    power = watts(twin)
                    charged += max(0.0, before + power) / 2 * (now - last)
                    discharged += max(0.0, -before - power) / 2 * (now - last)
                    before = power
        return charged / 3.6e6, discharged / 3.6e6


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("options", [{"poll_interval": 3}])
async def test_energy_is_right_through_outages_restarts_and_changes_of_direction(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    # Late in the afternoon, when the sun goes and the house takes over.
    morning = asyncio.get_running_loop().time() - 7.5 * 3600
    twin = Pack(trios()[0], 1, still=True)
    for pack in (bank[1], twin):
        # So that it is not full at noon.
        pack.set("remaining_capacity", 100_000)
        pack.set("charge_current_limit", 15_000)
        pack.move()
        pack.advance(morning)
    readings = Readings()
    async with holding(hass, entry) as coordinator:
        with readings.of(coordinator) as account:
            await asyncio.sleep(900)
            await gateway.stop()
            await asyncio.sleep(120)
            await gateway.start()
            await asyncio.sleep(900)
        before = {datum: account.total(datum) for datum in COUNTED}
    await asyncio.sleep(15)
    async with holding(hass, entry) as coordinator:
        for datum in COUNTED:
            resumed = coordinator.packs[subentry_id(1)].energy.total(datum)
            assert before[datum] <= resumed < before[datum] + HALF_STEP
        with readings.of(coordinator) as account:
            await asyncio.sleep(1200)
        charged, discharged = readings.truth(twin)
        assert max(b - a for a, b in pairwise(readings.runs[0])) > 120
        assert min(charged, discharged) > 0.1
        assert readings.counted[ENERGY_CHARGED] == pytest.approx(charged, rel=0.001)
        assert readings.counted[ENERGY_DISCHARGED] == pytest.approx(
            discharged, rel=0.001
        )
        for datum in COUNTED:
            shown = kilowatt_hours(hass, datum.key)
            assert shown == pytest.approx(account.total(datum), abs=HALF_STEP)


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
async def test_a_state_is_written_only_when_it_is_another_and_never_falls(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("current", -20_000)
    async with holding(hass, entry):
        ours = ("energy_charged", "energy_discharged", "remaining_energy")
        ids = {entity_id(hass, "sensor", 1, key) for key in ours}
        written_again: list[Any] = []
        hass.bus.async_listen(
            EVENT_STATE_REPORTED,
            callback(lambda event: written_again.append(event)),
            callback(lambda data: data["entity_id"] in ids),
        )
        changed = async_capture_events(hass, "state_changed")
        await asyncio.sleep(600)
        assert written_again == []
        states = {
            one: [
                float(e.data["new_state"].state)
                for e in changed
                if e.data["entity_id"] == one
            ]
            for one in ids
        }
    # 1.05 kW for ten minutes, in steps of 10 Wh; the pack's other values stand still.
    rises = states.pop(DISCHARGED)
    assert 16 <= len(rises) <= 18
    assert all(b > a for a, b in pairwise(rises))
    assert all(not values for values in states.values())


@SIMULATED
@pytest.mark.usefixtures("socket_enabled", "everything_enabled")
@pytest.mark.parametrize("options", [{"poll_interval": 20}])
async def test_what_is_left(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("remaining_capacity", 140_000)
    bank[1].set("current", -70_000)
    async with holding(hass, entry):
        await wait_until(
            lambda: state_of(hass, "sensor", 1, "remaining_energy").state != "unknown"
        )
        remaining = state_of(hass, "sensor", 1, "remaining_energy")
        assert remaining.state == str(round(140 * 16 * 3.2 / 1000, 2))
        assert remaining.attributes["unit_of_measurement"] == "kWh"
        assert remaining.attributes["device_class"] == "energy_storage"
        assert remaining.attributes["state_class"] == "measurement"
        assert float(state_of(hass, "sensor", 1, "time_to_empty").state) == 2
        assert state_of(hass, "sensor", 1, "time_to_full").state == "unknown"
        bank[1].set("current", 0)
        await asyncio.sleep(60)
        # What was drawn a minute ago still counts.
        assert float(state_of(hass, "sensor", 1, "time_to_empty").state) < 3
        await asyncio.sleep(1800)
        assert state_of(hass, "sensor", 1, "time_to_empty").state == "unknown"


STORED: Final[list[tuple[Any, float]]] = [
    (1234.5678, 1234.57),
    (0, 0.0),
    (-3.0, 0.0),
    (float("nan"), 0.0),
    ("many", 0.0),
    (None, 0.0),
]


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(("stored", "shown"), STORED)
async def test_what_was_stored_goes_on_and_what_makes_no_sense_does_not(
    hass: HomeAssistant, entry: MockConfigEntry, stored: Any, shown: float
) -> None:
    extra = SensorExtraStoredData(stored, "kWh").as_dict()
    mock_restore_cache_with_extra_data(
        hass, [(State(CHARGED, STATE_UNAVAILABLE), extra)]
    )
    async with holding(hass, entry):
        assert kilowatt_hours(hass, "energy_charged") == shown
        assert kilowatt_hours(hass, "energy_discharged") == 0.0


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
async def test_what_is_stored_is_not_rounded(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("current", 500)
    async with holding(hass, entry):
        await asyncio.sleep(60)
        assert kilowatt_hours(hass, "energy_charged") == 0.0
        stored = {
            one.state.entity_id: one.extra_data.as_dict()
            for one in restore_state.async_get(hass).async_get_stored_states()
            if one.extra_data is not None
        }
        total = pack_of(entry, 1).energy.total(ENERGY_CHARGED)
        assert stored[CHARGED] == SensorExtraStoredData(total, "kWh").as_dict()
        assert total == pytest.approx(watts(bank[1]) * 60 / 3.6e6, rel=0.2)


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
async def test_an_energy_that_is_renamed_goes_on(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("current", 100_000)
    async with holding(hass, entry):
        await asyncio.sleep(120)
        before = kilowatt_hours(hass, "energy_charged")
        assert before > 0.1
        er.async_get(hass).async_update_entity(CHARGED, new_entity_id="sensor.into")
        await hass.async_block_till_done()
        state = hass.states.get("sensor.into")
        assert state is not None
        assert float(state.state) == before
        account = pack_of(entry, 1).energy
        total = account.total(ENERGY_CHARGED)
        assert total == pytest.approx(before, abs=HALF_STEP)


@SIMULATED
@pytest.mark.usefixtures("socket_enabled")
class TestTwoLines:
    """A pack that is heard on the bus and asked on a control line."""

    @pytest.fixture
    def bank(self) -> Bank:
        """The master and two slaves."""
        return Bank.default(range(3), still=True)

    async def test_they_do_not_count_twice(
        self, hass: HomeAssistant, bank: Bank, house: House
    ) -> None:
        bank[2].set("current", 60_000)
        await controlled(hass, house)
        loop = asyncio.get_running_loop()
        account = pack_of(house.entry, 2).energy
        await asyncio.sleep(30)
        control = pack_of(house.entry, 2).control
        station = pack_of(house.entry, 2).station
        assert control is not None
        heard = station.counts.ok, control.counts.ok
        begin, before = loop.time(), account.total(ENERGY_CHARGED)
        await asyncio.sleep(200)
        passed = loop.time() - begin
        # Both lines told of it all the time.
        assert station.counts.ok - heard[0] > 20
        assert control.counts.ok - heard[1] > 20
        told = account.total(ENERGY_CHARGED) - before
        assert told == pytest.approx(watts(bank[2]) * passed / 3.6e6, rel=0.02)


# -- CAN ------------------------------------------------------------------------------


def can_entry(server: TcpServer, *addresses: int) -> MockConfigEntry:
    """The entry of a CAN bus."""
    parts = urlsplit(server.url)
    port = CanPort(
        adapter=CanAdapter.CAN_TCP, host=str(parts.hostname), port=int(parts.port or 0)
    )
    return MockConfigEntry(
        domain=DOMAIN,
        title="CAN",
        data=can_data(port),
        options={"update_interval": 1},
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id=subentry_id(address),
                subentry_type=SUBENTRY_BMS,
                title=title(address),
                unique_id=None,
                data={"address": address},
            )
            for address in addresses
        ],
    )


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(
    ("dialect", "address", "has_cells"),
    [(Dialect.NATIVE, 1, True), (Dialect.PYLON, 0x100, False)],
)
async def test_a_pack_that_says_the_same_on_can_again_and_again_is_counted(
    hass: HomeAssistant, dialect: Dialect, address: int, has_cells: bool
) -> None:
    bank = parallel_bank((1,), still=True)
    bank[1].set("current", 300_000)
    bus = CanBus(bank, dialect, inverter=not dialect.native)
    tick = "custom_components.jkbms.coordinator._SAME_AS_BEFORE"
    with patch(tick, timedelta(seconds=0.5)):
        async with serve_can_tcp(bus) as server:
            entry = can_entry(server, address)
            entry.add_to_hass(hass)
            assert await hass.config_entries.async_setup(entry.entry_id)
            await until(lambda: entity_id(hass, "sensor", address, "energy_charged"))
            await hass.async_block_till_done()
            before = kilowatt_hours(hass, "energy_charged", address)
            changed = async_capture_events(hass, "state_changed")
            begin = asyncio.get_running_loop().time()
            # 16 kW are 10 Wh in 2.3 seconds.
            await until(
                lambda: kilowatt_hours(hass, "energy_charged", address) >= before + 0.01
            )
            assert asyncio.get_running_loop().time() - begin < 4.5
            assert kilowatt_hours(hass, "energy_discharged", address) == 0.0
            assert {
                e.data["entity_id"].removeprefix(f"sensor.pack_{address}_")
                for e in changed
            } == {"energy_charged"}
            remaining = entity_id(hass, "sensor", address, "remaining_energy")
            assert (remaining is not None) is has_cells
            if has_cells:
                left = bank[1].number_of("remaining_capacity") / 1e6 * 16 * 3.2
                state = state_of(hass, "sensor", address, "remaining_energy")
                assert float(state.state) == pytest.approx(left, abs=0.01)
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


# -- the Energy dashboard -------------------------------------------------------------


class TestEnergyDashboard:
    """What Home Assistant's own checks say of the sensors."""

    @pytest.fixture(autouse=True)
    def load_custom_integrations(
        self, recorder_mock: Any, enable_custom_integrations: None
    ) -> None:
        """Let Home Assistant record, which has to be settled before it starts."""

    async def test_it_takes_a_pack_as_a_battery(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        bank[1].set("current", 300_000)
        assert await async_setup_component(hass, "energy", {})
        await set_up(hass, entry)
        await until(lambda: kilowatt_hours(hass, "energy_charged") > 0)
        manager = await async_get_manager(hass)
        await manager.async_update(
            {
                "energy_sources": [
                    {
                        "type": "battery",
                        "stat_energy_from": DISCHARGED,
                        "stat_energy_to": CHARGED,
                        # The dashboard counts discharging as positive.
                        "power_config": {"stat_rate_inverted": "sensor.pack_1_power"},
                        "stat_soc": "sensor.pack_1_state_of_charge",
                        "capacity": 14.336,
                        "name": "Pack 1",
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
        assert float(inverted.state) == pytest.approx(-watts(bank[1]), rel=1e-3)
        assert await hass.config_entries.async_unload(entry.entry_id)
