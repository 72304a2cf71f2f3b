"""A configuration of Home Assistant, and the process that runs it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
import json
from pathlib import Path
import shutil
import socket
from typing import Any, Final

from .processes import ROOT, Child, DemoError, running

DOMAIN: Final = "jkbms"
COMPONENT: Final = ROOT / "custom_components" / DOMAIN
_USUAL_PORT: Final = 8123

_YAML: Final = """\
homeassistant:
  name: {name}
  unit_system: metric
  currency: EUR
  country: DE
  time_zone: {zone}
  language: en

# Without it, Home Assistant complains that compression is slow.
isal:
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
    # There is no camera here and no sound: that this machine may lack ffmpeg and libturbojpeg is no news.
    haffmpeg: critical
    homeassistant.components.camera.img_util: critical
"""
"""`http:` is missing on purpose: from YAML it is taken on trial only, and listens everywhere after five minutes."""

_HTTP_FORMATS: Final = {
    "2026.10": ((2, 2), "modern"),
    "2026.11": ((3, 1), "intermediate_v6"),
}
"""The version of .storage/http, and its usual choice of ciphers, by release."""
_ONBOARDING_VERSION: Final = (4, 1)


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


def link_component(folder: Path) -> None:
    """Let a configuration use the integration as it is here: a change counts after the next start."""
    folder.symlink_to(COMPONENT)


def make_home(
    folder: Path,
    *,
    port: int,
    release: str,
    name: str,
    install: Callable[[Path], None] = link_component,
) -> None:
    """Write a configuration that listens on 127.0.0.1 alone, with the integration in it."""
    shutil.rmtree(folder, ignore_errors=True)
    components = folder / "custom_components"
    components.mkdir(parents=True)
    install(components / DOMAIN)
    (folder / "configuration.yaml").write_text(
        _YAML.format(name=name, zone=_zone(), domain=DOMAIN)
    )
    version, ciphers = _HTTP_FORMATS[release.rpartition(".")[0]]
    _store(
        folder,
        "http",
        version,
        {
            "stable": {
                "server_port": port,
                "server_host": ["127.0.0.1"],
                "cors_allowed_origins": [],
                "login_attempts_threshold": -1,
                "ip_ban_enabled": False,
                "ssl_profile": ciphers,
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


def set_port(folder: Path, port: int) -> None:
    """Let a configuration that was used before listen on another port."""
    file = folder / ".storage" / "http"
    content = json.loads(file.read_text())
    content["data"]["stable"]["server_port"] = port
    file.write_text(json.dumps(content))


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


def home_assistant(
    python: str | Path, config: Path, log: Path
) -> AbstractAsyncContextManager[Child]:
    """Run Home Assistant with the Python of its environment, where all that it would fetch is installed."""
    # -P: the repository's own folder custom_components would come before the one in the configuration.
    command = (str(python), "-P", "-m", "homeassistant", "-c", str(config))
    return running("Home Assistant", *command, "--log-no-color", log=log, folder=config)
