"""What only the owner of the packs can mend, said in Repairs until it is mended."""

from collections.abc import Iterable, Mapping, Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_SERIAL_NUMBER, DOMAIN
from .plain_text import plain
from .protocol.datum import Block
from .protocol.plausibility import Implausible
from .protocol.settings_diff import Difference
from .protocol.state import Identity
from .transport.health import Trouble
from .wording import name_of, show_of

if TYPE_CHECKING:
    from .pack import Pack

_FOREIGN_MASTER: Final = "foreign_master"
_OTHER_BMS: Final = "other_bms"
_SHARED_SERIAL: Final = "shared_serial"
_SHARED_ADDRESS: Final = "shared_address"
_CONTROL_FOREIGN_MASTER: Final = "control_foreign_master"
_CONTROL_STRANGER: Final = "control_stranger"
_CONTROL_CHOICE: Final = "control_choice"
_WRITE_IGNORED: Final = "write_ignored"
_VALUES_REFUSED: Final = "values_refused"
_SETTINGS_REFUSED: Final = "settings_refused"
_IDENTITY_MISSING: Final = "identity_missing"
_VALUES_MISSING: Final = "values_missing"
_SETTINGS_MISSING: Final = "settings_missing"
_NEWCOMER: Final = "newcomer"
_WRITE_LOOP: Final = "write_loop"
_SETTINGS_DRIFT: Final = "settings_drift"
_INVERTER_SILENT: Final = "inverter_silent"
_INVERTER_OTHER_BATTERY: Final = "inverter_other_battery"
_SHOWN: Final = 6
"""Differences that are spelt out; an issue is no table."""


@callback
def _raise(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    kind: str,
    of: str,
    placeholders: dict[str, str],
    *,
    fixable: bool = True,
    severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
    **data: str | int,
) -> None:
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{kind}_{of}",
        is_fixable=fixable,
        severity=severity,
        translation_key=kind,
        translation_placeholders={"bus": entry.title, **placeholders},
        data={"kind": kind, "entry_id": entry.entry_id, **data},
    )


@callback
def _clear(hass: HomeAssistant, kind: str, of: str) -> None:
    ir.async_delete_issue(hass, DOMAIN, f"{kind}_{of}")


