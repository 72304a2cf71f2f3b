"""How one BMS is added to a bus, and how its address is changed."""

from typing import Any, override

import probatio

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_ADDRESS
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .bus_flow import UNKNOWN, describe
from .const import CONF_SERIAL_NUMBER
from .coordinator import JkBmsConfigEntry
from .protocol.fields import MAX_ADDRESS
from .protocol.state import BmsState
from .subentries import bms_subentries, subentry_data, suggested_title


class BmsSubentryFlow(ConfigSubentryFlow):
    """Asks an address who is there, and shows it before anything is stored."""

    def __init__(self) -> None:
        """Start with nobody asked."""
        self._address: int | None = None
        self._state = BmsState()

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the address of a BMS that is new on the bus."""
        return await self._async_ask("user", user_input, None)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for the address that a BMS has now."""
        return await self._async_ask(
            "reconfigure", user_input, self._get_reconfigure_subentry()
        )
