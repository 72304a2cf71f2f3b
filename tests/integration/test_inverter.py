"""An inverter is told of a bank: what it hears, what is shown, and when it hears nothing."""

import asyncio
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import CONF_INVERTER, DOMAIN
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.mode import can_data
from custom_components.jkbms.protocol.inverter import limits, teller as machine
from custom_components.jkbms.protocol.inverter.teller import Phase
from custom_components.jkbms.subentries import heard_bms
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from simulator.can import Bus, frame_of

from .banks import bank_number, bank_state
from .common import issue, said, wait_until
from .dialog import Dialog
from .inverters import plant, shown, told

pytestmark = pytest.mark.usefixtures("socket_enabled")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the times of the machine be moments; packs are read once a second."""
    monkeypatch.setattr(machine, "LISTEN_FOR", 0.3)
    monkeypatch.setattr(machine, "SILENT_AFTER", 1.0)
    monkeypatch.setattr(machine, "_RISE", 0.5)
    monkeypatch.setattr(limits, "FRESH_FOR", 3.0)


def _slcan(bitrate: int) -> CanPort:
    """An adapter where nobody is."""
    return CanPort(
        adapter=CanAdapter.SLCAN, channel="socket://127.0.0.1:1", bitrate=bitrate
    )


def state(hass: HomeAssistant, entry: object, key: str) -> str:
    """What an entity of the inverter's bus says."""
    return shown(hass, entry, key).state  # type: ignore[arg-type]  # an entry


async def test_a_bank_recommends_limits_whether_anybody_is_told_or_not(
    hass: HomeAssistant,
) -> None:
    async with plant(hass) as here:
        voltage = bank_number(hass, here.bank, "recommended_charge_voltage")
        pack = here.packs[1]
        rcv = pack.number_of("rcv") * 16 / 1000
        assert voltage == pytest.approx(rcv, abs=0.11)
        settings = [
            p.number_of("charge_current_limit") / 1000 for p in here.packs.values()
        ]
        charge = bank_number(hass, here.bank, "recommended_charge_current")
        assert charge is not None
        assert 0 < charge <= sum(settings)
        here.packs[2].set("alarms", 1 << 4)
        await wait_until(
            lambda: bank_number(hass, here.bank, "recommended_charge_current") == 0
        )
        reason = bank_state(hass, here.bank, "recommended_charge_current_reason")
        assert reason.state == "protection"
        assert reason.attributes["detail"] == "Pack 2: cell_overvoltage"
        assert (
            bank_state(hass, here.bank, "recommended_discharge_current").attributes[
                "reason"
            ]
            == "protection"
        )


async def test_values_that_grow_too_old_recommend_nothing(hass: HomeAssistant) -> None:
    async with plant(hass) as here:
        await here.line.stop()
        await wait_until(
            lambda: (
                bank_state(hass, here.bank, "recommended_charge_current_reason").state
                in ("stale", "too_few_packs")
            )
        )
        assert bank_number(hass, here.bank, "recommended_charge_current") == 0


async def test_an_inverter_is_told_and_everything_is_shown(hass: HomeAssistant) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling(charge_current=30.0))
        async with told(hass, entry):
            assert state(hass, entry, "inverter_state") == "listening"
            await wait_until(lambda: state(hass, entry, "inverter_state") == "telling")
            await wait_until(lambda: here.limits() and here.limits()[-1][1] == 30.0)
            await wait_until(
                lambda: state(hass, entry, "inverter_charge_current") == "30.0"
            )
            await wait_until(lambda: state(hass, entry, "inverter_reason") == "none")
            for key, reason in (
                ("charge_current", "own_limit"),
                ("charge_voltage", "none"),
            ):
                attributes = shown(hass, entry, f"inverter_{key}").attributes
                assert attributes["reason"] == reason
            voltage = float(state(hass, entry, "inverter_charge_voltage"))
            assert voltage == here.limits()[-1][0]
            link = shown(hass, entry, "inverter_link", "binary_sensor")
            assert link.state == STATE_ON
            data = await async_get_config_entry_diagnostics(hass, entry)
            assert data["inverter"]["phase"] == "telling"
            assert data["inverter"]["heard"]["305"]["data"] == "00" * 8
        # Unloading has told that nothing is allowed.
        assert here.limits()[-1][1:] == (0.0, 0.0)


