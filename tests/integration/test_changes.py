"""Who has changed which setting: events, the logbook, loops, and packs that drift apart."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.core import Context, Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.jkbms.audit import EVENT_SETTING_CHANGED
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.logbook import async_describe_events
from custom_components.jkbms.protocol.fields import BY_KEY
from simulator import Bank, Pack, TcpServer, Writing

from .bus import entity_id, state_of, subentry_id
from .common import bus_entry, holding, issue, pack_of, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]
OVP: Final = BY_KEY["cell_ovp"]
CURRENT: Final = BY_KEY["max_charge_current"]


@pytest.fixture
def bank() -> Bank:
    """Three packs that are set alike."""
    trio = Bank.default(addresses=[1])[1].trio
    bank = Bank([Pack(trio, address, still=True) for address in range(1, 4)])
    for pack in bank:
        pack.set("cell_ovp", 3650)
    return bank


@pytest.fixture
def entry(gateway: TcpServer) -> MockConfigEntry:
    """A bus whose settings may be changed."""
    return bus_entry(gateway.url, 1, 2, write_tier="protection")


@pytest.fixture
async def bus(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BusCoordinator]:
    """The bus, running."""
    async with holding(hass, entry) as coordinator:
        yield coordinator


def device_id(hass: HomeAssistant, entry: MockConfigEntry, address: int) -> str:
    """The device of a pack."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, subentry_id(address)), entry.entry_id
    )
    assert device is not None
    return device.id


def told(event: Event[Any], *keys: str) -> tuple[Any, ...]:
    """Some of what an event says."""
    return tuple(event.data.get(key) for key in keys)


def in_logbook(hass: HomeAssistant, event: Event[Any]) -> str:
    """How the logbook tells of an event."""
    described: dict[str, Any] = {}

    def describe(domain: str, event_type: str, call: Any) -> None:
        assert (domain, event_type) == (DOMAIN, EVENT_SETTING_CHANGED)
        described.update(call(event))

    async_describe_events(hass, describe)
    assert described["name"] == event.data["pack"]
    message: str = described["message"]
    return message


