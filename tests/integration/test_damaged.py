"""Entries as a damaged file, a hostile backup or a later version leaves them."""

from copy import deepcopy
from random import Random
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryDataWithId
from homeassistant.const import ATTR_RESTORED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers.json import json_bytes
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.jkbms.bank_members import all_packs, bus_entries
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.soundness import flaw_in

from .bus import set_up
from .dialog import Dialog

_BMS: Final = {
    "address": 1,
    "serial_number": "20123456789",
    "model": "JK_PB2A16S20P",
    "hardware_version": "15A",
    "software_version": "15.41",
    "features": {
        "cells": [1, 2, 3],
        "probes": ["temperature_1"],
        "heater": False,
        "firmware": "15.41",
        "keys": [],
        "has_blocks": True,
        "layout": "jk02_32s",
    },
}
_NOWHERE: Final = "socket://127.0.0.1:9"
_LINE: Final = {"device": _NOWHERE, "packs": {"1": "pack"}}
_CAN: Final = {"adapter": "can_tcp", "host": "127.0.0.1", "port": 9}
_TELLING: Final = {
    "bank": "0123",
    "language": "pylontech",
    "min_packs": 1,
    "charge_voltage": 56.0,
    "charge_current": 100.0,
    "discharge_current": 100.0,
}
SOUND: Final[dict[str, dict[str, Any]]] = {
    "asked": {
        "data": {"device": _NOWHERE},
        "options": {
            "poll_interval": 5,
            "write_tier": "everyday",
            "return_to_master": True,
        },
        "subentries": [("bms", _BMS)],
    },
    "heard": {
        "data": {"device": _NOWHERE, "mode": "listener"},
        "options": {"ask_device_info": True},
        "subentries": [("bms", _BMS), ("control_line", _LINE)],
    },
    "older": {
        "data": {"device": _NOWHERE, "mode": "ttl"},
        "options": {"poll_interval": 5},
        "subentries": [("bms", _BMS)],
    },
    "can": {
        "data": {"device": "can_tcp://127.0.0.1:9", "mode": "can", "can": _CAN},
        "options": {"update_interval": 2, "acknowledge": True},
        "subentries": [("bms", _BMS)],
    },
    "telling": {
        "data": {"device": "can_tcp://127.0.0.1:9", "mode": "can", "can": _CAN},
        "options": {"update_interval": 2, "inverter": _TELLING},
        "subentries": [],
    },
    "bank": {
        "data": {"mode": "bank"},
        "options": {"packs": ["pack"], "min_packs": 1},
        "subentries": [],
    },
}
_TRIES: Final = 40
JUNK: Final[tuple[Any, ...]] = (
    *(None, "", "x", "²", "\x00", "a\nb", -1, 0, 2**63 - 1, 1e308, 0.5, True),
    *([], [1], ["x"], {}, {"x": 1}, {"1": 2}, [[]], "9" * 5000, "{{ 1/0 }}"),
)


def entry_of(parts: dict[str, Any]) -> MockConfigEntry:
    """An entry as it would be loaded from a file."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Bus",
        data=parts["data"],
        options=parts["options"],
        subentries_data=[
            ConfigSubentryDataWithId(
                subentry_id="pack" if kind == "bms" else "line",
                subentry_type=kind,
                title="Pack",
                unique_id=None,
                data=data,
            )
            for kind, data in parts["subentries"]
        ],
    )


def spots(parts: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Every place of an entry that can be damaged."""
    found = []
    todo = [parts["data"], parts["options"], *(data for _, data in parts["subentries"])]
    while todo:
        data = todo.pop()
        found += [(data, key) for key in data]
        todo += [value for value in data.values() if isinstance(value, dict)]
    return found


