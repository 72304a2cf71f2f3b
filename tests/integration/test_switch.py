"""Turning the settings on and off that are on or off."""

import asyncio
from typing import Any, Final

from homeassistant.components.switch.const import DOMAIN
from homeassistant.const import (
    ATTR_ENTITY_ID,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from simulator import Bank, Writing

from .bus import entity_id, state_of

FLOAT_MODE: Final = 1 << 9
SMART_SLEEP: Final = 1 << 6


async def turn(hass: HomeAssistant, service: str, entity: str) -> None:
    """Turn a switch as a person does."""
    await hass.services.async_call(
        DOMAIN, service, {ATTR_ENTITY_ID: entity}, blocking=True
    )


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
def options() -> dict[str, Any]:
    """Settings may be changed."""
    return {"write_tier": "everyday"}


@pytest.mark.usefixtures("loaded")
async def test_charging_is_switched_off_and_on(hass: HomeAssistant, bank: Bank) -> None:
    await turn(hass, SERVICE_TURN_OFF, "switch.pack_1_charging")
    assert state_of(hass, "switch", 1, "charging_switch").state == STATE_OFF
    assert state_of(hass, "binary_sensor", 1, "charging_switch_set").state == STATE_OFF
    assert bank[1].number_of("charge_switch") == 0
    await turn(hass, SERVICE_TURN_ON, "switch.pack_1_charging")
    assert state_of(hass, "switch", 1, "charging_switch").state == STATE_ON
    assert [(w.register, w.data.hex()) for w in bank[1].journal] == [
        (0x1070, "00000000"),
        (0x1070, "00000001"),
    ]


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_bit_is_changed_and_all_others_of_its_word_are_kept(
    hass: HomeAssistant, bank: Bank
) -> None:
    # Changed behind the back of Home Assistant, with bits that nobody knows.
    before = 0b1010_1010_0011_0101
    bank[1].set("function_word", before)
    await turn(hass, SERVICE_TURN_ON, "switch.pack_1_smart_sleep")
    assert bank[1].number_of("function_word") == before | SMART_SLEEP
    await turn(hass, SERVICE_TURN_OFF, "switch.pack_1_charging_float_mode")
    assert bank[1].number_of("function_word") == (before | SMART_SLEEP) & ~FLOAT_MODE
    assert state_of(hass, "switch", 1, "smart_sleep").state == STATE_ON
    assert state_of(hass, "switch", 1, "charging_float_mode").state == STATE_OFF
    assert {write.register for write in bank[1].journal} == {0x1114}


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_two_bits_of_one_word_changed_at_once_do_not_undo_each_other(
    hass: HomeAssistant, bank: Bank
) -> None:
    before = bank[1].number_of("function_word")
    assert not before & SMART_SLEEP
    assert before & FLOAT_MODE
    await asyncio.gather(
        turn(hass, SERVICE_TURN_ON, "switch.pack_1_smart_sleep"),
        turn(hass, SERVICE_TURN_OFF, "switch.pack_1_charging_float_mode"),
    )
    assert bank[1].number_of("function_word") == (before | SMART_SLEEP) & ~FLOAT_MODE


@pytest.mark.usefixtures("loaded")
async def test_a_switch_that_the_pack_ignores_stays_as_it_was_and_tells(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].writing = Writing.IGNORE
    with pytest.raises(HomeAssistantError) as raised:
        await turn(hass, SERVICE_TURN_OFF, "switch.pack_1_discharging")
    assert raised.value.translation_key == "write_ignored"
    assert "Discharge" in str(raised.value)
    assert "kept On" in str(raised.value)
    assert state_of(hass, "switch", 1, "discharging_switch").state == STATE_ON


@pytest.mark.usefixtures("loaded")
async def test_switches_that_can_do_harm_over_the_wire_do_not_exist(
    hass: HomeAssistant,
) -> None:
    for key in (
        "disable_temperature_sensors",
        "gps_heartbeat",
        "port_switch",
        "special_charger",
    ):
        assert entity_id(hass, "switch", 1, key) is None
        assert entity_id(hass, "binary_sensor", 1, f"{key}_set") is not None


class TestNotAllowed:
    """What happens while its owner has not allowed to change settings."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Nothing is allowed unless it was."""
        return {}

    @pytest.mark.usefixtures("loaded")
    async def test_switches_are_unavailable_and_their_twins_are_not(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        for key in ("charging_switch", "discharging_switch", "balancer"):
            assert state_of(hass, "switch", 1, key).state == STATE_UNAVAILABLE
            assert state_of(hass, "binary_sensor", 1, f"{key}_set").state == STATE_ON
        await turn(hass, SERVICE_TURN_OFF, "switch.pack_1_charging")
        assert bank[1].journal == []
