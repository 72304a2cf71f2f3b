"""The layout of the repository: arrows between packages, size of files, commands."""

import os
from pathlib import Path
from typing import Final

import pytest

from .imports import PLATFORMS, imported, module_name, sources, violations

ROOT: Final = Path(__file__).parents[2]
COMPONENT: Final = "custom_components/jkbms"

# A file that a reader can hold; more is two files.
MOST_LINES: Final = 600


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


def test_the_packages_that_the_rules_speak_of_exist() -> None:
    names = {module_name(path, ROOT) for path in sources(ROOT)}
    wanted = {
        f"custom_components.jkbms.{name}"
        for name in ("config_flow", "coordinator", "descriptions", "entity")
    }
    wanted |= {
        "custom_components.jkbms.protocol",
        "custom_components.jkbms.transport",
        "simulator",
    }
    assert wanted <= names
    assert names & set(PLATFORMS)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (f"{COMPONENT}/protocol/a.py", "import homeassistant.core"),
        (f"{COMPONENT}/protocol/a.py", "from ..transport import link"),
        (f"{COMPONENT}/protocol/a.py", "from .. import coordinator"),
        (f"{COMPONENT}/protocol/a.py", "from ..const import DOMAIN"),
        (f"{COMPONENT}/protocol/a.py", "import serialx"),
        (f"{COMPONENT}/protocol/a.py", "def f():\n    from homeassistant import core"),
        (
            f"{COMPONENT}/protocol/a.py",
            "if True:\n    import importlib\n    importlib.import_module('serialx')",
        ),
        (f"{COMPONENT}/protocol/sub/__init__.py", "from ...transport import link"),
        (f"{COMPONENT}/transport/a.py", "from homeassistant.core import HomeAssistant"),
        (f"{COMPONENT}/transport/a.py", "from ..coordinator import BusCoordinator"),
        (f"{COMPONENT}/transport/a.py", "import serial"),
        (f"{COMPONENT}/coordinator.py", "from .sensor import X"),
        (f"{COMPONENT}/coordinator.py", "from . import entity"),
        (f"{COMPONENT}/config_flow.py", "from .number import X"),
        (f"{COMPONENT}/descriptions.py", "from .coordinator import X"),
        (f"{COMPONENT}/descriptions.py", "from .transport.session import X"),
        (f"{COMPONENT}/sensor.py", "from .transport import session"),
        (f"{COMPONENT}/switch.py", "from . import transport"),
        (f"{COMPONENT}/entity.py", "from .config_flow import X"),
        (f"{COMPONENT}/__init__.py", "from tests import captures"),
        (f"{COMPONENT}/coordinator.py", "from .transport.ble import BlePort"),
        (f"{COMPONENT}/config_flow.py", "from .ble import port_to"),
        (f"{COMPONENT}/sensor.py", "import habluetooth"),
        (f"{COMPONENT}/entity.py", "from homeassistant.components import bluetooth"),
        (f"{COMPONENT}/transport/link.py", "from bleak.exc import BleakError"),
        ("simulator/a.py", "from custom_components.jkbms.protocol import fields"),
        ("simulator/a.py", "import serialx"),
        ("simulator/a.py", "import tests"),
        ("scripts/lib/a.py", "from tests.captures import frames"),
        ("scripts/command", "#!/usr/bin/env python3\nimport tests.captures"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert violations(tmp_path)


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (
            f"{COMPONENT}/protocol/a.py",
            "import struct\nfrom . import frames\nfrom .fields import X",
        ),
        (
            f"{COMPONENT}/transport/a.py",
            "import asyncio\nimport serialx\nfrom ..protocol.master import X",
        ),
        (
            f"{COMPONENT}/coordinator.py",
            "import homeassistant\nfrom .transport import X\nfrom .protocol import Y",
        ),
        (
            f"{COMPONENT}/config_flow.py",
            "from .transport import X\nfrom .protocol.frames import Y",
        ),
        (f"{COMPONENT}/descriptions.py", "from .protocol.fields import X"),
        (f"{COMPONENT}/ble.py", "from homeassistant.components.bluetooth import X"),
        (f"{COMPONENT}/transport/ble.py", "import bleak_retry_connector"),
        (
            f"{COMPONENT}/sensor.py",
            "from .coordinator import X\nfrom .descriptions import Y",
        ),
        ("simulator/a.py", "import socket\nfrom . import b\nfrom simulator.c import d"),
        ("tests/test_a.py", "from .captures import frames\nfrom tests import captures"),
    ],
)
def test_an_allowed_import_is_left_alone(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert list(imported(path, tmp_path))
    assert violations(tmp_path) == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(ROOT)
    }
    assert {
        name: length for name, length in lengths.items() if length > MOST_LINES
    } == {}


def test_every_command_can_be_run() -> None:
    commands = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    commands.append(ROOT / ".ci" / "run")
    for path in commands:
        assert os.access(path, os.X_OK), f"{path.name} is not executable"
        assert path.read_text().startswith("#!/usr/bin/env "), (
            f"{path.name} does not say what runs it"
        )
