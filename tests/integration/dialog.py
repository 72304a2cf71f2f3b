"""A person before a dialog of Home Assistant: reads every text, fills in, chooses, waits."""

import json
from pathlib import Path
from string import Formatter
from typing import Any, Final, Self, cast

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowManager, FlowResultType
from homeassistant.helpers.selector import SelectSelector
import pytest

from custom_components.jkbms.const import DOMAIN, SUBENTRY_BMS, SUBENTRY_CONTROL_LINE

TEXTS: Final = json.loads(
    (
        Path(__file__).parents[2]
        / "custom_components"
        / DOMAIN
        / "translations"
        / "en.json"
    ).read_text(encoding="utf-8")
)


class Dialog:
    """One flow; `shown` is what is on the screen.

    Every text of every step is looked up as the frontend does, and every placeholder
    in it has to be filled: a missing one fails the test.
    """

    def __init__(
        self, hass: HomeAssistant, manager: FlowManager[Any, Any, Any], texts: Any
    ) -> None:
        """Talk to one of the three flow managers with its part of the texts."""
        self._hass = hass
        self._manager = manager
        self._texts = texts
        self.shown: dict[str, Any] = {}
        self.actions: list[str] = []
        """The texts that were shown beside progress bars."""

    @classmethod
    async def add(cls, hass: HomeAssistant, kind: str = "rs485") -> Self:
        """Add an integration entry: a bus of some kind."""
        self = cls(hass, hass.config_entries.flow, TEXTS["config"])
        await self._begin(DOMAIN, {"source": SOURCE_USER})
        assert self.step == "user"
        return await self.choose(kind)

    @classmethod
    async def reconfigure(cls, hass: HomeAssistant, entry: ConfigEntry) -> Self:
        """Reconfigure an entry."""
        self = cls(hass, hass.config_entries.flow, TEXTS["config"])
        context = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
        return await self._begin(DOMAIN, context)

    @classmethod
    async def options(cls, hass: HomeAssistant, entry: ConfigEntry) -> Self:
        """Open the options of an entry."""
        self = cls(hass, hass.config_entries.options, TEXTS["options"])
        return await self._begin(entry.entry_id, {})

    @classmethod
    async def add_bms(cls, hass: HomeAssistant, entry: ConfigEntry) -> Self:
        """Add a BMS to an entry."""
        texts = TEXTS["config_subentries"][SUBENTRY_BMS]
        self = cls(hass, hass.config_entries.subentries, texts)
        handler = (entry.entry_id, SUBENTRY_BMS)
        return await self._begin(handler, {"source": SOURCE_USER})

    @classmethod
    async def reconfigure_bms(
        cls, hass: HomeAssistant, entry: ConfigEntry, subentry_id: str
    ) -> Self:
        """Reconfigure a BMS of an entry."""
        texts = TEXTS["config_subentries"][SUBENTRY_BMS]
        self = cls(hass, hass.config_entries.subentries, texts)
        context = {"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
        return await self._begin((entry.entry_id, SUBENTRY_BMS), context)

    @classmethod
    async def add_control_line(cls, hass: HomeAssistant, entry: ConfigEntry) -> Self:
        """Add a control line to an entry."""
        texts = TEXTS["config_subentries"][SUBENTRY_CONTROL_LINE]
        self = cls(hass, hass.config_entries.subentries, texts)
        handler = (entry.entry_id, SUBENTRY_CONTROL_LINE)
        return await self._begin(handler, {"source": SOURCE_USER})

    @classmethod
    async def reconfigure_control_line(
        cls, hass: HomeAssistant, entry: ConfigEntry, subentry_id: str
    ) -> Self:
        """Reconfigure a control line of an entry."""
        texts = TEXTS["config_subentries"][SUBENTRY_CONTROL_LINE]
        self = cls(hass, hass.config_entries.subentries, texts)
        context = {"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
        handler = (entry.entry_id, SUBENTRY_CONTROL_LINE)
        return await self._begin(handler, context)

    @property
    def step(self) -> str:
        """The step on the screen; for the end of a flow, how it ended."""
        if self.shown["type"] is FlowResultType.ABORT:
            return f"abort:{self.shown['reason']}"
        if self.shown["type"] is FlowResultType.CREATE_ENTRY:
            return "created"
        return cast(str, self.shown["step_id"])

    @property
    def errors(self) -> dict[str, str]:
        """What is said to be wrong."""
        return dict(self.shown.get("errors") or {})

    @property
    def placeholders(self) -> dict[str, str]:
        """What is filled into the texts."""
        return dict(self.shown.get("description_placeholders") or {})

    @property
    def flow_id(self) -> str:
        """The id of the flow."""
        return cast(str, self.shown["flow_id"])

    async def submit(self, **values: Any) -> Self:
        """Fill in the form, and wait for what comes then."""
        assert self.shown["type"] is FlowResultType.FORM
        await self._show(await self._manager.async_configure(self.flow_id, values))
        return await self._wait()

    async def choose(self, option: str) -> Self:
        """Choose from the menu, and wait for what comes then."""
        await self.start(option)
        return await self._wait()

    async def start(self, option: str) -> Self:
        """Choose from the menu, and do not wait."""
        assert self.shown["type"] is FlowResultType.MENU
        choice = {"next_step_id": option}
        await self._show(await self._manager.async_configure(self.flow_id, choice))
        return self

    async def look_again(self) -> Self:
        """Load the page anew."""
        await self._show(await self._manager.async_configure(self.flow_id))
        return self

    def close(self) -> None:
        """Close the window."""
        self._manager.async_abort(self.flow_id)

    async def _begin(self, handler: Any, context: dict[str, Any]) -> Self:
        await self._show(await self._manager.async_init(handler, context=context))
        return self

    async def _wait(self) -> Self:
        while self.shown["type"] is FlowResultType.SHOW_PROGRESS:
            await self._hass.async_block_till_done()
            await self.look_again()
        return self

    async def _show(self, result: Any) -> None:
        self.shown = dict(result)
        match result["type"]:
            case FlowResultType.SHOW_PROGRESS:
                self.actions.append(result["progress_action"])
                self._read(f"progress.{result['progress_action']}")
            case FlowResultType.ABORT:
                if result.get("translation_domain", DOMAIN) == DOMAIN:
                    self._read(f"abort.{result['reason']}")
            case FlowResultType.FORM:
                self._read_form(result)
            case FlowResultType.MENU:
                self._read(f"step.{result['step_id']}.title")
                self._read(f"step.{result['step_id']}.description")
                for option in result["menu_options"]:
                    self._read(f"step.{result['step_id']}.menu_options.{option}")
            case FlowResultType.CREATE_ENTRY:
                pass
            case other:
                pytest.fail(f"nothing is shown for {other}")

    def _read_form(self, result: Any) -> None:
        step = f"step.{result['step_id']}"
        self._read(f"{step}.title")
        fields = [str(key) for key in result["data_schema"].schema]
        if "description" in self._texts["step"][result["step_id"]] or not fields:
            self._read(f"{step}.description")
        for field, selector in result["data_schema"].schema.items():
            self._read(f"{step}.data.{field}")
            self._read(f"{step}.data_description.{field}")
            self._read_options(selector)
        for error in (result.get("errors") or {}).values():
            self._read(f"error.{error}")

    def _read_options(self, selector: Any) -> None:
        if not isinstance(selector, SelectSelector):
            return
        if key := selector.config.get("translation_key"):
            texts = TEXTS["selector"][key]["options"]
            assert set(selector.config["options"]) <= set(texts), key

    def _read(self, key: str) -> None:
        text: Any = self._texts
        for part in key.split("."):
            assert part in text, f"there is no text for {key}"
            text = text[part]
        wanted = {name for _, name, _, _ in Formatter().parse(text) if name}
        missing = wanted - self.placeholders.keys()
        assert not missing, f"nothing to fill into {key} for {missing}"
