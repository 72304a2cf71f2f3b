"""A gateway that is away for a minute, an adapter that is unplugged: with Home Assistant around it."""

import asyncio
from pathlib import Path
from typing import Final

from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from scripts.lib.simulated_loop import SimulatedLoop
from simulator import Bank, SlaveLine, Speed, TcpServer, serve_pty

from .bus import state_of
from .common import bus_entry, holding, said, voltage, wait_until

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

ALL: Final = (1, 2, 3, 4)


def all_back(hass: HomeAssistant) -> bool:
    """Whether every pack shows its voltage."""
    return all(voltage(hass, address) is not None for address in ALL)


def all_away(hass: HomeAssistant) -> bool:
    """Whether no pack shows its voltage."""
    return all(voltage(hass, address) is None for address in ALL)


async def test_a_gateway_that_was_stopped_for_a_minute_is_back_within_10_s(
    hass: HomeAssistant,
    gateway: TcpServer,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with holding(hass, entry) as coordinator:
        caplog.clear()
        begin = asyncio.get_running_loop().time()
        await gateway.stop()
        await wait_until(lambda: all_away(hass))
        await asyncio.sleep(begin + 60 - asyncio.get_running_loop().time())
        assert all_away(hass)
        assert state_of(hass, "binary_sensor", 1, "online").state == "off"
        await gateway.start()
        assert await wait_until(lambda: all_back(hass)) <= 10
        await asyncio.sleep(30)
        assert coordinator is entry.runtime_data
        went, came = said(caplog)
        assert went.startswith("Gateway: the line is down (lost: ")
        assert came == "Gateway: the line is back"


async def test_an_adapter_that_was_unplugged_is_back_within_10_s(
    hass: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    link = tmp_path / "usb-adapter"
    line = SlaveLine(Bank.default(still=True), speed=Speed.FAST)
    async with (
        serve_pty(line, link) as adapter,
        holding(hass, bus_entry(str(link), *ALL)),
    ):
        for _ in range(2):
            caplog.clear()
            await adapter.stop()
            await asyncio.sleep(45)
            assert all_away(hass)
            await adapter.start()
            assert await wait_until(lambda: all_back(hass)) <= 10
            await asyncio.sleep(30)
            went, came = said(caplog)
            assert went.startswith("Bus: the line is down (lost: ")
            assert came == "Bus: the line is back"


async def test_a_gateway_that_falls_silent_is_told_once_each_way(
    hass: HomeAssistant,
    gateway: TcpServer,
    entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with holding(hass, entry):
        caplog.clear()
        gateway.go_silent()
        await asyncio.sleep(300)
        assert all_away(hass)
        assert len(said(caplog, "the line is down (silent: ")) == 1
        for address in ALL:
            assert len(said(caplog, f"Pack {address} does not answer")) == 1
        gateway.speak()
        assert await wait_until(lambda: all_back(hass)) <= 12
        await asyncio.sleep(30)
        assert len(said(caplog, "the line is back")) == 1
        for address in ALL:
            assert len(said(caplog, f"Pack {address} answers again")) == 1
        assert len(said(caplog)) == 2 + 2 * len(ALL)


async def test_a_short_interruption_changes_no_state(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        await asyncio.sleep(10)
        events = async_capture_events(hass, "state_changed")
        gateway.drop_clients()
        await asyncio.sleep(20)
        assert gateway.clients == 1
        changed: list[State] = [event.data["new_state"] for event in events]
        assert [s.entity_id for s in changed if s.state == "unavailable"] == []


async def test_while_the_line_is_down_the_loop_sleeps(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        await gateway.stop()
        await asyncio.sleep(60)
        before = loop.turns
        await asyncio.sleep(600)
        # A few turns for each attempt to connect; a busy loop would need millions.
        assert loop.turns - before < 3000
        await gateway.start()
        await wait_until(lambda: all_back(hass), 120)
