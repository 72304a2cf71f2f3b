"""A second line for packs that are only listened to: they are asked and set there."""

import asyncio
from typing import Any

from homeassistant.components.diagnostics import REDACTED
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from simulator import Bank, MasterLine, SlaveLine, Speed, TcpServer

from .bus import entity_id, state_of, subentry_id
from .common import Fix, device_of, issue, notices, said, voltage, wait_until
from .house import House, connect, controlled, is_controlled, set_number, set_voltage
from .listening import addresses_of, is_heard, registry

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


@pytest.fixture
def bank() -> Bank:
    """The master and two slaves."""
    return Bank.default(range(3), still=True)


async def test_a_control_line_adds_device_info_and_controls_to_the_same_packs(
    hass: HomeAssistant, house: House
) -> None:
    ids = registry(hass)
    assert entity_id(hass, "number", 1, "balance_starting_voltage") is None
    dialog = await connect(hass, house)
    assert dialog.step == "confirm"
    rows = dialog.placeholders["found"].splitlines()
    assert [row.split(" | ")[-1] for row in rows] == [
        "Pack 0 |",
        "Pack 1 |",
        "Pack 2 |",
    ]
    await dialog.submit()
    assert dialog.step == "created"
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
    await hass.async_block_till_done()

    assert {k: v for k, v in registry(hass).items() if k in ids} == ids
    assert house.control.data == {
        "device": house.sockets.url,
        "packs": {"0": "pack0", "1": "pack1", "2": "pack2"},
    }
    for pack in house.bank:
        data = house.entry.subentries[subentry_id(pack.address)].data
        assert data["serial_number"] == pack.serial
        device = device_of(hass, house.entry, subentry_id(pack.address))
        assert device is not None
        assert device.model == pack.model
        assert device.serial_number == pack.serial
        assert device.sw_version
    assert entity_id(hass, "sensor", 1, "manufacturing_date")

    await set_number(hass, 0, "balance_starting_voltage", 3.41)
    assert house.bank[0].number_of("balance_start_voltage") == 3410
    assert [len(pack.journal) for pack in house.bank] == [1, 0, 0]
    assert set_voltage(hass, 0) == "3.41"
    assert house.line.sent == b""


async def test_either_line_may_fail_and_the_other_goes_on(
    hass: HomeAssistant, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await controlled(hass, house)
    before = house.entry.runtime_data
    await house.bus.stop()
    await asyncio.sleep(120)
    house.bank[1].set("soc", 42)
    await wait_until(
        lambda: state_of(hass, "sensor", 1, "state_of_charge").state == "42"
    )
    await set_number(hass, 1, "balance_starting_voltage", 3.42)
    assert set_voltage(hass, 1) == "3.42"
    await house.bus.start()
    await asyncio.sleep(20)

    await house.sockets.stop()
    await asyncio.sleep(120)
    assert set_voltage(hass, 1) == STATE_UNAVAILABLE
    twin = state_of(hass, "sensor", 1, "balance_starting_voltage_set")
    assert twin.state == "3.42"
    house.bank[1].set("soc", 43)
    await wait_until(
        lambda: state_of(hass, "sensor", 1, "state_of_charge").state == "43"
    )
    with pytest.raises(HomeAssistantError) as caught:
        await before.async_write(subentry_id(1), BY_KEY["cell_ovp"], 3.6)
    assert caught.value.translation_key == "write_unreachable"
    await house.sockets.start()
    await wait_until(lambda: set_voltage(hass, 1) == "3.42")

    assert house.entry.runtime_data is before
    assert len(said(caplog, "the line is down")) == 2
    assert len(said(caplog, "the line is back")) == 2
    await house.bus.stop()
    await house.sockets.stop()
    await wait_until(lambda: voltage(hass, 1) is None, 120)
    await house.bus.start()
    await house.sockets.start()
    await wait_until(lambda: voltage(hass, 1), 120)


async def test_live_values_come_from_whichever_line_tells_them_first(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    before = house.entry.runtime_data
    hass.config_entries.async_update_entry(
        house.entry, options={"write_tier": "everyday", "poll_interval": 1}
    )
    await wait_until(
        lambda: (
            is_controlled(house.entry, 0, 1, 2)
            and house.entry.runtime_data is not before
        )
    )
    shown: list[float] = []
    for soc in map(str, range(30, 50)):
        house.bank[2].set("soc", int(soc))
        begin = hass.loop.time()

        def is_shown(wanted: str = soc) -> bool:
            return state_of(hass, "sensor", 2, "state_of_charge").state == wanted

        await wait_until(is_shown)
        shown.append(hass.loop.time() - begin)
    # The master alone takes 4.2 s a round, and 2.1 on average.
    assert sum(shown) / len(shown) < 1.5


@pytest.mark.parametrize("away", ["bus", "sockets"])
async def test_it_starts_when_only_one_of_its_lines_is_there(
    hass: HomeAssistant, house: House, away: str, caplog: pytest.LogCaptureFixture
) -> None:
    await controlled(hass, house)
    assert await hass.config_entries.async_unload(house.entry.entry_id)
    gone: TcpServer = getattr(house, away)
    await gone.stop()
    assert await hass.config_entries.async_setup(house.entry.entry_id)
    await wait_until(lambda: voltage(hass, 1))
    assert len(said(caplog, "the line is down")) == 1
    await gone.start()
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2), 120)
    await wait_until(lambda: set_voltage(hass, 1) != STATE_UNAVAILABLE)
    await house.bus.stop()
    await house.sockets.stop()
    assert await hass.config_entries.async_unload(house.entry.entry_id)
    assert not await hass.config_entries.async_setup(house.entry.entry_id)
    assert house.entry.error_reason_translation_key == "link_refused"


