"""Packs that are added to a bus, or get another address, while Home Assistant asks there.

Who only listens hears of them by itself; a master hears only whom it asks.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant, callback

from .const import DOMAIN
from .issues import clear_newcomer, raise_newcomer
from .protocol.fields import MAX_ADDRESS
from .protocol.master import Master
from .subentries import bms_subentries, follow

if TYPE_CHECKING:
    from .coordinator import BusCoordinator

_EVERY: Final = 60.0
"""Seconds from one free address to the next: it costs less than 2 % of the bus."""
_EVERY_WHILE_MISSED: Final = 15.0
"""The same while a pack is missed, which may have got another address."""
_GLANCE: Final = 1.0
"""Seconds in which a BMS that is there has answered (rs485.md 1.5)."""


class Newcomers:
    """Asks free addresses in turn who is there."""

    def __init__(self, hass: HomeAssistant, bus: BusCoordinator) -> None:
        """Prepare to look; nothing is asked yet."""
        self._hass = hass
        self._bus = bus
        self._next = 1

    @callback
    def start(self) -> None:
        """Look until the entry is unloaded, if this side is the master of the bus."""
        if isinstance(self._bus.machine, Master):
            self._bus.config_entry.async_create_background_task(
                self._hass, self._look(), f"{DOMAIN} newcomers on {self._bus.url}"
            )

    async def _look(self) -> None:
        while True:
            missed = any(not pack.available for pack in self._bus.packs.values())
            await asyncio.sleep(_EVERY_WHILE_MISSED if missed else _EVERY)
            address = self._free_address()
            if address is not None and self._may_ask:
                await self._ask(address)

    @property
    def _may_ask(self) -> bool:
        return not self._bus.master.yielded and self._bus.last_update_success

    def _free_address(self) -> int | None:
        """Return the next address that no pack has; 0 is for masters (rs485.md 4.1)."""
        taken = self._bus.master.stations
        for step in range(MAX_ADDRESS):
            address = (self._next - 1 + step) % MAX_ADDRESS + 1
            if address not in taken:
                self._next = address % MAX_ADDRESS + 1
                return address
        return None

    async def _ask(self, address: int) -> None:
        bus, entry = self._bus, self._bus.config_entry
        state = await bus.async_identify(address, _GLANCE)
        if state is None:
            clear_newcomer(self._hass, entry, address)
            return
        serial = state.identity.serial_number
        for pack in bus.packs.values():
            if serial is None or pack.serial_number != serial:
                continue
            if not pack.available and not pack.mistaken:
                follow(self._hass, entry, entry.subentries[pack.subentry_id], address)
            return
        if address not in {s.data[CONF_ADDRESS] for s in bms_subentries(entry)}:
            raise_newcomer(self._hass, entry, address, state.identity)
