"""How an owner has an inverter told of a bank: which, in which language, and how much."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import (
    CONF_ADDRESS,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
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

from .bank_flow import whole_packs
from .bank_members import bank_entries, packs_of
from .const import (
    CONF_BANK,
    CONF_CHARGE_CURRENT,
    CONF_CHARGE_VOLTAGE,
    CONF_DISCHARGE_CURRENT,
    CONF_INVERTER,
    CONF_LANGUAGE,
    CONF_MIN_PACKS,
    CONF_POLL_INTERVAL,
    CONF_UPDATE_INTERVAL,
)
from .inverter_telling import bank_of, rules_of
from .protocol.can.machine import BANK_ADDRESS, CanListener
from .protocol.can.survey import CanFinding
from .protocol.inverter.languages import Language
from .protocol.inverter.limits import FRESH_FOR, Reason, judge
from .subentries import bms_subentries
from .tier_flow import CONF_UNDERSTOOD
from .transport.can_port import BITRATES, CanPort
from .transport.can_probe import CanHeard

if TYPE_CHECKING:
    from .coordinator import BusCoordinator

_SLOWEST: Final = FRESH_FOR / 2
"""Seconds between two readings of a pack: one may get lost before they are too old."""
_MOST_VOLTS: Final = 150
_MOST_AMPERES: Final = 1200
_LIMITS: Final = (CONF_CHARGE_VOLTAGE, CONF_CHARGE_CURRENT, CONF_DISCHARGE_CURRENT)


class InverterForm[
    ContextT: FlowContext,
    ResultT: FlowResult[Any, Any],
    HandlerT,
](FlowHandler[ContextT, ResultT, HandlerT]):
    """Asks what an inverter is told, and whether its owner has understood what that is."""

    def __init__(self) -> None:
        """Start with nothing to confirm."""
        super().__init__()
        self._telling: dict[str, Any] = {}

    @abstractmethod
    def _told_inverter(self) -> Mapping[str, Any]:
        """Return what is told now, nothing where nothing is."""

    @abstractmethod
    def _speaking_port(self) -> CanPort:
        """Return the adapter that would have to speak."""

    @abstractmethod
    def _another_battery(self) -> bool:
        """Tell whether a battery speaks to an inverter on this bus."""

    @abstractmethod
    async def _async_take_inverter(self, telling: dict[str, Any]) -> ResultT:
        """Take what was chosen and confirmed."""

    async def async_step_inverter(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Ask for the bank, the language of the inverter, and the limits."""
        errors: dict[str, str] = {}
        if user_input is not None:
            self._telling = _telling(user_input)
            errors = self._wrong(self._telling)
            if not errors:
                return await self.async_step_confirm_inverter()
        banks = {entry.entry_id: entry.title for entry in bank_entries(self.hass)}
        shown = user_input or self._told_inverter()
        return self.async_show_form(
            step_id="inverter",
            data_schema=self.add_suggested_values_to_schema(_schema(banks), shown),
            errors=errors,
        )

    async def async_step_confirm_inverter(
        self, user_input: dict[str, Any] | None = None
    ) -> ResultT:
        """Say what it is and what it is not, and go on when that is understood."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_UNDERSTOOD]:
                return await self._async_take_inverter(self._telling)
            errors[CONF_UNDERSTOOD] = "inverter_not_understood"
        bank = self.hass.config_entries.async_get_entry(self._telling[CONF_BANK])
        return self.async_show_form(
            step_id="confirm_inverter",
            data_schema=probatio.Schema(
                {probatio.Required(CONF_UNDERSTOOD, default=False): BooleanSelector()}
            ),
            errors=errors,
            description_placeholders={"bank": "" if bank is None else bank.title},
        )

    def _wrong(self, telling: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong, by field."""
        if self._another_battery():
            return {"base": "another_battery"}
        if not _reaches_inverter(self._speaking_port()):
            return {"base": "wrong_bitrate"}
        bank = self.hass.config_entries.async_get_entry(telling[CONF_BANK])
        packs = [] if bank is None else packs_of(self.hass, bank.options)
        if not packs:
            return {CONF_BANK: "no_packs"}
        if telling.get(CONF_MIN_PACKS, 0) > len(packs):
            return {CONF_MIN_PACKS: "too_many"}
        if any(pack.is_whole_bank for pack in packs):
            return {CONF_BANK: "not_told"}
        if any(_interval(pack.bus) > _SLOWEST for pack in packs):
            return {CONF_BANK: "too_slow"}
        running = bank_of(self.hass, telling[CONF_BANK])
        if running is not None:
            now = self.hass.loop.time()
            verdict = judge(running.sights(), rules_of(telling), now)
            decided = (verdict.voltage, verdict.charge, verdict.discharge)
            if any(advice.reason is Reason.NOT_TOLD for advice in decided):
                return {CONF_BANK: "not_told"}
        return {}


