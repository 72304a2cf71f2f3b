"""A person on the way through the config flow, over the interface that the browser uses."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
import time
from typing import Any, Final

from .ha_api import HomeAssistant
from .ha_home import DOMAIN
from .processes import DemoError

_FLOWS: Final = "/api/config/config_entries/flow"
_LOOK: Final = 0.2
"""Seconds between looks at a progress bar."""
_OFFER: Final = 30.0
"""Seconds until what is offered has to be there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """What a person chooses and fills in, whatever the order in which it is asked."""

    choices: Mapping[str, str] = field(default_factory=dict)
    """The option taken in each menu that may come."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What goes into the fields that suggest nothing, or not what is wanted."""

    def choice(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a menu is answered with; a menu nobody thought of ends the walk."""
        option = self.choices.get(step["step_id"])
        if option not in step["menu_options"]:
            raise DemoError(
                f"The config flow shows the menu {step['step_id']!r}, where {option!r} cannot be chosen:"
                f" {', '.join(step['menu_options'])}."
            )
        return {"next_step_id": option}

    def filled(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a form is answered with; a field nobody thought of ends the walk."""
        answers = {}
        for one in step["data_schema"]:
            name = one["name"]
            if name in self.values:
                answers[name] = self.values[name]
            elif "default" in one:
                answers[name] = one["default"]
            elif one.get("required"):
                raise DemoError(
                    f"The form {step['step_id']!r} of the config flow asks for {name!r}, which nobody has thought of."
                )
        return answers


async def add_entry(home: HomeAssistant, walk: Walk) -> str:
    """Walk through the config flow; return the id of the entry."""
    return await _go_on(home, walk, await home.post(_FLOWS, {"handler": DOMAIN}))


async def accept_offer(home: HomeAssistant, walk: Walk) -> str:
    """Take the one entry that is offered under Discovered, as soon as it is; return its id."""
    end = time.monotonic() + _OFFER
    while not (offers := await _offers(home)):
        if time.monotonic() > end:
            raise DemoError(f"Nothing is offered after {_OFFER:g} seconds.")
        await asyncio.sleep(_LOOK)
    if len(offers) > 1:
        raise DemoError(f"{len(offers)} entries are offered instead of one.")
    return await _go_on(home, walk, await home.get(f"{_FLOWS}/{offers[0]}"))


async def _offers(home: HomeAssistant) -> list[str]:
    return [
        flow["flow_id"]
        for flow in await home.command("config_entries/flow/progress")
        if flow["handler"] == DOMAIN
    ]


async def _go_on(home: HomeAssistant, walk: Walk, step: Any) -> str:
    while True:
        flow = f"{_FLOWS}/{step['flow_id']}"
        match step["type"]:
            case "form" if step["errors"]:
                raise DemoError(f"The config flow says {step['errors']}.")
            case "form":
                step = await home.post(flow, walk.filled(step))
            case "menu":
                step = await home.post(flow, walk.choice(step))
            case "progress" | "progress_done":
                await asyncio.sleep(_LOOK)
                step = await home.get(flow)
            case "create_entry":
                return str(step["result"]["entry_id"])
            case other:
                raise DemoError(
                    f"The config flow ended with {other}: {step.get('reason')}."
                )
