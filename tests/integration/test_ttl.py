"""A bus on which packs speak the older protocol `4E 57`: set-up, values, switches, reports."""

from collections.abc import AsyncIterator
import json
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.mode import Mode
from custom_components.jkbms.protocol.ttl import machine
from custom_components.jkbms.repairs import _ForeignMasterFlow
from simulator import PASSWORD, Bank, SlaveLine, Speed, TcpServer, serve_tcp
from simulator.ttl import TtlLine, frame_of
from tests.protocol.ttl.answers import E1, E2

from .bus import entity_id, state_of, subentry_id, until
from .common import bus_entry, device_of, issue, pack_of
from .dialog import Dialog
from .house import House, connect
from .test_switch import turn

pytestmark = pytest.mark.usefixtures("socket_enabled", "quick_looks")

OLD: Final = "10.XW_S10.07___"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for quiet."""
    monkeypatch.setattr(machine, "_PAIR_WAIT", 0.01)


@pytest.fixture(autouse=True)
async def unload_what_was_created(hass: HomeAssistant) -> AsyncIterator[None]:
    """Give the ports back."""
    yield
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is ConfigEntryState.LOADED:
            await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


@pytest.fixture
def bank() -> Bank:
    """One pack, which stands still."""
    return Bank.default([0], seed=1, still=True)


@pytest.fixture
def ttl(bank: Bank) -> TtlLine:
    """The line it is on."""
    return TtlLine(bank, speed=Speed.FAST, version=OLD)


@pytest.fixture
async def port(ttl: TtlLine, socket_enabled: None) -> AsyncIterator[TcpServer]:
    """A gateway to it."""
    async with serve_tcp(ttl) as server:
        yield server


@pytest.fixture
async def bus(hass: HomeAssistant, port: TcpServer) -> MockConfigEntry:
    """The entry of such a bus, set up and read."""
    return await load(hass, port.url)


async def load(
    hass: HomeAssistant, url: str, mode: Mode = Mode.TTL, address: int = 0
) -> MockConfigEntry:
    entry = bus_entry(url, address, write_tier="everyday", poll_interval=1)
    entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, data={"device": url, "mode": mode})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: all(p.available for p in entry.runtime_data.packs.values()))
    await hass.async_block_till_done()
    return entry


# -- setting it up --------------------------------------------------------------------


async def test_a_pack_that_speaks_the_older_protocol_is_offered_and_set_up(
    hass: HomeAssistant, port: TcpServer, bank: Bank
) -> None:
    dialog = await Dialog.add(hass)
    await dialog.submit(device=port.url)
    await dialog.choose("scan")
    assert dialog.step == "older_protocol"
    assert dialog.shown["menu_options"] == ("take_older", "scan", "port")
    assert dialog.placeholders["found"] == "| 0 | JK_PB2A16S20 | – | 10.07 | 16 |"
    await dialog.choose("take_older")
    assert dialog.step == "confirm"
    await dialog.submit(packs=["0"], write_tier="off")
    assert dialog.step == "created"
    await hass.async_block_till_done()
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.data == {"device": port.url, "mode": "ttl"}
    assert entry.state is ConfigEntryState.LOADED
    (pack,) = entry.subentries.values()
    assert pack.title == "JK BMS 0"
    assert pack.data["features"]["has_blocks"] is False
    assert pack.data["hardware_version"] == "10.XW"
    assert bank[0].journal == []


async def test_a_line_that_is_asked_again_may_have_learnt_the_newer_one(
    hass: HomeAssistant, port: TcpServer
) -> None:
    dialog = await Dialog.add(hass)
    await dialog.submit(device=port.url)
    await dialog.choose("scan")
    port.line = SlaveLine(Bank.default([1], still=True), speed=Speed.FAST)
    await dialog.choose("scan")
    assert dialog.step == "confirm"
    await dialog.submit(packs=["1"], write_tier="off")
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.data == {"device": port.url}


async def test_a_bus_can_be_reconfigured_to_it_and_back(
    hass: HomeAssistant, port: TcpServer, ttl: TtlLine
) -> None:
    newer = SlaveLine(Bank.default([3], still=True), speed=Speed.FAST)
    port.line = newer
    entry = await load(hass, port.url, Mode.MASTER, 3)
    voltage = entity_id(hass, "sensor", 3, "total_voltage")
    port.line = ttl
    dialog = await Dialog.reconfigure(hass, entry)
    await dialog.submit(device=port.url)
    await dialog.choose("listen")
    assert dialog.step == "older_protocol"
    await dialog.choose("take_older")
    assert dialog.step == "abort:reconfigure_successful"
    await until(lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.data["mode"] == "ttl"
    (pack,) = entry.subentries.values()
    # The same pack, under another address; its entities stay.
    assert (pack.subentry_id, pack.data["address"]) == (subentry_id(3), 0)
    await until(lambda: pack_of(entry, 3).available)
    assert entity_id(hass, "sensor", 3, "total_voltage") == voltage
    health = entity_id(hass, "sensor", 3, "state_of_health")
    assert health is not None
    told = hass.states.get(health)
    # It stays for when the newer protocol is back; nothing keeps it alive meanwhile.
    assert told is None or told.state == STATE_UNAVAILABLE

    port.line = newer
    dialog = await Dialog.reconfigure(hass, entry)
    await dialog.submit(device=port.url)
    await dialog.choose("listen")
    assert dialog.step == "abort:reconfigure_successful"
    await until(lambda: entry.state is ConfigEntryState.LOADED)
    assert entry.data == {"device": port.url}
    assert [s.data["address"] for s in entry.subentries.values()] == [3]


async def test_a_bus_of_the_older_protocol_moves_to_another_port(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    async with serve_tcp(TtlLine(bank, speed=Speed.FAST)) as moved:
        dialog = await Dialog.reconfigure(hass, bus)
        await dialog.submit(device=moved.url)
        await dialog.choose("scan")
        assert dialog.step == "abort:reconfigure_successful"
        assert bus.data == {"device": moved.url, "mode": "ttl"}
        await until(lambda: bus.state is ConfigEntryState.LOADED)
        await hass.config_entries.async_unload(bus.entry_id)


async def test_options_and_packs_are_those_of_a_bus_that_is_asked(
    hass: HomeAssistant, bus: MockConfigEntry
) -> None:
    dialog = await Dialog.options(hass, bus)
    assert dialog.step == "init"
    await dialog.submit(poll_interval=7, write_tier="everyday", return_to_master=True)
    await until(lambda: bus.state is ConfigEntryState.LOADED)
    assert bus.runtime_data.asker.interval == 7.0
    dialog = await Dialog.add_bms(hass, bus)
    assert dialog.step == "user"
    await dialog.submit(address="5")
    assert dialog.errors == {"address": "nothing_answered"}
    dialog.close()


# -- what there is --------------------------------------------------------------------


async def test_its_values_are_entities_with_the_usual_keys(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    voltage = state_of(hass, "sensor", 0, "total_voltage")
    assert float(voltage.state) == bank[0].number_of("pack_voltage") // 10 / 100
    assert state_of(hass, "sensor", 0, "state_of_charge").state == str(
        bank[0].get("soc")
    )
    assert state_of(hass, "sensor", 0, "cell_voltage_16").state != STATE_UNKNOWN
    assert state_of(hass, "sensor", 0, "remaining_energy").state != STATE_UNKNOWN
    assert state_of(hass, "binary_sensor", 0, "charging").state == STATE_ON
    assert state_of(hass, "binary_sensor", 0, "problem").state == STATE_OFF
    assert (
        state_of(hass, "binary_sensor", 0, "alarm_cell_difference").state == STATE_OFF
    )
    assert state_of(hass, "sensor", 0, "total_battery_capacity_setting_set").state
    assert entity_id(hass, "sensor", 0, "discharge_utp_set")
    device = device_of(hass, bus, bus.entry_id)
    assert device is not None
    assert device.model == "4E 57 line"


async def test_nothing_is_created_that_it_never_tells(
    hass: HomeAssistant, bus: MockConfigEntry
) -> None:
    registry = er.async_get(hass)
    entities = er.async_entries_for_config_entry(registry, bus.entry_id)
    own = [e for e in entities if e.unique_id.startswith(subentry_id(0))]
    assert {
        e.unique_id.removeprefix("pack0_") for e in own if e.domain == "switch"
    } == {
        "charging_switch",
        "discharging_switch",
        "balancer",
    }
    assert [e for e in own if e.domain == "number"] == []
    keys = {e.unique_id.removeprefix("pack0_") for e in own}
    assert not keys & {
        "state_of_health",
        "cell_resistance_1",
        "balancing_current",
        "heating",
    }
    told = [hass.states.get(e.entity_id) for e in own if e.disabled_by is None]
    unknown = {s.entity_id for s in told if s is not None and s.state == STATE_UNKNOWN}
    assert len(told) > 40
    assert unknown <= {
        "event.pack_0_alarm_event",
        *(e for e in unknown if "block" in e),
    }


async def test_alarms_of_the_older_protocol_are_told(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    bank[0].set("alarms", 1 << 8)
    await until(lambda: state_of(hass, "binary_sensor", 0, "problem").state == STATE_ON)
    alarm = state_of(hass, "binary_sensor", 0, "alarm_battery_overtemperature")
    assert alarm.state == STATE_ON
    assert alarm.attributes["severity"] == "protection"
    assert (
        state_of(hass, "sensor", 0, "errors").state == "Battery over-temperature alarm"
    )


async def test_charging_is_switched_and_proven(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank, ttl: TtlLine
) -> None:
    await turn(hass, "turn_off", "switch.pack_0_charging")
    assert bank[0].get("charge_switch") == 0
    assert state_of(hass, "switch", 0, "charging_switch").state == STATE_OFF
    assert state_of(hass, "binary_sensor", 0, "charging_switch_set").state == STATE_OFF
    assert ttl.pairings == 1
    assert not bank.dangerous
    ttl.sleep(0)
    with pytest.raises(HomeAssistantError):
        await turn(hass, "turn_on", "switch.pack_0_charging")


async def change(hass: HomeAssistant, **settings: bool) -> dict[str, Any]:
    """Change several settings at once and return what became of them."""
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert isinstance(entry, MockConfigEntry)
    device = device_of(hass, entry, subentry_id(0))
    assert device is not None
    answer: Any = await hass.services.async_call(
        DOMAIN,
        "change_settings",
        {"device_id": device.id, "settings": settings},
        blocking=True,
        return_response=True,
    )
    found: dict[str, Any] = answer["results"][0]
    return found


async def test_switches_are_changed_together_or_not_at_all(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    one = await change(hass, charging_switch=False, discharging_switch=False)
    assert one["problems"] == []
    assert [c["result"] for c in one["changes"]] == ["proven", "proven"]
    assert bank[0].get("charge_switch") == bank[0].get("discharge_switch") == 0
    # This one is told, and cannot be set here.
    one = await change(hass, charging_switch=True, heater=True, discharging_switch=True)
    by_key = {c["setting"]: c for c in one["changes"]}
    assert by_key["charging_switch"]["rolled_back"] is True
    assert by_key["heater"]["result"] == "unsupported"
    assert by_key["discharging_switch"]["result"] == "not_tried"
    assert bank[0].get("charge_switch") == bank[0].get("discharge_switch") == 0


async def test_everything_is_asked_for_at_once(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    bank[0].set("charge_switch", 0)
    await bus.runtime_data.async_refresh_settings(subentry_id(0))
    await until(
        lambda: state_of(hass, "switch", 0, "charging_switch").state == STATE_OFF
    )


async def test_newer_firmware_has_no_switch_for_the_balancer(
    hass: HomeAssistant, bank: Bank
) -> None:
    async with serve_tcp(TtlLine(bank, speed=Speed.FAST)) as server:
        entry = await load(hass, server.url)
        assert entity_id(hass, "switch", 0, "charging_switch")
        assert entity_id(hass, "switch", 0, "balancer") is None
        assert entity_id(hass, "binary_sensor", 0, "balancer_set")
        await hass.config_entries.async_unload(entry.entry_id)


async def test_values_are_read_at_once_when_an_automation_wants_it(
    hass: HomeAssistant, bus: MockConfigEntry, bank: Bank
) -> None:
    coordinator = bus.runtime_data
    coordinator.machine.interval = 60.0
    coordinator.machine.stations[0].due = hass.loop.time() + 60
    before = coordinator.machine.stations[0].counts.ok
    await coordinator.async_request_refresh()
    await until(lambda: coordinator.machine.stations[0].counts.ok > before)


# -- what goes wrong ------------------------------------------------------------------


async def test_another_host_is_told_of_and_asking_again_is_all_to_choose(
    hass: HomeAssistant, bus: MockConfigEntry
) -> None:
    foreign = bytearray(frame_of(0, 6, b"\0"))
    foreign[9:11] = b"\2\0"
    foreign[-2:] = (sum(foreign[:-4]) & 0xFFFF).to_bytes(2)
    bus.runtime_data.session.advance(bytes(foreign))
    await hass.async_block_till_done()
    assert bus.runtime_data.machine.yielded
    assert issue(hass, "foreign_master", bus.entry_id)
    entity = er.async_get(hass).async_get_entity_id(
        "sensor", DOMAIN, f"{bus.entry_id}_mode"
    )
    assert entity is not None
    flow: Any = _ForeignMasterFlow(bus.entry_id)
    flow.hass, flow.handler, flow.issue_id = (
        hass,
        DOMAIN,
        f"foreign_master_{bus.entry_id}",
    )
    flow.flow_id = "1"
    shown = await flow.async_step_init()
    assert tuple(shown["menu_options"]) == ("ask_again",)
    bus.runtime_data.watch.judge()
    assert bus.runtime_data.watch.health == "foreign_master"


async def test_a_report_tells_all_but_who_the_owner_is(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    bus: MockConfigEntry,
    bank: Bank,
) -> None:
    report: Any = await get_diagnostics_for_config_entry(hass, hass_client, bus)
    text = json.dumps(report)
    for secret in (PASSWORD[:10], "Input Us", "127.0.0.1"):
        assert secret not in text
        assert secret.encode().hex().upper() not in text.upper()
    assert report["mode"] == "ttl"
    assert report["interval"] == 1.0
    (pack,) = report["packs"]
    assert pack["values"]["battery_ovp"] > 0
    assert pack["pacing"]["unknown_ids"] == {}
    lines = report["recorded"]
    assert any(" out 4E5700130000000006" in line for line in lines)
    assert any(" in 4E57012100000000060001" in line for line in lines)
    assert not any(line.endswith("damaged") for line in lines)


async def test_counters_and_health_are_those_of_any_bus(
    hass: HomeAssistant, bus: MockConfigEntry
) -> None:
    watch = bus.runtime_data.watch
    bus.runtime_data.session.advance(E1[:60] + E2[60:100])
    watch.start()
    assert watch.health == "ok"
    assert watch.counts["packs_found"] == 1
    assert watch.counts["bytes_discarded"] == 0
    counts = watch.pack_counts[subentry_id(0)]
    assert isinstance(counts["frames_ok"], int)
    assert counts["frames_ok"] >= 1
    assert counts["response_time"] is not None


async def test_a_control_line_is_not_asked_in_it(
    hass: HomeAssistant, house: House
) -> None:
    house.sockets.line = TtlLine(Bank.default([0], still=True), speed=Speed.FAST)
    dialog = await connect(hass, house)
    assert dialog.step == "legacy_protocol"
    dialog.close()


async def test_packs_that_are_several_keep_their_addresses(
    hass: HomeAssistant, port: TcpServer, ttl: TtlLine
) -> None:
    newer = SlaveLine(Bank.default([1, 2], still=True), speed=Speed.FAST)
    port.line = newer
    entry = bus_entry(port.url, 1, 2)
    entry.add_to_hass(hass)
    port.line = ttl
    dialog = await Dialog.reconfigure(hass, entry)
    await dialog.submit(device=port.url)
    await dialog.choose("listen")
    await dialog.choose("take_older")
    assert dialog.step == "abort:reconfigure_successful"
    assert entry.data["mode"] == "ttl"
    # Nobody can tell which of them answers at terminal 0.
    assert [s.data["address"] for s in entry.subentries.values()] == [1, 2]