@pytest.mark.usefixtures("everything_enabled")
async def test_a_change_is_told_with_who_made_it(
    hass: HomeAssistant,
    bus: BusCoordinator,
    entry: MockConfigEntry,
    hass_admin_user: User,
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    number = entity_id(hass, "number", 1, "cell_ovp")
    context = Context(user_id=hass_admin_user.id)
    await hass.services.async_call(
        "number",
        "set_value",
        {"entity_id": number, "value": 3.6},
        blocking=True,
        context=context,
    )
    (event,) = events
    assert event.context.user_id == hass_admin_user.id
    assert event.data == {
        "device_id": device_id(hass, entry, 1),
        "entity_id": entity_id(hass, "sensor", 1, "cell_ovp_set"),
        "pack": "Pack 1",
        "setting": "cell_ovp",
        "name": "Cell OVP",
        "old": 3.65,
        "new": 3.6,
        "unit": "V",
        "origin": "home_assistant",
        "wanted": 3.6,
        "outcome": "proven",
    }
    assert in_logbook(hass, event) == "Cell OVP was changed from 3.65 V to 3.6 V"


async def test_an_equal_value_is_no_change_and_not_written(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    await bus.async_write(subentry_id(1), OVP, 3.65)
    assert events == []
    assert bank[1].journal == []


async def test_a_change_that_was_not_made_is_told_too(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    bank[1].writing = Writing.IGNORE
    with pytest.raises(HomeAssistantError, match="RS485-1"):
        await bus.async_write(subentry_id(1), OVP, 3.6)
    (event,) = events
    assert told(event, "old", "new", "wanted", "outcome") == (
        3.65,
        3.65,
        3.6,
        "ignored",
    )
    assert in_logbook(hass, event) == "Cell OVP was not changed to 3.6 V: it is 3.65 V"


async def test_what_could_not_be_proven_is_told_as_that(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    event: Event[Any] = Event(
        EVENT_SETTING_CHANGED,
        {
            "pack": "Pack 1",
            "name": "Balance",
            "entity_id": None,
            "unit": None,
            "old": False,
            "new": None,
            "wanted": True,
            "origin": "home_assistant",
            "outcome": "unproven",
        },
    )
    message = "Balance was to become on, which could not be proven"
    assert in_logbook(hass, event) == message


async def test_a_change_whose_script_is_stopped_is_still_ours(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    change = hass.async_create_task(bus.async_write(subentry_id(1), OVP, 3.6))
    await wait_until(lambda: bank[1].journal)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await asyncio.sleep(130)
    (event,) = events
    assert told(event, "old", "new", "origin", "outcome") == (
        3.65,
        3.6,
        "home_assistant",
        "proven",
    )


async def test_a_change_in_the_application_is_noticed(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    bank[2].set("cell_ovp", 3600)
    await wait_until(lambda: events, 130)
    (event,) = events
    assert told(event, "pack", "setting", "old", "new", "origin") == (
        "Pack 2",
        "cell_ovp",
        3.65,
        3.6,
        "elsewhere",
    )
    assert "outcome" not in event.data
    assert in_logbook(hass, event) == (
        "Cell OVP was changed from 3.65 V to 3.6 V, not by Home Assistant"
    )


async def test_a_choice_is_told_in_words(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    await bus.async_write(subentry_id(1), BY_KEY["lcd_buzzer_trigger"], "low_soc")
    (event,) = events
    assert event.data["new"] == "low_soc"
    assert in_logbook(hass, event).endswith(" to Low SoC")


async def test_a_change_while_home_assistant_was_off_is_noticed(
    hass: HomeAssistant, entry: MockConfigEntry, bank: Bank
) -> None:
    async with holding(hass, entry):
        events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    assert events == []
    bank[1].set("cell_ovp", 3600)
    async with holding(hass, entry):
        await wait_until(lambda: events, 130)
        (event,) = events
        assert told(event, "old", "new", "origin") == (3.65, 3.6, "elsewhere")


async def test_a_change_that_was_made_here_is_none_from_elsewhere_after_a_restart(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    async with holding(hass, entry) as coordinator:
        await coordinator.async_write(subentry_id(1), OVP, 3.6)
    async with holding(hass, entry):
        await asyncio.sleep(130)
    assert [event.data["origin"] for event in events] == ["home_assistant"]


async def test_a_loop_is_refused_and_told(
    hass: HomeAssistant, bus: BusCoordinator, entry: MockConfigEntry, bank: Bank
) -> None:
    values = (3.6, 3.61)
    for n in range(10):
        await bus.async_write(subentry_id(1), OVP, values[n % 2])
    written = len(bank[1].journal)
    with pytest.raises(HomeAssistantError) as refused:
        await bus.async_write(subentry_id(1), OVP, 3.62)
    assert "too often" in str(refused.value)
    assert len(bank[1].journal) == written
    found = issue(hass, "write_loop", subentry_id(1))
    assert found is not None
    assert found.translation_placeholders == {
        "bus": "Bus",
        "pack": "Pack 1",
        "setting": "Cell OVP",
    }
    # Other settings, and other packs, are not held up.
    await bus.async_write(subentry_id(2), OVP, 3.6)
    await asyncio.sleep(600)
    await bus.async_write(subentry_id(1), OVP, 3.63)
    assert issue(hass, "write_loop", subentry_id(1)) is None


async def test_packs_that_drift_apart_are_told_until_they_are_alike(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    assert issue(hass, "settings_drift", subentry_id(2)) is None
    bank[2].set("cell_ovp", 3600)
    await wait_until(lambda: issue(hass, "settings_drift", subentry_id(2)), 130)
    found = issue(hass, "settings_drift", subentry_id(2))
    assert found is not None
    assert found.severity is ir.IssueSeverity.WARNING
    assert found.translation_placeholders == {
        "bus": "Bus",
        "pack": "Pack 2",
        "reference": "Pack 1",
        "differences": "- Cell OVP: 3.600 V (3.650 V)",
    }
    # Either way mends it.
    await bus.async_write(subentry_id(1), OVP, 3.6)
    await wait_until(lambda: not issue(hass, "settings_drift", subentry_id(2)), 130)


@pytest.mark.usefixtures("everything_enabled")
async def test_how_many_settings_differ_is_a_sensor(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    assert state_of(hass, "sensor", 1, "settings_differ").state == "0"
    before = int(state_of(hass, "sensor", 2, "settings_differ").state)
    bank[2].set("cell_ovp", 3600)
    await wait_until(
        lambda: state_of(hass, "sensor", 2, "settings_differ").state == str(before + 1),
        130,
    )
    shown = state_of(hass, "sensor", 2, "settings_differ").attributes["differences"]
    assert shown["cell_ovp"] == [3.6, 3.65]


async def test_rules_are_told_in_words_with_both_values(
    bus: BusCoordinator, bank: Bank
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await bus.async_write(subentry_id(1), BY_KEY["cell_ovpr"], 3.7)
    assert str(refused.value) == (
        "Cell OVP recovery 3.700 V must be below Cell OVP 3.650 V. Nothing was changed"
        " on Pack 1; change Cell OVP first, or both together"
    )
    with pytest.raises(ServiceValidationError, match="is made for 200.0 A at most"):
        await bus.async_write(subentry_id(1), CURRENT, 210.0)
    assert bank[1].journal == []


async def test_a_value_that_was_refused_is_not_sent_again(
    hass: HomeAssistant, entry: MockConfigEntry, bank: Bank
) -> None:
    delay = BY_KEY["charge_ocp_delay"]
    async with holding(hass, entry) as coordinator:
        bank[1].writing = Writing.REFUSE_VALUE
        with pytest.raises(HomeAssistantError, match="exception 3"):
            await coordinator.async_write(subentry_id(1), delay, 500.0)
        bank[1].writing = Writing.NORMAL
        sent = len(bank[1].journal)
    async with holding(hass, entry) as coordinator:
        with pytest.raises(ServiceValidationError, match="has refused"):
            await coordinator.async_write(subentry_id(1), delay, 510.0)
        assert len(bank[1].journal) == sent
        version = pack_of(entry, 1).software_version
        assert version
        assert pack_of(entry, 1).record.limits(version).of(delay).high == 500.0
