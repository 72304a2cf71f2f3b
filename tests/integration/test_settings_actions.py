"""Actions on the settings of several packs: what they return, and what they never do."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.jkbms.audit import EVENT_SETTING_CHANGED
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from simulator import Bank, Pack, TcpServer, Writing

from .bus import state_of, subentry_id
from .common import bus_entry, holding, loaded_anew, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


@pytest.fixture
def bank() -> Bank:
    """Three packs of one kind."""
    trio = Bank.default(addresses=[1])[1].trio
    bank = Bank([Pack(trio, address, still=True) for address in range(1, 4)])
    for pack in bank:
        pack.set("cell_ovp", 3650)
    return bank


@pytest.fixture
def config_folder(hass: HomeAssistant, tmp_path: Path) -> Path:
    """The configuration folder, for this test alone."""
    hass.config.config_dir = str(tmp_path)
    return tmp_path


@pytest.fixture
def entry(gateway: TcpServer) -> MockConfigEntry:
    """A bus whose settings may be changed."""
    return bus_entry(gateway.url, 1, 2, write_tier="protection")


@pytest.fixture
async def bus(
    hass: HomeAssistant, entry: MockConfigEntry, config_folder: Path
) -> AsyncIterator[BusCoordinator]:
    """The bus, running."""
    async with holding(hass, entry) as coordinator:
        yield coordinator


def device_id(hass: HomeAssistant, address: int) -> str:
    """The device of a pack."""
    (device,) = (
        device
        for device in dr.async_get(hass).devices
        if (DOMAIN, subentry_id(address)) in device.identifiers
    )
    return device.id


async def call(
    hass: HomeAssistant, action: str, *, response: bool = True, **data: Any
) -> Any:
    """Call an action and return what it says."""
    return await hass.services.async_call(
        DOMAIN, action, data, blocking=True, return_response=response
    )


async def result(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Call an action for one pack and return what became of it."""
    answer = await call(hass, action, **data)
    (one,) = answer["results"]
    found: dict[str, Any] = one
    return found


