"""What the sensors say, against what the packs on the line have in their memory.

The packs are read by the simulator's own transcription of the register map, so a slip
in the table of values shows here.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch
from zoneinfo import ZoneInfo

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant, State
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.sensor import as_local
from simulator import Bank, Pack

from .bus import entity_id, set_up, state_of, until

type Read = Callable[[Pack], float]

UNHURRIED: Final = {"poll_interval": 0.2}
"""Seconds between readings where a test waits for the next one."""


def raw(name: str, divisor: float = 1) -> Read:
    """Read a number of a pack's memory."""
    return lambda pack: pack.number_of(name) / divisor


def cells(pack: Pack) -> dict[int, float]:
    """Read the voltages of the cells that are there."""
    mask = pack.number_of("cell_presence")
    return {
        n: pack.number_of(f"cell_voltage_{n}") / 1000
        for n in range(1, 33)
        if mask >> n - 1 & 1
    }


def spread(pack: Pack) -> float:
    """Return the difference of the highest and the lowest cell."""
    return max(cells(pack).values()) - min(cells(pack).values())


def power(pack: Pack) -> float:
    """Return voltage times signed current."""
    return pack.number_of("pack_voltage") * pack.number_of("current") / 1e6


MEASURED: Final[dict[str, tuple[str | None, Read]]] = {
    "total_voltage": ("V", raw("pack_voltage", 1000)),
    "current": ("A", raw("current", 1000)),
    "power": ("W", power),
    "charging_power": ("W", lambda pack: max(power(pack), 0)),
    "discharging_power": ("W", lambda pack: max(-power(pack), 0)),
    "state_of_charge": ("%", raw("soc")),
    "state_of_health": ("%", raw("soh")),
    "capacity_remaining": ("Ah", raw("remaining_capacity", 1000)),
    "full_charge_capacity": ("Ah", raw("full_capacity", 1000)),
    "charging_cycles": (None, raw("cycles")),
    "total_charging_cycle_capacity": ("Ah", raw("cycled_capacity", 1000)),
    "average_cell_voltage": (
        "V",
        lambda pack: sum(cells(pack).values()) / len(cells(pack)),
    ),
    "delta_cell_voltage": ("V", spread),
    "min_cell_voltage": ("V", lambda pack: min(cells(pack).values())),
    "max_cell_voltage": ("V", lambda pack: max(cells(pack).values())),
    "min_voltage_cell": (
        None,
        lambda pack: min(cells(pack), key=cells(pack).__getitem__),
    ),
    "max_voltage_cell": (
        None,
        lambda pack: max(cells(pack), key=cells(pack).__getitem__),
    ),
    "cell_resistance_1": ("mΩ", raw("wire_resistance_1")),
    "cell_resistance_8": ("mΩ", raw("wire_resistance_8")),
    "power_tube_temperature": ("°C", raw("mos_temperature", 10)),
    "temperature_sensor_1": ("°C", raw("temperature_1", 10)),
    "temperature_sensor_2": ("°C", raw("temperature_2", 10)),
    "balancing_current": ("A", raw("balance_current", 1000)),
    "heating_current": ("A", raw("heater_current", 1000)),
    "total_runtime": ("d", raw("run_time", 86400)),
    "discharge_overcurrent_release": ("s", raw("discharge_ocp_left")),
    "overvoltage_release": ("s", raw("cell_ovp_left")),
    "emergency_time_left": ("s", raw("emergency_left")),
    "sleep_countdown": ("s", raw("sleep_countdown")),
    "charge_status_time": ("s", raw("phase_time")),
    "event_log_entries": (None, raw("log_count")),
    "power_on_count": (None, raw("power_on_count")),
}
SET: Final[dict[str, tuple[str | None, Read]]] = {
    "smart_sleep_voltage": ("V", raw("smart_sleep_voltage", 1000)),
    "cell_uvp": ("V", raw("cell_uvp", 1000)),
    "cell_uvpr": ("V", raw("cell_uvpr", 1000)),
    "cell_ovp": ("V", raw("cell_ovp", 1000)),
    "cell_ovpr": ("V", raw("cell_ovpr", 1000)),
    "balance_trigger_voltage": ("V", raw("balance_trigger", 1000)),
    "balance_starting_voltage": ("V", raw("balance_start_voltage", 1000)),
    "cell_request_charge_voltage": ("V", raw("rcv", 1000)),
    "cell_request_float_voltage": ("V", raw("rfv", 1000)),
    "max_charge_current": ("A", raw("charge_current_limit", 1000)),
    "max_discharge_current": ("A", raw("discharge_current_limit", 1000)),
    "max_balance_current": ("A", raw("balance_current_limit", 1000)),
    "total_battery_capacity_setting": ("Ah", raw("nominal_capacity", 1000)),
    "cell_count": (None, raw("cell_count")),
    "short_circuit_delay": ("μs", raw("scp_delay")),
    "charge_ocp_delay": ("s", raw("charge_ocp_delay")),
    "charge_otp": ("°C", raw("charge_otp", 10)),
    "charge_utp": ("°C", raw("charge_utp", 10)),
    "mos_otp_recovery": ("°C", raw("mos_otpr", 10)),
    "smart_sleep_time": ("h", raw("smart_sleep_hours")),
    "data_stored_period": ("s", raw("log_period")),
    "cell_request_charge_time": ("h", raw("rcv_time", 10)),
    "cell_request_float_time": ("h", raw("rfv_time", 10)),
    "connection_resistance_1": ("mΩ", raw("connection_resistance_1", 1000)),
    "device_address": (None, raw("device_address")),
    "dry_1_value": (None, raw("dry1_trigger")),
}


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_every_pack_shows_what_is_in_its_memory(
    hass: HomeAssistant, bank: Bank
) -> None:
    for pack in bank:
        for key, (unit, read) in (
            MEASURED.items() | {f"{key}_set": row for key, row in SET.items()}.items()
        ):
            state = state_of(hass, "sensor", pack.address, key)
            assert state.state != STATE_UNKNOWN, f"{key} of {pack.trio.id}"
            assert float(state.state) == pytest.approx(read(pack), abs=1e-3), key
            assert state.attributes.get("unit_of_measurement") == unit, key


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_the_protocols_of_the_ports_are_shown_by_name(
    hass: HomeAssistant, bank: Bank
) -> None:
    for pack in bank:
        for key in ("uart1_protocol", "can_protocol"):
            shown = state_of(hass, "sensor", pack.address, f"{key}_set").state
            assert shown == BY_KEY[key].options[pack.number_of(key)]


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_what_the_sources_of_the_captures_state_is_shown(
    hass: HomeAssistant,
) -> None:
    stated = {
        (1, "cell_uvp_set"): "2.7",
        (1, "cell_ovpr_set"): "3.444",
        (1, "max_charge_current_set"): "60.0",
        (1, "short_circuit_delay_set"): "1500",
        (1, "software_version"): "15.41",
        (2, "total_voltage"): "53.224",
        (2, "current"): "31.881",
        (2, "cell_voltage_13"): "3.32",
        (2, "max_voltage_cell"): "16",
        (2, "delta_cell_voltage"): "0.017",
        (2, "temperature_sensor_1"): "13.4",
        (2, "state_of_charge"): "25",
        (2, "capacity_remaining"): "49.286",
        (2, "charge_status"): "bulk",
        (2, "hardware_version"): "15A",
        (3, "total_voltage"): "54.028",
        (3, "current"): "-0.727",
        (3, "min_voltage_cell"): "10",
        (3, "min_cell_voltage"): "3.374",
        (3, "full_charge_capacity"): "314.0",
        (3, "charging_cycles"): "5",
        (3, "event_log_entries"): "62",
        (3, "battery_type"): "lfp",
        (3, "heating_start_temperature_set"): "10",
        (3, "heating_stop_temperature_set"): "12",
    }
    shown = {
        (address, key): state_of(hass, "sensor", address, key).state
        for address, key in stated
    }
    assert shown == stated


