"""The options of a bus: how often it is asked, and whether it may be written to."""

from typing import Any

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import UnitOfTime
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
import probatio

from .const import (
    CONF_ALLOW_WRITING,
    CONF_POLL_INTERVAL,
    DEFAULT_POLL_INTERVAL,
    MAX_POLL_INTERVAL,
    MIN_POLL_INTERVAL,
)
from .mode import Mode, mode_of


class JkBmsOptionsFlow(OptionsFlow):
    """How often a bus is asked, and whether its packs may be written to."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options; the entry reloads by itself when they have changed."""
        if mode_of(self.config_entry) is Mode.LISTENER:
            return self.async_abort(reason="listening")
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        schema = probatio.Schema(
            {
                probatio.Required(
                    CONF_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL
                ): probatio.All(
                    NumberSelector(
                        NumberSelectorConfig(
                            min=MIN_POLL_INTERVAL,
                            max=MAX_POLL_INTERVAL,
                            step=1,
                            unit_of_measurement=UnitOfTime.SECONDS,
                            mode=NumberSelectorMode.SLIDER,
                        )
                    ),
                    probatio.Coerce(int),
                ),
                probatio.Required(CONF_ALLOW_WRITING, default=False): BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                schema, self.config_entry.options
            ),
        )