def _reaches_inverter(port: CanPort) -> bool:
    """Tell whether an adapter has the bit rate of inverters; some have it set elsewhere."""
    return port.bitrate in (None, BITRATES[0])


def moved_to(
    entry: ConfigEntry[Any], port: CanPort, heard: CanHeard | None
) -> dict[str, Any]:
    """Return the options of an entry on another bus; no inverter is told where batteries speak."""
    options = dict(entry.options)
    batteries = (CanFinding.PACKS, CanFinding.BANK)
    if not _reaches_inverter(port) or (heard and heard.finding in batteries):
        options.pop(CONF_INVERTER, None)
    return options


def speaks_as_bank(entry: ConfigEntry[Any]) -> bool:
    """Tell whether a battery on the CAN bus of an entry speaks to an inverter."""
    if any(pack.data[CONF_ADDRESS] == BANK_ADDRESS for pack in bms_subentries(entry)):
        return True
    if entry.state is not ConfigEntryState.LOADED:
        return False
    bus: BusCoordinator = entry.runtime_data
    if bus.inverter is not None and bus.inverter.teller.status.battery is not None:
        return True
    # One that began to speak a moment ago is not set up yet.
    machine = bus.machine
    return isinstance(machine, CanListener) and machine.hears_bank


def _interval(bus: ConfigEntry[Any]) -> float:
    """Return how often a pack of a bus is read at most, s; 0 where others decide that."""
    options = bus.options
    return float(
        options.get(CONF_POLL_INTERVAL) or options.get(CONF_UPDATE_INTERVAL, 0)
    )


def _telling(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store of a form; what is left to the packs is not stored."""
    telling: dict[str, Any] = {
        CONF_BANK: user_input[CONF_BANK],
        CONF_LANGUAGE: user_input[CONF_LANGUAGE],
    }
    if (fewest := user_input.get(CONF_MIN_PACKS)) is not None:
        telling[CONF_MIN_PACKS] = fewest
    telling |= {
        key: float(user_input[key])
        for key in _LIMITS
        if user_input.get(key) is not None
    }
    return telling


def _number(most: float, unit: str, least: float = 0.0) -> probatio.All[Any]:
    config = NumberSelectorConfig(
        min=least,
        max=most,
        step=0.1,
        unit_of_measurement=unit,
        mode=NumberSelectorMode.BOX,
    )
    # A selector takes NaN, which no limit holds back.
    return probatio.All(NumberSelector(config), probatio.Range(min=least, max=most))


def _schema(banks: Mapping[str, str]) -> probatio.Schema:
    amperes = _number(_MOST_AMPERES, UnitOfElectricCurrent.AMPERE)
    return probatio.Schema(
        {
            probatio.Required(CONF_BANK, default=next(iter(banks), "")): SelectSelector(
                SelectSelectorConfig(
                    options=[
                        SelectOptionDict(value=bank_id, label=title)
                        for bank_id, title in banks.items()
                    ],
                    mode=SelectSelectorMode.DROPDOWN,
                )
            ),
            probatio.Required(CONF_LANGUAGE): SelectSelector(
                SelectSelectorConfig(
                    options=[language.value for language in Language],
                    mode=SelectSelectorMode.DROPDOWN,
                    translation_key="inverter_language",
                )
            ),
            probatio.Optional(CONF_MIN_PACKS): whole_packs(),
            probatio.Optional(CONF_CHARGE_VOLTAGE): _number(
                _MOST_VOLTS, UnitOfElectricPotential.VOLT, 10.0
            ),
            probatio.Optional(CONF_CHARGE_CURRENT): amperes,
            probatio.Optional(CONF_DISCHARGE_CURRENT): amperes,
        }
    )