async def test_a_lost_pack_and_its_return(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            await wait_until(lambda: here.limits() and here.limits()[-1][1] > 0)
            here.packs[2].present = False
            await wait_until(lambda: here.limits()[-1][1:] == (0.0, 0.0))
            await wait_until(lambda: state(hass, entry, "inverter_state") == "silent")
            assert state(hass, entry, "inverter_reason") in ("stale", "too_few_packs")
            assert issue(hass, "inverter_silent", entry.entry_id) is not None
            assert said(caplog, "told nothing any more")
            count = len(here.wires.heard)
            await asyncio.sleep(0.5)
            assert len(here.wires.heard) == count
            here.packs[2].present = True
            await wait_until(lambda: state(hass, entry, "inverter_state") == "telling")
            assert issue(hass, "inverter_silent", entry.entry_id) is None
            assert said(caplog, "told of the bank again")


async def test_another_battery_stops_everything_before_the_first_word(
    hass: HomeAssistant,
) -> None:
    async with plant(hass, inverter=False) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            here.wires.send(frame_of(0x351, bytes(8)), hass.loop.time())
            await wait_until(lambda: state(hass, entry, "inverter_state") == "stopped")
            assert state(hass, entry, "inverter_reason") == "other_battery"
            assert issue(hass, "inverter_other_battery", entry.entry_id) is not None
            link = shown(hass, entry, "inverter_link", "binary_sensor")
            assert link.state == "unknown"
            assert not here.wires.heard
            # As long as it speaks, another choice is of no use either.
            dialog = await telling_deye(hass, entry, here.bank)
            assert dialog.errors == {"base": "another_battery"}
            dialog.close()
            # It was unplugged, and the bus reloaded.
            assert await hass.config_entries.async_reload(entry.entry_id)
            await wait_until(lambda: state(hass, entry, "inverter_state") == "telling")
            assert issue(hass, "inverter_other_battery", entry.entry_id) is None


async def test_the_bank_may_go_and_come_back(hass: HomeAssistant) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            await wait_until(lambda: here.limits() and here.limits()[-1][1] > 0)
            assert await hass.config_entries.async_unload(here.bank.entry_id)
            await wait_until(lambda: here.limits()[-1][1:] == (0.0, 0.0))
            await wait_until(
                lambda: state(hass, entry, "inverter_reason") == "no_packs"
            )
            assert await hass.config_entries.async_setup(here.bank.entry_id)
            await wait_until(lambda: here.limits()[-1][1] > 0)


async def test_a_line_that_is_down_is_shown(hass: HomeAssistant) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            await wait_until(lambda: state(hass, entry, "inverter_state") == "telling")
            await here.gateway.stop()
            await wait_until(lambda: state(hass, entry, "inverter_state") == "no_line")
            assert state(hass, entry, "inverter_reason") == "no_line"
            assert state(hass, entry, "inverter_charge_voltage") == "unknown"
            # Stopping does not wait for a line that is not there.
            hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
            await hass.async_block_till_done()
            await here.gateway.start()
            await wait_until(lambda: state(hass, entry, "inverter_state") != "no_line")


async def test_a_stop_of_home_assistant_allows_nothing_before_it_closes(
    hass: HomeAssistant,
) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry) as bus:
            await wait_until(lambda: here.limits() and here.limits()[-1][1] > 0)
            assert bus.inverter is not None
            hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
            await hass.async_block_till_done()
            assert bus.inverter.teller.status.phase is Phase.ENDED
            await wait_until(lambda: here.limits()[-1][1:] == (0.0, 0.0))


