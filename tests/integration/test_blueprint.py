"""The blueprint that notifies by severity: valid, and right when it runs."""

from pathlib import Path
import shutil
from typing import Any, Final

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.alarms import Severity
from simulator import Bank

from .bus import set_up, state_of, until
from .common import notices
from .test_alarms import remember

SHIPPED: Final = Path(__file__).parents[2] / "blueprints"
NAME: Final = "jkbms/notify_alarm.yaml"
OVERVOLTAGE: Final = 1 << 4
OVERTEMPERATURE: Final = 1 << 21
PASSWORD: Final = 1 << 19


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
def options() -> dict[str, float]:
    """Read it often."""
    return {"poll_interval": 0.2}


@pytest.fixture(autouse=True)
def imported(hass: HomeAssistant, tmp_path: Path) -> None:
    """Have the blueprint where an import puts it."""
    shutil.copytree(SHIPPED, tmp_path / "blueprints")
    hass.config.config_dir = str(tmp_path)


async def use(hass: HomeAssistant, **inputs: Any) -> None:
    """Make an automation of the blueprint."""
    inputs = {"packs": ["event.pack_1_alarm_event"], **inputs}
    assert await async_setup_component(
        hass,
        "automation",
        {"automation": {"use_blueprint": {"path": NAME, "input": inputs}}},
    )
    state = (
        hass.states.get("automation.automation_0")
        or hass.states.async_all("automation")[0]
    )
    assert state.state == STATE_ON


async def stop(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Give everything up."""
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "all"}, blocking=True
    )
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


def hear(hass: HomeAssistant) -> list[dict[str, Any]]:
    """What an action of one's own is told."""
    calls: list[dict[str, Any]] = []
    hass.services.async_register("test", "hear", lambda c: calls.append(dict(c.data)))
    return calls


OWN: Final = [
    {
        "action": "test.hear",
        "data": {
            name: "{{ " + name + " }}" for name in ("alarm", "severity", "started")
        },
    }
]


def test_home_assistant_takes_it_for_a_blueprint() -> None:
    data = load_yaml_dict(str(SHIPPED / "automation" / NAME))
    blueprint = Blueprint(
        data,
        path=NAME,
        expected_domain="automation",
        schema=AUTOMATION_BLUEPRINT_SCHEMA,
    )
    assert blueprint.validate() is None
    assert blueprint.metadata["source_url"].endswith(f"blueprints/automation/{NAME}")
    offered = blueprint.inputs["severities"]["selector"]["select"]["options"]
    assert [one["value"] for one in offered] == [*Severity]


async def test_it_notifies_of_faults_and_protections_unless_told_otherwise(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "persistent_notification", {})
    told = notices(hass)
    await set_up(hass, entry)
    await use(hass)
    bank[1].set("alarms", OVERVOLTAGE | OVERTEMPERATURE | PASSWORD)
    await until(lambda: told)
    bank[1].set("alarms", 0)
    await until(lambda: len(told) > 1)
    await hass.async_block_till_done()
    assert [one["title"] for one in told] == [
        "Pack 1: Cell over-voltage protection",
        "Pack 1: Cell over-voltage protection is over",
    ]
    volts = state_of(hass, "sensor", 1, "total_voltage").state
    highest = state_of(hass, "sensor", 1, "max_voltage_cell").state
    assert told[0]["message"].startswith(f"Protection active. {volts} V, ")
    assert f"Highest cell {highest}: " in told[0]["message"]
    assert told[0]["message"].endswith(" °C.")
    assert told[1]["message"].startswith("Protection over. ")
    await stop(hass, entry)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            {"severities": ["warning"]},
            [
                ("Battery over-temperature alarm", "warning", True),
                ("Battery over-temperature alarm", "warning", False),
            ],
        ),
        (
            {"severities": ["info"], "cleared": False},
            [("Change the password", "info", True)],
        ),
        (
            {"severities": [*Severity], "cleared": False},
            [
                ("Cell over-voltage protection", "protection", True),
                ("Change the password", "info", True),
                ("Battery over-temperature alarm", "warning", True),
            ],
        ),
        ({"severities": []}, []),
    ],
)
async def test_it_asks_for_what_its_owner_wants(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    inputs: dict[str, Any],
    expected: list[tuple[str, str, bool]],
) -> None:
    calls = hear(hass)
    await set_up(hass, entry)
    await use(hass, notify=OWN, **inputs)
    bank[1].set("alarms", OVERVOLTAGE | OVERTEMPERATURE | PASSWORD)
    await until(lambda: _alarmed(hass) == STATE_ON)
    await hass.async_block_till_done()
    bank[1].set("alarms", 0)
    await until(lambda: _alarmed(hass) != STATE_ON)
    await hass.async_block_till_done()
    told = [(c["alarm"], c["severity"], c["started"]) for c in calls]
    assert told == expected
    await stop(hass, entry)


def _alarmed(hass: HomeAssistant) -> str:
    return state_of(hass, "binary_sensor", 1, "alarm_cell_overvoltage").state


async def test_a_restart_and_a_reload_notify_of_nothing_old(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    calls = hear(hass)
    remember(hass, cell_overvoltage=True, wire_resistance=False)
    bank[1].set("alarms", OVERVOLTAGE | 1)
    await use(hass, notify=OWN)
    await set_up(hass, entry)
    await until(lambda: calls)
    new = {"alarm": "Balance lead resistance too high", "severity": "fault"}
    assert calls == [{**new, "started": True}]
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    bank[1].set("alarms", OVERVOLTAGE)
    await until(lambda: len(calls) > 1)
    assert calls[1:] == [{**new, "started": False}]
    await stop(hass, entry)
