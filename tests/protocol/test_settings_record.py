"""Who changes settings is noticed by what they were before."""

from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.settings_record import (
    SETTINGS,
    Altered,
    SettingsRecord,
)
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change

OVP = BY_KEY["cell_ovp"]


def read(
    record: SettingsRecord, values: dict[str, Any], *busy: str, keys: Any = None
) -> list[Altered]:
    return list(record.read(values, values if keys is None else keys, {*busy}))


def test_what_is_read_first_was_changed_by_nobody() -> None:
    record = SettingsRecord()
    assert read(record, {"cell_ovp": 3.65, "balancer": True}) == []
    assert record.values == {"cell_ovp": 3.65, "balancer": True}


def test_what_is_read_otherwise_was_changed_elsewhere() -> None:
    record = SettingsRecord()
    read(record, {"cell_ovp": 3.65, "balancer": True})
    assert read(record, {"cell_ovp": 3.6, "balancer": True}) == [
        Altered(OVP, 3.65, 3.6)
    ]
    assert read(record, {"cell_ovp": 3.6}) == []


def test_what_is_changed_here_is_not_taken_for_a_change_elsewhere() -> None:
    record = SettingsRecord()
    read(record, {"cell_ovp": 3.65})
    assert read(record, {"cell_ovp": 3.6}, "cell_ovp") == []
    record.settled(OVP, 3.6)
    assert read(record, {"cell_ovp": 3.6}) == []


def test_a_change_that_ended_without_a_value_leaves_what_was_known() -> None:
    record = SettingsRecord()
    read(record, {"cell_ovp": 3.65})
    record.settled(OVP, None)
    assert record.values == {"cell_ovp": 3.65}


def test_measurements_and_unknown_values_are_no_settings() -> None:
    record = SettingsRecord()
    told = {"total_voltage": 53.2, "cell_ovp": None, "device_address": 3}
    assert read(record, told) == []
    assert record.values == {}
    assert read(record, {**told, "balancer": True}) == []
    assert record.values == {"balancer": True}


def test_what_is_stored_is_known_after_a_restart() -> None:
    record = SettingsRecord()
    read(record, {"cell_ovp": 3.65, "balancer": False, "lcd_buzzer_trigger": "low_soc"})
    again = SettingsRecord()
    again.load(record.dump(), None)
    assert again.values == record.values
    assert read(again, {"balancer": True}) == [Altered(BY_KEY["balancer"], False, True)]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        [],
        "text",
        {},
        {"settings": None},
        {"settings": {"cell_ovp": "3.6", "balancer": 1, "lcd_buzzer_trigger": 3}},
        {"settings": {"cell_ovp": True, "no_setting": 3}},
        {"settings": {"total_voltage": 53.0}},
    ],
)
def test_what_makes_no_sense_is_left_out(stored: object) -> None:
    record = SettingsRecord()
    record.load(stored, "15.41")
    assert record.values == {}
    assert record.limits("15.41").by_key == {}


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from([*SETTINGS, "settings"]), inner)
    ),
    max_leaves=8,
)


@given(_ANYTHING)
def test_any_stored_data_is_survived(stored: object) -> None:
    record = SettingsRecord()
    record.load({"settings": stored, "learnt": stored}, None)
    record.load(stored, None)
    assert record.values.keys() <= SETTINGS.keys()


def test_what_was_refused_is_known_until_the_firmware_changes() -> None:
    delay = BY_KEY["charge_ocp_delay"]
    refused = WriteResult(Outcome.REFUSED_VALUE, before=5.0, code=3)
    record = SettingsRecord()
    record.learn(Change(1, delay, 500.0), refused, "15.41")
    again = SettingsRecord()
    again.load(record.dump(), "15.41")
    assert again.limits("15.41").of(delay).high == 500.0
    assert again.limits("15.42").of(delay).high is None
    assert again.limits("15.41").of(delay).high is None