@pytest.mark.usefixtures("loaded")
async def test_every_cell_has_a_sensor_and_what_is_no_cell_has_none(
    hass: HomeAssistant, bank: Bank
) -> None:
    for pack in bank:
        present = cells(pack)
        assert len(present) == (8 if pack.address == 4 else 16)
        for n in range(1, 33):
            if n not in present:
                assert (
                    entity_id(hass, "sensor", pack.address, f"cell_voltage_{n}") is None
                )
                assert (
                    entity_id(hass, "sensor", pack.address, f"cell_resistance_{n}")
                    is None
                )
                continue
            state = state_of(hass, "sensor", pack.address, f"cell_voltage_{n}")
            assert float(state.state) == present[n]
            assert state.name == f"Pack {pack.address} Cell {n} voltage"


class TestOnePack:
    """What one pack is enough for."""

    @pytest.fixture
    def addresses(self) -> tuple[int, ...]:
        """One pack."""
        return (1,)

    @pytest.fixture
    def options(self) -> dict[str, float]:
        """Read it often."""
        return UNHURRIED

    @pytest.fixture
    def bank(self, bank: Bank) -> Bank:
        """A pack without its fourth probe, whose third is no probe at all."""
        bank[1].set("temperature_4", -2000)
        return bank

    @pytest.mark.usefixtures("loaded")
    async def test_a_probe_that_is_not_fitted_has_no_sensor(
        self, hass: HomeAssistant
    ) -> None:
        assert [
            n
            for n in range(1, 6)
            if entity_id(hass, "sensor", 1, f"temperature_sensor_{n}")
        ] == [1, 2, 5]

    @pytest.mark.usefixtures("loaded")
    async def test_a_probe_that_fails_becomes_unknown_and_one_that_is_fitted_appears(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        bank[1].set("temperature_2", -2000)
        bank[1].set("temperature_4", 215)
        await until(
            lambda: (
                state_of(hass, "sensor", 1, "temperature_sensor_2").state
                == STATE_UNKNOWN
            )
        )
        await until(lambda: entity_id(hass, "sensor", 1, "temperature_sensor_4"))
        await hass.async_block_till_done()
        assert state_of(hass, "sensor", 1, "temperature_sensor_4").state == "21.5"
        assert state_of(hass, "sensor", 1, "temperature_sensor_1").state == "19.5"

    @pytest.mark.usefixtures("loaded")
    async def test_a_charge_phase_without_a_name_is_unknown(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        assert state_of(hass, "sensor", 1, "charge_status").state == "bulk"
        bank[1].set("charge_phase", 7)
        await until(
            lambda: state_of(hass, "sensor", 1, "charge_status").state == STATE_UNKNOWN
        )

    @pytest.mark.usefixtures("loaded")
    async def test_a_sensor_is_written_only_when_its_own_value_has_changed(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        before = {state.entity_id: state for state in hass.states.async_all()}
        bank[1].set("soc", 54)
        await until(
            lambda: state_of(hass, "sensor", 1, "state_of_charge").state == "54"
        )
        bank[1].set("soc", 53)
        await until(
            lambda: state_of(hass, "sensor", 1, "state_of_charge").state == "53"
        )
        written = {
            state.entity_id
            for state in hass.states.async_all()
            if state.last_reported != before[state.entity_id].last_reported
        }
        assert written == {"sensor.pack_1_state_of_charge"}

    @pytest.mark.usefixtures("everything_enabled")
    async def test_the_clock_is_the_local_time_that_the_owner_lives_in(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        await hass.config.async_set_time_zone("Europe/Berlin")
        noon = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Europe/Berlin"))

        def at_noon() -> datetime:
            """Say what makes the last reading one of noon, however long ago it was."""
            [pack] = entry.runtime_data.packs.values()
            return noon + timedelta(
                seconds=hass.loop.time() - pack.station.state.seen[Block.LIVE]
            )

        def set_clock(ahead: int) -> None:
            seconds = noon.replace(tzinfo=None) - datetime(2020, 1, 1)
            bank[1].set("rtc", int(seconds.total_seconds()) + ahead)

        async def drift_when(ahead: int) -> State:
            clock = state_of(hass, "sensor", 1, "bms_clock").state
            set_clock(ahead)
            await until(lambda: state_of(hass, "sensor", 1, "bms_clock").state != clock)
            return state_of(hass, "sensor", 1, "bms_clock_drift")

        set_clock(-90)
        with patch(
            "custom_components.jkbms.sensor.dt_util",
            SimpleNamespace(
                utcnow=at_noon,
                UTC=dt_util.UTC,
                get_default_time_zone=dt_util.get_default_time_zone,
            ),
        ):
            await set_up(hass, entry)
            assert (
                state_of(hass, "sensor", 1, "bms_clock").state
                == "2026-11-20T10:58:30+00:00"
            )
            drift = state_of(hass, "sensor", 1, "bms_clock_drift")
            assert drift.state == "-90"
            assert drift.attributes["unit_of_measurement"] == "s"

            # One second is what an answer takes; it is no drift.
            steady = await drift_when(-91)
            reported = steady.last_reported
            assert steady.state == "-90"
            assert (await drift_when(-89)).last_reported == reported

            assert (await drift_when(-88)).state == "-88"
            assert (await drift_when(3600)).state == "3600"
            assert await hass.config_entries.async_unload(entry.entry_id)

    @pytest.mark.usefixtures("everything_enabled")
    async def test_a_clock_that_was_never_set_is_unknown(
        self, hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
    ) -> None:
        bank[1].set("rtc", 0)
        await set_up(hass, entry)
        assert state_of(hass, "sensor", 1, "bms_clock").state == STATE_UNKNOWN
        assert state_of(hass, "sensor", 1, "bms_clock_drift").state == STATE_UNKNOWN
        assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-10-25T00:40:00+00:00", 2),
        ("2026-10-25T01:20:00+00:00", 1),
        ("2026-07-01T00:30:00+00:00", 2),
    ],
)
async def test_in_the_hour_that_comes_twice_the_reading_nearer_to_now_is_meant(
    hass: HomeAssistant, now: str, hours: int
) -> None:
    await hass.config.async_set_time_zone("Europe/Berlin")
    at = datetime.fromisoformat(now)
    clock = at.date()
    reading = as_local(datetime(clock.year, clock.month, clock.day, 2, 30), at)
    assert reading.utcoffset() == timedelta(hours=hours)
