"""What the binary sensors say."""

from typing import Final

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
import pytest

from simulator import Bank

from .bus import state_of, until

CELL_OVERVOLTAGE: Final = 1 << 4
CHANGE_PASSWORD: Final = 1 << 19
BATTERY_OVERTEMPERATURE: Final = 1 << 21
FLAGS: Final = {
    "charging": "charge_mos",
    "discharging": "discharge_mos",
    "precharging": "precharge",
    "charger_plugged": "charger_plugged",
    "pcl_module": "pcl",
    "heating": "heater",
    "balancing": "balancer_state",
    "problem": "alarms",
    "charging_switch_set": "charge_switch",
    "discharging_switch_set": "discharge_switch",
    "balancer_set": "balancer_switch",
}
BITS: Final = {
    "heater_set": 0,
    "disable_temperature_sensors_set": 1,
    "gps_heartbeat_set": 2,
    "port_switch_set": 3,
    "display_always_on_set": 4,
    "special_charger_set": 5,
    "smart_sleep_set": 6,
    "disable_pcl_module_set": 7,
    "timed_stored_data_set": 8,
    "charging_float_mode_set": 9,
}


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_every_pack_shows_its_flags_and_switches(
    hass: HomeAssistant, bank: Bank
) -> None:
    for pack in bank:
        wanted = {key: bool(pack.number_of(name)) for key, name in FLAGS.items()}
        word = pack.number_of("function_word")
        wanted |= {key: bool(word >> bit & 1) for key, bit in BITS.items()}
        shown = {
            key: state_of(hass, "binary_sensor", pack.address, key).state == STATE_ON
            for key in wanted
        }
        assert shown == wanted, pack.trio.id
        assert state_of(hass, "binary_sensor", pack.address, "online").state == STATE_ON


class TestOnePack:
    """What one pack is enough for."""

    @pytest.fixture
    def addresses(self) -> tuple[int, ...]:
        """One pack."""
        return (1,)

    @pytest.fixture
    def options(self) -> dict[str, float]:
        """Read it often."""
        return {"poll_interval": 0.2}

    @pytest.mark.parametrize(
        ("alarms", "problem", "notice", "errors"),
        [
            (CELL_OVERVOLTAGE, STATE_ON, STATE_OFF, "Cell over-voltage protection"),
            (CHANGE_PASSWORD, STATE_OFF, STATE_ON, "OK"),
            (
                BATTERY_OVERTEMPERATURE,
                STATE_OFF,
                STATE_OFF,
                "Battery over-temperature alarm",
            ),
            (
                CELL_OVERVOLTAGE | CHANGE_PASSWORD | 1,
                STATE_ON,
                STATE_ON,
                "Balance lead resistance too high, Cell over-voltage protection",
            ),
        ],
    )
    @pytest.mark.usefixtures("everything_enabled", "loaded")
    async def test_alarms_come_and_go(
        self,
        hass: HomeAssistant,
        bank: Bank,
        alarms: int,
        problem: str,
        notice: str,
        errors: str,
    ) -> None:
        def shown() -> tuple[str, str, str]:
            return (
                state_of(hass, "binary_sensor", 1, "problem").state,
                state_of(hass, "binary_sensor", 1, "notice").state,
                state_of(hass, "sensor", 1, "errors").state,
            )

        assert shown() == (STATE_OFF, STATE_OFF, "OK")
        bank[1].set("alarms", alarms)
        await until(lambda: shown() == (problem, notice, errors))
        bank[1].set("alarms", 0)
        await until(lambda: shown() == (STATE_OFF, STATE_OFF, "OK"))

    @pytest.mark.usefixtures("everything_enabled", "loaded")
    async def test_balancing_tells_in_which_direction(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        def shown() -> tuple[str, str]:
            return (
                state_of(hass, "binary_sensor", 1, "balancing").state,
                state_of(hass, "sensor", 1, "balancing_direction").state,
            )

        assert shown() == (STATE_OFF, "off")
        bank[1].set("balancer_state", 1)
        await until(lambda: shown() == (STATE_ON, "charging"))
        bank[1].set("balancer_state", 2)
        await until(lambda: shown() == (STATE_ON, "discharging"))