async def test_without_the_control_line_the_packs_go_on_with_their_entities(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    ids = registry(hass)
    hass.config_entries.async_remove_subentry(house.entry, house.control.subentry_id)
    await wait_until(lambda: is_heard(house.entry, 0, 1, 2))
    await hass.async_block_till_done()
    assert house.sockets.clients == 0
    assert registry(hass) == ids
    number = entity_id(hass, "number", 1, "balance_starting_voltage")
    assert number is not None
    state = hass.states.get(number)
    assert state is None or state.state == STATE_UNAVAILABLE
    with pytest.raises(ServiceValidationError) as caught:
        await house.entry.runtime_data.async_write(
            subentry_id(1), BY_KEY["cell_ovp"], 3.6
        )
    assert caught.value.translation_key == "listening"
    # Connected again it is the same entity.
    await controlled(hass, house)
    assert entity_id(hass, "number", 1, "balance_starting_voltage") == number
    assert set_voltage(hass, 1) != STATE_UNAVAILABLE


async def test_the_socket_of_the_master_alone_serves_the_master_alone(
    hass: HomeAssistant, house: House
) -> None:
    alone = Bank([house.bank[0]])
    house.sockets.line = SlaveLine(alone, speed=Speed.FAST)
    dialog = await connect(hass, house)
    await dialog.submit()
    await wait_until(lambda: is_controlled(house.entry, 0))
    await hass.async_block_till_done()
    assert entity_id(hass, "number", 0, "balance_starting_voltage")
    assert entity_id(hass, "number", 1, "balance_starting_voltage") is None
    # The slaves' sockets are linked to it later.
    house.sockets.line = SlaveLine(house.bank, speed=Speed.FAST)
    house.sockets.drop_clients()
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2), 120)
    await hass.async_block_till_done()
    await set_number(hass, 2, "balance_starting_voltage", 3.43)
    assert house.bank[2].number_of("balance_start_voltage") == 3430


async def test_another_bms_at_a_known_place_is_neither_shown_nor_set(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    other = Bank.default(range(3), still=True)
    other[1].set("serial_number", b"99999999999\0\0\0\0\0")
    other[1].set("soc", 11)
    house.sockets.line = SlaveLine(other, speed=Speed.FAST)
    control = house.entry.runtime_data.controls[house.control.subentry_id]
    control.machine.stations[1].due[Block.DEVICE] = 0.0
    place = f"{house.control.subentry_id}_1"
    await wait_until(lambda: issue(hass, "control_stranger", place))
    await asyncio.sleep(30)
    assert state_of(hass, "sensor", 1, "state_of_charge").state != "11"
    assert set_voltage(hass, 1) == STATE_UNAVAILABLE
    with pytest.raises(HomeAssistantError):
        await house.entry.runtime_data.async_write(
            subentry_id(1), BY_KEY["cell_ovp"], 3.6
        )
    assert not other[1].journal
    # The right one is back after a restart of the line.
    house.sockets.line = SlaveLine(house.bank, speed=Speed.FAST)
    await hass.config_entries.async_reload(house.entry.entry_id)
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
    assert not issue(hass, "control_stranger", place)


async def test_a_dip_switch_is_followed_on_both_lines(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    await wait_until(lambda: is_heard(house.entry, 0, 1, 2))
    told = notices(hass)
    house.bank[2].readdress(5)
    await wait_until(lambda: 5 in addresses_of(house.entry), 120)
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 5), 120)
    await hass.async_block_till_done()
    assert house.control.data["packs"] == {"0": "pack0", "1": "pack1", "5": "pack2"}
    assert len(told) == 1
    await set_number(hass, 2, "balance_starting_voltage", 3.43)
    assert house.bank[5].number_of("balance_start_voltage") == 3430


