"""A fresh configuration of Home Assistant, its onboarding, and the bus that is added to it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
import json
from pathlib import Path
import shutil
import socket
from typing import Any, Final

from .demo_api import HomeAssistant
from .demo_process import ROOT, DemoError

DOMAIN: Final = "jkbms"
USER: Final = "demo"
PASSWORD: Final = "demo"
_USUAL_PORT: Final = 8123

_YAML: Final = """\
homeassistant:
  name: JK BMS demo
  unit_system: metric
  currency: EUR
  country: DE
  time_zone: {zone}
  language: en

frontend:
config:
recorder:
  commit_interval: 1
history:
logbook:
energy:

logger:
  default: warning
  logs:
    custom_components.{domain}: info
"""
"""`http:` is missing on purpose: from YAML it is taken on trial only, and listens everywhere after five minutes."""

_HTTP_VERSION: Final = (3, 1)
_ONBOARDING_VERSION: Final = (4, 1)
"""Of Home Assistant 2026.11.0's files in .storage, which requirements_demo.txt names."""

_LOOKS: Final = {
    "listen": "Listening to the line",
    "scan": "Asking every address",
}


def free_port() -> int:
    """Return Home Assistant's usual port, or any that is free."""
    for port in (_USUAL_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("No TCP port of 127.0.0.1 is free.")


def make_home(folder: Path, port: int) -> None:
    """Write a configuration that listens on 127.0.0.1 alone, with the integration linked in."""
    shutil.rmtree(folder, ignore_errors=True)
    components = folder / "custom_components"
    components.mkdir(parents=True)
    (components / DOMAIN).symlink_to(ROOT / "custom_components" / DOMAIN)
    (folder / "configuration.yaml").write_text(
        _YAML.format(zone=_zone(), domain=DOMAIN)
    )
    _store(
        folder,
        "http",
        _HTTP_VERSION,
        {
            "stable": {
                "server_port": port,
                "server_host": ["127.0.0.1"],
                "cors_allowed_origins": [],
                "login_attempts_threshold": -1,
                "ip_ban_enabled": False,
                "ssl_profile": "intermediate_v6",
                "use_x_frame_options": True,
                "created_at": datetime.now(UTC).isoformat(),
                "error": None,
                "error_message": None,
            },
            "pending": None,
            "yaml_migration_done": True,
        },
    )
    # What is left is the user: the other steps would fetch integrations of the weather and of radio stations.
    _store(
        folder,
        "onboarding",
        _ONBOARDING_VERSION,
        {"done": ["core_config", "analytics", "integration"]},
    )


def _zone() -> str:
    """Return the machine's time zone where it says so, else UTC."""
    name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return name or "UTC"


def _store(
    folder: Path, key: str, version: tuple[int, int], data: dict[str, Any]
) -> None:
    (folder / ".storage").mkdir(exist_ok=True)
    content = {
        "version": version[0],
        "minor_version": version[1],
        "key": key,
        "data": data,
    }
    (folder / ".storage" / key).write_text(json.dumps(content))


async def add_bus(home: HomeAssistant, url: str, say: Callable[[str], None]) -> str:
    """Walk through the config flow as a person would; return the id of the entry."""
    flows = "/api/config/config_entries/flow"
    step = await home.post(flows, {"handler": DOMAIN})
    look = None
    while True:
        flow = f"{flows}/{step['flow_id']}"
        match step["type"]:
            case "form" if step["errors"]:
                raise DemoError(
                    f"The config flow did not take {url}: {step['errors']}."
                )
            case "form":
                step = await home.post(flow, _answers(step, url))
            case "menu" if step["step_id"] == "user":
                step = await home.post(flow, {"next_step_id": "rs485"})
            case "menu" if step["step_id"] == "confirm_scan":
                step = await home.post(flow, {"next_step_id": "scan"})
            case "menu":
                raise DemoError(
                    f"The config flow found {step['step_id']!r} on the line, where four packs should be silent until asked."
                )
            case "progress" | "progress_done":
                action = step.get("progress_action")
                if action != look and action is not None:
                    look = action
                    say(_LOOKS.get(action, action))
                await asyncio.sleep(0.2)
                step = await home.get(flow)
            case "create_entry":
                return str(step["result"]["entry_id"])
            case _:
                raise DemoError(
                    f"The config flow ended with {step['type']}: {step.get('reason')}."
                )


def _answers(step: dict[str, Any], url: str) -> dict[str, Any]:
    """Fill in a form: our line, every setting opened, else what the form suggests."""
    ours = {"device": url, "write_tier": "protection", "understood": True}
    return {
        field["name"]: ours.get(field["name"], field.get("default"))
        for field in step["data_schema"]
    }
