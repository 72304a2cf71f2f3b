"""What a config subentry remembers of its BMS, and what of it has changed."""

from collections.abc import Iterator, Mapping
import logging
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import HomeAssistant, callback

from .const import (
    CONF_FEATURES,
    CONF_HARDWARE_VERSION,
    CONF_MODEL,
    CONF_PACKS,
    CONF_SERIAL_NUMBER,
    CONF_SOFTWARE_VERSION,
    SUBENTRY_BMS,
    SUBENTRY_CONTROL_LINE,
)
from .notices import notify_moved
from .plain_text import plain
from .protocol.can.machine import BANK_ADDRESS
from .protocol.features import Features
from .protocol.fields import BLUETOOTH_NAME
from .protocol.state import BmsState

_LOGGER = logging.getLogger(__name__)


def bms_subentries(entry: ConfigEntry[Any]) -> Iterator[ConfigSubentry]:
    """Yield the BMS of a bus, by address."""
    return iter(
        sorted(
            (s for s in entry.subentries.values() if s.subentry_type == SUBENTRY_BMS),
            key=lambda subentry: subentry.data[CONF_ADDRESS],
        )
    )


def control_lines(entry: ConfigEntry[Any]) -> Iterator[ConfigSubentry]:
    """Yield the lines on which packs of a bus can be asked that is listened to."""
    return (
        subentry
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_CONTROL_LINE
    )


def packs_on(line: ConfigSubentry) -> dict[int, str]:
    """Return the subentry ids of the packs of a control line, by address."""
    return {int(address): pack for address, pack in line.data[CONF_PACKS].items()}


def control_line_data(device: str, packs: Mapping[int, str]) -> dict[str, Any]:
    """Return the data of a control line."""
    return {
        CONF_DEVICE: device,
        CONF_PACKS: {str(address): packs[address] for address in sorted(packs)},
    }


@callback
def follow(
    hass: HomeAssistant, entry: ConfigEntry[Any], moved: ConfigSubentry, new: int
) -> None:
    """Let a pack follow its DIP switch; the entry reloads by itself.

    The pack that is stored for the new address gets the one that becomes free. Until
    the reload nothing is done twice, and a third pack may be part of it.
    """
    old = moved.data[CONF_ADDRESS]
    places = {moved.subentry_id: new}
    for subentry in bms_subentries(entry):
        if subentry.data[CONF_ADDRESS] == new:
            places.setdefault(subentry.subentry_id, old)
    follow_all(hass, entry, places)


@callback
def follow_all(
    hass: HomeAssistant, entry: ConfigEntry[Any], places: Mapping[str, int]
) -> None:
    """Let packs follow their DIP switches, all at once."""
    update = hass.config_entries.async_update_subentry
    moves: dict[str, tuple[int, int]] = {}
    for subentry in bms_subentries(entry):
        old = subentry.data[CONF_ADDRESS]
        new = places.get(subentry.subentry_id, old)
        if new == old:
            continue
        moves[subentry.subentry_id] = (old, new)
        _LOGGER.info(
            "%s: %s has moved from address %s to %s",
            entry.title,
            subentry.title,
            old,
            new,
        )
        notify_moved(hass, entry, subentry.subentry_id, subentry.title, old, new)
        update(entry, subentry, data={**subentry.data, CONF_ADDRESS: new})
    for line in control_lines(entry):
        # All ports of a BMS go by its DIP switch.
        packs = {
            new if address == old else address: pack
            for address, pack in packs_on(line).items()
            for old, new in (moves.get(pack, (address, address)),)
        }
        data = control_line_data(line.data[CONF_DEVICE], packs)
        update(entry, line, data=data)


@callback
def bind(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    line: ConfigSubentry,
    address: int,
    pack_id: str,
) -> None:
    """Store at which address of a control line a BMS is asked and set.

    It is there and nowhere else, and nobody else is there. The entry reloads by itself.
    """
    for other in control_lines(entry):
        packs = {a: p for a, p in packs_on(other).items() if p != pack_id}
        if other.subentry_id == line.subentry_id:
            packs[address] = pack_id
        data = control_line_data(other.data[CONF_DEVICE], packs)
        hass.config_entries.async_update_subentry(entry, other, data=data)


@callback
def learn_serial(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    pack_id: str,
    serial_number: str | None,
) -> None:
    """Store the serial number of a BMS that was found out on another way."""
    subentry = entry.subentries.get(pack_id)
    if subentry is None or serial_number is None:
        return
    data = {**subentry.data, CONF_SERIAL_NUMBER: serial_number}
    hass.config_entries.async_update_subentry(entry, subentry, data=data)


def subentry_data(
    address: int, state: BmsState, features: Features | None
) -> dict[str, Any]:
    """Return what to remember of a BMS at an address."""
    identity = state.identity
    return {
        CONF_ADDRESS: address,
        CONF_SERIAL_NUMBER: identity.serial_number,
        CONF_MODEL: identity.model,
        CONF_HARDWARE_VERSION: identity.hardware_version,
        CONF_SOFTWARE_VERSION: identity.software_version,
        CONF_FEATURES: None if features is None else features.dump(),
    }


def remembered_features(data: Mapping[str, Any]) -> Features | None:
    """Return what was learnt about a BMS when it was last read; damaged, it is learnt anew."""
    features = data.get(CONF_FEATURES)
    if not isinstance(features, Mapping):
        return None
    try:
        return Features.load(features)
    except ValueError as error:
        _LOGGER.warning("What was learnt about a BMS cannot be used: %s", error)
        return None


def heard_bms(address: int, data: Mapping[str, Any]) -> ConfigSubentry:
    """Return the subentry of a BMS that was heard and not asked who it is."""
    return ConfigSubentry(
        data=MappingProxyType(dict(data)),
        subentry_type=SUBENTRY_BMS,
        title=heard_title(address),
        unique_id=None,
    )


def asked_bms(entry: ConfigEntry[Any], address: int, state: BmsState) -> ConfigSubentry:
    """Return the subentry of a BMS that was asked who it is."""
    return ConfigSubentry(
        data=MappingProxyType(subentry_data(address, state, state.features)),
        subentry_type=SUBENTRY_BMS,
        title=free_title(entry, address, state),
        unique_id=None,
    )


def free_title(entry: ConfigEntry[Any], address: int, state: BmsState) -> str:
    """Return the name for a BMS that is added to a bus; no other has it there."""
    title = suggested_title(address, state)
    taken = {other.title for other in bms_subentries(entry)}
    return f"{title} {address}" if title in taken else title


def heard_title(address: int) -> str:
    """Return the name of a BMS of which nothing but its address is known."""
    return "JK BMS bank" if address == BANK_ADDRESS else f"JK BMS {address}"


def suggested_title(address: int, state: BmsState) -> str:
    """Return the name its owner gave a BMS in JK's app, else one with its address.

    By default the Bluetooth name is a serial number or the model, which tells nobody
    which pack it is.
    """
    told = state.get(BLUETOOTH_NAME)
    identity = state.identity
    name = "" if told is None else plain(told)
    if not name or told in (identity.serial_number, identity.model):
        return heard_title(address)
    if name.isdigit() or name.upper().startswith(("JK-", "JK_")):
        return heard_title(address)
    return name
