"""Changing the settings that are numbers, and every way in which that can fail."""

import asyncio
from typing import Any, Final

from homeassistant.components.number.const import ATTR_VALUE, DOMAIN, SERVICE_SET_VALUE
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Bank, Outcome, SlaveLine, Writing

from .bus import set_up, state_of, until

START_BALANCE: Final = "number.pack_1_balance_starting_voltage"


async def set_value(
    hass: HomeAssistant, value: float, entity: str = START_BALANCE
) -> None:
    """Set a number as a person does."""
    await hass.services.async_call(
        DOMAIN,
        SERVICE_SET_VALUE,
        {ATTR_ENTITY_ID: entity, ATTR_VALUE: value},
        blocking=True,
    )


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
def options() -> dict[str, Any]:
    """Settings may be changed."""
    return {"write_tier": "protection", "poll_interval": 0.2}


@pytest.mark.usefixtures("loaded")
async def test_a_number_has_the_range_of_its_setting(hass: HomeAssistant) -> None:
    attributes = state_of(hass, "number", 1, "balance_starting_voltage").attributes
    assert attributes["min"] == 1.2
    assert attributes["max"] == 4.25
    assert attributes["step"] == 0.01
    assert attributes["mode"] == "box"
    assert attributes["unit_of_measurement"] == "V"
    assert attributes["device_class"] == "voltage"


@pytest.mark.usefixtures("loaded")
async def test_a_new_value_shows_only_after_the_pack_has_it(
    hass: HomeAssistant, bank: Bank
) -> None:
    in_memory: list[float] = []

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        in_memory.append(bank[1].number_of("balance_start_voltage") / 1000)

    async_track_state_change_event(hass, START_BALANCE, changed)
    assert state_of(hass, "number", 1, "balance_starting_voltage").state == "3.44"
    await set_value(hass, 3.41)
    assert state_of(hass, "number", 1, "balance_starting_voltage").state == "3.41"
    assert state_of(hass, "sensor", 1, "balance_starting_voltage_set").state == "3.41"
    assert in_memory == [3.41]
    write, *others = bank[1].journal
    assert others == []
    assert (write.register, write.data.hex()) == (0x1084, "00000d52")
    assert bank.dangerous == []


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_byte_that_shares_its_register_leaves_its_neighbour_alone(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].set("rfv_time", 77)
    await set_value(hass, 2.5, "number.pack_1_cell_request_charge_time")
    assert bank[1].number_of("rcv_time") == 25
    assert bank[1].number_of("rfv_time") == 77
    assert state_of(hass, "number", 1, "cell_request_charge_time").state == "2.5"


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_negative_temperature_can_be_set(
    hass: HomeAssistant, bank: Bank
) -> None:
    await set_value(hass, -7.5, "number.pack_1_charge_utp")
    assert bank[1].number_of("charge_utp") == -75
    assert state_of(hass, "number", 1, "charge_utp").state == "-7.5"


