"""Buttons: reading a pack anew and setting its clock, and every way in which that can fail."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.components.button.const import DOMAIN, SERVICE_PRESS
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.protocol.datum import Block
from simulator import Bank, MasterLine, Speed, TcpServer, Writing

from ..simulator import trigger
from .bus import entity_id, state_of, subentry_id
from .common import bus_entry, holding, issue, wait_until
from .house import House, controlled

REFRESH: Final = "refresh_settings"
CLOCK: Final = "sync_clock"
ACTION: Final = 0x1612
EPOCH: Final = datetime(2020, 1, 1)
ZONE: Final = "Australia/Adelaide"
"""Nine and a half hours ahead, or ten and a half."""

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


async def press(hass: HomeAssistant, key: str, address: int = 1) -> None:
    """Press a button as a person does."""
    await hass.services.async_call(
        DOMAIN,
        SERVICE_PRESS,
        {ATTR_ENTITY_ID: entity_id(hass, "button", address, key)},
        blocking=True,
    )


def behind(bank: Bank, address: int = 1) -> timedelta:
    """How far the clock of a pack is behind the local time of Home Assistant."""
    clock = EPOCH + timedelta(seconds=bank[address].number_of("rtc"))
    return dt_util.now().replace(tzinfo=None) - clock


def is_right(bank: Bank, address: int = 1) -> bool:
    """Whether the clock of a pack was set just now; that of a still pack stands."""
    return timedelta(seconds=-2) < behind(bank, address) < timedelta(seconds=10)


@pytest.fixture
def options() -> dict[str, Any]:
    """Settings may be changed."""
    return {"write_tier": "protection"}


@pytest.fixture
async def bus(
    hass: HomeAssistant, gateway: TcpServer, options: dict[str, Any]
) -> AsyncIterator[tuple[MockConfigEntry, BusCoordinator]]:
    """A bus of two packs in Adelaide."""
    await hass.config.async_set_time_zone(ZONE)
    entry = bus_entry(gateway.url, 1, 2, **options)
    async with holding(hass, entry) as coordinator:
        yield entry, coordinator


type Bus = tuple[MockConfigEntry, BusCoordinator]


@pytest.mark.usefixtures("bus")
async def test_settings_that_were_changed_elsewhere_are_read_at_once(
    hass: HomeAssistant, bank: Bank
) -> None:
    await asyncio.sleep(12)
    asked = dict(bank[1].asked), dict(bank[2].asked)
    bank[1].set("balance_start_voltage", 3410)
    await press(hass, REFRESH)
    await wait_until(
        lambda: state_of(hass, "number", 1, "balance_starting_voltage").state == "3.41",
        3,
    )
    await asyncio.sleep(3)
    for block in (Block.SETTINGS, Block.DEVICE):
        assert bank[1].asked[block.trigger] > asked[0][block.trigger]
        assert bank[2].asked[block.trigger] == asked[1][block.trigger]
    assert bank[1].journal == []
    assert state_of(hass, "button", 1, REFRESH).state != "unknown"


@pytest.mark.usefixtures("bus")
async def test_a_clock_is_set_to_the_local_time_and_proven(
    hass: HomeAssistant, bank: Bank
) -> None:
    assert not is_right(bank)
    other = bank[2].number_of("rtc")
    await press(hass, CLOCK)
    assert is_right(bank)
    assert bank[2].number_of("rtc") == other
    assert [write.register for write in bank[1].journal] == [ACTION]
    assert bank.dangerous == []


@pytest.mark.usefixtures("bus")
async def test_a_clock_that_is_right_is_left_alone(
    hass: HomeAssistant, bank: Bank
) -> None:
    seconds = (dt_util.now().replace(tzinfo=None) - EPOCH).total_seconds()
    bank[1].set("rtc", round(seconds))
    await press(hass, CLOCK)
    assert bank[1].journal == []


async def refused(
    hass: HomeAssistant, key: str, address: int = 1
) -> HomeAssistantError:
    """The error of a press."""
    with pytest.raises(HomeAssistantError) as raised:
        await press(hass, key, address)
    error: HomeAssistantError = raised.value
    message = str(error)
    assert f"Pack {address}" in message
    assert "{" not in message
    return error


@pytest.mark.usefixtures("bus")
async def test_a_clock_that_the_pack_does_not_take_is_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].writing = Writing.IGNORE
    before = EPOCH + timedelta(seconds=bank[1].number_of("rtc"))
    error = await refused(hass, CLOCK)
    assert error.translation_key == "write_ignored"
    today = f"{dt_util.now():%Y-%m-%d %H:}"
    words = ("BMS clock", today, f"kept {before}")
    assert [word for word in words if word not in str(error)] == []
    assert not is_right(bank)


@pytest.mark.usefixtures("bus")
async def test_a_pack_that_vanishes_before_its_clock_is_set_is_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    bank[1].present = False
    error = await refused(hass, CLOCK)
    assert error.translation_key == "write_unreachable"
    assert "BMS clock" in str(error)
    assert bank[1].journal == []


async def test_a_line_that_is_down_is_told(
    hass: HomeAssistant, gateway: TcpServer, bus: Bus
) -> None:
    await gateway.stop()
    await wait_until(lambda: not bus[1].last_update_success)
    assert (await refused(hass, CLOCK)).translation_key == "write_unreachable"
    await gateway.start()


async def test_a_pack_that_is_away_cannot_be_asked(
    hass: HomeAssistant, bank: Bank, bus: Bus
) -> None:
    bank[1].present = False
    await wait_until(
        lambda: state_of(hass, "button", 1, REFRESH).state == STATE_UNAVAILABLE
    )
    assert state_of(hass, "button", 1, CLOCK).state == STATE_UNAVAILABLE
    assert state_of(hass, "button", 2, REFRESH).state != STATE_UNAVAILABLE
    with pytest.raises(HomeAssistantError) as raised:
        await bus[1].async_refresh_settings(subentry_id(1))
    assert raised.value.translation_key == "refresh_unreachable"
    assert "Pack 1" in str(raised.value)
    bank[1].present = True
    await wait_until(
        lambda: state_of(hass, "button", 1, CLOCK).state != STATE_UNAVAILABLE
    )


async def test_the_clock_of_another_bms_at_the_address_is_left_alone(
    hass: HomeAssistant, bank: Bank, bus: Bus
) -> None:
    bank[1].set("serial_number", b"99999999999\0\0\0\0\0")
    await press(hass, REFRESH)
    await wait_until(
        lambda: state_of(hass, "button", 1, CLOCK).state == STATE_UNAVAILABLE
    )
    with pytest.raises(HomeAssistantError) as raised:
        await bus[1].async_sync_clock(subentry_id(1))
    assert raised.value.translation_key == "write_unreachable"
    assert bank[1].journal == []


async def test_where_another_master_asks_nothing_is_sent(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank, bus: Bus
) -> None:
    gateway._send(trigger(9))  # noqa: SLF001 - what a bus carries that no pack has sent
    await wait_until(lambda: bus[1].master.yielded)
    asked = dict(bank[1].asked)
    error = await refused(hass, CLOCK)
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == "foreign_master"
    assert (await refused(hass, REFRESH)).translation_key == "refresh_foreign_master"
    await asyncio.sleep(5)
    assert bank[1].asked == asked
    assert bank[1].journal == []


async def test_older_firmware_has_no_clock_to_set(
    hass: HomeAssistant, gateway: TcpServer, bank: Bank
) -> None:
    """Another action is at its register (rs485.md 2.8)."""
    bank[1].set("software_version", b"14.16\0\0\0")
    entry = bus_entry(gateway.url, 1, 2, write_tier="protection")
    async with holding(hass, entry) as coordinator:
        assert entity_id(hass, "button", 1, CLOCK) is None
        assert entity_id(hass, "button", 1, REFRESH)
        assert entity_id(hass, "button", 2, CLOCK)
        with pytest.raises(HomeAssistantError) as raised:
            await coordinator.async_sync_clock(subentry_id(1))
        assert raised.value.translation_key == "write_unsupported"
        assert bank[1].journal == []


class TestNotAllowed:
    """What happens while its owner has not allowed to change settings."""

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Nothing is allowed unless it was."""
        return {}

    async def test_a_pack_can_be_asked_and_its_clock_not_be_set(
        self, hass: HomeAssistant, bank: Bank, bus: Bus
    ) -> None:
        assert state_of(hass, "button", 1, CLOCK).state == STATE_UNAVAILABLE
        await press(hass, CLOCK)  # Home Assistant leaves unavailable entities alone.
        with pytest.raises(ServiceValidationError) as raised:
            await bus[1].async_sync_clock(subentry_id(1))
        assert raised.value.translation_key == "writing_not_allowed"
        assert bank[1].journal == []
        await asyncio.sleep(12)
        asked = bank[1].asked[Block.SETTINGS.trigger]
        await press(hass, REFRESH)
        await wait_until(lambda: bank[1].asked[Block.SETTINGS.trigger] > asked, 3)


