"""What a config subentry remembers of its BMS, and what of it has changed."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS

from .const import (
    CONF_FEATURES,
    CONF_HARDWARE_VERSION,
    CONF_MODEL,
    CONF_SERIAL_NUMBER,
    CONF_SOFTWARE_VERSION,
    SUBENTRY_BMS,
)
from .protocol.datum import ALL_BLOCKS, Block
from .protocol.features import Features
from .protocol.fields import BLUETOOTH_NAME
from .protocol.state import BmsState


def bms_subentries(entry: ConfigEntry[Any]) -> Iterator[ConfigSubentry]:
    """Yield the BMS of a bus, by address."""
    return iter(
        sorted(
            (s for s in entry.subentries.values() if s.subentry_type == SUBENTRY_BMS),
            key=lambda subentry: subentry.data[CONF_ADDRESS],
        )
    )


def subentry_data(
    address: int, state: BmsState, blocks: frozenset[Block] = ALL_BLOCKS
) -> dict[str, Any]:
    """Return what to remember of a BMS of which these blocks were read at an address."""
    identity = state.identity
    features = state.features_from(blocks)
    return {
        CONF_ADDRESS: address,
        CONF_SERIAL_NUMBER: identity.serial_number,
        CONF_MODEL: identity.model,
        CONF_HARDWARE_VERSION: identity.hardware_version,
        CONF_SOFTWARE_VERSION: identity.software_version,
        CONF_FEATURES: None if features is None else features.dump(),
    }


def remembered_features(data: Mapping[str, Any]) -> Features | None:
    """Return what was learnt about a BMS when it was last read."""
    features = data.get(CONF_FEATURES)
    return None if features is None else Features.load(features)


def heard_bms(address: int, data: Mapping[str, Any]) -> ConfigSubentry:
    """Return the subentry of a BMS that was heard and not asked who it is."""
    return ConfigSubentry(
        data=MappingProxyType(dict(data)),
        subentry_type=SUBENTRY_BMS,
        title=heard_title(address),
        unique_id=None,
    )


def heard_title(address: int) -> str:
    """Return the name of a BMS of which nothing but its address is known."""
    return f"JK BMS {address}"


def suggested_title(address: int, state: BmsState) -> str:
    """Return the name its owner gave a BMS in JK's app, else one with its address.

    By default the Bluetooth name is a serial number or the model, which tells nobody
    which pack it is.
    """
    name = state.get(BLUETOOTH_NAME)
    identity = state.identity
    if name is None or name in (identity.serial_number, identity.model):
        return heard_title(address)
    if name.isdigit() or name.upper().startswith(("JK-", "JK_")):
        return heard_title(address)
    return name
