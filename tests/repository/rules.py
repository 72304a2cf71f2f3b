"""The rules of Home Assistant's hassfest and of HACS that apply here, for places where neither can run.

Each function returns what is wrong, in words.
"""

from collections.abc import Iterator, Mapping
import re
from string import Formatter
from typing import Any, Final
from urllib.parse import urlparse

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

TRANSLATION_SECTIONS: Final = frozenset(
    {
        "common",
        "conditions",
        "config",
        "config_subentries",
        "device",
        "entity",
        "exceptions",
        "issues",
        "options",
        "selector",
        "services",
        "system_health",
        "title",
        "triggers",
    }
)
ENTITY_TEXTS: Final = frozenset(
    {"name", "state", "state_attributes", "unit_of_measurement"}
)
ENTITY_ICONS: Final = frozenset({"default", "range", "state", "state_attributes"})

_SLUG: Final = re.compile(r"[a-z0-9]+(?:[_-]+[a-z0-9]+)*")
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc|\.dev|-beta|-rc)\.?\d+)?")
_ICON: Final = re.compile(r"mdi:[a-z0-9]+(?:-[a-z0-9]+)*")
_HTML: Final = re.compile(r"</?[a-z][^>]*>", re.IGNORECASE)
_URL: Final = re.compile(r"\b(?:https?|ftp)://", re.IGNORECASE)
_QUOTED_PLACEHOLDER: Final = re.compile(r"'\{[^}]*\}'")


def leaves(
    node: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and value of everything that is not an object."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def objects(
    node: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Yield the path and every object of a tree."""
    if isinstance(node, Mapping):
        yield path, node
        for key, value in node.items():
            yield from objects(value, (*path, key))


def placeholders(text: str) -> set[str]:
    """Return the names between braces; ValueError when the braces do not pair."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


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


def _text_problems(where: str, text: Any) -> Iterator[str]:
    if not isinstance(text, str) or not text:
        yield f"{where} is no text"
        return
    if text != text.strip():
        yield f"{where} begins or ends with a space"
    if _HTML.search(text):
        yield f"{where} contains HTML"
    if _URL.search(text):
        yield f"{where} contains an address: use a placeholder"
    if _QUOTED_PLACEHOLDER.search(text):
        yield f"{where} has a placeholder in single quotes"
    if "[%key:" in text:
        yield f"{where} refers to another text, which works in core only"
    try:
        names = placeholders(text)
    except ValueError:
        yield f"{where} has braces that do not pair"
    else:
        if not all(name.isidentifier() for name in names):
            yield f"{where} has a placeholder that is no name"


def translation_problems(texts: Json) -> list[str]:
    """Judge the English texts of a custom integration."""
    problems = [
        f"{key} is no section" for key in sorted(texts.keys() - TRANSLATION_SECTIONS)
    ]
    for path, value in objects(texts):
        where = ".".join(path)
        problems += [
            f"{where}.{key}: keys are lower-case slugs"
            for key in value
            if not _SLUG.fullmatch(key)
        ]
        if "data_description" in value:
            extra = value["data_description"].keys() - value.get("data", {}).keys()
            problems += [
                f"{where}.data_description.{key} describes no field"
                for key in sorted(extra)
            ]
    for path, value in leaves(texts):
        problems += _text_problems(".".join(path), value)
    for platform, entities in texts.get("entity", {}).items():
        for key, entity in entities.items():
            problems += [
                f"entity.{platform}.{key}.{extra} is not read"
                for extra in entity.keys() - ENTITY_TEXTS
            ]
    for key, issue in texts.get("issues", {}).items():
        if "title" not in issue or ("description" in issue) == ("fix_flow" in issue):
            problems.append(
                f"issues.{key} needs a title and either a description or a fix_flow"
            )
    for key, exception in texts.get("exceptions", {}).items():
        if set(exception) != {"message"}:
            problems.append(f"exceptions.{key} holds a message and nothing else")
    return problems


def language_problems(texts: Json, english: Json) -> list[str]:
    """Judge another language against the English texts."""
    wanted = dict(leaves(english))
    found = dict(leaves(texts))
    problems = [
        f"{'.'.join(path)} is not in en.json" for path in found.keys() - wanted.keys()
    ]
    problems += [
        f"{'.'.join(path)} is missing" for path in wanted.keys() - found.keys()
    ]
    for path in found.keys() & wanted.keys():
        where = ".".join(path)
        wrong = list(_text_problems(where, found[path]))
        problems += wrong
        if not wrong and placeholders(found[path]) != placeholders(wanted[path]):
            problems.append(f"{where} has other placeholders than en.json")
    return problems


def icon_problems(icons: Json, texts: Json) -> list[str]:
    """Judge icons.json against the texts."""
    problems = [
        f"{key} is no section" for key in sorted(icons.keys() - {"entity", "services"})
    ]
    for path, value in leaves(icons):
        if not isinstance(value, str) or not _ICON.fullmatch(value):
            problems.append(f"{'.'.join(path)}: {value} is no mdi: name")
    for platform, entities in icons.get("entity", {}).items():
        named = texts.get("entity", {}).get(platform, {})
        for key, entity in entities.items():
            where = f"entity.{platform}.{key}"
            if key not in named:
                problems.append(f"{where} has an icon but no name")
            problems += [
                f"{where}.{extra} is not read" for extra in entity.keys() - ENTITY_ICONS
            ]
            problems += [
                f"{where}.state.{state} repeats the default"
                for state, icon in entity.get("state", {}).items()
                if icon == entity.get("default")
            ]
    return problems
