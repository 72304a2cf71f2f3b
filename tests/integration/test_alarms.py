"""The alarms of a pack: one binary sensor each, an event when one comes or goes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from homeassistant.const import (
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    EntityCategory,
)
from homeassistant.core import CoreState, Event, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.restore_state import DATA_RESTORE_STATE
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol import master
from custom_components.jkbms.protocol.alarms import ALARMS, WORD, Severity
from custom_components.jkbms.protocol.datum import Block
from simulator import Bank

from .bus import entity_id, set_up, state_of, until

OVERVOLTAGE: Final = 1 << 4
OVERTEMPERATURE: Final = 1 << 21
PASSWORD: Final = 1 << 19
EARLIER: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def alarm(hass: HomeAssistant, key: str, address: int = 1) -> State:
    """The state of an alarm."""
    return state_of(hass, "binary_sensor", address, f"alarm_{key}")


def is_active(hass: HomeAssistant, key: str) -> bool:
    """Whether an alarm is shown as active."""
    return alarm(hass, key).state == STATE_ON


def told(hass: HomeAssistant, address: int = 1) -> list[dict[str, Any]]:
    """What the event entity of a pack says from now on; nothing that it said before."""
    events: list[dict[str, Any]] = []
    name = f"event.pack_{address}_alarm_event"
    last = hass.states.get(name)
    seen = {STATE_UNKNOWN, STATE_UNAVAILABLE, None if last is None else last.state}

    @callback
    def hear(event: Event[Any]) -> None:
        new = event.data["new_state"]
        if event.data["entity_id"] == name and new and new.state not in seen:
            seen.add(new.state)
            events.append(dict(new.attributes))

    hass.bus.async_listen("state_changed", hear)
    return events


def said(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Which alarms have started or were cleared."""
    return [(e["event_type"].removeprefix("alarm_"), e["state"]) for e in events]


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
def options() -> dict[str, float]:
    """Read it often."""
    return {"poll_interval": 0.2}


