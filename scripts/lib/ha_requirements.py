"""Print what Home Assistant would pip-install at start, so that a setup can install it beforehand.

usage: VENV/bin/python scripts/lib/ha_requirements.py [DOMAIN|INTEGRATION_FOLDER ...]

Follows manifests the way homeassistant.requirements does: the integrations that Home Assistant sets up
by itself, those named, and their dependencies.
"""

import json
from pathlib import Path
import sys
from typing import Any

import homeassistant
from homeassistant import bootstrap
from homeassistant.auth.mfa_modules import totp
from homeassistant.requirements import DISCOVERY_INTEGRATIONS

_CORE = Path(homeassistant.__file__).parent / "components"


def _collect(folder: Path, seen: set[str], requirements: set[str]) -> None:
    """Add the requirements of one integration and of all that it pulls in."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    if manifest["domain"] in seen:
        return
    seen.add(manifest["domain"])
    requirements.update(manifest.get("requirements", []))
    wanted = [
        *manifest.get("dependencies", []),
        *manifest.get("after_dependencies", []),
    ]
    # A zeroconf, ssdp, dhcp or mqtt matcher makes Home Assistant set up that integration too.
    wanted += [
        domain
        for domain, keys in DISCOVERY_INTEGRATIONS.items()
        if any(key in manifest for key in keys)
    ]
    for domain in wanted:
        if (_CORE / domain).is_dir():
            _collect(_CORE / domain, seen, requirements)


def main() -> None:
    """Print one requirement a line."""
    seen: set[str] = set()
    requirements: set[str] = set(totp.REQUIREMENTS)
    by_itself = (
        bootstrap.DEFAULT_INTEGRATIONS
        | bootstrap.CORE_INTEGRATIONS
        | {"http", "isal", "recorder"}
    )
    for name in [*sorted(by_itself), *sys.argv[1:]]:
        _collect(Path(name) if "/" in name else _CORE / name, seen, requirements)
    print("\n".join(sorted(requirements, key=str.lower)))


if __name__ == "__main__":
    main()