async def tried(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Whatever is stored of it, an entry is set up, waits, or says what is wrong with it."""
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state in {
        ConfigEntryState.LOADED,
        ConfigEntryState.SETUP_ERROR,
        ConfigEntryState.SETUP_RETRY,
    }
    flaw = flaw_in(entry)
    if entry.state is ConfigEntryState.SETUP_ERROR:
        assert flaw
        assert entry.error_reason_translation_key == "damaged_entry"
        assert entry.error_reason_translation_placeholders == {"flaw": flaw}
    else:
        assert flaw is None
    # What the page of the integration, and a report, are made of.
    json_bytes(entry.as_json_fragment)
    json_bytes(await async_get_config_entry_diagnostics(hass, entry))
    options = await Dialog.options(hass, entry)
    if flaw is not None and not flaw.startswith("options."):
        assert options.step == "abort:damaged_entry"
    if flaw is not None:
        assert (await Dialog.reconfigure(hass, entry)).step == "abort:damaged_entry"
    # The others do not suffer.
    assert (entry in bus_entries(hass)) is (
        flaw is None and entry.data.get("mode") != "bank"
    )
    all_packs(hass)
    await hass.config_entries.async_remove(entry.entry_id)


async def test_what_is_stored_may_be_damaged_anywhere(
    hass: HomeAssistant, socket_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(5)
    for _ in range(_TRIES):
        parts = deepcopy(SOUND[random.choice(list(SOUND))])
        for data, key in random.sample(spots(parts), random.choice((1, 1, 2))):
            if random.random() < 0.2:
                data.pop(key, None)
            else:
                data[key] = deepcopy(random.choice(JUNK))
        before = len(caplog.records)
        await tried(hass, entry_of(parts))
        for record in caplog.records[before:]:
            raised = record.exc_info and record.exc_info[0]
            # Home Assistant adds where it was raised to what is told.
            assert raised in (None, ConfigEntryError, ConfigEntryNotReady), parts
            assert "\n" not in record.getMessage(), parts


async def test_what_is_damaged_among_the_options_is_chosen_anew(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    options = {"poll_interval": "soon", "write_tier": "all", "return_to_master": True}
    hass.config_entries.async_update_entry(entry, options=options)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.reason == (
        "What is stored of it is damaged, or is of a later version: "
        "options.poll_interval. Choose it anew under Configure if it is one of the "
        "options; else restore a backup of Home Assistant, or delete the entry and add "
        "it anew"
    )
    dialog = await Dialog.options(hass, entry)
    assert dialog.step == "init"
    suggested = {
        str(key): key.description for key in dialog.shown["data_schema"].schema
    }
    assert suggested["write_tier"] is None
    assert suggested["return_to_master"] == {"suggested_value": True}
    await dialog.submit(poll_interval=5, write_tier="off", return_to_master=True)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert await hass.config_entries.async_unload(entry.entry_id)


STATES: Final[tuple[Any, ...]] = (
    *(None, 5, "x", [], {}, {"x": 1}, {"active": 5, "since": 5, "count": "x"}),
    {"active": "on", "since": "yesterday", "count": -1},
    {"active": True, "since": "2026-01-01T00:00:00", "count": 2**63},
    *({"native_value": {}, "native_unit_of_measurement": 5}, {"native_value": 1e308}),
    *({"native_value": {"__type": "<class 'datetime.date'>"}}, {"native_value": True}),
    {"known_alarms": 5, "severities": []},
    {
        "known_alarms": {"x": 1, "alarm_mos_overtemperature": "x"},
        "severities": {"x": {}},
    },
)


@pytest.mark.usefixtures("everything_enabled")
@pytest.mark.parametrize("addresses", [(1,)])
async def test_what_is_restored_may_be_absurd(
    hass: HomeAssistant, entry: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await set_up(hass, entry)
    before = {
        state.entity_id
        for state in hass.states.async_all()
        if state.state != STATE_UNAVAILABLE
    }
    for turn in range(3):
        assert await hass.config_entries.async_unload(entry.entry_id)
        restored: list[tuple[State, Any]] = []
        for number, one in enumerate(sorted(before)):
            extra = STATES[(5 * turn + number) % len(STATES)]
            # What Home Assistant itself restores of an event has to be a mapping.
            usable = isinstance(extra, dict) or not one.startswith("event.")
            restored.append((State(one, "x"), extra if usable else None))
        mock_restore_cache_with_extra_data(hass, restored)
        await set_up(hass, entry)
        now = {
            state.entity_id: state
            for state in hass.states.async_all()
            if state.state != STATE_UNAVAILABLE
        }
        assert now.keys() == before
        assert not [one for one in now.values() if one.attributes.get(ATTR_RESTORED)]
        assert now["sensor.pack_1_energy_charged"].state == "0.0"
        alarm = now["binary_sensor.pack_1_alarm_mos_overtemperature"]
        assert alarm.attributes["since"] is None
        assert alarm.attributes["count"] == 0
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not [one for one in caplog.records if one.exc_info]
