"""Judge the integration as hassfest, HACS and Home Assistant's Marketplace would.

usage: python -m scripts.lib.validate

Prints what is wrong and ends with 1 if anything is. What the Home Assistant of this Python
does not have cannot be judged by it, which is said: icon names need its frontend, the
Marketplace is part of it since 2026.11.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
import json
from pathlib import Path
import struct
import sys
from typing import Any, Final

from homeassistant.util.yaml import parse_yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .texts import ENGLISH, faults, flat
from .validate_rules import (
    brand_problems,
    hacs_problems,
    import_problems,
    manifest_problems,
    marketplace_problems,
    requirement_problems,
)
from .validate_texts import (
    icon_name_problems,
    icon_problems,
    service_problems,
    translation_problems,
)

ROOT: Final = Path(__file__).parents[2]
COMPONENT: Final = Path("custom_components/jkbms")
_COMPONENTS: Final = "homeassistant.components"


def load(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def judge(root: Path = ROOT) -> Iterator[str]:
    """Yield what is wrong, each with the file that it is wrong in."""
    component = root / COMPONENT
    manifest = load(component / "manifest.json")
    texts = load(component / "translations" / f"{ENGLISH}.json")
    icons = load(component / "icons.json")
    services: Any = parse_yaml((component / "services.yaml").read_text("utf-8"))
    found = {
        "manifest.json": [
            *manifest_problems(manifest, component.name),
            *requirement_problems(manifest.get("requirements", ()), constraints()),
            *import_problems(used_integrations(component), manifest),
        ],
        "hacs.json": hacs_problems(load(root / "hacs.json")),
        "icons.json": icon_problems(icons, texts),
        "services.yaml": service_problems(services, texts, icons),
        "brand": brand_problems(
            {path.name: png_size(path) for path in (component / "brand").iterdir()}
        ),
    }
    english = dict(flat(texts))
    for path in sorted((component / "translations").iterdir()):
        others = load(path)
        found[path.name] = translation_problems(others)
        found[path.name] += map(str, faults(english, dict(flat(others))))
    if (known := icon_names()) is not None:
        found["icons.json"] += icon_name_problems(icons, known)
    if (validators := marketplace()) is not None:
        found["hacs.json"] += marketplace_problems(load(root / "hacs.json"), validators)
    for name, problems in found.items():
        yield from (f"{name}: {problem}" for problem in problems)


def not_judged() -> Iterator[str]:
    """Yield what cannot be judged with this Python's Home Assistant."""
    if icon_names() is None:
        yield "the names of icons: its frontend is not installed"
    if marketplace() is None:
        yield "hacs.json by the Marketplace: this Home Assistant has none"


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height from the header of a PNG; ValueError where it is none."""
    head = path.read_bytes()[:24]
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path.name} is no PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def used_integrations(component: Path) -> dict[str, set[str]]:
    """Return which integrations of Home Assistant each module imports."""
    used: dict[str, set[str]] = {}
    for path in sorted(component.rglob("*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ImportFrom(module=str() as module, level=0):
                    names |= {f"{module}.{alias.name}" for alias in node.names}
                case ast.Import():
                    names |= {alias.name for alias in node.names}
        domains = {
            name.removeprefix(f"{_COMPONENTS}.").partition(".")[0]
            for name in names
            if name.startswith(f"{_COMPONENTS}.")
        }
        if domains:
            used[str(path.relative_to(component))] = domains
    return used


def _folder(package: str) -> Path | None:
    """Return where an installed package is, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def constraints() -> dict[str, str]:
    """Return the versions that Home Assistant allows beside itself, by package."""
    folder = _folder("homeassistant")
    if folder is None:
        return {}
    found: dict[str, str] = {}
    for line in (folder / "package_constraints.txt").read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            found[name] = str(requirement.specifier)
    return found


def icon_names() -> frozenset[str] | None:
    """Return the icons that the installed frontend has."""
    folder = _folder("hass_frontend")
    if folder is None:
        return None
    icons = load(folder / "static" / "mdi" / "iconList.json")
    return frozenset(icon["name"] for icon in icons)


def marketplace() -> Mapping[str, Callable[[Any], Any]] | None:
    """Return what the installed Home Assistant's Marketplace reads hacs.json with."""
    folder = _folder("homeassistant")
    path = None if folder is None else folder / "components/marketplace/utils"
    if path is None or not (path / "validate.py").is_file():
        return None
    # Only 2026.11 has it, and the types are checked against 2026.10.
    module = __import__(
        f"{_COMPONENTS}.marketplace.utils.validate", fromlist=["validate"]
    )
    validators: Mapping[str, Callable[[Any], Any]] = module.REPOSITORY_MANIFEST_VALUES
    return validators


def main(root: Path = ROOT) -> int:
    """Print what is wrong and what was not judged."""
    problems = list(judge(root))
    for problem in problems:
        print(problem)
    for what in not_judged():
        print(f"not judged here: {what}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
