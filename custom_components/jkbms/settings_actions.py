"""Actions on the settings of packs: read, compare, change, copy, back up, restore."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
import json
from pathlib import Path
from typing import Any, Final

from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util, slugify
import probatio

from .const import DOMAIN
from .errors import failure, refusal
from .pack_actions import EMERGENCY_START, start_emergency
from .pack_targets import Target, all_targets, targets
from .protocol.settings_diff import COMPARED
from .protocol.settings_record import SETTINGS
from .recorder import FOLDER
from .settings_set import Result, async_apply, common_settings, settings_of
from .wording import name_of

_FORMAT: Final = "jkbms settings"
_MOST_BYTES: Final = 100_000
_SETTINGS: Final = "settings"
_CONFIRM: Final = "confirm"
_DRY_RUN: Final = "dry_run"
_SOURCE: Final = "source"
_FILE: Final = "file"

_DEVICES: Final = probatio.All(probatio.EnsureList(), [cv.string])
_READ: Final = probatio.Schema(
    {probatio.Optional(ATTR_DEVICE_ID, default=list): _DEVICES}
)
_CHANGE: Final = probatio.Schema(
    {
        probatio.Required(ATTR_DEVICE_ID): _DEVICES,
        probatio.Required(_SETTINGS): probatio.Schema(
            {cv.string: probatio.Any(bool, int, float, str)}
        ),
        probatio.Optional(_CONFIRM, default=False): cv.boolean,
        probatio.Optional(_DRY_RUN, default=False): cv.boolean,
    }
)
_EMERGENCY: Final = probatio.Schema(
    {
        probatio.Required(ATTR_DEVICE_ID): _DEVICES,
        probatio.Required(_CONFIRM): cv.boolean,
    }
)
_COPY: Final = probatio.Schema(
    {
        probatio.Required(_SOURCE): cv.string,
        probatio.Required(ATTR_DEVICE_ID): _DEVICES,
        probatio.Optional(_SETTINGS, default=list): _DEVICES,
        probatio.Optional(_DRY_RUN, default=True): cv.boolean,
    }
)
_RESTORE: Final = probatio.Schema(
    {
        probatio.Required(ATTR_DEVICE_ID): cv.string,
        probatio.Required(_FILE): cv.string,
        probatio.Optional(_SETTINGS, default=list): _DEVICES,
        probatio.Optional(_DRY_RUN, default=True): cv.boolean,
    }
)


@callback
def async_setup_settings_actions(hass: HomeAssistant) -> None:
    """Offer the actions on settings."""
    for name, action, schema, response in (
        ("get_settings", _get, _READ, SupportsResponse.ONLY),
        ("compare_settings", _compare, _READ, SupportsResponse.ONLY),
        ("backup_settings", _back_up, _READ, SupportsResponse.OPTIONAL),
        ("change_settings", _change, _CHANGE, SupportsResponse.OPTIONAL),
        (EMERGENCY_START, _start_emergency, _EMERGENCY, SupportsResponse.NONE),
        ("copy_settings", _copy, _COPY, SupportsResponse.OPTIONAL),
        ("restore_settings", _restore, _RESTORE, SupportsResponse.OPTIONAL),
    ):
        hass.services.async_register(
            DOMAIN, name, action, schema=schema, supports_response=response
        )


def _chosen(call: ServiceCall) -> list[Target]:
    """Return the packs that are meant, all of them where none is named."""
    chosen = targets(call.hass, call.data[ATTR_DEVICE_ID])
    return chosen or list(all_targets(call.hass))


# -- reading --------------------------------------------------------------------------


async def _get(call: ServiceCall) -> ServiceResponse:
    """Return the settings of packs, side by side."""
    return {
        "packs": [
            {
                "device_id": one.device_id,
                "pack": one.pack.name,
                "model": one.pack.model,
                "settings": settings_of(one),
            }
            for one in _chosen(call)
        ]
    }


async def _compare(call: ServiceCall) -> ServiceResponse:
    """Return the settings in which packs differ, with the value of each pack."""
    chosen = _chosen(call)
    known = {one.device_id: settings_of(one) for one in chosen}
    different: dict[str, Any] = {}
    for field in COMPARED:
        values = {
            one.device_id: known[one.device_id][field.key]
            for one in chosen
            if field.key in known[one.device_id]
        }
        if len(set(values.values())) > 1:
            different[field.key] = {
                "name": name_of(call.hass, field),
                "values": values,
            }
    return {
        "packs": {one.device_id: one.pack.name for one in chosen},
        "differences": different,
    }


# -- changing -------------------------------------------------------------------------


async def _change(call: ServiceCall) -> ServiceResponse:
    """Change settings of packs; raises what is wrong where nobody reads the response."""
    wishes = {}
    for key, value in call.data[_SETTINGS].items():
        field = SETTINGS.get(key)
        if field is None:
            raise refusal("no_such_setting", setting=key)
        wishes[field] = value
    results = []
    for target in targets(call.hass, call.data[ATTR_DEVICE_ID]):
        result = _begin(call, target)
        await async_apply(
            call.hass,
            target,
            wishes,
            result,
            call.context,
            confirmed=call.data[_CONFIRM],
        )
        results.append(result)
    return _answer(call, results)


async def _start_emergency(call: ServiceCall) -> None:
    """Let packs discharge for a while although a cell is too low."""
    for target in targets(call.hass, call.data[ATTR_DEVICE_ID]):
        await start_emergency(
            target.bus, target.pack, call.context, confirmed=call.data[_CONFIRM]
        )


async def _copy(call: ServiceCall) -> ServiceResponse:
    """Take over settings of one pack to others."""
    (source,) = targets(call.hass, [call.data[_SOURCE]])
    settings = settings_of(source)
    results = [
        await _take_over(call, target, settings)
        for target in targets(call.hass, call.data[ATTR_DEVICE_ID])
        if target.device_id != source.device_id
    ]
    return _answer(call, results)


async def _restore(call: ServiceCall) -> ServiceResponse:
    """Take over settings from a backup."""
    (target,) = targets(call.hass, [call.data[ATTR_DEVICE_ID]])
    path = _folder(call.hass) / Path(call.data[_FILE]).name
    try:
        stored = await call.hass.async_add_executor_job(_read_backup, path)
    except (OSError, ValueError) as error:
        raise refusal("no_backup", file=path.name) from error
    return _answer(call, [await _take_over(call, target, stored)])


async def _take_over(
    call: ServiceCall, target: Target, settings: Mapping[str, Any]
) -> Result:
    result = _begin(call, target)
    wishes = common_settings(target, settings, call.data[_SETTINGS], result)
    await async_apply(call.hass, target, wishes, result, call.context)
    return result


def _begin(call: ServiceCall, target: Target) -> Result:
    return Result(target.device_id, target.pack.name, call.data[_DRY_RUN])


def _answer(call: ServiceCall, results: list[Result]) -> ServiceResponse:
    """Return the results; what is wrong must not get lost where nobody reads them."""
    problems = [problem for result in results for problem in result.problems]
    if problems and not call.return_response:
        raise failure("settings_not_changed", problems="\n".join(problems))
    return {"results": [asdict(result) for result in results]}


# -- backups --------------------------------------------------------------------------


def _folder(hass: HomeAssistant) -> Path:
    return Path(hass.config.path(FOLDER))


async def _back_up(call: ServiceCall) -> ServiceResponse:
    """Write the settings of packs to files, and return where they are."""
    now = dt_util.now()
    backups: dict[Path, dict[str, Any]] = {}
    for one in _chosen(call):
        # Packs of two buses may have one name.
        name = f"settings_{slugify(one.pack.name)}_{now:%Y%m%d-%H%M%S}"
        again = sum(path.name.startswith(name) for path in backups)
        suffix = f"_{again + 1}" if again else ""
        backups[_folder(call.hass) / f"{name}{suffix}.json"] = _backup(one, now)
    try:
        await call.hass.async_add_executor_job(_write_backups, backups)
    except OSError as error:
        detail = error.strerror or str(error)
        raise failure("backup_not_written", detail=detail) from error
    return {
        "backups": [
            {"file": path.name, "path": str(path), "pack": backup["pack"]}
            for path, backup in backups.items()
        ]
    }


def _backup(target: Target, now: datetime) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "pack": target.pack.name,
        "model": target.pack.model,
        "time": now.isoformat(timespec="seconds"),
        "settings": settings_of(target),
    }


def _write_backups(backups: Mapping[Path, Mapping[str, Any]]) -> None:
    for path, backup in backups.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{json.dumps(backup, indent=2)}\n", encoding="utf-8")


def _read_backup(path: Path) -> dict[str, bool | float | str]:
    """Return the settings in a backup; raises ValueError where it is none."""
    with path.open(encoding="utf-8") as file:
        try:
            backup = json.loads(file.read(_MOST_BYTES))
        except RecursionError as error:
            raise ValueError(path.name) from error
    settings = backup.get("settings") if isinstance(backup, dict) else None
    if not isinstance(settings, dict) or backup.get("format") != _FORMAT:
        raise ValueError(path.name)
    return {
        key: value
        for key, value in settings.items()
        if isinstance(value, bool | float | int | str)
    }