@callback
def clear_issues(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Take back whatever was found wrong on a bus."""
    registry = ir.async_get(hass)
    for domain, issue_id in tuple(registry.issues):
        issue = registry.async_get_issue(domain, issue_id)
        if domain != DOMAIN or issue is None or issue.data is None:
            continue
        if issue.data.get("entry_id") == entry.entry_id:
            registry.async_delete(DOMAIN, issue_id)


def raise_foreign_master(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Say that another master has the bus and that nothing is asked any more."""
    _raise(hass, entry, _FOREIGN_MASTER, entry.entry_id, {})


def clear_foreign_master(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Take the issue back: this side asks again."""
    _clear(hass, _FOREIGN_MASTER, entry.entry_id)


def raise_other_bms(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    subentry: ConfigSubentry,
    address: int,
    serial_number: str,
) -> None:
    """Say that an unknown BMS answers at the address of a known one."""
    _raise(
        hass,
        entry,
        _OTHER_BMS,
        subentry.subentry_id,
        {
            "pack": subentry.title,
            "address": str(address),
            "known": plain(str(subentry.data[CONF_SERIAL_NUMBER])),
            "heard": plain(serial_number),
        },
        subentry_id=subentry.subentry_id,
        serial_number=serial_number,
    )


def clear_other_bms(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: the known BMS answers again."""
    _clear(hass, _OTHER_BMS, subentry_id)


def raise_shared_serial(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    subentry: ConfigSubentry,
    address: int,
    owner: ConfigSubentry,
    serial_number: str,
) -> None:
    """Say that one serial number is heard at two addresses."""
    _raise(
        hass,
        entry,
        _SHARED_SERIAL,
        subentry.subentry_id,
        {
            "pack": subentry.title,
            "address": str(address),
            "owner": owner.title,
            "heard": plain(serial_number),
        },
        fixable=False,
    )


def clear_shared_serial(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: each BMS has its own serial number."""
    _clear(hass, _SHARED_SERIAL, subentry_id)


def raise_shared_address(
    hass: HomeAssistant, entry: ConfigEntry[Any], pack: Pack
) -> None:
    """Say that two packs speak with one address."""
    _raise(
        hass,
        entry,
        _SHARED_ADDRESS,
        pack.subentry_id,
        {"pack": pack.name, "address": str(pack.address)},
        fixable=False,
    )


def clear_shared_address(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: one pack speaks at the address."""
    _clear(hass, _SHARED_ADDRESS, subentry_id)


def raise_control_foreign_master(
    hass: HomeAssistant, entry: ConfigEntry[Any], line_id: str, line: str
) -> None:
    """Say that another master asks on a control line."""
    _raise(hass, entry, _CONTROL_FOREIGN_MASTER, line_id, {"line": line})


def clear_control_foreign_master(hass: HomeAssistant, line_id: str) -> None:
    """Take the issue back: this side asks again."""
    _clear(hass, _CONTROL_FOREIGN_MASTER, line_id)


def raise_control_stranger(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    pack: Pack,
    line_id: str,
    address: int,
    serial_number: str,
) -> None:
    """Say that on a control line another BMS answers than the one expected there."""
    _raise(
        hass,
        entry,
        _CONTROL_STRANGER,
        f"{line_id}_{address}",
        {
            "pack": pack.name,
            "address": str(address),
            "known": plain(str(pack.serial_number)),
            "heard": plain(serial_number),
        },
        fixable=False,
    )


def clear_control_stranger(hass: HomeAssistant, line_id: str, address: int) -> None:
    """Take the issue back: the BMS that is expected there answers."""
    _clear(hass, _CONTROL_STRANGER, f"{line_id}_{address}")


def raise_control_choice(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    line_id: str,
    address: int,
    serial_number: str,
    packs: Iterable[Pack],
) -> None:
    """Ask which of several packs a BMS on a control line is."""
    _raise(
        hass,
        entry,
        _CONTROL_CHOICE,
        f"{line_id}_{address}",
        {
            "address": str(address),
            "heard": plain(serial_number),
            "packs": ", ".join(pack.name for pack in packs),
        },
        line_id=line_id,
        address=address,
        serial_number=serial_number,
        # What an issue carries is flat.
        packs=",".join(pack.subentry_id for pack in packs),
    )


def clear_control_choice(hass: HomeAssistant, line_id: str, address: int) -> None:
    """Take the question back: it is known which pack it is."""
    _clear(hass, _CONTROL_CHOICE, f"{line_id}_{address}")


def raise_trouble(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    trouble: Trouble,
    figures: Mapping[str, str],
) -> None:
    """Say what is wrong with a bus, and what mends it."""
    _raise(hass, entry, trouble, entry.entry_id, dict(figures), fixable=False)


def clear_trouble(
    hass: HomeAssistant, entry: ConfigEntry[Any], trouble: Trouble
) -> None:
    """Take the issue back: it is mended."""
    _clear(hass, trouble, entry.entry_id)


def tell_refused(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    pack: Pack,
    refused: Mapping[Block, Implausible],
) -> None:
    """Say that what a pack tells has not been believed for long, or take it back."""
    settings = refused.get(Block.SETTINGS)
    values = next((why for b, why in refused.items() if b is not Block.SETTINGS), None)
    # A pack of which nothing is believed has one trouble, not two.
    for kind, reason in (
        (_VALUES_REFUSED, values),
        (_SETTINGS_REFUSED, None if values else settings),
    ):
        if reason is None:
            _clear(hass, kind, pack.subentry_id)
        else:
            placeholders = {"pack": pack.name, "reason": reason.value}
            _raise(hass, entry, kind, pack.subentry_id, placeholders, fixable=False)


def tell_missing(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    pack: Pack,
    missing: AbstractSet[Block],
) -> None:
    """Say what a pack that answers has not told for long, or take it back."""
    for kind, block in (
        (_IDENTITY_MISSING, Block.DEVICE),
        (_VALUES_MISSING, Block.LIVE),
        (_SETTINGS_MISSING, Block.SETTINGS),
    ):
        if block in missing:
            placeholders = {"pack": pack.name}
            _raise(hass, entry, kind, pack.subentry_id, placeholders, fixable=False)
        else:
            _clear(hass, kind, pack.subentry_id)


def raise_write_ignored(
    hass: HomeAssistant, entry: ConfigEntry[Any], pack: Pack
) -> None:
    """Say that a pack acknowledges changes and does not make them."""
    placeholders = {"pack": pack.name}
    _raise(hass, entry, _WRITE_IGNORED, pack.subentry_id, placeholders, fixable=False)


def clear_write_ignored(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: the pack has made a change."""
    _clear(hass, _WRITE_IGNORED, subentry_id)


def raise_newcomer(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    address: int,
    identity: Identity,
) -> None:
    """Say that a BMS answers at an address where none is set up."""
    _raise(
        hass,
        entry,
        _NEWCOMER,
        f"{entry.entry_id}_{address}",
        {
            "address": str(address),
            "model": plain(identity.model or "JK BMS"),
            "serial_number": plain(identity.serial_number or "?"),
        },
        severity=ir.IssueSeverity.WARNING,
        address=address,
    )


def clear_newcomer(hass: HomeAssistant, entry: ConfigEntry[Any], address: int) -> None:
    """Take the issue back: nobody answers there any more."""
    _clear(hass, _NEWCOMER, f"{entry.entry_id}_{address}")


def raise_write_loop(
    hass: HomeAssistant, entry: ConfigEntry[Any], pack: Pack, setting: str
) -> None:
    """Say that something changes a setting again and again."""
    placeholders = {"pack": pack.name, "setting": setting}
    _raise(hass, entry, _WRITE_LOOP, pack.subentry_id, placeholders, fixable=False)


def clear_write_loop(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: a change was made at leisure."""
    _clear(hass, _WRITE_LOOP, subentry_id)


def raise_settings_drift(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    pack: Pack,
    reference: Pack,
    found: Iterable[Difference],
) -> None:
    """Say that packs side by side do not protect themselves alike."""
    lines = [
        f"- {name_of(hass, one.field)}: {show_of(hass, one.field, one.value)}"
        f" ({show_of(hass, one.field, one.reference)})"
        for one in found
    ]
    more = len(lines) - _SHOWN
    if more > 0:
        lines[_SHOWN:] = [f"- … +{more}"]
    _raise(
        hass,
        entry,
        _SETTINGS_DRIFT,
        pack.subentry_id,
        {
            "pack": pack.name,
            "reference": reference.name,
            "differences": "\n".join(lines),
        },
        fixable=False,
        severity=ir.IssueSeverity.WARNING,
    )


def clear_settings_drift(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: the packs are set alike."""
    _clear(hass, _SETTINGS_DRIFT, subentry_id)


def raise_inverter_silent(
    hass: HomeAssistant, entry: ConfigEntry[Any], detail: str, *, other_battery: bool
) -> None:
    """Say that the inverter is told nothing any more."""
    clear_inverter_silent(hass, entry)
    kind = _INVERTER_OTHER_BATTERY if other_battery else _INVERTER_SILENT
    _raise(hass, entry, kind, entry.entry_id, {"detail": detail}, fixable=False)


def clear_inverter_silent(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Take the issue back: the inverter is told of the bank."""
    for kind in (_INVERTER_OTHER_BATTERY, _INVERTER_SILENT):
        _clear(hass, kind, entry.entry_id)
