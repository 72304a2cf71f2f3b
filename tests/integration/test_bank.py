"""A bank of packs on two buses: what it tells, and what becomes of it when they come and go."""

import asyncio
from itertools import pairwise
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import (
    EVENT_STATE_REPORTED,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

import custom_components.jkbms as integration
from custom_components.jkbms.bank_descriptions import BANK
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol.inverter.advice import KEYS as ADVICE_KEYS
from simulator import Bank, Pack
from simulator.can import CanBus, Dialect, parallel_bank, serve_can_tcp

from .banks import (
    amperes,
    bank_entry,
    bank_id,
    bank_number,
    bank_state,
    looked_at,
    racks,
    watts,
    whole_bank,
)
from .bus import state_of, subentry_id, title
from .can_house import can_entry
from .common import all_read, device_of, holding, said, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]
ALWAYS = {"packs_online", "packs_total", *ADVICE_KEYS}


def cells(pack: Pack) -> dict[int, float]:
    """The voltages of the cells of a pack."""
    mask = int(pack.number_of("cell_presence"))
    return {
        n: pack.number_of(f"cell_voltage_{n}") / 1000
        for n in range(1, 33)
        if mask >> n - 1 & 1
    }


def is_on(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> str:
    """The state of a binary sensor."""
    return bank_state(hass, entry, key, "binary_sensor").state


async def test_a_bank_is_what_the_packs_of_all_buses_are_together(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    async with whole_bank(hass) as (both, entry):
        packs = both.packs
        for pack, milliamperes in zip(
            packs.values(), (10_000, 12_000, 8_000, 10_000), strict=True
        ):
            pack.set("current", milliamperes)
        await asyncio.sleep(8)

        def number(key: str) -> float | None:
            return bank_number(hass, entry, key)

        capacity = {n: p.number_of("full_capacity") / 1000 for n, p in packs.items()}
        assert number("power") == pytest.approx(sum(map(watts, packs.values())))
        assert number("current") == 40
        assert number("voltage") == pytest.approx(
            sum(p.number_of("pack_voltage") for p in packs.values()) / 4000, abs=1e-3
        )
        assert number("state_of_charge") == pytest.approx(
            sum(p.number_of("soc") * capacity[n] for n, p in packs.items())
            / sum(capacity.values()),
            abs=0.05,
        )
        assert number("total_capacity") == pytest.approx(sum(capacity.values()))
        assert number("remaining_capacity") == pytest.approx(
            sum(p.number_of("remaining_capacity") for p in packs.values()) / 1000
        )
        assert number("remaining_energy") == pytest.approx(
            sum(
                p.number_of("remaining_capacity") / 1e6 * 3.2 * p.cell_count
                for p in packs.values()
            ),
            abs=0.01,
        )
        volts = {
            (n, cell): volt
            for n, pack in packs.items()
            for cell, volt in cells(pack).items()
        }
        low, high = min(volts.values()), max(volts.values())
        assert number("min_cell_voltage") == low
        assert number("max_cell_voltage") == high
        assert number("delta_cell_voltage") == pytest.approx(high - low, abs=1e-4)
        place = bank_state(hass, entry, "max_cell_voltage").attributes
        address = int(place["pack"].removeprefix("Pack "))
        assert volts[address, place["cell"]] == high
        assert (
            bank_state(hass, entry, "max_cell_voltage_place").state
            == f"Pack {address} cell {place['cell']}"
        )
        assert number("packs_total") == number("packs_online") == 4
        assert number("packs_charging") == 4
        assert number("packs_discharging") == 0
        fair = {n: 40 * capacity[n] / sum(capacity.values()) for n in packs}
        errors = {n: abs(amperes(p) - fair[n]) / fair[n] for n, p in packs.items()}
        if sum(capacity.values()) / 50 < 40:
            assert number("current_sharing_error") == pytest.approx(
                100 * max(errors.values()), abs=0.05
            )
        assert number("charge_current_limit") == sum(
            p.number_of("charge_current_limit") / 1000 for p in packs.values()
        )
        assert is_on(hass, entry, "problem") == STATE_OFF
        assert bank_state(hass, entry, "active_alarms").state == "OK"
        assert is_on(hass, entry, "pack_not_participating") == STATE_OFF
        assert number("energy_discharged") == 0


async def test_a_bank_is_one_device_with_entities_that_stay(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (_, entry):
        device = device_of(hass, entry, entry.entry_id)
        assert device is not None
        assert device.entry_type is dr.DeviceEntryType.SERVICE
        assert device.name == "Battery bank"
        registry = er.async_get(hass)
        entities = er.async_entries_for_config_entry(registry, entry.entry_id)
        assert {(e.domain, e.unique_id): e.entity_id for e in entities} == {
            (platform, f"{entry.entry_id}_{d.key}"): f"{platform}.battery_bank_{d.key}"
            for platform, table in BANK.items()
            for d in table
        }
        on = {e.translation_key for e in entities if e.disabled_by is None}
        assert on == {
            f"bank_{key}"
            for key in (
                "power",
                "current",
                "state_of_charge",
                "remaining_energy",
                "energy_charged",
                "energy_discharged",
                "packs_online",
                "problem",
                "pack_not_participating",
                "min_cell_voltage",
                "min_cell_voltage_place",
                "max_cell_voltage",
                "max_cell_voltage_place",
                *ADVICE_KEYS,
            )
        }
        assert not await integration.async_remove_config_entry_device(
            hass, entry, device
        )


async def test_an_alarm_of_any_pack_is_one_of_the_bank(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    async with whole_bank(hass) as (both, entry):
        both.packs[3].set("alarms", 1 << 4)
        await wait_until(lambda: is_on(hass, entry, "problem") == STATE_ON)
        assert (
            bank_state(hass, entry, "active_alarms").state
            == "Pack 3: Cell over-voltage protection"
        )
        both.packs[3].set("alarms", 0)
        await wait_until(lambda: is_on(hass, entry, "problem") == STATE_OFF)


async def test_a_pack_that_is_off_while_others_are_charged_is_told(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (both, entry):
        for address in (1, 3, 4):
            both.packs[address].set("current", 20_000)
        both.packs[2].set("current", 0)
        both.packs[2].set("charge_mos", 0)
        await asyncio.sleep(50)
        assert is_on(hass, entry, "pack_not_participating") == STATE_OFF
        await asyncio.sleep(30)
        told = bank_state(hass, entry, "pack_not_participating", "binary_sensor")
        assert told.state == STATE_ON
        assert told.attributes["not_charging"] == ["Pack 2"]
        assert told.attributes["not_discharging"] == []
        both.packs[2].set("charge_mos", 1)
        await wait_until(
            lambda: is_on(hass, entry, "pack_not_participating") == STATE_OFF
        )


async def test_a_pack_that_falls_silent_is_missing_and_half_of_them_are_too_few(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    async with whole_bank(hass) as (both, entry):
        for pack in both.packs.values():
            pack.set("current", 10_000)
        await asyncio.sleep(8)
        both.packs[2].present = False
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 3)
        online = bank_state(hass, entry, "packs_online")
        assert online.attributes["missing"] == ["Pack 2"]
        assert online.attributes["needed"] == 3
        assert bank_number(hass, entry, "current") == 30
        counted = bank_number(hass, entry, "energy_charged")
        await asyncio.sleep(120)
        assert bank_number(hass, entry, "energy_charged") == counted

        await both.right.stop()
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 1)
        for platform, table in BANK.items():
            for description in table:
                state = bank_state(hass, entry, description.key, platform).state
                gone = state == STATE_UNAVAILABLE
                assert gone is (description.key not in ALWAYS), description.key
        assert bank_number(hass, entry, "packs_total") == 4

        both.packs[2].present = True
        await both.right.start()
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 4)
        assert bank_number(hass, entry, "current") == 40
        after = bank_number(hass, entry, "energy_charged")
        await asyncio.sleep(60)
        assert (bank_number(hass, entry, "energy_charged") or 0) > (after or 0)


async def test_how_many_packs_have_to_answer_can_be_chosen(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass, min_packs=1) as (both, entry):
        for address in (1, 2, 3):
            both.packs[address].present = False
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 1)
        assert bank_number(hass, entry, "power") == pytest.approx(watts(both.packs[4]))


async def test_a_bank_may_be_there_before_its_buses(hass: HomeAssistant) -> None:
    async with racks() as both, looked_at(hass, bank_entry()) as bank:
        entry = bank.config_entry
        assert isinstance(entry, MockConfigEntry)
        for bus in (both.right_bus, both.left_bus):
            bus.add_to_hass(hass)
        assert bank_number(hass, entry, "packs_online") == 0
        assert bank_number(hass, entry, "power") is None
        async with holding(hass, both.left_bus):
            await wait_until(lambda: bank_number(hass, entry, "packs_online") == 2)
            assert bank_number(hass, entry, "power") is None
            async with holding(hass, both.right_bus):
                await wait_until(lambda: bank_number(hass, entry, "packs_online") == 4)
                assert bank_number(hass, entry, "power") is not None
            assert bank_number(hass, entry, "packs_online") == 2
            assert bank_number(hass, entry, "power") is None


async def test_a_bus_that_is_loaded_anew_is_followed_anew(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, entry):
        for _ in range(2):
            assert await hass.config_entries.async_reload(both.left_bus.entry_id)
            await all_read(hass, both.left_bus)
            assert bank_number(hass, entry, "packs_online") == 4
            both.packs[1].set("current", 7_000)
            await wait_until(
                lambda: (
                    bank_number(hass, entry, "current")
                    == pytest.approx(sum(map(amperes, both.packs.values())))
                )
            )
            both.packs[1].set("current", 0)


async def test_packs_that_are_added_renamed_or_removed_are_followed(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (both, entry):
        entries = hass.config_entries
        bus = both.right_bus
        entries.async_update_subentry(bus, bus.subentries["pack4"], title="Pack 1")
        both.packs[4].set("cell_voltage_1", 2_500)
        await wait_until(
            lambda: (
                bank_state(hass, entry, "min_cell_voltage_place").state
                == "Pack 1 (Bus) cell 1"
            )
        )
        entries.async_remove_subentry(bus, "pack4")
        await wait_until(lambda: bank_state(hass, entry, "packs_online").state == "3")
        await all_read(hass, bus)
        assert bank_state(hass, entry, "packs_online").attributes["needed"] == 2


async def test_a_bus_that_is_removed_or_disabled_takes_its_packs_along(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    async with whole_bank(hass) as (both, entry):
        await hass.config_entries.async_set_disabled_by(
            both.right_bus.entry_id, ConfigEntryDisabler.USER
        )
        await hass.async_block_till_done()
        assert bank_number(hass, entry, "packs_total") == 2
        assert bank_number(hass, entry, "packs_online") == 2
        await hass.config_entries.async_set_disabled_by(both.right_bus.entry_id, None)
        await all_read(hass, both.right_bus)
        assert bank_number(hass, entry, "packs_total") == 4
        await hass.config_entries.async_remove(both.left_bus.entry_id)
        await hass.async_block_till_done()
        assert bank_number(hass, entry, "packs_total") == 2


async def test_chosen_packs_are_the_bank_and_a_pack_may_be_in_two(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (both, everything):
        some = bank_entry(packs=["pack1", "pack4"])
        async with looked_at(hass, some):
            for address, pack in both.packs.items():
                pack.set("current", 1_000 * address)
            await asyncio.sleep(8)
            assert bank_number(hass, some, "current") == 5
            assert bank_number(hass, everything, "current") == 10
            assert bank_number(hass, some, "packs_online") == 2


async def test_changed_options_are_those_of_the_bank_from_then_on(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (_, entry):
        hass.config_entries.async_update_entry(entry, options={"packs": ["pack1"]})
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and bank_state(hass, entry, "packs_online").state == "1"
            )
        )
        assert bank_number(hass, entry, "power") is not None


async def test_a_pack_on_two_buses_is_one_pack_and_its_echo_on_can_none(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    bus = CanBus(parallel_bank((1, 2), still=True), Dialect.PYLON, inverter=True)
    async with whole_bank(hass) as (both, entry), serve_can_tcp(bus) as server:
        on_can = can_entry(server, 0x100)
        on_can.add_to_hass(hass)
        assert await hass.config_entries.async_setup(on_can.entry_id)
        again = MockConfigEntry(
            domain=DOMAIN,
            title="Again",
            data=dict(both.left_bus.data),
            subentries_data=[
                {**both.left_bus.subentries["pack1"].as_dict(), "subentry_id": "other"}
            ],
        )
        again.add_to_hass(hass)
        await asyncio.sleep(2)
        assert bank_number(hass, entry, "packs_total") == 4
        hass.config_entries.async_update_entry(
            entry, options={"packs": [subentry_id(0x100)]}
        )
        await wait_until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and bank_state(hass, entry, "packs_online").state == "1"
            )
        )
        assert bank_number(hass, entry, "packs_total") == 1
        place = bank_state(hass, entry, "min_cell_voltage_place").state
        cell = state_of(hass, "sensor", 0x100, "min_voltage_cell").state
        assert place == f"{title(0x100)} cell {cell}"
        assert await hass.config_entries.async_unload(on_can.entry_id)
        await hass.async_block_till_done()


async def test_a_state_is_written_only_when_it_is_another(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, entry):
        for pack in both.packs.values():
            pack.set("current", 0)
        await asyncio.sleep(8)
        written: list[Any] = []

        def is_ours(data: Any) -> bool:
            return str(data["entity_id"]).startswith(
                ("sensor.battery_bank_", "binary_sensor.battery_bank_")
            )

        for event in (EVENT_STATE_REPORTED, "state_changed"):
            hass.bus.async_listen(
                event, callback(lambda e: written.append(e.data)), callback(is_ours)
            )
        await asyncio.sleep(60)
        assert written == []
        both.packs[1].set("soc", 99)
        await asyncio.sleep(8)
        assert {data["entity_id"] for data in written} == {
            "sensor.battery_bank_state_of_charge"
        }
        assert bank_id(hass, entry, "state_of_charge")


async def test_many_packs_are_looked_at_together(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (both, entry):
        bank = entry.runtime_data
        times: list[float] = []
        look = bank.state.look

        def counted(*arguments: Any) -> Any:
            times.append(hass.loop.time())
            return look(*arguments)

        bank.state.look = counted
        await asyncio.sleep(60)
        # Four packs every five seconds.
        assert 12 <= len(times) <= 26
        assert min(b - a for a, b in pairwise(times)) > 0.99
        both.packs[1].present = False
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 3)


async def test_the_action_update_entity_looks_again(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    async with whole_bank(hass) as (_, entry):
        before = bank_number(hass, entry, "power")
        await hass.services.async_call(
            "homeassistant",
            "update_entity",
            {"entity_id": "sensor.battery_bank_power"},
            blocking=True,
        )
        await asyncio.sleep(12)
        assert bank_number(hass, entry, "power") == before


async def test_nothing_is_said_on_a_bus_and_nothing_in_the_log(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with whole_bank(hass) as (both, _):
        assert all(pack.journal == [] for pack in both.packs.values())
        await asyncio.sleep(30)
    assert said(caplog, "Battery bank") == []


async def test_a_bank_cannot_be_recorded(hass: HomeAssistant) -> None:
    async with whole_bank(hass) as (_, entry):
        with pytest.raises(ServiceValidationError) as refused:
            await hass.services.async_call(
                DOMAIN, "record_bus", {"config_entry_id": entry.entry_id}, blocking=True
            )
        assert refused.value.translation_key == "recording_entry"


async def test_a_report_tells_of_the_packs_and_not_what_they_are_called(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    async with whole_bank(hass) as (both, entry):
        bus = both.right_bus
        hass.config_entries.async_update_subentry(
            bus, bus.subentries["pack4"], title="Garage of John"
        )
        both.packs[4].set("alarms", 1 << 4)
        await wait_until(lambda: is_on(hass, entry, "problem") == STATE_ON)
        report: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        assert report["entry"]["data"] == {"mode": "bank"}
        assert report["enough"] is True
        assert report["values"]["packs_online"] == 4
        assert set(report["packs"]) == {"pack1", "pack2", "pack3", "pack4"}
        told = report["packs"]["pack4"]
        assert told["errors"] == "Cell over-voltage protection"
        assert 0 <= told["heard"] < 10
        assert "John" not in str(report)
        both.packs[2].present = False
        await wait_until(lambda: bank_number(hass, entry, "packs_online") == 3)
        report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
        assert report["packs"]["pack2"]["heard"] is None
    report = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert set(report) == {"entry", "subentries"}


async def test_a_bank_that_is_removed_leaves_the_buses_alone(
    hass: HomeAssistant,
) -> None:
    async with whole_bank(hass) as (both, entry):
        bus, looks = both.left_bus.runtime_data, entry.runtime_data.state
        await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done()
        looks.look = None
        await asyncio.sleep(12)
        assert both.left_bus.runtime_data is bus
        assert bank_id(hass, entry, "power") is None
        assert device_of(hass, entry, entry.entry_id) is None


@pytest.mark.usefixtures("everything_enabled")
async def test_a_bank_without_packs_is_unavailable_and_says_why(
    hass: HomeAssistant, bank: Bank
) -> None:
    async with looked_at(hass, bank_entry(packs=["gone"])) as coordinator:
        entry = coordinator.config_entry
        assert isinstance(entry, MockConfigEntry)
        assert bank_number(hass, entry, "packs_total") == 0
        assert bank_number(hass, entry, "power") is None
        assert is_on(hass, entry, "problem") == STATE_UNAVAILABLE
