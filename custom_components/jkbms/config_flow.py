"""How a bus or a bank is set up: listen, ask or follow, show who is there; and changed later."""

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowContext,
    ConfigFlowResult,
    ConfigSubentryData,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import probatio

from .bank_flow import BankFlow
from .bank_members import FEWEST_PACKS, bank_entries, known_packs
from .ble_flow import BleFlow, async_meet_at
from .bluetooth_use import has_bluetooth
from .bus_flow import addresses_after, is_met, moves, paused
from .can_flow import CanFlow, shown
from .choices import CHOICES, NEVER_ANYWAY
from .const import (
    CONF_INVERTER,
    CONF_PACKS,
    CONF_POLL_INTERVAL,
    CONF_SERIAL_NUMBER,
    CONF_UPDATE_INTERVAL,
    CONF_WRITE_TIER,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_UPDATE_INTERVAL,
    DOMAIN,
    SUBENTRY_BMS,
    SUBENTRY_CONTROL_LINE,
)
from .control_flow import ControlLineFlow
from .inverter_flow import InverterForm, moved_to
from .line_flow import LineFlow
from .mode import (
    ASKING,
    Mode,
    ble_address,
    ble_data,
    bus_data,
    can_data,
    can_port,
    device_of,
    mode_of,
)
from .options_flow import JkBmsOptionsFlow
from .ports import async_name
from .protocol.ble.station import ADDRESS as BLE_ADDRESS
from .protocol.can.machine import BANK_ADDRESS
from .protocol.can.survey import CanFinding
from .protocol.state import BmsState
from .soundness import damaged, flaw_in
from .subentries import bms_subentries, heard_title, subentry_data, suggested_title
from .subentry_flow import BmsSubentryFlow
from .tier_flow import TierForm, write_tier_field
from .tiers import WriteTier
from .transport.can_port import CanPort, Channel
from .transport.can_probe import CanHeard
from .transport.link import is_modbus
from .transport.probe import Scanned

_LISTEN_SHARE: Final = 0.3
"""Of the progress bar, when a known line is listened to and scanned in one go."""


