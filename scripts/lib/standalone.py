"""Run a module beside this file with the integration's protocol package, but without Home Assistant.

usage: python scripts/lib/standalone.py MODULE [ARGUMENT...]
"""

from pathlib import Path
import runpy
import sys
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def main() -> None:
    """Put an empty package in the integration's place: its own module imports Home Assistant."""
    package = ModuleType("custom_components.jkbms")
    package.__path__ = [str(ROOT / "custom_components" / "jkbms")]
    sys.modules[package.__name__] = package
    sys.path[0] = str(ROOT)
    name = sys.argv.pop(1)
    sys.argv[0] = f"scripts/{name}"
    runpy.run_module(f"scripts.lib.{name}", run_name="__main__")


main()
