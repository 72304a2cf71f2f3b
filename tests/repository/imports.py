"""Which module may import which, read from the syntax trees: imports point one way."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import sys
from typing import Final

PACKAGE: Final = "custom_components.jkbms"
PROTOCOL: Final = f"{PACKAGE}.protocol"
TRANSPORT: Final = f"{PACKAGE}.transport"
COORDINATOR: Final = f"{PACKAGE}.coordinator"
CONFIG_FLOW: Final = f"{PACKAGE}.config_flow"
DESCRIPTIONS: Final = f"{PACKAGE}.descriptions"
ENTITY: Final = f"{PACKAGE}.entity"

# Only these two know Bluetooth: everything else runs where there is none.
BLUETOOTH: Final = ("bleak", "bleak_retry_connector")
_OF_BLUETOOTH: Final = (*BLUETOOTH, "habluetooth", "homeassistant.components.bluetooth")
_KNOWS_BLUETOOTH: Final = (f"{PACKAGE}.ble", f"{TRANSPORT}.ble")

# Home Assistant's names for the modules that hold entities.
PLATFORMS: Final = tuple(
    f"{PACKAGE}.{name}"
    for name in (
        "binary_sensor",
        "button",
        "event",
        "number",
        "select",
        "sensor",
        "switch",
        "text",
        "time",
        "update",
    )
)


def within(module: str, *packages: str) -> bool:
    """Tell whether a module is one of these packages or inside one."""
    return any(
        module == package or module.startswith(f"{package}.") for package in packages
    )


def is_standard_library(module: str) -> bool:
    """Tell whether a module comes with Python."""
    return module.partition(".")[0] in sys.stdlib_module_names


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What the modules of some packages may import."""

    says: str
    modules: tuple[str, ...]
    allows: Callable[[str], bool]
    besides: tuple[str, ...] = ()
    """Modules that the rule does not hold for."""


RULES: Final = (
    Rule(
        says="protocol imports the standard library and itself",
        modules=(PROTOCOL,),
        allows=lambda name: is_standard_library(name) or within(name, PROTOCOL),
    ),
    Rule(
        says="transport imports the standard library, serialx, python-can, pymodbus, bleak, protocol and itself",
        modules=(TRANSPORT,),
        allows=lambda name: (
            is_standard_library(name)
            or within(name, "serialx", "can", "pymodbus", PROTOCOL, TRANSPORT)
            or within(name, *BLUETOOTH)
        ),
    ),
    Rule(
        says="the coordinator imports neither entities nor the config flow",
        modules=(COORDINATOR,),
        allows=lambda name: (
            not within(name, *PLATFORMS, ENTITY, DESCRIPTIONS, CONFIG_FLOW)
        ),
    ),
    Rule(
        says="the config flow imports no entities",
        modules=(CONFIG_FLOW,),
        allows=lambda name: not within(name, *PLATFORMS, ENTITY),
    ),
    Rule(
        says="descriptions know the protocol's fields, not how they arrive",
        modules=(DESCRIPTIONS,),
        allows=lambda name: (
            not within(name, TRANSPORT, COORDINATOR, CONFIG_FLOW, ENTITY, *PLATFORMS)
        ),
    ),
    Rule(
        says="entities do not import transport or the config flow",
        modules=(*PLATFORMS, ENTITY),
        allows=lambda name: not within(name, TRANSPORT, CONFIG_FLOW),
    ),
    Rule(
        says="only the two modules of Bluetooth import anything of it",
        modules=(PACKAGE,),
        allows=lambda name: not within(name, *_OF_BLUETOOTH, *_KNOWS_BLUETOOTH),
        besides=_KNOWS_BLUETOOTH,
    ),
    Rule(
        says="the simulator imports the standard library and itself",
        modules=("simulator",),
        allows=lambda name: is_standard_library(name) or within(name, "simulator"),
    ),
    Rule(
        says="nothing but tests imports tests",
        modules=("custom_components", "simulator", "scripts"),
        allows=lambda name: not within(name, "tests"),
    ),
)


def sources(root: Path) -> Iterator[Path]:
    """Yield every Python file of the project's own folders, commands without a suffix included."""
    for folder in ("custom_components", "simulator", "scripts", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix == ".py" or (
                folder == "scripts" and _is_python_command(path)
            ):
                yield path


def _is_python_command(path: Path) -> bool:
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline()
    return first.startswith(b"#!") and b"python" in first


def module_name(path: Path, root: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything a file imports."""
    package = module_name(path, root).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                start = ".".join([*base, *([module] if module else [])])
                # `from package import name`: the name may be a module, so it is judged with the package.
                yield from ((node.lineno, f"{start}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module")
                | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def violations(root: Path, rules: tuple[Rule, ...] = RULES) -> list[str]:
    """Name every import that a rule forbids."""
    return [
        f"{path.relative_to(root)}:{line} imports {name}, but {rule.says}"
        for path in sources(root)
        for rule in rules
        if within(module_name(path, root), *rule.modules)
        and not within(module_name(path, root), *rule.besides)
        for line, name in imported(path, root)
        if not rule.allows(name)
    ]
