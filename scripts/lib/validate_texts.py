"""The rules of hassfest for texts, icons and actions.

Each function returns what is wrong, in words.
"""

from collections.abc import Iterator, Mapping, Set as AbstractSet
import re
from string import Formatter
from typing import Any, Final

from .validate_rules import Json

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


def icon_name_problems(icons: Json, known: AbstractSet[str]) -> list[str]:
    """Judge the names of icons by those that the frontend has."""
    return [
        f"{'.'.join(path)}: {value} is no icon of the frontend"
        for path, value in leaves(icons)
        if value.removeprefix("mdi:") not in known
    ]


def service_problems(services: Json, texts: Json, icons: Json) -> list[str]:
    """Judge services.yaml against the texts and the icons."""
    named, shown = texts.get("services", {}), icons.get("services", {})
    problems = [
        f"services.{name} has no {what}"
        for name in services
        for what, there in (
            ("name", "name" in named.get(name, {})),
            ("description", "description" in named.get(name, {})),
            ("icon", name in shown),
        )
        if not there
    ]
    for what, names in (("a text", named), ("an icon", shown)):
        problems += [
            f"services.{name} has {what} and is not in services.yaml"
            for name in sorted(names.keys() - services.keys())
        ]
    for name in services.keys() & named.keys():
        wanted = set((services[name] or {}).get("fields", {}))
        fields = named[name].get("fields", {})
        problems += [
            f"services.{name}.{field} is in one of services.yaml and the texts only"
            for field in sorted(wanted ^ fields.keys())
        ]
        problems += [
            f"services.{name}.{field} has no {key}"
            for field, text in fields.items()
            for key in ("name", "description")
            if key not in text
        ]
    return problems