async def test_a_bank_that_never_tells_enough_is_complained_of(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.inverter_telling._PATIENCE", 1.0)
    async with plant(hass) as here:
        here.packs[2].set("alarms", 1 << 4)
        await asyncio.sleep(1.5)
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            await wait_until(
                lambda: issue(hass, "inverter_silent", entry.entry_id) is not None
            )
            assert state(hass, entry, "inverter_state") == "waiting"
            assert not here.wires.heard
            found = issue(hass, "inverter_silent", entry.entry_id)
            assert found is not None
            assert found.translation_placeholders == {
                "bus": "Inverter",
                "detail": "Protection active: Pack 2: Cell over-voltage protection",
            }


async def test_what_the_inverter_says_is_kept_for_a_minute(
    hass: HomeAssistant, everything_enabled: None
) -> None:
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            await wait_until(
                lambda: state(hass, entry, "inverter_last_heard") != "unknown"
            )
            first = shown(hass, entry, "inverter_last_heard")
            assert first.attributes["0x305"] == "00 00 00 00 00 00 00 00"
            await asyncio.sleep(2.5)
            assert state(hass, entry, "inverter_last_heard") == first.state
            here.wires.nodes.clear()


# -- setting it up --------------------------------------------------------------------


async def telling_deye(
    hass: HomeAssistant, entry: MockConfigEntry, bank: MockConfigEntry
) -> Dialog:
    """Choose that a Deye is told of a bank, as far as the first form goes."""
    dialog = await Dialog.options(hass, entry)
    await dialog.choose("inverter")
    await dialog.submit(bank=bank.entry_id, language="deye")
    return dialog


async def test_nothing_is_told_unless_it_was_chosen_and_confirmed(
    hass: HomeAssistant,
) -> None:
    async with plant(hass) as here:
        entry = here.entry()
        async with told(hass, entry) as bus:
            assert bus.inverter is None
            dialog = await Dialog.options(hass, entry)
            assert dialog.step == "can_menu"
            assert dialog.shown["menu_options"] == ("can", "inverter")
            await dialog.choose("inverter")
            choice = {"bank": here.bank.entry_id, "language": "deye"}
            await dialog.submit(**choice, min_packs=3)
            assert dialog.errors == {"min_packs": "too_many"}
            await dialog.submit(**choice, min_packs=2, discharge_current=50)
            assert dialog.step == "confirm_inverter"
            assert dialog.placeholders["bank"] == "Battery bank"
            await dialog.submit(understood=False)
            assert dialog.errors == {"understood": "inverter_not_understood"}
            await dialog.submit(understood=True)
            assert dialog.step == "created"
            assert entry.options["inverter"] == {
                **choice,
                "min_packs": 2,
                "discharge_current": 50.0,
            }
            await wait_until(lambda: here.limits() and here.limits()[-1][2] == 50.0)

            dialog = await Dialog.options(hass, entry)
            assert dialog.shown["menu_options"] == ("can", "inverter", "inverter_off")
            await dialog.choose("can")
            # Who is the battery does not answer like an inverter.
            fields = {str(key) for key in dialog.shown["data_schema"].schema}
            assert fields == {"update_interval"}
            await dialog.submit(update_interval=3)
            assert "inverter" in entry.options
            dialog = await Dialog.options(hass, entry)
            await dialog.choose("inverter_off")
            await hass.async_block_till_done()
            assert "inverter" not in entry.options
            await wait_until(lambda: entry.runtime_data.inverter is None)


async def test_a_bus_without_a_bank_offers_nothing(hass: HomeAssistant) -> None:
    async with plant(hass) as here:
        entry = here.entry()
        async with told(hass, entry):
            assert await hass.config_entries.async_remove(here.bank.entry_id)
            dialog = await Dialog.options(hass, entry)
            assert dialog.step == "can"
            dialog.close()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("slow", {"bank": "too_slow"}),
        ("battery", {"base": "another_battery"}),
        ("moment", {"base": "another_battery"}),
        ("unknown", {"bank": "not_told"}),
        ("whole", {"bank": "not_told"}),
        ("gone", {"bank": "no_packs"}),
        ("bitrate", {"base": "wrong_bitrate"}),
    ],
)
async def test_what_cannot_be_told_is_refused(
    hass: HomeAssistant, change: str, error: dict[str, str]
) -> None:
    async with plant(hass) as here:
        entry = here.entry()
        async with told(hass, entry):
            match change:
                case "slow":
                    options = {**here.rs485.options, "poll_interval": 6}
                    hass.config_entries.async_update_entry(here.rs485, options=options)
                    await wait_until(lambda: not here.rs485.runtime_data.watch.troubles)
                case "battery":
                    hass.config_entries.async_add_subentry(
                        entry, heard_bms(0x100, {"address": 0x100})
                    )
                case "moment":
                    # It has begun to speak, and is no pack of this bus yet.
                    here.wires.send(frame_of(0x359, bytes(8)), hass.loop.time())
                    await wait_until(lambda: entry.runtime_data.machine.hears_bank)
                    assert not entry.subentries
                case "unknown":
                    packs = here.rs485.runtime_data.packs.values()
                    for pack in packs:
                        pack.station.state.values["cell_ovp"] = None
                case "whole":
                    # What other packs say to an inverter of their own tells no settings.
                    other = MockConfigEntry(
                        domain=DOMAIN, data=can_data(_slcan(500_000))
                    )
                    other.add_to_hass(hass)
                    whole = heard_bms(0x100, {"address": 0x100})
                    hass.config_entries.async_add_subentry(other, whole)
                    options = {"packs": [whole.subentry_id]}
                    hass.config_entries.async_update_entry(here.bank, options=options)
                case "bitrate":
                    slow = _slcan(250_000)
                    await hass.config_entries.async_unload(entry.entry_id)
                    hass.config_entries.async_update_entry(entry, data=can_data(slow))
                case _:
                    options = {"packs": ["nobody"]}
                    hass.config_entries.async_update_entry(here.bank, options=options)
            dialog = await telling_deye(hass, entry, here.bank)
            assert dialog.errors == error
            dialog.close()
            await hass.async_block_till_done()


