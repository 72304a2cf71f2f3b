"""Wires work where Home Assistant has no Bluetooth, and import nothing of it."""

import os
from pathlib import Path
import subprocess
import sys
from typing import Any, Final

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN

from .bus import state_of
from .dialog import Dialog
from .test_ble import ble_entry

ROOT: Final = Path(__file__).parents[2]
ENVIRONMENT: Final = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
_IMPORT_ALL: Final = """
import importlib
from pathlib import Path
import sys

NEVER = {"bleak", "bleak_retry_connector", "habluetooth", "bluetooth_adapters", "dbus_fast"}
OURS = "custom_components.jkbms"
kept = importlib.import_module, __import__

def refuse(name, importer):
    if importer.startswith(OURS) and (
        name.split(".")[0] in NEVER or name.startswith("homeassistant.components.bluetooth")
    ):
        raise ModuleNotFoundError(f"there is no {name} here")

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    # Home Assistant's own modules may know what they like.
    refuse(name, (globals or {}).get("__name__", ""))
    return kept[1](name, globals, locals, fromlist, level)

__builtins__.__import__ = guarded
package = Path("custom_components/jkbms")
told = []
for file in sorted(package.rglob("*.py")):
    parts = file.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        kept[0](name)
    except ModuleNotFoundError as error:
        assert error.args[0].startswith("there is no"), error
        told.append(name)
assert told == [f"{OURS}.ble", f"{OURS}.transport.ble"], told
print("imported", len(sys.modules))
"""


def test_no_other_module_of_ours_imports_anything_of_bluetooth() -> None:
    result = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("imported")


async def test_a_wired_bus_is_set_up_without_bluetooth(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    assert "bluetooth" not in hass.config.components
    assert loaded.state is ConfigEntryState.LOADED
    assert state_of(hass, "sensor", 1, "total_voltage").state
    assert loaded.runtime_data.port is None
    dialog = await Dialog.reconfigure(hass, loaded)
    assert dialog.step == "reconfigure"
    dialog.close()


async def test_bluetooth_is_offered_only_where_there_is_some(
    hass: HomeAssistant,
) -> None:
    flows = hass.config_entries.flow
    result: Any = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["menu_options"] == ["rs485", "can"]


async def test_a_pack_on_bluetooth_waits_for_it_and_says_so(
    hass: HomeAssistant,
) -> None:
    entry = ble_entry()
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "link_no_adapter"
    dialog = await Dialog.reconfigure(hass, entry)
    assert dialog.step == "abort:no_bluetooth"
    await hass.config_entries.async_unload(entry.entry_id)
