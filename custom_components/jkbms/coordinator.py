"""The coordinator of one bus: publishes each BMS as its answer arrives."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
import logging
from typing import Any, Final, override

from homeassistant.components import persistent_notification
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from .const import (
    CONF_ALLOW_WRITING,
    CONF_POLL_INTERVAL,
    CONF_SOFTWARE_VERSION,
    DEFAULT_POLL_INTERVAL,
    DOMAIN,
)
from .mode import Mode, mode_of
from .pack import Pack
from .protocol.datum import Block, Datum, Field
from .protocol.listener import Listener
from .protocol.master import Master, Plan
from .protocol.state import BmsState
from .protocol.station import (
    Appeared,
    Availability,
    Event,
    ForeignMaster,
    Moved,
    Updated,
)
from .protocol.write_job import Outcome, WriteResult
from .protocol.writing import Change
from .repairs import clear_foreign_master, clear_other_bms, raise_foreign_master
from .subentries import bms_subentries, heard_bms, subentry_data
from .transport.link import LinkError, LinkFault, timing_of
from .transport.session import LinkState, LinkStatus, Session
from .write_errors import check_writable, raise_for_result

_LOGGER = logging.getLogger(__name__)
_FIRST_VALUES: Final = 5.0
"""Seconds that a set-up waits for packs: enough for 16 of them at wire speed."""
_IDENTIFY: Final = 4.0
_GATHER: Final = 8.0
"""Seconds in which packs that are heard for the first time cost one reload together:
a cycle of the master, in which each of them speaks (rs485.md 4.2)."""

type JkBmsConfigEntry = ConfigEntry[BusCoordinator]


@dataclass(frozen=True, slots=True)
class Watch:
    """What an entity waits for: values of one BMS, and its coming and going."""

    subentry_id: str
    keys: frozenset[str]


class BusCoordinator(DataUpdateCoordinator[None]):
    """Owns the line of one config entry and the packs on it."""

    config_entry: JkBmsConfigEntry

    def __init__(self, hass: HomeAssistant, entry: JkBmsConfigEntry) -> None:
        """Prepare the bus; nothing is opened yet."""
        super().__init__(
            hass, _LOGGER, config_entry=entry, name=entry.title, update_interval=None
        )
        self.url: str = entry.data[CONF_DEVICE]
        self.packs: dict[str, Pack] = {}
        self._pack_at: dict[int, Pack] = {}
        self._listening: defaultdict[str, defaultdict[str, list[CALLBACK_TYPE]]] = (
            defaultdict(lambda: defaultdict(list))
        )
        self._available: dict[str, bool] = {}
        """What the entities of each pack were told."""
        self._missed: set[str] = set()
        """Packs that the log says are away."""
        self._started = False
        self._identifying: dict[int, asyncio.Future[None]] = {}
        self._first_values = asyncio.Event()
        if not any(bms_subentries(entry)):
            self._first_values.set()
        self.machine = self._create_machine(hass.loop.time())
        self._gathering: asyncio.TimerHandle | None = None
        for subentry in bms_subentries(entry):
            self._add_pack(subentry)
        self.session = Session(self.url, self.machine, self._on_events, self._on_status)

    def _create_machine(self, now: float) -> Master | Listener:
        entry = self.config_entry
        packs = [subentry.data for subentry in bms_subentries(entry)]
        addresses = [data[CONF_ADDRESS] for data in packs]
        timing = timing_of(self.url)
        if mode_of(entry) is Mode.MASTER:
            live = entry.options.get(CONF_POLL_INTERVAL, DEFAULT_POLL_INTERVAL)
            return Master(addresses, Plan(live=float(live)), timing, now)
        listener = Listener(addresses, timing)
        for data in packs:
            known = data.get(CONF_SOFTWARE_VERSION)
            listener.stations[data[CONF_ADDRESS]].state.assume(known)
        return listener

    @property
    def listens(self) -> bool:
        """Whether another master asks and this side sends nothing."""
        return isinstance(self.machine, Listener)

    @property
    def master(self) -> Master:
        """Who asks on this bus; there is none on a bus that is only listened to."""
        assert isinstance(self.machine, Master)
        return self.machine

    @property
    def may_write(self) -> bool:
        """Whether settings can be changed and their owner allows it."""
        allowed = self.config_entry.options.get(CONF_ALLOW_WRITING, False)
        return bool(allowed) and not self.listens

    def delivers(self, pack: Pack, datum: Datum[Any]) -> bool:
        """Tell whether the value can ever be read in this mode."""
        return not isinstance(datum, Field) or datum.block in pack.station.needs

    async def async_start(self) -> None:
        """Open the line and wait a moment for first values.

        Raises ConfigEntryNotReady when the line cannot be opened, or not be held.
        """
        # What was found wrong is looked at anew.
        clear_foreign_master(self.hass, self.config_entry)
        for subentry_id in self.packs:
            clear_other_bms(self.hass, subentry_id)
        # The entry cancels the task when it unloads or fails to set up, and the task
        # gives the port back.
        self.config_entry.async_create_background_task(
            self.hass, self.session.run(), f"{DOMAIN} {self.url}"
        )
        try:
            await self.session.opened()
        except LinkError as error:
            raise self._not_ready(error.fault, str(error)) from error
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_VALUES):
                await self._first_values.wait()
        # A gateway that serves somebody else may take a connection just to close it.
        status = self.session.status
        if status.state is LinkState.DOWN and status.fault is not None:
            raise self._not_ready(status.fault, status.detail)
        self._started = True

    def _not_ready(self, fault: LinkFault, detail: str) -> ConfigEntryNotReady:
        return ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=f"link_{fault}",
            translation_placeholders={"url": self.url, "detail": detail},
        )

    async def async_write(
        self, subentry_id: str, field: Field[Any], value: float | bool
    ) -> None:
        """Change one setting and return when it is proven.

        Raises translated errors that say what the BMS, or nobody, did.
        """
        pack = self.packs[subentry_id]
        check_writable(self, pack, field, value)
        if pack.mistaken:
            # What answers there is another BMS.
            result = WriteResult(Outcome.UNREACHABLE)
        else:
            result = await self.session.write(Change(pack.address, field, value))
        raise_for_result(pack, field, value, result)

    async def async_identify(self, address: int) -> BmsState | None:
        """Ask an address who is there; None when nobody answers."""
        if station := self.master.stations.get(address):
            return station.state if station.state.seen else None
        state = self.master.add(address, self.hass.loop.time()).state
        read: asyncio.Future[None] = self.hass.loop.create_future()
        self._identifying[address] = read
        try:
            self.session.advance()
            async with asyncio.timeout(_IDENTIFY):
                await read
        except TimeoutError:
            pass
        finally:
            del self._identifying[address]
            self.master.remove(address)
        return state if state.seen else None

    @override
    async def async_request_refresh(self) -> None:
        """Ask for the live values now, as the action `update_entity` wants."""
        if self.listens:
            return
        now = self.hass.loop.time()
        for station in self.master.stations.values():
            if station.alive:
                station.due[Block.LIVE] = min(station.due[Block.LIVE], now)
        self.session.advance()

    @override
    @callback
    def async_add_listener(
        self, update_callback: CALLBACK_TYPE, context: Any = None
    ) -> Callable[[], None]:
        """Listen to everything, or to the values that a Watch names.

        The stock coordinator wakes every entity on every answer: with 16 packs three
        times the work of waking those whose value changed (performance.md 5).
        """
        if not isinstance(context, Watch):
            return super().async_add_listener(update_callback, context)
        listening = self._listening[context.subentry_id]
        for key in context.keys:
            listening[key].append(update_callback)

        @callback
        def remove() -> None:
            for key in context.keys:
                listening[key].remove(update_callback)

        return remove

    def _add_pack(self, subentry: ConfigSubentry) -> None:
        address = subentry.data[CONF_ADDRESS]
        pack = Pack(self.hass, self.config_entry, subentry, self.machine.stations)
        self.packs[subentry.subentry_id] = pack
        self._pack_at[address] = pack

    @callback
    def _on_events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Updated(address, update) if pack := self._pack_at.get(address):
                    pack.updated(update)
                    self._wake(pack, update.changed)
                    self._check_first_values()
                case Updated(address) if read := self._identifying.get(address):
                    seen = self.machine.stations[address].state.seen
                    if len(seen) == len(Block) and not read.done():
                        read.set_result(None)
                case Availability(address) if pack := self._pack_at.get(address):
                    self._wake(pack, ())
                    self._look_for_moved()
                case ForeignMaster():
                    _LOGGER.warning(
                        "%s: another master speaks on this bus; not asking any more",
                        self.name,
                    )
                    raise_foreign_master(self.hass, self.config_entry)
                    self.async_update_listeners()
                case Appeared(address):
                    _LOGGER.info("%s: a BMS speaks at address %s", self.name, address)
                    self._gather()
                case Moved(old, new) if pack := self._pack_at.pop(old, None):
                    self._follow(pack, old, new)
                case _:
                    pass

    def _gather(self) -> None:
        """Wait a little for further packs that were heard."""
        if self._gathering is None:
            self._gathering = self.hass.loop.call_later(_GATHER, self._add_heard)
            self.config_entry.async_on_unload(self._gathering.cancel)

    @callback
    def _add_heard(self) -> None:
        """Add the packs heard where none is known; the entry reloads by itself."""
        self._gathering = None
        entry = self.config_entry
        known = {subentry.data[CONF_ADDRESS] for subentry in bms_subentries(entry)}
        for address, station in sorted(self.machine.stations.items()):
            if address not in known:
                data = subentry_data(address, station.state, station.needs)
                self.hass.config_entries.async_add_subentry(
                    entry, heard_bms(address, data)
                )

    def _follow(self, pack: Pack, old: int, new: int) -> None:
        """Let a pack follow its DIP switch; the entry reloads by itself."""
        entry = self.config_entry
        subentry = entry.subentries.get(pack.subentry_id)
        if subentry is None:
            return
        _LOGGER.info("%s: %s has moved from %s to %s", self.name, pack.name, old, new)
        persistent_notification.async_create(
            self.hass,
            f"{pack.name} on {entry.title} was at address {old} and is at address "
            f"{new} now: its values go on there. Its history and its entities stay. If "
            "these are two different packs, check the DIP switches.",
            title="JK BMS: a pack has another address",
            notification_id=f"{DOMAIN}_moved_{pack.subentry_id}",
        )
        self.hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, CONF_ADDRESS: new}
        )

    def _wake(self, pack: Pack, changed: Iterable[str]) -> None:
        """Call whoever waits for these values, or everybody when the pack comes or goes."""
        listening = self._listening[pack.subentry_id]
        available = pack.available
        if available is not self._available.get(pack.subentry_id, False):
            self._available[pack.subentry_id] = available
            self._log_availability(pack)
            changed = tuple(listening)
        woken = {call for key in changed for call in listening.get(key, ())}
        for call in woken:
            call()

    def _look_for_moved(self) -> None:
        """Look again at who is mistaken: one that has gone may be the one met there."""
        for pack in self.packs.values():
            if pack.mistaken:
                pack.check_identity()

    def _check_first_values(self) -> None:
        if all(pack.station.features for pack in self.packs.values()):
            self._first_values.set()

    def _log_availability(self, pack: Pack) -> None:
        """Say once that a pack is away, unless the whole line is, and once that it is back."""
        if pack.available:
            if pack.subentry_id in self._missed:
                self._missed.remove(pack.subentry_id)
                _LOGGER.info("%s: %s answers again", self.name, pack.name)
        elif self.last_update_success:
            self._missed.add(pack.subentry_id)
            _LOGGER.info("%s: %s does not answer any more", self.name, pack.name)

    @callback
    def _on_status(self, status: LinkStatus) -> None:
        match status.state:
            case LinkState.DOWN if self._started and self.last_update_success:
                self.last_update_success = False
                _LOGGER.warning(
                    "%s: the line is down (%s: %s); trying again until it is back",
                    self.name,
                    status.fault,
                    status.detail,
                )
                self.async_update_listeners()
            case LinkState.CONNECTED if not self.last_update_success:
                self.last_update_success = True
                _LOGGER.info("%s: the line is back", self.name)
                self.async_update_listeners()
            case _:
                _LOGGER.debug("%s: %s", self.name, status)