@pytest.mark.usefixtures("everything_enabled")
async def test_a_person_may_think_in_fahrenheit(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    hass.config.units = US_CUSTOMARY_SYSTEM
    await set_up(hass, entry)
    attributes = state_of(hass, "number", 1, "charge_otp").attributes
    assert (attributes["min"], attributes["max"]) == (86.0, 176.0)
    await set_value(hass, 95, "number.pack_1_charge_otp")
    assert bank[1].number_of("charge_otp") == 350
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("loaded")
async def test_a_value_outside_the_range_is_not_even_sent(
    hass: HomeAssistant, bank: Bank
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await set_value(hass, 5)
    assert raised.value.translation_key == "out_of_range"
    assert bank[1].journal == []


@pytest.mark.parametrize(
    ("writing", "value", "key", "words"),
    [
        (
            Writing.REFUSE_REGISTER,
            3.41,
            "write_refused_register",
            ("Start balance voltage", "Pack 1", "exception 2", "still 3.44"),
        ),
        (
            Writing.REFUSE_VALUE,
            3.41,
            "write_refused_value",
            ("Start balance voltage", "Pack 1", "3.41", "exception 3", "still 3.44"),
        ),
        (
            Writing.IGNORE,
            3.41,
            "write_ignored",
            ("Start balance voltage", "Pack 1", "3.41", "kept 3.44"),
        ),
    ],
)
@pytest.mark.usefixtures("loaded")
async def test_a_change_that_the_pack_does_not_make_is_told(
    hass: HomeAssistant,
    bank: Bank,
    writing: Writing,
    value: float,
    key: str,
    words: tuple[str, ...],
) -> None:
    bank[1].writing = writing
    with pytest.raises(HomeAssistantError) as raised:
        await set_value(hass, value)
    assert raised.value.translation_key == key
    message = str(raised.value)
    assert [word for word in words if word not in message] == []
    assert "{" not in message
    assert state_of(hass, "number", 1, "balance_starting_voltage").state == "3.44"
    assert len(bank[1].journal) == 1


@pytest.mark.usefixtures("loaded")
async def test_more_than_the_model_can_carry_is_not_even_sent(
    hass: HomeAssistant, bank: Bank
) -> None:
    with pytest.raises(HomeAssistantError) as raised:
        await set_value(hass, 300, "number.pack_1_max_charge_current")
    assert raised.value.translation_key == "too_much_for_model"
    assert bank[1].journal == []
    assert bank[1].number_of("charge_current_limit") == 60_000
    assert state_of(hass, "number", 1, "max_charge_current").state == "60.0"


@pytest.fixture
def unrated(bank: Bank) -> None:
    """A pack whose name does not tell what it can carry."""
    bank[1].set("model", b"JK_16S20P".ljust(16, b"\0"))


@pytest.mark.usefixtures("unrated", "loaded")
async def test_a_value_that_the_pack_clamps_is_shown_as_it_is_and_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].writing = Writing.CLAMP
    with pytest.raises(HomeAssistantError) as raised:
        await set_value(hass, 300, "number.pack_1_max_charge_current")
    assert raised.value.translation_key == "write_clamped"
    assert "took 200.0 A instead of 300.0 A" in str(raised.value)
    assert bank[1].journal[-1].outcome is Outcome.CLAMPED
    assert state_of(hass, "number", 1, "max_charge_current").state == "200.0"


@pytest.mark.usefixtures("loaded")
async def test_a_pack_that_vanishes_before_the_write_is_told(
    hass: HomeAssistant, bank: Bank, line: SlaveLine
) -> None:
    bank[1].present = False
    with pytest.raises(HomeAssistantError) as raised:
        await set_value(hass, 3.41)
    assert raised.value.translation_key == "write_unreachable"
    assert bank[1].journal == []


@pytest.mark.usefixtures("loaded")
async def test_two_changes_at_once_are_made_one_after_the_other(
    hass: HomeAssistant, bank: Bank
) -> None:
    await asyncio.gather(
        set_value(hass, 3.41),
        set_value(hass, 0.01, "number.pack_1_balance_trigger_voltage"),
    )
    assert bank[1].number_of("balance_start_voltage") == 3410
    assert bank[1].number_of("balance_trigger") == 10
    assert [write.outcome for write in bank[1].journal] == [Outcome.STORED] * 2


async def test_a_value_outside_the_range_is_still_shown(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("balance_start_voltage", 4300)
    await set_up(hass, entry)
    state = state_of(hass, "number", 1, "balance_starting_voltage")
    assert (state.state, state.attributes["max"]) == ("4.3", 4.25)
    assert await hass.config_entries.async_unload(entry.entry_id)


class TestNotAllowed:
    """What happens while its owner has not allowed to change settings."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Nothing is allowed unless it was."""
        return {}

    @pytest.mark.usefixtures("loaded")
    async def test_nothing_can_be_written_until_it_is_allowed(
        self, hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
    ) -> None:
        state = state_of(hass, "number", 1, "balance_starting_voltage")
        assert state.state == STATE_UNAVAILABLE
        assert (
            state_of(hass, "sensor", 1, "balance_starting_voltage_set").state == "3.44"
        )
        await set_value(hass, 3.41)  # Home Assistant leaves unavailable entities alone.
        assert bank[1].journal == []

        hass.config_entries.async_update_entry(
            loaded, options={"write_tier": "protection"}
        )
        await until(
            lambda: (
                state_of(hass, "number", 1, "balance_starting_voltage").state == "3.44"
            )
        )
        await set_value(hass, 3.41)
        assert bank[1].number_of("balance_start_voltage") == 3410
