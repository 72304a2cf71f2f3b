"""How a bank is set up and changed: which packs it is made of, how many have to answer."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigFlow,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.data_entry_flow import FlowContext, FlowHandler, FlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .bank_members import all_packs, bank_entries, known_packs, names_of, packs_of
from .const import BANK_UNIQUE_ID, CONF_MIN_PACKS, CONF_PACKS
from .mode import bank_data

CONF_ALL_PACKS: Final = "all_packs"
_TITLE: Final = "Battery bank"


class BankForm[
    ContextT: FlowContext,
    ResultT: FlowResult[Any, Any],
    HandlerT,
](FlowHandler[ContextT, ResultT, HandlerT]):
    """Asks which packs a bank is made of."""

    @abstractmethod
    def _known_options(self) -> Mapping[str, Any]:
        """Return the options that a bank has, nothing for a new one."""

    @abstractmethod
    async def _async_take_bank(self, options: dict[str, Any]) -> ResultT:
        """Take what was chosen."""

    async def async_step_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask for the packs and how many of them have to answer."""
        errors: dict[str, str] = {}
        if user_input is not None:
            options = _options(user_input)
            found = len(packs_of(self.hass, options))
            if not found:
                errors[CONF_PACKS] = "no_packs"
            elif options.get(CONF_MIN_PACKS, 0) > found:
                errors[CONF_MIN_PACKS] = "too_many"
            else:
                return await self._async_take_bank(options)
        known = self._known_options()
        names = names_of(known_packs(self.hass))
        shown = user_input or {
            **known,
            CONF_ALL_PACKS: CONF_PACKS not in known,
            # What has been removed meanwhile cannot be chosen any more.
            CONF_PACKS: [one for one in known.get(CONF_PACKS, ()) if one in names],
        }
        return self.async_show_form(
            step_id="bank",
            data_schema=self.add_suggested_values_to_schema(_schema(names), shown),
            errors=errors,
        )


class BankFlow(BankForm[ConfigFlowContext, ConfigFlowResult, str], ConfigFlow):
    """Sets up a bank, as a person wants it or as it is offered."""

    async def async_step_integration_discovery(
        self, discovery_info: Any
    ) -> ConfigFlowResult:
        """Offer a bank of the packs that are known."""
        await self.async_set_unique_id(BANK_UNIQUE_ID)
        self._abort_if_unique_id_configured()
        self.context["title_placeholders"] = {"name": _TITLE}
        return await self.async_step_bank_offered()

    async def async_step_bank_offered(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Create a bank of all packs when its owner wants one."""
        packs = all_packs(self.hass)
        if user_input is None:
            self._set_confirm_only()
            return self.async_show_form(
                step_id="bank_offered",
                data_schema=probatio.Schema({}),
                description_placeholders={
                    "packs": ", ".join(names_of(packs).values()),
                    "count": str(len(packs)),
                },
            )
        return await self._async_take_bank({})

    @override
    async def async_step_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the packs of a bank; the first one is the one that is offered."""
        if self.source != SOURCE_RECONFIGURE and not bank_entries(self.hass):
            await self.async_set_unique_id(BANK_UNIQUE_ID, raise_on_progress=False)
        return await super().async_step_bank(user_input)

    @override
    def _known_options(self) -> Mapping[str, Any]:
        if self.source != SOURCE_RECONFIGURE:
            return {}
        return self._get_reconfigure_entry().options

    @override
    async def _async_take_bank(self, options: dict[str, Any]) -> ConfigFlowResult:
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            return self.async_update_and_abort(entry, options=options)
        others = [entry.title for entry in bank_entries(self.hass)]
        return self.async_create_entry(
            title=_free_title(others), data=bank_data(), options=options
        )


def _options(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of a form; what is left to the integration is not stored."""
    options: dict[str, Any] = {}
    if not user_input[CONF_ALL_PACKS]:
        options[CONF_PACKS] = user_input.get(CONF_PACKS, [])
    if (fewest := user_input.get(CONF_MIN_PACKS)) is not None:
        options[CONF_MIN_PACKS] = fewest
    return options


def whole_packs() -> probatio.All[Any]:
    """Return the field for a number of packs; a selector takes NaN for a number."""
    config = NumberSelectorConfig(min=1, step=1, mode=NumberSelectorMode.BOX)
    return probatio.All(NumberSelector(config), probatio.Coerce(int))


def _free_title(taken: Collection[str]) -> str:
    """Return a name that no other bank has."""
    if _TITLE not in taken:
        return _TITLE
    return next(t for n in count(2) if (t := f"{_TITLE} {n}") not in taken)


def _schema(names: Mapping[str, str]) -> probatio.Schema:
    return probatio.Schema(
        {
            probatio.Required(CONF_ALL_PACKS, default=True): BooleanSelector(),
            probatio.Optional(CONF_PACKS): SelectSelector(
                SelectSelectorConfig(
                    options=[
                        SelectOptionDict(value=pack_id, label=name)
                        for pack_id, name in names.items()
                    ],
                    multiple=True,
                    mode=SelectSelectorMode.LIST,
                )
            ),
            probatio.Optional(CONF_MIN_PACKS): whole_packs(),
        }
    )
