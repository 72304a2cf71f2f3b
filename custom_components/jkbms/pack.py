"""One BMS as Home Assistant knows it: its subentry, its device, its values."""

from collections.abc import Callable, Mapping
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo

from .const import (
    CONF_FEATURES,
    CONF_HARDWARE_VERSION,
    CONF_MODEL,
    CONF_SERIAL_NUMBER,
    CONF_SOFTWARE_VERSION,
    DOMAIN,
    MANUFACTURER,
)
from .protocol.datum import Block
from .protocol.features import Features
from .protocol.master import AskedStation
from .protocol.state import BmsState, Update
from .protocol.station import Station
from .repairs import clear_other_bms, raise_other_bms
from .subentries import bms_subentries, remembered_features, subentry_data

_LOGGER = logging.getLogger(__name__)


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
        self._stations = stations
        self.station = stations[subentry.data[CONF_ADDRESS]]
        self.features: Features | None = remembered_features(subentry.data)
        """What the BMS has: read now, else remembered, None while never read."""
        self.mistaken = False
        """Whether a BMS with another serial number answers at the address."""
        self._on_features: list[CALLBACK_TYPE] = []

    @property
    def _subentry(self) -> ConfigSubentry:
        """What is stored now; a subentry that was removed lives on until the reload."""
        self._known = self._entry.subentries.get(self._known.subentry_id, self._known)
        return self._known

    @property
    def subentry_id(self) -> str:
        """The part of every unique id that stays whatever happens to the pack."""
        return self._known.subentry_id

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return self._subentry.title

    @property
    def address(self) -> int:
        """Where it is asked."""
        return self.station.address

    @property
    def state(self) -> BmsState:
        """Its values."""
        return self.station.state

    @property
    def available(self) -> bool:
        """Whether it has answered lately, and is the one it is taken for."""
        return self.station.available and not self.mistaken

    @property
    def device_info(self) -> DeviceInfo:
        """The device of this BMS, behind the device of its bus."""
        data = self._subentry.data
        return DeviceInfo(
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
        """Take note of a block that was read."""
        if update.block is Block.DEVICE:
            self.check_identity()
        features = self.station.features
        if features is None or self.mistaken:
            return
        if self.features is not None:
            features = self.features.merged(features)
        grown = features != self.features
        self.features = features
        self._remember(features)
        if grown:
            for call in tuple(self._on_features):
                call()

    @callback
    def check_identity(self) -> None:
        """Notice that another BMS answers at this address."""
        heard = self.state.identity.serial_number
        known = self._subentry.data.get(CONF_SERIAL_NUMBER)
        self.mistaken = None not in (heard, known) and heard != known
        if not self.mistaken:
            clear_other_bms(self._hass, self.subentry_id)
            return
        owner = self._subentry_of(heard)
        if owner is not None and not self._answers_as_well(owner, heard):
            self._move_here(owner)
        else:
            raise_other_bms(
                self._hass, self._entry, self._subentry, self.address, str(heard)
            )

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

    def _move_here(self, owner: ConfigSubentry) -> None:
        """Let packs follow their DIP switches; the entry reloads by itself.

        The pack that is stored for this address gets the one that becomes free. Until
        the reload nothing is done twice, and a third pack may be part of it.
        """
        left = owner.data[CONF_ADDRESS]
        if left == self.address:
            return
        _LOGGER.info(
            "%s has moved from address %s to %s", owner.title, left, self.address
        )
        update = self._hass.config_entries.async_update_subentry
        for subentry in bms_subentries(self._entry):
            if subentry.data[CONF_ADDRESS] == self.address:
                update(
                    self._entry, subentry, data={**subentry.data, CONF_ADDRESS: left}
                )
        update(self._entry, owner, data={**owner.data, CONF_ADDRESS: self.address})

    def _remember(self, features: Features) -> None:
        known = self._subentry.data
        read = subentry_data(self.address, self.state)
        data: dict[str, Any] = {
            # Who only listens never hears who it is: what was read once stays.
            **{key: known.get(key) if v is None else v for key, v in read.items()},
            CONF_FEATURES: features.dump(),
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