class TestListening:
    """What happens on a bus that another master asks."""

    @pytest.fixture
    def bank(self) -> Bank:
        """The master and two slaves."""
        return Bank.default(range(3), still=True)

    async def test_there_are_no_buttons_without_a_control_line(
        self, hass: HomeAssistant, house: House
    ) -> None:
        for key in (REFRESH, CLOCK):
            assert entity_id(hass, "button", 1, key) is None
        coordinator = house.entry.runtime_data
        with pytest.raises(ServiceValidationError) as raised:
            await coordinator.async_sync_clock(subentry_id(1))
        assert raised.value.translation_key == "listening"
        with pytest.raises(HomeAssistantError) as refusal:
            await coordinator.async_refresh_settings(subentry_id(1))
        assert refusal.value.translation_key == "refresh_unreachable"
        await asyncio.sleep(10)
        assert house.line.sent == b""

    async def test_on_a_control_line_a_pack_is_asked_and_its_clock_set(
        self, hass: HomeAssistant, house: House
    ) -> None:
        await controlled(hass, house)
        await asyncio.sleep(12)
        asked = {p.address: p.asked[Block.DEVICE.trigger] for p in house.bank}
        await press(hass, REFRESH, 2)
        await wait_until(
            lambda: house.bank[2].asked[Block.DEVICE.trigger] > asked[2], 5
        )
        assert house.bank[1].asked[Block.DEVICE.trigger] == asked[1]
        await press(hass, CLOCK, 2)
        assert is_right(house.bank, 2)
        assert [[w.register for w in pack.journal] for pack in house.bank] == [
            [],
            [],
            [ACTION],
        ]
        assert house.line.sent == b""

    async def test_another_master_on_the_control_line_is_left_in_peace(
        self, hass: HomeAssistant, house: House
    ) -> None:
        await controlled(hass, house)
        house.sockets.line = MasterLine(house.bank, speed=Speed.FAST, chunk=400)
        line = house.control.subentry_id
        await wait_until(lambda: issue(hass, "control_foreign_master", line))
        assert (await refused(hass, CLOCK)).translation_key == "foreign_master"
        error = await refused(hass, REFRESH)
        assert error.translation_key == "refresh_foreign_master"
        assert [pack.journal for pack in house.bank] == [[], [], []]
