"""A backup of settings that somebody has made up."""

import json
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.pack_targets import all_targets
from custom_components.jkbms.settings_set import settings_of
from simulator import Bank

from .common import holding

ABSURD: Final[tuple[Any, ...]] = (
    *(float("nan"), float("inf"), -1e308, int("9" * 400), True, "on", "", [], None),
    *("{{ states }}", "x\n\u202e<script>"),
)


@pytest.mark.simulated_time
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("addresses", [(1,)])
@pytest.mark.parametrize("options", [{"write_tier": "protection"}])
async def test_a_backup_with_absurd_values_changes_nothing(
    hass: HomeAssistant, entry: MockConfigEntry, bank: Bank, tmp_path: Path
) -> None:
    hass.config.config_dir = str(tmp_path)
    (tmp_path / DOMAIN).mkdir()
    refused = 0
    async with holding(hass, entry):
        (target,) = all_targets(hass)
        for value in ABSURD:
            settings = dict.fromkeys((*settings_of(target), "\u202e\n"), value)
            backup = {"format": "jkbms settings", "settings": settings}
            (tmp_path / DOMAIN / "x.json").write_text(json.dumps(backup))
            answer: Any = await hass.services.async_call(
                DOMAIN,
                "restore_settings",
                {"device_id": target.device_id, "file": "x.json", "dry_run": True},
                blocking=True,
                return_response=True,
            )
            (result,) = answer["results"]
            assert all(change["to"] is True for change in result["changes"])
            assert all("\n" not in problem for problem in result["problems"])
            refused += bool(result["problems"])
    # A list and nothing are no values.
    assert refused == len(ABSURD) - 2
    assert bank[1].journal == []
