"""What holds for all entities: who they are, when they are there, what wakes them."""

from typing import Any, Final
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity_platform import PlatformData
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol import master
from custom_components.jkbms.protocol.alarms import WORD, Severity
from simulator import Bank

from .bus import entity_id, set_up, state_of, subentry_id, until

ENABLED: Final = {
    "binary_sensor": {
        *(alarm.key for alarm in WORD if alarm.severity is not Severity.INFO),
        "balancer_set",
        "balancing",
        "charging",
        "charging_float_mode_set",
        "charging_switch_set",
        "discharging",
        "discharging_switch_set",
        "online",
        "problem",
    },
    "button": {"refresh_settings", "sync_clock"},
    "event": {"alarm_event"},
    "number": {
        "balance_starting_voltage",
        "balance_trigger_voltage",
        "cell_request_charge_voltage",
        "cell_request_float_voltage",
        "max_charge_current",
        "max_discharge_current",
    },
    "sensor": {
        *(f"cell_voltage_{n}" for n in range(1, 17)),
        "average_cell_voltage",
        "balance_starting_voltage_set",
        "balance_trigger_voltage_set",
        "balancing_current",
        "capacity_remaining",
        "cell_request_charge_voltage_set",
        "cell_request_float_voltage_set",
        "charge_status",
        "charging_block_reason",
        "charging_cycles",
        "current",
        "delta_cell_voltage",
        "discharging_block_reason",
        "energy_charged",
        "energy_discharged",
        "errors",
        "full_charge_capacity",
        "max_cell_voltage",
        "max_charge_current_set",
        "max_discharge_current_set",
        "max_voltage_cell",
        "min_cell_voltage",
        "min_voltage_cell",
        "power",
        "power_tube_temperature",
        "remaining_energy",
        "state_of_charge",
        "state_of_health",
        "temperature_sensor_1",
        "temperature_sensor_2",
        "temperature_sensor_4",
        "temperature_sensor_5",
        "total_battery_capacity_setting_set",
        "total_charging_cycle_capacity",
        "total_runtime",
        "total_voltage",
    },
    "switch": {
        "balancer",
        "charging_float_mode",
        "charging_switch",
        "discharging_switch",
    },
}
"""What entities.md enables in a pack of 16 cells and 4 probes without a heater."""

CARD: Final = {
    "binary_sensor": {"balancing"},
    "sensor": {
        "average_cell_voltage",
        "balance_starting_voltage_set",
        "balancing_current",
        "capacity_remaining",
        "cell_resistance_1",
        "cell_voltage_1",
        "charging_cycles",
        "charging_power",
        "current",
        "delta_cell_voltage",
        "discharging_power",
        "errors",
        "full_charge_capacity",
        "hardware_version",
        "max_voltage_cell",
        "min_voltage_cell",
        "power",
        "power_tube_temperature",
        "software_version",
        "state_of_charge",
        "temperature_sensor_1",
        "temperature_sensor_2",
        "total_charging_cycle_capacity",
        "total_voltage",
    },
    "number": {"balance_starting_voltage", "balance_trigger_voltage"},
    "switch": {"charging", "discharging", "balancer", "heater"},
}
"""Where jk-bms-card looks, behind the name of the pack."""


def of_pack(hass: HomeAssistant, address: int) -> list[er.RegistryEntry]:
    """Return the entities of a pack, disabled ones too."""
    prefix = f"{subentry_id(address)}_"
    return [
        entity
        for entity in er.async_get(hass).entities.values()
        if entity.platform == DOMAIN and entity.unique_id.startswith(prefix)
    ]


def key_of(entity: er.RegistryEntry) -> str:
    """Return the key in a unique id."""
    return entity.unique_id.partition("_")[2]