async def test_settings_are_returned_side_by_side(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    everything = await call(hass, "get_settings")
    assert [one["pack"] for one in everything["packs"]] == ["Pack 1", "Pack 2"]
    one = await call(hass, "get_settings", device_id=device_id(hass, 2))
    (pack,) = one["packs"]
    assert pack["device_id"] == device_id(hass, 2)
    assert pack["settings"]["cell_ovp"] == 3.65
    assert pack["settings"]["charging_switch"] is True
    # Neither secrets nor measurements are settings.
    assert not {"pin", "settings_password", "total_voltage"} & pack["settings"].keys()
    assert json.loads(json.dumps(everything)) == everything


async def test_only_what_differs_is_returned_by_a_comparison(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    before = await call(hass, "compare_settings")
    assert "cell_ovp" not in before["differences"]
    await call(
        hass,
        "change_settings",
        device_id=device_id(hass, 2),
        settings={"cell_ovp": 3.6},
    )
    after = await call(hass, "compare_settings")
    assert after["differences"]["cell_ovp"] == {
        "name": "Cell OVP",
        "values": {device_id(hass, 1): 3.65, device_id(hass, 2): 3.6},
    }


async def test_settings_that_fit_only_together_are_changed_together(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    wished = {"cell_ovp": 3.5, "cell_ovpr": 3.4, "cell_request_charge_voltage": 3.45}
    wished |= {"soc_100_voltage": 3.4, "cell_request_float_voltage": 3.35}
    one = await result(
        hass, "change_settings", device_id=device_id(hass, 1), settings=wished
    )
    assert one["problems"] == []
    assert {c["result"] for c in one["changes"]} == {"proven"}
    assert bank[1].number_of("cell_ovp") == 3500
    assert bank[1].number_of("cell_ovpr") == 3400


async def test_a_dry_run_tells_the_order_and_sends_nothing(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    one = await result(
        hass,
        "change_settings",
        device_id=device_id(hass, 1),
        settings={"cell_ovp": 3.62, "cell_ovpr": 3.55, "balancer": False},
        dry_run=True,
    )
    assert one["dry_run"]
    assert {c["result"] for c in one["changes"]} == {"planned"}
    assert one["changes"][0]["setting"] == "balancer"
    assert bank[1].journal == []


async def test_when_one_fails_those_before_it_are_put_back(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    before = bank[1].number_of("cell_ovp")
    bank[1].writing = Writing.IGNORE
    one = await result(
        hass,
        "change_settings",
        device_id=device_id(hass, 1),
        settings={"cell_ovp": 3.62, "cell_ovpr": 3.5},
    )
    assert one["problems"]
    assert "proven" not in {c["result"] for c in one["changes"]}
    assert bank[1].number_of("cell_ovp") == before


async def test_nothing_is_written_when_the_result_would_break_a_rule(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    one = await result(
        hass,
        "change_settings",
        device_id=[device_id(hass, 1)],
        settings={"cell_ovpr": 3.9, "max_charge_current": 50.0},
    )
    assert "must be below Cell OVP" in one["problems"][0]
    assert bank[1].journal == []


async def test_what_is_wrong_is_raised_where_nobody_reads_the_response(
    hass: HomeAssistant, bus: BusCoordinator
) -> None:
    with pytest.raises(HomeAssistantError, match="must be below Cell OVP"):
        await call(
            hass,
            "change_settings",
            response=False,
            device_id=device_id(hass, 1),
            settings={"cell_ovpr": 3.9},
        )


async def test_danger_needs_to_be_confirmed(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    data = {
        "device_id": device_id(hass, 1),
        "settings": {"disable_temperature_sensors": True},
    }
    one = await result(hass, "change_settings", **data)
    assert "confirm the action" in one["problems"][0]
    assert bank[1].journal == []
    one = await result(hass, "change_settings", **data, confirm=True)
    assert one["problems"] == []
    assert [c["result"] for c in one["changes"]] == ["proven"]


async def test_a_tier_that_is_closed_is_closed_for_actions_too(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank
) -> None:
    everyday = bus_entry(gateway.url, 1, 2, write_tier="everyday")
    async with holding(hass, everyday):
        target = device_id(hass, 1)
        one = await result(
            hass, "change_settings", device_id=target, settings={"cell_ovp": 3.6}
        )
        assert len(one["problems"]) == 1
        one = await result(
            hass,
            "change_settings",
            device_id=target,
            settings={"disable_temperature_sensors": True},
            confirm=True,
        )
        assert len(one["problems"]) == 1
        assert bank[1].journal == []
        one = await result(
            hass, "change_settings", device_id=target, settings={"balancer": False}
        )
        assert one["problems"] == []


@pytest.mark.parametrize(
    "key", ["no_setting", "total_voltage", "device_address", "pin"]
)
async def test_only_settings_can_be_changed(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank, key: str
) -> None:
    with pytest.raises(ServiceValidationError, match=f"no setting {key}"):
        await call(
            hass, "change_settings", device_id=device_id(hass, 1), settings={key: 1}
        )
    assert bank[1].journal == []


@pytest.mark.parametrize("value", ["text", True, "nan", float("inf"), -5, 99])
async def test_a_value_that_is_none_is_refused(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank, value: Any
) -> None:
    one = await result(
        hass,
        "change_settings",
        device_id=device_id(hass, 1),
        settings={"cell_ovp": value},
    )
    assert "cannot be" in one["problems"][0]
    assert bank[1].journal == []


async def test_settings_are_copied_after_a_dry_run(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    source, target = device_id(hass, 1), device_id(hass, 2)
    await call(hass, "change_settings", device_id=source, settings={"cell_ovp": 3.62})
    data = {"source": source, "device_id": [source, target]}
    planned = await result(hass, "copy_settings", **data, settings=["cell_ovp"])
    assert [c["result"] for c in planned["changes"]] == ["planned"]
    assert bank[2].journal == []
    done = await result(
        hass, "copy_settings", **data, settings=["cell_ovp", "nonsense"], dry_run=False
    )
    assert [c["result"] for c in done["changes"]] == ["proven"]
    assert done["skipped"] == {"nonsense": "unknown"}
    assert bank[2].number_of("cell_ovp") == 3620
    again = await result(
        hass, "copy_settings", **data, settings=["cell_ovp"], dry_run=False
    )
    assert again["changes"] == []


async def test_all_settings_are_copied_but_wires_and_danger(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    one = await result(
        hass,
        "copy_settings",
        source=device_id(hass, 1),
        device_id=device_id(hass, 2),
        dry_run=False,
    )
    assert one["problems"] == []
    assert one["skipped"]["connection_resistance_1"] == "not_copied"
    assert one["skipped"]["port_switch"] == "not_copied"
    after = await call(hass, "compare_settings")
    left = after["differences"].keys()
    assert left <= one["skipped"].keys()
    assert "device_address" not in {c["setting"] for c in one["changes"]}
    assert bank[2].number_of("device_address") == 2


async def test_a_backup_is_restored(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank, config_folder: Path
) -> None:
    target = device_id(hass, 1)
    answer = await call(hass, "backup_settings", device_id=target)
    (backup,) = answer["backups"]
    text = Path(backup["path"]).read_text(encoding="utf-8")
    assert Path(backup["path"]).parent == config_folder / "jkbms"
    assert bank[1].serial not in text
    await call(hass, "change_settings", device_id=target, settings={"cell_ovp": 3.6})
    planned = await result(
        hass, "restore_settings", device_id=target, file=backup["file"]
    )
    assert [c["setting"] for c in planned["changes"]] == ["cell_ovp"]
    assert bank[1].number_of("cell_ovp") == 3600
    done = await result(
        hass, "restore_settings", device_id=target, file=backup["file"], dry_run=False
    )
    assert [c["result"] for c in done["changes"]] == ["proven"]
    assert bank[1].number_of("cell_ovp") == 3650


async def test_each_pack_has_a_backup_of_its_own(
    hass: HomeAssistant, bus: BusCoordinator, entry: MockConfigEntry
) -> None:
    # Two packs may have one name.
    hass.config_entries.async_update_subentry(
        bus.config_entry,
        bus.config_entry.subentries[subentry_id(2)],
        title="Pack 1",
    )
    await loaded_anew(hass, entry, bus)
    answer = await call(hass, "backup_settings")
    assert len({one["file"] for one in answer["backups"]}) == 2


@pytest.mark.parametrize(
    "content",
    [
        *(None, "", "[]", "{}", '{"format": "jkbms settings", "settings": 3}', "\x00"),
        *("[" * 90_000, "9" * 90_000, '{"settings": {"x": ' * 9_000),
    ],
    ids=range(9),
)
async def test_what_is_no_backup_is_not_restored(
    hass: HomeAssistant,
    bus: BusCoordinator,
    bank: Bank,
    config_folder: Path,
    content: str | None,
) -> None:
    folder = config_folder / "jkbms"
    folder.mkdir()
    if content is not None:
        (folder / "backup.json").write_text(content, encoding="utf-8")
    with pytest.raises(ServiceValidationError, match="is no backup"):
        await call(
            hass,
            "restore_settings",
            device_id=device_id(hass, 1),
            file="backup.json",
            dry_run=False,
        )
    assert bank[1].journal == []


async def test_a_backup_is_looked_for_in_its_folder_only(
    hass: HomeAssistant, bus: BusCoordinator, config_folder: Path
) -> None:
    outside = config_folder / "backup.json"
    outside.write_text('{"format": "jkbms settings", "settings": {}}', encoding="utf-8")
    with pytest.raises(ServiceValidationError, match="is no backup"):
        await call(
            hass,
            "restore_settings",
            device_id=device_id(hass, 1),
            file="../backup.json",
        )


async def test_a_backup_that_was_made_up_cannot_do_harm(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank, config_folder: Path
) -> None:
    folder = config_folder / "jkbms"
    folder.mkdir()
    made_up = {
        "cell_ovp": 9.0,
        "pin": "1234",
        "port_switch": True,
        "balancer": [1],
        "heater": "yes",
    }
    backup = {"format": "jkbms settings", "settings": made_up}
    (folder / "backup.json").write_text(json.dumps(backup), encoding="utf-8")
    one = await result(
        hass,
        "restore_settings",
        device_id=device_id(hass, 1),
        file="backup.json",
        dry_run=False,
    )
    assert len(one["problems"]) == 2
    assert one["skipped"] == {"pin": "unknown", "port_switch": "not_copied"}
    assert bank[1].journal == []


async def test_a_backup_that_cannot_be_written_is_told(
    hass: HomeAssistant, bus: BusCoordinator, config_folder: Path
) -> None:
    (config_folder / "jkbms").write_text("a file, no folder")
    with pytest.raises(HomeAssistantError, match="could not be written"):
        await call(hass, "backup_settings")


async def test_actions_are_for_packs_that_are_running(
    hass: HomeAssistant, entry: MockConfigEntry, config_folder: Path
) -> None:
    async with holding(hass, entry):
        target = device_id(hass, 1)
        other = dr.async_get(hass).async_get_device_by_identifier(
            (DOMAIN, entry.entry_id), entry.entry_id
        )
        assert other is not None
        with pytest.raises(ServiceValidationError, match="is no JK pack"):
            await call(hass, "get_settings", device_id=other.id)
        with pytest.raises(ServiceValidationError, match="is no JK pack"):
            await call(hass, "get_settings", device_id="nonsense")
    with pytest.raises(ServiceValidationError, match="not running"):
        await call(hass, "get_settings", device_id=target)
    assert await call(hass, "get_settings") == {"packs": []}


async def test_a_pack_that_does_not_answer_is_left_as_it_is(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    bank[1].present = False
    one = await result(
        hass,
        "change_settings",
        device_id=device_id(hass, 1),
        settings={"cell_ovp": 3.62, "balancer": False},
    )
    assert {c["result"] for c in one["changes"]} == {"unreachable"}
    assert all("does not answer" in problem for problem in one["problems"])


async def test_an_emergency_start_needs_to_be_confirmed(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    target = device_id(hass, 1)
    with pytest.raises(ServiceValidationError, match="confirm the action"):
        await call(
            hass, "emergency_start", response=False, device_id=target, confirm=False
        )
    assert bank[1].journal == []
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    await call(hass, "emergency_start", response=False, device_id=target, confirm=True)
    assert bank[1].number_of("emergency_left") > 0
    assert not bank.dangerous
    (event,) = events
    assert event.data["setting"] == "emergency_time_left"
    assert event.data["outcome"] == "proven"


async def test_an_emergency_start_that_nobody_answers_is_told(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    bank[1].present = False
    with pytest.raises(HomeAssistantError, match="Emergency start of Pack 1"):
        await call(
            hass,
            "emergency_start",
            response=False,
            device_id=device_id(hass, 1),
            confirm=True,
        )


async def test_an_emergency_start_is_closed_where_protection_is(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank
) -> None:
    async with holding(hass, bus_entry(gateway.url, 1, write_tier="everyday")):
        with pytest.raises(ServiceValidationError):
            await call(
                hass,
                "emergency_start",
                response=False,
                device_id=device_id(hass, 1),
                confirm=True,
            )
    assert bank[1].journal == []


async def test_a_caller_that_goes_away_leaves_no_half_of_a_change(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    before = bank[1].number_of("cell_ovp"), bank[1].number_of("cell_ovpr")
    change = hass.async_create_task(
        call(
            hass,
            "change_settings",
            device_id=device_id(hass, 1),
            settings={"cell_ovp": 3.62, "cell_ovpr": 3.5},
        )
    )
    events = async_capture_events(hass, EVENT_SETTING_CHANGED)
    await wait_until(lambda: bank[1].journal)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    await asyncio.sleep(130)
    assert {event.data["origin"] for event in events} == {"home_assistant"}
    assert {event.data["outcome"] for event in events} == {"rolled_back"}
    assert (bank[1].number_of("cell_ovp"), bank[1].number_of("cell_ovpr")) == before


async def test_what_was_changed_before_a_refusal_is_put_back(
    hass: HomeAssistant, entry: MockConfigEntry, bank: Bank, config_folder: Path
) -> None:
    # A name that does not tell what the pack can carry: it has to refuse by itself.
    bank[1].set("model", b"JK_16S20P".ljust(16, b"\0"))
    async with holding(hass, entry):
        events = async_capture_events(hass, EVENT_SETTING_CHANGED)
        one = await result(
            hass,
            "change_settings",
            device_id=device_id(hass, 1),
            settings={"max_charge_current": 300, "balancer": False},
        )
        by_key = {change["setting"]: change for change in one["changes"]}
        assert by_key["balancer"]["rolled_back"] is True
        assert by_key["max_charge_current"]["result"] == "refused_value"
        assert len(one["problems"]) == 1
        assert state_of(hass, "switch", 1, "balancer").state == "on"
        told = {event.data["setting"]: event.data["outcome"] for event in events}
        assert told == {
            "balancer": "rolled_back",
            "max_charge_current": "refused_value",
        }


async def test_what_could_not_be_put_back_is_told(
    hass: HomeAssistant, bus: BusCoordinator, bank: Bank
) -> None:
    change = hass.async_create_task(
        call(
            hass,
            "change_settings",
            device_id=device_id(hass, 1),
            settings={"cell_ovp": 3.62, "cell_ovpr": 3.5, "balancer": False},
        )
    )
    await wait_until(lambda: bank[1].journal)
    bank[1].writing = Writing.REFUSE_VALUE
    (one,) = (await change)["results"]
    assert "could not be put back: it is Off" in one["problems"][-1]
    assert state_of(hass, "switch", 1, "balancer").state == "off"


async def test_what_a_pack_cannot_take_over_is_left_and_told(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank, config_folder: Path
) -> None:
    bank[1].set("cell_ovp", 3600)
    entry = bus_entry(gateway.url, 1, 2, write_tier="everyday")
    async with holding(hass, entry):
        # Older firmware does not have this one.
        del entry.runtime_data.packs[subentry_id(2)].station.state.values["smart_sleep"]
        one = await result(
            hass,
            "copy_settings",
            source=device_id(hass, 1),
            device_id=device_id(hass, 2),
            settings=["cell_ovp", "smart_sleep", "balancer"],
        )
    assert one["skipped"] == {
        "cell_ovp": "tier_not_allowed",
        "smart_sleep": "not_on_this_pack",
    }
    assert one["problems"] == []
