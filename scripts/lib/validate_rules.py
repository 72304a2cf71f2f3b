"""The rules of Home Assistant's hassfest and of HACS for the files of the integration.

Neither can run everywhere. Each function returns what is wrong, in words.
"""

from collections.abc import Callable, Iterable, Mapping, Set as AbstractSet
import re
from typing import Any, Final
from urllib.parse import urlparse

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
import probatio

type Json = Mapping[str, Any]

MANIFEST_REQUIRED: Final = frozenset(
    {
        "codeowners",
        "documentation",
        "domain",
        "iot_class",
        "issue_tracker",
        "name",
        "version",
    }
)
# hassfest's schema is closed; `categories` and `connectivity` of 2026.11's core manifests are not in it.
MANIFEST_ALLOWED: Final = MANIFEST_REQUIRED | {
    "after_dependencies",
    "bluetooth",
    "config_flow",
    "dependencies",
    "dhcp",
    "homekit",
    "import_executor",
    "integration_type",
    "loggers",
    "mqtt",
    "quality_scale",
    "requirements",
    "single_config_entry",
    "ssdp",
    "usb",
    "zeroconf",
}
IOT_CLASSES: Final = frozenset(
    {
        "assumed_state",
        "calculated",
        "cloud_polling",
        "cloud_push",
        "local_polling",
        "local_push",
    }
)
INTEGRATION_TYPES: Final = frozenset(
    {"device", "entity", "hardware", "helper", "hub", "service", "system"}
)
ALWAYS_THERE: Final = frozenset(
    {
        "automation",
        "binary_sensor",
        "button",
        "event",
        "frontend",
        "homeassistant",
        "http",
        "number",
        "persistent_notification",
        "select",
        "sensor",
        "switch",
        "websocket_api",
    }
)
"""Integrations that Home Assistant sets up by itself, and platforms."""
STRING_LISTS: Final = (
    "after_dependencies",
    "codeowners",
    "dependencies",
    "loggers",
    "requirements",
)

HACS_ALLOWED: Final[dict[str, type | tuple[type, ...]]] = {
    "content_in_root": bool,
    "country": (str, list),
    "filename": str,
    "hacs": str,
    "hide_default_branch": bool,
    "homeassistant": str,
    "name": str,
    "persistent_directory": str,
    "zip_release": bool,
}

BRAND_SIZES: Final[dict[str, tuple[int, int]]] = {
    "icon.png": (256, 256),
    "icon@2x.png": (512, 512),
    "logo.png": (128, 256),
    "logo@2x.png": (256, 512),
}
"""Least and most pixels of the shorter side."""

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc|\.dev|-beta|-rc)\.?\d+)?")


def manifest_problems(manifest: Json, folder: str) -> list[str]:
    """Judge a custom integration's manifest.json."""
    problems = [
        f"{key} is missing" for key in sorted(MANIFEST_REQUIRED - manifest.keys())
    ]
    problems += [
        f"{key} is not allowed" for key in sorted(manifest.keys() - MANIFEST_ALLOWED)
    ]
    order = sorted(
        manifest, key=lambda key: {"domain": " 0", "name": " 1"}.get(key, key)
    )
    if list(manifest) != order:
        problems.append("keys are not in the order domain, name, then alphabetical")
    if manifest.get("domain") != folder:
        problems.append("domain is not the name of the folder")
    if not manifest.get("codeowners") or not all(
        owner.startswith("@") for owner in manifest["codeowners"]
    ):
        problems.append("codeowners are not a list of @names")
    for key in ("documentation", "issue_tracker"):
        if urlparse(manifest.get(key, "")).scheme != "https":
            problems.append(f"{key} is no https address")
    if "home-assistant.io/integrations" in manifest.get("documentation", ""):
        problems.append("documentation points to Home Assistant's own pages")
    if manifest.get("iot_class") not in IOT_CLASSES:
        problems.append("iot_class is unknown")
    if manifest.get("integration_type", "hub") not in INTEGRATION_TYPES:
        problems.append("integration_type is unknown")
    if not _VERSION.fullmatch(manifest.get("version", "")):
        problems.append("version is none that Home Assistant's loader accepts")
    for key in STRING_LISTS:
        value = manifest.get(key, [])
        if not isinstance(value, list) or not all(
            isinstance(item, str) for item in value
        ):
            problems.append(f"{key} is no list of strings")
    for requirement in manifest.get("requirements", []):
        if " " in requirement:
            problems.append(f"requirement {requirement} contains a space")
        if "==" in requirement:
            problems.append(
                f"requirement {requirement} pins what Home Assistant may pin otherwise"
            )
    return problems


def requirement_problems(
    requirements: Iterable[str], constraints: Mapping[str, str]
) -> list[str]:
    """Judge requirements against the versions that Home Assistant allows beside itself."""
    problems = []
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            problems.append(f"requirement {text} cannot be read: {error}")
            continue
        allowed = SpecifierSet(constraints.get(canonicalize_name(requirement.name), ""))
        # A constraint that names one version has to be met by it.
        problems += [
            f"requirement {text} cannot be met: Home Assistant has {one}"
            for one in allowed
            if one.operator == "==" and one.version not in requirement.specifier
        ]
    return problems


def import_problems(used: Mapping[str, AbstractSet[str]], manifest: Json) -> list[str]:
    """Judge which integrations each module uses; they have to be there before it is.

    A module named after another integration is its platform, and may use it.
    """
    named = {*manifest.get("dependencies", []), *manifest.get("after_dependencies", [])}
    platforms = {path.partition(".")[0] for path in used}
    return [
        f"{path} uses the integration {domain}, which the manifest does not name"
        for path, domains in sorted(used.items())
        for domain in sorted(domains - named - platforms - ALWAYS_THERE)
    ]


def hacs_problems(hacs: Json) -> list[str]:
    """Judge hacs.json."""
    problems = ["name is missing"] if not hacs.get("name") else []
    for key, value in hacs.items():
        if key not in HACS_ALLOWED:
            problems.append(f"{key} is not allowed")
        elif not isinstance(value, HACS_ALLOWED[key]):
            problems.append(f"{key} has the wrong type")
    if "homeassistant" in hacs and not re.fullmatch(
        r"20\d\d\.\d{1,2}\.\d+", str(hacs["homeassistant"])
    ):
        problems.append("homeassistant is no release of Home Assistant")
    return problems


def marketplace_problems(
    hacs: Json, validators: Mapping[str, Callable[[Any], Any]]
) -> list[str]:
    """Judge hacs.json with what Home Assistant's own Marketplace reads it with."""
    problems = []
    for key, value in hacs.items():
        if key not in validators:
            problems.append(f"{key} is not read by the Marketplace")
            continue
        try:
            validators[key](value)
        except probatio.Invalid as error:
            problems.append(f"{key} is left out by the Marketplace: {error}")
    if hacs.get("zip_release") and not str(hacs.get("filename", "")).endswith(".zip"):
        problems.append("zip_release needs the filename of a .zip")
    return problems


def brand_problems(sizes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Judge the sizes of the brand images by their names."""
    problems = [
        f"brand/{name} is missing"
        for name in ("icon.png", "icon@2x.png")
        if name not in sizes
    ]
    for name, (width, height) in sizes.items():
        kind = name.removeprefix("dark_")
        if kind not in BRAND_SIZES:
            problems.append(f"brand/{name} is served by nobody")
            continue
        least, most = BRAND_SIZES[kind]
        if not least <= min(width, height) <= most:
            problems.append(f"brand/{name} is {width} x {height}")
        elif kind.startswith("icon") and width != height:
            problems.append(f"brand/{name} is no square")
    return problems