async def test_a_pack_that_moved_while_nobody_listened_is_known_by_its_serial_number(
    hass: HomeAssistant, house: House
) -> None:
    """The bus alone takes it for a new one."""
    await controlled(hass, house)
    assert await hass.config_entries.async_unload(house.entry.entry_id)
    told = notices(hass)
    house.bank[2].readdress(5)
    assert await hass.config_entries.async_setup(house.entry.entry_id)
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 5), 120)
    await hass.async_block_till_done()
    assert addresses_of(house.entry) == {0: "Pack 0", 1: "Pack 1", 5: "Pack 2"}
    assert house.control.data["packs"] == {"0": "pack0", "1": "pack1", "5": "pack2"}
    assert "Pack 2 on Bus was at address 2 and is at address 5" in told[0]["message"]


async def test_another_master_on_the_control_line_is_left_in_peace(
    hass: HomeAssistant, house: House, fix: Fix
) -> None:
    await controlled(hass, house)
    wire = house.sockets.line
    house.sockets.line = MasterLine(house.bank, speed=Speed.FAST, chunk=400)
    line = house.control.subentry_id
    await wait_until(lambda: issue(hass, "control_foreign_master", line))
    await hass.async_block_till_done()
    with pytest.raises(ServiceValidationError) as caught:
        await house.entry.runtime_data.async_write(
            subentry_id(1), BY_KEY["cell_ovp"], 3.6
        )
    assert caught.value.translation_key == "foreign_master"
    assert voltage(hass, 1)
    house.sockets.line = wire
    found = issue(hass, "control_foreign_master", line)
    assert found is not None
    await fix(found, True)
    await wait_until(lambda: is_controlled(house.entry, 0, 1, 2))
    assert not issue(hass, "control_foreign_master", line)


async def test_a_control_line_is_asked_again_when_its_owner_wants_that(
    hass: HomeAssistant, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await controlled(hass, house)
    before = house.entry.runtime_data
    hass.config_entries.async_update_entry(
        house.entry, options={"write_tier": "everyday", "return_to_master": True}
    )
    await wait_until(
        lambda: (
            is_controlled(house.entry, 0, 1, 2)
            and house.entry.runtime_data is not before
        )
    )
    wire = house.sockets.line
    house.sockets.line = MasterLine(house.bank, speed=Speed.FAST, chunk=400)
    line = house.control.subentry_id
    await wait_until(lambda: issue(hass, "control_foreign_master", line))
    house.sockets.line = wire
    await wait_until(lambda: not issue(hass, "control_foreign_master", line), 120)
    assert len(said(caplog, "asking again")) == 1
    await set_number(hass, 1, "balance_starting_voltage", 3.42)


async def test_both_lines_are_asked_when_somebody_wants_fresh_values(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    await asyncio.sleep(10.5)
    before = house.bank[1].asked[Block.LIVE.trigger]
    await house.entry.runtime_data.async_request_refresh()
    begin = hass.loop.time()
    await wait_until(lambda: house.bank[1].asked[Block.LIVE.trigger] > before)
    assert hass.loop.time() - begin < 1


async def test_diagnostics_tell_of_both_lines_and_of_nobody(
    hass: HomeAssistant, house: House
) -> None:
    await controlled(hass, house)
    report: Any = await async_get_config_entry_diagnostics(hass, house.entry)
    line = report["control_lines"][house.control.subentry_id]
    assert line["link"]["state"] == "connected"
    assert [station["address"] for station in line["stations"]] == [0, 1, 2]
    assert report["packs"][1]["control_address"] == 1
    text = str(report)
    # Among the figures of a frame, eleven zeros are nobody's number.
    for address in (1, 2):
        assert house.bank[address].serial not in text
    assert house.sockets.url not in text
    assert f"socket://{REDACTED}" in text