@pytest.fixture
def quick_to_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count a pack as away after a moment."""
    monkeypatch.setattr(master, "_GONE_AFTER", 0.5)


@pytest.mark.usefixtures("loaded")
async def test_every_alarm_of_the_word_has_a_binary_sensor(hass: HomeAssistant) -> None:
    registry = er.async_get(hass)
    for one in WORD:
        name = entity_id(hass, "binary_sensor", 1, one.key)
        assert name == f"binary_sensor.pack_1_{one.key}"
        entity = registry.async_get(name)
        assert entity is not None
        assert entity.entity_category is EntityCategory.DIAGNOSTIC
        info = one.severity is Severity.INFO
        assert entity.original_device_class == (None if info else "problem")
        assert (entity.disabled_by is None) is not info
    only_on_can = [a.key for a in ALARMS if a.bit is None]
    assert not any(entity_id(hass, "binary_sensor", 1, key) for key in only_on_can)


@pytest.mark.usefixtures("everything_enabled", "loaded")
async def test_each_bit_turns_its_own_sensor_on(
    hass: HomeAssistant, bank: Bank
) -> None:
    for one in WORD:
        bank[1].set("alarms", 1 << (one.bit or 0))
        key = one.key.removeprefix("alarm_")
        await until(partial(is_active, hass, key))
        assert [a for a in WORD if is_active(hass, a.key[6:])] == [one]
        assert alarm(hass, key).attributes["severity"] == one.severity
        problem = one.severity in (Severity.FAULT, Severity.PROTECTION)
        info = one.severity is Severity.INFO
        assert (
            state_of(hass, "binary_sensor", 1, "problem").state == STATE_ON
        ) is problem
        assert (state_of(hass, "binary_sensor", 1, "notice").state == STATE_ON) is info
        assert state_of(hass, "sensor", 1, "errors").state == (
            "OK" if info else one.name
        )


@pytest.mark.usefixtures("loaded")
async def test_an_alarm_tells_since_when_and_how_often(
    hass: HomeAssistant, bank: Bank
) -> None:
    before = alarm(hass, "cell_overvoltage")
    assert before.attributes["since"] is None
    assert before.attributes["count"] == 0
    begin = datetime.now(UTC)
    for count in (1, 2):
        bank[1].set("alarms", OVERVOLTAGE)
        await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
        active = alarm(hass, "cell_overvoltage")
        assert begin <= active.attributes["since"] <= datetime.now(UTC)
        assert active.attributes["count"] == count
        bank[1].set("alarms", 0)
        await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_OFF)
        assert alarm(hass, "cell_overvoltage").attributes["since"] is None
    assert alarm(hass, "cell_overvoltage").attributes["count"] == 2
    assert alarm(hass, "cell_undervoltage").attributes["count"] == 0


@pytest.mark.usefixtures("loaded")
async def test_an_active_alarm_writes_no_state_that_stays_the_same(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("alarms", OVERVOLTAGE)
    await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
    then = alarm(hass, "cell_overvoltage").last_reported
    counts = entry.runtime_data.packs["pack1"].station.counts
    read = counts.ok
    bank[1].set("current", -7000)
    await until(lambda: counts.ok > read + 3)
    assert alarm(hass, "cell_overvoltage").last_reported == then


@pytest.mark.usefixtures("loaded")
async def test_an_alarm_counts_on_after_a_reload(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("alarms", OVERVOLTAGE | OVERTEMPERATURE)
    await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
    since = alarm(hass, "cell_overvoltage").attributes["since"]
    assert await hass.config_entries.async_unload(entry.entry_id)
    bank[1].set("alarms", OVERVOLTAGE | 1)
    await set_up(hass, entry)
    active = alarm(hass, "cell_overvoltage")
    assert (active.attributes["since"], active.attributes["count"]) == (since, 1)
    ended = alarm(hass, "battery_overtemperature")
    assert (ended.attributes["since"], ended.attributes["count"]) == (None, 1)
    began = alarm(hass, "wire_resistance")
    assert (began.state, began.attributes["count"]) == (STATE_ON, 1)


def remember(hass: HomeAssistant, **active: bool) -> None:
    """Let the last run have ended with these alarms."""
    stored: list[tuple[State, dict[str, Any]]] = [
        (
            State(
                f"binary_sensor.pack_1_alarm_{key}", STATE_ON if value else STATE_OFF
            ),
            {
                "active": value,
                "since": EARLIER.isoformat() if value else None,
                "count": 7,
            },
        )
        for key, value in active.items()
    ]
    known = {f"alarm_{key}": value for key, value in active.items()}
    event = {
        "last_event_type": "alarm_charge_mos",
        "last_event_attributes": {"state": "cleared"},
        "known_alarms": known,
        "severities": {},
    }
    stored.append((State("event.pack_1_alarm_event", EARLIER.isoformat()), event))
    mock_restore_cache_with_extra_data(hass, stored)


async def test_an_alarm_goes_on_after_a_restart(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    remember(hass, cell_overvoltage=True, wire_resistance=False, charge_mos=True)
    bank[1].set("alarms", OVERVOLTAGE | 1)
    events = told(hass)
    await set_up(hass, entry)
    kept = alarm(hass, "cell_overvoltage").attributes
    assert (kept["since"], kept["count"]) == (EARLIER, 7)
    new = alarm(hass, "wire_resistance").attributes
    assert new["since"] > EARLIER
    assert new["count"] == 8
    over = alarm(hass, "charge_mos").attributes
    assert (over["since"], over["count"]) == (None, 7)
    # The event of the last run, then what has happened meanwhile, and no more.
    assert said(events) == [
        ("charge_mos", "cleared"),
        ("wire_resistance", "started"),
        ("charge_mos", "cleared"),
    ]
    assert await hass.config_entries.async_unload(entry.entry_id)
    data = hass.data[DATA_RESTORE_STATE].last_states["event.pack_1_alarm_event"]
    assert data.extra_data is not None
    active = data.extra_data.as_dict()["known_alarms"]
    assert {key for key, on in active.items() if on} == {
        "alarm_cell_overvoltage",
        "alarm_wire_resistance",
    }


async def test_what_has_begun_while_home_assistant_starts_is_told_when_it_runs(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    remember(hass, cell_overvoltage=False)
    bank[1].set("alarms", OVERVOLTAGE)
    hass.set_state(CoreState.starting)
    events = told(hass)
    await set_up(hass, entry)
    assert said(events) == [("charge_mos", "cleared")]
    hass.set_state(CoreState.running)
    hass.bus.async_fire("homeassistant_started")
    await hass.async_block_till_done()
    assert said(events[1:]) == [("cell_overvoltage", "started")]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_what_is_there_at_the_first_set_up_is_no_event(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    bank[1].set("alarms", OVERVOLTAGE)
    events = told(hass)
    await set_up(hass, entry)
    assert alarm(hass, "cell_overvoltage").state == STATE_ON
    assert state_of(hass, "event", 1, "alarm_event").state == STATE_UNKNOWN
    bank[1].set("alarms", 0)
    await until(lambda: events)
    assert said(events) == [("cell_overvoltage", "cleared")]
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("loaded")
async def test_an_event_tells_what_was_measured_at_that_moment(
    hass: HomeAssistant, bank: Bank
) -> None:
    events = told(hass)
    pack = bank[1]
    pack.set("soc", pack.number_of("soc") - 1)
    pack.set("alarms", OVERVOLTAGE)
    await until(lambda: events)
    (event,) = events
    assert event["event_type"] == "alarm_cell_overvoltage"
    assert event["alarm"] == "Cell over-voltage protection"
    assert (event["state"], event["severity"]) == ("started", "protection")
    shown = {
        key: float(state_of(hass, "sensor", 1, key).state)
        for key in (
            "total_voltage",
            "current",
            "state_of_charge",
            "min_cell_voltage",
            "min_voltage_cell",
            "max_cell_voltage",
            "max_voltage_cell",
            "power_tube_temperature",
            "temperature_sensor_1",
            "temperature_sensor_2",
        )
    }
    assert {key: event[key] for key in shown} == pytest.approx(shown)
    assert set(event["event_types"]) == {a.key for a in WORD}
    assert "max_temperature" not in event


@pytest.mark.usefixtures("loaded")
async def test_each_transition_is_one_event(hass: HomeAssistant, bank: Bank) -> None:
    events = told(hass)
    bank[1].set("alarms", OVERVOLTAGE | OVERTEMPERATURE | PASSWORD)
    await until(lambda: len(events) >= 3)
    bank[1].set("alarms", OVERTEMPERATURE)
    await until(lambda: len(events) >= 5)
    bank[1].set("soc", bank[1].number_of("soc") - 1)
    soc = str(bank[1].number_of("soc"))
    await until(lambda: state_of(hass, "sensor", 1, "state_of_charge").state == soc)
    assert said(events) == [
        ("cell_overvoltage", "started"),
        ("change_password", "started"),
        ("battery_overtemperature", "started"),
        ("cell_overvoltage", "cleared"),
        ("change_password", "cleared"),
    ]
    assert [e["severity"] for e in events[:3]] == ["protection", "info", "warning"]


@pytest.mark.usefixtures("quick_to_miss", "loaded")
async def test_a_pack_that_was_away_has_no_new_alarm(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].set("alarms", OVERVOLTAGE | 1)
    await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_ON)
    since = alarm(hass, "cell_overvoltage").attributes["since"]
    events = told(hass)
    bank[1].present = False
    await until(lambda: alarm(hass, "cell_overvoltage").state == STATE_UNAVAILABLE)
    assert state_of(hass, "event", 1, "alarm_event").state == STATE_UNAVAILABLE
    bank[1].set("alarms", OVERVOLTAGE | OVERTEMPERATURE)
    bank[1].present = True
    await until(lambda: len(events) >= 2)
    kept = alarm(hass, "cell_overvoltage").attributes
    assert (kept["since"], kept["count"]) == (since, 1)
    assert said(events) == [
        ("wire_resistance", "cleared"),
        ("battery_overtemperature", "started"),
    ]


@pytest.mark.usefixtures("loaded")
async def test_probes_that_the_bms_does_not_find_are_named(
    hass: HomeAssistant, bank: Bank
) -> None:
    def missing() -> list[str]:
        found: list[str] = alarm(hass, "temperature_sensor").attributes[
            "missing_sensors"
        ]
        return found

    assert missing() == []
    bank[1].set("sensor_flags", 0b1101)
    await until(lambda: missing() == ["T1", "T4", "T5"])
    assert alarm(hass, "temperature_sensor").state == STATE_OFF
    assert "missing_sensors" not in alarm(hass, "cell_overvoltage").attributes


@pytest.mark.usefixtures("loaded")
async def test_why_charging_and_discharging_are_off(
    hass: HomeAssistant, bank: Bank
) -> None:
    def shown() -> tuple[str, str]:
        return (
            state_of(hass, "sensor", 1, "charging_block_reason").state,
            state_of(hass, "sensor", 1, "discharging_block_reason").state,
        )

    pack = bank[1]
    assert shown() == ("none", "none")
    pack.set("charge_mos", 0)
    await until(lambda: shown() == ("unknown_reason", "none"))
    pack.set("alarms", OVERVOLTAGE)
    await until(lambda: shown() == ("overvoltage", "none"))
    pack.set("discharge_mos", 0)
    pack.set("discharge_scp_left", 5)
    await until(lambda: shown() == ("overvoltage", "waiting_release"))
    options = state_of(hass, "sensor", 1, "charging_block_reason").attributes["options"]
    assert "unknown" not in options
    # Settings are read once a minute and after a change.
    pack.set("charge_switch", 0)
    bus = hass.config_entries.async_entries(DOMAIN)[0].runtime_data
    bus.master.stations[1].due[Block.SETTINGS] = hass.loop.time()
    bus.session.advance()
    await until(lambda: shown() == ("switched_off", "waiting_release"))


# -- Home Assistant's own trigger -----------------------------------------------------


@pytest.fixture
async def heard(hass: HomeAssistant) -> AsyncIterator[list[dict[str, Any]]]:
    """What an automation on `event.received` is told of over-voltage."""
    calls: list[dict[str, Any]] = []
    hass.services.async_register("test", "hear", lambda c: calls.append(dict(c.data)))
    assert await async_setup_component(
        hass,
        "automation",
        {
            "automation": {
                "triggers": {
                    "trigger": "event.received",
                    "target": {"entity_id": "event.pack_1_alarm_event"},
                    "options": {"event_type": ["alarm_cell_overvoltage"]},
                },
                "actions": {
                    "action": "test.hear",
                    "data": {"state": "{{ trigger.to_state.attributes.state }}"},
                },
                "mode": "queued",
            }
        },
    )
    yield calls
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"})


async def test_the_trigger_of_home_assistant_fires_for_the_alarm_that_is_named(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    heard: list[dict[str, Any]],
) -> None:
    remember(hass, cell_overvoltage=False, wire_resistance=False)
    bank[1].set("alarms", OVERVOLTAGE | 1)
    await set_up(hass, entry)
    await until(lambda: heard)
    assert heard == [{"state": "started"}]
    bank[1].set("alarms", 1)
    await until(lambda: len(heard) > 1)
    assert heard == [{"state": "started"}, {"state": "cleared"}]
    assert await hass.config_entries.async_unload(entry.entry_id)
    with patch("custom_components.jkbms.coordinator._FIRST_VALUES", 0.5):
        await set_up(hass, entry)
    assert len(heard) == 2
    assert await hass.config_entries.async_unload(entry.entry_id)