class JkBmsConfigFlow(
    LineFlow[ConfigFlowContext, ConfigFlowResult, str],
    CanFlow,
    BleFlow,
    BankFlow,
    InverterForm[ConfigFlowContext, ConfigFlowResult, str],
    TierForm[ConfigFlowContext, ConfigFlowResult, str],
    ConfigFlow,
    domain=DOMAIN,
):
    """Sets up one bus: one line with the packs on it; or a bank of packs."""

    VERSION = 1
    MINOR_VERSION = 1

    _asked_in = Mode.MASTER
    """In which protocol those answered who were found."""

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the flow behind the entry's options."""
        return JkBmsOptionsFlow()

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return the flows that add a BMS, or a line on which to ask those heard."""
        if flaw_in(config_entry) or mode_of(config_entry) in (Mode.BANK, Mode.BLE):
            return {}
        flows: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_BMS: BmsSubentryFlow}
        if mode_of(config_entry) not in ASKING:
            flows[SUBENTRY_CONTROL_LINE] = ControlLineFlow
        return flows

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what kind of bus it is, or whether it is a bank of packs that are known."""
        kinds = ["rs485", "can"]
        if has_bluetooth(self.hass):
            kinds.append("ble")
        if len(list(known_packs(self.hass))) >= FEWEST_PACKS:
            kinds.append("bank")
        return self.async_show_menu(step_id="user", menu_options=kinds)

    async def async_step_rs485(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port of a new RS485 bus."""
        return await self._async_ask_port("rs485", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port that a bus has moved to."""
        entry = self._get_reconfigure_entry()
        if flaw := flaw_in(entry):
            return self.async_abort(**damaged(flaw))
        if mode_of(entry) is Mode.BANK:
            return await self.async_step_bank()
        if mode_of(entry) is Mode.CAN:
            self._can_port = can_port(entry)
            return await self.async_step_can()
        if mode_of(entry) is Mode.BLE:
            if not has_bluetooth(self.hass):
                return self.async_abort(reason="no_bluetooth")
            self._ble_address = ble_address(entry)
            return await self.async_step_ble()
        self._device = self._device or self._get_reconfigure_entry().data[CONF_DEVICE]
        return await self._async_ask_port("reconfigure", user_input)

    @override
    async def async_step_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen to the line, silently."""
        if self._is_known_line:
            return self._show_look("listen", "check", self._async_check)
        return await super().async_step_listen(user_input)

    async def async_step_known_line(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what shall be done on a line that is asked already."""
        return self._show_choices("known_line")

    async def async_step_overrule(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Warn before asking where somebody else was heard."""
        return self._show_choices("overrule")

    async def async_step_follow(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what listening can and cannot do, then make it the mode of the bus."""
        if user_input is None:
            return self.async_show_form(
                step_id="follow",
                data_schema=probatio.Schema({}),
                description_placeholders=self._placeholders,
            )
        if self.source != SOURCE_RECONFIGURE:
            return await self._async_create(
                {a: (heard_title(a), BmsState()) for a in self._heard},
                Mode.LISTENER,
                WriteTier.OFF,
            )
        entry = self._get_reconfigure_entry()
        async with paused(self.hass, entry):
            await self._async_apply(entry, Mode.LISTENER)
        return await self.async_step_reconfigured()

    async def async_step_older_protocol(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that packs answered in the older protocol, and what would be better."""
        return self._show_choices("older_protocol")

    async def async_step_take_older(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask in the older protocol from now on."""
        self._asked_in = Mode.TTL
        if self.source != SOURCE_RECONFIGURE:
            return await self.async_step_confirm()
        entry = self._get_reconfigure_entry()
        async with paused(self.hass, entry):
            await self._async_apply(entry, Mode.TTL)
        return await self.async_step_reconfigured()

    async def async_step_strangers(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that none of the packs on this line is one of the entry's."""
        return self._show_choices("strangers")

    async def async_step_address_0(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that a pack at address 0 cannot be asked through this gateway."""
        return self._show_choices("address_0")

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who answered, and create the entry with the packs that are wanted."""
        errors = {}
        if user_input is not None:
            if user_input[CONF_PACKS]:
                return await self._async_take_tier(user_input, before=WriteTier.OFF)
            errors[CONF_PACKS] = "no_packs"
        taken = self._serials_elsewhere()
        options = [
            SelectOptionDict(value=str(address), label=f"{address}: {title}")
            for address, title in self._titles().items()
        ]
        fresh = [
            str(address)
            for address, state in self._found.items()
            if state.identity.serial_number not in taken
        ]
        schema = probatio.Schema(
            {
                probatio.Required(CONF_PACKS, default=fresh): SelectSelector(
                    SelectSelectorConfig(
                        options=options, multiple=True, mode=SelectSelectorMode.LIST
                    )
                ),
            }
            | write_tier_field()
        )
        return self.async_show_form(
            step_id="confirm",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders=self._placeholders,
        )

    @override
    async def _async_take_confirmed(self, values: dict[str, Any]) -> ConfigFlowResult:
        if self._ble_address is not None:
            return self._create_ble(WriteTier(values[CONF_WRITE_TIER]))
        titles = self._titles()
        wanted = sorted(map(int, values[CONF_PACKS]))
        return await self._async_create(
            {a: (titles[a], self._found[a]) for a in wanted},
            self._asked_in,
            WriteTier(values[CONF_WRITE_TIER]),
        )

    async def async_step_use_anyway(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the new port although none of the entry's packs was met there."""
        entry = self._get_reconfigure_entry()
        async with paused(self.hass, entry):
            await self._async_apply(entry, Mode.MASTER)
        return await self.async_step_reconfigured()

    async def async_step_reconfigured(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the bus uses the port now."""
        return self.async_update_and_abort(self._get_reconfigure_entry())

    @property
    @override
    def _port_step(self) -> str:
        return "reconfigure" if self.source == SOURCE_RECONFIGURE else "rs485"

    @property
    def _is_known_line(self) -> bool:
        """Whether the entry asks on this very line already, with its owner's consent."""
        if self.source != SOURCE_RECONFIGURE:
            return False
        entry = self._get_reconfigure_entry()
        asks = mode_of(entry) in ASKING
        return asks and self._device == entry.data[CONF_DEVICE]

    @property
    @override
    def _own_line(self) -> str | None:
        return self.context.get("entry_id")

    async def _async_ask_port(
        self, step: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        if user_input is None or not await self._async_take_port(user_input):
            return self._show_port(step)
        if self._is_known_line:
            return await self.async_step_known_line()
        return await self.async_step_listen()

    @override
    async def _async_refuse_can(self, port: CanPort) -> None:
        await self._async_refuse_used(device_of(can_data(port)))

    @override
    async def _async_hear(self, port: CanPort) -> CanHeard:
        async with paused(self.hass, self._paused_entry()):
            return await super()._async_hear(port)

    @override
    async def _async_take_can(
        self,
        port: CanPort,
        heard: CanHeard | None,
        telling: dict[str, Any] | None = None,
    ) -> ConfigFlowResult:
        title = await self._async_can_title(port)
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if entry.title != await self._async_can_title(can_port(entry)):
                title = entry.title
            data, kept = can_data(port), moved_to(entry, port, heard)
            save = self.async_update_and_abort
            return save(entry, title=title, data=data, options=kept)
        addresses = [pack.address for pack in heard.packs] if heard else []
        if heard is not None and heard.finding is CanFinding.BANK:
            addresses = [BANK_ADDRESS]
        options: dict[str, Any] = {CONF_UPDATE_INTERVAL: DEFAULT_UPDATE_INTERVAL}
        if telling is not None:
            options[CONF_INVERTER] = telling
        return self.async_create_entry(
            title=title,
            data=can_data(port),
            options=options,
            subentries=[
                ConfigSubentryData(
                    subentry_type=SUBENTRY_BMS,
                    title=heard_title(address),
                    data=subentry_data(address, BmsState(), None),
                    unique_id=None,
                )
                for address in addresses
            ],
        )

    @property
    @override
    def _speaking(self) -> tuple[str, ...]:
        """A new bus on which nobody else speaks may be that of an inverter."""
        new = self.source != SOURCE_RECONFIGURE
        return ("inverter",) if new and bank_entries(self.hass) else ()

    @override
    def _told_inverter(self) -> Mapping[str, Any]:
        return {}

    @override
    def _speaking_port(self) -> CanPort:
        return self._found_port(self._can_heard)

    @override
    def _another_battery(self) -> bool:
        # The flow has listened, and nobody was heard.
        return False

    @override
    async def _async_take_inverter(self, telling: dict[str, Any]) -> ConfigFlowResult:
        port = self._speaking_port()
        await self._async_refuse_can(port)
        return await self._async_take_can(port, None, telling)

    async def _async_can_title(self, port: CanPort) -> str:
        """Return what a person calls the adapter."""
        if port.traits.channel is Channel.DEVICE and port.channel is not None:
            return await async_name(self.hass, port.channel)
        return shown(port)

    @override
    async def _async_refuse_ble(self, address: str) -> None:
        if self.source == SOURCE_RECONFIGURE:
            return await self._async_refuse_used(ble_data(address)[CONF_DEVICE])
        await self.async_set_unique_id(
            address, raise_on_progress=self.source != SOURCE_USER
        )
        self._abort_if_unique_id_configured(error="already_configured_ble")
        return None

    @override
    async def _async_meet(self, address: str) -> BmsState:
        async with paused(self.hass, self._paused_entry()):
            return await async_meet_at(self, address)

    @override
    async def _async_met(self) -> str:
        if self.source != SOURCE_RECONFIGURE:
            return "ble_known" if self._owner_of_serial() else "ble_confirm"
        serial = self._ble_state.identity.serial_number
        known = [p.data for p in bms_subentries(self._get_reconfigure_entry())]
        if any(p.get(CONF_SERIAL_NUMBER) not in (None, serial) for p in known):
            return "ble_stranger"
        return "ble_use"

    async def async_step_ble_stranger(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that it is not the pack of the entry."""
        return self._show_ble("ble_stranger", ("ble", "ble_use"))

    async def async_step_ble_use(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Give the entry the pack that was chosen."""
        assert self._ble_address is not None
        entry = self._get_reconfigure_entry()
        for subentry in bms_subentries(entry):
            data = subentry_data(BLE_ADDRESS, self._ble_state, self._ble_state.features)
            self.hass.config_entries.async_update_subentry(entry, subentry, data=data)
        return self.async_update_and_abort(
            entry, data=ble_data(self._ble_address), unique_id=self._ble_address
        )

    @override
    async def _async_take_tier_of_ble(
        self, user_input: dict[str, Any]
    ) -> ConfigFlowResult:
        return await self._async_take_tier(user_input, before=WriteTier.OFF)

    def _create_ble(self, allowed: WriteTier) -> ConfigFlowResult:
        assert self._ble_address is not None
        state = self._ble_state
        told = suggested_title(BLE_ADDRESS, state)
        title = self._ble_name if told == heard_title(BLE_ADDRESS) else told
        return self.async_create_entry(
            title=self._ble_name,
            data=ble_data(self._ble_address),
            options={
                CONF_UPDATE_INTERVAL: DEFAULT_UPDATE_INTERVAL,
                CONF_WRITE_TIER: allowed.value,
            },
            subentries=[
                ConfigSubentryData(
                    subentry_type=SUBENTRY_BMS,
                    title=title,
                    data=subentry_data(BLE_ADDRESS, state, state.features),
                    unique_id=None,
                )
            ],
        )

    @override
    def _choices(self, step: str) -> tuple[str, ...]:
        options = CHOICES[step]
        if self.source == SOURCE_RECONFIGURE and step not in NEVER_ANYWAY:
            options = (*options, "use_anyway")
        return options

    @override
    def _paused_entry(self) -> ConfigEntry | None:
        if self.source != SOURCE_RECONFIGURE:
            return None
        return self._get_reconfigure_entry()

    @override
    async def _async_scanned(self, scanned: Scanned) -> str:
        self._asked_in = Mode.MASTER
        if self.source != SOURCE_RECONFIGURE:
            return "confirm"
        entry = self._get_reconfigure_entry()
        if not (is_met(entry, self._found) or self._sole_place(entry, Mode.MASTER)):
            return "strangers"
        if is_modbus(self._device) and 0 in addresses_after(entry, self._found):
            return "address_0"
        await self._async_apply(entry, Mode.MASTER)
        return "reconfigured"

    @override
    async def _async_scanned_older(self) -> str:
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if mode_of(entry) is Mode.TTL and is_met(entry, self._found):
                await self._async_apply(entry, Mode.TTL)
                return "reconfigured"
        return "older_protocol"

    def _sole_place(self, entry: ConfigEntry, mode: Mode) -> dict[str, int]:
        """Return where the only pack of an entry is, in the other protocol.

        The older one tells no serial number, and knows another address of a pack.
        """
        packs = [subentry.subentry_id for subentry in bms_subentries(entry)]
        other = (mode_of(entry) is Mode.TTL) is not (mode is Mode.TTL)
        if not other or len(packs) != 1 or len(self._found) != 1:
            return {}
        return {packs[0]: next(iter(self._found))}

    async def _async_check(self) -> str:
        """Listen and scan at once: the entry has asked on this line before."""
        step = await self._async_listen(_LISTEN_SHARE)
        return await self._async_scan(_LISTEN_SHARE) if step == "confirm_scan" else step

    def _serials_elsewhere(self) -> set[str]:
        """Return the serial numbers of the packs of other buses."""
        return {
            serial
            for pack in known_packs(self.hass)
            if (serial := pack.subentry.data.get(CONF_SERIAL_NUMBER))
        }

    def _titles(self) -> dict[int, str]:
        """Return a name for each pack that no other pack here has."""
        titles = {a: suggested_title(a, state) for a, state in self._found.items()}
        names = list(titles.values())
        return {
            address: name if names.count(name) == 1 else f"{name} {address}"
            for address, name in titles.items()
        }

    async def _async_create(
        self,
        packs: Mapping[int, tuple[str, BmsState]],
        mode: Mode,
        allowed: WriteTier,
    ) -> ConfigFlowResult:
        title = await async_name(self.hass, self._device)
        # Another flow may have taken the port while this one was open.
        await self._async_refuse_used()
        return self.async_create_entry(
            title=title,
            data=bus_data(self._device, mode),
            options={
                CONF_POLL_INTERVAL: DEFAULT_POLL_INTERVAL,
                CONF_WRITE_TIER: allowed.value,
            },
            subentries=[
                ConfigSubentryData(
                    subentry_type=SUBENTRY_BMS,
                    title=name,
                    data=subentry_data(address, state, state.features),
                    unique_id=None,
                )
                for address, (name, state) in packs.items()
            ],
        )

    async def _async_apply(self, entry: ConfigEntry, mode: Mode) -> None:
        """Give the paused entry its new port and mode, and its packs their new addresses."""
        manager = self.hass.config_entries
        old = entry.data[CONF_DEVICE]
        title = entry.title
        places = moves(entry, self._found) | self._sole_place(entry, mode)
        if title == await async_name(self.hass, old):
            title = await async_name(self.hass, self._device)
        manager.async_update_entry(
            entry, title=title, data=bus_data(self._device, mode)
        )
        for subentry_id, address in places.items():
            subentry = entry.subentries[subentry_id]
            manager.async_update_subentry(
                entry, subentry, data={**subentry.data, CONF_ADDRESS: address}
            )
