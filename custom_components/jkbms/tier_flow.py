"""How the owner of a bus chooses which settings may be changed; what guards the cells takes a second yes."""

from abc import abstractmethod
from typing import Any, Final

from homeassistant.data_entry_flow import FlowContext, FlowHandler, FlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_load_integrations
import probatio

from .const import CONF_WRITE_TIER, DOMAIN
from .protocol.datum import Tier
from .tiers import WriteTier, names_of

CONF_UNDERSTOOD: Final = "understood"


def write_tier_field() -> dict[Any, Any]:
    """Return the field of a form that asks which settings may be changed."""
    selector = SelectSelector(
        SelectSelectorConfig(
            options=[tier.value for tier in WriteTier],
            mode=SelectSelectorMode.LIST,
            translation_key=CONF_WRITE_TIER,
        )
    )
    return {
        probatio.Required(CONF_WRITE_TIER, default=WriteTier.OFF.value): selector,
    }


class TierForm[
    ContextT: FlowContext,
    ResultT: FlowResult[Any, Any],
    HandlerT,
](FlowHandler[ContextT, ResultT, HandlerT]):
    """Asks a second time before settings that guard the cells may be changed."""

    def __init__(self) -> None:
        """Start with nothing to confirm."""
        super().__init__()
        self._unconfirmed: dict[str, Any] = {}

    @abstractmethod
    async def _async_take_confirmed(self, values: dict[str, Any]) -> ResultT:
        """Take the form that held the choice; it was confirmed where that is needed."""

    async def _async_take_tier(
        self, values: dict[str, Any], *, before: WriteTier
    ) -> ResultT:
        """Take a form with the choice, at once unless it newly opens what guards the cells."""
        chosen = values.get(CONF_WRITE_TIER)
        if chosen == WriteTier.PROTECTION and before is not WriteTier.PROTECTION:
            self._unconfirmed = values
            return await self.async_step_confirm_protection()
        return await self._async_take_confirmed(values)

    async def async_step_confirm_protection(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """List what is opened and what can happen, and go on when that is understood."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_UNDERSTOOD]:
                return await self._async_take_confirmed(self._unconfirmed)
            errors[CONF_UNDERSTOOD] = "not_understood"
        # The names of the settings; no bus need have been set up before.
        await async_load_integrations(self.hass, {DOMAIN})
        return self.async_show_form(
            step_id="confirm_protection",
            data_schema=probatio.Schema(
                {probatio.Required(CONF_UNDERSTOOD, default=False): BooleanSelector()}
            ),
            errors=errors,
            description_placeholders={
                "settings": ", ".join(names_of(self.hass, Tier.PROTECTION))
            },
        )
