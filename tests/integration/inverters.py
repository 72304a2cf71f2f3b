"""Two packs on RS485, a bank of them, and an inverter on a CAN bus of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import CONF_INVERTER, DOMAIN
from custom_components.jkbms.coordinator import BusCoordinator
from simulator import Bank, Pack, SlaveLine, Speed, TcpServer, serve_tcp
from simulator.can import Bus, SessionServer, parallel_bank, serve_can_tcp
from simulator.can.inverter import Dialect, Inverter

from .banks import bank_entry, looked_at
from .can_house import can_entry
from .common import bus_entry, holding, wait_until

PACKS: Final = (1, 2)


@dataclass
class Plant:
    """Packs, their bus and bank, and the bus of the inverter; none is set up here."""

    packs: dict[int, Pack]
    line: TcpServer
    wires: Bus
    gateway: SessionServer
    rs485: MockConfigEntry
    bank: MockConfigEntry

    def telling(self, **options: Any) -> dict[str, Any]:
        """The option that has the inverter told."""
        known = {"bank": self.bank.entry_id, "language": "pylontech_1_2"}
        return {CONF_INVERTER: known | options}

    def entry(self, **options: Any) -> MockConfigEntry:
        """The entry of the inverter's bus, on which nobody but the inverter speaks."""
        entry = can_entry(self.gateway)
        return MockConfigEntry(
            domain=DOMAIN,
            title="Inverter",
            data=dict(entry.data),
            options=options,
        )

    def limits(self) -> list[tuple[float, float, float]]:
        """The limits that crossed the wires."""
        return [
            tuple(int.from_bytes(f.data[n : n + 2], "little") / 10 for n in (0, 2, 4))  # type: ignore[misc]  # three of them
            for _, f in self.wires.heard
            if f.id == 0x351
        ]


def well(bank: Bank) -> dict[int, Pack]:
    """Let packs be well and switched on, in the middle of what they may."""
    packs = {pack.address: pack for pack in bank}
    for pack in packs.values():
        for name, raw in (
            ("charge_mos", 1),
            ("discharge_mos", 1),
            ("alarms", 0),
            ("current", 0),
            ("soc", 50),
        ):
            pack.set(name, raw)
        for cell in range(1, 17):
            pack.set(f"cell_voltage_{cell}", 3300)
        pack.set("pack_voltage", 52_800)
    return packs


@asynccontextmanager
async def plant(
    hass: HomeAssistant, *, inverter: bool = True, poll: int = 1
) -> AsyncIterator[Plant]:
    """Packs that are read, and looked at as a bank."""
    bank = parallel_bank(PACKS, still=True)
    packs = well(bank)
    nodes = [Inverter(Dialect.PYLON)] if inverter else []
    wires = Bus(nodes, bitrate=500_000, speed=Speed.FAST)
    async with (
        serve_tcp(SlaveLine(bank, speed=Speed.FAST)) as line,
        serve_can_tcp(wires) as gateway,
    ):
        rs485 = bus_entry(line.url, *PACKS, poll_interval=poll)
        one = bank_entry()
        async with holding(hass, rs485), looked_at(hass, one):
            yield Plant(packs, line, wires, gateway, rs485, one)


@asynccontextmanager
async def told(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[BusCoordinator]:
    """The entry of an inverter's bus, set up; unloaded at the end."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: entry.state is ConfigEntryState.LOADED)
    await hass.async_block_till_done()
    try:
        yield entry.runtime_data
    finally:
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


def shown(
    hass: HomeAssistant, entry: MockConfigEntry, key: str, platform: str = "sensor"
) -> State:
    """The state of an entity of the inverter's bus."""
    unique = f"{entry.entry_id}_{key}"
    entity = er.async_get(hass).async_get_entity_id(platform, DOMAIN, unique)
    assert entity is not None, f"no {platform} {key}"
    state = hass.states.get(entity)
    assert state is not None, f"{entity} is disabled"
    return state
