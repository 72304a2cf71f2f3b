"""The coordinator of a bank: follows packs on the buses of other entries."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
import logging
from typing import Any, Final, TypeIs, override

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .bank_members import names_of, packs_of
from .const import CONF_MIN_PACKS, DOMAIN
from .coordinator import BusCoordinator
from .mode import Mode, mode_of
from .pack import Pack
from .protocol.bank_member import Member
from .protocol.bank_state import BankState, BankView, Told
from .protocol.datum import Block
from .protocol.derived import POWER
from .protocol.energy import Followed
from .protocol.inverter.advice import KEYS as ADVICE_KEYS, advise
from .protocol.inverter.limits import Rules, judge
from .protocol.inverter.sight import PackSight

_LOGGER = logging.getLogger(__name__)
_AT_MOST_EVERY: Final = 1.0
"""Seconds between two looks at the packs: 16 of them answer one by one."""
_OUTDATED: Final = 0.1
"""Seconds after which what was too old by then is surely too old."""
_NEVER: Final = float("-inf")

type BankConfigEntry = ConfigEntry[BankCoordinator]


def is_bank(entry: ConfigEntry[Any]) -> TypeIs[ConfigEntry[BankCoordinator]]:
    """Tell whether an entry is a bank, and no bus."""
    return mode_of(entry) is Mode.BANK


class BankCoordinator(DataUpdateCoordinator[BankView]):
    """Looks at all packs of a bank together; never talks to a bus itself."""

    config_entry: BankConfigEntry

    def __init__(self, hass: HomeAssistant, entry: BankConfigEntry) -> None:
        """Prepare the bank; `start` begins."""
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=entry.title, update_interval=None
        )
        self.state = BankState(entry.options.get(CONF_MIN_PACKS))
        self._sights: dict[str, PackSight] = {}
        """What each pack told last, by subentry id."""
        self._names: dict[str, str] = {}
        self._packs: dict[str, Pack] = {}
        """Those on a bus that is running."""
        self._following: dict[BusCoordinator, Callable[[], None]] = {}
        self._stale: set[str] = set()
        """Packs that were heard since they were looked at."""
        self._looked = _NEVER
        self._due: asyncio.TimerHandle | None = None
        self._outdated: asyncio.TimerHandle | None = None

    @property
    def members(self) -> dict[str, Member]:
        """What of each pack belongs to the bank, by subentry id."""
        return {one: sight.member for one, sight in self._sights.items()}

    @callback
    def start(self) -> None:
        """Follow the packs, whatever becomes of their buses, until the entry unloads."""
        entry = self.config_entry
        entry.async_on_unload(
            async_dispatcher_connect(
                self.hass, SIGNAL_CONFIG_ENTRY_CHANGED, self._on_entry_changed
            )
        )
        entry.async_on_unload(self._stop)
        self._find_packs()

    @callback
    def _stop(self) -> None:
        for unfollow in self._following.values():
            unfollow()
        self._following.clear()
        for timer in (self._due, self._outdated):
            if timer is not None:
                timer.cancel()

    @callback
    def sights(self) -> tuple[PackSight, ...]:
        """Return what every pack tells now, read anew."""
        return tuple(self._read(one, name) for one, name in self._names.items())

    @callback
    def resume(self, datum: Followed, energy: float) -> None:
        """Go on from the kWh that were counted before a restart."""
        self.state.account.resume(datum, energy)
        self._look()

    @override
    async def _async_update_data(self) -> BankView:
        """Look now, as the action `update_entity` wants."""
        return self._view()

    @callback
    def _on_entry_changed(
        self, change: ConfigEntryChange, entry: ConfigEntry[Any]
    ) -> None:
        """Look anew at which packs there are: a bus came, went or has other packs."""
        if entry.domain == DOMAIN and not is_bank(entry):
            self._find_packs()

    def _find_packs(self) -> None:
        known = packs_of(self.hass, self.config_entry.options)
        self._names = names_of(known)
        buses: dict[str, BusCoordinator] = {
            pack.bus.entry_id: pack.bus.runtime_data
            for pack in known
            if pack.bus.state is ConfigEntryState.LOADED
        }
        running = {
            pack_id: pack
            for bus in buses.values()
            for pack_id, pack in bus.packs.items()
        }
        self._packs = {one: running[one] for one in self._names if one in running}
        for gone in self._following.keys() - set(buses.values()):
            self._following.pop(gone)()
        for bus in buses.values():
            if bus not in self._following:
                self._following[bus] = bus.async_follow_packs(self._on_heard)
        self._stale.update(self._names)
        self._look()

    @callback
    def _on_heard(self, pack: Pack) -> None:
        """Take note of a pack; many of them are looked at together."""
        if pack.subentry_id not in self._packs:
            return
        self._stale.add(pack.subentry_id)
        if pack.available is not self._sights[pack.subentry_id].member.online:
            self._look()
        elif self._due is None:
            wait = self._looked + _AT_MOST_EVERY - self.hass.loop.time()
            self._due = self.hass.loop.call_later(max(0.0, wait), self._look)

    @callback
    def _look(self) -> None:
        """Look at all packs together; entities follow where something has changed."""
        view = self._view()
        if view != self.data:
            self.async_set_updated_data(view)

    def _view(self) -> BankView:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._looked = self.hass.loop.time()
        self._sights = {
            one: self._read(one, name)
            if one in self._stale or one not in self._sights
            else self._sights[one]
            for one, name in self._names.items()
        }
        self._stale.clear()
        view = self.state.look(self.members.values(), self._looked)
        return replace(view, told={**view.told, **self._advised()}, always=ADVICE_KEYS)

    def _advised(self) -> dict[str, Told]:
        """Return what is recommended, and look again before that is out of date."""
        sights, now = self._sights.values(), self._looked
        rules = Rules(min_packs=self.state.needed(len(sights)))
        verdict = judge(sights, rules, now)
        if self._outdated is not None:
            self._outdated.cancel()
            self._outdated = None
        if verdict.packs:
            self._outdated = self.hass.loop.call_at(
                verdict.within(now) + _OUTDATED, self._look_anew
            )
        return advise(verdict)

    @callback
    def _look_anew(self) -> None:
        """Look at packs that may say what they said before: no news of it."""
        self._stale.update(self._names)
        self._look()

    def _read(self, pack_id: str, name: str) -> PackSight:
        pack = self._packs.get(pack_id)
        state = None if pack is None else pack.source(POWER)
        if pack is None or state is None or not pack.available:
            return PackSight(member=Member(pack_id=pack_id, name=name))
        member = Member.read(
            pack_id,
            name,
            pack.get,
            heard=state.seen.get(Block.LIVE),
            energy=pack.energy.stored,
        )
        return PackSight.read(member, pack.get)
