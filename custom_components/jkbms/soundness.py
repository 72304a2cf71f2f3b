"""What is stored of a bus may be damaged, or of a later version: it is looked at before it is used."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypedDict

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE, CONF_MODE
from homeassistant.core import HomeAssistant, callback

from .const import (
    CONF_ACKNOWLEDGE,
    CONF_ASK_DEVICE_INFO,
    CONF_BANK,
    CONF_CAN,
    CONF_CHARGE_CURRENT,
    CONF_CHARGE_VOLTAGE,
    CONF_DISCHARGE_CURRENT,
    CONF_HARDWARE_VERSION,
    CONF_INVERTER,
    CONF_LANGUAGE,
    CONF_MIN_PACKS,
    CONF_MODEL,
    CONF_PACKS,
    CONF_POLL_INTERVAL,
    CONF_RETURN_TO_MASTER,
    CONF_SERIAL_NUMBER,
    CONF_SOFTWARE_VERSION,
    CONF_UPDATE_INTERVAL,
    CONF_WRITE_TIER,
    DOMAIN,
    SUBENTRY_BMS,
    SUBENTRY_CONTROL_LINE,
)
from .mode import Mode
from .protocol.can.machine import BANK_ADDRESS
from .protocol.fields import MAX_ADDRESS
from .protocol.inverter.languages import Language
from .protocol.recall import number_in, whole_in
from .tiers import WriteTier
from .transport.can_port import CanPort

_HOUR: Final = 3600
_MOST: Final = 1_000_000
"""No pack has so many volts or amperes, and no bank so many packs."""
_LONGEST: Final = 100
"""Characters; what a BMS tells of itself has 24 at most."""


class DamagedReason(TypedDict):
    """What `async_abort` takes."""

    reason: str
    description_placeholders: dict[str, str]


type _Check = Callable[[Any], bool]


@callback
def sound_entries(hass: HomeAssistant) -> list[ConfigEntry[Any]]:
    """Return the entries that can be used; one that is damaged must not spoil the others."""
    entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
    return [entry for entry in entries if flaw_in(entry) is None]


def flaw_in(entry: ConfigEntry[Any]) -> str | None:
    """Return where what is stored of an entry cannot be used, such as `options.poll_interval`."""
    return next(_flaws(entry), None)


def flaw_in_data(entry: ConfigEntry[Any]) -> str | None:
    """Return what cannot be used and cannot be chosen anew in the options."""
    return next((f for f in _flaws(entry) if not f.startswith("options.")), None)


def damaged(flaw: str) -> DamagedReason:
    """Return why a dialog about a damaged entry ends at once."""
    return {
        "reason": "damaged_entry",
        "description_placeholders": {"flaw": flaw},
    }


def sound_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that can be used."""
    flaws = {*_misfits(options, _OPTIONS)}
    return {key: value for key, value in options.items() if key not in flaws}


def _flaws(entry: ConfigEntry[Any]) -> Iterator[str]:
    data = entry.data
    if not _is_one_of(Mode)(mode := data.get(CONF_MODE, Mode.MASTER)):
        yield f"data.{CONF_MODE}"
        return
    if mode != Mode.BANK and not _is_text(data.get(CONF_DEVICE)):
        yield f"data.{CONF_DEVICE}"
    if (mode == Mode.CAN or CONF_CAN in data) and not _is_can(data.get(CONF_CAN)):
        yield f"data.{CONF_CAN}"
    for key in _misfits(entry.options, _OPTIONS):
        yield f"options.{key}"
    for subentry in entry.subentries.values():
        for key in _misfits_of(subentry):
            yield f"{subentry.title}: {key}"


def _misfits_of(subentry: ConfigSubentry) -> Iterator[str]:
    match subentry.subentry_type:
        case str(kind) if kind == SUBENTRY_BMS:
            yield from _misfits(subentry.data, _PACK, needed=(CONF_ADDRESS,))
        case str(kind) if kind == SUBENTRY_CONTROL_LINE:
            needed = (CONF_DEVICE, CONF_PACKS)
            yield from _misfits(subentry.data, _CONTROL_LINE, needed=needed)
        case _:
            pass


def _misfits(
    data: Mapping[str, Any],
    checks: Mapping[str, _Check],
    *,
    needed: tuple[str, ...] = (),
) -> Iterator[str]:
    """Yield the keys whose values are not what they have to be."""
    for key, fits in checks.items():
        if key in data or key in needed:
            if not fits(data.get(key)):
                yield key


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _is_choice(value: Any) -> bool:
    return isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    seconds = number_in(value, 0, _HOUR)
    return seconds is not None and seconds > 0


def _is_limit(value: Any) -> bool:
    return value is None or number_in(value, 0, _MOST) is not None


def _is_count(value: Any) -> bool:
    return value is None or whole_in(value, 1, _MOST) is not None


def _is_one_of(names: type[Mode | WriteTier | Language]) -> _Check:
    return lambda value: isinstance(value, str) and value in {*names}


def _is_known(value: Any) -> bool:
    """Tell whether something was read of a BMS as text, or not read."""
    return value is None or (
        isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()
    )


def _is_address(value: Any) -> bool:
    return value == BANK_ADDRESS or whole_in(value, 0, MAX_ADDRESS) is not None


def _is_can(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        port = CanPort.load(value)
    except TypeError, ValueError:
        return False
    return _is_known(port.channel) and _is_known(port.host)


def _is_packs(value: Any) -> bool:
    """Tell whether these are packs by address, as a control line has them."""
    return isinstance(value, Mapping) and all(
        isinstance(pack, str)
        and isinstance(address, str)
        and address.isdecimal()
        and int(address) <= MAX_ADDRESS
        for address, pack in value.items()
    )


def _is_chosen(value: Any) -> bool:
    """Tell whether these are packs as a bank has them."""
    return isinstance(value, list) and all(isinstance(pack, str) for pack in value)


def _is_telling(value: Any) -> bool:
    needed = (CONF_BANK, CONF_LANGUAGE)
    return isinstance(value, Mapping) and not any(
        _misfits(value, _TELLING, needed=needed)
    )


_OPTIONS: Final[Mapping[str, _Check]] = {
    CONF_POLL_INTERVAL: _is_seconds,
    CONF_UPDATE_INTERVAL: _is_seconds,
    CONF_WRITE_TIER: _is_one_of(WriteTier),
    CONF_RETURN_TO_MASTER: _is_choice,
    CONF_ASK_DEVICE_INFO: _is_choice,
    CONF_ACKNOWLEDGE: _is_choice,
    CONF_PACKS: _is_chosen,
    CONF_MIN_PACKS: _is_count,
    CONF_INVERTER: _is_telling,
}
_TELLING: Final[Mapping[str, _Check]] = {
    CONF_BANK: _is_text,
    CONF_LANGUAGE: _is_one_of(Language),
    CONF_MIN_PACKS: _is_count,
    CONF_CHARGE_VOLTAGE: _is_limit,
    CONF_CHARGE_CURRENT: _is_limit,
    CONF_DISCHARGE_CURRENT: _is_limit,
}
_PACK: Final[Mapping[str, _Check]] = {
    CONF_ADDRESS: _is_address,
    CONF_SERIAL_NUMBER: _is_known,
    CONF_MODEL: _is_known,
    CONF_HARDWARE_VERSION: _is_known,
    CONF_SOFTWARE_VERSION: _is_known,
}
_CONTROL_LINE: Final[Mapping[str, _Check]] = {
    CONF_DEVICE: _is_text,
    CONF_PACKS: _is_packs,
}
