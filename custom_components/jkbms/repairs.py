"""What only the owner of the packs can mend, and the flows that help with it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .const import CONF_FEATURES, CONF_SERIAL_NUMBER, DOMAIN
from .mode import Mode, bus_data, mode_of
from .protocol.state import Identity
from .subentries import asked_bms, bind, bms_subentries, learn_serial
from .transport.health import Trouble

if TYPE_CHECKING:
    from .coordinator import JkBmsConfigEntry
    from .pack import Pack

_FOREIGN_MASTER: Final = "foreign_master"
_OTHER_BMS: Final = "other_bms"
_SHARED_SERIAL: Final = "shared_serial"
_SHARED_ADDRESS: Final = "shared_address"
_CONTROL_FOREIGN_MASTER: Final = "control_foreign_master"
_CONTROL_STRANGER: Final = "control_stranger"
_CONTROL_CHOICE: Final = "control_choice"
_WRITE_IGNORED: Final = "write_ignored"
_NEWCOMER: Final = "newcomer"
_PACK: Final = "pack"


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
            "known": str(subentry.data[CONF_SERIAL_NUMBER]),
            "heard": serial_number,
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
            "heard": serial_number,
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
            "known": str(pack.serial_number),
            "heard": serial_number,
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
            "heard": serial_number,
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
            "model": identity.model or "JK BMS",
            "serial_number": identity.serial_number or "?",
        },
        severity=ir.IssueSeverity.WARNING,
        address=address,
    )


def clear_newcomer(hass: HomeAssistant, entry: ConfigEntry[Any], address: int) -> None:
    """Take the issue back: nobody answers there any more."""
    _clear(hass, _NEWCOMER, f"{entry.entry_id}_{address}")


class _ForeignMasterFlow(RepairsFlow):
    """Ask again, now that the other master is gone; or listen to it from now on."""

    def __init__(self, entry_id: str) -> None:
        self._entry_id = entry_id

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        # The older protocol is asked or nothing.
        older = entry is not None and mode_of(entry) is Mode.TTL
        return self.async_show_menu(
            step_id="init",
            menu_options=("ask_again",) if older else ("listen", "ask_again"),
            description_placeholders=issue.translation_placeholders if issue else None,
        )

    async def async_step_ask_again(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        entries = self.hass.config_entries
        if entries.async_get_entry(self._entry_id):
            entries.async_schedule_reload(self._entry_id)
        return self.async_create_entry(data={})

    async def async_step_listen(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        entries = self.hass.config_entries
        if entry := entries.async_get_entry(self._entry_id):
            # The entry reloads by itself.
            data = bus_data(entry.data[CONF_DEVICE], Mode.LISTENER)
            entries.async_update_entry(entry, data=data)
        return self.async_create_entry(data={})


class _AskAgainFlow(ConfirmRepairFlow):
    """Ask again on a control line, now that the other master is gone."""

    def __init__(self, entry_id: str) -> None:
        self._entry_id = entry_id

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        entries = self.hass.config_entries
        if user_input is not None and entries.async_get_entry(self._entry_id):
            entries.async_schedule_reload(self._entry_id)
        return await super().async_step_confirm(user_input)


class _AddBmsFlow(ConfirmRepairFlow):
    """Set up a BMS that answers where none was."""

    def __init__(self, entry_id: str, address: int) -> None:
        self._entry_id = entry_id
        self._address = address

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        if user_input is not None and not await self._added():
            return self.async_abort(
                reason="nothing_answered",
                description_placeholders={"address": str(self._address)},
            )
        return await super().async_step_confirm(user_input)

    async def _added(self) -> bool:
        """Ask who is there now, and add it; the entry reloads by itself."""
        entry: JkBmsConfigEntry | None = self.hass.config_entries.async_get_entry(
            self._entry_id
        )
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return False
        state = await entry.runtime_data.async_identify(self._address)
        if state is None:
            return False
        if self._address not in {s.data[CONF_ADDRESS] for s in bms_subentries(entry)}:
            self.hass.config_entries.async_add_subentry(
                entry, asked_bms(entry, self._address, state)
            )
        return True


class _AcceptBmsFlow(ConfirmRepairFlow):
    """Let a replaced BMS continue the history of the one before."""

    def __init__(self, entry_id: str, subentry_id: str, serial_number: str) -> None:
        self._entry_id = entry_id
        self._subentry_id = subentry_id
        self._serial_number = serial_number

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        if user_input is not None:
            self._accept()
        return await super().async_step_confirm(user_input)

    def _accept(self) -> None:
        entries = self.hass.config_entries
        entry = entries.async_get_entry(self._entry_id)
        # Both may have been removed while the form was open.
        if entry is None or self._subentry_id not in entry.subentries:
            return
        subentry = entry.subentries[self._subentry_id]
        data = {
            **subentry.data,
            CONF_SERIAL_NUMBER: self._serial_number,
            # It may have other cells and probes.
            CONF_FEATURES: None,
        }
        entries.async_update_subentry(entry, subentry, data=data)
        entries.async_schedule_reload(self._entry_id)


class _ChoosePackFlow(RepairsFlow):
    """Say which pack a BMS on a control line is."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        return await self.async_step_choose()

    async def async_step_choose(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        entry = self.hass.config_entries.async_get_entry(self._data["entry_id"])
        # The entry, its line or its packs may have been removed meanwhile.
        known = {} if entry is None else entry.subentries
        packs = [known[one] for one in self._data["packs"].split(",") if one in known]
        if entry is None or self._data["line_id"] not in known or not packs:
            return self.async_create_entry(data={})
        if user_input is not None:
            pack = user_input[_PACK]
            learn_serial(self.hass, entry, pack, self._data["serial_number"])
            line = known[self._data["line_id"]]
            bind(self.hass, entry, line, self._data["address"], pack)
            return self.async_create_entry(data={})
        options = [SelectOptionDict(value=s.subentry_id, label=s.title) for s in packs]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
        )
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        return self.async_show_form(
            step_id="choose",
            data_schema=probatio.Schema({probatio.Required(_PACK): selector}),
            description_placeholders=issue.translation_placeholders if issue else None,
        )


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the flow that mends an issue."""
    assert data is not None
    match data["kind"]:
        case "foreign_master":
            return _ForeignMasterFlow(data["entry_id"])
        case "control_foreign_master":
            return _AskAgainFlow(data["entry_id"])
        case "newcomer":
            return _AddBmsFlow(data["entry_id"], data["address"])
        case "control_choice":
            return _ChoosePackFlow(data)
        case _:
            return _AcceptBmsFlow(
                data["entry_id"], data["subentry_id"], data["serial_number"]
            )
