"""A change that was not made says what happened, in words that tell what to do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import translation
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.protocol.datum import Field, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY, FIELDS
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.wording import show, show_of
from custom_components.jkbms.write_errors import not_changed
from simulator import Bank, TcpServer, Writing

from ..simulator import trigger
from .bus import subentry_id
from .common import bus_entry, holding, pack_of, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

OVP: Final = BY_KEY["cell_ovp"]
CURRENT: Final = BY_KEY["max_charge_current"]
PCL: Final = BY_KEY["disable_pcl_module"]
START_BALANCE: Final = BY_KEY["balance_starting_voltage"]
FLOAT_MODE: Final = BY_KEY["charging_float_mode"]


@pytest.fixture
def bank() -> Bank:
    """One pack of each captured kind."""
    bank = Bank.default(addresses=range(1, 8), still=True)
    # What the first one can carry its name does not tell, so that it has to say so itself.
    bank[1].set("model", b"JK_16S20P".ljust(16, b"\0"))
    return bank


@pytest.fixture
async def bus(
    hass: HomeAssistant, gateway: TcpServer
) -> AsyncIterator[tuple[MockConfigEntry, BusCoordinator]]:
    """A bus whose settings may be changed."""
    entry = bus_entry(gateway.url, 1, 2, 7, write_tier="protection")
    async with holding(hass, entry) as coordinator:
        yield entry, coordinator


type Bus = tuple[MockConfigEntry, BusCoordinator]


async def refused(
    bus: BusCoordinator, address: int, field: Field[Any], value: float | bool | str
) -> HomeAssistantError:
    """The error of a change."""
    with pytest.raises(HomeAssistantError) as caught:
        await bus.async_write(subentry_id(address), field, value)
    error: HomeAssistantError = caught.value
    assert error.translation_domain == DOMAIN
    words = str(error)
    assert field.name in words
    assert f"Pack {address}" in words
    assert "{" not in words
    return error


async def test_a_change_that_is_allowed_and_proven_raises_nothing(
    bus: Bus, bank: Bank
) -> None:
    await bus[1].async_write(subentry_id(1), OVP, 3.61)
    assert bank[1].number_of("cell_ovp") == 3610
    assert pack_of(bus[0], 1).get(OVP) == 3.61


async def test_nothing_is_sent_unless_the_owner_allows_it(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank
) -> None:
    async with holding(hass, bus_entry(gateway.url, 1)) as coordinator:
        for field, value in ((OVP, 3.61), (START_BALANCE, 3.41), (FLOAT_MODE, False)):
            error = await refused(coordinator, 1, field, value)
            assert isinstance(error, ServiceValidationError)
            assert error.translation_key == "writing_not_allowed"
            assert "options" in str(error)
    assert bank[1].journal == []


async def test_a_protection_is_not_changed_where_everyday_settings_are_allowed(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank
) -> None:
    entry = bus_entry(gateway.url, 1, write_tier="everyday")
    async with holding(hass, entry) as coordinator:
        for field, value in ((OVP, 3.61), (CURRENT, 500), (PCL, True)):
            error = await refused(coordinator, 1, field, value)
            assert isinstance(error, ServiceValidationError)
            assert error.translation_key == "tier_not_allowed"
            assert "Everyday and protection settings" in str(error)
        assert bank[1].journal == []
        await coordinator.async_write(subentry_id(1), START_BALANCE, 3.41)
    assert bank[1].number_of("balance_start_voltage") == 3410


async def test_nothing_is_sent_where_another_master_asks(
    bus: Bus, gateway: TcpServer, bank: Bank
) -> None:
    gateway._send(trigger(9))  # noqa: SLF001 - what a bus carries that no pack has sent
    await wait_until(lambda: bus[1].master.yielded)
    error = await refused(bus[1], 1, OVP, 3.61)
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == "foreign_master"
    assert bank[1].journal == []


@pytest.mark.parametrize("value", [1.1, 4.41, 100.0, float("nan"), float("inf")])
async def test_a_value_out_of_range_is_not_even_sent(
    bus: Bus, bank: Bank, value: float
) -> None:
    error = await refused(bus[1], 1, OVP, value)
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == "out_of_range"
    assert "between 1.200 V and 4.400 V" in str(error)
    assert bank[1].journal == []


@pytest.mark.parametrize(
    ("key", "value", "error_key", "words"),
    [
        ("cell_uvpr", 2.5, "has_to_be_above", "must be above Cell UVP 2.700 V"),
        ("cell_ovpr", 4.0, "has_to_be_below", "must be below Cell OVP 3.650 V"),
    ],
)
async def test_a_recovery_beyond_its_protection_is_not_even_sent(
    bus: Bus, bank: Bank, key: str, value: float, error_key: str, words: str
) -> None:
    error = await refused(bus[1], 1, BY_KEY[key], value)
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == error_key
    assert words in str(error)
    assert bank[1].journal == []


@pytest.mark.parametrize(
    ("writing", "key", "words"),
    [
        (Writing.IGNORE, "write_ignored", "but kept "),
        (Writing.CLAMP, "write_clamped", "instead of 500.0 A"),
        (Writing.REFUSE_REGISTER, "write_refused_register", "exception 2"),
        (Writing.REFUSE_VALUE, "write_refused_value", "exception 3"),
    ],
)
async def test_what_the_pack_did_is_told(
    bus: Bus, bank: Bank, writing: Writing, key: str, words: str
) -> None:
    bank[1].writing = writing
    error = await refused(bus[1], 1, CURRENT, 500)
    assert not isinstance(error, ServiceValidationError)
    assert error.translation_key == key
    assert words in str(error)
    assert "?" not in str(error)


async def test_a_pack_that_does_not_answer_is_told(bus: Bus, bank: Bank) -> None:
    bank[2].present = False
    error = await refused(bus[1], 2, OVP, 3.61)
    assert error.translation_key == "write_unreachable"


async def test_a_line_that_is_down_is_told(bus: Bus, gateway: TcpServer) -> None:
    await gateway.stop()
    await wait_until(lambda: not bus[1].last_update_success)
    error = await refused(bus[1], 1, OVP, 3.61)
    assert error.translation_key == "write_unreachable"
    await gateway.start()


async def test_a_change_cut_by_an_outage_is_unproven(
    bus: Bus, gateway: TcpServer, bank: Bank
) -> None:
    changing = asyncio.create_task(refused(bus[1], 1, OVP, 3.61))
    async with asyncio.timeout(10):
        while not bank[1].journal:
            await asyncio.sleep(0.001)
    gateway.drop_clients()
    assert (await changing).translation_key == "write_unproven"


async def test_a_setting_that_this_firmware_does_not_have_is_told(
    bus: Bus, bank: Bank
) -> None:
    firmware = Firmware.parse(bank[7].text("software_version"))
    field = next(f for f in FIELDS if f.writable and not f.applies_to(firmware))
    value = True if field.limits is None else field.limits.minimum
    error = await refused(bus[1], 7, field, value)
    assert error.translation_key == "write_unsupported"
    assert bank[7].journal == []


@pytest.mark.parametrize(
    "outcome", [outcome for outcome in Outcome if outcome is not Outcome.PROVEN]
)
async def test_every_outcome_has_its_words(
    hass: HomeAssistant, bus: Bus, outcome: Outcome
) -> None:
    result = WriteResult(outcome, before=3.65, found=3.66, code=4)
    error = not_changed(hass, pack_of(bus[0], 1), OVP, 3.61, result)
    assert error is not None
    texts = await translation.async_get_translations(hass, "en", "exceptions", [DOMAIN])
    key = f"component.{DOMAIN}.exceptions.{error.translation_key}.message"
    words = texts[key].format(**error.translation_placeholders or {})
    # Home Assistant takes the full stop off.
    assert str(error) == words.removesuffix(".")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "?"),
        (True, "on"),
        (False, "off"),
        (3.65, "3.65"),
        (0.1 + 0.2, "0.3"),
        (200.0, "200"),
        (280, "280"),
        ("text", "text"),
    ],
)
def test_a_value_is_shown_as_a_person_writes_it(value: object, words: str) -> None:
    assert show(value) == words


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("cell_ovp", 3.6, "3.600 V"),
        ("max_charge_current", 120.0, "120.0 A"),
        ("charge_ocp_delay", 30, "30 s"),
        ("balancer", True, "On"),
        ("lcd_buzzer_trigger", "low_soc", "Low SoC"),
        ("lcd_buzzer_trigger", "no_such", "no_such"),
        ("uart1_protocol", "jk_modbus_9600", "JK RS485 Modbus, 9600 baud"),
        ("cell_ovp", None, "?"),
    ],
)
async def test_a_setting_is_shown_as_its_entity_shows_it(
    hass: HomeAssistant, key: str, value: object, words: str
) -> None:
    await translation.async_load_integrations(hass, {DOMAIN, "switch"})
    assert show_of(hass, BY_KEY[key], value) == words


@pytest.mark.parametrize(
    ("key", "value", "error_key", "words"),
    [
        ("lcd_buzzer_trigger", "low", "no_option", "None (none), Low SoC (low_soc)"),
        ("charging_float_mode", "low", "no_option", "On (on), Off (off)"),
        ("cell_ovp", "low", "out_of_range", "between 1.200 V and 4.400 V"),
    ],
)
async def test_what_is_not_offered_is_answered_with_names_and_what_to_type(
    bus: Bus, bank: Bank, key: str, value: str, error_key: str, words: str
) -> None:
    error = await refused(bus[1], 1, BY_KEY[key], value)
    assert error.translation_key == error_key
    assert words in str(error)
    assert bank[1].journal == []
