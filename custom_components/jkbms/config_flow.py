"""How a bus is set up: listen, ask or follow, show who is there; and changed later."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
import logging
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryData,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_ADDRESS, CONF_DEVICE
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    SerialPortSelector,
)
import probatio

from .bus_flow import UNKNOWN, describe, is_met, moves, paused
from .const import (
    CONF_ALLOW_WRITING,
    CONF_POLL_INTERVAL,
    CONF_SERIAL_NUMBER,
    DEFAULT_POLL_INTERVAL,
    DOMAIN,
    SUBENTRY_BMS,
)
from .mode import Mode, bus_data, mode_of
from .options_flow import JkBmsOptionsFlow
from .ports import async_name, async_resolve, async_same_port
from .protocol.state import BmsState
from .protocol.survey import LISTEN_FOR, Finding
from .subentries import bms_subentries, heard_title, subentry_data, suggested_title
from .subentry_flow import BmsSubentryFlow
from .transport.link import LinkError, LinkFault
from .transport.probe import async_listen, async_scan

_LOGGER = logging.getLogger(__name__)

CONF_PACKS: Final = "packs"
_LISTEN_SHARE: Final = 0.3
"""Of the progress bar, when a known line is listened to and scanned in one go."""
_EXAMPLES: Final = {
    "gateway": "192.168.1.50:8899",
    "rfc2217": "rfc2217://192.168.1.50:4000",
}
_CHOICES: Final = {
    "confirm_scan": ("scan", "listen", "follow", "port"),
    Finding.SILENCE: ("scan", "follow", "port"),
    Finding.FOREIGN_MASTER: ("follow", "listen", "port", "overrule"),
    "overrule": ("scan", "follow", "port"),
    Finding.NOISE: ("listen", "scan", "port"),
    Finding.LEGACY_PROTOCOL: ("listen", "scan", "port"),
    Finding.CUT_FRAMES: ("listen", "scan", "port"),
    Finding.MODBUS_TCP: ("scan", "port"),
    "strangers": ("scan", "port"),
}
"""What can be done about each finding. The names are steps of the flow."""
_NEVER_ANYWAY: Final = ("confirm_scan", Finding.FOREIGN_MASTER)
"""A line is asked before it is taken; and asking where another master asks takes a warning."""


class JkBmsConfigFlow(ConfigFlow, domain=DOMAIN):
    """Sets up one bus: one line with the packs on it."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Start with nothing known of the line."""
        self._device = ""
        self._errors: dict[str, str] = {}
        self._look: asyncio.Task[str] | None = None
        self._heard: tuple[int, ...] = ()
        self._found: dict[int, BmsState] = {}

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
        """Return the flow that adds and moves a BMS."""
        return {SUBENTRY_BMS: BmsSubentryFlow}

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port of a new bus."""
        return await self._async_ask_port("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port that a bus has moved to."""
        self._device = self._device or self._get_reconfigure_entry().data[CONF_DEVICE]
        return await self._async_ask_port("reconfigure", user_input)

    async def async_step_port(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go back to the port."""
        return self._show_port(self._port_step)

    async def async_step_listen(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Listen to the line, silently."""
        if self._is_known_line:
            return self._show_look("listen", "check", self._async_check)
        return self._show_look("listen", "listen", self._async_listen)

    async def async_step_scan(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask every address who is there."""
        return self._show_look("scan", "scan", self._async_scan)

    async def async_step_confirm_scan(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask before the first byte is sent."""
        return self._show_choices("confirm_scan")

    async def async_step_silence(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what to check when nobody answers."""
        return self._show_choices(Finding.SILENCE)

    async def async_step_foreign_master(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that somebody else asks on this line, and offer to listen to it."""
        return self._show_choices(Finding.FOREIGN_MASTER)

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
                allow_writing=False,
            )
        entry = self._get_reconfigure_entry()
        async with paused(self.hass, entry):
            await self._async_apply(entry, Mode.LISTENER)
        return await self.async_step_reconfigured()

    async def async_step_noise(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say why bytes may make no sense."""
        return self._show_choices(Finding.NOISE)

    async def async_step_legacy_protocol(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the pack speaks JK's older protocol."""
        return self._show_choices(Finding.LEGACY_PROTOCOL)

    async def async_step_cut_frames(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the adapter or the gateway loses bytes."""
        return self._show_choices(Finding.CUT_FRAMES)

    async def async_step_modbus_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that the gateway translates."""
        return self._show_choices(Finding.MODBUS_TCP)

    async def async_step_strangers(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that none of the packs on this line is one of the entry's."""
        return self._show_choices("strangers")

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show who answered, and create the entry with the packs that are wanted."""
        errors = {}
        if user_input is not None:
            wanted = sorted(map(int, user_input[CONF_PACKS]))
            if wanted:
                titles = self._titles()
                return await self._async_create(
                    {a: (titles[a], self._found[a]) for a in wanted},
                    Mode.MASTER,
                    allow_writing=user_input[CONF_ALLOW_WRITING],
                )
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
                probatio.Required(CONF_ALLOW_WRITING, default=False): BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="confirm",
            data_schema=self.add_suggested_values_to_schema(schema, user_input),
            errors=errors,
            description_placeholders=self._placeholders,
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
    def _port_step(self) -> str:
        return "reconfigure" if self.source == SOURCE_RECONFIGURE else "user"

    @property
    def _is_known_line(self) -> bool:
        """Whether the entry asks on this very line already, with its owner's consent."""
        if self.source != SOURCE_RECONFIGURE:
            return False
        entry = self._get_reconfigure_entry()
        asks = mode_of(entry) is Mode.MASTER
        return asks and self._device == entry.data[CONF_DEVICE]

    @property
    def _placeholders(self) -> dict[str, str]:
        rows = [describe(address, state) for address, state in self._found.items()]
        return {
            "port": self._device,
            "seconds": f"{LISTEN_FOR:g}",
            "heard": ", ".join(map(str, self._heard)) or UNKNOWN,
            "found": "\n".join(rows),
            "count": str(len(rows)),
        }

    async def _async_ask_port(
        self, step: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        if user_input is None:
            return self._show_port(step)
        self._errors = {}
        device = await async_resolve(self.hass, user_input[CONF_DEVICE])
        self._device = device or user_input[CONF_DEVICE]
        if device is None:
            self._errors = {CONF_DEVICE: LinkFault.INVALID_ADDRESS}
            return self._show_port(step)
        await self._async_abort_if_configured()
        return await self.async_step_listen()

    def _show_port(self, step: str) -> ConfigFlowResult:
        schema = probatio.Schema({probatio.Required(CONF_DEVICE): SerialPortSelector()})
        if self._device:
            schema = self.add_suggested_values_to_schema(
                schema, {CONF_DEVICE: self._device}
            )
        return self.async_show_form(
            step_id=step,
            data_schema=schema,
            errors=self._errors,
            description_placeholders={**_EXAMPLES, "port": self._device},
        )

    def _show_choices(self, step: str) -> ConfigFlowResult:
        options = _CHOICES[step]
        if self.source == SOURCE_RECONFIGURE and step not in _NEVER_ANYWAY:
            options = (*options, "use_anyway")
        return self.async_show_menu(
            step_id=step,
            menu_options=options,
            description_placeholders=self._placeholders,
        )

    def _show_look(
        self, step: str, action: str, look: Callable[[], Coroutine[Any, Any, str]]
    ) -> ConfigFlowResult:
        """Show a look at the line while it lasts, then go where it points."""
        if self._look is None:
            self._look = self.hass.async_create_task(
                self._async_look(look), f"{DOMAIN} {step}", eager_start=False
            )
        if not self._look.done():
            return self.async_show_progress(
                step_id=step,
                progress_action=action,
                progress_task=self._look,
                description_placeholders=self._placeholders,
            )
        look_done, self._look = self._look, None
        return self.async_show_progress_done(next_step_id=look_done.result())

    async def _async_look(self, look: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """Look at the line with nobody else of ours on it; return the next step."""
        self._heard, self._found = (), {}
        entry = None
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
        async with paused(self.hass, entry):
            try:
                return await look()
            except LinkError as error:
                if error.fault is LinkFault.FAILED:
                    _LOGGER.warning("%s cannot be opened: %s", self._device, error)
                self._errors = {"base": error.fault}
                return self._port_step

    async def _async_listen(self, share: float = 1.0) -> str:
        report = self._reporter(0.0, share)
        listened = await async_listen(self._device, report, LISTEN_FOR)
        self._heard = tuple(pack.address for pack in listened.packs)
        if listened.finding is Finding.SILENCE:
            return "confirm_scan"
        return listened.finding

    async def _async_scan(self, begin: float = 0.0) -> str:
        scanned = await async_scan(self._device, self._reporter(begin, 1.0))
        self._found = dict(sorted(scanned.found.items()))
        if scanned.finding is not Finding.PACKS:
            return scanned.finding
        if self.source != SOURCE_RECONFIGURE:
            return "confirm"
        entry = self._get_reconfigure_entry()
        if not is_met(entry, self._found):
            return "strangers"
        await self._async_apply(entry, Mode.MASTER)
        return "reconfigured"

    async def _async_check(self) -> str:
        """Listen and scan at once: the entry has asked on this line before."""
        step = await self._async_listen(_LISTEN_SHARE)
        return await self._async_scan(_LISTEN_SHARE) if step == "confirm_scan" else step

    def _reporter(self, begin: float, end: float) -> Callable[[float], None]:
        """Return what moves this part of the progress bar, per cent by per cent."""
        shown = -1

        def report(done: float) -> None:
            nonlocal shown
            percent = int(100 * (begin + (end - begin) * done))
            if percent > shown:
                shown = percent
                self.async_update_progress(percent / 100)

        return report

    async def _async_abort_if_configured(self) -> None:
        """Refuse the port of another entry, under whichever name."""
        self._async_abort_entries_match({CONF_DEVICE: self._device})
        for entry in self._other_entries():
            if await async_same_port(self.hass, entry.data[CONF_DEVICE], self._device):
                raise AbortFlow("already_configured")

    def _other_entries(self) -> Iterator[ConfigEntry]:
        own = self.context.get("entry_id")
        for entry in self._async_current_entries(include_ignore=False):
            if entry.entry_id != own:
                yield entry

    def _serials_elsewhere(self) -> set[str]:
        """Return the serial numbers of the packs of other buses."""
        return {
            serial
            for entry in self._other_entries()
            for subentry in bms_subentries(entry)
            if (serial := subentry.data.get(CONF_SERIAL_NUMBER))
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
        *,
        allow_writing: bool,
    ) -> ConfigFlowResult:
        title = await async_name(self.hass, self._device)
        # Another flow may have taken the port while this one was open.
        await self._async_abort_if_configured()
        return self.async_create_entry(
            title=title,
            data=bus_data(self._device, mode),
            options={
                CONF_POLL_INTERVAL: DEFAULT_POLL_INTERVAL,
                CONF_ALLOW_WRITING: allow_writing,
            },
            subentries=[
                ConfigSubentryData(
                    subentry_type=SUBENTRY_BMS,
                    title=name,
                    data=subentry_data(address, state),
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
        if title == await async_name(self.hass, old):
            title = await async_name(self.hass, self._device)
        manager.async_update_entry(
            entry, title=title, data=bus_data(self._device, mode)
        )
        for subentry_id, address in moves(entry, self._found).items():
            subentry = entry.subentries[subentry_id]
            manager.async_update_subentry(
                entry, subentry, data={**subentry.data, CONF_ADDRESS: address}
            )
