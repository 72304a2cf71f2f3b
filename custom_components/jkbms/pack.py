"""One BMS as Home Assistant knows it: its subentry, its device, its values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.util import dt as dt_util

from .const import (
    CONF_HARDWARE_VERSION,
    CONF_MODEL,
    CONF_SERIAL_NUMBER,
    CONF_SOFTWARE_VERSION,
    DOMAIN,
    MANUFACTURER,
)
from .issues import (
    clear_other_bms,
    clear_shared_serial,
    raise_other_bms,
    raise_shared_serial,
)
from .protocol.alarms import BY_KEY as ALARM_BY_KEY
from .protocol.asked_station import AskedStation
from .protocol.datum import Block, Datum, Field
from .protocol.derived import POWER, PROBLEM
from .protocol.energy import EnergyAccount, with_followed
from .protocol.features import Features
from .protocol.fields import CURRENT
from .protocol.insight import OVER_TIME, Insight
from .protocol.settings_record import SettingsRecord
from .protocol.state import BmsState, Update
from .protocol.station import Station
from .subentries import bms_subentries, follow, remembered_features, subentry_data

_OF_THE_WORD: Final = frozenset({*ALARM_BY_KEY, PROBLEM.key, "errors"})
"""What the alarm word tells, and CAN in other words: by turns it would come and go."""
_TELL_EVERY: Final = 4.0
"""Seconds between two looks at what takes minutes to change, though all of it is counted. A
BMS that is master of its bus is heard every 4.4 s (performance.md 4)."""
_COUNTED_FROM: Final = frozenset({POWER.key, CURRENT.key})


class Pack:
    """One BMS; entities read their values from its state."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        subentry: ConfigSubentry,
        stations: Mapping[int, Station],
    ) -> None:
        """Take what the subentry remembers; values follow from its station."""
        self._hass = hass
        self._entry = entry
        self._known = subentry
        self.subentry_id: Final = subentry.subentry_id
        """The part of every unique id that stays whatever happens to the pack."""
        self._stations = stations
        self.station = stations[subentry.data[CONF_ADDRESS]]
        self.features: Features | None = remembered_features(subentry.data)
        """What the BMS has: read now, else remembered, None while never read."""
        self.mistaken = False
        """Whether a BMS with another serial number answers at the address."""
        self.control: AskedStation | None = None
        """Where it can be asked and set, if the bus is only listened to."""
        self.device_link = DeviceInfo(identifiers={(DOMAIN, subentry.subentry_id)})
        """What its entities tell of its device, which is registered before them."""
        self.energy = EnergyAccount(self.station.cycle)
        self.insight = Insight(self.station.cycle)
        self._told_turn: float | None = None
        """When what takes longer to know was last told; settings tell it anew at once."""
        self.record = SettingsRecord()
        self._told: dict[bool, int] = {}
        """How many values each line had told when something was learnt of the pack."""
        self._on_features: list[CALLBACK_TYPE] = []

    @property
    def _subentry(self) -> ConfigSubentry:
        """What is stored now; a subentry that was removed lives on until the reload."""
        self._known = self._entry.subentries.get(self.subentry_id, self._known)
        return self._known

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return self._subentry.title

    @property
    def address(self) -> int:
        """Where it is asked."""
        return self.station.address

    @property
    def model(self) -> str | None:
        """Its model, None until it is learnt."""
        known: str | None = self._subentry.data.get(CONF_MODEL)
        return known

    @property
    def software_version(self) -> str | None:
        """Its software version, None until it is learnt."""
        known: str | None = self._subentry.data.get(CONF_SOFTWARE_VERSION)
        return known

    @property
    def serial_number(self) -> str | None:
        """Its serial number, None until it is learnt."""
        known: str | None = self._subentry.data.get(CONF_SERIAL_NUMBER)
        return known

    @property
    def available(self) -> bool:
        """Whether it has answered lately, and is the one it is taken for."""
        if self.station.available and not self.mistaken:
            return True
        return self.control is not None and self.control.available

    @property
    def known(self) -> bool:
        """Whether every block that is expected of it was read, on whichever line."""
        stations = (self.station, self.control)
        return any(s is not None and s.features is not None for s in stations)

    def get[T](self, datum: Datum[T]) -> T | None:
        """Return a value as the line tells it that has read it last."""
        state = self.station.state if self.control is None else self.source(datum)
        if state is None:
            return None
        values: Mapping[str, Any] = state.values
        value: T | None = values.get(datum.key)
        return value

    def source(self, datum: Datum[Any]) -> BmsState | None:
        """Return the state that holds the latest of a value; None where none has it."""
        if self.control is None:
            return self.station.state
        block = datum.block if isinstance(datum, Field) else Block.LIVE
        telling = [s for s in self._sources() if datum.key in s.values]
        of_word = datum.key in _OF_THE_WORD
        return max(
            telling,
            key=lambda s: (of_word and s.layout is not None, s.seen.get(block, 0.0)),
            default=None,
        )

    def dump(self) -> dict[str, Any]:
        """Return what has to be known after a restart, to store."""
        return {"insight": self.insight.dump(), **self.record.dump()}

    def load(self, data: object) -> None:
        """Go on from what `dump` has stored; what makes no sense is left out."""
        stored = data if isinstance(data, Mapping) else {}
        self.insight.load(stored.get("insight"))
        self.record.load(stored, self.software_version)

    @callback
    def follow(self, changed: Iterable[str]) -> Iterable[str]:
        """Take the latest live values into account, of which these have changed.

        Returns the keys of the values over time that have changed.
        """
        state = self.source(POWER)
        if (
            state is None
            or (time := state.seen.get(Block.LIVE)) is None
            or not self.available
        ):
            return ()
        # Packs take turns, or all that are heard in a second would have theirs together.
        turn = (time + self.address) // _TELL_EVERY
        due = turn != self._told_turn
        if not due and _COUNTED_FROM.isdisjoint(changed):
            # What stays the same can be counted later, in one go.
            return ()
        if not (self.energy.count(state.values, time) and due):
            return ()
        self._told_turn = turn
        told = self.energy.tell(state.values)
        return told | self.insight.read(state.values, time, dt_util.now())

    def settings(self) -> Mapping[str, Any]:
        """Return the values that a change of a setting is checked against."""
        states = [self.station.state]
        if self.control is not None:
            states.append(self.control.state)
        states.sort(key=lambda state: state.seen.get(Block.SETTINGS, 0.0))
        return {key: value for s in states for key, value in s.values.items()}

    def _sources(self) -> Iterator[BmsState]:
        """Yield the states of the lines that the pack is heard on."""
        if self.station.available and not self.mistaken:
            yield self.station.state
        if self.control is not None and self.control.available:
            yield self.control.state

    @callback
    def register_device(self) -> None:
        """Have a device for this BMS, behind the device of its bus."""
        data = self._subentry.data
        dr.async_get(self._hass).async_get_or_create(
            config_entry_id=self._entry.entry_id,
            config_subentry_id=self.subentry_id,
            identifiers={(DOMAIN, self.subentry_id)},
            name=self.name,
            manufacturer=MANUFACTURER,
            model=data.get(CONF_MODEL),
            serial_number=data.get(CONF_SERIAL_NUMBER),
            hw_version=data.get(CONF_HARDWARE_VERSION),
            sw_version=data.get(CONF_SOFTWARE_VERSION),
            via_device_id=dr.async_get_device_id_by_identifier(
                self._hass,
                (DOMAIN, self._entry.entry_id),
                config_entry_id=self._entry.entry_id,
            ),
        )

    @callback
    def async_on_features(self, call: CALLBACK_TYPE) -> Callable[[], None]:
        """Call when the features become known or grow."""
        self._on_features.append(call)
        return lambda: self._on_features.remove(call)

    @callback
    def updated(self, update: Update) -> None:
        """Take note of a block that was read on the bus."""
        if update.block is Block.DEVICE:
            self.check_identity()
        if not self.mistaken:
            self._learn(self.station, update)

    @callback
    def reached(self, station: AskedStation, update: Update) -> None:
        """Take note of a block that was read where the pack can be set."""
        self._learn(station, update)

    def _learn(self, station: Station, update: Update) -> None:
        """Take note of what the pack has; most updates cannot tell anything new of it."""
        if update.block is not Block.LIVE:
            self._told_turn = None
        if (
            self.features is not None
            and update.block is not Block.DEVICE
            and len(station.state.values) == self._told.get(station is self.control)
            and not self.features.may_grow(update.changed)
        ):
            return
        features = station.features
        if features is None:
            return
        self._told[station is self.control] = len(station.state.values)
        features = with_followed(features, OVER_TIME)
        if self.features is not None:
            features = self.features.merged(features)
        grown = features != self.features
        self.features = features
        self._remember(features, station.state)
        if grown:
            for call in tuple(self._on_features):
                call()

    @callback
    def check_identity(self) -> None:
        """Notice that another BMS answers at this address."""
        heard = self.station.state.identity.serial_number
        known = self.serial_number
        self.mistaken = None not in (heard, known) and heard != known
        if not self.mistaken:
            clear_other_bms(self._hass, self.subentry_id)
            clear_shared_serial(self._hass, self.subentry_id)
            return
        owner = self._subentry_of(heard)
        if owner is None:
            raise_other_bms(
                self._hass, self._entry, self._subentry, self.address, str(heard)
            )
        elif self._answers_as_well(owner, heard):
            raise_shared_serial(
                self._hass,
                self._entry,
                self._subentry,
                self.address,
                owner,
                str(heard),
            )
        else:
            follow(self._hass, self._entry, owner, self.address)

    def _subentry_of(self, serial_number: str | None) -> ConfigSubentry | None:
        for subentry in bms_subentries(self._entry):
            if subentry.data.get(CONF_SERIAL_NUMBER) == serial_number:
                return subentry
        return None

    def _answers_as_well(self, owner: ConfigSubentry, serial: str | None) -> bool:
        """Tell whether the serial number was heard where it belongs, too.

        Two BMS with one serial number must not take each other's address for ever. What
        was read there may be old: it is asked again.
        """
        station = self._stations.get(owner.data[CONF_ADDRESS])
        if (
            station is None
            or station is self.station
            or not station.available
            or station.state.identity.serial_number != serial
        ):
            return False
        if isinstance(station, AskedStation):
            station.due[Block.DEVICE] = self._hass.loop.time()
        return True

    def _remember(self, features: Features, state: BmsState) -> None:
        known = self._subentry.data
        read = subentry_data(self.address, state, features)
        data: dict[str, Any] = {
            **known,
            # Who only listens never hears who it is: what was read once stays.
            **{key: known.get(key) if v is None else v for key, v in read.items()},
        }
        if (
            data == known
            or known[CONF_ADDRESS] != self.address
            or self.subentry_id not in self._entry.subentries
        ):
            return
        self._hass.config_entries.async_update_subentry(
            self._entry, self._subentry, data=data
        )
        registry = dr.async_get(self._hass)
        device = registry.async_get_device_by_identifier(
            (DOMAIN, self.subentry_id), self._entry.entry_id
        )
        if device is not None:
            registry.async_update_device(
                device.id,
                model=data[CONF_MODEL],
                serial_number=data[CONF_SERIAL_NUMBER],
                hw_version=data[CONF_HARDWARE_VERSION],
                sw_version=data[CONF_SOFTWARE_VERSION],
            )
