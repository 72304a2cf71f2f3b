"""The coordinator of one bus: publishes each BMS as its answer arrives."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
import logging
from typing import Any, Final, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import CALLBACK_TYPE, Context, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from .bus_health import BusHealth
from .changes import Changes
from .const import (
    CONF_ASK_DEVICE_INFO,
    CONF_INVERTER,
    CONF_SOFTWARE_VERSION,
    CONF_UPDATE_INTERVAL,
    DEFAULT_UPDATE_INTERVAL,
)
from .control import ControlCoordinator, Writer, plan_of
from .inverter_telling import InverterTelling
from .issues import (
    clear_foreign_master,
    clear_issues,
    clear_shared_address,
    raise_foreign_master,
    raise_shared_address,
)
from .line_coordinator import LineCoordinator, Machine
from .memory import Memory
from .mode import Mode, can_port, mode_of
from .newcomers import Newcomers
from .pack import Pack
from .pack_actions import ask_anew, set_clock
from .protocol.attribution import MASTER
from .protocol.ble.machine import BleMaster
from .protocol.ble.registers import offers
from .protocol.can.machine import CanListener
from .protocol.datum import Block, Datum, Field
from .protocol.features import Features
from .protocol.listener import Listener
from .protocol.master import Master
from .protocol.state import BmsState, Update
from .protocol.station import (
    Appeared,
    Availability,
    Clash,
    Event,
    ForeignMaster,
    Moved,
    Resumed,
    Updated,
)
from .protocol.ttl.machine import TtlMaster
from .protocol.ttl.switch_job import takes
from .protocol.ttl.table import TELLS
from .protocol.writing import Wish
from .subentries import (
    bms_subentries,
    control_lines,
    follow_all,
    heard_bms,
    subentry_data,
)
from .tiers import allowed_by, allows
from .transport.can_link import CanLine
from .transport.link import line_at, timing_of
from .transport.radio import RadioPort
from .transport.session import LinkState, Opener

_LOGGER = logging.getLogger(__name__)
_FIRST_VALUES: Final = 5.0
"""Seconds that a set-up waits for packs: enough for 16 of them at wire speed."""
_IDENTIFY: Final = 4.0
_GATHER: Final = 8.0
"""Seconds in which packs that are heard for the first time cost one reload together:
a cycle of the master, in which each of them speaks (rs485.md 4.2)."""
_SETTLE: Final = 20.0
"""Seconds in which further packs may turn out to have moved: it is proven in two cycles."""
_SAME_AS_BEFORE: Final = timedelta(seconds=10)
"""A pack on CAN may say the same for long; no news of it is no gap."""

type JkBmsConfigEntry = ConfigEntry[BusCoordinator]


@dataclass(frozen=True, slots=True)
class Watch:
    """What an entity waits for: values of one BMS, and its coming and going."""

    subentry_id: str
    keys: Collection[str]
    """Each once."""


class BusCoordinator(LineCoordinator[Machine]):
    """Owns the line of one config entry and the packs on it."""

    config_entry: JkBmsConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: JkBmsConfigEntry,
        port: RadioPort | None = None,
    ) -> None:
        """Prepare the bus; nothing is opened yet. A pack on Bluetooth has a port to it."""
        url: str = entry.data[CONF_DEVICE]
        opener: Opener[Any]
        machine: Machine
        self.port = port
        self.inverter: InverterTelling | None = None
        """What an inverter on this bus is told, if it is."""
        if port is not None:
            opener, machine = port.open, _ble_machine(entry, hass.loop.time())
        elif mode_of(entry) is Mode.CAN:
            if CONF_INVERTER in entry.options:
                self.inverter = InverterTelling(hass, entry)
            teller = self.inverter.teller if self.inverter is not None else None
            opener = CanLine(can_port(entry), teller).open
            machine = _can_machine(entry)
        else:
            opener = line_at(url)
            machine = _wire_machine(entry, url, hass.loop.time())
        super().__init__(hass, entry, entry.title, url, opener, machine)
        self.packs: dict[str, Pack] = {}
        self._pack_at: dict[int, Pack] = {}
        self._listening: defaultdict[str, defaultdict[str, list[CALLBACK_TYPE]]] = (
            defaultdict(lambda: defaultdict(list))
        )
        self._available: dict[str, bool] = {}
        """What the entities of each pack were told."""
        self._missed: set[str] = set()
        """Packs that the log says are away."""
        self._identifying: dict[int, asyncio.Future[None]] = {}
        self._gathering: asyncio.TimerHandle | None = None
        self._moving: asyncio.TimerHandle | None = None
        entry.async_on_unload(self._stop_waiting)
        if isinstance(self.machine, CanListener):
            entry.async_on_unload(
                async_track_time_interval(
                    hass, self._follow_energy, _SAME_AS_BEFORE, cancel_on_shutdown=True
                )
            )
        self._followers: list[Callable[[Pack], None]] = []
        """Who is told of every pack that was heard: banks, which take packs of several buses."""
        self._first_values = asyncio.Event()
        for subentry in bms_subentries(entry):
            self._add_pack(subentry)
        if not self.packs:
            self._first_values.set()
        self.controls = {
            line.subentry_id: ControlCoordinator(hass, entry, line, self)
            for line in control_lines(entry)
        }
        """The lines on which packs can be asked if the bus is only listened to."""
        self.watch = BusHealth(hass, self)
        self.newcomers = Newcomers(hass, self)
        self.memory = Memory(hass, entry, self.packs)
        self.changes = Changes(hass, self, self.memory.save_soon)

    @property
    def listens(self) -> bool:
        """Whether packs speak by themselves, or to another master, and nobody is asked."""
        return isinstance(self.machine, Listener | CanListener)

    @property
    def master(self) -> Master:
        """Who asks on this RS485 bus; there is none where it is only listened to."""
        assert isinstance(self.machine, Master)
        return self.machine

    @property
    def asker(self) -> Master | TtlMaster:
        """Who asks on this bus, in whichever protocol."""
        assert isinstance(self.machine, Master | TtlMaster)
        return self.machine

    def allows(self, field: Field[Any]) -> bool:
        """Tell whether the owner allows settings of this kind to be changed."""
        allowed = allowed_by(self.config_entry.options)
        return field.tier is not None and allows(allowed, field.tier)

    def delivers(self, pack: Pack, datum: Datum[Any]) -> bool:
        """Tell whether the value can ever be read on the lines of the pack."""
        if not isinstance(datum, Field) or pack.control is not None:
            return True
        if isinstance(self.machine, TtlMaster):
            return datum.key in TELLS
        if datum.block in pack.station.needs:
            return True
        machine = self.machine
        asks = isinstance(machine, Listener) and machine.inquirer is not None
        return asks and datum.block is Block.DEVICE and pack.address != MASTER

    def sets(self, pack: Pack) -> bool:
        """Tell whether there is a line on which settings of the pack can be changed."""
        return not self.listens or pack.control is not None

    def takes(self, field: Datum[Any], features: Features) -> bool:
        """Tell whether a pack lets the setting be changed by the protocol of its line."""
        if isinstance(self.machine, TtlMaster):
            return isinstance(field, Field) and takes(field, features.firmware)
        if isinstance(self.machine, BleMaster):
            return isinstance(field, Field) and offers(field, features)
        return True

    def writer(self, pack: Pack) -> Writer | None:
        """Return where a setting of the pack can be changed now."""
        for control in self.controls.values():
            if pack.control is not None and control.reaches(pack):
                return Writer(control.session, control.machine, pack.control)
        machine = self.machine
        if isinstance(machine, Master | TtlMaster | BleMaster) and not pack.mistaken:
            station = machine.stations[pack.address]
            return Writer(self.session, machine, station)
        return None

    async def async_start(self) -> None:
        """Open the lines and wait a moment for first values.

        Raises ConfigEntryNotReady when none of them can be opened, or be held.
        """
        # What was found wrong is looked at anew.
        clear_issues(self.hass, self.config_entry)
        lines: list[BusCoordinator | ControlCoordinator]
        lines = [self, *self.controls.values()]
        errors = await asyncio.gather(*(line.async_open() for line in lines))
        if (error := errors[0]) is not None and None not in errors:
            raise self.not_ready(error.fault, str(error)) from error
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_VALUES):
                await self._first_values.wait()
        # A gateway that serves somebody else may take a connection just to close it.
        status = self.session.status
        down = all(line.session.status.state is LinkState.DOWN for line in lines)
        if down and status.fault is not None:
            raise self.not_ready(status.fault, status.detail)
        for line in lines:
            line.async_started()
        if self.inverter is not None:
            self.inverter.start(self)
        self.watch.start()
        self.newcomers.start()

    async def async_write(
        self,
        subentry_id: str,
        field: Field[Any],
        value: Wish,
        context: Context | None = None,
    ) -> None:
        """Change one setting and return when it is proven.

        Raises translated errors that say what the BMS, or nobody, did.
        """
        pack = self.packs[subentry_id]
        await self.changes.async_set(pack, field, value, context)

    async def async_refresh_settings(self, subentry_id: str) -> None:
        """Ask a pack for its settings and its device information now.

        Raises translated errors where nobody can be asked.
        """
        ask_anew(self, self.packs[subentry_id])

    async def async_sync_clock(
        self, subentry_id: str, context: Context | None = None
    ) -> None:
        """Set the clock of a pack to the local time and return when it is proven.

        Raises translated errors that say what the BMS, or nobody, did.
        """
        await set_clock(self, self.packs[subentry_id], context)

    async def async_identify(
        self, address: int, glance: float = _IDENTIFY
    ) -> BmsState | None:
        """Ask an address who is there; None when nobody answers.

        Where nothing at all was said in so many seconds, nobody is there.
        """
        if station := self.asker.stations.get(address):
            return station.state if station.state.seen else None
        state = self.asker.add(address, self.hass.loop.time()).state
        read: asyncio.Future[None] = self.hass.loop.create_future()
        self._identifying[address] = read
        try:
            self.session.advance()
            await asyncio.wait({read}, timeout=glance)
            if state.seen:
                await asyncio.wait({read}, timeout=_IDENTIFY - glance)
        finally:
            del self._identifying[address]
            self.asker.remove(address)
        return state if state.seen else None

    @override
    async def async_request_refresh(self) -> None:
        """Ask for the live values now, as the action `update_entity` wants."""
        for control in self.controls.values():
            await control.async_request_refresh()
        if isinstance(self.machine, Master | TtlMaster):
            self.machine.ask_now(self.hass.loop.time())
            self.session.advance()
        elif isinstance(self.machine, BleMaster):
            # The next live values are at most half a second away.
            self.machine.ask_now()

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
        return partial(self._remove_listener, update_callback, context)

    @callback
    def _remove_listener(self, update_callback: CALLBACK_TYPE, watch: Watch) -> None:
        listening = self._listening[watch.subentry_id]
        for key in watch.keys:
            listening[key].remove(update_callback)

    @callback
    def async_connect(self, wanted: bool) -> None:
        """Connect to a pack on Bluetooth, or leave it to somebody else."""
        assert self.port is not None
        if wanted:
            self.port.take_back()
        else:
            self.port.release()
        self.watch.judge()
        self.async_update_listeners()

    @callback
    def async_follow_packs(self, call: Callable[[Pack], None]) -> Callable[[], None]:
        """Call whenever a pack was heard, has come or has gone."""
        self._followers.append(call)
        return lambda: self._followers.remove(call)

    def _add_pack(self, subentry: ConfigSubentry) -> None:
        address = subentry.data[CONF_ADDRESS]
        pack = Pack(self.hass, self.config_entry, subentry, self.machine.stations)
        self.packs[subentry.subentry_id] = pack
        self._pack_at[address] = pack

    @callback
    @override
    def _on_events(self, events: tuple[Event, ...]) -> None:
        for event in events:
            match event:
                case Updated(address, update) if pack := self._pack_at.get(address):
                    pack.updated(update)
                    self.told(pack, update)
                case Updated(address) if read := self._identifying.get(address):
                    seen = self.machine.stations[address].state.seen
                    if len(seen) == len(Block) and not read.done():
                        read.set_result(None)
                case Availability(address) if pack := self._pack_at.get(address):
                    if isinstance(self.machine, CanListener):
                        self._say_clash(pack, pack.station.clashing)
                    self.wake(pack, ())
                    self._look_for_moved()
                case ForeignMaster():
                    _LOGGER.warning(
                        "%s: another master speaks on this bus; not asking any more",
                        self.name,
                    )
                    raise_foreign_master(self.hass, self.config_entry)
                    self.watch.judge()
                    self.async_update_listeners()
                case Resumed():
                    _LOGGER.info(
                        "%s: the other master is silent; asking again", self.name
                    )
                    clear_foreign_master(self.hass, self.config_entry)
                    self.watch.judge()
                case Clash(address, clashing) if pack := self._pack_at.get(address):
                    self._say_clash(pack, clashing)
                case Appeared(address):
                    _LOGGER.info("%s: a BMS speaks at address %s", self.name, address)
                    self._gather()
                case Moved(old, new) if pack := self._pack_at.get(old):
                    self._follow(pack, old, new)
                case _:
                    pass

    def _say_clash(self, pack: Pack, clashing: bool) -> None:
        if clashing:
            raise_shared_address(self.hass, self.config_entry, pack)
        else:
            clear_shared_address(self.hass, pack.subentry_id)

    @callback
    def _stop_waiting(self) -> None:
        for waiting in (self._gathering, self._moving):
            if waiting is not None:
                waiting.cancel()

    def _gather(self) -> None:
        """Wait a little for further packs that were heard."""
        if self._gathering is None:
            self._gathering = self.hass.loop.call_later(_GATHER, self._add_heard)

    @callback
    def _add_heard(self) -> None:
        """Add the packs heard where none is known; the entry reloads by itself."""
        self._gathering = None
        entry = self.config_entry
        known = {subentry.data[CONF_ADDRESS] for subentry in bms_subentries(entry)}
        for address, station in sorted(self.machine.stations.items()):
            if address not in known:
                data = subentry_data(address, station.state, station.features)
                self.hass.config_entries.async_add_subentry(
                    entry, heard_bms(address, data)
                )

    def _follow(self, pack: Pack, old: int, new: int) -> None:
        """Let a pack follow its DIP switch, and wait a little for others that moved.

        A reload forgets what the packs have said, by which the others are known.
        """
        displaced = self._pack_at.pop(new, None)
        self._pack_at[new] = self._pack_at.pop(old)
        if displaced is not None:
            self._pack_at[old] = displaced
        if self._moving is not None:
            self._moving.cancel()
        self._moving = self.hass.loop.call_later(_SETTLE, self._store_moves)

    @callback
    def _store_moves(self) -> None:
        """Store where the packs are; the entry reloads by itself."""
        places = {pack.subentry_id: pack.address for pack in self.packs.values()}
        follow_all(self.hass, self.config_entry, places)

    @callback
    def _follow_energy(self, _: datetime) -> None:
        """Count the energy of packs that say on CAN what they said before: no news of it."""
        for pack in self.packs.values():
            self.wake(pack, ())

    @callback
    def told(self, pack: Pack, update: Update) -> None:
        """Take note of a block that was read of a pack, on whichever line."""
        self.changes.read(pack, update)
        self.wake(pack, update.changed)

    @callback
    def wake(self, pack: Pack, changed: Iterable[str] | None) -> None:
        """Call whoever waits for these values, or everybody.

        Everybody where no values are named, and when the pack comes or goes.
        """
        listening = self._listening[pack.subentry_id]
        followed = pack.follow(listening if changed is None else changed)
        available = pack.available
        if available is not self._available.get(pack.subentry_id, False):
            self._available[pack.subentry_id] = available
            self._log_availability(pack)
            changed = None
        if changed is None:
            changed = tuple(listening)
        woken = {
            call for key in (*changed, *followed) for call in listening.get(key, ())
        }
        for call in woken:
            call()
        for follow in self._followers:
            follow(pack)
        if not self._first_values.is_set():
            self._check_first_values()

    def _look_for_moved(self) -> None:
        """Look again at who is mistaken: one that has gone may be the one met there."""
        for pack in self.packs.values():
            if pack.mistaken:
                pack.check_identity()

    def _check_first_values(self) -> None:
        if all(pack.known for pack in self.packs.values()):
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


def _can_machine(entry: ConfigEntry[Any]) -> CanListener:
    """Return who listens on the CAN bus of an entry."""
    addresses = [pack.data[CONF_ADDRESS] for pack in bms_subentries(entry)]
    seconds = entry.options.get(CONF_UPDATE_INTERVAL, DEFAULT_UPDATE_INTERVAL)
    only_standard = can_port(entry).traits.standard_only
    return CanListener(
        addresses, interval=float(seconds), hears_extended=not only_standard
    )


def _ble_machine(entry: ConfigEntry[Any], now: float) -> BleMaster:
    """Return who asks the pack of an entry over Bluetooth."""
    addresses = [pack.data[CONF_ADDRESS] for pack in bms_subentries(entry)]
    seconds = entry.options.get(CONF_UPDATE_INTERVAL, DEFAULT_UPDATE_INTERVAL)
    return BleMaster(addresses, now, interval=float(seconds))


def _wire_machine(
    entry: ConfigEntry[Any], url: str, now: float
) -> Master | TtlMaster | Listener:
    """Return who asks on the serial bus of an entry, or who only listens there."""
    packs = [subentry.data for subentry in bms_subentries(entry)]
    addresses = [data[CONF_ADDRESS] for data in packs]
    timing = timing_of(url)
    if mode_of(entry) is Mode.MASTER:
        return Master(addresses, plan_of(entry), timing, now)
    if mode_of(entry) is Mode.TTL:
        plan = plan_of(entry)
        return TtlMaster(
            addresses,
            timing,
            now,
            interval=plan.live,
            return_after=plan.return_after,
        )
    ask = entry.options.get(CONF_ASK_DEVICE_INFO, False)
    listener = Listener(addresses, timing, ask_device_info=ask)
    for data in packs:
        known = data.get(CONF_SOFTWARE_VERSION)
        listener.stations[data[CONF_ADDRESS]].state.assume(known)
    return listener