@pytest.mark.usefixtures("loaded")
async def test_entities_belong_to_the_device_and_the_subentry_of_their_pack(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    devices = dr.async_get(hass)
    bus = devices.async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), config_entry_id=entry.entry_id
    )
    assert bus is not None
    for pack in bank:
        device = devices.async_get_device_by_identifier(
            (DOMAIN, subentry_id(pack.address)), config_entry_id=entry.entry_id
        )
        assert device is not None
        assert device.name == f"Pack {pack.address}"
        assert device.manufacturer == "JK (Jikong)"
        assert device.model == pack.model
        assert device.serial_number == pack.serial
        assert device.sw_version == pack.text("software_version")
        assert device.hw_version == pack.text("hardware_version")
        assert device.via_device_id == bus.id
        entities = of_pack(hass, pack.address)
        assert len(entities) > 150
        assert {entity.device_id for entity in entities} == {device.id}
        assert {entity.config_subentry_id for entity in entities} == {
            subentry_id(pack.address)
        }


@pytest.mark.usefixtures("loaded")
async def test_each_pack_has_exactly_one_battery(hass: HomeAssistant) -> None:
    for address in (1, 2, 3, 4):
        assert [
            key_of(entity)
            for entity in of_pack(hass, address)
            if entity.original_device_class == "battery"
        ] == ["state_of_charge"]


class TestOnePack:
    """What one pack is enough for."""

    @pytest.fixture
    def addresses(self) -> tuple[int, ...]:
        """One pack."""
        return (1,)

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Read it often."""
        return {"poll_interval": 0.2}

    @pytest.mark.usefixtures("loaded")
    async def test_what_is_enabled_from_the_start(self, hass: HomeAssistant) -> None:
        enabled: dict[str, set[str]] = {}
        for entity in of_pack(hass, 1):
            if entity.disabled_by is None:
                enabled.setdefault(entity.domain, set()).add(key_of(entity))
            else:
                assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        assert enabled == ENABLED

    @pytest.mark.usefixtures("loaded")
    async def test_the_card_finds_its_entities(self, hass: HomeAssistant) -> None:
        found = {entity.entity_id for entity in of_pack(hass, 1)}
        assert {
            f"{platform}.pack_1_{name}"
            for platform, names in CARD.items()
            for name in names
        } <= found

    async def test_entity_ids_are_english_where_the_names_are_not(
        self, hass: HomeAssistant, entry: MockConfigEntry
    ) -> None:
        async def translations(
            _: PlatformData, language: str, category: str, integration: str
        ) -> dict[str, str]:
            # Home Assistant asks for the names in the language of the entity ids, too.
            prefix = f"component.{DOMAIN}.entity"
            return {
                f"{prefix}.sensor.total_voltage.name": f"Batteriespannung {language}",
                f"{prefix}.sensor.cell_voltage.name": "Spannung von Zelle {number}",
                f"{prefix}.switch.charging_switch.name": "Laden",
            }

        hass.config.language = "de"
        with patch.object(PlatformData, "_async_get_translations", new=translations):
            await set_up(hass, entry)
        ids = {
            key_of(e): e for e in of_pack(hass, 1) if e.domain in ("sensor", "switch")
        }
        names = {
            "total_voltage": ("sensor.pack_1_total_voltage", "Batteriespannung de"),
            "cell_voltage_7": ("sensor.pack_1_cell_voltage_7", "Spannung von Zelle 7"),
            "charging_switch": ("switch.pack_1_charging", "Laden"),
        }
        assert {
            key: (ids[key].entity_id, ids[key].original_name) for key in names
        } == names
        assert await hass.config_entries.async_unload(entry.entry_id)

    async def test_a_renamed_entity_keeps_its_name(
        self, hass: HomeAssistant, entry: MockConfigEntry
    ) -> None:
        await set_up(hass, entry)
        entity = entity_id(hass, "sensor", 1, "current")
        assert entity is not None
        er.async_get(hass).async_update_entity(
            entity, new_entity_id="sensor.garage_current"
        )
        await hass.async_block_till_done()
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()
        assert entity_id(hass, "sensor", 1, "current") == "sensor.garage_current"
        state = hass.states.get("sensor.garage_current")
        assert state is not None
        assert state.state == "0.0"
        assert await hass.config_entries.async_unload(entry.entry_id)

    async def test_cells_that_are_seen_later_are_added_and_none_is_added_twice(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry, caplog: Any
    ) -> None:
        def fit(cells: int) -> None:
            bank[1].set("cell_presence", (1 << cells) - 1)
            millivolts = [
                bank[1].number_of(f"cell_voltage_{n + 1}") for n in range(cells)
            ]
            bank[1].set("pack_voltage", sum(millivolts))

        fit(8)
        await set_up(hass, entry)
        assert entity_id(hass, "sensor", 1, "cell_voltage_9") is None
        before = len(of_pack(hass, 1))
        fit(9)
        await until(lambda: entity_id(hass, "sensor", 1, "cell_voltage_9"))
        await hass.async_block_till_done()
        assert float(state_of(hass, "sensor", 1, "cell_voltage_9").state) > 3
        assert len(of_pack(hass, 1)) == before + 3  # voltage and two resistances
        assert "does not generate unique IDs" not in caplog.text
        assert await hass.config_entries.async_unload(entry.entry_id)

    async def test_a_person_may_ask_for_new_values_now(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        hass.config_entries.async_update_entry(entry, options={"poll_interval": 60})
        await set_up(hass, entry)
        await async_setup_component(hass, "homeassistant", {})
        bank[1].set("soc", 42)
        await hass.services.async_call(
            "homeassistant",
            "update_entity",
            {"entity_id": "sensor.pack_1_state_of_charge"},
            blocking=True,
        )
        await until(
            lambda: state_of(hass, "sensor", 1, "state_of_charge").state == "42"
        )
        assert await hass.config_entries.async_unload(entry.entry_id)

    async def test_a_pack_that_was_never_heard_is_offline_and_nothing_else(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        bank[1].present = False
        with patch("custom_components.jkbms.coordinator._FIRST_VALUES", 0.3):
            assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        assert [entity.entity_id for entity in of_pack(hass, 1)] == [
            "binary_sensor.pack_1_online"
        ]
        assert state_of(hass, "binary_sensor", 1, "online").state == STATE_OFF
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.fixture
def quick_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a silent pack count as away after a moment; the other one may be a second late."""
    monkeypatch.setattr(master, "_GONE_AFTER", 2.0)


