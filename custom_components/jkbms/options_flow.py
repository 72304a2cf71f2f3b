"""The options of a bus: how often it is asked, and what may be sent on it."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.config_entries import (
    ConfigFlowContext,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import UnitOfTime
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
import probatio

from .bank_flow import BankForm
from .bank_members import bank_entries
from .const import (
    CONF_ACKNOWLEDGE,
    CONF_ASK_DEVICE_INFO,
    CONF_INVERTER,
    CONF_POLL_INTERVAL,
    CONF_RETURN_TO_MASTER,
    CONF_UPDATE_INTERVAL,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_UPDATE_INTERVAL,
    MAX_POLL_INTERVAL,
    MIN_POLL_INTERVAL,
)
from .inverter_flow import InverterForm, speaks_as_bank
from .mode import ASKING, Mode, can_port, mode_of
from .soundness import damaged, flaw_in, flaw_in_data, sound_options
from .subentries import control_lines
from .tier_flow import TierForm, write_tier_field
from .tiers import allowed_by
from .transport.can_port import CanPort


class JkBmsOptionsFlow(
    BankForm[ConfigFlowContext, ConfigFlowResult, str],
    InverterForm[ConfigFlowContext, ConfigFlowResult, str],
    TierForm[ConfigFlowContext, ConfigFlowResult, str],
    OptionsFlowWithReload,
):
    """What Home Assistant may do on the lines of a bus, and what a bank is made of."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a bus that is asked."""
        if flaw := flaw_in_data(self.config_entry):
            return self.async_abort(**damaged(flaw))
        # One that could not be set up does not follow its options by itself.
        self.automatic_reload = flaw_in(self.config_entry) is not None
        if mode_of(self.config_entry) is Mode.BANK:
            return await self.async_step_bank()
        if mode_of(self.config_entry) in ASKING:
            return await self._async_show("init", user_input, _asking())
        if mode_of(self.config_entry) is Mode.CAN:
            if self._told_inverter() or bank_entries(self.hass):
                return await self.async_step_can_menu()
            return await self.async_step_can()
        if mode_of(self.config_entry) is Mode.BLE:
            return await self.async_step_bluetooth()
        if any(control_lines(self.config_entry)):
            return await self.async_step_controlled()
        return await self.async_step_listening()

    async def async_step_listening(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a bus that is only listened to."""
        return await self._async_show("listening", user_input, _listening())

    async def async_step_controlled(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a bus that is listened to and has a control line."""
        return await self._async_show(
            "controlled", user_input, _asking() | _listening()
        )

    async def async_step_can_menu(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask whether it is about the bus, or about an inverter on it."""
        told = ("inverter_off",) if self._told_inverter() else ()
        return self.async_show_menu(
            step_id="can_menu", menu_options=("can", "inverter", *told)
        )

    async def async_step_inverter_off(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Tell the inverter nothing any more; the entry reloads by itself."""
        options = dict(self._known_options())
        options.pop(CONF_INVERTER, None)
        return self.async_create_entry(data=options)

    async def async_step_can(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a CAN bus, and of its control line if it has one."""
        if any(control_lines(self.config_entry)):
            return await self.async_step_can_controlled()
        return await self._async_show(
            "can", user_input, _hearing(speaks=bool(self._told_inverter()))
        )

    async def async_step_can_controlled(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a CAN bus that has a control line."""
        return await self._async_show(
            "can_controlled",
            user_input,
            _hearing(speaks=bool(self._told_inverter())) | _asking(),
        )

    async def async_step_bluetooth(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the options of a pack on Bluetooth."""
        fields = _updating() | write_tier_field()
        return await self._async_show("bluetooth", user_input, fields)

    @override
    def _told_inverter(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self._known_options().get(CONF_INVERTER, {})
        return told

    @override
    def _speaking_port(self) -> CanPort:
        return can_port(self.config_entry)

    @override
    def _another_battery(self) -> bool:
        return speaks_as_bank(self.config_entry)

    @override
    async def _async_take_inverter(self, telling: dict[str, Any]) -> ConfigFlowResult:
        # The entry reloads by itself.
        options = {**self._known_options(), CONF_INVERTER: telling}
        return self.async_create_entry(data=options)

    @override
    def _known_options(self) -> Mapping[str, Any]:
        # What is damaged is chosen anew.
        return sound_options(self.config_entry.options)

    @override
    async def _async_take_bank(self, options: dict[str, Any]) -> ConfigFlowResult:
        # The entry reloads by itself when they have changed.
        return self.async_create_entry(data=options)

    @override
    async def _async_take_confirmed(self, values: dict[str, Any]) -> ConfigFlowResult:
        # What another mode of the bus needs stays as its owner wanted it.
        return self.async_create_entry(data={**self._known_options(), **values})

    async def _async_show(
        self, step: str, user_input: dict[str, Any] | None, fields: dict[Any, Any]
    ) -> ConfigFlowResult:
        """Show the form or store it; the entry reloads by itself when it has changed."""
        known = self._known_options()
        if user_input is not None:
            return await self._async_take_tier(user_input, before=allowed_by(known))
        schema = probatio.Schema(fields)
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, known),
        )


def _seconds() -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(
            min=MIN_POLL_INTERVAL,
            max=MAX_POLL_INTERVAL,
            step=1,
            unit_of_measurement=UnitOfTime.SECONDS,
            mode=NumberSelectorMode.SLIDER,
        )
    )


def _asking() -> dict[Any, Any]:
    return {
        probatio.Required(
            CONF_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL
        ): probatio.All(_seconds(), probatio.Coerce(int)),
        **write_tier_field(),
        probatio.Required(CONF_RETURN_TO_MASTER, default=False): BooleanSelector(),
    }


def _updating() -> dict[Any, Any]:
    return {
        probatio.Required(
            CONF_UPDATE_INTERVAL, default=DEFAULT_UPDATE_INTERVAL
        ): probatio.All(_seconds(), probatio.Coerce(int)),
    }


def _hearing(*, speaks: bool) -> dict[Any, Any]:
    fields = _updating()
    if not speaks:
        # Who speaks as a battery does not answer like an inverter.
        fields[probatio.Required(CONF_ACKNOWLEDGE, default=False)] = BooleanSelector()
    return fields


def _listening() -> dict[Any, Any]:
    return {probatio.Required(CONF_ASK_DEVICE_INFO, default=False): BooleanSelector()}
