"""The flows that help to mend what Repairs tells of."""

from typing import TYPE_CHECKING, Any, Final

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .const import CONF_FEATURES, CONF_SERIAL_NUMBER
from .mode import Mode, bus_data, mode_of
from .subentries import asked_bms, bind, bms_subentries, learn_serial

if TYPE_CHECKING:
    from .coordinator import JkBmsConfigEntry

_PACK: Final = "pack"


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