class TestTwoPacks:
    """What takes two packs."""

    @pytest.fixture
    def addresses(self) -> tuple[int, ...]:
        """Two packs."""
        return (1, 2)

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Read them often, and let settings be changed."""
        return {"poll_interval": 0.1, "write_tier": "protection"}

    @pytest.mark.usefixtures("quick_to_miss", "loaded")
    async def test_a_silent_pack_becomes_unavailable_and_comes_back(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        def of(address: int) -> dict[str, str]:
            return {
                state.entity_id.replace(f"pack_{address}_", ""): state.state
                for state in hass.states.async_all()
                if f".pack_{address}_" in state.entity_id
            }

        first, second = of(1), of(2)
        assert STATE_UNAVAILABLE not in {*first.values(), *second.values()}

        bank[1].present = False
        await until(
            lambda: state_of(hass, "binary_sensor", 1, "online").state == STATE_OFF
        )
        away = of(1)
        assert away.pop("binary_sensor.online") == STATE_OFF
        assert set(away.values()) == {STATE_UNAVAILABLE}
        assert of(2) == second

        bank[1].present = True
        bank[1].set("soc", 42)
        await until(
            lambda: state_of(hass, "binary_sensor", 1, "online").state == STATE_ON
        )
        await until(lambda: of(1) == first | {"sensor.state_of_charge": "42"})
        assert of(2) == second

    async def test_entities_are_there_at_once_after_a_restart_without_the_pack(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        await set_up(hass, entry)
        had = {entity.entity_id for entity in of_pack(hass, 1)}
        assert await hass.config_entries.async_unload(entry.entry_id)
        bank[1].present = False
        with patch("custom_components.jkbms.coordinator._FIRST_VALUES", 0.5):
            assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        assert {entity.entity_id for entity in of_pack(hass, 1)} == had
        state = state_of(hass, "sensor", 1, "total_voltage")
        assert state.state == STATE_UNAVAILABLE
        assert "restored" not in state.attributes
        await until(
            lambda: state_of(hass, "sensor", 2, "total_voltage").state == "53.224"
        )
        assert await hass.config_entries.async_unload(entry.entry_id)
        assert entry.state is ConfigEntryState.NOT_LOADED
