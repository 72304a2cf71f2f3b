"""Changing the settings that are a choice, and every way in which that can fail."""

from typing import Any, Final

from homeassistant.components.select.const import DOMAIN
from homeassistant.const import (
    ATTR_ENTITY_ID,
    ATTR_OPTION,
    SERVICE_SELECT_OPTION,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.fields import BY_KEY
from simulator import Bank, Writing

from .bus import entity_id, set_up, state_of
from .house import House, controlled

BUZZER: Final = "select.pack_1_lcd_buzzer_trigger"
KEY: Final = "lcd_buzzer_trigger"
OPTIONS: Final = BY_KEY[KEY].options
RAW: Final = "buzzer_source"
"""What the vendor's map calls it."""


async def choose(hass: HomeAssistant, option: str, entity: str = BUZZER) -> None:
    """Choose as a person does."""
    await hass.services.async_call(
        DOMAIN,
        SERVICE_SELECT_OPTION,
        {ATTR_ENTITY_ID: entity, ATTR_OPTION: option},
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


@pytest.fixture
def bank(bank: Bank) -> Bank:
    """Packs whose buzzer sounds when the cells are too high."""
    bank[1].set(RAW, OPTIONS.index("cell_overvoltage"))
    return bank


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_choice_offers_what_the_pack_knows(hass: HomeAssistant) -> None:
    state = state_of(hass, "select", 1, KEY)
    assert state.state == "cell_overvoltage"
    assert state.attributes["options"] == list(OPTIONS)
    assert state_of(hass, "sensor", 1, f"{KEY}_set").state == "cell_overvoltage"


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_choice_shows_only_after_the_pack_has_it(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].set("dry1_source", 7)
    await choose(hass, "low_soc")
    assert bank[1].number_of(RAW) == OPTIONS.index("low_soc")
    assert state_of(hass, "select", 1, KEY).state == "low_soc"
    assert state_of(hass, "sensor", 1, f"{KEY}_set").state == "low_soc"
    # Both are bytes of one register.
    assert bank[1].number_of("dry1_source") == 7
    [write] = bank[1].journal
    assert (write.register, write.data.hex()) == (0x14E4, "0107")
    assert bank.dangerous == []


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_every_trigger_can_be_chosen(hass: HomeAssistant, bank: Bank) -> None:
    raw = {"dry_1_trigger": "dry1_source", "dry_2_trigger": "dry2_source", KEY: RAW}
    for number, (key, name) in enumerate(raw.items()):
        option = OPTIONS[-1 - number]
        await choose(hass, option, f"select.pack_1_{key}")
        assert bank[1].number_of(name) == OPTIONS.index(option)
        assert state_of(hass, "select", 1, key).state == option


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_what_is_no_choice_is_not_even_sent(
    hass: HomeAssistant, bank: Bank
) -> None:
    with pytest.raises(ServiceValidationError):
        await choose(hass, "fire")
    assert bank[1].journal == []


@pytest.mark.usefixtures("everything_enabled")
async def test_a_choice_that_nobody_knows_is_unknown_and_can_be_replaced(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set(RAW, 99)
    await set_up(hass, entry)
    assert state_of(hass, "select", 1, KEY).state == STATE_UNKNOWN
    await choose(hass, "none")
    assert bank[1].number_of(RAW) == 0
    assert state_of(hass, "select", 1, KEY).state == "none"
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("writing", "key", "words"),
    [
        (Writing.REFUSE_REGISTER, "write_refused_register", "exception 2"),
        (Writing.REFUSE_VALUE, "write_refused_value", "exception 3"),
        (Writing.IGNORE, "write_ignored", "kept Cell over-voltage"),
    ],
)
@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_choice_that_the_pack_does_not_take_is_told(
    hass: HomeAssistant, bank: Bank, writing: Writing, key: str, words: str
) -> None:
    bank[1].writing = writing
    with pytest.raises(HomeAssistantError) as raised:
        await choose(hass, "low_soc")
    assert raised.value.translation_key == key
    message = str(raised.value)
    assert [w for w in ("LCD buzzer", "Pack 1", words) if w not in message] == []
    assert "{" not in message
    assert state_of(hass, "select", 1, KEY).state == "cell_overvoltage"
    assert len(bank[1].journal) == 1


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_a_pack_that_vanishes_before_the_write_is_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].present = False
    with pytest.raises(HomeAssistantError) as raised:
        await choose(hass, "low_soc")
    assert raised.value.translation_key == "write_unreachable"
    assert bank[1].journal == []


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_protocols_that_can_silence_a_pack_are_no_choice(
    hass: HomeAssistant,
) -> None:
    for key in ("uart1_protocol", "can_protocol"):
        assert entity_id(hass, "select", 1, key) is None
        assert entity_id(hass, "sensor", 1, f"{key}_set") is not None


class TestNotAllowed:
    """What happens while its owner has not allowed to change settings."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Nothing is allowed unless it was."""
        return {}

    @pytest.mark.usefixtures("everything_enabled", "loaded")
    async def test_choices_are_unavailable_and_their_twins_are_not(
        self, hass: HomeAssistant, bank: Bank
    ) -> None:
        assert state_of(hass, "select", 1, KEY).state == STATE_UNAVAILABLE
        assert state_of(hass, "sensor", 1, f"{KEY}_set").state == "cell_overvoltage"
        await choose(hass, "low_soc")
        assert bank[1].journal == []


class TestListening:
    """What happens on a bus that another master asks."""

    pytestmark = pytest.mark.simulated_time

    @pytest.fixture
    def bank(self) -> Bank:
        """The master and two slaves."""
        return Bank.default(range(3), still=True)

    @pytest.mark.usefixtures("socket_enabled", "everything_enabled")
    async def test_there_are_choices_only_with_a_control_line(
        self, hass: HomeAssistant, house: House
    ) -> None:
        assert entity_id(hass, "select", 1, KEY) is None
        await controlled(hass, house)
        await choose(hass, "low_soc")
        assert house.bank[1].number_of(RAW) == OPTIONS.index("low_soc")
        assert [len(pack.journal) for pack in house.bank] == [0, 1, 0]
        assert state_of(hass, "select", 1, KEY).state == "low_soc"
        assert house.line.sent == b""
