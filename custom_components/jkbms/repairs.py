"""What only the owner of the packs can mend, and the flows that help with it."""

from typing import Any

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import CONF_DEVICE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from .const import CONF_FEATURES, CONF_SERIAL_NUMBER, DOMAIN
from .mode import Mode, bus_data

_FOREIGN_MASTER = "foreign_master"
_OTHER_BMS = "other_bms"


def raise_foreign_master(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Say that another master has the bus and that nothing is asked any more."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_FOREIGN_MASTER}_{entry.entry_id}",
        is_fixable=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key=_FOREIGN_MASTER,
        translation_placeholders={"bus": entry.title},
        data={"entry_id": entry.entry_id},
    )


def clear_foreign_master(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Take the issue back: this side asks again."""
    ir.async_delete_issue(hass, DOMAIN, f"{_FOREIGN_MASTER}_{entry.entry_id}")


def raise_other_bms(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    subentry: ConfigSubentry,
    address: int,
    serial_number: str,
) -> None:
    """Say that an unknown BMS answers at the address of a known one."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{_OTHER_BMS}_{subentry.subentry_id}",
        is_fixable=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key=_OTHER_BMS,
        translation_placeholders={
            "pack": subentry.title,
            "address": str(address),
            "known": str(subentry.data[CONF_SERIAL_NUMBER]),
            "heard": serial_number,
        },
        data={
            "entry_id": entry.entry_id,
            "subentry_id": subentry.subentry_id,
            "serial_number": serial_number,
        },
    )


def clear_other_bms(hass: HomeAssistant, subentry_id: str) -> None:
    """Take the issue back: the known BMS answers again."""
    ir.async_delete_issue(hass, DOMAIN, f"{_OTHER_BMS}_{subentry_id}")


class _ForeignMasterFlow(RepairsFlow):
    """Ask again, now that the other master is gone; or listen to it from now on."""

    def __init__(self, entry_id: str) -> None:
        self._entry_id = entry_id

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        return self.async_show_menu(
            step_id="init",
            menu_options=("listen", "ask_again"),
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


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the flow that mends an issue."""
    assert data is not None
    if issue_id.startswith(_FOREIGN_MASTER):
        return _ForeignMasterFlow(data["entry_id"])
    return _AcceptBmsFlow(data["entry_id"], data["subentry_id"], data["serial_number"])
