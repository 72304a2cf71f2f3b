"""Errors name settings in the language of Home Assistant."""

import json
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_load_integrations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.errors import failure, refusal, sentence
from custom_components.jkbms.protocol.datum import Role, Tier
from custom_components.jkbms.protocol.fields import BMS_CLOCK, BY_KEY, FIELDS
from custom_components.jkbms.tiers import names_of
from custom_components.jkbms.wording import action_name, name_of
from simulator import TcpServer

from .bus import subentry_id
from .common import bus_entry, holding
from .dialog import Dialog

TEXTS: Final = Path(__file__).parents[2] / "custom_components/jkbms/translations"


def texts(language: str) -> Any:
    """The texts of a language."""
    return json.loads((TEXTS / f"{language}.json").read_text(encoding="utf-8"))


@pytest.fixture
async def german(hass: HomeAssistant) -> Any:
    """Home Assistant in German, and the German texts."""
    await hass.config.async_update(language="de")
    await async_load_integrations(hass, {DOMAIN})
    return texts("de")


def test_a_setting_is_called_as_in_the_table_in_english(hass: HomeAssistant) -> None:
    assert name_of(hass, BY_KEY["cell_ovp"]) == "Cell OVP"
    assert name_of(hass, BY_KEY["uart1_protocol"]) == "UART1 protocol"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("cell_ovp", "number/cell_ovp"),
        ("balancer", "switch/balancer"),
        ("lcd_buzzer_trigger", "select/lcd_buzzer_trigger"),
        ("uart1_protocol", "sensor/uart1_protocol_set"),
        ("bms_clock", "sensor/bms_clock"),
    ],
)
def test_a_setting_is_called_as_its_entity(
    hass: HomeAssistant, german: Any, key: str, path: str
) -> None:
    platform, text = path.split("/")
    datum = BMS_CLOCK if key == "bms_clock" else BY_KEY[key]
    assert name_of(hass, datum) == german["entity"][platform][text]["name"]


def test_one_of_many_alike_has_its_number(hass: HomeAssistant, german: Any) -> None:
    field = next(f for f in FIELDS if f.role is Role.SETTING and f.index == 7)
    assert "7" in name_of(hass, field)
    assert "{" not in name_of(hass, field)
    assert "n" in name_of(hass, field, number="n").split()


@pytest.mark.parametrize("language", ["de", "zh-Hans", "uk"])
async def test_every_setting_has_a_name_in_every_language(
    hass: HomeAssistant, language: str
) -> None:
    await hass.config.async_update(language=language)
    await async_load_integrations(hass, {DOMAIN})
    named = {
        text["name"]
        for platform in texts(language)["entity"].values()
        for text in platform.values()
    }
    for field in FIELDS:
        if field.role is Role.SETTING:
            assert name_of(hass, field, number="{number}") in named, field.key


def test_a_language_that_is_not_there_is_answered_in_english(
    hass: HomeAssistant,
) -> None:
    hass.config.language = "is"
    assert name_of(hass, BY_KEY["cell_ovp"]) == "Cell OVP"
    assert action_name(hass, "emergency_start") == "emergency_start"
    error = refusal("no_such_setting", setting="x")
    assert sentence(hass, error) == str(error)


def test_a_whole_sentence_is_in_the_language_of_home_assistant(
    hass: HomeAssistant, german: Any
) -> None:
    error = failure("not_put_back", pack="P", setting="S", found="1 V")
    wanted = german["exceptions"]["not_put_back"]["message"]
    assert sentence(hass, error) == wanted.format(pack="P", setting="S", found="1 V")
    assert sentence(hass, error) != str(error)
    assert (
        action_name(hass, "emergency_start")
        == german["services"]["emergency_start"]["name"]
    )


@pytest.mark.simulated_time
@pytest.mark.usefixtures("socket_enabled")
async def test_errors_and_answers_are_german_in_a_german_house(
    hass: HomeAssistant, gateway: TcpServer, german: Any
) -> None:
    entry: MockConfigEntry = bus_entry(gateway.url, 1, write_tier="protection")
    name = german["entity"]["number"]["cell_ovpr"]["name"]
    other = german["entity"]["number"]["cell_ovp"]["name"]
    async with holding(hass, entry) as bus:
        with pytest.raises(HomeAssistantError) as caught:
            await bus.async_write(subentry_id(1), BY_KEY["cell_ovpr"], 4.0)
        words = caught.value.translation_placeholders
        assert words is not None
        assert (words["setting"], words["other"]) == (name, other)


@pytest.mark.usefixtures("socket_enabled", "quick_looks")
async def test_the_first_dialog_names_what_it_opens_in_the_language_of_the_house(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    await hass.config.async_update(language="de")
    dialog = await Dialog.add(hass)
    await dialog.submit(device=gateway.url)
    await dialog.choose("scan")
    await dialog.submit(packs=["3"], write_tier="protection")
    named = dialog.placeholders["settings"].split(", ")
    assert texts("de")["entity"]["number"]["cell_ovpr"]["name"] in named
    assert names_of(hass, Tier.PROTECTION) == named