async def test_a_bank_that_is_not_running_can_be_chosen_too(
    hass: HomeAssistant,
) -> None:
    async with plant(hass) as here:
        entry = here.entry()
        async with told(hass, entry):
            assert await hass.config_entries.async_unload(here.bank.entry_id)
            dialog = await telling_deye(hass, entry, here.bank)
            assert dialog.step == "confirm_inverter"
            dialog.close()


async def test_an_adapter_on_the_inverters_cable_is_set_up_for_it(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.can_flow.LISTEN_FOR", 1.5)
    async with plant(hass) as here:
        dialog = await Dialog.add(hass, "can")
        await dialog.choose("can_network")
        await dialog.submit(
            host="127.0.0.1",
            port=here.gateway.port,
            adapter="can_tcp",
            channel="can0",
            bitrate="find_out",
        )
        assert dialog.step == "can_inverter"
        await dialog.choose("inverter")
        await dialog.submit(bank=here.bank.entry_id, language="pylontech_1_3")
        await dialog.submit(understood=True)
        assert dialog.step == "created"
        (entry,) = (
            e for e in hass.config_entries.async_entries("jkbms") if "can" in e.data
        )
        assert not entry.subentries
        assert entry.options["inverter"]["language"] == "pylontech_1_3"
        async with told(hass, entry):  # type: ignore[arg-type]  # an entry
            await wait_until(lambda: here.limits() and here.limits()[-1][1] > 0)
            assert shown(hass, entry, "connection", "binary_sensor").state != STATE_OFF  # type: ignore[arg-type]  # an entry


async def test_an_adapter_that_is_moved_to_a_battery_speaks_no_more(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.jkbms.can_flow.LISTEN_FOR", 1.5)
    async with plant(hass) as here:
        entry = here.entry(**here.telling())
        async with told(hass, entry):
            dialog = await Dialog.reconfigure(hass, entry)
            await dialog.choose("can_network")
            battery = asyncio.create_task(_speak(here.wires))
            await dialog.submit(
                host="127.0.0.1",
                port=here.gateway.port,
                adapter="can_tcp",
                channel="can0",
                bitrate="find_out",
            )
            battery.cancel()
            assert dialog.step == "can_confirm_bank"
            assert CONF_INVERTER in entry.options
            await dialog.submit()
            assert dialog.step == "abort:reconfigure_successful"
            assert CONF_INVERTER not in entry.options
            await wait_until(lambda: entry.state is ConfigEntryState.LOADED)


_BATTERY: Final = {
    0x351: "2802E803E803F701",
    0x355: "3C00640000000000",
    0x356: "6C140400DC000000",
    0x35C: "C000000000000000",
    0x35E: "4A4B2D424D530000",
    0x359: "0000000001504E00",
}
"""What a JK says to an inverter (can.md 2.10)."""


async def _speak(wires: Bus) -> None:
    """Be another battery."""
    while True:
        for code, data in _BATTERY.items():
            frame = frame_of(code, bytes.fromhex(data))
            wires.send(frame, asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
